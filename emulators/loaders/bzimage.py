"""How a PC comes up with a Linux kernel without firmware: the 32-bit boot protocol.

Specification: Linux Documentation/x86/boot.rst (protocol 2.15), "32-bit Boot Protocol", and zero-page.rst.

A `bzImage` or `zImage` is a boot sector, a setup program for real mode, of which only the header counts here, and a
protected-mode part, which unpacks itself. The kernel is entered with a zero page (`boot_params`: header, memory map,
addresses of command line and initrd), flat segments 0x10 and 0x18, interrupts and paging off, ESI at the zero page.

Unpacking takes the guest 2 400 000 000 instructions and this program less than a second. The header says where in the
protected-mode part the packed kernel is; it is an ELF file, which is placed and entered at its own address, with the
same registers. Whatever of this does not fit: the file is loaded as it is, and a note says why.

| threat | stopped by |
|---|---|
| a payload that unpacks to more than memory | unpacked up to the limit, then refused |
| lengths and offsets beyond the file | `ConfigError` with the value |
"""

import bz2
import lzma
import struct
import zlib
from dataclasses import dataclass
from typing import Final, Protocol

import zstandard

from emulators.loaders.elf import EM_386, Elf, Symbols, place, read_elf
from vde.errors import ConfigError

SECTOR: Final = 512
# The header, boot.rst "The Real-Mode Kernel Header"
SETUP_SECTS, BOOT_FLAG, JUMP, MAGIC, VERSION = 0x1F1, 0x1FE, 0x200, 0x202, 0x206
TYPE_OF_LOADER, LOADFLAGS, CODE32_START, RAMDISK_IMAGE, RAMDISK_SIZE = 0x210, 0x211, 0x214, 0x218, 0x21C
CMD_LINE_PTR, INITRD_ADDR_MAX, CMDLINE_SIZE, KERNEL_VERSION = 0x228, 0x22C, 0x238, 0x20E
PAYLOAD_OFFSET, PAYLOAD_LENGTH, SETUP_DATA, INIT_SIZE = 0x248, 0x24C, 0x250, 0x260
HEADER_END: Final = 0x290
LOADED_HIGH: Final = 1
LOADER_UNDEFINED: Final = 0xFF
OLDEST: Final = 0x0203
"""The first protocol that says where an initrd may be."""
WITH_PAYLOAD: Final = 0x0208
OLDEST_COMMAND_LINE_OCTETS: Final = 255
RELEASE_OCTETS: Final = 65
"""Linux include/uapi/linux/utsname.h: __NEW_UTS_LEN and a zero."""
OLDEST_INITRD_MAX: Final = 0x37FFFFFF

# The zero page, zero-page.rst
SCREEN_INFO, EXT_MEM_K, ACPI_RSDP, ALT_MEM_K, E820_ENTRIES, E820_TABLE = 0x000, 0x002, 0x070, 0x1E0, 0x1E8, 0x2D0
E820_MOST: Final = 128
E820_ENTRY: Final = struct.Struct("<QQI")
"""address 8, octets 8, type 4."""
E820_RAM, E820_RESERVED, E820_ACPI = 1, 2, 3
SETUP_RNG_SEED: Final = 9
SETUP_DATA_HEADER: Final = struct.Struct("<QII")
"""next 8, type 4, octets 4."""
TEXT_MODE: Final = struct.Struct("<BBHHBBHHHBBH")
"""x, y, ext_mem_k, page, mode, columns, flags 2, ega_bx 2, unused 2, lines, isVGA, points."""

# Chosen: below 640 KiB, where nothing else is
GDT_AT, ZERO_PAGE_AT, SEED_AT, COMMAND_LINE_AT, STACK_AT = 0x8000, 0x90000, 0x91000, 0x92000, 0x8000
COMMAND_LINE_END: Final = 0x9F000
HIGH: Final = 0x100000
LOW_CODE: Final = 0x10000
LOW_CODE_END: Final = 0x90000
INITRD_ALIGNMENT: Final = 0x1000

CODE, DATA = 0x10, 0x18
GDT: Final = struct.pack("<4Q", 0, 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF)
"""boot.rst: __BOOT_CS and __BOOT_DS, flat 4 GiB."""

FORMATS: Final = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x5d\x00\x00": "lzma",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x89LZO": "lzo",
}
"""Linux scripts/Makefile.lib: what `KERNEL_…` packs with."""
UNPACKER_MEMORY_OCTETS: Final = 256 << 20


class Memory(Protocol):
    """The part of a `Vm` that is needed here."""

    def write(self, gpa: int, data: bytes, /) -> None:
        """Raises ValueError outside memory."""
        ...


@dataclass(frozen=True)
class Booted:
    """What is in memory now, and how to enter it.

    Attributes:
        registers: general registers by name; the others are 0.
        gdt: where a table with flat segments at selectors `code` and `data` is, and its limit.
        notes: what the user may want to know.
    """

    entry: int
    registers: dict[str, int]
    gdt: tuple[int, int]
    code: int = CODE
    data: int = DATA
    symbols: Symbols = Symbols()  # noqa: RUF009 - it is never changed
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """What a kernel's file says."""

    version: int
    setup_octets: int
    load_high: bool
    initrd_max: int
    command_line_octets: int
    payload: tuple[int, int]
    init_octets: int
    release: str
    """What `uname -r` will say; "": the file does not tell."""
    fields: bytes
    """The header itself, from `SETUP_SECTS` on."""


def is_bzimage(octets: bytes) -> bool:
    """Does it begin as a Linux kernel for PCs does?"""
    return octets[MAGIC : MAGIC + 4] == b"HdrS" and octets[BOOT_FLAG : BOOT_FLAG + 2] == b"\x55\xaa"


def read_header(octets: bytes, name: str) -> Header:
    """Take the beginning of the file apart.

    Raises:
        ConfigError: it is no kernel, a very old one, or cut off.
    """
    if not is_bzimage(octets):
        raise ConfigError(f"{name}: not a Linux kernel for PCs (bzImage): no 'HdrS' at 0x202")
    if len(octets) < 0x268:
        raise ConfigError(f"{name}: a kernel that ends in its header ({len(octets)} octets)")

    def field(at: int, size: int) -> int:
        return int.from_bytes(octets[at : at + size], "little")

    version = field(VERSION, 2)
    if version < OLDEST:
        raise ConfigError(f"{name}: boot protocol {version >> 8}.{version & 0xFF:02}; at least 2.03 is needed")
    setup_octets = ((field(SETUP_SECTS, 1) or 4) + 1) * SECTOR
    end = min(JUMP + 2 + octets[JUMP + 1], HEADER_END)
    if len(octets) <= setup_octets:
        raise ConfigError(f"{name}: a kernel that is cut off: {len(octets)} octets, of which {setup_octets} are setup")
    payload = (0, 0)
    if version >= WITH_PAYLOAD:
        payload = (setup_octets + field(PAYLOAD_OFFSET, 4), field(PAYLOAD_LENGTH, 4))
        if sum(payload) > len(octets):
            raise ConfigError(
                f"{name}: a kernel that is cut off: {len(octets)} octets; its packed part ends at {sum(payload)}"
            )
    return Header(
        version=version,
        setup_octets=setup_octets,
        load_high=bool(octets[LOADFLAGS] & LOADED_HIGH),
        initrd_max=field(INITRD_ADDR_MAX, 4) or OLDEST_INITRD_MAX,
        command_line_octets=field(CMDLINE_SIZE, 4) if version >= 0x0206 else OLDEST_COMMAND_LINE_OCTETS,
        payload=payload,
        init_octets=field(INIT_SIZE, 4) if version >= 0x020A else 0,
        release=_release(octets, field(KERNEL_VERSION, 2)),
        fields=octets[SETUP_SECTS:end],
    )


def _release(octets: bytes, at: int) -> str:
    """The first word of the text that `kernel_version` points to, less 0x200."""
    text = octets[SECTOR + at :][:RELEASE_OCTETS].partition(b"\0")[0] if at else b""
    return text.decode("ascii", "replace").partition(" ")[0]


def boot(
    vm: Memory,
    *,
    memory_octets: int,
    kernel: bytes,
    kernel_name: str,
    memory_map: list[tuple[int, int, int]],
    initrd: bytes | None = None,
    initrd_name: str = "initrd",
    command_line: str = "",
    decompress: bool = True,
    seed: bytes = b"",
    rsdp: int = 0,
    text_screen: bool = False,
    screen_info: bytes = b"",
) -> Booted:
    """Put kernel, initrd, command line and zero page into memory.

    Args:
        vm: where memory is.
        memory_octets: where it ends.
        kernel: the file.
        memory_map: address, octets, type.
        decompress: unpack the kernel here instead of letting it do so.
        seed: random octets for the kernel; none: it gets none.
        rsdp: where the ACPI tables' pointer is, or 0.
        text_screen: there is a VGA in its 80 × 25 text mode.
        screen_info: what the kernel is told of another screen (`struct screen_info`).

    Raises:
        ConfigError: it is not such a kernel, or something does not fit.
    """
    header = read_header(kernel, kernel_name)
    notes = []
    elf: Elf | str = "it is not unpacked"
    if decompress:
        elf = unpack(header, kernel, kernel_name, memory_octets)
        if isinstance(elf, str):
            notes.append(f"{kernel_name}: {elf}: it is started as it is")
    if isinstance(elf, Elf):
        end = place(elf, kernel_name, vm, lambda address: address)
        entry, symbols = elf.entry, elf.symbols
    else:
        entry, end = _place(vm, header, kernel, kernel_name, memory_octets)
        symbols = Symbols()
    page = bytearray(0x1000)
    page[SETUP_SECTS : SETUP_SECTS + len(header.fields)] = header.fields
    page[TYPE_OF_LOADER] = LOADER_UNDEFINED

    def put(at: int, value: int, size: int = 4) -> None:
        page[at : at + size] = value.to_bytes(size, "little")

    put(CODE32_START, entry)
    line = _command_line(command_line, header)
    vm.write(COMMAND_LINE_AT, line + b"\0")
    put(CMD_LINE_PTR, COMMAND_LINE_AT)
    extended_k = min((memory_octets - HIGH) >> 10, 0xFFFFFFFF)
    put(ALT_MEM_K, extended_k)
    if text_screen:
        page[SCREEN_INFO : SCREEN_INFO + TEXT_MODE.size] = TEXT_MODE.pack(0, 0, 0, 0, 3, 80, 0, 0, 0, 25, 1, 16)
    page[SCREEN_INFO : SCREEN_INFO + len(screen_info)] = screen_info
    put(EXT_MEM_K, min(extended_k, 0xFFFF), 2)
    put(ACPI_RSDP, rsdp, 8)
    page[E820_ENTRIES] = len(memory_map)
    for index, entry_ in enumerate(memory_map[:E820_MOST]):
        E820_ENTRY.pack_into(page, E820_TABLE + index * E820_ENTRY.size, *entry_)
    if initrd:
        start = _initrd(header, len(initrd), initrd_name, memory_octets, max(end, HIGH))
        vm.write(start, initrd)
        put(RAMDISK_IMAGE, start)
        put(RAMDISK_SIZE, len(initrd))
    if seed and header.version >= 0x0209:
        vm.write(SEED_AT, SETUP_DATA_HEADER.pack(0, SETUP_RNG_SEED, len(seed)) + seed)
        put(SETUP_DATA, SEED_AT, 8)
    vm.write(ZERO_PAGE_AT, bytes(page))
    vm.write(GDT_AT, GDT)
    return Booted(
        entry, {"esi": ZERO_PAGE_AT, "esp": STACK_AT}, (GDT_AT, len(GDT) - 1), symbols=symbols, notes=tuple(notes)
    )


def _place(vm: Memory, header: Header, kernel: bytes, name: str, memory_octets: int) -> tuple[int, int]:
    """The protected-mode part as it is: where it begins, and where what it needs ends."""
    octets = kernel[header.setup_octets :]
    start, room = (HIGH, memory_octets) if header.load_high else (LOW_CODE, LOW_CODE_END)
    end = start + max(len(octets), header.init_octets if header.load_high else 0)
    if start + len(octets) > room or end > memory_octets:
        raise ConfigError(
            f"{name}: needs {end - start} octets from {start:#x} on, and there are {room - start}: give the machine "
            "more memory"
        )
    vm.write(start, octets)
    return start, end


def _command_line(text: str, header: Header) -> bytes:
    try:
        line = text.encode("ascii")
    except UnicodeEncodeError:
        raise ConfigError(f"kernel parameters {text!r:.80}: only ASCII is possible") from None
    most = min(header.command_line_octets, COMMAND_LINE_END - COMMAND_LINE_AT - 1)
    if len(line) > most or b"\0" in line:
        raise ConfigError(f"kernel parameters: {len(line)} octets; this kernel takes {most}")
    return line


def _initrd(header: Header, octets: int, name: str, memory_octets: int, kernel_end: int) -> int:
    """As high as it may be: below the limit that the kernel names."""
    top = min(memory_octets, header.initrd_max + 1)
    start = (top - octets) // INITRD_ALIGNMENT * INITRD_ALIGNMENT
    if start < kernel_end:
        raise ConfigError(
            f"{name}: {octets} octets do not fit between the kernel's end ({kernel_end:#x}) and the end of the memory "
            f"that it can use ({top:#x}): give the machine more memory"
        )
    return start


def unpack(header: Header, kernel: bytes, name: str, most_octets: int) -> Elf | str:
    """The kernel inside, or why there is none."""
    at, octets = header.payload
    if not octets:
        return "it does not say where its packed part is"
    image = inflate(kernel[at : at + octets], most_octets)
    if isinstance(image, str):
        return image
    try:
        elf = read_elf(image, f"{name} (unpacked)", machine=EM_386, big_endian=False)
    except ConfigError as error:
        return str(error)
    segments = tuple(
        type(one)(one.physical, one.physical, one.data, one.memory_octets) for one in elf.segments
    )  # placed where physical memory is: paging is off
    return Elf(elf.entry, segments, elf.symbols)


def inflate(octets: bytes, most_octets: int) -> bytes | str:
    """What was packed in any of Linux' formats, up to a limit; or why not."""
    kind = next((name for magic, name in FORMATS.items() if octets.startswith(magic)), None)
    try:
        match kind:
            case "gzip":
                image = zlib.decompressobj(31).decompress(octets, most_octets + 1)
            case "xz":
                image = lzma.LZMADecompressor(lzma.FORMAT_XZ, UNPACKER_MEMORY_OCTETS).decompress(
                    octets, most_octets + 1
                )
            case "lzma":
                image = lzma.LZMADecompressor(lzma.FORMAT_ALONE, UNPACKER_MEMORY_OCTETS).decompress(
                    octets, most_octets + 1
                )
            case "bzip2":
                image = bz2.BZ2Decompressor().decompress(octets, most_octets + 1)
            case "zstd":
                image = zstandard.ZstdDecompressor().stream_reader(octets).read(most_octets + 1)
            case None:
                return f"its packed part begins with {octets[:4].hex(' ')}, no format that is known"
            case _:
                return f"it is packed with {kind}, which is not unpacked here"
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError) as error:
        return f"its packed part cannot be read ({error})"
    if len(image) > most_octets:
        return f"it unpacks to more than the memory ({most_octets} octets)"
    return image
