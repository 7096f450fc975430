"""wirefilter's values: `[LR|RL]VALUE[+PLUS][K|M|G][U|N][[NODE]]`, read as leniently as wirefilter 2.3.2 reads them.

Read from both ends, as observed: blanks at the end and a last `[NODE]` go first; then a last `U` or `N` (either case),
the distribution; then a last `K`, `M` or `G` (either case), which multiplies both numbers by 2^10, 2^20, 2^30. What is
left, after `LR` or `RL`, begins with one number, or two joined by `+`, as scanf(3)'s `%lf+%lf` reads them; the rest is
ignored. What does not begin with a number changes nothing, and is no error.

Differences, on purpose: numbers that are not finite are no numbers.
"""

import math
import re
from dataclasses import dataclass

_NUMBER = r"[ \t]*([+-]?(?:0[xX][0-9a-fA-F]{1,16}|(?:[0-9]{1,64}\.?[0-9]{0,64}|\.[0-9]{1,64})(?:[eE][+-]?[0-9]{1,5})?))"
_VALUES = re.compile(_NUMBER + rf"(?:\+{_NUMBER})?")
_MULTIPLES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
LEFT_TO_RIGHT, RIGHT_TO_LEFT = 0, 1
LARGEST = 1e18  # chosen


@dataclass(frozen=True, slots=True)
class Value:
    """VALUE ± PLUS.

    Attributes:
        normal: PLUS is three standard deviations; otherwise the numbers within ± PLUS are equally likely.
    """

    value: float = 0.0
    plus: float = 0.0
    normal: bool = False

    def __str__(self) -> str:
        return f"{self.value:g}+{self.plus:g}{'N' if self.normal else 'U'}"


@dataclass(frozen=True, slots=True)
class Given:
    """What a command gives: for which node and directions, and the value; None: it changes nothing."""

    node: int
    directions: tuple[int, ...]
    value: Value | None


def parse_value(text: str) -> Given:
    """Never fails: see the module's text."""
    text = text.strip(" \t\r\n")
    node = 0
    if text.endswith("]"):
        text, bracket, inside = text.rpartition("[")
        if not bracket:
            return Given(0, (), None)
        found = re.match(r"[ \t]*([+-]?[0-9]{1,9})", inside)
        node = int(found[1]) if found else 0
    normal = text[-1:] in ("N", "n")
    if text[-1:] in ("N", "n", "U", "u"):
        text = text[:-1]
    multiple = _MULTIPLES.get(text.rstrip()[-1:].upper() if text[-1:].strip() else "", 1)
    directions: tuple[int, ...] = (LEFT_TO_RIGHT, RIGHT_TO_LEFT)
    if text.startswith("LR"):
        text, directions = text[2:], (LEFT_TO_RIGHT,)
    elif text.startswith("RL"):
        text, directions = text[2:], (RIGHT_TO_LEFT,)
    numbers = _VALUES.match(text)
    if numbers is None:
        return Given(node, directions, None)
    value, plus = (_number(word) * multiple for word in (numbers[1], numbers[2] or "0"))
    if not (math.isfinite(value) and math.isfinite(plus) and abs(value) <= LARGEST and abs(plus) <= LARGEST):
        return Given(node, directions, None)
    return Given(node, directions, Value(value, plus, normal))


def _number(word: str) -> float:
    return float(int(word, 16)) if "x" in word.lower() else float(word)
