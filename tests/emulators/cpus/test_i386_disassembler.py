"""Each row of the instruction table as text: what objdump writes, for random operands, prefixes, both operand sizes."""

import random
from pathlib import Path

import pytest

from emulators.cpus.i386.disassembler import TooShort, disassemble, disassemble_one
from emulators.cpus.i386.forms import Form, forms
from tests.oracles.i386 import cases
from tests.oracles.i386.objdump import known, objdump
from tests.tools import NeedTool

CASES = 8
"""Of a form."""
SLOT = 32
BASE = 0x10000
UNSIZED = {"wbinvd", "invd"}
"""66 makes them instructions of later processors, for binutils; of short branches it does not cut the target."""


def encode(form: Form, chance: random.Random) -> bytes:
    """An instruction of that form, with random operands."""
    sized = form.prefix is None and not {"Jb"} & set(form.operands) and form.mnemonic not in UNSIZED
    draft = cases.Draft(form, registers=[0] * 8, operand16=sized and chance.random() < 0.2)
    octets = bytearray(b"\x66" if draft.operand16 else b"")
    if chance.random() < 0.1:
        octets += chance.choice((b"\x64", b"\x2e", b"\x26"))
    octets += form.prefix or b""
    opcode = bytearray(form.opcode)
    opcode[-1] += chance.randrange(form.span)
    octets += opcode
    if form.has_modrm:
        if form.modrm is not None:
            octets.append(form.modrm)
        else:
            reg = form.group if form.group is not None else chance.randrange(6 if "Sw" in form.operands else 8)
            if {"Cd", "Dd"} & set(form.operands):
                reg = chance.choice((0, 2, 3))
            if (
                {"Cd", "Dd"} & set(form.operands)
                or form.kind == "Register"
                or (form.kind == "Any" and chance.random() < 0.5)
            ):
                octets.append(0xC0 | reg << 3 | chance.randrange(8))
            else:
                octets += cases.address_32(draft, chance.getrandbits(32), reg, chance)
    for code in form.operands:
        octets += cases.immediate(code, draft, chance)
    return bytes(octets)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[bytes, int, str]]]:
    """Of each form: octets, address, objdump's text."""
    NeedTool()("objdump")
    chance = random.Random(7)
    made = [(form.name, encode(form, chance)) for form in forms() for _ in range(CASES)]
    file: Path = tmp_path_factory.mktemp("objdump") / "code"
    file.write_bytes(b"".join(octets.ljust(SLOT, b"\x90") for _, octets in made))
    lines = objdump(file, "-D", "-b", "binary", "-m", "i386", f"--adjust-vma={BASE}")
    told: dict[str, list[tuple[bytes, int, str]]] = {}
    for number, (name, octets) in enumerate(made):
        told.setdefault(name, []).append((octets, BASE + SLOT * number, lines[BASE + SLOT * number]))
    return told


@pytest.mark.parametrize("form", forms(), ids=lambda form: form.name)
def test_text_is_objdumps(texts: dict[str, list[tuple[bytes, int, str]]], form: Form) -> None:
    for octets, pc, text in texts[form.name]:
        one = disassemble_one(octets.ljust(SLOT, b"\x90"), pc)
        assert one.length == len(octets)
        assert one.text == text or known(text, one), octets.hex()


def test_names_are_unique() -> None:
    names = [form.name for form in forms()]
    assert len(names) == len(set(names))


def test_octets_that_are_cut_off() -> None:
    assert [one.text for _, one in disassemble(b"\x90\xb8\x01", 0)][:2] == ["nop", "(bad)"]
    with pytest.raises(TooShort):
        disassemble_one(b"\xb8\x01")
