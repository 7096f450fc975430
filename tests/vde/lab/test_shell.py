"""Driving a shell through a terminal that echoes, wraps lines, and that others use as well."""

import contextlib
import os
import pty
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from vde.lab.console import MOST_CHUNKS, Console, serve_viewer
from vde.lab.shell import Shell, ShellGone
from vde.lab.transcript import Transcript, previous, text_lines


class Line:
    """A serial line with a real shell behind it."""

    def __init__(self, directory: Path, command: list[str]) -> None:
        ours, self.guest = socket.socketpair()
        self.console = Console(
            trio.SocketStream(trio.socket.from_stdlib_socket(ours)), Transcript(directory / "console.log")
        )
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ |= {"PS1": "# ", "ENV": ""}
            os.execv(command[0], command)
        self.threads = [threading.Thread(target=target) for target in (self._to_guest, self._from_guest)]
        for thread in self.threads:
            thread.start()

    def _to_guest(self) -> None:
        while octets := self.guest.recv(4096):
            os.write(self.terminal, octets)

    def _from_guest(self) -> None:
        while True:
            try:
                octets = os.read(self.terminal, 4096)
            except OSError:
                octets = b""
            if not octets:
                break
            with contextlib.suppress(OSError):
                self.guest.sendall(octets)
        with contextlib.suppress(OSError):
            self.guest.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        await self.console.aclose()
        self.console.transcript.close()
        os.kill(self.pid, 9)
        await trio.to_thread.run_sync(os.waitpid, self.pid, 0)
        for thread in self.threads:
            await trio.to_thread.run_sync(thread.join)
        self.guest.close()
        os.close(self.terminal)


@pytest.fixture
async def line(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Line]:
    line = Line(tmp_path, ["/bin/sh", "-i"])
    nursery.start_soon(line.console.run)
    yield line
    await line.aclose()


async def test_output_and_status_without_the_echo(line: Line) -> None:
    shell = Shell(line.console, 7)
    answer = await shell.run("echo one; echo two; (exit 5)")
    assert (answer.status, answer.lines) == (5, ["one", "two"])
    answer = await shell.run("true")
    assert (answer.status, answer.lines) == (0, [])


async def test_a_command_that_prints_what_looks_like_a_mark(line: Line) -> None:
    answer = await Shell(line.console, 7).run("echo VDE-7.1b; echo VDE-7.2e-0; echo VDE-99")
    assert answer.lines == ["VDE-7.1b", "VDE-7.2e-0", "VDE-99"]


async def test_a_very_long_command_whose_echo_is_wrapped(line: Line) -> None:
    answer = await Shell(line.console, 7).run(f"echo {'x' * 700} | wc -c")
    assert answer.lines == ["701"]


async def test_what_somebody_began_to_type_is_removed(line: Line) -> None:
    await line.console.send(b"rm -rf /some/where")
    assert (await Shell(line.console, 7).run("echo mine")).lines == ["mine"]


async def test_a_busy_shell_is_asked_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vde.lab.shell.PATIENCE_S", 0.1)
    await line.console.send(b"sleep 0.5\r")
    assert (await Shell(line.console, 7).run("echo at last")).lines == ["at last"]


async def test_escape_sequences_are_removed_from_the_output(line: Line) -> None:
    answer = await Shell(line.console, 7).run(r"printf '\033[31mred\033[0m\007 \033]0;title\007text\n'")
    assert answer.lines == ["red? text"]


async def test_a_shell_that_ends(line: Line) -> None:
    with pytest.raises(ShellGone):
        await Shell(line.console, 7).run("exit 3")
    with pytest.raises(ShellGone):
        await Shell(line.console, 8).run("echo there?")


async def test_everything_is_written_down(line: Line) -> None:
    await Shell(line.console, 7).run("echo for the record")
    assert b"for the record\r\n" in line.console.transcript.path.read_bytes()


async def test_a_viewer_that_does_not_read_is_dropped_and_holds_up_nobody(tmp_path: Path) -> None:
    ours, guest = trio.testing.memory_stream_pair()
    console = Console(ours, Transcript(tmp_path / "console.log"))
    pieces = MOST_CHUNKS + 5
    async with trio.open_nursery() as nursery:
        nursery.start_soon(console.run)
        with console.viewer() as slow, console.viewer() as quick:
            for number in range(pieces):
                await guest.send_all(b"%d " % number)
                assert await quick.receive() == b"%d " % number
            assert len([octets async for octets in slow]) == MOST_CHUNKS, "it got what fitted, and then the end"
            await guest.aclose()
            assert [octets async for octets in quick] == []
    await console.aclose()
    assert console.transcript.path.read_bytes().endswith(b"%d " % (pieces - 1))
    console.transcript.close()


async def test_a_viewer_sees_the_past_and_types(tmp_path: Path) -> None:
    ours, guest = trio.testing.memory_stream_pair()
    console = Console(ours, Transcript(tmp_path / "console.log"))
    theirs, viewer = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(console.run)
        await guest.send_all(b"the past, ")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(serve_viewer, console, theirs, b"typed before")
        assert await guest.receive_some() == b"typed before"
        await guest.send_all(b"and the present")
        await trio.testing.wait_all_tasks_blocked()
        assert await viewer.receive_some() == b"the past, and the present"
        await viewer.send_all(b"typed now")
        assert await guest.receive_some() == b"typed now"
        await viewer.aclose()
        await trio.testing.wait_all_tasks_blocked()
        await guest.aclose()
    await console.aclose()
    console.transcript.close()


@given(st.lists(st.binary(max_size=60), max_size=20), st.integers(1, 100))
def test_a_transcript_is_bounded_and_loses_only_the_oldest(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], most: int
) -> None:
    path = tmp_path_factory.mktemp("transcript") / "a.log"
    transcript = Transcript(path, most)
    for piece in pieces:
        transcript.write(piece)
    transcript.close()
    parts = [part.read_bytes() for part in (previous(path), path) if part.exists()]
    assert b"".join(pieces).endswith(b"".join(parts))
    assert all(len(part) < most + 60 for part in parts)
    assert bytes(transcript.tail) == b"".join(pieces)


def test_a_transcript_that_cannot_be_written_counts_what_is_lost(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "none" / "a.log")
    transcript.write(b"12345")
    assert transcript.lost_octets == 5
    assert transcript.last_lines(1) == ["12345"], "the end is known all the same"


@given(st.binary(max_size=300))
def test_lines_of_random_octets_are_printable(octets: bytes) -> None:
    """Whatever a guest writes, what is shown of it cannot control the terminal."""
    assert all(line.isprintable() for line in text_lines(octets))
