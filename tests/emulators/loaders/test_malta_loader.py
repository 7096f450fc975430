import lzma
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.loaders import malta
from emulators.loaders.elf import read_elf
from emulators.loaders.malta import ARGUMENTS, BSS_OCTETS, LINKED, Booted, boot
from tests.emulators.loaders.elf_file import FlatMemory, elf
from vde.errors import ConfigError

MIB = 1 << 20
IMAGE = b"\0" * 0x400 + b"the kernel proper " * 1000
ENTRY = LINKED + 0x404
WRAPPER = LINKED + 0xFF0000


def wrapper(entry: int = ENTRY, *, jump: int = 0x03200008, image: bytes = IMAGE, stream: bytes | None = None) -> bytes:
    """A vmlinuz: calls its own decompressor by t9, then goes to `entry` by t9; the stream behind it."""
    code = struct.pack(
        "<8I",
        *(0x3C190000 | WRAPPER >> 16, 0x27390100, 0x0320F809, 0),  # lui, addiu, jalr, nop
        *(0x3C190000 | entry >> 16, 0x37390000 | entry & 0xFFFF, jump, 0),  # lui, ori, jr, nop
    )
    octets = code + b"\xfd7zXZ\0 no stream" + (lzma.compress(image) if stream is None else stream) + b"tail"
    return elf([(WRAPPER, octets, len(octets) + 64)], WRAPPER)


def start(kernel: bytes, *, octets: int = 64 * MIB, **options: object) -> tuple[FlatMemory, Booted]:
    memory = FlatMemory(octets)
    return memory, boot(memory, memory_octets=octets, kernel=kernel, kernel_name="vmlinuz", **options)  # type: ignore[arg-type]


def strings(memory: FlatMemory, table: int) -> list[str]:
    found = []
    at = table & 0x1FFFFFFF
    while pointer := int.from_bytes(memory.octets[at : at + 4], "little"):
        text = memory.octets[pointer & 0x1FFFFFFF :]
        found.append(text[: text.index(0)].decode())
        at += 4
    return found


@pytest.mark.parametrize("jump", [0x03200008, 0x0320F809])
def test_the_kernel_is_unpacked_and_entered_directly(jump: int) -> None:
    memory, booted = start(wrapper(jump=jump))
    assert booted.entry == ENTRY
    assert booted.notes == ()
    assert memory.octets[0x100000 : 0x100000 + len(IMAGE)] == IMAGE


def test_or_it_unpacks_itself() -> None:
    memory, booted = start(wrapper(), decompress=False)
    assert booted.entry == WRAPPER
    assert memory.octets[0x100000 : 0x100000 + len(IMAGE)] == bytes(len(IMAGE))


@pytest.mark.parametrize(
    ("kernel", "text"),
    [
        (wrapper(stream=b""), "its .xz stream cannot be read"),
        (wrapper(stream=lzma.compress(IMAGE)[:-30]), "its .xz stream"),
        (wrapper(0x80000000), "the address that its wrapper jumps to was not found"),
        (elf([(LINKED, b"\0" * 64, 64)], 0x90000000), "its entry is not in the file"),
    ],
)
def test_what_cannot_be_unpacked_is_started_as_it_is(kernel: bytes, text: str) -> None:
    _, booted = start(kernel)
    assert len(booted.notes) == 1
    assert text in booted.notes[0]
    assert booted.notes[0].startswith("vmlinuz: ")


def test_what_is_not_packed_needs_no_remark() -> None:
    _, booted = start(elf([(LINKED, b"\0" * 64, 64)], LINKED))
    assert booted.entry == LINKED
    assert booted.notes == ()


def test_a_kernel_that_unpacks_to_more_than_memory_is_left_to_its_fate() -> None:
    _, booted = start(wrapper(image=b"\0" * 20 * MIB), octets=20 * MIB)
    assert "it unpacks to more than the memory" in booted.notes[0]


def test_arguments_and_environment() -> None:
    memory, booted = start(wrapper(), command_line="console=ttyS0", initrd=b"files", seed=b"\x01\xab")
    assert booted.registers[4] == 2
    assert strings(memory, booted.registers[5]) == [
        "vmlinuz",
        f"rd_start={0x80000000 | 64 * MIB - 0x30000:#x} rd_size=5 console=ttyS0",
    ]
    assert strings(memory, booted.registers[6]) == [
        *("memsize", str(64 * MIB)),
        *("ememsize", str(64 * MIB)),
        *("modetty0", "38400n8r"),
        *("rngseed", "01ab"),
    ]
    assert booted.registers[7] == 64 * MIB
    assert memory.octets[64 * MIB - 0x30000 :][:5] == b"files"
    assert booted.registers[29] == ARGUMENTS - 64 | 0x80000000


def test_a_command_line_that_is_too_long_or_not_ascii() -> None:
    start(wrapper(), command_line="x" * 4095)
    with pytest.raises(ConfigError, match="4096 octets; this kernel takes 4095"):
        start(wrapper(), command_line="x" * 4096)
    with pytest.raises(ConfigError, match="only ASCII"):
        start(wrapper(), command_line="hostname=caffè")


def test_an_initrd_that_does_not_fit() -> None:
    with pytest.raises(ConfigError, match="big: 67108864 octets do not fit between the kernel's end"):
        start(wrapper(), initrd=b"x" * 64 * MIB, initrd_name="big")


def test_a_kernel_that_would_move_into_its_initrd_is_told_to_stay() -> None:
    kernel_end = 0x100000 + len(IMAGE) + BSS_OCTETS
    _, roomy = start(wrapper(), initrd=b"x" * MIB)
    assert roomy.notes == ()
    memory, tight = start(wrapper(), initrd=b"x" * (64 * MIB - kernel_end - 18 * MIB))
    assert "nokaslr" in tight.notes[0]
    assert strings(memory, tight.registers[5])[1].startswith("nokaslr rd_start=")


def test_memory_that_is_too_small_for_the_kernel() -> None:
    with pytest.raises(ConfigError, match="not in the machine's memory"):
        start(wrapper(), octets=2 * MIB)


def test_the_kernel_is_for_another_machine() -> None:
    with pytest.raises(ConfigError, match="a program for i386, not for MIPS"):
        start(elf([(LINKED, b"x", 1)], LINKED, machine=3))


@pytest.mark.fuzz
@given(st.integers(0, len(wrapper())), st.binary(min_size=1, max_size=40))
def test_any_damage_is_refused_or_noted(at: int, noise: bytes) -> None:
    kernel = wrapper()
    kernel = kernel[:at] + noise + kernel[at + len(noise) :]
    try:
        elf_file = read_elf(kernel, "vmlinuz", machine=8, big_endian=False)
    except ConfigError:
        return
    assert malta.unpack(elf_file, MIB)
