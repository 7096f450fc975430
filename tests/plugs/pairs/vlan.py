"""VLAN 3 of a network in memory, seen from both sides of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.plugs.memory_link import MemorySurroundings, memory_links
from tests.plugs.pair import Ends, PairSpec


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    one, other = memory_links()
    surroundings = MemorySurroundings(one=one, other=other)
    async with (
        surroundings.open("vlan://3{memory://one}") as link,
        surroundings.open("vlan://3{memory://other}") as outside,
    ):
        yield Ends(link, outside)


PAIR = PairSpec(open_pair)
