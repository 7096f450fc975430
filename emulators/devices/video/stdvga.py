"""The PC's display: a VGA with a linear frame buffer, as a PCI function (QEMU's "standard VGA").

Reference: QEMU, docs/specs/standard-vga.rst; the parts' own: `vga`, `planes`, `vbe`.
Boards: pc; mac (which begins big-endian).

| what | where |
|---|---|
| VGA registers | ports 0x3B0–0x3DF; base register 2, 0x400–0x41F (ports 0x3C0–0x3DF) |
| frame buffer registers | ports 0x1CE–0x1D1; base register 2, 0x500–0x515 |
| planes, or a bank of the frame buffer | 0xA0000–0xBFFFF |
| frame buffer | base register 0, 16 MiB |

Identity 1234:1111, revision 2, by which Debian's vgabios-stdvga (an option ROM by that name) and Linux' bochs-drm know
it.

Base register 2 has the frame buffer's byte order at 0x604: 0x1E1E1E1E little, 0xBEBEBEBE big.

Not emulated: EDID (base register 2, 0x000: zeros, so drivers offer their own modes), the command register's effect on
ports and on 0xA0000 (they always answer, as on the only display of a machine).

| threat | stopped by |
|---|---|
| octets on the screen that would be commands to a terminal | only `picture.CP437` leaves a text screen |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State, Timeline
from emulators.devices.pci.config import PciFunction
from emulators.devices.video import linear, raster, text
from emulators.devices.video.picture import Frame, TextScreen
from emulators.devices.video.planes import GuestMemory
from emulators.devices.video.vbe import BANK, BANK_OCTETS, EIGHT_BIT_DAC, ENABLE, OCTETS, REGISTERS, Dispi, FrameBuffer
from emulators.devices.video.vga import Vga
from emulators.devices.video.vga_registers import (
    ATTRIBUTE_PAS,
    CLOCKING,
    CLOCKING_OFF,
    H_DISPLAYED,
    MISCELLANEOUS,
    MISCELLANEOUS_GRAPHICS,
)
from emulators.snapshot import take

VENDOR, DEVICE = 0x1234, 0x1111
REGISTER_OCTETS: Final = 0x1000
VGA_AT, VGA_FIRST, VGA_PORTS = 0x400, 0x10, 0x20
DISPI_AT: Final = 0x500
ORDER_AT: Final = 0x604
ORDERS: Final = {False: 0x1E1E1E1E, True: 0xBEBEBEBE}

FONT_OCTETS: Final = 256 * 16
FONT_BEGINS: Final = bytes(18) + bytes.fromhex("7e81a58181bd9981817e")
"""A font of 8 × 16 dots in a VGA BIOS: an empty character, and the face that is character 1."""


def find_font(rom: bytes) -> bytes:
    """The font in a VGA BIOS; nothing if there is none."""
    at = rom.find(FONT_BEGINS)
    return rom[at : at + FONT_OCTETS] if 0 <= at <= len(rom) - FONT_OCTETS else b""


class StdVga(PciFunction):
    """The display.

    Args:
        timeline: the machine's time.
        vm: where its windows become memory.
        warp: as `Vga`'s.
        big_endian: the frame buffer's byte order at the start.

    Attributes:
        ports: the VGA's registers, for ports 0x3B0–0x3DF.
        dispi: the frame buffer's, for 0x1CE–0x1D1.
        window: what answers at 0xA0000–0xBFFFF.
    """

    def __init__(
        self,
        name: str,
        *,
        timeline: Timeline,
        vm: GuestMemory | None = None,
        warp: Callable[[int], None] | None = None,
        big_endian: bool = False,
    ) -> None:
        super().__init__(
            name,
            vendor=VENDOR,
            device=DEVICE,
            class_code=0x030000,
            revision=2,
            subsystem_vendor=0x1AF4,
            subsystem=0x1100,
        )
        self.big_endian = big_endian
        self.ports = Vga(timeline=timeline, vm=vm, warp=warp)
        self.buffer = FrameBuffer(vm)
        self._registers = Dispi(self.buffer)
        self.dispi = _DispiPorts(self)
        self.window = _Window(self)
        self.add_bar(0, OCTETS, self.buffer, prefetchable=True)
        self.add_bar(2, REGISTER_OCTETS, _MemoryRegisters(self))

    @property
    def registers(self) -> Dispi:
        """The frame buffer's registers."""
        return self._registers

    def connect(self, irq: Irq, on_moved: Callable[[], None]) -> None:
        """As `PciFunction.connect`; the frame buffer follows its base register."""

        def moved() -> None:
            self.buffer.place(self.bar_address(self.bars[0]))
            on_moved()

        super().connect(irq, moved)

    def registers_changed(self) -> None:
        """The frame buffer was switched on or off, or its depth changed."""
        registers = self._registers
        hidden = registers.enabled and registers.depth != 4
        if hidden != self.ports.memory.hidden:
            self.ports.memory.hidden = hidden
            self.ports.memory.changed()
        self.ports.dac_eight = bool(registers.registers[ENABLE] & EIGHT_BIT_DAC)

    # -- what is to be seen

    @property
    def is_text(self) -> bool:
        """Is it a text mode?"""
        return not self._registers.enabled and not self.ports.graphics[MISCELLANEOUS] & MISCELLANEOUS_GRAPHICS

    @property
    def is_dark(self) -> bool:
        """Does the screen show nothing?"""
        vga = self.ports
        dark = not vga.attribute_index & ATTRIBUTE_PAS or bool(vga.sequencer[CLOCKING] & CLOCKING_OFF)
        return dark and not self._registers.enabled

    def look(self) -> TextScreen | Frame:
        """Cells in a text mode, else pixels."""
        if self.is_text and not self.is_dark:
            return text.screen(self.ports)
        return self.frame()

    def frame(self) -> Frame:
        """Pixels in any mode."""
        vga = self.ports
        if self._registers.enabled:
            return linear.frame(vga, self._registers, self.buffer, big_endian=self.big_endian)
        if self.is_dark:
            width, height = 8 * (vga.crtc[H_DISPLAYED] + 1), vga.lines()
            return Frame(width, height, bytes(3 * width * height))
        return text.frame(vga) if self.is_text else raster.frame(vga)

    # -- state

    def state(self) -> State:
        """As `Device.state`."""
        return super().state() | {
            "vga": self.ports.state(),
            "registers": self._registers.saved(),
            "buffer": self.buffer.saved(),
            "big_endian": self.big_endian,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        self.ports.memory.hidden = False
        super().from_state(state)
        self.big_endian = take(state, "big_endian", bool)
        self._registers.restore(take(state, "registers", dict))
        registers = self._registers
        self.ports.memory.hidden = registers.enabled and registers.depth != 4
        self.ports.from_state(take(state, "vga", dict))
        self.buffer.restore(take(state, "buffer", dict))


class _DispiPorts:
    """Ports 0x1CE–0x1D1."""

    def __init__(self, display: StdVga) -> None:
        self._display = display

    def read(self, offset: int, size: int) -> int:
        return self._display.registers.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self._display.registers.write(offset, size, value)
        self._display.registers_changed()


class _Window:
    """0xA0000–0xBFFFF."""

    def __init__(self, display: StdVga) -> None:
        self._display = display

    def read(self, offset: int, size: int) -> int:
        display = self._display
        if not display.ports.memory.hidden:
            return display.ports.memory.read(offset, size)
        if offset + size > BANK_OCTETS:
            return (1 << 8 * size) - 1
        at = display.registers.registers[BANK] * BANK_OCTETS + offset
        return int.from_bytes(display.buffer.peek(at, size), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        display = self._display
        if not display.ports.memory.hidden:
            display.ports.memory.write(offset, size, value)
        elif offset + size <= BANK_OCTETS:
            at = display.registers.registers[BANK] * BANK_OCTETS + offset
            display.buffer.poke(at, value.to_bytes(size, "little"))


class _MemoryRegisters:
    """Base register 2."""

    def __init__(self, display: StdVga) -> None:
        self._display = display

    def read(self, offset: int, size: int) -> int:
        display = self._display
        if offset >= VGA_AT and offset + size <= VGA_AT + VGA_PORTS:
            return display.ports.read(offset - VGA_AT + VGA_FIRST, size)
        index, odd = divmod(offset - DISPI_AT, 2)
        if 0 <= index < REGISTERS and not odd and size == 2:
            return display.registers.get(index)
        return ORDERS[display.big_endian] if offset == ORDER_AT and size == 4 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        display = self._display
        index, odd = divmod(offset - DISPI_AT, 2)
        if offset >= VGA_AT and offset + size <= VGA_AT + VGA_PORTS:
            display.ports.write(offset - VGA_AT + VGA_FIRST, size, value)
        elif 0 <= index < REGISTERS and not odd and size == 2:
            display.registers.set(index, value)
            display.registers_changed()
        elif offset == ORDER_AT and size == 4 and value in ORDERS.values():
            display.big_endian = value == ORDERS[True]
        else:
            display.mistakes += 1
