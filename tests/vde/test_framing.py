"""The stream framing: pieces, frames too short and too long, the way back after octets that are no frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.errors import WireError
from vde.frame import MTU_OCTETS
from vde.framing import HUNT_OCTETS, StreamDecoder, encode


class Counted(StreamDecoder):
    """Keeps what it was told."""

    def __init__(self, **options: int) -> None:
        self.drops: list[str] = []
        super().__init__(self.drops.append, **options)  # type: ignore[arg-type]


def frame(number: int, octets: int = 60) -> bytes:
    return number.to_bytes(4) + b"\x02" * (octets - 4)


GREETING = b"Welcome to the machine. Last login: yesterday\r\n"


def test_the_format_is_a_length_and_the_frame() -> None:
    assert encode([b"A" * 14]) == b"\x00\x0e" + b"A" * 14
    assert encode([b"A" * 60], 4) == b"\x00\x00\x00\x3c" + b"A" * 60


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 61, 4096])
def test_frames_in_pieces(width: int, size: int) -> None:
    sent = [frame(number, octets) for number, octets in enumerate((14, 60, 1514, MTU_OCTETS))]
    stream = encode(sent, width)
    decoder = Counted(length_octets=width)
    got = [one for at in range(0, len(stream), size) for one in decoder.receive(stream[at : at + size])]
    assert got == sent
    assert decoder.drops == []
    assert decoder.is_between_frames


def test_short_and_long_frames_are_passed_over_in_step() -> None:
    stream = encode([b"", b"A" * 13, frame(1), bytes(MTU_OCTETS + 1), frame(2)])
    decoder = Counted()
    assert decoder.receive(stream[:5000]) + decoder.receive(stream[5000:]) == [frame(1), frame(2)]
    assert decoder.drops == ["short", "short", "oversize"]


def test_a_greeting_before_the_first_frame() -> None:
    decoder = Counted()
    assert decoder.receive(GREETING) == []
    assert decoder.hunting
    assert decoder.receive(encode([frame(1)])) == [frame(1)]
    assert decoder.receive(encode([frame(2)])) == [frame(2)]
    assert decoder.drops == ["framing"]


def test_a_greeting_in_one_read_with_frames() -> None:
    decoder = Counted()
    sent = [frame(1), frame(2, 590)]
    assert decoder.receive(GREETING + encode(sent)) == sent


def test_the_way_back_in_a_stream_cut_anywhere() -> None:
    decoder = Counted()
    sent = [frame(number, 60 + number) for number in range(200)]
    stream = GREETING + encode(sent)
    got = [one for at in range(0, len(stream), 1000) for one in decoder.receive(stream[at : at + 1000])]
    assert got == sent
    assert decoder.drops == ["framing"]


def test_garbage_between_frames() -> None:
    decoder = Counted()
    assert decoder.receive(encode([frame(1)])) == [frame(1)]
    assert decoder.receive(b"\xff" * 100) == []
    assert decoder.receive(encode([frame(2)])) == [frame(2)]


def test_a_lost_framing_without_a_hunt_is_an_error() -> None:
    decoder = StreamDecoder(lambda reason: None, length_octets=4, most_octets=1518, bound_octets=69632, hunt=False)
    assert decoder.receive(b"\0\0\0\x0e" + b"A" * 14) == [b"A" * 14]
    with pytest.raises(WireError, match="a length of 69633 octets: at most 69632 were expected"):
        decoder.receive(b"\0\x01\x10\x01")


def test_a_silence_ends_what_has_begun() -> None:
    decoder = Counted()
    decoder.receive(b"\x00\x40abc")
    decoder.forget_partial()
    assert decoder.receive(encode([frame(1)])) == [frame(1)]
    assert decoder.drops == ["framing"]


@pytest.mark.fuzz
@given(st.lists(st.binary(max_size=400), max_size=12), st.sampled_from([2, 4]))
def test_hostile_octets_give_frames_or_nothing(reads: list[bytes], width: int) -> None:
    """Whatever comes, frames are of a possible length and what is kept is bounded."""
    decoder = Counted(length_octets=width, most_octets=100, bound_octets=200)
    given_octets = sum(map(len, reads))
    got = [one for read in reads for one in decoder.receive(read)]
    assert all(14 <= len(one) <= 100 for one in got)
    assert sum(map(len, got)) <= given_octets
    assert len(decoder._buffer) <= 2 * (100 + width) + 400 + HUNT_OCTETS


@pytest.mark.fuzz
@given(st.lists(st.binary(min_size=14, max_size=80), max_size=20), st.lists(st.integers(1, 97), min_size=1))
def test_random_cuts_change_nothing(frames: list[bytes], sizes: list[int]) -> None:
    """The frames that come out do not depend on how the stream was cut."""
    stream, decoder, got, index = encode(frames), Counted(), [], 0
    while stream:
        size = sizes[index % len(sizes)]
        got += decoder.receive(stream[:size])
        stream, index = stream[size:], index + 1
    assert got == frames
