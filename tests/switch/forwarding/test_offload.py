"""Rule 13: unfinished frames pass between taps with offloads, and are ordinary ones everywhere else.

The forwarder's endpoints are sockets here, whose far ends say what a tap's kernel would; real taps are in
`test_offload_kernel`.
"""

import contextlib
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.forwarding.contract import Direction, DropReason, EndpointKind, Limits, Packet, Watch
from tests.switch.forwarding.rig import Rig
from tests.switch.forwarding.unfinished import (
    ECN,
    NEEDS_CSUM,
    TCPV4,
    TCPV6,
    UDP_L4,
    Header,
    checksum,
    ordinary,
    parse,
)
from tests.vde_client import frame

STATION, OTHER = b"\x02\0\0\0\0\x07", b"\x02\0\0\0\0\x08"
ORDINARY = Header().emit()
LIMIT = Limits().max_frame_octets
VNET, OTHER_VNET, CLIENT, TAGGED_VNET = 1, 2, 3, 4


def packet(
    payload: bytes, *, ipv6: bool = False, udp: bool = False, tags: bytes = b"", flags: int = 0x99, size: int = 1000
) -> tuple[Header, bytes]:
    """A frame of TCP or UDP to be segmented, and its header. The checksum's place has the pseudo-header's sum."""
    transport = struct.pack(">HHIIBBHHH", 80, 4000, 0xFFFFFF00, 1, 0x50, flags, 512, 0, 0)
    if udp:
        transport = struct.pack(">HHHH", 53, 4000, (8 + len(payload)) & 0xFFFF, 0)
    octets, protocol = len(transport) + len(payload), 17 if udp else 6
    if ipv6:
        addresses = bytes(range(0xC0, 0xE0))
        network = struct.pack(">IHBB", 0x60000000, octets & 0xFFFF, protocol, 64) + addresses
    else:
        addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2])
        network = struct.pack(">BBHHHBBH", 0x45, 0, 20 + octets, 0xFFFE, 0x4000, 64, protocol, 0) + addresses
        network = network[:10] + checksum(network).to_bytes(2) + network[12:]
    place = 6 if udp else 16
    pseudo = checksum(addresses, octets + protocol) ^ 0xFFFF
    transport = transport[:place] + pseudo.to_bytes(2) + transport[place + 2 :]
    ethernet = OTHER + STATION + tags + (b"\x86\xdd" if ipv6 else b"\x08\0")
    start = len(ethernet) + len(network)
    kind = UDP_L4 if udp else TCPV6 if ipv6 else TCPV4
    header = Header(NEEDS_CSUM, kind, start + len(transport), size, start, place)
    return header, ethernet + network + transport + payload


@pytest.fixture(params=["native", "sendmmsg"])
def vnet(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with contextlib.closing(Rig(request.param, Limits(), (0, 10))) as rig:
        yield taps_and_clients(rig)


def taps_and_clients(rig: Rig) -> Rig:
    """Two taps with offloads and a client in VLAN 0; another tap with its frames tagged."""
    for number, kind in {
        VNET: EndpointKind.TAP_VNET,
        OTHER_VNET: EndpointKind.TAP_VNET,
        CLIENT: EndpointKind.DATAGRAM,
        TAGGED_VNET: EndpointKind.TAP_VNET,
    }.items():
        rig.port(number, endpoints=())
        rig.member(0, number, tagged=number == TAGGED_VNET)
        rig.attach(number, number, kind)
    return rig


PAYLOADS = st.integers(0, 5000).map(lambda octets: bytes(octet * 31 & 0xFF for octet in range(octets)))
PACKETS = st.builds(
    packet,
    PAYLOADS,
    ipv6=st.booleans(),
    udp=st.booleans(),
    tags=st.sampled_from([b"", b"", b"\x81\0\0\0", b"\x81\0\0\0\x81\0\0\x07"]),
    flags=st.sampled_from([0x10, 0x18, 0x99, 0xFF]),
    size=st.sampled_from([1, 48, 100, 1000, 1448, 9000]),
)


def test_they_pass_between_taps_and_are_segmented_for_clients(vnet: Rig) -> None:
    header, octets = packet(bytes(range(250)) * 200)
    vnet.send(VNET, header.emit() + octets, ORDINARY + frame(9))
    vnet.poll()
    assert vnet.taken(OTHER_VNET) == [header.emit() + octets, ORDINARY + frame(9)]
    segments = vnet.taken(CLIENT)
    assert segments[:-1] == ordinary(header, octets)
    assert len(segments) == 50 + 1
    assert segments[-1] == frame(9)
    tagged = vnet.taken(TAGGED_VNET)[0]
    assert tagged[10:] == octets[:12] + b"\x81\0\0\0" + octets[12:]
    moved = parse(tagged[:10])
    assert (moved.hdr_len, moved.csum_start, moved.gso_size) == (header.hdr_len + 4, header.csum_start + 4, 1000)
    statistics = vnet.forwarder.statistics(VNET)
    assert (statistics.in_frames, statistics.in_octets) == (2, len(octets) + len(frame(9)))
    assert vnet.forwarder.statistics(CLIENT).out_frames == 2


def test_tagged_ones_are_untagged(vnet: Rig) -> None:
    header, octets = packet(bytes(3000), tags=b"\x81\0\0\0")
    vnet.send(TAGGED_VNET, header.emit() + octets)
    vnet.poll()
    bare_header, bare = packet(bytes(3000))
    assert vnet.taken(VNET) == [bare_header.emit() + bare]
    assert vnet.taken(CLIENT) == ordinary(bare_header, bare)


def test_clients_frames_go_to_taps_with_a_header_of_zeros(vnet: Rig) -> None:
    vnet.send(CLIENT, frame(9))
    vnet.poll()
    assert vnet.taken(VNET) == [ORDINARY + frame(9)]
    vnet.forwarder.transmit(VNET, frame(9))
    assert vnet.taken(VNET) == [ORDINARY + frame(9)]


def test_a_checksum_is_completed_for_clients(vnet: Rig) -> None:
    header, octets = packet(b"odd", udp=True)
    alone = Header(NEEDS_CSUM, 0, 0, 0, header.csum_start, header.csum_offset)
    vnet.send(VNET, alone.emit() + octets)
    vnet.poll()
    assert vnet.taken(CLIENT) == ordinary(alone, octets)
    assert vnet.taken(OTHER_VNET) == [alone.emit() + octets]


def test_policy_sees_ordinary_frames(vnet: Rig) -> None:
    vnet.forwarder.watch(Watch.PACKETS)
    header, octets = packet(bytes(2500))
    vnet.send(VNET, header.emit() + octets)
    seen = [event for event in vnet.poll() if isinstance(event, Packet)]
    assert [event.frame for event in seen if event.direction is Direction.IN] == ordinary(header, octets)
    assert [taken[10:] for taken in vnet.taken(OTHER_VNET)] == ordinary(header, octets)


def test_a_mirror_gets_ordinary_frames(vnet: Rig) -> None:
    vnet.port(9)
    vnet.forwarder.set_mirror(9, {VNET: Direction.BOTH})
    header, octets = packet(bytes(2500))
    vnet.send(VNET, header.emit() + octets)
    vnet.poll()
    assert vnet.taken(9) == ordinary(header, octets)


def test_frames_of_64_kib(vnet: Rig) -> None:
    header, octets = packet(bytes(65535 - 40), size=1448)
    vnet.send(VNET, header.emit() + octets)
    vnet.poll()
    assert vnet.taken(OTHER_VNET) == [header.emit() + octets]
    assert vnet.taken(CLIENT) == ordinary(header, octets)


def test_segments_that_are_too_long_are_dropped(vnet: Rig) -> None:
    header, octets = packet(bytes(30000), size=9234 - 53)
    vnet.send(VNET, header.emit() + octets, ORDINARY + octets)
    vnet.poll()
    assert vnet.forwarder.statistics(VNET).drops == {DropReason.OVERSIZE: 2}
    assert vnet.taken(CLIENT) == []


def test_a_stalled_client_loses_only_its_own(vnet: Rig) -> None:
    header, octets = packet(bytes(60000))
    for _ in range(64):
        vnet.send(VNET, header.emit() + octets)
        vnet.poll()
        assert vnet.taken(OTHER_VNET) == [header.emit() + octets]
        assert vnet.taken(TAGGED_VNET) != []
    lost = vnet.forwarder.statistics(CLIENT).drops[DropReason.QUEUE_FULL]
    assert len(vnet.taken(CLIENT)) + vnet.forwarder.queue_length(CLIENT) + lost == 64 * 60


@pytest.mark.parametrize("octets", range(10))
def test_a_message_shorter_than_the_header(vnet: Rig, octets: int) -> None:
    vnet.send(VNET, b"\1" * octets, ORDINARY + frame(9))
    assert [type(event).__name__ for event in vnet.poll()] == (["EndpointFailed"] if not octets else [])
    assert vnet.taken(CLIENT) == ([frame(9)] if octets else [])


@given(cases=st.lists(PACKETS, min_size=1, max_size=4))
def test_random_frames_become_what_the_twin_says(cases: list[tuple[Header, bytes]]) -> None:
    with contextlib.closing(Rig("native", Limits(), (0, 10))) as rig:
        compare(taps_and_clients(rig), cases)


HOSTILE = st.builds(
    Header,
    st.sampled_from([0, 1, 1, 1, 2, 3, 255]),
    st.sampled_from([0, TCPV4, TCPV4 | ECN, TCPV6, UDP_L4, UDP_L4 | ECN, 3, 2, 255]),
    st.sampled_from([0, 54, 60, 66, 65535]),
    st.sampled_from([0, 1, 47, 48, 1448, 65535]),
    st.sampled_from([0, 13, 14, 18, 22, 33, 34, 38, 42, 54, 58, 62, 65535]),
    st.sampled_from([0, 6, 16, 65535]),
)
CHANGES = st.lists(st.tuples(st.integers(12, 70), st.integers(0, 255)), max_size=2)


def spoilt(
    case: tuple[Header, bytes], header: Header | None, changes: list[tuple[int, int]], most: int
) -> tuple[Header, bytes]:
    frame_octets = bytearray(case[1])
    for at, value in changes:
        if at < len(frame_octets):
            frame_octets[at] = value
    return header or case[0], bytes(frame_octets[:most])


@pytest.mark.fuzz
@given(
    cases=st.lists(
        st.builds(spoilt, PACKETS, HOSTILE | st.none(), CHANGES, st.integers(18, 100) | st.just(1 << 16)),
        min_size=1,
        max_size=5,
    )
)
def test_hostile_headers_are_dropped_or_harmless(cases: list[tuple[Header, bytes]]) -> None:
    with contextlib.closing(Rig("native", Limits(), (0, 10))) as rig:
        compare(taps_and_clients(rig), cases)


def compare(rig: Rig, cases: list[tuple[Header, bytes]]) -> None:
    """The client gets what the twin says, of whatever the hub's rule 1 lets through; the rest is counted."""
    rig.forwarder.set_mode(hub=True, fstp=False, vlan_transparent=False)
    for header, octets in cases:
        rig.send(VNET, header.emit() + octets)
        rig.poll()
        wanted = ordinary(header, octets)
        finished = not header.flags & NEEDS_CSUM and header.gso_type == 0
        longest = max(map(len, wanted), default=0) if wanted else 0
        before = 18 if octets[12:14] == b"\x81\0" else 14
        taken = rig.taken(CLIENT)
        if wanted is None:
            assert rig.forwarder.statistics(VNET).drops == {DropReason.OFFLOAD: 1}
        elif longest > LIMIT or len(octets) < before:
            reason = DropReason.OVERSIZE if longest > LIMIT else DropReason.SHORT
            assert rig.forwarder.statistics(VNET).drops == {reason: 1}
        else:
            waiting = rig.forwarder.queue_length(CLIENT)
            lost = rig.forwarder.statistics(CLIENT).drops.get(DropReason.QUEUE_FULL, 0)
            assert taken == wanted[: len(taken)]
            assert len(taken) + waiting + lost == len(wanted)
            assert [given[10:] for given in rig.taken(OTHER_VNET)] == [octets]
            assert finished or rig.forwarder.statistics(VNET).in_frames == 1
            while rig.forwarder.queue_length(CLIENT):
                rig.poll()
                rig.taken(CLIENT)
        rig.taken(OTHER_VNET), rig.taken(TAGGED_VNET)
        for port in (VNET, CLIENT):
            rig.forwarder.reset_statistics(port)
