"""seqpacket://: what may be inherited, its end, and handing it over."""

import os
import socket

import pytest
import trio

from plugs import registry
from tests.plugs.surroundings import TestSurroundings
from tests.vde_client import frame
from vde.errors import ConfigError, LinkEnded

PATIENCE_S = 20


async def test_a_datagram_pair_has_no_end_and_empty_messages_are_nothing() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs, trio.fail_after(PATIENCE_S):
        async with registry.open_link(f"seqpacket://{ours.fileno()}", TestSurroundings()) as link:
            for octets in (b"", bytes(9235), b"x", frame(1)):
                theirs.send(octets)
            assert await link.receive() == [frame(1)]
            assert link.statistics().dropped_in == {"oversize": 1, "short": 1}


async def test_the_end_is_seen_by_who_receives_sends_and_watches() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, trio.fail_after(PATIENCE_S):
        async with registry.open_link(f"seqpacket://{ours.fileno()}", TestSurroundings()) as link:
            theirs.send(frame(1))
            theirs.close()
            assert await link.receive() == [frame(1)]
            with pytest.raises(LinkEnded):
                await link.receive()
            with pytest.raises(LinkEnded):
                await link.send([frame(1)])
            with pytest.raises(LinkEnded):
                await link.watch()


async def test_what_is_handed_over_outlives_the_link() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        async with registry.open_link(f"seqpacket://{ours.fileno()}", TestSurroundings()) as link:
            handed = link.hand_over()
        assert handed is not None
        os.write(handed.fd, frame(1))
        assert theirs.recv(100) == frame(1)
        os.close(handed.fd)


@pytest.mark.parametrize("text", ["", "x", "-1", "²", "99999", "1000000000000"])
async def test_no_socket(text: str) -> None:
    with pytest.raises(ConfigError, match=r"the number of an open descriptor was expected|no open socket"):
        async with registry.open_link(f"seqpacket://{text}", TestSurroundings()):
            pass


async def test_a_stream_is_not_the_right_kind() -> None:
    one, other = socket.socketpair()
    with one, other, pytest.raises(ConfigError, match="its type is SOCK_STREAM: SOCK_SEQPACKET or SOCK_DGRAM"):
        async with registry.open_link(f"seqpacket://{one.fileno()}", TestSurroundings()):
            pass
