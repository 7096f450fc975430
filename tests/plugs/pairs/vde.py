"""vde:// and another client of the same switch, ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs.vde import Params, open_vde
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings
from tests.switch_process import SwitchProcess


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    with SwitchProcess(home, "--hub") as switch:
        directory = str(switch.directory)
        async with (
            open_vde(directory, Params(), TestSurroundings()) as link,
            open_vde(directory, Params(), TestSurroundings()) as outside,
        ):
            yield Ends(link, outside, lambda: switch.process.terminate())


PAIR = PairSpec(open_pair, breaks=True)
