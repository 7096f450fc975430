"""A real tap: frames between the kernel's network stack and a port, and the end of the device."""

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from pyroute2 import IPRoute

from switch.forwarding.contract import DropReason, EndpointFailed
from switch.tap import open_tap
from tests.switch.forwarding.rig import MakeRig, Rig
from tests.vde_client import frame, tagged
from vde.errors import ConfigError

# linux/sockios.h, linux/if.h
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
ETH_P_ALL = 3
TAP = 5


def set_up(name: str, up: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH22x", name.encode(), 0)
        (flags,) = struct.unpack_from("16xH", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        flags = flags | IFF_UP if up else flags & ~IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags))


class Tapped:
    """A tap as endpoint 5 on port 5, ports 1 and 2 with clients, and a packet socket on the tap's kernel side."""

    def __init__(self, rig: Rig, *, offloads: bool) -> None:
        self.rig = rig
        for number in (1, 2):
            rig.port(number)
        rig.port(TAP, endpoints=())
        self.name = f"vdetest{os.getpid() % 1_000_000}"
        try:
            tap = open_tap(self.name, offloads=offloads)
        except ConfigError as error:
            pytest.skip(str(error))
        rig.forwarder.attach(TAP, TAP, tap.fd, tap.kind)
        set_up(self.name, True)
        self.kernel = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.kernel.bind((self.name, ETH_P_ALL))
        self.kernel.settimeout(10)

    def arrived(self, wanted: bytes) -> bool:
        """Wait for a frame among those that the kernel itself sends (router solicitations and the like)."""
        while True:
            if self.kernel.recv(1 << 16) == wanted:
                return True


@pytest.fixture(params=[False, True], ids=["plain", "offloads"])
def tapped(make_rig: MakeRig, request: pytest.FixtureRequest) -> Iterator[Tapped]:
    tapped = Tapped(make_rig(), offloads=request.param)
    yield tapped
    tapped.kernel.close()


def test_frames_cross_both_ways(tapped: Tapped) -> None:
    rig = tapped.rig
    sent = frame(9, payload=b"to the kernel")
    rig.send(1, sent)
    rig.poll()
    assert tapped.arrived(sent)
    back = frame(8, payload=b"from the kernel")
    tapped.kernel.send(back)
    rig.poll()
    assert back in rig.taken(1)
    assert back in rig.taken(2)


def test_tags_are_put_in_and_taken_out(tapped: Tapped) -> None:
    rig = tapped.rig
    rig.member(0, TAP, tagged=True)
    rig.send(1, frame(9))
    rig.poll()
    back = frame(8)
    tapped.kernel.send(tagged(back, 0))
    rig.poll()
    assert back in rig.taken(2)


def test_a_tap_that_is_down_refuses(tapped: Tapped) -> None:
    set_up(tapped.name, False)
    tapped.rig.send(1, frame(9))
    assert tapped.rig.poll() == []
    assert tapped.rig.forwarder.statistics(TAP).drops == {DropReason.SEND_ERROR: 1}


def test_a_tap_that_is_deleted_has_failed(tapped: Tapped) -> None:
    with IPRoute() as route:
        route.link("del", index=socket.if_nametoindex(tapped.name))
    assert tapped.rig.poll() == [EndpointFailed(TAP, errno.EBADFD)]
    assert tapped.rig.poll() == []
