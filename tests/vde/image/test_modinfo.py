"""What a module says about itself."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vde.image.packages import make_module
from vde.errors import WireError
from vde.image.modinfo import ModuleInfo, modinfo_section, parse_module

WORDS = [
    "license=GPL",
    "alias=pci:v00001022d00002000sv*sd*bc*sc*i*",
    "depends=mii,crc-ccitt",
    "name=pcnet32",
    "alias=a b",
]


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_class_and_byte_order(wide: bool, order: str) -> None:
    info = parse_module(make_module(WORDS, wide, order), "from-file")
    assert info == ModuleInfo("pcnet32", ("mii", "crc_ccitt"), ("pci:v00001022d00002000sv*sd*bc*sc*i*",))


def test_the_name_comes_from_the_file_if_the_module_does_not_say() -> None:
    assert parse_module(make_module(["depends="]), "ne2k-pci") == ModuleInfo("ne2k_pci", (), ())


@pytest.mark.parametrize(
    "octets", [b"", b"\x7fELF", b"MZ" + bytes(100), b"\x7fELF\x03\x01" + bytes(100), b"\x7fELF\x01\x07" + bytes(100)]
)
def test_what_is_no_module(octets: bytes) -> None:
    with pytest.raises(WireError):
        parse_module(octets, "x")


def test_a_table_that_lies_outside() -> None:
    for offset in (32, 46, 48, 50):
        octets = bytearray(make_module(WORDS))
        octets[offset : offset + 2] = b"\xff\xff"
        with pytest.raises(WireError):
            parse_module(bytes(octets), "x")


@pytest.mark.fuzz
@given(st.binary(max_size=40), st.integers(0, 400), st.booleans(), st.sampled_from("<>"))
def test_random_damage_is_refused_or_bounded(damage: bytes, offset: int, wide: bool, order: str) -> None:
    octets = bytearray(make_module(WORDS, wide, order))
    octets[offset : offset + len(damage)] = damage
    with contextlib.suppress(WireError):
        assert len(modinfo_section(bytes(octets))) <= len(octets)
