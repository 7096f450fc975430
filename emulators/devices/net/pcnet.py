"""AMD Am79C970A PCnet-PCI II Ethernet controller; also the Am79C973 (PCnet-FAST III), which has a PHY behind MII.

Datasheets: AMD 19436 rev. E (Am79C970A), AMD 21510 rev. E (Am79C973). Boards: malta; fit for the PC and the PowerMac.
Read first: `emulators.devices.net.pcnet_rings` (what it keeps in memory).

I/O and memory base registers lead to the same 32 octets. WIO is the mode after reset; a write of 32 bits to 0x10
changes to DWIO, until RST#.

| WIO | DWIO | register |
|---|---|---|
| 0x00–0x0F | 0x00–0x0F | APROM: address, checksum, "WW"; any size |
| 0x10 | 0x10 | RDP: the CSR that RAP names |
| 0x12 | 0x14 | RAP |
| 0x14 | 0x18 | Reset: a read resets |
| 0x16 | 0x1C | BDP: the BCR that RAP names |

CSRs emulated: 0, 1/16, 2/17, 3 (not BSWP, LAPPEN, DXMT2PD, EMBA), 4 (APAD_XMT, ASTRP_RCV, DPOLL, user interrupt,
masks), 5 (SPND, TOKINTD, LTINTEN, SINT), 6, 8–11 (LADRF), 12–14 (PADR), 15 (PROM, DRCVBC, DRCVPA, DLNKTST, DXMTFCS,
LOOP, DTX, DRX), 24/25, 28/29, 30/31, 34/35 (rings), 47 (POLLINT), 58, 72, 74, 76, 78 (ring counters and lengths), 88
and 89 (part), 112 (missed frames). Others read as their reset value or as written. BCRs emulated: 2, 4–7 (link), 9, 18,
20 (software styles 0, 2, 3), 21, 22; Am79C973: 25–27 (kept, without effect), 32–34.

Not emulated: EEPROM (BCR19 shows none), magic packets, sleep, GPSI, collisions, software style 1 (ILACC).

Theory: a write of TDMD sends what the transmit ring holds, at once. A driver that never demands is served by polling
(CSR47) until its first demand: an idle card costs nothing. Frames from the cable pass the filter and go into the
ring; when the ring is full they wait in `queue`, which is looked at whenever the driver writes CSR0, and by polling.
What finds the queue full is missed (MISS, CSR112). An FCS is added to received frames, and removed from sent ones.

| threat | stopped by |
|---|---|
| descriptors chained without an end (CVE-2015-6815 and its kin) | a walk is at most one round of the ring |
| buffers whose sum overruns the frame (CVE-2015-3209, CVE-2015-7504) | `LONGEST_FRAME`; what is longer is not sent |
| descriptors that point at registers (CVE-2021-20255) | DMA reaches memory only; else SINT, RMABORT and stop |
| loopback that feeds itself (CVE-2021-3416) | receiving never transmits |
| a polling interval of one clock | `SHORTEST_POLL_NS` |
| floods from the cable | `QUEUE_FRAMES`; the rest is missed and counted |
"""

import zlib
from collections import deque
from collections.abc import Callable

from emulators.device import State, Timeline
from emulators.devices.net.mii import Phy
from emulators.devices.net.pcnet_registers import (
    ANY_ERR,
    BABBLE_OCTETS,
    BABL,
    BCR4_LNKSTE,
    BCR18_DWIO,
    BCR_LEDOUT,
    BCR_RESET,
    BCR_WRITABLE,
    BCR_WRITABLE_MII,
    BROADCAST,
    CERR,
    CLOCK_NS,
    CSR0_ERRORS,
    CSR0_FLAGS,
    CSR0_MASKABLE,
    CSR3_DXSUFLO,
    CSR3_WRITABLE,
    CSR4_APAD_XMT,
    CSR4_ASTRP_RCV,
    CSR4_DPOLL,
    CSR4_FLAGS,
    CSR4_MASKS,
    CSR4_MFCO,
    CSR4_TXSTRT,
    CSR4_UINT,
    CSR4_UINTCMD,
    CSR5_FLAGS,
    CSR5_LTINTEN,
    CSR5_SINT,
    CSR5_SPND,
    CSR5_TOKINTD,
    CSR_RESET,
    CSR_STOPPED,
    IDON,
    IENA,
    INIT,
    INTR,
    LONGEST_FRAME,
    MERR,
    MISS,
    MODE_DLNKTST,
    MODE_DRCVBC,
    MODE_DRCVPA,
    MODE_DRX,
    MODE_DTX,
    MODE_DXMTFCS,
    MODE_LOOP,
    MODE_PROM,
    MODELS,
    PHY_ADDRESS,
    QUEUE_FRAMES,
    RINT,
    RXON,
    SHORTEST_FRAME,
    SHORTEST_POLL_NS,
    SLICE,
    SOFTWARE_STYLES,
    STOP,
    STRT,
    TDMD,
    TINT,
    TXON,
)
from emulators.devices.net.pcnet_rings import (
    ENP,
    ERR,
    LONGEST_RING,
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
from emulators.devices.pci.config import MAX_LAT, MIN_GNT, STATUS, STATUS_WRITE_1_CLEARS, PciFunction
from emulators.dma import Dma, DmaFault
from emulators.snapshot import SnapshotError, take, take_int, take_version


class PcNet(PciFunction):
    """One card.

    Args:
        mac: its address, 6 octets.
        dma: to memory.
        out: takes the frames that are sent, without FCS.
        model: a key of `MODELS`.
    """

    timed = True

    def __init__(
        self,
        name: str,
        *,
        mac: bytes,
        dma: Dma,
        out: Callable[[bytes], None],
        timeline: Timeline,
        model: str = "Am79C970A",
    ) -> None:
        self._model = MODELS[model]
        super().__init__(
            name, vendor=0x1022, device=0x2000, class_code=0x020000, revision=self._model.revision, pin=1
        )  # 19436, "PCI Configuration Registers"
        self.set_config(STATUS, 2, 0x0280, write_1_clears=STATUS_WRITE_1_CLEARS)  # fast back-to-back, medium DEVSEL
        self.set_config(MIN_GNT, 1, 0x06)
        self.set_config(MAX_LAT, 1, 0xFF)
        self._csr: list[int] = [0] * 128
        self._bcr: list[int] = []
        self._rap = 0
        self._dwio = False
        self._rx_length = self._tx_length = 1
        self._rx_index = self._tx_index = 0
        self._demanded = False
        self._poll_at: int | None = None
        registers = _Registers(self)
        self.add_bar(0, 32, registers, io=True)
        self.add_bar(1, 32, registers)
        self._dma = dma
        self._out = out
        self._timeline = timeline
        self._aprom = _aprom(mac)
        self._link = True
        self._phy = Phy()
        self.queue: deque[bytes] = deque()
        self.counts = {"sent": 0, "received": 0, "filtered": 0, "missed": 0, "off": 0, "oversize": 0}
        self._reset_hardware()

    # The cable

    @property
    def mac(self) -> bytes:
        """The address in the APROM."""
        return self._aprom[:6]

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

    def set_link(self, up: bool) -> None:
        """The cable is put in or pulled out."""
        self._link = up
        self._phy.set_link(up)

    # Registers

    def read_register(self, offset: int, size: int) -> int:
        """One access to the 32 octets."""
        if offset + size <= 16:
            return int.from_bytes(self._aprom[offset : offset + size], "little")
        ones = (1 << 8 * size) - 1
        if size != (4 if self._dwio else 2):
            self.mistakes += 1
            return ones
        match offset - 16 >> (2 if self._dwio else 1):
            case 0 if not offset & size - 1:
                return self._read_csr(self._rap)
            case 1 if not offset & size - 1:
                return self._rap
            case 2 if not offset & size - 1:
                self._reset_software()
                return 0
            case 3 if not offset & size - 1:
                return self._read_bcr(self._rap)
        self.mistakes += 1
        return ones

    def write_register(self, offset: int, size: int, value: int) -> None:
        """One access to the 32 octets."""
        if size == 4 and offset == 16 and not self._dwio:
            self._dwio = True
            return
        if size != (4 if self._dwio else 2) or offset & size - 1:
            self.mistakes += 1
            return
        match offset - 16 >> (2 if self._dwio else 1):
            case 0:
                self._write_csr(self._rap, value & 0xFFFF)
            case 1:
                self._rap = value & 0x7F
            case 3:
                self._write_bcr(self._rap, value & 0xFFFF)
            case _:
                self.mistakes += 1

    def _read_csr(self, number: int) -> int:
        csr = self._csr
        match number:
            case 0:
                interrupt, _ = self._interrupts()
                return csr[0] | (INTR if interrupt else 0) | (ANY_ERR if csr[0] & CSR0_ERRORS else 0)
            case 16 | 17:
                return csr[number - 15]
            case 28 | 29:
                return self._rx_at() >> 16 * (number - 28) & 0xFFFF
            case 34 | 35:
                return self._tx_at() >> 16 * (number - 34) & 0xFFFF
            case 58:
                return self._bcr[20]
            case 72:
                return self._rx_index - self._rx_length & 0xFFFF
            case 74:
                return self._tx_index - self._tx_length & 0xFFFF
            case 76:
                return -self._rx_length & 0xFFFF
            case 78:
                return -self._tx_length & 0xFFFF
            case 88 | 89:
                return self._model.part[number - 88]
            case _:
                return csr[number]

    def _write_csr(self, number: int, value: int) -> None:
        csr = self._csr
        if number in CSR_STOPPED and not (csr[0] & STOP or csr[5] & CSR5_SPND):
            self.mistakes += 1
            return
        match number:
            case 0:
                self._write_csr0(value)
            case 3:
                csr[3] = value & CSR3_WRITABLE
            case 4:
                kept = csr[4] & CSR4_FLAGS & ~value
                csr[4] = value & ~(CSR4_FLAGS | CSR4_UINTCMD) | kept
                if value & CSR4_UINTCMD:
                    csr[4] |= CSR4_UINT
            case 5:
                suspended = csr[5] & CSR5_SPND
                csr[5] = value & ~CSR5_FLAGS | csr[5] & CSR5_FLAGS & ~value
                if csr[0] & STOP:
                    csr[5] &= ~CSR5_SPND
                elif suspended and not value & CSR5_SPND:
                    self._transmit()
                    self._serve()
            case 16 | 17:
                self._write_csr(number - 15, value)
            case 58:
                self._write_bcr(20, value)
            case 72:
                self._rx_index = max(0, self._rx_length - (-value & 0xFFFF))
            case 74:
                self._tx_index = max(0, self._tx_length - (-value & 0xFFFF))
            case 76:
                self._rx_length = min(-value & 0xFFFF, LONGEST_RING) or 1
                self._rx_index = 0
            case 78:
                self._tx_length = min(-value & 0xFFFF, LONGEST_RING) or 1
                self._tx_index = 0
            case 47 | 122 | 124:
                csr[number] = value
            case _ if number in CSR_STOPPED:
                csr[number] = value
            case _:
                self.mistakes += 1
        self._update_interrupt()

    def _write_csr0(self, value: int) -> None:
        csr = self._csr
        csr[0] &= ~(value & CSR0_FLAGS)
        if value & STOP:
            self._stop()
            return
        csr[0] = csr[0] & ~IENA | value & IENA
        if value & INIT and not csr[0] & INIT and not self._initialise():
            return
        if value & STRT and not csr[0] & STRT:
            csr[0] = csr[0] & ~STOP | STRT
            if not csr[15] & MODE_DTX:
                csr[0] |= TXON
            if not csr[15] & MODE_DRX:
                csr[0] |= RXON
            self._demanded = False
            self._transmit()
        elif value & TDMD:
            self._demanded = True
            self._transmit()
        self._serve()

    def _read_bcr(self, number: int) -> int:
        value = self._bcr[number]
        match number:
            case 4 | 5 | 6 | 7:
                return value | (BCR_LEDOUT if value & BCR4_LNKSTE and self._link else 0)
            case 18:
                return value | (BCR18_DWIO if self._dwio else 0)
            case 34 if self._model.mii:
                address, register = divmod(self._bcr[33] & 0x3FF, 32)
                return self._phy.read(register) if address == PHY_ADDRESS else 0xFFFF
            case _:
                return value

    def _write_bcr(self, number: int, value: int) -> None:
        if number == 20:
            if not (self._csr[0] & STOP or self._csr[5] & CSR5_SPND):
                self.mistakes += 1
                return
            self._bcr[20] = SOFTWARE_STYLES.get(value & 0xFF, 0x0200)
        elif number in (4, 5, 6, 7):
            self._bcr[number] = value & ~BCR_LEDOUT
        elif number == 18:
            self._bcr[18] = value & ~BCR18_DWIO
        elif number == 34 and self._model.mii:
            address, register = divmod(self._bcr[33] & 0x3FF, 32)
            if address == PHY_ADDRESS:
                self._phy.write(register, value)
        elif number in BCR_WRITABLE or (number in BCR_WRITABLE_MII and self._model.mii):
            self._bcr[number] = value
        else:
            self.mistakes += 1

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

    def _reset_hardware(self) -> None:
        self._bcr = [BCR_RESET.get(number, 0) for number in range(128)]
        if self._model.mii:
            self._bcr[32] = 0x4020  # 21510, BCR32: MIIPD, XPHYANE
            self._bcr[33] = PHY_ADDRESS << 5
        self._dwio = False
        self._csr = [0] * 128
        self._phy.reset()
        self._reset_software()

    def _reset_software(self) -> None:
        mode, poll = self._csr[15], self._csr[47]
        self._csr = [CSR_RESET.get(number, 0) for number in range(128)]
        self._csr[0] = STOP
        self._csr[15] = mode & 0x21C4
        self._csr[47] = poll
        for i in range(3):
            self._csr[12 + i] = int.from_bytes(self._aprom[2 * i : 2 * i + 2], "little")
        self._rap = 0
        self._rx_length = self._tx_length = 1
        self._rx_index = self._tx_index = 0
        self._demanded = False
        self._poll_at = None
        self.queue.clear()
        self.set_interrupt(False)

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

    # Time, reset, state

    def next_deadline(self) -> int | None:
        """When the rings are polled next."""
        return self._poll_at

    def handle_timer(self, now_ns: int) -> None:
        """Poll the rings."""
        self._poll_at = None
        if not self._csr[4] & CSR4_DPOLL:
            self._transmit()
        self._serve()

    def reset(self) -> None:
        """RST#."""
        super().reset()
        self._reset_hardware()

    def state(self) -> State:
        """All of it."""
        return {
            "version": 1,
            "function": super().state(),
            "csr": list(self._csr),
            "bcr": list(self._bcr),
            "rap": self._rap,
            "dwio": self._dwio,
            "rings": [self._rx_length, self._rx_index, self._tx_length, self._tx_index],
            "demanded": self._demanded,
            "poll_at": -1 if self._poll_at is None else self._poll_at,
            "queue": list(self.queue),
            "link": self._link,
            "phy": self._phy.state(),
            "counts": dict(self.counts),
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        take_version(state, 1)
        csr, bcr = (_words(take(state, name, list)) for name in ("csr", "bcr"))
        if bcr[20] not in SOFTWARE_STYLES.values():
            raise SnapshotError(f"snapshot: {self.name}: BCR20 is {bcr[20]:#x}")
        rings = take(state, "rings", list)
        if (
            [type(value) for value in rings] != [int] * 4
            or not all(1 <= length <= LONGEST_RING for length in rings[::2])
            or not all(0 <= index < length for length, index in zip(rings[::2], rings[1::2], strict=True))
        ):
            raise SnapshotError(f"snapshot: {self.name}: rings {rings!r:.60}")
        queue = take(state, "queue", list)
        if len(queue) > QUEUE_FRAMES or not all(type(f) is bytes and 14 <= len(f) <= LONGEST_FRAME for f in queue):
            raise SnapshotError(f"snapshot: {self.name}: the queue")
        counts = {name: take_int(take(state, "counts", dict), name, 1 << 62) for name in self.counts}
        rap, dwio = take_int(state, "rap", 0x7F), take(state, "dwio", bool)
        demanded, link, poll_at = take(state, "demanded", bool), take(state, "link", bool), take(state, "poll_at", int)
        self._phy.from_state(take(state, "phy", dict))
        super().from_state(take(state, "function", dict))
        self._csr, self._bcr, self._rap, self._dwio = csr, bcr, rap, dwio
        self._rx_length, self._rx_index, self._tx_length, self._tx_index = rings
        self._demanded, self._link = demanded, link
        self._poll_at = poll_at if poll_at >= 0 else None
        self.queue = deque(queue)
        self.counts = counts


class _Registers:
    """What the base registers lead to."""

    def __init__(self, card: PcNet) -> None:
        self.read = card.read_register
        self.write = card.write_register


def _aprom(mac: bytes) -> bytes:
    """The address PROM (19436, "Address PROM Space"): address, hardware type, checksum, "WW"."""
    if len(mac) != 6:
        raise ValueError(f"an address of {len(mac)} octets")
    octets = bytearray(mac + bytes(3) + b"\x11" + bytes(4) + b"WW")
    octets[12:14] = sum(octets).to_bytes(2, "little")
    return bytes(octets)


def _words(values: list[object]) -> list[int]:
    if len(values) != 128:
        raise SnapshotError(f"snapshot: {len(values)} registers, not 128")
    return [take_int({"register": value}, "register", 0xFFFF) for value in values]
