"""A disk that any PC's BIOS boots: pieces are put into memory, and 32-bit code is entered. See `boot_disk.S`.

With it Bochs, QEMU and our PC start the same program or the same kernel from the same octets, each with its own BIOS.
The disk has CYLINDER_SECTORS for a cylinder, as Bochs likes.
"""

import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from emulators.loaders import bzimage
from emulators.loaders.elf import EM_386, place, read_elf

SOURCE: Final = Path(__file__).with_suffix(".S")
SECTOR: Final = 512
CYLINDER_SECTORS: Final = 16 * 63
PIECE: Final = struct.Struct("<III")
"""first sector, sectors, address."""
MOST_PIECES: Final = (SECTOR - 8) // PIECE.size - 1
LOW_MEMORY: Final = (0, 0x9FC00, bzimage.E820_RAM)
BIOS_AREA: Final = (0xF0000, 0x10000, bzimage.E820_RESERVED)
BIOS_TOP_OCTETS: Final = 1 << 20
"""Chosen: at the end of memory the BIOSes keep tables of some 100 KiB."""


@dataclass
class Pieces:
    """A memory that keeps what is written to it, for loaders to write to."""

    written: list[tuple[int, bytes]] = field(default_factory=list)

    def write(self, gpa: int, data: bytes, /) -> None:
        self.written.append((gpa, bytes(data)))


def boot_sector(directory: Path) -> bytes:
    """Assembled."""
    compiled, linked = directory / "boot_disk.o", directory / "boot_disk.bin"
    subprocess.run(["gcc", "-m32", "-c", "-o", compiled, SOURCE], check=True)
    options = ("-m", "elf_i386", "-Ttext=0x7c00", "--oformat", "binary", "-e", "start")
    subprocess.run(["ld", *options, "-o", linked, compiled], check=True)
    return linked.read_bytes()


def disk(sector: bytes, pieces: Pieces, entry: int, esi: int = 0) -> bytes:
    """The whole disk."""
    assert len(sector) == SECTOR
    assert len(pieces.written) <= MOST_PIECES
    table, contents, at = struct.pack("<II", entry, esi), b"", 2
    for address, data in pieces.written:
        sectors = -(-len(data) // SECTOR)
        table += PIECE.pack(at, sectors, address)
        contents += data.ljust(sectors * SECTOR, b"\0")
        at += sectors
    octets = sector + table.ljust(SECTOR, b"\0") + contents
    cylinder = CYLINDER_SECTORS * SECTOR
    return octets.ljust(-(-len(octets) // cylinder) * cylinder, b"\0")


def program_disk(sector: bytes, program: Path) -> bytes:
    """Of a bare program (ELF)."""
    pieces = Pieces()
    elf = read_elf(program.read_bytes(), program.name, machine=EM_386, big_endian=False)
    place(elf, program.name, pieces, lambda address: address)
    return disk(sector, pieces, elf.entry)


def linux_disk(
    sector: bytes, kernel: Path, initrd: Path, words: str, memory_octets: int, *, decompress: bool = True
) -> bytes:
    """Of Linux, unpacked already or as it is, with the 32-bit boot protocol."""
    pieces = Pieces()
    usable = memory_octets - BIOS_TOP_OCTETS
    booted = bzimage.boot(
        pieces,
        memory_octets=usable,
        kernel=kernel.read_bytes(),
        kernel_name=kernel.name,
        memory_map=[LOW_MEMORY, BIOS_AREA, (bzimage.HIGH, usable - bzimage.HIGH, bzimage.E820_RAM)],
        initrd=initrd.read_bytes(),
        command_line=words,
        decompress=decompress,
        text_screen=True,
    )
    return disk(sector, pieces, booted.entry, booted.registers["esi"])
