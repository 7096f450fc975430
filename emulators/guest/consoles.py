"""Where a guest's consoles lead to.

    stdio        this terminal, raw: every key goes to the guest; Ctrl-] begins a command of ours (`Ctrl-] ?`)
    none         nowhere
    file:PATH    what the guest writes goes to a new file
    unix:PATH    a socket there; one client at a time, and what the guest writes to nobody is lost
    fd:NUMBER    an inherited stream socket, at whose other end is a terminal (a lab's console)

Input from something that is no terminal is typed as it is, and its end means nothing to the guest.
"""

import contextlib
import functools
import os
import socket
import stat
import sys
import termios
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
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

    Attributes:
        finishing: the guest has written its last.
    """

    def __init__(self, console: LiveConsole, wake: Callable[[], None], command: Callable[[str], None]) -> None:
        self._console = console
        self._wake = wake
        self._command = command
        self._keys = Keys()
        self.finishing = False

    async def typed(self, octets: bytes, *, keys: bool = False, terminal: bool = False) -> None:
        """Give octets to the guest; waits while it has not read what it was given.

        Args:
            keys: Ctrl-] is for us.
            terminal: they come from a terminal, whose Enter key is CR.
        """
        for part in self._keys.split(octets) if keys else (octets,):
            if isinstance(part, str):
                self._command(part)
                continue
            while not self._console.has_room:
                await self._console.room_bell.wait()
            self._console.put(part.replace(b"\r", b"\n") if terminal and self._console.end.lines else part)
            self._wake()

    async def carry_out(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """What the guest writes, until `finish`, and then what is left."""
        while True:
            if octets := self._console.take():
                await write(octets)
            elif self.finishing:
                return
            else:
                await self._console.bell.wait()

    async def to_terminal(self) -> None:
        """The same, to standard output; with a carriage return where a raw terminal needs one."""

        async def show(octets: bytes) -> None:
            await _to_terminal(octets.replace(b"\n", b"\r\n") if raw and self._console.end.lines else octets)

        raw = os.isatty(sys.stdin.fileno()) and os.isatty(sys.stdout.fileno())
        await self.carry_out(show)

    async def to_stream(self, stream: trio.abc.SendStream, *, terminal: bool = False) -> None:
        """The same, until the stream is broken; `terminal`: at the end of which is a raw one."""

        async def show(octets: bytes) -> None:
            await stream.send_all(octets.replace(b"\n", b"\r\n") if terminal and self._console.end.lines else octets)

        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.carry_out(show)

    def finish(self) -> None:
        """The guest has written its last."""
        self.finishing = True
        self._console.bell.ring()

    async def to_nobody(self) -> None:
        """Until `finish`: what the guest writes is lost, and does not hold it up."""
        while not self.finishing:
            self._console.take()
            await self._console.bell.wait()

    async def from_stream(self, stream: trio.abc.ReceiveStream, *, terminal: bool = False) -> None:
        """What a peer types, until it closes; `terminal`: on one."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while octets := bytes(await stream.receive_some(CHUNK_OCTETS)):
                await self.typed(octets, terminal=terminal)

    async def from_descriptor(self, descriptor: int) -> None:
        """What is typed there, until its end."""
        keys = os.isatty(descriptor)
        while True:
            with contextlib.suppress(PermissionError):  # a plain file: always readable, and epoll says so in this way
                await trio.lowlevel.wait_readable(descriptor)
            octets = os.read(descriptor, CHUNK_OCTETS)
            if not octets:
                return
            await self.typed(octets, keys=keys, terminal=keys)


@asynccontextmanager
async def open_console(place: Place, carrier: Carrier) -> AsyncIterator[None]:
    """Carry a console's octets while the context is entered.

    Raises:
        ConfigError: the file or socket cannot be made.
    """
    with contextlib.ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            written = trio.Event()

            async def carry_out() -> None:
                match place.kind:
                    case "stdio":
                        await carrier.to_terminal()
                    case "file":
                        await carrier.carry_out(_to_file(descriptor))
                    case "fd":
                        await carrier.to_stream(stream, terminal=True)
                    case "unix":
                        await _serve(listener, carrier)
                written.set()
                await carrier.to_nobody()

            match place.kind:
                case "stdio":
                    keyboard = sys.stdin.fileno()
                    if os.isatty(keyboard):
                        stack.enter_context(raw_terminal(keyboard))
                    nursery.start_soon(carrier.from_descriptor, keyboard)
                case "file":
                    descriptor = _create(place.what)
                    stack.callback(os.close, descriptor)
                case "unix":
                    listener = stack.enter_context(listening(Path(place.what)))
                case "fd":
                    stream = _inherited(int(place.what))
                    stack.callback(stream.socket.close)
                    nursery.start_soon(functools.partial(carrier.from_stream, stream, terminal=True))
            nursery.start_soon(carry_out)
            try:
                yield
            finally:
                carrier.finish()
                with trio.move_on_after(FAREWELL_S):
                    await written.wait()
                nursery.cancel_scope.cancel()


async def _to_terminal(octets: bytes) -> None:
    """In a thread: a terminal may stand still, and must not be made non-blocking for others."""

    def write() -> None:
        rest = octets
        with contextlib.suppress(BrokenPipeError):  # whoever looked has gone; the guest goes on
            while rest:
                rest = rest[os.write(sys.stdout.fileno(), rest) :]

    await trio.to_thread.run_sync(write, abandon_on_cancel=True)


def _to_file(descriptor: int) -> Callable[[bytes], Awaitable[None]]:
    async def write(octets: bytes) -> None:
        while octets:
            octets = octets[os.write(descriptor, octets) :]
        await trio.lowlevel.checkpoint()

    return write


@contextlib.contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """Every key is ours, Ctrl-C too; afterwards it is as before."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


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
def listening(path: Path, what: str = "console", clients: int = 1) -> Iterator[trio.SocketListener]:
    """A socket at `path`, for as long as the context is entered.

    Raises:
        ConfigError: it cannot be made; `what` it is for is in the message.
    """
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_way(path)
        try:
            plain.bind(os.fspath(path))
        except OSError as error:
            raise ConfigError(f"{what} unix:{path}: {error.strerror or error}") from None
        try:
            plain.listen(clients)
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


async def _serve(listener: trio.SocketListener, carrier: Carrier) -> None:
    """Until the guest has written its last, to whoever is there then."""
    while (stream := await _client(listener, carrier)) is not None:
        async with stream, trio.open_nursery() as nursery:

            async def carry_out(
                stream: trio.SocketStream = stream, scope: trio.CancelScope = nursery.cancel_scope
            ) -> None:
                await carrier.to_stream(stream)
                scope.cancel()

            nursery.start_soon(carry_out)
            await carrier.from_stream(stream)
            nursery.cancel_scope.cancel()


async def _client(listener: trio.SocketListener, carrier: Carrier) -> trio.SocketStream | None:
    """The next one; None: the guest has written its last."""
    stream = None
    async with trio.open_nursery() as nursery:

        async def wait_for_the_end() -> None:
            await carrier.to_nobody()
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait_for_the_end)
        stream = await listener.accept()
        nursery.cancel_scope.cancel()
    return stream
