"""Links over byte streams: kinds of descriptors, their mode, cut frames, ends."""

import os
import select
import socket
from pathlib import Path

import pytest
import trio

from tests.vde_client import frame
from vde.errors import LinkClosed, LinkEnded
from vde.framing import encode
from vde.pipe_link import PipeLink

PATIENCE_S = 20


async def test_descriptors_keep_their_mode_and_stay_open() -> None:
    reading, writing = os.pipe()
    ours, theirs = socket.socketpair()
    link = PipeLink(reading, ours.fileno(), "x")
    await link.send([frame(1)])
    assert theirs.recv(1000) == encode([frame(1)])
    assert os.get_blocking(reading)
    assert ours.gettimeout() is None
    assert os.get_blocking(ours.fileno())
    link.close()
    os.write(writing, b"x")
    assert os.read(reading, 9) == b"x"
    for fd in (reading, writing):
        os.close(fd)
    ours.close()
    theirs.close()


async def test_files_are_always_ready(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(encode([frame(1), frame(2)]))
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        link = PipeLink(source.fileno(), sink.fileno(), "files")
        assert await link.receive() == [frame(1), frame(2)]
        with pytest.raises(LinkEnded, match="files: end of the stream"):
            await link.receive()
        await link.send([frame(3)])
        link.close()
    assert (tmp_path / "out").read_bytes() == encode([frame(3)])


async def test_an_end_within_a_frame_is_counted() -> None:
    reading, writing = os.pipe()
    link = PipeLink(reading, writing, "x")
    os.write(writing, encode([frame(1)]) + b"\x00\x40abc")
    assert await link.receive() == [frame(1)]
    link._sink.close()
    os.close(writing)
    with pytest.raises(LinkEnded):
        await link.receive()
    assert link.statistics().dropped_in == {"framing": 1}
    link.close()
    os.close(reading)


async def test_a_cancelled_send_cuts_no_frame() -> None:
    reading, writing = os.pipe()
    link = PipeLink(reading, writing, "x")
    reader = PipeLink(reading, writing, "reader")
    sent = 0
    with trio.fail_after(PATIENCE_S):
        while True:
            with trio.move_on_after(0.05) as scope:
                await link.send([frame(sent % 200, None, bytes(8000))])
                sent += 1
            if scope.cancelled_caught:
                break
        cut = link.statistics()
        assert cut.sent_frames + cut.dropped_out.get("cancelled", 0) == sent + 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.send, [frame(201)])
            got: list[bytes] = []
            while len(got) < cut.sent_frames + 1:
                got += await reader.receive()
    assert [len(one) for one in got] == [8014] * cut.sent_frames + [60]
    assert got[-1] == frame(201)
    assert reader.statistics().dropped_in == {}
    link.close()
    reader.close()
    os.close(reading)
    os.close(writing)


async def test_nobody_reads() -> None:
    reading, writing = os.pipe()
    link = PipeLink(reading, writing, "x")
    link._source.close()
    os.close(reading)
    with pytest.raises(LinkEnded, match="nobody reads any more"):
        await link.send([frame(1)])
    link.close()
    os.close(writing)


async def test_a_closed_link_wakes_who_waits() -> None:
    reading, writing = os.pipe()
    link = PipeLink(reading, writing, "x")

    async def receive() -> None:
        with pytest.raises(LinkClosed):
            await link.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        link.close()
    for fd in (reading, writing):
        os.close(fd)


async def test_garbage_is_passed_over_and_frames_found_again() -> None:
    reading, writing = os.pipe()
    link = PipeLink(reading, writing, "x")
    os.write(writing, b"Last login: yesterday\n" * 20)
    with trio.move_on_after(0.02):
        await link.receive()
    assert link.state()["hunting"]
    os.write(writing, encode([frame(1)]))
    with trio.fail_after(PATIENCE_S):
        assert await link.receive() == [frame(1)]
    assert link.statistics().dropped_in == {"framing": 1}
    link.close()
    for fd in (reading, writing):
        os.close(fd)


async def test_a_closed_descriptor() -> None:
    reading, writing = os.pipe()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="Bad file descriptor"):
        PipeLink(reading, 99_999, "x")
    with select.epoll() as other, pytest.raises(OSError, match="Bad file descriptor"):
        PipeLink(reading, other.fileno(), "x")
    assert os.listdir("/proc/self/fd") == before
    os.close(reading)
    os.close(writing)
