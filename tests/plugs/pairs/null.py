"""null:// has no outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs.null import NullLink, Params, open_null
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    async with open_null("", Params(), TestSurroundings()) as link:
        yield Ends(link, NullLink())


PAIR = PairSpec(open_pair, receives=False)
