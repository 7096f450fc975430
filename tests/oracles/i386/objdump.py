"""Our disassembler beside GNU binutils' objdump.

    python -m tests.oracles.i386.objdump FILE…     sections of code of i386 ELF files

Exit status 1: a text differs, other than by `known`.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from emulators.cpus.i386.disassembler import SEGMENT_PREFIXES, Instruction, disassemble

LINE = re.compile(r"^ *([0-9a-f]+):\t(.*)$")
SYMBOL = re.compile(r" *(<[^>]*>|#.*)")


def objdump(file: Path, *arguments: str) -> dict[int, str]:
    """Address → text, without symbols."""
    command: list[str | Path] = ["objdump", "-M", "intel", "--no-show-raw-insn", "-w", *arguments, file]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {int(match[1], 16): SYMBOL.sub("", match[2]).rstrip() for line in lines if (match := LINE.match(line))}


ALIASES = {"fxch", "fstp1", "fstp", "fcom", "fcomp", "sfence", "lfence", "mfence", "salc"}
"""Processors do at some other encodings what they do at the manual's."""


def known(theirs: str, ours: Instruction) -> str | None:
    """Why a difference is none of ours; None: it is."""
    if ours.form is None:
        return "an instruction of later processors"
    if theirs.startswith(("tzcnt", "lzcnt")):
        return "a prefix without effect, which makes it another instruction for later processors"
    if ours.text == "fwait":
        return "WAIT and what follows it under one name"
    if theirs.split(" ")[-1] in ("lock", "rep", "repz", "repnz", "data16", "addr16", *SEGMENT_PREFIXES.values()):
        return "a prefix that binutils takes for an instruction of its own"
    if "(bad)" in theirs and ours.form.mnemonic in ALIASES:
        return "an encoding that the manual does not tell of"
    if ours.form.mnemonic == "nop" and ours.form.opcode[:1] == b"\x0f":
        return "a hint, for which later processors have names"
    return None


def sections(file: Path) -> list[tuple[int, bytes]]:
    """Address and octets of the sections with code."""
    lines = subprocess.run(["objdump", "-h", "-w", file], check=True, capture_output=True, text=True).stdout
    octets = file.read_bytes()
    found = []
    for line in lines.splitlines():
        fields = line.split()
        if len(fields) > 6 and fields[0].isdigit() and "CODE" in line and "CONTENTS" in line:
            size, address, offset = int(fields[2], 16), int(fields[3], 16), int(fields[5], 16)
            found.append((address, octets[offset : offset + size]))
    return found


def compare(octets: bytes, address: int, directory: Path) -> tuple[int, Counter[str], list[str]]:
    """(instructions that are the same, known differences by reason, others) of code at `address`.

    Behind a difference both go on where objdump does.
    """
    file = directory / "code"
    file.write_bytes(octets)
    theirs = objdump(file, "-D", "-z", "-b", "binary", "-m", "i386", f"--adjust-vma={address:#x}")
    same, reasons, wrong = 0, Counter[str](), []
    for at, one in disassemble(octets, address):
        text = theirs.get(at)
        if text is None:
            continue
        if text == one.text:
            same += 1
        elif reason := known(text, one):
            reasons[reason] += 1
        else:
            code = octets[at - address : at - address + one.length].hex()
            wrong.append(f"{at:#x}: {code}: {one.text!r}, not {text!r}")
    return same, reasons, wrong


def main(arguments: list[str]) -> int:
    """All files."""
    good = True
    for name in arguments:
        for address, octets in sections(Path(name)):
            with tempfile.TemporaryDirectory() as directory:
                same, reasons, wrong = compare(octets, address, Path(directory))
            told = [f"{name}, {address:#x}: {same:,} the same, {len(wrong):,} others, known: {dict(reasons)}"]
            sys.stdout.write("\n  ".join((*told, *wrong[:30])) + "\n")
            good = good and not wrong
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
