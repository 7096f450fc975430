"""A guest around the toy processor: consoles, cables, clocks, snapshots, resets, ends."""

import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from emulators.guest.consoles import Keys, Place, parse_place
from emulators.guest.pace import Mode
from emulators.guest.session import Nic, Result, Session, Setup
from emulators.machine import Machine, PoweredOff
from emulators.outside import Outside
from tests.emulators.toy import (
    ADD,
    COMPARE,
    JUMP,
    LET,
    LOAD,
    LOOP,
    PORT_IN,
    PORT_OUT,
    PORT_POWER,
    PORT_RESET,
    RETURN,
    SET,
    STORE,
    WAIT,
    program,
    toy,
)
from tests.plugs.memory_link import MemorySurroundings, memory_links
from vde.errors import ConfigError, InternalError, LinkBroken
from vde.link import Link

IDLE = program(LET, WAIT, (JUMP, 4))
ECHO = program((LOAD, PORT_IN), (STORE, PORT_OUT), RETURN)
SPIN = program((LOAD, 0x200), (ADD, 1), (STORE, 0x200), (JUMP, 0))
PATIENCE_S = 20
DEFAULT = Setup()


@asynccontextmanager
async def guest(
    code: bytes,
    handler: bytes = program(RETURN),
    setup: Setup = DEFAULT,
    surroundings: MemorySurroundings | None = None,
    build: Callable[[Outside], Machine] | None = None,
) -> AsyncIterator[tuple[Session, list[Result]]]:
    """A running one; the list gets its result when it has ended, which it does with the context."""
    ready = trio.Event()
    results: list[Result] = []
    session = Session(
        build or (lambda outside: toy(code, outside, handler)),
        setup,
        surroundings or MemorySurroundings(),
        ready.set,
    )
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                results.append(await session.run())
                ready.set()

            nursery.start_soon(run)
            await ready.wait()
            yield session, results
            if not results and session.runner is not None:
                session.runner.stop()


async def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - of another thread
        await trio.sleep(0.001)


@pytest.mark.parametrize("mode", ["virtual", "host", "warp"])
async def test_a_console_on_a_socket(short_path: Path, mode: Mode) -> None:
    path = short_path / "console"
    setup = Setup(consoles={"serial0": Place("unix", str(path))}, mode=mode)
    async with guest(IDLE, ECHO, setup), await trio.open_unix_socket(str(path)) as stream:
        for _ in range(2):
            await stream.send_all(b"hello")
            answer = b""
            while len(answer) < 5:
                answer += await stream.receive_some()
            assert answer == b"hello"
    assert not path.exists()


async def test_a_second_client_comes_after_the_first(short_path: Path) -> None:
    path = str(short_path / "console")
    setup = Setup(consoles={"serial0": Place("unix", path)})
    async with guest(IDLE, ECHO, setup):
        for _ in range(3):
            async with await trio.open_unix_socket(path) as stream:
                await stream.send_all(b"x")
                assert await stream.receive_some() == b"x"


async def test_a_socket_that_was_left_behind_is_replaced(short_path: Path) -> None:
    path = short_path / "console"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with guest(IDLE, ECHO, Setup(consoles={"serial0": Place("unix", str(path))})):
        assert path.is_socket()
    assert not path.exists()


async def test_a_console_in_a_file_has_everything_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    count = 3000
    code = program((SET, ord("x")), (STORE, PORT_OUT), (LOAD, 0x200), (ADD, 0xFFFFFF), (STORE, 0x200), (LOOP, 0))
    end = program((SET, 5), (STORE, PORT_POWER), (JUMP, 0))

    def build(outside: Outside) -> Machine:
        machine = toy(code + end, outside)
        machine.vm.write(0x200, ((-count * 0xFFFFFF) & 0xFFFFFFFF).to_bytes(4, "little"))
        return machine

    async with guest(b"", setup=Setup(consoles={"serial0": Place("file", str(path))}), build=build) as (_, results):
        await wait_for(lambda: bool(results))
    assert results == [Result(PoweredOff(5))]
    assert path.read_bytes() == b"x" * count


async def test_an_inherited_socket(short_path: Path) -> None:
    ours, theirs = socket.socketpair()
    number = theirs.detach()
    async with guest(IDLE, ECHO, Setup(consoles={"serial0": Place("fd", str(number))})):
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        await stream.send_all(b"abc")
        assert await stream.receive_some(1) == b"a"
        await stream.aclose()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


async def test_a_frame_goes_through_the_guest() -> None:
    ours, theirs = memory_links()
    setup = Setup(nics=(Nic("memory://net"),))
    async with guest(IDLE, setup=setup, surroundings=MemorySurroundings(net=theirs)) as (session, _):
        frames = [bytes([number]) * 60 for number in range(100)]
        await ours.send([bytes(reversed(frame[:30])) + frame[30:] for frame in frames])
        back: list[bytes] = []
        while len(back) < 100:
            back += await ours.receive()
        assert back == frames
        assert session.runner is not None
        assert session.runner.machine.devices["card"].up is True  # type: ignore[attr-defined]


class Breaking(Link):
    """Breaks when it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = trio.Event()

    async def send(self, frames: object) -> None:
        raise AssertionError

    async def receive(self) -> list[bytes]:
        await self.broken.wait()
        raise LinkBroken("the switch has gone")


async def test_a_network_that_goes_is_a_cable_pulled_and_plugged_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulators.guest.links.RETRY_S", 0.01)
    link = Breaking()
    surroundings = MemorySurroundings(net=link)
    async with guest(IDLE, setup=Setup(nics=(Nic("memory://net"),)), surroundings=surroundings) as (session, _):
        runner = session.runner
        assert runner is not None

        def is_up() -> bool:
            return bool(runner.machine.devices["card"].up)  # type: ignore[attr-defined]

        await wait_for(is_up)
        link.broken.set()
        await wait_for(lambda: not is_up())
        _, surroundings.links["net"] = memory_links()
        await wait_for(is_up)
    assert surroundings.warnings == [
        "memory://net: the switch has gone; it is tried again",
        "memory://net: is back",
    ]


async def test_a_network_that_is_not_there_is_an_error() -> None:
    session = Session(lambda outside: toy(IDLE, outside), Setup(nics=(Nic("/nowhere"),)), MemorySurroundings())
    with pytest.raises(LinkBroken, match="/nowhere: No such file"):
        await session.run()


async def test_an_idle_guest_costs_nothing() -> None:
    async with guest(IDLE) as (session, _):
        runner = session.runner
        assert runner is not None
        await wait_for(lambda: runner.machine.exits > 0)
        before, exits = time.process_time(), runner.machine.exits
        await trio.sleep(0.5)
        assert time.process_time() - before < 0.1
        assert runner.machine.exits - exits < 10


@pytest.mark.parametrize("mode", ["virtual", "host"])
async def test_waiting_takes_its_time(mode: Mode) -> None:
    sleeper = program((COMPARE, 200_000), WAIT, (SET, 1), (STORE, PORT_POWER), (JUMP, 0))
    start = time.monotonic()
    async with guest(sleeper, setup=Setup(mode=mode)) as (_, results):
        await wait_for(lambda: bool(results))
    took = time.monotonic() - start
    assert results == [Result(PoweredOff(1))]
    assert 0.198 < took < 5


async def test_warped_waiting_takes_none() -> None:
    sleeper = program((COMPARE, 10_000_000), WAIT, (SET, 1), (STORE, PORT_POWER), (JUMP, 0))
    with trio.fail_after(8):  # of the guest's time, ten seconds pass
        async with guest(sleeper, setup=Setup(mode="warp")) as (_, results):
            await wait_for(lambda: bool(results))
    assert results == [Result(PoweredOff(1))]


async def test_host_time_holds_a_busy_guest_back() -> None:
    async with guest(SPIN, setup=Setup(mode="host")) as (session, _):
        runner = session.runner
        assert runner is not None
        start, ticks = time.monotonic_ns(), await runner.ask(lambda machine: machine.cpu.ticks)
        await trio.sleep(0.3)
        passed = (await runner.ask(lambda machine: machine.cpu.ticks)) - ticks
        assert passed <= (time.monotonic_ns() - start) / 1000 + 5_000


async def test_a_reset_builds_the_machine_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    built = []

    def build(outside: Outside) -> Machine:
        built.append(1)
        code = program((SET, ord("r")), (STORE, PORT_OUT), (STORE, PORT_RESET if len(built) < 3 else PORT_POWER))
        return toy(code, outside)

    setup = Setup(consoles={"serial0": Place("file", str(path))})
    async with guest(b"", setup=setup, build=build) as (_, results):
        await wait_for(lambda: bool(results))
    assert results == [Result(PoweredOff(ord("r")))]
    assert path.read_bytes() == b"rrr"


async def test_what_the_user_may_want_to_know_is_told_once() -> None:
    surroundings, built = MemorySurroundings(), []

    def build(outside: Outside) -> Machine:
        built.append(1)
        machine = toy(program((SET, 1), (STORE, PORT_RESET if len(built) < 3 else PORT_POWER)), outside)
        machine.notes = ("vmlinuz: it is started as it is",)
        return machine

    async with guest(b"", surroundings=surroundings, build=build) as (_, results):
        await wait_for(lambda: bool(results))
    assert len(built) == 3
    assert surroundings.warnings == ["vmlinuz: it is started as it is"]


async def test_a_snapshot_goes_on_in_another_guest(tmp_path: Path) -> None:
    path = tmp_path / "saved"
    surroundings = MemorySurroundings()
    async with guest(SPIN, setup=Setup(snapshot=path), surroundings=surroundings) as (session, _):
        runner = session.runner
        assert runner is not None
        await wait_for(lambda: runner.machine.cpu.ticks > 1000)
        session._command("s")
        await wait_for(lambda: bool(surroundings.warnings))
    assert surroundings.warnings[0].startswith(f"saved: {path} (")
    async with guest(b"", setup=Setup(restore=path)) as (session, _):
        second = session.runner
        assert second is not None
        count = await second.ask(lambda machine: int.from_bytes(machine.vm.read(0x200, 4), "little"))
        assert count > 200
        ticks = await second.ask(lambda machine: machine.cpu.ticks)
        await wait_for(lambda: second.machine.cpu.ticks > ticks)


async def test_a_bug_of_a_device_ends_the_guest_with_its_name() -> None:
    def build(outside: Outside) -> Machine:
        return toy(program((STORE, 0x8010)), outside)

    session = Session(build, Setup(), MemorySurroundings())
    with pytest.raises(InternalError, match="toy: alarm: write of 4 octets"):
        await session.run()


async def test_cancellation_stops_the_machine() -> None:
    session = Session(lambda outside: toy(SPIN, outside), Setup(), MemorySurroundings())
    ready = trio.Event()
    session._ready = ready.set
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.run)
            await ready.wait()
            nursery.cancel_scope.cancel()
    assert session.runner is not None
    ticks = session.runner.machine.cpu.ticks
    assert session.runner.machine.cpu.ticks == ticks
    with pytest.raises(trio.BrokenResourceError):
        await session.runner.ask(lambda machine: None)


async def test_a_guest_that_nobody_reads_can_be_stopped(short_path: Path) -> None:
    """It is held up by its console when the user leaves."""
    ours, theirs = socket.socketpair()
    code = program((SET, ord("x")), (STORE, PORT_OUT), (JUMP, 4))
    setup = Setup(consoles={"serial0": Place("fd", str(theirs.detach()))})
    with contextlib.closing(ours):
        async with guest(code, setup=setup) as (session, results):
            runner = session.runner
            assert runner is not None
            await wait_for(lambda: len(session._consoles["serial0"]._out) >= 64 << 10)
            session._command("q")
            await wait_for(lambda: bool(results))
    assert results == [Result()]


def test_keys() -> None:
    keys = Keys()
    assert list(keys.split(b"ab\x1dqc\x1d\x1dd\x1d")) == [b"ab", "q", b"c\x1dd"]
    assert list(keys.split(b"sx")) == ["s", b"x"]


@pytest.mark.parametrize("text", ["", "file:", "fd:x", "tty", "stdio:1", "none:", "unix"])
def test_a_place_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"stdio, none, file:PATH, unix:PATH, fd:NUMBER was expected"):
        parse_place(text)
