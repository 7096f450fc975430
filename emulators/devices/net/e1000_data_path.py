"""What moves frames in an 82540EM: the walks over its rings, the address filter, statistics, interrupts.

Specification: Intel 317453, chapter 3 (receive and transmit), §13.4.17 ff. (interrupts), §13.5 (filters), §13.7.
Read first: `emulators.devices.net.e1000` (theory, limits, threats) and `emulators.devices.net.e1000_offload`.

`E1000` derives from `DataPath` and adds the registers.
"""

import zlib
from collections import deque
from collections.abc import Callable

from emulators.device import Timeline
from emulators.devices.net import e1000_registers as r
from emulators.devices.net.address_filter import BROADCAST
from emulators.devices.net.e1000_offload import Context, Lie, insert_tag, put_checksum, segments, verify
from emulators.devices.net.m88e1011 import GigabitPhy
from emulators.devices.pci.config import PciFunction
from emulators.dma import Dma, DmaFault

MASTER_ABORT = 0x2000  # PCI 3.0 §6.2.3: received master abort
MOST_COUNT = 0xFFFFFFFF


class DataPath(PciFunction):
    """Everything behind the registers.

    Args:
        dma, out, timeline: as for `E1000`.
    """

    timed = True

    def __init__(self, name: str, *, dma: Dma, out: Callable[[bytes], None], timeline: Timeline) -> None:
        super().__init__(
            name,
            vendor=0x8086,
            device=0x100E,
            class_code=0x020000,
            revision=2,
            subsystem_vendor=0x8086,
            subsystem=0x001E,
            pin=1,
        )
        self._dma = dma
        self._out = out
        self._timeline = timeline
        self._phy = GigabitPhy()
        self._plain = dict.fromkeys(r.PLAIN, 0)
        self._stats = dict.fromkeys(r.STATISTICS, 0)
        self._ctrl = self._rctl = self._tctl = self._icr = self._ims = 0
        self._rdh = self._rdt = self._tdh = self._tdt = 0
        self._quiet_until_ns = 0
        self._interrupt_at: int | None = None
        self._transmit_at = 0
        self._work = 0
        self._context = self._segment_context = Context()
        self._packet = bytearray()
        self._options = 0
        self.queue: deque[bytes] = deque()
        self.counts = {"sent": 0, "received": 0, "filtered": 0, "missed": 0, "off": 0, "oversize": 0, "lost": 0}

    # The cable

    def receive(self, frame: bytes) -> None:
        """A frame from the cable, without FCS."""
        if self._rctl & r.RCTL_LBM or self._phy.loopback or not (self._rctl & r.RCTL_EN and self._link):
            self.counts["off"] += 1
        else:
            self._take(frame)

    def ready_frames(self) -> int:
        """How many frames the queue would take now."""
        return r.QUEUE_FRAMES - len(self.queue)

    @property
    def _link(self) -> bool:
        return self._phy.link and bool(self._ctrl & r.CTRL_SLU)

    def _take(self, frame: bytes) -> None:
        longest = r.LONGEST_LONG_FRAME if self._rctl & r.RCTL_LPE else r.LONGEST_FRAME
        if not 14 <= len(frame) <= longest:
            self.counts["oversize"] += 1
            self._add(r.ROC if len(frame) > longest else r.RUC, 1)
        elif not self._passes(frame):
            self.counts["filtered"] += 1
            self._add(r.TPR, 1)
        elif len(self.queue) >= r.QUEUE_FRAMES:
            self.counts["missed"] += 1
            self._add(r.MPC, 1)
            self._raise(r.ICR_RXO)
        else:
            self.queue.append(frame)
            self._serve()

    def _passes(self, frame: bytes) -> bool:
        rctl = self._rctl
        if rctl & r.RCTL_VFE and int.from_bytes(frame[12:14], "big") == self._plain[r.VET]:
            vlan = int.from_bytes(frame[14:16], "big") & 0xFFF
            if not self._plain[r.VFTA + (vlan >> 5) * 4] >> (vlan & 31) & 1:
                return False
        to = frame[:6]
        if to == BROADCAST and rctl & r.RCTL_BAM:
            return True
        if rctl & (r.RCTL_MPE if to[0] & 1 else r.RCTL_UPE):
            return True
        if to in self._exact():
            return True
        if not to[0] & 1:
            return False
        shift = (4, 3, 2, 0)[rctl >> 12 & 3]  # §13.5.1: MO
        bits = (to[4] | to[5] << 8) >> shift & 0xFFF
        return bool(self._plain[r.MTA + (bits >> 5) * 4] >> (bits & 31) & 1)

    def _exact(self) -> set[bytes]:
        """The addresses in RAL and RAH."""
        found = set()
        for at in range(r.RAL, r.RAL + 8 * r.RAL_ENTRIES, 8):
            high = self._plain[at + 4]
            if high & r.RAH_AV:
                found.add((self._plain[at] | (high & 0xFFFF) << 32).to_bytes(6, "little"))
        return found

    # Receiving

    def _receive_buffer(self) -> int:
        size = 2048 >> (self._rctl >> 16 & 3)
        return size * 16 if self._rctl & r.RCTL_BSEX and size < 2048 else size

    def _serve(self) -> None:
        """Put waiting frames into the ring while there are descriptors."""
        if not self.queue or not self._rctl & r.RCTL_EN or not self.is_master:
            return
        length = self._plain[r.RDLEN] // r.DESCRIPTOR
        if not self._is_in_ring(self._rdh, length) or not self._is_in_ring(self._rdt, length):
            return
        causes = 0
        try:
            while self.queue and self._fill(self.queue[0], length):
                self.queue.popleft()
                causes = r.ICR_RXT0
        except DmaFault:
            self._bus_error()
            return
        free = (self._rdt - self._rdh) % length
        if causes and free < length >> 1 + (self._rctl >> 8 & 3):
            causes |= r.ICR_RXDMT0
        if self.queue:
            self._add(r.RNBC, 1)
        if causes:
            self._raise(causes)

    def _is_in_ring(self, index: int, length: int) -> bool:
        if index < length:
            return True
        self.mistakes += bool(length)
        return False

    def _fill(self, frame: bytes, length: int) -> bool:
        """False: not enough descriptors."""
        vlan = 0
        status = r.RXD_DD
        if self._ctrl & r.CTRL_VME and int.from_bytes(frame[12:14], "big") == self._plain[r.VET] and len(frame) >= 18:
            vlan = int.from_bytes(frame[14:16], "big")
            frame = frame[:12] + frame[16:]
            status |= r.RXD_VP
        size = self._receive_buffer()
        octets = frame if len(frame) >= r.SHORTEST_FRAME else frame.ljust(r.SHORTEST_FRAME, b"\0")
        if not self._rctl & r.RCTL_SECRC:
            octets += zlib.crc32(octets).to_bytes(4, "little")
        wanted = -(-len(octets) // size)
        if wanted > (self._rdt - self._rdh) % length:
            return False
        checked, errors = verify(frame, self._plain[r.RXCSUM])
        last = status | checked | r.RXD_EOP | (r.RXD_PIF if frame[0] & 1 else 0)
        base = self._plain[r.RDBAL] | self._plain[r.RDBAH] << 32
        for number in range(wanted):
            at = base + self._rdh * r.DESCRIPTOR
            part = octets[number * size : (number + 1) * size]
            self._dma.write(int.from_bytes(self._dma.read(at, 8), "little"), part)
            final = number == wanted - 1
            report = len(part) | (last | errors << 8 | vlan << 16 if final else status) << 32
            self._dma.write(at + 8, report.to_bytes(8, "little"))
            self._rdh = (self._rdh + 1) % length
        self.counts["received"] += 1
        self._account(octets if self._rctl & r.RCTL_SECRC else octets[:-4], r.PRC64, r.TPR, r.TOR)
        self._add(r.GPRC, 1)
        self._add_long(r.GORC, len(octets))
        if frame[0] & 1:
            self._add(r.BPRC if frame[:6] == BROADCAST else r.MPRC, 1)
        return True

    # Sending

    def _transmit(self) -> None:
        """Send what is between TDH and TDT: `MOST_WORK` at once, and the rest after `PAUSE_NS`."""
        self._transmit_at = 0
        length = self._plain[r.TDLEN] // r.DESCRIPTOR
        if not self._tctl & r.TCTL_EN or not self.is_master:
            return
        if not self._is_in_ring(self._tdh, length) or not self._is_in_ring(self._tdt, length):
            return
        if self._tdh == self._tdt:
            return
        base = self._plain[r.TDBAL] | self._plain[r.TDBAH] << 32
        causes = 0
        self._work = r.MOST_WORK
        try:
            while self._tdh != self._tdt and self._work > 0:
                end = self._tdt if self._tdt > self._tdh else length
                count = min(end - self._tdh, r.SLICE)
                at = base + self._tdh * r.DESCRIPTOR
                octets = self._dma.read(at, count * r.DESCRIPTOR)
                for number in range(count):
                    begin = number * r.DESCRIPTOR
                    one = octets[begin : begin + r.DESCRIPTOR]
                    self._tdh = (self._tdh + 1) % length
                    self._descriptor(one)
                    if one[11] & (r.TXD_RS | r.TXD_RPS):
                        self._dma.write(at + begin + 12, bytes((one[12] | r.TXD_DD,)))
                        causes |= r.ICR_TXDW
        except DmaFault:
            self._bus_error()
            return
        if self._tdh == self._tdt:
            causes |= r.ICR_TXQE
        else:
            self._transmit_at = self._timeline.now_ns + r.PAUSE_NS
        self._raise(causes)

    def _descriptor(self, one: bytes) -> None:
        """§3.3: legacy, context, or data."""
        self._work -= 1
        command = one[11]
        if not command & r.TXD_DEXT:
            self._legacy(one, command)
            return
        kind = one[10] >> 4
        if kind == r.DTYP_CONTEXT:
            if command & r.TXD_TSE:
                self._segment_context = Context.parse(one)
            else:
                self._context = Context.parse(one)
        elif kind == r.DTYP_DATA:
            if not self._packet:
                self._options = one[13]
            self._append(one, int.from_bytes(one[8:11], "little") & 0xFFFFF)
            if command & r.TXD_EOP:
                self._finish(self._end(one, command), segmented=bool(command & r.TXD_TSE))
        else:
            self.mistakes += 1

    def _legacy(self, one: bytes, command: int) -> None:
        self._append(one, int.from_bytes(one[8:10], "little"))
        if not command & r.TXD_EOP:
            return
        packet = self._packet
        if command & r.TXD_IC:
            try:
                put_checksum(packet, one[13], one[10], 0)
            except Lie:
                self.mistakes += 1
        self._options = 0
        self._finish(self._end(one, command), segmented=False)

    def _append(self, one: bytes, octets: int) -> None:
        """A buffer's octets; beyond what a packet can have it is as long as that, and not sent."""
        room = r.LONGEST_PACKET + 1 - len(self._packet)
        if octets and room > 0:
            self._packet += self._dma.read(int.from_bytes(one[:8], "little"), min(octets, room))

    def _end(self, one: bytes, command: int) -> int:
        """The VLAN tag to insert, or -1; and the driver's own FCS goes."""
        if not command & r.TXD_IFCS:
            del self._packet[-4:]
        tagged = command & r.TXD_VLE and self._ctrl & r.CTRL_VME
        return int.from_bytes(one[14:16], "little") if tagged else -1

    def _finish(self, tag: int, *, segmented: bool) -> None:
        packet, options = self._packet, self._options
        self._packet = bytearray()
        try:
            if len(packet) > r.LONGEST_PACKET:
                raise Lie(f"{len(packet)} octets")
            ip, transport = bool(options & r.POPTS_IXSM), bool(options & r.POPTS_TXSM)
            if segmented:
                frames = segments(bytes(packet), self._segment_context, ip=ip, transport=transport)
                self._add(r.TSCTC, 1)
            else:
                context = self._context
                if ip:
                    put_checksum(packet, context.ip_start, context.ip_at, context.ip_end)
                if transport:
                    put_checksum(packet, context.start, context.at, context.end)
                frames = [bytes(packet)]
        except Lie:
            self.mistakes += 1
            return
        self._work -= len(frames)
        for frame in frames:
            self._send(frame if tag < 0 else insert_tag(frame, self._plain[r.VET], tag))

    def _send(self, frame: bytes) -> None:
        if not 14 <= len(frame) <= r.LONGEST_LONG_FRAME:
            self.mistakes += 1
            return
        if len(frame) < r.SHORTEST_FRAME and self._tctl & r.TCTL_PSP:
            frame = frame.ljust(r.SHORTEST_FRAME, b"\0")
        self._account(frame, r.PTC64, r.TPT, r.TOT)
        self._add(r.GPTC, 1)
        self._add_long(r.GOTC, len(frame) + 4)
        if frame[0] & 1:
            self._add(r.BPTC if frame[:6] == BROADCAST else r.MPTC, 1)
        if self._rctl & r.RCTL_LBM or self._phy.loopback:
            if self._rctl & r.RCTL_EN:
                self._take(frame)
        elif self._link:
            self.counts["sent"] += 1
            self._out(frame)
        else:
            self.counts["lost"] += 1

    def _bus_error(self) -> None:
        """An address where no memory is: both directions stop until the driver starts them again."""
        self.mistakes += 1
        self._rctl &= ~r.RCTL_EN
        self._tctl &= ~r.TCTL_EN
        self.queue.clear()
        self._packet = bytearray()
        self.set_pci_status(MASTER_ABORT)

    # Statistics

    def _add(self, register: int, count: int) -> None:
        self._stats[register] = min(self._stats[register] + count, MOST_COUNT)

    def _add_long(self, register: int, count: int) -> None:
        """A counter of 64 bits in two registers; it stops at its end."""
        value = min((self._stats[register] | self._stats[register + 4] << 32) + count, (1 << 64) - 1)
        self._stats[register], self._stats[register + 4] = value & MOST_COUNT, value >> 32

    def _account(self, frame: bytes, first: int, packets: int, octets: int) -> None:
        size = len(frame) + 4
        step = sum(size > limit for limit in r.SIZES)
        self._add(first + 4 * step, 1)
        self._add(packets, 1)
        self._add_long(octets, size)

    # Interrupts

    def _raise(self, causes: int) -> None:
        self._icr |= causes
        self._update_interrupt()

    def _update_interrupt(self) -> None:
        """Drive the pin; ITR (§13.4.18) is the least time between two rises."""
        wanted = bool(self._icr & self._ims)
        now = self._timeline.now_ns
        if wanted and not self._wanted and now < self._quiet_until_ns:
            self._interrupt_at = self._quiet_until_ns
            return
        self._interrupt_at = None
        if wanted and not self._wanted:
            self._quiet_until_ns = now + self._plain[r.ITR] * r.ITR_UNIT_NS
        self.set_interrupt(wanted)

    def next_deadline(self) -> int | None:
        """When a delayed interrupt, or the rest of what is to be sent, is due."""
        if self._transmit_at and (self._interrupt_at is None or self._transmit_at < self._interrupt_at):
            return self._transmit_at
        return self._interrupt_at

    def handle_timer(self, now_ns: int) -> None:
        """A delayed interrupt, or the rest of what is to be sent, is due."""
        if self._transmit_at and now_ns >= self._transmit_at:
            self._transmit()
        if self._interrupt_at is not None and now_ns >= self._interrupt_at:
            self._interrupt_at = None
            self._update_interrupt()
