"""ELF for 32-bit machines: what a loader needs of it, checked.

Specification: Tool Interface Standard (TIS) ELF 1.2 (1995), book I chapters 1 and 2.

Limits: files up to `LARGEST_OCTETS`, `MOST_SEGMENTS` program headers, `MOST_SYMBOLS` symbols.

Not supported: 64-bit files, relocatable objects, shared objects, relocations, notes.

Threats: offsets, sizes and counts beyond the file (refused with the value); a segment of 4 GiB of zeros (`place` writes
only where there is memory, in pieces); symbol names without end (cut off).
"""

import struct
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vde.errors import ConfigError

MAGIC = b"\x7fELF"
EI_CLASS, EI_DATA = 4, 5
ELFCLASS32 = 1
ELFDATA2LSB, ELFDATA2MSB = 1, 2
ET_EXEC = 2
PT_LOAD = 1
SHT_SYMTAB = 2
STT_OBJECT, STT_FUNC, STT_NOTYPE = 1, 2, 0
MACHINES = {2: "SPARC", 3: "i386", 8: "MIPS", 20: "PowerPC", 40: "ARM", 62: "x86-64", 183: "AArch64", 243: "RISC-V"}
EM_386, EM_MIPS, EM_PPC = 3, 8, 20

HEADER = "HHIIIIIHHHHHH"
"""e_type, machine, version, entry, phoff, shoff, flags, ehsize, phentsize, phnum, shentsize, shnum, shstrndx, behind
the 16 octets of e_ident."""
PROGRAM_HEADER = "8I"
"""p_type, offset, vaddr, paddr, filesz, memsz, flags, align."""
SECTION_HEADER = "10I"
"""sh_name, type, flags, addr, offset, size, link, info, addralign, entsize."""
SYMBOL = "IIIBBH"
"""st_name, value, size, info, other, shndx."""

LARGEST_OCTETS = 512 << 20
MOST_SEGMENTS = 64
MOST_SYMBOLS = 1 << 20
PIECE_OCTETS = 1 << 20


class Writable(Protocol):
    """The part of a `Vm` that is needed here."""

    def write(self, gpa: int, data: bytes, /) -> None:
        """Raises ValueError outside memory."""
        ...


@dataclass(frozen=True, slots=True)
class Segment:
    """`memory_octets` at `address` (virtual), of which the first are `data` and the rest zeros."""

    address: int
    physical: int
    data: bytes
    memory_octets: int


@dataclass(frozen=True)
class Elf:
    """A file that can be loaded."""

    entry: int
    segments: tuple[Segment, ...]
    symbols: "Symbols"


REACH_OCTETS = 1 << 20
"""Of a symbol. Chosen: functions are shorter, and what is farther behind the last of them is something else."""


class Symbols:
    """Names of addresses."""

    def __init__(self, pairs: Sequence[tuple[int, str]] = ()) -> None:
        ordered = sorted(pairs)
        self._addresses = [address for address, _ in ordered]
        self._names = [name for _, name in ordered]

    def __len__(self) -> int:
        return len(self._names)

    def find(self, address: int) -> str | None:
        """`name+offset` of the symbol at or below `address`; None: there is none, or not nearer than `REACH_OCTETS`."""
        at = bisect_right(self._addresses, address) - 1
        if at < 0:
            return None
        offset = address - self._addresses[at]
        if offset >= REACH_OCTETS:
            return None
        return f"{self._names[at]}+{offset:#x}" if offset else self._names[at]


def read_elf(octets: bytes, name: str, *, machine: int, big_endian: bool) -> Elf:
    """Take an executable apart.

    Args:
        octets: the file.
        name: the file's name, for messages.
        machine: the only `EM_…` that is taken.
        big_endian: the only octet order that is taken.

    Raises:
        ConfigError: it is not an executable for that machine, or damaged.
    """
    if octets[:4] != MAGIC:
        raise ConfigError(f"{name}: not an ELF file (it begins with {octets[:4].hex(' ') or 'nothing'})")
    if len(octets) > LARGEST_OCTETS:
        raise ConfigError(f"{name}: {len(octets)} octets; at most {LARGEST_OCTETS} are taken")
    if len(octets) < 16 + struct.calcsize("<" + HEADER):
        raise ConfigError(f"{name}: an ELF file that ends in its header")
    if octets[EI_CLASS] != ELFCLASS32:
        raise ConfigError(f"{name}: an ELF file of {'64 bits' if octets[EI_CLASS] == 2 else 'unknown class'}, not 32")
    wanted = ELFDATA2MSB if big_endian else ELFDATA2LSB
    order = ">" if octets[EI_DATA] == ELFDATA2MSB else "<"
    kind, of, _, entry, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, _ = struct.unpack_from(
        order + HEADER, octets, 16
    )
    if of != machine:
        raise ConfigError(f"{name}: a program for {MACHINES.get(of, f'machine {of}')}, not for {MACHINES[machine]}")
    if octets[EI_DATA] != wanted:
        orders = {ELFDATA2LSB: "little-endian", ELFDATA2MSB: "big-endian"}
        raise ConfigError(f"{name}: {orders.get(octets[EI_DATA], 'of unknown octet order')}, not {orders[wanted]}")
    if kind != ET_EXEC:
        raise ConfigError(f"{name}: an ELF file of type {kind}, not an executable (2)")
    if phentsize < struct.calcsize("<" + PROGRAM_HEADER) or not 0 < phnum <= MOST_SEGMENTS:
        raise ConfigError(f"{name}: {phnum} program headers of {phentsize} octets")
    if phoff + phnum * phentsize > len(octets):
        raise ConfigError(f"{name}: its program headers lie beyond its end")
    segments = []
    for index in range(phnum):
        p_type, offset, vaddr, paddr, filesz, memsz, _, _ = struct.unpack_from(
            order + PROGRAM_HEADER, octets, phoff + index * phentsize
        )
        if p_type != PT_LOAD or not memsz:
            continue
        if offset + filesz > len(octets):
            raise ConfigError(f"{name}: segment {index} lies beyond the file's end ({offset:#x} + {filesz:#x})")
        if filesz > memsz:
            raise ConfigError(f"{name}: segment {index} has {filesz} octets in the file, but {memsz} in memory")
        if vaddr + memsz > 1 << 32:
            raise ConfigError(f"{name}: segment {index} ends beyond the address space ({vaddr:#x} + {memsz:#x})")
        segments.append(Segment(vaddr, paddr, octets[offset : offset + filesz], memsz))
    if not segments:
        raise ConfigError(f"{name}: nothing to load in it")
    return Elf(entry, tuple(segments), _symbols(octets, order, shoff, shentsize, shnum))


def _symbols(octets: bytes, order: str, shoff: int, shentsize: int, shnum: int) -> Symbols:
    """Names are a convenience: a damaged table is none."""
    size = struct.calcsize("<" + SECTION_HEADER)
    if shentsize < size or shoff + shnum * shentsize > len(octets):
        return Symbols()
    sections = [struct.unpack_from(order + SECTION_HEADER, octets, shoff + n * shentsize) for n in range(shnum)]
    pairs: list[tuple[int, str]] = []
    for section in sections:
        if section[1] != SHT_SYMTAB or section[6] >= shnum:
            continue
        start, length, strings = section[4], section[5], sections[section[6]]
        table = octets[start : start + length]
        names = octets[strings[4] : strings[4] + strings[5]]
        usable = len(table) - len(table) % struct.calcsize("<" + SYMBOL)
        for st_name, value, _, info, _, shndx in struct.iter_unpack(order + SYMBOL, table[:usable]):
            if len(pairs) >= MOST_SYMBOLS:
                break
            if shndx and info & 0xF in (STT_OBJECT, STT_FUNC, STT_NOTYPE) and st_name < len(names):
                end = names.find(b"\0", st_name, st_name + 256)
                text = names[st_name : end if end >= 0 else st_name + 256].decode("utf-8", "replace")
                if text and not text.startswith("$"):
                    pairs.append((value, text))
    return Symbols(pairs)


def place(elf: Elf, name: str, vm: Writable, to_physical: Callable[[int], int]) -> int:
    """Write the segments into memory; answers the first physical address behind all of them.

    Args:
        to_physical: where a virtual address of the file is in memory.

    Raises:
        ConfigError: a segment is not in memory, whole.
    """
    end = 0
    for segment in elf.segments:
        at = to_physical(segment.address)
        end = max(end, at + segment.memory_octets)
        try:
            for start in range(0, segment.memory_octets, PIECE_OCTETS):
                octets = min(PIECE_OCTETS, segment.memory_octets - start)
                vm.write(at + start, segment.data[start : start + octets].ljust(octets, b"\0"))
        except (ValueError, OverflowError):
            raise ConfigError(
                f"{name}: {segment.memory_octets} octets at {segment.address:#010x} (physical {at:#x}) "
                "are not in the machine's memory: give it more, or another kernel"
            ) from None
    return end
