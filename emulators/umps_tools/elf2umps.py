"""Make uMPS3's core, a.out, ROM and symbol files out of ELF files, as umps3-elf2umps(1) does.

Specification: umps3-elf2umps(1); results measured from Debian's umps3 3.0.5. ELF: TIS ELF 1.2, book I.

Theory: a core file is the text segment (readable, executable) and the data segment (readable, writable), each made up
to whole pages, with a header in the text's first words, which the linker script leaves free. A ROM is the executable
section of an object file.

Limits: segments of `LARGEST_OCTETS`.

Threats: offsets and sizes beyond the file, sections outside their segment (the original writes beyond its buffer),
names that do not end: all end with a message and status 1.
"""

import os
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulators.devices.umps.blocks import BLOCK_OCTETS
from emulators.loaders import elf
from emulators.loaders.umps import AOUT, AOUT_HEADER_WORDS, CORE, CORE_PADDING_WORDS, ROM, STAB, WORD_OCTETS

USAGE = """\
{0} syntax : {0} [-v] [-m] {{-k | -b | -a}} <file>

where:
\t-v\tverbose operation
\t-m\tmake map file <file>.stab.umps

\t-k\tmake kernel core file <file>.core.umps + map file
\t-b\tmake BIOS file <file>.rom.umps
\t-a\tmake a.out file <file>.aout.umps

"""
KINDS = {"-k": CORE, "-b": ROM, "-a": AOUT}
LARGEST_OCTETS = 64 << 20
"""Chosen: 32 times the RAM of the largest machine."""

ET_REL, ET_EXEC = 1, 2
PT_LOAD = 1
TEXT_FLAGS, DATA_FLAGS = 5, 6
SHT_PROGBITS, SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 1, 2, 4, 8, 9
RELOCATION_OCTETS = {SHT_RELA: 12, SHT_REL: 8}
SHF_ALLOC, SHF_EXECINSTR = 2, 4
TYPES = {elf.STT_OBJECT: "OBJ", elf.STT_FUNC: "FUN"}
BINDINGS = ("LOC", "GLB", "WK ")
NAME_COLUMNS = 32


class _Failed(Exception):
    """The text for standard error."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section: the fields of its header that are used, and what is in it."""

    kind: int
    flags: int
    address: int
    link: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """One program header."""

    kind: int
    address: int
    file_octets: int
    memory_octets: int
    flags: int


class Object:
    """An ELF file, executable or relocatable."""

    def __init__(self, octets: bytes, name: str) -> None:
        if octets[:4] != elf.MAGIC:
            raise _Failed(f"`{name}' is not an ELF file")
        header = struct.calcsize("<" + elf.HEADER)
        if len(octets) < 16 + header or octets[elf.EI_CLASS] != elf.ELFCLASS32:
            raise _Failed("ELF error: invalid `Elf' handle")
        self.order = ">" if octets[elf.EI_DATA] == elf.ELFDATA2MSB else "<"
        (self.kind, machine, version, self.entry, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, _) = (
            struct.unpack_from(self.order + elf.HEADER, octets, 16)
        )
        if version != 1:
            raise _Failed(f"{name}: unsupported ELF file version")
        if machine != elf.EM_MIPS:
            raise _Failed(f"{name}: invalid machine type (MIPS expected)")
        self.segments = [
            Segment(row[0], row[2], row[4], row[5], row[6])
            for row in self._rows(octets, elf.PROGRAM_HEADER, phoff, phentsize, phnum)
        ]
        self.sections = [
            Section(row[1], row[2], row[3], row[6], b"" if row[1] == SHT_NOBITS else octets[row[4] : row[4] + row[5]])
            for row in self._rows(octets, elf.SECTION_HEADER, shoff, shentsize, shnum)
        ]

    def _rows(self, octets: bytes, layout: str, offset: int, size: int, count: int) -> list[tuple[int, ...]]:
        if not offset or not count:
            return []
        if size < struct.calcsize("<" + layout) or offset + size * count > len(octets):
            raise _Failed(
                "ELF error: invalid section header" if layout == elf.SECTION_HEADER else "ELF error: invalid data"
            )
        return [struct.unpack_from(self.order + layout, octets, offset + size * index) for index in range(count)]

    def symbols(self) -> Iterator[tuple[str, int, int, int, int]]:
        """(name, value, size, type, binding) of the first symbol table."""
        table = next((one for one in self.sections[1:] if one.kind == SHT_SYMTAB), None)
        if table is None:
            return
        names = self.sections[table.link].data if table.link < len(self.sections) else b""
        usable = len(table.data) - len(table.data) % struct.calcsize("<" + elf.SYMBOL)
        for name, value, size, info, _, _ in struct.iter_unpack(self.order + elf.SYMBOL, table.data[:usable]):
            end = names.find(b"\0", name)
            if end < 0:
                raise _Failed("ELF error: a symbol's name does not end")
            yield names[name:end].decode("latin-1"), value, size, info & 15, info >> 4


def run(arguments: Sequence[str], program: str) -> int:
    """Do what the arguments say; answers the exit status."""
    kind, name, with_map = 0, None, False
    for index, argument in enumerate(arguments):
        with_map |= argument == "-m"
        if argument in KINDS:
            kind = KINDS[argument]
            name = arguments[index + 1] if index + 1 < len(arguments) else None
            break
    if name is None:
        sys.stderr.write(f"{program} : Wrong/unknown argument(s)\n{USAGE.format(program)}")
        return 1
    try:
        try:
            octets = Path(name).read_bytes()
        except OSError as error:
            raise _Failed(f"Cannot access {name}: {os.strerror(error.errno or 0)}") from None
        source = Object(octets, name)
        if kind == ROM:
            _make_rom(source, name, program)
        else:
            _make_aout(source, name, core=kind == CORE)
        if kind == CORE or with_map:
            _write(f"{name}.stab.umps", _stab(source), "Cannot create symbol table file")
    except _Failed as failed:
        sys.stderr.write(f"{program}: {failed}\n")
        return 1
    return 0


def _write(name: str, octets: bytes, complaint: str) -> None:
    try:
        Path(name).write_bytes(octets)
    except OSError as error:
        raise _Failed(f"{complaint} `{name}': {os.strerror(error.errno or 0)}") from None


def _pages(octets: int) -> int:
    if octets > LARGEST_OCTETS:
        raise _Failed(f"a segment of {octets} octets; at most {LARGEST_OCTETS} are taken")
    return -(-octets // BLOCK_OCTETS) * BLOCK_OCTETS


def _make_aout(source: Object, name: str, *, core: bool) -> None:
    if source.kind != ET_EXEC:
        raise _Failed("ELF object file is not executable")
    gp = next((value for symbol, value, _, _, _ in source.symbols() if symbol == "_gp"), 0xFFFF_FFFF)
    if gp == 0xFFFF_FFFF:
        raise _Failed("Cannot obtain initial $gp value")
    if not source.segments:
        raise _Failed("ELF error: no program header")
    text, data = _text_and_data(source)
    text_octets = _pages(text.memory_octets)
    if data is None:
        data = Segment(PT_LOAD, text.address + text_octets & 0xFFFF_FFFF, 0, 0, DATA_FLAGS)
    data_octets = _pages(data.memory_octets if core else data.file_octets)
    header = [AOUT, source.entry, text.address, text.memory_octets, 0, text_octets]
    header += [data.address, data.memory_octets, text_octets, data_octets]
    header += [0] * (AOUT_HEADER_WORDS - 1 - len(header)) + [gp]
    image = _image(source, (text, text_octets), (data, data_octets))
    first = AOUT_HEADER_WORDS * WORD_OCTETS
    if any(image[:first]):
        raise _Failed("No space for a.out header")
    image[:first] = struct.pack(f"{source.order}{AOUT_HEADER_WORDS}I", *header)
    padding = struct.pack(source.order + "I", CORE) + bytes(CORE_PADDING_WORDS * WORD_OCTETS) if core else b""
    _write(f"{name}.{'core' if core else 'aout'}.umps", padding + image, "Cannot create a.out file")


def _text_and_data(source: Object) -> tuple[Segment, Segment | None]:
    text = data = None
    for index, segment in enumerate(source.segments):
        if segment.kind != PT_LOAD:
            continue
        if segment.flags == DATA_FLAGS:
            if data is not None:
                raise _Failed(f"Redundant .data program header table entry {index}")
            data = segment
        elif segment.flags == TEXT_FLAGS:
            if text is not None:
                raise _Failed(f"Redundant .text program header table entry {index}")
            if not segment.memory_octets:
                raise _Failed("Empty .text segment")
            text = segment
        else:
            sys.stderr.write(f"Warning: unknown program header table entry {index}\n")
    if text is None:
        raise _Failed("Missing .text program header")
    return text, data


def _image(source: Object, text: tuple[Segment, int], data: tuple[Segment, int]) -> bytearray:
    """Both segments, filled from the sections."""
    image = bytearray(text[1] + data[1])
    for section in source.sections[1:]:
        if section.kind != SHT_PROGBITS or not section.flags & SHF_ALLOC or not section.data:
            continue
        in_data = section.address >= data[0].address
        segment, octets = data if in_data else text
        at = section.address - segment.address
        if at < 0 or at + len(section.data) > octets:
            raise _Failed(f"a section of {len(section.data)} octets at {section.address:#010x} is not in its segment")
        at += text[1] if in_data else 0
        image[at : at + len(section.data)] = section.data
    return image


def _stab(source: Object) -> bytes:
    lines = []
    functions = objects = 0
    for name, value, size, kind, binding in source.symbols():
        if kind not in TYPES or not name or (name[0] == "_" and name != "__start"):
            continue
        functions += kind == elf.STT_FUNC
        objects += kind == elf.STT_OBJECT
        bound = BINDINGS[binding] if binding < len(BINDINGS) else BINDINGS[0]
        lines.append(f"{name[:NAME_COLUMNS]:<{NAME_COLUMNS}} :{TYPES[kind]}:0x{value:08X}:0x{size:08X}:{bound}\n")
    text = f"{functions:08X} {objects:08X}\n{''.join(lines)}"
    return struct.pack(source.order + "I", STAB) + text.encode("latin-1")


def _make_rom(source: Object, name: str, program: str) -> None:
    if source.kind != ET_REL:
        raise _Failed(f"`{name}' is not a relocatable ELF object file")
    wanted = SHF_ALLOC | SHF_EXECINSTR
    code = next((one for one in source.sections[1:] if one.kind == SHT_PROGBITS and one.flags & wanted == wanted), None)
    if code is None:
        raise _Failed("Could not find .text section")
    rom = struct.pack(source.order + "2I", ROM, len(code.data) // WORD_OCTETS) + code.data
    _write(f"{name}.rom.umps", rom, "Cannot create BIOS file")
    relocations = sum(
        len(one.data) // RELOCATION_OCTETS[one.kind] for one in source.sections[1:] if one.kind in RELOCATION_OCTETS
    )
    if relocations:
        sys.stderr.write(f"{program}: Warning: BIOS code may contain {relocations} unresolved relocations\n")
