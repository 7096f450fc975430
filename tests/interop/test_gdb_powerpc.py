"""Debian's GDB and our stub, with a PowerPC: registers, memory, breakpoints, watchpoints, steps."""

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
SOURCE = Path(__file__).with_name("gdb_guest_powerpc.S")
PATIENCE_S = 60.0
LINK = (
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,-N,-Ttext=0xC0000000,-Tdata=0xC0002000,--build-id=none,--no-warn-rwx-segments",
)


@pytest.fixture
def program(short_path: Path, need_tool: NeedTool) -> Path:
    path = short_path / "program"
    subprocess.run([need_tool("powerpc-linux-gnu-gcc"), *LINK, "-o", path, SOURCE], check=True)
    return path


@pytest.fixture
def address(program: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where the stub of a guest listens that runs the program, once a debugger says so."""
    path = program.parent / "gdb"
    command: list[str | Path] = [VDE, "guest", "mac", "--kernel", program, "--memory", "32M", "--console", "none"]
    command += ["--cpu", getattr(request, "param", "750")]
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
        'printf "at %d\\n", $pc + 0xC0000000 - (unsigned)&_start',
        "break *bump",
        "continue",
        'printf "argument %d, from %d, msr %x, pvr %x\\n", $r3, $lr - (int)&loop, $msr, $pvr',
        'printf "f1 %.1f\\n", $f1',
        "stepi",
        'printf "r4 %d\\n", $r4',
        "stepi",
        "x/i $pc",
        "delete",
        "watch *(int *)&counter",
        "continue",
        'printf "counted %d\\n", *(int *)&counter',
        "delete",
        "set var *(int *)&counter = 1000",
        "set var $f1 = 0.5",
        "set var $sprg3 = 77",
        "break *bump",
        "continue",
        'printf "argument %d f1 %.1f sprg3 %d\\n", $r3, $f1, $sprg3',
        "backtrace",
        "monitor ticks",
        "detach",
    )
    text = "\n".join(lines)
    assert "at 0" in lines
    assert "argument 0, from 8, msr 2030, pvr 80301" in lines
    assert "f1 2.0" in lines
    assert "r4 1" in lines
    assert "blr" in text
    assert "counted 1" in lines
    assert "argument 1000 f1 0.5 sprg3 77" in lines
    assert "in bump ()" in text
    assert "ticks" in text


@pytest.mark.parametrize("address", ["7400"], indirect=True)
def test_vectors(need_tool: NeedTool, program: Path, address: Path) -> None:
    lines = gdb(
        need_tool("gdb-multiarch"),
        program,
        address,
        "set var $vr3.v4_int32[1] = 0x01020304",
        "set var $vr31.v4_float[3] = 0.5",
        "set var $vscr = 0x10000",
        "set var $vrsave = 7",
        "stepi",
        'printf "octets %d %d of %x\\n", $vr3.v16_int8[4], $vr3.v16_int8[7], $vr3.v4_int32[1]',
        'printf "float %.1f vscr %x vrsave %d pvr %x\\n", $vr31.v4_float[3], $vscr, $vrsave, $pvr',
        "detach",
    )
    assert "octets 1 4 of 1020304" in lines
    assert "float 0.5 vscr 10000 vrsave 7 pvr c0209" in lines
