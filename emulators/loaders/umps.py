"""uMPS3's files: ROMs, core files, a.out files, symbol tables, disks and flash drives.

Specification: uMPS3 Principles of Operation, "File formats"; measured from uMPS3 3.0.5. Everything is little-endian.

    ROM     0x0253504D, number of words, words
    core    0x0353504D, 1024 zero words, text and data; all but the first word is loaded at the start of RAM
    a.out   0x0453504D begins a header of 43 words, which the text contains: see `AoutHeader`
    stab    0x4153504D, then text: `FFFFFFFF OOOOOOOO` (numbers of functions and objects, hexadecimal), and lines of
            `name :FUN|OBJ:0xaddress:0xsize:LOC|GLB|WK `
    disk    0x0053504D, cylinders, heads, sectors, µs of a turn, µs of a step, % of data, blocks of 4096 octets
    flash   0x0153504D, blocks, µs of a write, blocks of 4096 octets

Limits: `LARGEST_ROM_WORDS`, `MOST_SYMBOLS`.

Not supported: big-endian files (those of uMPS3 on a big-endian host).

Threats: counts beyond the file's end, geometries that the file does not hold, symbol tables with names without end: all
refused, with the value and what was expected.
"""

import re
import struct
from bisect import bisect_right
from dataclasses import dataclass

from emulators.devices.umps import disk, flash
from emulators.devices.umps.blocks import BLOCK_OCTETS
from vde.errors import ConfigError

DISK, FLASH, ROM, CORE, AOUT, STAB = 0x0053504D, 0x0153504D, 0x0253504D, 0x0353504D, 0x0453504D, 0x4153504D
NAMES = {DISK: "disk", FLASH: "flash drive", ROM: "ROM", CORE: "core", AOUT: "a.out", STAB: "symbol table"}

WORD_OCTETS = 4
LARGEST_ROM_WORDS = 0xFFFF000 // WORD_OCTETS
"""What lies between the execution ROM's base and the BIOS data page."""
MOST_SYMBOLS = 1 << 16
"""Chosen: as many as RAM of the largest machine has pages' words would be 2²⁰; no kernel of a course has 10 000."""
LARGEST_STAB_OCTETS = 16 << 20

DISK_HEADER = "<7I"
FLASH_HEADER = "<3I"
AOUT_HEADER_WORDS = 43
CORE_PADDING_WORDS = 1024


@dataclass(frozen=True, slots=True)
class AoutHeader:
    """The first words of an a.out's text: where its parts are to be, and where they are in the file."""

    entry: int
    text_address: int
    text_memory_octets: int
    text_offset: int
    text_file_octets: int
    data_address: int
    data_memory_octets: int
    data_offset: int
    data_file_octets: int
    gp: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function or an object. `octets`: at least 4, as the original takes it."""

    name: str
    function: bool
    address: int
    octets: int


class SymbolTable:
    """The names of a kernel."""

    def __init__(self, symbols: tuple[Symbol, ...] = ()) -> None:
        self.symbols = symbols
        self._by_name: dict[str, Symbol] = {}
        for symbol in symbols:
            self._by_name.setdefault(symbol.name, symbol)
        self._functions = sorted((one for one in symbols if one.function), key=lambda one: one.address)
        self._objects = sorted((one for one in symbols if not one.function), key=lambda one: one.address)

    def __len__(self) -> int:
        return len(self.symbols)

    def find(self, address: int) -> str | None:
        """`name+offset` of the function, or else the object, that `address` lies in."""
        for ordered in (self._functions, self._objects):
            at = bisect_right(ordered, address, key=lambda one: one.address) - 1
            if at >= 0 and address < ordered[at].address + ordered[at].octets:
                offset = address - ordered[at].address
                return f"{ordered[at].name}+{offset:#x}" if offset else ordered[at].name
        return None

    def address(self, name: str) -> int | None:
        """Where `name` is."""
        symbol = self._by_name.get(name)
        return None if symbol is None else symbol.address

    def extent(self, name: str) -> tuple[int, int] | None:
        """Where `name` is, and how many octets it has."""
        symbol = self._by_name.get(name)
        return None if symbol is None else (symbol.address, symbol.octets)


def _check_magic(octets: bytes, magic: int, name: str) -> None:
    if len(octets) < WORD_OCTETS:
        raise ConfigError(f"{name}: {len(octets)} octets: a uMPS3 {NAMES[magic]} file was expected")
    found = int.from_bytes(octets[:WORD_OCTETS], "little")
    if found == int.from_bytes(magic.to_bytes(WORD_OCTETS, "little"), "big"):
        raise ConfigError(f"{name}: a big-endian {NAMES[magic]} file; a little-endian one was expected")
    if found != magic:
        what = f"a uMPS3 {NAMES[found]} file" if found in NAMES else f"no uMPS3 file (it begins with {found:#010x})"
        raise ConfigError(f"{name}: {what}; a {NAMES[magic]} file ({magic:#010x}) was expected")


def read_rom(octets: bytes, name: str) -> bytes:
    """The contents of a ROM.

    Args:
        octets: the file.
        name: the file's name, for messages.

    Raises:
        ConfigError: it is no ROM, or damaged.
    """
    _check_magic(octets, ROM, name)
    if len(octets) < 2 * WORD_OCTETS:
        raise ConfigError(f"{name}: a ROM that ends before its size")
    words = int.from_bytes(octets[4:8], "little")
    if not 0 < words <= LARGEST_ROM_WORDS:
        raise ConfigError(f"{name}: a ROM of {words} words; 1 to {LARGEST_ROM_WORDS} were expected")
    contents = octets[8 : 8 + words * WORD_OCTETS]
    if len(contents) < words * WORD_OCTETS:
        raise ConfigError(f"{name}: a ROM of {words} words, of which the file has {len(contents) // WORD_OCTETS}")
    return contents


def make_rom(contents: bytes) -> bytes:
    """The file of a ROM. `contents` are whole words."""
    return struct.pack("<2I", ROM, len(contents) // WORD_OCTETS) + contents


def read_core(octets: bytes, name: str, ram_octets: int) -> bytes:
    """What is to be loaded at the start of RAM.

    Raises:
        ConfigError: it is no core file, or RAM is too small.
    """
    _check_magic(octets, CORE, name)
    contents = octets[WORD_OCTETS:]
    if len(contents) > ram_octets:
        frames = -(-len(contents) // BLOCK_OCTETS)
        raise ConfigError(
            f"{name}: {len(contents)} octets: {frames} frames of RAM were expected, not {ram_octets >> 12}"
        )
    return contents


def read_aout_header(octets: bytes, name: str) -> AoutHeader:
    """The header of an a.out file, or of a core file's text (`octets` begins there).

    Raises:
        ConfigError: it is none.
    """
    _check_magic(octets, AOUT, name)
    if len(octets) < AOUT_HEADER_WORDS * WORD_OCTETS:
        raise ConfigError(f"{name}: an a.out file that ends in its header")
    words = struct.unpack_from(f"<{AOUT_HEADER_WORDS}I", octets)
    return AoutHeader(*words[1:10], *words[42:])


_COUNTS = re.compile(rb"([0-9A-Fa-f]{1,8}) +([0-9A-Fa-f]{1,8})\s")
_SYMBOL = re.compile(rb"(\S{1,64})\s+:(FUN|OBJ):0x([0-9A-Fa-f]{1,8}):0x([0-9A-Fa-f]{1,8})(?::\S*)?\s*")


def read_symbols(octets: bytes, name: str) -> SymbolTable:
    """A symbol table.

    Raises:
        ConfigError: it is none, or damaged.
    """
    _check_magic(octets, STAB, name)
    if len(octets) > LARGEST_STAB_OCTETS:
        raise ConfigError(f"{name}: {len(octets)} octets; at most {LARGEST_STAB_OCTETS} are taken")
    counts = _COUNTS.match(octets, WORD_OCTETS)
    if counts is None:
        raise ConfigError(f"{name}: a symbol table without numbers of functions and objects")
    wanted = int(counts[1], 16) + int(counts[2], 16)
    if wanted > MOST_SYMBOLS:
        raise ConfigError(f"{name}: {wanted} symbols; at most {MOST_SYMBOLS} are taken")
    symbols = []
    at = counts.end()
    for number in range(wanted):
        match = _SYMBOL.match(octets, at)
        if match is None:
            line = octets[at : at + 60].partition(b"\n")[0].decode("utf-8", "replace")
            raise ConfigError(f"{name}: symbol {number + 1} of {wanted}: {line!r}: name :FUN:0x…:0x…: was expected")
        text = match[1].decode("utf-8", "replace")
        symbols.append(Symbol(text, match[2] == b"FUN", int(match[3], 16), max(WORD_OCTETS, int(match[4], 16))))
        at = match.end()
    return SymbolTable(tuple(symbols))


# Bounds of disks and flash drives: those of umps3-mkdev(1).
_DISK_BOUNDS = (
    ("cylinders", 1, 0xFFFF),
    ("heads", 1, 0xFF),
    ("sectors", 1, 0xFF),
    ("microseconds of a turn", 5_555, 166_667),
    ("microseconds of a step", 1, 10_000),
    ("percent of data", 10, 90),
)
_FLASH_BOUNDS = (("blocks", 1, 0xFFFFFF), ("microseconds of a write", 1, 100_000))


def read_disk_geometry(header: bytes, size_octets: int, name: str) -> disk.Geometry:
    """The geometry of a disk.

    Args:
        header: the first octets of the file.
        size_octets: the file's size.

    Raises:
        ConfigError: it is no disk, its parameters are not possible, or the file does not hold what they say.
    """
    values = _parameters(header, DISK, DISK_HEADER, _DISK_BOUNDS, name)
    cylinders, heads, sectors, rotation_us, seek_us, data_pct = values
    first = struct.calcsize(DISK_HEADER)
    _check_size(cylinders * heads * sectors, first, size_octets, name)
    return disk.Geometry(cylinders, heads, sectors, rotation_us, seek_us, data_pct, first)


def read_flash_geometry(header: bytes, size_octets: int, name: str) -> flash.Geometry:
    """The geometry of a flash drive. As `read_disk_geometry`."""
    blocks, write_us = _parameters(header, FLASH, FLASH_HEADER, _FLASH_BOUNDS, name)
    first = struct.calcsize(FLASH_HEADER)
    _check_size(blocks, first, size_octets, name)
    return flash.Geometry(blocks, write_us, first)


def _parameters(
    header: bytes, magic: int, layout: str, bounds: tuple[tuple[str, int, int], ...], name: str
) -> tuple[int, ...]:
    _check_magic(header, magic, name)
    if len(header) < struct.calcsize(layout):
        raise ConfigError(f"{name}: a {NAMES[magic]} file that ends in its header")
    _, *values = struct.unpack_from(layout, header)
    for value, (what, least, most) in zip(values, bounds, strict=True):
        if not least <= value <= most:
            raise ConfigError(f"{name}: {value} {what}: {least} to {most} was expected")
    return tuple(values)


def _check_size(blocks: int, first: int, size_octets: int, name: str) -> None:
    wanted = first + blocks * BLOCK_OCTETS
    if size_octets < wanted:
        raise ConfigError(f"{name}: {size_octets} octets, but its header says {blocks} blocks: {wanted} were expected")
