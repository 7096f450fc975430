"""How long a frame is on its way, and which frames overtake: delay, jitter, reordering."""

from vde.wire.chance import Chance
from vde.wire.distribution import second_of
from vde.wire.impairments import Impairments


class Delay:
    """The delay of frames by their numbers."""

    def __init__(self, impairments: Impairments, chance: Chance, scope: str) -> None:
        self._delay = impairments.delay_ns
        self._jitter = impairments.jitter_ns
        self._shape = impairments.distribution.shape
        self._draw = chance.correlated(scope + "delay", impairments.jitter_correlation)
        self._more = chance.numbers(scope + "delay-second")

    def of(self, n: int) -> int:
        """Nanoseconds, not less than 0."""
        if not self._jitter:
            return self._delay
        shape = self._shape(self._draw.uniform(n), second_of(self._more, n))
        return max(0, self._delay + round(shape * self._jitter))


class Reorder:
    """Which frames are not delayed. netem's rule (tc-netem(8)): after gap−1 delayed ones, each with the probability."""

    def __init__(self, impairments: Impairments, chance: Chance, scope: str) -> None:
        assert impairments.reorder is not None
        self._probability = impairments.reorder.probability
        self._draw = chance.correlated(scope + "reorder", impairments.reorder.correlation).uniform
        self._gap = impairments.gap
        self.delayed = 0
        """Frames since the last one that overtook."""

    def decide(self, n: int) -> bool:
        """Is frame n to overtake? To be asked for every frame, once."""
        if self.delayed >= self._gap - 1 and self._draw(n) < self._probability:
            self.delayed = 0
            return True
        self.delayed += 1
        return False
