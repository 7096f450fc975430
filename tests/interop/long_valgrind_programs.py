"""Valgrind's tests of MIPS32's and PowerPC's instructions, on our processors: they print what valgrind's files expect.

Part of `make test-programs`. The sources come from Debian's source package (GPL; nothing of them is here), compiled by
its cross compilers. Where valgrind's file is another processor's, the oracle is QEMU's user emulation of ours.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.oracles.debian_source import VALGRIND
from tests.oracles.linux.process import Process
from tests.oracles.linux.toolchain import TOOLCHAINS
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop, pytest.mark.slow]
BUDGET = 1_000_000_000
QEMU = {
    "mips": ("qemu-mipsel-static", "-cpu", "24Kf"),
    "ppc": ("qemu-ppc-static", "-cpu", "750"),
    "7400": ("qemu-ppc-static", "-cpu", "7400"),
}
FOLDERS = {"mips": "mips32", "ppc": "ppc32", "7400": "ppc32"}
JM = ("-O1", "-mregnames", "-maltivec", "-mabi=altivec", "-DHAS_ALTIVEC")


@dataclass(frozen=True)
class Case:
    """A program.

    Attributes:
        expected: valgrind's file; empty: QEMU's output.
        source: the C file, if it is not named as the test.
        undefined: instructions that it has and the 750 has not.
        without: lines, on both sides, that are not compared; the reason stands beside.
    """

    test: str
    expected: str
    flags: tuple[str, ...] = ("-O0",)
    arguments: tuple[str, ...] = ()
    source: str = ""
    undefined: frozenset[int] = frozenset()
    without: str = ""
    lines: int = 0


MIPS = (
    Case("FPUarithmetic", "FPUarithmetic.stdout.exp", lines=1601),
    Case("LoadStore", "LoadStore.stdout.exp", lines=464),
    Case("LoadStore1", "LoadStore1.stdout.exp-LE", lines=464),
    Case("MIPS32int", "MIPS32int.stdout.exp-mips32r2-LE", lines=1578),
    Case("MemCpyTest", "MemCpyTest.stdout.exp", lines=25),
    Case("MoveIns", "MoveIns.stdout.exp-mips32r2-LE", lines=373),
    Case("SignalException", "SignalException.stderr.exp", lines=3),
    Case("block_size", "block_size.stdout.exp", lines=2),
    Case("branches", "branches.stdout.exp", lines=431),
    Case("change_fp_mode", "change_fp_mode.stdout.exp-fpu32", lines=1),
    Case("fpu_branches", "fpu_branches.stdout.exp", lines=980),
    Case("round", "round.stdout.exp", lines=1562),
    Case("round_fpu64", "round_fpu64.stdout.exp", ("-O0", "-mfp64"), lines=1961),
    Case("round_fpu64", "round_fpu64.stdout.exp-fpu32", lines=1),
    Case("test_fcsr", "test_fcsr.stdout.exp", lines=1),
    Case("unaligned_load_store", "unaligned_load_store.stdout.exp-LE", lines=32),
    Case("vfp", "vfp.stdout.exp-mips32r2-LE", lines=182),
    Case("vfp", "vfp.stdout.exp-mips32r2-fpu_64-LE", ("-O0", "-mfp64"), lines=239),
)
POPCNTB, FSQRT = 0x7DD1_00F4, 0xFE20_702C
PPC = (
    Case("bug139050-ppc32", "bug139050-ppc32.stdout.exp", lines=1),
    Case("data-cache-instructions", "data-cache-instructions.stdout.exp", lines=3),
    # fsqrt is no instruction of a 750.
    Case(
        "jm-fp",
        "jm-fp.stdout.exp-BE2",
        JM,
        ("-f",),
        "jm-insns",
        frozenset({FSQRT}),
        "fsqrt",
        1415,
    ),
    # popcntb came with POWER5
    Case("jm-int", "jm-int.stdout.exp", JM, ("-i",), "jm-insns", frozenset({POPCNTB}), "popcntb [0-9a-f]", 633),
    Case("jm-int-sh_algebraic", "jm-int-sh_algebraic.stdout.exp", JM, ("-s",), "jm-insns", lines=45),
    Case("jm-int_other", "jm-int_other.stdout.exp", JM, ("-l", "-L", "-c"), "jm-insns", lines=924),
    Case("jm-mfspr", "jm-mfspr.stdout.exp", JM, ("-M",), "jm-insns", lines=13),
    Case("jm-misc", "jm-misc.stdout.exp", JM, ("-m",), "jm-insns", lines=8),
    Case("ldstrev", "ldstrev.stdout.exp", lines=8),
    Case("lsw", "lsw.stdout.exp", lines=54),
    Case("mcrfs", "", lines=32),  # the file's processor has no FPSCR[NI]
    Case("mftocrf", "", lines=65),  # the file's has mfocrf
    # fsqrt again
    Case("round", "round.stdout.exp", undefined=frozenset({0xFC00_002C}), without="fsqrt|\texpected", lines=2279),
    Case("tw", "tw.stdout.exp", lines=96),
    Case("twi", "twi.stdout.exp", lines=96),
    Case("xlc_dbl_u32", "xlc_dbl_u32.stdout.exp", lines=1),
)
ALTIVEC = (
    Case("bug129390-ppc32", "bug129390-ppc32.stdout.exp", lines=2),
    # an estimate: ours is nearer, but not the 7400's
    Case(
        "jm-vmx",
        "jm-vmx.stdout.exp",
        JM,
        ("-a",),
        "jm-insns",
        without="vlogefp:  => (c2f2d4|420e57)",
        lines=3662,
    ),
    Case("testVMX", "testVMX.stdout.exp", ("-O1", "-DALTIVEC", "-DGCC_COMPILER"), lines=507),
)
NOT_RUN = {
    **dict.fromkeys(("MIPS32r6int", "branch_pc", "branches_r6", "fp_r6", "pc_instructions_r6"), "MIPS32 release 6"),
    **dict.fromkeys(("mips32_dsp", "mips32_dspr2"), "the 24Kf has no DSP instructions"),
    **dict.fromkeys(
        ("msa_arithmetic", "msa_comparison", "msa_data_transfer", "msa_fpu", "msa_logical_and_shift", "msa_shuffle"),
        "the 24Kf has no MSA",
    ),
    "bug320057-mips32": "shared memory: the harness has no files",
    "test_math": "C++, of which no cross compiler is asked for",
    **dict.fromkeys(("jm_fp_isa_2_07", "jm_int_isa_2_07", "jm_vec_isa_2_07", "test_isa_2_07_part2"), "POWER8"),
    **dict.fromkeys(("test_isa_2_06_part1", "test_isa_2_06_part2", "test_isa_2_06_part2-div"), "POWER7"),
    **dict.fromkeys(("test_isa_2_06_part3", "test_isa_2_06_part3-div"), "POWER7"),
    **dict.fromkeys(("test_tm", "test_touch_tm"), "transactional memory"),
    **dict.fromkeys(("power5+_round", "power6_bcmp", "test_fx", "test_gx"), "instructions of POWER4 to 6"),
    **dict.fromkeys(("test_dfp1", "test_dfp2", "test_dfp3", "test_dfp4", "test_dfp5"), "decimal floating point"),
    "ldst_multiple": "changes registers behind the compiler's back: dies with Debian's on QEMU, too",
}


@pytest.fixture(scope="module")
def tree() -> Path:
    return VALGRIND.unpacked()


def build(isa: str, case: Case, tree: Path, target: Path) -> Path:
    sources = tree / "none" / "tests" / FOLDERS[isa]
    flags = (*case.flags, f"-I{tree}", f"-I{tree / 'include'}", "-g" if isa == "mips" else "-mregnames", "-lm")
    return TOOLCHAINS[isa].build(target, [sources / f"{case.source or case.test}.c"], *flags)


def without(pattern: str, text: str) -> list[str]:
    return [line for line in text.splitlines() if not (pattern and re.search(pattern, line))]


def name_of(case: Case) -> str:
    return f"{case.test}{''.join(flag for flag in case.flags if flag == '-mfp64')}"


def check(isa: str, case: Case, tree: Path, tmp_path: Path, need_tool: NeedTool) -> None:
    program = build(isa, case, tree, tmp_path / case.test)
    process: Process = TOOLCHAINS[isa].process(program.read_bytes(), (case.test, *case.arguments))
    process.undefined = [] if case.undefined else None
    assert process.run(BUDGET) == (1 if case.without.startswith("fsqrt|\t") else 0), process.end
    assert set(process.undefined or ()) == case.undefined
    if case.expected:
        expected = (tree / "none" / "tests" / FOLDERS[isa] / case.expected).read_text("latin-1")
    else:
        command = [*QEMU[isa], str(program), *case.arguments]
        need_tool(command[0])
        expected = subprocess.run(command, check=True, capture_output=True).stdout.decode("latin-1")
    output = process.errors if ".stderr." in case.expected else process.output
    ours = without(case.without, output.decode("latin-1"))
    assert ours == without(case.without, expected)
    assert len(ours) == case.lines


@pytest.mark.parametrize("case", MIPS, ids=name_of)
def test_mips(case: Case, tree: Path, tmp_path: Path, need_tool: NeedTool) -> None:
    need_tool(TOOLCHAINS["mips"].compiler)
    check("mips", case, tree, tmp_path, need_tool)


@pytest.mark.parametrize("case", PPC, ids=name_of)
def test_ppc(case: Case, tree: Path, tmp_path: Path, need_tool: NeedTool) -> None:
    need_tool(TOOLCHAINS["ppc"].compiler)
    check("ppc", case, tree, tmp_path, need_tool)


@pytest.mark.parametrize("case", ALTIVEC, ids=name_of)
def test_altivec(case: Case, tree: Path, tmp_path: Path, need_tool: NeedTool) -> None:
    need_tool(TOOLCHAINS["7400"].compiler)
    check("7400", case, tree, tmp_path, need_tool)


def test_every_program_is_run_or_has_a_reason(tree: Path) -> None:
    for isa, cases in (("mips", MIPS), ("ppc", (*PPC, *ALTIVEC))):
        there = {path.stem for path in (tree / "none" / "tests" / FOLDERS[isa]).glob("*.vgtest")}
        run = {case.test for case in cases}
        assert there - run <= NOT_RUN.keys()
        assert not run & NOT_RUN.keys()
