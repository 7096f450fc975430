"""The PC's display, keyboard and mouse: the card, its ports, and the screen that the user sees."""

from typing import Final

from emulators.boards.pc_chipset import Chipset
from emulators.devices.video.planes import WINDOW, WINDOW_OCTETS, GuestMemory
from emulators.devices.video.stdvga import StdVga, find_font
from emulators.devices.video.vga_registers import FIRST_PORT, PORTS

NAME: Final = "vga"
DISPI_PORT, DISPI_PORTS = 0x1CE, 4


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
