"""The picture in the linear frame buffer: pixels of 4, 8, 15, 16, 24 and 32 bits."""

from array import array
from functools import lru_cache
from typing import Final

from emulators.devices.video import dac
from emulators.devices.video.picture import Frame
from emulators.devices.video.raster import SPREAD
from emulators.devices.video.vbe import X_OFFSET, XRES, Y_OFFSET, YRES, Dispi, FrameBuffer
from emulators.devices.video.vga import Vga

HIGH_COLOUR: Final = {15: ((10, 5), (5, 5), (0, 5)), 16: ((11, 5), (5, 6), (0, 5))}
"""Red, green and blue: lowest bit, and how many."""


def frame(vga: Vga, dispi: Dispi, buffer: FrameBuffer, *, big_endian: bool = False) -> Frame:
    """The pixels. `big_endian`: the most significant octet of a pixel comes first."""
    width, height = dispi.registers[XRES], dispi.registers[YRES]
    depth, stride = dispi.depth, dispi.stride()
    if depth == 4:
        return Frame(width, height, dac.paint(_planar(vga, dispi), vga))
    octets_each = (depth + 7) // 8
    first = dispi.registers[Y_OFFSET] * stride + dispi.registers[X_OFFSET] * octets_each
    line = width * octets_each
    whole = buffer.peek(first, stride * (height - 1) + line)
    if line != stride:
        whole = b"".join(whole[at : at + line] for at in range(0, stride * height, stride))
    if depth == 8:
        return Frame(width, height, dac.paint(whole, vga))
    pixels = bytearray(3 * width * height)
    if depth in HIGH_COLOUR:
        values = array("H", whole)
        if (array("H", b"\1\0")[0] != 1) != big_endian:
            values.byteswap()
        for part, (shift, bits) in enumerate(HIGH_COLOUR[depth]):
            pixels[part::3] = bytes(map(_level(shift, bits).__getitem__, values))
    else:
        for part in range(3):
            pixels[part::3] = whole[octets_each - 3 + part if big_endian else 2 - part :: octets_each]
    return Frame(width, height, bytes(pixels))


@lru_cache
def _level(shift: int, bits: int) -> bytes:
    """The component of all 65536 values: full is 255, and the highest bits fill the lowest."""
    most = (1 << bits) - 1
    levels = bytes(value << 8 - bits | value >> 2 * bits - 8 for value in range(most + 1))
    return bytes(levels[value >> shift & most] for value in range(1 << 16))


def _planar(vga: Vga, dispi: Dispi) -> bytes:
    vga.memory.synchronise()
    places, entries = vga.memory.places, dac.indices(vga) * 16
    clocks, stride = dispi.registers[XRES] // 8, dispi.stride() * 8 // 4 // 8
    first = dispi.registers[Y_OFFSET] * stride + dispi.registers[X_OFFSET] // 8
    one, two, three, four = SPREAD
    lines = []
    for line in range(dispi.registers[YRES]):
        at = first + line * stride
        for clock in range(clocks):
            word = places[at + clock & 0xFFFF]
            octets = one[word & 0xFF] | two[word >> 8 & 0xFF] | three[word >> 16 & 0xFF] | four[word >> 24]
            lines.append(octets.to_bytes(8, "big"))
    return b"".join(lines).translate(entries)
