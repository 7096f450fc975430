"""An ATA disk.

Specification: ATA/ATAPI-6 (T13/1410D revision 3b), clause 8; the commands that it calls obsolete, by ATA-2.
Boards: pc. Read first: `emulators.devices.ata.drive`.

Emulated: NOP, RECALIBRATE, READ/WRITE SECTOR(S), MULTIPLE, DMA, VERIFY, each with 28 and 48 bits and by cylinder, head
and sector; SEEK, EXECUTE DEVICE DIAGNOSTIC (the channel's), INITIALIZE DEVICE PARAMETERS, SET MULTIPLE MODE, power
management, FLUSH CACHE, IDENTIFY DEVICE, SET FEATURES (transfer mode, write cache, look-ahead), READ NATIVE MAX.

Not emulated (aborted): SMART, security, SET MAX, streaming, queued commands, microcode, DEVICE CONFIGURATION. The
power modes are kept, and change nothing else.

| threat | stopped by |
|---|---|
| sectors beyond the disk, geometry of nought heads | checked before anything moves: IDNF, ABRT |
| writes to a read-only disk | aborted, counted |
| commands of a packet device (CVE-2015-6855) | aborted |
| a transfer that is never taken | stays where it is; costs a DRQ block |
"""

from typing import Final

from emulators.device import State
from emulators.devices.ata import identify
from emulators.devices.ata.drive import (
    ABRT,
    COUNT,
    DF,
    DRDY,
    DSC,
    FEATURES,
    HIGH,
    IDNF,
    LBA,
    LOW,
    MID,
    UNC,
    Drive,
    Medium,
    Transfer,
)
from emulators.snapshot import SnapshotError, take, take_int

SECTOR: Final = 512
HEADS, SECTORS_PER_TRACK = 16, 63  # of the default geometry; chosen, as every disk of more than 504 MB had it
MOST_SECTORS: Final = 1 << 48

# SET FEATURES, §8.46 table 45
SET_TRANSFER_MODE, WRITE_CACHE_ON, WRITE_CACHE_OFF, LOOK_AHEAD_ON, LOOK_AHEAD_OFF = 0x03, 0x02, 0x82, 0xAA, 0x55
KEEP_SETTINGS, FORGET_SETTINGS = 0x66, 0xCC
POWER_ACTIVE, POWER_STANDBY = 0xFF, 0x00  # §8.9

READS: Final = {0x20: "", 0x21: "", 0x24: "x", 0x25: "dx", 0x29: "mx", 0xC4: "m", 0xC8: "d", 0xC9: "d"}
"""Commands that read: d: DMA, m: DRQ blocks of several sectors, x: 48 bits."""
WRITES: Final = {0x30: "", 0x31: "", 0x34: "x", 0x35: "dx", 0x39: "mx", 0xC5: "m", 0xCA: "d", 0xCB: "d", 0x3C: ""}
VERIFIES: Final = {0x40: "", 0x41: "", 0x42: "x"}
POWER: Final = {
    0xE0: POWER_STANDBY,
    0xE1: POWER_ACTIVE,
    0xE2: POWER_STANDBY,
    0xE3: POWER_ACTIVE,
    0xE6: POWER_STANDBY,
    0x94: POWER_STANDBY,
    0x95: POWER_ACTIVE,
    0x96: POWER_STANDBY,
    0x97: POWER_ACTIVE,
    0x99: POWER_STANDBY,
}
"""STANDBY, IDLE and SLEEP, with the opcodes that ATA-1 had for them."""


class AtaDisk(Drive):
    """A disk.

    Args:
        medium: its contents; a last sector that is not whole is not seen.
        serial, model: shown by IDENTIFY DEVICE; ASCII, 20 and 40 characters.
    """

    signature = (0x00, 0x00)
    ready_bits = DRDY | DSC

    def __init__(self, medium: Medium, *, serial: str, model: str = "VDE HARDDISK") -> None:
        self.medium = medium
        self.sectors = min(medium.size_octets // SECTOR, MOST_SECTORS)
        self._serial, self._model = serial, model
        cylinders = min(self.sectors // (HEADS * SECTORS_PER_TRACK), identify.CHS_CYLINDERS)
        self.geometry = (max(cylinders, 1), HEADS, SECTORS_PER_TRACK)
        self.current = self.geometry
        self.multiple = 0
        self.modes = identify.Modes()
        self.write_cache = self.look_ahead = True
        self.power = POWER_ACTIVE
        super().__init__()

    def medium_octets(self) -> int:
        """As `Drive.medium_octets`."""
        return self.sectors * SECTOR

    def reset(self) -> None:
        """As `Drive.reset`; the settings stay (§9.2)."""
        super().reset()
        self.power = POWER_ACTIVE

    # -- commands

    def command(self, code: int) -> None:
        """As `Drive.command`."""
        if (how := READS.get(code)) is not None:
            self._read_write(how, inward=True)
        elif (how := WRITES.get(code)) is not None:
            self._read_write(how, inward=False)
        elif (how := VERIFIES.get(code)) is not None:
            if self._place(how) is not None:
                self.done()
        elif (power := POWER.get(code)) is not None:
            self.power = power
            self.done()
        else:
            self._other(code)

    def _other(self, code: int) -> None:
        match code:
            case 0xEC:
                data = identify.disk(
                    sectors=self.sectors,
                    geometry=self.geometry,
                    current=self.current,
                    multiple=self.multiple,
                    modes=self.modes,
                    serial=self._serial,
                    model=self._model,
                    write_cache=self.write_cache,
                    look_ahead=self.look_ahead,
                )
                self.start(Transfer(True, len(data), len(data), data=data))
            case 0xE7 | 0xEA:
                self._flush()
            case 0xEF:
                self._set_features()
            case 0xC6:
                self._set_multiple()
            case 0x91:
                self._initialize()
            case 0xE5 | 0x98:
                self.registers[COUNT] = self.power
                self.done()
            case 0xF8:
                self._answer_lba(min(self.sectors, identify.LBA28_SECTORS) - 1, extended=False)
            case 0x27:
                self._answer_lba(self.sectors - 1, extended=True)
            case _ if code & 0xF0 in (0x10, 0x70):
                # RECALIBRATE, SEEK
                if code < 0x70 or self._lba(extended=False) is not None:
                    self.done()
                else:
                    self.abort(IDNF)
            case _:
                self.abort()

    def _read_write(self, how: str, *, inward: bool) -> None:
        multiple = "m" in how
        if multiple and not self.multiple:
            self.abort()
            return
        if not inward and self.medium.readonly:
            self.mistakes += 1
            self.abort()
            return
        placed = self._place(how)
        if placed is None:
            return
        lba, count = placed
        self.start(
            Transfer(
                inward,
                count * SECTOR,
                (self.multiple if multiple else 1) * SECTOR,
                dma="d" in how,
                purpose="48" if "x" in how else "28",
                offset=lba * SECTOR,
            )
        )

    def _place(self, how: str) -> tuple[int, int] | None:
        """First sector and how many; None: the command has ended with an error."""
        extended = "x" in how
        lba = self._lba(extended=extended)
        count = self.registers[COUNT] & (0xFFFF if extended else 0xFF) or (0x10000 if extended else 0x100)
        if lba is None or lba + count > self.sectors:
            self.mistakes += 1
            self.abort(IDNF)
            return None
        return lba, count

    def _lba(self, *, extended: bool) -> int | None:
        """The sector that the task file names; None: there is none."""
        registers = self.registers
        low, mid, high = (registers[which] & 0xFF for which in (LOW, MID, HIGH))
        lba = low | mid << 8 | high << 16
        if extended:
            for place, which in enumerate((LOW, MID, HIGH), 3):
                lba |= registers[which] >> 8 << 8 * place
        elif self.device & LBA:
            lba |= (self.device & 0xF) << 24
        else:
            _, heads, sectors = self.current
            head = self.device & 0xF
            if not 1 <= low <= sectors or head >= heads:
                return None
            lba = ((mid | high << 8) * heads + head) * sectors + low - 1
        return lba if lba < self.sectors else None

    def _answer_lba(self, lba: int, *, extended: bool) -> None:
        registers = self.registers
        for place, which in enumerate((LOW, MID, HIGH)):
            registers[which] = lba >> 8 * place & 0xFF | (lba >> 8 * (place + 3) & 0xFF) << 8
        if not extended:
            for which in (LOW, MID, HIGH):
                registers[which] &= 0xFF
            self.device = self.device & 0xF0 | lba >> 24
        self.done()

    def _flush(self) -> None:
        try:
            self.medium.flush()
        except OSError:
            self.abort(ABRT)
            self.status |= DF
        else:
            self.done()

    def _set_features(self) -> None:
        match self.registers[FEATURES] & 0xFF:
            case 0x03 if not self._set_mode(self.registers[COUNT] & 0xFF):
                self.abort()
                return
            case 0x03 | 0x66 | 0xCC:
                pass
            case 0x02 | 0x82 as which:
                self.write_cache = which == WRITE_CACHE_ON
            case 0xAA | 0x55 as which:
                self.look_ahead = which == LOOK_AHEAD_ON
            case _:
                self.abort()
                return
        self.done()

    def _set_mode(self, mode: int) -> bool:
        return set_mode(self.modes, mode)

    def _set_multiple(self) -> None:
        count = self.registers[COUNT] & 0xFF
        if count > identify.MOST_MULTIPLE or count & (count - 1):
            self.multiple = 0
            self.abort()
            return
        self.multiple = count
        self.done()

    def _initialize(self) -> None:
        """§6.2 of ATA-5: the host's geometry."""
        sectors, heads = self.registers[COUNT] & 0xFF, (self.device & 0xF) + 1
        if not sectors:
            self.abort()
            return
        cylinders = min(self.sectors // (heads * sectors), 0xFFFF)
        self.current = (cylinders, heads, sectors)
        self.done()

    # -- data

    def fetch(self, transfer: Transfer, octets: int) -> bytes:
        """As `Drive.fetch`."""
        return self.medium.read_at(transfer.offset + transfer.done, octets)

    def store(self, transfer: Transfer, data: bytes) -> None:
        """As `Drive.store`."""
        self.medium.write_at(transfer.offset + transfer.done, data)

    def received(self, transfer: Transfer) -> None:
        """As `Drive.received`: there is no such command."""
        self.abort()

    def finished(self, transfer: Transfer) -> None:
        """As `Drive.finished`; the task file shows the last sector, as ATA-1 to 3 wanted it."""
        if transfer.offset >= 0:
            self._show(transfer, (transfer.offset + transfer.total) // SECTOR - 1, 0)
        super().finished(transfer)

    def medium_failed(self, transfer: Transfer) -> None:
        """As `Drive.medium_failed`: the sector that could not be read or written (§8.27.6)."""
        sector = (transfer.offset + transfer.done) // SECTOR
        self._show(transfer, sector, (transfer.total - transfer.done) // SECTOR & 0xFF)
        if transfer.inward:
            self.abort(UNC)
        else:
            self.abort()
            self.status |= DF

    def _show(self, transfer: Transfer, lba: int, left: int) -> None:
        registers = self.registers
        registers[COUNT] = left
        if transfer.purpose == "48":
            for place, which in enumerate((LOW, MID, HIGH)):
                registers[which] = lba >> 8 * place & 0xFF | (lba >> 8 * (place + 3) & 0xFF) << 8
        elif self.device & LBA:
            registers[LOW], registers[MID], registers[HIGH] = lba & 0xFF, lba >> 8 & 0xFF, lba >> 16 & 0xFF
            self.device = self.device & 0xF0 | lba >> 24 & 0xF
        else:
            _, heads, sectors = self.current
            track, sector = divmod(lba, sectors)
            cylinder, head = divmod(track, heads)
            registers[LOW], registers[MID], registers[HIGH] = sector + 1, cylinder & 0xFF, cylinder >> 8 & 0xFF
            self.device = self.device & 0xF0 | head

    # -- state

    def state(self) -> State:
        """As `Device.state`."""
        return super().state() | {
            "sectors": self.sectors,
            "current": list(self.current),
            "multiple": self.multiple,
            "multiword": self.modes.multiword,
            "ultra": self.modes.ultra,
            "write_cache": self.write_cache,
            "look_ahead": self.look_ahead,
            "power": self.power,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        if take_int(state, "sectors", MOST_SECTORS) != self.sectors:
            raise SnapshotError(f"snapshot: a disk of {state['sectors']} sectors; this one has {self.sectors}")
        super().from_state(state)
        current = take(state, "current", list)
        if len(current) != 3 or any(type(value) is not int or not 0 <= value <= 0xFFFF for value in current):
            raise SnapshotError("snapshot: a disk's geometry")
        cylinders, heads, sectors = current
        if not 1 <= heads <= 16 or not 1 <= sectors <= 255:
            raise SnapshotError("snapshot: a disk's geometry")
        self.current = (cylinders, heads, sectors)
        self.multiple = take_int(state, "multiple", identify.MOST_MULTIPLE)
        self.modes = identify.Modes(take_int(state, "multiword", 7), take_int(state, "ultra", 7))
        self.write_cache, self.look_ahead = take(state, "write_cache", bool), take(state, "look_ahead", bool)
        self.power = take_int(state, "power", 0xFF)


def set_mode(modes: identify.Modes, mode: int) -> bool:
    """SET FEATURES' transfer mode (§8.46.3, table 46). False: there is none such."""
    number = mode & 7
    match mode >> 3:
        case 0 | 1 if number <= 4:
            # PIO
            return True
        case 4 if number <= 2:
            modes.multiword, modes.ultra = 1 << number, 0
            return True
        case 8 if number <= 2:
            modes.multiword, modes.ultra = 0, 1 << number
            return True
    return False
