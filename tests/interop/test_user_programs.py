"""Static Linux programs, made by Debian's compilers, on the bare processors: what they write, and how they end."""

import subprocess
from pathlib import Path

import pytest

from tests.oracles.linux.toolchain import TOOLCHAINS
from tests.tools import NeedTool
from vde.errors import ConfigError

pytestmark = pytest.mark.interop

SOURCE = Path(__file__).parents[1] / "emulators" / "programs" / "linux_user" / "hello.c"
BUDGET = 20_000_000
EFAULT, EBADF, ENOMEM = 14, 9, 12
MACHINES = {"i386": "i686", "mips": "mips", "ppc": "ppc", "7400": "ppc"}


def told(machine: str) -> str:
    return f"""hello world, 2, 0.666666667, m, 42
write to nowhere -1 {EFAULT}
write of too much -1 {EFAULT}
write to the end -1 {EFAULT}
write to a closed one -1 {EBADF}
writev from nowhere -1 {EFAULT}
mmap of too much -1 {ENOMEM}
uname 0 0
{machine}
"""


@pytest.mark.parametrize("name", sorted(TOOLCHAINS))
def test_a_program_of_the_c_library(name: str, tmp_path: Path, need_tool: NeedTool) -> None:
    toolchain = TOOLCHAINS[name]
    need_tool(toolchain.compiler)
    program = toolchain.build(tmp_path / "hello", [SOURCE]).read_bytes()
    process = toolchain.process(program, ("hello", "world"))
    assert process.run(BUDGET) == 7, process.end
    assert process.output.decode() == told(MACHINES[name])
    assert not process.unknown


@pytest.mark.parametrize("name", sorted(TOOLCHAINS))
def test_a_program_that_ends_badly(name: str, tmp_path: Path, need_tool: NeedTool) -> None:
    toolchain = TOOLCHAINS[name]
    need_tool(toolchain.compiler)
    (tmp_path / "bad.c").write_text("int main(void) { *(volatile int *)16 = 1; return 0; }")
    program = toolchain.build(tmp_path / "bad", [tmp_path / "bad.c"]).read_bytes()
    process = toolchain.process(program)
    assert process.run(BUDGET) == 128 + 11
    assert process.end.startswith("signal 11 at 0x")
    (tmp_path / "forever.c").write_text('int main(void) { for (;;) __asm__ volatile (""); }')
    program = toolchain.build(tmp_path / "forever", [tmp_path / "forever.c"]).read_bytes()
    with pytest.raises(RuntimeError, match="not done in 300000 instructions"):
        toolchain.process(program).run(300_000)


def test_programs_of_others_are_refused(tmp_path: Path, need_tool: NeedTool) -> None:
    need_tool("gcc")
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }")
    subprocess.run(["gcc", "-o", tmp_path / "native", tmp_path / "empty.c"], check=True)
    for name in sorted(TOOLCHAINS):
        with pytest.raises(ConfigError):
            TOOLCHAINS[name].process((tmp_path / "native").read_bytes())
        with pytest.raises(ConfigError):
            TOOLCHAINS[name].process(b"\x7fELF")
