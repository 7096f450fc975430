"""How a PC comes up with a multiboot kernel (teaching kernels, GRUB's own cores, Xen).

Specification: Multiboot Specification 0.6.96, chapter 3.

The kernel has a header in its first 8192 octets, and is an ELF file, or says in the header where its octets go (the
"a.out kludge"). It is entered in flat 32-bit protected mode with EAX = 0x2BADB002 and EBX at the information structure:
memory, command line, modules, memory map, the loader's name. Addresses are physical.

Not supported: video modes (flag 2 of the header is refused if the kernel insists), symbol tables and drives in the
information, the APM table.

| threat | stopped by |
|---|---|
| addresses beyond memory, or over the information structure | `ConfigError` with the value |
| segments of 4 GiB of zeros | written only where there is memory, in pieces |
"""

import struct
from collections.abc import Sequence
from typing import Final, Protocol

from emulators.loaders.bzimage import E820_RAM, GDT, STACK_AT, Booted
from emulators.loaders.elf import EM_386, Elf, Segment, Symbols, place, read_elf
from vde.errors import ConfigError

# §3.1.1
MAGIC: Final = 0x1BADB002
SEARCHED_OCTETS: Final = 8192
HEADER: Final = struct.Struct("<9I")
"""magic, flags, checksum, header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr, mode_type."""
PAGE_ALIGN, MEMORY_INFO, VIDEO, KLUDGE = 1 << 0, 1 << 1, 1 << 2, 1 << 16
MUST: Final = 0xFFFF
"""Flags 0–15: a loader that does not know one must fail."""

# §3.2, §3.3
BOOT_MAGIC: Final = 0x2BADB002
INFO: Final = struct.Struct("<7I4I4I2I")
"""flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr; syms 4; mmap_length, mmap_addr,
drives_length, drives_addr; config_table, boot_loader_name."""
HAS_MEMORY, HAS_COMMAND_LINE, HAS_MODULES, HAS_MAP, HAS_NAME = 1 << 0, 1 << 2, 1 << 3, 1 << 6, 1 << 9
MODULE: Final = struct.Struct("<4I")
MAP_ENTRY: Final = struct.Struct("<IQQI")
"""octets of the rest 4, address 8, octets 8, type 4."""
INFO_AT, INFO_END = 0x90000, 0x9F000
GDT_AT: Final = INFO_END
TABLES_END: Final = GDT_AT + len(GDT)
LOADER_NAME: Final = b"vde-fabric"
PAGE: Final = 0x1000
MOST_MODULES: Final = 256


class Memory(Protocol):
    """The part of a `Vm` that is needed here."""

    def write(self, gpa: int, data: bytes, /) -> None:
        """Raises ValueError outside memory."""
        ...


def find_header(octets: bytes) -> tuple[int, tuple[int, ...]] | None:
    """Where the header is, and its fields; None: the file has none."""
    for at in range(0, min(len(octets), SEARCHED_OCTETS) - 11, 4):
        magic, flags, checksum = struct.unpack_from("<3I", octets, at)
        if magic == MAGIC and magic + flags + checksum & 0xFFFFFFFF == 0:
            fields = octets[at : at + HEADER.size].ljust(HEADER.size, b"\0")
            return at, HEADER.unpack(fields)
    return None


def boot(
    vm: Memory,
    *,
    memory_octets: int,
    kernel: bytes,
    kernel_name: str,
    memory_map: Sequence[tuple[int, int, int]],
    modules: Sequence[tuple[str, bytes, str]] = (),
    command_line: str = "",
) -> Booted:
    """Put kernel, modules and information into memory.

    Args:
        modules: name, octets, and the string that the kernel gets with it.

    Raises:
        ConfigError: it is not such a kernel, or something does not fit.
    """
    found = find_header(kernel)
    if found is None:
        raise ConfigError(f"{kernel_name}: no multiboot header in its first {SEARCHED_OCTETS} octets")
    at, header = found
    flags = header[1]
    if unknown := flags & MUST & ~(PAGE_ALIGN | MEMORY_INFO):
        what = "a video mode" if unknown == VIDEO else f"what is not known here (flags {unknown:#x})"
        raise ConfigError(f"{kernel_name}: its multiboot header insists on {what}")
    elf = _kludge(kernel, kernel_name, at, header) if flags & KLUDGE else _physical(kernel, kernel_name)
    first = min((segment.address for segment in elf.segments), default=0)
    end = place(elf, kernel_name, vm, lambda address: address)
    for segment in elf.segments:
        if segment.address < TABLES_END and segment.address + segment.memory_octets > INFO_AT:
            raise ConfigError(
                f"{kernel_name}: {segment.memory_octets} octets at {segment.address:#x} are where this loader has its "
                f"own tables ({INFO_AT:#x}…{TABLES_END:#x})"
            )
    table = []
    if len(modules) > MOST_MODULES:
        raise ConfigError(f"{kernel_name}: {len(modules)} modules; at most {MOST_MODULES} are possible")
    top = max(end, 1 << 20)
    for name, octets, text in modules:
        start = top + PAGE - 1 & ~(PAGE - 1)
        top = start + len(octets)
        try:
            vm.write(start, octets)
        except (ValueError, OverflowError):
            raise ConfigError(
                f"{name}: {len(octets)} octets do not fit into the machine's memory at {start:#x}: give it more"
            ) from None
        table.append((start, top, text))
    vm.write(INFO_AT, information(memory_octets, memory_map, table, command_line))
    vm.write(GDT_AT, GDT)
    stack = STACK_AT if first >= STACK_AT else INFO_AT
    return Booted(
        elf.entry,
        {"eax": BOOT_MAGIC, "ebx": INFO_AT, "esp": stack},
        (GDT_AT, len(GDT) - 1),
        symbols=elf.symbols,
    )


def information(
    memory_octets: int,
    memory_map: Sequence[tuple[int, int, int]],
    modules: Sequence[tuple[int, int, str]],
    command_line: str,
) -> bytes:
    """The structure of §3.3 for `INFO_AT`, with what it points to behind it. Raises ConfigError: too long."""
    behind = bytearray()

    def add(octets: bytes) -> int:
        behind.extend(bytes(-len(behind) % 4))
        at = INFO_AT + INFO.size + len(behind)
        behind.extend(octets)
        return at

    line = add(command_line.encode("utf-8") + b"\0")
    strings = [add(text.encode("utf-8") + b"\0") for _, _, text in modules]
    table = add(b"".join(MODULE.pack(start, end, at, 0) for (start, end, _), at in zip(modules, strings, strict=True)))
    areas = b"".join(MAP_ENTRY.pack(MAP_ENTRY.size - 4, *area) for area in memory_map)
    places = add(areas)
    name = add(LOADER_NAME + b"\0")
    if INFO_AT + INFO.size + len(behind) > INFO_END:
        raise ConfigError(f"kernel parameters and modules' names: more than {INFO_END - INFO_AT} octets")
    lower = next((octets for at, octets, kind in memory_map if at == 0 and kind == E820_RAM), 0)
    upper = next((octets for at, octets, kind in memory_map if at == 1 << 20 and kind == E820_RAM), 0)
    flags = HAS_MEMORY | HAS_COMMAND_LINE | HAS_MAP | HAS_NAME | (HAS_MODULES if modules else 0)
    return (
        INFO.pack(
            *(flags, lower >> 10, upper >> 10, 0, line, len(modules), table if modules else 0),
            *(0, 0, 0, 0),
            *(len(areas), places, 0, 0),
            *(0, name),
        )
        + behind
    )


def _kludge(kernel: bytes, name: str, at: int, header: tuple[int, ...]) -> Elf:
    """§3.1.3: the header says what goes where."""
    _, _, _, header_addr, load_addr, load_end, bss_end, entry, _ = header
    offset = at - (header_addr - load_addr)
    octets = (load_end or load_addr + len(kernel) - offset) - load_addr
    if offset < 0 or octets < 0 or offset + octets > len(kernel):
        raise ConfigError(
            f"{name}: its multiboot header wants {octets} octets from {offset} on of a file of {len(kernel)}"
        )
    memory = max(octets, (bss_end or load_addr + octets) - load_addr)
    return Elf(entry, (Segment(load_addr, load_addr, kernel[offset : offset + octets], memory),), Symbols())


def _physical(kernel: bytes, name: str) -> Elf:
    elf = read_elf(kernel, name, machine=EM_386, big_endian=False)
    segments = tuple(Segment(one.physical, one.physical, one.data, one.memory_octets) for one in elf.segments)
    entry = elf.entry
    for one in elf.segments:  # linked high, loaded low: paging is off, so the entry is where it was loaded
        if one.address <= entry < one.address + one.memory_octets:
            entry += one.physical - one.address
            break
    return Elf(entry & 0xFFFFFFFF, segments, elf.symbols)
