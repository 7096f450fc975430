import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.loaders.rom import check_bios, check_option, pci_identity
from vde.errors import ConfigError


def option(octets: int = 1024, *, said: int | None = None, pci: bool = False) -> bytes:
    rom = bytearray(octets)
    rom[:3] = bytes((0x55, 0xAA, (said if said is not None else octets // 512) & 0xFF))
    if pci:
        rom[0x18] = 0x40
        rom[0x40:0x48] = b"PCIR" + struct.pack("<HH", 0x8086, 0x100E)
        rom[0x40 + 21] = 0x80
    rom[5] = -sum(rom) & 0xFF
    return bytes(rom)


def test_option_roms() -> None:
    assert check_option(option(), "rom") == option()
    assert check_option(option() + b"\xff" * 100, "rom")
    assert pci_identity(option()) is None
    assert pci_identity(option(pci=True)) == (0x8086, 0x100E)


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (b"", "not an option ROM .it begins with nothing"),
        (b"MZ" + bytes(510), "not an option ROM"),
        (option(1024, said=3), "of 1024 octets that says that it has 1536"),
        (option(512, said=0), "says that it has 0"),
        (option() + b"more", "says that it has 1024 octets; the file has 1028"),
        (option()[:-1] + b"\x01", "add up to 0x01, not 0: it is damaged"),
    ],
)
def test_damaged_option_roms(image: bytes, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        check_option(image, "rom")


@pytest.mark.parametrize("octets", [0, 100, 0x10001, 32 << 20])
def test_firmware_of_a_wrong_size(octets: int) -> None:
    with pytest.raises(ConfigError, match="multiple of 64K"):
        check_bios(b"\xea" * octets, "bios")


def test_empty_firmware() -> None:
    with pytest.raises(ConfigError, match="without a first instruction"):
        check_bios(b"\xff" * 0x10000, "bios")
    assert check_bios(b"\xea" * 0x10000, "bios")


@pytest.mark.fuzz
@given(st.binary(max_size=100))
def test_anything_is_a_rom_or_refused(garbage: bytes) -> None:
    for image in (garbage, b"\x55\xaa" + garbage, option(pci=True)[:0x40] + garbage):
        try:
            check_option(image, "rom")
        except ConfigError:
            continue
        pci_identity(image)
