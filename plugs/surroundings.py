"""What plugs get from a real program: the kernel's clock and chance, and one another."""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from plugs import registry
from vde import clock
from vde.link import Link


class Here:
    """A `vde.plugspec.Surroundings` of this process."""

    def __init__(self, description: str, warn: Callable[[str], None]) -> None:
        """`description`: shown by the switches that its plugs join; `warn`: gets one line."""
        self.description = description
        self._warn = warn

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        return clock.monotonic_ns()

    def wall_ns(self) -> int:
        """CLOCK_REALTIME."""
        return clock.wall_ns()

    def random(self, octets: int) -> bytes:
        """From the kernel."""
        return os.urandom(octets)

    def warn(self, text: str) -> None:
        """Hand it on."""
        self._warn(text)

    def open_link(self, vnl: str) -> AbstractAsyncContextManager[Link]:
        """With these surroundings again."""
        return registry.open_link(vnl, self)
