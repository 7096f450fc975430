"""Both ends of a veth, in a namespace of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from plugs.registry import open_link
from tests.plugs.own_namespace import inside, new_namespace, run_inside
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    async with AsyncExitStack() as stack:
        namespace = stack.enter_context(new_namespace())
        with inside(namespace):
            run_inside(namespace, "ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
            for name in ("veth0", "veth1"):
                run_inside(namespace, "ip", "link", "set", name, "up", "addrgenmode", "none")
            link = await stack.enter_async_context(open_link("pcap://veth0", TestSurroundings()))
            outside = await stack.enter_async_context(open_link("pcap://veth1", TestSurroundings()))

        def remove() -> None:
            run_inside(namespace, "ip", "link", "delete", "veth0")

        yield Ends(link, outside, remove)


PAIR = PairSpec(open_pair, breaks=True, needs=("root", "ip"))
