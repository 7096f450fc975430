"""Programs that go through the rules of protection and paging case by case, and tell what became of each.

`tests/emulators/programs/i386/*.s` are Multiboot images; `*.told` is what they tell on port E9H. The same lines are
QEMU's (`test_qemu_tells_the_same`), so neither the programs nor the expectations are this project's opinion alone. What
QEMU does otherwise than the manual is not in them, but in the engine's own tests (`…/native/src/*_tests.rs`).
"""

import subprocess
from pathlib import Path

import pytest

from emulators.cpus.i386 import Cpu, Vm
from emulators.exits import Budget, Io
from tests.tools import NeedTool

PROGRAMS = Path(__file__).parents[1] / "programs" / "i386"
LOAD = 0x10_0000
ENTRY = LOAD + 0x20
DEBUG_PORT = 0xE9
EXIT_PORT = 0xF4


def image(need_tool: NeedTool, name: str, directory: Path) -> bytes:
    """The octets of program `name`, to be loaded at `LOAD`."""
    assembled, linked = directory / f"{name}.o", directory / f"{name}.bin"
    subprocess.run(
        [need_tool("as"), "--32", "-I", PROGRAMS, "-o", assembled, PROGRAMS / f"{name}.s"], check=True, timeout=60
    )
    link = [need_tool("ld"), "-m", "elf_i386", "-N", "-e", "_start", f"-Ttext={LOAD:#x}", "--oformat", "binary"]
    subprocess.run([*link, "-o", linked, assembled], check=True, timeout=60)
    return linked.read_bytes()


def told(program: bytes, step: int) -> list[str]:
    """What `program` tells, executed in budgets of `step` instructions, as a boot loader would start it."""
    vm = Vm()
    vm.add_memory(0, 32 << 20)
    vm.write(LOAD, program)
    cpu = Cpu(vm, "pentium3", pae=True, nx=True)
    state: dict[str, int] = {"cr0": 0x11, "eip": ENTRY, "eflags": 2, "cs": 8}
    flat = {"base": 0, "limit": 0xFFFF_FFFF}
    for segment in ("cs", "ss", "ds", "es", "fs", "gs"):
        rights = 0xC09B00 if segment == "cs" else 0xC09300
        state |= {f"{segment}.{part}": value for part, value in (flat | {"rights": rights}).items()}
    cpu.set_state(state)
    text = bytearray()
    for _ in range(200_000):
        match cpu.run(step):
            case Io(direction="write", port=port, data=data):
                if port == EXIT_PORT:
                    return text.decode().splitlines()
                if port == DEBUG_PORT:
                    assert data is not None
                    text += data
            case Io() as end:
                end.data = b"\xff" * (end.size * end.count)
            case Budget():
                pass
            case end:
                pytest.fail(f"{end} behind {text.decode().splitlines()[-1:]}")
    pytest.fail("no end")


@pytest.mark.parametrize("step", [1_000_000, 1])
@pytest.mark.parametrize("name", ["protection", "paging", "realmode"])
def test_programs_tell_what_is_expected(need_tool: NeedTool, tmp_path: Path, name: str, step: int) -> None:
    assert told(image(need_tool, name, tmp_path), step) == (PROGRAMS / f"{name}.told").read_text().splitlines()


@pytest.mark.interop
@pytest.mark.parametrize("name", ["protection", "paging", "realmode"])
def test_qemu_tells_the_same(need_tool: NeedTool, tmp_path: Path, name: str) -> None:
    image(need_tool, name, tmp_path)
    heard = tmp_path / "told"
    qemu = [need_tool("qemu-system-i386"), "-display", "none", "-cpu", "pentium3,+pae,+nx", "-m", "32", "-no-reboot"]
    ports = ["-debugcon", f"file:{heard}", "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4"]
    done = subprocess.run([*qemu, *ports, "-kernel", tmp_path / f"{name}.bin"], check=False, timeout=60)
    assert done.returncode == 1, "isa-debug-exit"
    assert heard.read_text() == (PROGRAMS / f"{name}.told").read_text()
