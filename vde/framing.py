"""Frames in a byte stream: a length, then as many octets. Sans-I/O.

    offset size
    0      2 or 4  length of the frame, big-endian
    2 or 4 length  the frame, without FCS

Two octets: libvdeplug's `vdestream` (standard input and output of vde_plug, commands of `cmd://`, dpipe, wirefilter,
vdesl). Four: QEMU's `-netdev stream`, passt. Both have no mark that a frame begins, so a stream that lost its framing
(a login's greeting before the first frame, a program that wrote something else) can only be guessed at:

* A length from `most_octets` to `bound_octets` is a frame that is too long: it is passed over, in step.
* A longer one is no length. The decoder hunts from then on. It goes on at the beginning of a read (writers give a
  header and its frame to one `write`) from where whole frames lead exactly to the end of what was read; or anywhere,
  if at least two do so; or if at least `HUNTED_FRAMES` frames follow one another. What lies before is thrown away.

Differences to libvdeplug, on purpose: a header may come in pieces; a length that is none costs what precedes the next
frame, not only the rest of one read, so that half a frame cannot be taken for a whole one.

Limits: what is kept is at most two of the longest frames and one read. A chance sequence may be taken for frames.
"""

from collections.abc import Callable, Iterable

from vde.errors import WireError
from vde.frame import HEADER_OCTETS, MTU_OCTETS

STREAM_BOUND_OCTETS = (1 << 14) - 1  # chosen: above libvdeplug's 9236, below whatever begins with a letter
HUNT_OCTETS = 2048  # chosen: everything kept is searched anew only after so many more
HUNTED_FRAMES = 8  # chosen: random octets do so about once in five million


def encode(frames: Iterable[bytes], length_octets: int = 2) -> bytes:
    """What to write, if possible at once. Every frame's length must fit."""
    return b"".join(piece for frame in frames for piece in (len(frame).to_bytes(length_octets), frame))


class StreamDecoder:
    """Octets in, frames out."""

    def __init__(
        self,
        drop: Callable[[str], None],
        *,
        length_octets: int = 2,
        most_octets: int = MTU_OCTETS,
        bound_octets: int = STREAM_BOUND_OCTETS,
        hunt: bool = True,
    ) -> None:
        """A decoder at the beginning of a stream.

        Args:
            drop: is told, once each: `short` and `oversize` frames, `framing` when it is lost.
            length_octets: of the length.
            most_octets: longest frame that is given out.
            bound_octets: greater lengths are none.
            hunt: False: a lost framing is a `WireError`, and the stream of no more use.
        """
        self._drop = drop
        self._width = length_octets
        self._most = most_octets
        self._bound = bound_octets
        self._hunt = hunt
        self._buffer = bytearray()
        self._to_skip = 0
        self._unseen = 0
        self.hunting = False

    @property
    def is_between_frames(self) -> bool:
        """Would an end of the stream here cut nothing off?"""
        return not self._buffer and not self._to_skip

    def receive(self, octets: bytes) -> list[bytes]:
        """Decode one read's octets: the frames that are whole now, of 14 to `most_octets` octets.

        Raises:
            WireError: the framing is lost, and hunting is off.
        """
        if self._to_skip:
            skipped = min(self._to_skip, len(octets))
            self._to_skip -= skipped
            octets = octets[skipped:]
        begin_of_read = len(self._buffer)
        self._buffer += octets
        self._unseen += len(octets)
        frames: list[bytes] = []
        while not self.hunting or self._find(begin_of_read):
            frames += self._take()
            if not self.hunting:
                break
            begin_of_read, self._unseen = -1, HUNT_OCTETS
        return frames

    def forget_partial(self) -> None:
        """Drop what has begun and is not whole: on media that lose octets, after a silence."""
        if not self.is_between_frames:
            self._drop("framing")
        self._buffer.clear()
        self._to_skip = 0
        self.hunting = False

    def _take(self) -> list[bytes]:
        buffer, width, offset = self._buffer, self._width, 0
        frames: list[bytes] = []
        while len(buffer) - offset >= width:
            length = int.from_bytes(buffer[offset : offset + width])
            begin, end = offset + width, offset + width + length
            if length > self._bound:
                self._drop("framing")
                if not self._hunt:
                    raise WireError(f"a length of {length} octets: at most {self._bound} were expected")
                self.hunting = True
                break
            if length > self._most:
                self._drop("oversize")
                self._to_skip = max(0, end - len(buffer))
            elif end > len(buffer):
                break
            elif length < HEADER_OCTETS:
                self._drop("short")
            else:
                frames.append(bytes(buffer[begin:end]))
            offset = end
        del buffer[:offset]
        return frames

    def _find(self, begin_of_read: int) -> bool:
        """Throw away what precedes the frames, if there are any; else all but what they may begin in."""
        size = len(self._buffer)
        found = None
        if begin_of_read >= 0 and self._chain(begin_of_read) == (1, size):
            found = begin_of_read
        elif self._unseen >= HUNT_OCTETS or (begin_of_read >= 0 and self._leads_on(begin_of_read, size)):
            self._unseen = 0
            offsets = (begin_of_read, *range(size)) if begin_of_read >= 0 else range(1, size)
            found = next((offset for offset in offsets if self._leads_on(offset, size)), None)
        if found is None:
            del self._buffer[: -2 * (self._most + self._width)]
            return False
        del self._buffer[:found]
        self.hunting = False
        return True

    def _leads_on(self, offset: int, size: int) -> bool:
        whole, end = self._chain(offset)
        return whole >= HUNTED_FRAMES or (whole >= 2 and end == size)

    def _chain(self, offset: int) -> tuple[int, int]:
        """How many whole frames follow one another from `offset`, at most `HUNTED_FRAMES` looked at; where they end."""
        buffer, width, whole = self._buffer, self._width, 0
        while len(buffer) - offset >= width and whole < HUNTED_FRAMES:
            length = int.from_bytes(buffer[offset : offset + width])
            end = offset + width + length
            if not HEADER_OCTETS <= length <= self._most or end > len(buffer):
                break
            whole, offset = whole + 1, end
        return whole, offset
