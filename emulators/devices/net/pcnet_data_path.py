"""What moves frames in an Am79C970A: the walks over its rings, the address filter, its interrupts.

Specification: AMD 19436 rev. E, "Transmit Operation", "Receive Operation", "Descriptor Ring Access Mechanism".
Read first: `emulators.devices.net.pcnet` (theory, limits, threats) and `emulators.devices.net.pcnet_rings`.

`PcNet` derives from `DataPath` and adds the registers; this class knows CSRs by their numbers and bits only.
"""

import zlib
from collections import deque
from collections.abc import Callable

from emulators.device import Timeline
from emulators.devices.net.pcnet_registers import (
    BABBLE_OCTETS,
    BABL,
    BROADCAST,
    CERR,
    CLOCK_NS,
    CSR0_MASKABLE,
    CSR3_DXSUFLO,
    CSR4_APAD_XMT,
    CSR4_ASTRP_RCV,
    CSR4_DPOLL,
    CSR4_FLAGS,
    CSR4_MASKS,
    CSR4_MFCO,
    CSR4_TXSTRT,
    CSR4_UINT,
    CSR4_UINTCMD,
    CSR5_LTINTEN,
    CSR5_SINT,
    CSR5_SPND,
    CSR5_TOKINTD,
    IDON,
    IENA,
    INIT,
    LONGEST_FRAME,
    MERR,
    MISS,
    MODE_DLNKTST,
    MODE_DRCVBC,
    MODE_DRCVPA,
    MODE_DXMTFCS,
    MODE_LOOP,
    MODE_PROM,
    QUEUE_FRAMES,
    REGISTERS,
    RINT,
    RXON,
    SHORTEST_FRAME,
    SHORTEST_POLL_NS,
    SLICE,
    STOP,
    TINT,
    TXON,
)
from emulators.devices.net.pcnet_rings import (
    ENP,
    ERR,
    OWN,
    RMD_BAM,
    RMD_BUFF,
    RMD_CLEARED,
    RMD_LAFM,
    RMD_OFLO,
    RMD_PAM,
    STP,
    TMD_ADD_FCS,
    TMD_BUFF,
    TMD_CLEARED,
    TMD_LCAR,
    TMD_LTINT,
    TMD_UFLO,
    Descriptor,
    InitBlock,
    Style,
)
from emulators.devices.pci.config import PciFunction
from emulators.dma import Dma, DmaFault


class DataPath(PciFunction):
    """Everything behind the registers.

    Args:
        revision: of PCI.
        dma, out, timeline: as for `PcNet`.
    """

    timed = True

    def __init__(self, name: str, *, revision: int, dma: Dma, out: Callable[[bytes], None], timeline: Timeline) -> None:
        super().__init__(
            name, vendor=0x1022, device=0x2000, class_code=0x020000, revision=revision, pin=1
        )  # 19436, "PCI Configuration Registers"
        self._dma = dma
        self._out = out
        self._timeline = timeline
        self._csr: list[int] = [0] * REGISTERS
        self._bcr: list[int] = [0] * REGISTERS
        self._link = True
        self._rx_length = self._tx_length = 1
        self._rx_index = self._tx_index = 0
        self._demanded = False
        self._poll_at: int | None = None
        self.queue: deque[bytes] = deque()
        self.counts = {"sent": 0, "received": 0, "filtered": 0, "missed": 0, "off": 0, "oversize": 0}

    # The cable

    def receive(self, frame: bytes) -> None:
        """A frame from the cable, without FCS."""
        if self._csr[15] & MODE_LOOP or not (self._csr[0] & RXON and self._link):
            self.counts["off"] += 1
        elif len(frame) > LONGEST_FRAME or len(frame) < 14:
            self.counts["oversize"] += 1
        elif self._match(frame) is None:
            self.counts["filtered"] += 1
        elif len(self.queue) >= QUEUE_FRAMES:
            self._miss()
            self._update_interrupt()
        else:
            self.queue.append(frame)
            self._serve()

    def ready_frames(self) -> int:
        """How many frames the queue would take now."""
        return QUEUE_FRAMES - len(self.queue)

    # Interrupts

    def _interrupts(self) -> tuple[bool, bool]:
        """CSR0's INTR, and whether INTA# is asserted."""
        csr = self._csr
        flags = (
            csr[0] & ~csr[3] & CSR0_MASKABLE
            or csr[4] >> 1 & ~csr[4] & CSR4_MASKS
            or csr[4] & CSR4_UINT
            or csr[5] >> 1 & csr[5] & 0x0048
        )
        system = csr[5] >> 1 & csr[5] & 0x0500  # SINT, SLPINT: whatever IENA says
        return bool(flags or system), bool(system or (flags and csr[0] & IENA))

    def _update_interrupt(self) -> None:
        self.set_interrupt(self._interrupts()[1])

    # Start and stop

    def _stop(self) -> None:
        self._csr[0] = STOP
        self._csr[4] &= ~(CSR4_FLAGS | CSR4_UINTCMD)
        self._csr[5] &= ~(CSR5_SPND | 0x0010)
        self.queue.clear()
        self._poll_at = None

    def _style(self) -> Style:
        style = self._bcr[20] & 0xFF
        return Style(style, 0 if style else (self._csr[2] & 0xFF00) << 16)

    def _initialise(self) -> bool:
        if not self._is_master():
            return False
        style = self._style()
        try:
            octets = self._dma.read(self._csr[1] | self._csr[2] << 16, InitBlock.size(style))
        except DmaFault:
            self._bus_error()
            return False
        block = InitBlock.parse(octets, style)
        csr = self._csr
        csr[6] = (block.tx_length.bit_length() - 1) << 12 | (block.rx_length.bit_length() - 1) << 8
        csr[8:12] = [int.from_bytes(block.filter[i : i + 2], "little") for i in range(0, 8, 2)]
        csr[12:15] = [int.from_bytes(block.address[i : i + 2], "little") for i in range(0, 6, 2)]
        csr[15] = block.mode
        csr[24:26] = block.rx_ring & 0xFFFF, block.rx_ring >> 16
        csr[30:32] = block.tx_ring & 0xFFFF, block.tx_ring >> 16
        self._rx_length, self._tx_length = block.rx_length, block.tx_length
        self._rx_index = self._tx_index = 0
        csr[0] = csr[0] & ~STOP | INIT | IDON
        return True

    def _is_master(self) -> bool:
        if self.is_master:
            return True
        self._csr[0] |= MERR
        return False

    def _bus_error(self) -> None:
        """A transfer met no memory: RMABORT, SINT, and the chip stops."""
        self.mistakes += 1
        self.set_pci_status(0x2000)
        self._stop()
        self._csr[5] |= CSR5_SINT

    # Transmitting

    def _tx_at(self) -> int:
        return (self._csr[30] | self._csr[31] << 16) + self._tx_index * self._style().size & 0xFFFFFFFF

    def _transmit(self) -> None:
        """Send what the ring holds, at most one round of it."""
        if self._csr[0] & (TXON | STOP) != TXON or self._csr[5] & CSR5_SPND or not self._is_master():
            return
        try:
            self._walk_transmit_ring()
        except DmaFault:
            self._bus_error()

    def _walk_transmit_ring(self) -> None:
        style = self._style()
        size = style.size
        left = self._tx_length
        chain: list[tuple[int, Descriptor]] = []
        while left:
            at = self._tx_at()
            count = min(left, self._tx_length - self._tx_index, SLICE)
            octets = self._dma.read(at, count * size)
            for i in range(count):
                descriptor = style.parse(octets, i * size)
                if not descriptor.status & OWN:
                    self._underflow(style, chain)
                    return
                chain.append((at + i * size, descriptor))
                self._tx_index = (self._tx_index + 1) % self._tx_length
                if not chain[0][1].status & STP:
                    self.mistakes += 1
                    self._release(style, chain, 0, 0)
                    chain = []
                elif descriptor.status & ENP:
                    self._send(style, chain)
                    chain = []
            left -= count
        self._underflow(style, chain)

    def _send(self, style: Style, chain: list[tuple[int, Descriptor]]) -> None:
        csr = self._csr
        csr[4] |= CSR4_TXSTRT
        loop = csr[15] & MODE_LOOP
        if not (self._link or loop or csr[15] & MODE_DLNKTST):
            csr[0] |= CERR
            self._release(style, chain, ERR, TMD_LCAR)
            return
        if len(chain) == 1:
            frame = self._dma.read(chain[0][1].address, chain[0][1].octets)
        elif sum(descriptor.octets for _, descriptor in chain) > LONGEST_FRAME + 4:
            frame = bytes(LONGEST_FRAME + 5)
        else:
            frame = b"".join(self._dma.read(descriptor.address, descriptor.octets) for _, descriptor in chain)
        first = chain[0][1].status
        if csr[15] & MODE_DXMTFCS and not first & TMD_ADD_FCS:
            frame = frame[:-4]
        elif csr[4] & CSR4_APAD_XMT and len(frame) < SHORTEST_FRAME:
            frame = frame.ljust(SHORTEST_FRAME, b"\0")
        if len(frame) >= BABBLE_OCTETS:
            csr[0] |= BABL
        self._release(style, chain, 0, 0)
        if len(frame) > LONGEST_FRAME or len(frame) < 14:
            self.mistakes += 1
        elif loop:
            self._loop_back(frame)
        else:
            self.counts["sent"] += 1
            self._out(frame)

    def _release(self, style: Style, chain: list[tuple[int, Descriptor]], error: int, report: int) -> None:
        """Give descriptors back; the error, if there is one, is told in the last."""
        for at, descriptor in chain:
            last = at == chain[-1][0]
            status = descriptor.status & ~TMD_CLEARED | (error if last else 0)
            offset, octets = style.answer(descriptor.octets, status, report if last else 0)
            self._dma.write(at + offset, octets)
        csr5 = self._csr[5]
        if not csr5 & CSR5_TOKINTD or error or (csr5 & CSR5_LTINTEN and chain[-1][1].status & TMD_LTINT):
            self._csr[0] |= TINT

    def _underflow(self, style: Style, chain: list[tuple[int, Descriptor]]) -> None:
        """A frame without its end: the chip would have run out of octets in the middle of it."""
        if chain:
            self.mistakes += 1
            self._release(style, chain, ERR, TMD_BUFF | TMD_UFLO)
            if not self._csr[3] & CSR3_DXSUFLO:
                self._csr[0] &= ~TXON

    def _loop_back(self, frame: bytes) -> None:
        if self._csr[0] & RXON and self._match(frame) is not None and not self._deliver(frame):
            self._miss()

    # Receiving

    def _rx_at(self) -> int:
        return (self._csr[24] | self._csr[25] << 16) + self._rx_index * self._style().size & 0xFFFFFFFF

    def _match(self, frame: bytes) -> int | None:
        """Which of PAM, LAFM, BAM the frame has; 0 in promiscuous mode; None: not for us."""
        csr = self._csr
        mode = csr[15]
        if mode & MODE_PROM:
            return 0
        to = frame[:6]
        if to[0] & 1:
            if to == BROADCAST and not mode & MODE_DRCVBC:
                return RMD_BAM
            bit = (zlib.crc32(to) ^ 0xFFFFFFFF) >> 26
            return RMD_LAFM if csr[8 + (bit >> 4)] >> (bit & 15) & 1 else None
        padr = csr[12] | csr[13] << 16 | csr[14] << 32
        return RMD_PAM if not mode & MODE_DRCVPA and int.from_bytes(to, "little") == padr else None

    def _miss(self) -> None:
        self.counts["missed"] += 1
        self._csr[0] |= MISS
        self._csr[112] = self._csr[112] + 1 & 0xFFFF
        if not self._csr[112]:
            self._csr[4] |= CSR4_MFCO

    def _serve(self) -> None:
        """Put waiting frames into the ring, and see whether polling is needed."""
        csr = self._csr
        while self.queue and csr[0] & RXON and not csr[5] & CSR5_SPND:
            if not self._deliver(self.queue[0]):
                break
            if self.queue:
                self.queue.popleft()
        self._update_interrupt()
        running = csr[0] & (TXON | RXON) and not csr[5] & CSR5_SPND
        if running and (self.queue or (csr[0] & TXON and not csr[4] & CSR4_DPOLL and not self._demanded)):
            if self._poll_at is None:
                interval = (0x10000 - csr[47]) * CLOCK_NS
                self._poll_at = self._timeline.now_ns + max(interval, SHORTEST_POLL_NS)
        else:
            self._poll_at = None

    def _deliver(self, frame: bytes) -> bool:
        """Put one frame into the ring. False: there is no descriptor for it."""
        if not self._is_master():
            return False
        try:
            return self._fill_receive_ring(frame)
        except DmaFault:
            self._bus_error()
            return True

    def _fill_receive_ring(self, frame: bytes) -> bool:
        style = self._style()
        size = style.size
        descriptor = style.parse(self._dma.read(self._rx_at(), size))
        if not descriptor.status & OWN:
            return False
        match = self._match(frame) or 0
        length = int.from_bytes(frame[12:14], "big")
        if self._csr[4] & CSR4_ASTRP_RCV and length < 46:
            octets = frame[: 14 + length]
        else:
            padded = frame if len(frame) >= SHORTEST_FRAME else frame.ljust(SHORTEST_FRAME, b"\0")
            octets = padded + zlib.crc32(padded).to_bytes(4, "little")
        total, done, begin = len(octets), 0, STP
        for _ in range(self._rx_length):
            at = self._rx_at()
            part = octets[done : done + descriptor.octets]
            self._dma.write(descriptor.address, part)
            done += len(part)
            status = descriptor.status & ~(OWN | RMD_CLEARED) | begin
            report = 0
            following: Descriptor | None = None
            self._rx_index = (self._rx_index + 1) % self._rx_length
            if done == total:
                status |= ENP | match
                report = total
            else:
                following = style.parse(self._dma.read(self._rx_at(), size))
                if not following.status & OWN or self._rx_length == 1:
                    following = None
                    status |= ERR | RMD_BUFF | RMD_OFLO
            offset, answer = style.answer(descriptor.octets, status, report)
            self._dma.write(at + offset, answer)
            if following is None:
                break
            descriptor, begin = following, 0
        self.counts["received"] += 1
        self._csr[0] |= RINT
        return True

    # Time

    def next_deadline(self) -> int | None:
        """When the rings are polled next."""
        return self._poll_at

    def handle_timer(self, now_ns: int) -> None:
        """Poll the rings."""
        self._poll_at = None
        if not self._csr[4] & CSR4_DPOLL:
            self._transmit()
        self._serve()
