"""Frames that a guest's cables dropped, told while it runs: at once, then once in `EVERY_S` while there are more.

A guest that sends faster than its network takes, or takes slower than its network sends, loses frames as a real card
does; only those who look at the counters would know.
"""

from collections.abc import Callable, Sequence
from typing import Final

import trio

from emulators.guest.ends import LiveCable

EVERY_S: Final = 1.0
"""Chosen: people read it."""


def text(cables: Sequence[LiveCable]) -> str:
    """What was lost so far; "": nothing."""
    parts = []
    for cable in cables:
        out, in_ = cable.counters.dropped_out, cable.counters.dropped_in
        lost = [f"{count:,} {way}" for count, way in ((out, "sent"), (in_, "received")) if count]
        if lost:
            parts.append(f"nic {cable.index} dropped {' and '.join(lost)}")
    return ", ".join(parts)


async def watch(cables: Sequence[LiveCable], tell: Callable[[str], None]) -> None:
    """Until cancelled."""

    async def one(cable: LiveCable) -> None:
        while True:
            await cable.lost.wait()
            tell(text(cables))
            await trio.sleep(EVERY_S)

    async with trio.open_nursery() as nursery:
        for cable in cables:
            nursery.start_soon(one, cable)
