"""Frames that a guest's cables drop are told while it runs."""

import trio
import trio.testing

from emulators.guest import losses
from emulators.guest.ends import FRAMES, LiveCable

FRAME = bytes(60)


async def test_what_nobody_takes_is_told_at_once_and_then_now_and_then(
    autojump_clock: trio.testing.MockClock,
) -> None:
    cables = [LiveCable(0), LiveCable(1)]
    told: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(losses.watch, cables, told.append)
        for _ in range(FRAMES + 3):
            cables[0].end.send(FRAME)
        await trio.sleep(losses.EVERY_S / 2)
        assert told == ["nic 0 dropped 3 sent"]
        for _ in range(1200):
            cables[0].end.send(FRAME)
        await trio.sleep(losses.EVERY_S / 4)
        assert len(told) == 1
        await trio.sleep(losses.EVERY_S)
        assert told[1:] == ["nic 0 dropped 1,203 sent"]
        cables[1].put([FRAME] * (FRAMES + 1))
        await trio.sleep(losses.EVERY_S / 2)
        assert told[2:] == ["nic 0 dropped 1,203 sent, nic 1 dropped 1 received"]
        nursery.cancel_scope.cancel()


async def test_a_cable_that_loses_nothing_says_nothing() -> None:
    cable = LiveCable(0)
    for _ in range(10 * FRAMES):
        cable.end.send(FRAME)
        cable.put([FRAME])
        assert cable.take(1) == [FRAME]
        cable.deliver(lambda frame: None)
    assert losses.text([cable]) == ""
