"""`NativeForwarder`: the Rust forwarder (`switch/native`) behind the contract.

It has a thread of its own, which holds no GIL and shares with Python only a lock that it hands over after every turn.
Events come as tuples through a bounded queue; an eventfd says that some wait. Configuration is inherited as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import trio

from switch.forwarding.overlay import packed
from switch.forwarding.terms import (
    Bpdu,
    Direction,
    DropReason,
    EndpointFailed,
    Event,
    FdbEntry,
    Forgot,
    Learned,
    Limits,
    Packet,
    PortStatistics,
)
from vde import _native
from vde.endpoint import OverlayTerms
from vde.errors import InternalError


class NativeForwarder(_native.Forwarder):
    """See `contract.Forwarder` for every method, and the module's text."""

    _running = False
    _closed = False

    def __new__(cls, limits: Limits, seed: int = 0, *, io_uring: bool = True) -> Self:
        """A forwarder without ports.

        `seed` is that of the learning table's hash function; `io_uring`: use it if it is to be had.
        """
        return super().__new__(
            cls,
            max_frame_octets=limits.max_frame_octets,
            queue_frames=limits.queue_frames,
            send_buffer_octets=limits.send_buffer_octets,
            events=limits.events,
            seed=seed & (1 << 64) - 1,
            io_uring=io_uring,
        )

    def attach(
        self,
        port: int,
        endpoint: int,
        fd: int,
        kind: int,
        others: Sequence[int] = (),
        overlay: OverlayTerms | None = None,
    ) -> None:
        """As `Forwarder.attach`."""
        super().attach(port, endpoint, fd, kind, others, None if overlay is None else packed(overlay))

    def set_mirror(self, destination: int, sources: Mapping[int, Direction]) -> None:
        """As `Forwarder.set_mirror`."""
        self.mirror(destination, dict(sources))

    def lookup(self, mac: bytes, vlan: int) -> FdbEntry | None:
        """As `Forwarder.lookup`."""
        entry = self.find(mac, vlan)
        return None if entry is None else FdbEntry(*entry)

    def entries(self) -> list[FdbEntry]:
        """As `Forwarder.entries`."""
        return [FdbEntry(*entry) for entry in self.table()]

    def statistics(self, port: int) -> PortStatistics:
        """As `Forwarder.statistics`."""
        in_frames, in_octets, out_frames, out_octets, not_learned, counts = self.counters(port)
        drops = {reason: counts[reason] for reason in DropReason if counts[reason]}
        return PortStatistics(in_frames, in_octets, out_frames, out_octets, not_learned, drops)

    def poll(self, now_ns: int) -> Sequence[Event]:
        """As `Forwarder.poll`."""
        return [_event(event) for event in self.poll_once(now_ns)]

    def close(self) -> None:
        """As `Forwarder.close`."""
        if self._running:
            raise RuntimeError("close: the forwarder is running; cancel it")
        self._closed = True
        self.stop()

    async def run(
        self,
        on_events: Callable[[Sequence[Event]], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """As `Forwarder.run`."""
        if self._running or self._closed:
            raise RuntimeError("run: once only")
        self.start()
        self._running = True
        try:
            task_status.started()
            while True:
                await trio.lowlevel.wait_readable(self.events_fd())
                if (failure := self.failure()) is not None:
                    raise InternalError(f"the forwarder ended: {failure}")
                if events := self.take_events():
                    on_events([_event(event) for event in events])
        finally:
            self._running = False
            self.close()


_KINDS: tuple[Callable[..., Event], ...] = (
    Bpdu,
    Learned,
    Forgot,
    lambda direction, *rest: Packet(Direction(direction), *rest),
    EndpointFailed,
)


def _event(fields: tuple[Any, ...]) -> Event:
    event: Event = _KINDS[fields[0]](*fields[1:])
    return event
