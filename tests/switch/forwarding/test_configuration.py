"""What is named must exist, exist once, and be in range; a refused call changes nothing."""

import socket
from collections.abc import Callable

import pytest

from switch.forwarding.contract import NO_VLAN, Direction, EndpointKind, Forwarder, PortStatistics
from tests.switch.forwarding.rig import MakeRig, Rig
from tests.vde_client import frame

Call = Callable[[Forwarder], object]
ON = {"tagged": False, "learning": True, "forwarding": True}
AGING = {"expire_ns": 1, "gc_interval_ns": 1, "min_persistence_ns": 1}
FREE = {"addresses": None, "storm_frames_per_s": None}

UNKNOWN: dict[str, Call] = {
    "remove_port": lambda f: f.remove_port(99),
    "add_port with a native VLAN": lambda f: f.add_port(99, 77),
    "set_native of a port": lambda f: f.set_native(99, 0),
    "set_native to a VLAN": lambda f: f.set_native(1, 77),
    "remove_vlan": lambda f: f.remove_vlan(77),
    "remove_vlan out of range": lambda f: f.remove_vlan(5000),
    "set_member of a VLAN": lambda f: f.set_member(77, 1, **ON),
    "set_member of a port": lambda f: f.set_member(0, 99, **ON),
    "clear_member of a VLAN": lambda f: f.clear_member(77, 1),
    "clear_member of a port": lambda f: f.clear_member(0, 99),
    "clear_member of no member": lambda f: f.clear_member(5, 1),
    "detach": lambda f: f.detach(99),
    "set_queue": lambda f: f.set_queue(99, 1),
    "queue_length": lambda f: f.queue_length(99),
    "transmit": lambda f: f.transmit(99, frame(1)),
    "set_port_limits": lambda f: f.set_port_limits(99, **FREE),
    "set_mirror to": lambda f: f.set_mirror(99, {}),
    "set_mirror from": lambda f: f.set_mirror(1, {99: Direction.IN}),
    "flush_port": lambda f: f.flush_port(99),
    "flush_port in a VLAN": lambda f: f.flush_port(1, 77),
    "flush_vlan": lambda f: f.flush_vlan(77),
    "statistics": lambda f: f.statistics(99),
    "statistics out of range": lambda f: f.statistics(1 << 40),
    "reset_statistics": lambda f: f.reset_statistics(99),
}

INVALID: dict[str, Call] = {
    "add_port twice": lambda f: f.add_port(1, 0),
    "add_port negative": lambda f: f.add_port(-1, 0),
    "add_port too high": lambda f: f.add_port(65536, 0),
    "remove_port with an endpoint": lambda f: f.remove_port(1),
    "add_vlan twice": lambda f: f.add_vlan(0),
    "add_vlan negative": lambda f: f.add_vlan(-1),
    "add_vlan too high": lambda f: f.add_vlan(4094),
    "set_queue negative": lambda f: f.set_queue(1, -1),
    "set_queue too high": lambda f: f.set_queue(1, 1 << 31),
    "transmit too short": lambda f: f.transmit(1, b"x" * 13),
    "transmit too long": lambda f: f.transmit(1, b"x" * 9239),
    "set_aging negative": lambda f: f.set_aging(**AGING | {"gc_interval_ns": -1}),
    "set_aging too high": lambda f: f.set_aging(**AGING | {"expire_ns": 1 << 63}),
    "set_table_limit negative": lambda f: f.set_table_limit(-1),
    "set_table_limit too high": lambda f: f.set_table_limit(1 << 31),
    "set_port_limits negative": lambda f: f.set_port_limits(1, **FREE | {"addresses": -1}),
    "set_port_limits too high": lambda f: f.set_port_limits(1, **FREE | {"storm_frames_per_s": 1 << 31}),
    "lookup of five octets": lambda f: f.lookup(b"12345", 0),
}


@pytest.mark.parametrize("call", UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_names(make_rig: MakeRig, call: Call) -> None:
    rig = make_rig(vlans=(0, 5))
    rig.port(1)
    rig.port(2)
    with pytest.raises(KeyError):
        call(rig.forwarder)
    assert rig.cross(1, frame(1)) == {2: [frame(1)]}


@pytest.mark.parametrize("call", INVALID.values(), ids=INVALID)
def test_invalid_numbers(rig: Rig, call: Call) -> None:
    with pytest.raises(ValueError, match=r"\d|octets"):
        call(rig.forwarder)
    assert set(rig.cross(1, frame(1))) == {2, 3, 4}


def test_the_edges_of_the_ranges_are_possible(make_rig: MakeRig) -> None:
    rig = make_rig(vlans=(0, 4093))
    rig.port(65535, 4093)
    rig.port(0, NO_VLAN)
    rig.member(4093, 0, tagged=False)
    rig.forwarder.set_queue(0, (1 << 31) - 1)
    rig.forwarder.set_table_limit((1 << 31) - 1)
    rig.forwarder.set_port_limits(0, addresses=(1 << 31) - 1, storm_frames_per_s=(1 << 31) - 1)
    rig.forwarder.set_aging(expire_ns=(1 << 63) - 1, gc_interval_ns=0, min_persistence_ns=0)
    assert rig.cross(65535, frame(1)) == {0: [frame(1)]}
    assert rig.cross(65535, frame(1)) == {0: [frame(1)]}


def test_removing_a_port_takes_everything_with_it(rig: Rig) -> None:
    rig.tell_ports(1, 2)
    rig.detach(1)
    rig.forwarder.remove_port(1)
    assert [entry.port for entry in rig.forwarder.entries()] == [2]
    rig.forwarder.add_port(1, 0)
    assert rig.forwarder.statistics(1) == PortStatistics()
    rig.attach(1, 1)
    assert 1 not in rig.cross(2, frame(2))
    with pytest.raises(KeyError):
        rig.forwarder.clear_member(0, 1)


def test_statistics_and_their_reset(rig: Rig) -> None:
    rig.cross(1, frame(1), frame(1, payload=bytes(100)), b"short")
    statistics = rig.forwarder.statistics(1)
    assert (statistics.in_frames, statistics.in_octets) == (2, 60 + 114)
    assert (rig.forwarder.statistics(2).out_frames, rig.forwarder.statistics(2).out_octets) == (2, 60 + 114)
    rig.forwarder.reset_statistics(1)
    assert rig.forwarder.statistics(1) == PortStatistics()
    assert rig.forwarder.statistics(2).out_frames == 2


def test_a_loop_of_cables_does_not_hold_poll_for_ever(rig: Rig) -> None:
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    rig.forwarder.attach(3, 103, a.detach(), EndpointKind.DATAGRAM)
    rig.forwarder.attach(4, 104, b.detach(), EndpointKind.DATAGRAM)
    rig.send(1, frame(1))
    rig.poll()
    assert rig.forwarder.statistics(3).in_frames > 1
