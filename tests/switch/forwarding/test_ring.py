"""Endpoints in shared memory: frames both ways, a full ring, a peer that breaks it, and how many descriptors stay."""

import errno
import mmap
import os

import pytest

from switch.forwarding.contract import DropReason, EndpointFailed, EndpointKind
from tests.switch.forwarding.rig import MakeRig, Rig, RingPeer
from tests.vde_client import frame, tagged
from vde._native import Ring

LISTENER, CONNECTOR = EndpointKind.RING_LISTENER, EndpointKind.RING_CONNECTOR
HEAD_OF_CONNECTOR = 512  # plugs/native/ring/src/lib.rs


@pytest.fixture
def ringed(make_rig: MakeRig) -> Rig:
    """Ports 1 (we listen) and 2 (we connect) on rings, 3 on a socket, 4 on a ring and tagged in VLAN 0."""
    rig = make_rig(max_frame_octets=1518)
    for number, kind in ((1, LISTENER), (2, CONNECTOR)):
        rig.port(number, endpoints=())
        rig.attach(number, number, kind)
    rig.port(3)
    rig.port(4, endpoints=())
    rig.member(0, 4, tagged=True)
    rig.attach_ring(4, 4, LISTENER)
    return rig


def test_frames_pass_between_rings_and_sockets(ringed: Rig) -> None:
    sent = [frame(1, payload=bytes(number * 25)) for number in range(57)]
    assert ringed.cross(1, *sent) == {2: sent, 3: sent, 4: [tagged(one, 0) for one in sent]}
    assert ringed.cross(2, frame(2, 1)) == {1: [frame(2, 1)]}
    assert ringed.cross(3, frame(3, 2)) == {2: [frame(3, 2)]}
    assert ringed.cross(4, tagged(frame(4, 1), 0)) == {1: [frame(4, 1)]}
    assert ringed.forwarder.statistics(1).in_octets == sum(map(len, sent))


def test_a_full_ring_loses_its_own_frames_only(make_rig: MakeRig) -> None:
    rig = make_rig(max_frame_octets=1518)
    for number in (1, 2, 3):
        rig.port(number, endpoints=())
        rig.attach_ring(number, number, LISTENER, ring_octets=1 << 16)
    holds = (1 << 16) // 1528
    arrived = 0
    for number in range(100):
        rig.send(1, frame(1, payload=number.to_bytes(1500)))
        rig.poll()
        arrived += len(rig.taken(3))
    assert arrived == 100
    assert rig.forwarder.statistics(2).drops == {DropReason.QUEUE_FULL: 100 - holds}
    assert rig.forwarder.statistics(3).drops == {}
    assert [one[14:1514] for one in rig.taken(2)] == [number.to_bytes(1500) for number in range(holds)]
    rig.send(1, frame(1))
    rig.poll()
    assert rig.taken(2) == [frame(1)]


def test_what_policy_sends_goes_to_rings(ringed: Rig) -> None:
    ringed.forwarder.transmit(2, frame(9))
    assert ringed.taken(2) == [frame(9)]


def test_a_broken_ring_fails_its_endpoint(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.port(1, endpoints=())
    rig.port(2)
    listener, given = Ring.create(0, 1522)
    memory = mmap.mmap(given[0], 0)
    peer = RingPeer(Ring.join(given))
    rig.ring_peers[1] = peer
    fd, *others = listener.give_away()
    rig.forwarder.attach(1, 1, fd, LISTENER, others)
    assert rig.cross(1, frame(1)) == {2: [frame(1)]}
    peer.send(frame(1))
    memory[HEAD_OF_CONNECTOR : HEAD_OF_CONNECTOR + 4] = b"\xff" * 4
    memory.close()
    assert rig.poll() == [EndpointFailed(1, errno.EPROTO)]
    assert rig.cross(2, frame(2)) == {1: [frame(2)]}
    rig.forwarder.detach(1)


def test_a_refused_attach_leaves_the_descriptors_alone(ringed: Rig) -> None:
    ring, given = Ring.create(0, 0)
    descriptors = [*ring.give_away(), *given]
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises((KeyError, ValueError)):
        ringed.forwarder.attach(99, 99, descriptors[0], LISTENER, descriptors[1:6])
    with pytest.raises(ValueError, match="exists"):
        ringed.forwarder.attach(1, 1, descriptors[0], LISTENER, descriptors[1:6])
    with pytest.raises(ValueError, match="6 are needed"):
        ringed.forwarder.attach(1, 99, descriptors[0], LISTENER, descriptors[1:5])
    with pytest.raises(OSError):  # noqa: PT011 - which one it is, the kernel says
        ringed.forwarder.attach(1, 99, descriptors[0], LISTENER, [descriptors[0], *descriptors[2:6]])
    assert len(os.listdir("/proc/self/fd")) == before
    for descriptor in descriptors:
        os.close(descriptor)


def test_detaching_closes_everything(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.port(1, endpoints=())
    before = len(os.listdir("/proc/self/fd"))
    rig.attach_ring(1, 1, LISTENER)
    rig.detach(1)
    assert len(os.listdir("/proc/self/fd")) == before
