"""Rule 1: which lengths pass; and that no datagram of any content disturbs."""

import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switch.forwarding.contract import DropReason, EndpointKind, Limits
from tests.switch.forwarding.rig import Kind, MakeRig, Rig
from tests.vde_client import frame, tagged


@pytest.mark.parametrize("octets", [0, 1, 12, 13])
def test_shorter_than_a_header_is_short(rig: Rig, octets: int) -> None:
    assert rig.cross(1, frame(1)[:octets]) == {}
    statistics = rig.forwarder.statistics(1)
    assert (statistics.in_frames, statistics.drops) == (0, {DropReason.SHORT: 1})


def test_fourteen_octets_pass(rig: Rig) -> None:
    sent = frame(1)[:14]
    assert rig.cross(1, sent) == {2: [sent], 3: [sent], 4: [sent]}
    assert rig.forwarder.statistics(1).in_octets == 14


def test_a_tag_needs_eighteen_octets(rig: Rig) -> None:
    whole = tagged(frame(1), 0)
    for octets in (14, 15, 16, 17):
        assert rig.cross(1, whole[:octets]) == {}
    assert rig.forwarder.statistics(1).drops == {DropReason.SHORT: 4}
    assert rig.cross(1, whole[:18])[2] == [whole[:12] + whole[16:18]]


def test_short_holds_for_a_hub_too(rig: Rig) -> None:
    rig.forwarder.set_mode(hub=True, fstp=False, vlan_transparent=False)
    assert rig.cross(1, tagged(frame(1), 0)[:17], b"x" * 13) == {}
    assert rig.forwarder.statistics(1).drops == {DropReason.SHORT: 2}


@pytest.mark.parametrize("limit", [1518, 9234, 65535])
@pytest.mark.parametrize("endpoint_kind", [kind for kind in EndpointKind if kind is not EndpointKind.OVERLAY])
def test_the_longest_frame_passes_and_one_more_octet_does_not(
    make_rig: MakeRig, limit: int, endpoint_kind: EndpointKind
) -> None:
    rig = make_rig(max_frame_octets=limit)
    rig.port(1, endpoints=())
    rig.attach(1, 1, endpoint_kind, before=bytes(10) if endpoint_kind is EndpointKind.TAP_VNET else b"")
    rig.port(2)
    longest = frame(1, payload=bytes(range(256)) * 256)[:limit]
    assert rig.cross(1, longest) == {2: [longest]}
    assert rig.cross(1, longest + b"!", longest + bytes(2000)) == {}
    statistics = rig.forwarder.statistics(1)
    assert statistics.drops == {DropReason.OVERSIZE: 2}
    assert (statistics.in_frames, statistics.in_octets) == (1, limit)


def test_a_tag_may_make_the_longest_frame_longer(make_rig: MakeRig) -> None:
    rig = make_rig(vlans=(0,), max_frame_octets=1518)
    rig.port(1)
    rig.forwarder.add_port(2, 0)
    rig.member(0, 2, tagged=True)
    rig.attach(2, 2)
    longest = frame(1, payload=bytes(1504))
    assert rig.cross(1, longest) == {2: [tagged(longest, 0)]}


@pytest.mark.fuzz
@given(data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fuzz_no_datagram_disturbs(kind: Kind, data: st.DataObject) -> None:
    """Whatever one port sends, frames of the others arrive whole and the counters add up."""
    sizes = st.integers(0, 30) | st.integers(1500, 1530) | st.integers(0, 65535)
    octets = data.draw(st.lists(sizes.flatmap(lambda size: st.binary(min_size=size, max_size=size)), max_size=12))
    rig = Rig(kind, Limits(max_frame_octets=data.draw(st.sampled_from([1518, 9234, 65535]))), vlans=(0, 1, 2))
    try:
        rig.forwarder.set_mode(hub=False, fstp=data.draw(st.booleans()), vlan_transparent=data.draw(st.booleans()))
        rig.port(1, tagged=(1,))
        rig.port(2)
        rig.port(3)
        rig.peers[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        rig.tell_ports(2, 3)
        for one in octets:
            rig.cross(1, one)
            good = frame(2, 3, payload=b"good")
            assert rig.cross(2, good) == {3: [good]}
        statistics = rig.forwarder.statistics(1)
        early = sum(statistics.drops.get(reason, 0) for reason in (DropReason.SHORT, DropReason.OVERSIZE))
        assert statistics.in_frames + early == len(octets)
    finally:
        rig.close()
