"""QEMU's and valgrind's test programs for the i386, natively and on the engine under a Linux of ours: the same output.

The sources (GPL) are Debian's, fetched by apt (`tests.oracles.debian_source`); nothing of them is here. Part of
`make test-programs`.

QEMU's `test-i386` prints results and flags of some thousand instructions, of segments, exceptions, signals and
virtual-8086 mode's neighbours; the others print nothing unless something is wrong, and say so in their status. Not
here, for want of the instructions: test-i386-fisttp and -fp-exceptions (SSE3), -ssse3, -sse-exceptions and -pcmpistri
(SSE4), -bmi2, -adcox. Nor test-i386-fprem: it takes many minutes, and was not run to its end.

valgrind's `insn_*.def` become programs by its own generator; every line says "ok". Not here: insn_sse3, insn_ssse3.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.oracles.debian_source import QEMU, VALGRIND
from tests.oracles.linux.i386 import I386Process
from tests.oracles.linux.toolchain import TOOLCHAINS
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop, pytest.mark.slow]
BUDGET = 100_000_000_000
UNDEFINED = re.compile(r"sh[lr]dw .* C=000000(1[1-9a-f]) ")
"""A shift of two words by more than 16: SDM volume 2, SHLD, "the result is undefined". We have what Intel's have (and
QEMU), AMD's have something else."""
SILENT = (
    *("f2xm1", "fbstp", "fldcst", "fpatan", "fscale", "fxam", "fxtract", "fyl2x", "fyl2xp1"),
    *("pseudo-denormal", "snan-convert"),
)
DEFINITIONS = ("basic", "cmov", "fpu", "mmx", "mmxext", "sse", "sse2")


def natively(program: Path) -> tuple[int, list[str]]:
    done = subprocess.run([program], capture_output=True, check=False, text=True, errors="replace")
    return done.returncode, done.stdout.splitlines()


def emulated(program: Path) -> tuple[int, list[str]]:
    process = I386Process(program.read_bytes(), (str(program),), sse2=True)
    status = process.run(BUDGET)
    return status, bytes(process.output).decode(errors="replace").splitlines()


def test_qemus_test_i386(tmp_path: Path, need_tool: NeedTool) -> None:
    need_tool("gcc")
    folder = QEMU.unpacked() / "tests" / "tcg" / "i386"
    names = ("test-i386.c", "test-i386-code16.S", "test-i386-vm86.S")
    program = TOOLCHAINS["i386"].build(
        tmp_path / "test-i386", [folder / name for name in names], "-fno-strict-aliasing", "-lm"
    )
    status, expected = natively(program)
    assert status == 0
    assert len(expected) > 4000
    status, lines = emulated(program)
    assert (status, len(lines)) == (0, len(expected))
    pairs = zip(lines, expected, strict=True)
    wrong = [f"{one}\n    natively {two}" for one, two in pairs if one != two and not UNDEFINED.match(two)]
    assert not wrong, f"{len(wrong)} lines:\n" + "\n".join(wrong[:40])


@pytest.mark.parametrize("name", SILENT)
def test_qemus_programs_that_find_mistakes_themselves(name: str, tmp_path: Path, need_tool: NeedTool) -> None:
    need_tool("gcc")
    source = QEMU.unpacked() / "tests" / "tcg" / "i386" / f"test-i386-{name}.c"
    program = TOOLCHAINS["i386"].build(tmp_path / name, [source], "-fno-strict-aliasing", "-lm")
    assert natively(program) == (0, []), "the host's processor fails itself"
    assert emulated(program) == (0, [])


@pytest.mark.parametrize("name", DEFINITIONS)
def test_valgrinds_instructions(name: str, tmp_path: Path, need_tool: NeedTool) -> None:
    need_tool("gcc")
    folder = VALGRIND.unpacked() / "none" / "tests" / "x86"
    source = tmp_path / f"{name}.c"
    with (folder / f"insn_{name}.def").open() as definition, source.open("w") as generated:
        script = folder / "gen_insn_test.pl"
        subprocess.run([need_tool("perl"), script], stdin=definition, stdout=generated, check=True)
    program = TOOLCHAINS["i386"].build(tmp_path / name, [source], "-O1", "-msse2", "-lm")
    status, lines = emulated(program)
    expected = (folder / f"insn_{name}.stdout.exp").read_text().splitlines()
    assert lines == expected
    assert all(line.endswith(" ... ok") for line in lines), "valgrind's own expectation has a failure"
    assert (status, lines) == natively(program)
