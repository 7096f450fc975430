"""Frames over stream sockets: one connection (`FramedStream`), a link over one connection at a time (`StreamLink`)."""

import socket
from collections import deque
from collections.abc import Mapping, Sequence

import trio

from vde.errors import LinkBroken, LinkClosed, WireError
from vde.framing import StreamDecoder, encode
from vde.link import FRAMES_PER_BATCH, SHORTEST_OCTETS, Counters, Link

READ_OCTETS = 256 << 10  # chosen: some 170 full frames


class FramedStream:
    """One connection; owns its socket. `close` it."""

    def __init__(
        self,
        connected: socket.socket,
        counters: Counters,
        *,
        mtu_octets: int,
        bound_octets: int,
        length_octets: int = 4,
    ) -> None:
        """`bound_octets`: a peer that announces more than this is disconnected, as QEMU and passt do it."""
        connected.setblocking(False)
        self._socket = connected
        self._counters = counters
        self._mtu_octets = mtu_octets
        self._length_octets = length_octets
        self._decoder = StreamDecoder(
            counters.drop_in,
            length_octets=length_octets,
            most_octets=mtu_octets,
            bound_octets=bound_octets,
            hunt=False,
        )
        self._frames: deque[bytes] = deque()
        self._rest = b""  # of a frame that a cancelled `send` left unfinished
        self._end: LinkBroken | None = None

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        good = []
        for frame in frames:
            if SHORTEST_OCTETS <= len(frame) <= self._mtu_octets:
                good.append(frame)
            else:
                self._counters.drop_out("short" if len(frame) < SHORTEST_OCTETS else "oversize")
        octets = memoryview(self._rest + encode(good, self._length_octets))
        done, rest_octets = 0, len(self._rest)
        try:
            if not octets:
                await trio.lowlevel.checkpoint()
            while done < len(octets):
                await trio.lowlevel.checkpoint_if_cancelled()
                try:
                    done += self._socket.send(octets[done:])
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._socket)
                except OSError as error:
                    raise LinkBroken(f"the peer went away: {error.strerror}") from error
            await trio.lowlevel.cancel_shielded_checkpoint()
        except trio.ClosedResourceError:
            raise LinkClosed("closed while sending") from None
        finally:
            self._account(good, octets, done, rest_octets)

    def _account(self, frames: Sequence[bytes], octets: memoryview, done: int, rest_octets: int) -> None:
        """Count the frames of which at least the first octet left; keep what is missing of the last of them."""
        end = rest_octets
        if done < end:
            self._rest = bytes(octets[done:end])
            self._counters.drop_out("cancelled", len(frames)) if frames else None
            return
        self._rest = b""
        sent = sent_octets = 0
        for frame in frames:
            if done <= end:
                break
            end += self._length_octets + len(frame)
            sent, sent_octets = sent + 1, sent_octets + len(frame)
        self._counters.sent(sent_octets, sent)
        if done < end:
            self._rest = bytes(octets[done:end])
        if sent < len(frames):
            self._counters.drop_out("cancelled", len(frames) - sent)

    async def receive(self) -> list[bytes]:
        """As `Link.receive`. What came before the end is handed out first."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._frames:
            if self._end is not None:
                raise self._end
            if not self._read():
                try:
                    await trio.lowlevel.wait_readable(self._socket)
                except trio.ClosedResourceError:
                    raise LinkClosed("closed while receiving") from None
        await trio.lowlevel.cancel_shielded_checkpoint()
        batch = [self._frames.popleft() for _ in range(min(FRAMES_PER_BATCH, len(self._frames)))]
        self._counters.received(sum(map(len, batch)), len(batch))
        return batch

    def _read(self) -> bool:
        """Read once; False: nothing was there."""
        try:
            octets = self._socket.recv(READ_OCTETS)
        except BlockingIOError:
            return False
        except OSError as error:
            self._end = LinkBroken(f"the peer went away: {error.strerror}")
            return True
        if not octets:
            if not self._decoder.is_between_frames:
                self._counters.drop_in("framing")
            self._end = LinkBroken("the peer closed the connection")
            return True
        try:
            self._frames.extend(self._decoder.receive(octets))
        except WireError as error:
            self._end = LinkBroken(f"the peer speaks another framing: {error}")
        return True

    def close(self) -> None:
        """Close; whoever waits is told."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


class StreamLink(Link):
    """One peer at a time on a stream."""

    def __init__(self, shown: str, mtu_octets: int, bound_octets: int) -> None:
        super().__init__()
        self.mtu_octets = mtu_octets
        self._bound_octets = bound_octets
        self.last_error: LinkBroken | LinkClosed = LinkBroken("the peer went away")
        self._shown = shown
        self._stream: FramedStream | None = None
        self._end: LinkBroken | LinkClosed | None = None
        self._changed = trio.Event()
        self.connections = 0

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`; without a peer, frames are dropped."""
        if self._end is not None:
            raise self._end
        if (stream := self._stream) is None:
            self.counters.drop_out("no-peer", len(frames))
            await trio.lowlevel.checkpoint()
            return
        try:
            await stream.send(frames)
        except (LinkBroken, LinkClosed) as error:
            self.drop(stream, error)
            if self._end is not None:
                raise self._end from error

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        while True:
            if self._end is not None:
                raise self._end
            if (stream := self._stream) is None:
                await self._changed.wait()
                continue
            try:
                return await stream.receive()
            except (LinkBroken, LinkClosed) as error:
                self.drop(stream, error)

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"address": self._shown, "connected": self._stream is not None, "connections": self.connections}

    def use(self, connected: socket.socket) -> FramedStream:
        """Use this connection from now on."""
        self.connections += 1
        self._stream = stream = FramedStream(
            connected, self.counters, mtu_octets=self.mtu_octets, bound_octets=self._bound_octets
        )
        self._tell()
        return stream

    async def until_over(self, stream: FramedStream) -> None:
        """Wait for the connection's end, as whoever sends or receives finds it."""
        try:
            while self._stream is stream:
                await self._changed.wait()
        finally:
            stream.close()

    def drop(self, stream: FramedStream, error: LinkBroken | LinkClosed) -> None:
        """This connection is over."""
        if self._stream is stream:
            self._stream, self.last_error = None, error
            stream.close()
            self._tell()

    def finish(self, error: LinkBroken | LinkClosed) -> None:
        """The link is over."""
        self._end = self._end or error
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
