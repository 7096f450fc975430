"""A link over one non-blocking descriptor that carries a frame a message: what sockets and devices have in common.

A plug says how a message is read and written, and what an error means; waiting, draining, counting and the link's end
are here. After one wait at most `FRAMES_PER_BATCH` messages are read without another.

A plug on sockets may use `arrival.receive` in its `_read`, and set `_stamp_ns`, once `_stamped` is true.
"""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence

import trio

from vde.errors import LinkBroken, LinkClosed
from vde.link import FRAMES_PER_BATCH, SHORTEST_OCTETS, Link


class DescriptorLink(Link):
    """See the module's text. Whoever makes one closes the descriptor, after `end`."""

    def __init__(self, fd: int, write_fd: int | None = None) -> None:
        """`fd`: non-blocking, or an epoll set of several; `write_fd`: what is waited for to write, if it is another."""
        super().__init__()
        self._fd = fd
        self._write_fd = fd if write_fd is None else write_fd
        self._closed = False
        self._broken: LinkBroken | None = None
        self._stamped = False
        self._stamp_ns = 0
        self._arrivals: list[int] = []

    @abstractmethod
    def _read(self) -> bytes | None:
        """Read one message: its frame; None if it holds none (counted by the reader).

        Raises:
            BlockingIOError: there is none.
            LinkBroken: the end, seen otherwise than by an error.
            OSError: given to `_read_failed`.
        """

    @abstractmethod
    def _write(self, frame: bytes) -> None:
        """Write one frame, whole or not at all.

        Raises:
            BlockingIOError: not now; the frame is given again once the descriptor is writable.
            OSError: given to `_write_failed`.
        """

    def _read_failed(self, error: OSError) -> None:
        """Raise `LinkBroken`, or return: the error passes and reading goes on. Here: the link is broken."""
        raise LinkBroken(f"{error.strerror}") from error

    def _write_failed(self, error: OSError) -> None:
        """Raise `LinkBroken`, or count the frame as dropped and return. Here: the outside refused it."""
        self.counters.drop_out("refused")

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        frames: list[bytes] = []
        while not frames:
            if self._broken is not None:
                raise self._broken
            await self._wait(trio.lowlevel.wait_readable, self._fd)
            frames = self._drain()
        return frames

    def arrivals_ns(self) -> Sequence[int] | None:
        """As `Link.arrivals_ns`."""
        return self._arrivals if self._stamped else None

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        await trio.lowlevel.checkpoint()
        while (done := self.send_nowait(frames)) < len(frames):
            frames = frames[done:]
            await self._wait(trio.lowlevel.wait_writable, self._write_fd)

    def send_nowait(self, frames: Sequence[bytes]) -> int:
        """As `Link.send_nowait`."""
        if self._closed:
            raise LinkClosed("the link is closed")
        for done, frame in enumerate(frames):
            if len(frame) < SHORTEST_OCTETS:
                self.counters.drop_out("short")
            elif len(frame) > self.mtu_octets:
                self.counters.drop_out("oversize")
            else:
                try:
                    self._write(frame)
                except BlockingIOError:
                    return done
                except OSError as error:
                    self._write_failed(error)
                else:
                    self.counters.sent(len(frame))
        return len(frames)

    async def _wait(self, condition: Callable[[int], Awaitable[None]], fd: int) -> None:
        if self._closed:
            raise LinkClosed("the link is closed")
        try:
            await condition(fd)
        except trio.ClosedResourceError:
            raise LinkClosed("the link is closed") from None

    def _drain(self) -> list[bytes]:
        frames: list[bytes] = []
        arrivals: list[int] = []
        octets = 0
        for _ in range(FRAMES_PER_BATCH):
            try:
                frame = self._read()
            except BlockingIOError:
                break
            except LinkBroken as broken:
                self._broken = broken
                break
            except OSError as error:
                try:
                    self._read_failed(error)
                except LinkBroken as broken:
                    self._broken = broken
                    break
                continue
            if frame is None:
                continue
            if len(frame) < SHORTEST_OCTETS:
                self.counters.drop_in("short")
            elif len(frame) > self.mtu_octets:
                self.counters.drop_in("oversize")
            else:
                frames.append(frame)
                arrivals.append(self._stamp_ns)
                octets += len(frame)
        if frames:
            self.counters.received(octets, len(frames))
            self._arrivals = arrivals
        return frames

    def end(self) -> None:
        """We close the link: whoever waits in it gets `LinkClosed`."""
        self._closed = True
        trio.lowlevel.notify_closing(self._fd)
        if self._write_fd != self._fd:
            trio.lowlevel.notify_closing(self._write_fd)
