"""Makes small ELF files for tests of loaders."""

import struct
from collections.abc import Sequence

EM_MIPS = 8


def elf(
    segments: Sequence[tuple[int, bytes, int]],
    entry: int,
    *,
    machine: int = EM_MIPS,
    order: str = "<",
    kind: int = 2,
    symbols: Sequence[tuple[str, int]] = (),
) -> bytes:
    """An executable. Segments are (address, contents, octets in memory)."""
    header, program_header = 52, 32
    at = header + program_header * len(segments)
    headers = body = b""
    for address, contents, memory in segments:
        headers += struct.pack(order + "8I", 1, at + len(body), address, address, len(contents), memory, 7, 0x1000)
        body += contents
    names, table = b"\0", struct.pack(order + "IIIBBH", 0, 0, 0, 0, 0, 0)
    for name, value in symbols:
        table += struct.pack(order + "IIIBBH", len(names), value, 4, 2, 0, 1)
        names += name.encode() + b"\0"
    table_at = at + len(body)
    names_at = table_at + len(table)
    sections_at = names_at + len(names)
    sections = struct.pack(order + "10I", *(0,) * 10)
    sections += struct.pack(order + "10I", 0, 2, 0, 0, table_at, len(table), 2, 1, 4, 16)
    sections += struct.pack(order + "10I", 0, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    ident = b"\x7fELF" + bytes((1, 1 if order == "<" else 2, 1)) + bytes(9)
    fields = (kind, machine, 1, entry, header, sections_at if symbols else 0, 0)
    return (
        ident
        + struct.pack(
            order + "HHIIIIIHHHHHH", *fields, header, program_header, len(segments), 40, 3 if symbols else 0, 0
        )
        + headers
        + body
        + table
        + names
        + (sections if symbols else b"")
    )


class FlatMemory:
    """Memory from 0 on."""

    def __init__(self, octets: int) -> None:
        self.octets = bytearray(octets)

    def write(self, gpa: int, data: bytes, /) -> None:
        if gpa < 0 or gpa + len(data) > len(self.octets):
            raise ValueError(gpa)
        self.octets[gpa : gpa + len(data)] = data
