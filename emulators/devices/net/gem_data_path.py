"""What moves frames in a GEM: the walks over its rings, the address filter, checksums, pause frames, its interrupt.

Sources: as for `emulators.devices.net.gem_registers`, by section: 3.1.4.2 (sending), 3.1.4.3 (receiving), 3.1.5 (MAC).
Read first: `emulators.devices.net.gem` (theory, limits, threats).

`Gem` derives from `DataPath` and adds the registers.
"""

import zlib
from collections import deque
from collections.abc import Callable
from typing import Final

from emulators.device import Timeline
from emulators.devices.net import gem_registers as r
from emulators.devices.net.address_filter import BROADCAST
from emulators.devices.net.bcm5201 import Bcm5201
from emulators.devices.net.internet_checksum import checksum, total
from emulators.devices.pci.config import MAX_LAT, MIN_GNT, PciFunction
from emulators.dma import Dma, DmaFault

MASTER_ABORT: Final = 0x2000  # PCI 3.0 §6.2.3: received master abort


def _complement(octets: bytes) -> int:
    """The complement of the sum, as an adder with end-around carry has it: 0xFFFF is for zeros alone.

    Linux' own arithmetic of sums goes wrong otherwise, for what sums up to nothing: all of ICMP.
    """
    return 0xFFFF - (total(octets) or (0xFFFF if any(octets) else 0))


class DataPath(PciFunction):
    """Everything behind the registers.

    Args:
        dma, out, timeline: as for `Gem`.
    """

    timed = True

    def __init__(self, name: str, *, dma: Dma, out: Callable[[bytes], None], timeline: Timeline) -> None:
        super().__init__(name, vendor=0x106B, device=0x0021, class_code=0x020000, revision=1, pin=1)
        self.set_config(MIN_GNT, 1, 0x40)
        self.set_config(MAX_LAT, 1, 0x40)
        self._dma = dma
        self._out = out
        self._timeline = timeline
        self._phy = Bcm5201()
        self._plain = dict.fromkeys(r.PLAIN, 0)
        self._latched = 0
        self._tx_status = self._rx_status = self._control_status = self._errors = 0
        self._mif_image = self._mif_changed = 0
        self._tx_done = self._rx_done = 0
        self._transmit_at = 0
        self._packet = bytearray()
        self._flags = 0
        self.queue: deque[bytes] = deque()
        self.counts = {
            "sent": 0, "received": 0, "filtered": 0, "missed": 0, "off": 0, "oversize": 0, "lost": 0, "control": 0
        }  # fmt: skip

    # The cable

    def receive(self, frame: bytes) -> None:
        """A frame from the cable, without FCS."""
        plain = self._plain
        on = plain[r.MAC_RX_CONFIG] & r.MAC_ENABLE and not plain[r.MAC_XIF_CONFIG] & r.XIF_LOOPBACK
        if on and self._phy.link:
            self._take(frame)
        else:
            self.counts["off"] += 1

    def ready_frames(self) -> int:
        """How many frames the queue would take now."""
        return r.QUEUE_FRAMES - len(self.queue)

    def _take(self, frame: bytes) -> None:
        if not 14 <= len(frame) <= self._longest():
            self.counts["oversize"] += 1
            self._count(r.MAC_RX_LENGTH_ERRORS, r.RXS_LENGTHS)
        elif self._is_control(frame):
            self.counts["control"] += 1
        elif self._match(frame[:6]) is None:
            self.counts["filtered"] += 1
        elif len(self.queue) >= r.QUEUE_FRAMES:
            self.counts["missed"] += 1
            self._rx_status |= r.RXS_OVERFLOW
            self._raise(0)
        else:
            self._count(r.MAC_RX_FRAMES, r.RXS_FRAMES)
            self._rx_status |= r.RXS_RECEIVED
            self.queue.append(frame)
            self._serve()

    def _longest(self) -> int:
        """Octets of a frame, without FCS."""
        return min((self._plain[r.MAC_MAX_FRAME] & 0x7FFF) - 4, r.LONGEST_FRAME)

    def _count(self, register: int, expired: int) -> None:
        """A counter of 16 bits; that it went round is a cause."""
        self._plain[register] = self._plain[register] + 1 & 0xFFFF
        if not self._plain[register]:
            self._rx_status |= expired
            self._raise(0)

    def _address(self, first: int) -> bytes:
        """The address in three registers, its last octets first."""
        plain = self._plain
        return (plain[first + 8] << 32 | plain[first + 4] << 16 | plain[first]).to_bytes(6, "big")

    def _match(self, to: bytes) -> int | None:
        """What the descriptor says about why the frame is taken; None: it is not."""
        config = self._plain[r.MAC_RX_CONFIG]
        if to[0] & 1:
            if to != BROADCAST and config & r.RXC_HASH:
                bits = ~zlib.crc32(to) >> 24 & 0xFF
                if self._plain[r.MAC_HASH + 4 * (bits >> 4)] >> 15 - (bits & 15) & 1:
                    return r.RXD_HASH_PASS
            return 0 if to == BROADCAST or config & (r.RXC_GROUPS | r.RXC_PROMISCUOUS) else None
        if to == self._address(r.MAC_ADDR):
            return 0
        if to == self._address(r.MAC_ALTERNATE):
            return r.RXD_ALTERNATE
        return 0 if config & r.RXC_PROMISCUOUS else None

    def _is_control(self, frame: bytes) -> bool:
        """A frame for the MAC itself (802.3 clause 31)? It is noted, and goes no further if that is not wanted."""
        if int.from_bytes(frame[12:14], "big") != self._plain[r.MAC_CONTROL_TYPE]:
            return False
        if frame[:6] not in (self._address(r.MAC_CONTROL_ADDR), self._address(r.MAC_ADDR)):
            return False
        config = self._plain[r.MAC_CONTROL_CONFIG]
        if config & r.CC_RX_PAUSE and frame[14:16] == r.PAUSE:
            self._control_status = r.CS_PAUSE_RECEIVED | int.from_bytes(frame[16:18], "big") << 16
            self._raise(0)
        return not config & r.CC_PASS

    # Receiving

    def _serve(self) -> None:
        """Put waiting frames into the ring while there are descriptors."""
        config = self._plain[r.RX_CONFIG]
        if not self.queue or not config & r.DMA_ENABLE or not self.is_master:
            return
        mask = r.ring(config) - 1
        kick = self._plain[r.RX_KICK] & mask
        done = self._rx_done & mask
        causes = 0
        try:
            while self.queue and done + 1 & mask != kick:
                self._fill(self.queue[0], done, config)
                self.queue.popleft()
                done = self._rx_done = done + 1 & mask
                causes = r.RX_DONE
        except DmaFault:
            self._bus_error()
            return
        self._raise(causes | (r.RX_NOBUF if self.queue else 0))

    def _fill(self, frame: bytes, index: int, config: int) -> None:
        at = self._ring_at(r.RX_RING_LO) + index * r.DESCRIPTOR.size
        flags, buffer = r.DESCRIPTOR.unpack(self._dma.read(at, r.DESCRIPTOR.size))
        octets = frame if len(frame) >= r.SHORTEST_FRAME else frame.ljust(r.SHORTEST_FRAME, b"\0")
        if not self._plain[r.MAC_RX_CONFIG] & r.RXC_STRIP_FCS:
            octets += zlib.crc32(octets).to_bytes(4, "little")
        report = self._match(frame[:6]) or 0
        room = flags >> 16 & 0x7FFF
        if len(octets) > room:
            self.mistakes += 1
            octets = octets[:room]
            report |= r.RXD_BAD
        report |= _complement(octets[config >> 13 & 0x7F :]) | len(octets) << 16
        report |= (~zlib.crc32(frame[:6]) >> 16 & 0xFFFF) << r.RXD_HASH_SHIFT
        self._dma.write(buffer & ~7 | config >> 10 & 7, octets)
        self._dma.write(at, report.to_bytes(8, "little"))
        self.counts["received"] += 1

    def _ring_at(self, low: int) -> int:
        return self._plain[low] | self._plain[low + 4] << 32

    # Sending

    def _transmit(self) -> None:
        """Send what is between completion and kick: `MOST_WORK` descriptors at once, and the rest after `PAUSE_NS`."""
        self._transmit_at = 0
        config = self._plain[r.TX_CONFIG]
        if not config & self._plain[r.MAC_TX_CONFIG] & r.DMA_ENABLE or not self.is_master:
            return
        size = r.ring(config)
        kick, done = self._plain[r.TX_KICK] & size - 1, self._tx_done & size - 1
        if done == kick:
            return
        base = self._ring_at(r.TX_RING_LO)
        causes, work = r.TX_DONE, r.MOST_WORK
        try:
            while done != kick and work > 0:
                count = min((kick if kick > done else size) - done, r.SLICE)
                octets = self._dma.read(base + done * r.DESCRIPTOR.size, count * r.DESCRIPTOR.size)
                for flags, buffer in r.DESCRIPTOR.iter_unpack(octets):
                    self._append(flags, buffer)
                    causes |= r.TX_INTME if flags & r.TXD_INTME else 0
                    done = self._tx_done = done + 1 & size - 1
                work -= count
        except DmaFault:
            self._bus_error()
            return
        if done == kick:
            causes |= r.TX_ALL
        else:
            self._transmit_at = self._timeline.now_ns + r.PAUSE_NS
        self._raise(causes)

    def _append(self, flags: int, buffer: int) -> None:
        """One descriptor. Beyond what a frame can have, it is as long as that, and not sent."""
        if flags & r.TXD_START:
            self.mistakes += bool(self._packet)
            self._packet = bytearray()
            self._flags = flags
        room = r.LONGEST_FRAME + 5 - len(self._packet)
        octets = min(flags & r.TXD_SIZE, room)
        if octets > 0:
            self._packet += self._dma.read(buffer, octets)
        if flags & r.TXD_END:
            packet, self._packet = self._packet, bytearray()
            self._finish(packet)

    def _finish(self, packet: bytearray) -> None:
        flags = self._flags
        self._flags = 0
        if (flags & r.TXD_NO_CRC) or self._plain[r.MAC_TX_CONFIG] & r.TXC_NO_FCS:
            del packet[-4:]
        if len(packet) > self._longest():
            self.mistakes += 1
            self._tx_status |= r.TXS_TOO_LONG
            return
        if len(packet) < 14:
            self.mistakes += 1
            return
        if flags & r.TXD_CHECKSUM:
            start, at = flags >> 15 & 0x3F, flags >> 21 & 0xFF
            if start < len(packet) and at + 2 <= len(packet):
                packet[at : at + 2] = checksum(bytes(packet[start:]))
            else:
                self.mistakes += 1
        self._tx_status |= r.TXS_SENT
        self._send(bytes(packet.ljust(r.SHORTEST_FRAME, b"\0")))

    def _send(self, frame: bytes) -> None:
        if self._plain[r.MAC_XIF_CONFIG] & r.XIF_LOOPBACK:
            if self._plain[r.MAC_RX_CONFIG] & r.MAC_ENABLE:
                self._take(frame)
        elif self._phy.link:
            self.counts["sent"] += 1
            self._out(frame)
        else:
            self.counts["lost"] += 1

    def _send_pause(self) -> None:
        """802.3 annex 31B, as MAC_SEND_PAUSE asks for it."""
        plain = self._plain
        if plain[r.MAC_TX_CONFIG] & r.MAC_ENABLE:
            frame = self._address(r.MAC_CONTROL_ADDR) + self._address(r.MAC_ADDR)
            frame += plain[r.MAC_CONTROL_TYPE].to_bytes(2, "big") + r.PAUSE + plain[r.MAC_SEND_PAUSE].to_bytes(2, "big")
            self._send(frame.ljust(r.SHORTEST_FRAME, b"\0"))

    def _bus_error(self) -> None:
        """An address where no memory is: both directions stop, and the driver resets the chip."""
        self.mistakes += 1
        self._plain[r.TX_CONFIG] &= ~r.DMA_ENABLE
        self._plain[r.RX_CONFIG] &= ~r.DMA_ENABLE
        self.queue.clear()
        self._packet = bytearray()
        self._errors |= r.ERROR_OTHER
        self.set_pci_status(MASTER_ABORT)
        self._raise(0)

    # Interrupts

    def _causes(self) -> int:
        """STATUS, without the completion: what is latched, and what the units' own registers say behind their masks."""
        plain = self._plain
        causes = self._latched
        if self._tx_status & ~plain[r.MAC_TX_MASK]:
            causes |= r.TX_MAC
        if self._rx_status & ~plain[r.MAC_RX_MASK]:
            causes |= r.RX_MAC
        if self._control_status & ~plain[r.MAC_CONTROL_MASK] & 7:
            causes |= r.MAC_CONTROL
        if self._mif_changed & ~plain[r.MIF_MASK]:
            causes |= r.MIF
        if self._errors & ~plain[r.ERROR_MASK]:
            causes |= r.BUS_ERROR
        return causes

    def _raise(self, causes: int) -> None:
        """Latch causes; drives the pin."""
        self._latched |= causes
        self.set_interrupt(bool(self._causes() & ~self._plain[r.INTMASK]))

    # Timers

    def next_deadline(self) -> int | None:
        """When the rest of what is to be sent is due."""
        return self._transmit_at or None

    def handle_timer(self, now_ns: int) -> None:
        """The rest of what is to be sent is due."""
        if self._transmit_at and now_ns >= self._transmit_at:
            self._transmit()
