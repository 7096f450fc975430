"""A wire that changes its whole character from time to time: states, and the probabilities of going between them.

Each state has settings for both directions. Every `period_ns` one number decides about the next state. The k-th
decision depends on the seed, the wire's name and k only. A file in wirefilter's format (`filter/translate.py` reads it)
describes one: `vde wire --markov FILE`.

Limits (chosen): `MOST_STATES`; of more than `MOST_STEPS` decisions that are due at once the rest are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vde.wire.chance import Numbers
from vde.wire.impairments import Impairments

MOST_STATES = 256
MOST_STEPS = 100_000


@dataclass(frozen=True)
class State:
    """One state: its settings by direction."""

    number: int
    name: str
    impairments: Mapping[str, Impairments]


@dataclass(frozen=True)
class Markov:
    """The states.

    Attributes:
        edges: edges[from][to], probabilities 0…1 of leaving; what is left of 1 stays.
    """

    states: Sequence[State]
    edges: Sequence[Sequence[float]]
    period_ns: int

    def run(self, numbers: Numbers, now_ns: int) -> "Walk":
        """Begin in state 0."""
        return Walk(self, numbers, now_ns)


class Walk:
    """Where a wire is in its states."""

    def __init__(self, markov: Markov, numbers: Numbers, now_ns: int) -> None:
        self._markov = markov
        self._numbers = numbers
        self._next_ns = now_ns + markov.period_ns
        self._steps = 0
        self.state = markov.states[0]

    def next_ns(self) -> int:
        """When the next decision is due."""
        return self._next_ns

    def step(self, now_ns: int) -> State | None:
        """Decide what is due; the state if it has changed, else None."""
        before = self.state
        for _ in range(MOST_STEPS):
            if self._next_ns > now_ns:
                break
            self._next_ns += self._markov.period_ns
            self._steps += 1
            self.state = self._markov.states[
                choose(self._markov.edges[self.state.number], self.state.number, self._numbers.uniform(self._steps))
            ]
        else:
            self._next_ns = now_ns + self._markov.period_ns
        return self.state if self.state is not before else None


def choose(edges: Sequence[float], here: int, u: float) -> int:
    """The state that 0 ≤ u < 1 leads to."""
    for number, probability in enumerate(edges):
        if number != here:
            if u < probability:
                return number
            u -= probability
    return here
