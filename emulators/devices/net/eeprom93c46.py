"""A 93C46 serial EEPROM: 64 words of 16 bits behind three wires and an answer.

Datasheet: Microchip 93C46B (DS21749), table 2-5 (instructions in 16-bit organisation). Boards: on network cards
(`emulators.devices.net.rtl8139`, `emulators.devices.net.e1000`).

Instructions: a start bit (1), two bits of operation code, six of address, and 16 of data where there are some: READ
(goes on with the next word while it is clocked), EWEN, EWDS, WRITE, ERASE, WRAL, ERAL. A write is done at once: DO says
"ready" whenever it is looked at afterwards.

Not emulated: the time that a write takes, 8-bit organisation.

Threat: a snapshot of another size (refused). There is nothing here that grows with what the guest does.
"""

from typing import Final

from emulators.device import State
from emulators.snapshot import SnapshotError, take, take_int, take_version

WORDS: Final = 64
COMMAND_BITS: Final = 8
READ, WRITE, ERASE, OTHER = 2, 1, 3, 0
EWDS, WRAL, ERAL, EWEN = 0, 1, 2, 3  # the two upper address bits of OTHER


class Eeprom93c46:
    """One chip.

    Args:
        words: what it contains.
    """

    def __init__(self, words: list[int]) -> None:
        if len(words) > WORDS:
            raise ValueError(f"{len(words)} words")
        self.words = words + [0xFFFF] * (WORDS - len(words))
        self.writable = False
        self.selected = self.clock = False
        self.output = True
        self._deselect()

    def _deselect(self) -> None:
        self._started = False
        self._bits = self._count = 0
        self._command = -1
        self._shift = 0
        self.output = True

    def drive(self, *, select: bool, clock: bool, data: bool) -> None:
        """Set CS, SK and DI. A rising SK takes a bit in, or brings the next one to DO (`output`)."""
        if not select:
            self._deselect()
        elif clock and not self.clock and self.selected:
            self._edge(data)
        self.selected, self.clock = select, clock

    def _edge(self, data: bool) -> None:
        if not self._started:
            self._started = data
            return
        if self._command >> 6 == READ:
            self.output = bool(self._shift & 0x8000)
            self._shift = self._shift << 1 & 0xFFFF
            self._count += 1
            if self._count == 16:
                self._command = READ << 6 | (self._command + 1 & 0x3F)
                self._shift, self._count = self.words[self._command & 0x3F], 0
            return
        self._bits = (self._bits << 1 | data) & 0xFFFF
        self._count += 1
        if self._command < 0 and self._count == COMMAND_BITS:
            self._start(self._bits)
        elif self._command >= 0 and self._count == 16:
            self._store(self._bits)

    def _start(self, command: int) -> None:
        operation, address = command >> 6, command & 0x3F
        self._bits = self._count = 0
        self._command = command
        if operation == READ:
            self._shift = self.words[address]
            self.output = False  # the dummy bit
        elif operation == ERASE:
            self._put(address, 0xFFFF)
        elif operation == OTHER and address >> 4 in (EWEN, EWDS):
            self.writable = address >> 4 == EWEN
        elif operation == OTHER and address >> 4 == ERAL:
            for at in range(WORDS):
                self._put(at, 0xFFFF)

    def _store(self, value: int) -> None:
        operation, address = self._command >> 6, self._command & 0x3F
        self._count = 0
        if operation == WRITE:
            self._put(address, value)
        elif operation == OTHER and address >> 4 == WRAL:
            for at in range(WORDS):
                self._put(at, value)

    def _put(self, at: int, value: int) -> None:
        if self.writable:
            self.words[at] = value

    def state(self) -> State:
        """All of it."""
        return {
            "version": 1,
            "words": list(self.words),
            "pins": [self.selected, self.clock, self.output, self.writable, self._started],
            "shift": [self._bits, self._count, self._command + 1, self._shift],
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        take_version(state, 1)
        words, pins, shift = take(state, "words", list), take(state, "pins", list), take(state, "shift", list)
        if len(words) != WORDS or [type(pin) for pin in pins] != [bool] * 5 or len(shift) != 4:
            raise SnapshotError("snapshot: 93c46")
        words = [take_int({"word": word}, "word", 0xFFFF) for word in words]
        limits = (0xFFFF, 15, 0x100, 0xFFFF)
        bits, count, command, shifted = (
            take_int({"shift": value}, "shift", limit) for value, limit in zip(shift, limits, strict=True)
        )
        self.words = words
        self.selected, self.clock, self.output, self.writable, self._started = pins
        self._bits, self._count, self._command, self._shift = bits, count, command - 1, shifted
