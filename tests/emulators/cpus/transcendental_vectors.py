"""Makes true values of the x87's transcendental functions with mpmath, 400 bits wide.

    python -m tests.emulators.cpus.transcendental_vectors 120 > …/softfloat/src/extended/tests/true_values.txt

The Rust tests of `soft-float` read that file; `SOFT_FLOAT_VALUES` names a longer one (`make test-oracles`). A line:
function, ST(0), ST(1), and the true value as sign, exponent and 128 bits of significand, cut. Trigonometric arguments
are reduced by the processor's π of 66 bits (Intel SDM vol. 1, 8.3.8).
"""

import random
import sys
from collections.abc import Callable

from mpmath import atan2, cos, expm1, floor, log, log1p, mp, mpf, pi, sin, tan

mp.prec = 400
BIAS = 16383
# 4 × 0.C90FDAA22168C234C, SDM vol. 1, 8.3.8.
PI_66 = mpf(0xC90FDAA22168C234C) / 2**66


def number(source: random.Random, low: int, high: int, *, signed: bool = True) -> tuple[mpf, str]:
    """A random number between 2**low and 2**high in magnitude, and its bits."""
    exponent = source.randrange(low, high)
    significand = 1 << 63 | source.getrandbits(63)
    if source.random() < 0.3:
        significand &= -1 << source.randrange(63)
    negative = signed and source.random() < 0.5
    value = mpf(significand) * mpf(2) ** (exponent - 63)
    return (-value if negative else value), f"{exponent + BIAS | negative << 15:04x}.{significand:016x}"


def reduced(function: Callable[[mpf], mpf], x: mpf) -> mpf:
    """A trigonometric function of x, less whole quarters of the processor's turn, plus as many of the true one."""
    quarters = int(floor(x / (PI_66 / 2) + mpf(1) / 2))
    rest = x - quarters * PI_66 / 2
    return function(rest + (quarters % 4) * pi / 2)


def bits(value: mpf) -> str:
    """Sign, exponent and the first 128 bits of the significand."""
    magnitude = abs(value)
    exponent = int(floor(log(magnitude, 2)))
    significand = int(floor(magnitude * mpf(2) ** (127 - exponent)))
    if significand >> 128:  # the logarithm was just below
        exponent, significand = exponent + 1, significand >> 1
    return f"{'-' if value < 0 else '+'} {exponent} {significand:032x}"


FUNCTIONS: dict[str, tuple[Callable[[mpf, mpf], mpf], tuple[int, int], tuple[int, int]]] = {
    "f2xm1": (lambda x, _: expm1(x * log(2)), (-70, 0), (0, 1)),
    "fyl2x": (lambda x, y: y * log(x, 2), (-30, 30), (-20, 20)),
    "fyl2xp1": (lambda x, y: y * log1p(x) / log(2), (-70, -2), (-20, 20)),
    "fsin": (lambda x, _: reduced(sin, x), (-40, 63), (0, 1)),
    "fcos": (lambda x, _: reduced(cos, x), (-40, 63), (0, 1)),
    "fptan": (lambda x, _: reduced(tan, x), (-40, 63), (0, 1)),
    "fpatan": (lambda x, y: atan2(y, x), (-20, 20), (-20, 20)),
}


def main(count: int) -> None:
    """Print `count` lines for each function."""
    source = random.Random(count)
    for name, (function, first, second) in FUNCTIONS.items():
        for _ in range(count):
            x, x_bits = number(source, *first, signed=name != "fyl2x")
            y, y_bits = number(source, *second)
            if name == "fyl2x" and x == 1:
                continue
            sys.stdout.write(f"{name} {x_bits} {y_bits} {bits(function(x, y))}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
