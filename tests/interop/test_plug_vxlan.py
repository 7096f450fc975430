"""vxlan:// with the Linux kernel's vxlan device, and with Debian's vde_plug."""

import socket
import struct
import subprocess
from contextlib import ExitStack
from functools import partial

import pytest
import trio

from plugs.registry import open_link
from switch.forwarding.choice import Kind
from switch.forwarding.patch import patch_through
from tests.interop.namespaces import in_namespace, inside
from tests.interop.original_plug import exchange, open_original_plug, quiet, receive_ours
from tests.plugs.surroundings import TestSurroundings
from tests.tools import NeedTool
from vde.endpoint import EndpointKind, HandedOver
from vde.errors import ConfigError, LinkBroken

pytestmark = pytest.mark.interop
PATIENCE_S = 20
PEER = bytes([10, 8, 0, 1])
ALL, A, B = b"\xff" * 6, bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def frame(destination: bytes, source: bytes, octets: int = 60) -> bytes:
    return (destination + source + b"\x88\xb5").ljust(octets, b"\x55")


@pytest.fixture
def wired(two_namespaces: tuple[str, str]) -> tuple[str, str]:
    """Two hosts, 10.9.0.1 and .2, fd09::1 and ::2, on one wire `up0`, which knows multicast."""
    a, b = two_namespaces
    script = f"link add up0 netns {a} type veth peer name up0 netns {b}\n"
    subprocess.run(["ip", "-batch", "-"], input=script, text=True, check=True, timeout=PATIENCE_S)
    for number, name in enumerate((a, b), 1):
        commands = (
            f"addr add 10.9.0.{number}/24 dev up0\naddr add fd09::{number}/64 dev up0 nodad\n"
            "link set up0 up\nlink set lo up\nroute add 224.0.0.0/4 dev up0\n"
        )
        subprocess.run(["ip", "-n", name, "-batch", "-"], input=commands, text=True, check=True, timeout=PATIENCE_S)
    return a, b


def kernel_device(namespace: str, *arguments: str) -> None:
    """A vxlan device `vx0`, 10.8.0.1, with the address 02:00:00:00:00:02."""
    in_namespace(namespace, "ip", "link", "add", "vx0", "address", "02:00:00:00:00:02", "type", "vxlan", *arguments)
    in_namespace(namespace, "ip", "addr", "add", "10.8.0.1/24", "dev", "vx0")
    in_namespace(namespace, "ip", "link", "set", "vx0", "up")


def arp_request(asker: bytes, asked: str) -> bytes:
    """Who has 10.8.0.1? Tell 10.8.0.9. (RFC 826)"""
    head = ALL + asker + bytes.fromhex("0806 0001 0800 06 04 0001")
    return (head + asker + bytes([10, 8, 0, 9]) + bytes(6) + bytes(map(int, asked.split(".")))).ljust(60, b"\0")


def echo_request(source: bytes, destination: bytes) -> bytes:
    """10.8.0.9 pings 10.8.0.1. (RFC 791, 792)"""
    message = bytes.fromhex("0800 0000 0001 0001") + bytes(32)
    message = message[:2] + checksum(message) + message[4:]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(message), 1, 0, 64, 1, 0, bytes([10, 8, 0, 9]), PEER)
    return destination + source + b"\x08\0" + head[:10] + checksum(head) + head[12:] + message


def checksum(octets: bytes) -> bytes:
    """Of an even number of octets (RFC 1071)."""
    total = sum(word for (word,) in struct.iter_unpack("!H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("vxlan://10.9.0.2/vni=42", ("id", "42", "dstport", "4789", "remote", "10.9.0.1", "dev", "up0")),
        ("vxlan://239.0.0.1/vni=42/if=up0", ("id", "42", "dstport", "4789", "group", "239.0.0.1", "dev", "up0")),
        ("vxlan://239.0.0.1/vni=42", ("id", "42", "dstport", "4789", "group", "239.0.0.1", "dev", "up0", "ttl", "1")),
        ("vxlan://fd09::2/vni=16777215/port=7777", ("id", "16777215", "dstport", "7777", "remote", "fd09::1")),
        ("vxlan:///v6/vni=7/if=up0", ("id", "7", "dstport", "4789", "group", "ff05:56de::1", "dev", "up0")),
    ],
)
async def test_the_kernel_answers_and_asks(wired: tuple[str, str], ours: str, theirs: tuple[str, ...]) -> None:
    """ARP through the tunnel, asked from either side, and frames of all lengths by unicast."""
    here, there = wired
    kernel_device(there, *theirs)
    with trio.fail_after(PATIENCE_S), ExitStack() as stack:
        stack.enter_context(inside(here))
        async with open_link(ours, TestSurroundings()) as link:
            stack.close()
            answer = b""
            while answer[6:12] != B:
                with trio.move_on_after(0.2):
                    await link.send([arp_request(A, "10.8.0.1")])
                    answer = await receive_ours(link, b"\x08\x06")
            assert answer[:12] == A + B
            assert answer[20:22] == b"\0\2"  # a reply
            assert link.state()["addresses"] == 1
            ping = ["ip", "netns", "exec", there, "ping", "-c", "1", "-W", "1", "10.8.0.77"]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(trio.run_process, ping, check=False, stdout=subprocess.DEVNULL))
                request = b""
                while request[38:42] != bytes([10, 8, 0, 77]):
                    request = await receive_ours(link, b"\x08\x06")
                assert request[:12] == ALL + B
                nursery.cancel_scope.cancel()


@pytest.mark.parametrize("kind", ["native", "python"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("vxlan://10.9.0.2/vni=42", ("id", "42", "dstport", "4789", "remote", "10.9.0.1", "dev", "up0")),
        ("vxlan://239.0.0.1/vni=42/if=up0", ("id", "42", "dstport", "4789", "group", "239.0.0.1", "dev", "up0")),
        ("vxlan:///v6/vni=7/if=up0", ("id", "7", "dstport", "4789", "group", "ff05:56de::1", "dev", "up0")),
    ],
)
async def test_the_kernel_and_the_forwarders_own_endpoint(
    wired: tuple[str, str], ours: str, theirs: tuple[str, ...], kind: Kind
) -> None:
    """The link is handed over: frames pass between the kernel's device and a descriptor without the plug."""
    here, there = wired
    kernel_device(there, *theirs)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, trio.fail_after(PATIENCE_S), ExitStack() as stack:
        stack.enter_context(inside(here))
        async with open_link(ours, TestSurroundings()) as link:
            stack.close()
            handed = link.hand_over()
            assert handed is not None
            assert handed.kind is EndpointKind.OVERLAY
            async with trio.open_nursery() as nursery:
                other = HandedOver(far.detach(), EndpointKind.DATAGRAM)
                patch = await nursery.start(partial(patch_through, handed, other, kind=kind))
                near.setblocking(False)
                client = trio.socket.from_stdlib_socket(near)
                answer = b""
                while answer[6:14] != B + b"\x08\x06":
                    await client.send(arp_request(A, "10.8.0.1"))
                    with trio.move_on_after(0.2):
                        answer = await client.recv(2000)
                assert answer[:6] == A
                assert answer[20:22] == b"\0\2"  # a reply, by unicast
                await client.send(echo_request(A, B))  # by unicast, to what has been learned
                while answer[12:14] != b"\x08\0":
                    answer = await client.recv(2000)
                assert answer[:12] == A + B
                assert answer[34] == 0  # an echo reply
                assert not patch.statistics().right_to_left.dropped
                nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("vxlan://239.0.0.1/vni=42", "vxlan://239.0.0.1/vni=42"),
        ("vxlan://", "vxlan://"),
        ("vxlan:///port=5555/ttl=3/if=up0", "vxlan://239.0.0.1/port=5555/if=up0"),
        ("vxlan://ff15::3/vni=3/if=up0", "vxlan://ff15::3/vni=3/if=up0"),
    ],
)
async def test_debians_plug(need_tool: NeedTool, wired: tuple[str, str], ours: str, theirs: str) -> None:
    need_tool("vde_plug")
    here, there = wired
    with trio.fail_after(PATIENCE_S), ExitStack() as stack:
        stack.enter_context(inside(here))
        async with open_link(ours, TestSurroundings()) as link:
            stack.close()
            async with open_original_plug(theirs, namespace=there) as original:
                assert await exchange(link, original, frame(ALL, A)) == frame(ALL, A)
                await quiet(original)
                for octets in (60, 590, 1514, 9000):
                    await original.send([frame(ALL, B, octets)])  # to A it cannot: see the plug's text
                    assert await receive_ours(link) == frame(ALL, B, octets)
                    await link.send([frame(B, A, octets)])  # now by unicast
                    assert await receive_ours(original) == frame(B, A, octets)
                assert not link.statistics().dropped_in


@pytest.mark.parametrize("scheme", ["vxlan", "vxvde"])
async def test_an_interface_that_goes_away_breaks_the_link(wired: tuple[str, str], scheme: str) -> None:
    here, _ = wired
    with trio.fail_after(PATIENCE_S), ExitStack() as stack:
        stack.enter_context(inside(here))
        async with open_link(f"{scheme}:///if=up0", TestSurroundings()) as link:
            stack.close()
            in_namespace(here, "ip", "link", "add", "other0", "type", "veth", "peer", "name", "other1")
            in_namespace(here, "ip", "link", "delete", "other0")
            with trio.move_on_after(0.1):
                await link.receive()  # others may go
            in_namespace(here, "ip", "link", "delete", "up0")
            with pytest.raises(LinkBroken, match="gone away"):
                await link.receive()


async def test_an_address_that_changes_breaks_a_clouds_member(wired: tuple[str, str]) -> None:
    here, _ = wired
    with trio.fail_after(PATIENCE_S), ExitStack() as stack:
        stack.enter_context(inside(here))
        async with open_link("vxvde://", TestSurroundings()) as link:
            stack.close()
            in_namespace(here, "ip", "addr", "delete", "10.9.0.1/24", "dev", "up0")
            with inside(here):
                await link.send([frame(ALL, A)])  # without any address there is no way, as with a cable that is pulled
            assert link.statistics().dropped_out == {"refused": 1}
            in_namespace(here, "ip", "addr", "add", "10.9.0.5/24", "dev", "up0")
            in_namespace(here, "ip", "route", "add", "224.0.0.0/4", "dev", "up0")
            with inside(here), pytest.raises(LinkBroken, match=r"cannot leave from 10\.9\.0\.1"):
                await link.send([frame(ALL, A)])


async def test_without_a_way_to_the_group_it_says_so(two_namespaces: tuple[str, str]) -> None:
    here, _ = two_namespaces
    for scheme in ("vxlan", "vxvde"):
        with inside(here), pytest.raises(ConfigError, match="if=INTERFACE"):
            async with open_link(f"{scheme}://", TestSurroundings()):
                pass
