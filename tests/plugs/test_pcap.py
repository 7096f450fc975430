"""pcap:// on a veth: tags, directions, what is refused."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
import trio

from plugs.pcap import PcapLink
from plugs.registry import open_link
from tests.plugs.own_namespace import inside, new_namespace, run_inside
from tests.plugs.pairs.pcap import make_veth, wait_up
from tests.plugs.surroundings import TestSurroundings
from vde.errors import ConfigError, LinkBroken
from vde.link import Link

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
PATIENCE_S = 20
FRAME = bytes.fromhex("020000000009 020000000001 88b5") + bytes(46)


@dataclass
class Wire:
    namespace: int
    link: Link
    far: Link


@asynccontextmanager
async def open_wire() -> AsyncIterator[Wire]:
    """`link` is pcap://v0, `far` pcap://v1, of one veth."""
    async with AsyncExitStack() as stack:
        namespace = stack.enter_context(new_namespace())
        stack.enter_context(trio.fail_after(PATIENCE_S))
        make_veth(namespace, "v0", "v1")
        await wait_up(namespace, "v0", "v1")
        with inside(namespace):
            link = await stack.enter_async_context(open_link("pcap://v0", TestSurroundings()))
            far = await stack.enter_async_context(open_link("pcap://v1", TestSurroundings()))
        yield Wire(namespace, link, far)


async def test_tags_arrive_whole() -> None:
    async with open_wire() as wire:
        for tags in ("8100 e007", "88a8 0005", "88a8 0005 8100 e007", "8100 0000"):
            tagged = FRAME[:12] + bytes.fromhex(tags) + FRAME[12:]
            await wire.far.send([tagged])
            assert await wire.link.receive() == [tagged]


async def test_what_we_send_is_not_received() -> None:
    async with open_wire() as wire:
        await wire.link.send([FRAME])
        await wire.far.receive()
        await wire.far.send([FRAME[:-1] + b"x"])
        assert await wire.link.receive() == [FRAME[:-1] + b"x"]


async def test_a_frame_with_the_interfaces_own_address_as_source_is_received() -> None:
    async with open_wire() as wire:
        run_inside(wire.namespace, "ip", "link", "set", "v0", "address", "02:00:00:00:00:01")
        await wait_up(wire.namespace, "v0", "v1")
        await wire.far.send([FRAME])
        assert await wire.link.receive() == [FRAME]


async def test_the_greatest_frame_is_the_interfaces() -> None:
    async with open_wire() as wire:
        assert wire.link.mtu_octets == 1518
        await wire.link.send([FRAME.ljust(1514, b"x"), FRAME.ljust(1515, b"x"), FRAME.ljust(1519, b"x")])
        assert [len(frame) for frame in await wire.far.receive()] == [1514]
        assert wire.link.statistics().dropped_out == {"oversize": 2}


async def test_an_interface_that_goes_down_breaks_the_link() -> None:
    async with open_wire() as wire:
        run_inside(wire.namespace, "ip", "link", "set", "v0", "down")
        with pytest.raises(LinkBroken, match="v0 is down or gone"):
            await wire.link.receive()
        with pytest.raises(LinkBroken, match="v0 is down or gone"):
            await wire.link.send([FRAME])


async def test_segments_of_one_frame_that_exceed_a_batch_come_in_the_next() -> None:
    async with open_wire() as wire:
        assert isinstance(wire.link, PcapLink)
        wire.link._cut = [FRAME + bytes([number]) for number in reversed(range(100))]
        assert len(await wire.link.receive()) == 64
        with trio.fail_after(5):
            assert len(await wire.link.receive()) == 36


async def test_what_is_no_interface_is_told() -> None:
    with new_namespace() as namespace:
        for vnl, error, message in (
            ("pcap://none0", LinkBroken, "no such interface"),
            ("pcap://lo", ConfigError, "an Ethernet interface"),
        ):
            with inside(namespace), pytest.raises(error, match=message):
                async with open_link(vnl, TestSurroundings()):
                    pass


def test_without_the_privilege_it_is_named() -> None:
    """In a process that gave it up."""
    program = (
        "import sys, trio; from plugs.registry import open_link; from plugs.surroundings import Here\n"
        "async def main():\n"
        "    async with open_link('pcap://lo', Here('test', print)): pass\n"
        "trio.run(main)"
    )
    python = [os.path.realpath("/proc/self/exe"), "-c", program]
    command = ["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw", *python]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(__import__("sys").path)}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert ended.returncode == 1
    assert "CAP_NET_RAW" in ended.stderr.splitlines()[-1]
