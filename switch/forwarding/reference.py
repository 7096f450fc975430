"""The forwarding plane in readable Python, without descriptors: what both forwarders do with a frame.

`contract` numbers the rules; the numbers in the comments here are those. A frame goes in (`ingress`, or policy's own:
`egress`), deliveries (endpoint, octets) come out; what the kernel then does not take, the adapter reports
(`count_undelivered`). Events wait in a bounded queue until they are taken.

Sans-I/O: time is an argument. Read first: `switch.fdb`, `switch.vlan`.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from switch.fdb import LearningTable, Outcome
from switch.forwarding.storm import StormBucket
from switch.forwarding.terms import (
    COUNT_MAX,
    EVENT_OCTETS,
    NO_VLAN,
    PORT_MAX,
    VLAN_MAX,
    Bpdu,
    Direction,
    DropReason,
    EndpointFailed,
    Event,
    FdbEntry,
    Forgot,
    Learned,
    Limits,
    Packet,
    PortStatistics,
    Watch,
)
from switch.vlan import TAGGED_HEADER_OCTETS, Member, insert_tag, is_tagged, remove_tag, vid
from vde.frame import HEADER_OCTETS, TAG_OCTETS, is_group

SPANNING_TREE = bytes.fromhex("0180c2000000")  # IEEE 802.1Q-2018 table 8-1
NO_VLAN_SEEN = -1
TABLE_ADDRESSES = 1 << 17  # chosen: until `set_table_limit`

Delivery = tuple[int, bytes]
"""An endpoint and what to send to it."""


@dataclass(slots=True)
class _Port:
    native: int
    endpoints: list[int] = field(default_factory=list)
    is_mirror: bool = False
    """A mirror's destination?"""
    copies_in: list[int] = field(default_factory=list)
    """Destinations of copies of what it receives, in the order of their numbers."""
    copies_out: list[int] = field(default_factory=list)
    addresses_max: int | None = None
    storm: StormBucket | None = None
    in_frames: int = 0
    in_octets: int = 0
    out_frames: int = 0
    out_octets: int = 0
    not_learned: int = 0
    drops: dict[DropReason, int] = field(default_factory=dict)

    def drop(self, reason: DropReason) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1


class ReferencePlane:
    """Ports, VLANs, addresses, mirrors and limits; see the module's text and `contract.Forwarder`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._hub = self._fstp = self._transparent = False
        self._ports: dict[int, _Port] = {}
        self._vlans: dict[int, dict[int, Member]] = {}
        """VLAN → port → member, in the order of the ports' numbers."""
        self._port_of: dict[int, int] = {}
        """Endpoint → port."""
        self._mirrors: dict[int, dict[int, Direction]] = {}
        self._table = LearningTable(TABLE_ADDRESSES)
        self._gc_interval_ns = 2_000_000_000  # vde_switch's default
        self._collected_ns = 0
        self._watch = Watch.NOTHING
        self._events: deque[Event] = deque()
        self._event_octets = 0
        self._events_lost = 0

    # -- frames -------------------------------------------------------------------------------------------------------

    def ingress(self, endpoint: int, frame: bytes, now_ns: int) -> list[Delivery]:
        """A frame came in by `endpoint` (of an oversize one, at least one octet more than is allowed)."""
        number = self._port_of[endpoint]
        port = self._ports[number]
        tagged = is_tagged(frame)
        if len(frame) > self.limits.max_frame_octets:  # 1
            port.drop(DropReason.OVERSIZE)
            return []
        if len(frame) < (TAGGED_HEADER_OCTETS if tagged else HEADER_OCTETS):
            port.drop(DropReason.SHORT)
            return []
        port.in_frames += 1
        port.in_octets += len(frame)

        vlan: int | None = None
        if not self._hub and not port.is_mirror:
            if tagged and self._transparent and (vid(frame) == 0 or vid(frame) not in self._vlans):  # 4
                tagged = False
            vlan = self._classify(number, port, frame, tagged)
        self._observe(Direction.IN, number, vlan, frame, now_ns)
        out: list[Delivery] = []
        for destination in port.copies_in:  # 11
            self._give(destination, frame, None, now_ns, out)

        if port.is_mirror:  # 2
            port.drop(DropReason.MIRROR)
        elif self._hub:  # 3
            for other in sorted(self._ports):
                if other not in (0, number) and not self._ports[other].is_mirror:
                    self._give(other, frame, None, now_ns, out)
        elif vlan is None:  # 4
            port.drop(DropReason.VLAN)
        elif self._fstp and frame.startswith(SPANNING_TREE):  # 5
            self._report(Bpdu(number, vlan, frame))
        else:
            self._switch(number, port, vlan, frame, tagged, now_ns, out)
        return out

    def egress(self, number: int, frame: bytes, now_ns: int) -> list[Delivery]:
        """Policy's own frame for a port."""
        self._port(number)
        if not HEADER_OCTETS <= len(frame) <= self.limits.max_frame_octets + TAG_OCTETS:
            raise ValueError(f"frame of {len(frame)} octets: 14 to {self.limits.max_frame_octets + TAG_OCTETS} can go")
        out: list[Delivery] = []
        self._give(number, frame, None, now_ns, out)
        return out

    def count_undelivered(self, endpoint: int, reason: DropReason) -> None:
        """A delivery failed: `QUEUE_FULL` or `SEND_ERROR`; or `OVERLAY`, where it came in."""
        self._ports[self._port_of[endpoint]].drop(reason)

    def collect(self, now_ns: int) -> None:
        """Rule 12, if it is time."""
        if now_ns - self._collected_ns >= self._gc_interval_ns:
            self._collected_ns = now_ns
            self._report_forgotten(self._table.expire(now_ns))

    def next_collection_ns(self) -> int:
        """When `collect` next does something."""
        return self._collected_ns + self._gc_interval_ns

    def _classify(self, number: int, port: _Port, frame: bytes, tagged: bool) -> int | None:
        if tagged:
            vlan = vid(frame)
            return vlan if number in self._vlans.get(vlan, {}) else None
        return None if port.native == NO_VLAN else port.native

    def _switch(
        self, number: int, port: _Port, vlan: int, frame: bytes, tagged: bool, now_ns: int, out: list[Delivery]
    ) -> None:
        members = self._vlans.get(vlan, {})
        member = members.get(number)
        source, destination = frame[6:12], frame[0:6]
        key = vid(frame) if vlan == 0 and not tagged and is_tagged(frame) else vlan
        if member is not None and member.learning and not is_group(source):  # 6
            outcome = self._table.learn(source, key, number, port.addresses_max, now_ns)
            if outcome is Outcome.FULL:
                port.not_learned += 1
            elif outcome is Outcome.LEARNED and Watch.HASH in self._watch:
                self._report(Learned(source, key, number))
        if member is None or not member.forwarding:  # 7
            port.drop(DropReason.BLOCKED)
            return

        known = None if is_group(destination) else self._table.port_of(destination, key)  # 8
        if known == number:
            port.drop(DropReason.SAME_PORT)
        elif known is not None:
            to = members.get(known)
            if to is None or not to.forwarding or self._ports[known].is_mirror:
                port.drop(DropReason.BLOCKED)
            else:
                self._give(known, _as_member(to, vlan, frame, tagged), vlan, now_ns, out)
        elif port.storm is not None and not port.storm.take(now_ns):
            port.drop(DropReason.STORM)
        else:
            for other, to in members.items():
                if other != number and to.forwarding and not self._ports[other].is_mirror:
                    self._give(other, _as_member(to, vlan, frame, tagged), vlan, now_ns, out)

    def _give(self, number: int, frame: bytes, vlan: int | None, now_ns: int, out: list[Delivery]) -> None:
        port = self._ports[number]
        if not port.endpoints:  # 10
            return
        port.out_frames += 1
        port.out_octets += len(frame)
        self._observe(Direction.OUT, number, vlan, frame, now_ns)
        out.extend((endpoint, frame) for endpoint in port.endpoints)
        for destination in port.copies_out:  # 11; a destination is never a source: this ends
            self._give(destination, frame, None, now_ns, out)

    # -- events -------------------------------------------------------------------------------------------------------

    def take_events(self) -> list[Event]:
        """What has happened since the last time, in order."""
        events = list(self._events)
        self._events.clear()
        self._event_octets = 0
        return events

    def events_lost(self) -> int:
        """Events dropped so far because the queue was full."""
        return self._events_lost

    def fail_endpoint(self, endpoint: int, errno: int) -> None:
        """Reading it failed for good."""
        self._report(EndpointFailed(endpoint, errno))

    def _observe(self, direction: Direction, number: int, vlan: int | None, frame: bytes, now_ns: int) -> None:
        if Watch.PACKETS in self._watch:
            self._report(Packet(direction, number, NO_VLAN_SEEN if vlan is None else vlan, frame, now_ns))

    def _report_forgotten(self, entries: Iterable[FdbEntry]) -> None:
        if Watch.HASH in self._watch:
            for entry in entries:
                self._report(Forgot(entry.mac, entry.vlan, entry.port))

    def _report(self, event: Event) -> None:
        octets = len(event.frame) if isinstance(event, Bpdu | Packet) else 0
        room = self.limits.events
        if not isinstance(event, Bpdu):
            room -= self.limits.events // 8
        if isinstance(event, EndpointFailed) or (
            len(self._events) < room and self._event_octets + octets <= EVENT_OCTETS
        ):
            self._events.append(event)
            self._event_octets += octets
        else:
            self._events_lost += 1

    # -- configuration ------------------------------------------------------------------------------------------------

    def set_mode(self, *, hub: bool, fstp: bool, vlan_transparent: bool) -> None:
        """As `Forwarder.set_mode`."""
        self._hub, self._fstp, self._transparent = hub, fstp, vlan_transparent

    def add_port(self, port: int, native_vlan: int) -> None:
        """As `Forwarder.add_port`."""
        _check_range("port", port, PORT_MAX)
        if port in self._ports:
            raise ValueError(f"port {port} exists")
        self._check_native(native_vlan)
        self._ports[port] = _Port(native_vlan)

    def remove_port(self, port: int) -> None:
        """As `Forwarder.remove_port`."""
        if self._port(port).endpoints:
            raise ValueError(f"port {port} has endpoints")
        for members in self._vlans.values():
            members.pop(port, None)
        self._mirrors.pop(port, None)
        for destination in list(self._mirrors):
            if self._mirrors[destination].pop(port, None) is not None and not self._mirrors[destination]:
                del self._mirrors[destination]
        del self._ports[port]
        self._apply_mirrors()
        self._report_forgotten(self._table.forget_port(port))

    def set_native(self, port: int, native_vlan: int) -> None:
        """As `Forwarder.set_native`."""
        self._port(port)
        self._check_native(native_vlan)
        self._port(port).native = native_vlan

    def add_vlan(self, vlan: int) -> None:
        """As `Forwarder.add_vlan`."""
        _check_range("VLAN", vlan, VLAN_MAX)
        if vlan in self._vlans:
            raise ValueError(f"VLAN {vlan} exists")
        self._vlans[vlan] = {}
        self._forget_vlan(vlan)  # learned while its tag was payload

    def remove_vlan(self, vlan: int) -> None:
        """As `Forwarder.remove_vlan`."""
        self._members(vlan)
        self._forget_vlan(vlan)
        del self._vlans[vlan]

    def set_member(self, vlan: int, port: int, *, tagged: bool, learning: bool, forwarding: bool) -> None:
        """As `Forwarder.set_member`."""
        members = dict(self._members(vlan))
        self._port(port)
        members[port] = Member(tagged, learning, forwarding)
        self._vlans[vlan] = dict(sorted(members.items()))

    def clear_member(self, vlan: int, port: int) -> None:
        """As `Forwarder.clear_member`."""
        members = self._members(vlan)
        self._port(port)
        if port not in members:
            raise KeyError(f"port {port} is no member of VLAN {vlan}")
        del members[port]

    def add_endpoint(self, port: int, endpoint: int) -> None:
        """A port has one more endpoint."""
        _check_range("endpoint", endpoint, COUNT_MAX)
        at = self._port(port)
        if endpoint in self._port_of:
            raise ValueError(f"endpoint {endpoint} exists")
        self._port_of[endpoint] = port
        at.endpoints.append(endpoint)

    def remove_endpoint(self, endpoint: int) -> None:
        """It is gone."""
        self._ports[self._port_of.pop(endpoint)].endpoints.remove(endpoint)

    def set_aging(self, *, expire_ns: int, gc_interval_ns: int, min_persistence_ns: int) -> None:
        """As `Forwarder.set_aging`."""
        for name, value_ns in (("expire", expire_ns), ("gc", gc_interval_ns), ("min_persistence", min_persistence_ns)):
            _check_range(f"{name}_ns", value_ns, (1 << 63) - 1)
        self._table.expire_ns = expire_ns
        self._table.min_persistence_ns = min_persistence_ns
        self._gc_interval_ns = gc_interval_ns

    def set_table_limit(self, addresses: int) -> None:
        """As `Forwarder.set_table_limit`."""
        _check_range("table limit", addresses, COUNT_MAX)
        self._table.addresses_max = addresses

    def set_port_limits(self, port: int, *, addresses: int | None, storm_frames_per_s: int | None) -> None:
        """As `Forwarder.set_port_limits`."""
        at = self._port(port)
        for name, limit in (("address limit", addresses), ("storm limit", storm_frames_per_s)):
            if limit is not None:
                _check_range(name, limit, COUNT_MAX)
        at.addresses_max = addresses
        at.storm = None if storm_frames_per_s is None else StormBucket(storm_frames_per_s)

    def set_mirror(self, destination: int, sources: Mapping[int, Direction]) -> None:
        """As `Forwarder.set_mirror`."""
        for port in (destination, *sources):
            self._port(port)
        others = {d: s for d, s in self._mirrors.items() if d != destination}
        for source in sources:
            if source == destination or source in others:
                raise ValueError(f"port {source} is a mirror's destination: it cannot be a source")
        if sources and any(destination in s for s in others.values()):
            raise ValueError(f"port {destination} is a mirror's source: it cannot be a destination")
        if sources:
            others[destination] = dict(sources)
        self._mirrors = others
        self._apply_mirrors()

    def lookup(self, mac: bytes, vlan: int) -> FdbEntry | None:
        """As `Forwarder.lookup`."""
        if len(mac) != 6:
            raise ValueError(f"address of {len(mac)} octets: 6 were expected")
        return self._table.lookup(mac, vlan)

    def entries(self) -> list[FdbEntry]:
        """As `Forwarder.entries`."""
        return list(self._table)

    def flush_port(self, port: int, vlan: int | None = None) -> None:
        """As `Forwarder.flush_port`."""
        self._port(port)
        if vlan is not None:
            self._members(vlan)
        self._report_forgotten(self._table.forget_port(port, lambda key: vlan is None or self._is_keyed_by(vlan, key)))

    def flush_vlan(self, vlan: int) -> None:
        """As `Forwarder.flush_vlan`."""
        self._members(vlan)
        self._forget_vlan(vlan)

    def _forget_vlan(self, vlan: int) -> None:
        self._report_forgotten(self._table.forget_vlans(lambda key: self._is_keyed_by(vlan, key)))

    def _is_keyed_by(self, vlan: int, key: int) -> bool:
        """Is `key` what the table has for addresses of the VLAN (rule 6)?"""
        return key == vlan or (vlan == 0 and key not in self._vlans)

    def flush(self) -> None:
        """As `Forwarder.flush`."""
        self._report_forgotten(self._table.forget_all())

    def statistics(self, port: int) -> PortStatistics:
        """As `Forwarder.statistics`."""
        at = self._port(port)
        return PortStatistics(
            at.in_frames, at.in_octets, at.out_frames, at.out_octets, at.not_learned, dict(sorted(at.drops.items()))
        )

    def reset_statistics(self, port: int) -> None:
        """As `Forwarder.reset_statistics`."""
        at = self._port(port)
        at.in_frames = at.in_octets = at.out_frames = at.out_octets = at.not_learned = 0
        at.drops.clear()

    def watch(self, what: Watch) -> None:
        """As `Forwarder.watch`."""
        self._watch = what

    def _port(self, port: int) -> _Port:
        try:
            return self._ports[port]
        except KeyError:
            raise KeyError(f"port {port} does not exist") from None

    def _members(self, vlan: int) -> dict[int, Member]:
        try:
            return self._vlans[vlan]
        except KeyError:
            raise KeyError(f"VLAN {vlan} does not exist") from None

    def _check_native(self, vlan: int) -> None:
        if vlan != NO_VLAN:
            self._members(vlan)

    def _apply_mirrors(self) -> None:
        for number, port in self._ports.items():
            port.is_mirror = number in self._mirrors
            port.copies_in = [
                d for d, s in sorted(self._mirrors.items()) if Direction.IN in s.get(number, Direction(0))
            ]
            port.copies_out = [
                d for d, s in sorted(self._mirrors.items()) if Direction.OUT in s.get(number, Direction(0))
            ]


def _as_member(to: Member, vlan: int, frame: bytes, tagged: bool) -> bytes:
    """Rule 9: a frame of `vlan`, with its tag or without, as it leaves by `to`."""
    if to.tagged == tagged:
        return frame
    return insert_tag(frame, vlan) if to.tagged else remove_tag(frame)


def _check_range(what: str, value: int, maximum: int) -> None:
    if not 0 <= value <= maximum:
        raise ValueError(f"{what} {value}: 0 to {maximum} are possible")
