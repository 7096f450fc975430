"""The only place of the project that reads a clock.

Everything else takes `now_ns`: integer nanoseconds of a clock that never steps back.
"""

import time


def monotonic_ns() -> int:
    """Nanoseconds of CLOCK_MONOTONIC: the clock that the forwarder's thread reads as well."""
    return time.monotonic_ns()


def wall_offset_ns() -> int:
    """What to add to `monotonic_ns` to get nanoseconds since 1970-01-01T00:00:00Z, as of this call."""
    return time.time_ns() - time.monotonic_ns()


def wall_ns() -> int:
    """Nanoseconds since 1970-01-01T00:00:00Z; may step."""
    return time.time_ns()
