"""What can be seen on a display: a text screen, or a frame of pixels. This module has no behaviour but conversions.

Code page 437 with its graphics for 0x00–0x1F (IBM, "Code Page CPGID 00437"): every octet of a guest's becomes one
printable character, so a control code on its screen is never one on the user's terminal.
"""

from dataclasses import dataclass
from typing import Final

GRAPHICS: Final = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
CP437: Final = tuple(
    GRAPHICS + bytes(range(0x20, 0x7F)).decode("ascii") + "⌂" + bytes(range(0x80, 0xFF)).decode("cp437") + " "
)
TABLE: Final = dict(enumerate(CP437))

Colour = tuple[int, int, int]
"""Red, green and blue, 0 … 255."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where it is, and whether it fills more than half of the character."""

    column: int
    row: int
    is_block: bool


@dataclass(frozen=True, slots=True)
class TextScreen:
    """Cells, row by row.

    Attributes:
        characters: code page 437.
        attributes: foreground in bits 0–3, background in 4–6, and bit 7 as `blinks` says.
        colours: of the sixteen values.
        blinks: bit 7 makes a character blink; otherwise it is the background's fourth.
    """

    columns: int
    rows: int
    characters: bytes
    attributes: bytes
    cursor: Cursor | None
    colours: tuple[Colour, ...]
    blinks: bool

    def lines(self) -> list[str]:
        """The rows as text, without blanks at their ends."""
        whole = self.characters.decode("latin-1").translate(TABLE)
        return [whole[at : at + self.columns].rstrip() for at in range(0, self.columns * self.rows, self.columns)]


@dataclass(frozen=True, slots=True)
class Frame:
    """Pixels, line by line, three octets each: red, green, blue."""

    width: int
    height: int
    pixels: bytes
