"""What moves octets in a DP8390D: the receive ring, the transmitter, the address filter, the remote DMA.

Datasheet: National Semiconductor DP8390D (July 1995), §7 (packet reception), §8 (packet transmission), §9 (remote DMA).
Read first: `emulators.devices.net.dp8390` (theory, limits, threats).

`Dp8390` derives from `DataPath` and adds the registers.
"""

import zlib
from collections import deque
from collections.abc import Callable

from emulators.device import Irq, Timeline
from emulators.devices.net.address_filter import BROADCAST, upper_hash
from emulators.devices.net.dp8390_registers import (
    COUNTER_STOPS,
    CR_ABORT,
    CR_RD,
    CR_READ,
    CR_SEND_PACKET,
    CR_STA,
    CR_STP,
    CR_WRITE,
    DCR_WTS,
    HEADER,
    ISR_CNT,
    ISR_INTERRUPTS,
    ISR_OVW,
    ISR_PRX,
    ISR_PTX,
    ISR_RDC,
    ISR_RST,
    LONGEST_FRAME,
    PAGE,
    QUEUE_FRAMES,
    RCR_AB,
    RCR_AM,
    RCR_MON,
    RCR_PRO,
    REMIND_NS,
    RSR_DIS,
    RSR_MPA,
    RSR_PHY,
    RSR_PRX,
    SHORTEST_FRAME,
    TCR_CRC,
    TCR_LOOPBACK,
    TSR_CDH,
    TSR_CRS,
    TSR_PTX,
)
from emulators.devices.net.packet_memory import PacketMemory


class DataPath:
    """Everything behind the registers.

    Args:
        memory, irq, out, timeline: as for `Dp8390`.
    """

    def __init__(self, *, memory: PacketMemory, irq: Irq, out: Callable[[bytes], None], timeline: Timeline) -> None:
        self.memory = memory
        self.mistakes = 0
        self.counts = {"sent": 0, "received": 0, "filtered": 0, "missed": 0, "off": 0, "oversize": 0, "lost": 0}
        self.queue: deque[bytes] = deque()
        self._irq = irq
        self._out = out
        self._timeline = timeline
        self._remind_at: int | None = None
        self._link = True
        self._par = bytearray(6)
        self._mar = bytearray(8)
        self._tally = [0, 0, 0]
        self._fifo: deque[int] = deque()
        self.pstart = self.pstop = self.bnry = self.curr = self.tpsr = self.tsr = 0
        self.imr = self.rsr = self.rcr = self.tcr = self.dcr = 0
        self.tbcr = self.rsar = self.rbcr = self.clda = 0
        self._full = False
        self.isr = ISR_RST
        self.cr = CR_STP | CR_ABORT

    # The cable

    def set_link(self, up: bool) -> None:
        """The cable is put in or pulled out."""
        self._link = up

    def receive(self, frame: bytes) -> None:
        """A frame from the cable, without FCS."""
        if self.cr & CR_STP or not self.cr & CR_STA or self.tcr & TCR_LOOPBACK or not self._link:
            self.counts["off"] += 1
        elif not 14 <= len(frame) <= LONGEST_FRAME:
            self.counts["oversize"] += 1
        elif not self._passes(frame[:6]):
            self.counts["filtered"] += 1
        elif self.rcr & RCR_MON:
            self.rsr = RSR_MPA | RSR_DIS
            self._count(2)
        elif len(self.queue) >= QUEUE_FRAMES:
            self._overrun()
        else:
            self.queue.append(frame)
            self._serve()

    def ready_frames(self) -> int:
        """How many frames the queue would take now."""
        return QUEUE_FRAMES - len(self.queue)

    def _passes(self, to: bytes) -> bool:
        rcr = self.rcr
        if not to[0] & 1:
            return bool(rcr & RCR_PRO) or to == self._par
        if to == BROADCAST:
            return bool(rcr & RCR_AB)
        if not rcr & RCR_AM:
            return False
        bit = upper_hash(to)
        return bool(self._mar[bit >> 3] >> (bit & 7) & 1)

    def _overrun(self) -> None:
        self.rsr = RSR_MPA
        self.isr |= ISR_OVW
        self._count(2)

    def _count(self, counter: int) -> None:
        self.counts["missed"] += 1
        self._tally[counter] = min(self._tally[counter] + 1, COUNTER_STOPS)
        if self._tally[counter] & 0x80:
            self.isr |= ISR_CNT
        self._interrupt()

    def _serve(self) -> None:
        """Put waiting frames into the ring while there are pages."""
        if self.cr & CR_STA and not self.tcr & TCR_LOOPBACK:
            while self.queue and not self._full and self._fill(self.queue[0]):
                self.queue.popleft()

    def _fill(self, frame: bytes) -> bool:
        """False: not enough pages. A walk over the pages of one frame, whatever the ring registers say."""
        octets = frame if len(frame) >= SHORTEST_FRAME else frame.ljust(SHORTEST_FRAME, b"\0")
        octets += zlib.crc32(octets).to_bytes(4, "little")
        pages = []
        page, boundary = self.curr, self._boundary()
        for number in range(-(-(HEADER + len(octets)) // PAGE)):
            if number and page == boundary:
                return False
            pages.append(page)
            page = page + 1 & 0xFF
            if page == self.pstop:
                page = self.pstart
        self.rsr = RSR_PRX | (RSR_PHY if frame[0] & 1 else 0)
        octets = bytes((self.rsr, page)) + len(octets).to_bytes(2, "little") + octets
        lost = 0
        for number, place in enumerate(pages):
            lost += self.memory.write(place * PAGE, octets[number * PAGE : (number + 1) * PAGE])
        self.mistakes += bool(lost)
        self.curr = page
        self.clda = page * PAGE
        self._full = page == boundary
        self.counts["received"] += 1
        self.isr |= ISR_PRX
        self._interrupt()
        return True

    def _boundary(self) -> int:
        """BNRY as a page of the ring: Linux writes PSTART - 1 when it means the ring's last page."""
        length = self.pstop - self.pstart
        return self.pstart + (self.bnry - self.pstart) % length if length > 0 else self.bnry

    def _free_up_to(self, page: int) -> None:
        """BNRY moves."""
        self.bnry = page
        self._full = False
        self._serve()
        self._interrupt()

    def _transmit(self) -> None:
        """TXP."""
        frame = self.memory.read(self.tpsr * PAGE, min(self.tbcr, LONGEST_FRAME + 5))
        loopback = self.tcr & TCR_LOOPBACK
        self.tsr = TSR_PTX
        if loopback:
            self._loop_back(frame)
        else:
            if self.tcr & TCR_CRC:
                frame = frame[:-4]
            if not 14 <= len(frame) <= LONGEST_FRAME:
                self.mistakes += 1
            elif not self._link:
                self.counts["lost"] += 1
                self.tsr = TSR_CRS | TSR_CDH
            else:
                self.counts["sent"] += 1
                self._out(frame)
        self.isr |= ISR_PTX

    def _loop_back(self, frame: bytes) -> None:
        """§11, "Reading the FIFO after loopback": the length, the last octet, the FCS. Nothing goes into the ring."""
        length = len(frame) + (0 if self.tcr & TCR_CRC else 4)
        low, high = length & 0xFF, length >> 8
        last = frame[-5:] if self.tcr & TCR_CRC else frame[-1:] + zlib.crc32(frame).to_bytes(4, "little")
        self._fifo = deque(bytes((low, high, high)) + last.rjust(5, b"\0"))
        self.rsr = RSR_PRX if len(frame) >= 6 and self._passes(frame[:6]) else 0

    def _interrupt(self) -> None:
        """Drive the pin. Unread frames whose interrupt the driver has cleared bring it again after `REMIND_NS`."""
        self._irq(bool(self.isr & self.imr & ISR_INTERRUPTS))
        if self.imr & ~self.isr & ISR_PRX and self.cr & CR_STA and self._has_unread():
            if self._remind_at is None:
                self._remind_at = self._timeline.now_ns + REMIND_NS
        else:
            self._remind_at = None

    def _has_unread(self) -> bool:
        """Drivers keep BNRY at the next page to read, or at the one before it."""
        boundary = self._boundary()
        after = boundary + 1 & 0xFF
        return self._full or self.curr not in (boundary, self.pstart if after == self.pstop else after)

    # Remote DMA

    def read_data(self, size: int) -> int:
        """One access of 1, 2 or 4 octets to the data port."""
        at, end = self.rsar, self.rsar + size
        if size > 1 and self.cr & CR_RD == CR_READ and size < self.rbcr and end < self.pstop * PAGE:
            self.rsar = end  # the usual case: in the middle of a transfer
            self.rbcr -= size
            return int.from_bytes(self.memory.space[at:end], "little")
        return int.from_bytes(self.read_string(size, 1), "little")

    def write_data(self, size: int, value: int) -> None:
        """One access of 1, 2 or 4 octets to the data port."""
        self.write_string(size, value.to_bytes(size, "little"))

    def read_string(self, size: int, count: int) -> bytes:
        """`count` accesses of `size` octets to the data port; ones once RBCR is used up."""
        step = 2 if size == 1 and self.dcr & DCR_WTS else size
        wanted = step * count
        direction = self.cr & CR_RD
        parts, left = [], min(wanted, self.rbcr) if direction in (CR_READ, CR_SEND_PACKET) else 0
        done = left
        while left:  # at most one round: the wrap is at PSTOP, and RSAR only grows until there or to 64 KiB
            part = min(left, self._straight())
            parts.append(self.memory.read(self.rsar, part))
            self._advance(part)
            left -= part
        octets = b"".join(parts)
        if done < wanted:
            self.mistakes += 1
            octets = octets.ljust(wanted, b"\xff")
        return octets[::2] if step != size else octets

    def write_string(self, size: int, data: bytes) -> None:
        """Accesses of `size` octets to the data port, one after the other."""
        if size == 1 and self.dcr & DCR_WTS:
            data = bytes(octet for pair in zip(data, bytes(len(data)), strict=True) for octet in pair)
        left = min(len(data), self.rbcr) if self.cr & CR_RD == CR_WRITE else 0
        if left < len(data):
            self.mistakes += 1
        at = 0
        while left:
            part = min(left, self._straight())
            self.mistakes += bool(self.memory.write(self.rsar, data[at : at + part]))
            self._advance(part)
            at += part
            left -= part

    def _straight(self) -> int:
        """Octets until the remote DMA's address jumps."""
        stop = self.pstop * PAGE
        return (stop if self.rsar < stop else 0x10000) - self.rsar

    def _advance(self, octets: int) -> None:
        self.rsar = self.rsar + octets & 0xFFFF
        if self.rsar == self.pstop * PAGE:
            self.rsar = self.pstart * PAGE
            if self.pstart >= self.pstop:  # no ring: run on
                self.rsar = self.pstop * PAGE
        self.rbcr -= octets
        if not self.rbcr:
            if self.cr & CR_RD == CR_SEND_PACKET:
                self._free_up_to(self.memory.space[self.bnry * PAGE + 1])
            self.isr |= ISR_RDC
            self._interrupt()
