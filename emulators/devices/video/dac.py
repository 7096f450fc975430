"""Colours: from a pixel's value through palette registers, mask and DAC to red, green and blue.

Reference: IBM PS/2 Hardware Interface Technical Reference, Video Subsystems, "Attribute Controller", "Digital-to-Analog
Converter".
"""

from emulators.devices.video.picture import Colour
from emulators.devices.video.vga import Vga
from emulators.devices.video.vga_registers import ATTRIBUTE_MODE, ATTRIBUTE_MODE_P54, COLOUR_SELECT, PLANE_ENABLE


def indices(vga: Vga) -> bytes:
    """The DAC's entry for each of the sixteen values that come to the attribute controller."""
    select = vga.attribute[COLOUR_SELECT]
    split = vga.attribute[ATTRIBUTE_MODE] & ATTRIBUTE_MODE_P54
    octets = bytearray(16)
    for value in range(16):
        entry = vga.attribute[value & vga.attribute[PLANE_ENABLE] & 0xF]
        if split:
            entry = entry & 0x0F | (select & 0x03) << 4
        octets[value] = entry | (select & 0x0C) << 4
    return bytes(octets)


def components(vga: Vga) -> tuple[bytes, bytes, bytes]:
    """Red, green and blue of all 256 entries, behind the mask."""
    masked = [entry & vga.dac_mask for entry in range(256)]
    six = bytes((value & 0x3F) << 2 | (value & 0x3F) >> 4 for value in range(256))
    level = bytes(range(256)) if vga.dac_eight else six
    red, green, blue = (bytes(level[vga.palette[3 * entry + part]] for entry in masked) for part in range(3))
    return red, green, blue


def text_colours(vga: Vga) -> tuple[Colour, ...]:
    """Of the sixteen attributes."""
    red, green, blue = components(vga)
    return tuple((red[entry], green[entry], blue[entry]) for entry in indices(vga))


def paint(entries: bytes | bytearray, vga: Vga) -> bytes:
    """DAC entries as pixels of three octets."""
    pixels = bytearray(3 * len(entries))
    for part, level in enumerate(components(vga)):
        pixels[part::3] = entries.translate(level)
    return bytes(pixels)
