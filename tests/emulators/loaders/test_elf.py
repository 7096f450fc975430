import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulators.loaders.elf import EM_386, EM_MIPS, place, read_elf
from tests.emulators.loaders.elf_file import FlatMemory, elf
from vde.errors import ConfigError

GOOD = elf([(0x80001000, b"text", 8), (0x80002000, b"", 16)], 0x80001000, symbols=[("start", 0x80001000)])


def read(octets: bytes, *, machine: int = EM_MIPS, big_endian: bool = False) -> None:
    read_elf(octets, "kernel", machine=machine, big_endian=big_endian)


def test_segments_are_placed_and_cleared() -> None:
    memory = FlatMemory(0x4000)
    memory.octets[:] = b"\xee" * 0x4000
    found = read_elf(GOOD, "kernel", machine=EM_MIPS, big_endian=False)
    assert place(found, "kernel", memory, lambda address: address & 0x1FFFFFFF) == 0x2010
    assert memory.octets[0x1000:0x1009] == b"text\0\0\0\0\xee"
    assert memory.octets[0x2000:0x2011] == bytes(16) + b"\xee"
    assert found.entry == 0x80001000


def test_symbols_name_addresses() -> None:
    symbols = read_elf(GOOD, "kernel", machine=EM_MIPS, big_endian=False).symbols
    assert symbols.find(0x80001000) == "start"
    assert symbols.find(0x80001004) == "start+0x4"
    assert symbols.find(0x7FFFFFFF) is None


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", "not an ELF file"),
        (b"#!/bin/sh\n", "not an ELF file"),
        (GOOD[:30], "ends in its header"),
        (GOOD[:4] + b"\x02" + GOOD[5:], "64 bits"),
        (elf([(0, b"x", 1)], 0, machine=EM_386), "a program for i386, not for MIPS"),
        (elf([(0, b"x", 1)], 0, machine=999), "a program for machine 999"),
        (elf([(0, b"x", 1)], 0, order=">"), "big-endian, not little-endian"),
        (elf([(0, b"x", 1)], 0, kind=3), "of type 3, not an executable"),
        (elf([], 0), "0 program headers"),
        (elf([(0x1000, b"text", 2)], 0), "has 4 octets in the file, but 2 in memory"),
        (elf([(0xFFFFFFF0, b"", 0x20)], 0), "ends beyond the address space"),
        (elf([(0x1000, b"", 0)], 0), "nothing to load"),
        (GOOD[:60], "program headers lie beyond its end"),
        (elf([(0x1000, b"text", 4)], 0)[:-20], "segment 0 lies beyond the file's end"),
    ],
)
def test_what_cannot_be_loaded_is_said(octets: bytes, text: str) -> None:
    with pytest.raises(ConfigError, match="kernel: .*" + text):
        read(octets)


def test_a_segment_outside_memory() -> None:
    found = read_elf(elf([(0x3FFC, b"12345678", 8)], 0), "kernel", machine=EM_MIPS, big_endian=False)
    with pytest.raises(ConfigError, match=r"8 octets at 0x00003ffc .* not in the machine's memory"):
        place(found, "kernel", FlatMemory(0x4000), lambda address: address)


@pytest.mark.fuzz
@given(
    st.binary(max_size=400)
    | st.builds(
        lambda head, at, tail: GOOD[:at] + head + GOOD[at + len(tail) :],
        st.binary(max_size=8),
        st.integers(0, len(GOOD)),
        st.binary(max_size=8),
    )
)
@example(GOOD)
def test_any_file_is_loaded_or_refused(octets: bytes) -> None:
    memory = FlatMemory(0x4000)
    try:
        found = read_elf(octets, "kernel", machine=EM_MIPS, big_endian=False)
        place(found, "kernel", memory, lambda address: address & 0x1FFFFFFF)
    except ConfigError:
        return
    assert found.segments
