"""GDB's packets: whole ones in any pieces, damaged ones named, garbage without harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.gdb.packets import PACKET_OCTETS, Packet, Parser, Sign, emit, unescape


@given(st.binary(max_size=300))
def test_what_is_emitted_is_parsed(data: bytes) -> None:
    assert list(Parser().receive(emit(data))) == [Packet(data)]


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 7))
def test_one_octet_at_a_time_is_the_same(packets: list[bytes], step: int) -> None:
    octets = b"+".join(emit(data) for data in packets) + b"\x03-"
    parser, pieces = Parser(), []
    for at in range(0, len(octets), step):
        pieces += list(parser.receive(octets[at : at + step]))
    assert pieces == list(Parser().receive(octets))
    assert [piece.data for piece in pieces if isinstance(piece, Packet)] == packets


@pytest.mark.parametrize("octets", [b"$m0,4#00", b"$g#g7", b"$g# 7", b"$g#\xb2\xb3", b"$" + b"a" * 20000 + b"#00"])
def test_a_damaged_packet_is_counted(octets: bytes) -> None:
    parser = Parser()
    assert list(parser.receive(octets + emit(b"g"))) == [Sign("damaged"), Packet(b"g")]
    assert parser.damaged == 1


def test_a_packet_that_was_cut_off_is_forgotten() -> None:
    assert list(Parser().receive(b"$m0,4" + emit(b"g"))) == [Packet(b"g")]


def test_escapes() -> None:
    assert emit(b"}#$*x") == b"$}]}\x03}\x04}\nx#" + b"%02x" % (sum(b"}]}\x03}\x04}\nx") & 255)
    assert unescape(b"}]}") == b"}"


@pytest.mark.fuzz
@given(st.lists(st.binary(max_size=100)))
def test_garbage_is_bounded(pieces: list[bytes]) -> None:
    """Whatever comes, what a parser keeps is bounded, and it finds the next good packet."""
    parser = Parser()
    for piece in pieces:
        for item in parser.receive(piece):
            assert isinstance(item, Sign) or len(item.data) <= PACKET_OCTETS
    # A checksum's two digits may still be expected: then the first attempt ends that packet.
    found = [*parser.receive(b"##00"), *parser.receive(emit(b"?"))]
    assert Packet(b"?") in found
