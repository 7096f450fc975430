"""ACPI Machine Language: what a small differentiated description table needs of it, built from Python values.

Specification: Advanced Configuration and Power Interface 2.0c (2003), chapter 17 (AML grammar) and §6.4 (resource data
types), sections as cited. Names have at most four letters and are padded with `_`.

Not supported: methods, fields, operators: the boards here describe what does not change.
"""

import struct
from collections.abc import Sequence

ZERO, ONE, NAME, BYTE, WORD, DWORD, STRING = 0x00, 0x01, 0x08, 0x0A, 0x0B, 0x0C, 0x0D  # §17.2.2
SCOPE, BUFFER, PACKAGE, EXTENDED, DEVICE = 0x10, 0x11, 0x12, 0x5B, 0x82
END_TAG = b"\x79\x00"  # §6.4.2.8; a checksum of 0 is "not computed"

Data = int | str | bytes | Sequence["Data"]
"""An integer, a string, a buffer, a package."""


def length(octets: int) -> bytes:
    """PkgLength (§17.2.4) of a package whose rest has `octets` octets."""
    for extra in range(4):
        whole = octets + 1 + extra
        if extra == 0 and whole < 1 << 6:
            return bytes((whole,))
        if extra and whole < 1 << 4 + 8 * extra:
            return bytes((extra << 6 | whole & 0xF, *(whole >> 4).to_bytes(extra, "little")))
    raise ValueError(octets)


def integer(value: int) -> bytes:
    """§17.2.3: the shortest constant."""
    if value < 2:
        return bytes((ZERO if value == 0 else ONE,))
    for opcode, size in ((BYTE, 1), (WORD, 2), (DWORD, 4)):
        if value < 1 << 8 * size:
            return bytes((opcode, *value.to_bytes(size, "little")))
    raise ValueError(value)


def data(value: Data) -> bytes:
    """A constant, a string, a buffer or a package."""
    match value:
        case int():
            return integer(value)
        case str():
            return bytes((STRING,)) + value.encode("ascii") + b"\0"
        case bytes():
            body = integer(len(value)) + value
            return bytes((BUFFER,)) + length(len(body)) + body
        case _:
            body = bytes((len(value),)) + b"".join(data(one) for one in value)
            return bytes((PACKAGE,)) + length(len(body)) + body


def path(text: str) -> bytes:
    """One name (§17.2.1); the outermost ones are the root's."""
    return text.ljust(4, "_").encode("ascii")


def name(text: str, value: Data) -> bytes:
    """Name (text, value)."""
    return bytes((NAME,)) + path(text) + data(value)


def scope(text: str, *terms: bytes) -> bytes:
    """Scope (text) {terms}."""
    body = path(text) + b"".join(terms)
    return bytes((SCOPE,)) + length(len(body)) + body


def device(text: str, *terms: bytes) -> bytes:
    """Device (text) {terms}."""
    body = path(text) + b"".join(terms)
    return bytes((EXTENDED, DEVICE)) + length(len(body)) + body


def eisa(text: str) -> int:
    """`PNP0A03` as the integer that _HID has (§18.1.30): three letters of five bits, four digits, big-endian."""
    letters = sum((ord(letter) - 0x40) << 5 * (2 - at) for at, letter in enumerate(text[:3]))
    return int.from_bytes(struct.pack(">HH", letters, int(text[3:], 16)), "little")


# Resources


def resources(*descriptors: bytes) -> bytes:
    """A resource template: what _CRS holds."""
    return b"".join(descriptors) + END_TAG


def irq(*numbers: int) -> bytes:
    """§6.4.2.1: ISA interrupts, edge triggered."""
    return b"\x22" + sum(1 << number for number in numbers).to_bytes(2, "little")


def io(first: int, count: int) -> bytes:
    """§6.4.2.5: ports, 16 bits decoded."""
    return struct.pack("<BBHHBB", 0x47, 1, first, first, 1, count)


FIXED = 0x0C  # §6.4.3.5: minimum and maximum are fixed; a producer, for devices behind it
MEMORY, PORTS, BUS = 0, 1, 2


def word_range(kind: int, first: int, last: int) -> bytes:
    """§6.4.3.5.3: ports (all of them decoded) or bus numbers."""
    flags = 3 if kind == PORTS else 0
    return struct.pack("<BHBBB5H", 0x88, 13, kind, FIXED, flags, 0, first, last, 0, last - first + 1 & 0xFFFF)


def memory_range(first: int, last: int, *, cacheable: bool = False) -> bytes:
    """§6.4.3.5.2: memory that can be written."""
    flags = 3 if cacheable else 1
    return struct.pack("<BHBBB5I", 0x87, 23, MEMORY, FIXED, flags, 0, first, last, 0, last - first + 1)
