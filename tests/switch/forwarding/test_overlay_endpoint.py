"""Rule 14: a VXLAN network as an endpoint, on every forwarder."""

import socket
from collections.abc import Iterator

import pytest

from switch.forwarding.contract import DropReason, EndpointKind
from tests.switch.forwarding.rig import MakeRig, Rig
from tests.vde_client import frame, tagged
from vde.endpoint import OverlayTerms
from vde.overlay import Header

HEADER = Header(42).emit()
CLIENT, NETWORK = 1, 2
SECOND_NS = 1_000_000_000


class Network:
    """A client on port 1, the network on port 2, and two UDP peers; of one family."""

    def __init__(self, rig: Rig, family: socket.AddressFamily, *, only_remotes: bool = False, limit: int = 2) -> None:
        self.rig = rig
        host = "::1" if family is socket.AF_INET6 else "127.0.0.1"
        self.peers = [self._open(family, host) for _ in range(2)]
        ours = self._open(family, host)
        self.own = ours.getsockname()
        port = self.peers[1].getsockname()[1]
        terms = OverlayTerms(42, (self.peers[0].getsockname(),), port, only_remotes, limit, 128 * SECOND_NS)
        rig.port(CLIENT)
        rig.port(NETWORK, endpoints=())
        rig.forwarder.attach(NETWORK, NETWORK, ours.detach(), EndpointKind.OVERLAY, overlay=terms)

    @staticmethod
    def _open(family: socket.AddressFamily, host: str) -> socket.socket:
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.bind((host, 0))
        udp.setblocking(False)
        return udp

    def arrives(self, *datagrams: bytes) -> list[bytes]:
        """What the client gets of datagrams from the first peer."""
        for datagram in datagrams:
            self.peers[0].sendto(datagram, self.own)
        self.rig.poll()
        return self.rig.taken(CLIENT)

    def leaves(self, *frames: bytes, peer: int = 0) -> list[bytes]:
        """What a peer gets of the client's frames: the first one is the remote, the second has the network's port."""
        self.rig.send(CLIENT, *frames)
        self.rig.poll()
        datagrams = []
        while True:
            try:
                datagrams.append(self.peers[peer].recv(1 << 17))
            except BlockingIOError:
                return datagrams

    def drops(self) -> dict[DropReason, int]:
        return dict(self.rig.forwarder.statistics(NETWORK).drops)


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
def network(request: pytest.FixtureRequest, make_rig: MakeRig) -> Iterator[Network]:
    network = Network(make_rig(), request.param)
    yield network
    for peer in network.peers:
        peer.close()


def test_frames_cross_both_ways(network: Network) -> None:
    assert network.leaves(frame(1), frame(1, 9)) == [HEADER + frame(1), HEADER + frame(1, 9)]
    assert network.arrives(HEADER + frame(9), HEADER + frame(9, 1)) == [frame(9), frame(9, 1)]
    statistics = network.rig.forwarder.statistics(NETWORK)
    assert (statistics.in_frames, statistics.in_octets) == (2, len(frame(9)) + len(frame(9, 1)))
    assert network.drops() == {}


def test_what_is_none_of_it_is_dropped(network: Network) -> None:
    good = HEADER + frame(9)
    wrong = [b"", b"\x08", HEADER[:7], b"\0" + good[1:], Header(43).emit() + frame(9)]
    assert network.arrives(*wrong, good) == [frame(9)]
    assert network.drops() == {DropReason.OVERLAY: len(wrong)}
    assert network.arrives(HEADER, HEADER + frame(9)[:13]) == []
    assert network.drops() == {DropReason.OVERLAY: len(wrong), DropReason.SHORT: 2}


def test_reserved_bits_are_ignored(network: Network) -> None:
    assert network.arrives(b"\xff\1\2\3\0\0\x2a\4" + frame(9)) == [frame(9)]


def test_the_longest_frame(network: Network) -> None:
    limit = network.rig.limits.max_frame_octets
    long = frame(9, payload=bytes(limit))[:limit]
    assert network.arrives(HEADER + long, HEADER + long + b"!") == [long]
    assert network.drops() == {DropReason.OVERSIZE: 1}
    assert network.leaves(long) == [HEADER + long]


def test_a_known_address_is_sent_to_its_host_at_the_networks_port(network: Network) -> None:
    """Both peers are one host here."""
    assert network.arrives(HEADER + frame(9)) == [frame(9)]
    assert network.leaves(frame(1, 9), frame(1, 8), peer=1) == [HEADER + frame(1, 9)]
    assert network.leaves() == [HEADER + frame(1, 8)]


def test_the_table_is_bounded(network: Network) -> None:
    """Of three addresses, two are known, and the one heard of again stays."""
    network.arrives(*(HEADER + frame(station) for station in (7, 8, 7, 9)))
    sent = [frame(1, station) for station in (7, 8, 9)]
    assert network.leaves(*sent, peer=1) == [HEADER + sent[0], HEADER + sent[2]]
    assert network.leaves() == [HEADER + sent[1]]


def test_tags_are_put_in_and_taken_out(network: Network) -> None:
    network.rig.member(0, NETWORK, tagged=True)
    assert network.leaves(frame(1)) == [HEADER + tagged(frame(1), 0)]
    assert network.arrives(HEADER + tagged(frame(9), 0)) == [frame(9)]
    assert network.leaves(frame(1, 9), peer=1) == [HEADER + tagged(frame(1, 9), 0)]


def test_strangers_are_not_heard(make_rig: MakeRig) -> None:
    network = Network(make_rig(), socket.AF_INET, only_remotes=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.sendto(HEADER + frame(8), network.own)
    assert network.arrives(HEADER + frame(9)) == [frame(9)]
    assert network.drops() == {DropReason.OVERLAY: 1}
    for peer in network.peers:
        peer.close()


def test_terms_are_needed(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.port(NETWORK, endpoints=())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        with pytest.raises(ValueError, match="terms"):
            rig.forwarder.attach(NETWORK, NETWORK, udp.fileno(), EndpointKind.OVERLAY)
        udp.getsockname()
    rig.attach(NETWORK, NETWORK)
