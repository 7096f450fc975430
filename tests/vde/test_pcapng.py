"""The capture format, read back by a reader that knows nothing of the writer."""

from hypothesis import given
from hypothesis import strategies as st

from tests.pcapng_reader import read_blocks
from vde import pcapng
from vde.pcapng import PacketDirection

U32, U64 = (1 << 32) - 1, (1 << 64) - 1


@given(st.integers(0, U32), st.integers(0, U64), st.binary(max_size=70), st.sampled_from(PacketDirection))
def test_a_packet_comes_back(number: int, when_ns: int, frame: bytes, direction: PacketDirection) -> None:
    (block,) = read_blocks(pcapng.packet(number, when_ns, frame, direction))
    interface, high, low, captured, original = block.fields
    assert (block.kind, interface, high << 32 | low, block.data) == (6, number, when_ns, frame)
    assert (captured, original) == (len(frame), len(frame))
    assert block.options == {2: direction.to_bytes(4, "little")}


@given(st.binary(max_size=70), st.integers(0, 70), st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_a_frame_that_was_cut_and_explained_comes_back(frame: bytes, more: int, comment: str) -> None:
    (block,) = read_blocks(pcapng.packet(1, 2, frame, PacketDirection.INBOUND, len(frame) + more, comment))
    assert (block.data, block.fields[3:]) == (frame, (len(frame), len(frame) + more))
    assert block.options == {1: comment.encode(), 2: (1).to_bytes(4, "little")}


def test_a_long_comment_is_cut_between_characters() -> None:
    (block,) = read_blocks(pcapng.packet(1, 2, b"", PacketDirection.INBOUND, 0, "€" * 30000))
    assert block.options[1].decode() == "€" * (0xFFFF // 3)


def test_a_section_begins_with_its_byte_order() -> None:
    (block,) = read_blocks(pcapng.section_header("größe"))
    assert (block.kind, block.fields) == (0x0A0D0D0A, (0x1A2B3C4D, 1, 0, -1))
    assert block.options == {4: "größe".encode()}


@given(st.text(max_size=20).filter(lambda t: t.isprintable()), st.text(max_size=20).filter(lambda t: t.isprintable()))
def test_an_interface_has_a_name_and_nanoseconds(name: str, description: str) -> None:
    (block,) = read_blocks(pcapng.interface(name, description))
    assert (block.kind, block.fields) == (1, (1, 0, 0))
    expected = {2: name.encode(), 9: b"\x09"}
    if description:
        expected[3] = description.encode()
    assert block.options == expected


@given(st.integers(0, U64), st.integers(0, U64), st.integers(0, U64))
def test_statistics_come_back(when_ns: int, received: int, dropped: int) -> None:
    (block,) = read_blocks(pcapng.statistics(3, when_ns, received=received, dropped=dropped))
    assert (block.kind, block.fields) == (5, (3, when_ns >> 32, when_ns & U32))
    assert block.options == {4: received.to_bytes(8, "little"), 5: dropped.to_bytes(8, "little")}
