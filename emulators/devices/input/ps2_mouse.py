"""The mouse at the end of a PS/2 cable: three buttons, and a wheel for those who ask for it.

Reference: IBM PS/2 Hardware Interface Technical Reference (1991), "Mouse"; Microsoft, "IntelliMouse PS/2 protocol" (the
identity 3 after sample rates 200, 100, 80, and a fourth octet).

Emulated: commands E6–EC, EE, F0, F2–F6, FE, FF; stream, remote and wrap mode; scaling 2:1; resolution; overflow bits.

Not emulated: the pace of reports by the sample rate (the cable's own limits it), identities beyond 3.

| threat | stopped by |
|---|---|
| movements that nobody reads | they add up within `FARTHEST`, one report at a time |
"""

from collections import deque
from typing import Final

from emulators.device import State
from emulators.snapshot import SnapshotError, take, take_int

ACK, RESEND, TESTED = 0xFA, 0xFE, 0xAA
WHEEL: Final = 3
WHEEL_RATES: Final = [200, 100, 80]
ANSWERS: Final = 16
FARTHEST: Final = 1 << 15
SCALED: Final = (0, 1, 1, 3, 6, 9)  # "Mouse", set scaling 2:1
REPORT_ALWAYS, REPORT_X_SIGN, REPORT_Y_SIGN, REPORT_X_OVER, REPORT_Y_OVER = 0x08, 0x10, 0x20, 0x40, 0x80
DEFAULT_RATE, DEFAULT_RESOLUTION = 100, 2


class Ps2Mouse:
    """The mouse."""

    def __init__(self) -> None:
        self.answers: deque[int] = deque()
        self.mistakes = 0
        self.identity = 0
        self.buttons = 0
        self._moved = [0, 0, 0]
        self._rates: list[int] = []
        self._expects = 0
        self._last = 0
        self._changed = False
        self._wrap = False
        self._defaults()

    def _defaults(self) -> None:
        self._rate, self._resolution = DEFAULT_RATE, DEFAULT_RESOLUTION
        self._scaling = self._remote = self._reporting = False
        self._forget()

    def _forget(self) -> None:
        self._moved, self._changed = [0, 0, 0], False

    def move(self, right: int, up: int, wheel: int = 0, buttons: int | None = None) -> None:
        """It was moved by so many counts, and these buttons are down (left, right, middle from bit 0 on)."""
        for axis, by in enumerate((right, up, wheel)):
            self._moved[axis] = max(-FARTHEST, min(self._moved[axis] + by, FARTHEST))
        if buttons is not None:
            self._changed |= buttons & 7 != self.buttons
            self.buttons = buttons & 7

    def has_octet(self) -> bool:
        """Is there something to send? (A report is made as soon as the one before has gone.)"""
        if not self.answers and self._reporting and not self._remote and not self._wrap:
            wheel = self._moved[2] if self.identity == WHEEL else 0
            if self._changed or any(self._moved[:2]) or wheel:
                self._report(scaled=self._scaling)
        return bool(self.answers)

    def take(self) -> int:
        """The next octet that it sends."""
        self._last = self.answers.popleft()
        return self._last

    def _report(self, *, scaled: bool) -> None:
        flags = REPORT_ALWAYS | self.buttons
        octets = []
        for axis, (sign, over) in enumerate(((REPORT_X_SIGN, REPORT_X_OVER), (REPORT_Y_SIGN, REPORT_Y_OVER))):
            step = max(-256, min(self._moved[axis], 255))
            self._moved[axis] -= step
            if scaled:
                size = abs(step)
                size = SCALED[size] if size < len(SCALED) else 2 * size
                step = size if step >= 0 else -size
            if not -256 <= step <= 255:
                flags |= over
                step = max(-256, min(step, 255))
            flags |= sign if step < 0 else 0
            octets.append(step & 0xFF)
        if self.identity == WHEEL:
            step = max(-8, min(self._moved[2], 7))
            self._moved[2] -= step
            octets.append(-step & 0xFF)  # towards the user is positive
        else:
            self._moved[2] = 0
        self._changed = False
        self._answer(flags, *octets)

    def write(self, value: int) -> None:
        """An octet comes from the controller."""
        if self._wrap and value not in (0xEC, 0xFF):
            self._answer(value)
            return
        if self._expects:
            expected, self._expects = self._expects, 0
            self._argument(expected, value)
            return
        self.answers.clear()  # a command ends a report that is on its way
        match value:
            case 0xE6 | 0xE7:
                self._scaling = value == 0xE7
                self._answer(ACK)
            case 0xE8 | 0xF3:
                self._expects = value
                self._answer(ACK)
            case 0xE9:
                flags = self._remote << 6 | self._reporting << 5 | self._scaling << 4
                left, right, middle = (self.buttons >> bit & 1 for bit in range(3))
                self._answer(ACK, flags | left << 2 | middle << 1 | right, self._resolution, self._rate)
            case 0xEA | 0xF0:
                self._remote = value == 0xF0
                self._forget()
                self._answer(ACK)
            case 0xEB:
                self._answer(ACK)
                self._report(scaled=False)
            case 0xEC | 0xEE:
                self._wrap = value == 0xEE
                self._forget()
                self._answer(ACK)
            case 0xF2:
                self._answer(ACK, self.identity)
            case 0xF4 | 0xF5:
                self._reporting = value == 0xF4
                self._forget()
                self._answer(ACK)
            case 0xF6:
                self._defaults()
                self._answer(ACK)
            case 0xFE:
                self._answer(self._last)
            case 0xFF:
                self._defaults()
                self.identity, self._wrap, self._rates = 0, False, []
                self._answer(ACK, TESTED, 0)
            case _:
                self.mistakes += 1
                self._answer(RESEND)

    def _argument(self, command: int, value: int) -> None:
        if command == 0xE8 and value <= 3:
            self._resolution = value
        elif command == 0xF3 and value in (10, 20, 40, 60, 80, 100, 200):
            self._rate = value
            self._rates = [*self._rates, value][-3:]
            if self._rates == WHEEL_RATES:
                self.identity = WHEEL
        else:
            self.mistakes += 1
            self._answer(RESEND)
            return
        self._answer(ACK)

    def _answer(self, *octets: int) -> None:
        if len(self.answers) + len(octets) > ANSWERS:
            self.mistakes += 1
            return
        self.answers.extend(octets)

    NUMBERS = (
        ("identity", WHEEL),
        ("buttons", 7),
        ("_rate", 200),
        ("_resolution", 3),
        ("_expects", 0xFF),
        ("_last", 0xFF),
    )
    FLAGS = ("_changed", "_wrap", "_scaling", "_remote", "_reporting")

    def saved(self) -> State:
        """What belongs to the controller's state."""
        return {
            "answers": bytes(self.answers),
            "rates": bytes(self._rates),
            "moved": [by + FARTHEST for by in self._moved],
            **{name.lstrip("_"): getattr(self, name) for name, _ in self.NUMBERS},
            **{name.lstrip("_"): getattr(self, name) for name in self.FLAGS},
        }

    def restore(self, state: State) -> None:
        """Take it back. Raises SnapshotError."""
        answers, rates = take(state, "answers", bytes), take(state, "rates", bytes)
        moved = take(state, "moved", list)
        fits = [type(by) is int and 0 <= by <= 2 * FARTHEST for by in moved]
        if len(answers) > ANSWERS or len(rates) > len(WHEEL_RATES) or len(fits) != 3 or not all(fits):
            raise SnapshotError("snapshot: mouse")
        self.answers, self._rates = deque(answers), list(rates)
        self._moved = [by - FARTHEST for by in moved]
        for name, most in self.NUMBERS:
            setattr(self, name, take_int(state, name.lstrip("_"), most))
        for name in self.FLAGS:
            setattr(self, name, take(state, name.lstrip("_"), bool))
