"""How long to wait before trying again: twice as long each time, up to a bound, with some chance in it. Sans-I/O.

The chance (a wait is 75 to 125 % of its nominal length) keeps many links that broke together from coming back together.
"""

from collections.abc import Callable

MOST_S = 30.0  # chosen


class Backoff:
    """The waits between attempts."""

    def __init__(self, first_s: float, random: Callable[[int], bytes], most_s: float = MOST_S) -> None:
        """`random`: of `Surroundings`."""
        self._first_s = min(first_s, most_s)
        self._most_s = most_s
        self._random = random
        self._next_s = self._first_s
        self.failures = 0

    def failed(self) -> float:
        """An attempt failed: seconds to wait before the next one."""
        wait_s, self._next_s = self._next_s, min(2 * self._next_s, self._most_s)
        self.failures += 1
        return wait_s * (0.75 + 0.5 * int.from_bytes(self._random(2)) / 0xFFFF)

    def succeeded(self) -> None:
        """Begin anew."""
        self._next_s = self._first_s
        self.failures = 0
