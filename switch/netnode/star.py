"""Nodes whose clients only talk with the opener: `multi://` and `bonding://`.

A client's socket holds some frames, and a bounded queue behind it some more; what it does not take then is lost for it
alone, and counted (`full`). Frames for which there is no client are counted as well (`nobody`).
"""

import errno
import select
import socket
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import trio

from switch.netnode.place import Params, control_server, open_place
from switch.ports import Endpoint
from vde.errors import LinkClosed, Refused
from vde.frame import MTU_OCTETS
from vde.link import FRAMES_PER_BATCH, SHORTEST_OCTETS, Counters, Link
from vde.plugspec import Surroundings

QUEUE_FRAMES = 128  # chosen: as a switch's port
READY_MAX = 64  # chosen: clients served in one round
ONLY_PORT = 1


@dataclass(eq=False, slots=True)
class Node:
    """One client."""

    endpoint: Endpoint
    socket: socket.socket
    queue: deque[bytes] = field(default_factory=deque)


class StarLink(Link):
    """The opener's end, and what clients register with."""

    mtu_octets = MTU_OCTETS

    def __init__(self) -> None:
        super().__init__()
        self._nodes: dict[int, Node] = {}
        self._by_fd: dict[int, Node] = {}
        self._readers = select.epoll()
        self._writers = select.epoll()
        self._closed = False

    # -- clients ------------------------------------------------------------------------------------------------------

    def choose_port(self, wanted: int, *, management: bool) -> int:
        """As `Registrar.choose_port`: all are on one port, whatever they want."""
        if management:
            raise Refused(errno.EINVAL, "a node has no management port")
        return ONLY_PORT

    def check_access(self, number: int, uid: int | None) -> None:
        """As `Registrar.check_access`: the directory's permissions decide."""

    def plug_in(self, endpoint: Endpoint, fd: int, now_ns: int) -> None:
        """As `Registrar.plug_in`."""
        node = Node(endpoint, socket.socket(fileno=fd))
        node.socket.setblocking(False)
        self._nodes[endpoint.id] = self._by_fd[fd] = node
        self._readers.register(fd, select.EPOLLIN)

    def pull_out(self, endpoint_id: int, now_ns: int) -> None:
        """As `Registrar.pull_out`."""
        node = self._nodes.pop(endpoint_id, None)
        if node is None:
            return
        fd = node.socket.fileno()
        with suppress(FileNotFoundError):
            self._readers.unregister(fd)
        if node.queue:
            self._writers.unregister(fd)
        del self._by_fd[fd]
        node.socket.close()
        node.endpoint.close()

    # -- frames -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def _distribute(self, nodes: Sequence[Node], frame: bytes) -> bool:
        """Offer a frame to one or all of at least one node; did one take it?"""

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`; does not wait."""
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise LinkClosed("the node is closed")
        nodes = list(self._nodes.values())
        for frame in frames:
            if len(frame) < SHORTEST_OCTETS:
                self.counters.drop_out("short")
            elif len(frame) > self.mtu_octets:
                self.counters.drop_out("oversize")
            elif not nodes:
                self.counters.drop_out("nobody")
            elif self._distribute(nodes, frame):
                self.counters.sent(len(frame))

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        frames: list[bytes] = []
        while not frames:
            if self._closed:
                raise LinkClosed("the node is closed")
            try:
                await trio.lowlevel.wait_readable(self._readers.fileno())
            except trio.ClosedResourceError:
                raise LinkClosed("the node is closed") from None
            ready = []
            for fd, mask in self._readers.poll(0, READY_MAX):
                ready.append(self._by_fd[fd])
                if mask & select.EPOLLHUP:  # its control connection tells the rest
                    self._readers.unregister(fd)
            for node in ready:
                _drain(node, frames, max(1, FRAMES_PER_BATCH // len(ready)), self.counters)
        self.counters.received(sum(map(len, frames)), len(frames))
        return frames

    def _offer(self, node: Node, frame: bytes, *, queued: bool) -> bool:
        """Give a frame to a client; `queued`: if not at once, then later."""
        if not node.queue:
            try:
                node.socket.send(frame)
            except BlockingIOError:
                pass
            except OSError:
                return False
            else:
                return True
        if not queued or len(node.queue) >= QUEUE_FRAMES:
            return False
        if not node.queue:
            self._writers.register(node.socket.fileno(), select.EPOLLOUT)
        node.queue.append(frame)
        return True

    async def send_queued(self) -> None:
        """Send what waits in queues, until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._writers.fileno())
            for fd, _ in self._writers.poll(0, READY_MAX):
                node = self._by_fd[fd]
                while node.queue:
                    try:
                        node.socket.send(node.queue[0])
                    except BlockingIOError:
                        break
                    except OSError:
                        self.counters.drop_out("refused")
                    node.queue.popleft()
                if not node.queue:
                    self._writers.unregister(fd)

    def state(self) -> dict[str, str | int | float | bool | None]:
        """How many clients there are."""
        return {"nodes": len(self._nodes)}

    def close(self) -> None:
        """We close it: whoever waits in it gets `LinkClosed`."""
        self._closed = True
        for endpoint_id in list(self._nodes):
            self.pull_out(endpoint_id, 0)
        trio.lowlevel.notify_closing(self._readers.fileno())
        self._readers.close()
        self._writers.close()


def _drain(node: Node, frames: list[bytes], most: int, counters: Counters) -> None:
    for _ in range(most):
        try:
            frame = node.socket.recv(MTU_OCTETS + 1)
        except OSError:  # nothing more; or it has gone, of which its control connection tells
            return
        if not SHORTEST_OCTETS <= len(frame) <= MTU_OCTETS:
            counters.drop_in("short" if len(frame) < SHORTEST_OCTETS else "oversize")
        else:
            frames.append(frame)


@asynccontextmanager
async def open_star(
    link: StarLink, address: str, params: Params, surroundings: Surroundings
) -> AsyncIterator[StarLink]:
    """Serve clients of `link` at `address`."""
    with ExitStack() as stack:
        stack.callback(link.close)
        directory = stack.enter_context(open_place(address, params, surroundings))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.send_queued)
            await nursery.start(control_server(link, directory, surroundings).serve)
            yield link
            nursery.cancel_scope.cancel()
