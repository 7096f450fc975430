"""One IDE channel: the registers through which a host talks to two drives, and their interrupt.

Specification: ATA/ATAPI-6, clauses 5.2 (signals), 7 (registers), 9.1 to 9.3 (resets), 9.10 (diagnostic).
Boards: pc (ports 0x1F0 and 0x3F6, interrupt 14; 0x170 and 0x376, interrupt 15).

Theory: the host's writes to the command block go to both drives, the command to the one that is selected (EXECUTE
DEVICE DIAGNOSTIC to both). The line is what the selected drive wants, unless nIEN is set. The bus master
(`emulators.devices.ata.busmaster`) hangs on `interrupted` (the line rises) and `wants_dma` (a drive has data for it).

An absent second drive answers 0, as the first one has to do for it; a channel without drives is pulled up: 0xFF.

Offsets: 0 … 7 the command block, 8 … 15 the control block (only 8 + 6 is there).

| threat | stopped by |
|---|---|
| string reads of megabytes | the engine bounds a string; here a DRQ block is fetched once |
| registers written while a command has data | ignored, counted, but for a reset |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State
from emulators.devices.ata.drive import BSY, COUNT, DEV, DEVICE_OBSOLETE, FEATURES, HIGH, LOW, MID, Drive, Transfer
from emulators.snapshot import SnapshotError, take, take_int, take_version

DATA, ERROR, DEVICE, STATUS = 0, 1, 6, 7
REGISTERS: Final = {1: FEATURES, 2: COUNT, 3: LOW, 4: MID, 5: HIGH}
CONTROL: Final = 8 + 6
CONTROL_NIEN, CONTROL_SRST, CONTROL_HOB = 0x02, 0x04, 0x80  # §7.8
EXECUTE_DIAGNOSTIC, DEVICE_RESET = 0x90, 0x08
FLOATING: Final = 0xFF


class Channel:
    """One channel.

    Args:
        irq: its line.
        drives: the first and the second.
    """

    timed = False

    def __init__(self, *, irq: Irq, drives: tuple[Drive | None, Drive | None] = (None, None)) -> None:
        self.drives: list[Drive | None] = list(drives)
        self._irq = irq
        self._line = False
        self.selected = 0
        self.control = 0
        self.mistakes = 0
        self.interrupted: Callable[[], None] = lambda: None
        self.wants_dma: Callable[[], None] = lambda: None

    @property
    def drive(self) -> Drive | None:
        """The selected one."""
        return self.drives[self.selected]

    @property
    def dma_waits(self) -> Transfer | None:
        """For what the bus master is awaited."""
        return None if self.drive is None else self.drive.dma_waits

    def update(self) -> None:
        """Drive the line."""
        drive = self.drive
        level = drive is not None and drive.interrupt and not self.control & CONTROL_NIEN
        if level != self._line:
            self._line = level
            if level:
                self.interrupted()
            self._irq(level)

    # -- registers

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        if offset == DATA:
            return int.from_bytes(self.read_string(offset, size, 1), "little")
        value = 0
        for lane in range(size):
            value |= self._read(offset + lane) << 8 * lane
        return value

    def _read(self, offset: int) -> int:
        drive = self.drive
        if drive is None:
            return FLOATING if self.drives[1 - self.selected] is None else 0
        if offset in REGISTERS:
            if offset == ERROR:
                return drive.error
            value = drive.registers[REGISTERS[offset]]
            return value >> 8 if self.control & CONTROL_HOB else value & 0xFF
        match offset:
            case 6:
                return drive.device & 0x4F | DEVICE_OBSOLETE | self.selected * DEV
            case 7 | 14:
                if self.control & CONTROL_SRST:
                    return BSY
                if offset == STATUS:
                    drive.interrupt = False
                    self.update()
                return drive.status
            case _:
                return FLOATING

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if offset == DATA:
            self.write_string(offset, size, value.to_bytes(size, "little"))
            return
        for lane in range(size):
            self._write(offset + lane, value >> 8 * lane & 0xFF)

    def _write(self, offset: int, value: int) -> None:
        if offset == CONTROL:
            self._control(value)
        elif offset == STATUS:
            self._command(value)
        elif offset <= DEVICE:
            self.control &= ~CONTROL_HOB  # §7.8: any write to the command block
            if self.drive is not None and self.drive.busy:
                self.mistakes += 1
                if offset != DEVICE:
                    return
            if offset == DEVICE:
                self.selected = 1 if value & DEV else 0
            for drive in self.drives:
                if drive is None or drive.busy:
                    continue
                if offset == DEVICE:
                    drive.device = value
                else:
                    drive.set_register(REGISTERS[offset], value)
            self.update()

    def _control(self, value: int) -> None:
        before, self.control = self.control, value
        if value & CONTROL_SRST:
            for drive in self.drives:
                if drive is not None:
                    drive.transfer = None
                    drive.interrupt = False
        elif before & CONTROL_SRST:
            self._reset()
        self.update()

    def _reset(self) -> None:
        self.selected = 0
        for drive in self.drives:
            if drive is not None:
                drive.reset()

    def _command(self, code: int) -> None:
        drive = self.drive
        self.control &= ~CONTROL_HOB
        if code == EXECUTE_DIAGNOSTIC and any(self.drives):
            self._reset()
            first = self.drives[0] or self.drives[1]
            assert first is not None
            first.interrupt = self.drives[0] is not None
        elif drive is None or self.control & CONTROL_SRST:
            self.mistakes += 1
        elif drive.busy and code != DEVICE_RESET:
            self.mistakes += 1  # §7.4: it stops what it does
            drive.abort()
        else:
            drive.interrupt = False
            drive.command(code)
        self.update()
        if self.dma_waits is not None:
            self.wants_dma()

    # -- data

    def read_string(self, offset: int, size: int, count: int) -> bytes:
        """Several reads of the data register."""
        if offset != DATA:
            return b"".join(self.read(offset, size).to_bytes(size, "little") for _ in range(count))
        if self.drive is None:
            return b"\xff" * (size * count)
        data = self.drive.pull(size * count)
        self.update()
        return data

    def write_string(self, offset: int, size: int, data: bytes) -> None:
        """Several writes of the data register."""
        if offset != DATA:
            for at in range(0, len(data), size):
                self.write(offset, size, int.from_bytes(data[at : at + size], "little"))
            return
        if self.drive is not None:
            self.drive.push(data)
            self.update()
            if self.dma_waits is not None:  # behind a packet
                self.wants_dma()

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
            "selected": self.selected,
            "control": self.control,
            "line": self._line,
            "mistakes": self.mistakes,
            "drives": [None if drive is None else drive.state() for drive in self.drives],
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`. The interrupt controllers' own state holds their inputs."""
        take_version(state, 1)
        drives = take(state, "drives", list)
        if [drive is None for drive in drives] != [drive is None for drive in self.drives]:
            raise SnapshotError("snapshot: other drives on an IDE channel")
        self.selected = take_int(state, "selected", 1)
        self.control = take_int(state, "control", 0xFF)
        self._line = take(state, "line", bool)
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        for drive, saved in zip(self.drives, drives, strict=True):
            if drive is not None:
                drive.from_state(saved)
