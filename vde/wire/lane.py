"""One lane: the stages that frames of one direction (and one rule) pass, in this order.

    loss ─ down? ─ mtu ─ loss's verdict ─ duplicate ─ corrupt ─ queue and rate ─ delay, jitter, reorder ─► delay line

Stages that keep a state of their own (chains of loss, the gap of reordering) look at every frame before anything can
drop it: so changing one impairment does not shift another's decisions. Loss comes before the rate, as in netem: what is
lost takes no bandwidth. A duplicate passes corruption, queue and delay by itself.
"""

from vde.wire.chance import Chance
from vde.wire.codel import CoDel
from vde.wire.corrupt import BitErrors, invert, one_position
from vde.wire.delay import Delay, Reorder
from vde.wire.delay_line import DelayLine
from vde.wire.impairments import Impairments
from vde.wire.loss import Bernoulli, LossProcess
from vde.wire.queue import Queue, Server
from vde.wire.rate import Rate
from vde.wire.state import LaneState
from vde.wire.trace import TraceServer
from vde.wire.verdict import Tally, Verdict


class Lane:
    """The stages, configured."""

    def __init__(self, rule: str, chance: Chance, line: DelayLine, tally: Tally, origin_ns: int) -> None:
        """Nothing is impaired at first.

        Args:
            rule: the match that frames of this lane fit, "" for all others.
            line, tally: of the direction.
            origin_ns: when the wire began, and traces with it.
        """
        self.rule = rule
        self.impairments = Impairments()
        self._scope = f"rule {rule}/" if rule else ""
        self._chance = chance
        self._line = line
        self._tally = tally
        self._origin = origin_ns
        self._last_due_ns = 0
        self._loss: LossProcess | None = None
        self._reorder: Reorder | None = None
        self._queue: Queue | None = None
        self._build()

    def configure(self, impairments: Impairments, now_ns: int) -> None:
        """Change the settings. What is on its way stays so; what waits for a rate that is gone leaves now."""
        old = self.impairments
        self.impairments = impairments
        self.advance(now_ns)
        if impairments.loss != old.loss:
            self._loss = None if impairments.loss is None else LossProcess(impairments.loss, self._chance, self._scope)
        if (impairments.reorder, impairments.gap) != (old.reorder, old.gap):
            self._reorder = None if impairments.reorder is None else Reorder(impairments, self._chance, self._scope)
        self._build()
        self._configure_queue(old, now_ns)

    def receive(self, frame: bytes, verdict: Verdict, up: bool, now_ns: int) -> None:
        """A frame comes; `advance(now_ns)` was called."""
        number, impairments = verdict.number, self.impairments
        lost = self._loss is not None and self._loss.decide(number)
        overtakes = self._reorder is not None and self._reorder.decide(number)
        if not up:
            self._drop(verdict, "down")
        elif impairments.mtu_octets is not None and len(frame) > impairments.mtu_octets:
            self._drop(verdict, "mtu", f"{len(frame)} octets, mtu {impairments.mtu_octets}B")
        elif lost:
            assert self._loss is not None
            self._drop(verdict, "loss", self._loss.description)
        else:
            verdict.reordered = overtakes
            share = impairments.duplicate
            if share is not None and self._duplicate.uniform(number) < share.probability:
                self._tally.duplicated += 1
                verdict.twin = Verdict(number, 1, now_ns, len(frame), self.rule)
                verdict.twin.reordered = overtakes
            self._pass(frame, verdict, now_ns)
            if verdict.twin is not None:
                self._pass(frame, verdict.twin, now_ns)

    def advance(self, now_ns: int) -> None:
        """Let frames leave the queue whose turn has come."""
        if self._queue is not None:
            self._queue.advance(now_ns)

    def next_start_ns(self) -> int | None:
        """When `advance` has something to do."""
        return None if self._queue is None else self._queue.next_start_ns()

    @property
    def portable(self) -> bool:
        """Can another go on with what `state` tells? Not where the numbers depend on those before, nor with CoDel."""
        impairments = self.impairments
        shares = (impairments.duplicate, impairments.corrupt, impairments.reorder)
        return not (
            impairments.trace is not None
            or impairments.jitter_correlation
            or (impairments.rate_bit_s is not None and impairments.discipline == "codel")
            or any(share is not None and share.correlation for share in shares)
            or (isinstance(impairments.loss, Bernoulli) and impairments.loss.correlation)
        )

    def give_away(self) -> LaneState:
        """The lane's own state; nothing waits here any more."""
        queue = self._queue
        return LaneState(
            last_due_ns=self._last_due_ns,
            loss=0 if self._loss is None else self._loss.state,
            delayed=0 if self._reorder is None else self._reorder.delayed,
            full=queue.server.full if queue is not None and isinstance(queue.server, Rate) else 0,
            queue=[] if queue is None else queue.empty(),
        )

    def take_back(self, state: LaneState) -> None:
        """What `give_away` told, or what became of it."""
        self._last_due_ns = state.last_due_ns
        if self._loss is not None:
            self._loss.state = state.loss
        if self._reorder is not None:
            self._reorder.delayed = state.delayed
        if self._queue is not None and isinstance(self._queue.server, Rate):
            self._queue.server.full = state.full
            self._queue.refill(state.queue)

    @property
    def waiting(self) -> tuple[int, int]:
        """Frames and octets in the queue."""
        return (0, 0) if self._queue is None else (len(self._queue), self._queue.octets)

    def _build(self) -> None:
        impairments, chance, scope = self.impairments, self._chance, self._scope
        share = impairments.duplicate
        self._duplicate = chance.correlated(scope + "duplicate", share.correlation if share else 0.0)
        share = impairments.corrupt
        self._corrupt = tuple(
            chance.correlated(f"{scope}{copy}corrupt", share.correlation if share else 0.0) for copy in ("", "copy/")
        )
        self._delays = tuple(Delay(impairments, chance, scope + copy) for copy in ("", "copy/"))
        self._bits = tuple(chance.numbers(f"{scope}{copy}corrupt-bit") for copy in ("", "copy/"))
        self._errors = tuple(
            BitErrors(impairments.ber, chance.numbers(f"{scope}{copy}ber")) if impairments.ber else None
            for copy in ("", "copy/")
        )

    def _configure_queue(self, old: Impairments, now_ns: int) -> None:
        new, server = self.impairments, None if self._queue is None else self._queue.server
        if (new.rate_bit_s, new.burst_octets, new.overhead_octets, new.trace) != (
            old.rate_bit_s,
            old.burst_octets,
            old.overhead_octets,
            old.trace,
        ):
            server = self._new_server(now_ns)
        codel = None
        if new.discipline == "codel":
            codel = CoDel(new.codel_target_ns, new.codel_interval_ns)
            if self._queue is not None and (known := self._queue.codel) is not None:
                codel, known.target_ns, known.interval_ns = known, codel.target_ns, codel.interval_ns
        if server is None:
            waiting = [] if self._queue is None else self._queue.empty()
            self._queue = None
            for frame, verdict in waiting:
                verdict.left_ns = now_ns
                self._delay(frame, verdict)
        elif self._queue is None:
            self._queue = Queue(
                server,
                most_octets=new.queue_octets,
                most_frames=new.queue_frames,
                codel=codel,
                on_left=self._delay,
                on_drop=self._drop,
            )
        else:
            self._queue.server, self._queue.codel = server, codel
            self._queue.most_octets, self._queue.most_frames = new.queue_octets, new.queue_frames

    def _new_server(self, now_ns: int) -> Server | None:
        new = self.impairments
        if new.trace is not None:
            return TraceServer(new.trace, self._origin, new.overhead_octets)
        if new.rate_bit_s is None:
            return None
        busy_ns = now_ns
        if self._queue is not None and isinstance(self._queue.server, Rate):
            busy_ns = self._queue.server.busy_until_ns()
        return Rate(new.rate_bit_s, new.burst_octets, new.overhead_octets, busy_ns)

    def _pass(self, frame: bytes, verdict: Verdict, now_ns: int) -> None:
        impairments, number, copy = self.impairments, verdict.number, verdict.copy
        flipped: list[int] = []
        if (errors := self._errors[copy]) is not None:
            flipped = errors.positions(number, len(frame))
        share = impairments.corrupt
        if share is not None and self._corrupt[copy].uniform(number) < share.probability:
            flipped.append(one_position(self._bits[copy], number, len(frame)))
        if flipped:
            frame = invert(frame, flipped)
            verdict.flipped = tuple(flipped)
            self._tally.corrupted += 1
        if self._line.full:
            self._drop(verdict, "held")
        elif self._queue is None:
            self._delay(frame, verdict)
        else:
            self._queue.put(frame, verdict, now_ns)

    def _delay(self, frame: bytes, verdict: Verdict) -> None:
        """It left the queue at `verdict.left_ns`, or did not have to wait."""
        if verdict.reordered:
            self._tally.reordered += 1
            self._line.put(frame, verdict, verdict.left_ns)
            return
        verdict.delay_ns = self._delays[verdict.copy].of(verdict.number)
        due_ns = verdict.left_ns + verdict.delay_ns
        if self.impairments.keep_order:
            due_ns = self._last_due_ns = max(due_ns, self._last_due_ns)
        if due_ns > verdict.arrived_ns:
            self._tally.delayed += 1
        self._line.put(frame, verdict, due_ns)

    def _drop(self, verdict: Verdict, cause: str, detail: str = "") -> None:
        verdict.fate = cause
        verdict.detail = detail
        self._tally.drop(cause)
