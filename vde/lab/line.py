"""Lines from a stream, bounded; and what came after the last one, for protocols that then change."""

import trio

from vde.errors import WireError

CHUNK_OCTETS = 64 << 10


class LineReader:
    """Reads lines of at most so many octets."""

    def __init__(self, stream: trio.abc.ReceiveStream, most_octets: int) -> None:
        self._stream = stream
        self._most_octets = most_octets
        self._pending = bytearray()

    async def line(self) -> bytes | None:
        """The next line without its end; None at the end of the stream.

        Raises:
            WireError: it is too long, or the stream ends in the middle of it.
        """
        searched = 0
        while (end := self._pending.find(b"\n", searched)) < 0:
            searched = len(self._pending)
            if searched > self._most_octets:
                raise WireError(f"a line of more than {self._most_octets} octets")
            chunk = await self._stream.receive_some(CHUNK_OCTETS)
            if not chunk:
                if self._pending:
                    raise WireError("the connection ended in the middle of a line")
                return None
            self._pending += chunk
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        return line

    def rest(self) -> bytes:
        """What was received after the last line; it is handed over once."""
        rest = bytes(self._pending)
        self._pending.clear()
        return rest
