"""Ends that are opened again when they broke, on trio's virtual clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from tests.vde.wire.links import MemoryLink, VirtualTimer, now_ns
from tests.vde.wire.test_process import FakePatch
from tests.vde.wire.wires import frame, numbers
from vde.errors import ConfigError, LinkBroken
from vde.link import Link
from vde.wire.impairments import no_files
from vde.wire.kept_end import KeptEnd, keep_open
from vde.wire.model import Start, Wire
from vde.wire.process import PatchBroken, WireProcess
from vde.wire.schedule import DIRECTIONS, Change


class Doubling:
    """Waits of 1, 2, 4… seconds."""

    def __init__(self) -> None:
        self.next_s = 1.0

    def failed(self) -> float:
        now_s, self.next_s = self.next_s, 2 * self.next_s
        return now_s

    def succeeded(self) -> None:
        self.next_s = 1.0


class Place:
    """Something to be opened that comes and goes."""

    def __init__(self, **links: bool) -> None:
        self.error: Exception | None = None
        self.attempts: list[float] = []
        self.links: list[MemoryLink] = []
        self.told: list[str] = []
        self._kind = links

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Link]:
        self.attempts.append(trio.current_time())
        if self.error is not None:
            raise self.error
        self.links.append(MemoryLink(**self._kind))
        yield self.links[-1]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Link]:
        async with keep_open(self._open, Doubling(), now_ns, self.told.append) as end:
            yield end


class BreakingPatch(FakePatch):
    """One whose left end fails when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.fail = trio.Event()

    async def run(self) -> None:
        self.running = True
        try:
            await self.fail.wait()
            self.fail = trio.Event()
            raise PatchBroken(0, "the left end broke")
        finally:
            self.running = False


@asynccontextmanager
async def running(
    left: Place, right: Place, patch: FakePatch | None = None, delay: str = "none"
) -> AsyncIterator[WireProcess]:
    begin = Start().changed(Change("set", DIRECTIONS, None, (("delay", delay),)))
    wire = Wire("w", "s", now_ns(), begin, no_files)
    process = WireProcess(wire, (left.open, right.open), now_ns, VirtualTimer, None if patch is None else patch.open)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process.run, lambda: None)
        await trio.testing.wait_all_tasks_blocked()
        yield process
        nursery.cancel_scope.cancel()


async def test_only_the_end_that_broke_is_opened_again(autojump_clock: trio.testing.MockClock) -> None:
    left, right = Place(), Place()
    async with running(left, right, delay="1ms") as process:
        left.links[0].break_()
        await trio.testing.wait_all_tasks_blocked()
        assert [end["state"] for end in process.ends()] == ["waiting", "connected"]
        right.links[0].deliver(frame(1))  # lost
        await trio.sleep(2)
        left.links[1].deliver(frame(2))
        right.links[0].deliver(frame(3))
        await trio.sleep(1)
        assert numbers(right.links[0].sent) == [2]
        assert numbers(left.links[1].sent) == [3]
        first, second = process.ends()
        assert (first["state"], first["breaks"], first["lost_frames"]) == ("connected", 1, 1)
        assert (second["breaks"], len(right.links)) == (0, 1)
        assert left.told == ["broken by the test; trying again", "is there again"]
        assert right.told == []


async def test_waits_grow_until_a_connection_has_lasted(autojump_clock: trio.testing.MockClock) -> None:
    left, right = Place(), Place()
    left.error = LinkBroken("nobody is there")
    async with running(left, right) as process:
        await trio.sleep(20)
        assert [round(at - left.attempts[0]) for at in left.attempts] == [0, 1, 3, 7, 15]
        assert process.ends()[0]["failures"] == 5
        assert process.ends()[0]["last_error"] == "nobody is there"
        assert left.told == ["nobody is there; trying again"]
        left.error = None
        await trio.sleep(100)
        begin = len(left.attempts)
        left.links[0].break_()
        await trio.sleep(0.9)
        assert len(left.attempts) == begin
        await trio.sleep(0.2)
        assert len(left.attempts) == begin + 1


async def test_a_wrong_vnl_ends_it_at_once_but_not_later() -> None:
    left = Place()
    left.error = ConfigError("no such interface")
    with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match="no such interface")):
        async with left.open():
            await trio.sleep_forever()


async def test_an_interface_that_vanished_may_come_back(autojump_clock: trio.testing.MockClock) -> None:
    left, right = Place(), Place()
    async with running(left, right) as process:
        left.error = ConfigError("no such interface")
        left.links[0].break_()
        await trio.sleep(5)
        assert process.ends()[0]["last_error"] == "no such interface"
        left.error = None
        await trio.sleep(5)
        assert process.ends()[0]["state"] == "connected"


async def test_a_patch_is_made_again_when_both_are_there(autojump_clock: trio.testing.MockClock) -> None:
    left, right, patch = Place(handed=True), Place(handed=True), BreakingPatch()
    async with running(left, right, patch) as process:
        assert process.bypass
        patch.fail.set()
        await trio.testing.wait_all_tasks_blocked()
        assert not patch.running
        assert [end["state"] for end in process.ends()] == ["waiting", "connected"]
        await trio.sleep(2)
        assert patch.running
        assert (len(left.links), len(right.links), patch.begun) == (2, 1, 2)


async def test_what_cannot_be_taken_back_is_opened_anew_at_once(autojump_clock: trio.testing.MockClock) -> None:
    left, right, patch = Place(handed=True, returned=False), Place(handed=True), FakePatch()
    async with running(left, right, patch) as process:
        process.wire.change(Change("set", DIRECTIONS, None, (("delay", "1ms"),)), now_ns())  # type: ignore[attr-defined]
        process.changed()
        await trio.testing.wait_all_tasks_blocked()
        assert (len(left.links), len(right.links)) == (2, 1)
        assert left.told == []
        right.links[0].deliver(frame(1))
        await trio.sleep(1)
        assert numbers(left.links[1].sent) == [1]


async def test_a_receiver_that_stalls_is_let_go_when_its_end_breaks(autojump_clock: trio.testing.MockClock) -> None:
    end = KeptEnd(lambda: MemoryLink().opener()(), Doubling(), now_ns, lambda text: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.keep)
        await end.wait_connected()
        link = end._link
        assert isinstance(link, MemoryLink)
        link.room = trio.Event()
        nursery.start_soon(end.send, [frame(1)])
        await trio.testing.wait_all_tasks_blocked()
        end.broke(LinkBroken("gone"))
        await trio.testing.wait_all_tasks_blocked()
        assert end.lost_frames == 1
        nursery.cancel_scope.cancel()
