"""A wire that runs: two links, the model between them, and its control socket. One process a wire.

    left.receive ─► model ─► delay line ─► right.send         and the same the other way round

Theory of operation. For each direction one task reads and hands frames to the model; whoever finds frames due sends
them: the reader at once, or the direction's timer task later. While one is sending the other does not; so frames leave
in the order in which they are due, and a sink that does not take them stops its own direction's reader only. A frame's
time of arrival is the kernel's where a link knows it, so that it is due when it should be, however late we read it.

**Bypass.** While nothing is set in either direction, and both links can be handed over, a patch (given by the caller:
the forwarder's) carries the frames and nobody looks at them. The first impairment, watcher or change of state that
wants to see frames ends it: the patch is closed, and the links are taken back, or opened anew if they cannot be.

**Carrier.** While a carrier given by the caller (`native.py`'s) can do all that is set, it goes on in the model's place
in a thread of its own, and gives back what is on its way before anything is changed.

An end that is to be kept (`kept_end.py`) may be away: frames to it are lost meanwhile, and the other end stays open.

Bounds: `delay_line.py`, `queue.py`; `control.py` for connections.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from vde.endpoint import EndpointKind, HandedOver
from vde.errors import LinkBroken, LinkClosed
from vde.link import Link
from vde.wire.kept_end import EndAway, KeptEnd
from vde.wire.schedule import DIRECTIONS
from vde.wire.timer import Timer

NS_PER_S = 10**9
LATE_MOST_NS = 50_000_000
"""How long before its reading a frame may have come. Chosen: no longer than a loaded machine lets us wait; what the
kernel's wall clock says beyond that is a step of the clock."""
Open = Callable[[], AbstractAsyncContextManager[Link]]
Counts = tuple[tuple[int, int], tuple[int, int]]
"""Frames and octets, left to right and right to left."""


class RunningDirection(Protocol):
    """What a direction must do to be run: `direction.Direction`, or wirefilter's."""

    @property
    def reads_from_ns(self) -> int:
        """The source is not to be read before."""

    @property
    def clear(self) -> bool:
        """May frames that come now be sent on as they are, and only be counted (`pass_clear`)?"""

    def pass_clear(self, frames: list[bytes]) -> None:
        """Frames come while `clear`."""

    def count_bypassed(self, frames: int, octets: int) -> None:
        """So many passed, unseen by us."""

    def receive(self, frames: list[bytes], now_ns: int, arrivals_ns: Sequence[int] | None = None) -> None:
        """Frames come; `arrivals_ns`: each at a time of its own, not after `now_ns`."""

    def frames_to_send(self, now_ns: int) -> list[bytes]:
        """A batch of those that are due."""

    def next_deadline(self) -> int | None:
        """When to ask `frames_to_send` again."""


class RunningWire(Protocol):
    """What a wire must do to be run: `model.Wire`, or wirefilter's."""

    @property
    def clear(self) -> bool:
        """May all frames bypass us?"""

    @property
    def directions(self) -> Mapping[str, RunningDirection]:
        """By name."""

    def next_change_ns(self) -> int | None:
        """When `handle_timer` has something to do."""

    def handle_timer(self, now_ns: int) -> bool:
        """Do what is due; was there anything?"""


class Patch(Protocol):
    """What carries frames between two descriptors without us."""

    def counts(self) -> Counts:
        """What was carried since it was opened."""

    async def run(self) -> None:
        """Carry until cancelled; then both descriptors are closed. Raises `PatchBroken`."""


OpenPatch = Callable[[HandedOver, HandedOver], Patch]


class Carried(Protocol):
    """A wire that another carries."""

    def count(self) -> None:
        """Bring the model's counters up to date."""

    async def run(self) -> None:
        """Until cancelled. Raises `PatchBroken`."""

    def end(self) -> None:
        """Close the descriptors; what is on its way goes back to the model."""


class Carrier(Protocol):
    """Carries wires in the model's place."""

    def may_carry(self, kinds: tuple[EndpointKind | None, EndpointKind | None]) -> bool:
        """Can it, as things are, between descriptors of these kinds?"""

    def open(self, left: HandedOver, right: HandedOver) -> Carried:
        """Begin. The descriptors are its own."""


class PatchBroken(LinkBroken):
    """An end of a patch failed.

    Attributes:
        index: 0: the left one, 1: the right one.
    """

    def __init__(self, index: int, text: str) -> None:
        super().__init__(text)
        self.index = index


class _Reopen(Exception):
    """The links must be opened anew."""


class _Bypass:
    """A patch, as a `Carried`."""

    def __init__(self, wire: RunningWire, patch: Patch) -> None:
        self._wire = wire
        self._patch = patch
        self._counted: Counts = ((0, 0), (0, 0))
        self.run = patch.run

    def count(self) -> None:
        counts = self._patch.counts()
        for name, (frames, octets), (known_frames, known_octets) in zip(DIRECTIONS, counts, self._counted, strict=True):
            self._wire.directions[name].count_bypassed(frames - known_frames, octets - known_octets)
        self._counted = counts

    def end(self) -> None:
        self.count()


@dataclass
class _Side:
    """One direction, running."""

    direction: RunningDirection
    source: Link
    sink: Link
    timer: Timer
    sending: bool = False
    receiving: trio.CancelScope | None = None


class WireProcess:
    """See the module's text.

    Attributes:
        wire: the model; after a change of it, call `changed`.
        bypass: are frames carried without us?
    """

    def __init__(
        self,
        wire: RunningWire,
        ends: tuple[Open, Open],
        now_ns: Callable[[], int],
        new_timer: Callable[[], Timer],
        open_patch: OpenPatch | None = None,
        wall_ns: Callable[[], int] | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        """`wall_ns`: the clock of links' arrivals; None: they are not asked."""
        self.wire = wire
        self.bypass = False
        self._ends = ends
        self._now_ns = now_ns
        self._new_timer = new_timer
        self._open_patch = open_patch
        self._carrier = carrier
        self._wall_ns = wall_ns
        self._carried: Carried | None = None
        self._links: tuple[Link, Link]
        self._sides: list[_Side] = []
        self._kept: list[KeptEnd] = []
        self._change = trio.Event()
        self._changes: Timer | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        """Carry frames until cancelled. `ready` is called when both links are open for the first time.

        Raises:
            LinkBroken, ConfigError: of a link.
        """
        while True:
            async with self._ends[0]() as left, self._ends[1]() as right:
                self._kept = [link for link in (left, right) if isinstance(link, KeptEnd)]
                for link in self._kept:
                    link.on_change = self.changed
                try:
                    await self._run(left, right, ready)
                except _Reopen:
                    ready = _nothing

    def changed(self) -> None:
        """Settings, observers or states have changed: look again at who carries the frames, and when."""
        self._change.set()
        self._change = trio.Event()
        for side in self._sides:
            side.timer.arm(side.direction.next_deadline())
        if self._changes is not None:
            self._changes.arm(self.wire.next_change_ns())

    def ends(self) -> list[Mapping[str, str | int]]:
        """The states of ends that are kept, the left one first."""
        return [link.facts() for link in self._kept]

    def count(self) -> None:
        """Bring the counters up to date, of what passes without us."""
        if self._carried is not None:
            self._carried.count()

    def stop_carrying(self) -> None:
        """To be called before a change of the wire: the model has all again. `changed` looks who goes on."""
        if self._carried is not None and not self.bypass:
            self._carried.end()
            self._carried = None

    # -- who carries --------------------------------------------------------------------------------------------------

    async def _run(self, left: Link, right: Link, ready: Callable[[], None]) -> None:
        self._links = (left, right)
        if not self._kept:
            ready()
        async with unwrapped_nursery() as nursery:
            if self._kept:
                nursery.start_soon(self._tell, ready)
            nursery.start_soon(self._keep_time)
            while True:
                while (begin := self._choose()) is not None:
                    await self._give_away(begin)
                await self._carry(left, right)

    async def _tell(self, ready: Callable[[], None]) -> None:
        for link in self._kept:
            await link.wait_connected()
        ready()

    def _choose(self) -> Callable[[HandedOver, HandedOver], Carried] | None:
        """Who could carry the frames in the model's place now, as far as is known."""
        if not all(link.is_connected for link in self._kept):
            return None
        if self._open_patch is not None and self.wire.clear:
            return self._begin_bypass
        left, right = self._links
        if self._carrier is not None and self._carrier.may_carry((left.handed_kind, right.handed_kind)):
            return self._carrier.open
        return None

    def _begin_bypass(self, left: HandedOver, right: HandedOver) -> Carried:
        assert self._open_patch is not None
        return _Bypass(self.wire, self._open_patch(left, right))

    async def _give_away(self, begin: Callable[[HandedOver, HandedOver], Carried]) -> None:
        """Until something else is to carry, an end is away, or at once if the links cannot be handed over."""
        left, right = self._links
        first = left.hand_over()
        second = None if first is None else right.hand_over()
        if first is None or second is None:
            self._open_patch = self._carrier = None
            if first is not None:
                first.close()
                if not left.take_back():
                    raise _Reopen
            return
        carried = self._carried = begin(first, second)
        self.bypass = isinstance(carried, _Bypass)
        try:
            async with unwrapped_nursery() as nursery:
                nursery.start_soon(carried.run)
                nursery.start_soon(left.watch)
                nursery.start_soon(right.watch)
                while self._carried is carried and self._choose() == begin:
                    await self._change.wait()
                nursery.cancel_scope.cancel()
        except PatchBroken as broken:
            link = (left, right)[broken.index]
            if not isinstance(link, KeptEnd):
                raise
            link.broke(broken)
        except EndAway:
            pass
        finally:
            if self._carried is carried:
                carried.end()
                self._carried = None
            self.bypass = False
        if not (left.take_back() and right.take_back()):
            raise _Reopen

    async def _carry(self, left: Link, right: Link) -> None:
        """Until another could do it."""
        roads = [self.wire.directions[name] for name in DIRECTIONS]
        with contextlib.ExitStack() as stack:
            for road, source, sink in ((roads[0], left, right), (roads[1], right, left)):
                timer = self._new_timer()
                stack.callback(timer.close)
                self._sides.append(_Side(road, source, sink, timer))
                if self._wall_ns is not None:
                    source.note_arrivals()
            stack.callback(self._sides.clear)
            async with unwrapped_nursery() as timers, unwrapped_nursery() as readers:
                for side in self._sides:
                    side.timer.arm(side.direction.next_deadline())
                    timers.start_soon(self._send_due, side)
                    readers.start_soon(self._read, side)
                readers.start_soon(self._stop_when_not_needed, timers)

    async def _stop_when_not_needed(self, timers: trio.Nursery) -> None:
        """Readers stop where nothing is lost."""
        while self._choose() is None or any(side.sending for side in self._sides):
            await self._change.wait()
        for side in self._sides:
            if side.receiving is not None:
                side.receiving.cancel()
        timers.cancel_scope.cancel()

    # -- frames -------------------------------------------------------------------------------------------------------

    async def _read(self, side: _Side) -> None:
        road = side.direction
        while True:
            with trio.CancelScope() as side.receiving:
                if (wait_ns := road.reads_from_ns - self._now_ns()) > 0:
                    await trio.sleep(wait_ns / NS_PER_S)
                frames = await side.source.receive()
            if side.receiving.cancelled_caught:
                return
            side.receiving = None
            if road.clear and not side.sending:
                road.pass_clear(frames)
                side.sending = True
                await side.sink.send(frames)
                side.sending = False
                self._look()
                continue
            now_ns = self._now_ns()
            road.receive(frames, now_ns, self._arrivals(side.source, now_ns))
            if not side.sending:
                await self._flush(side)

    def _arrivals(self, source: Link, now_ns: int) -> list[int] | None:
        """When the frames of the last batch came."""
        if self._wall_ns is None or (arrivals := source.arrivals_ns()) is None:
            return None
        offset, oldest = now_ns - self._wall_ns(), now_ns - LATE_MOST_NS
        return [min(at + offset, now_ns) if at + offset > oldest else now_ns for at in arrivals]

    async def _send_due(self, side: _Side) -> None:
        while True:
            await side.timer.wait()
            if not side.sending:
                await self._flush(side)

    async def _flush(self, side: _Side) -> None:
        """Send what is due. Nothing is awaited between the last look and the timer's setting."""
        side.sending = True
        while frames := side.direction.frames_to_send(self._now_ns()):
            if (done := side.sink.send_nowait(frames)) < len(frames):
                await side.sink.send(frames[done:])
        side.sending = False
        side.timer.arm(side.direction.next_deadline())
        self._look()

    def _look(self) -> None:
        """The last delayed frame may have left."""
        if self._choose() is not None:
            self._change.set()
            self._change = trio.Event()

    async def _keep_time(self) -> None:
        """The schedule, and states."""
        timer = self._changes = self._new_timer()
        try:
            while True:
                timer.arm(self.wire.next_change_ns())
                await timer.wait()
                if (at := self.wire.next_change_ns()) is not None and at <= self._now_ns():
                    self.stop_carrying()
                if self.wire.handle_timer(self._now_ns()):
                    self.changed()
        finally:
            self._changes = None
            timer.close()


@asynccontextmanager
async def unwrapped_nursery() -> AsyncIterator[trio.Nursery]:
    """A nursery whose only error is raised as it is; of several, the first that is not a consequence of closing."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        errors = [error for error in _leaves(group) if not isinstance(error, trio.Cancelled)]
        best = next((error for error in errors if not isinstance(error, LinkClosed)), None) or (errors or [group])[0]
        best.__context__ = None
        raise best from None


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


def _nothing() -> None:
    """They know already."""
