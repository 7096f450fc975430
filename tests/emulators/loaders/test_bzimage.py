import bz2
import gzip
import lzma
import struct
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from emulators.loaders.bzimage import Booted, boot, inflate, is_bzimage
from tests.emulators.loaders.elf_file import FlatMemory, elf
from tests.emulators.loaders.linux_image import bzimage
from vde.errors import ConfigError

EM_386 = 3
MEMORY = 24 << 20
MAP = [(0, 0x9FC00, 1), (0x100000, MEMORY - 0x100000, 1)]
KERNEL = elf([(0x400000, b"kernel!", 0x2000)], 0x400004, machine=EM_386)


def xz(octets: bytes) -> bytes:
    return lzma.compress(octets, lzma.FORMAT_XZ, check=lzma.CHECK_CRC32) + len(octets).to_bytes(4, "little")


def booted(
    image: bytes,
    *,
    octets: int = MEMORY,
    initrd: bytes | None = None,
    line: str = "",
    decompress: bool = True,
    seed: bytes = b"",
) -> tuple[FlatMemory, Booted]:
    memory = FlatMemory(octets)
    return memory, boot(
        memory,
        memory_octets=octets,
        kernel=image,
        kernel_name="vmlinuz",
        memory_map=MAP,
        initrd=initrd,
        command_line=line,
        decompress=decompress,
        seed=seed,
        rsdp=0xE0000,
    )


def number(memory: FlatMemory, at: int, size: int = 4) -> int:
    return int.from_bytes(memory.octets[at : at + size], "little")


@pytest.mark.parametrize(
    "pack",
    [
        xz,
        gzip.compress,
        bz2.compress,
        lambda octets: lzma.compress(octets, lzma.FORMAT_ALONE),
        zstandard.ZstdCompressor().compress,
    ],
    ids=["xz", "gzip", "bzip2", "lzma", "zstd"],
)
def test_a_kernel_is_unpacked_and_entered(pack: Callable[[bytes], bytes]) -> None:
    memory, it = booted(bzimage(pack(KERNEL)), initrd=b"initrd", line="console=ttyS0 quiet", seed=b"\x11" * 32)
    assert it.notes == ()
    assert it.entry == 0x400004
    assert memory.octets[0x400000:0x400007] == b"kernel!"
    page = it.registers["esi"]
    assert memory.octets[page + 0x202 : page + 0x206] == b"HdrS"
    assert memory.octets[page + 0x210] == 0xFF
    line = number(memory, page + 0x228)
    assert memory.octets[line : line + 20] == b"console=ttyS0 quiet\0"
    start, size = number(memory, page + 0x218), number(memory, page + 0x21C)
    assert (start, size) == (MEMORY - 0x1000, 6)
    assert memory.octets[start : start + 6] == b"initrd"
    assert memory.octets[page + 0x1E8] == 2
    assert struct.unpack_from("<QQI", memory.octets, page + 0x2D0 + 20) == MAP[1]
    assert number(memory, page + 0x70, 8) == 0xE0000
    seed = number(memory, page + 0x250, 8)
    assert struct.unpack_from("<QII", memory.octets, seed) == (0, 9, 32)
    base, limit = it.gdt
    assert limit == 31
    assert number(memory, base + it.code, 8) == 0x00CF9B000000FFFF
    assert number(memory, base + it.data, 8) == 0x00CF93000000FFFF


def test_it_unpacks_itself_if_told_so() -> None:
    memory, it = booted(bzimage(xz(KERNEL), code=b"\x90" * 16), decompress=False)
    assert it.entry == 0x100000
    assert memory.octets[0x100000:0x100010] == b"\x90" * 16
    assert it.notes == ()


def test_a_zimage_is_loaded_low() -> None:
    memory, it = booted(bzimage(b"x", high=False, version=0x0203), decompress=False)
    assert it.entry == 0x10000
    assert memory.octets[0x10000] == 0xF4


def test_an_initrd_stays_below_the_kernels_limit() -> None:
    memory, it = booted(bzimage(xz(KERNEL), initrd_max=0xFFFFFF), initrd=bytes(0x1800))
    assert number(memory, it.registers["esi"] + 0x218) == 0x1000000 - 0x2000


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"\x02\x21\x4c\x18 rest", "packed with lz4, which is not unpacked here"),
        (b"what is this", "begins with 77 68 61 74"),
        (xz(KERNEL)[:60] + b"\xff" * 40, "its packed part cannot be read"),
        (xz(b"not an ELF file"), "not an ELF file"),
        (xz(bytes(MEMORY + 1)), "unpacks to more than the memory"),
        (b"", "does not say where its packed part is"),
    ],
)
def test_what_cannot_be_unpacked_is_started_as_it_is(payload: bytes, why: str) -> None:
    _, it = booted(bzimage(payload))
    assert it.entry == 0x100000
    assert why in it.notes[0]


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (b"", "not a Linux kernel"),
        (KERNEL, "not a Linux kernel"),
        (bzimage(xz(KERNEL))[:0x210], "ends in its header"),
        (bzimage(xz(KERNEL))[:-1], "cut off"),
        (bzimage(xz(KERNEL))[:0x600], "cut off: 1536 octets"),
        (bzimage(xz(KERNEL), version=0x0201), "boot protocol 2.01"),
        (bzimage(xz(elf([(0x2000000, b"", 4)], 0, machine=EM_386))), "are not in the machine's memory"),
    ],
)
def test_wrong_kernels(image: bytes, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        booted(image)


def test_what_does_not_fit() -> None:
    with pytest.raises(ConfigError, match="initrd: 20971520 octets do not fit between"):
        booted(bzimage(xz(KERNEL)), initrd=bytes(20 << 20))
    with pytest.raises(ConfigError, match="300 octets; this kernel takes 255"):
        booted(bzimage(xz(KERNEL)), line="x" * 300)
    with pytest.raises(ConfigError, match="only ASCII"):
        booted(bzimage(xz(KERNEL)), line="\u00e9")
    with pytest.raises(ConfigError, match="needs 67108864 octets from 0x100000 on"):
        booted(bzimage(xz(KERNEL), init_octets=64 << 20), decompress=False)


@pytest.mark.fuzz
@given(st.binary(max_size=200), st.integers(0, 0x268), st.integers(0, 0xFFFFFFFF))
def test_any_file_boots_or_is_refused(garbage: bytes, at: int, value: int) -> None:
    image = bytearray(bzimage(xz(KERNEL)))
    struct.pack_into("<I", image, at, value)
    for file in (garbage, bytes(image), bytes(image[: len(image) - len(garbage)])):
        memory = FlatMemory(4 << 20)
        try:
            boot(memory, memory_octets=4 << 20, kernel=file, kernel_name="k", memory_map=MAP, initrd=b"i")
        except ConfigError:
            continue
        assert is_bzimage(file)


@pytest.mark.fuzz
@given(st.sampled_from((xz, gzip.compress, bz2.compress)), st.binary(max_size=100), st.integers(0, 200))
def test_any_packed_octets_inflate_or_say_why_not(pack: Callable[[bytes], bytes], garbage: bytes, cut: int) -> None:
    for octets in (garbage, pack(garbage)[:cut], pack(garbage)[:cut] + garbage):
        found = inflate(octets, 50)
        assert isinstance(found, str) or len(found) <= 50
