"""A guest's serial line: written down, shown to any number of viewers, typed on by any of them.

The guest is never held up: what it writes is always read. A viewer that does not read loses the connection after
`MOST_CHUNKS` pieces. Whoever types is not told apart; a check that drives the shell takes `typing` while it does.
"""

import contextlib
import math
from collections.abc import Iterator

import trio

from vde.lab.transcript import Transcript

CHUNK_OCTETS = 4096
MOST_CHUNKS = 1024  # chosen: 4 MiB for one viewer at most
MOST_VIEWERS = 32  # chosen


class Console:
    """The supervisor's end of the line.

    Attributes:
        transcript: what the guest wrote.
        typing: held by a check while it uses the shell.
    """

    def __init__(self, stream: trio.abc.Stream, transcript: Transcript) -> None:
        self.transcript = transcript
        self.typing = trio.Lock()
        self._stream = stream
        self._sending = trio.Lock()
        self._viewers: set[trio.MemorySendChannel[bytes]] = set()
        self._has_ended = False

    async def run(self) -> None:
        """Read until the guest's end is closed; then viewers see the end as well."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while octets := bytes(await self._stream.receive_some(CHUNK_OCTETS)):
                self.transcript.write(octets)
                for viewer in list(self._viewers):
                    try:
                        viewer.send_nowait(octets)
                    except (trio.WouldBlock, trio.BrokenResourceError):
                        self._viewers.discard(viewer)
                        viewer.close()
        self._end()

    def _end(self) -> None:
        self._has_ended = True
        for viewer in self._viewers:
            viewer.close()
        self._viewers.clear()

    async def send(self, octets: bytes) -> None:
        """Type.

        Raises:
            trio.BrokenResourceError: the guest is gone.
        """
        async with self._sending:
            await self._stream.send_all(octets)

    @contextlib.contextmanager
    def viewer(self, *, bounded: bool = True) -> Iterator[trio.MemoryReceiveChannel[bytes]]:
        """What the guest writes from now on; the channel ends with the guest, or when its reader is too slow.

        Args:
            bounded: False for a reader of ours that always reads.
        """
        send, receive = trio.open_memory_channel[bytes](MOST_CHUNKS if bounded else math.inf)
        if self._has_ended:
            send.close()
        else:
            self._viewers.add(send)
        try:
            yield receive
        finally:
            self._viewers.discard(send)
            send.close()
            receive.close()

    @property
    def is_full(self) -> bool:
        """Whether no more viewers are taken."""
        return len(self._viewers) >= MOST_VIEWERS

    async def aclose(self) -> None:
        """Close the line."""
        self._end()
        await self._stream.aclose()


async def serve_viewer(console: Console, stream: trio.abc.Stream, typed: bytes) -> None:
    """Connect a viewer to the line until one of both goes away.

    Args:
        console: the line.
        stream: the viewer; it sees the end of the transcript first.
        typed: what it had sent already.
    """
    with console.viewer() as seen:
        before = bytes(console.transcript.tail)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_type, console, stream, typed, nursery.cancel_scope)
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await stream.send_all(before)
                async for octets in seen:
                    await stream.send_all(octets)
            nursery.cancel_scope.cancel()


async def _type(console: Console, stream: trio.abc.Stream, typed: bytes, scope: trio.CancelScope) -> None:
    octets = typed or await _receive(stream)
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while octets:
            await console.send(octets)
            octets = await _receive(stream)
    scope.cancel()


async def _receive(stream: trio.abc.Stream) -> bytes:
    try:
        return bytes(await stream.receive_some(CHUNK_OCTETS))
    except trio.BrokenResourceError:
        return b""
