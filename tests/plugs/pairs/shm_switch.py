"""shm:// through a switch, and a client of its older door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs import shm, vde
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings
from tests.switch_process import SwitchProcess


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    with SwitchProcess(home, "--hub") as switch:
        directory = str(switch.directory)
        async with (
            shm.open_shm(directory, shm.Params(), TestSurroundings()) as link,
            vde.open_vde(directory, vde.Params(), TestSurroundings()) as outside,
        ):
            yield Ends(link, outside, lambda: switch.process.terminate())


PAIR = PairSpec(open_pair, breaks=True)
