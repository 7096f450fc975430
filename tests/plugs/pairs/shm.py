"""shm:// on both sides: the link connects, its outside listens. `shm_switch.py` has a switch between them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio

from plugs.shm import Params, ShmLink, open_shm
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings
from vde.link import Link


def listens(path: Path) -> bool:
    return path.exists()


@asynccontextmanager
async def open_both(path: Path) -> AsyncIterator[tuple[Link, Link]]:
    """(connector, listener)"""
    async with AsyncExitStack() as stack:
        listening: list[Link] = []

        async def listen() -> None:
            listening.append(
                await stack.enter_async_context(open_shm(str(path), Params(listen=True), TestSurroundings()))
            )

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            while not listens(path):
                await trio.lowlevel.checkpoint()
            connector = await stack.enter_async_context(open_shm(str(path), Params(), TestSurroundings()))
        yield connector, listening[0]


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    async with open_both(home / "s") as (connector, listener):
        assert isinstance(listener, ShmLink)
        yield Ends(connector, listener, listener.close)


PAIR = PairSpec(open_pair, breaks=True)
