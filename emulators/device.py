"""What every device is: offsets in, values out; time, interrupts and memory are given to it.

A device is one file, `emulators/devices/<family>/<chip>.py`. Its constructor receives, by keyword and only where it
needs them: `irq` (`Irq`), `out` (a callable taking octets or frames), `dma` (`emulators.dma.Dma`) and `timeline`.
It never knows the CPU, the board or the bus, and a guest's mistake never raises: it is counted in `mistakes`.

Limits: an access is 1, 2, 4 or 8 octets, and lies within the window that the board gave the device.
"""

from collections.abc import Callable
from typing import Any, Protocol

Irq = Callable[[bool], None]
"""Drive an interrupt line: asserted or not. Levels, not edges; calling it twice with one level is harmless."""

State = dict[str, Any]
"""A device's saved state: what msgpack carries (None, bool, int, str, bytes, list, dict with str keys)."""


class Timeline:
    """The machine's virtual time, as devices see it. The machine sets it before it calls a device."""

    __slots__ = ("now_ns",)

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns


class Device(Protocol):
    """The contract of the house style. `from_state` is a method here, so that wiring made by the board stays."""

    def read(self, offset: int, size: int) -> int:
        """The value of `size` octets at `offset`, unsigned, little-endian."""
        ...

    def write(self, offset: int, size: int, value: int) -> None:
        """Write `value` (unsigned, fits `size` octets)."""
        ...

    def next_deadline(self) -> int | None:
        """Virtual nanoseconds at which `handle_timer` is wanted, or None. May lie in the past: then at once."""
        ...

    def handle_timer(self, now_ns: int) -> None:
        """The time that `next_deadline` named has come; `now_ns` is it or later."""
        ...

    def state(self) -> State:
        """Everything that the guest could tell apart, with `version`."""
        ...

    def from_state(self, state: State) -> None:
        """Become what `state` says. Raises `SnapshotError` for one that `state()` could not have made."""
        ...
