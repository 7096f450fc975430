"""Where an address leads: windows of guest-physical addresses (or ports) and the devices behind them.

Theory: windows are sorted and never overlap, so an access is one bisection. Devices see offsets within their window.
An access that meets no window, or that leaves one, goes to `unmapped`: boards differ in what happens then (all ones,
zeros, a bus error), and it is counted.

A device with a data port may have `read_string(offset, size, count)` and `write_string(offset, size, data)` for string
instructions, which bring hundreds of accesses in one exit of the engine; the others get them one by one.
"""

from bisect import bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vde.errors import ConfigError


class Registers(Protocol):
    """What a window leads to: the two methods of a device that the bus calls."""

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        ...

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        ...


class BusError(Exception):
    """Raised by a device's or a bus's `read`: the access is to end in the architecture's bus error."""


@dataclass(frozen=True, slots=True)
class Window:
    """`size` addresses from `base` on, called `name` in messages."""

    base: int
    size: int
    name: str
    device: Registers
    offset: int = 0


class Bus:
    """An address space of devices.

    Args:
        unmapped_read: what a read of (address, size) gives where no window is. May raise `BusError`.
    """

    def __init__(self, unmapped_read: Callable[[int, int], int]) -> None:
        self._unmapped_read = unmapped_read
        self._bases: list[int] = []
        self._windows: dict[int, Window] = {}
        self.unmapped_accesses = 0

    def map(self, base: int, size: int, device: Registers, *, name: str, offset: int = 0) -> None:
        """Put `device` at `base`; the device sees offsets from `offset` on.

        Raises:
            ConfigError: the window is empty, or overlaps another.
        """
        if size <= 0 or base < 0:
            raise ConfigError(f"bus: {name}: a window of {size} addresses at {base:#x}")
        for window in self._windows.values():
            if base < window.base + window.size and window.base < base + size:
                raise ConfigError(
                    f"bus: {name} ({base:#x}…{base + size - 1:#x}) overlaps {window.name} "
                    f"({window.base:#x}…{window.base + window.size - 1:#x})"
                )
        insort(self._bases, base)
        self._windows[base] = Window(base, size, name, device, offset)

    def unmap(self, base: int) -> None:
        """Remove the window that begins at `base`, if there is one (PCI base registers move windows)."""
        if self._windows.pop(base, None) is not None:
            self._bases.remove(base)

    def windows(self) -> list[Window]:
        """The windows, by address."""
        return [self._windows[base] for base in self._bases]

    def find(self, address: int, size: int) -> Window | None:
        """The window that `size` octets at `address` lie in."""
        at = bisect_right(self._bases, address) - 1
        if at < 0:
            return None
        window = self._windows[self._bases[at]]
        return window if address + size <= window.base + window.size else None

    def read(self, address: int, size: int) -> int:
        """The value of `size` octets at `address`, unsigned, little-endian."""
        window = self.find(address, size)
        if window is None:
            self.unmapped_accesses += 1
            return self._unmapped_read(address, size)
        return window.device.read(address - window.base + window.offset, size)

    def write(self, address: int, size: int, value: int) -> None:
        """Write `value`; to nowhere where no window is (counted)."""
        window = self.find(address, size)
        if window is None:
            self.unmapped_accesses += 1
            return
        window.device.write(address - window.base + window.offset, size, value)

    def read_string(self, address: int, size: int, count: int) -> bytes:
        """What `count` reads of one address give (a string instruction), at once if the device has a `read_string`."""
        window = self.find(address, size)
        at_once = None if window is None else getattr(window.device, "read_string", None)
        if window is None or at_once is None:
            return b"".join(self.read(address, size).to_bytes(size, "little") for _ in range(count))
        octets: bytes = at_once(address - window.base + window.offset, size, count)
        return octets

    def write_string(self, address: int, size: int, data: bytes) -> None:
        """Write `data` to one address, `size` octets at a time, at once if the device has a `write_string`."""
        window = self.find(address, size)
        at_once = None if window is None else getattr(window.device, "write_string", None)
        if window is None or at_once is None:
            for at in range(0, len(data), size):
                self.write(address, size, int.from_bytes(data[at : at + size], "little"))
            return
        at_once(address - window.base + window.offset, size, data)
