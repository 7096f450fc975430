"""Plugs around another plug: each frame is changed on its way out and on its way in.

Statistics: frames and octets are those of this side, before they are changed on the way out, after it on the way in;
what the inner link drops is among the dropped, under its own words.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NoReturn

import trio

from vde.link import SHORTEST_OCTETS, Link, LinkStatistics


class NestedLink(Link):
    """See the module's text. Whoever opened the inner link closes it."""

    def __init__(self, inner: Link, mtu_octets: int) -> None:
        super().__init__()
        self.inner = inner
        self.mtu_octets = mtu_octets

    @abstractmethod
    def _outward(self, frame: bytes) -> bytes | str:
        """What leaves for a frame of 14 to `mtu_octets` octets; or, in one word, why nothing does."""

    @abstractmethod
    def _inward(self, frame: bytes) -> bytes | str:
        """What a frame that came is to us; or, in one word, why it is nothing."""

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        changed: list[bytes] = []
        octets = 0
        for frame in frames:
            if len(frame) < SHORTEST_OCTETS:
                self.counters.drop_out("short")
            elif len(frame) > self.mtu_octets:
                self.counters.drop_out("oversize")
            elif isinstance(out := self._outward(frame), str):
                self.counters.drop_out(out)
            else:
                changed.append(out)
                octets += len(frame)
        if not changed:
            await trio.lowlevel.checkpoint()
            return
        await self.inner.send(changed)
        self.counters.sent(octets, len(changed))

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        frames: list[bytes] = []
        while not frames:
            for frame in await self.inner.receive():
                found = self._inward(frame)
                if isinstance(found, str):
                    self.counters.drop_in(found)
                elif not SHORTEST_OCTETS <= len(found) <= self.mtu_octets:
                    self.counters.drop_in("short" if len(found) < SHORTEST_OCTETS else "oversize")
                else:
                    frames.append(found)
        self.counters.received(sum(map(len, frames)), len(frames))
        return frames

    async def watch(self) -> NoReturn:
        """As `Link.watch`."""
        await self.inner.watch()

    def statistics(self) -> LinkStatistics:
        """As `Link.statistics`; see the module's text."""
        own, inner = self.counters.freeze(), self.inner.statistics()
        out, into = dict(own.dropped_out), dict(own.dropped_in)
        for total, more in ((out, inner.dropped_out), (into, inner.dropped_in)):
            for reason, count in more.items():
                total[reason] = total.get(reason, 0) + count
        return LinkStatistics(
            own.sent_frames, own.sent_octets, own.received_frames, own.received_octets, dropped_out=out, dropped_in=into
        )

    def state(self) -> dict[str, str | int | float | bool | None]:
        """The inner link's."""
        return dict(self.inner.state())
