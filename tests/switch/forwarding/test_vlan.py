"""Rules 4 and 9: which VLAN a frame is of, and with which tag it leaves."""

import pytest

from switch.forwarding.contract import NO_VLAN, DropReason
from tests.switch.forwarding.rig import MakeRig, Rig
from tests.vde_client import frame, tagged

A, B, C, D = 1, 2, 3, 4
BROADCAST = frame(9)


@pytest.fixture
def matrix(make_rig: MakeRig) -> Rig:
    """A and B native 10; C native 0, tagged 10 and 20; D native 20, tagged 10."""
    rig = make_rig(vlans=(0, 10, 20))
    rig.port(A, 10)
    rig.port(B, 10)
    rig.port(C, 0, tagged=(10, 20))
    rig.port(D, 20, tagged=(10,))
    return rig


def test_untagged_in_the_native_vlan(matrix: Rig) -> None:
    as_10 = tagged(BROADCAST, 10)
    assert matrix.cross(A, BROADCAST) == {B: [BROADCAST], C: [as_10], D: [as_10]}


def test_tagged_by_a_member(matrix: Rig) -> None:
    as_10 = tagged(BROADCAST, 10)
    assert matrix.cross(C, as_10) == {A: [BROADCAST], B: [BROADCAST], D: [as_10]}
    assert matrix.cross(C, tagged(BROADCAST, 20)) == {D: [BROADCAST]}


def test_tagged_by_a_non_member(matrix: Rig) -> None:
    assert matrix.cross(C, tagged(BROADCAST, 30)) == {}
    assert matrix.cross(A, tagged(BROADCAST, 20)) == {}
    assert matrix.forwarder.statistics(C).drops == {DropReason.VLAN: 1}
    assert matrix.forwarder.statistics(A).drops == {DropReason.VLAN: 1}
    assert matrix.forwarder.statistics(A).in_frames == 1


def test_tagged_with_the_own_native_vlan(matrix: Rig) -> None:
    as_10 = tagged(BROADCAST, 10)
    assert matrix.cross(A, as_10) == {B: [BROADCAST], C: [as_10], D: [as_10]}


def test_untagged_by_the_trunk_is_of_vlan_0_where_nobody_is(matrix: Rig) -> None:
    assert matrix.cross(C, BROADCAST) == {}
    assert matrix.forwarder.statistics(C).drops == {}


def test_priority_stays_from_tag_to_tag(matrix: Rig) -> None:
    urgent = tagged(BROADCAST, 0x600A)
    assert matrix.cross(C, urgent) == {A: [BROADCAST], B: [BROADCAST], D: [urgent]}


def test_a_port_without_native_vlan(matrix: Rig) -> None:
    matrix.forwarder.set_native(A, NO_VLAN)
    assert matrix.cross(A, BROADCAST) == {}
    assert matrix.forwarder.statistics(A).drops == {DropReason.VLAN: 1}
    matrix.member(10, A, tagged=True)
    as_10 = tagged(BROADCAST, 10)
    assert matrix.cross(A, as_10) == {B: [BROADCAST], C: [as_10], D: [as_10]}


def test_1518_octets_become_1522(matrix: Rig) -> None:
    longest = frame(9, payload=bytes(1504))
    arrived = matrix.cross(A, longest)
    assert [len(one) for one in arrived[C]] == [1522]
    assert arrived[C] == [tagged(longest, 10)]


def test_only_0x8100_is_a_tag(matrix: Rig) -> None:
    service = BROADCAST[:12] + bytes.fromhex("88a8000a") + BROADCAST[12:]
    assert matrix.cross(A, service) == {B: [service], C: [tagged(service, 10)], D: [tagged(service, 10)]}


def test_only_the_first_tag_counts(matrix: Rig) -> None:
    double = tagged(tagged(BROADCAST, 20), 10)
    assert matrix.cross(C, double) == {A: [double[:12] + double[16:]], B: [double[:12] + double[16:]], D: [double]}


def test_a_fresh_switch_drops_tags_of_undefined_vlans(rig: Rig) -> None:
    assert rig.cross(1, tagged(BROADCAST, 7)) == {}
    assert rig.cross(1, tagged(BROADCAST, 0xFFF)) == {}
    assert rig.forwarder.statistics(1).drops == {DropReason.VLAN: 2}
    assert rig.cross(1, tagged(BROADCAST, 0x2000)) == {2: [BROADCAST], 3: [BROADCAST], 4: [BROADCAST]}


def test_transparent_passes_tags_of_undefined_vlans(rig: Rig) -> None:
    rig.forwarder.set_mode(hub=False, fstp=False, vlan_transparent=True)
    for tci in (7, 0x6007, 0xFFF, 0, 0x2000):
        sent = tagged(BROADCAST, tci)
        assert rig.cross(1, sent) == {2: [sent], 3: [sent], 4: [sent]}
    rig.cross(2, tagged(frame(2), 7))
    assert rig.cross(1, tagged(frame(1, 2), 7)) == {2: [tagged(frame(1, 2), 7)]}
    assert {entry.vlan for entry in rig.forwarder.entries()} == {7, 0x0FFF, 0}


def test_transparent_keeps_undefined_vlans_apart(rig: Rig) -> None:
    """The same address in two VLANs behind two ports; the address of the one says nothing of the other."""
    rig.forwarder.set_mode(hub=False, fstp=False, vlan_transparent=True)
    rig.cross(2, tagged(frame(2), 7))
    rig.cross(3, tagged(frame(2), 8))
    rig.cross(4, frame(2))
    for tci, port in ((7, 2), (0x6008, 3)):
        assert rig.cross(1, tagged(frame(1, 2), tci)) == {port: [tagged(frame(1, 2), tci)]}
    assert rig.cross(1, frame(1, 2)) == {4: [frame(1, 2)]}
    assert set(rig.cross(1, tagged(frame(1, 2), 9))) == {2, 3, 4}
    rig.forwarder.flush_port(2, 0)
    assert set(rig.cross(1, tagged(frame(1, 2), 7))) == {2, 3, 4}
    rig.forwarder.add_vlan(8)
    assert rig.forwarder.lookup(frame(2)[6:12], 8) is None
    rig.forwarder.remove_vlan(8)
    assert set(rig.cross(1, tagged(frame(1, 2), 8))) == {2, 3, 4}
    rig.cross(3, tagged(frame(2), 8))
    rig.forwarder.flush_vlan(0)
    assert rig.forwarder.entries() == []


def test_transparent_still_honours_defined_vlans(matrix: Rig) -> None:
    matrix.forwarder.set_mode(hub=False, fstp=False, vlan_transparent=True)
    assert matrix.cross(C, tagged(BROADCAST, 20)) == {D: [BROADCAST]}
    assert matrix.cross(A, tagged(BROADCAST, 20)) == {}
    inner = tagged(BROADCAST, 30)
    outer = inner[:12] + bytes.fromhex("8100000a") + inner[12:]
    assert matrix.cross(A, inner) == {B: [inner], C: [outer], D: [outer]}
    assert matrix.cross(D, outer) == {A: [inner], B: [inner], C: [outer]}


def test_transparent_without_native_vlan_drops(rig: Rig) -> None:
    rig.forwarder.set_mode(hub=False, fstp=False, vlan_transparent=True)
    rig.forwarder.set_native(1, NO_VLAN)
    assert rig.cross(1, tagged(BROADCAST, 7)) == {}
    assert rig.forwarder.statistics(1).drops == {DropReason.VLAN: 1}


def test_an_untagged_member_that_is_not_native(matrix: Rig) -> None:
    matrix.member(10, D, tagged=False)
    assert matrix.cross(A, BROADCAST)[D] == [BROADCAST]


def test_removing_a_vlan_blocks_those_who_have_it_as_native(matrix: Rig) -> None:
    matrix.forwarder.remove_vlan(10)
    assert matrix.cross(A, BROADCAST) == {}
    assert matrix.cross(A, tagged(BROADCAST, 10)) == {}
    assert matrix.forwarder.statistics(A).drops == {DropReason.BLOCKED: 1, DropReason.VLAN: 1}
