"""tap:// and macvtap://: options, an interface that is down or removed, and what is wrong."""

import os
import socket
import struct
from contextlib import AsyncExitStack

import pytest
import trio

from plugs import registry
from plugs.parts.removal import RTM_DELLINK, removed
from switch.forwarding.patch import Patch, patch_through
from tests.plugs.own_namespace import inside, new_namespace, run_inside
from tests.plugs.surroundings import TestSurroundings
from tests.switch.forwarding.test_offload import packet
from tests.switch.forwarding.unfinished import ordinary
from tests.tools import NeedTool
from tests.vde_client import frame
from vde.endpoint import EndpointKind, HandedOver
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


@needs_root
async def test_offloads_with_a_forwarder_and_without(need_tool: NeedTool) -> None:
    """A TCP stream's frame of 3000 octets crosses whole while a forwarder has both taps, and in pieces afterwards."""
    need_tool("ip")
    header, octets = packet(bytes(3000))
    async with AsyncExitStack() as stack:
        namespace = stack.enter_context(new_namespace())
        with inside(namespace):
            links, kernels = [], []
            for name in ("t0", "t1"):
                opening = registry.open_link(f"tap://{name}/up", TestSurroundings())
                links.append(await stack.enter_async_context(opening))
                kernel = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
                kernel.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
                kernel.bind((name, 3))
                kernel.settimeout(PATIENCE_S)
                kernels.append(kernel)
        left, right = (link.hand_over() for link in links)
        assert left is not None
        assert right is not None
        async with trio.open_nursery() as nursery:
            await nursery.start(_patch, left, right)
            kernels[0].send(header.emit() + octets)
            assert await trio.to_thread.run_sync(_arrived, kernels[1], octets[6:12]) == octets
            nursery.cancel_scope.cancel()
        assert all(link.take_back() for link in links)
        kernels[0].send(header.emit() + octets)
        got: list[bytes] = []
        with trio.fail_after(PATIENCE_S):
            while len(got) < 3:
                got += [one for one in await links[0].receive() if one[6:12] == octets[6:12]]
        assert got == ordinary(header, octets)
        await links[1].send(got[:1])
        assert await trio.to_thread.run_sync(_arrived, kernels[1], octets[6:12]) == got[0]


@needs_root
async def test_without_offloads(need_tool: NeedTool) -> None:
    need_tool("ip")
    async with AsyncExitStack() as stack:
        namespace = stack.enter_context(new_namespace())
        with inside(namespace):
            link = await stack.enter_async_context(registry.open_link("tap://t0/no-offload", TestSurroundings()))
        handed = link.hand_over()
        assert handed is not None
        assert handed.kind is EndpointKind.TAP
        handed.close()


async def _patch(left: HandedOver, right: HandedOver, *, task_status: trio.TaskStatus[Patch]) -> None:
    await patch_through(left, right, task_status=task_status)


def _arrived(kernel: socket.socket, source: bytes) -> bytes:
    while True:
        octets = kernel.recv(1 << 17)
        if octets[16:22] == source:
            return octets[10:]
