"""Device trees: nodes with properties, and their flattened form.

Specification: Devicetree Specification v0.4, chapters 2 (properties and their types) and 5 (the flattened format,
version 17, compatible with 16).

Theory: a tree is made of `Node`s, whose properties keep their order; values are octets. `flatten` is the writer.

Limits: names are ASCII; a tree is at most `LARGEST_OCTETS` long.

Not supported: reading a flattened tree.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

MAGIC, VERSION, OLDEST = 0xD00DFEED, 17, 16  # §5.2
HEADER: Final = struct.Struct(">10I")
"""magic, totalsize, off_dt_struct, off_dt_strings, off_mem_rsvmap, version, last_comp_version, boot_cpuid_phys,
size_dt_strings, size_dt_struct; big-endian, 4 octets each."""
RESERVATION: Final = struct.Struct(">QQ")
"""address 8, octets 8."""
BEGIN_NODE, END_NODE, PROPERTY, END = 1, 2, 3, 9  # §5.4.1
LARGEST_OCTETS: Final = 1 << 20

Value = bytes | str | int | Sequence[int] | Sequence[str] | bool | None


def octets(value: Value) -> bytes:
    """A property's value as octets: text ends in 0, numbers are cells of 32 bits, True or None is nothing."""
    if isinstance(value, bytes):
        return value
    if value is None or isinstance(value, bool):
        return b""
    if isinstance(value, str):
        return value.encode("ascii") + b"\0"
    if isinstance(value, int):
        return struct.pack(">I", value & 0xFFFFFFFF)
    return b"".join(octets(one) for one in value)


@dataclass
class Node:
    """A node; `name` has its unit address, if it has one."""

    name: str
    properties: dict[str, bytes] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def __setitem__(self, name: str, value: Value) -> None:
        self.properties[name] = octets(value)

    def add(self, name: str, properties: dict[str, Value] | None = None) -> "Node":
        """A child, behind the others."""
        child = Node(name)
        for key, value in (properties or {}).items():
            child[key] = value
        self.children.append(child)
        return child

    def walk(self, path: str = "") -> Iterator[tuple[str, "Node"]]:
        """The node and all below it, with their paths."""
        yield path or "/", self
        for child in self.children:
            yield from child.walk(f"{path}/{child.name}")

    def find(self, path: str) -> "Node | None":
        """The node at `path`, each part with or without its unit address."""
        node = self
        for part in path.strip("/").split("/"):
            if not part:
                continue
            found = next((child for child in node.children if part in (child.name, child.name.split("@")[0])), None)
            if found is None:
                return None
            node = found
        return node


def flatten(root: Node, reserved: Sequence[tuple[int, int]] = ()) -> bytes:
    """The flattened tree.

    Args:
        reserved: addresses and sizes of memory that is not to be used.

    Raises:
        ValueError: it is longer than `LARGEST_OCTETS`.
    """
    strings: dict[str, int] = {}
    length = 0
    structure = bytearray()

    def offset(name: str) -> int:
        nonlocal length
        if name not in strings:
            strings[name] = length
            length += len(name) + 1
        return strings[name]

    def put(node: Node) -> None:
        structure.extend(struct.pack(">I", BEGIN_NODE) + _padded(node.name.encode("ascii") + b"\0"))
        for name, value in node.properties.items():
            structure.extend(struct.pack(">III", PROPERTY, len(value), offset(name)) + _padded(value))
        for child in node.children:
            put(child)
        structure.extend(struct.pack(">I", END_NODE))

    put(root)
    structure.extend(struct.pack(">I", END))
    table = b"".join(name.encode("ascii") + b"\0" for name in strings)
    reservations = b"".join(RESERVATION.pack(*one) for one in reserved) + RESERVATION.pack(0, 0)
    at_reservations = HEADER.size
    at_structure = at_reservations + len(reservations)
    at_strings = at_structure + len(structure)
    total = at_strings + len(table)
    if total > LARGEST_OCTETS:
        raise ValueError(f"a device tree of {total} octets")
    header = HEADER.pack(
        MAGIC,
        total,
        at_structure,
        at_strings,
        at_reservations,
        VERSION,
        OLDEST,
        0,
        len(table),
        len(structure),
    )
    return header + reservations + bytes(structure) + table


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
