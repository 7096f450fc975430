"""The console's dialogues on real descriptors: the management socket's connections, and standard input.

Order of what is sent: whoever wants to send holds the connection's lock while it takes octets from the session and
while they go out, so answers and events leave in the order in which the session made them. A peer that does not read
holds up its own reader only; what piles up meanwhile is bounded by the session.
"""

import errno
import os
import select
from pathlib import Path
from typing import Literal

import trio

from switch.console.console import SESSIONS_MAX, Console
from switch.console.session import PROMPT, Kind, Session

READ_OCTETS = 4096
FAREWELL_S = 1.0  # chosen
STANDARD_INPUT, STANDARD_OUTPUT = 0, 1
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


def run_script(console: Console, path: Path) -> None:
    """The rc file: its commands are carried out, nobody sees the answers; one that cannot be read is a warning."""
    console.try_script(path)


async def serve_connection(stream: trio.SocketStream, console: Console) -> None:
    """One connection of the management socket, to its end.

    Resource handling: the stream is closed on return. A connection beyond `SESSIONS_MAX` is closed at once.
    """
    if console.sessions >= SESSIONS_MAX:
        console.log.warning(f"a console was refused: {SESSIONS_MAX} are open")
        await trio.aclose_forcefully(stream)
        return
    console.sessions += 1
    session = Session(console)
    wake = _Wake()
    session.on_event = wake.set
    sending = trio.Lock()
    try:
        async with trio.open_nursery() as nursery, stream:
            nursery.start_soon(_send_events, stream, session, sending, wake)
            try:
                await stream.send_all(session.greeting())
                await _converse(stream, session, sending, console)
            finally:
                nursery.cancel_scope.cancel()
    except* _GONE:
        pass
    finally:
        session.end()
        console.sessions -= 1


async def _converse(stream: trio.SocketStream, session: Session, sending: trio.Lock, console: Console) -> None:
    while not session.closed:
        data = await stream.receive_some(READ_OCTETS)
        async with sending:
            now_ns = console.now_ns()
            octets = session.receive(data, now_ns) if data else session.end_of_input(now_ns)
            while octets or session.unfinished:
                if session.shutdown_requested:
                    await _say_farewell(stream, octets, console)
                    return
                await stream.send_all(octets)
                octets = session.go_on(console.now_ns())
        if not data:
            return


async def _say_farewell(stream: trio.SocketStream, octets: bytes, console: Console) -> None:
    """The switch ends, whether the peer reads or not."""
    try:
        with trio.move_on_after(FAREWELL_S):
            await stream.send_all(octets)
    finally:
        console.on_shutdown()


async def _send_events(stream: trio.SocketStream, session: Session, sending: trio.Lock, wake: "_Wake") -> None:
    while True:
        await wake.wait()
        async with sending:
            if octets := session.take():
                await stream.send_all(octets)


class _Wake:
    """An event that can be waited for again and again."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event = trio.Event()


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
    wake = _Wake()
    session.on_event = wake.set
    sending = trio.Lock()
    ended = False
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_write_events, sink, session, sending, wake)
            while not ended and not session.closed:
                try:
                    data = await trio.to_thread.run_sync(os.read, source, READ_OCTETS, abandon_on_cancel=True)
                except OSError as error:
                    if error.errno == errno.EAGAIN:  # somebody else made it non-blocking
                        await trio.lowlevel.wait_readable(source)
                        continue
                    data = b""
                ended = not data
                async with sending:
                    now_ns = console.now_ns()
                    octets = session.end_of_input(now_ns) if ended else session.receive(data, now_ns)
                    while octets or session.unfinished:
                        await _write(sink, octets)
                        octets = session.go_on(console.now_ns())
                while session.prompts:
                    session.prompts -= 1
                    _show_prompt(source)
            nursery.cancel_scope.cancel()
    finally:
        session.end()
    if session.shutdown_requested:
        console.on_shutdown()
        return "shutdown"
    return "eof"


async def _write_events(sink: int, session: Session, sending: trio.Lock, wake: _Wake) -> None:
    while True:
        await wake.wait()
        async with sending:
            await _write(sink, session.take())


async def _write(sink: int, octets: bytes) -> None:
    """All of it; if nobody can read it any more, none."""
    while octets:
        try:
            octets = octets[await trio.to_thread.run_sync(os.write, sink, octets, abandon_on_cancel=True) :]
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return
            await trio.lowlevel.wait_writable(sink)


def _show_prompt(source: int) -> None:
    poll = select.poll()
    poll.register(source, select.POLLOUT)
    if any(event & select.POLLOUT for _, event in poll.poll(0)):
        try:
            os.write(source, PROMPT)
        except OSError:
            return  # a pipe or a file: nobody to prompt
