"""Floating point by the guest's instructions beside the host's: 80, 64 and 32 bits, all roundings, all precisions.

One static program (`float_operations.c`) is run natively and on the engine. It puts boundary operands of TestFloat's
kinds through 62 instructions of the x87 and SSE in each of their 12 and 16 modes, and prints a sum over results and
flags for each. A sum that differs is looked into: the first operands with another result.

`FLOAT_CASES` is how many operands an instruction gets in each mode (`make test-programs` has more).
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.oracles.linux.i386 import I386Process
from tests.oracles.linux.toolchain import TOOLCHAINS
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
SOURCE = Path(__file__).parents[1] / "emulators" / "programs" / "linux_user" / "float_operations.c"
CASES = int(os.environ.get("FLOAT_CASES", "100"))
SEED = os.environ.get("FLOAT_SEED", "1")
BLOCKS = 32 * 12 + 30 * 16
BUDGET = 1_000_000_000_000


def natively(program: Path, arguments: list[str]) -> list[str]:
    return subprocess.run([program, *arguments], capture_output=True, check=True, text=True).stdout.splitlines()


def emulated(program: Path, arguments: list[str]) -> list[str]:
    process = I386Process(program.read_bytes(), (str(program), *arguments), sse2=True)
    assert process.run(BUDGET) == 0, process.end
    return bytes(process.output).decode().splitlines()


def first_difference(program: Path, block: str) -> str:
    name, mode, _ = block.split()
    arguments = [str(CASES), SEED, name, mode]
    ours, theirs = emulated(program, arguments), natively(program, arguments)
    pairs = (pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1])
    one, other = next(pairs, ("the same in detail", ""))
    return f"{name} in mode {mode}: operands, result, flags:\n    {one}\n    natively\n    {other}"


def test_results_and_flags_are_the_hosts(tmp_path: Path, need_tool: NeedTool) -> None:
    need_tool("gcc")
    program = TOOLCHAINS["i386"].build(tmp_path / "float_operations", [SOURCE])
    arguments = [str(CASES), SEED]
    ours, theirs = emulated(program, arguments), natively(program, arguments)
    assert len({block.split()[2] for block in theirs}) > BLOCKS // 2, "most modes show in the results"
    assert (len(ours), len(theirs)) == (BLOCKS, BLOCKS)
    wrong = [one for one, other in zip(ours, theirs, strict=True) if one != other]
    report = "\n".join(first_difference(program, block) for block in wrong[:10])
    assert not wrong, f"{len(wrong)} of {BLOCKS} blocks\n{report}"
