"""ptp:// on both sides, of the newer generation. `ptp_dgram.py` has the older one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs.ptp import Params, open_ptp
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    async with (
        open_ptp(str(home / "p"), Params(), TestSurroundings()) as link,
        open_ptp(str(home / "p"), Params(), TestSurroundings()) as outside,
    ):
        yield Ends(link, outside)


PAIR = PairSpec(open_pair)
