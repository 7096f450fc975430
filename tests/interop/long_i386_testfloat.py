"""Berkeley TestFloat 3e, built for the i386, tests our floating point: it says of each function what it says natively.

The sources (BSD) are in Debian's of QEMU (`tests/fp`), fetched by apt and built twice: with arithmetic of the x87, and
of SSE. Part of `make test-programs`.

With SSE all functions are free of errors but for the compiler's conversions to unsigned integers, natively as well; on
the x87, numbers of 32 and 64 bits are rounded twice, natively as well. So the texts are compared, every line.
"""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.oracles.debian_source import QEMU
from tests.oracles.linux.i386 import I386Process
from tests.oracles.linux.toolchain import I386_FLAGS
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop, pytest.mark.slow]
SOURCES = replace(QEMU, members=("*/tests/fp/berkeley-*",))
BUDGET = 1_000_000_000_000
OPTIONS = ("-checkAll", "-tininessafter")
UNITS = {"sse": ("-msse2", "-mfpmath=sse"), "x87": ("-mfpmath=387",)}
PLATFORM = Path("build") / "Linux-386-GCC"


def build(tmp_path: Path, unit: str, need_tool: NeedTool) -> Path:
    make = need_tool("make")
    need_tool("gcc")
    shutil.copytree(SOURCES.unpacked() / "tests" / "fp", tmp_path, dirs_exist_ok=True)
    softfloat, testfloat = (tmp_path / f"berkeley-{name}-3" for name in ("softfloat", "testfloat"))
    compiler = " ".join(("gcc -c -w -O2 -I.", *I386_FLAGS, *UNITS[unit]))

    def run(directory: Path, *words: str) -> None:
        command = [make, "-s", "-C", str(directory / PLATFORM), *words]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    includes = "-I../../source/8086-SSE -I../../source/include"
    options = "-DSOFTFLOAT_FAST_DIV32TO16 -DSOFTFLOAT_FAST_DIV64TO32"
    run(softfloat, "SPECIALIZE_TYPE=8086-SSE", f"COMPILE_C={compiler} {options} {includes} -o $@")
    includes = "-I../../source/subj-C -I../../source -I../../../berkeley-softfloat-3/source/include"
    options = "-DFLOAT64 -DEXTFLOAT80 -DLONG_DOUBLE_IS_EXTFLOAT80 -frounding-math"
    options += " -Dslowfloat_exceptionFlags=softfloat_exceptionFlags"
    link = " ".join(("LINK=gcc", *I386_FLAGS, "-static -o $@"))
    run(testfloat, "testfloat", f"COMPILE_C={compiler} {options} {includes} -o $@", link)
    return testfloat / PLATFORM / "testfloat"


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_testfloat_says_what_it_says_natively(unit: str, tmp_path: Path, need_tool: NeedTool) -> None:
    program = build(tmp_path, unit, need_tool)
    for functions in ("-all1", "-all2"):
        arguments = (*OPTIONS, functions)
        native = subprocess.run([program, *arguments], capture_output=True, check=False, text=True)
        expected = native.stdout.splitlines()
        assert sum("no errors found in extF80" in line for line in expected) >= 10, native.stderr
        process = I386Process(program.read_bytes(), (str(program), *arguments), sse2=True)
        status = process.run(BUDGET)
        ours = bytes(process.output).decode().splitlines()
        pairs = zip(ours, expected, strict=False)
        assert next(((one, other) for one, other in pairs if one != other), None) is None
        assert (status, len(ours)) == (native.returncode, len(expected))
