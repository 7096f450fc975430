"""Numbers in command arguments, read as vde_switch reads them: leniently, by the C library's rules.

`atoi` for commands with one number (no digits: 0), `%i` of scanf for those with several (`0x1F`, `017`; too few: an
error). One difference: a number that does not fit 32 bits becomes the nearest that does, instead of wrapping round.
"""

import errno
import re

from vde.errors import Refused

INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1
_DECIMAL = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]{1,20})[0-9]*")
_ANY_BASE = re.compile(r"[ \t\n\v\f\r]*([+-]?)(?:0[xX]([0-9a-fA-F]*)|(0[0-7]*)|([1-9][0-9]*))")
_DIGITS_MAX = 4096  # chosen: int() of what a line can hold, in any base, is quick


def atoi(text: str) -> int:
    """atoi(3): the number that the text begins with, or 0."""
    found = _DECIMAL.match(text)
    return _clamp(int(found[1])) if found else 0


def scan_integers(text: str, count: int, syntax: str) -> tuple[tuple[int, ...], str]:
    """`count` integers as scanf(3)'s `%i` reads them, and what follows.

    Args:
        syntax: what the command wants, for the message.

    Raises:
        Refused: EINVAL, there are fewer.
    """
    numbers: list[int] = []
    rest = text
    while len(numbers) < count:
        found = _ANY_BASE.match(rest[:_DIGITS_MAX])
        if found is None:
            raise Refused(errno.EINVAL, f"{text!r}: {syntax} was expected, {count} numbers; found {len(numbers)}")
        sign, hexadecimal, octal, decimal = found.groups()
        if hexadecimal is not None:
            magnitude = int(hexadecimal or "0", 16)  # glibc: a lone 0x is 0
        elif octal:
            magnitude = int(octal, 8)
        else:
            magnitude = int(decimal)
        numbers.append(_clamp(-magnitude if sign == "-" else magnitude))
        rest = rest[found.end() :]
    return tuple(numbers), rest


def integers(text: str, count: int, syntax: str) -> tuple[int, ...]:
    """`scan_integers` without what follows, which the original ignores."""
    return scan_integers(text, count, syntax)[0]


def _clamp(number: int) -> int:
    return max(INT_MIN, min(INT_MAX, number))
