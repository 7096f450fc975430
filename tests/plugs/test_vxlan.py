"""vxlan:// on this host: options, peers, strangers."""

import socket

import pytest

from plugs.parts import overlay_socket
from plugs.registry import open_link
from tests.plugs.pairs.vxlan import free_ports
from tests.plugs.surroundings import TestSurroundings
from vde.errors import ConfigError, LinkBroken

FRAME = bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(46)
HEADER = bytes.fromhex("0800000000002a00")


@pytest.mark.parametrize(
    ("vnl", "message"),
    [
        ("vxlan://239.0.0.1/v4/v6", "exclude each other"),
        ("vxlan://239.0.0.1,127.0.0.1", "one multicast group, or peers"),
        ("vxlan://127.0.0.1/v6", "no IPv6 address"),
        ("vxlan://fe80::1", "link-local: if=INTERFACE"),
        ("vxlan://ff02::7", "link-local: if=INTERFACE"),
        ("vxlan://127.0.0.1/vni=16777216", "0 to 16777215"),
        ("vxlan://127.0.0.1/bind=203.0.113.77", "203.0.113.77"),
        ("vxlan://" + ",".join(["127.0.0.1"] * 257), "at most 256"),
    ],
)
async def test_what_is_not_possible_is_refused(vnl: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        async with open_link(vnl, TestSurroundings()):
            pass


async def test_an_interface_that_is_not_there_may_come() -> None:
    with pytest.raises(LinkBroken, match="nonesuch"):
        async with open_link("vxlan://239.0.0.1/if=nonesuch0", TestSurroundings()):
            pass


async def test_a_port_in_use_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))
        vnl = f"vxlan://127.0.0.1/port={other.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"in use.*the option port"):
            async with open_link(vnl, TestSurroundings()):
                pass


async def test_strangers_and_garbage_are_counted_and_pass_nothing() -> None:
    (port,) = free_ports(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer, socket.socket(socket.AF_INET, 2) as stranger:
        peer.bind(("127.0.0.1", 0))
        stranger.bind(("127.0.0.2", 0))
        dstport = peer.getsockname()[1]
        vnl = f"vxlan://127.0.0.1/port={port}/dstport={dstport}/vni=42"
        async with open_link(vnl, TestSurroundings()) as link:
            stranger.sendto(HEADER + FRAME, ("127.0.0.1", port))
            for datagram in (b"", bytes(30), bytes.fromhex("0800000000002b00") + FRAME, HEADER + bytes(13)):
                peer.sendto(datagram, ("127.0.0.1", port))
            peer.sendto(HEADER + FRAME + bytes(9235 - len(FRAME)), ("127.0.0.1", port))
            peer.sendto(HEADER + FRAME, ("127.0.0.1", port))
            assert await link.receive() == [FRAME]
            assert link.statistics().dropped_in == {"stranger": 1, "header": 2, "vni": 1, "short": 1, "oversize": 1}
            await link.send([FRAME])
            assert peer.recv(100) == HEADER + FRAME
            assert link.state()["addresses"] == 1


async def test_a_frame_to_many_goes_to_every_named_peer_and_one_to_a_known_address_to_its_own() -> None:
    (port,) = free_ports(1)
    with socket.socket(socket.AF_INET, 2) as one, socket.socket(socket.AF_INET, 2) as two:
        one.bind(("127.0.0.1", 0))
        dstport = one.getsockname()[1]
        two.bind(("127.0.0.2", dstport))
        one.settimeout(5)
        two.settimeout(5)
        vnl = f"vxlan://127.0.0.1,127.0.0.2/port={port}/dstport={dstport}/vni=42"
        async with open_link(vnl, TestSurroundings()) as link:
            await link.send([FRAME])
            assert one.recv(100) == two.recv(100) == HEADER + FRAME
            two.sendto(HEADER + FRAME, ("127.0.0.1", port))
            assert await link.receive() == [FRAME]
            answer = FRAME[6:12] + bytes.fromhex("020000000002") + FRAME[12:]
            await link.send([answer, FRAME])
            assert two.recv(100) == HEADER + answer
            assert one.recv(100) == HEADER + FRAME


async def test_ipv6() -> None:
    a, b = free_ports(2)
    here = TestSurroundings()
    async with (
        open_link(f"vxlan://::1/port={a}/dstport={b}", here) as one,
        open_link(f"vxlan://::1/port={b}/dstport={a}", here) as two,
    ):
        await one.send([FRAME])
        assert await two.receive() == [FRAME]


def test_groups_are_told_from_hosts() -> None:
    yes: list[overlay_socket.Place] = [("224.0.0.1", 1), ("239.255.255.255", 1), ("ff15::3", 1, 0, 0)]
    no: list[overlay_socket.Place] = [("223.255.255.255", 1), ("240.0.0.1", 1), ("fe80::1", 1, 0, 3)]
    assert all(map(overlay_socket.is_multicast, yes))
    assert not any(map(overlay_socket.is_multicast, no))
