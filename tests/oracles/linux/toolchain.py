"""Static programs for the processors, by Debian's compilers; they come with setup/packages."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.oracles.linux.i386 import I386Process
from tests.oracles.linux.mips import MipsProcess
from tests.oracles.linux.ppc import AltivecProcess, PpcProcess
from tests.oracles.linux.process import Process


@dataclass(frozen=True)
class Toolchain:
    """A compiler, and what runs its programs."""

    compiler: str
    process: type[Process]
    flags: tuple[str, ...] = ()

    def build(self, target: Path, sources: Sequence[Path], *flags: str) -> Path:
        """Compile and link.

        Raises:
            CalledProcessError: with the compiler's words in `stderr`.
        """
        command: list[str | Path] = [self.compiler, *self.flags, "-static", "-O2", "-w", "-o", target, *sources, *flags]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return target


KERNEL_HEADERS = "/usr/include/x86_64-linux-gnu"
"""<asm/…> is there. Debian's gcc-multilib has a link to it, but cannot be installed beside cross compilers."""
I386_FLAGS = ("-m32", "-march=pentium3", "-mfpmath=387", "-fno-pie", "-no-pie", "-isystem", KERNEL_HEADERS)

TOOLCHAINS = {
    "i386": Toolchain("gcc", I386Process, I386_FLAGS),
    "mips": Toolchain("mipsel-linux-gnu-gcc", MipsProcess),
    "ppc": Toolchain("powerpc-linux-gnu-gcc", PpcProcess),
    "7400": Toolchain("powerpc-linux-gnu-gcc", AltivecProcess, ("-maltivec", "-mabi=altivec")),
}
