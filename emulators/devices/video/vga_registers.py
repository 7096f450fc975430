"""Names of the VGA's registers and bits, and the sets of registers that a BIOS knows as modes.

Reference: IBM PS/2 Hardware Interface Technical Reference, Video Subsystems (1992), "Video Graphics Array Function";
Intel OpenSource HD Graphics PRM, Volume 3 Part 1: VGA (2009), chapters 2–7; FreeVGA.

Ports are offsets from 0x3B0. This module has no behaviour.
"""

from dataclasses import dataclass
from typing import Final

FIRST_PORT: Final = 0x3B0
PORTS: Final = 0x30

MONO_INDEX, MONO_DATA, MONO_STATUS = 0x04, 0x05, 0x0A
ATTRIBUTE, ATTRIBUTE_READ, MISC_WRITE, ENABLE = 0x10, 0x11, 0x12, 0x13
SEQUENCER_INDEX, SEQUENCER_DATA = 0x14, 0x15
DAC_MASK, DAC_READ_INDEX, DAC_WRITE_INDEX, DAC_DATA = 0x16, 0x17, 0x18, 0x19
FEATURE_READ, MISC_READ, GRAPHICS_INDEX, GRAPHICS_DATA = 0x1A, 0x1C, 0x1E, 0x1F
COLOUR_INDEX, COLOUR_DATA, COLOUR_STATUS = 0x24, 0x25, 0x2A

MISC_COLOUR, MISC_RAM, MISC_CLOCK_SHIFT = 0x01, 0x02, 2

STATUS_0_SWITCH: Final = 0x10
"""A colour monitor is there."""
STATUS_NOT_DISPLAYED, STATUS_RETRACE = 0x01, 0x08

# Sequencer
RESET, CLOCKING, MAP_MASK, CHARACTER_MAP, MEMORY_MODE = range(5)
CLOCKING_8_DOTS, CLOCKING_HALF, CLOCKING_OFF = 0x01, 0x08, 0x20
MEMORY_NOT_ODD_EVEN, MEMORY_CHAIN_4 = 0x04, 0x08

# Graphics controller
SET_RESET, ENABLE_SET_RESET, COMPARE, ROTATE, READ_MAP, MODE, MISCELLANEOUS, DONT_CARE, BIT_MASK = range(9)
MODE_WRITE, MODE_READ_COMPARE, MODE_ODD_EVEN, MODE_INTERLEAVE, MODE_256 = 0x03, 0x08, 0x10, 0x20, 0x40
MISCELLANEOUS_GRAPHICS, MISCELLANEOUS_ODD_EVEN, MISCELLANEOUS_MAP_SHIFT = 0x01, 0x02, 2
WINDOWS: Final = ((0x00000, 0x20000), (0x00000, 0x10000), (0x10000, 0x08000), (0x18000, 0x08000))
"""Where memory shows by the memory map field: offset from 0xA0000, octets."""

# CRT controller
H_TOTAL, H_DISPLAYED, V_TOTAL, OVERFLOW, PRESET_ROW, MAXIMUM_SCAN = 0x00, 0x01, 0x06, 0x07, 0x08, 0x09
CURSOR_START, CURSOR_END, START_HIGH, START_LOW, CURSOR_HIGH, CURSOR_LOW = 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
V_RETRACE_START, V_RETRACE_END, V_DISPLAYED, OFFSET, UNDERLINE = 0x10, 0x11, 0x12, 0x13, 0x14
V_BLANK_START, V_BLANK_END, CRTC_MODE, LINE_COMPARE = 0x15, 0x16, 0x17, 0x18
CURSOR_OFF: Final = 0x20
PROTECT: Final = 0x80  # of V_RETRACE_END: registers 0 to 7 keep what they have
SCAN_DOUBLE: Final = 0x80  # of MAXIMUM_SCAN
UNDERLINE_DOUBLEWORD: Final = 0x40
CRTC_MODE_A13, CRTC_MODE_A14, CRTC_MODE_WRAP, CRTC_MODE_BYTE = 0x01, 0x02, 0x20, 0x40

# Attribute controller
ATTRIBUTE_MODE, OVERSCAN, PLANE_ENABLE, PANNING, COLOUR_SELECT = range(0x10, 0x15)
ATTRIBUTE_MODE_MONO, ATTRIBUTE_MODE_LINE, ATTRIBUTE_MODE_BLINK = 0x02, 0x04, 0x08
ATTRIBUTE_MODE_SPLIT, ATTRIBUTE_MODE_P54 = 0x20, 0x80
ATTRIBUTE_PAS: Final = 0x20  # of the index: the screen shows

SEQUENCER_WRITABLE: Final = (0x03, 0x3D, 0x0F, 0x3F, 0x0E)
GRAPHICS_WRITABLE: Final = (0x0F, 0x0F, 0x0F, 0x1F, 0x03, 0x7B, 0x0F, 0x0F, 0xFF)
ATTRIBUTE_WRITABLE: Final = (*(0x3F,) * 16, 0xEF, 0xFF, 0x3F, 0x0F, 0x0F)
CRTC_REGISTERS: Final = 0x19

DOT_CLOCKS_HZ: Final = (25_175_000, 28_322_000, 25_175_000, 25_175_000)
"""By the clock field of the miscellaneous register; the last two are inputs that nothing drives here."""


@dataclass(frozen=True)
class Mode:
    """A set of registers: IBM's tables, "BIOS modes"."""

    misc: int
    sequencer: bytes
    crtc: bytes
    graphics: bytes
    attribute: bytes


EGA_PALETTE: Final = bytes((0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F))

TEXT_80_25: Final = Mode(
    0x67,
    bytes.fromhex("03 00 03 00 02"),
    bytes.fromhex("5f4f50825581bf1f004f0d0e00000000 9c8e8f281f96b9a3ff"),
    bytes.fromhex("00 00 00 00 00 10 0e 0f ff"),
    EGA_PALETTE + bytes.fromhex("0c 00 0f 08 00"),
)
"""Mode 3 with 9 × 16 dots a character: what a PC shows when it is switched on."""


def ega_colours() -> bytes:
    """The DAC's first 64 entries as a BIOS sets them for text: bits 0–2 are two thirds, 3–5 one third of full."""
    octets = bytearray()
    for value in range(64):
        octets += bytes(
            (0x2A if value & primary else 0) + (0x15 if value & secondary else 0)
            for primary, secondary in ((4, 0x20), (2, 0x10), (1, 0x08))
        )
    return bytes(octets)
