"""Frames that wait for the rate: a bounded queue before a server.

Time is virtual: what the queue does happens at exact moments, however late it is looked at. `advance(now)` does all
that was to happen until now; a frame's turn is `server.start_ns(…)`, at which CoDel may drop it, and it leaves at what
`server.transmit(…)` answers.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from vde.wire.codel import CoDel
from vde.wire.verdict import Verdict


class Server(Protocol):
    """What takes frames off a queue: `rate.Rate`, `trace.TraceServer`."""

    def start_ns(self, ready_ns: int) -> int:
        """When a frame that is there since `ready_ns` begins to leave."""

    def transmit(self, start_ns: int, octets: int) -> int:
        """A frame begins to leave: when it will have left."""


class Queue:
    """One queue and its server.

    Attributes:
        octets: in the queue.
    """

    def __init__(
        self,
        server: Server,
        *,
        most_octets: int | None,
        most_frames: int,
        codel: CoDel | None,
        on_left: Callable[[bytes, Verdict], None],
        on_drop: Callable[[Verdict, str], None],
    ) -> None:
        """`on_left`: with `verdict.left_ns` set; `on_drop`: with the cause."""
        self.server = server
        self.most_octets = most_octets
        self.most_frames = most_frames
        self.codel = codel
        self.octets = 0
        self._on_left = on_left
        self._on_drop = on_drop
        self._waiting: deque[tuple[bytes, Verdict]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, frame: bytes, verdict: Verdict, now_ns: int) -> None:
        """A frame comes; `advance(now_ns)` was called. One that can leave at once does not need room."""
        if self._waiting or self.server.start_ns(now_ns) > now_ns:
            if len(self._waiting) >= self.most_frames or (
                self.most_octets is not None and self.octets + len(frame) > self.most_octets
            ):
                self._on_drop(verdict, "queue")
                return
            self._waiting.append((frame, verdict))
            self.octets += len(frame)
        else:
            verdict.left_ns = self.server.transmit(now_ns, len(frame))
            self._on_left(frame, verdict)

    def next_start_ns(self) -> int | None:
        """When `advance` has something to do."""
        if not self._waiting:
            return None
        return self.server.start_ns(self._waiting[0][1].arrived_ns)

    def advance(self, now_ns: int) -> None:
        """Let frames leave whose turn has come."""
        while self._waiting:
            frame, verdict = self._waiting[0]
            start_ns = self.server.start_ns(verdict.arrived_ns)
            if start_ns > now_ns:
                return
            self._waiting.popleft()
            self.octets -= len(frame)
            if self.codel is not None and self.codel.drops(verdict.arrived_ns, start_ns, self.octets):
                self._on_drop(verdict, "codel")
                continue
            verdict.left_ns = self.server.transmit(start_ns, len(frame))
            self._on_left(frame, verdict)

    def refill(self, waiting: list[tuple[bytes, Verdict]]) -> None:
        """Those that `empty` took out."""
        self._waiting.extend(waiting)
        self.octets += sum(len(frame) for frame, _ in waiting)

    def empty(self) -> list[tuple[bytes, Verdict]]:
        """Take out all that waits."""
        waiting = list(self._waiting)
        self._waiting.clear()
        self.octets = 0
        return waiting
