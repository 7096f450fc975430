"""Two ends with one key, over a network in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.plugs.memory_link import MemorySurroundings, memory_links
from tests.plugs.pair import Ends, PairSpec


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    one, other = memory_links()
    surroundings = MemorySurroundings(one=one, other=other)
    (home / "key").write_text("000102030405060708090a0b0c0d0e0f")
    async with (
        surroundings.open(f"agno://{home}/key{{memory://one}}") as link,
        surroundings.open(f"agno://{home}/key{{memory://other}}") as outside,
    ):
        yield Ends(link, outside)


PAIR = PairSpec(open_pair)
