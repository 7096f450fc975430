"""The forwarders do the same: random configuration and traffic, compared after every step."""

import socket
from collections.abc import Callable
from operator import methodcaller

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from switch.forwarding.contract import NO_VLAN, Direction, EndpointKind, Forwarder, Limits, Watch
from tests.switch.forwarding.rig import SECOND_NS, Rig

PORTS = st.integers(0, 6)
VLANS = st.sampled_from([0, 0, 1, 2, 10])
NATIVE = VLANS | st.just(NO_VLAN)
ENDPOINTS = st.integers(0, 8)
STATIONS = st.integers(0, 6).map(lambda number: b"\x02\0\0\0\0" + bytes([number]))
GROUPS = st.sampled_from(["ffffffffffff", "0180c2000000", "01005e000001"]).map(bytes.fromhex)
TAGS = st.sampled_from(["", "", "", "81000000", "81000001", "8100600a", "81000005", "88a80001"]).map(bytes.fromhex)
PAYLOADS = st.sampled_from([0, 1, 3, 4, 46, 46, 46, 1490, 1500, 1504, 1505, 3000]).map(bytes) | st.binary(max_size=8)


def joined(*parts: bytes) -> bytes:
    return b"".join(parts)


GOOD = st.builds(joined, STATIONS | GROUPS, STATIONS | STATIONS | GROUPS, TAGS, st.just(b"\x88\xb5"), PAYLOADS)
BAD = st.binary(max_size=20) | st.builds(joined, STATIONS, STATIONS, st.sampled_from([5000, 9221, 65000]).map(bytes))
FRAMES = GOOD | GOOD | GOOD | BAD
BURSTS = st.builds(
    lambda frames, times: frames * times, st.lists(FRAMES, min_size=1, max_size=6), st.sampled_from([1, 1, 15])
)
WAYS = [Direction.IN, Direction.OUT, Direction.BOTH]
PAUSES = st.sampled_from([0, 0, 1, SECOND_NS // 10, SECOND_NS, 4 * SECOND_NS, 200 * SECOND_NS])
SOCKET_KINDS = st.sampled_from(
    [
        (EndpointKind.DATAGRAM, socket.SOCK_DGRAM, b""),
        (EndpointKind.DATAGRAM, socket.SOCK_DGRAM, b""),
        (EndpointKind.DATAGRAM, socket.SOCK_SEQPACKET, b""),
        (EndpointKind.TAP, socket.SOCK_DGRAM, b""),
        (EndpointKind.TAP_VNET, socket.SOCK_DGRAM, bytes(10)),
    ]
)
LIMITS = st.builds(
    Limits,
    max_frame_octets=st.sampled_from([1518, 9234]),
    queue_frames=st.sampled_from([1, 4, 128]),
    send_buffer_octets=st.sampled_from([1, 1 << 20]),
    events=st.sampled_from([8, 1000]),
)


class TwoForwarders(RuleBasedStateMachine):
    """Each step is done to both (the native one with and without io_uring); answers and exceptions must be the same."""

    rigs: tuple[Rig, ...]

    @initialize(limits=LIMITS, ports=st.integers(2, 7), hash_events=st.booleans())
    def start(self, limits: Limits, ports: int, hash_events: bool) -> None:
        """Some ports are there at once, so that traffic has somewhere to go."""
        self.limits = limits
        self.rigs = tuple(Rig(kind, limits, (0, 10)) for kind in ("python", "native", "sendmmsg"))
        for number in range(ports):
            self.both(methodcaller("port", number))
        if hash_events:
            self.both(lambda rig: rig.forwarder.watch(Watch.HASH))

    def both(self, action: Callable[[Rig], object]) -> object:
        answers = []
        for rig in self.rigs:
            try:
                answers.append(("returned", action(rig)))
            except (KeyError, ValueError, OSError) as error:
                answers.append(("raised", type(error)))
        assert answers[0] == answers[1] == answers[2]
        return answers[0][1]

    def configure(self, action: Callable[[Forwarder], object]) -> object:
        return self.both(lambda rig: action(rig.forwarder))

    # -- traffic: several endpoints send before a poll, so that batches and turns differ -------------------------------

    @rule(endpoint=ENDPOINTS, frames=BURSTS)
    def send(self, endpoint: int, frames: list[bytes]) -> None:
        self.both(lambda rig: rig.send(endpoint, *frames))

    @rule(after_ns=PAUSES)
    def poll(self, after_ns: int) -> None:
        self.both(lambda rig: rig.poll(after_ns))

    @rule(endpoint=ENDPOINTS)
    def read(self, endpoint: int) -> None:
        self.both(lambda rig: rig.taken(endpoint))

    @rule(endpoint=ENDPOINTS, count=st.integers(1, 5))
    def read_some(self, endpoint: int, count: int) -> None:
        self.both(lambda rig: [rig.peers[endpoint].recv(1 << 17) for _ in range(count)])

    @rule(bursts=st.lists(st.tuples(ENDPOINTS, BURSTS), min_size=1, max_size=4), after_ns=PAUSES)
    def exchange(self, bursts: list[tuple[int, list[bytes]]], after_ns: int) -> None:
        for endpoint, frames in bursts:
            self.send(endpoint, frames)
        self.poll(after_ns)
        for endpoint in range(9):
            self.read(endpoint)

    exchange_more = exchange_again = exchange

    @rule(port=PORTS, frame=FRAMES)
    def transmit(self, port: int, frame: bytes) -> None:
        self.configure(lambda f: f.transmit(port, frame))

    # -- endpoints ----------------------------------------------------------------------------------------------------

    @rule(port=PORTS, endpoint=ENDPOINTS, kind=SOCKET_KINDS)
    def attach(self, port: int, endpoint: int, kind: tuple[EndpointKind, socket.SocketKind, bytes]) -> None:
        self.both(lambda rig: rig.attach(port, endpoint, *kind))

    @rule(endpoint=ENDPOINTS)
    def detach(self, endpoint: int) -> None:
        self.both(lambda rig: rig.detach(endpoint))

    @rule(endpoint=ENDPOINTS)
    def client_dies(self, endpoint: int) -> None:
        self.both(lambda rig: rig.peers[endpoint].close())

    @rule(endpoint=ENDPOINTS, frames=st.sampled_from([0, 1, 3, 50]))
    def set_queue(self, endpoint: int, frames: int) -> None:
        self.configure(lambda f: f.set_queue(endpoint, frames))

    # -- ports and VLANs ----------------------------------------------------------------------------------------------

    @rule(port=PORTS, native=NATIVE)
    def add_port(self, port: int, native: int) -> None:
        self.configure(lambda f: f.add_port(port, native))

    @rule(port=PORTS)
    def remove_port(self, port: int) -> None:
        self.configure(lambda f: f.remove_port(port))

    @rule(port=PORTS, native=NATIVE)
    def set_native(self, port: int, native: int) -> None:
        self.configure(lambda f: f.set_native(port, native))

    @rule(vlan=VLANS)
    def add_vlan(self, vlan: int) -> None:
        self.configure(lambda f: f.add_vlan(vlan))

    @rule(vlan=VLANS)
    def remove_vlan(self, vlan: int) -> None:
        self.configure(lambda f: f.remove_vlan(vlan))

    @rule(vlan=VLANS, port=PORTS, tagged=st.booleans(), state=st.sampled_from([(1, 1), (1, 1), (1, 0), (0, 0), (0, 1)]))
    def set_member(self, vlan: int, port: int, tagged: bool, state: tuple[int, int]) -> None:
        learning, forwarding = map(bool, state)
        self.both(lambda rig: rig.member(vlan, port, tagged=tagged, learning=learning, forwarding=forwarding))

    @rule(vlan=VLANS, port=PORTS)
    def clear_member(self, vlan: int, port: int) -> None:
        self.configure(lambda f: f.clear_member(vlan, port))

    # -- modes, limits, mirrors ---------------------------------------------------------------------------------------

    @rule(hub=st.sampled_from([False, False, True]), fstp=st.booleans(), transparent=st.booleans())
    def set_mode(self, hub: bool, fstp: bool, transparent: bool) -> None:
        self.configure(lambda f: f.set_mode(hub=hub, fstp=fstp, vlan_transparent=transparent))

    @rule(times=st.tuples(*[st.sampled_from([0, 1, SECOND_NS, 3 * SECOND_NS, 100 * SECOND_NS])] * 3))
    def set_aging(self, times: tuple[int, int, int]) -> None:
        expire, interval, persistence = times
        self.configure(lambda f: f.set_aging(expire_ns=expire, gc_interval_ns=interval, min_persistence_ns=persistence))

    @rule(addresses=st.sampled_from([0, 2, 4, 1000]))
    def set_table_limit(self, addresses: int) -> None:
        self.configure(lambda f: f.set_table_limit(addresses))

    @rule(port=PORTS, addresses=st.sampled_from([None, 0, 1, 2]), storm=st.sampled_from([None, None, 0, 1, 7]))
    def set_port_limits(self, port: int, addresses: int | None, storm: int | None) -> None:
        self.configure(lambda f: f.set_port_limits(port, addresses=addresses, storm_frames_per_s=storm))

    @rule(to=PORTS, sources=st.dictionaries(PORTS, st.sampled_from(WAYS), max_size=3))
    def set_mirror(self, to: int, sources: dict[int, Direction]) -> None:
        self.configure(lambda f: f.set_mirror(to, sources))

    @rule(what=st.sampled_from([Watch.NOTHING, Watch.HASH, Watch.PACKETS, Watch.HASH | Watch.PACKETS]))
    def watch(self, what: Watch) -> None:
        self.configure(lambda f: f.watch(what))

    # -- the table ----------------------------------------------------------------------------------------------------

    @rule(port=PORTS, vlan=st.none() | VLANS)
    def flush_port(self, port: int, vlan: int | None) -> None:
        self.configure(lambda f: f.flush_port(port, vlan))

    @rule(vlan=VLANS)
    def flush_vlan(self, vlan: int) -> None:
        self.configure(lambda f: f.flush_vlan(vlan))

    @rule()
    def flush(self) -> None:
        self.configure(lambda f: f.flush())

    @rule(address=STATIONS | GROUPS, vlan=VLANS)
    def lookup(self, address: bytes, vlan: int) -> None:
        self.configure(lambda f: f.lookup(address, vlan))

    @rule(port=PORTS)
    def reset_statistics(self, port: int) -> None:
        self.configure(lambda f: f.reset_statistics(port))

    # -- what must be equal at any time -------------------------------------------------------------------------------

    @invariant()
    def same_state(self) -> None:
        self.configure(lambda f: sorted(f.entries(), key=lambda entry: entry.serial))
        self.configure(lambda f: f.events_lost())
        for port in range(7):
            self.configure(methodcaller("statistics", port))
        for endpoint in range(9):
            self.configure(methodcaller("queue_length", endpoint))

    def teardown(self) -> None:
        if not hasattr(self, "rigs"):
            return
        try:
            for _ in range(3):
                self.both(lambda rig: rig.poll())
                for endpoint in range(9):
                    self.read(endpoint)
        finally:
            for rig in self.rigs:
                rig.close()


TestTwoForwardersStateful = TwoForwarders.TestCase
