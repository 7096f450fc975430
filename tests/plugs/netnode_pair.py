"""Ends of a node within this process: the opener's, and a client's."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from plugs.registry import open_link
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


def pair_of_node(scheme: str) -> PairSpec:
    return PairSpec(opener(scheme))


def opener(scheme: str) -> Callable[[Path], AbstractAsyncContextManager[Ends]]:
    @asynccontextmanager
    async def open_pair(home: Path) -> AsyncIterator[Ends]:
        here = TestSurroundings()
        async with (
            open_link(f"{scheme}://{home}/node", here) as link,
            open_link(f"vde://{home}/node", here) as outside,
        ):
            yield Ends(link, outside)

    return open_pair
