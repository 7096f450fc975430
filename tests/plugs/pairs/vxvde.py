"""Two members of a cloud on the loopback interface."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs.registry import open_link
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.pairs.vxlan import free_ports
from tests.plugs.surroundings import TestSurroundings


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    vnl = f"vxvde://239.77.1.1/if=lo/port={free_ports(1)[0]}/rcvbuf=1M"
    surroundings = TestSurroundings()
    async with open_link(vnl, surroundings) as link, open_link(vnl, surroundings) as outside:
        yield Ends(link, outside)


PAIR = PairSpec(open_pair)
