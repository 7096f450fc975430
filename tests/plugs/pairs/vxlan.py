"""Two ends on one host: each the other's named peer, on ports of their own."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs.registry import open_link
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


def free_ports(count: int) -> list[int]:
    """UDP ports that nobody uses now."""
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
    a, b = free_ports(2)
    surroundings = TestSurroundings()
    options = "vni=42/rcvbuf=1M"
    async with (
        open_link(f"vxlan://127.0.0.1/port={a}/dstport={b}/{options}", surroundings) as link,
        open_link(f"vxlan://127.0.0.1/port={b}/dstport={a}/{options}", surroundings) as outside,
    ):
        yield Ends(link, outside)


PAIR = PairSpec(open_pair)
