"""Messages, fragments and reassembly of `plugs.parts.tunnel`."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugs.parts.tunnel import (
    CLOSE,
    ECHO_OCTETS,
    FRAGMENT,
    FRAME,
    PARTIAL_FRAMES,
    PARTIAL_NS,
    PING,
    PONG,
    ROOM_LEAST,
    Fragmenter,
    Reassembler,
    message,
    messages,
    pack,
)
from vde.errors import WireError

MOST = 9234


class Drops(dict[str, int]):
    def __call__(self, reason: str) -> None:
        self[reason] = self.get(reason, 0) + 1


frames = st.integers(14, MOST).flatmap(lambda size: st.binary(min_size=size, max_size=size))


@pytest.mark.fuzz
@given(st.lists(frames, max_size=4), st.integers(ROOM_LEAST, 1500), st.randoms(use_true_random=False))
def test_frames_come_out_as_they_went_in_whatever_the_order_of_fragments(sent, room, random) -> None:  # type: ignore[no-untyped-def]
    fragmenter, drops = Fragmenter(), Drops()
    records = [record for frame in sent for record in fragmenter.records(frame, room)]
    assert all(len(record) <= room for record in records)
    random.shuffle(records)
    reassembler = Reassembler(drops, MOST)
    got = [frame for record in records for frame in reassembler.receive(record, 0).frames]
    assert sorted(got) == sorted(sent)
    assert not drops
    assert not reassembler.partial_frames


@given(st.lists(st.binary(min_size=14, max_size=3000), max_size=30), st.integers(ROOM_LEAST, 16384))
def test_packed_records_are_filled_and_tell_how_many_frames_are_whole(sent: list[bytes], room: int) -> None:
    fragmenter, drops = Fragmenter(), Drops()
    packed = pack((fragmenter.records(frame, room) for frame in sent), room)
    reassembler = Reassembler(drops, MOST)
    got: list[bytes] = []
    for record, whole in packed:
        assert len(record) <= room
        got += reassembler.receive(record, 0).frames
        assert got == sent[:whole]
    assert got == sent
    assert not drops
    for (record, _), (following, _) in itertools.pairwise(packed):
        first = 3 + int.from_bytes(following[1:3])
        assert len(record) + first > room


@pytest.mark.fuzz
@given(st.lists(frames, min_size=1, max_size=4), st.data())
def test_records_that_came_out_as_one_are_several_frames(sent: list[bytes], data: st.DataObject) -> None:
    """Two records in one datagram may be decrypted to one text: no frame may grow by it."""
    fragmenter = Fragmenter()
    records = [record for frame in sent for record in fragmenter.records(frame, 1400)]
    assert Reassembler(Drops(), MOST).receive(b"".join(records), 0).frames == sent


@pytest.mark.fuzz
@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(0, 10))
def test_hostile_records_are_counted_and_bounded(records: list[bytes], step: int) -> None:
    drops = Drops()
    reassembler = Reassembler(drops, MOST)
    for at, record in enumerate(records):
        found = reassembler.receive(record, at * step * 10**9)
        assert all(14 <= len(frame) <= MOST for frame in found.frames)
        assert len(found.replies) <= 1
        assert all(len(reply) <= ECHO_OCTETS + 3 for reply in found.replies)
        assert reassembler.partial_frames <= PARTIAL_FRAMES
    assert set(drops) <= {"framing", "short", "oversize", "fragment"}


@pytest.mark.fuzz
@given(st.lists(st.tuples(st.integers(0, 6), st.binary(max_size=40)), max_size=20))
def test_hostile_messages_of_the_right_form(made: list[tuple[int, bytes]]) -> None:
    record = b"".join(message(kind, body) for kind, body in made)
    assert list(messages(record)) == made
    found = Reassembler(Drops(), MOST).receive(record, 0)
    assert len(found.replies) <= 1


def test_an_incomplete_frame_is_given_up() -> None:
    drops = Drops()
    reassembler = Reassembler(drops, MOST)
    fragmenter = Fragmenter()
    reassembler.receive(fragmenter.records(bytes(1000), 200)[0], 0)
    assert reassembler.partial_frames == 1
    reassembler.receive(fragmenter.records(bytes(1000), 200)[0], PARTIAL_NS + 1)
    assert reassembler.partial_frames == 1
    assert drops == {"fragment": 1}


def test_only_so_many_frames_are_incomplete_at_a_time() -> None:
    drops = Drops()
    reassembler = Reassembler(drops, MOST)
    fragmenter = Fragmenter()
    for _ in range(PARTIAL_FRAMES + 5):
        reassembler.receive(fragmenter.records(bytes(1000), 200)[0], 0)
    assert reassembler.partial_frames == PARTIAL_FRAMES
    assert drops == {"fragment": 5}


def test_fragments_that_grow_too_long_are_dropped() -> None:
    drops = Drops()
    reassembler = Reassembler(drops, 1000)
    for record in Fragmenter().records(bytes(2000), 200):
        assert not reassembler.receive(record, 0).frames
    assert drops["oversize"] >= 1


@pytest.mark.parametrize(
    "body", [b"", bytes(6), b"\0\0\0\0\x02\x02x", b"\0\0\0\0\x00\x00x"], ids=["none", "empty", "index", "count"]
)
def test_wrong_fragments_are_counted(body: bytes) -> None:
    drops = Drops()
    assert not Reassembler(drops, MOST).receive(message(FRAGMENT, body), 0).frames
    assert drops == {"framing": 1}


def test_what_stands_before_an_error_counts() -> None:
    drops = Drops()
    found = Reassembler(drops, MOST).receive(message(FRAME, bytes(60)) + b"\x01\xff\xff", 0)
    assert found.frames == [bytes(60)]
    assert drops == {"framing": 1}
    with pytest.raises(WireError):
        list(messages(b"\x01"))


def test_pings_pongs_and_goodbyes() -> None:
    drops = Drops()
    reassembler = Reassembler(drops, MOST)
    assert reassembler.receive(message(PING, b"12345678") * 3, 0).replies == [message(PONG, b"12345678")]
    assert reassembler.receive(message(PONG, b"12345678"), 0).pongs == [b"12345678"]
    assert reassembler.receive(message(CLOSE), 0).closed
    assert not reassembler.receive(message(PING, bytes(ECHO_OCTETS + 1)) + message(99, b"?"), 0).replies
    assert drops == {"framing": 2}
