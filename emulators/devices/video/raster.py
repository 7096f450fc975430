"""Graphics modes: the pixels that the VGA makes of its planes.

Reference: IBM PS/2 Hardware Interface Technical Reference, Video Subsystems, "All-points-addressable modes"; Intel HD
Graphics PRM vol. 3 part 1 (2009), §6, §7.

Theory: in every character clock the CRT controller fetches one place, four octets. The shift registers make eight
pixels of four bits of it (planar), or eight of two bits (interleaved: CGA), or four of eight bits, each two dots wide.
A frame has all dots and scan lines that a monitor would get: mode 13h is 640 × 400.

Limits: 256 character clocks of 16 dots, 2048 lines. Not emulated: character clocks' counts by two and four, panning by
whole octets (CR08) beyond what four clocks more give, overscan (a frame ends where blanking may begin).
"""

from typing import Final

from emulators.devices.video import dac
from emulators.devices.video.addresses import addresses
from emulators.devices.video.picture import Frame
from emulators.devices.video.vga import Vga
from emulators.devices.video.vga_registers import (
    ATTRIBUTE_MODE,
    ATTRIBUTE_MODE_SPLIT,
    CLOCKING,
    CLOCKING_HALF,
    CRTC_MODE,
    CRTC_MODE_A13,
    CRTC_MODE_A14,
    H_DISPLAYED,
    MAXIMUM_SCAN,
    MODE,
    MODE_256,
    MODE_INTERLEAVE,
    OFFSET,
    PANNING,
    PRESET_ROW,
    SCAN_DOUBLE,
    START_HIGH,
    START_LOW,
)

A13, A14 = 0x2000, 0x4000
SPREAD: Final = tuple(
    tuple(int.from_bytes(bytes((octet >> 7 - dot & 1) << plane for dot in range(8)), "big") for octet in range(256))
    for plane in range(4)
)
"""Eight pixels, one an octet, that an octet of a plane contributes to."""
PAIRS: Final = tuple(
    int.from_bytes(bytes(octet >> 6 - 2 * pair & 3 for pair in range(4)), "big") for octet in range(256)
)
"""Four pixels of two bits, in the interleaved shift mode."""


def frame(vga: Vga) -> Frame:
    """The pixels."""
    memory, crtc = vga.memory, vga.crtc
    memory.synchronise()
    scanner = _Scanner(vga)
    lines, height, row_octets = vga.lines(), crtc[MAXIMUM_SCAN] & 0x1F, 2 * crtc[OFFSET]
    halves = 2 if crtc[MAXIMUM_SCAN] & SCAN_DOUBLE else 1
    compare = vga.line_compare()
    base = crtc[START_HIGH] << 8 | crtc[START_LOW]
    panning = _panning(vga)
    skip = crtc[PRESET_ROW] >> 5 & 3
    scan, half = crtc[PRESET_ROW] & 0x1F, 0
    out = []
    for line in range(lines):
        out.append(scanner.line(base + skip, scan, panning))
        half += 1
        if half >= halves:
            half = 0
            scan += 1
            if scan > height:
                scan, base = 0, base + row_octets
        if line == compare:
            base = scan = half = 0
            if vga.attribute[ATTRIBUTE_MODE] & ATTRIBUTE_MODE_SPLIT:
                panning = skip = 0
    return Frame(scanner.width, lines, dac.paint(b"".join(out), vga))


def _panning(vga: Vga) -> int:
    """Dots by which the picture is shifted to the left."""
    pixels = vga.attribute[PANNING] & 7
    return pixels << bool(vga.sequencer[CLOCKING] & CLOCKING_HALF)


class _Scanner:
    """Makes lines of DAC entries; remembers the last one, for those that are shown several times."""

    def __init__(self, vga: Vga) -> None:
        self._places = vga.memory.places
        self._addresses = addresses(vga)
        self._clocks = vga.crtc[H_DISPLAYED] + 1
        self._wide = bool(vga.sequencer[CLOCKING] & CLOCKING_HALF)
        self._mode = vga.graphics[MODE]
        self._entries = dac.indices(vga) * 16
        crtc_mode = vga.crtc[CRTC_MODE]
        self._row_a13, self._row_a14 = not crtc_mode & CRTC_MODE_A13, not crtc_mode & CRTC_MODE_A14
        self._last: tuple[tuple[int, int, int], bytes] | None = None
        self.width = self._clocks * (16 if self._wide else 8)

    def line(self, counter: int, scan: int, panning: int) -> bytes:
        """The line whose first place has that count."""
        key = (counter, scan if self._row_a13 or self._row_a14 else 0, panning)
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        pixels = self._pixels(self._fetch(counter, scan, self._clocks + (1 if panning else 0)))
        if self._wide:
            pixels = _doubled(pixels)
        pixels = pixels[panning : panning + self.width]
        self._last = (key, pixels)
        return pixels

    def _fetch(self, counter: int, scan: int, clocks: int) -> list[int]:
        counter &= 0xFFFF
        table = self._addresses
        where = table[counter : counter + clocks]
        if len(where) < clocks:
            where += table[: clocks - len(where)]
        if self._row_a13:
            where = [address & ~A13 | (A13 if scan & 1 else 0) for address in where]
        if self._row_a14:
            where = [address & ~A14 | (A14 if scan & 2 else 0) for address in where]
        places = self._places
        return [places[address] for address in where]

    def _pixels(self, words: list[int]) -> bytes:
        if self._mode & MODE_256:
            return _doubled(b"".join([word.to_bytes(4, "little") for word in words]))
        if self._mode & MODE_INTERLEAVE:
            octets = b"".join(
                [
                    (PAIRS[word & 0xFF] | PAIRS[word >> 16 & 0xFF] << 2).to_bytes(4, "big")
                    + (PAIRS[word >> 8 & 0xFF] | PAIRS[word >> 24] << 2).to_bytes(4, "big")
                    for word in words
                ]
            )
        else:
            one, two, three, four = SPREAD
            octets = b"".join(
                [
                    (one[word & 0xFF] | two[word >> 8 & 0xFF] | three[word >> 16 & 0xFF] | four[word >> 24]).to_bytes(
                        8, "big"
                    )
                    for word in words
                ]
            )
        return octets.translate(self._entries)


def _doubled(octets: bytes) -> bytes:
    twice = bytearray(2 * len(octets))
    twice[0::2] = twice[1::2] = octets
    return bytes(twice)
