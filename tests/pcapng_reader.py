"""A reader of pcapng blocks for tests, written from the draft, apart from the writer."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Block:
    """One block; `fields` are the fixed ones, in order."""

    kind: int
    fields: tuple[int, ...]
    data: bytes = b""
    options: dict[int, bytes] = field(default_factory=dict)


LAYOUTS = {0x0A0D0D0A: "<IHHq", 1: "<HHI", 5: "<III", 6: "<IIIII"}


def read_blocks(octets: bytes) -> Iterator[Block]:
    """All blocks; `AssertionError` where the octets break the format."""
    offset = 0
    while offset < len(octets):
        kind, length = struct.unpack_from("<II", octets, offset)
        assert length % 4 == 0
        assert offset + length <= len(octets), "the last block is cut off"
        assert octets[offset + length - 4 : offset + length] == struct.pack("<I", length)
        body = octets[offset + 8 : offset + length - 4]
        layout = LAYOUTS[kind]
        fields = struct.unpack_from(layout, body)
        rest = body[struct.calcsize(layout) :]
        data = b""
        if kind == 6:
            data = rest[: fields[3]]
            rest = rest[fields[3] + -fields[3] % 4 :]
        yield Block(kind, fields, data, dict(_options(rest)))
        offset += length


def _options(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while octets:
        code, length = struct.unpack_from("<HH", octets)
        if code == 0:
            assert (length, len(octets)) == (0, 4)
            return
        yield code, octets[4 : 4 + length]
        octets = octets[4 + length + -length % 4 :]
    raise AssertionError("no opt_endofopt")
