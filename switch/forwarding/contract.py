"""What a forwarder is: the part of the switch that touches every frame.

There are two, and they do the same: `reference.ReferencePlane` behind `python.PythonForwarder` (readable, trio) and
`native.NativeForwarder` (Rust, a thread of its own that never holds the GIL). The switch's policy (`switch.core`)
configures one through this contract and hears of the rest through events.

Rules of forwarding (reference/behaviour: vde_switch 2.3.2, IEEE 802.1Q-2018 §8):

 1. A frame shorter than 14 octets (tagged: 18) is dropped (`SHORT`); one longer than `max_frame_octets` as `OVERSIZE`,
    never truncated. All others count as received.
 2. A mirror's destination takes part in nothing else: its frames are dropped (`MIRROR`), and it is sent copies and
    policy's own frames only.
 3. Hub mode: the frame goes, unchanged, to every other port ≥ 1; rules 4 to 9 are skipped.
 4. VLAN: tagged (TPID 0x8100) → its VID, if the port is a member of it (native included), else dropped (`VLAN`);
    untagged → the port's native VLAN, dropped (`VLAN`) if that is `NO_VLAN`. With `vlan_transparent`, a tag whose VID
    is 0 or names no defined VLAN is payload: the frame counts as untagged, tag and all.
    Only a first tag is looked at; 0x88A8 is payload.
 5. With FSTP on, a frame to 01:80:c2:00:00:00 is handed up as a `Bpdu` event and goes no further.
 6. The source is learned where the (VLAN, port) state allows learning, keyed by (address, VLAN), unless it is a group
    address. In VLAN 0, a tag that is payload by rule 4 stands for the VLAN in the key, so that undefined VLANs are kept
    apart; flushing VLAN 0 flushes them as well, and defining one forgets what was learned of it. Known on another port:
    moved only if unheard of for longer than `min_persistence_ns`; otherwise the entry stays as it is. An address beyond
    the table's or (new or moved) the port's limit is not learned (`not_learned`).
 7. A port that is not forwarding in the VLAN, or no member of it, drops the frame (`BLOCKED`).
 8. Known unicast goes to its port: dropped if that is the ingress port (`SAME_PORT`) or not a forwarding member
    (`BLOCKED`). Group and unknown addresses flood to the VLAN's other forwarding members, in the order of their
    numbers, if the ingress port's storm limit allows (token bucket, one second deep; else `STORM`).
 9. Egress: tagged or not, as the egress port is a member. A tag is inserted with PCP 0; tag to tag keeps the
    TCI; tag to untagged removes 4 octets. The result may exceed `max_frame_octets` by a tag.
10. Every endpoint of an egress port gets the frame; other endpoints of the ingress port do not, and a port without an
    endpoint counts nothing. Sending never blocks: what the kernel does not take waits in the endpoint's bounded queue
    (its own, in order); what that does not hold is dropped (`QUEUE_FULL`), as is a frame that the kernel refuses
    (`SEND_ERROR`).
11. A mirror copies a source port's frames as received (dropped ones too, if rule 1 passed) and/or as sent to the
    destination port, whatever its VLAN. A port may be the source of several mirrors.
12. An entry not refreshed for more than `expire_ns` is forgotten at a garbage collection, every `gc_interval_ns`.
13. A tap with offloads (`TAP_VNET`) may hand over a frame whose checksum is not complete, or up to 64 KiB of TCP or UDP
    that are still to be cut into segments. A forwarder may ask for such frames, or not. Between two such taps they pass
    as they are; any other endpoint, a mirror and an event get complete, ordinary frames. One counts as one frame, with
    the octets that it has; rule 1 is applied to the longest segment that it would become. What its header says is
    checked; impossible is dropped (`OFFLOAD`).
14. An endpoint may be a VXLAN network (`OVERLAY`, `vde.overlay`): a datagram that is none of it is dropped
    (`OVERLAY`). It has no queue but its socket's; every copy for a remote that does not leave counts as one frame.

Turns: a round serves every ready endpoint once, in the order of their numbers: first its queue, then its frames. They
are at most `FRAMES_PER_TURN` (fewer if those of its last turn made more than `DELIVERIES_PER_TURN`); and only one, for
the sake of its latency, if its last turn brought no more and it was not ready in the round before. An endpoint whose
last `LONE_TURNS` turns were such ones sends single frames: for `LONE_ROUNDS` rounds the others' turns are at most
`FRAMES_PER_SHORT_TURN`, so that it need not wait for long ones. Rings are always emptied up to `FRAMES_PER_TURN`: that
takes as long as some frames of a socket.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import trio

from switch.forwarding.terms import (
    NO_VLAN,
    Bpdu,
    Direction,
    DropReason,
    EndpointFailed,
    EndpointKind,
    Event,
    FdbEntry,
    Forgot,
    Learned,
    Limits,
    Packet,
    PortStatistics,
    Watch,
)
from vde.endpoint import OverlayTerms

__all__ = [
    "NO_VLAN",
    "Bpdu",
    "Direction",
    "DropReason",
    "EndpointFailed",
    "EndpointKind",
    "Event",
    "FdbEntry",
    "Forgot",
    "Forwarder",
    "Learned",
    "Limits",
    "Packet",
    "PortStatistics",
    "Watch",
]


class Forwarder(Protocol):
    """The contract. Methods are synchronous, quick, called from the trio thread; times are `vde.clock.monotonic_ns`.

    Ports, VLANs, members and endpoints must be introduced before they are named; naming an unknown one raises
    `KeyError`. Introducing one twice, or a number out of range, raises `ValueError`. After either nothing has changed.
    """

    def set_mode(self, *, hub: bool, fstp: bool, vlan_transparent: bool) -> None:
        """All three are off at first."""

    def add_port(self, port: int, native_vlan: int) -> None:
        """`port` 0…65535. Counters start at zero. The port is a member of no VLAN until `set_member`."""

    def remove_port(self, port: int) -> None:
        """Also its memberships, addresses, mirror roles and counters. It must have no endpoint (`ValueError`)."""

    def set_native(self, port: int, native_vlan: int) -> None:
        """VLAN of untagged frames, or `NO_VLAN`. Does not touch memberships."""

    def add_vlan(self, vlan: int) -> None:
        """Define a VLAN, 0…4093."""

    def remove_vlan(self, vlan: int) -> None:
        """Also its members and addresses. Where it is native, untagged frames are `BLOCKED` from now on."""

    def set_member(self, vlan: int, port: int, *, tagged: bool, learning: bool, forwarding: bool) -> None:
        """Make `port` a member, or change how it is one. `tagged`: how its frames leave."""

    def clear_member(self, vlan: int, port: int) -> None:
        """End a membership. Does not touch addresses."""

    def attach(
        self,
        port: int,
        endpoint: int,
        fd: int,
        kind: EndpointKind,
        others: Sequence[int] = (),
        overlay: OverlayTerms | None = None,
    ) -> None:
        """Own `fd` from now on: made non-blocking, polled, closed at `detach`; and `others`, as `kind` says.

        `endpoint` 0…2^31-1; `overlay` goes with an `OVERLAY`.

        Raises:
            KeyError, ValueError, OSError: it stays the caller's.
        """

    def detach(self, endpoint: int) -> None:
        """Close the endpoint's descriptor; its queue is gone.

        What a socket still holds that its client had sent before it left is forwarded first, `FRAMES_AT_DETACH` frames
        at most.
        """

    def set_queue(self, endpoint: int, frames: int) -> None:
        """Bound of one endpoint's queue, 0…2^31-1. What waits beyond a lowered bound still leaves."""

    def queue_length(self, endpoint: int) -> int:
        """Frames waiting now."""

    def transmit(self, port: int, frame: bytes) -> None:
        """Policy's own frame, to all endpoints of `port` as it is; counted, mirrored and watched like any other.

        14 octets to a tag more than `max_frame_octets`.
        """

    def set_aging(self, *, expire_ns: int, gc_interval_ns: int, min_persistence_ns: int) -> None:
        """Rules 12 and 6. At first 100, 2 and 3 s, as in vde_switch."""

    def set_table_limit(self, addresses: int) -> None:
        """Most addresses in the whole table; entries beyond a lowered limit stay until they expire."""

    def set_port_limits(self, port: int, *, addresses: int | None, storm_frames_per_s: int | None) -> None:
        """None: unlimited. 0…2^31-1. The storm limit's bucket is full again."""

    def set_mirror(self, destination: int, sources: Mapping[int, Direction]) -> None:
        """Replace the destination's sources; an empty mapping ends the mirror.

        A destination cannot be a source, of its own mirror or another (`ValueError`).
        """

    def lookup(self, mac: bytes, vlan: int) -> FdbEntry | None:
        """The entry of an address; None too if the VLAN is not defined."""

    def entries(self) -> list[FdbEntry]:
        """The whole table, in no order."""

    def flush_port(self, port: int, vlan: int | None = None) -> None:
        """Forget the addresses on a port (of one VLAN, or all)."""

    def flush_vlan(self, vlan: int) -> None:
        """Forget the addresses of a VLAN."""

    def flush(self) -> None:
        """Forget all addresses."""

    def statistics(self, port: int) -> PortStatistics:
        """The port's counters now."""

    def reset_statistics(self, port: int) -> None:
        """All of the port's counters to zero."""

    def watch(self, what: Watch) -> None:
        """From now on make these events. At first: `Watch.NOTHING`."""

    def events_lost(self) -> int:
        """Events dropped so far because policy did not keep up. Never an `EndpointFailed`."""

    def poll(self, now_ns: int) -> Sequence[Event]:
        """Tests only, never while `run` runs: age, forward what is ready on all endpoints now, and return events.

        At most `ROUNDS_PER_POLL` rounds, so that a loop of cables ends.
        """

    def close(self) -> None:
        """Close every endpoint's descriptor, and be used no more. `run` does so itself; a second time does nothing."""

    async def run(
        self,
        on_events: Callable[[Sequence[Event]], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Forward until cancelled. `on_events` is called in the trio thread, in order.

        Resource handling: on return every endpoint's descriptor is closed.
        """
