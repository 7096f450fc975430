"""Descriptors that a forwarder can carry frames on by itself: the words that links and forwarders share. Sans-I/O."""

import os
from dataclasses import dataclass
from enum import IntEnum


class EndpointKind(IntEnum):
    """How frames travel on a descriptor that a forwarder owns."""

    DATAGRAM = 0
    """A connected datagram or seqpacket socket: one frame per message (`recvmmsg`, `sendmmsg`).
    The end of a seqpacket connection, which an empty message looks like, is ECONNRESET."""
    TAP = 1
    """A tap's character device: one frame per `read` and `write`."""
    RING_LISTENER = 2
    """Rings in shared memory, by the side that made them: `vde._native.Ring`. The descriptor is readable when frames
    are there; with the others it is what `Ring.give_away` made. A full ring takes no more, and nothing waits for it."""
    RING_CONNECTOR = 3
    """Likewise, by the other side."""
    TAP_VNET = 4
    """A tap opened with IFF_VNET_HDR: ten octets (a virtio-net header) stand before each frame. Whoever takes the
    descriptor sets by TUNSETOFFLOAD which unfinished frames it understands. May be a socket of another program."""

    OVERLAY = 5
    """A UDP socket of a VXLAN network, with its `OverlayTerms`: a header of eight octets before each frame, and each
    sent to where its destination was last heard from, or to all remotes. The socket's send buffer is its queue."""


@dataclass(frozen=True, slots=True)
class OverlayTerms:
    """What a VXLAN network is; places are socket addresses, numeric, of one family.

    Attributes:
        vni: network identifier, 24 bits.
        remotes: where frames to many are sent; a multicast group is one.
        port: of peers whose addresses are learned.
        only_remotes: others' datagrams are dropped.
        limit: most addresses that are known.
        expire_ns: how long one is known.
    """

    vni: int
    remotes: tuple[tuple[str, int] | tuple[str, int, int, int], ...]
    port: int
    only_remotes: bool
    limit: int
    expire_ns: int


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A descriptor for a forwarder, which closes it.

    Attributes:
        fd: non-blocking; a duplicate if the link goes on using its own.
        others: that go with it, as `kind` says; the forwarder closes them, too.
        overlay: of an `OVERLAY`.
    """

    fd: int
    kind: EndpointKind
    others: tuple[int, ...] = ()
    overlay: OverlayTerms | None = None

    def close(self) -> None:
        """Close all of them, where no forwarder does."""
        for descriptor in (self.fd, *self.others):
            os.close(descriptor)
