"""The switch's configuration and its forwarder, without processes: sockets in pairs, time given."""

import errno
import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from switch.core import SECOND_NS, Settings, Switch
from switch.forwarding.contract import NO_VLAN, Direction, EndpointKind, Limits, Packet
from switch.forwarding.python import PythonForwarder
from switch.ports import MODULE_UNIX, Endpoint
from tests.vde_client import frame, tagged
from vde.errors import Refused

MAC = bytes.fromhex("00ff00000001")


class Bench:
    """A switch whose clients are the far ends of socket pairs, at a time that the test moves."""

    def __init__(self, **settings: object) -> None:
        self.now_ns = SECOND_NS
        self.forwarder = PythonForwarder(Limits())
        self.switch = Switch(self.forwarder, Settings(**({"mac": MAC} | settings)), self.now_ns)  # type: ignore[arg-type]  # by name
        self.closed: list[int] = []
        self._ids = itertools.count(100)
        self._far: list[socket.socket] = []

    def plug(self, port: int = 0, uid: int | None = 1000) -> tuple[int, socket.socket]:
        """(endpoint, far end)."""
        chosen = self.switch.choose_port(port, management=False)
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._far.append(far)
        number = next(self._ids)
        end = Endpoint(number, chosen, EndpointKind.DATAGRAM, MODULE_UNIX, "", uid, lambda: self.closed.append(number))
        try:
            self.switch.plug_in(end, near.fileno(), self.now_ns)
        except Refused:
            near.close()
            raise
        near.detach()
        return number, far

    def poll(self) -> None:
        self.switch.handle_events(self.forwarder.poll(self.now_ns), self.now_ns)

    def close(self) -> None:
        for far in self._far:
            far.close()
        self.forwarder.close()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(**settings: object) -> Bench:
        benches.append(Bench(**settings))
        return benches[-1]

    yield make
    for made in benches:
        made.close()


def received(far: socket.socket) -> list[bytes]:
    frames = []
    with suppress(BlockingIOError):
        while True:
            frames.append(far.recv(70000, socket.MSG_DONTWAIT))
    return frames


def refusal(action: Callable[[], object]) -> int:
    with pytest.raises(Refused) as caught:
        action()
    return caught.value.errno


def test_ports_are_given_from_1_and_those_not_allocatable_are_passed_over(bench: Callable[..., Bench]) -> None:
    b = bench(num_ports=3)
    b.switch.create_port(1, b.now_ns)
    _, two = b.plug()
    _, three = b.plug()
    assert [port.number for port in b.switch.ports if port.active] == [2, 3]
    assert refusal(b.plug) == errno.ENOSPC
    two.send(frame(2))
    b.poll()
    assert received(three) == [frame(2)]


def test_a_port_belongs_to_the_user_who_is_in_it(bench: Callable[..., Bench]) -> None:
    b = bench()
    first, _ = b.plug(5, uid=1000)
    assert refusal(lambda: b.plug(5, uid=1001)) == errno.EACCES
    assert refusal(lambda: b.plug(5, uid=0)) == errno.EACCES
    b.plug(5, uid=1000)
    b.switch.close_endpoint(5, first, b.now_ns)
    assert b.closed == [first]
    assert refusal(lambda: b.switch.close_endpoint(5, first, b.now_ns)) == errno.ENXIO


def test_what_is_refused_and_how(bench: Callable[..., Bench]) -> None:
    b = bench(num_ports=8)
    s, now = b.switch, b.now_ns
    s.create_vlan(10, now)
    s.create_port(3, now)
    b.plug(4)
    cases: list[tuple[int, Callable[[], object]]] = [
        (errno.EINVAL, lambda: s.create_port(9, now)),
        (errno.EEXIST, lambda: s.create_port(3, now)),
        (errno.ENXIO, lambda: s.remove_port(5, now)),
        (errno.EADDRINUSE, lambda: s.remove_port(4, now)),
        (errno.EINVAL, lambda: s.create_vlan(4094, now)),
        (errno.EEXIST, lambda: s.create_vlan(10, now)),
        (errno.EADDRINUSE, lambda: s.remove_vlan(0)),
        (errno.ENXIO, lambda: s.remove_vlan(11)),
        (errno.ENXIO, lambda: s.set_native_vlan(3, 11, now)),
        (errno.ENXIO, lambda: s.set_native_vlan(3, 4094, now)),
        (errno.EINVAL, lambda: s.set_native_vlan(3, 4096, now)),
        (errno.EADDRINUSE, lambda: s.remove_tagged(0, 3, now)),
        (errno.EINVAL, lambda: s.remove_tagged(11, 77, now)),
        (errno.EADDRINUSE, lambda: s.ports.resize(3)),
        (errno.EINVAL, lambda: s.ports.resize(0)),
        (errno.EINVAL, lambda: s.set_mirror(3, {3: Direction.BOTH})),
        (errno.ENXIO, lambda: s.set_mirror(3, {5: Direction.BOTH})),
        (errno.EINVAL, lambda: s.set_hash_size(0)),
        (errno.EINVAL, lambda: s.set_aging(expire_s=-1)),
    ]
    for number, (expected, action) in enumerate(cases):
        assert refusal(action) == expected, number


def test_a_vlan_with_members_stays_even_if_their_ports_are_inactive(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.switch.create_vlan(10, b.now_ns)
    b.switch.create_port(3, b.now_ns)
    b.switch.add_tagged(10, 3, b.now_ns)
    assert refusal(lambda: b.switch.remove_vlan(10)) == errno.EADDRINUSE
    b.switch.remove_port(3, b.now_ns)
    b.switch.remove_vlan(10)


def test_configuration_survives_the_cable_and_may_come_before_it(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.switch.create_vlan(10, b.now_ns)
    b.switch.create_port(3, b.now_ns)
    b.switch.set_native_vlan(3, 10, b.now_ns)
    _, trunk = b.plug(1)
    b.switch.add_tagged(10, 1, b.now_ns)
    for _ in range(2):
        number, access = b.plug(3)
        access.send(frame(3))
        b.poll()
        assert received(trunk) == [tagged(frame(3), 10)]
        b.switch.pull_out(number, b.now_ns)


def test_a_changed_native_vlan_moves_the_membership_and_forgets_the_addresses(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.switch.create_vlan(10, b.now_ns)
    _, one = b.plug(1)
    _, two = b.plug(2)
    one.send(frame(1))
    b.poll()
    assert received(two) == [frame(1)]
    b.switch.set_native_vlan(1, 10, b.now_ns)
    assert b.forwarder.entries() == []
    assert b.switch.vlans[0] == {2: False}
    one.send(frame(1))
    b.poll()
    assert received(two) == []
    b.switch.set_native_vlan(1, NO_VLAN, b.now_ns)
    assert b.switch.vlans[10] == {}


def test_plugging_and_pulling_forgets_that_ports_addresses_only(bench: Callable[..., Bench]) -> None:
    b = bench()
    number, one = b.plug(1)
    _, two = b.plug(2)
    one.send(frame(1))
    two.send(frame(2))
    b.poll()
    b.plug(3)
    assert len(b.forwarder.entries()) == 2
    b.switch.pull_out(number, b.now_ns)
    assert [entry.port for entry in b.forwarder.entries()] == [2]


def test_a_mirror_ends_with_its_ports(bench: Callable[..., Bench]) -> None:
    b = bench()
    _, one = b.plug(1)
    b.plug(2)
    _, tap = b.plug(9)
    b.switch.set_mirror(9, {1: Direction.IN})
    one.send(frame(1))
    b.poll()
    assert received(tap) == [frame(1)]
    assert refusal(lambda: b.switch.set_mirror(1, {2: Direction.IN})) == errno.EINVAL
    b.switch.set_mirror(9, {})
    b.switch.set_mirror(1, {2: Direction.IN})
    b.switch.pull_out(next(iter(b.switch.endpoints)), b.now_ns)
    b.switch.remove_port(1, b.now_ns)
    assert b.switch.mirrors == {}


def test_events_are_told_to_those_who_asked(bench: Callable[..., Bench]) -> None:
    b = bench()
    lines: list[str] = []
    for path in b.switch.events.categories:
        b.switch.events.subscribe(path, lines.append)
    b.switch.create_vlan(20, b.now_ns)
    number, one = b.plug(7)
    one.send(frame(1))
    b.poll()
    b.switch.set_native_vlan(7, 20, b.now_ns)
    one.send(frame(1))
    b.poll()
    b.switch.pull_out(number, b.now_ns)
    assert [line for line in lines if "fstp" not in line] == [
        "3021 port/+ 07",
        f"3031 port/ep/+ Port 07 FD {number}",
        f'3023 port/descr Port 07 FD {number} -> ""',
        "3011 hash/+ 02:00:00:00:00:01 VLAN 00:00 Port 7",
        "3012 hash/- 02:00:00:00:00:01 VLAN 00:00 Port 7",
        "3011 hash/+ 02:00:00:00:00:01 VLAN 14:00 Port 7",
        f"3032 port/ep/- Port 07 FD {number}",
        "3022 port/- 07",
    ]
    b.poll()  # the forwarder tells what it forgot when it is next asked
    assert lines[-1] == "3012 hash/- 02:00:00:00:00:01 VLAN 14:00 Port 7"


def test_packet_hooks_see_both_directions_and_cost_nothing_when_gone(bench: Callable[..., Bench]) -> None:
    b = bench()
    seen: list[Packet] = []
    hook = seen.append
    _, one = b.plug(1)
    b.plug(2)
    b.switch.add_packet_hook(hook)
    one.send(frame(1))
    b.poll()
    assert [(packet.direction, packet.port) for packet in seen] == [(Direction.IN, 1), (Direction.OUT, 2)]
    b.switch.remove_packet_hook(hook)
    one.send(frame(1))
    b.poll()
    assert len(seen) == 2


def test_two_switches_with_two_wires_block_one_and_recover_when_the_other_is_cut(bench: Callable[..., Bench]) -> None:
    a, b = bench(fstp=True), bench(fstp=True, mac=bytes.fromhex("00ff00000002"))
    wires: list[tuple[socket.socket, socket.socket]] = []
    ends: list[tuple[int, int]] = []
    for port in (1, 2):
        end_a, far_a = a.plug(port)
        end_b, far_b = b.plug(port)
        ends.append((end_a, end_b))
        wires.append((far_a, far_b))
    _, host_a = a.plug(5)
    _, host_b = b.plug(5)

    def pass_time(seconds: int) -> int:
        """Carry frames over the wires; the number carried."""
        carried = 0
        for _ in range(seconds * 4):
            for bench_ in (a, b):
                bench_.now_ns += SECOND_NS // 4
                deadline = bench_.switch.next_deadline()
                if deadline is not None and deadline <= bench_.now_ns:
                    bench_.switch.handle_timer(bench_.now_ns)
            for _ in range(4):
                for near, far in wires:
                    for source, sink in ((near, far), (far, near)):
                        for octets in received(source):
                            carried += 1
                            with suppress(OSError):
                                sink.send(octets)
                a.poll()
                b.poll()
        return carried

    pass_time(20)
    received(host_b)
    host_a.send(frame(1))
    assert pass_time(10) < 40  # hellos, no storm
    assert received(host_b).count(frame(1)) == 1
    forwarding = [wire for wire in (1, 2) if a.switch.state(0, wire)[1] and b.switch.state(0, wire)[1]]
    assert len(forwarding) == 1
    dead = forwarding[0] - 1
    a.switch.pull_out(ends[dead][0], a.now_ns)
    b.switch.pull_out(ends[dead][1], b.now_ns)
    del wires[dead]
    pass_time(20)
    received(host_b)
    host_a.send(frame(1))
    pass_time(2)
    assert received(host_b).count(frame(1)) == 1


def test_hub_mode_stops_the_spanning_tree(bench: Callable[..., Bench]) -> None:
    b = bench(fstp=True)
    assert b.switch.fstp.enabled
    b.switch.set_hub(True, b.now_ns)
    assert not b.switch.fstp.enabled
    assert b.switch.set_fstp(True, b.now_ns) is False
    b.switch.set_hub(False, b.now_ns)
    assert b.switch.set_fstp(True, b.now_ns) is True
