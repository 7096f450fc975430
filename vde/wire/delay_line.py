"""Frames on their way: kept until they are due, then given out in the order of their due times.

Bounds (chosen): `MOST_FRAMES` and `MOST_OCTETS`, so that a delay of a year times traffic is not all memory; frames
beyond are dropped as `held`. Frames that a receiver does not take wait here too.
"""

from heapq import heappop, heappush

from vde.wire.verdict import Verdict

MOST_FRAMES = 1 << 17
MOST_OCTETS = 128 << 20


class DelayLine:
    """One direction's. Frames due at the same time leave in the order in which they were put in."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, bytes, Verdict]] = []
        self._serial = 0
        self.octets = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def full(self) -> bool:
        """May no more be put in?"""
        return len(self._heap) >= MOST_FRAMES or self.octets >= MOST_OCTETS

    def put(self, frame: bytes, verdict: Verdict, due_ns: int) -> None:
        """Keep a frame until `due_ns`."""
        verdict.due_ns = due_ns
        self._serial += 1
        self.octets += len(frame)
        heappush(self._heap, (due_ns, self._serial, frame, verdict))

    def empty(self) -> list[tuple[bytes, Verdict]]:
        """Take out all, in their order."""
        held = [(frame, verdict) for _, _, frame, verdict in sorted(self._heap, key=lambda entry: entry[:2])]
        self._heap.clear()
        self.octets = 0
        return held

    def next_due_ns(self) -> int | None:
        """Of the first frame."""
        return self._heap[0][0] if self._heap else None

    def take(self, now_ns: int, most: int) -> list[tuple[bytes, Verdict]]:
        """Frames that are due, at most so many."""
        heap = self._heap
        found: list[tuple[bytes, Verdict]] = []
        while heap and heap[0][0] <= now_ns and len(found) < most:
            _, _, frame, verdict = heappop(heap)
            self.octets -= len(frame)
            found.append((frame, verdict))
        return found
