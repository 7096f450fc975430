"""A running lab with who listens to it: what the supervisor keeps, and requests are about (`vde.lab.answers`)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio

from vde.lab.live import LiveLab
from vde.lab.messages import Event
from vde.lab.places import Home

MOST_EVENTS = 4096  # chosen: what may wait for a connection that does not read


class Served:
    """The lab, and who listens.

    Attributes:
        home: the lab's directories.
        live: the lab.
        down: set it to end everything.
        stopped: set when the nodes have ended.
        used: set when somebody asks for something.
    """

    def __init__(self, home: Home, nodes: trio.Nursery) -> None:
        self.home = home
        self.live = LiveLab(home, nodes, self._tell, self._wrote)
        self.down = trio.Event()
        self.stopped = trio.Event()
        self.used = trio.Event()
        self._listeners: set[trio.MemorySendChannel[Event]] = set()
        self._followers: dict[trio.MemorySendChannel[Event], frozenset[str]] = {}

    def say_goodbye(self) -> None:
        """The nodes have ended: nothing more will be told."""
        for channel in [*self._listeners, *self._followers]:
            channel.close()
        self.stopped.set()

    @contextmanager
    def listening(self) -> Iterator[trio.MemoryReceiveChannel[Event]]:
        """Everything that happens from now on. The receiver has what came until the exit, and closes its end."""
        send, receive = trio.open_memory_channel[Event](MOST_EVENTS)
        self._listeners.add(send)
        try:
            yield receive
        finally:
            self._listeners.discard(send)
            send.close()

    @contextmanager
    def following(self, nodes: frozenset[str]) -> Iterator[trio.MemoryReceiveChannel[Event]]:
        """What nodes write from now on; all of them if none is named."""
        send, receive = trio.open_memory_channel[Event](MOST_EVENTS)
        self._followers[send] = nodes
        try:
            yield receive
        finally:
            self._followers.pop(send, None)
            send.close()

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            _offer(listener, event)

    def _wrote(self, node: str, octets: bytes) -> None:
        if self._followers:
            event = Event(kind="output", node=node, text=octets.decode("utf-8", "replace"))
            for follower, nodes in self._followers.items():
                if not nodes or node in nodes:
                    _offer(follower, event)


def _offer(channel: trio.MemorySendChannel[Event], event: Event) -> None:
    """Who does not read loses events, and holds up nobody."""
    with suppress(trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
        channel.send_nowait(event)
