"""The keyboard at the end of a PS/2 cable: 101 or 102 keys, scan code sets 1 and 2.

Reference: IBM PS/2 Hardware Interface Technical Reference (1991), "Keyboard (101- and 102-key)", commands and codes.

Emulated: commands ED (lights), EE, F0 (scan set 1 or 2, or which), F2, F3, F4, F5, F6, F7–FA and FB–FD (accepted: they
are about set 3), FE, FF; the buffer of `BUFFER_OCTETS` with its overrun code.

Not emulated: scan set 3 (FE), repetition of a held key (rate and delay are accepted; whoever presses keys here
repeats them), passing of time while the keyboard tests itself.

| threat | stopped by |
|---|---|
| keys that nobody reads | the buffer; then one overrun code, and the rest is counted |
| answers for every octet that a guest writes | `ANSWERS` of them; the rest is counted |
"""

from collections import deque
from typing import Final

from emulators.device import State
from emulators.devices.input.keys import scan_codes
from emulators.snapshot import SnapshotError, take, take_int

ACK, RESEND, TESTED, ECHO = 0xFA, 0xFE, 0xAA, 0xEE
IDENTITY: Final = (0xAB, 0x83)
OVERRUN: Final = {1: 0xFF, 2: 0x00}
BUFFER_OCTETS: Final = 48
"""The keyboard has 17; chosen so that a pasted chord of six keys fits whole."""
ANSWERS: Final = 16
LONGEST_OCTETS: Final = 8
"""Of one key's codes (Pause)."""
WITH_ARGUMENT: Final = (0xED, 0xF0, 0xF3, 0xFB, 0xFC, 0xFD)


class Ps2Keyboard:
    """The keyboard."""

    def __init__(self) -> None:
        self.answers: deque[int] = deque()
        self.codes: deque[int] = deque()
        self.lights = 0
        self.typematic = 0x2B
        self.scan_set = 2
        self.scanning = True
        self.mistakes = 0
        self._expects = 0
        self._last = 0

    def press(self, name: str, *, down: bool) -> None:
        """A key goes down or up. Raises KeyError: there is no such key."""
        octets = scan_codes(name, down=down, scan_set=self.scan_set)
        if not self.scanning:
            return
        if len(self.codes) + len(octets) < BUFFER_OCTETS:
            self.codes.extend(octets)
        else:
            self.mistakes += 1
            if len(self.codes) < BUFFER_OCTETS and (not self.codes or self.codes[-1] != OVERRUN[self.scan_set]):
                self.codes.append(OVERRUN[self.scan_set])

    def ready(self) -> int:
        """How many keys could be pressed or released now."""
        return (BUFFER_OCTETS - 1 - len(self.codes)) // LONGEST_OCTETS if self.scanning else 1

    def has_octet(self) -> bool:
        """Is there something to send?"""
        return bool(self.answers or self.codes)

    def take(self) -> int:
        """The next octet that it sends."""
        self._last = self.answers.popleft() if self.answers else self.codes.popleft()
        return self._last

    def write(self, value: int) -> None:
        """An octet comes from the controller."""
        if self._expects:
            expected, self._expects = self._expects, 0
            if value < 0xED:
                self._argument(expected, value)
                return
        match value:
            case _ if value in WITH_ARGUMENT:
                self._expects = value
                self._answer(ACK)
            case 0xEE:
                self._answer(ECHO)
            case 0xF2:
                self._answer(ACK, *IDENTITY)
            case 0xF4:
                self.codes.clear()
                self.scanning = True
                self._answer(ACK)
            case 0xF5 | 0xF6:
                self._defaults()
                self.scanning = value == 0xF6
                self._answer(ACK)
            case 0xF7 | 0xF8 | 0xF9 | 0xFA:
                self._answer(ACK)
            case 0xFE:
                self._answer(self._last)
            case 0xFF:
                self.answers.clear()
                self._defaults()
                self.lights, self.scanning = 0, True
                self._answer(ACK, TESTED)
            case _:
                self.mistakes += 1
                self._answer(RESEND)

    def _argument(self, command: int, value: int) -> None:
        match command:
            case 0xED:
                self.lights = value & 7
            case 0xF3:
                self.typematic = value & 0x7F
            case 0xF0 if value == 0:
                self._answer(ACK, self.scan_set)
                return
            case 0xF0 if value in (1, 2):
                self.scan_set = value
                self.codes.clear()
            case 0xF0:
                self.mistakes += 1
                self._answer(RESEND)
                return
        self._answer(ACK)

    def _defaults(self) -> None:
        self.codes.clear()
        self.scan_set, self.typematic = 2, 0x2B

    def _answer(self, *octets: int) -> None:
        if len(self.answers) + len(octets) > ANSWERS:
            self.mistakes += 1
            return
        self.answers.extend(octets)

    NUMBERS = (("lights", 7), ("typematic", 0x7F), ("scan_set", 2), ("_expects", 0xFF), ("_last", 0xFF))

    def saved(self) -> State:
        """What belongs to the controller's state."""
        return {
            "answers": bytes(self.answers),
            "codes": bytes(self.codes),
            "scanning": self.scanning,
            **{name.lstrip("_"): getattr(self, name) for name, _ in self.NUMBERS},
        }

    def restore(self, state: State) -> None:
        """Take it back. Raises SnapshotError."""
        answers, codes = take(state, "answers", bytes), take(state, "codes", bytes)
        if len(answers) > ANSWERS or len(codes) > BUFFER_OCTETS or not take_int(state, "scan_set", 2):
            raise SnapshotError("snapshot: keyboard")
        self.answers, self.codes = deque(answers), deque(codes)
        self.scanning = take(state, "scanning", bool)
        for name, most in self.NUMBERS:
            setattr(self, name, take_int(state, name.lstrip("_"), most))
