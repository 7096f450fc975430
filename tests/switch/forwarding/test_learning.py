"""Rules 6, 8 and 12: learning, moving, forgetting, and where a known address is sent."""

import pytest

from switch.forwarding.contract import DropReason, FdbEntry, Forgot, Learned, Watch
from tests.switch.forwarding.rig import SECOND_NS, MakeRig, Rig
from tests.vde_client import frame

MAC = b"\x02\0\0\0\0"


def mac(number: int) -> bytes:
    return MAC + bytes([number])


def test_unknown_floods_and_known_goes_to_its_port(rig: Rig) -> None:
    assert rig.cross(1, frame(1, 2)) == {2: [frame(1, 2)], 3: [frame(1, 2)], 4: [frame(1, 2)]}
    assert rig.cross(2, frame(2, 1)) == {1: [frame(2, 1)]}
    assert rig.cross(1, frame(1, 2)) == {2: [frame(1, 2)]}
    assert rig.forwarder.lookup(mac(1), 0) == FdbEntry(mac(1), 0, 1, SECOND_NS, 1)
    assert rig.forwarder.lookup(mac(9), 0) is None
    assert rig.forwarder.lookup(mac(1), 5) is None
    assert {entry.mac for entry in rig.forwarder.entries()} == {mac(1), mac(2)}


def test_a_group_source_is_not_learned_but_forwarded(rig: Rig) -> None:
    sent = b"\xff" * 6 + b"\x03\0\0\0\0\x01" + bytes(48)
    assert rig.cross(1, sent) == {2: [sent], 3: [sent], 4: [sent]}
    assert rig.forwarder.entries() == []
    assert rig.forwarder.statistics(1).not_learned == 0


@pytest.mark.parametrize("to", ["ffffffffffff", "01005e000001", "0180c2000000"])
def test_groups_flood_even_if_somebody_claims_them(rig: Rig, to: str) -> None:
    sent = bytes.fromhex(to) + mac(1) + bytes(48)
    assert set(rig.cross(1, sent)) == {2, 3, 4}


def test_a_frame_for_its_own_port_goes_nowhere(rig: Rig) -> None:
    rig.tell_ports(1)
    assert rig.cross(1, frame(7, 1)) == {}
    assert rig.forwarder.statistics(1).drops == {DropReason.SAME_PORT: 1}


def test_an_address_moves_only_when_unheard_of_for_long_enough(rig: Rig) -> None:
    rig.forwarder.set_aging(expire_ns=100 * SECOND_NS, gc_interval_ns=SECOND_NS, min_persistence_ns=3 * SECOND_NS)
    rig.forwarder.watch(Watch.HASH)
    rig.send(1, frame(1))
    assert rig.poll() == [Learned(mac(1), 0, 1)]
    started_ns = rig.now_ns
    rig.send(2, frame(1))
    assert rig.poll(3 * SECOND_NS) == []
    assert rig.forwarder.lookup(mac(1), 0) == FdbEntry(mac(1), 0, 1, started_ns, 1)
    rig.send(2, frame(1))
    assert rig.poll(1) == [Learned(mac(1), 0, 2)]
    assert rig.forwarder.lookup(mac(1), 0) == FdbEntry(mac(1), 0, 2, rig.now_ns, 2)


def test_hearing_it_again_keeps_it(rig: Rig) -> None:
    rig.forwarder.set_aging(expire_ns=10 * SECOND_NS, gc_interval_ns=2 * SECOND_NS, min_persistence_ns=0)
    rig.forwarder.watch(Watch.HASH)
    rig.tell_ports(1, 2)
    for _ in range(3):
        rig.send(1, frame(1, 2))
        rig.poll(5 * SECOND_NS)
    assert [entry.mac for entry in rig.forwarder.entries()] == [mac(1)]


def test_forgotten_at_the_first_collection_after_it_expired(rig: Rig) -> None:
    rig.forwarder.set_aging(expire_ns=3 * SECOND_NS, gc_interval_ns=2 * SECOND_NS, min_persistence_ns=0)
    rig.forwarder.watch(Watch.HASH)
    rig.poll(2 * SECOND_NS)
    rig.tell_ports(2, 1)
    assert rig.poll(2 * SECOND_NS) == []
    assert rig.poll(1 * SECOND_NS) == []
    assert rig.poll(1 * SECOND_NS - 1) == []
    assert len(rig.forwarder.entries()) == 2
    assert rig.poll(1) == [Forgot(mac(2), 0, 2), Forgot(mac(1), 0, 1)]
    assert rig.forwarder.entries() == []


def test_flushes_forget_what_they_name(make_rig: MakeRig) -> None:
    rig = make_rig(vlans=(0, 5))
    rig.port(1)
    rig.port(2, 5)
    rig.port(3, 5)
    rig.forwarder.watch(Watch.HASH)
    everything = [Learned(mac(1), 0, 1), Learned(mac(2), 5, 2), Learned(mac(3), 5, 3)]

    def learn() -> None:
        for number in (1, 2, 3):
            rig.send(number, frame(number))
        assert rig.poll() == everything

    learn()
    rig.forwarder.flush_port(2, 0)
    assert rig.poll() == []
    rig.forwarder.flush_port(2, 5)
    assert rig.poll() == [Forgot(mac(2), 5, 2)]
    rig.forwarder.flush_port(3)
    assert rig.poll() == [Forgot(mac(3), 5, 3)]
    rig.forwarder.flush()
    assert rig.poll() == [Forgot(mac(1), 0, 1)]
    learn()
    rig.forwarder.flush_vlan(5)
    assert rig.poll() == [Forgot(mac(2), 5, 2), Forgot(mac(3), 5, 3)]
    rig.forwarder.flush()
    rig.poll()
    learn()
    rig.forwarder.remove_vlan(5)
    assert rig.poll() == [Forgot(mac(2), 5, 2), Forgot(mac(3), 5, 3)]
    rig.detach(1)
    rig.forwarder.remove_port(1)
    assert rig.poll() == [Forgot(mac(1), 0, 1)]


def test_forgotten_in_the_order_in_which_they_came_to_where_they_are(rig: Rig) -> None:
    rig.forwarder.set_aging(expire_ns=100 * SECOND_NS, gc_interval_ns=0, min_persistence_ns=0)
    rig.forwarder.watch(Watch.HASH)
    rig.tell_ports(1, 2)
    rig.send(3, frame(1))
    rig.poll(1)
    rig.forwarder.flush()
    assert rig.poll() == [Forgot(mac(2), 0, 2), Forgot(mac(1), 0, 3)]


def test_the_same_address_in_two_vlans_is_two(make_rig: MakeRig) -> None:
    rig = make_rig(vlans=(0, 5))
    for number, vlan in ((1, 0), (2, 0), (3, 5), (4, 5)):
        rig.port(number, vlan)
    rig.cross(1, frame(9))
    rig.cross(3, frame(9))
    assert rig.cross(2, frame(2, 9)) == {1: [frame(2, 9)]}
    assert rig.cross(4, frame(4, 9)) == {3: [frame(4, 9)]}


def test_state_decides_on_learning_and_forwarding(rig: Rig) -> None:
    rig.member(0, 1, learning=False, forwarding=False)
    assert rig.cross(1, frame(1)) == {}
    assert rig.forwarder.entries() == []
    rig.member(0, 1, learning=True, forwarding=False)
    assert rig.cross(1, frame(1)) == {}
    assert rig.forwarder.lookup(mac(1), 0) is not None
    assert rig.forwarder.statistics(1).drops == {DropReason.BLOCKED: 2}
    assert rig.cross(2, frame(2, 1)) == {}
    assert rig.forwarder.statistics(2).drops == {DropReason.BLOCKED: 1}
    assert set(rig.cross(2, frame(2))) == {3, 4}
    rig.member(0, 1, learning=False, forwarding=True)
    assert set(rig.cross(1, frame(8))) == {2, 3, 4}
    assert rig.forwarder.lookup(mac(8), 0) is None


def test_a_non_member_of_its_native_vlan_is_blocked(rig: Rig) -> None:
    rig.forwarder.clear_member(0, 1)
    assert rig.cross(1, frame(1)) == {}
    assert rig.forwarder.statistics(1).drops == {DropReason.BLOCKED: 1}
    assert rig.forwarder.entries() == []


def test_table_limit(rig: Rig) -> None:
    rig.forwarder.set_table_limit(2)
    for number in (1, 2, 3):
        rig.cross(1, frame(number))
    assert {entry.mac for entry in rig.forwarder.entries()} == {mac(1), mac(2)}
    assert rig.forwarder.statistics(1).not_learned == 1
    rig.forwarder.set_table_limit(1)
    assert len(rig.forwarder.entries()) == 2
    rig.cross(2, frame(2))
    rig.cross(2, frame(4))
    assert rig.forwarder.statistics(2).not_learned == 1


def test_port_limit_counts_moves_and_what_was_forgotten(rig: Rig) -> None:
    rig.forwarder.set_port_limits(1, addresses=1, storm_frames_per_s=None)
    rig.cross(1, frame(1), frame(2))
    assert rig.forwarder.statistics(1).not_learned == 1
    rig.cross(2, frame(3))
    rig.now_ns += 4 * SECOND_NS
    rig.cross(1, frame(3))
    assert rig.forwarder.statistics(1).not_learned == 2
    found = rig.forwarder.lookup(mac(3), 0)
    assert found is not None
    assert found.port == 2
    rig.forwarder.flush_port(1)
    rig.cross(1, frame(3))
    found = rig.forwarder.lookup(mac(3), 0)
    assert found is not None
    assert found.port == 1
    rig.forwarder.set_port_limits(1, addresses=None, storm_frames_per_s=None)
    rig.cross(1, frame(5), frame(6))
    assert len(rig.forwarder.entries()) == 3


def test_a_storm_is_held_to_its_rate(rig: Rig) -> None:
    rig.forwarder.set_port_limits(1, addresses=None, storm_frames_per_s=10)
    rig.tell_ports(2)
    arrived = rig.cross(1, *[frame(1)] * 15)
    assert [len(frames) for frames in arrived.values()] == [10, 10, 10]
    assert rig.forwarder.statistics(1).drops == {DropReason.STORM: 5}
    assert rig.cross(1, *[frame(1, 2)] * 5) == {2: [frame(1, 2)] * 5}
    rig.now_ns += SECOND_NS // 10
    assert rig.cross(1, frame(1), frame(1))[3] == [frame(1)]
    assert len(rig.cross(2, *[frame(2)] * 20)[3]) == 20
    rig.now_ns += 100 * SECOND_NS
    assert len(rig.cross(1, *[frame(1)] * 15)[3]) == 10
