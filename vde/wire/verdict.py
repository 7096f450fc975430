"""What was decided about each frame, kept for the last `RING` frames of a direction, and told by `why`.

| dropped as | because                                                                          |
|------------|----------------------------------------------------------------------------------|
| `down`     | the wire was down                                                                |
| `mtu`      | longer than the setting                                                          |
| `loss`     | chance                                                                           |
| `queue`    | it would have waited for the rate behind more than the queue holds               |
| `codel`    | the queue stood: RFC 8289                                                        |
| `refused`  | the link that it was to be sent on did not take it                               |
| `held`     | more frames are delayed, or wait for a receiver that does not take them, than we keep |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vde.wire.units import format_duration

RING = 8192  # chosen: a power of two; some 2 MiB
PASSED = ""


class Verdict:
    """About one copy of one frame.

    Attributes:
        number: of the frame in its direction, from 1.
        copy: 0; 1 for a duplicate.
        rule: the match that chose its settings, "" for none.
        fate: why it was dropped; "" if it was not (yet).
        detail: the settings that did it, as written.
        flipped: bits that were inverted.
        left_ns: when the rate let it go.
        delay_ns: what was added then.
        due_ns: when it is to be sent; 0: not known yet.
        twin: about the copy.
    """

    __slots__ = (
        "arrived_ns",
        "copy",
        "delay_ns",
        "detail",
        "due_ns",
        "fate",
        "flipped",
        "left_ns",
        "number",
        "octets",
        "reordered",
        "rule",
        "twin",
    )

    def __init__(self, number: int, copy: int, arrived_ns: int, octets: int, rule: str) -> None:
        self.number = number
        self.copy = copy
        self.arrived_ns = arrived_ns
        self.octets = octets
        self.rule = rule
        self.fate = PASSED
        self.detail = ""
        self.flipped: tuple[int, ...] = ()
        self.left_ns = arrived_ns
        self.delay_ns = 0
        self.reordered = False
        self.due_ns = 0
        self.twin: Verdict | None = None

    @property
    def changed(self) -> bool:
        """Was anything done to it?"""
        return bool(self.fate or self.flipped or self.delay_ns or self.reordered or self.copy or self.twin) or (
            self.left_ns != self.arrived_ns
        )

    def sentence(self) -> str:
        """In one line, for people and for comments in captures."""
        parts = [f"frame {self.number}{', second copy' if self.copy else ''}"]
        if self.rule:
            parts.append(f"by the rule '{self.rule}'")
        if self.flipped:
            bits = ", ".join(f"octet {bit >> 3} bit {bit & 7}" for bit in self.flipped[:8])
            more = f" and {len(self.flipped) - 8} more" if len(self.flipped) > 8 else ""
            parts.append(f"inverted {bits}{more}")
        if self.left_ns != self.arrived_ns:
            parts.append(f"waited {format_duration(self.left_ns - self.arrived_ns)} for the rate")
        if self.fate:
            parts.append(f"dropped: {self.fate}" + (f" ({self.detail})" if self.detail else ""))
        elif self.reordered:
            parts.append("reordered: sent without the delay")
        elif self.delay_ns:
            parts.append(f"delayed {format_duration(self.delay_ns)}")
        if self.twin is not None:
            parts.append("duplicated")
        return "; ".join(parts) if len(parts) > 1 else f"{parts[0]}; passed unchanged"

    def as_json(self) -> dict[str, object]:
        """All of it."""
        result: dict[str, object] = {
            "number": self.number,
            "copy": self.copy,
            "octets": self.octets,
            "arrived_ns": self.arrived_ns,
            "rule": self.rule or None,
            "dropped": self.fate or None,
            "detail": self.detail or None,
            "flipped": list(self.flipped[:64]),
            "flipped_bits": len(self.flipped),
            "rate_wait_ns": self.left_ns - self.arrived_ns,
            "delay_ns": self.delay_ns,
            "reordered": self.reordered,
            "due_ns": self.due_ns or None,
            "text": self.sentence(),
        }
        if self.twin is not None:
            result["second_copy"] = self.twin.as_json()
        return result


class Ring:
    """The last verdicts of a direction."""

    def __init__(self) -> None:
        self._kept: list[Verdict | None] = [None] * RING

    def add(self, verdict: Verdict) -> None:
        """Remember it instead of the one `RING` frames before."""
        self._kept[verdict.number & (RING - 1)] = verdict

    def learn(self, news: Verdict) -> Verdict:
        """Another has seen this copy of a frame since: take over what it knows. Answers the remembered verdict."""
        known = self.find(news.number)
        if known is None:
            if not news.copy:
                self.add(news)
            return news
        if news.copy:
            if known.twin is None:
                known.twin = news
            known = known.twin
        known.fate, known.detail = news.fate, news.detail
        known.left_ns, known.delay_ns, known.due_ns = news.left_ns, news.delay_ns, news.due_ns
        return known

    def find(self, number: int) -> Verdict | None:
        """The verdict about a frame, if it is still known."""
        found = self._kept[number & (RING - 1)]
        return found if found is not None and found.number == number else None


@dataclass(slots=True)
class Tally:
    """The counters of one direction."""

    received_frames: int = 0
    received_octets: int = 0
    sent_frames: int = 0
    sent_octets: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    delayed: int = 0

    def drop(self, cause: str) -> None:
        """One more."""
        self.dropped[cause] = self.dropped.get(cause, 0) + 1

    def as_json(self) -> dict[str, int | Mapping[str, int]]:
        """All of it."""
        return {
            "received_frames": self.received_frames,
            "received_octets": self.received_octets,
            "sent_frames": self.sent_frames,
            "sent_octets": self.sent_octets,
            "dropped_frames": sum(self.dropped.values()),
            "dropped": dict(self.dropped),
            "duplicated": self.duplicated,
            "corrupted": self.corrupted,
            "reordered": self.reordered,
            "delayed": self.delayed,
        }
