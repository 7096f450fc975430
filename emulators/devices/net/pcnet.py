"""AMD Am79C970A PCnet-PCI II Ethernet controller; also the Am79C973 (PCnet-FAST III), which has a PHY behind MII.

Datasheets: AMD 19436 rev. E (Am79C970A), AMD 21510 rev. E (Am79C973). Boards: malta; fit for the PC and the PowerMac.
Files: `pcnet_rings` (what the chip keeps in memory), `pcnet_registers` (bits and limits), `pcnet_data_path` (what moves
frames), and here registers, reset and state.

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

from collections.abc import Callable

from emulators.device import State, Timeline
from emulators.devices.net.mii import Phy
from emulators.devices.net.pcnet_data_path import DataPath
from emulators.devices.net.pcnet_registers import (
    ANY_ERR,
    BCR4_LNKSTE,
    BCR18_DWIO,
    BCR_LEDOUT,
    BCR_RESET,
    BCR_WRITABLE,
    BCR_WRITABLE_MII,
    CSR0_ERRORS,
    CSR0_FLAGS,
    CSR3_WRITABLE,
    CSR4_FLAGS,
    CSR4_UINT,
    CSR4_UINTCMD,
    CSR5_FLAGS,
    CSR5_SPND,
    CSR_RESET,
    CSR_STOPPED,
    IENA,
    INIT,
    INTR,
    LONGEST_FRAME,
    MODE_DRX,
    MODE_DTX,
    MODELS,
    PHY_ADDRESS,
    QUEUE_FRAMES,
    REGISTERS,
    RXON,
    SOFTWARE_STYLES,
    STOP,
    STRT,
    TDMD,
    TXON,
)
from emulators.devices.net.pcnet_rings import (
    LONGEST_RING,
)
from emulators.devices.net.polling import Polling
from emulators.devices.pci.config import MAX_LAT, MIN_GNT, STATUS, STATUS_WRITE_1_CLEARS
from emulators.dma import Dma
from emulators.snapshot import SnapshotError, take, take_counts, take_frames, take_int, take_ints, take_version


class PcNet(DataPath):
    """One card.

    Args:
        mac: its address, 6 octets.
        dma: to memory.
        out: takes the frames that are sent, without FCS.
        model: a key of `MODELS`.
        warp: lets time pass for drivers that poll (`emulators.devices.net.polling`).
    """

    def __init__(
        self,
        name: str,
        *,
        mac: bytes,
        dma: Dma,
        out: Callable[[bytes], None],
        timeline: Timeline,
        model: str = "Am79C970A",
        warp: Callable[[int], None] = lambda ns: None,
    ) -> None:
        self._model = MODELS[model]
        self._polling = Polling(timeline=timeline, warp=warp)
        super().__init__(name, revision=self._model.revision, dma=dma, out=out, timeline=timeline)
        self.set_config(STATUS, 2, 0x0280, write_1_clears=STATUS_WRITE_1_CLEARS)  # fast back-to-back, medium DEVSEL
        self.set_config(MIN_GNT, 1, 0x06)
        self.set_config(MAX_LAT, 1, 0xFF)
        registers = _Registers(self)
        self.add_bar(0, 32, registers, io=True)
        self.add_bar(1, 32, registers)
        self._aprom = _aprom(mac)
        self._rap = 0
        self._dwio = False
        self._phy = Phy()
        self._reset_hardware()

    # The cable

    @property
    def mac(self) -> bytes:
        """The address in the APROM."""
        return self._aprom[:6]

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
                return self._polling.read(
                    csr[0] | (INTR if interrupt else 0) | (ANY_ERR if csr[0] & CSR0_ERRORS else 0), busy=CSR0_FLAGS
                )
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

    # Reset and state

    def _reset_hardware(self) -> None:
        self._bcr = [BCR_RESET.get(number, 0) for number in range(REGISTERS)]
        if self._model.mii:
            self._bcr[32] = 0x4020  # 21510, BCR32: MIIPD, XPHYANE
            self._bcr[33] = PHY_ADDRESS << 5
        self._dwio = False
        self._csr = [0] * REGISTERS
        self._phy.reset()
        self._reset_software()

    def _reset_software(self) -> None:
        mode, poll = self._csr[15], self._csr[47]
        self._csr = [CSR_RESET.get(number, 0) for number in range(REGISTERS)]
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
            "polling": self._polling.state(),
            "counts": dict(self.counts),
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        take_version(state, 1)
        csr, bcr = (take_ints(state, name, REGISTERS, 0xFFFF) for name in ("csr", "bcr"))
        if bcr[20] not in SOFTWARE_STYLES.values():
            raise SnapshotError(f"snapshot: {self.name}: BCR20 is {bcr[20]:#x}")
        rings = take(state, "rings", list)
        if (
            [type(value) for value in rings] != [int] * 4
            or not all(1 <= length <= LONGEST_RING for length in rings[::2])
            or not all(0 <= index < length for length, index in zip(rings[::2], rings[1::2], strict=True))
        ):
            raise SnapshotError(f"snapshot: {self.name}: rings {rings!r:.60}")
        queue = take_frames(state, "queue", QUEUE_FRAMES, LONGEST_FRAME)
        counts = take_counts(state, self.counts)
        rap, dwio = take_int(state, "rap", 0x7F), take(state, "dwio", bool)
        demanded, link, poll_at = take(state, "demanded", bool), take(state, "link", bool), take(state, "poll_at", int)
        self._phy.from_state(take(state, "phy", dict))
        self._polling.from_state(take(state, "polling", dict))
        super().from_state(take(state, "function", dict))
        self._csr, self._bcr, self._rap, self._dwio = csr, bcr, rap, dwio
        self._rx_length, self._rx_index, self._tx_length, self._tx_index = rings
        self._demanded, self._link = demanded, link
        self._poll_at = poll_at if poll_at >= 0 else None
        self.queue = queue
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
