"""tap:// and macvtap://: options, an interface that is down or removed, and what is wrong."""

import os
import struct
from contextlib import AsyncExitStack

import pytest
import trio

from plugs import registry
from plugs.removal import RTM_DELLINK, removed
from tests.plugs.own_namespace import inside, new_namespace, run_inside
from tests.plugs.surroundings import TestSurroundings
from tests.tools import NeedTool
from tests.vde_client import frame
from vde.errors import ConfigError, LinkBroken

PATIENCE_S = 20
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@needs_root
async def test_options_are_the_interfaces(need_tool: NeedTool) -> None:
    need_tool("ip")
    async with AsyncExitStack() as stack:
        namespace = stack.enter_context(new_namespace())
        with inside(namespace):
            link = await stack.enter_async_context(registry.open_link("tap://t%d/up/mtu=4000", TestSurroundings()))
        assert link.state() == {"interface": "t0"}
        shown = run_inside(namespace, "ip", "-o", "link", "show", "t0")
        assert "mtu 4000" in shown
        assert ",UP" in shown
        run_inside(namespace, "ip", "link", "set", "t0", "down")
        await link.send([frame(1)])
        assert link.statistics().dropped_out == {"refused": 1}
        run_inside(namespace, "ip", "link", "set", "t0", "up")
        await link.send([frame(1)])
        assert link.statistics().sent_frames == 1
        run_inside(namespace, "ip", "link", "delete", "t0")
        with trio.fail_after(PATIENCE_S):
            with pytest.raises(LinkBroken, match="interface t0: it was removed"):
                await link.watch()
            with pytest.raises(LinkBroken, match="it was removed"):
                await link.send([frame(1)])


@needs_root
async def test_a_tap_in_use(need_tool: NeedTool) -> None:
    need_tool("ip")
    with new_namespace() as namespace, inside(namespace):
        async with registry.open_link("tap://t0", TestSurroundings()):
            with pytest.raises(ConfigError, match="another program uses it"):
                async with registry.open_link("tap://t0", TestSurroundings()):
                    pass


@pytest.mark.parametrize(
    ("vnl", "text"),
    [
        ("tap://", "a name of 1 to 15 octets"),
        ("tap://" + "x" * 16, "a name of 1 to 15 octets"),
        ("tap://a%2fb", "without '/'"),
        ("tap://t0/mtu=1", "a number of 68 to 65521 was expected"),
        ("macvtap://", "a name of 1 to 15 octets"),
        ("macvtap://nonexistent0", "there is no such interface; make it: ip link add link"),
        ("macvtap://lo", r"is lo a macvtap\?"),
    ],
)
async def test_what_is_wrong(vnl: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        async with registry.open_link(vnl, TestSurroundings()):
            pass


def news(kind: int, index: int, octets: int = 16) -> bytes:
    body = struct.pack("=BxHiII", 0, 1, index, 0, 0) + bytes(octets)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_rtnetlink_tells_of_removal() -> None:
    assert removed(news(RTM_DELLINK, 7), 7)
    assert removed(news(16, 7) + news(RTM_DELLINK, 8) + news(RTM_DELLINK, 7), 7)
    assert not removed(news(RTM_DELLINK, 8), 7)
    assert not removed(news(16, 7), 7)
    assert not removed(bytes(1000), 7)  # lengths of 0 end as well
    assert not removed(news(RTM_DELLINK, 7)[:23], 7)
