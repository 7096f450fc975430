"""The adapters: management connections, and standard input in all its forms."""

import fcntl
import itertools
import os
import pty
import select
import socket
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from switch.console.console import SESSIONS_MAX
from switch.console.server import serve_connection, serve_stdin
from switch.console.session import PROMPT
from tests.switch.console.rig import Rig
from vde.clock import monotonic_ns

PATIENCE_S = 10.0
NUMBERS = itertools.count(500)
SUCCESS = b"1000 Success\n" + PROMPT


@pytest.fixture(autouse=True)
def _real_time(rig: Rig) -> None:
    rig.console.now_ns = monotonic_ns


@asynccontextmanager
async def connection(rig: Rig) -> AsyncIterator[trio.SocketStream]:
    """A terminal, greeted."""
    near, far = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in socket.socketpair())
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_connection, near, rig.console)
            async with far:
                assert (await far.receive_some()).endswith(PROMPT)
                yield far


async def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        await trio.to_thread.run_sync(os.getpid)  # a turn for other threads too: a loop of checkpoints keeps the GIL


async def read_exactly(stream: trio.SocketStream, count: int) -> bytes:
    octets = b""
    while len(octets) < count:
        more = await stream.receive_some()
        assert more, octets
        octets += more
    return octets


async def test_the_greeting_is_sent_whole_and_unasked(rig: Rig) -> None:
    near, far = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in socket.socketpair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, near, rig.console)
        async with far:
            assert await far.receive_some() == rig.session.greeting()
            await far.send_all(b"vlan/create 5\n")
            assert await read_exactly(far, len(SUCCESS)) == SUCCESS


async def test_logout_ends_the_connection(rig: Rig) -> None:
    async with connection(rig) as terminal:
        await terminal.send_all(b"vlan/create 5\nlogout\n")
        answer = SUCCESS + b"9999 END OF SESSION"
        assert await read_exactly(terminal, len(answer)) == answer
        assert await terminal.receive_some() == b""
    assert rig.shutdowns == 0


async def test_shutdown_says_goodbye_before_the_switch_ends(rig: Rig) -> None:
    async with connection(rig) as terminal:
        await terminal.send_all(b"shutdown\n")
        assert await read_exactly(terminal, 19) == b"9999 END OF SESSION"
        await wait_until(lambda: rig.shutdowns == 1)


async def test_a_fragment_is_a_line_as_vdeterm_needs_it(rig: Rig) -> None:
    async with connection(rig) as terminal:
        for fragment, answer in ((b"vlan/create 5", SUCCESS), (b"bogus", b"1038 Function not implemented\n" + PROMPT)):
            await terminal.send_all(fragment)
            assert await read_exactly(terminal, len(answer)) == answer


async def test_the_end_of_a_half_closed_connection_is_a_line(rig: Rig) -> None:
    async with connection(rig) as terminal:
        await terminal.send_all(b"# first\nvlan/create 5")
        await terminal.send_eof()
        assert await read_exactly(terminal, len(PROMPT + SUCCESS)) == PROMPT + SUCCESS
        assert await terminal.receive_some() == b""


async def test_events_reach_terminals_that_say_nothing(rig: Rig) -> None:
    async with connection(rig) as first, connection(rig) as second:
        for terminal in (first, second):
            await terminal.send_all(b"debug/add port/+\n")
            assert await read_exactly(terminal, len(SUCCESS)) == SUCCESS
        for number in (7, 8):
            rig.plug(number)
            for terminal in (first, second):
                assert await terminal.receive_some() == b"3021 port/+ 0%d\n" % number


async def test_a_terminal_that_does_not_read_costs_nobody_anything(rig: Rig) -> None:
    async with connection(rig) as deaf, connection(rig) as other:
        await deaf.send_all(b"debug/add port/+\n")
        assert await read_exactly(deaf, len(SUCCESS)) == SUCCESS
        with trio.move_on_after(0.2):
            await deaf.send_all(b"help\n" * 1_000_000)
        for _ in range(100_000):
            rig.switch.events.emit("port/+", "07")
        await other.send_all(b"vlan/create 5\n")
        assert await read_exactly(other, len(SUCCESS)) == SUCCESS


async def test_a_terminal_that_is_cut_off_in_the_middle_is_forgotten(rig: Rig) -> None:
    async with connection(rig) as terminal:
        await terminal.send_all(b"debug/add\n" + b"help\n" * 5000)
        await terminal.receive_some(1)
    assert not rig.switch.events.wanted("")


async def test_one_terminal_too_many_is_turned_away(rig: Rig) -> None:
    rig.console.sessions = SESSIONS_MAX
    near, far = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in socket.socketpair())
    async with far:
        await serve_connection(near, rig.console)
        assert await far.receive_some() == b""
    assert rig.messages == [f"a console was refused: {SESSIONS_MAX} are open"]


# Standard input


async def read_until(descriptor: int, ending: bytes) -> bytes:
    octets = b""
    while not octets.endswith(ending):
        await trio.lowlevel.wait_readable(descriptor)
        more = os.read(descriptor, 4096)
        assert more, octets
        octets += more
    return octets


@pytest.fixture
def pipes() -> Iterator[tuple[int, int, int, int]]:
    """(their input, our end of it, their output, our end of it); whatever is still open is closed.

    No descriptor has a number that another test's had: a thread that was abandoned before it began to read there would
    take what this test writes.
    """
    kept = []
    for descriptor in (*os.pipe(), *os.pipe()):
        kept.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, next(NUMBERS)))
        os.close(descriptor)
    source, write, read, sink = kept
    yield source, write, sink, read
    for descriptor in kept:
        try:
            os.close(descriptor)
        except OSError:
            continue


async def test_answers_come_out_of_a_pipe_at_once_and_without_prompts(rig: Rig, pipes: tuple[int, ...]) -> None:
    source, write, sink, read = pipes
    ends = []

    async def serve() -> None:
        ends.append(await serve_stdin(rig.console, source, sink))

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            os.write(write, b"showinfo\n")
            answer = await read_until(read, b"1000 Success\n")
            assert answer.startswith(b"0000 DATA END WITH '.'\nVDE switch V.2.3.2\n")
            os.write(write, b"logout\ndebug/add port/+\n")
            assert await read_until(read, b"\n") == b"1000 Success\n"
            rig.plug(7)
            assert await read_until(read, b"\n") == b"3021 port/+ 07\n"
            for number in (5, 6):
                os.write(write, b"vlan/create %d" % number)
                assert await read_until(read, b"\n") == b"1000 Success\n"
            os.close(write)
    assert ends == ["eof"]
    assert (os.get_blocking(source), os.get_blocking(sink)) == (True, True)


async def test_shutdown_on_standard_input(rig: Rig, pipes: tuple[int, ...]) -> None:
    source, write, sink, _ = pipes
    os.write(write, b"shutdown\nvlan/create 5\n")
    with trio.fail_after(PATIENCE_S):
        assert await serve_stdin(rig.console, source, sink) == "shutdown"
    assert (rig.shutdowns, sorted(rig.switch.vlans)) == (1, [0])


async def test_an_output_that_nobody_reads_holds_up_the_console_only(rig: Rig, pipes: tuple[int, ...]) -> None:
    source, write, sink, read = pipes
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_stdin, rig.console, source, sink)
            os.write(write, b"help\n" * 100 + b"vlan/create 5\n")
            await wait_until(lambda: not _writable(sink))
            async with connection(rig) as terminal:
                await terminal.send_all(b"vlan/create 6\n")
                assert await read_exactly(terminal, len(SUCCESS)) == SUCCESS
            assert sorted(rig.switch.vlans) == [0, 6]
            while 5 not in rig.switch.vlans:
                await trio.lowlevel.wait_readable(read)
                os.read(read, 65536)
            nursery.cancel_scope.cancel()


def _writable(descriptor: int) -> bool:
    return bool(select.select([], [descriptor], [], 0)[1])


async def test_an_output_that_has_gone_is_no_end(rig: Rig, pipes: tuple[int, ...]) -> None:
    source, write, sink, read = pipes
    os.close(read)
    os.write(write, b"showinfo\nvlan/create 5\n")
    os.close(write)
    with trio.fail_after(PATIENCE_S):
        assert await serve_stdin(rig.console, source, sink) == "eof"
    assert sorted(rig.switch.vlans) == [0, 5]


@pytest.mark.parametrize("octets", [b"", b"vlan/create 5\nshowinfo", b"vlan/create 5\n" * 2000])
async def test_a_file_as_standard_input(rig: Rig, tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "in").write_bytes(octets)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        with trio.fail_after(PATIENCE_S):
            assert await serve_stdin(rig.console, source.fileno(), sink.fileno()) == "eof"
    lines = (tmp_path / "out").read_text().splitlines()
    assert lines[:1] == (["1000 Success"] if octets else [])
    assert "\nvde$ " not in (tmp_path / "out").read_text()


async def test_dev_null_as_standard_input_is_at_its_end(rig: Rig) -> None:
    with open("/dev/null", "r+b") as null, trio.fail_after(PATIENCE_S):  # noqa: ASYNC230 - it never blocks
        assert await serve_stdin(rig.console, null.fileno(), null.fileno()) == "eof"


async def test_a_terminal_gets_prompts_on_itself_and_answers_on_standard_output(
    rig: Rig, pipes: tuple[int, ...]
) -> None:
    _, _, sink, read = pipes
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve_stdin, rig.console, slave, sink)
                os.write(master, b"\n")
                assert await read_until(master, PROMPT) == PROMPT
                os.write(master, b"vlan/create 5\n")
                assert await read_until(master, PROMPT) == PROMPT
                assert await read_until(read, b"\n") == b"1000 Success\n"
                os.write(master, b"shutdown\n")
        assert rig.shutdowns == 1
    finally:
        os.close(master)
        os.close(slave)
