"""An ATAPI CD-ROM drive with a data disc: the task file's side, and the drive's mechanics.

Specification: ATA/ATAPI-6, clauses 9.8, 9.9 (PACKET), 9.12 (signature); SFF-8020i revision 2.6 for the byte count.
Boards: pc. Read first: `emulators.devices.ata.drive`; the packets are in `emulators.devices.ata.mmc`.

Emulated: PACKET (PIO and DMA), IDENTIFY PACKET DEVICE, DEVICE RESET, SET FEATURES, NOP, power management; IDENTIFY
DEVICE and READ SECTORS are aborted with the signature, as §8.15.5.2 and §8.27.5.2 want it.

Not emulated: overlap, audio, writing, interrupts for the packet itself.

| threat | stopped by |
|---|---|
| sectors beyond the disc, or "-1" (CVE-2020-29443) | checked before anything moves: 5/21/00 |
| commands of a disk (CVE-2015-6855) | aborted |
| a byte count limit of 0, or odd | 0: the largest; odd: one less |
| allocation lengths | answers are as long as they are, and cut |
"""

from typing import Final

from emulators.device import State
from emulators.devices.ata import identify, mmc
from emulators.devices.ata.disk import POWER, POWER_ACTIVE, SET_TRANSFER_MODE, set_mode
from emulators.devices.ata.drive import ABRT, COUNT, DRDY, DSC, ERR, FEATURES, HIGH, MID, Drive, Medium, Transfer
from emulators.devices.ata.mmc import SECTOR, Sense
from emulators.snapshot import SnapshotError, take, take_int

PACKET_OCTETS: Final = 12
COD, IO = 0x01, 0x02  # interrupt reason, §9.8
FEATURE_DMA, FEATURE_OVERLAP = 0x01, 0x02
MOST_BYTE_COUNT: Final = 0xFFFE


class CdRom(Drive):
    """A drive.

    Args:
        medium: the disc's sectors of 2048 octets.
        serial, model: as for `AtaDisk`.
        power_on: the first command is told of the power-on (SPC-3 §5.8), as from a real drive. OpenBIOS takes that for
            a failure.
    """

    signature = (0x14, 0xEB)
    ready_bits = DRDY | DSC

    def __init__(self, medium: Medium, *, serial: str, model: str = "VDE CD-ROM", power_on: bool = True) -> None:
        self.medium = medium
        self.sectors = medium.size_octets // SECTOR
        self._serial, self._model = serial, model
        self.modes = identify.Modes()
        self.power = POWER_ACTIVE
        self.loaded = True
        self.locked = False
        self.changed = False
        self.sense = Sense()
        self.attention: Sense | None = mmc.POWER_ON if power_on else None
        super().__init__()

    def medium_octets(self) -> int:
        """As `Drive.medium_octets`."""
        return self.sectors * SECTOR

    # -- commands of the task file

    def command(self, code: int) -> None:
        """As `Drive.command`."""
        match code:
            case 0xA0:
                self._packet()
            case 0xA1:
                data = identify.cdrom(modes=self.modes, serial=self._serial, model=self._model)
                self.registers[COUNT] = IO
                self.start(Transfer(True, len(data), len(data), data=data, purpose="identify"))
            case 0x08:
                self.reset()
            case 0xEC | 0x20 | 0x21:
                self.registers[MID], self.registers[HIGH] = self.signature
                self.registers[COUNT] = self.registers[2] = 1
                self.abort()
            case 0xEF:
                mode = self.registers[FEATURES] & 0xFF == SET_TRANSFER_MODE
                if mode and set_mode(self.modes, self.registers[COUNT] & 0xFF):
                    self.done()
                else:
                    self.abort()
            case 0xE5:
                self.registers[COUNT] = self.power
                self.done()
            case _ if code in POWER and code >= 0xE0:
                self.power = POWER[code]
                self.done()
            case _:
                self.abort()

    def _packet(self) -> None:
        if self.registers[FEATURES] & FEATURE_OVERLAP:
            self.abort()
            return
        self.start(Transfer(False, PACKET_OCTETS, PACKET_OCTETS, purpose="packet"))

    def opened(self, transfer: Transfer) -> None:
        """As `Drive.opened`: the interrupt reason, and how many octets there are now (§9.8)."""
        if transfer.purpose == "packet":
            self.registers[COUNT] = COD
            self.interrupt = False
        elif transfer.purpose == "answer":
            self.registers[COUNT] = IO
            self.registers[MID], self.registers[HIGH] = len(transfer.piece) & 0xFF, len(transfer.piece) >> 8

    def finished(self, transfer: Transfer) -> None:
        """As `Drive.finished`; a packet command's status comes with an interrupt of its own."""
        self.status = self.ready_bits
        if transfer.purpose == "answer":
            self._good()

    def medium_failed(self, transfer: Transfer) -> None:
        """As `Drive.medium_failed`."""
        self.fail(mmc.READ_ERROR)

    def fetch(self, transfer: Transfer, octets: int) -> bytes:
        """As `Drive.fetch`."""
        return self.medium.read_at(transfer.offset + transfer.done, octets)

    def store(self, transfer: Transfer, data: bytes) -> None:
        """As `Drive.store`: nothing is written."""
        raise PermissionError("a CD-ROM")

    # -- packets

    def received(self, transfer: Transfer) -> None:
        """As `Drive.received`."""
        self.execute(transfer.data)

    def execute(self, packet: bytes) -> None:
        """A packet of 12 octets."""
        self.registers[COUNT] = IO
        code = packet[0]
        if self.attention is not None and code not in mmc.WITHOUT_ATTENTION:
            attention, self.attention = self.attention, None
            self.fail(attention)
            return
        if not self.loaded and code in mmc.NEEDS_DISC:
            self.fail(mmc.NO_DISC)
            return
        if code in (mmc.READ_10, mmc.READ_12, mmc.READ_CD):
            self._read(packet)
            return
        answer = mmc.answer(self, packet)
        if isinstance(answer, Sense):
            self.fail(answer)
        elif answer:
            self._send(answer)
        else:
            self.sense = Sense()
            self._good()

    def _read(self, packet: bytes) -> None:
        place = mmc.sectors_of(packet, self.sectors)
        if isinstance(place, Sense):
            self.mistakes += 1
            self.fail(place)
            return
        lba, count = place
        if not count:
            self._good()
            return
        self._start(count * SECTOR, lba * SECTOR, b"")

    def _send(self, answer: bytes) -> None:
        self._start(len(answer), -1, answer)

    def _start(self, octets: int, offset: int, data: bytes) -> None:
        self.sense = Sense()
        limit = (self.registers[MID] & 0xFF | (self.registers[HIGH] & 0xFF) << 8) & ~1 or MOST_BYTE_COUNT
        dma = bool(self.registers[FEATURES] & FEATURE_DMA)
        self.start(Transfer(True, octets, min(limit, MOST_BYTE_COUNT), dma, "answer", offset, data))

    def _good(self) -> None:
        self.registers[COUNT] = COD | IO
        self.error = 0
        self.status = self.ready_bits
        self.interrupt = True

    def fail(self, sense: Sense) -> None:
        """The packet command ends with CHECK CONDITION."""
        self.sense = sense
        self.transfer = None
        self.registers[COUNT] = COD | IO
        self.error = sense.key << 4 | (ABRT if sense.key == mmc.ILLEGAL_REQUEST else 0)
        self.status = self.ready_bits | ERR
        self.interrupt = True

    # -- mechanics

    def start_stop(self, *, eject: bool, start: bool) -> Sense | None:
        """START STOP UNIT: the tray, or the motor."""
        if not eject:
            return None if self.loaded or not start else mmc.NO_DISC
        if not start and self.locked:
            return mmc.LOCKED
        if self.loaded != start:
            self.loaded = start
            self.changed = True
            if start:
                self.attention = mmc.NEW_DISC
        return None

    # -- state

    def state(self) -> State:
        """As `Device.state`."""
        attention = self.attention
        return super().state() | {
            "sectors": self.sectors,
            "multiword": self.modes.multiword,
            "ultra": self.modes.ultra,
            "power": self.power,
            "loaded": self.loaded,
            "locked": self.locked,
            "changed": self.changed,
            "sense": self.sense.packed(),
            "attention": None if attention is None else attention.packed(),
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        if take_int(state, "sectors", 1 << 48) != self.sectors:
            raise SnapshotError(f"snapshot: a disc of {state['sectors']} sectors; this one has {self.sectors}")
        super().from_state(state)
        self.modes = identify.Modes(take_int(state, "multiword", 7), take_int(state, "ultra", 7))
        self.power = take_int(state, "power", 0xFF)
        self.loaded, self.locked = take(state, "loaded", bool), take(state, "locked", bool)
        self.changed = take(state, "changed", bool)
        self.sense = Sense.of(take_int(state, "sense", 0xFFFFFF))
        attention = state.get("attention")
        self.attention = None if attention is None else Sense.of(take_int(state, "attention", 0xFFFFFF))
