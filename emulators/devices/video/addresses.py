"""How the CRT controller's counter becomes an address of video memory.

Reference: IBM PS/2 Hardware Interface Technical Reference, Video Subsystems, "CRT Controller", Mode Control Register
(byte and word mode, address wrap), Underline Location Register (doubleword mode).
"""

from functools import lru_cache

from emulators.devices.video.vga import Vga
from emulators.devices.video.vga_registers import (
    CRTC_MODE,
    CRTC_MODE_BYTE,
    CRTC_MODE_WRAP,
    UNDERLINE,
    UNDERLINE_DOUBLEWORD,
)


def addresses(vga: Vga) -> list[int]:
    """Of all 65536 values of the counter."""
    mode = vga.crtc[CRTC_MODE]
    if vga.crtc[UNDERLINE] & UNDERLINE_DOUBLEWORD:
        return _doubleword()
    if mode & CRTC_MODE_BYTE:
        return _byte()
    return _word(15 if mode & CRTC_MODE_WRAP else 13)


@lru_cache
def _byte() -> list[int]:
    return list(range(0x10000))


@lru_cache
def _word(wrap: int) -> list[int]:
    return [counter << 1 & 0xFFFE | counter >> wrap & 1 for counter in range(0x10000)]


@lru_cache
def _doubleword() -> list[int]:
    return [counter << 2 & 0xFFFC | counter >> 14 & 3 for counter in range(0x10000)]
