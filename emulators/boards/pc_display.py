"""The PC's display, keyboard and mouse: the card, its ports, and the screen that the user sees.

A Linux kernel that is started without firmware finds the screen in the mode that `vga=` in its parameters names, as a
boot loader would have set it (Documentation/admin-guide/kernel-parameters.txt; the numbers are VESA's + 0x200).
"""

import struct
from typing import Final

from emulators.boards.pc_chipset import Chipset
from emulators.devices.video.planes import WINDOW, WINDOW_OCTETS, GuestMemory
from emulators.devices.video.stdvga import StdVga, find_font
from emulators.devices.video.vbe import BPP, ENABLE, ENABLED, LINEAR, OCTETS, XRES, YRES
from emulators.devices.video.vga_registers import FIRST_PORT, PORTS

NAME: Final = "vga"
DISPI_PORT, DISPI_PORTS = 0x1CE, 4

SIZES: Final = ((640, 480), (800, 600), (1024, 768), (1280, 1024))
VESA_MODES: Final = {
    **{
        0x10D + 3 * (index + 1) + kind: (*size, depth)
        for index, size in enumerate(SIZES)
        for kind, depth in enumerate((15, 16, 24))
    },
    **{0x142 + index: (*size, 32) for index, size in enumerate(SIZES)},
}
"""VBE 3.0, "standard modes", and those of 32 bits as the BIOSes of Bochs and SeaBIOS number them."""
VGA_PARAMETER: Final = 0x200
SCREEN_INFO: Final = struct.Struct("<BBHHBBBBHHBBHHHHIIHHHBBBBBBBBHHHHI")
"""include/uapi/linux/screen_info.h, up to `capabilities`."""
LINEAR_TYPE: Final = 0x23  # VIDEO_TYPE_VLFB
ATTRIBUTES: Final = 0x9B  # VBE 3.0: supported, colour, graphics, linear
FIELDS: Final = {
    15: (5, 10, 5, 5, 5, 0, 1, 15),
    16: (5, 11, 6, 5, 5, 0, 0, 0),
    24: (8, 16, 8, 8, 8, 0, 0, 0),
    32: (8, 16, 8, 8, 8, 0, 8, 24),
}
"""Size and lowest bit of red, green, blue, and of what is left."""


def plug_display(chipset: Chipset, vm: GuestMemory) -> StdVga:
    """A VGA in the next free slot, and the user's end of it.

    Raises:
        ConfigError: there is no room.
    """
    vga = StdVga(NAME, timeline=chipset.timeline, vm=vm, warp=chipset.events.warp)
    chipset.plug(vga)
    chipset.io.map(FIRST_PORT, PORTS, vga.ports, name="vga registers")
    chipset.io.map(DISPI_PORT, DISPI_PORTS, vga.dispi, name="vga frame buffer registers")
    chipset.memory.map(WINDOW, WINDOW_OCTETS, vga.window, name="vga memory")
    end = chipset.outside.screen()
    end.look, end.frame = vga.look, vga.frame
    end.on_key, end.ready_keys = chipset.keyboard.press, chipset.keyboard.keyboard.ready
    end.on_mouse = chipset.keyboard.move
    return vga


def start_in_text(vga: StdVga, bios: bytes) -> None:
    """What firmware leaves: a text screen of 80 columns, with the font that is in the VGA's BIOS, if there is one."""
    vga.ports.start_in_text(find_font(bios))


def linear_mode(command_line: str) -> tuple[int, int, int] | None:
    """Width, height and depth that the last `vga=` names; None: text, as it is."""
    for word in reversed(command_line.split()):
        if word.startswith("vga="):
            try:
                return VESA_MODES.get(int(word.removeprefix("vga="), 0) - VGA_PARAMETER)
            except ValueError:
                return None
    return None


def start_linear(vga: StdVga, command_line: str) -> bytes:
    """Set the mode that a kernel's parameters name; answers what the kernel is told of it, nothing if it is text.

    The frame buffer has its address by now.
    """
    mode = linear_mode(command_line)
    base = vga.bar_address(vga.bars[0])
    if mode is None or base is None:
        return b""
    width, height, depth = mode
    for index, value in ((XRES, width), (YRES, height), (BPP, depth), (ENABLE, ENABLED | LINEAR)):
        vga.registers.set(index, value)
    vga.registers_changed()
    head = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, LINEAR_TYPE, 0)
    place = (width, height, depth, base, OCTETS >> 16, 0, 0, vga.registers.stride())
    return SCREEN_INFO.pack(*head, *place, *FIELDS[depth], 0, 0, 1, ATTRIBUTES, 0)
