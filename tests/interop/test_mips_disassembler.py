"""The disassembler beside GNU objdump, over every instruction of Debian's Malta kernel."""

import subprocess
from pathlib import Path

import pytest

from emulators.cpus.mips.disassembler import disassemble
from emulators.loaders.elf import EM_MIPS, Elf, read_elf
from emulators.loaders.malta import unpack
from tests.tools import NeedTool
from vde.image.store import pull

pytestmark = [pytest.mark.interop, pytest.mark.slow]

TEXT_OCTETS = 10 << 20
"""Of the kernel's image: the text, and read-only data behind it."""


def foreign(theirs: str, ours: str, names: set[str]) -> bool:
    """Is it data for the 24Kf, and for objdump an instruction of an extension, all of which it always knows?

    Another name than all of ours, or another accumulator (DSP), or a hint that the word is not valid (`d or t`).
    """
    name, _, operands = theirs.partition("\t")
    data = ours.startswith((".word", "c0\t", "c1\t", "c2\t"))
    return data and (name not in names or "$ac" in operands or " or " in operands)


def test_the_same_text_as_objdump_over_debians_kernel(tmp_path: Path, need_tool: NeedTool) -> None:
    objdump = need_tool("mipsel-linux-gnu-objdump")
    elf = unpack(
        read_elf(pull("debian-malta").kernel.read_bytes(), "vmlinuz", machine=EM_MIPS, big_endian=False), 64 << 20
    )
    assert isinstance(elf, Elf)
    (segment,) = elf.segments
    octets = segment.data[:TEXT_OCTETS]
    (tmp_path / "text").write_bytes(octets)
    arguments = ["-D", "-z", "-b", "binary", "-m", "mips:isa32r2", "-EL", f"--adjust-vma={segment.address:#x}"]
    listing = subprocess.run(
        [objdump, *arguments, tmp_path / "text"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    theirs = ["\t".join(line.split("\t")[2:]).strip() for line in listing if line[:1].isalnum() and ":\t" in line]
    ours = disassemble(octets, segment.address)
    assert len(theirs) == len(ours) == TEXT_OCTETS // 4
    names = {text.partition("\t")[0] for text in ours}
    different = [
        (hex(segment.address + 4 * number), one, other)
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True))
        if one != other and not foreign(one, other, names)
    ]
    assert different == []
    known = sum(not text.startswith(".word") for text in ours)
    assert known > len(ours) * 0.9
