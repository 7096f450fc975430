"""vlan:// with Debian's libvdeplug-vlan: the same map, frame by frame; and each with the other."""

import socket

import pytest
import trio

from plugs.registry import find, open_link
from plugs.vlan import read_map
from tests.interop.original_plug import exchange, open_original_plug, quiet, receive_ours
from tests.plugs.pairs.vxlan import free_ports
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.test_vlan import frame
from tests.tools import NeedTool
from vde import vnl

pytestmark = pytest.mark.interop
PATIENCE_S = 20
MAPS = [
    "",
    "3",
    "0",
    "/u=5",
    "3/u=5",
    "3/t=10:11-12:12-11",
    "3/x",
    "/x",
    "3/x/t=11-12",
    "3/u=5/x",
    "/t=11-12.13-12",
    "3/t=11-3",
]
MARK = bytes.fromhex("020000000009")
VLANS = (1, 2, 3, 5, 10, 11, 12, 13)


@pytest.mark.parametrize("text", MAPS)
async def test_the_map_is_the_originals(need_tool: NeedTool, text: str) -> None:
    """Of every frame the fate is the same; a mark after each tells that it was dropped."""
    need_tool("vde_plug")
    ours = read_map(*find("vlan").read(vnl.parse(f"vlan://{text}{{null://}}")))
    here, there = free_ports(2)
    mark = marked(frame(5) if text[:2] == "/u" else frame())
    network_mark = ours.to_network(mark)
    assert isinstance(network_mark, bytes)
    with trio.fail_after(PATIENCE_S), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as network:
        network.bind(("127.0.0.1", here))
        network.setblocking(False)
        async with open_original_plug(f"vlan://{text}{{udp://127.0.0.1:{there}->127.0.0.1:{here}}}") as original:

            async def passed_outward() -> list[bytes]:
                frames: list[bytes] = []
                while not frames or not is_marked(frames[-1]):
                    await trio.lowlevel.wait_readable(network)
                    frames.append(network.recv(1 << 16))
                return frames

            async def passed_inward() -> list[bytes]:
                frames: list[bytes] = []
                while not frames or not is_marked(frames[-1]):
                    frames += await original.receive()
                return frames

            for case in [(), *((vlan,) for vlan in VLANS), (3, 10), (4095,)]:
                sent = frame(*case)
                await original.send([sent, mark])
                assert await passed_outward() == those_that_pass(ours.to_network(sent), network_mark), case
                network.sendto(sent, ("127.0.0.1", there))
                network.sendto(network_mark, ("127.0.0.1", there))
                expected = those_that_pass(ours.to_client(sent), mark)
                found = await passed_inward()
                assert len(found) == len(expected), case
                # of a frame that stays tagged, what was in its buffer comes as well
                assert [one[: len(other)] for one, other in zip(found, expected, strict=True)] == expected, case


def marked(octets: bytes) -> bytes:
    return octets[:6] + MARK + octets[12:]


def is_marked(octets: bytes) -> bool:
    return octets[6:12] == MARK


def those_that_pass(*frames: bytes | str) -> list[bytes]:
    return [one for one in frames if isinstance(one, bytes)]


async def test_each_with_the_other(need_tool: NeedTool) -> None:
    need_tool("vde_plug")
    here, there = free_ports(2)
    with trio.fail_after(PATIENCE_S):
        ours = f"vlan://3/t=10:11-12{{udp://127.0.0.1:{here}->127.0.0.1:{there}}}"
        theirs = f"vlan://3/t=10:12{{udp://127.0.0.1:{there}->127.0.0.1:{here}}}"
        async with open_link(ours, TestSurroundings()) as link, open_original_plug(theirs) as original:
            assert await exchange(original, link, frame()) == frame()
            await quiet(link)
            await original.send([frame(10), frame(12)])
            received: list[bytes] = []
            while len(received) < 2:
                received += await link.receive()
            assert received == [frame(10), frame(11)]
            await link.send([frame()])
            assert await receive_ours(original) == frame()
