"""udp://: addresses, IPv6, multicast groups, strangers, a peer that is not there."""

import socket
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Literal

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from plugs import registry
from plugs.udp import read_address
from switch.forwarding.contract import Limits
from switch.forwarding.patch import patch_through
from tests.plugs.own_namespace import inside, new_namespace, run_inside
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.udp_ports import free_udp_port
from tests.tools import NeedTool
from tests.vde_client import frame
from vde.endpoint import EndpointKind, HandedOver
from vde.errors import ConfigError
from vde.link import Link

PATIENCE_S = 20


@pytest.mark.parametrize(
    ("address", "source", "destination"),
    [
        ("5000->10.0.0.2:5001", ("", 5000), ("10.0.0.2", 5001)),
        (":5000->10.0.0.2:5001", ("", 5000), ("10.0.0.2", 5001)),
        ("10.0.0.1:5000->host.example:5001", ("10.0.0.1", 5000), ("host.example", 5001)),
        ("[::1]:5000->[fe80::1%eth0]:5001", ("::1", 5000), ("fe80::1%eth0", 5001)),
        ("239.0.0.1:7", None, ("239.0.0.1", 7)),
    ],
)
def test_addresses(address: str, source: tuple[str, int] | None, destination: tuple[str, int]) -> None:
    assert read_address(address) == (source, destination)


@pytest.mark.parametrize(
    "address", ["", "->", "5000->", "5000->h", "h:70000", "5000->h:x", "a:b:1->h:2", "5->:6", ":6"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ConfigError, match=r"\[\[HOST:\]PORT->\]HOST:PORT was expected"):
        read_address(address)


@pytest.mark.fuzz
@given(st.text(max_size=40))
def test_random_addresses_are_read_or_refused(address: str) -> None:
    try:
        source, destination = read_address(address)
    except ConfigError:
        return
    assert destination[0]
    assert 0 <= destination[1] <= 0xFFFF
    assert source is None or 0 <= source[1] <= 0xFFFF


async def crosses(one: Link, *others: Link) -> None:
    await one.send([frame(1)])
    for other in others:
        assert await other.receive() == [frame(1)]


async def test_ipv6() -> None:
    here, there = free_udp_port("::1"), free_udp_port("::1")
    with trio.fail_after(PATIENCE_S):
        async with (
            registry.open_link(f"udp://[::1]:{here}->[::1]:{there}", TestSurroundings()) as one,
            registry.open_link(f"udp://[::1]:{there}->[::1]:{here}", TestSurroundings()) as other,
        ):
            await crosses(one, other)
            await crosses(other, one)
            assert one.state() == {"local": f"[::1]:{here}", "peer": f"[::1]:{there}"}


async def test_a_peer_that_is_not_there_yet_is_no_error_and_strangers_are_not_heard() -> None:
    here, there = free_udp_port(), free_udp_port()
    with trio.fail_after(PATIENCE_S):
        async with registry.open_link(f"udp://127.0.0.1:{here}->127.0.0.1:{there}", TestSurroundings()) as one:
            for _ in range(3):  # the second one meets the ICMP answer to the first
                await one.send([frame(1)])
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(frame(9), ("127.0.0.1", here))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.bind(("127.0.0.1", there))
                for octets in (b"", b"short", bytes(9235), frame(2)):
                    peer.sendto(octets, ("127.0.0.1", here))
                assert await one.receive() == [frame(2)]
        assert one.statistics().dropped_in == {"short": 1, "oversize": 1}


@pytest.mark.parametrize(("group", "options"), [("239.7.7.7", "/if=d0"), ("[ff05::77]", "/if=d0"), ("239.7.7.7", "")])
async def test_groups(need_tool: NeedTool, group: str, options: str) -> None:
    need_tool("ip")
    with trio.fail_after(PATIENCE_S), new_namespace() as namespace:
        for command in (
            "link add d0 type veth peer name d1",
            "link set d0 up",
            "link set d1 up",
            "address add 10.9.9.1/8 dev d0",
            "address add fd00::1/64 dev d0 nodad",
            "route add 224.0.0.0/4 dev d0",
        ):
            run_inside(namespace, "ip", *command.split())
        vnl = f"udp://{group}:7007{options}"
        opened: list[tuple[Link, AbstractAsyncContextManager[Link]]] = []
        try:
            with inside(namespace):  # opening awaits nothing but numeric addresses' look-up, in a thread
                opened += [await _open_at_once(vnl) for _ in range(3)]
            links = [link for link, _ in opened]
            await crosses(links[0], *links[1:])
            await links[1].send([frame(2)])
            assert await links[0].receive() == [frame(2)]  # and not its own
            assert await links[2].receive() == [frame(2)]
            assert links[0].hand_over() is None
        finally:
            for _, context in opened:
                await context.__aexit__(None, None, None)


@pytest.mark.parametrize("kind", ["native", "python"])
async def test_a_peer_that_comes_back_and_frames_that_are_too_long_when_a_forwarder_has_the_socket(
    kind: Literal["native", "python"],
) -> None:
    """ECONNREFUSED, when sending and when receiving, and EMSGSIZE are counted, and do not end it."""
    own, peer_port = free_udp_port(), free_udp_port()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    limits = Limits(max_frame_octets=65535)
    with near, trio.fail_after(PATIENCE_S):
        async with registry.open_link(f"udp://{own}->127.0.0.1:{peer_port}", TestSurroundings()) as link:
            handed = link.hand_over()
            assert handed is not None
            async with trio.open_nursery() as nursery:
                other = HandedOver(far.detach(), EndpointKind.DATAGRAM)
                patch = await nursery.start(partial(patch_through, handed, other, kind=kind, limits=limits))
                near.setblocking(False)
                client = trio.socket.from_stdlib_socket(near)
                for times in range(2):
                    for _ in range(5):  # nobody listens: each one after the first meets an answer that says so
                        done = patch.statistics().right_to_left.frames
                        await client.send(frame(1))
                        while patch.statistics().right_to_left.frames == done:
                            await trio.testing.wait_all_tasks_blocked(0.001)
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
                        plain.bind(("127.0.0.1", peer_port))
                        plain.setblocking(False)
                        peer = trio.socket.from_stdlib_socket(plain)
                        await client.send(frame(2))
                        octets, sender = await peer.recvfrom(2000)
                        assert octets == frame(2)
                        await peer.sendto(frame(3), sender)
                        assert await client.recv(2000) == frame(3)
                        if times:
                            before = patch.statistics().right_to_left.dropped.get("send_error", 0)
                            await client.send(frame(4).ljust(65_520, b"x"))  # more than a UDP datagram holds
                            await client.send(frame(5))
                            assert await peer.recv(1 << 17) == frame(5)
                            assert patch.statistics().right_to_left.dropped["send_error"] == before + 1
                nursery.cancel_scope.cancel()


async def _open_at_once(vnl: str) -> tuple[Link, AbstractAsyncContextManager[Link]]:
    context = registry.open_link(vnl, TestSurroundings())
    return await context.__aenter__(), context


@pytest.mark.parametrize(
    ("vnl", "text"),
    [
        ("udp://10.0.0.1:5", "HOST alone only if it is a multicast group"),
        ("udp://5->239.0.0.1:5", "is a multicast group"),
        ("udp://239.0.0.1:5/if=nonexistent0", "there is no such interface"),
        ("udp://239.0.0.1:5/ttl=256", "a number of 0 to 255 was expected"),
        ("udp://192.0.2.77:5->127.0.0.1:5", "Cannot assign requested address"),
        ("udp://5->name.invalid:5", "name.invalid"),
    ],
)
async def test_what_is_wrong(vnl: str, text: str) -> None:
    with pytest.raises((ConfigError, Exception), match=text) as caught:
        async with registry.open_link(vnl, TestSurroundings()):
            pass
    assert type(caught.value).__module__ in ("vde.errors", "vde.vnl")
