"""cmd:// of a program that joins its standard streams to a socket, whose other end is the outside."""

import os
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs.cmd import CommandLink, Params, open_cmd
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings
from vde.pipe_link import PipeLink

COPIER = """
import os, sys, threading
def copy(source, sink):
    while octets := os.read(source, 65536):
        while octets:
            octets = octets[os.write(sink, octets):]
    os._exit(0)
inside, outside = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY)
threading.Thread(target=copy, args=(inside, 1), daemon=True).start()
copy(0, outside)
"""


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    inside, outside = home / "in", home / "out"
    os.mkfifo(inside)
    os.mkfifo(outside)
    fds = [os.open(path, os.O_RDWR) for path in (outside, inside)]
    peer = PipeLink(fds[0], fds[1], "peer")
    command = shlex.join([sys.executable, "-c", COPIER, str(inside), str(outside)])
    try:
        async with open_cmd(command, Params(), TestSurroundings()) as link:
            assert isinstance(link, CommandLink)
            yield Ends(link, peer, link._process.kill)
    finally:
        peer.close()
        for fd in fds:
            os.close(fd)


PAIR = PairSpec(open_pair, breaks=True)
