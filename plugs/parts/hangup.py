"""Waiting for a descriptor's hang-up, or for any of several to be readable, with one await and no task.

An epoll instance is itself readable when one of its descriptors is ready (epoll(7)), so trio waits for that.
"""

import select
from collections.abc import Iterable

import trio

HANGUP = select.EPOLLRDHUP  # EPOLLHUP and EPOLLERR are reported unasked


class Watched:
    """Several descriptors as one. `close` it before them."""

    def __init__(self, readable: Iterable[int] = (), hangup: Iterable[int] = ()) -> None:
        """`readable`: of interest are octets and hang-up; `hangup`: the latter only."""
        self._poll = select.epoll()
        for fd in readable:
            self.add(fd)
        for fd in hangup:
            self._poll.register(fd, HANGUP)

    @property
    def fd(self) -> int:
        """Readable when one of them is ready."""
        return self._poll.fileno()

    def add(self, fd: int) -> None:
        """One more, to be readable."""
        self._poll.register(fd, select.EPOLLIN | HANGUP)

    def remove(self, fd: int) -> None:
        """No more; before it is closed."""
        self._poll.unregister(fd)

    async def wait(self) -> None:
        """Until one of them is ready.

        Raises:
            trio.ClosedResourceError: `close` was called.
        """
        if self._poll.closed:
            raise trio.ClosedResourceError
        await trio.lowlevel.wait_readable(self._poll.fileno())

    def close(self) -> None:
        """Whoever waits is told."""
        if not self._poll.closed:
            trio.lowlevel.notify_closing(self._poll.fileno())
            self._poll.close()
