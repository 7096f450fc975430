"""Bandwidth over time, in the format of Mahimahi: one line for each moment at which 1500 octets may leave.

    0          a whole number of milliseconds since the beginning, not less than the line before
    3          two lines that are the same: 3000 octets at this moment
    3
    12         after the last line all begins again, that many milliseconds later

A moment that finds nothing to send is lost. What a frame leaves of its moment serves the next frame that is already
there; a long frame takes several moments, and has left with the last one.

Source: mm-link(1) and the traces that come with Mahimahi. Limits (chosen): `MOST_LINES`; the last line is a millisecond
or more.
"""

from bisect import bisect_left
from dataclasses import dataclass, field

from vde.errors import ConfigError

MOMENT_OCTETS = 1500  # one MTU-sized packet, mm-link(1); Mahimahi itself counts 1504 with its tun header
MS = 10**6
MOST_LINES = 1_000_000
MOST_MS = 10**9


@dataclass(frozen=True, slots=True)
class Trace:
    """The moments, in milliseconds."""

    name: str
    moments_ms: tuple[int, ...] = field(repr=False)


def parse_trace(name: str, text: str) -> Trace:
    """A trace's text.

    Raises:
        ConfigError: it is none.
    """
    moments: list[int] = []
    for line_number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if not word:
            continue
        if not (word.isascii() and word.isdigit() and len(word) <= 10 and int(word) <= MOST_MS):
            raise ConfigError(f"{name}:{line_number}: {word[:32]!r}: milliseconds, 0 to {MOST_MS}, were expected")
        if moments and int(word) < moments[-1]:
            raise ConfigError(f"{name}:{line_number}: {word} comes after {moments[-1]}: ascending order was expected")
        moments.append(int(word))
        if len(moments) > MOST_LINES:
            raise ConfigError(f"{name}:{line_number}: at most {MOST_LINES} lines were expected")
    if not moments or not moments[-1]:
        raise ConfigError(f"{name}: a trace ends with a line of 1 ms or more, which is its length")
    return Trace(name, tuple(moments))


class TraceServer:
    """A `Server` (see `queue.py`) that follows a trace, begun at `origin_ns`."""

    def __init__(self, trace: Trace, origin_ns: int, overhead_octets: int = 0) -> None:
        self._moments = trace.moments_ms
        self._length_ns = trace.moments_ms[-1] * MS
        self._origin = origin_ns
        self._overhead = overhead_octets
        self._next = 0  # the moment, counted over all rounds, whose octets are not all used
        self._left = MOMENT_OCTETS

    def start_ns(self, ready_ns: int) -> int:
        """When a frame that is there since `ready_ns` begins to leave."""
        moment = self._moment(ready_ns)
        return max(ready_ns, self._time(moment))

    def transmit(self, start_ns: int, octets: int) -> int:
        """A frame begins to leave: when it will have left."""
        moment = self._moment(start_ns)
        if moment != self._next:
            self._next, self._left = moment, MOMENT_OCTETS
        octets = max(1, octets + self._overhead)
        end_ns = self._time(self._next + (octets - min(self._left, octets) + MOMENT_OCTETS - 1) // MOMENT_OCTETS)
        if octets > self._left:
            more = octets - self._left
            self._next += (more + MOMENT_OCTETS - 1) // MOMENT_OCTETS
            self._left = -more % MOMENT_OCTETS
        else:
            self._left -= octets
        if not self._left:
            self._next, self._left = self._next + 1, MOMENT_OCTETS
        return max(start_ns, end_ns)

    def _moment(self, ready_ns: int) -> int:
        """The first moment that is not used up, nor before `ready_ns`."""
        if self._time(self._next) >= ready_ns:
            return self._next
        rounds, before_ns = divmod(ready_ns - self._origin - 1, self._length_ns)  # a round ends with its last moment
        index = bisect_left(self._moments, before_ns // MS + 1)
        return max(self._next, rounds * len(self._moments) + index)

    def _time(self, moment: int) -> int:
        rounds, index = divmod(moment, len(self._moments))
        return self._origin + rounds * self._length_ns + self._moments[index] * MS
