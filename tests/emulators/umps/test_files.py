"""uMPS3's file formats: what is read, what is refused and how, and that garbage is only ever refused."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.loaders import umps
from vde.errors import ConfigError

MAGICS = (umps.DISK, umps.FLASH, umps.ROM, umps.CORE, umps.AOUT, umps.STAB)


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def test_a_rom() -> None:
    assert umps.read_rom(words(umps.ROM, 2, 7, 8) + b"more", "a.rom.umps") == words(7, 8)
    assert umps.make_rom(words(7, 8)) == words(umps.ROM, 2, 7, 8)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", "x: 0 octets: a uMPS3 ROM file was expected"),
        (words(umps.ROM), "x: a ROM that ends before its size"),
        (words(umps.ROM, 0), "x: a ROM of 0 words; 1 to 67107840 were expected"),
        (words(umps.ROM, 0xFFFF_FFFF), "x: a ROM of 4294967295 words; 1 to 67107840 were expected"),
        (words(umps.ROM, 3, 1), "x: a ROM of 3 words, of which the file has 1"),
        (words(umps.CORE, 1, 1), "x: a uMPS3 core file; a ROM file (0x0253504d) was expected"),
        (b"\x02SPM1234", "x: a big-endian ROM file; a little-endian one was expected"),
        (b"\x7fELF", "x: no uMPS3 file (it begins with 0x464c457f); a ROM file (0x0253504d) was expected"),
    ],
)
def test_what_is_no_rom(octets: bytes, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        umps.read_rom(octets, "x")
    assert str(raised.value) == text


def test_a_core_file_must_fit_in_ram() -> None:
    contents = bytes(4096) + b"text"
    assert umps.read_core(words(umps.CORE) + contents, "k", 8192) == contents
    with pytest.raises(ConfigError, match=r"k: 4100 octets: 2 frames of RAM were expected, not 1"):
        umps.read_core(words(umps.CORE) + contents, "k", 4096)


def test_an_aout_header() -> None:
    header = words(umps.AOUT, *range(1, 10), *([0] * 32), 77)
    assert umps.read_aout_header(header, "a") == umps.AoutHeader(1, 2, 3, 4, 5, 6, 7, 8, 9, 77)
    with pytest.raises(ConfigError, match="ends in its header"):
        umps.read_aout_header(header[:-1], "a")


STAB = (
    words(umps.STAB)
    + b"00000002 00000001\n"
    + b"main                             :FUN:0x20001000:0x00000010:GLB\n"
    + b"table                            :OBJ:0x20002000:0x00000100:LOC\n"
    + b"helper                           :FUN:0x20001010:0x00000000:WK \n"
)


def test_a_symbol_table() -> None:
    table = umps.read_symbols(STAB, "k.stab.umps")
    assert len(table) == 3
    assert (table.address("helper"), table.address("nobody")) == (0x2000_1010, None)
    assert [table.find(at) for at in (0x2000_1000, 0x2000_100C, 0x2000_1010, 0x2000_1013)] == [
        "main",
        "main+0xc",
        "helper",
        "helper+0x3",
    ]
    assert [table.find(at) for at in (0x2000_1014, 0x2000_20FF, 0x2000_2100, 0)] == [None, "table+0xff", None, None]


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (words(umps.STAB), "k: a symbol table without numbers of functions and objects"),
        (words(umps.STAB) + b"FFFFFFFF 00000000\n", "k: 4294967295 symbols; at most 65536 are taken"),
        (
            words(umps.STAB) + b"00000001 00000000\nmain FUN\n",
            "k: symbol 1 of 1: 'main FUN': name :FUN:0x…:0x…: was expected",
        ),
        (STAB[:-70], "k: symbol 3 of 3: '': name :FUN:0x…:0x…: was expected"),
    ],
)
def test_damaged_symbol_tables(octets: bytes, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        umps.read_symbols(octets, "k")
    assert str(raised.value).partition("of 3: ")[0] == text.partition("of 3: ")[0]


def test_drives() -> None:
    disk = words(umps.DISK, 4, 2, 8, 16_666, 100, 80)
    geometry = umps.read_disk_geometry(disk, 28 + 64 * 4096, "d")
    assert (geometry.cylinders, geometry.heads, geometry.sectors, geometry.first_octet) == (4, 2, 8, 28)
    flash = umps.read_flash_geometry(words(umps.FLASH, 16, 1000), 12 + 16 * 4096, "f")
    assert (flash.blocks, flash.write_us, flash.first_octet) == (16, 1000, 12)


@pytest.mark.parametrize(
    ("values", "size", "text"),
    [
        ((4, 2, 8, 16_666, 100, 80), 28 + 64 * 4096 - 1, "its header says 64 blocks: 262172 were expected"),
        ((0, 2, 8, 16_666, 100, 80), 1 << 30, "0 cylinders: 1 to 65535 was expected"),
        ((65_536, 2, 8, 16_666, 100, 80), 1 << 30, "65536 cylinders"),
        ((4, 256, 8, 16_666, 100, 80), 1 << 30, "256 heads: 1 to 255"),
        ((4, 2, 0, 16_666, 100, 80), 1 << 30, "0 sectors"),
        ((4, 2, 8, 0, 100, 80), 1 << 30, "0 microseconds of a turn: 5555 to 166667"),
        ((4, 2, 8, 16_666, 0xFFFF_FFFF, 80), 1 << 30, "4294967295 microseconds of a step"),
        ((4, 2, 8, 16_666, 100, 0), 1 << 30, "0 percent of data: 10 to 90"),
    ],
)
def test_impossible_disks(values: tuple[int, ...], size: int, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        umps.read_disk_geometry(words(umps.DISK, *values), size, "d")
    assert text in str(raised.value)


READERS = (
    lambda octets: umps.read_rom(octets, "x"),
    lambda octets: umps.read_core(octets, "x", 4096),
    lambda octets: umps.read_aout_header(octets, "x"),
    lambda octets: umps.read_symbols(octets, "x"),
    lambda octets: umps.read_disk_geometry(octets, 1 << 20, "x"),
    lambda octets: umps.read_flash_geometry(octets, 1 << 20, "x"),
)


@pytest.mark.fuzz
@given(st.sampled_from((*MAGICS, None)), st.binary(max_size=300))
def test_garbage_is_refused_or_read(magic: int | None, octets: bytes) -> None:
    if magic is not None:
        octets = words(magic) + octets
    for reader in READERS:
        with contextlib.suppress(ConfigError):
            reader(octets)


@pytest.mark.fuzz
@given(st.data())
def test_symbol_tables_with_changes(data: st.DataObject) -> None:
    octets = bytearray(STAB)
    for _ in range(data.draw(st.integers(1, 6))):
        octets[data.draw(st.integers(4, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        table = umps.read_symbols(bytes(octets), "x")
    except ConfigError:
        return
    for symbol in table.symbols:
        assert symbol.octets >= 4
        table.find(symbol.address)
