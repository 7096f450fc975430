"""Rule 10: what the kernel does not take waits in the endpoint's queue, and what that does not hold is lost."""

import socket
from pathlib import Path

from switch.forwarding.contract import DropReason, EndpointKind
from tests.switch.forwarding.rig import MakeRig, Rig, hello
from tests.vde_client import frame


def numbered(count: int) -> list[bytes]:
    return [frame(1, 2, payload=number.to_bytes(4)) for number in range(count)]


def make_small(make_rig: MakeRig, queue_frames: int) -> Rig:
    """Endpoint 2 holds a few frames in the kernel and `queue_frames` here. Port 3 reads everything."""
    rig = make_rig(queue_frames=queue_frames, send_buffer_octets=1)
    for number in (1, 2, 3):
        rig.port(number)
    rig.tell_ports(2, 3)
    return rig


def test_in_order_and_the_rest_is_counted(make_rig: MakeRig) -> None:
    rig = make_small(make_rig, 5)
    frames = numbered(40)
    rig.send(1, *frames)
    rig.poll()
    assert rig.forwarder.queue_length(2) == 5
    arrived = []
    while new := rig.taken(2):
        arrived += new
        rig.poll()
    assert arrived == frames[: len(arrived)]
    assert rig.forwarder.queue_length(2) == 0
    statistics = rig.forwarder.statistics(2)
    assert statistics.drops == {DropReason.QUEUE_FULL: 40 - len(arrived)}
    assert statistics.out_frames == 40 + 1
    assert rig.forwarder.statistics(1).drops == {}
    rig.send(1, frames[0])
    rig.poll()
    assert rig.taken(2) == [frames[0]]


def test_the_bound_of_one_endpoint(make_rig: MakeRig) -> None:
    rig = make_small(make_rig, 5)
    rig.forwarder.set_queue(2, 20)
    rig.send(1, *numbered(60))
    rig.poll()
    assert rig.forwarder.queue_length(2) == 20
    rig.forwarder.set_queue(2, 3)
    assert rig.forwarder.queue_length(2) == 20
    rig.send(1, *numbered(2))
    rig.poll()
    assert rig.forwarder.queue_length(2) == 20
    rig.forwarder.set_queue(3, 0)
    rig.send(1, *[frame(1, 3)] * 40)
    rig.poll()
    assert rig.forwarder.queue_length(3) == 0
    in_kernel = len(rig.taken(3))
    assert rig.forwarder.statistics(3).drops == {DropReason.QUEUE_FULL: 40 - in_kernel}


def test_a_new_frame_does_not_overtake_those_that_wait(make_rig: MakeRig) -> None:
    rig = make_small(make_rig, 1000)
    frames = numbered(300)
    arrived: list[bytes] = []
    for start in range(0, 300, 30):
        rig.send(1, *frames[start : start + 30])
        rig.poll()
        arrived += [rig.peers[2].recv(2000) for _ in range(2)]
    while new := rig.taken(2):
        arrived += new
        rig.poll()
    assert arrived == frames


def test_a_dead_client_costs_its_own_frames_only(make_rig: MakeRig) -> None:
    rig = make_small(make_rig, 5)
    rig.peers.pop(2).close()
    sent = frame(1)
    assert rig.cross(1, sent, sent) == {3: [sent, sent]}
    assert rig.forwarder.statistics(2).drops == {DropReason.SEND_ERROR: 2}
    assert rig.forwarder.statistics(2).out_frames == 3


def test_a_client_that_dies_with_a_queue(make_rig: MakeRig) -> None:
    rig = make_small(make_rig, 5)
    rig.send(1, *numbered(40))
    rig.poll()
    lost = rig.forwarder.statistics(2).drops[DropReason.QUEUE_FULL]
    rig.peers.pop(2).close()
    rig.poll()
    assert rig.forwarder.queue_length(2) == 0
    assert rig.forwarder.statistics(2).drops == {DropReason.QUEUE_FULL: lost, DropReason.SEND_ERROR: 5}


def test_each_endpoint_of_a_port_has_its_own_queue(make_rig: MakeRig) -> None:
    rig = make_rig(queue_frames=5, send_buffer_octets=1)
    rig.port(1)
    rig.port(2, endpoints=(2, 22))
    frames = numbered(40)
    fast: list[bytes] = []
    for one in frames:
        rig.send(1, one)
        rig.poll()
        fast += rig.taken(22)
    assert fast == frames
    slow = []
    while new := rig.taken(2):
        slow += new
        rig.poll()
    assert slow == frames[: len(slow)]
    statistics = rig.forwarder.statistics(2)
    assert statistics.out_frames == 40
    assert statistics.drops == {DropReason.QUEUE_FULL: 40 - len(slow)}


def test_detach_drops_the_queue(make_rig: MakeRig) -> None:
    rig = make_small(make_rig, 5)
    rig.send(1, *numbered(40))
    rig.poll()
    rig.detach(2)
    rig.attach(2, 2)
    assert rig.forwarder.queue_length(2) == 0
    assert rig.cross(1, frame(1, 2)) == {2: [frame(1, 2)]}


def test_a_client_that_never_connects_has_a_small_kernel_queue(make_rig: MakeRig, short_path: Path) -> None:
    """Old emulators use sendto: the receiver's own queue (`net.unix.max_dgram_qlen`) then is the bound."""
    rig = make_rig(queue_frames=100)
    rig.port(1)
    rig.forwarder.add_port(2, 0)
    rig.member(0, 2)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.bind(str(short_path / "client"))
    client.setblocking(False)
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.connect(str(short_path / "client"))
    ours.bind(str(short_path / "switch"))
    rig.forwarder.attach(2, 2, ours.detach(), EndpointKind.DATAGRAM)
    rig.peers[2] = client
    rig.peers[2].sendto(hello(2), str(short_path / "switch"))
    rig.poll()
    frames = numbered(60)
    rig.send(1, *frames)
    rig.poll()
    assert 0 < rig.forwarder.queue_length(2) < 60
    arrived = []
    while new := rig.taken(2):
        arrived += new
        rig.poll()
    assert arrived == frames
    assert rig.forwarder.statistics(2).drops == {}
