"""The core of VXLAN: header, table, network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.errors import WireError
from vde.overlay import VNI_MAX, EndpointTable, Header, Overlay, key, parse

A, B, ALL = b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b", b"\xff" * 6
SECOND = 1_000_000_000


def frame(destination: bytes, source: bytes, vlan: int | None = None) -> bytes:
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2)
    return destination + source + tag + b"\x88\xb5" + bytes(46)


def overlay(**changes: object) -> Overlay[str]:
    settings = {"limit": 1024, "expire_ns": 128 * SECOND, "strict": False, "leaves": False} | changes
    return Overlay(42, **settings)  # type: ignore[arg-type]


def test_the_header_of_vni_42() -> None:
    assert Header(42).emit() == bytes.fromhex("0800000000002a00")
    assert parse(bytes.fromhex("0800000000002a00") + b"frame") == Header(42)


@given(st.integers(0, VNI_MAX), st.binary(min_size=5, max_size=5))
def test_a_header_is_read_back(vni: int, reserved: bytes) -> None:
    reserved = bytes([reserved[0] & 0xF7]) + reserved[1:]
    assert parse(Header(vni, reserved).emit()) == Header(vni, reserved)


@pytest.mark.parametrize("octets", [b"", bytes(7), bytes(8), bytes.fromhex("f700000000002a00")])
def test_what_is_no_header_is_refused(octets: bytes) -> None:
    with pytest.raises(WireError):
        parse(octets)


def test_an_address_is_known_by_its_vlan_too() -> None:
    assert key(A, frame(B, A)) == (A, 0)
    assert key(A, frame(B, A, 0xE00C)) == (A, 12)
    assert key(A, frame(B, A, 12)[:15]) == (A, 0)


def test_unicast_goes_where_its_address_was_heard() -> None:
    net = overlay()
    assert net.destination(frame(B, A), 0) is None
    assert net.receive(net.header + frame(A, B), "b", 0) == frame(A, B)
    assert net.destination(frame(B, A), SECOND) == "b"
    assert net.destination(frame(B, A, 7), SECOND) is None
    assert net.destination(frame(ALL, A), SECOND) is None
    net.receive(net.header + frame(A, B), "c", SECOND)
    assert net.destination(frame(B, A), SECOND) == "c"


def test_an_address_not_heard_of_for_too_long_is_forgotten() -> None:
    net = overlay()
    net.receive(net.header + frame(A, B), "b", 0)
    assert net.destination(frame(B, A), 128 * SECOND) == "b"
    assert net.destination(frame(B, A), 128 * SECOND + 1) is None
    assert len(net.table) == 0


def test_a_group_address_is_not_learned() -> None:
    net = overlay()
    net.receive(net.header + frame(A, ALL), "b", 0)
    assert len(net.table) == 0


def test_the_table_is_bounded_and_the_oldest_goes() -> None:
    table: EndpointTable[str] = EndpointTable(2, SECOND)
    for number, where in enumerate("xyxz"):
        table.learn((where.encode(), 0), where, number)
    assert len(table) == 2
    assert table.find((b"y", 0), 4) is None
    assert table.find((b"x", 0), 4) == "x"


def test_who_leaves_is_forgotten() -> None:
    net = overlay(leaves=True, strict=True)
    net.receive(net.header + frame(A, B), "b", 0)
    net.receive(net.header + frame(B, A), "a", 0)
    assert net.receive(net.header, "b", 0) == "leave"
    assert net.destination(frame(B, A), 0) is None
    assert net.destination(frame(A, B), 0) == "a"


@pytest.mark.parametrize(
    ("datagram", "strict", "reason"),
    [
        ("0800000000002b00", False, "vni"),
        ("0800000000002a00", False, "short"),
        ("0800000000002a01", True, "header"),
        ("8800000000002a00", True, "header"),
        ("0000000000002a00", False, "header"),
        ("08", False, "header"),
    ],
)
def test_what_is_dropped_has_a_reason(datagram: str, strict: bool, reason: str) -> None:
    assert overlay(strict=strict).receive(bytes.fromhex(datagram), "x", 0) == reason


def test_reserved_bits_are_ignored_unless_strict() -> None:
    datagram = bytes.fromhex("ffffffff00002aff") + frame(A, B)
    assert overlay().receive(datagram, "x", 0) == frame(A, B)
    assert overlay(strict=True).receive(datagram, "x", 0) == "header"


@pytest.mark.fuzz
@given(
    st.lists(st.tuples(st.binary(max_size=40), st.sampled_from("abc"), st.booleans()), max_size=40),
    st.booleans(),
    st.booleans(),
)
def test_random_datagrams_are_frames_or_reasons(
    datagrams: list[tuple[bytes, str, bool]], strict: bool, leaves: bool
) -> None:
    """Whatever comes, the answer is a frame of at least 14 octets or a reason, and the table keeps its bound."""
    net = overlay(strict=strict, leaves=leaves, limit=4)
    for now, (octets, sender, headed) in enumerate(datagrams):
        found = net.receive(net.header + octets if headed else octets, sender, now)
        assert found in ("header", "vni", "short", "leave") if isinstance(found, str) else len(found) >= 14
        assert len(net.table) <= 4
