"""The BPDU's octets: vectors of the real vde_switch, round trips, garbage."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.bpdu import LEAST_OCTETS, OCTETS, SECOND, Bpdu, Flags, bridge_id, parse, port_id
from vde.errors import WireError

MAC = bytes.fromhex("00ff11223344")
ID = bytes.fromhex("700000ff11223344")
DESIGNATED_HELLO = Flags.NOT_BACKUP | Flags.NOT_ROOT | Flags.LEARNING | Flags.FORWARDING | Flags.AGREEMENT

# Captured from vde_switch 2.3.2, priority 0x7000, port 1: designated, forwarding, hello
UNTAGGED = bytes.fromhex(
    "0180c2000000 00ff11223344 0027 424203 0000 02 02 7c 700000ff11223344 00000000 700000ff11223344"
    "8001 0000 2800 0400 0000 00"
)
TAGGED = UNTAGGED[:12] + bytes.fromhex("8100 0005") + UNTAGGED[12:]

words = st.integers(0, 0xFFFF)
ids = st.binary(min_size=8, max_size=8)
bpdus = st.builds(
    Bpdu,
    source=st.binary(min_size=6, max_size=6),
    flags=st.integers(0, 255).map(Flags),
    root=ids,
    cost=st.integers(0, 0xFFFF_FFFF),
    bridge=ids,
    port=words,
    age=words,
    max_age=words,
    hello=words,
    forward_delay=words,
    tci=st.none() | words,
)


def test_captured_hello_untagged() -> None:
    bpdu = parse(UNTAGGED)
    assert bpdu == Bpdu(MAC, DESIGNATED_HELLO, root=ID, cost=0, bridge=ID, port=0x8001)
    assert (bpdu.age, bpdu.max_age, bpdu.hello, bpdu.tci) == (0, 40 * SECOND, 4 * SECOND, None)
    assert bpdu.emit() == UNTAGGED


def test_captured_hello_of_vlan_5() -> None:
    bpdu = parse(TAGGED)
    assert bpdu == Bpdu(MAC, DESIGNATED_HELLO, root=ID, cost=0, bridge=ID, port=0x8001, tci=5)
    assert bpdu.emit() == TAGGED


@given(bpdus)
def test_emitted_and_parsed_is_the_same(bpdu: Bpdu) -> None:
    octets = bpdu.emit()
    assert len(octets) == OCTETS + (0 if bpdu.tci is None else 4)
    assert parse(octets) == bpdu


@given(bpdus, st.integers(0, 1500))
def test_padding_changes_nothing(bpdu: Bpdu, octets: int) -> None:
    assert parse(bpdu.emit() + bytes(octets)) == bpdu


@pytest.mark.fuzz
@given(st.binary(max_size=80) | bpdus.map(Bpdu.emit).flatmap(lambda b: st.integers(0, len(b)).map(lambda n: b[:n])))
def test_garbage_gives_an_error_or_a_bpdu(octets: bytes) -> None:
    try:
        bpdu = parse(octets)
    except WireError:
        return
    assert parse(bpdu.emit()) == bpdu


@pytest.mark.fuzz
@given(bpdus, st.integers(0, 60), st.binary(min_size=1, max_size=4))
def test_changed_octets_give_an_error_or_a_bpdu(bpdu: Bpdu, offset: int, new: bytes) -> None:
    octets = bpdu.emit()
    octets = (octets[:offset] + new + octets[offset + len(new) :])[: len(octets)]
    with contextlib.suppress(WireError):
        assert isinstance(parse(octets), Bpdu)


@pytest.mark.parametrize("whole", [UNTAGGED, TAGGED])
def test_shortest(whole: bytes) -> None:
    cut = len(whole) - OCTETS + LEAST_OCTETS
    assert parse(whole[:cut]) == parse(whole)
    with pytest.raises(WireError, match="a BPDU of 50 octets without its tag: at least 51 were expected"):
        parse(whole[: cut - 1])


@pytest.mark.parametrize(
    ("offset", "octet", "message"),
    [
        (14, 0xAA, "LLC aa 42 03: 42 42 03 was expected in a BPDU"),
        (18, 0x01, "a BPDU of protocol 1, version 2, type 2: 0, 2, 2 were expected"),
        (19, 0x00, "a BPDU of protocol 0, version 0, type 2: 0, 2, 2 were expected"),
        (20, 0x80, "a BPDU of protocol 0, version 2, type 128: 0, 2, 2 were expected"),
    ],
)
def test_other_protocols_are_named(offset: int, octet: int, message: str) -> None:
    octets = bytearray(UNTAGGED)
    octets[offset] = octet
    with pytest.raises(WireError, match=message):
        parse(bytes(octets))


def test_bridge_id() -> None:
    assert bridge_id(0x7000, MAC) == ID
    assert bridge_id(0x17000, MAC) == ID


def test_port_ids_of_vde_switch() -> None:
    assert [port_id(port) for port in (1, 2, 15, 16, 0x123, 2047)] == [0x8001, 0x8002, 0x800F, 0x8110, 0x9223, 0xFFFF]


def test_every_port_has_its_own_id() -> None:
    assert len({port_id(port) for port in range(0x10000)}) == 0x10000
    assert max(port_id(port) for port in range(0x10000)) == 0xFFFF
