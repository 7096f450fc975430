"""Rule 3: a hub repeats everything."""

import pytest

from switch.forwarding.contract import Direction, Packet, Watch
from tests.switch.forwarding.rig import MakeRig, Rig
from tests.vde_client import frame, tagged


@pytest.fixture
def hub(make_rig: MakeRig) -> Rig:
    rig = make_rig()
    rig.forwarder.set_mode(hub=True, fstp=False, vlan_transparent=False)
    for number in (0, 1, 2, 3):
        rig.port(number)
    rig.forwarder.add_port(4, 0)
    return rig


def test_everything_goes_everywhere_but_to_port_0(hub: Rig) -> None:
    for sent in (frame(1), frame(1, 2), tagged(frame(1), 77), frame(1)[:14]):
        assert hub.cross(1, sent) == {2: [sent], 3: [sent]}
    assert hub.forwarder.entries() == []


def test_port_0_is_heard(hub: Rig) -> None:
    assert set(hub.cross(0, frame(7))) == {1, 2, 3}


def test_no_state_no_vlan_no_storm_limit_holds(hub: Rig) -> None:
    hub.member(0, 1, learning=False, forwarding=False)
    hub.forwarder.clear_member(0, 2)
    hub.forwarder.set_port_limits(1, addresses=0, storm_frames_per_s=0)
    assert set(hub.cross(1, frame(1))) == {2, 3}
    assert hub.forwarder.statistics(1).drops == {}


def test_counted_and_watched_without_a_vlan(hub: Rig) -> None:
    hub.forwarder.watch(Watch.PACKETS)
    hub.send(1, frame(1))
    assert hub.poll() == [
        Packet(Direction.IN, 1, -1, frame(1), hub.now_ns),
        Packet(Direction.OUT, 2, -1, frame(1), hub.now_ns),
        Packet(Direction.OUT, 3, -1, frame(1), hub.now_ns),
    ]
    assert hub.forwarder.statistics(2).out_frames == 1
    assert hub.forwarder.statistics(4).out_frames == 0


def test_spanning_tree_frames_are_like_others(hub: Rig) -> None:
    sent = bytes.fromhex("0180c2000000") + frame(1)[6:]
    assert hub.cross(1, sent) == {2: [sent], 3: [sent]}
