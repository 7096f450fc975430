"""Text modes: the cells of the screen, and the pixels that the character generator makes of them.

Reference: IBM PS/2 Hardware Interface Technical Reference, Video Subsystems, "Alphanumeric modes"; character maps:
"Character Map Select Register".

Theory: the CRT controller counts characters; a character's code is in plane 0, its attribute in plane 1, its pixels
in plane 2, 32 octets a character. Fonts lie in eight blocks of 8 KiB, two of which the character map register
chooses by the attribute's bit 3.

Limits: as many rows as lines are displayed, 256 columns. The cursor and blinking characters are drawn as in the
phase in which they show. Not emulated: the blink's phases, cursor skew, 40-column modes' 16 dots without doubling.
"""

from typing import Final

from emulators.devices.video import dac
from emulators.devices.video.addresses import addresses
from emulators.devices.video.picture import Cursor, Frame, TextScreen
from emulators.devices.video.planes import LANES, PLANES
from emulators.devices.video.vga import FONT_OCTETS, Vga
from emulators.devices.video.vga_registers import (
    ATTRIBUTE_MODE,
    ATTRIBUTE_MODE_BLINK,
    ATTRIBUTE_MODE_LINE,
    ATTRIBUTE_MODE_MONO,
    CHARACTER_MAP,
    CLOCKING,
    CLOCKING_8_DOTS,
    CLOCKING_HALF,
    CURSOR_END,
    CURSOR_HIGH,
    CURSOR_LOW,
    CURSOR_OFF,
    CURSOR_START,
    H_DISPLAYED,
    MAXIMUM_SCAN,
    OFFSET,
    START_HIGH,
    START_LOW,
    UNDERLINE,
)

FONTS: Final = (0x0000, 0x4000, 0x8000, 0xC000, 0x2000, 0x6000, 0xA000, 0xE000)
LINE_GRAPHICS: Final = range(0xC0, 0xE0)
"""Characters whose eighth column is repeated in the ninth."""


def _height(vga: Vga) -> int:
    return (vga.crtc[MAXIMUM_SCAN] & 0x1F) + 1


def _shape(vga: Vga) -> tuple[int, int, list[list[int]]]:
    """Columns, rows, and for each row the places of its characters."""
    columns = vga.crtc[H_DISPLAYED] + 1
    rows = max(1, vga.lines() // (_height(vga) << (vga.crtc[MAXIMUM_SCAN] >> 7)))
    table = addresses(vga)
    start = vga.crtc[START_HIGH] << 8 | vga.crtc[START_LOW]
    compare = vga.line_compare() // (_height(vga) << (vga.crtc[MAXIMUM_SCAN] >> 7))
    places = []
    base = start
    for row in range(rows):
        places.append([table[base + column & 0xFFFF] for column in range(columns)])
        base = 0 if row == compare else base + 2 * vga.crtc[OFFSET]
    return columns, rows, places


def screen(vga: Vga) -> TextScreen:
    """The cells."""
    vga.memory.synchronise()
    columns, rows, places = _shape(vga)
    octets = vga.memory.octets
    codes, attributes = octets[LANES[0] :: PLANES], octets[LANES[1] :: PLANES]
    return TextScreen(
        columns,
        rows,
        bytes(codes[place] for row in places for place in row),
        bytes(attributes[place] for row in places for place in row),
        _cursor(vga, columns, rows),
        dac.text_colours(vga),
        bool(vga.attribute[ATTRIBUTE_MODE] & ATTRIBUTE_MODE_BLINK),
    )


def _cursor(vga: Vga, columns: int, rows: int) -> Cursor | None:
    crtc = vga.crtc
    first, last = crtc[CURSOR_START] & 0x1F, crtc[CURSOR_END] & 0x1F
    if crtc[CURSOR_START] & CURSOR_OFF or first > last or first >= _height(vga):
        return None
    at = (crtc[CURSOR_HIGH] << 8 | crtc[CURSOR_LOW]) - (crtc[START_HIGH] << 8 | crtc[START_LOW]) & 0xFFFF
    stride = 2 * crtc[OFFSET] or columns
    row, column = divmod(at, stride)
    if row >= rows or column >= columns:
        return None
    return Cursor(column, row, last - first >= _height(vga) // 2)


def frame(vga: Vga) -> Frame:
    """The pixels."""
    shown = screen(vga)
    height = _height(vga)
    clocking = vga.sequencer[CLOCKING]
    nine = not clocking & CLOCKING_8_DOTS
    lines: list[bytes] = []
    cache: dict[tuple[int, int, int], bytes] = {}
    table = _Glyphs(vga, nine=nine, wide=bool(clocking & CLOCKING_HALF), cache=cache)
    first, last = vga.crtc[CURSOR_START] & 0x1F, vga.crtc[CURSOR_END] & 0x1F
    for row in range(shown.rows):
        at = row * shown.columns
        cells = list(
            zip(shown.characters[at : at + shown.columns], shown.attributes[at : at + shown.columns], strict=True)
        )
        cursor = shown.cursor if shown.cursor is not None and shown.cursor.row == row else None
        for scan in range(height):
            pieces = [cache.get((code, look, scan)) or table.make(code, look, scan) for code, look in cells]
            if cursor is not None and first <= scan <= last:
                look = cells[cursor.column][1]
                pieces[cursor.column] = bytes((look & 0xF,)) * len(pieces[cursor.column])
            lines += [b"".join(pieces)] * (2 if vga.crtc[MAXIMUM_SCAN] & 0x80 else 1)
    missing = vga.lines() - len(lines)  # lines below the last whole row
    lines += [bytes(len(lines[0]))] * max(0, missing)
    entries = b"".join(lines[: vga.lines()]).translate(dac.indices(vga).ljust(256, b"\0"))
    return Frame(len(lines[0]), vga.lines(), dac.paint(entries, vga))


class _Glyphs:
    """One line of a character, as values for the attribute controller."""

    def __init__(self, vga: Vga, *, nine: bool, wide: bool, cache: dict[tuple[int, int, int], bytes]) -> None:
        maps = vga.sequencer[CHARACTER_MAP]
        self._fonts = (FONTS[maps & 3 | maps >> 2 & 4], FONTS[maps >> 2 & 3 | maps >> 3 & 4])
        self._pixels = vga.memory.octets[LANES[2] :: PLANES]
        self._nine, self._wide = nine, wide
        mode = vga.attribute[ATTRIBUTE_MODE]
        self._repeats = bool(mode & ATTRIBUTE_MODE_LINE)
        self._blinks = bool(mode & ATTRIBUTE_MODE_BLINK)
        self._underline = vga.crtc[UNDERLINE] & 0x1F if mode & ATTRIBUTE_MODE_MONO else -1
        self._cache = cache

    def make(self, code: int, look: int, scan: int) -> bytes:
        fore, back = look & 0xF, look >> 4 & (7 if self._blinks else 0xF)
        bits = self._pixels[self._fonts[look >> 3 & 1] + code * FONT_OCTETS + scan]
        if scan == self._underline and look & 0x77 == 1:
            bits = 0xFF
        dots = [fore if bits & 0x80 >> dot else back for dot in range(8)]
        if self._nine:
            dots.append(dots[7] if self._repeats and code in LINE_GRAPHICS else back)
        if self._wide:
            dots = [dot for dot in dots for _ in range(2)]
        piece = self._cache[code, look, scan] = bytes(dots)
        return piece
