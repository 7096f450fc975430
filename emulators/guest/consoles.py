"""Where a guest's consoles lead to.

    stdio        this terminal, raw: every key goes to the guest; Ctrl-] begins a command of ours (`Ctrl-] ?`)
    none         nowhere
    file:PATH    what the guest writes goes to a new file
    unix:PATH    a socket there; one client at a time, and what the guest writes to nobody is lost
    fd:NUMBER    an inherited stream socket

Input from something that is no terminal is typed as it is, and its end means nothing to the guest.
"""

import contextlib
import os
import socket
import stat
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from emulators.guest.ends import LiveConsole
from vde.errors import ConfigError

ESCAPE = 0x1D  # Ctrl-], as telnet(1) and vde console
CHUNK_OCTETS = 4096
FAREWELL_S = 1.0
"""How long the last output of a guest may take to be written. Chosen."""

KINDS = ("stdio", "none", "file:PATH", "unix:PATH", "fd:NUMBER")


@dataclass(frozen=True)
class Place:
    """Where a console leads to. `what`: the part behind the colon."""

    kind: str
    what: str = ""


def parse_place(text: str) -> Place:
    """`stdio`, `file:PATH`, …

    Raises:
        ConfigError: it is none of them.
    """
    kind, colon, what = text.partition(":")
    if f"{kind}:" in ("file:", "unix:", "fd:") and colon and what and (kind != "fd" or what.isdecimal()):
        return Place(kind, what)
    if text in ("stdio", "none"):
        return Place(text)
    raise ConfigError(f"console {text!r}: {', '.join(KINDS)} was expected")


class Keys:
    """What is typed on a terminal: octets for the guest, and commands for us."""

    def __init__(self) -> None:
        self._escaped = False

    def split(self, octets: bytes) -> Iterator[bytes | str]:
        """Octets for the guest as bytes, a command's letter as str."""
        run = bytearray()
        for octet in octets:
            if self._escaped:
                self._escaped = False
                if octet == ESCAPE:
                    run.append(octet)
                    continue
                if run:
                    yield bytes(run)
                    run.clear()
                yield chr(octet)
            elif octet == ESCAPE:
                self._escaped = True
            else:
                run.append(octet)
        if run:
            yield bytes(run)


class Carrier:
    """Carries the octets of one console.

    Args:
        console: the guest's end.
        wake: the machine has something to take.
        command: is given the letters that follow Ctrl-] on a terminal.
    """

    def __init__(self, console: LiveConsole, wake: Callable[[], None], command: Callable[[str], None]) -> None:
        self._console = console
        self._wake = wake
        self._command = command
        self._keys = Keys()

    async def typed(self, octets: bytes, *, keys: bool = False) -> None:
        """Give octets to the guest; waits while it has not read what it was given."""
        for part in self._keys.split(octets) if keys else (octets,):
            if isinstance(part, str):
                self._command(part)
                continue
            while not self._console.has_room:
                await self._console.room_bell.wait()
            self._console.put(part)
            self._wake()

    async def to_writer(self, write: Callable[[bytes], None]) -> None:
        """What the guest writes, until cancelled; then what is left, as far as it goes in `FAREWELL_S`."""
        try:
            while True:
                await self._console.bell.wait()
                await self._flush(write)
        finally:
            with trio.move_on_after(FAREWELL_S, shield=True):
                await self._flush(write)

    async def _flush(self, write: Callable[[bytes], None]) -> None:
        while octets := self._console.take():
            # In a thread: a terminal may stand still, and must not be made non-blocking for others.
            await trio.to_thread.run_sync(write, octets, abandon_on_cancel=True)

    async def to_stream(self, stream: trio.abc.SendStream) -> None:
        """The same to a stream, until it is broken."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            try:
                while True:
                    await self._console.bell.wait()
                    while octets := self._console.take():
                        await stream.send_all(octets)
            finally:
                with trio.move_on_after(FAREWELL_S, shield=True):
                    if octets := self._console.take():
                        await stream.send_all(octets)

    async def to_nobody(self) -> None:
        """Until cancelled: what the guest writes is lost, and does not hold it up."""
        while True:
            self._console.take()
            await self._console.bell.wait()

    async def from_stream(self, stream: trio.abc.ReceiveStream) -> None:
        """What a peer types, until it closes."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while octets := bytes(await stream.receive_some(CHUNK_OCTETS)):
                await self.typed(octets)

    async def from_descriptor(self, descriptor: int, *, keys: bool) -> None:
        """What is typed there, until its end."""
        while True:
            with contextlib.suppress(PermissionError):  # a plain file: always readable, and epoll says so in this way
                await trio.lowlevel.wait_readable(descriptor)
            octets = os.read(descriptor, CHUNK_OCTETS)
            if not octets:
                return
            await self.typed(octets, keys=keys)


@asynccontextmanager
async def open_console(place: Place, carrier: Carrier) -> AsyncIterator[None]:
    """Carry a console's octets while the context is entered.

    Raises:
        ConfigError: the file or socket cannot be made.
    """
    with contextlib.ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            match place.kind:
                case "stdio":
                    _start_stdio(nursery, stack, carrier)
                case "file":
                    descriptor = _create(place.what)
                    stack.callback(os.close, descriptor)
                    nursery.start_soon(carrier.to_writer, _writer(descriptor))
                case "unix":
                    listener = stack.enter_context(_listening(Path(place.what)))
                    nursery.start_soon(_serve, listener, carrier)
                case "fd":
                    stream = _inherited(int(place.what))
                    stack.callback(stream.socket.close)
                    nursery.start_soon(_carry_inherited, stream, carrier)
                    nursery.start_soon(carrier.from_stream, stream)
            try:
                yield
            finally:
                nursery.cancel_scope.cancel()


def _start_stdio(nursery: trio.Nursery, stack: contextlib.ExitStack, carrier: Carrier) -> None:
    keyboard = sys.stdin.fileno()
    is_terminal = os.isatty(keyboard)
    if is_terminal:
        stack.enter_context(raw_terminal(keyboard))
    nursery.start_soon(carrier.to_writer, _writer(sys.stdout.fileno()))

    async def read() -> None:
        await carrier.from_descriptor(keyboard, keys=is_terminal)

    nursery.start_soon(read)


@contextlib.contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """Every key is ours, Ctrl-C too; afterwards it is as before."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _writer(descriptor: int) -> Callable[[bytes], None]:
    def write(octets: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # whoever looked has gone; the guest goes on
            while octets:
                octets = octets[os.write(descriptor, octets) :]

    return write


def _create(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(f"console file:{path}: {error.strerror}") from None


def _inherited(descriptor: int) -> trio.SocketStream:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise ConfigError(f"console fd:{descriptor}: a socket was expected")
        return trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=descriptor)))
    except OSError as error:
        raise ConfigError(f"console fd:{descriptor}: {error.strerror}") from None


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[trio.SocketListener]:
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_way(path)
        try:
            plain.bind(os.fspath(path))
        except OSError as error:
            raise ConfigError(f"console unix:{path}: {error.strerror or error}") from None
        try:
            plain.listen(1)
            yield trio.SocketListener(trio.socket.from_stdlib_socket(plain))
        finally:
            path.unlink(missing_ok=True)
    finally:
        plain.close()


def _make_way(path: Path) -> None:
    """Remove a socket that nobody listens on any more."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()


async def _carry_inherited(stream: trio.SocketStream, carrier: Carrier) -> None:
    await carrier.to_stream(stream)
    await carrier.to_nobody()


async def _serve(listener: trio.SocketListener, carrier: Carrier) -> None:
    while True:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(carrier.to_nobody)
            stream = await listener.accept()
            nursery.cancel_scope.cancel()
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(carrier.to_stream, stream)
            await carrier.from_stream(stream)
            nursery.cancel_scope.cancel()
