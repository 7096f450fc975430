"""A Macintosh's ROM that copies a program to 0x100000 and goes there: QEMU and our board start the same one.

At the reset's address (0xFFF00100) is a loop of fourteen instructions, one page behind the ROM's start the program.
"""

import struct
import subprocess
from pathlib import Path

from tests.emulators.loaders.elf_file import elf

ROM, ROM_OCTETS, RESET, PROGRAM_AT = 0xFFF00000, 1 << 20, 0x100, 0x1000
EM_PPC = 20
ROOM_OCTETS = 0x8000
"""Behind the program, also cleared: its variables."""


def mac_rom(program: Path) -> bytes:
    """The ROM as an ELF file. The program is an ELF file linked to 0x100000, entered at its start."""
    flat = program.with_suffix(".bin")
    subprocess.run(["powerpc-linux-gnu-objcopy", "-O", "binary", program, flat], check=True)
    octets = flat.read_bytes()
    words = (len(octets) + ROOM_OCTETS) // 4
    copy = (
        *(0x3C60FFF0, 0x60631000),  # lis r3, 0xFFF0; ori r3, r3, 0x1000
        0x3C800010,  # lis r4, 0x10
        *(0x3CA00000 | words >> 16, 0x60A50000 | words & 0xFFFF, 0x7CA903A6),  # ctr = words
        *(0x80C30000, 0x90C40000, 0x38630004, 0x38840004, 0x4200FFF0),  # lwz, stw, addi, addi, bdnz
        *(0x3C800010, 0x7C8903A6, 0x4E800420),  # ctr = 0x100000; bctr
    )
    rom = (bytes(RESET) + struct.pack(f">{len(copy)}I", *copy)).ljust(PROGRAM_AT, b"\0") + octets
    return elf([(ROM, rom.ljust(ROM_OCTETS, b"\0"), ROM_OCTETS)], ROM + RESET, machine=EM_PPC, order=">")
