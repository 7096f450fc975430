"""Intel 82077AA: the floppy disk controller of a PC/AT.

Datasheet: Intel 82077AA (290166-007, 1994), sections as cited. AT mode.
Boards: pc (ports 0x3F0–0x3F5 and 0x3F7, interrupt 6, ISA DMA channel 2).

Emulated: DOR, TDR (kept), MSR, DSR, data FIFO, DIR with disk change, CCR; READ/WRITE (and DELETED) DATA, VERIFY, FORMAT
TRACK, READ ID, RECALIBRATE, SEEK, RELATIVE SEEK, SPECIFY, SENSE INTERRUPT and DRIVE STATUS, CONFIGURE with implied
seeks, DUMPREG, VERSION, PERPENDICULAR MODE, LOCK; by DMA and, without it, octet by octet through the FIFO. The
data rate must be the medium's, by which drivers find formats.

Not emulated: SRA and SRB (PS/2 mode), READ TRACK, SCAN, power down, data separation, deleted marks on the medium,
the time that anything takes: heads are where they shall be at once, and an interrupt follows. A drive without
a disk ends a command with "missing address mark"; the chip would wait for an index hole for ever.

| threat | stopped by |
|---|---|
| FIFO overflow by more parameters than a command has (CVE-2015-3456) | a command is as long as its table says |
| transfers without end | a track's last sector is at most 255, two heads |
| writes to a read-only disk | ST1 NW |
| geometry of the guest's choice in FORMAT | sectors outside the image's format end the command |
"""

from collections.abc import Sequence
from typing import Final

from emulators.device import Irq, State
from emulators.devices.dma.i8237 import I8237Pair
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.devices.floppy.media import RATE_250K, SECTOR, Format, find
from emulators.outside import DiskEnd
from emulators.snapshot import SnapshotError, take, take_int, take_version

DRIVES: Final = 4
CHANNEL: Final = 2

# Registers, §2.1
DOR, TDR, MSR, FIFO, DIR = 2, 3, 4, 5, 7
DOR_RUN, DOR_DMA = 0x04, 0x08
MSR_RQM, MSR_DIO, MSR_NON_DMA, MSR_BUSY = 0x80, 0x40, 0x20, 0x10
DSR_RESET: Final = 0x80
DIR_CHANGED: Final = 0x80

# Status registers, §4.3
ST0_ABNORMAL, ST0_INVALID, ST0_CHANGED, ST0_SEEK_END, ST0_NO_TRACK_0 = 0x40, 0x80, 0xC0, 0x20, 0x10
ST1_END, ST1_NO_DATA, ST1_READ_ONLY, ST1_NO_MARK, ST1_DATA_ERROR = 0x80, 0x04, 0x02, 0x01, 0x20
ST2_WRONG_CYLINDER: Final = 0x10
ST3_READ_ONLY, ST3_TRACK_0, ST3_TWO_SIDES = 0x40, 0x10, 0x08
ST3_ALWAYS: Final = 0x20

VERSION_82077: Final = 0x90
CODE_512: Final = 2  # N: 128 << N octets
MOST_CYLINDER: Final = 83
CONFIGURE_IMPLIED_SEEK: Final = 0x40
SPECIFY_NON_DMA: Final = 0x01

COMMANDS: Final = {
    0x03: ("specify", 3),
    0x04: ("drive_status", 2),
    0x05: ("write", 9),
    0x06: ("read", 9),
    0x07: ("recalibrate", 2),
    0x08: ("sense_interrupt", 1),
    0x09: ("write", 9),
    0x0A: ("read_id", 2),
    0x0C: ("read", 9),
    0x0D: ("format", 6),
    0x0E: ("dump", 1),
    0x0F: ("seek", 3),
    0x10: ("version", 1),
    0x12: ("perpendicular", 2),
    0x13: ("configure", 4),
    0x14: ("lock", 1),
    0x16: ("verify", 9),
}
"""§4: by the low five bits: name and octets with the parameters."""
VARIANTS: Final = {
    0x05: 0xC0,
    0x06: 0xE0,
    0x09: 0xC0,
    0x0A: 0x40,
    0x0C: 0xE0,
    0x0D: 0x40,
    0x0F: 0xC0,
    0x14: 0x80,
    0x16: 0xE0,
}
"""Bits beside the low five that a command may have: MT, MFM, SK; DIR and relative; LOCK."""
MT, MFM = 0x80, 0x40


class Bay:
    """One drive, with or without a disk.

    Args:
        disk: what is in it; its size is that of a format.
    """

    def __init__(self, disk: DiskEnd | None) -> None:
        self.disk = disk
        form = None if disk is None else find(disk.size_octets)
        if disk is not None and form is None:
            raise ValueError(f"a floppy disk of {disk.size_octets} octets")
        self.format: Format | None = form
        self.track = 0
        self.changed = True

    def move(self, track: int) -> None:
        """The head goes to `track`, or as far as it can; a step pulse clears disk change (§2.1.7)."""
        if self.disk is not None:
            self.changed = False
        self.track = max(0, min(track, MOST_CYLINDER))


class Fdc(EightBit):
    """The controller.

    Args:
        irq: interrupt 6.
        dma: where `CHANNEL` is this one's.
        disks: by drive; at most four.
    """

    timed = False

    def __init__(self, *, irq: Irq, dma: I8237Pair, disks: Sequence[DiskEnd | None]) -> None:
        self._irq = irq
        self._dma = dma
        self._line = False
        self.bays = [Bay(disk) for disk in disks]
        self.dor = DOR_RUN | DOR_DMA
        self.tdr = 0
        self.rate = RATE_250K
        self.mistakes = 0
        self._specify = bytearray(2)
        self._configured = bytearray(3)
        self._perpendicular = 0
        self._locked = False
        self._phase = "command"
        self._command = bytearray()
        self._results = bytearray()
        self._pending: list[int] = []
        """ST0 of interrupts that SENSE INTERRUPT STATUS has not been asked about."""
        self._place = [0, 0, 0]
        self._buffer = bytearray()
        self._at = 0
        self._formatted = 0
        dma.attach(CHANNEL, self._by_dma)

    # -- registers

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        match offset:
            case 2:
                return self.dor
            case 3:
                return self.tdr
            case 4:
                return self._status()
            case 5:
                return self._read_fifo()
            case 7:
                bay = self._bay(self.dor & 3)
                running = self.dor >> 4 >> (self.dor & 3) & 1
                return DIR_CHANGED if bay is None or not running or bay.changed or bay.disk is None else 0
            case _:
                return ALL_ONES

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        match offset:
            case 2:
                before, self.dor = self.dor, value
                if not value & DOR_RUN:
                    self._stop()
                elif not before & DOR_RUN:
                    self._reset()
                self._drive()
            case 3:
                self.tdr = value & 3
            case 4:
                self.rate = value & 3
                if value & DSR_RESET:
                    self._stop()
                    if self.dor & DOR_RUN:
                        self._reset()
            case 5:
                self._write_fifo(value)
            case 7:
                self.rate = value & 3

    def _status(self) -> int:
        if not self.dor & DOR_RUN:
            return 0
        match self._phase:
            case "command":
                return MSR_RQM | (MSR_BUSY if self._command else 0)
            case "result":
                return MSR_RQM | MSR_DIO | MSR_BUSY
            case "dma":
                return MSR_BUSY
            case "read":
                return MSR_RQM | MSR_DIO | MSR_NON_DMA | MSR_BUSY
            case _:
                return MSR_RQM | MSR_NON_DMA | MSR_BUSY

    def _read_fifo(self) -> int:
        if self._phase == "read":
            return self._read_data()
        if self._phase != "result" or not self.dor & DOR_RUN:
            self.mistakes += 1
            return 0
        self._set_irq(False)
        value = self._results.pop(0)
        if not self._results:
            self._phase = "command"
            self._command.clear()
        return value

    def _write_fifo(self, value: int) -> None:
        if not self.dor & DOR_RUN or self._phase in ("result", "dma", "read"):
            self.mistakes += 1
        elif self._phase == "write":
            self._write_data(value)
        else:
            self._command.append(value)
            code = self._command[0]
            name, octets = COMMANDS.get(code & 0x1F, ("", 1))
            if code & 0xE0 & ~VARIANTS.get(code & 0x1F, 0):
                name, octets = "", 1
            if len(self._command) >= octets:
                self._execute(name)

    # -- reset and interrupts

    def _stop(self) -> None:
        self._phase = "command"
        self._command.clear()
        self._results.clear()
        self._pending.clear()
        self._dma.request(CHANNEL, False)
        self._set_irq(False)

    def _reset(self) -> None:
        """§5.5, §6.2: an interrupt, and four statuses that the drives' ready lines have changed."""
        if not self._locked:
            self._configured[:2] = bytes(2)
        self._pending = [ST0_CHANGED | number for number in range(DRIVES)]
        self._set_irq(True)

    def _set_irq(self, level: bool) -> None:
        self._line = level
        self._drive()

    def _drive(self) -> None:
        self._irq(self._line and bool(self.dor & DOR_DMA))

    # -- commands

    def _execute(self, name: str) -> None:
        command = self._command
        number = command[1] & 3 if len(command) > 1 else 0
        bay = self._bay(number)
        match name:
            case "specify":
                self._specify[:] = command[1:3]
                self._done()
            case "drive_status":
                self._answer(self._drive_status(bay, command[1] & 7))
            case "recalibrate" if bay is None:
                self._moved(ST0_ABNORMAL | ST0_SEEK_END | ST0_NO_TRACK_0 | number)
            case "recalibrate":
                self._seek(bay, 0, number)
            case "seek":
                self._seek(bay, self._target(bay), command[1] & 7)
            case "sense_interrupt":
                self._sense_interrupt()
            case "dump":
                tracks = [bay.track for bay in self.bays] + [0] * (DRIVES - len(self.bays))
                flags = self._locked << 7 | self._perpendicular & 0x7F
                self._answer(*tracks, *self._specify, self._place[2], flags, *self._configured[1:])
            case "version":
                self._answer(VERSION_82077)
            case "perpendicular":
                self._perpendicular = command[1]
                self._done()
            case "configure":
                self._configured[:] = command[1:4]
                self._done()
            case "lock":
                self._locked = bool(command[0] & 0x80)
                self._answer(self._locked << 4)
            case "read_id":
                self._read_id(bay, command[1] >> 2 & 1)
            case "read" | "write" | "verify" | "format":
                self._begin(name)
            case _:
                self.mistakes += 1
                self._answer(ST0_INVALID)

    def _answer(self, *octets: int) -> None:
        self._results = bytearray(octets)
        self._phase = "result"

    def _done(self) -> None:
        self._phase = "command"
        self._command.clear()

    def _bay(self, number: int) -> Bay | None:
        return self.bays[number] if number < len(self.bays) else None

    def _drive_status(self, bay: Bay | None, selected: int) -> int:
        status = ST3_ALWAYS | selected
        if bay is not None:
            status |= ST3_TWO_SIDES | (ST3_TRACK_0 if bay.track == 0 else 0)
            status |= ST3_READ_ONLY if bay.disk is not None and bay.disk.readonly else 0
        return status

    def _target(self, bay: Bay | None) -> int:
        """Of SEEK, or of RELATIVE SEEK (§4.2.8)."""
        code, _, track = self._command
        now = 0 if bay is None else bay.track
        return track if not code & 0x80 else now + track if code & 0x40 else now - track

    def _seek(self, bay: Bay | None, track: int, selected: int) -> None:
        if bay is not None:
            bay.move(track)
        self._moved(ST0_SEEK_END | selected)

    def _moved(self, status: int) -> None:
        self._done()
        self._pending = [status]
        self._set_irq(True)

    def _sense_interrupt(self) -> None:
        self._set_irq(False)
        if not self._pending:
            self._answer(ST0_INVALID)
            return
        status = self._pending.pop(0)
        bay = self._bay(status & 3)
        self._answer(status, 0 if bay is None else bay.track)

    def _read_id(self, bay: Bay | None, head: int) -> None:
        if bay is None or bay.format is None or self._is_unreadable(bay) or head >= bay.format.heads:
            self._place = [0, head, 1]
            self._finish(ST0_ABNORMAL, ST1_NO_MARK)
        else:
            self._place = [bay.track, head, 1]
            self._finish(0)

    def _is_unreadable(self, bay: Bay) -> bool:
        """No disk, the wrong rate or encoding, or a place behind the last track."""
        form = bay.format
        return form is None or self.rate not in form.rates or not self._command[0] & MFM or bay.track >= form.cylinders

    # -- commands with data

    @property
    def _name(self) -> str:
        return COMMANDS[self._command[0] & 0x1F][0]

    def _begin(self, name: str) -> None:
        command = self._command
        bay = self._bay(command[1] & 3)
        if name == "format":
            self._place = [0 if bay is None else bay.track, command[1] >> 2 & 1, 1]
            self._formatted = 0
        else:
            self._place = [*command[2:5]]
            if bay is not None and self._configured[1] & CONFIGURE_IMPLIED_SEEK:
                bay.move(command[2])
        self._buffer.clear()
        self._at = 0
        if name == "verify":
            while not self._sector(b"", last=False):
                pass
        elif self._specify[1] & SPECIFY_NON_DMA:
            if name == "read":
                self._load()
            else:
                self._phase = "write"
                self._set_irq(True)
        else:
            self._phase = "dma"
            self._dma.request(CHANNEL, True)
            if self._dma.ready(CHANNEL):
                self._by_dma()

    def _by_dma(self) -> None:
        """The DMA controller is ready: everything at once, sector by sector."""
        if self._phase != "dma":
            return
        self._dma.request(CHANNEL, False)
        name = self._name
        ended = False
        while not ended:
            if name == "read":
                data = self._fetch()
                if data is None:
                    return
                _, last = self._dma.write_memory(CHANNEL, data)
                ended = self._next(last)
            else:
                size = 4 if name == "format" else SECTOR
                data, last = self._dma.read_memory(CHANNEL, size)
                ended = self._sector(data.ljust(size, b"\0"), last=last)

    def _load(self) -> None:
        """Without DMA: the next sector for the FIFO."""
        data = self._fetch()
        if data is not None:
            self._buffer[:], self._at, self._phase = data, 0, "read"
            self._set_irq(True)

    def _read_data(self) -> int:
        value = self._buffer[self._at]
        self._at += 1
        if self._at == len(self._buffer):
            self._set_irq(False)
            if not self._next(False):
                self._load()
        return value

    def _write_data(self, value: int) -> None:
        self._buffer.append(value)
        if len(self._buffer) == (4 if self._name == "format" else SECTOR):
            data = bytes(self._buffer)
            self._buffer.clear()
            self._set_irq(False)
            if not self._sector(data, last=False):
                self._set_irq(True)

    def _sector(self, data: bytes, *, last: bool) -> bool:
        """Write a sector, verify it, or format one. True: the command has ended."""
        if self._name == "format":
            return self._format(data, last=last)
        if self._name == "verify":
            return self._fetch() is None or self._next(False)
        found = self._find()
        if found is None:
            return True
        disk, offset = found
        return not self._store(disk, offset, data) or self._next(last)

    def _format(self, data: bytes, *, last: bool) -> bool:
        """One sector of a track: its address, as the host brings it (§4.2.5); it is filled."""
        command, self._place = self._command, [*data[:3]]
        self._formatted += 1
        found = self._find(written=data[3])
        if found is None or not self._store(*found, bytes((command[5],)) * SECTOR):
            return True
        if self._formatted < command[3] and not last:
            return False
        self._finish(0)
        return True

    def _find(self, written: int | None = None) -> tuple[DiskEnd, int] | None:
        """The disk, and where `_place` is on it; None: the command has ended with an error."""
        (cylinder, head, sector), command = self._place, self._command
        bay = self._bay(command[1] & 3)
        code = command[5] if written is None else written
        if bay is None or bay.disk is None or bay.format is None or self._is_unreadable(bay):
            self._finish(ST0_ABNORMAL, ST1_NO_MARK)
        elif cylinder != bay.track:
            self._finish(ST0_ABNORMAL, ST1_NO_DATA, ST2_WRONG_CYLINDER)
        elif head >= bay.format.heads or not 1 <= sector <= bay.format.sectors or code != CODE_512:
            self._finish(ST0_ABNORMAL, ST1_NO_DATA)
        else:
            return bay.disk, ((cylinder * bay.format.heads + head) * bay.format.sectors + sector - 1) * SECTOR
        self.mistakes += 1
        return None

    def _fetch(self) -> bytes | None:
        found = self._find()
        if found is None:
            return None
        disk, offset = found
        try:
            # an image that is the beginning of a disk: the rest is zeros
            return disk.read_at(offset, SECTOR) if offset < disk.size_octets else bytes(SECTOR)
        except OSError:
            self._finish(ST0_ABNORMAL, ST1_DATA_ERROR)
            return None

    def _store(self, disk: DiskEnd, offset: int, data: bytes) -> bool:
        if disk.readonly:
            self._finish(ST0_ABNORMAL, ST1_READ_ONLY)
            return False
        try:
            if offset >= disk.size_octets:
                raise OSError("behind the image")
            disk.write_at(offset, data)
        except OSError:
            self._finish(ST0_ABNORMAL, ST1_DATA_ERROR)
            return False
        return True

    def _next(self, last: bool) -> bool:
        """Behind a sector (§4.2.1, table 4-4): the next one's place. True: the command has ended."""
        command, place = self._command, self._place
        ends = False
        if place[2] != command[6]:
            place[2] = place[2] + 1 & 0xFF
        else:
            place[2] = 1
            to_second_side = command[0] & MT and not place[1] & 1
            if command[0] & MT:
                place[1] ^= 1
            if not to_second_side:
                place[0] = place[0] + 1 & 0xFF
                ends = True
        if last:
            self._finish(0)
        elif ends:
            ends_well = self._name == "verify" and not command[1] & 0x80
            self._finish(0 if ends_well else ST0_ABNORMAL, 0 if ends_well else ST1_END)
        return last or ends

    def _finish(self, status0: int, status1: int = 0, status2: int = 0) -> None:
        """A command with data has ended: seven octets of result, and an interrupt."""
        self._dma.request(CHANNEL, False)
        selected = self._command[1] & 3 | self._place[1] << 2 & 4
        self._answer(status0 | selected, status1, status2, *self._place, CODE_512)
        self._set_irq(True)

    # -- the rest of a device

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "line": self._line,
            "bays": [
                [bay.track, int(bay.changed), 0 if bay.disk is None else bay.disk.size_octets] for bay in self.bays
            ],
            "dor": self.dor,
            "tdr": self.tdr,
            "rate": self.rate,
            "mistakes": self.mistakes,
            "specify": bytes(self._specify),
            "configured": bytes(self._configured),
            "perpendicular": self._perpendicular,
            "locked": self._locked,
            "phase": self._phase,
            "command": bytes(self._command),
            "results": bytes(self._results),
            "pending": bytes(self._pending),
            "place": bytes(self._place),
            "buffer": bytes(self._buffer),
            "at": self._at,
            "formatted": self._formatted,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`. The interrupt controllers' own state holds their inputs."""
        take_version(state, 1)
        bays = take(state, "bays", list)
        sizes = [0 if bay.disk is None else bay.disk.size_octets for bay in self.bays]
        if [bay[2] if isinstance(bay, list) and len(bay) == 3 else None for bay in bays] != sizes:
            raise SnapshotError("snapshot: other floppy disks")
        octets = {
            name: take(state, name, bytes)
            for name in ("specify", "configured", "command", "results", "pending", "place", "buffer")
        }
        phase, at = take(state, "phase", str), take_int(state, "at", SECTOR)
        length = COMMANDS.get(octets["command"][0] & 0x1F, ("", 1))[1] if octets["command"] else 0
        in_data = phase in ("dma", "read", "write")
        good = (
            (len(octets["specify"]), len(octets["configured"]), len(octets["place"])) == (2, 3, 3)
            and phase in ("command", "result", "dma", "read", "write")
            and len(octets["command"]) <= length
            and (not in_data or len(octets["command"]) == length > 5)
            and len(octets["results"]) <= 10
            and (phase != "result" or octets["results"])
            and (phase != "command" or not length or len(octets["command"]) < length)
            and len(octets["pending"]) <= DRIVES
            and (len(octets["buffer"]) == SECTOR > at if phase == "read" else len(octets["buffer"]) <= SECTOR)
            and (phase != "write" or len(octets["buffer"]) < SECTOR)
        )
        if not good:
            raise SnapshotError("snapshot: a floppy controller that cannot be")
        for bay, saved in zip(self.bays, bays, strict=True):
            bay.track = take_int({"track": saved[0]}, "track", MOST_CYLINDER)
            bay.changed = bool(saved[1])
        self._line = take(state, "line", bool)
        for name, most in (("dor", 0xFF), ("tdr", 3), ("rate", 3), ("mistakes", 1 << 62)):
            setattr(self, name, take_int(state, name, most))
        self._specify, self._configured = bytearray(octets["specify"]), bytearray(octets["configured"])
        self._perpendicular = take_int(state, "perpendicular", 0xFF)
        self._locked = take(state, "locked", bool)
        self._phase, self._at = phase, at
        self._command, self._results = bytearray(octets["command"]), bytearray(octets["results"])
        self._pending, self._place = list(octets["pending"]), list(octets["place"])
        self._buffer = bytearray(octets["buffer"])
        self._formatted = take_int(state, "formatted", 1 << 16)
