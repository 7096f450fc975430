"""qemu:// as a server on a Unix path, and as the client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from plugs.parts.framed import StreamLink
from plugs.qemu import Params, open_qemu
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings
from vde.errors import LinkClosed


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    path = str(home / "s")
    async with (
        open_qemu(path, Params(server=True), TestSurroundings()) as link,
        open_qemu(path, Params(), TestSurroundings()) as outside,
    ):
        assert isinstance(outside, StreamLink)
        while not link.state()["connected"]:
            await trio.lowlevel.checkpoint()
        yield Ends(link, outside, lambda: outside.finish(LinkClosed("gone")))


PAIR = PairSpec(open_pair, breaks=True)
