"""From what a terminal sends to the keys of a PC's keyboard.

Reference: ECMA-48 (CSI and SS3 sequences); xterm's "ctlseqs" (function keys, modifiers as a second parameter); the
Linux console's F1–F5 (`ESC [ [ A`).

A terminal sends characters, not keys: each becomes the keys that type it in the US layout, pressed and released. Ctrl-]
begins a command of ours. An ESC that nothing follows at once is the Escape key; one that a character follows is Alt.

Limits: a sequence is at most `LONGEST` octets; characters that the US layout has not are counted in `strange`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from emulators.devices.input.keys import US

PREFIX: Final = 0x1D  # Ctrl-], as telnet(1) and vde console
ESCAPE: Final = 0x1B
LONGEST: Final = 24

Chord = tuple[str, ...]

FINAL_KEYS: Final = {
    "A": "up",
    "B": "down",
    "C": "right",
    "D": "left",
    "E": "kp_5",
    "F": "end",
    "H": "home",
    "M": "kp_enter",
    "P": "f1",
    "Q": "f2",
    "R": "f3",
    "S": "f4",
}
NUMBERED_KEYS: Final = {
    1: "home",
    2: "insert",
    3: "delete",
    4: "end",
    5: "page_up",
    6: "page_down",
    7: "home",
    8: "end",
    **{11 + index: f"f{1 + index}" for index in range(5)},
    **{17 + index: f"f{6 + index}" for index in range(5)},
    23: "f11",
    24: "f12",
    29: "menu",
    32: "pause",
}
CONSOLE_KEYS: Final = {letter: f"f{1 + index}" for index, letter in enumerate("ABCDE")}
MODIFIER_BITS: Final = (("shift", 1), ("alt", 2), ("ctrl", 4))
CONTROLS: Final[dict[int, Chord]] = {
    0x00: ("ctrl", "space"),
    0x08: ("backspace",),
    0x09: ("tab",),
    0x0A: ("enter",),
    0x0D: ("enter",),
    0x1C: ("ctrl", "backslash"),
    0x1E: ("ctrl", "6"),
    0x1F: ("ctrl", "minus"),
    0x7F: ("backspace",),
}


@dataclass(frozen=True, slots=True)
class Command:
    """What followed Ctrl-]."""

    letter: str


class TerminalKeys:
    """Takes octets as they come."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self.strange = 0

    @property
    def waits(self) -> bool:
        """Has something begun that more octets may end?"""
        return bool(self._rest)

    def feed(self, octets: bytes) -> Iterator[Chord | Command]:
        """What they mean."""
        self._rest += octets
        while self._rest:
            taken, meaning = self._next(whole=False)
            if not taken:
                return
            del self._rest[:taken]
            if meaning is not None:
                yield meaning

    def flush(self) -> Iterator[Chord | Command]:
        """Nothing more came: what began is all there is."""
        while self._rest:
            taken, meaning = self._next(whole=True)
            del self._rest[: max(taken, 1)]
            if meaning is not None:
                yield meaning

    def _next(self, *, whole: bool) -> tuple[int, Chord | Command | None]:
        """Octets that are taken, 0 if more are wanted, and what they mean."""
        first = self._rest[0]
        if first == PREFIX:
            if len(self._rest) < 2:
                return (1, None) if whole else (0, None)
            if self._rest[1] == PREFIX:
                return 2, ("ctrl", "right_bracket")
            letter = chr(self._rest[1])
            return 2, Command(letter if letter.isprintable() else "?")
        if first == ESCAPE:
            return self._escape(whole=whole)
        if first in CONTROLS:
            return 1, CONTROLS[first]
        if first < 0x20:
            return 1, ("ctrl", chr(first + 0x60))
        if first < 0x80:
            return 1, US[chr(first)]
        return self._other(first, whole=whole)

    def _other(self, first: int, *, whole: bool) -> tuple[int, None]:
        """A character beyond ASCII: no key has it."""
        length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        if len(self._rest) < length and not whole:
            return 0, None
        taken = 1
        while taken < min(length, len(self._rest)) and self._rest[taken] & 0xC0 == 0x80:
            taken += 1
        self.strange += 1
        return taken, None

    def _escape(self, *, whole: bool) -> tuple[int, Chord | None]:
        rest = self._rest
        if len(rest) == 1:
            return (1, ("escape",)) if whole else (0, None)
        if rest[1] == ESCAPE:
            return 1, ("escape",)
        if rest[1] not in b"[O":
            if rest[1] in CONTROLS:
                return 2, ("alt", *CONTROLS[rest[1]])
            if rest[1] < 0x20:
                return 2, ("alt", "ctrl", chr(rest[1] + 0x60))
            return (2, ("alt", *US[chr(rest[1])])) if rest[1] < 0x80 else (1, ("escape",))
        if rest[1] == ord("O"):
            if len(rest) < 3:
                return (2, ("alt", "shift", "o")) if whole else (0, None)
            return 3, self._named(FINAL_KEYS.get(chr(rest[2])))
        return self._sequence(whole=whole)

    def _sequence(self, *, whole: bool) -> tuple[int, Chord | None]:
        """Behind ESC [."""
        rest = self._rest
        if len(rest) >= 3 and rest[2] == ord("["):
            if len(rest) < 4:
                return (3, None) if whole else (0, None)
            return 4, self._named(CONSOLE_KEYS.get(chr(rest[3])))
        at = 2
        while at < len(rest) and 0x20 <= rest[at] < 0x40:
            at += 1
        if at > LONGEST:
            self.strange += 1
            return at, None
        if at >= len(rest):
            if not whole:
                return 0, None
            return (2, ("alt", "left_bracket")) if at == 2 else (at, None)
        parameters = bytes(rest[2:at]).decode("ascii")
        final = chr(rest[at]) if 0x40 <= rest[at] < 0x7F else ""
        return at + 1, self._meaning(parameters, final)

    def _meaning(self, parameters: str, final: str) -> Chord | None:
        numbers = [int(part) if part.isdecimal() and len(part) < 4 else 0 for part in parameters.split(";")]
        if final == "Z":
            return ("shift", "tab")
        name = NUMBERED_KEYS.get(numbers[0]) if final == "~" else FINAL_KEYS.get(final)
        bits = numbers[1] - 1 if len(numbers) > 1 and numbers[1] else 0
        return self._named(name, *(modifier for modifier, bit in MODIFIER_BITS if bits & bit))

    def _named(self, name: str | None, *modifiers: str) -> Chord | None:
        if name is None:
            self.strange += 1
            return None
        return (*modifiers, name)
