"""Rings against their twin, whose whole knowledge is the description; and requests and answers of the handshake."""

import errno
import select

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ring_twin import RingTwin
from vde._native import Ring
from vde.errors import WireError
from vde.ring_handshake import (
    HEADER,
    RingAnswer,
    RingRequest,
    parse_answer,
    parse_request,
    refusal_of_version,
    text_octets,
)

FRAMES = st.lists(st.integers(0, 1518), max_size=60).map(
    lambda sizes: [bytes((size + index) % 251 for index in range(size)) for size in sizes]
)


def readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


@pytest.mark.fuzz
@given(st.lists(st.tuples(FRAMES, FRAMES), max_size=6))
@settings(max_examples=60)
def test_random_frames_pass_to_and_from_the_twin(rounds: list[tuple[list[bytes], list[bytes]]]) -> None:
    ring, descriptors = Ring.create(1 << 16, 1518)
    twin = RingTwin(descriptors)
    try:
        assert (twin.magic, twin.version) == (b"VDERING\0", 1)
        assert (twin.ring_octets, twin.frame_octets) == (ring.ring_octets, ring.frame_octets) == (1 << 16, 1518)
        ring.receive(1)
        for to_ring, to_twin in rounds:
            taken = [frame for frame in to_ring if twin.send(frame)]
            assert readable(ring.frames_fd) == bool(taken)
            assert ring.receive(100) == taken
            assert not readable(ring.frames_fd)
            count = ring.send(to_twin)
            assert [twin.receive() for _ in range(count)] == to_twin[:count]
            assert twin.receive() is None
    finally:
        twin.close()
        ring.close()


@pytest.mark.fuzz
@given(st.lists(st.tuples(st.integers(0, 4096 + (1 << 17) - 1), st.binary(min_size=1, max_size=64)), max_size=20))
@settings(max_examples=200)
def test_fuzz_a_hostile_peer_is_an_error_or_nothing(scribbles: list[tuple[int, bytes]]) -> None:
    """Whatever a peer writes, calls end with frames within bounds or with EPROTO."""
    ring, descriptors = Ring.create(1 << 16, 1518)
    twin = RingTwin(descriptors)
    try:
        twin.send(bytes(60))
        for at, octets in scribbles:
            octets = octets[: len(twin.memory) - at]
            twin.memory[at : at + len(octets)] = octets
            for action in (lambda: ring.receive(8), lambda: ring.send([bytes(100)] * 3), ring.wait_for_room):
                try:
                    result = action()
                except OSError as error:
                    assert error.errno == errno.EPROTO  # noqa: PT017 - most scribbles are no error
                else:
                    if isinstance(result, list):
                        assert all(len(frame) <= 1518 for frame in result)
    finally:
        twin.close()
        ring.close()


def test_a_ring_that_is_closed_or_given_away_says_so() -> None:
    ring, descriptors = Ring.create(0, 0)
    peer = Ring.join(descriptors)
    again = Ring.from_parts(ring.give_away(), True)
    with pytest.raises(ValueError, match="closed"):
        ring.receive(1)
    assert peer.send([b"x" * 60]) == 1
    assert again.receive(5) == [b"x" * 60]
    again.close()
    peer.close()


def test_a_request_and_an_answer_are_read_back() -> None:
    request = RingRequest(7, True, 1 << 20, 9000, "q\udcff")
    assert parse_request(request.emit()) == request
    answer = RingAnswer(errno.EACCES, 1, 2, "no")
    assert parse_answer(answer.emit()) == answer


def test_versions_that_are_not_spoken_are_refused_with_both_named() -> None:
    assert refusal_of_version(RingRequest(newest=3, oldest=1)) is None
    refusal = refusal_of_version(RingRequest(newest=9, oldest=7))
    assert refusal is not None
    assert (refusal.errno, refusal.reason) == (
        errno.EPROTONOSUPPORT,
        "version 1 of the rings is spoken here, 7 to 9 were offered",
    )
    with pytest.raises(WireError, match="version 4"):
        parse_answer(RingAnswer(version=4).emit())


@pytest.mark.fuzz
@given(st.binary(max_size=200), st.booleans())
def test_fuzz_random_octets_are_read_or_refused(octets: bytes, honest: bool) -> None:
    if honest:
        octets = b"VDERING\0" + octets
    for parse in (parse_request, parse_answer, lambda octets: text_octets(octets, 128)):
        try:
            parse(octets)
        except WireError:
            continue
        assert len(octets) >= HEADER.size
