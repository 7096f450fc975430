"""null:// — the sink: what is sent there is gone, and nothing ever comes.

Peer: vdeplug4's `null://`. With a switch or a hub at the other end it makes a process that only runs that node.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from vde.link import SHORTEST_OCTETS, Link
from vde.plugspec import PlugSpec, Surroundings


@dataclass(frozen=True)
class Params:
    """No options."""


class NullLink(Link):
    """Swallows."""

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        for frame in frames:
            if len(frame) < SHORTEST_OCTETS:
                self.counters.drop_out("short")
            elif len(frame) > self.mtu_octets:
                self.counters.drop_out("oversize")
            else:
                self.counters.sent(len(frame))
        await trio.lowlevel.checkpoint()

    async def receive(self) -> list[bytes]:
        """As `Link.receive`: waits for ever."""
        await trio.sleep_forever()


@asynccontextmanager
async def open_null(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address` is ignored, as by the original."""
    yield NullLink()


PLUG = PlugSpec("null", open_null, Params, syntax="null://")
