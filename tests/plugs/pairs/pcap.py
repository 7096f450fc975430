"""Both ends of a veth, in a namespace of its own."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio

from plugs.registry import open_link
from tests.plugs.own_namespace import inside, new_namespace, run_inside
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


def make_veth(namespace: int, name: str, peer: str) -> None:
    run_inside(namespace, "ip", "link", "add", name, "type", "veth", "peer", "name", peer)
    for one in (name, peer):
        run_inside(namespace, "ip", "link", "set", one, "up", "addrgenmode", "none")


async def wait_up(namespace: int, *names: str) -> None:
    """Until they carry frames: the kernel sees to that some time after they are set up, and drops frames before."""
    for name in names:
        while json.loads(run_inside(namespace, "ip", "-json", "link", "show", name))[0]["operstate"] != "UP":
            await trio.lowlevel.checkpoint()  # each look takes some milliseconds


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    async with AsyncExitStack() as stack:
        namespace = stack.enter_context(new_namespace())
        with inside(namespace):
            make_veth(namespace, "veth0", "veth1")
        await wait_up(namespace, "veth0", "veth1")
        with inside(namespace):
            link = await stack.enter_async_context(open_link("pcap://veth0", TestSurroundings()))
            outside = await stack.enter_async_context(open_link("pcap://veth1", TestSurroundings()))

        def remove() -> None:
            run_inside(namespace, "ip", "link", "delete", "veth0")

        yield Ends(link, outside, remove)


PAIR = PairSpec(open_pair, breaks=True, needs=("root", "ip"))
