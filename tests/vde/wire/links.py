"""Links in memory, and a timer of trio's clock, for wires that run in tests."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from vde.endpoint import EndpointKind, HandedOver
from vde.errors import LinkBroken
from vde.link import Link


class MemoryLink(Link):
    """What is sent is kept in `sent`; what the test gives to `deliver` is received."""

    def __init__(self, *, handed: bool = False, returned: bool = True) -> None:
        super().__init__()
        self.sent: list[tuple[int, bytes]] = []
        self._feed, self._food = trio.open_memory_channel[list[bytes]](1 << 16)
        self.arrivals: list[int] | None = None
        self.room = trio.Event()
        self.room.set()
        self.handed = handed
        self.returned = returned

    def deliver(self, *frames: bytes) -> None:
        self._feed.send_nowait(list(frames))

    def break_(self) -> None:
        self._feed.close()

    async def send(self, frames: Sequence[bytes]) -> None:
        await self.room.wait()
        await trio.lowlevel.checkpoint()
        self.sent += [(now_ns(), one) for one in frames]

    async def receive(self) -> list[bytes]:
        try:
            return await self._food.receive()
        except trio.EndOfChannel:
            raise LinkBroken("broken by the test") from None

    def arrivals_ns(self) -> Sequence[int] | None:
        return self.arrivals

    def hand_over(self) -> HandedOver | None:
        return HandedOver(-1, EndpointKind.DATAGRAM) if self.handed else None

    def take_back(self) -> bool:
        return self.returned

    def opener(self, count: list[int] | None = None) -> Callable[[], AbstractAsyncContextManager[Link]]:
        """`count[0]` counts how often it is opened."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[Link]:
            if count is not None:
                count[0] += 1
            yield self

        return opened


class VirtualTimer:
    """A `vde.wire.timer.Timer` of trio's clock, which tests may jump."""

    def __init__(self) -> None:
        self._deadline: int | None = None
        self._changed = trio.Event()

    def arm(self, deadline_ns: int | None) -> None:
        self._deadline = deadline_ns
        self._changed.set()
        self._changed = trio.Event()

    async def wait(self) -> None:
        while True:
            changed = self._changed
            with trio.move_on_at(float("inf") if self._deadline is None else self._deadline / 1e9) as scope:
                await changed.wait()
            if scope.cancelled_caught:
                self._deadline = None
                return

    def close(self) -> None:
        self._deadline = None


def now_ns() -> int:
    return round(trio.current_time() * 1e9)
