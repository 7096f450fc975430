"""Taps with offloads against the kernel: what it segments in software is what we do, octet for octet."""

import fcntl
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from switch.forwarding.contract import EndpointKind, Limits
from switch.tap import open_tap
from tests.switch.forwarding.rig import Rig
from tests.switch.forwarding.test_offload import ORDINARY, packet
from tests.switch.forwarding.test_tap import ETH_P_ALL, set_up
from tests.switch.forwarding.unfinished import NEEDS_CSUM, Header, ordinary, parse
from vde.errors import ConfigError

SOL_PACKET, PACKET_VNET_HDR = 263, 15  # linux/if_packet.h
SIOCGIFMTU, SIOCSIFMTU = 0x8921, 0x8922
CLIENT = 3


class Station:
    """A tap and a packet socket on its kernel side, that gives and takes virtio-net headers too."""

    def __init__(self, number: int, *, offloads: bool) -> None:
        self.name = f"vdeoff{number}x{os.getpid() % 100_000}"
        try:
            self.tap = open_tap(self.name, offloads=offloads)
        except ConfigError as error:
            pytest.skip(str(error))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, SIOCSIFMTU, struct.pack("16si20x", self.name.encode(), 1500))
        set_up(self.name, True)
        self.kernel = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.kernel.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.kernel.bind((self.name, ETH_P_ALL))
        self.kernel.settimeout(10)

    def arrived(self, source: bytes) -> tuple[Header, bytes]:
        """The next frame from a station, among those that the kernel itself sends."""
        while True:
            octets = self.kernel.recv(1 << 17)
            if octets[16:22] == source:
                return parse(octets[:10]), octets[10:]


@pytest.fixture
def stations() -> Iterator[list[Station]]:
    """Two with offloads, one without, which nobody forwards for."""
    made: list[Station] = []
    try:
        for number, offloads in enumerate([True, True, False]):
            made.append(Station(number, offloads=offloads))
        yield made
    finally:
        for station in made:
            station.kernel.close()
        os.close(made[2].tap.fd)


@pytest.fixture
def rig(stations: list[Station]) -> Iterator[Rig]:
    rig = Rig("native", Limits(), (0,))
    for number, station in enumerate(stations[:2], start=1):
        assert station.tap.kind is EndpointKind.TAP_VNET
        rig.port(number, endpoints=())
        rig.forwarder.attach(number, number, station.tap.fd, station.tap.kind)
    rig.port(CLIENT)
    yield rig
    rig.close()


def from_kernel(fd: int, source: bytes) -> list[bytes]:
    """What a plain tap's reader gets from a station."""
    frames: list[bytes] = []
    while True:
        try:
            octets = os.read(fd, 1 << 17)
        except BlockingIOError:
            return frames
        if octets[6:12] == source:
            frames.append(octets)


CASES = [
    pytest.param(packet(bytes(range(256)) * 9, **options), id=name)  # type: ignore[arg-type]
    for name, options in {
        "tcp4": {},
        "tcp4-cwr": {"flags": 0xFF},
        "tcp6": {"ipv6": True},
        "udp4": {"udp": True},
        "udp6": {"udp": True, "ipv6": True},
        "tcp4-tagged": {"tags": b"\x81\0\x20\x05"},
        "udp6-tagged": {"udp": True, "ipv6": True, "tags": b"\x81\0\x20\x05"},
        "tcp4-small": {"size": 100},
    }.items()
]


@pytest.mark.parametrize("case", CASES)
def test_segments_are_the_kernels(rig: Rig, stations: list[Station], case: tuple[Header, bytes]) -> None:
    header, octets = case
    tagged = octets[12:14] == b"\x81\0"
    if tagged:
        rig.forwarder.add_vlan(5)
        for number in (1, 2, CLIENT):
            rig.member(5, number, tagged=True)
    for station in (stations[0], stations[2]):
        station.kernel.send(header.emit() + octets)
    rig.poll()
    ours = [frame for frame in rig.taken(CLIENT) if frame[6:12] == octets[6:12]]
    kernels = from_kernel(stations[2].tap.fd, octets[6:12])
    assert len(ours) > 2
    assert ours == kernels == ordinary(header, octets)


def test_checksums_are_the_kernels(rig: Rig, stations: list[Station]) -> None:
    header, octets = packet(b"odd", udp=True)
    alone = Header(NEEDS_CSUM, 0, 0, 0, header.csum_start, header.csum_offset)
    for station in (stations[0], stations[2]):
        station.kernel.send(alone.emit() + octets)
    rig.poll()
    ours = [frame for frame in rig.taken(CLIENT) if frame[6:12] == octets[6:12]]
    assert ours == from_kernel(stations[2].tap.fd, octets[6:12]) == ordinary(alone, octets)


def test_long_frames_pass_whole_between_taps(rig: Rig, stations: list[Station]) -> None:
    header, octets = packet(bytes(range(250)) * 240, size=1448)
    stations[0].kernel.send(header.emit() + octets)
    rig.poll()
    arrived, whole = stations[1].arrived(octets[6:12])
    assert whole == octets
    assert (arrived.gso_type, arrived.gso_size, arrived.csum_start) == (1, 1448, 34)


def test_clients_frames_arrive_in_the_kernel(rig: Rig, stations: list[Station]) -> None:
    header, octets = packet(bytes(1000))
    (whole,) = ordinary(header, octets) or [b""]
    rig.send(CLIENT, whole)
    rig.poll()
    assert stations[0].arrived(octets[6:12]) == (parse(ORDINARY), whole)
