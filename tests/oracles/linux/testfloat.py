"""TestFloat 3e for a processor's floating point: John Hauser's `testfloat`, compiled for it, runs on it.

In the guest, SoftFloat computes with integers what is expected, and C's operators (the processor's instructions)
what is compared with it, flags included. The sources (BSD) are in Debian's source package of QEMU; nothing of them is
here. Two changes are made when it is built: QEMU's copy of testfloat.c names the flags of `slowfloat`, which is not
linked, instead of SoftFloat's; on MIPS, SoftFloat's macros of signaling NaNs are those of before 2008.
"""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from tests.oracles.debian_source import QEMU
from tests.oracles.linux.toolchain import TOOLCHAINS

SOURCES = replace(QEMU, members=("*/tests/fp/berkeley-*",))
PLATFORM = "Linux-386-GCC"
"""Its makefiles and options are good for every 32-bit processor with this compiler."""
SPECIALIZE = "8086-SSE"
SOFTFLOAT = "-DSOFTFLOAT_ROUND_ODD -DINLINE_LEVEL=5 -DSOFTFLOAT_FAST_DIV32TO16 -DSOFTFLOAT_FAST_DIV64TO32 -O2"
SOFTFLOAT_FOLDERS = f"-I. -I../../source/{SPECIALIZE} -I../../source/include"
TESTFLOAT = "-std=gnu99 -DFLOAT64 -O2 -fno-math-errno -frounding-math -ffp-contract=off"
TESTFLOAT_FOLDERS = "-I. -I../../source/subj-C -I../../source -I../../../berkeley-softfloat-3/source/include"
FLAGS = "-Dslowfloat_exceptionFlags=softfloat_exceptionFlags"
OLD_NANS = {
    r"(#define softfloat_isSigNaNF32UI).*": r"\1( a ) (((a) & 0x7FC00000) == 0x7FC00000)",
    r"(#define softfloat_isSigNaNF64UI).*": r"\1( a ) (((a) >> 51 & 0xFFF) == 0xFFF)",
}


def build(isa: str, folder: Path) -> Path:
    """The program.

    Args:
        isa: one of `TOOLCHAINS`.
        folder: a new one.

    Raises:
        CalledProcessError: with the words of make in `stderr`.
    """
    shutil.copytree(SOURCES.unpacked() / "tests" / "fp", folder)
    soft, test = folder / "berkeley-softfloat-3", folder / "berkeley-testfloat-3"
    compiler = TOOLCHAINS[isa].compiler
    archiver = f"MAKELIB={compiler.removesuffix('gcc')}ar crs $@"
    if isa == "ppc":
        for part in (soft, test):
            platform = part / "build" / PLATFORM / "platform.h"
            platform.write_text(platform.read_text().replace("#define LITTLEENDIAN 1", ""))
    if isa == "mips":
        header = soft / "source" / SPECIALIZE / "specialize.h"
        text = header.read_text()
        for pattern, replacement in OLD_NANS.items():
            text, count = re.subn(pattern, replacement, text)
            assert count == 1, pattern
        header.write_text(text)
    flags = " ".join(TOOLCHAINS[isa].flags)
    compile_soft = f"COMPILE_C={compiler} -c -w {flags} {SOFTFLOAT} {SOFTFLOAT_FOLDERS} -o $@"
    compile_test = f"COMPILE_C={compiler} -c -w {flags} {FLAGS} {TESTFLOAT} {TESTFLOAT_FOLDERS} -o $@"
    link = f"LINK={compiler} {flags} -static -o $@"
    make(soft / "build" / PLATFORM, archiver, compile_soft, f"SPECIALIZE_TYPE={SPECIALIZE}")
    make(test / "build" / PLATFORM, archiver, compile_test, link, "testfloat")
    return test / "build" / PLATFORM / "testfloat"


def make(folder: Path, *arguments: str) -> None:
    command = ["make", "-s", "-j2", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
