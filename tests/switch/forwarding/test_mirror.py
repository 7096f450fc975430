"""Rules 2 and 11: copies of a port's frames for another."""

import pytest

from switch.forwarding.contract import Direction, DropReason, Packet, Watch
from tests.switch.forwarding.rig import MakeRig, Rig
from tests.vde_client import frame, tagged

MONITOR = 9


@pytest.fixture
def watched(make_rig: MakeRig) -> Rig:
    """Ports 1 and 2 native 10, port 3 a trunk, and the monitor in VLAN 0."""
    rig = make_rig(vlans=(0, 10))
    rig.port(1, 10)
    rig.port(2, 10)
    rig.port(3, 0, tagged=(10,))
    rig.port(MONITOR)
    return rig


def test_as_received(watched: Rig) -> None:
    watched.forwarder.set_mirror(MONITOR, {1: Direction.IN})
    assert watched.cross(1, frame(1)) == {2: [frame(1)], 3: [tagged(frame(1), 10)], MONITOR: [frame(1)]}
    assert MONITOR not in watched.cross(2, frame(2))


def test_as_sent_with_the_tag_that_it_got(watched: Rig) -> None:
    watched.forwarder.set_mirror(MONITOR, {3: Direction.OUT})
    assert watched.cross(1, frame(1))[MONITOR] == [tagged(frame(1), 10)]
    assert MONITOR not in watched.cross(3, tagged(frame(3), 10))


def test_both_directions_of_several_sources_in_order(watched: Rig) -> None:
    watched.forwarder.set_mirror(MONITOR, {3: Direction.BOTH, 1: Direction.BOTH, 2: Direction.OUT})
    sent = tagged(frame(3), 0x600A)
    assert watched.cross(3, sent)[MONITOR] == [sent, frame(3), frame(3)]


def test_dropped_frames_are_copied_too_if_they_were_frames(watched: Rig) -> None:
    watched.forwarder.set_mirror(MONITOR, {1: Direction.IN})
    stray = tagged(frame(1), 30)
    assert watched.cross(1, stray, b"short") == {MONITOR: [stray]}
    assert watched.forwarder.statistics(1).drops == {DropReason.VLAN: 1, DropReason.SHORT: 1}


def test_the_destination_is_out_of_everything_else(make_rig: MakeRig) -> None:
    rig = make_rig()
    for number in (1, 2, MONITOR):
        rig.port(number)
    rig.tell_ports(MONITOR)
    rig.forwarder.set_mirror(MONITOR, {1: Direction.IN})
    assert rig.cross(MONITOR, frame(MONITOR)) == {}
    assert rig.forwarder.statistics(MONITOR).drops == {DropReason.MIRROR: 1}
    assert rig.forwarder.statistics(MONITOR).in_frames == 2
    assert rig.cross(2, frame(2)) == {1: [frame(2)]}
    assert rig.cross(2, frame(2, MONITOR)) == {}
    assert rig.forwarder.statistics(2).drops == {DropReason.BLOCKED: 1}
    rig.forwarder.set_mode(hub=True, fstp=False, vlan_transparent=False)
    assert rig.cross(1, frame(1)) == {2: [frame(1)], MONITOR: [frame(1)]}
    assert rig.cross(2, frame(2)) == {1: [frame(2)]}
    rig.forwarder.transmit(MONITOR, frame(5))
    assert rig.taken(MONITOR) == [frame(5)]
    rig.forwarder.set_mirror(MONITOR, {})
    assert set(rig.cross(2, frame(2))) == {1, MONITOR}


def test_one_source_of_two_mirrors(watched: Rig) -> None:
    watched.port(8)
    watched.forwarder.set_mirror(MONITOR, {1: Direction.IN})
    watched.forwarder.set_mirror(8, {1: Direction.BOTH})
    assert set(watched.cross(1, frame(1))) == {2, 3, 8, MONITOR}


def test_policys_frames_are_mirrored(watched: Rig) -> None:
    watched.forwarder.set_mirror(MONITOR, {1: Direction.OUT})
    watched.forwarder.transmit(1, frame(7))
    assert watched.taken(MONITOR) == [frame(7)]


def test_who_cannot_be_a_source(watched: Rig) -> None:
    forwarder = watched.forwarder
    with pytest.raises(ValueError, match="1"):
        forwarder.set_mirror(1, {1: Direction.IN})
    forwarder.set_mirror(MONITOR, {1: Direction.IN})
    with pytest.raises(ValueError, match=str(MONITOR)):
        forwarder.set_mirror(2, {MONITOR: Direction.IN})
    with pytest.raises(ValueError, match="1"):
        forwarder.set_mirror(1, {2: Direction.IN})
    with pytest.raises(KeyError):
        forwarder.set_mirror(MONITOR, {77: Direction.IN})
    assert MONITOR in watched.cross(1, frame(1))


def test_removed_ports_leave_their_mirrors(watched: Rig) -> None:
    watched.forwarder.set_mirror(MONITOR, {1: Direction.IN, 2: Direction.IN})
    watched.detach(1)
    watched.forwarder.remove_port(1)
    assert MONITOR in watched.cross(2, frame(2))
    watched.detach(2)
    watched.forwarder.remove_port(2)
    watched.forwarder.set_mirror(3, {MONITOR: Direction.IN})
    assert watched.cross(MONITOR, frame(MONITOR)) == {3: [frame(MONITOR)]}


def test_copies_are_counted_and_watched(watched: Rig) -> None:
    watched.forwarder.set_mirror(MONITOR, {1: Direction.IN})
    watched.forwarder.watch(Watch.PACKETS)
    watched.send(1, tagged(frame(1), 30))
    assert watched.poll() == [
        Packet(Direction.IN, 1, -1, tagged(frame(1), 30), watched.now_ns),
        Packet(Direction.OUT, MONITOR, -1, tagged(frame(1), 30), watched.now_ns),
    ]
    assert watched.forwarder.statistics(MONITOR).out_octets == 64
