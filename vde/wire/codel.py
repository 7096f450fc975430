"""CoDel, controlled delay: which frames a queue drops as they leave it. RFC 8289 §5, names as there.

A frame's sojourn is the time that it spent in the queue. Once all sojourns of an interval were above the target,
frames are dropped at their turn to leave, at intervals that shrink with the square root of the number of drops, until
a sojourn is below the target.

Not supported: marking (ECN); the frames are Ethernet's.
"""

from math import sqrt

TARGET_NS, INTERVAL_NS = 5_000_000, 100_000_000  # RFC 8289 §4.3, §4.4
MAXPACKET_OCTETS = 1514  # RFC 8289 §5.4: a queue of less than one packet is good


class CoDel:
    """The state of one queue's dropper."""

    def __init__(self, target_ns: int = TARGET_NS, interval_ns: int = INTERVAL_NS) -> None:
        self.target_ns = target_ns
        self.interval_ns = interval_ns
        self._first_above_ns = 0
        self._drop_next_ns = 0
        self._count = 0
        self._last_count = 0
        self._dropping = False

    def drops(self, arrived_ns: int, now_ns: int, octets_left: int) -> bool:
        """Is the frame at the head of the queue, whose turn is now, to be dropped?

        Call again for the next frame if it is.

        Args:
            octets_left: in the queue, without this frame.
        """
        ok_to_drop = self._ok_to_drop(arrived_ns, now_ns, octets_left)
        if self._dropping:
            if not ok_to_drop:
                self._dropping = False
            elif now_ns >= self._drop_next_ns:
                self._count += 1
                self._drop_next_ns = self._control_law(self._drop_next_ns)
                return True
            return False
        if ok_to_drop:
            self._dropping = True
            delta = self._count - self._last_count  # RFC 8289 §5.5: the drop rate of the last time, if it is recent
            recent = now_ns - self._drop_next_ns < 16 * self.interval_ns
            self._count = delta if delta > 1 and recent else 1
            self._drop_next_ns = self._control_law(now_ns)
            self._last_count = self._count
            return True
        return False

    def _ok_to_drop(self, arrived_ns: int, now_ns: int, octets_left: int) -> bool:
        if now_ns - arrived_ns < self.target_ns or octets_left <= MAXPACKET_OCTETS:
            self._first_above_ns = 0
        elif self._first_above_ns == 0:
            self._first_above_ns = now_ns + self.interval_ns
        else:
            return now_ns >= self._first_above_ns
        return False

    def _control_law(self, from_ns: int) -> int:
        return from_ns + int(self.interval_ns / sqrt(self._count))
