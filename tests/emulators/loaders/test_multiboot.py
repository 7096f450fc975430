import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.loaders.bzimage import Booted
from emulators.loaders.multiboot import boot, find_header
from tests.emulators.loaders.elf_file import FlatMemory, elf
from vde.errors import ConfigError

MAGIC, EM_386 = 0x1BADB002, 3
MEMORY = 8 << 20
MAP = [(0, 0x9FC00, 1), (0x9FC00, 0x400, 2), (0x100000, MEMORY - 0x100000, 1)]


def header(flags: int = 3, *rest: int) -> bytes:
    return struct.pack(f"<{3 + len(rest)}I", MAGIC, flags, -(MAGIC + flags) & 0xFFFFFFFF, *rest)


def kernel(flags: int = 3) -> bytes:
    return elf([(0x100000, header(flags) + b"code", 0x1000)], 0x10000C, machine=EM_386)


def booted(
    image: bytes, *, modules: tuple[tuple[str, bytes, str], ...] = (), line: str = "k"
) -> tuple[FlatMemory, Booted]:
    memory = FlatMemory(MEMORY)
    return memory, boot(
        memory,
        memory_octets=MEMORY,
        kernel=image,
        kernel_name="kernel",
        memory_map=MAP,
        modules=modules,
        command_line=line,
    )


def words(memory: FlatMemory, at: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}I", memory.octets, at)


def text(memory: FlatMemory, at: int) -> bytes:
    return bytes(memory.octets[at : memory.octets.index(0, at)])


def test_an_elf_kernel_with_modules() -> None:
    memory, it = booted(kernel(), modules=(("a", b"A" * 5000, "a -x"), ("b", b"B", "b")), line="kernel root=0")
    assert it.entry == 0x10000C
    assert it.registers["eax"] == 0x2BADB002
    info = it.registers["ebx"]
    flags, lower, upper, _, line, count, table = words(memory, info, 7)
    assert flags == 0x24D
    assert (lower, upper) == (0x9FC00 >> 10, 7 << 10)
    assert text(memory, line) == b"kernel root=0"
    assert count == 2
    first, second = words(memory, table, 4), words(memory, table + 16, 4)
    assert memory.octets[first[0] : first[1]] == b"A" * 5000
    assert text(memory, first[2]) == b"a -x"
    assert second[0] % 0x1000 == 0
    assert second[0] >= first[1]
    assert memory.octets[second[0] : second[1]] == b"B"
    octets, at = words(memory, info + 44, 2)
    assert octets == 3 * 24
    assert struct.unpack_from("<IQQI", memory.octets, at + 24) == (20, *MAP[1])
    assert text(memory, words(memory, info + 64, 1)[0]) == b"vde-fabric"


def test_the_a_out_kludge() -> None:
    image = bytes(64) + header(0x10003, 0x200040, 0x200000, 0x200080, 0x201000, 0x200070) + b"\xaa" * 92
    memory, it = booted(image)
    assert it.entry == 0x200070
    assert memory.octets[0x200040:0x200044] == MAGIC.to_bytes(4, "little")
    assert memory.octets[0x20007F] == 0xAA
    assert memory.octets[0x200080] == 0, "what is behind the end of the loaded octets is clear"


def test_a_kernel_that_is_linked_high_is_entered_low() -> None:
    image = bytearray(elf([(0xC0100000, header() + b"code", 64)], 0xC010000C, machine=EM_386))
    struct.pack_into("<I", image, 52 + 12, 0x100000)  # p_paddr
    memory, it = booted(bytes(image))
    assert it.entry == 0x10000C
    assert memory.octets[0x10000C:0x100010] == b"code"


@pytest.mark.parametrize("at", [0x1000, 0x7FE0, 0x8000, 0x8FFC0])
def test_a_low_kernel_is_not_overwritten_by_the_loaders_gdt(at: int) -> None:
    code = header() + bytes(range(1, 53))
    memory, it = booted(elf([(at, code, 64)], at + 12, machine=EM_386))
    assert memory.octets[at : at + 64] == code
    assert not at < it.registers["esp"] <= at + 64, "the first push would hit it"


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (b"", "no multiboot header"),
        (bytes(8192) + header(), "no multiboot header"),
        (header()[:11] + b"\0" * 100, "no multiboot header"),
        (kernel(flags=7), "insists on a video mode"),
        (kernel(flags=0x43), "what is not known here"),
        (header(0x10003, 0x1000, 0x2000, 0, 0, 0), "wants"),
        (elf([(0x90000, header(), 64)], 0, machine=EM_386), "this loader has its own tables"),
        (elf([(0x7FFFFFFF, header(), 64)], 0, machine=EM_386), "not in the machine's memory"),
    ],
)
def test_wrong_kernels(image: bytes, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        booted(image)


def test_modules_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="big: 8388608 octets do not fit"):
        booted(kernel(), modules=(("big", bytes(MEMORY), ""),))
    with pytest.raises(ConfigError, match="more than 61440 octets"):
        booted(kernel(), line="x" * 100_000)


@pytest.mark.fuzz
@given(st.binary(max_size=300), st.lists(st.integers(0, 0xFFFFFFFF), max_size=6), st.integers(0, 0x10003))
def test_any_file_boots_or_is_refused(garbage: bytes, rest: list[int], flags: int) -> None:
    for file in (garbage, garbage[:40] + bytes(-len(garbage[:40]) % 4) + header(flags, *rest) + garbage):
        try:
            booted(file)
        except ConfigError:
            continue
        assert find_header(file) is not None
