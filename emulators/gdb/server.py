"""A debugger's server: one connection at a time, on the loopback or on a Unix socket.

A machine stands still while a debugger is connected and has not let it go, and runs on when the connection ends.
Whoever can connect rules the guest, so that a TCP port is opened on the loopback only, if no other address is given.
"""

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trio

from emulators.gdb import stub as protocol
from emulators.gdb.packets import Packet, Parser, Sign, emit
from emulators.gdb.registers import registers_of
from emulators.guest.runner import Runner
from emulators.machine import Debugged, Machine
from vde.errors import ConfigError

LOOPBACK = "127.0.0.1"
CHUNK_OCTETS = 4096
STOPS = 16
"""Stops that wait for the server's task. Chosen: a machine that has stopped does not stop again."""


async def serve(
    runner: Runner,
    address: str,
    tell: Callable[[str], None],
    task_status: trio.TaskStatus[None],
    choose: Callable[[Mapping[str, Any]], protocol.Registers] = registers_of,
) -> None:
    """Serve debuggers until cancelled.

    Args:
        runner: of the machine.
        address: `[HOST:]PORT` or a path.
        tell: is told in a line where.
        choose: says how GDB sees a processor with such a state.

    Raises:
        ConfigError: nobody can listen there.
    """
    async with _listening(address) as listener:
        name = listener.socket.getsockname()
        tell(f"gdb: target remote {name if isinstance(name, str) else f'{name[0]}:{name[1]}'}")
        task_status.started()
        while True:
            async with await listener.accept() as stream:
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    registers = await runner.ask(lambda machine: choose(machine.cpu.state()))
                    await _Session(runner, stream, registers).run()


class _Session:
    def __init__(self, runner: Runner, stream: trio.SocketStream, registers: protocol.Registers) -> None:
        self._runner = runner
        self._stream = stream
        self._stub = protocol.Stub(registers)
        self._parser = Parser()
        self._last = b""
        self._running = False

    async def run(self) -> None:
        token = trio.lowlevel.current_trio_token()
        send, stops = trio.open_memory_channel[Debugged | None](STOPS)

        def on_stop(stop: Debugged | None) -> None:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(send.send_nowait, stop)

        runner = self._runner
        await runner.ask(self._pause)
        self._stub.stopped(None)
        runner.on_stop, runner.on_build = on_stop, self._stub.arm
        leave = protocol.Leave(kill=False)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell_stops, stops)
                leave = await self._talk()
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            runner.on_stop = runner.on_build = None
            with trio.CancelScope(shield=True), contextlib.suppress(trio.BrokenResourceError):
                if runner.machine.end is not None and self._running:
                    with trio.move_on_after(1):
                        await self._stream.send_all(emit(protocol.exited(runner.machine.end)))
                await runner.ask(self._stub.disarm)
                if leave.kill:
                    runner.stop()
                else:
                    await runner.ask(lambda machine: runner.go_on())

    def _pause(self, machine: Machine) -> None:
        self._runner.pause()

    async def _talk(self) -> protocol.Leave:
        while octets := bytes(await self._stream.receive_some(CHUNK_OCTETS)):
            for item in self._parser.receive(octets):
                match item:
                    case Packet(data):
                        if not self._stub.no_ack:
                            await self._stream.send_all(b"+")
                        leave = await self._answer(data)
                        if leave is not None:
                            return leave
                    case Sign("again"):
                        await self._stream.send_all(self._last)
                    case Sign("damaged") if not self._stub.no_ack:
                        await self._stream.send_all(b"-")
                    case Sign("interrupt") if self._running:
                        await self._runner.ask(self._pause)
                        if self._running:  # it may have met a breakpoint in the meantime
                            self._running = False
                            await self._send(self._stub.stopped(None))
        return protocol.Leave(kill=False)

    async def _answer(self, data: bytes) -> protocol.Leave | None:
        if self._running:  # GDB says nothing then; whoever does is no GDB
            return None
        answer = await self._runner.ask(lambda machine: self._stub.answer(data, machine))
        match answer:
            case protocol.Resume():
                self._running = True
                await self._runner.ask(lambda machine: self._runner.go_on())
            case protocol.Leave():
                await self._send(b"OK")
                return answer
            case octets:
                await self._send(octets)
        return None

    async def _tell_stops(self, stops: trio.MemoryReceiveChannel[Debugged | None]) -> None:
        async for stop in stops:
            if self._running:
                self._running = False
                await self._send(self._stub.stopped(stop))

    async def _send(self, data: bytes) -> None:
        self._last = emit(data)
        await self._stream.send_all(self._last)


@asynccontextmanager
async def _listening(address: str) -> AsyncIterator[trio.SocketListener]:
    host, colon, port = address.rpartition(":")
    if not port.isdecimal() or (host and not colon):
        with _unix_socket(address) as plain:
            async with trio.SocketListener(trio.socket.from_stdlib_socket(plain)) as listener:
                yield listener
        return
    if int(port) > 0xFFFF:
        raise ConfigError(f"--gdb {address}: a port of 0 to 65535 was expected")
    try:
        listeners = await trio.open_tcp_listeners(int(port), host=host.strip("[]") or LOOPBACK)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"--gdb {address}: {reason}") from None
    for more in listeners[1:]:
        await more.aclose()
    async with listeners[0] as listener:
        yield listener


@contextlib.contextmanager
def _unix_socket(path: str) -> Iterator[socket.socket]:
    with contextlib.ExitStack() as stack:
        try:
            plain = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            plain.bind(path)
            stack.callback(os.unlink, path)
            os.chmod(path, 0o600)
            plain.listen(1)
        except OSError as error:
            raise ConfigError(f"--gdb {path}: {error.strerror or error}") from None
        yield plain
