"""TestFloat 3e, built for the i386, tests our floating point: it says of each function what it says natively.

`TESTFLOAT` is a directory with static 32-bit builds of its program `testfloat` (any names: one for the x87, one for
SSE2). BSD, but in no Debian package: nothing of it is here. Part of `make test-programs`.

With SSE all functions are free of errors but those of the compiler's conversions to unsigned integers, natively as
well; on the x87, 32 and 64 bits are rounded twice, natively as well. So the texts are compared, every line.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.oracles.linux.i386 import I386Process

pytestmark = [pytest.mark.interop, pytest.mark.slow]
VARIABLE = "TESTFLOAT"
BUDGET = 1_000_000_000_000
OPTIONS = ("-checkAll", "-tininessafter")


def programs() -> list[Path]:
    directory = os.environ.get(VARIABLE)
    if directory is None:
        pytest.skip(
            f"{VARIABLE} does not name a directory with builds of Berkeley TestFloat (no Debian package has it)"
        )
    found = sorted(file for file in Path(directory).iterdir() if file.is_file() and os.access(file, os.X_OK))
    assert found, f"{VARIABLE}: no program in {directory}"
    return found


@pytest.mark.parametrize("functions", ["-all1", "-all2"])
def test_testfloat_says_what_it_says_natively(functions: str) -> None:
    for program in programs():
        arguments = (*OPTIONS, functions)
        native = subprocess.run([program, *arguments], capture_output=True, check=False, text=True)
        expected = native.stdout.splitlines()
        assert sum("no errors found in extF80" in line for line in expected) >= 10, native.stderr
        process = I386Process(program.read_bytes(), (str(program), *arguments), sse2=True)
        status = process.run(BUDGET)
        ours = bytes(process.output).decode().splitlines()
        pairs = zip(ours, expected, strict=False)
        assert next(((one, other) for one, other in pairs if one != other), None) is None, program
        assert (status, len(ours)) == (native.returncode, len(expected))
