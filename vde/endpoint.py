"""Descriptors that a forwarder can carry frames on by itself: the words that links and forwarders share. Sans-I/O."""

from dataclasses import dataclass
from enum import IntEnum


class EndpointKind(IntEnum):
    """How frames travel on a descriptor that a forwarder owns."""

    DATAGRAM = 0
    """A connected datagram or seqpacket socket: one frame per message (`recvmmsg`, `sendmmsg`).
    The end of a seqpacket connection, which an empty message looks like, is ECONNRESET."""
    TAP = 1
    """A tap's character device: one frame per `read` and `write`."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A descriptor for a forwarder, which closes it.

    Attributes:
        fd: non-blocking; a duplicate if the link goes on using its own.
    """

    fd: int
    kind: EndpointKind
