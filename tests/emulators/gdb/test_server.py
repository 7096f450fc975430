"""A debugger's server: connections that come, go, are killed, and talk nonsense."""

import contextlib
import functools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from emulators.gdb.packets import Packet, Parser, Sign, emit
from emulators.gdb.server import serve
from emulators.guest.session import Result, Session, Setup
from emulators.machine import PoweredOff
from tests.emulators.gdb.toy_registers import ToyRegisters
from tests.emulators.toy import ADD, JUMP, LOAD, LOOP, PORT_POWER, SET, STORE, program, toy
from tests.plugs.memory_link import MemorySurroundings
from vde.errors import ConfigError

SPIN = program((LOAD, 0x200), (ADD, 1), (STORE, 0x200), (JUMP, 0))
PATIENCE_S = 20


class Gdb:
    """The other end."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._parser = Parser()
        self._seen: list[Packet | Sign] = []

    async def ask(self, data: bytes) -> bytes:
        await self.stream.send_all(emit(data))
        return await self.packet()

    async def item(self) -> Packet | Sign:
        while not self._seen:
            octets = bytes(await self.stream.receive_some())
            if not octets:
                raise EOFError
            self._seen += list(self._parser.receive(octets))
        return self._seen.pop(0)

    async def packet(self) -> bytes:
        while not isinstance(item := await self.item(), Packet):
            pass
        return item.data


@asynccontextmanager
async def debugged(
    path: Path, code: bytes = SPIN, *, wait: bool = False
) -> AsyncIterator[tuple[Session, list[Result]]]:
    ready = trio.Event()
    results: list[Result] = []
    session = Session(
        lambda outside: toy(code, outside),
        Setup(gdb=str(path), wait=wait),
        MemorySurroundings(),
        ready.set,
        functools.partial(serve, choose=ToyRegisters),
    )
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                results.append(await session.run())

            nursery.start_soon(run)
            await ready.wait()
            yield session, results
            if not results:
                assert session.runner is not None
                session.runner.stop()
    assert not os.path.exists(path)  # noqa: ASYNC240 - in the directory of the test


async def test_a_debugger_stops_looks_and_goes(short_path: Path) -> None:
    path = short_path / "gdb"
    async with debugged(path) as (session, _):
        runner = session.runner
        assert runner is not None
        for _ in range(2):
            async with await trio.open_unix_socket(str(path)) as stream:
                gdb = Gdb(stream)
                assert await gdb.ask(b"?") == b"T02thread:1;"
                count = await gdb.ask(b"m200,4")
                assert await gdb.ask(b"m200,4") == count  # it stands still
                await stream.send_all(emit(b"c"))
                await stream.send_all(b"\x03")
                assert await gdb.packet() == b"T02thread:1;"
                while await gdb.ask(b"m200,4") == count:
                    await stream.send_all(emit(b"c") + b"\x03")
                    await gdb.packet()
                assert await gdb.ask(b"D") == b"OK"
            ticks = runner.machine.cpu.ticks
            while runner.machine.cpu.ticks == ticks:  # noqa: ASYNC110 - of another thread
                await trio.sleep(0.001)


async def test_a_breakpoint_is_told(short_path: Path) -> None:
    path = short_path / "gdb"
    async with debugged(path, wait=True), await trio.open_unix_socket(str(path)) as stream:
        gdb = Gdb(stream)
        assert await gdb.ask(b"QStartNoAckMode") == b"OK"
        assert await gdb.ask(b"p2") == b"00000000"  # it has not run yet
        assert await gdb.ask(b"Z0,8,4") == b"OK"
        assert await gdb.ask(b"c") == b"T05thread:1;hwbreak:;"
        assert await gdb.ask(b"p2") == b"08000000"


async def test_a_debugger_that_vanishes_leaves_no_breakpoint(short_path: Path) -> None:
    path = short_path / "gdb"
    async with debugged(path) as (session, _):
        runner = session.runner
        assert runner is not None
        async with await trio.open_unix_socket(str(path)) as stream:
            assert await Gdb(stream).ask(b"Z0,8,4") == b"OK"
        while runner.machine.cpu.breakpoints:  # type: ignore[attr-defined]  # noqa: ASYNC110 - of another thread
            await trio.sleep(0.001)
        async with await trio.open_unix_socket(str(path)) as stream:
            assert await Gdb(stream).ask(b"?") == b"T02thread:1;"


async def test_kill_ends_the_guest(short_path: Path) -> None:
    path = short_path / "gdb"
    async with debugged(path) as (_, results), await trio.open_unix_socket(str(path)) as stream:
        await stream.send_all(emit(b"k"))
        with contextlib.suppress(EOFError):
            while True:
                await Gdb(stream).item()
    assert results == [Result()]


async def test_the_guests_end_is_told(short_path: Path) -> None:
    path = short_path / "gdb"
    code = program((LOAD, 0x200), (LOOP, 12), (JUMP, 0), (SET, 9), (STORE, PORT_POWER))
    async with debugged(path, code) as (_, results), await trio.open_unix_socket(str(path)) as stream:
        gdb = Gdb(stream)
        assert await gdb.ask(b"M200,1:01") == b"OK"
        assert await gdb.ask(b"c") == b"W09"
    assert results == [Result(PoweredOff(9))]


async def test_a_damaged_packet_is_asked_for_again(short_path: Path) -> None:
    path = short_path / "gdb"
    async with debugged(path), await trio.open_unix_socket(str(path)) as stream:
        gdb = Gdb(stream)
        await stream.send_all(b"$?#00")
        assert await gdb.item() == Sign("again")
        assert await gdb.ask(b"qC") == b"QC1"
        await stream.send_all(b"-")
        assert await gdb.packet() == b"QC1"


async def test_a_tcp_port_is_on_the_loopback() -> None:
    surroundings = MemorySurroundings()
    session = Session(lambda outside: toy(SPIN, outside), Setup(gdb="0"), surroundings, serve_debugger=serve)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        while not surroundings.warnings:  # noqa: ASYNC110 - of another task
            await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    assert surroundings.warnings[0].startswith("gdb: target remote 127.0.0.1:")


@pytest.mark.parametrize("address", ["/nonexistent/gdb", "203.0.113.1:1", "99999999"])
async def test_an_address_that_cannot_be(address: str) -> None:
    session = Session(
        lambda outside: toy(SPIN, outside), Setup(gdb=address), MemorySurroundings(), serve_debugger=serve
    )
    with pytest.raises(ConfigError, match=f"--gdb {address}: "):
        await session.run()
