"""How many flooded frames a second a port may cause: a token bucket, one second deep.

Sans-I/O; integers only, so that both forwarders agree to the frame.
"""

_SECOND_NS = 1_000_000_000


class StormBucket:
    """Full at first: `frames_per_s` frames may pass at once, then one every 1/`frames_per_s` seconds."""

    def __init__(self, frames_per_s: int) -> None:
        self.frames_per_s = frames_per_s
        self._level = frames_per_s * _SECOND_NS  # frames × ns
        self._filled_ns: int | None = None

    def take(self, now_ns: int) -> bool:
        """May one more frame pass now?"""
        if self._filled_ns is not None:
            elapsed_ns = min(max(now_ns - self._filled_ns, 0), _SECOND_NS)
            self._level = min(self._level + elapsed_ns * self.frames_per_s, self.frames_per_s * _SECOND_NS)
        self._filled_ns = now_ns
        if self._level < _SECOND_NS:
            return False
        self._level -= _SECOND_NS
        return True
