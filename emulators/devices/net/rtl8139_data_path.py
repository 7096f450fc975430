"""What moves frames in an RTL8139C: the receive buffer, the four transmitters, the address filter, its interrupt.

Specification: Realtek RTL8139C(L) datasheet, §5.1–5.8 and §7 (functional description).
Read first: `emulators.devices.net.rtl8139` (theory, limits, threats).

`Rtl8139` derives from `DataPath` and adds the registers.
"""

import zlib
from collections import deque
from collections.abc import Callable

from emulators.device import Timeline
from emulators.devices.net.address_filter import BROADCAST, upper_hash
from emulators.devices.net.mii import Phy
from emulators.devices.net.rtl8139_registers import (
    CR_RE,
    CR_TE,
    CSCR_LINK_CHANGED,
    ISR_LINK_CHANGE,
    ISR_ROK,
    ISR_RXOVW,
    ISR_SERR,
    ISR_TER,
    ISR_TOK,
    LONGEST_RECEIVED,
    LONGEST_SENT,
    QUEUE_FRAMES,
    RCR_AAP,
    RCR_AB,
    RCR_AM,
    RCR_APM,
    RCR_RBLEN,
    RCR_WRAP,
    REMIND_NS,
    RX_BAR,
    RX_MAR,
    RX_PAM,
    RX_ROK,
    SHORTEST_FRAME,
    TCR_CRC,
    TCR_LOOPBACK,
    TRANSMITTERS,
    TSD_CRS,
    TSD_KEPT,
    TSD_OWN,
    TSD_SIZE,
    TSD_TABT,
    TSD_TOK,
)
from emulators.devices.pci.config import PciFunction
from emulators.dma import Dma, DmaFault

MASTER_ABORT = 0x2000  # PCI 3.0 §6.2.3: received master abort


class DataPath(PciFunction):
    """Everything behind the registers.

    Args:
        dma, out, timeline: as for `Rtl8139`.
    """

    timed = True

    def __init__(self, name: str, *, dma: Dma, out: Callable[[bytes], None], timeline: Timeline) -> None:
        super().__init__(
            name,
            vendor=0x10EC,
            device=0x8139,
            class_code=0x020000,
            revision=0x10,
            subsystem_vendor=0x10EC,
            subsystem=0x8139,
            pin=1,
        )
        self._dma = dma
        self._out = out
        self._timeline = timeline
        self._phy = Phy()
        self._link = True
        self._idr = bytearray(6)
        self._mar = bytearray(8)
        self._tsd = [TSD_OWN] * TRANSMITTERS
        self._tsad = [0] * TRANSMITTERS
        self._next = 0
        self._cr = self._isr = self._imr = self._tcr = self._rcr = 0
        self._rbstart = self._read_at = self._write_at = self._missed = self._cscr = 0
        self._remind_at: int | None = None
        self.queue: deque[bytes] = deque()
        self.counts = {"sent": 0, "received": 0, "filtered": 0, "missed": 0, "off": 0, "oversize": 0, "lost": 0}

    # The cable

    def set_link(self, up: bool) -> None:
        """The cable is put in or pulled out."""
        self._phy.set_link(up)
        if up != self._link:
            self._link = up
            self._cscr |= CSCR_LINK_CHANGED
            self._raise(ISR_LINK_CHANGE)

    def receive(self, frame: bytes) -> None:
        """A frame from the cable, without FCS."""
        if self._tcr & TCR_LOOPBACK == TCR_LOOPBACK or not (self._cr & CR_RE and self._link):
            self.counts["off"] += 1
        else:
            self._take(frame)

    def ready_frames(self) -> int:
        """How many frames the queue would take now."""
        return QUEUE_FRAMES - len(self.queue)

    def _take(self, frame: bytes) -> None:
        if not 14 <= len(frame) <= LONGEST_RECEIVED:
            self.counts["oversize"] += 1
        elif not self._match(frame[:6]):
            self.counts["filtered"] += 1
        elif len(self.queue) >= QUEUE_FRAMES:
            self.counts["missed"] += 1
            self._missed = self._missed + 1 & 0xFFFFFF
            self._raise(ISR_RXOVW)
        else:
            self.queue.append(frame)
            self._serve()

    def _match(self, to: bytes) -> int:
        """RX_ROK with the bits that say why the frame is taken; 0: it is not."""
        rcr = self._rcr
        if to == BROADCAST:
            return RX_ROK | RX_BAR if rcr & RCR_AB else 0
        if to[0] & 1:
            bit = upper_hash(to)
            return RX_ROK | RX_MAR if rcr & RCR_AM and self._mar[bit >> 3] >> (bit & 7) & 1 else 0
        if to == self._idr:
            return RX_ROK | RX_PAM if rcr & (RCR_APM | RCR_AAP) else 0
        return RX_ROK if rcr & RCR_AAP else 0

    # Receiving

    @property
    def _length(self) -> int:
        return 8192 << ((self._rcr & RCR_RBLEN) >> 11)

    def is_empty(self) -> bool:
        """CR.BUFE."""
        return self._read_at % self._length == self._write_at % self._length

    def _serve(self) -> None:
        """Put waiting frames into the buffer while there is room."""
        if not self._cr & CR_RE or not self.queue or not self.is_master:
            return
        try:
            filled = False
            while self.queue and self._fill(self.queue[0]):
                self.queue.popleft()
                filled = True
        except DmaFault:
            self._bus_error()
        else:
            if filled:
                self._raise(ISR_ROK)

    def _fill(self, frame: bytes) -> bool:
        """False: not enough room."""
        length = self._length
        octets = frame if len(frame) >= SHORTEST_FRAME else frame.ljust(SHORTEST_FRAME, b"\0")
        size = len(octets) + 4
        total = 4 + size + 3 & ~3
        at = self._write_at % length
        if total >= ((self._read_at - at) % length or length):
            return False
        octets = (
            (self._match(frame[:6]) or RX_ROK).to_bytes(2, "little")
            + size.to_bytes(2, "little")
            + octets
            + zlib.crc32(octets).to_bytes(4, "little")
        )
        first = length - at
        if len(octets) <= first or (self._rcr & RCR_WRAP and length < 65536):
            self._dma.write(self._rbstart + at, octets)
        else:
            self._dma.write(self._rbstart + at, octets[:first])
            self._dma.write(self._rbstart, octets[first:])
        self._write_at = (at + total) % length
        self.counts["received"] += 1
        return True

    # Sending

    def _transmit(self) -> None:
        """Send what the transmitters hold, in their order; one round at most."""
        if not self._cr & CR_TE or not self.is_master:
            return
        try:
            for _ in range(TRANSMITTERS):
                if self._tsd[self._next] & TSD_OWN:
                    break
                self._send(self._next)
                self._next = (self._next + 1) % TRANSMITTERS
        except DmaFault:
            self._bus_error()

    def _send(self, number: int) -> None:
        status = self._tsd[number] & TSD_KEPT | TSD_OWN
        size = status & TSD_SIZE
        if size > LONGEST_SENT:
            self.mistakes += 1
            self._tsd[number] = status | TSD_TABT
            self._raise(ISR_TER)
            return
        frame = self._dma.read(self._tsad[number], size)
        if self._tcr & TCR_CRC:
            frame = frame[:-4]
        loopback = self._tcr & TCR_LOOPBACK == TCR_LOOPBACK
        self._tsd[number] = status | TSD_TOK | (0 if self._link or loopback else TSD_CRS)
        if len(frame) < 14:
            self.mistakes += 1
        elif loopback:
            if self._cr & CR_RE:
                self._take(frame)
        elif not self._link:
            self.counts["lost"] += 1
        else:
            self.counts["sent"] += 1
            self._out(frame)
        self._raise(ISR_TOK)

    def _bus_error(self) -> None:
        """§5.8: a system error stops both directions; the driver resets the chip."""
        self.mistakes += 1
        self._cr &= ~(CR_RE | CR_TE)
        self.queue.clear()
        self.set_pci_status(MASTER_ABORT)
        self._raise(ISR_SERR)

    def _raise(self, bits: int) -> None:
        """Causes; drives the pin. Unread frames whose cause the driver has cleared bring it again after `REMIND_NS`."""
        self._isr |= bits
        self.set_interrupt(bool(self._isr & self._imr))
        if self._imr & ~self._isr & ISR_ROK and self._cr & CR_RE and not self.is_empty():
            if self._remind_at is None:
                self._remind_at = self._timeline.now_ns + REMIND_NS
        else:
            self._remind_at = None
