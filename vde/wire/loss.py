"""Which frames are lost: three processes, each a function of the frames' numbers.

| loss            | written                                      | process                                             |
|-----------------|----------------------------------------------|-----------------------------------------------------|
| `Bernoulli`     | `P[,CORRELATION]`                            | each frame alone, or correlated with its neighbour  |
| `Gilbert`       | `gilbert:P,R[,LOST-IN-BAD[,LOST-IN-GOOD]]`   | Gilbert-Elliott: good → bad with P, back with R     |
|                 | `burst:P,MEAN`                               | the same by mean loss and mean length of a burst    |
| `FourState`     | `state:P13[,P31[,P32[,P23[,P14]]]]`          | the Markov chain of netem (tc-netem(8), loss state) |

As in netem: an R that is not given is 1−P, LOST-IN-BAD is 100 % and LOST-IN-GOOD 0 %; P31 is 1−P13, P32 is 0, P23 is 1,
P14 is 0. A chain takes one step for every frame before deciding about it, whatever else happens to the frame.

Four states: 1 good, received · 2 good within a burst, received · 3 lost in a burst · 4 lost alone.
From 1: to 3 with P13, to 4 with P14. From 2: to 3 with P23. From 3: to 1 with P31, to 2 with P32. From 4: to 1.
"""

from dataclasses import dataclass

from vde.errors import ConfigError
from vde.wire.chance import Chance
from vde.wire.units import format_share, parse_count, parse_share

GOOD, BAD = 0, 1


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """Each frame with the same probability."""

    probability: float
    correlation: float = 0.0

    def __str__(self) -> str:
        text = format_share(self.probability)
        return f"{text},{format_share(self.correlation)}" if self.correlation else text


@dataclass(frozen=True, slots=True)
class Gilbert:
    """Two states.

    Attributes:
        to_bad, to_good: probabilities of the transitions, a frame.
        in_bad, in_good: probabilities of loss.
    """

    to_bad: float
    to_good: float
    in_bad: float = 1.0
    in_good: float = 0.0

    def __str__(self) -> str:
        return "gilbert:" + ",".join(map(format_share, (self.to_bad, self.to_good, self.in_bad, self.in_good)))


@dataclass(frozen=True, slots=True)
class FourState:
    """See the module's text."""

    p13: float
    p31: float
    p32: float = 0.0
    p23: float = 1.0
    p14: float = 0.0

    def __str__(self) -> str:
        return "state:" + ",".join(map(format_share, (self.p13, self.p31, self.p32, self.p23, self.p14)))


Loss = Bernoulli | Gilbert | FourState


def parse_loss(text: str) -> Loss:
    """One of the forms above.

    Raises:
        ConfigError: it is none.
    """
    kind, colon, rest = text.partition(":")
    words = [word.strip() for word in (rest if colon else text).split(",")]
    if colon and kind == "burst" and len(words) == 2:
        return by_burst(parse_share(words[0]), float(parse_count(words[1], 1)))
    shares = [parse_share(word) for word in words[:6]]
    if not colon and len(words) <= 2:
        return Bernoulli(*shares)
    if kind == "gilbert" and len(words) <= 4:
        to_bad, *others = shares
        return Gilbert(to_bad, *(others or [1 - to_bad]))
    if kind == "state" and len(words) <= 5:
        return _four_state(shares)
    raise ConfigError(
        f"{text[:64]!r}: P[,CORRELATION], burst:P,MEAN, gilbert:P,R[,LOST-IN-BAD[,LOST-IN-GOOD]] "
        "or state:P13[,P31[,P32[,P23[,P14]]]] was expected"
    )


def by_burst(loss: float, mean_frames: float) -> Gilbert:
    """The chain whose mean loss is `loss`, in bursts of `mean_frames` ≥ 1 on average.

    Raises:
        ConfigError: there is none: so much loss means longer bursts.
    """
    if loss >= 1:
        return Gilbert(1.0, 0.0)
    to_bad = loss / (mean_frames * (1 - loss))
    if to_bad > 1:
        raise ConfigError(f"{format_share(loss)} of loss means bursts of at least {loss / (1 - loss):.2f} frames")
    return Gilbert(to_bad, 1 / mean_frames)


def _four_state(shares: list[float]) -> FourState:
    chain = FourState(shares[0], *(shares[1:] or [1 - shares[0]]))
    if chain.p13 + chain.p14 > 1 or chain.p31 + chain.p32 > 1:
        raise ConfigError(f"{chain}: P13 + P14, and P31 + P32, must not be more than 100%")
    return chain


class LossProcess:
    """Decides, for frames in the order of their numbers."""

    def __init__(self, loss: Loss, chance: Chance, scope: str = "") -> None:
        self._loss = loss
        self.description = f"loss {loss}"
        """For `why`."""
        self.state = 0
        """Of the chain: `GOOD` or `BAD`; one of four, 1 … 4."""
        match loss:
            case Bernoulli():
                self._draw = chance.correlated(scope + "loss", loss.correlation).uniform
                self.decide = self._bernoulli
            case Gilbert():
                self._step = chance.numbers(scope + "loss-state").uniform
                self._draw = chance.numbers(scope + "loss").uniform
                self.state = GOOD
                self.decide = self._gilbert
            case FourState():
                self._step = chance.numbers(scope + "loss-state").uniform
                self.state = 1
                self.decide = self._four_state

    def _bernoulli(self, n: int) -> bool:
        assert isinstance(self._loss, Bernoulli)
        return self._draw(n) < self._loss.probability

    def _gilbert(self, n: int) -> bool:
        loss = self._loss
        assert isinstance(loss, Gilbert)
        if self._step(n) < (loss.to_bad if self.state == GOOD else loss.to_good):
            self.state = BAD if self.state == GOOD else GOOD
        lost = loss.in_good if self.state == GOOD else loss.in_bad
        return lost >= 1 or (lost > 0 and self._draw(n) < lost)

    def _four_state(self, n: int) -> bool:
        loss, draw = self._loss, self._step(n)
        assert isinstance(loss, FourState)
        if self.state == 1:
            self.state = 3 if draw < loss.p13 else 4 if draw < loss.p13 + loss.p14 else 1
        elif self.state == 2:
            self.state = 3 if draw < loss.p23 else 2
        elif self.state == 3:
            self.state = 1 if draw < loss.p31 else 2 if draw < loss.p31 + loss.p32 else 3
        else:
            self.state = 1
        return self.state >= 3
