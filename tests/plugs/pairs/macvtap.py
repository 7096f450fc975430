"""macvtap:// on one end of a veth pair in a namespace of its own, and a packet socket on the other."""

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from plugs.macvtap import Params, open_macvtap
from tests.plugs.own_namespace import inside, new_namespace, run_inside
from tests.plugs.packet_link import PacketLink
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings

COMMANDS = (
    "link add v0 mtu 9216 type veth peer name v1 mtu 9216",
    "link add link v0 name mv0 index {index} type macvtap mode passthru",
    "link set v0 up",
    "link set v1 up",
    "link set mv0 up",
)
_indexes = itertools.count(100_000 + 100 * (os.getpid() % 10_000))  # /dev/tapN has one number for all namespaces


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    async with AsyncExitStack() as stack:
        namespace = stack.enter_context(new_namespace())
        index = next(_indexes)
        for command in COMMANDS:
            run_inside(namespace, "ip", *command.format(index=index).split())
        with inside(namespace):
            link = await stack.enter_async_context(open_macvtap("mv0", Params(), TestSurroundings()))
            outside = PacketLink("v1")
        stack.callback(outside.close)

        def remove() -> None:
            run_inside(namespace, "ip", "link", "delete", "v0")

        yield Ends(link, outside, remove)


PAIR = PairSpec(open_pair, breaks=True, needs=("root", "ip"))
