"""A link over a pair of byte streams, in the framing of `vde.framing`: standard input and output, a command's pipes.

Descriptors that other processes share (a terminal, the pipes of a shell) keep their mode: a FIFO or terminal is opened
once more through /proc/self/fd, whose O_NONBLOCK is its own; a socket is asked with MSG_DONTWAIT. Where that is
refused (a FIFO of another user) O_NONBLOCK is set, and taken back at the end. Files and the like are always ready.

A header and its frame, and as many frames as are given at once, leave in one `write`.
"""

import contextlib
import errno
import os
import select
import socket
import stat
from collections import deque
from collections.abc import Mapping, Sequence

import trio

from vde.errors import LinkBroken, LinkClosed, LinkEnded
from vde.frame import MTU_OCTETS
from vde.framing import STREAM_BOUND_OCTETS, StreamDecoder, encode
from vde.link import FRAMES_PER_BATCH, SHORTEST_OCTETS, Link

READ_OCTETS = 1 << 16  # pipe(7): what a pipe holds


class OctetEnd:
    """A descriptor, used without blocking. `close` it; the descriptor that was given stays open."""

    def __init__(self, fd: int, *, reading: bool) -> None:
        """Raises `OSError`: it is no open descriptor."""
        mode = os.fstat(fd).st_mode
        self._socket: socket.socket | None = None
        self._restore: int | None = None
        if not stat.S_IFMT(mode):  # an epoll set or the like, in the place of a descriptor that was closed
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(fd))
            self.fd = self._socket.fileno()
        else:
            self.fd = self._open(fd, reading, stat.S_ISFIFO(mode) or os.isatty(fd))
        self._pollable = _is_pollable(self.fd)

    def _open(self, fd: int, reading: bool, shared: bool) -> int:
        if shared:
            with contextlib.suppress(OSError):
                way = os.O_RDONLY if reading else os.O_WRONLY
                return os.open(f"/proc/self/fd/{fd}", way | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            if os.get_blocking(fd):
                self._restore = os.dup(fd)
            os.set_blocking(fd, False)
        return os.dup(fd)

    def read(self, octets: int) -> bytes:
        """Raises `BlockingIOError`, `OSError`. Nothing: the end."""
        if self._socket is not None:
            return self._socket.recv(octets, socket.MSG_DONTWAIT)
        return os.read(self.fd, octets)

    def write(self, octets: bytes | memoryview) -> int:
        """Raises `BlockingIOError`, `OSError`. How many octets were taken."""
        if self._socket is not None:
            return self._socket.send(octets, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return os.write(self.fd, octets)

    async def wait_readable(self) -> None:
        """Until `read` finds something."""
        if self._pollable:
            await trio.lowlevel.wait_readable(self.fd)
        else:
            await trio.lowlevel.checkpoint()

    async def wait_writable(self) -> None:
        """Until `write` takes something."""
        if self._pollable:
            await trio.lowlevel.wait_writable(self.fd)
        else:
            await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Whoever waits gets `trio.ClosedResourceError`."""
        if self.fd < 0:
            return
        if self._pollable:
            trio.lowlevel.notify_closing(self.fd)
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self.fd)
        if self._restore is not None:
            os.set_blocking(self._restore, True)
            os.close(self._restore)
        self.fd = -1


def _is_pollable(fd: int) -> bool:
    with select.epoll() as poll:
        try:
            poll.register(fd, 0)
        except PermissionError:  # epoll_ctl(2): regular files, directories, /dev/null
            return False
    return True


class PipeLink(Link):
    """Frames between two descriptors, which may be the same."""

    def __init__(
        self,
        reading_fd: int,
        writing_fd: int,
        shown: str,
        *,
        length_octets: int = 2,
        mtu_octets: int = MTU_OCTETS,
        bound_octets: int = STREAM_BOUND_OCTETS,
    ) -> None:
        """`shown`: the streams' name in messages. Raises `OSError`: a descriptor is not open."""
        super().__init__()
        self.mtu_octets = mtu_octets
        self._shown = shown
        self._length_octets = length_octets
        self._decoder = StreamDecoder(
            self.counters.drop_in, length_octets=length_octets, most_octets=mtu_octets, bound_octets=bound_octets
        )
        self._frames: deque[bytes] = deque()
        self._rest = b""  # of a frame that a cancelled `send` left unfinished
        self._end: LinkBroken | None = None
        self._source = OctetEnd(reading_fd, reading=True)
        try:
            self._sink = OctetEnd(writing_fd, reading=False)
        except BaseException:
            self._source.close()
            raise

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._frames:
            if self._end is not None:
                raise self._end
            try:
                await self._source.wait_readable()
            except trio.ClosedResourceError:
                raise LinkClosed(f"{self._shown}: closed") from None
            self._read()
        batch = [self._frames.popleft() for _ in range(min(FRAMES_PER_BATCH, len(self._frames)))]
        self.counters.received(sum(map(len, batch)), len(batch))
        return batch

    def _read(self) -> None:
        if self._source.fd < 0:
            raise LinkClosed(f"{self._shown}: closed")
        try:
            octets = self._source.read(READ_OCTETS)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal's other side is gone: an end like any other
                self._end = LinkBroken(f"{self._shown}: {error.strerror}")
                return
            octets = b""
        if octets:
            self._frames.extend(self._decoder.receive(octets))
            return
        if not self._decoder.is_between_frames:
            self.counters.drop_in("framing")
        self._end = LinkEnded(f"{self._shown}: end of the stream")

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`. Of a frame that is cut by a cancellation the rest goes first, the next time."""
        good: list[bytes] = []
        for frame in frames:
            if SHORTEST_OCTETS <= len(frame) <= self.mtu_octets:
                good.append(frame)
            else:
                self.counters.drop_out("short" if len(frame) < SHORTEST_OCTETS else "oversize")
        rest_octets = len(self._rest)
        octets = memoryview(self._rest + encode(good, self._length_octets))
        done = 0
        try:
            await trio.lowlevel.checkpoint()
            while done < len(octets):
                try:
                    done += self._write(octets[done:])
                except BlockingIOError:
                    await self._sink.wait_writable()
        except trio.ClosedResourceError:
            raise LinkClosed(f"{self._shown}: closed") from None
        finally:
            self._account(good, octets, done, rest_octets)

    def _write(self, octets: memoryview) -> int:
        if self._sink.fd < 0:
            raise LinkClosed(f"{self._shown}: closed")
        try:
            return self._sink.write(octets)
        except BlockingIOError:
            raise
        except BrokenPipeError:
            raise LinkEnded(f"{self._shown}: nobody reads any more") from None
        except OSError as error:
            raise LinkBroken(f"{self._shown}: {error.strerror}") from error

    def _account(self, frames: Sequence[bytes], octets: memoryview, done: int, rest_octets: int) -> None:
        """Frames of which an octet left are sent; what is missing of the last of them is kept."""
        end = rest_octets
        sent = 0
        for frame in frames:
            if done <= end:
                break
            end += self._length_octets + len(frame)
            sent += 1
        self.counters.sent(sum(map(len, frames[:sent])), sent)
        if sent < len(frames):
            self.counters.drop_out("cancelled", len(frames) - sent)
        self._rest = bytes(octets[done:end])

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"hunting": self._decoder.hunting, "ended": self._end is not None}

    def close(self) -> None:
        """For whoever made it."""
        self._source.close()
        self._sink.close()
