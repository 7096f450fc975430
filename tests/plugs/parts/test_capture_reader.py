"""Capture files, read: both byte orders, both formats, whatever stands in them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugs.parts.capture_reader import INTERFACES_MOST, Captured, CaptureReader
from vde import pcapng
from vde.errors import WireError

FRAME = bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(range(46))


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = len(body) + 12
    return struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", length)


def section(order: str = "<") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str = "<", link_type: int = 1, snap: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, snap) + options)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def packet(order: str, ticks: int, frame: bytes = FRAME, number: int = 0, more: int = 0, options: bytes = b"") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame) + more)
    return block(order, 6, head + frame + bytes(-len(frame) % 4) + options)


def pcap(order: str, magic: int, *packets: tuple[int, int, bytes, int], link_type: int = 1) -> bytes:
    octets = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for seconds, fraction, frame, more in packets:
        octets += struct.pack(order + "IIII", seconds, fraction, len(frame), len(frame) + more) + frame
    return octets


def read(octets: bytes, piece: int = 1 << 20) -> list[Captured]:
    reader = CaptureReader()
    found = []
    for begin in range(0, len(octets), piece):
        reader.feed(octets[begin : begin + piece])
        while (one := reader.next_frame()) is not None:
            found.append(one)
    assert reader.is_between_blocks
    assert reader.offset == len(octets)
    return found


def test_what_our_writer_writes() -> None:
    octets = pcapng.section_header("test") + pcapng.interface("a", "b")
    octets += pcapng.packet(0, 1_700_000_000_123_456_789, FRAME, pcapng.PacketDirection.INBOUND, comment="hello")
    octets += pcapng.statistics(0, 5, received=1, dropped=0)
    assert read(octets) == [Captured(1_700_000_000_123_456_789, FRAME)]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_either_order_in_any_pieces(order: str, piece: int) -> None:
    octets = section(order) + interface(order) + packet(order, 5) + block(order, 0x80000BAD, b"custom")
    octets += packet(order, 7, FRAME[:20])
    assert read(octets, piece) == [Captured(5_000, FRAME), Captured(7_000, FRAME[:20])]
    for magic, unit in ((0xA1B2C3D4, 1000), (0xA1B23C4D, 1)):
        octets = pcap(order, magic, (3, 4, FRAME, 0), (5, 6, FRAME, 0))
        assert [one.when_ns for one in read(octets, piece)] == [3 * 10**9 + 4 * unit, 5 * 10**9 + 6 * unit]


def test_sections_of_different_orders_follow_one_another() -> None:
    octets = b"".join(section(order) + interface(order) + packet(order, 1) for order in "<>")
    assert len(read(octets)) == 2


@pytest.mark.parametrize(
    ("resolution", "ticks", "when_ns"),
    [
        (b"\x09", 123, 123),
        (b"\x03", 5, 5_000_000),
        (b"\x8a", 512, 500_000_000),
        (b"\x00", 2, 2 * 10**9),
        (b"\x0c", 1500, 1),
    ],
)
def test_resolutions(resolution: bytes, ticks: int, when_ns: int) -> None:
    assert read(section() + interface(options=option("<", 9, resolution)) + packet("<", ticks))[0].when_ns == when_ns


def test_an_offset_in_time() -> None:
    options = option("<", 9, b"\x09") + option("<", 14, struct.pack("<q", -3))
    assert read(section() + interface(options=options) + packet("<", 1))[0].when_ns == 1 - 3 * 10**9


def test_simple_and_obsolete_packets() -> None:
    simple = block("<", 3, struct.pack("<I", len(FRAME)) + FRAME)
    old = block("<", 2, struct.pack("<HHIIII", 0, 9, 0, 8, len(FRAME), len(FRAME)) + FRAME)
    octets = section() + interface() + packet("<", 4) + simple + old
    assert read(octets) == [Captured(4_000, FRAME), Captured(4_000, FRAME), Captured(8_000, FRAME)]


def test_a_simple_packet_is_cut_at_the_snap_length() -> None:
    reader = CaptureReader()
    reader.feed(section() + interface(snap=20) + block("<", 3, struct.pack("<I", len(FRAME)) + FRAME[:20]))
    assert reader.next_frame() is None
    assert reader.cut == 1


def test_a_captured_fcs_is_taken_off() -> None:
    by_interface = interface(options=option("<", 13, b"\x04")) + packet("<", 1, FRAME + b"FCS!")
    by_packet = interface() + packet("<", 1, FRAME + b"FCS!", options=option("<", 2, struct.pack("<I", 4 << 5)))
    for octets in (section() + by_interface, section() + by_packet):
        assert read(octets) == [Captured(1000, FRAME)]
    assert read(pcap("<", 0xA1B2C3D4, (0, 0, FRAME + b"FCS!", 0), link_type=1 | 1 << 26 | 2 << 28))[0].frame == FRAME


def test_what_is_no_frame_is_counted() -> None:
    reader = CaptureReader()
    reader.feed(section() + interface() + interface(link_type=113))
    reader.feed(packet("<", 1, number=1) + packet("<", 1, FRAME[:13]) + packet("<", 1, more=1) + packet("<", 2))
    assert reader.next_frame() == Captured(2_000, FRAME)
    assert (reader.other, reader.cut) == (2, 1)


@pytest.mark.parametrize(
    ("octets", "offset", "message"),
    [
        (b"no capture file", 0, "no capture file"),
        (b"\x1f\x8b compressed", 0, "gunzip"),
        (struct.pack("<III", 0x0A0D0D0A, 28, 5) + bytes(16), 0, "magic"),
        (section() + struct.pack("<III", 5, 8, 0), 28, "12 to"),
        (section() + struct.pack("<III", 5, 13, 0), 28, "multiple of 4"),
        (section() + struct.pack("<III", 5, 1 << 30, 0), 28, "a block of 1073741824"),
        (section() + block("<", 5, b"")[:-4] + bytes(4), 28, "not said at its end"),
        (section() + packet("<", 1), 28, "interface 0, of 0"),
        (section() + block("<", 1, b"1234"), 28, "fixed part"),
        (section() + block("<", 6, b"1234"), 28, "fixed part"),
        (section() + interface() + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 99, 99)), 48, "99 octets in a block"),
        (section() + interface() * (INTERFACES_MOST + 1), 28 + 20 * INTERFACES_MOST, "more than 4096"),
        (pcap("<", 0xA1B2C3D4) + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30), 24, "a packet of 1073741824"),
    ],
)
def test_damage_is_told_with_its_place(octets: bytes, offset: int, message: str) -> None:
    reader = CaptureReader()
    reader.feed(octets)
    for _ in range(2):
        with pytest.raises(WireError, match=message):
            reader.next_frame()
        assert reader.offset == offset


OPTIONS = st.builds(
    lambda code, value: option("<", code, value), st.sampled_from([2, 9, 13, 14]), st.binary(max_size=9)
)
BLOCKS = st.one_of(
    st.builds(lambda kind, body: block("<", kind, body), st.integers(0, 7), st.binary(max_size=80)),
    st.builds(lambda options: interface(options=options), OPTIONS),
    st.builds(
        lambda ticks, frame, more, options: packet("<", ticks, frame, 0, more, options),
        st.integers(0, (1 << 64) - 1),
        st.binary(max_size=60),
        st.integers(0, 1),
        OPTIONS,
    ),
    st.binary(max_size=16),
)


@pytest.mark.fuzz
@given(st.lists(BLOCKS, max_size=12), st.booleans(), st.integers(1, 64))
def test_random_files_end_in_frames_or_a_wire_error(blocks: list[bytes], begun: bool, piece: int) -> None:
    """Whatever the file: frames of at least 14 octets, or a WireError; and the same whole as in pieces."""
    octets = (section() + interface() if begun else b"") + b"".join(blocks)

    def run(size: int) -> tuple[list[Captured], str]:
        reader = CaptureReader()
        found: list[Captured] = []
        try:
            for begin in range(0, len(octets), size):
                reader.feed(octets[begin : begin + size])
                while (one := reader.next_frame()) is not None:
                    found.append(one)
        except WireError as error:
            return found, f"{reader.offset}: {error}"
        return found, ""

    whole = run(len(octets) or 1)
    assert whole == run(piece)
    assert all(len(one.frame) >= 14 for one in whole[0])


@pytest.mark.fuzz
@given(st.binary(max_size=200), st.sampled_from("<>"), st.sampled_from([0xA1B2C3D4, 0xA1B23C4D]))
def test_random_packets_of_pcap(octets: bytes, order: str, magic: int) -> None:
    """Whatever follows the header: frames of at least 14 octets, or a WireError."""
    reader = CaptureReader()
    reader.feed(pcap(order, magic) + octets)
    try:
        while (one := reader.next_frame()) is not None:
            assert len(one.frame) >= 14
    except WireError as error:
        assert "a packet of" in str(error)  # noqa: PT017 - most files are no error
