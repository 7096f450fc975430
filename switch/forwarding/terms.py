"""The words of the forwarder's contract: reasons, kinds, events, counters, limits. `contract` says what they mean.

Sans-I/O, so that the reference plane and policy can use them without an event loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

from vde.endpoint import EndpointKind as EndpointKind

PORT_MAX = 0xFFFF
VLAN_MAX = 4093  # vde_switch's range; 4095 is its NOVLAN
COUNT_MAX = (1 << 31) - 1  # of queues, limits, endpoints
NO_VLAN = 4095
"""As a native VLAN: the port takes and gives no untagged frames."""

FRAMES_PER_TURN = 32
"""Frames taken from one endpoint before the next one's turn. Chosen: fills a batch, costs the others some 20 µs."""
FRAMES_PER_SHORT_TURN = 8
"""The same, while somebody else sends single frames. Chosen: halves what these wait for."""
FRAMES_AT_DETACH = 1024
"""Frames that a client had sent before it left, taken when its socket is detached. Chosen: above a kernel queue."""
LONE_TURNS = 4
"""So many turns of one frame in a row make an endpoint one that sends single frames (chosen),"""
LONE_ROUNDS = 64
"""and so many rounds after its last one the others need not care any more. Chosen."""
DELIVERIES_PER_TURN = 1024
"""Deliveries that a turn should not much exceed: an endpoint whose turn did, by flooding to many ports, takes fewer
frames in its next one. Chosen: some 0.5 ms."""
QUEUED_PER_TURN = 128
"""Frames of an endpoint's queue sent in one turn. Chosen: the default queue whole."""
ROUNDS_PER_POLL = 64
"""Bound of `Forwarder.poll`. Chosen."""

EVENT_OCTETS = 1 << 24
"""Frames' octets in waiting events, in all; frames beyond are lost and counted. Chosen."""


class DropReason(IntEnum):
    """Why a frame was not delivered; the value is its index in the native forwarder's counters."""

    SHORT = 0
    OVERSIZE = 1
    VLAN = 2
    BLOCKED = 3
    SAME_PORT = 4
    STORM = 5
    QUEUE_FULL = 6
    SEND_ERROR = 7
    MIRROR = 8
    OFFLOAD = 9
    OVERLAY = 10


class Direction(IntFlag):
    """Seen from the switch."""

    IN = 1
    OUT = 2
    BOTH = 3


class Watch(IntFlag):
    """Which events the policy wants; the others are not made. `Bpdu` and `EndpointFailed` always are."""

    NOTHING = 0
    HASH = 1
    """`Learned`, `Forgot`."""
    PACKETS = 2
    """`Packet`, for every frame in and every frame out of a port."""


@dataclass(frozen=True, slots=True)
class Bpdu:
    """A spanning-tree frame, for policy. `frame` is as received (with its tag, if any)."""

    port: int
    vlan: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Learned:
    """A table entry is new, or moved to `port`."""

    mac: bytes
    vlan: int
    port: int


@dataclass(frozen=True, slots=True)
class Forgot:
    """A table entry expired or was flushed."""

    mac: bytes
    vlan: int
    port: int


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame as it entered or left `port` (rule 1 passed).

    `vlan` is -1 for frames of no VLAN: in hub mode, dropped by rules 2 and 4, mirrored, policy's own.
    """

    direction: Direction
    port: int
    vlan: int
    frame: bytes
    when_ns: int


@dataclass(frozen=True, slots=True)
class EndpointFailed:
    """Reading an endpoint failed for good; it is no longer polled and waits to be detached."""

    endpoint: int
    errno: int


Event = Bpdu | Learned | Forgot | Packet | EndpointFailed


@dataclass(frozen=True, slots=True)
class PortStatistics:
    """A port's counters since it was added or reset.

    `out_*` count what was offered to the port, once however many endpoints it has (as vde_switch does);
    QUEUE_FULL and SEND_ERROR count once per endpoint that did not get the frame, on the egress port; the other
    reasons count on the ingress port.
    """

    in_frames: int = 0
    in_octets: int = 0
    out_frames: int = 0
    out_octets: int = 0
    not_learned: int = 0
    drops: Mapping[DropReason, int] = field(default_factory=dict)
    """Only reasons that occurred."""


@dataclass(frozen=True, slots=True)
class FdbEntry:
    """One learned address. `serial` grows with every insertion or move: newest is largest."""

    mac: bytes
    vlan: int
    port: int
    last_seen_ns: int
    serial: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds chosen at start. All are at least 1."""

    max_frame_octets: int = 9234
    """Longest accepted frame, tags included, without FCS. 1518…65535."""
    queue_frames: int = 128
    """Default bound of an endpoint's queue (VDE_PQ2's default)."""
    send_buffer_octets: int = 1 << 20
    """SO_SNDBUF of sockets: the kernel's part of the queue. It is doubled, and bounded by `net.core.wmem_max`.
    Chosen: some 2,700 small frames, or 550 under the usual bound of 208 KiB."""
    events: int = 8192
    """Events waiting for policy; more are lost and counted. `Learned`, `Forgot` and `Packet` leave an eighth of it to
    `Bpdu`; an `EndpointFailed` always fits. Chosen."""

    def __post_init__(self) -> None:
        if not 1518 <= self.max_frame_octets <= 65535:
            raise ValueError(f"max_frame_octets {self.max_frame_octets}: 1518 to 65535 are possible")
        for name in ("queue_frames", "send_buffer_octets", "events"):
            value = getattr(self, name)
            if not 1 <= value <= COUNT_MAX:
                raise ValueError(f"{name} {value}: 1 to {COUNT_MAX} are possible")
