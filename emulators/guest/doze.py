"""Does the guest doze? Kernels with a periodic tick wake hundreds of times a second, and there is nothing to do.

Theory: a wake of the host's thread costs more than the few thousand instructions of such a tick. A guest that has woken
`ENOUGH` times on end for less than `LITTLE_INSNS` instructions, while nothing came from outside, dozes: `Pace` lets it
sleep through several of its ticks, and has it do them one after the other. Its clock is behind the host's by so much;
what comes from outside wakes it at once.

What the guest does at its own times (a ping every second) is late by at most `DOZE_NS`, and ends the doze.
"""

from typing import Final

LITTLE_INSNS: Final = 20_000
"""Chosen: Linux' tick takes 4000; a frame sent, or a process scheduled, more than this."""
ENOUGH: Final = 64
"""Chosen: a quarter of a second of Linux' ticks. Round trips that last longer may be measured `DOZE_NS` wrong."""


class Doze:
    """Watches one machine's rests."""

    def __init__(self) -> None:
        self._executed = 0
        self._rests = 0

    def rests(self, executed: int) -> bool:
        """The guest waits, after so many instructions since it was made: does it doze?"""
        little = 0 <= executed - self._executed <= LITTLE_INSNS
        self._executed = executed
        self._rests = self._rests + 1 if little else 0
        return self._rests > ENOUGH

    def disturb(self) -> None:
        """Something came from outside."""
        self._rests = 0
