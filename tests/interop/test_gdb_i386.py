"""Debian's GDB and our stub, with an i386: registers, memory, breakpoints, watchpoints, steps."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.test_gdb import gdb
from tests.lab_runner import VDE
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop]
SOURCE = Path(__file__).with_name("gdb_guest_i386.S")
PATIENCE_S = 60.0


@pytest.fixture
def program(short_path: Path, need_tool: NeedTool) -> Path:
    path = short_path / "program"
    subprocess.run([need_tool("as"), "--32", "-o", f"{path}.o", SOURCE], check=True)
    places = ["-Ttext=0x100000", "-Tdata=0x102000"]
    link: list[str | Path] = [need_tool("ld"), "-m", "elf_i386", *places, "-o", path, f"{path}.o"]
    subprocess.run(link, check=True)
    return path


@pytest.fixture
def address(program: Path) -> Iterator[Path]:
    """Where the stub of a guest listens that runs the program, once a debugger says so."""
    path = program.parent / "gdb"
    command: list[str | Path] = [VDE, "guest", "pc", "--kernel", program, "--memory", "4M", "--console", "none"]
    with subprocess.Popen([*command, "--gdb", path, "--gdb-wait"], stdin=subprocess.DEVNULL) as guest:
        patience = time.monotonic() + PATIENCE_S
        while not path.exists():
            assert guest.poll() is None, "the guest has ended"
            assert time.monotonic() < patience
        yield path
        guest.terminate()
        assert guest.wait(PATIENCE_S) == 128 + signal.SIGTERM
    assert not path.exists()


def test_a_session(need_tool: NeedTool, program: Path, address: Path) -> None:
    lines = gdb(
        need_tool("gdb-multiarch"),
        program,
        address,
        'printf "at %d\\n", $pc - (int)&_start',
        'printf "cs %x ss %x eflags %x\\n", $cs, $ss, (int)$eflags',
        "break bump",
        "continue",
        'printf "argument %d\\n", *(int *)($esp + 4)',
        'printf "ebp %x st0 %.1f\\n", $ebp, $st0',
        "stepi",
        "stepi",
        'printf "eax %d\\n", $eax',
        "stepi",
        "x/i $pc",
        "delete",
        "watch *(int *)&counter",
        "continue",
        'printf "counted %d\\n", *(int *)&counter',
        "delete",
        "set var *(int *)&counter = 1000",
        "set var $ecx = 77",
        "break bump",
        "continue",
        'printf "argument %d ecx %d\\n", *(int *)($esp + 4), $ecx',
        "monitor ticks",
        "detach",
    )
    text = "\n".join(lines)
    assert "at 0" in lines
    assert "cs 10 ss 18 eflags 2" in lines
    assert "argument 0" in lines
    assert "ebp 1234 st0 2.0" in lines
    assert "eax 1" in lines
    assert "add    $0x4,%esp" in text
    assert "counted 1" in lines
    assert "argument 1000 ecx 77" in lines
    assert "ticks" in text
