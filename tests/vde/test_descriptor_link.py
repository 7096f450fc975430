"""Links over one descriptor: draining, counting, the end."""

import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from vde.descriptor_link import DescriptorLink
from vde.errors import LinkBroken, LinkClosed
from vde.link import FRAMES_PER_BATCH

FRAME = bytes(60)


class SocketLink(DescriptorLink):
    mtu_octets = 100

    def __init__(self, own: socket.socket) -> None:
        super().__init__(own.fileno())
        self.own = own

    def _read(self) -> bytes | None:
        return self.own.recv(101) or None

    def _write(self, frame: bytes) -> None:
        self.own.send(frame)


@pytest.fixture
def pair() -> Iterator[tuple[SocketLink, socket.socket]]:
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    own.setblocking(False)
    with own, other:
        yield SocketLink(own), other


async def test_what_came_is_read_at_once_up_to_a_batch(pair: tuple[SocketLink, socket.socket]) -> None:
    link, other = pair
    other.setblocking(False)
    sent = []
    try:
        for number in range(FRAMES_PER_BATCH + 3):
            sent.append(number.to_bytes(60))
            other.send(sent[-1])
    except BlockingIOError:  # net.unix.max_dgram_qlen
        del sent[-1]
    received = await link.receive()
    assert received == sent[:FRAMES_PER_BATCH]
    assert link.statistics().received_frames == len(received)
    assert link.statistics().received_octets == 60 * len(received)


async def test_what_is_no_frame_is_counted(pair: tuple[SocketLink, socket.socket]) -> None:
    link, other = pair
    for octets in (b"", bytes(13), bytes(101), FRAME):
        other.send(octets)
    assert await link.receive() == [FRAME]
    assert link.statistics().dropped_in == {"short": 1, "oversize": 1}


async def test_a_full_peer_delays_and_loses_nothing(pair: tuple[SocketLink, socket.socket]) -> None:
    link, other = pair
    frames = [number.to_bytes(60) for number in range(2000)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.send, frames)
        await trio.testing.wait_all_tasks_blocked()
        assert link.statistics().sent_frames < len(frames)
        other.setblocking(False)
        for frame in frames:
            await trio.lowlevel.wait_readable(other)
            assert other.recv(100) == frame
    assert link.statistics().sent_frames == len(frames)


async def test_a_frame_that_is_refused_is_counted(pair: tuple[SocketLink, socket.socket]) -> None:
    link, other = pair
    other.close()
    await link.send([FRAME])
    assert link.statistics().dropped_out == {"refused": 1}


async def test_an_error_of_reading_comes_after_what_was_read() -> None:
    class Failing(SocketLink):
        def _read(self) -> bytes | None:
            octets = self.own.recv(101)
            if octets == b"x":
                raise LinkBroken("the peer said x")
            return octets

    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    own.setblocking(False)
    with own, other:
        link = Failing(own)
        other.send(FRAME)
        other.send(b"x")
        assert await link.receive() == [FRAME]
        for _ in range(2):
            with pytest.raises(LinkBroken, match="said x"):
                await link.receive()


async def test_the_end_wakes_who_waits(pair: tuple[SocketLink, socket.socket]) -> None:
    link, _ = pair
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(LinkClosed):
                await link.receive()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        link.end()
    with pytest.raises(LinkClosed):
        await link.receive()
    with pytest.raises(LinkClosed):
        await link.send([FRAME])
