"""Surroundings of a test: chance is seeded, warnings are kept, the clock is trio's (which tests may jump)."""

import random
from contextlib import AbstractAsyncContextManager

import trio

from plugs import registry
from vde.link import Link


class TestSurroundings:
    __test__ = False
    description = "test"

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.warnings: list[str] = []

    def now_ns(self) -> int:
        return int(trio.current_time() * 1e9)

    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000 + self.now_ns()

    def random(self, octets: int) -> bytes:
        return self._random.randbytes(octets)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def open_link(self, vnl: str) -> AbstractAsyncContextManager[Link]:
        return registry.open_link(vnl, self)
