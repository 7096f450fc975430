"""qemu://: both roles, reconnecting, datagrams, and peers that do it wrong."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from plugs.parts.framed import FramedStream, StreamLink
from plugs.qemu import FRAME_OCTETS, Params, open_qemu
from plugs.registry import open_link
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.test_contract import collect, frame
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.link import Counters

HEAD = bytes.fromhex("02000000000a 02000000000b 88b5")


@asynccontextmanager
async def stream() -> AsyncIterator[tuple[StreamLink, socket.socket]]:
    """A link over an inherited socket, and the other end."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        async with open_qemu(f"fd:{ours.fileno()}", Params(), TestSurroundings()) as link:
            assert isinstance(link, StreamLink)
            ours.close()
            yield link, theirs


async def test_the_wire_is_a_length_of_four_octets_and_the_frame() -> None:
    async with stream() as (link, peer):
        await link.send([frame(1, 60), frame(2, 64)])
        assert peer.recv(1000) == b"\0\0\0\x3c" + frame(1, 60) + b"\0\0\0\x40" + frame(2, 64)
        peer.send(b"\0\0\0\x3c" + frame(3))
        assert await link.receive() == [frame(3)]


@pytest.mark.parametrize("octets", [14, 15, 1514, 9234, 65536, FRAME_OCTETS])
async def test_frames_up_to_the_limit_of_qemu_pass_in_any_pieces(octets: int) -> None:
    async with stream() as (link, peer), trio.open_nursery() as nursery:
        sent = frame(1, octets)[:octets]
        nursery.start_soon(link.send, [sent])
        wire = trio.socket.from_stdlib_socket(peer.dup())
        with wire:
            read = b""
            while len(read) < octets + 4:
                read += await wire.recv(1000)
        assert read == octets.to_bytes(4) + sent

        async def pieces() -> None:
            with trio.socket.from_stdlib_socket(peer.dup()) as again:
                for at in range(0, len(read), 777):
                    await again.send(read[at : at + 777])

        nursery.start_soon(pieces)
        assert await link.receive() == [sent]


async def test_a_peer_that_announces_more_than_qemu_allows_is_disconnected() -> None:
    async with stream() as (link, peer):
        peer.send(b"\0\0\0\x3c" + frame(1) + (FRAME_OCTETS + 1).to_bytes(4))
        with pytest.raises(LinkBroken, match="framing"):
            await collect(link, 2)
        assert link.statistics().dropped_in == {"framing": 1}
        with pytest.raises(LinkBroken):
            await link.send([frame(1)])


async def test_frames_that_are_none_are_counted() -> None:
    async with stream() as (link, peer):
        peer.send(b"\0\0\0\0" + b"\0\0\0\x0d" + bytes(13) + b"\0\0\0\x3c" + frame(1))
        assert await link.receive() == [frame(1)]
        assert link.statistics().dropped_in == {"short": 2}


async def test_half_a_frame_at_the_end_is_counted() -> None:
    async with stream() as (link, peer):
        peer.send(b"\0\0\0\x3c" + frame(1) + b"\0\0\0\x3c" + bytes(59))
        peer.close()
        assert await link.receive() == [frame(1)]
        with pytest.raises(LinkBroken):
            await link.receive()
        assert link.statistics().dropped_in == {"framing": 1}


async def test_a_cancelled_send_to_a_peer_that_never_reads_cuts_no_frame() -> None:
    async with stream() as (link, peer):
        with trio.move_on_after(0.05) as scope:
            while True:
                await link.send([frame(number, 1514) for number in range(64)])
        assert scope.cancelled_caught
        assert link.statistics().dropped_out.get("cancelled", 0) > 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.send, [HEAD + b"the last"])
            read = bytearray()
            with trio.socket.from_stdlib_socket(peer.dup()) as wire:
                while not read.endswith(b"the last"):
                    read += await wire.recv(1 << 20)
        lengths = []
        while read:
            length = int.from_bytes(read[:4])
            assert len(read) >= 4 + length
            lengths.append(length)
            del read[: 4 + length]
        assert set(lengths[:-1]) == {1514}
        assert link.statistics().sent_frames == len(lengths)


async def test_a_server_serves_one_client_after_another(short_path: Path) -> None:
    vnl, client_vnl = f"qemu://{short_path}/s[server/reconnect=0.01/mode=0640]", f"qemu://{short_path}/s"
    async with open_link(vnl, TestSurroundings()) as server:
        assert os.stat(short_path / "s").st_mode & 0o777 == 0o640
        await server.send([frame(0)])
        assert server.statistics().dropped_out == {"no-peer": 1}
        for number in range(3):
            async with open_link(client_vnl, TestSurroundings()) as client:
                await client.send([frame(number)])
                assert await collect(server, 1) == [frame(number)]
                await server.send([frame(number)])
                assert await collect(client, 1) == [frame(number)]
    assert not (short_path / "s").exists()


async def test_a_client_comes_back_when_the_server_does(short_path: Path) -> None:
    surroundings = TestSurroundings()
    async with open_link(f"qemu://{short_path}/s[reconnect=0.01]", surroundings) as client:
        await client.send([frame(0)])
        assert client.statistics().dropped_out == {"no-peer": 1}
        got = trio.open_memory_channel[bytes](10)

        async def receive() -> None:
            while True:
                for one in await client.receive():
                    await got[0].send(one)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            for number in range(2):
                async with open_link(f"qemu://{short_path}/s[server]", TestSurroundings()) as server:
                    with trio.fail_after(10):
                        while not server.state()["connected"]:
                            await trio.lowlevel.checkpoint()
                        await server.send([frame(number)])
                        assert await got[1].receive() == frame(number)
                        await client.send([frame(number)])
                        assert await collect(server, 1) == [frame(number)]
            nursery.cancel_scope.cancel()
    assert len(surroundings.warnings) <= 2


async def test_without_reconnect_the_link_ends_with_the_connection(short_path: Path) -> None:
    with pytest.raises(LinkBroken, match="No such file"):
        async with open_link(f"qemu://{short_path}/s", TestSurroundings()):
            pass
    async with open_link(f"qemu://{short_path}/s[server]", TestSurroundings()) as server:
        async with open_link(f"qemu://{short_path}/s", TestSurroundings()):
            pass
        with pytest.raises(LinkBroken):
            await server.receive()


async def test_a_dead_servers_socket_is_replaced_and_a_living_ones_not(short_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(short_path / "s"))
    async with open_link(f"qemu://{short_path}/s[server]", TestSurroundings()):
        with pytest.raises(ConfigError, match="Address already in use"):
            async with open_link(f"qemu://{short_path}/s[server]", TestSurroundings()):
                pass


@pytest.mark.parametrize("tcp", ["127.0.0.1:{}", "'[::1]':{}"])
async def test_tcp(tcp: str) -> None:
    with socket.socket(socket.AF_INET6 if "::" in tcp else socket.AF_INET) as probe:
        probe.bind(("::1" if "::" in tcp else "127.0.0.1", 0))
        place = tcp.format(probe.getsockname()[1])
    async with (
        open_link(f"qemu://{place}[server]", TestSurroundings()) as server,
        open_link(f"qemu://{place}", TestSurroundings()) as client,
    ):
        await client.send([frame(1)])
        assert await collect(server, 1) == [frame(1)]
        await server.send([frame(2)])
        assert await collect(client, 1) == [frame(2)]


async def test_datagrams_by_path(short_path: Path) -> None:
    one, two = (
        f"qemu://{short_path}/{there}[dgram/local='{short_path}/{here}']" for here, there in (("a", "b"), ("b", "a"))
    )
    async with open_link(one, TestSurroundings()) as first:
        await first.send([frame(0)])
        assert first.statistics().dropped_out == {"no-peer": 1}
        async with open_link(two, TestSurroundings()) as second:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(frame(9), str(short_path / "a"))
            for octets in (14, 1514, FRAME_OCTETS):
                await second.send([frame(1, octets)[:octets]])
                assert await first.receive() == [frame(1, octets)[:octets]]
        assert first.statistics().dropped_in == {"stranger": 1}
    assert not os.listdir(short_path)


@pytest.mark.parametrize(
    ("vnl", "words"),
    [
        ("qemu://somewhere", "HOST:PORT"),
        ("qemu://localhost:70000", "HOST:PORT"),
        ("qemu://fd:99999", "descriptor"),
        ("qemu://127.0.0.1:5000[dgram]", "local="),
        ("qemu://127.0.0.1:5000[dgram/local=here%2fx]", "two paths or two"),
        ("qemu://127.0.0.1:5000[local=x]", "add dgram"),
        ("qemu://127.0.0.1:5000[dgram/server]", "no server"),
        ("qemu://127.0.0.1:5000[reconnect=-1]", "0 or more"),
        ("qemu:///" + "x" * 120, "107"),
        ("qemu:///nowhere/at/all[server]", "No such file"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(vnl: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        async with open_link(vnl, TestSurroundings()):
            pass


async def test_a_closed_link_says_so() -> None:
    async with stream() as (link, _):
        pass
    with pytest.raises(LinkClosed):
        await link.receive()
    with pytest.raises(LinkClosed):
        await link.send([frame(1)])


@pytest.mark.fuzz
@given(st.lists(st.binary(max_size=200), max_size=8))
def test_hostile_octets_are_frames_or_the_end(pieces: list[bytes]) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            counters = Counters()
            connection = FramedStream(ours, counters, mtu_octets=9234, bound_octets=FRAME_OCTETS)
            for piece in pieces:
                theirs.send(piece)
            theirs.close()
            try:
                while True:
                    for one in await connection.receive():
                        assert 14 <= len(one) <= 9234
            except LinkBroken:
                pass
            finally:
                connection.close()

    trio.run(run)
