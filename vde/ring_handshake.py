"""How two processes come to share rings: one request and one answer on a stream socket. Sans-I/O.

Native byte order, as both run on one machine. Afterwards the connection is silent; its end is the end of the rings.

    request                                             answer
    0   8   magic "VDERING", NUL                        0   8   the same
    8   2   newest version that the connector speaks    8   2   version that will be spoken
    10  2   oldest version                              10  2   0
    12  4   bits 7:0 0, or 1: the management port;      12  4   0, or the errno of a refusal
            bits 31:8 wanted port, 0: any
    16  4   wanted octets of a ring, 0: any             16  4   octets of a ring
    20  4   octets of the longest frame, 0: any         20  4   octets of the longest frame
    24  4   0: features offered                         24  4   0: features accepted
    28  4   octets of the text that follows, 0…128      28  4   octets of the text that follows, 0…512
    32      description                                 32      the reason of a refusal

With the first octet of an answer that is no refusal come five descriptors (SCM_RIGHTS), in the order of
`vde._native.Ring.create`. The rings themselves are described in `plugs/native/ring/src/lib.rs`.

Limits: unknown features are ignored by a listener, which accepts none; texts beyond their bound are an error.
"""

import errno
import struct
from dataclasses import dataclass

from vde.errors import WireError

MAGIC = b"VDERING\0"
VERSION = 1
HEADER = struct.Struct("=8sHHIIIII")
DESCRIPTION_OCTETS = 128
REASON_OCTETS = 512
DESCRIPTORS = 5
MANAGEMENT = 1
SOCKET_NAME = "ring"
"""In a switch's directory."""


@dataclass(frozen=True, slots=True)
class RingRequest:
    """What a connector asks for.

    Attributes:
        port: 0: any.
        ring_octets, frame_octets: wishes, which the listener brings within its bounds; 0: none.
        description: undecodable octets as surrogates.
    """

    port: int = 0
    management: bool = False
    ring_octets: int = 0
    frame_octets: int = 0
    description: str = ""
    newest: int = VERSION
    oldest: int = VERSION

    def emit(self) -> bytes:
        """As sent; a description beyond its bound is cut."""
        text = self.description.encode(errors="surrogateescape")[:DESCRIPTION_OCTETS]
        kind = self.port << 8 | (MANAGEMENT if self.management else 0)
        sizes = self.ring_octets, self.frame_octets
        return HEADER.pack(MAGIC, self.newest, self.oldest, kind, *sizes, 0, len(text)) + text


@dataclass(frozen=True, slots=True)
class RingAnswer:
    """What a listener answers.

    Attributes:
        errno: 0, or why there are no rings; `reason` says it in words.
    """

    errno: int = 0
    ring_octets: int = 0
    frame_octets: int = 0
    reason: str = ""
    version: int = VERSION

    def emit(self) -> bytes:
        """As sent; a reason beyond its bound is cut."""
        text = self.reason.encode(errors="surrogateescape")[:REASON_OCTETS]
        sizes = self.ring_octets, self.frame_octets
        return HEADER.pack(MAGIC, self.version, 0, self.errno, *sizes, 0, len(text)) + text


def text_octets(header: bytes, most: int) -> int:
    """How many octets follow this header.

    Raises:
        WireError: it is no header of this protocol, or more than `most` octets would follow.
    """
    if len(header) < HEADER.size or header[:8] != MAGIC:
        raise WireError(f"{header[:8]!r} is not how a request for rings begins, nor its answer")
    octets: int = HEADER.unpack_from(header)[7]
    if octets > most:
        raise WireError(f"a text of {octets} octets: at most {most} were expected")
    return octets


def parse_request(octets: bytes) -> RingRequest:
    """A whole request.

    Raises:
        WireError: of another kind.
    """
    length = text_octets(octets, DESCRIPTION_OCTETS)
    _, newest, oldest, kind, ring_octets, frame_octets, _, _ = HEADER.unpack_from(octets)
    if kind & 0xFF not in (0, MANAGEMENT):
        raise WireError(f"Bad request type : {kind & 0xFF}")
    text = octets[HEADER.size :][:length].split(b"\0", 1)[0].decode(errors="surrogateescape")
    return RingRequest(kind >> 8, kind & 0xFF == MANAGEMENT, ring_octets, frame_octets, text, newest, oldest)


def refusal_of_version(request: RingRequest) -> RingAnswer | None:
    """Is there a version that both speak?"""
    if request.oldest <= VERSION <= request.newest:
        return None
    reason = f"version {VERSION} of the rings is spoken here, {request.oldest} to {request.newest} were offered"
    return RingAnswer(errno.EPROTONOSUPPORT, reason=reason)


def parse_answer(octets: bytes) -> RingAnswer:
    """A whole answer.

    Raises:
        WireError: of another kind, or of a version that was not offered.
    """
    length = text_octets(octets, REASON_OCTETS)
    _, version, _, error, ring_octets, frame_octets, _, _ = HEADER.unpack_from(octets)
    text = octets[HEADER.size :][:length].decode(errors="replace")
    if error > 4095:  # errno-base: MAX_ERRNO
        raise WireError(f"errno {error} of a refusal: at most 4095 was expected")
    if not error and version != VERSION:
        raise WireError(f"the listener speaks version {version} of the rings: {VERSION} was offered")
    return RingAnswer(error, ring_octets, frame_octets, text, version)
