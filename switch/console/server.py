"""The console's dialogues on real descriptors: the management socket's connections, and standard input.

Order of what is sent: whoever wants to send holds the dialogue's lock while it takes octets from the session and while
they go out, so answers and events leave in the order in which the session made them. A peer that does not read holds up
its own reader only; what piles up meanwhile is bounded by the session.
"""

import errno
import math
import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import trio

from switch.console.call import Kind
from switch.console.console import SESSIONS_MAX, Console
from switch.console.script import read_script
from switch.console.session import PROMPT, Session
from switch.core import SECOND_NS
from vde.errors import Refused

READ_OCTETS = 4096
FAREWELL_S = 1.0  # chosen
STANDARD_INPUT, STANDARD_OUTPUT = 0, 1
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


def run_script(console: Console, path: Path) -> None:
    """The rc file: its commands are carried out as `load` does; nobody sees answers and errors, as in vde_switch.

    One that cannot be read is a warning.
    """
    session = Session(console, Kind.SCRIPT)
    try:
        session.run_script(os.fspath(path), read_script(path))
    except Refused as error:
        console.log.warning(str(error))
        return
    while session.unfinished:
        session.go_on(console.now_ns())
    session.end()
    if session.shutdown_requested:
        console.on_shutdown()


async def serve_connection(stream: trio.SocketStream, console: Console) -> None:
    """One connection of the management socket, to its end.

    Resource handling: the stream is closed on return. A connection beyond `SESSIONS_MAX` is closed at once.
    """
    if console.sessions >= SESSIONS_MAX:
        console.log.warning(f"a console was refused: {SESSIONS_MAX} are open")
        await trio.aclose_forcefully(stream)
        return
    console.sessions += 1
    try:
        async with stream:
            session = Session(console)
            await stream.send_all(session.greeting())
            await _serve(_Connection(stream), session, console)
    except* _GONE:
        pass
    finally:
        console.sessions -= 1


async def serve_stdin(
    console: Console, source: int = STANDARD_INPUT, sink: int = STANDARD_OUTPUT
) -> Literal["eof", "shutdown"]:
    """The console on standard input, to its end.

    Answers and events go to `sink`, unbuffered; prompts go to `source`, where a terminal shows them and a pipe does
    not, as with vde_switch. Descriptors keep their blocking mode (others may share them), so they are read and written
    in threads: neither a full pipe nor a stopped terminal holds the switch up, and files and /dev/null work.

    Cancellation: a thread that waits for input is abandoned; it goes with the process.
    """
    session = Session(console, Kind.STANDARD_INPUT)
    async with trio.open_nursery() as nursery:
        terminal = _Terminal(source, sink)
        nursery.start_soon(terminal.read)
        await _serve(terminal, session, console)
        nursery.cancel_scope.cancel()
    return "shutdown" if session.shutdown_requested else "eof"


class _Peer(Protocol):
    """The other side of a dialogue."""

    async def receive(self) -> bytes:
        """The next octets; none: the end. Nothing is lost if it is cancelled."""

    async def send(self, octets: bytes) -> None:
        """All of them."""

    def show_prompts(self, session: Session) -> None:
        """Those that are not in what is sent."""


async def _serve(peer: _Peer, session: Session, console: Console) -> None:
    wake = _Wake()
    session.on_event = wake.set
    sending = trio.Lock()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_events, peer, session, sending, wake)
            await _converse(peer, session, sending, console.now_ns)
            nursery.cancel_scope.cancel()
    finally:
        session.end()
        if session.shutdown_requested:
            console.on_shutdown()


async def _converse(peer: _Peer, session: Session, sending: trio.Lock, now_ns: Callable[[], int]) -> None:
    while not session.closed:
        data: bytes | None = None
        deadline_ns = session.next_deadline()
        with trio.move_on_after(math.inf if deadline_ns is None else max(0, deadline_ns - now_ns()) / SECOND_NS):
            data = await peer.receive()
        async with sending:
            if data is None:
                octets = session.handle_timer(now_ns())
            elif data:
                octets = session.receive(data, now_ns())
            else:
                octets = session.end_of_input(now_ns())
            while octets or session.unfinished:
                if session.shutdown_requested:
                    with trio.move_on_after(FAREWELL_S):  # the switch ends, whether the peer reads or not
                        await peer.send(octets)
                    return
                await peer.send(octets)
                octets = session.go_on(now_ns())
        peer.show_prompts(session)
        if data == b"":
            return


async def _send_events(peer: _Peer, session: Session, sending: trio.Lock, wake: "_Wake") -> None:
    while True:
        await wake.wait()
        async with sending:
            if octets := session.take():
                await peer.send(octets)


class _Wake:
    """An event that can be waited for again and again."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event = trio.Event()


class _Connection:
    """A `_Peer` on a socket."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    async def receive(self) -> bytes:
        return await self._stream.receive_some(READ_OCTETS)

    async def send(self, octets: bytes) -> None:
        await self._stream.send_all(octets)

    def show_prompts(self, session: Session) -> None:
        """There are none."""


class _Terminal:
    """A `_Peer` on two descriptors of any kind."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._feed, self._food = trio.open_memory_channel[bytes](0)

    async def read(self) -> None:
        """Reads until the end: apart from `receive`, because a thread that reads cannot be called back."""
        data = b"begun"
        while data:
            try:
                data = await trio.to_thread.run_sync(os.read, self._source, READ_OCTETS, abandon_on_cancel=True)
            except OSError as error:
                if error.errno == errno.EAGAIN:  # somebody else made it non-blocking
                    await trio.lowlevel.wait_readable(self._source)
                    continue
                data = b""
            await self._feed.send(data)

    async def receive(self) -> bytes:
        return await self._food.receive()

    async def send(self, octets: bytes) -> None:
        """If nobody can read it any more: nothing."""
        while octets:
            try:
                octets = octets[await trio.to_thread.run_sync(os.write, self._sink, octets, abandon_on_cancel=True) :]
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    return
                await trio.lowlevel.wait_writable(self._sink)

    def show_prompts(self, session: Session) -> None:
        poll = select.poll()
        poll.register(self._source, select.POLLOUT)
        while session.prompts:
            session.prompts -= 1
            if any(event & select.POLLOUT for _, event in poll.poll(0)):
                try:
                    os.write(self._source, PROMPT)
                except OSError:
                    session.prompts = 0  # a pipe or a file: nobody to prompt
