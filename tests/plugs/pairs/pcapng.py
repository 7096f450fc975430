"""A recorder: its frames go into a file, and nothing comes back. (Players: test_pcapng.py.)"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs.null import NullLink
from plugs.registry import open_link
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    async with open_link(f"pcapng://{home}/file.pcapng", TestSurroundings()) as link:
        yield Ends(link, NullLink())


PAIR = PairSpec(open_pair, receives=False)
