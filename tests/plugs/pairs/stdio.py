"""The link of `-`, over two pipes instead of this program's own standard input and output."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.plugs.pair import Ends, PairSpec
from vde.pipe_link import PipeLink


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    (here_in, there_out), (there_in, here_out) = os.pipe(), os.pipe()
    link = PipeLink(here_in, here_out, "here")
    outside = PipeLink(there_in, there_out, "there")
    open_fds = [here_in, here_out, there_in, there_out]
    for fd in open_fds:
        os.close(fd)
    try:
        yield Ends(link, outside, outside.close)
    finally:
        link.close()
        outside.close()


PAIR = PairSpec(open_pair, breaks=True)
