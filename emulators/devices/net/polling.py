"""A driver without interrupts reads a card's status until a frame comes: virtual time passes meanwhile.

Boot loaders do (iPXE, UNDI): every read is an exit, and most of such a machine's real time went into them. After
`PATIENCE` reads that all gave the same value, none more than `SPIN_NS` behind the one before, each further one lets
`PASSED_NS` pass, through `warp`. A read that gives another value, or shows something to do, begins anew: drivers with
interrupts are never so far. Deadlines of other devices end a warp (`emulators.machine`), so nothing is late.

Not supported: loops that look at descriptors in memory, which make no exits.
"""

from collections.abc import Callable
from typing import Final

from emulators.device import State, Timeline
from emulators.snapshot import take, take_int

PATIENCE: Final = 64
"""Equal reads before time passes. Chosen: far more than any interrupt handler makes."""
SPIN_NS: Final = 100_000
"""Reads that are further apart are no loop. Chosen."""
PASSED_NS: Final = 20_000
"""Chosen: a sixth of a full frame's time at 100 Mbit/s."""


class Polling:
    """The reads of one register.

    Args:
        timeline: the machine's time.
        warp: asks the machine to let virtual time pass to the given nanosecond.
    """

    def __init__(self, *, timeline: Timeline, warp: Callable[[int], None]) -> None:
        self._timeline = timeline
        self._warp = warp
        self._reads = self._value = self._at_ns = 0

    def read(self, value: int, busy: int) -> int:
        """The register was read and gave `value`, which is answered; `busy`: those of its bits with something to do."""
        now_ns = self._timeline.now_ns
        again = not value & busy and value == self._value and now_ns - self._at_ns <= SPIN_NS
        self._reads = min(self._reads + 1, PATIENCE) if again else 1
        self._value, self._at_ns = value, now_ns
        if self._reads == PATIENCE:
            self._warp(now_ns + PASSED_NS)
        return value

    def state(self) -> State:
        """All of it."""
        return {"reads": self._reads, "value": self._value, "at_ns": self._at_ns}

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        reads, value = take_int(state, "reads", PATIENCE), take_int(state, "value", 0xFFFFFFFF)
        self._reads, self._value, self._at_ns = reads, value, take(state, "at_ns", int)
