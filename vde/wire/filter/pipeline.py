"""What wirefilter does to a frame, in its order, with the stages and the chance of `vde.wire`.

    mtu ─ loss ─ copies; each: ─ capacity ─ speed ─ bandwidth ─ delay ─ (queue) ─ noise

Rules, as of wirefilter 2.3.2 (observed), where size is the frame's length + 2, as in its stream:

 1. mtu: value − plus > 0, and size is more: dropped.
 2. loss: value − plus ≥ 100: dropped. With lostburst a chain of two states: to faulty with loss / (burst·(1−loss)),
    back with 1/burst; dropped while faulty. Else dropped with the probability.
 3. dup: one more copy for as long as chance says so, at most `MOST_COPIES`.
 4. chanbufsize > 0: if what is queued in this direction and the frame are more: this and further copies are dropped.
 5. speed > 0: the copy takes size/speed, and this side is not read until then. bandwidth > 0: it takes size/bandwidth
    from when the link is free. What chance made 0 or less drops the copy.
 6. delay, at least 0, is added. With fifo nothing is due before what was queued last, in both directions together.
 7. noise, as the frame leaves: bits inverted, each with noise / (8 · 2^20).

Differences, on purpose: times are exact, not cut to milliseconds; noise is a bit error rate, at most one half, where
the original's number of bits was geometric, and endless from 2^20 on; dup 100 ends; the queue is bounded
(`delay_line.py`).

Where nothing but delay, loss and mtu is set, and there is one node, a lane does the same (`equivalent.py`): then a
native one may go on in our place (`vde.wire.native`), with the same chance, and gives back what is on its way.
"""

from collections.abc import Sequence
from heapq import heappop, heappush

from vde.wire.chance import Chance, Numbers
from vde.wire.corrupt import BitErrors, invert
from vde.wire.delay_line import MOST_FRAMES, MOST_OCTETS
from vde.wire.direction import FRAMES_PER_BATCH
from vde.wire.distribution import Distribution
from vde.wire.filter.equivalent import LONGEST_MS, chain, constant_and_jitter_ns, equivalent
from vde.wire.filter.nodes import PARAMETERS, Nodes
from vde.wire.filter.translate import HEADER_OCTETS, bit_error_rate
from vde.wire.filter.values import Value
from vde.wire.impairments import Impairments
from vde.wire.schedule import DIRECTIONS
from vde.wire.state import Carrier, DirectionState, LaneState
from vde.wire.verdict import Tally, Verdict

MOST_COPIES = 64
MS = 1_000_000
NS_PER_S = 10**9


class Filter:
    """Both directions.

    Attributes:
        fifo: see rule 6.
        bidirectional: False: only left to right is used, and shown.
        directions: for `vde.wire.process`, by name.
        blinks: is told of every frame that leaves, if somebody wants to know.
        on_node: is told of every change of the current node.
    """

    def __init__(self, seed: str, nodes: Nodes, now_ns: int, *, bidirectional: bool = True) -> None:
        self.nodes = nodes
        self.fifo = True
        self.bidirectional = bidirectional
        self.sides = [FilterDirection(self, which, Chance(seed, "wirefilter", DIRECTIONS[which])) for which in (0, 1)]
        self.directions = dict(zip(DIRECTIONS, self.sides, strict=True))
        self.blinks: BlinkSink | None = None
        self.last_due_ns = 0
        self._steps = Chance(seed, "wirefilter", "both").numbers("markov")
        self._step = 0
        self._looked_at = -1  # the version of the nodes that `_nothing_set` is about
        self._nothing_set = False
        self._next_step_ns = 0
        self._restart_period(now_ns)
        self.on_node = _nobody_listens

    @property
    def one_order(self) -> bool:
        """For `vde.wire.native`: is what keeps its order one order of both directions?"""
        return self.fifo

    @property
    def clear(self) -> bool:
        """Do all frames pass at once and unchanged?"""
        if self._looked_at != self.nodes.version:
            self._looked_at = self.nodes.version
            values = (value for node in self.nodes.nodes for both in node.values.values() for value in both)
            self._nothing_set = all(value == _NOTHING for value in values)
        return self._nothing_set and self.blinks is None and not any(side.waiting for side in self.sides)

    # -- Markov -------------------------------------------------------------------------------------------------------

    def set_period(self, now_ns: int) -> None:
        """The nodes' period, or their number, has changed."""
        self._restart_period(now_ns)

    def next_change_ns(self) -> int | None:
        """When `handle_timer` has something to do."""
        return self._next_step_ns if len(self.nodes) > 1 else None

    def handle_timer(self, now_ns: int) -> bool:
        """Go to the next node if it is time; has it changed?"""
        if len(self.nodes) <= 1 or now_ns < self._next_step_ns:
            return False
        before = self.nodes.current
        period_ns = max(1, round(self.nodes.period_ms * MS))
        self._step += 1
        self.nodes.current = self.nodes.next_node(self._steps.uniform(self._step))
        self._next_step_ns += period_ns * ((now_ns - self._next_step_ns) // period_ns + 1)
        if self.nodes.current == before:
            return False
        self.nodes.version += 1
        names = [self.nodes.nodes[number].name for number in (before, self.nodes.current)]
        self.on_node(self.nodes.current, f'Node {before} "{names[0]}" -> {self.nodes.current} "{names[1]}"')
        return True

    def _restart_period(self, now_ns: int) -> None:
        self._next_step_ns = now_ns + max(1, round(self.nodes.period_ms * MS))


class BlinkSink:
    """Who is told of every frame that leaves; in the program, a datagram socket."""

    def blink(self, which: int, size: int) -> None:
        """`which`: direction; must not wait."""


class FilterDirection:
    """One direction; for `vde.wire.process`.

    Attributes:
        up: always (for `vde.wire.native`).
        prefix: what its chance comes from.
        number: of the last frame that came.
        tally: what others who carry have counted.
        reads_from_ns: the side is not to be read before.
    """

    up = True

    def __init__(self, whole: Filter, which: int, chance: Chance) -> None:
        self._whole = whole
        self._which = which
        self._numbers: dict[str, Numbers] = {
            purpose: chance.numbers(purpose)
            for purpose in (*(f"{parameter}-plus" for parameter in PARAMETERS), *_PURPOSES)
        }
        self.prefix = chance.prefix
        self.number = 0
        self.tally = Tally()
        self._carrier: Carrier | None = None
        self._faulty = False
        self._free_ns = 0
        self._heap: list[tuple[int, int, bytes]] = []
        self._serial = 0
        self._looked_at = -1, False  # the version of the nodes, and the fifoness, that `_same` is about
        self._same: Impairments | None = None
        self.reads_from_ns = 0
        self._queued_octets = 0

    @property
    def clear(self) -> bool:
        """See `Filter.clear`; here a frame always passes the rules."""
        return False

    @property
    def waiting(self) -> int:
        """Frames in the queue."""
        return len(self._heap) if self._carrier is None else self._carrier.held()[1][0]

    @property
    def queued_octets(self) -> int:
        """Sizes of what is queued."""
        if self._carrier is None:
            return self._queued_octets
        frames, octets = self._carrier.held()[1]
        return octets + frames * HEADER_OCTETS

    def pass_clear(self, frames: list[bytes]) -> None:
        """Never used: this direction is never clear by itself."""

    def count_bypassed(self, frames: int, octets: int) -> None:
        """A filter has no counters; the numbers go on."""
        self.number += frames

    def next_deadline(self) -> int | None:
        """When a frame is due."""
        return self._heap[0][0] if self._heap else None

    def receive(self, frames: list[bytes], now_ns: int, arrivals_ns: Sequence[int] | None = None) -> None:
        """Frames come."""
        for index, frame in enumerate(frames):
            self.number += 1
            self._receive(frame, now_ns if arrivals_ns is None else arrivals_ns[index])

    def frames_to_send(self, now_ns: int) -> list[bytes]:
        """Those that are due, at most a batch."""
        found: list[bytes] = []
        noise = self._value("noise").value if self._heap else 0.0
        while self._heap and self._heap[0][0] <= now_ns and len(found) < FRAMES_PER_BATCH:
            _, serial, frame = heappop(self._heap)
            self._queued_octets -= len(frame) + HEADER_OCTETS
            if noise > 0:
                errors = BitErrors(bit_error_rate(self._drawn("noise", serial)) or 1e-18, self._numbers["bits"])
                frame = invert(frame, errors.positions(serial, len(frame)))
            found.append(frame)
            if (blinks := self._whole.blinks) is not None:
                blinks.blink(self._which, len(frame) + HEADER_OCTETS)
        return found

    # -- another goes on -----------------------------------------------------------------------------------------------

    @property
    def impairs(self) -> bool:
        """Is anything set?"""
        return any(self._value(parameter) != _NOTHING for parameter in PARAMETERS)

    @property
    def portable(self) -> bool:
        """Can another go on in our place?"""
        return len(self._whole.nodes) == 1 and self._whole.blinks is None and self._equivalent() is not None

    @property
    def impairments(self) -> Impairments:
        """What does the same, while `portable`."""
        return self._equivalent() or Impairments()

    def give_away(self, carrier: Carrier) -> DirectionState:
        """While `portable`: let `carrier` go on from here, until `take_back`."""
        self._carrier = carrier
        line = []
        for due_ns, _, frame in sorted(self._heap):
            verdict = Verdict(0, 0, due_ns, len(frame), "")
            verdict.due_ns = due_ns
            line.append((frame, verdict))
        self._heap.clear()
        self._queued_octets = 0
        return DirectionState(self.number, 0, LaneState(self._whole.last_due_ns, int(self._faulty)), line)

    def take_back(self, state: DirectionState, known: Sequence[Verdict]) -> None:
        """Go on from what became of it."""
        self._carrier = None
        self.number = state.number
        self._faulty = bool(state.lane.loss)
        self._whole.last_due_ns = max(self._whole.last_due_ns, state.lane.last_due_ns)
        for frame, verdict in state.line:
            self._put(verdict.due_ns, frame)

    def _equivalent(self) -> Impairments | None:
        if self._looked_at != (self._whole.nodes.version, self._whole.fifo):
            self._looked_at = self._whole.nodes.version, self._whole.fifo
            self._same = equivalent(self._value, self._whole.fifo)
        return self._same

    # -- the rules ----------------------------------------------------------------------------------------------------

    def _receive(self, frame: bytes, now_ns: int) -> None:
        size, n = len(frame) + HEADER_OCTETS, self.number
        mtu = self._value("mtu")
        if 0 < mtu.value - mtu.plus < size or self._lost(n):
            return
        copies, capacity = self._copies(n), self._value("chanbufsize")
        for copy in range(copies):
            if capacity.value > 0 and self._queued_octets + size > self._drawn("chanbufsize", n):
                return
            self._queue(frame, size, n, copy, now_ns)

    def _copies(self, n: int) -> int:
        copies = 1
        if self._value("dup") != _NOTHING:
            chance, draw = self._drawn("dup", n) / 100, self._numbers["copy"].uniform
            while copies < MOST_COPIES and draw(n * MOST_COPIES + copies) < chance:
                copies += 1
        return copies

    def _lost(self, n: int) -> bool:
        loss, burst = self._value("loss"), self._value("lostburst")
        if loss == _NOTHING and not self._faulty:
            return False
        if loss.value - loss.plus >= 100:
            return True
        share = self._drawn("loss", n) / 100
        if burst.value > 0:
            to_faulty, back = chain(share, self._drawn("lostburst", n))
            if self._numbers["loss-state"].uniform(n) < (back if self._faulty else to_faulty):
                self._faulty = not self._faulty
            return self._faulty
        self._faulty = False
        return self._numbers["loss"].uniform(n) < share

    def _queue(self, frame: bytes, size: int, number: int, copy: int, now_ns: int) -> None:
        wait_ns, n = 0, number * MOST_COPIES + copy
        if self._value("speed").value > 0:
            if (speed := self._drawn("speed", n)) <= 0:
                return
            self.reads_from_ns = max(now_ns, self.reads_from_ns) + round(size * NS_PER_S / speed)
            wait_ns += self.reads_from_ns - now_ns
        if self._value("bandwidth").value > 0:
            if (bandwidth := self._drawn("bandwidth", n)) <= 0:
                return
            self._free_ns = max(now_ns, self._free_ns) + round(size * NS_PER_S / bandwidth)
            wait_ns += self._free_ns - now_ns
        due_ns = now_ns + wait_ns + self._delay_ns(number, copy)
        if self._whole.fifo and due_ns < self._whole.last_due_ns:
            due_ns = self._whole.last_due_ns
        if len(self._heap) >= MOST_FRAMES or self._queued_octets >= MOST_OCTETS:
            return
        if due_ns > now_ns:
            self._whole.last_due_ns = max(self._whole.last_due_ns, due_ns)
        self._put(due_ns, frame)

    def _put(self, due_ns: int, frame: bytes) -> None:
        self._serial += 1
        self._queued_octets += len(frame) + HEADER_OCTETS
        heappush(self._heap, (due_ns, self._serial, frame))

    def _delay_ns(self, number: int, copy: int) -> int:
        """As a lane's: `vde/wire/delay.py`."""
        value = self._value("delay")
        constant_ns, jitter_ns = constant_and_jitter_ns(value)
        if jitter_ns:
            draw, n = ("copies-delay", number * MOST_COPIES + copy) if copy else ("delay", number)
            shape = (_NORMAL if value.normal else _UNIFORM).shape(self._numbers[draw].uniform(n), _no_second)
            constant_ns += round(shape * jitter_ns)
        return max(0, min(constant_ns, _LONGEST_NS))

    def _value(self, parameter: str) -> Value:
        return self._whole.nodes.value(parameter, self._which)

    def _drawn(self, parameter: str, n: int) -> float:
        """A number of the value's distribution."""
        value = self._value(parameter)
        if not value.plus:
            return value.value
        numbers = self._numbers[f"{parameter}-plus"]
        if value.normal:
            return value.value + value.plus / 3 * numbers.normal(n)
        return value.value + value.plus * (2 * numbers.uniform(n) - 1)


_NOTHING = Value()
_PURPOSES = ("loss", "loss-state", "delay", "copies-delay", "copy", "bits")
_NORMAL, _UNIFORM = Distribution("normal"), Distribution("uniform")
_LONGEST_NS = round(LONGEST_MS * MS)


def _no_second() -> float:
    raise AssertionError("these shapes take one number")


def _nobody_listens(node: int, text: str) -> None:
    """No console wants to know."""
