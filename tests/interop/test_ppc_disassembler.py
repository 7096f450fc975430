"""The disassembler beside GNU objdump: all rows of the instruction table with random operands, and a program."""

import random
import re
import struct
import subprocess
from pathlib import Path

import pytest

from emulators.cpus.ppc.disassembler import Row, disassemble, instructions
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop]
CASES = 40
ADDRESS = 0x100000
LATER = dict.fromkeys(("bclr", "bclrl", "bcctr", "bcctrl", "lwarx", "dcbf", "dcbt", "dcbtst", "mtmsr"), ",0") | {
    "mtfsf": ",0,0",
    "mtfsf.": ",0,0",
    "mtfsfi": ",0",
    "mtfsfi.": ",0",
    "tlbie": ",r0,0,0,0",
    "mfcr": ",-1",
    "sync": "\t0,0",
    "sc": "\t0",
}
"""Operands that objdump shows for processors that came later."""
UPDATING_LOADS = re.compile(r"l(bz|hz|ha|wz|fs|fd)ux?$")
DIALECTS = {"750": "raw,750", "7400": "raw,750,altivec"}
"""To objdump a 7400 is one of later processors, with their operands."""
BRANCHES = (0, 2, 4, 8, 10, 12, 16, 18, 20)
"""BO without the bits that are reserved, or a hint (PEM table 8-6)."""
HINTED = re.compile(r"bc(lr|ctr)?l?\t\d?[13579],")
"""A BO with a hint, which objdump shows with its aliases only."""
TIME_BASE = (268, 269)


def objdump(tool: str, octets: bytes, directory: Path, model: str = "750", address: int = ADDRESS) -> list[str]:
    """Its text of every word."""
    path = directory / "text"
    path.write_bytes(octets)
    arguments = ["-D", "-z", "-b", "binary", "-m", "powerpc:common", "-EB", "-M", DIALECTS[model]]
    command = [tool, *arguments, f"--adjust-vma={address}", str(path)]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    texts = []
    for line in listing.splitlines():
        if ":\t" in line:
            text = re.sub(r"\s+", "\t", " ".join(line.split("\t")[2:]).strip(), count=1)
            texts.append(text.removesuffix(LATER.get(text.partition("\t")[0], "\n")))
    return texts


def is_valid(row: Row, word: int) -> bool:
    """The manual calls other forms invalid; objdump shows some of them as POWER's instructions, or as data."""
    d, a, b = word >> 21 & 31, word >> 16 & 31, word >> 11 & 31
    number = b << 5 | a
    match row.name:
        case "bc" | "bclr":
            return d in BRANCHES
        case "bcctr":
            return d in BRANCHES and bool(d & 4)
        case "mftb":
            return number in TIME_BASE
        case "lmw":
            return a < d
        case "lswx":
            return d not in (a, b)
        case "lswi":
            registers = ((b or 32) + 3) // 4
            return (a - d) % 32 >= registers
        case name if UPDATING_LOADS.match(name):
            return a != 0 and (a != d or name.startswith("lf"))
        case name:
            return a != 0 or not re.match(r"st\w+ux?$", name)


def words_of(row: Row, chance: random.Random) -> list[int]:
    """Valid ones, with random operands."""
    words: list[int] = []
    for _ in range(1000 * CASES):
        word = row.value | chance.getrandbits(32) & row.operands
        if row.name == "mftb":
            word = row.value | word & 31 << 21 | (chance.choice(TIME_BASE) & 31) << 16 | 8 << 11
        if is_valid(row, word):
            words.append(word)
        if len(words) == CASES:
            break
    return words


@pytest.mark.parametrize("model", ["7400", "750"])
def test_the_same_text_as_objdump_for_every_row(model: str, tmp_path: Path, need_tool: NeedTool) -> None:
    chance = random.Random(5)
    words = [word for row in instructions(model) for word in words_of(row, chance)]
    assert len(words) == CASES * len(instructions(model))
    octets = struct.pack(f">{len(words)}I", *words)
    theirs = objdump(need_tool("powerpc-linux-gnu-objdump"), octets, tmp_path, model)
    ours = disassemble(octets, ADDRESS, model)
    different = [
        f"{word:08x}: {one!r}, ours {other!r}"
        for word, one, other in zip(words, theirs, ours, strict=True)
        if one != other
    ]
    assert different == []


def test_the_same_text_as_objdump_over_a_program(tmp_path: Path, need_tool: NeedTool) -> None:
    """With a C library: what the 750 does not have (64-bit, VSX, transactions) is data for us, and not for objdump."""
    source, program = tmp_path / "a.c", tmp_path / "a"
    source.write_text('#include <stdio.h>\nint main(void) { return printf("%f", 1.0) + scanf("%*s"); }\n')
    subprocess.run([need_tool("powerpc-linux-gnu-gcc"), "-O2", "-static", "-o", program, source], check=True)
    copy: list[str | Path] = [
        need_tool("powerpc-linux-gnu-objcopy"),
        "-O",
        "binary",
        "-j",
        ".text",
        program,
        tmp_path / "copy",
    ]
    subprocess.run(copy, check=True)
    octets = (tmp_path / "copy").read_bytes()
    theirs = objdump(need_tool("powerpc-linux-gnu-objdump"), octets, tmp_path)
    ours = disassemble(octets, ADDRESS)
    names = {row.name for row in instructions()}
    different = {
        f"{one!r}, ours {other!r}"
        for one, other in zip(theirs, ours, strict=True)
        if one != other
        and not (other.startswith(".long") and one.partition("\t")[0].rstrip(".") not in names)
        and not (one.startswith(".long") and HINTED.match(other))
    }
    assert different == set()
    assert sum(not text.startswith(".long") for text in ours) > 50_000
