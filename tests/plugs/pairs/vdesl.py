"""Two pseudo-terminals with a cable between them: what is written to one is read from the other."""

import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from plugs.registry import open_link
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


class Cable:
    """`terminals`: paths of the two ends. `cut` hangs both up."""

    def __init__(self) -> None:
        self._masters: list[int] = []
        self._slaves: list[int] = []
        for _ in range(2):
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            self._masters.append(master)
            self._slaves.append(slave)  # held open until the plugs have theirs: else the master reads EIO
        self.terminals = [os.ttyname(slave) for slave in self._slaves]

    async def run(self) -> None:
        """Until `cut`."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._carry, 0)
            nursery.start_soon(self._carry, 1)

    async def _carry(self, source: int) -> None:
        with suppress(trio.ClosedResourceError, OSError):
            while self._masters:
                await trio.lowlevel.wait_readable(self._masters[source])
                octets = os.read(self._masters[source], 4096)
                while octets:
                    try:
                        octets = octets[os.write(self._masters[1 - source], octets) :]
                    except BlockingIOError:
                        await trio.lowlevel.wait_writable(self._masters[1 - source])

    def write(self, octets: bytes) -> None:
        """Noise, for who reads the first terminal."""
        os.write(self._masters[0], octets)

    def cut(self) -> None:
        for fd in self._masters:
            trio.lowlevel.notify_closing(fd)
        for fd in self._masters + self._slaves:
            os.close(fd)
        self._masters, self._slaves = [], []


@asynccontextmanager
async def open_cable() -> AsyncIterator[Cable]:
    cable = Cable()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cable.run)
        try:
            yield cable
        finally:
            cable.cut()


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    here = TestSurroundings()
    async with open_cable() as cable:
        one, other = cable.terminals
        async with open_link(f"vdesl://{one}[speed=115200]", here) as link, open_link(f"vdesl://{other}", here) as far:
            yield Ends(link, far, cable.cut)


PAIR = PairSpec(open_pair, breaks=True)
