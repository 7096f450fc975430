"""Both directions of a wire carried by a thread of the native module, where it can: `vde/wire/native` (Rust).

What it decides is what `direction.py` would have decided, to the bit. It knows neither rules, traces, CoDel nor
correlations, and tells no observer; and it wants datagram sockets, taps or rings. Nothing is lost when it takes over or
gives back: frames on their way go over with all that was decided about them.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import trio

from vde import _native
from vde.endpoint import EndpointKind, HandedOver
from vde.wire.impairments import Impairments
from vde.wire.loss import Bernoulli, FourState, Gilbert, Loss
from vde.wire.process import PatchBroken
from vde.wire.schedule import DIRECTIONS
from vde.wire.state import Carrier, DirectionState, Held, LaneState
from vde.wire.units import format_octets
from vde.wire.verdict import PASSED, Tally, Verdict

FATES: Final = (PASSED, "down", "mtu", "loss", "queue", "held", "refused")
"""As `vde/wire/native/src/verdict.rs` numbers them."""
KINDS: Final = (EndpointKind.DATAGRAM, EndpointKind.TAP, EndpointKind.RING_LISTENER, EndpointKind.RING_CONNECTOR)


class PortableDirection(Protocol):
    """What a direction must tell to be carried: `direction.Direction`, or wirefilter's.

    Attributes:
        number: of the last frame that came.
        tally: is kept up to date meanwhile.
    """

    number: int
    tally: Tally

    @property
    def up(self) -> bool:
        """False: everything is dropped."""

    @property
    def prefix(self) -> bytes:
        """What its chance comes from: `chance.py`, up to the purpose."""

    @property
    def impairments(self) -> Impairments:
        """Of all frames."""

    @property
    def impairs(self) -> bool:
        """May a frame that comes now not pass at once and unchanged?"""

    @property
    def portable(self) -> bool:
        """Can another go on in its place?"""

    def give_away(self, carrier: Carrier) -> DirectionState:
        """While `portable`: let `carrier` go on from here, until `take_back`."""

    def take_back(self, state: DirectionState, known: Sequence[Verdict]) -> None:
        """Go on from what became of it; `known`: verdicts about what came meanwhile."""


class PortableWire(Protocol):
    """What a wire must tell to be carried."""

    @property
    def directions(self) -> Mapping[str, PortableDirection]:
        """By name."""

    @property
    def one_order(self) -> bool:
        """Is what keeps its order one order of both directions (wirefilter's fifo)?"""


def terms(direction: PortableDirection, state: DirectionState) -> dict[str, Any]:
    """For `_native.WireLane` and `_native.WirePump`: the settings of a portable direction, and where it goes on."""
    impairments = direction.impairments
    shape = impairments.distribution
    return {
        "prefix": direction.prefix,
        "up": direction.up,
        "shape": "table" if shape.table else shape.name,
        "table": list(shape.table),
        "loss": None if impairments.loss is None else _loss(impairments.loss),
        "duplicate": impairments.duplicate and impairments.duplicate.probability,
        "corrupt": impairments.corrupt and impairments.corrupt.probability,
        "reorder": impairments.reorder and impairments.reorder.probability,
        **{name: getattr(impairments, name) for name in _AS_THEY_ARE},
        "number": state.number,
        "arrived_ns": state.arrived_ns,
        "last_due_ns": state.lane.last_due_ns,
        "loss_state": state.lane.loss,
        "delayed": state.lane.delayed,
        "full": state.lane.full,
        "queue": [(frame, _tuple(verdict)) for frame, verdict in state.lane.queue],
        "line": [(frame, _tuple(verdict)) for frame, verdict in state.line],
    }


_AS_THEY_ARE = (
    "delay_ns",
    "jitter_ns",
    "keep_order",
    "ber",
    "gap",
    "rate_bit_s",
    "burst_octets",
    "overhead_octets",
    "queue_octets",
    "queue_frames",
    "mtu_octets",
)


def _loss(loss: Loss) -> tuple[str, list[float]]:
    match loss:
        case Bernoulli():
            return "bernoulli", [loss.probability]
        case Gilbert():
            return "gilbert", [loss.to_bad, loss.to_good, loss.in_bad, loss.in_good]
        case FourState():
            return "state", [loss.p13, loss.p31, loss.p32, loss.p23, loss.p14]


def _tuple(verdict: Verdict) -> tuple[Any, ...]:
    return (
        verdict.number,
        verdict.copy,
        verdict.arrived_ns,
        verdict.octets,
        FATES.index(verdict.fate),
        list(verdict.flipped),
        verdict.left_ns,
        verdict.delay_ns,
        verdict.reordered,
        verdict.due_ns,
    )


def verdict_of(fields: tuple[Any, ...], impairments: Impairments) -> Verdict:
    """What `_tuple` makes, back."""
    number, copy, arrived_ns, octets, fate, flipped, left_ns, delay_ns, reordered, due_ns = fields
    verdict = Verdict(number, copy, arrived_ns, octets, "")
    verdict.fate = FATES[fate]
    if verdict.fate == "mtu" and impairments.mtu_octets is not None:
        verdict.detail = f"{octets} octets, mtu {format_octets(impairments.mtu_octets)}"
    elif verdict.fate == "loss":
        verdict.detail = f"loss {impairments.loss}"
    verdict.flipped = tuple(flipped)
    verdict.left_ns, verdict.delay_ns, verdict.reordered, verdict.due_ns = left_ns, delay_ns, reordered, due_ns
    return verdict


def state_of(found: Mapping[str, Any], impairments: Impairments) -> tuple[DirectionState, list[Verdict]]:
    """What `stop` of the native module tells: where to go on, and what was decided."""

    def held(frames: list[tuple[bytes, tuple[Any, ...]]]) -> Held:
        return [(frame, verdict_of(fields, impairments)) for frame, fields in frames]

    lane = LaneState(
        last_due_ns=found["last_due_ns"],
        loss=found["loss_state"],
        delayed=found["delayed"],
        full=found["full"],
        queue=held(found["queue"]),
    )
    state = DirectionState(found["number"], found["arrived_ns"], lane, held(found["line"]))
    return state, [verdict_of(fields, impairments) for fields in found["verdicts"]]


_COUNTERS: Final = {
    0: "received_frames",
    1: "received_octets",
    2: "sent_frames",
    3: "sent_octets",
    5: "duplicated",
    6: "corrupted",
    7: "reordered",
    8: "delayed",
}
"""Places in a native tally; 4 is what was dropped."""


def add(tally: Tally, now: tuple[Any, ...], before: tuple[Any, ...] | None) -> None:
    """Add what a native tally has grown by."""
    for index, name in _COUNTERS.items():
        setattr(tally, name, getattr(tally, name) + now[index] - (0 if before is None else before[index]))
    for fate, count, known in zip(FATES, now[4], [0] * len(FATES) if before is None else before[4], strict=True):
        if count != known:
            tally.dropped[fate] = tally.dropped.get(fate, 0) + count - known


def may_be_realtime() -> bool:
    """May a thread of ours be a real-time one (CAP_SYS_NICE, RLIMIT_RTPRIO)?"""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, policy, parameters)
    except PermissionError:
        return False
    return True


class NativeCarrier:
    """A `vde.wire.process.Carrier`."""

    def __init__(self, wire: PortableWire, realtime: bool = False) -> None:
        """`realtime`: the thread runs before all ordinary ones, if that is permitted (`may_be_realtime`)."""
        self._wire = wire
        self._realtime = realtime

    def may_carry(self, kinds: tuple[EndpointKind | None, EndpointKind | None]) -> bool:
        """As `Carrier.may_carry`."""
        sides = self._wire.directions.values()
        return (
            all(kind in KINDS for kind in kinds)
            and any(side.impairs for side in sides)
            and all(side.portable for side in sides)
        )

    def open(self, left: HandedOver, right: HandedOver) -> "NativeWire":
        """As `Carrier.open`."""
        return NativeWire(self._wire, left, right, self._realtime)


class NativeWire:
    """A `vde.wire.process.Carried`."""

    def __init__(self, wire: PortableWire, left: HandedOver, right: HandedOver, realtime: bool = False) -> None:
        """The descriptors are ours from now on."""
        self._sides = [wire.directions[name] for name in DIRECTIONS]
        self._ended = False
        self._tallies: list[tuple[Any, ...] | None] = [None, None]
        states = [side.give_away(_Part(self, index)) for index, side in enumerate(self._sides)]
        try:
            self._pump = _native.WirePump(
                [(handed.fd, int(handed.kind), handed.others) for handed in (left, right)],
                [terms(side, state) for side, state in zip(self._sides, states, strict=True)],
                realtime,
                wire.one_order,
            )
        except BaseException:
            for side, state in zip(self._sides, states, strict=True):
                side.take_back(state, ())
            left.close()
            right.close()
            raise

    def count(self) -> None:
        """As `Carried.count`."""
        for index, (tally, _) in enumerate(self._pump.look()):
            self._add(index, tally)

    def why(self, index: int, number: int) -> list[Verdict]:
        """About the copies of a frame of a direction."""
        impairments = self._sides[index].impairments
        return [verdict_of(fields, impairments) for fields in self._pump.why(index, number)]

    def held(self, index: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Frames and octets of a direction that wait for the rate, and that are on their way."""
        queued, flying = self._pump.look()[index][1]
        return (queued[0], queued[1]), (flying[0], flying[1])

    async def run(self) -> None:
        """As `Carried.run`."""
        with contextlib.suppress(trio.ClosedResourceError):  # `end`
            while not self._ended and self._pump.broken() is None:
                await trio.lowlevel.wait_readable(self._pump.news_fd())
        if self._ended or (broken := self._pump.broken()) is None:
            return
        raise PatchBroken(broken[0], f"the {('left', 'right')[broken[0]]} end broke: {os.strerror(broken[1])}")

    def end(self) -> None:
        """As `Carried.end`."""
        self._ended = True
        trio.lowlevel.notify_closing(self._pump.news_fd())
        for index, (side, found) in enumerate(zip(self._sides, self._pump.stop(), strict=True)):
            self._add(index, found["tally"])
            side.take_back(*state_of(found, side.impairments))

    def _add(self, index: int, tally: tuple[Any, ...]) -> None:
        before, self._tallies[index] = self._tallies[index], tally
        side = self._sides[index]
        add(side.tally, tally, before)
        side.number += tally[0] - (0 if before is None else before[0])


class _Part:
    """One direction's, as a `vde.wire.state.Carrier`."""

    def __init__(self, wire: NativeWire, index: int) -> None:
        self._wire = wire
        self._index = index

    def why(self, number: int) -> list[Verdict]:
        return self._wire.why(self._index, number)

    def held(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return self._wire.held(self._index)
