"""seqpacket:// on both ends of a socket pair."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs.seqpacket import Params, SeqpacketLink, open_seqpacket
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    outside = SeqpacketLink(there)
    try:
        async with open_seqpacket(str(here.fileno()), Params(), TestSurroundings()) as link:
            here.close()
            yield Ends(link, outside, outside.close)
    finally:
        here.close()
        outside.close()


PAIR = PairSpec(open_pair, breaks=True)
