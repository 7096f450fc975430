"""A PC's screen as commands to a terminal.

Reference: ECMA-48 (CUP, SGR, ED); colours by ISO 8613-6 (SGR 38;2 and 48;2) where the terminal has them, else SGR
30–37, 90–97.

**Nothing of the guest's reaches the terminal raw**: characters come out of `picture.CP437`, where none is a control
code; positions and colours are numbers that are computed here.

Theory: the painter remembers what the terminal shows, and sends what differs, row by row, in runs of equal attributes.
After a character that some terminals show two columns wide, it says again where it is. A screen that is larger than
the terminal is shown around its cursor. Pixels are shown as upper half blocks, two in a cell. The last line is ours
when we have something to say.
"""

from dataclasses import dataclass
from typing import Final

from emulators.devices.video.picture import CP437, Colour, Frame, TextScreen

ENTER: Final = b"\x1b[?1049h\x1b[2J\x1b[?25l"
LEAVE: Final = b"\x1b[0m\x1b[?25h\x1b[2J\x1b[?1049l"
ANSI: Final = (0, 4, 2, 6, 1, 5, 3, 7)
"""SGR's number of each of the PC's first eight colours."""
MOST_COLUMNS, MOST_ROWS = 400, 200

Cell = tuple[str, Colour | int, Colour | int, bool]
"""Character, foreground, background, blinking."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of the terminal."""

    columns: int
    rows: int


class Painter:
    """Of one terminal.

    Args:
        size: of it.
        true_colour: does it have 16 million colours?
    """

    def __init__(self, size: Size, *, true_colour: bool) -> None:
        self._true_colour = true_colour
        self._status = ""
        self.resize(size)

    def resize(self, size: Size) -> None:
        """It has another size: all is sent again."""
        self._size = Size(max(1, min(size.columns, MOST_COLUMNS)), max(2, min(size.rows, MOST_ROWS)))
        self._shown: list[list[Cell] | None] = [None] * self._size.rows
        self._fresh = True
        self._cursor: tuple[int, int] | None = None

    def say(self, text: str) -> None:
        """Our own line, at the bottom."""
        self._status = "".join(character if character.isprintable() else "?" for character in text)

    def paint(self, picture: TextScreen | Frame) -> bytes:
        """What to send, so that this is shown."""
        out: list[str] = []
        if self._fresh:
            out.append("\x1b[0m\x1b[2J")
            self._fresh = False
        cursor: tuple[int, int] | None = None
        if isinstance(picture, TextScreen):
            rows, cursor = self._cells(picture)
        else:
            rows = self._blocks(picture)
        wide = self._size.columns
        wide = self._size.columns
        plain = self._plain()
        rows = rows[: self._high]
        rows += [[] for _ in range(self._high - len(rows))]
        if self._status:
            rows.append([(character, 0, 7, False) for character in self._status[:wide].ljust(wide)])
        for number, row in enumerate(rows):
            cells = [*row[:wide], *[plain] * (wide - len(row))]
            if cells != self._shown[number]:
                out.append(self._row(number, cells, self._shown[number]))
                self._shown[number] = cells
        if out or cursor != self._cursor:
            self._cursor = cursor
            where = "" if cursor is None else f"\x1b[{cursor[1] + 1};{cursor[0] + 1}H"
            out.append(f"\x1b[0m{where}\x1b[?25{'l' if cursor is None else 'h'}")
        return "".join(out).encode()

    @property
    def _high(self) -> int:
        """Lines for the guest's screen."""
        return self._size.rows - bool(self._status)

    def _plain(self) -> Cell:
        return (" ", (0, 0, 0), (0, 0, 0), False) if self._true_colour else (" ", 7, 0, False)

    def _row(self, number: int, cells: list[Cell], before: list[Cell] | None) -> str:
        first, last = 0, len(cells)
        if before is not None and len(before) == len(cells):
            while first < last and cells[first] == before[first]:
                first += 1
            while last > first and cells[last - 1] == before[last - 1]:
                last -= 1
        out, look, placed = [], None, False
        for column in range(first, last):
            character, *now = cells[column]
            if not placed:
                out.append(f"\x1b[{number + 1};{column + 1}H")
                placed = True
            if now != look:
                out.append(_rendition(*cells[column][1:]))
                look = now
            out.append(character)
            placed = ord(character) < 0x2000 or 0x2500 <= ord(character) < 0x25A0
        return "".join(out)

    def _cells(self, screen: TextScreen) -> tuple[list[list[Cell]], tuple[int, int] | None]:
        """Those that the terminal has room for, and where the cursor is on it."""
        wide, high = self._size.columns, self._high
        left = top = 0
        if screen.cursor is not None:
            left = max(0, min(screen.cursor.column - wide + 1, screen.columns - wide))
            top = max(0, min(screen.cursor.row - high + 1, screen.rows - high))
        looks: dict[int, tuple[Colour | int, Colour | int, bool]] = {
            look: self._look(screen, look) for look in set(screen.attributes)
        }
        rows: list[list[Cell]] = []
        for row in range(top, min(screen.rows, top + high)):
            start = row * screen.columns
            at = slice(start + left, start + min(screen.columns, left + wide))
            rows.append(
                [
                    (CP437[code], *looks[look])
                    for code, look in zip(screen.characters[at], screen.attributes[at], strict=True)
                ]
            )
        cursor = None
        if screen.cursor is not None:
            cursor = (screen.cursor.column - left, screen.cursor.row - top)
        return rows, cursor

    def _look(self, screen: TextScreen, look: int) -> tuple[Colour | int, Colour | int, bool]:
        fore, back = look & 0xF, look >> 4
        blinks = screen.blinks and bool(back & 8)
        if screen.blinks:
            back &= 7
        if self._true_colour:
            return screen.colours[fore], screen.colours[back], blinks
        return ANSI[fore & 7] | fore & 8, ANSI[back & 7] | back & 8, blinks

    def _blocks(self, frame: Frame) -> list[list[Cell]]:
        """Pixels, two in a cell, the picture's shape kept."""
        wide, high = self._size.columns, 2 * self._high
        scale = max(frame.width / wide, frame.height / high)
        columns, lines = max(1, int(frame.width / scale)), max(2, int(frame.height / scale) & ~1)
        columns, lines = min(columns, wide), min(lines, high)
        xs = [3 * (column * frame.width // columns) for column in range(columns)]

        def line(number: int) -> list[Colour | int]:
            start = 3 * frame.width * min(frame.height - 1, number * frame.height // lines)
            return [self._nearest(*frame.pixels[start + x : start + x + 3]) for x in xs]

        return [
            [("▀", upper, lower, False) for upper, lower in zip(line(number), line(number + 1), strict=True)]
            for number in range(0, lines, 2)
        ]

    def _nearest(self, red: int, green: int, blue: int) -> Colour | int:
        if self._true_colour:
            return red, green, blue
        most = max(red, green, blue)
        if most < 48:
            return 0
        bits = (red > most // 2) | (green > most // 2) << 1 | (blue > most // 2) << 2
        return bits | (8 if most > 200 else 0)


def _rendition(fore: Colour | int, back: Colour | int, blinks: bool) -> str:
    parts = ["0"]
    for colour, base in ((fore, 30), (back, 40)):
        if isinstance(colour, int):
            parts.append(str(base + colour if colour < 8 else base + 60 + colour - 8))
        else:
            parts.append(f"{base + 8};2;{colour[0]};{colour[1]};{colour[2]}")
    if blinks:
        parts.append("5")
    return f"\x1b[{';'.join(parts)}m"
