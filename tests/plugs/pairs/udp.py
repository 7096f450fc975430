"""udp:// with both ends on this machine."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs.udp import Params, open_udp
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


def free_ports(count: int = 2) -> list[int]:
    """Ports that nobody has, of this moment."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    here, there = free_ports()
    async with (
        open_udp(f"127.0.0.1:{here}->127.0.0.1:{there}", Params(), TestSurroundings()) as link,
        open_udp(f"127.0.0.1:{there}->127.0.0.1:{here}", Params(), TestSurroundings()) as outside,
    ):
        yield Ends(link, outside)


PAIR = PairSpec(open_pair)
