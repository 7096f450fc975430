"""wirefilter's consoles on real descriptors: the management socket's connections, and standard input.

A peer that does not read holds up its own dialogue only. At most `MOST_SESSIONS` at a time (chosen); more are closed.
"""

import errno
import os
from collections.abc import Awaitable, Callable

import trio

from vde.wire.filter.console import Console, Session

MOST_SESSIONS = 16
READ_OCTETS = 4096
FRAGMENT_S = 0.05  # chosen: a line without a newline is a line after this
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)
Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], Awaitable[None]]


class ConsoleServer:
    """Serves the dialogues of one filter. `stop` is called after `shutdown`."""

    def __init__(self, console: Console, stop: Callable[[], None]) -> None:
        self._console = console
        self._stop = stop
        self._sessions = 0

    async def serve(self, listener: trio.SocketListener) -> None:
        """The management socket, until cancelled."""
        await trio.serve_listeners(self._serve, [listener])

    async def _serve(self, stream: trio.SocketStream) -> None:
        if self._sessions >= MOST_SESSIONS:
            await trio.aclose_forcefully(stream)
            return
        self._sessions += 1
        try:
            async with stream:
                session = Session(self._console)
                await stream.send_all(session.greeting())
                await self._converse(session, lambda: stream.receive_some(READ_OCTETS), stream.send_all)
        except* _GONE:
            pass
        finally:
            self._sessions -= 1

    async def serve_standard_input(self, source: int, sink: int) -> None:
        """No greeting; to its end, or `logout`. The descriptors keep their blocking mode, so threads use them."""

        async def receive() -> bytes:
            try:
                return await trio.to_thread.run_sync(os.read, source, READ_OCTETS, abandon_on_cancel=True)
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    return b""
                await trio.lowlevel.wait_readable(source)
                return await receive()

        async def send(octets: bytes) -> None:
            while octets:
                try:
                    written = await trio.to_thread.run_sync(os.write, sink, octets, abandon_on_cancel=True)
                except OSError:
                    return
                octets = octets[written:]

        await self._converse(Session(self._console), receive, send)

    async def _converse(self, session: Session, receive: Receive, send: Send) -> None:
        feed, food = trio.open_memory_channel[bytes](0)
        sending = trio.Lock()
        events = _Wake()
        session.on_event = events.set

        async def read() -> None:
            while True:
                data = await receive()
                await feed.send(data)
                if not data:
                    return

        async def tell() -> None:
            while True:
                await events.wait()
                async with sending:
                    await send(session.take_events())

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                nursery.start_soon(tell)
                while not session.closed:
                    data: bytes | None = None
                    with trio.move_on_after(FRAGMENT_S if session.has_fragment else float("inf")):
                        data = await food.receive()
                    octets = session.receive(data) if data else session.end_of_line()
                    async with sending:
                        await send(octets)
                    if data == b"":
                        break
                nursery.cancel_scope.cancel()
        finally:
            session.end()
            if self._console.shutdown_requested:
                self._stop()


class _Wake:
    """An event that can be waited for again and again."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event = trio.Event()
