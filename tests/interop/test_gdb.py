"""Debian's GDB and our stub: registers, memory, breakpoints, watchpoints, steps over delay slots, Ctrl-C."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab_runner import VDE
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop]
SOURCE = Path(__file__).with_name("gdb_guest.S")
PATIENCE_S = 60.0
LINK = (
    "-nostdlib",
    "-static",
    "-mips32r2",
    "-mno-abicalls",
    "-fno-pic",
    "-Wl,-Ttext=0x80100000",
    "-Wl,--build-id=none",
)


@pytest.fixture
def program(short_path: Path, need_tool: NeedTool) -> Path:
    path = short_path / "program"
    subprocess.run([need_tool("mipsel-linux-gnu-gcc"), *LINK, "-o", path, SOURCE], check=True)
    return path


@pytest.fixture
def address(program: Path) -> Iterator[Path]:
    """Where the stub of a guest listens that runs the program, once a debugger says so."""
    path = program.parent / "gdb"
    command: list[str | Path] = [VDE, "guest", "malta", "--kernel", program, "--memory", "32M", "--console", "none"]
    with subprocess.Popen([*command, "--gdb", path, "--gdb-wait"], stdin=subprocess.DEVNULL) as guest:
        patience = time.monotonic() + PATIENCE_S
        while not path.exists():
            assert guest.poll() is None, "the guest has ended"
            assert time.monotonic() < patience
        yield path
        guest.terminate()
        assert guest.wait(PATIENCE_S) == 128 + signal.SIGTERM
    assert not path.exists()


def gdb(tool: str, program: Path, address: Path, *commands: str) -> list[str]:
    """What it prints."""
    options = [word for text in ("set pagination off", f"target remote {address}", *commands) for word in ("-ex", text)]
    done = subprocess.run(
        [tool, "-nx", "-batch", *options, program], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert "Remote" not in done.stderr, done.stderr
    return (done.stdout + done.stderr).splitlines()


def test_a_session(need_tool: NeedTool, program: Path, address: Path) -> None:
    tool = need_tool("gdb-multiarch")
    lines = gdb(
        tool,
        program,
        address,
        'printf "at %x\\n", $pc',
        "break bump",
        "continue",
        'printf "ra is %x\\n", $ra - (long)&loop',
        'printf "a0 %d\\n", $a0',
        "stepi",  # jr and its delay slot
        'printf "back at %x, v0 %d\\n", $pc - (long)&loop, $v0',
        "delete",
        "watch *(int *)&counter",
        "continue",
        'printf "counted %d\\n", *(int *)&counter',
        "delete",
        "set var *(int *)&counter = 1000",
        "set var $t2 = 77",
        "break bump",
        "continue",
        "continue",
        'printf "a0 now %d\\n", $a0',
        'printf "status %x\\n", $status & 0x20000000',
        'printf "f4 %.1f\\n", $f4',
        "x/2i &bump",
        "monitor ticks",
        "detach",
    )
    text = "\n".join(lines)
    assert "at 80100000" in text
    assert "ra is 10" in lines
    assert "a0 0" in lines
    assert "back at 10, v0 1" in lines
    assert "Hardware watchpoint 2: *(int *)&counter" in text
    assert "counted 1" in lines
    assert "a0 now 1000" in lines or "a0 now 1001" in lines
    assert "status 20000000" in lines
    assert "f4 2.0" in lines
    assert any("jr\tra" in line for line in lines)
    assert "ticks," in text
    assert "detached" in text


def test_steps_go_over_delay_slots(need_tool: NeedTool, program: Path, address: Path) -> None:
    steps = ["stepi", 'printf "pc %d\\n", (int)($pc - (long)&loop) / 4'] * 8
    lines = gdb(need_tool("gdb-multiarch"), program, address, "break loop", "continue", "delete", *steps, "detach")
    assert [int(line.removeprefix("pc ")) for line in lines if line.startswith("pc ")] == [1, 2, 7, 4, 5, 0, 1, 2]


def test_ctrl_c(need_tool: NeedTool, program: Path, address: Path) -> None:
    command = [need_tool("gdb-multiarch"), "-nx", "-q", "-ex", "set pagination off", "-ex", "set confirm off"]
    with subprocess.Popen(
        [*command, "-ex", f"target remote {address}", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        session.stdin.write(b"continue\n")
        session.stdin.flush()
        said, patience = b"", time.monotonic() + PATIENCE_S
        while b"received signal SIGINT" not in said:  # GDB does not say when it has let the guest go
            assert time.monotonic() < patience, said
            if select.select([session.stdout], [], [], 0.5)[0]:
                said += os.read(session.stdout.fileno(), 4096)
            else:
                session.send_signal(signal.SIGINT)
        said += session.communicate(b'printf "counted %d\\n", *(int *)&counter\nquit\n', PATIENCE_S)[0]
    assert int(said.partition(b"counted ")[2].split()[0]) > 0
