"""Shapes of jitter: a number around 0, times the jitter, is added to the delay.

| name           | shape                                                                                        |
|----------------|----------------------------------------------------------------------------------------------|
| `uniform`      | −1 … 1                                                                                       |
| `normal`       | standard normal, cut at ±4                                                                   |
| `pareto`       | Pareto with shape 3, less its mean 1.5, times 4/3, cut at 4: the curve of netem's table      |
| `paretonormal` | a quarter of a normal and three quarters of a Pareto number                                  |
| a file's path  | a table in netem's `.dist` format: integers, 8192 to the unit; `#` begins a comment          |

Limits (netem's): −32768 … 32767 in a table, 2 … 16384 numbers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import NormalDist

from vde.errors import ConfigError
from vde.wire.chance import Numbers

UNIT = 8192  # NETEM_DIST_SCALE, linux/pkt_sched.h
MOST_NUMBERS = 16384  # NETEM_DIST_MAX, linux/pkt_sched.h
NUMBER_MIN, NUMBER_MAX = -32768, 32767
WIDEST = 4.0  # what the tables' 16 bits can say
_NORMAL = NormalDist()
_LEAST = 2.0**-54


@dataclass(frozen=True, slots=True)
class Distribution:
    """A shape: by its name, or by its file's name and table."""

    name: str = "uniform"
    table: tuple[int, ...] = field(default=(), repr=False)

    def shape(self, u: float, second: Callable[[], float]) -> float:
        """The number that belongs to a uniform number 0 ≤ u < 1; `second` gives another one if it is needed."""
        if self.table:
            return self.table[int(u * len(self.table))] / UNIT
        return _SHAPES[self.name](u, second)


def _uniform(u: float, second: Callable[[], float]) -> float:
    return 2 * u - 1


def _normal(u: float, second: Callable[[], float]) -> float:
    return max(-WIDEST, min(WIDEST, _NORMAL.inv_cdf(u + _LEAST)))


def _pareto(u: float, second: Callable[[], float]) -> float:
    return min(WIDEST, (math.pow(1 - u, -1 / 3) - 1.5) * 4 / 3)


def _paretonormal(u: float, second: Callable[[], float]) -> float:
    return _normal(u, second) / 4 + _pareto(second(), second) * 3 / 4


_SHAPES = {"uniform": _uniform, "normal": _normal, "pareto": _pareto, "paretonormal": _paretonormal}
NAMES = tuple(_SHAPES)


def parse_table(name: str, text: str) -> Distribution:
    """A `.dist` file's text.

    Raises:
        ConfigError: it is none.
    """
    numbers: list[int] = []
    for line_number, line in enumerate(text.splitlines(), 1):
        for word in line.partition("#")[0].split():
            try:
                number = int(word) if len(word) <= 6 else NUMBER_MAX + 1
            except ValueError:
                raise ConfigError(f"{name}:{line_number}: {word[:32]!r}: a whole number was expected") from None
            if not NUMBER_MIN <= number <= NUMBER_MAX:
                raise ConfigError(f"{name}:{line_number}: {word[:32]}: {NUMBER_MIN} to {NUMBER_MAX} was expected")
            numbers.append(number)
            if len(numbers) > MOST_NUMBERS:
                raise ConfigError(f"{name}:{line_number}: at most {MOST_NUMBERS} numbers were expected")
    if len(numbers) < 2:
        raise ConfigError(f"{name}: {len(numbers)} numbers: at least 2 were expected, as in netem's .dist files")
    return Distribution(name, tuple(sorted(numbers)))


def second_of(numbers: Numbers, n: int) -> Callable[[], float]:
    """For `Distribution.shape`."""
    return lambda: numbers.uniform(n)
