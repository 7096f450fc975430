"""What a forwarder is: the part of the switch that touches every frame.

There are two, and they do the same: `reference.ReferencePlane` behind `python.PythonForwarder` (readable, trio) and
`native.NativeForwarder` (Rust, a thread of its own that never holds the GIL). The switch's policy (`switch.core`)
configures one through this contract and hears of the rest through events.

Rules of forwarding (reference/behaviour: vde_switch 2.3.2, IEEE 802.1Q-2018 §8):

 1. A frame shorter than 14 octets (tagged: 18) is dropped (`SHORT`); one longer than `max_frame_octets` as `OVERSIZE`,
    never truncated. All others count as received.
 2. A frame from a port that is a mirror's destination is dropped (`MIRROR`).
 3. Hub mode: the frame goes, unchanged, to every other port ≥ 1 with an endpoint; rules 4 to 9 are skipped.
 4. VLAN: tagged (TPID 0x8100) → its VID, if the port is a member of it (native included), else dropped (`VLAN`);
    untagged → the port's native VLAN, dropped (`VLAN`) if that is `NO_VLAN`. With `vlan_transparent`, a tag whose VID
    is 0 or names no defined VLAN is payload: the frame belongs to the native VLAN and leaves untouched.
    Only a first tag is looked at; 0x88A8 is payload.
 5. With FSTP on, a frame to 01:80:c2:00:00:00 is handed up as a `Bpdu` event and goes no further.
 6. The source is learned where the (VLAN, port) state allows learning, keyed by (address, VLAN), unless it is a group
    address. Known on another port: moved only if unheard of for longer than `min_persistence_ns`; otherwise the entry
    stays as it is. A new address beyond the table's or the port's limit is not learned (`not_learned`).
 7. A port that is not forwarding in the VLAN drops the frame (`BLOCKED`).
 8. Known unicast goes to its port: dropped if that is the ingress port (`SAME_PORT`) or not a forwarding member
    (`BLOCKED`). Group and unknown addresses flood to the VLAN's other forwarding members (not mirror destinations),
    if the ingress port's storm limit allows (token bucket, one second deep; else `STORM`).
 9. Egress: untagged if the VLAN is the port's native, else tagged. A tag is inserted with PCP 0; tag to tag keeps the
    TCI; tag to untagged removes 4 octets. The result may exceed `max_frame_octets` by a tag.
10. Every endpoint of an egress port gets the frame; other endpoints of the ingress port do not. Sending never blocks:
    what the kernel does not take waits in the endpoint's bounded queue (its own, in order); what that does not hold
    is dropped (`QUEUE_FULL`), as is a frame that the kernel refuses (`SEND_ERROR`).
11. A mirror copies a source port's frames as received and/or as sent to the destination port, whatever its VLAN.
12. An entry not refreshed for more than `expire_ns` is forgotten at a garbage collection, every `gc_interval_ns`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Protocol

import trio

NO_VLAN = 4095
"""As a native VLAN: the port takes and gives no untagged frames."""


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


class EndpointKind(IntEnum):
    """How frames travel on an endpoint's file descriptor."""

    DATAGRAM = 0
    """A connected datagram or seqpacket socket: one frame per message (`recvmmsg`, `sendmmsg`)."""
    TAP = 1
    """A tap's character device: one frame per `read` and `write`."""


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
    """A frame as it entered or left `port` (rule 1 passed). `vlan` is -1 in hub mode and for frames of no VLAN."""

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
    """SO_SNDBUF of datagram endpoints: the kernel's part of the queue. Chosen: about 1,300 small frames."""
    events: int = 8192
    """Events waiting for policy; more are lost and counted. Chosen."""


class Forwarder(Protocol):
    """The contract. Methods are synchronous, quick, called from the trio thread; times are `vde.clock.monotonic_ns`.

    Ports, VLANs, members and endpoints must be introduced before they are named; naming an unknown one raises
    `KeyError`. Introducing one twice raises `ValueError`.
    """

    def set_mode(self, *, hub: bool, fstp: bool, vlan_transparent: bool) -> None: ...

    def add_port(self, port: int, native_vlan: int) -> None:
        """`port` 0…65535. Counters start at zero. The port is a member of no VLAN until `set_member`."""

    def remove_port(self, port: int) -> None:
        """Also its memberships, addresses, mirror roles and counters. It must have no endpoint (`ValueError`)."""

    def set_native(self, port: int, native_vlan: int) -> None:
        """VLAN of untagged frames, or `NO_VLAN`. Does not touch memberships."""

    def add_vlan(self, vlan: int) -> None:
        """Define a VLAN, 0…4093."""

    def remove_vlan(self, vlan: int) -> None:
        """Also its members and addresses."""

    def set_member(self, vlan: int, port: int, *, tagged: bool, learning: bool, forwarding: bool) -> None:
        """Make `port` a member, or change how it is one."""

    def clear_member(self, vlan: int, port: int) -> None: ...

    def attach(self, port: int, endpoint: int, fd: int, kind: EndpointKind) -> None:
        """Own `fd` from now on: made non-blocking, polled, closed at `detach`."""

    def detach(self, endpoint: int) -> None:
        """Close the endpoint's descriptor; its queue is gone."""

    def set_queue(self, endpoint: int, frames: int) -> None:
        """Bound of one endpoint's queue."""

    def queue_length(self, endpoint: int) -> int:
        """Frames waiting now."""

    def transmit(self, port: int, frame: bytes) -> None:
        """Policy's own frame, to all endpoints of `port` as it is; counted, mirrored and watched like any other."""

    def set_aging(self, *, expire_ns: int, gc_interval_ns: int, min_persistence_ns: int) -> None: ...

    def set_table_limit(self, addresses: int) -> None:
        """Most addresses in the whole table; entries beyond a lowered limit stay until they expire."""

    def set_port_limits(self, port: int, *, addresses: int | None, storm_frames_per_s: int | None) -> None:
        """None: unlimited."""

    def set_mirror(self, destination: int, sources: Mapping[int, Direction]) -> None:
        """Replace the destination's sources; an empty mapping ends the mirror. A destination cannot be a source."""

    def lookup(self, mac: bytes, vlan: int) -> FdbEntry | None: ...

    def entries(self) -> list[FdbEntry]:
        """The whole table, in no order."""

    def flush_port(self, port: int, vlan: int | None = None) -> None:
        """Forget the addresses on a port (of one VLAN, or all)."""

    def flush_vlan(self, vlan: int) -> None: ...

    def flush(self) -> None: ...

    def statistics(self, port: int) -> PortStatistics: ...

    def reset_statistics(self, port: int) -> None: ...

    def watch(self, what: Watch) -> None: ...

    def events_lost(self) -> int:
        """Events dropped so far because policy did not keep up."""

    def poll(self, now_ns: int) -> Sequence[Event]:
        """Tests only, never while `run` runs: forward what is ready on all endpoints now, age, and return events."""

    async def run(
        self,
        on_events: Callable[[Sequence[Event]], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Forward until cancelled. `on_events` is called in the trio thread, in order.

        Resource handling: on return every endpoint's descriptor is closed.
        """
