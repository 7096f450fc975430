"""Endpoints come, go and fail; descriptors are owned from `attach` to `detach`."""

import errno
import os
import socket

import pytest

from switch.forwarding.contract import DropReason, EndpointFailed, EndpointKind, Limits
from tests.switch.forwarding.rig import MakeRig, Rig
from tests.vde_client import frame


def is_closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def test_several_endpoints_of_a_port(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.port(1, endpoints=(11, 12))
    rig.port(2, endpoints=(21, 22))
    assert rig.cross(11, frame(1)) == {21: [frame(1)], 22: [frame(1)]}
    assert rig.forwarder.statistics(2).out_frames == 1


def test_a_port_without_endpoints_counts_nothing(rig: Rig) -> None:
    rig.tell_ports(2)
    before = rig.forwarder.statistics(2)
    rig.detach(2)
    assert rig.cross(1, frame(1, 2), frame(1)) == {3: [frame(1)], 4: [frame(1)]}
    rig.forwarder.transmit(2, frame(1))
    assert rig.forwarder.statistics(2) == before
    assert rig.forwarder.statistics(1).drops == {}


def test_detach_closes(rig: Rig) -> None:
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with peer:
        fd = ours.detach()
        rig.forwarder.attach(1, 77, fd, EndpointKind.DATAGRAM)
        rig.forwarder.detach(77)
        assert is_closed(fd)


def test_what_a_client_sent_before_it_left_is_forwarded(rig: Rig) -> None:
    """A client that sent its last frames and closed at once lost those that the forwarder had not read yet."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        ours, peer = socket.socketpair(socket.AF_UNIX, kind)
        rig.forwarder.attach(1, 77, ours.detach(), EndpointKind.DATAGRAM)
        sent = [frame(1, None, bytes([number])) for number in range(9)]
        for one in sent:
            peer.send(one)
        peer.close()
        rig.forwarder.detach(77)
        assert rig.taken(2) == sent


def test_close_closes_all_and_again_does_nothing(make_rig: MakeRig) -> None:
    rig = make_rig()
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with peer:
        fd = ours.detach()
        rig.forwarder.add_port(1, 0)
        rig.forwarder.attach(1, 1, fd, EndpointKind.DATAGRAM)
        rig.forwarder.close()
        rig.forwarder.close()
        assert is_closed(fd)
        with pytest.raises(RuntimeError):
            rig.forwarder.poll(1)
    with pytest.raises(RuntimeError):
        rig.attach(1, 2)


def test_a_refused_attach_leaves_the_descriptor_alone(rig: Rig) -> None:
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, peer:
        with pytest.raises(KeyError):
            rig.forwarder.attach(99, 99, ours.fileno(), EndpointKind.DATAGRAM)
        with pytest.raises(ValueError, match="1"):
            rig.forwarder.attach(1, 1, ours.fileno(), EndpointKind.DATAGRAM)
        with pytest.raises(ValueError, match="-1"):
            rig.forwarder.attach(1, -1, ours.fileno(), EndpointKind.DATAGRAM)
        with open(os.devnull, "rb") as file, pytest.raises(OSError, match=r"[Ss]ocket") as caught:
            rig.forwarder.attach(1, 99, file.fileno(), EndpointKind.DATAGRAM)
        assert caught.value.errno == errno.ENOTSOCK
        with open(__file__, "rb") as file, pytest.raises(PermissionError):
            rig.forwarder.attach(1, 99, file.fileno(), EndpointKind.TAP)
        os.fstat(ours.fileno())
    with pytest.raises(KeyError):
        rig.forwarder.detach(99)
    rig.attach(1, 99)
    assert set(rig.cross(1, frame(1))) == {2, 3, 4}


def test_a_descriptor_is_made_nonblocking(rig: Rig) -> None:
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with peer:
        ours.setblocking(True)
        fd = ours.detach()
        rig.forwarder.attach(1, 77, fd, EndpointKind.DATAGRAM)
        assert os.get_blocking(fd) is False


def test_the_send_buffer_is_set(make_rig: MakeRig) -> None:
    rig = make_rig(send_buffer_octets=50_000)
    rig.port(1, endpoints=())
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with peer:
        same = ours.dup()
        rig.forwarder.attach(1, 1, ours.detach(), EndpointKind.DATAGRAM)
        with same:
            assert same.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * 50_000


def test_the_end_of_a_seqpacket_connection(rig: Rig) -> None:
    rig.attach(1, 77, socket_type=socket.SOCK_SEQPACKET)
    rig.send(77, frame(7))
    rig.peers.pop(77).close()
    assert rig.poll() == [EndpointFailed(77, errno.ECONNRESET)]
    assert rig.taken(2) == [frame(7)]
    assert rig.poll() == []
    assert set(rig.cross(2, frame(2))) == {1, 3, 4}
    rig.forwarder.detach(77)


def test_a_seqpacket_connection_carries_frames(rig: Rig) -> None:
    rig.attach(1, 77, socket_type=socket.SOCK_SEQPACKET)
    assert set(rig.cross(77, frame(7))) == {2, 3, 4}
    assert rig.cross(2, frame(2))[77] == [frame(2)]


def test_a_client_that_connects_elsewhere_has_not_ended(rig: Rig) -> None:
    """A datagram socket reports ECONNRESET, once, when its peer turns to another with frames unread."""
    rig.forwarder.transmit(1, frame(9))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind("")
        rig.peers[1].connect(other.getsockname())
        assert rig.poll() == []
        assert set(rig.cross(2, frame(2))) == {3, 4}
        assert rig.forwarder.statistics(1).drops == {DropReason.SEND_ERROR: 1}


def test_a_tap_kind_reads_and_writes(rig: Rig) -> None:
    rig.attach(1, 77, EndpointKind.TAP)
    assert set(rig.cross(77, frame(7), frame(8))) == {2, 3, 4}
    assert rig.cross(2, frame(2), frame(2, 7))[77] == [frame(2), frame(2, 7)]


def test_a_broken_tap_is_reported_once(rig: Rig) -> None:
    reader, writer = os.pipe()
    try:
        rig.forwarder.attach(1, 77, reader, EndpointKind.TAP)
    finally:
        os.close(writer)
    assert rig.poll() == [EndpointFailed(77, errno.ECONNRESET)]
    assert rig.poll() == []
    rig.forwarder.detach(77)


def test_an_endpoint_number_can_be_used_again(rig: Rig) -> None:
    for _ in range(50):
        rig.detach(1)
        rig.attach(1, 1)
        assert set(rig.cross(1, frame(1))) == {2, 3, 4}


def test_limits_are_checked() -> None:
    for wrong in (
        {"max_frame_octets": 1517},
        {"max_frame_octets": 65536},
        {"queue_frames": 0},
        {"send_buffer_octets": 0},
        {"events": 0},
        {"events": 1 << 31},
    ):
        with pytest.raises(ValueError, match="are possible"):
            Limits(**wrong)
