"""The switch itself: ports, VLANs, spanning tree and limits, over a forwarder that moves the frames.

What the console, the control socket and the daemon act on. It owns the configuration (who may use which port, which
VLAN has which members) and keeps the forwarder equal to it; it never sees an ordinary frame. Requests that the state
forbids raise `Refused` with the errno that a VDE console answers.

Sans-I/O but for the forwarder it is given: time is an argument, events go to the `EventBus`, frames of the spanning
tree leave through `Forwarder.transmit`.

Differences to vde_switch 2.3.2, each on purpose (docs/compatibility.md): ports are 1…N plus port 0 (2.3.3's rule);
plugging a cable flushes that port's addresses only, not the table of its VLANs; users are known by SO_PEERCRED.
"""

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from switch.access import is_member
from switch.events import SWITCH_CATEGORIES, EventBus
from switch.forwarding.contract import (
    NO_VLAN,
    Bpdu,
    Direction,
    EndpointFailed,
    Event,
    Forgot,
    Forwarder,
    Learned,
    Packet,
    Watch,
)
from switch.fstp import Fstp, PortActive, PortInactive, RootChanged, StateChanged, TopologyChanged
from switch.ports import MANAGEMENT_PORT, Endpoint, Port, PortTable
from vde.endpoint import OverlayTerms
from vde.errors import Refused
from vde.frame import format_mac

SECOND_NS = 1_000_000_000
VLAN_MAX = 4093  # vde_switch: 4094 and 4095 are reserved
TABLE_LIMIT = 1 << 20  # addresses; chosen: some 100 MiB at most
QUEUE_FRAMES_MAX = 1 << 16  # chosen
HASH_SIZE_MAX = 1 << 24  # chosen; the size only shows in `hash/print`


@dataclass(slots=True)
class Aging:
    """Learning-table times, in seconds: vde_switch's defaults."""

    gc_interval_s: int = 2
    expire_s: int = 100
    min_persistence_s: int = 3


@dataclass(slots=True)
class Settings:
    """What the command line chose and the console may change."""

    mac: bytes
    priority: int = 0x8000
    num_ports: int = 32
    hub: bool = False
    fstp: bool = False
    vlan_transparent: bool = False
    hash_size: int = 128
    queue_frames: int = 128
    table_limit: int = TABLE_LIMIT
    aging: Aging = field(default_factory=Aging)


PacketHook = Callable[[Packet], None]


class Switch:
    """See the module's text. All times are `vde.clock.monotonic_ns`."""

    def __init__(self, forwarder: Forwarder, settings: Settings, now_ns: int) -> None:
        self.forwarder = forwarder
        self.settings = settings
        self.started_ns = now_ns
        self.ports = PortTable(settings.num_ports)
        self.vlans: dict[int, dict[int, bool]] = {}
        """VLAN → port → tagged?; the members, whether their ports are active or not."""
        self.mirrors: dict[int, dict[int, Direction]] = {}
        """Destination → source → direction."""
        self.endpoints: dict[int, Endpoint] = {}
        self.events = EventBus()
        self.events.define(*SWITCH_CATEGORIES)
        self.events.on_interest = self._update_watch
        self.fstp = Fstp(settings.mac, settings.priority)
        self.on_deadline_changed: Callable[[], None] = lambda: None
        """Called when `next_deadline` may have come nearer: the adapter looks again."""
        self._packet_hooks: list[PacketHook] = []
        forwarder.set_table_limit(settings.table_limit)
        self._apply_aging()
        self.create_vlan(0, now_ns)
        if settings.hub:
            settings.fstp = False
        if settings.fstp:
            self.fstp.enable(now_ns)
        self._apply_mode()

    # -- the whole switch ---------------------------------------------------------------------------------------------

    def uptime_s(self, now_ns: int) -> int:
        """Whole seconds since the start."""
        return (now_ns - self.started_ns) // SECOND_NS

    def set_hub(self, hub: bool, now_ns: int) -> None:
        """A hub has no spanning tree: switching to hub mode stops it."""
        self.settings.hub = hub
        if hub:
            self.set_fstp(False, now_ns)
        self._apply_mode()

    def set_fstp(self, on: bool, now_ns: int) -> bool:
        """Start or stop the spanning tree. False: not possible, the switch is a hub."""
        if on and self.settings.hub:
            return False
        if on != self.fstp.enabled:
            (self.fstp.enable if on else self.fstp.disable)(now_ns)
            self.settings.fstp = on
            self._apply_mode()
            for vlan, members in self.vlans.items():
                for port in members:
                    self._apply_member(vlan, port)
            self._carry_out_fstp()
        return True

    def set_vlan_transparent(self, transparent: bool) -> None:
        """May tags of undefined VLANs pass untouched?"""
        self.settings.vlan_transparent = transparent
        self._apply_mode()

    def set_aging(
        self, *, gc_interval_s: int | None = None, expire_s: int | None = None, min_persistence_s: int | None = None
    ) -> None:
        """Learning-table times; None leaves one as it is. Raises `Refused` (EINVAL) unless 0 ≤ each ≤ 2^31 - 1."""
        aging = self.settings.aging
        for name, seconds in (
            ("gc_interval_s", gc_interval_s),
            ("expire_s", expire_s),
            ("min_persistence_s", min_persistence_s),
        ):
            if seconds is None:
                continue
            if not 0 <= seconds < 1 << 31:
                raise Refused(errno.EINVAL, f"{name} {seconds}: 0 to {(1 << 31) - 1} seconds are possible")
            setattr(aging, name, seconds)
        self._apply_aging()

    def set_hash_size(self, size: int) -> None:
        """Rounded up to a power of two; flushes the table, as the original does. Raises `Refused` (EINVAL)."""
        if not 1 <= size <= HASH_SIZE_MAX:
            raise Refused(errno.EINVAL, f"hash size {size}: 1 to {HASH_SIZE_MAX} are possible")
        self.settings.hash_size = 1 << (size - 1).bit_length()
        self.forwarder.flush()

    def set_table_limit(self, addresses: int) -> None:
        """Most addresses that are learned. Raises `Refused` (EINVAL) unless 1 ≤ addresses ≤ `TABLE_LIMIT`."""
        if not 1 <= addresses <= TABLE_LIMIT:
            raise Refused(errno.EINVAL, f"{addresses} addresses: 1 to {TABLE_LIMIT} are possible")
        self.settings.table_limit = addresses
        self.forwarder.set_table_limit(addresses)

    # -- ports --------------------------------------------------------------------------------------------------------

    def create_port(self, number: int, now_ns: int, *, allocatable: bool = False) -> Port:
        """A new, inactive port in VLAN 0. Raises `Refused`: EINVAL, EEXIST."""
        port = Port(number, allocatable=allocatable)
        self.ports.add(port)
        self.forwarder.add_port(number, port.native_vlan)
        self.events.emit("port/+", f"{number:02d}")
        self._join(port.native_vlan, number, tagged=False, now_ns=now_ns)
        return port

    def create_port_automatically(self, now_ns: int) -> Port:
        """`port/createauto`. Raises `Refused`: ENOSPC."""
        return self.create_port(self.ports.first_undefined(), now_ns)

    def remove_port(self, number: int, now_ns: int) -> None:
        """Raises `Refused`: EINVAL, ENXIO, EADDRINUSE if it is active."""
        self.ports.check_removable(number)
        for vlan, members in self.vlans.items():
            if number in members:
                self._leave(vlan, number, now_ns)
        for destination in [d for d, sources in self.mirrors.items() if number in (d, *sources)]:
            sources = {} if destination == number else self.mirrors[destination]
            self.set_mirror(destination, {s: way for s, way in sources.items() if s != number})
        self.ports.remove(number)
        self.forwarder.remove_port(number)

    def set_native_vlan(self, number: int, vlan: int, now_ns: int) -> None:
        """`port/setvlan`; `NO_VLAN`: no untagged traffic. Raises `Refused`: EINVAL, ENXIO."""
        if not 0 <= vlan <= NO_VLAN:
            raise Refused(errno.EINVAL, f"VLAN {vlan}: 0 to {VLAN_MAX}, or {NO_VLAN} for none, are possible")
        port = self.ports.get(number)
        if vlan != NO_VLAN and vlan not in self.vlans:
            raise Refused(errno.ENXIO, f"VLAN {vlan} does not exist: create it first")
        if port.native_vlan != NO_VLAN and port.native_vlan != vlan:
            self._leave(port.native_vlan, number, now_ns)
        port.native_vlan = vlan
        self.forwarder.set_native(number, vlan)
        if vlan != NO_VLAN:
            self._join(vlan, number, tagged=False, now_ns=now_ns)
        self.forwarder.flush_port(number)

    def set_port_limits(self, number: int, *, addresses: int | None, storm_frames_per_s: int | None) -> None:
        """Bounds on what one port may cost the others; None: none. Raises `Refused`: EINVAL, ENXIO."""
        port = self.ports.get(number)
        for limit in (addresses, storm_frames_per_s):
            if limit is not None and not 0 <= limit < 1 << 31:
                raise Refused(errno.EINVAL, f"limit {limit}: 0 to {(1 << 31) - 1} are possible")
        port.address_limit, port.storm_limit = addresses, storm_frames_per_s
        self.forwarder.set_port_limits(number, addresses=addresses, storm_frames_per_s=storm_frames_per_s)

    def set_mirror(self, destination: int, sources: Mapping[int, Direction]) -> None:
        """Copy the sources' frames to `destination`, which then carries nothing else; empty: end it.

        Raises:
            Refused: EINVAL (a port mirrors itself, or a destination is a source), ENXIO.
        """
        self.ports.get(destination)
        for source in sources:
            self.ports.get(source)
            if source == destination or source in self.mirrors:
                raise Refused(errno.EINVAL, f"port {source} is a mirror's destination: it cannot be a source")
        if sources and any(destination in others for d, others in self.mirrors.items() if d != destination):
            raise Refused(errno.EINVAL, f"port {destination} is a mirror's source: it cannot be a destination")
        self.forwarder.set_mirror(destination, sources)
        if sources:
            self.mirrors[destination] = dict(sources)
        else:
            self.mirrors.pop(destination, None)

    # -- endpoints ----------------------------------------------------------------------------------------------------

    def choose_port(self, wanted: int, *, management: bool) -> int:
        """Which port a new endpoint gets. Raises `Refused`: EINVAL out of range, ENOSPC all taken."""
        if management:
            return MANAGEMENT_PORT
        if wanted == 0:
            return self.ports.first_free()
        self.ports.check_range(wanted)
        return wanted

    def check_access(self, number: int, uid: int | None) -> None:
        """May `uid` use the port? Raises `Refused`: EACCES, EINVAL."""
        self.ports.check_range(number)
        if number in self.ports:
            self.ports.get(number).check_access(uid, is_member)

    def plug_in(
        self, endpoint: Endpoint, fd: int, now_ns: int, others: Sequence[int] = (), overlay: OverlayTerms | None = None
    ) -> None:
        """Attach an endpoint to its port, which is created if need be. The forwarder owns `fd`, and `others` that
        go with it (`vde.endpoint`), from now on.

        Raises:
            Refused: EACCES, EINVAL; `fd` is still the caller's then.
        """
        number = endpoint.port
        self.check_access(number, endpoint.uid)
        port = self.ports.get(number) if number in self.ports else self.create_port(number, now_ns, allocatable=True)
        self.forwarder.attach(number, endpoint.id, fd, endpoint.kind, others, overlay)
        endpoint.queue_frames = self.settings.queue_frames
        self.forwarder.set_queue(endpoint.id, endpoint.queue_frames)
        self.endpoints[endpoint.id] = endpoint
        port.endpoints.insert(0, endpoint)
        if len(port.endpoints) == 1:
            for vlan, members in self.vlans.items():
                if number in members:
                    self.fstp.port_up(vlan, number, tagged=members[number], now_ns=now_ns)
                    self._apply_member(vlan, number)
        self.events.emit("port/ep/+", f"Port {number:02d} FD {endpoint.id:2d}")
        self.describe(endpoint, endpoint.description)
        self._carry_out_fstp()

    def describe(self, endpoint: Endpoint, text: str) -> None:
        """Set an endpoint's description."""
        endpoint.description = text
        self.events.emit("port/descr", f'Port {endpoint.port:02d} FD {endpoint.id:2d} -> "{text}"')

    def pull_out(self, endpoint_id: int, now_ns: int) -> None:
        """Detach an endpoint, from either side; nothing happens if it is gone already."""
        endpoint = self.endpoints.pop(endpoint_id, None)
        if endpoint is None:
            return
        self.forwarder.detach(endpoint_id)
        port = self.ports.get(endpoint.port)
        port.endpoints.remove(endpoint)
        self.events.emit("port/ep/-", f"Port {port.number:02d} FD {endpoint_id:2d}")
        if not port.active:
            for vlan, members in self.vlans.items():
                if port.number in members:
                    self.fstp.port_down(vlan, port.number, now_ns)
            self.forwarder.flush_port(port.number)
            self.events.emit("port/-", f"{port.number:02d}")
        self._carry_out_fstp()
        endpoint.close()

    def close_endpoint(self, number: int, endpoint_id: int, now_ns: int) -> None:
        """`port/epclose`. Raises `Refused`: EINVAL, ENXIO."""
        self.pull_out(self._endpoint(number, endpoint_id).id, now_ns)

    def set_default_queue(self, frames: int) -> None:
        """Bound of the queues of endpoints to come. Raises `Refused` (EINVAL)."""
        _check_queue(frames)
        self.settings.queue_frames = frames

    def set_endpoint_queue(self, number: int, endpoint_id: int, frames: int) -> None:
        """Bound of one endpoint's queue. Raises `Refused`: EINVAL, ENXIO."""
        _check_queue(frames)
        endpoint = self._endpoint(number, endpoint_id)
        self.forwarder.set_queue(endpoint_id, frames)
        endpoint.queue_frames = frames

    def _endpoint(self, number: int, endpoint_id: int) -> Endpoint:
        for endpoint in self.ports.get(number).endpoints:
            if endpoint.id == endpoint_id:
                return endpoint
        raise Refused(errno.ENXIO, f"port {number} has no endpoint {endpoint_id}")

    # -- VLANs --------------------------------------------------------------------------------------------------------

    def members(self, vlan: int) -> dict[int, bool]:
        """Port → tagged?, of a defined VLAN. Raises `Refused`: EINVAL out of range, ENXIO not defined."""
        if not 0 <= vlan <= VLAN_MAX:
            raise Refused(errno.EINVAL, f"VLAN {vlan}: 0 to {VLAN_MAX} are possible")
        try:
            return self.vlans[vlan]
        except KeyError:
            raise Refused(errno.ENXIO, f"VLAN {vlan} does not exist: create it first") from None

    def create_vlan(self, vlan: int, now_ns: int) -> None:
        """Raises `Refused`: EINVAL, EEXIST."""
        if not 0 <= vlan <= VLAN_MAX:
            raise Refused(errno.EINVAL, f"VLAN {vlan}: 1 to {VLAN_MAX} are possible")
        if vlan in self.vlans:
            raise Refused(errno.EEXIST, f"VLAN {vlan} exists")
        self.vlans[vlan] = {}
        self.forwarder.add_vlan(vlan)
        self.fstp.add_vlan(vlan, now_ns)
        self._carry_out_fstp()

    def remove_vlan(self, vlan: int) -> None:
        """Raises `Refused`: EINVAL, ENXIO, EADDRINUSE while a port, even an inactive one, is a member."""
        if self.members(vlan):
            raise Refused(errno.EADDRINUSE, f"VLAN {vlan} has members: remove them first")
        if vlan == 0:
            raise Refused(errno.EINVAL, "VLAN 0 is always there")
        del self.vlans[vlan]
        self.fstp.remove_vlan(vlan)
        self.forwarder.remove_vlan(vlan)

    def add_tagged(self, vlan: int, number: int, now_ns: int) -> None:
        """`vlan/addport`; nothing happens if the VLAN is the port's native one. Raises `Refused`: EINVAL, ENXIO."""
        self.ports.check_range(number)
        members = self.members(vlan)
        if self.ports.get(number).native_vlan == vlan or number in members:
            return
        self._join(vlan, number, tagged=True, now_ns=now_ns)

    def remove_tagged(self, vlan: int, number: int, now_ns: int) -> None:
        """`vlan/delport`; nothing happens if the port is no member. Raises `Refused`: EINVAL, ENXIO, EADDRINUSE if the
        VLAN is the port's native one.
        """
        self.ports.check_range(number)
        members = self.members(vlan)
        if self.ports.get(number).native_vlan == vlan:
            raise Refused(errno.EADDRINUSE, f"VLAN {vlan} is port {number}'s native one: port/setvlan changes it")
        if number in members:
            self._leave(vlan, number, now_ns)
            self.forwarder.flush_port(number)

    def state(self, vlan: int, number: int) -> tuple[bool, bool]:
        """(learning, forwarding) of a member. An inactive port only learns, as the original prints it."""
        if not self.ports.get(number).active:
            return True, False
        return self.fstp.port_state(vlan, number)

    # -- spanning tree ------------------------------------------------------------------------------------------------

    def set_edge(self, vlan: int, number: int, edge: bool, now_ns: int) -> None:
        """`fstp/setedge`; the port need not exist. Raises `Refused`: EINVAL, ENXIO (the VLAN)."""
        self.ports.check_range(number)
        self.members(vlan)
        self.fstp.set_edge(vlan, number, edge, now_ns)
        self._carry_out_fstp()

    def set_bonus(self, vlan: int, number: int, cost: int, now_ns: int) -> None:
        """`fstp/bonus`; the port need not exist. Raises `Refused`: EINVAL, ENXIO (the VLAN)."""
        self.ports.check_range(number)
        self.members(vlan)
        self.fstp.set_bonus(vlan, number, cost, now_ns)
        self._carry_out_fstp()

    def next_deadline(self) -> int | None:
        """When `handle_timer` wants to be called, in nanoseconds."""
        return self.fstp.next_deadline()

    def handle_timer(self, now_ns: int) -> None:
        """The deadline has come."""
        self.fstp.handle_timer(now_ns)
        self._carry_out_fstp()

    # -- what the forwarder reports -----------------------------------------------------------------------------------

    def handle_events(self, events: Sequence[Event], now_ns: int) -> None:
        """What `Forwarder.run` delivers."""
        for event in events:
            match event:
                case Packet():
                    for hook in tuple(self._packet_hooks):
                        hook(event)
                case Learned(mac, vlan, port):
                    self.events.emit("hash/+", f"{format_mac(mac)} VLAN {_swapped(vlan)} Port {port}")
                case Forgot(mac, vlan, port):
                    self.events.emit("hash/-", f"{format_mac(mac)} VLAN {_swapped(vlan)} Port {port}")
                case Bpdu(port, vlan, frame):
                    self.fstp.receive(port, vlan, frame, now_ns)
                case EndpointFailed(endpoint, _):
                    self.pull_out(endpoint, now_ns)
        self._carry_out_fstp()

    def add_packet_hook(self, hook: PacketHook) -> None:
        """From now on `hook` sees every frame in and out of every port. Adding one twice is the same as once."""
        if hook not in self._packet_hooks:
            self._packet_hooks.append(hook)
        self._update_watch()

    def remove_packet_hook(self, hook: PacketHook) -> None:
        """`hook` sees no more; nothing happens if it did not."""
        if hook in self._packet_hooks:
            self._packet_hooks.remove(hook)
        self._update_watch()

    # -- keeping the forwarder equal to the configuration -------------------------------------------------------------

    def _join(self, vlan: int, number: int, *, tagged: bool, now_ns: int) -> None:
        self.vlans[vlan][number] = tagged
        if self.ports.get(number).active:
            self.fstp.port_up(vlan, number, tagged=tagged, now_ns=now_ns)
        self._apply_member(vlan, number)
        self._carry_out_fstp()

    def _leave(self, vlan: int, number: int, now_ns: int) -> None:
        del self.vlans[vlan][number]
        if self.ports.get(number).active:
            self.fstp.port_down(vlan, number, now_ns)
        self.forwarder.clear_member(vlan, number)
        self._carry_out_fstp()

    def _apply_member(self, vlan: int, number: int) -> None:
        if number not in self.vlans[vlan]:
            return
        learning, forwarding = self.fstp.port_state(vlan, number)
        self.forwarder.set_member(
            vlan, number, tagged=self.vlans[vlan][number], learning=learning, forwarding=forwarding
        )

    def _apply_mode(self) -> None:
        settings = self.settings
        self.forwarder.set_mode(hub=settings.hub, fstp=settings.fstp, vlan_transparent=settings.vlan_transparent)

    def _apply_aging(self) -> None:
        aging = self.settings.aging
        self.forwarder.set_aging(
            expire_ns=aging.expire_s * SECOND_NS,
            gc_interval_ns=aging.gc_interval_s * SECOND_NS,
            min_persistence_ns=aging.min_persistence_s * SECOND_NS,
        )

    def _update_watch(self) -> None:
        watch = Watch.NOTHING
        if self.events.wanted("hash/"):
            watch |= Watch.HASH
        if self._packet_hooks:
            watch |= Watch.PACKETS
        self.forwarder.watch(watch)

    def _carry_out_fstp(self) -> None:
        """Act on what the protocol decided: states, flushes, frames, deadlines."""
        while (event := self.fstp.next_event()) is not None:
            match event:
                case StateChanged(vlan, port, learning, forwarding):
                    if vlan in self.vlans:
                        self._apply_member(vlan, port)
                    words = [w for w, on in (("learning", learning), ("forwarding", forwarding)) if on]
                    state = "+".join(words) or "discarding"
                    self.events.emit("fstp/status", f"Port {port:04d} VLAN {_octets(vlan)} {state}")
                case TopologyChanged(vlan):
                    if vlan in self.vlans:
                        self.forwarder.flush_vlan(vlan)
                case RootChanged(vlan, port, root):
                    self.events.emit("fstp/root", f"Port {port:04d} VLAN {_octets(vlan)} -> {root.hex(':')}")
                case PortActive(vlan, port):
                    self.events.emit("fstp/+", f"Port {port:04d} VLAN {_octets(vlan)}")
                case PortInactive(vlan, port):
                    self.events.emit("fstp/-", f"Port {port:04d} VLAN {_octets(vlan)}")
        for port, frame in self.fstp.frames_to_send():
            if port in self.ports and self.ports.get(port).active:
                self.forwarder.transmit(port, frame)
        self.on_deadline_changed()


def _octets(vlan: int) -> str:
    """A VLAN as the original's events of the spanning tree print it: two octets in hexadecimal."""
    return f"{vlan >> 8:02x}:{vlan & 0xFF:02x}"


def _swapped(vlan: int) -> str:
    """A VLAN as the original's events of the learning table print it: low octet first."""
    return f"{vlan & 0xFF:02x}:{vlan >> 8:02x}"


def _check_queue(frames: int) -> None:
    if not 0 <= frames <= QUEUE_FRAMES_MAX:
        raise Refused(errno.EINVAL, f"queue of {frames} frames: 0 to {QUEUE_FRAMES_MAX} are possible")
