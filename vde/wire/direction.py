"""One direction of a wire: frames in, the lane of the rule that they fit, frames out when they are due."""

from collections.abc import Callable, Sequence
from typing import Any

from vde.wire.chance import Chance
from vde.wire.delay_line import DelayLine
from vde.wire.impairments import Impairments
from vde.wire.lane import Lane
from vde.wire.match import Fields, Match
from vde.wire.state import Carrier, DirectionState
from vde.wire.verdict import Ring, Tally, Verdict

FRAMES_PER_BATCH = 64
Observer = Callable[[Verdict, bytes], None]


class Direction:
    """See the module's text.

    Attributes:
        name: `left-to-right` or `right-to-left`.
        up: False: everything is dropped.
        number: of the last frame that came; the first is 1.
        observer: gets every frame as it came, with its verdict as far as it is known then.
    """

    reads_from_ns = 0
    """For `process.py`: this direction always reads."""

    def __init__(self, name: str, chance: Chance, origin_ns: int) -> None:
        self.name = name
        self.up = True
        self.number = 0
        self.tally = Tally()
        self.observer: Observer | None = None
        self._chance = chance
        self._origin = origin_ns
        self._arrived_ns = 0
        self._ring = Ring()
        self._line = DelayLine()
        self._default = self._new_lane("")
        self._rules: list[tuple[Match, Lane]] = []
        self._carrier: Carrier | None = None

    # -- settings -----------------------------------------------------------------------------------------------------

    @property
    def impairments(self) -> Impairments:
        """Of frames that fit no rule."""
        return self._default.impairments

    @property
    def rules(self) -> list[tuple[Match, Impairments]]:
        """In the order in which they are tried."""
        return [(match, lane.impairments) for match, lane in self._rules]

    def configure(self, impairments: Impairments, rules: Sequence[tuple[Match, Impairments]], now_ns: int) -> None:
        """Change all settings; a rule with the same match keeps its state."""
        self.advance(now_ns)
        known = {match.text: lane for match, lane in self._rules}
        self._default.configure(impairments, now_ns)
        self._rules = []
        for match, settings in rules:
            lane = known.pop(match.text, None) or self._new_lane(match.text)
            lane.configure(settings, now_ns)
            self._rules.append((match, lane))
        for lane in known.values():
            lane.configure(Impairments(), now_ns)

    @property
    def clear(self) -> bool:
        """Would a frame now pass at once and unchanged, with none before it?"""
        return self.observer is None and not self._line and not self.impairs

    @property
    def prefix(self) -> bytes:
        """What its chance comes from: `chance.py`, up to the purpose."""
        return self._chance.prefix

    # -- another goes on -----------------------------------------------------------------------------------------------

    @property
    def impairs(self) -> bool:
        """May a frame that comes now not pass at once and unchanged?"""
        return (
            not self.up or self._default.impairments.impairs or any(lane.impairments.impairs for _, lane in self._rules)
        )

    @property
    def portable(self) -> bool:
        """Can another go on in our place?"""
        return self.observer is None and not self._rules and self._default.portable

    def give_away(self, carrier: Carrier) -> DirectionState:
        """While `portable`: let `carrier` go on from here, until `take_back`."""
        self._carrier = carrier
        return DirectionState(self.number, self._arrived_ns, self._default.give_away(), self._line.empty())

    def take_back(self, state: DirectionState, known: Sequence[Verdict]) -> None:
        """Go on from what became of it; `known`: verdicts about what came meanwhile."""
        self._carrier = None
        self.number, self._arrived_ns = state.number, state.arrived_ns
        for verdict in known:
            self._ring.learn(verdict)
        for frame, verdict in state.line:
            self._line.put(frame, self._ring.learn(verdict), verdict.due_ns)
        state.lane.queue = [(frame, self._ring.learn(verdict)) for frame, verdict in state.lane.queue]
        self._default.take_back(state.lane)

    # -- frames -------------------------------------------------------------------------------------------------------

    def receive(self, frames: Sequence[bytes], now_ns: int, arrivals_ns: Sequence[int] | None = None) -> None:
        """Frames come: now, or each at a time of its own, in order and not after now."""
        tally, ring = self.tally, self._ring
        if arrivals_ns is None:
            self.advance(now_ns)
        for index, frame in enumerate(frames):
            if arrivals_ns is not None:
                now_ns = self._arrived_ns = max(arrivals_ns[index], self._arrived_ns)
                self.advance(now_ns)
            self.number += 1
            tally.received_frames += 1
            tally.received_octets += len(frame)
            lane = self._lane(frame) if self._rules else self._default
            verdict = Verdict(self.number, 0, now_ns, len(frame), lane.rule)
            ring.add(verdict)
            lane.receive(frame, verdict, self.up, now_ns)
            if self.observer is not None:
                self.observer(verdict, frame)

    def pass_clear(self, frames: Sequence[bytes]) -> None:
        """Frames come while `clear`, and the caller sends them on."""
        self.count_bypassed(len(frames), sum(map(len, frames)))

    def count_bypassed(self, frames: int, octets: int) -> None:
        """So many passed, unseen by us."""
        self.number += frames
        self.tally.received_frames += frames
        self.tally.received_octets += octets
        self.tally.sent_frames += frames
        self.tally.sent_octets += octets

    def frames_to_send(self, now_ns: int) -> list[bytes]:
        """Those that are due, at most `FRAMES_PER_BATCH`; call again until there are none."""
        self.advance(now_ns)
        due = self._line.take(now_ns, FRAMES_PER_BATCH)
        self.tally.sent_frames += len(due)
        frames = [frame for frame, _ in due]
        self.tally.sent_octets += sum(map(len, frames))
        return frames

    def next_deadline(self) -> int | None:
        """When `frames_to_send` may have some, or a queue wants to be looked at."""
        first = self._line.next_due_ns()
        for lane in self._lanes():
            start = lane.next_start_ns()
            if start is not None and (first is None or start < first):
                first = start
        return first

    def advance(self, now_ns: int) -> None:
        """Let the queues do what was to happen until now."""
        for lane in self._lanes():
            lane.advance(now_ns)

    # -- what is known ------------------------------------------------------------------------------------------------

    def why(self, number: int) -> Verdict | None:
        """The verdict about a frame, if it is still known."""
        if self._carrier is not None:
            for verdict in self._carrier.why(number):
                self._ring.learn(verdict)
        return self._ring.find(number)

    def statistics(self) -> dict[str, Any]:
        """As JSON."""
        waiting = [lane.waiting for lane in self._lanes()]
        flying = len(self._line), self._line.octets
        if self._carrier is not None:
            queued, flying = self._carrier.held()
            waiting = [queued]
        return {
            **self.tally.as_json(),
            "in_queue_frames": sum(frames for frames, _ in waiting),
            "in_queue_octets": sum(octets for _, octets in waiting),
            "in_flight_frames": flying[0],
            "in_flight_octets": flying[1],
        }

    def _lanes(self) -> list[Lane]:
        return [self._default, *(lane for _, lane in self._rules)] if self._rules else [self._default]

    def _lane(self, frame: bytes) -> Lane:
        fields = Fields(frame)
        for match, lane in self._rules:
            if match.fits(fields):
                return lane
        return self._default

    def _new_lane(self, rule: str) -> Lane:
        return Lane(rule, self._chance, self._line, self.tally, self._origin)
