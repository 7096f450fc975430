"""Read what a kernel module says about itself: the `.modinfo` section of its ELF file.

Specification: System V ABI, chapter 4 (ELF header, section header), 32 and 64 bit, both byte orders.
Only the section table and that one section are looked at.
"""

import re
import struct
from dataclasses import dataclass

from vde.errors import WireError

# e_ident: magic 4 · class 1 · data 1 · version 1 · …; then e_type 2 · e_machine 2 · e_version 4, and word-sized fields.
_MAGIC = b"\x7fELF"
_EI_CLASS, _EI_DATA = 4, 5
_CLASS_32, _CLASS_64 = 1, 2
_DATA_LITTLE, _DATA_BIG = 1, 2
_SECTIONS_MAX = 8192  # chosen: large modules have a few hundred
_BLANK = re.compile(r"\s")
_MODINFO_OCTETS_MAX = 1 << 20  # chosen: drivers with thousands of aliases have about 100 KiB


@dataclass(frozen=True)
class ModuleInfo:
    """A module's facts.

    Attributes:
        name: with underscores, as the kernel shows it.
        depends: names of the modules that must be loaded before.
        aliases: patterns of the devices it drives, as in modules.alias.
    """

    name: str
    depends: tuple[str, ...]
    aliases: tuple[str, ...]


def canonical(name: str) -> str:
    """A module's name as the kernel spells it: `ne2k-pci` and `ne2k_pci` are the same module."""
    return name.replace("-", "_")


def parse_module(octets: bytes, name: str) -> ModuleInfo:
    """Read a module's facts.

    Args:
        octets: the whole `.ko` file, uncompressed.
        name: taken from the file's name; the section's own `name=` is preferred.

    Raises:
        WireError: it is no ELF file, or its section table does not hold together.
    """
    depends: tuple[str, ...] = ()
    aliases = []
    for entry in modinfo_section(octets).split(b"\0"):
        key, _, value = entry.partition(b"=")
        text = value.decode("ascii", "replace")
        if key == b"depends":
            depends = tuple(canonical(part) for part in text.split(",") if part)
        elif key == b"alias" and not _BLANK.search(text):
            aliases.append(text)
        elif key == b"name":
            name = text
    return ModuleInfo(canonical(name), depends, tuple(aliases))


def modinfo_section(octets: bytes) -> bytes:
    """The `.modinfo` section of an ELF file; empty if it has none.

    Raises:
        WireError: it is no ELF file, or its section table does not hold together.
    """
    if octets[:4] != _MAGIC or len(octets) < 52:
        raise WireError("no ELF file")
    order = {_DATA_LITTLE: "<", _DATA_BIG: ">"}.get(octets[_EI_DATA])
    if order is None or octets[_EI_CLASS] not in (_CLASS_32, _CLASS_64):
        raise WireError(f"ELF class {octets[_EI_CLASS]}, byte order {octets[_EI_DATA]}: unknown")
    try:
        return _find_section(octets, order, octets[_EI_CLASS] == _CLASS_64)
    except struct.error:
        raise WireError("the ELF section table lies outside of the file") from None


def _find_section(octets: bytes, order: str, wide: bool) -> bytes:
    # e_shoff; then e_shentsize, e_shnum, e_shstrndx
    if wide:
        table = struct.unpack_from(f"{order}Q", octets, 40)[0]
        entry_octets, count, names = struct.unpack_from(f"{order}HHH", octets, 58)
        layout = struct.Struct(f"{order}IIQQQQ")  # sh_name sh_type sh_flags sh_addr sh_offset sh_size
    else:
        table = struct.unpack_from(f"{order}I", octets, 32)[0]
        entry_octets, count, names = struct.unpack_from(f"{order}HHH", octets, 46)
        layout = struct.Struct(f"{order}IIIIII")
    if entry_octets < layout.size or count > _SECTIONS_MAX or names >= max(count, 1):
        raise WireError(f"an ELF section table of {count} entries of {entry_octets} octets, names in {names}")
    if table > len(octets):
        raise WireError("the ELF section table lies outside of the file")
    sections = [layout.unpack_from(octets, table + index * entry_octets) for index in range(count)]
    if not sections:
        return b""
    strings = _section_octets(octets, sections[names])
    for section in sections:
        end = strings.find(b"\0", section[0])
        if strings[section[0] : end if end >= 0 else None] == b".modinfo":
            if section[5] > _MODINFO_OCTETS_MAX:
                raise WireError(f".modinfo of {section[5]} octets")
            return _section_octets(octets, section)
    return b""


def _section_octets(octets: bytes, section: tuple[int, ...]) -> bytes:
    offset, size = section[4], section[5]
    if offset + size > len(octets):
        raise WireError("an ELF section lies outside of the file")
    return octets[offset : offset + size]
