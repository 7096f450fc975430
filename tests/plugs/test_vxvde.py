"""vxvde:// on the loopback interface: options, several members on one host, who leaves."""

import grp
import os
import socket

import pytest
import trio

from plugs.registry import open_link
from plugs.vxvde import Params, group_of, network_identifier
from tests.plugs.pairs.vxlan import free_ports
from tests.plugs.surroundings import TestSurroundings
from vde.errors import ConfigError

HEADER = bytes.fromhex("0800000000000100")
ALL, A, B = b"\xff" * 6, bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def frame(destination: bytes, source: bytes) -> bytes:
    return destination + source + b"\x88\xb5" + bytes(46)


def test_the_network_identifier_is_a_number_or_a_unix_group() -> None:
    one = grp.getgrall()[-1]
    assert network_identifier(Params()) == 1
    assert network_identifier(Params(vni="42")) == 42
    assert network_identifier(Params(vni="0x2a")) == 42
    assert network_identifier(Params(vni=one.gr_name)) == one.gr_gid
    assert network_identifier(Params(grp=one.gr_name)) == one.gr_gid
    assert network_identifier(Params(grp="")) == os.getegid()
    assert network_identifier(Params(grp="7", vni="9")) == 9
    for wrong in ("no such group", "16777216", "-1"):
        with pytest.raises(ConfigError):
            network_identifier(Params(vni=wrong))


def test_the_group_takes_the_unix_groups_number() -> None:
    assert group_of("239.0.0.1", 0x010203) == "239.1.2.3"
    assert group_of("ff05:56de::1", 0x010203) == "ff05:56de::1:203"
    with pytest.raises(ConfigError, match="numeric"):
        group_of("example", 1)


@pytest.mark.parametrize(
    ("vnl", "message"),
    [("vxvde://127.0.0.1", "no multicast group"), ("vxvde:///bind=203.0.113.77/if=lo", "203.0.113.77")],
)
async def test_what_is_not_possible_is_refused(vnl: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        async with open_link(vnl, TestSurroundings()):
            pass


async def test_three_members_of_one_host_hear_one_another_and_not_themselves() -> None:
    vnl = f"vxvde://239.77.1.2/if=lo/port={free_ports(1)[0]}"
    here = TestSurroundings()
    async with open_link(vnl, here) as one, open_link(vnl, here) as two, open_link(vnl, here) as three:
        await one.send([frame(ALL, A)])
        assert await two.receive() == await three.receive() == [frame(ALL, A)]
        await two.send([frame(A, B), frame(ALL, B)])  # one's address is known: three hears the second only
        assert await one.receive() == [frame(A, B), frame(ALL, B)]
        assert await three.receive() == [frame(ALL, B)]
        with trio.move_on_after(0) as nothing:
            await one.receive()  # its own copy came before
        assert nothing.cancelled_caught
        assert not one.statistics().dropped_in


async def test_a_member_that_leaves_is_forgotten() -> None:
    vnl = f"vxvde://239.77.1.3/if=lo/port={free_ports(1)[0]}"
    here = TestSurroundings()
    async with open_link(vnl, here) as one:
        async with open_link(vnl, here) as two:
            await two.send([frame(ALL, B)])
            assert await one.receive() == [frame(ALL, B)]
            assert one.state()["addresses"] == 1
        async with open_link(vnl, here) as three:
            await three.send([frame(ALL, A)])
            assert await one.receive() == [frame(ALL, A)]
            assert one.state()["addresses"] == 1


async def test_the_leave_message_is_the_header_alone_from_the_members_own_port() -> None:
    (port,) = free_ports(1)
    async with open_link(f"vxvde://239.77.1.4/if=lo/port={port}", TestSurroundings()) as link:
        own = (link.state()["address"], link.state()["port"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as group:
            group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            group.bind(("239.77.1.4", port))
            group.setsockopt(
                socket.IPPROTO_IP,
                socket.IP_ADD_MEMBERSHIP,
                socket.inet_aton("239.77.1.4") + socket.inet_aton("127.0.0.1"),
            )
            group.settimeout(5)
            await link.send([frame(ALL, A)])
            assert group.recvfrom(100) == (HEADER + frame(ALL, A), own)
            link.leave()  # type: ignore[attr-defined]
            assert group.recvfrom(100) == (HEADER, own)
