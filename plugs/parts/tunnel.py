"""Frames in records of a limited room: messages, fragments, and their reassembly. Sans-I/O; `dtls://` speaks it.

A record (what is encrypted as one) holds one message or several, one after another:

    offset size
    0      1   kind: 1 frame, 2 fragment, 3 ping, 4 pong, 5 close; others are passed over
    1      2   octets of the body, big-endian
    3      …   body

    frame     the frame, without FCS
    fragment  0: 4 number of the frame, counting; 4: 1 index of the fragment; 5: 1 how many there are; 6: … its octets
    ping      octets that come back in a pong, at most `ECHO_OCTETS`
    close     nothing: the sender is going away

Every message says its own length, because two records in one datagram may come out of the decryption as one.

Limits, each against a peer that has the key and is hostile all the same: `PARTIAL_FRAMES` frames are being reassembled,
each for at most `PARTIAL_NS`, of at most the link's longest frame; one record may ask for one pong.
Not supported: retransmission, reordering of frames, padding against traffic analysis.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vde.errors import WireError
from vde.frame import HEADER_OCTETS

FRAME, FRAGMENT, PING, PONG, CLOSE = 1, 2, 3, 4, 5
_HEADER = struct.Struct("!BH")
_FRAGMENT = struct.Struct("!IBB")
PARTIAL_FRAMES = 16  # chosen
PARTIAL_NS = 2_000_000_000  # chosen: longer than any path delays
ECHO_OCTETS = 64  # chosen
FRAGMENTS_MOST = 255
ROOM_LEAST = 128  # chosen: 9234 octets in at most 255 fragments need 46
HEADERS_OCTETS = _HEADER.size + _FRAGMENT.size


def message(kind: int, body: bytes = b"") -> bytes:
    """One message."""
    return _HEADER.pack(kind, len(body)) + body


def messages(record: bytes) -> Iterator[tuple[int, bytes]]:
    """Kinds and bodies of a record.

    Raises:
        WireError: a message is cut off; those before it were given out.
    """
    offset = 0
    while offset < len(record):
        if len(record) - offset < _HEADER.size:
            raise WireError("a message without a header")
        kind, octets = _HEADER.unpack_from(record, offset)
        offset += _HEADER.size + octets
        if offset > len(record):
            raise WireError(f"a message of {octets} octets in a record that is shorter")
        yield kind, record[offset - octets : offset]


class Fragmenter:
    """Frames → records."""

    def __init__(self) -> None:
        self._number = 0
        self.fragmented_frames = 0

    def records(self, frame: bytes, room_octets: int) -> list[bytes]:
        """A frame's messages, each of which may be a record; none is longer than the room (at least `ROOM_LEAST`)."""
        if _HEADER.size + len(frame) <= room_octets:
            return [message(FRAME, frame)]
        size = max(room_octets, ROOM_LEAST) - HEADERS_OCTETS
        pieces = [frame[at : at + size] for at in range(0, len(frame), size)]
        number, self._number = self._number, (self._number + 1) & 0xFFFFFFFF
        self.fragmented_frames += 1
        return [
            message(FRAGMENT, _FRAGMENT.pack(number, index, len(pieces)) + piece) for index, piece in enumerate(pieces)
        ]


def pack(frames: Iterable[Sequence[bytes]], room_octets: int) -> list[tuple[bytes, int]]:
    """Records, each filled with messages as far as there is room, and how many frames are whole with the end of each.

    Encrypting a record, and sending it, costs as much for one small message as for many.

    Args:
        frames: the messages of each, of `Fragmenter.records`.
    """
    records: list[tuple[bytes, int]] = []
    filled: list[bytes] = []
    octets = whole = 0
    for pieces in frames:
        for piece in pieces:
            if filled and octets + len(piece) > room_octets:
                records.append((b"".join(filled), whole))
                filled, octets = [], 0
            filled.append(piece)
            octets += len(piece)
        whole += 1
    if filled:
        records.append((b"".join(filled), whole))
    return records


@dataclass
class _Partial:
    count: int
    since_ns: int
    octets: int = 0
    pieces: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Received:
    """What a record held.

    Attributes:
        frames: whole ones, in order.
        replies: records to send back.
        pongs: bodies of pongs.
        closed: the peer is going away.
    """

    frames: list[bytes] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    closed: bool = False


class Reassembler:
    """Records → frames."""

    def __init__(self, drop: Callable[[str], None], most_octets: int) -> None:
        """`drop` is told `short`, `oversize`, `framing`, `fragment` (a frame whose fragments did not all come)."""
        self._drop = drop
        self._most = most_octets
        self._partial: dict[int, _Partial] = {}

    @property
    def partial_frames(self) -> int:
        """How many frames are being reassembled."""
        return len(self._partial)

    def receive(self, record: bytes, now_ns: int) -> Received:
        """Take one record. What is wrong in it is counted, what stands before that counts."""
        found = Received()
        try:
            for kind, body in messages(record):
                if kind == FRAME:
                    self._take(body, found)
                elif kind == FRAGMENT:
                    self._collect(body, now_ns, found)
                elif kind == PING and len(body) <= ECHO_OCTETS:
                    found.replies = found.replies or [message(PONG, body)]
                elif kind == PONG and len(body) <= ECHO_OCTETS:
                    found.pongs.append(body)
                elif kind == CLOSE:
                    found.closed = True
                else:
                    self._drop("framing")
        except WireError:
            self._drop("framing")
        return found

    def _take(self, frame: bytes, found: Received) -> None:
        if len(frame) < HEADER_OCTETS:
            self._drop("short")
        elif len(frame) > self._most:
            self._drop("oversize")
        else:
            found.frames.append(frame)

    def _collect(self, body: bytes, now_ns: int, found: Received) -> None:
        if len(body) <= _FRAGMENT.size:
            raise WireError("a fragment without octets")
        number, index, count = _FRAGMENT.unpack_from(body)
        if index >= count:
            raise WireError(f"fragment {index} of {count}")
        self._forget_old(now_ns)
        partial = self._partial.get(number)
        if partial is None:
            if len(self._partial) >= PARTIAL_FRAMES:
                del self._partial[next(iter(self._partial))]
                self._drop("fragment")
            partial = self._partial[number] = _Partial(count, now_ns)
        if partial.count != count:
            raise WireError(f"fragments of {count} and of {partial.count} of one frame")
        if index in partial.pieces:
            return
        piece = body[_FRAGMENT.size :]
        partial.octets += len(piece)
        if partial.octets > self._most:
            del self._partial[number]
            self._drop("oversize")
            return
        partial.pieces[index] = piece
        if len(partial.pieces) == count:
            del self._partial[number]
            self._take(b"".join(partial.pieces[at] for at in range(count)), found)

    def _forget_old(self, now_ns: int) -> None:
        while self._partial:
            number = next(iter(self._partial))  # the oldest: frames are begun in order
            if now_ns - self._partial[number].since_ns <= PARTIAL_NS:
                return
            del self._partial[number]
            self._drop("fragment")
