"""How a Malta board comes up with a kernel: what its monitor YAMON would have done.

References: YAMON reference manual (MD00008), "go" and "environment variables"; Linux arch/mips/fw/lib/cmdline.c and
arch/mips/boot/compressed/head.S for what kernels expect.

The kernel gets a0 = number of arguments, a1 = their table, a2 = the environment's table (name, value, name, value, …,
0), a3 = octets of memory below 256 MiB; all pointers are of kseg0. One argument holds the whole command line, with
`rd_start` and `rd_size` before what the user says.

`vmlinuz` is an ELF file that unpacks itself: an .xz stream and a wrapper. Unpacking takes the guest 2 000 000 000
instructions and this program a third of a second, so the loader looks for the stream, unpacks it to where the kernel is
linked (`LINKED`), and enters it where the wrapper would: at the address inside it that a LUI/ORI pair puts into t9
before a `jr t9` or `jalr t9`. Whatever of this does not fit: the file is loaded as it is, and a note says why.

| threat | stopped by |
|---|---|
| a stream that unpacks to more than memory | unpacked up to the limit, then refused |
| many false beginnings of streams | at most `MOST_STREAMS` are tried, each bounded |
| an initrd where the kernel moves itself to | the kernel is told to stay (`nokaslr`), or the initrd is refused |
"""

import lzma
import struct
from dataclasses import dataclass
from typing import Final, Protocol

from emulators.loaders.elf import EM_MIPS, Elf, Segment, Symbols, place, read_elf
from vde.errors import ConfigError

KSEG0: Final = 0x80000000
LINKED: Final = 0x80100000
"""Where Linux for Malta is linked (arch/mips/mti-malta/Platform)."""
PHYSICAL: Final = 0x1FFFFFFF
LOW_OCTETS: Final = 256 << 20
"""Memory that kseg0 reaches on this board; the rest is at `HIGH`."""
HIGH: Final = 0x90000000

ARGUMENTS: Final = 0x2000
"""Where the tables lie: above the exception vectors, below the kernel."""
ARGUMENTS_END: Final = 0x10000
COMMAND_LINE_OCTETS: Final = 4095  # Linux arch/mips/include/uapi/asm/setup.h: COMMAND_LINE_SIZE, with its 0
INITRD_ALIGNMENT: Final = 0x10000
ABOVE_INITRD_OCTETS: Final = 0x20000
"""Left free above the initrd. Chosen."""
KASLR_OCTETS: Final = 16 << 20  # RANDOMIZE_BASE_MAX_OFFSET of Debian's configuration
BSS_OCTETS: Final = 2 << 20
"""An unpacked kernel does not say how much it clears behind itself. Chosen: four times as much as Debian's."""

XZ_MAGIC: Final = b"\xfd7zXZ\0"
XZ_MEMORY_OCTETS: Final = 128 << 20
NOT_PACKED: Final = "no .xz stream in it"
"""Then it is no `vmlinuz`, and nobody misses anything."""
MOST_STREAMS: Final = 16
WRAPPER_OCTETS: Final = 0x400
"""Of the wrapper's beginning, where its last jump is looked for. Chosen."""
JUMPS: Final = (0x03200008, 0x0320F809)  # jr t9, jalr t9
LUI_T9, ORI_T9, ADDIU_T9 = 0x3C190000, 0x37390000, 0x27390000
BEFORE_JUMP: Final = 8
"""Instructions before the jump that may have the pair. Chosen."""


class Memory(Protocol):
    """The part of a `Vm` that is needed here."""

    def write(self, gpa: int, data: bytes, /) -> None:
        """Raises ValueError outside memory."""
        ...


@dataclass(frozen=True)
class Booted:
    """What is in memory now, and how to enter it.

    Attributes:
        registers: general registers by number.
        notes: what the user may want to know.
    """

    entry: int
    registers: dict[int, int]
    symbols: Symbols
    notes: tuple[str, ...] = ()


def to_physical(address: int) -> int:
    """The memory behind an address of kseg0 or kseg1 (or a physical one)."""
    return address & PHYSICAL if address >= KSEG0 else address


def boot(
    vm: Memory,
    *,
    memory_octets: int,
    kernel: bytes,
    kernel_name: str,
    initrd: bytes | None = None,
    initrd_name: str = "initrd",
    command_line: str = "",
    decompress: bool = True,
    seed: bytes = b"",
) -> Booted:
    """Put kernel, initrd, arguments and environment into memory.

    Args:
        vm: where memory is.
        memory_octets: how much of it the board has.
        kernel: the kernel's file.
        initrd: the initial file system's.
        command_line: what the user says to the kernel.
        decompress: unpack the kernel here instead of letting it do so.
        seed: random octets for the kernel; none: it gets none.

    Raises:
        ConfigError: it is not a kernel for this board, or something does not fit.
    """
    low_octets = min(memory_octets, LOW_OCTETS)
    elf = read_elf(kernel, kernel_name, machine=EM_MIPS, big_endian=False)
    notes = []
    unpacked = None
    if decompress:
        unpacked = unpack(elf, low_octets)
        if isinstance(unpacked, Elf):
            elf = unpacked
        elif unpacked != NOT_PACKED:
            notes.append(f"{kernel_name}: {unpacked}: it is started as it is")
    end = place(elf, kernel_name, vm, to_physical)
    words = []
    if initrd:
        start = (low_octets - ABOVE_INITRD_OCTETS - len(initrd)) // INITRD_ALIGNMENT * INITRD_ALIGNMENT
        if start < end:
            raise ConfigError(
                f"{initrd_name}: {len(initrd)} octets do not fit between the kernel's end ({end:#x}) and the end of "
                f"the memory that it can use ({low_octets:#x}): give the machine more memory"
            )
        kernel_octets = end - to_physical(min(segment.address for segment in elf.segments))
        if start < end + kernel_octets + KASLR_OCTETS and "nokaslr" not in command_line.split():
            notes.append("little memory: the kernel is told to stay where it is (nokaslr)")
            words.append("nokaslr")
        vm.write(start, initrd)
        words += [f"rd_start={KSEG0 | start:#x}", f"rd_size={len(initrd)}"]
    line = " ".join([*words, command_line]).strip()
    environment = {"memsize": str(low_octets), "ememsize": str(memory_octets), "modetty0": "38400n8r"}
    if seed:
        environment["rngseed"] = seed.hex()
    block, argument_count, arguments, variables = tables(kernel_name, line, environment)
    vm.write(ARGUMENTS, block)
    registers = {4: argument_count, 5: arguments, 6: variables, 7: low_octets, 29: KSEG0 | ARGUMENTS - 64}
    return Booted(elf.entry, registers, elf.symbols, tuple(notes))


def tables(name: str, command_line: str, environment: dict[str, str]) -> tuple[bytes, int, int, int]:
    """The block at `ARGUMENTS`: its octets, argc, and the addresses of argv and envp.

    Raises:
        ConfigError: the command line is too long, or not ASCII.
    """
    try:
        line = command_line.encode("ascii")
    except UnicodeEncodeError:
        raise ConfigError(f"kernel parameters {command_line!r:.80}: only ASCII is possible") from None
    if len(line) > COMMAND_LINE_OCTETS or b"\0" in line:
        raise ConfigError(f"kernel parameters: {len(line)} octets; this kernel takes {COMMAND_LINE_OCTETS}")
    arguments = [name.encode("ascii", "replace")[:255], line]
    variables = [text.encode("ascii") for pair in environment.items() for text in pair]
    pointers = len(arguments) + 1 + len(variables) + 1
    at = ARGUMENTS + 4 * pointers
    strings = b""
    table: list[int] = []
    for group in (arguments, variables):
        for text in group:
            table.append(KSEG0 | at + len(strings))
            strings += text + b"\0"
        table.append(0)
    block = struct.pack(f"<{pointers}I", *table) + strings
    assert ARGUMENTS + len(block) <= ARGUMENTS_END
    return block, len(arguments), KSEG0 | ARGUMENTS, KSEG0 | ARGUMENTS + 4 * (len(arguments) + 1)


def unpack(elf: Elf, most_octets: int) -> Elf | str:
    """The kernel inside a `vmlinuz`, or why there is none."""
    wrapper = next((one for one in elf.segments if one.address <= elf.entry < one.address + len(one.data)), None)
    if wrapper is None:
        return "its entry is not in the file"
    image = _inflate(wrapper.data, most_octets - to_physical(LINKED))
    if isinstance(image, str):
        return image
    entry = _entry(wrapper.data[elf.entry - wrapper.address :][:WRAPPER_OCTETS], len(image))
    if entry is None:
        return "the address that its wrapper jumps to was not found"
    return Elf(entry, (Segment(LINKED, to_physical(LINKED), image, len(image) + BSS_OCTETS),), Symbols())


def _inflate(octets: bytes, most_octets: int) -> bytes | str:
    """The first .xz stream of `octets` that is one, inflated."""
    reason = NOT_PACKED
    at = -1
    for _ in range(MOST_STREAMS):
        at = octets.find(XZ_MAGIC, at + 1)
        if at < 0:
            break
        inflater = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_OCTETS)
        try:
            image = inflater.decompress(octets[at:], max(most_octets, 0) + 1)
        except (lzma.LZMAError, EOFError) as error:
            reason = f"its .xz stream cannot be read ({error})"
            continue
        if len(image) > most_octets:
            return f"it unpacks to more than the memory ({most_octets} octets)"
        if inflater.eof:
            return image
        reason = "its .xz stream is cut off"
    return reason


def _entry(code: bytes, image_octets: int) -> int | None:
    """Where the wrapper goes when it is done: the first jump through t9 that leads into the image."""
    words: tuple[int, ...] = struct.unpack(f"<{len(code) // 4}I", code[: len(code) // 4 * 4])
    for at, word in enumerate(words):
        if word not in JUMPS:
            continue
        upper = lower = None
        for before in words[max(0, at - BEFORE_JUMP) : at]:
            if before & 0xFFFF0000 == LUI_T9:
                upper, lower = before << 16 & 0xFFFFFFFF, 0
            elif before & 0xFFFF0000 == ORI_T9 and upper is not None:
                lower = before & 0xFFFF
            elif before & 0xFFFF0000 == ADDIU_T9 and upper is not None:
                lower = (before & 0xFFFF ^ 0x8000) - 0x8000
        if upper is not None and lower is not None:
            entry = upper + lower & 0xFFFFFFFF
            if LINKED <= entry < LINKED + image_octets and not entry & 3:
                return entry
    return None
