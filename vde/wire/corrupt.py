"""Corruption: bits that arrive inverted.

`BitErrors` inverts every bit with the same probability; the gaps between inverted bits are geometric, so the cost is
that of the errors and not of the bits. `one_position` is for inverting one bit of a frame, as netem's `corrupt` does.
"""

import math
from collections.abc import Sequence

from vde.wire.chance import Numbers

SHIFT = 32
"""The k-th error of frame n takes the number n·2³² + k: 2³² is more than a frame has bits."""


class BitErrors:
    """A bit error rate of 0 < rate ≤ 0.5."""

    def __init__(self, rate: float, numbers: Numbers) -> None:
        self._log = math.log1p(-rate)
        self._numbers = numbers

    def positions(self, n: int, octets: int) -> list[int]:
        """The inverted bits of frame n, in ascending order: octet ·8 + bit (0: the lowest)."""
        bits = octets * 8
        found: list[int] = []
        position, error = -1, n << SHIFT
        while True:
            gap = math.log1p(-self._numbers.uniform(error)) / self._log
            if gap >= bits:
                return found
            position += 1 + int(gap)
            if position >= bits:
                return found
            found.append(position)
            error += 1


def one_position(numbers: Numbers, n: int, octets: int) -> int:
    """A bit of frame n, each as likely."""
    return int(numbers.uniform(n) * octets * 8)


def invert(frame: bytes, positions: Sequence[int]) -> bytes:
    """The frame with these bits inverted."""
    octets = bytearray(frame)
    for position in positions:
        octets[position >> 3] ^= 1 << (position & 7)
    return bytes(octets)
