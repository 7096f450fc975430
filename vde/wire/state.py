"""What goes over when another carries a direction's frames on, and comes back. Sans-I/O."""

from dataclasses import dataclass, field
from typing import Protocol

from vde.wire.verdict import Verdict

Held = list[tuple[bytes, Verdict]]


@dataclass
class LaneState:
    """Of the lane for frames that fit no rule.

    Attributes:
        last_due_ns: of the last frame, where order is kept.
        loss: the state of the chain.
        delayed: frames since the last one that overtook.
        full: when the rate's bucket is full again, times the rate.
        queue: frames that wait for the rate.
    """

    last_due_ns: int = 0
    loss: int = 0
    delayed: int = 0
    full: int = 0
    queue: Held = field(default_factory=list)


@dataclass
class DirectionState:
    """Of a direction.

    Attributes:
        number, arrived_ns: of the last frame that came.
        line: frames on their way, by their due times.
    """

    number: int
    arrived_ns: int
    lane: LaneState
    line: Held


class Carrier(Protocol):
    """Who goes on in a direction's place."""

    def why(self, number: int) -> list[Verdict]:
        """What was decided about copies of a frame."""

    def held(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Frames and octets that wait for the rate, and that are on their way."""
