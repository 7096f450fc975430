"""Rule 5 and the event queue: what policy hears, in order, and what is lost when it does not listen."""

import errno
import os

from switch.forwarding.contract import Bpdu, Direction, EndpointFailed, EndpointKind, Learned, Packet, Watch
from switch.forwarding.terms import EVENT_OCTETS
from tests.switch.forwarding.rig import MakeRig, Rig
from tests.vde_client import frame, tagged

BPDU = bytes.fromhex("0180c2000000") + frame(1)[6:]


def fstp(rig: Rig) -> None:
    rig.forwarder.set_mode(hub=False, fstp=True, vlan_transparent=False)


def test_spanning_tree_frames_go_up_and_nowhere_else(make_rig: MakeRig) -> None:
    rig = make_rig(vlans=(0, 5))
    rig.port(1, 0, tagged=(5,))
    rig.port(2, 0, tagged=(5,))
    fstp(rig)
    rig.send(1, BPDU, tagged(BPDU, 5))
    assert rig.poll() == [Bpdu(1, 0, BPDU), Bpdu(1, 5, tagged(BPDU, 5))]
    assert rig.taken(2) == []
    assert rig.forwarder.entries() == []
    assert rig.forwarder.statistics(1).drops == {}


def test_a_blocked_port_still_hands_them_up(rig: Rig) -> None:
    fstp(rig)
    rig.member(0, 1, learning=False, forwarding=False)
    rig.send(1, BPDU)
    assert rig.poll() == [Bpdu(1, 0, BPDU)]


def test_without_fstp_they_flood(rig: Rig) -> None:
    assert rig.cross(1, BPDU) == {2: [BPDU], 3: [BPDU], 4: [BPDU]}


def test_nothing_is_reported_that_is_not_watched(rig: Rig) -> None:
    rig.send(1, frame(1))
    assert rig.poll() == []


def test_packets_in_and_out_with_the_forms_that_they_had(make_rig: MakeRig) -> None:
    rig = make_rig(vlans=(0, 5))
    rig.port(1, 5)
    rig.port(2, 0, tagged=(5,))
    rig.forwarder.watch(Watch.PACKETS | Watch.HASH)
    rig.send(1, frame(1))
    assert rig.poll() == [
        Packet(Direction.IN, 1, 5, frame(1), rig.now_ns),
        Learned(b"\x02\0\0\0\0\x01", 5, 1),
        Packet(Direction.OUT, 2, 5, tagged(frame(1), 5), rig.now_ns),
    ]
    rig.forwarder.watch(Watch.NOTHING)
    rig.send(1, frame(1))
    assert rig.poll() == []


def test_policys_frames_are_watched_with_the_time_of_the_poll(rig: Rig) -> None:
    rig.forwarder.watch(Watch.PACKETS)
    rig.poll(5)
    rig.forwarder.transmit(3, frame(9))
    assert rig.taken(3) == [frame(9)]
    assert rig.poll(5) == [Packet(Direction.OUT, 3, -1, frame(9), rig.now_ns - 5)]
    statistics = rig.forwarder.statistics(3)
    assert (statistics.out_frames, statistics.out_octets) == (1, 60)


def test_a_full_queue_loses_and_counts(make_rig: MakeRig) -> None:
    rig = make_rig(events=16)
    rig.port(1)
    rig.port(2)
    rig.cross(1, frame(1), frame(1), frame(1))  # from now on it may send in bursts
    rig.forwarder.watch(Watch.HASH)
    fstp(rig)
    reader, writer = os.pipe()
    rig.forwarder.attach(1, 77, reader, EndpointKind.TAP)
    os.close(writer)
    rig.send(1, *[frame(100 + number) for number in range(20)], BPDU, BPDU, BPDU)
    events = rig.poll()
    assert [type(event) for event in events] == [Learned] * 14 + [Bpdu] * 2 + [EndpointFailed]
    assert events[-1] == EndpointFailed(77, errno.ECONNRESET)
    assert rig.forwarder.events_lost() == 7
    rig.send(1, BPDU)
    assert rig.poll() == [Bpdu(1, 0, BPDU)]
    assert rig.forwarder.events_lost() == 7


def test_frames_in_events_are_bounded_in_octets(make_rig: MakeRig) -> None:
    rig = make_rig(max_frame_octets=65535)
    rig.port(1)
    rig.port(2)
    rig.forwarder.watch(Watch.PACKETS)
    big = frame(1, payload=bytes(65535 - 14))
    events = 0
    while rig.forwarder.events_lost() == 0:
        rig.forwarder.transmit(2, big)
        rig.taken(2)
        events += 1
        assert events < 1000
    assert events - 1 == EVENT_OCTETS // 65535
    assert len(rig.poll()) == events - 1
