"""Check sums that the kernel left unfinished, TCP segments that it merged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugs.parts.offload import CWR, FIN_PSH, GSO_TCPV4, GSO_TCPV6, HEADER, NOTHING_TO_DO, checksum, finish

ADDRESSES = bytes.fromhex("020000000001020000000002")


def tcp_frame(payload: bytes, *, v6: bool = False, tag: bytes = b"", flags: int = 0x18, sequence: int = 1000) -> bytes:
    tcp = bytes.fromhex("1234 0050") + sequence.to_bytes(4) + bytes.fromhex("00000001 80") + bytes([flags])
    tcp += bytes.fromhex("ffff 0000 0000") + bytes.fromhex("0101080a0000000100000002") + payload
    if v6:
        return (
            ADDRESSES + tag + b"\x86\xdd" + b"\x60\0\0\0" + len(tcp).to_bytes(2) + b"\x06\x40" + bytes(range(32)) + tcp
        )
    length = (20 + len(tcp)).to_bytes(2)
    ip = b"\x45\0" + length + bytes.fromhex("fffe 4000 40 06 0000") + bytes(range(8))
    return ADDRESSES + tag + b"\x08\x00" + ip + tcp


def header(kind: int, size: int, start: int, *, flags: int = 1, offset: int = 16) -> bytes:
    return HEADER.pack(flags, kind, start + 32, size, start, offset)


def sums(octets: bytes) -> bool:
    """A sum over what contains its own check sum is 0 (RFC 1071 §1)."""
    return int.from_bytes(octets + bytes(len(octets) % 2)) % 0xFFFF == 0


def tcp_sums(frame: bytes, network: int, *, v6: bool) -> bool:
    start = network + (40 if v6 else 20)
    addresses = frame[network + 8 : network + 40] if v6 else frame[network + 12 : network + 20]
    return sums(addresses + (len(frame) - start).to_bytes(4) + (6).to_bytes(4) + frame[start:])


def test_a_known_checksum() -> None:
    assert checksum(bytes.fromhex("4500003044224000800600008c7c19acae241e2b")) == 0x442E  # the Internet's example
    assert checksum(b"") == 0xFFFF


def test_nothing_to_do() -> None:
    assert finish(NOTHING_TO_DO, b"frame") == [b"frame"]


@given(st.binary(min_size=1, max_size=200))
def test_an_unfinished_checksum_is_finished(payload: bytes) -> None:
    frame = tcp_frame(payload)
    length = len(frame) - 34
    pseudo = 0xFFFF - checksum(frame[26:34] + length.to_bytes(4) + (6).to_bytes(4))  # as the kernel leaves it
    frame = frame[:50] + pseudo.to_bytes(2) + frame[52:]
    assert (found := finish(header(0, 0, 34), frame)) is not None
    assert tcp_sums(found[0], 14, v6=False)


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("tag", [b"", b"\x81\x00\0\x07", b"\x88\xa8\0\x05\x81\x00\0\x07"])
@pytest.mark.parametrize("octets", [0, 1, 1000, 1001, 3500])
def test_segments_are_what_a_card_would_send(v6: bool, tag: bytes, octets: int) -> None:
    payload = bytes(index & 0xFF for index in range(octets))
    network = 14 + len(tag)
    start = network + (40 if v6 else 20)
    whole = tcp_frame(payload, v6=v6, tag=tag, flags=0x19 | CWR, sequence=0xFFFFFF00)
    frames = finish(header((GSO_TCPV6 if v6 else GSO_TCPV4) | 0x80, 1000, start), whole)
    assert frames is not None
    assert len(frames) == max(1, -(-octets // 1000))
    assert b"".join(one[start + 32 :] for one in frames) == payload
    for number, one in enumerate(frames):
        assert tcp_sums(one, network, v6=v6)
        assert one[start + 4 : start + 8] == ((0xFFFFFF00 + 1000 * number) % (1 << 32)).to_bytes(4)
        assert bool(one[start + 13] & FIN_PSH) == (number == len(frames) - 1)
        assert bool(one[start + 13] & CWR) == (number == 0)
        if v6:
            assert int.from_bytes(one[network + 4 : network + 6]) == len(one) - start
        else:
            assert sums(one[network:start])
            assert int.from_bytes(one[network + 2 : network + 4]) == len(one) - network
            assert int.from_bytes(one[network + 4 : network + 6]) == (0xFFFE + number) % 0x10000


@pytest.mark.parametrize(
    "head",
    [
        header(3, 1000, 34),  # UDP fragments
        header(5, 1000, 34),  # UDP segments
        header(GSO_TCPV4, 0, 34),
        header(GSO_TCPV4, 1000, 34, flags=0),
        header(GSO_TCPV4, 1, 34),  # 2000 segments
        header(GSO_TCPV4, 1000, 33),
        header(GSO_TCPV4, 1000, 60000),
        header(0, 0, 60000),
    ],
)
def test_what_is_not_supported_is_nothing(head: bytes) -> None:
    assert finish(head, tcp_frame(bytes(2000))) is None


@pytest.mark.fuzz
@given(st.binary(min_size=10, max_size=10), st.binary(max_size=120), st.integers(0, 60), st.booleans())
def test_random_headers_and_frames_end(head: bytes, octets: bytes, start: int, right: bool) -> None:
    """Whatever stands in header and frame, there are at most 128 frames, or None, and no error."""
    if right:
        head = header(GSO_TCPV4, 7, start)
        octets = tcp_frame(octets)
    found = finish(head, octets)
    assert found is None or 1 <= len(found) <= 128
