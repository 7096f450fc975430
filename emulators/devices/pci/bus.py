"""A PCI bus: its functions, its two address spaces, its interrupt lines.

Specification: PCI Local Bus Specification 3.0, §3.2.2 (address spaces) and §2.2.6 (interrupt pins).

Theory: `memory` and `io` are address spaces (`emulators.bus.Bus`) in PCI addresses; a host bridge forwards accesses to
them, and boards put the fixed devices of an ISA bridge there. When a base register or a command register changes, every
base register's window is taken out and mapped anew in the order of device numbers: rare, simple, and independent of
history. A window that would overlap one mapped before stays hidden until the guest moves one of them.

Interrupts: `route(device, pin)` says which of `lines` a pin is wired to; functions share lines.

Limits: bus 0 only, 32 devices of 8 functions.

Not supported: bridges, special cycles, parity.

Threats: base registers that overlap each other or fixed devices (hidden, counted, never an exception).
"""

from collections.abc import Callable, Sequence
from typing import Final

from emulators.bus import Bus
from emulators.device import Irq
from emulators.devices.pci.config import (
    COMMAND,
    COMMAND_IO,
    COMMAND_MASTER,
    COMMAND_MEMORY,
    INTERRUPT_LINE,
    PciFunction,
)
from emulators.irq import SharedLine
from vde.errors import ConfigError

DEVICES: Final = 32
FUNCTIONS: Final = 8


def swizzle(device: int, pin: int) -> int:
    """The usual wiring of slots to four lines (PCI 3.0 §2.2.6, implementation note): line 0 … 3."""
    return (device + pin - 1) % 4


def _ones(address: int, size: int) -> int:
    return (1 << 8 * size) - 1


class PciBus:
    """Bus 0.

    Args:
        lines: the interrupt inputs that pins are wired to (PIRQA … PIRQD, usually).
        route: (device, pin 1 … 4) → index in `lines`.
    """

    def __init__(self, lines: Sequence[Irq], route: Callable[[int, int], int] = swizzle) -> None:
        self.memory = Bus(_ones)
        self.io = Bus(_ones)
        self.hidden_windows = 0
        self._lines = [SharedLine(line) for line in lines]
        self._route = route
        self._functions: dict[int, PciFunction] = {}
        self._mapped: dict[tuple[bool, int, int], tuple[int, int]] = {}

    def add(self, function: PciFunction, device: int, number: int = 0) -> None:
        """Plug `function` in at `device` 0 … 31, function `number` 0 … 7.

        Raises:
            ConfigError: the place does not exist or is taken.
        """
        if not (0 <= device < DEVICES and 0 <= number < FUNCTIONS):
            raise ConfigError(f"pci: {function.name}: no place {device}.{number} (devices 0…31, functions 0…7)")
        devfn = device << 3 | number
        if devfn in self._functions:
            raise ConfigError(f"pci: {function.name}: {device}.{number} holds {self._functions[devfn].name}")
        self._functions[devfn] = function
        self._functions = dict(sorted(self._functions.items()))
        irq: Irq = lambda level: None  # noqa: E731
        if function.pin:
            irq = self._lines[self._route(device, function.pin)].input()
        function.connect(irq, self.remap)
        self.remap()

    def function_at(self, devfn: int) -> PciFunction | None:
        """The function at `devfn` (device × 8 + function)."""
        return self._functions.get(devfn)

    def functions(self) -> dict[int, PciFunction]:
        """All functions, by devfn."""
        return dict(self._functions)

    def config_read(self, devfn: int, offset: int, size: int) -> int:
        """A configuration cycle on this bus; all ones where nothing answers."""
        function = self._functions.get(devfn)
        return (1 << 8 * size) - 1 if function is None else function.config_read(offset, size)

    def config_write(self, devfn: int, offset: int, size: int, value: int) -> None:
        """A configuration cycle on this bus; lost where nothing answers."""
        function = self._functions.get(devfn)
        if function is not None:
            function.config_write(offset, size, value)

    def remap(self) -> None:
        """Put every base register's window where its function says now."""
        wanted: dict[tuple[bool, int, int], tuple[int, int]] = {}
        for devfn, function in self._functions.items():
            for bar in function.bars:
                address = function.bar_address(bar)
                if address is not None:
                    wanted[bar.io, devfn, bar.index] = (address, bar.size)
        if wanted == self._mapped:
            return
        for (io, _, _), (address, _) in self._mapped.items():
            (self.io if io else self.memory).unmap(address)
        self._mapped = {}
        self.hidden_windows = 0
        for devfn, function in self._functions.items():
            for bar in function.bars:
                place = wanted.get((bar.io, devfn, bar.index))
                if place is None:
                    continue
                space = self.io if bar.io else self.memory
                try:
                    space.map(place[0], bar.size, bar.device, name=f"{function.name} base register {bar.index}")
                except ConfigError:
                    self.hidden_windows += 1
                else:
                    self._mapped[bar.io, devfn, bar.index] = place

    def assign(self, *, io: tuple[int, int], memory: tuple[int, int], line: Callable[[int, int], int]) -> None:
        """What firmware does, for boards without one: give every base register an address, and switch functions on.

        Args:
            io: first and last I/O address to give away.
            memory: the same for memory addresses.
            line: (device, pin) → what to write to Interrupt Line.

        Raises:
            ConfigError: there are not enough addresses.
        """
        next_free = {True: io[0], False: memory[0]}
        last = {True: io[1], False: memory[1]}
        everything = [(bar.size, devfn, bar) for devfn, function in self._functions.items() for bar in function.bars]
        for size, devfn, bar in sorted(everything, key=lambda entry: (-entry[0], entry[1], entry[2].index)):
            address = next_free[bar.io] + size - 1 & ~(size - 1)
            if address + size - 1 > last[bar.io]:
                raise ConfigError(f"pci: no room for {size} addresses of {self._functions[devfn].name}")
            self._functions[devfn].place_bar(bar.index, address)
            next_free[bar.io] = address + size
        for devfn, function in self._functions.items():
            if function.pin:
                function.config_write(INTERRUPT_LINE, 1, line(devfn >> 3, function.pin))
            if function.bars:
                function.config_write(COMMAND, 2, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER)
