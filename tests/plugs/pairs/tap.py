"""tap:// in a namespace of its own, and a packet socket on the interface."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from plugs.tap import Params, open_tap
from tests.plugs.own_namespace import inside, new_namespace, run_inside
from tests.plugs.packet_link import PacketLink
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    async with AsyncExitStack() as stack:
        namespace = stack.enter_context(new_namespace())
        with inside(namespace):
            link = await stack.enter_async_context(open_tap("t0", Params(up=True, mtu=9000), TestSurroundings()))
            outside = PacketLink("t0")
        stack.callback(outside.close)

        def remove() -> None:
            run_inside(namespace, "ip", "link", "delete", "t0")

        yield Ends(link, outside, remove)


PAIR = PairSpec(open_pair, breaks=True, needs=("root", "ip"))
