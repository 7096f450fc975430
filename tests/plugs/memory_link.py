"""Two links, each the other's outside, in memory; and surroundings in which a VNL names one of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from plugs import registry
from tests.plugs.surroundings import TestSurroundings
from vde import vnl as grammar
from vde.link import FRAMES_PER_BATCH, Link


class MemoryLink(Link):
    """One of two ends; lossless."""

    def __init__(self, mtu_octets: int | None = None) -> None:
        super().__init__()
        if mtu_octets is not None:
            self.mtu_octets = mtu_octets
        self._send, self._receive = trio.open_memory_channel[bytes](10_000)
        self.other: MemoryLink = self

    async def send(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            assert 14 <= len(frame) <= self.mtu_octets
            await self.other._send.send(frame)
            self.counters.sent(len(frame))

    async def receive(self) -> list[bytes]:
        frames = [await self._receive.receive()]
        while len(frames) < FRAMES_PER_BATCH:
            try:
                frames.append(self._receive.receive_nowait())
            except trio.WouldBlock:
                break
        self.counters.received(sum(map(len, frames)), len(frames))
        return frames


def memory_links(mtu_octets: int | None = None) -> tuple[MemoryLink, MemoryLink]:
    one, other = MemoryLink(mtu_octets), MemoryLink(mtu_octets)
    one.other, other.other = other, one
    return one, other


class MemorySurroundings(TestSurroundings):
    """`memory://NAME` is the link of that name."""

    def __init__(self, **links: Link) -> None:
        super().__init__()
        self.links = links
        self.wall_offset_ns = 0

    def wall_ns(self) -> int:
        return super().wall_ns() + self.wall_offset_ns

    def open_link(self, vnl: str) -> AbstractAsyncContextManager[Link]:
        scheme, _, name = vnl.partition("://")
        return self._give(self.links[name]) if scheme == "memory" else super().open_link(vnl)

    @asynccontextmanager
    async def open(self, vnl: str) -> AsyncIterator[Link]:
        """Open a VNL whose inner one is `memory://`, which the registry does not know."""
        parsed = grammar.parse(vnl)
        spec = registry.find(parsed.scheme)
        address, params = spec.read(parsed)
        async with spec.open(address, params, self) as link:
            yield link

    @asynccontextmanager
    async def _give(self, link: Link) -> AsyncIterator[Link]:
        yield link
