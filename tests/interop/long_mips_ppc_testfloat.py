"""TestFloat on the FPUs of the 24Kf and the 750: results and flags are SoftFloat's, in every rounding.

Part of `make test-programs`. The 24Kf finds a number tiny behind rounding, PowerPC before (PEM 3.3.6.2.2). NaNs are
compared as NaNs; which ones, the tests beside Unicorn look at.

Not here: on PowerPC, < and <= (Debian's compiler makes fcmpu of both, which does not signal quiet NaNs), f32_to_f64
(it is a load, which does not quiet), and conversions from integers (a subtraction, whose zero has a sign); square roots
there are the C library's. On MIPS, f32_mulAdd and f64_mulAdd (no fused instruction). Remainders and rounding to
integers are no instructions of either.
"""

from pathlib import Path

import pytest

from tests.oracles.linux.testfloat import build
from tests.oracles.linux.toolchain import TOOLCHAINS
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop, pytest.mark.slow]
BUDGET = 2_000_000_000
TININESS = {"mips": "-tininessafter", "ppc": "-tininessbefore"}
ROUNDINGS = ("near_even", "minMag", "min", "max")
ROUNDED = tuple(f"f{size}_{operation}" for size in (32, 64) for operation in ("add", "sub", "mul", "div", "sqrt"))
ROUNDED += ("f64_to_f32",)
PLAIN = ("f32_eq", "f64_eq", "f32_to_i32_rx_minMag", "f64_to_i32_rx_minMag")
ONLY_MIPS = ("i32_to_f64", "f32_lt", "f32_le", "f64_lt", "f64_le", "f32_to_f64")
CASES = [(isa, name, rounding) for isa in ("mips", "ppc") for name in ROUNDED for rounding in ROUNDINGS]
CASES += [("mips", "i32_to_f32", rounding) for rounding in ROUNDINGS]
CASES += [(isa, name, "") for isa in ("mips", "ppc") for name in PLAIN] + [("mips", name, "") for name in ONLY_MIPS]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    tool = NeedTool()
    for toolchain in TOOLCHAINS.values():
        tool(toolchain.compiler)
    folder = tmp_path_factory.mktemp("testfloat")
    return {isa: build(isa, folder / isa) for isa in ("mips", "ppc")}


@pytest.mark.parametrize(("isa", "function", "rounding"), CASES)
def test_floating_point(isa: str, function: str, rounding: str, programs: dict[str, Path]) -> None:
    arguments = [TININESS[isa], *([f"-r{rounding}"] if rounding else []), function]
    process = TOOLCHAINS[isa].process(programs[isa].read_bytes(), ("testfloat", *arguments))
    status = process.run(BUDGET)
    output = process.output.decode()
    assert (status, process.end) == (0, ""), output + process.errors.decode()
    assert " tests, no errors found in " in output
    assert int(output.split("In ")[1].split()[0]) > 300


def test_a_wrong_expectation_is_found(programs: dict[str, Path]) -> None:
    """With the other processor's tininess, the flags differ: the comparison is one."""
    for isa, other in (("mips", "ppc"), ("ppc", "mips")):
        process = TOOLCHAINS[isa].process(programs[isa].read_bytes(), ("testfloat", TININESS[other], "f64_to_f32"))
        assert process.run(BUDGET) == 1
        assert b"Errors found in f64_to_f32" in process.output
