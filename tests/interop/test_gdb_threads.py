"""Debian's GDB on a uMPS3 machine of two processors: threads, a breakpoint on the second one, steps."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.umps_tools import elf2umps
from tests.emulators.umps.kernels import build_kernel
from tests.lab_runner import VDE
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
SOURCE = Path(__file__).parent.parent / "emulators" / "programs" / "umps_pair" / "pair.c"
PATIENCE_S = 60.0


@pytest.fixture
def program(short_path: Path, need_tool: NeedTool) -> Path:
    program = build_kernel(short_path, [SOURCE], need_tool)
    assert elf2umps.run(["-k", str(program)], "elf2umps") == 0
    return program


@pytest.fixture
def address(program: Path) -> Iterator[Path]:
    """Where the stub of a guest listens that runs the program, once a debugger says so."""
    config = program.parent / "machine.json"
    boot = {"load-core-file": True, "core-file": "kernel.core.umps"}
    config.write_text(json.dumps({"num-processors": 2, "boot": boot}))
    path = program.parent / "gdb"
    command: list[str | Path] = [
        VDE,
        "guest",
        "umps3",
        config,
        "--rom",
        "own",
        "--console",
        "none",
        "--gdb",
        path,
        "--gdb-wait",
    ]
    with subprocess.Popen([*command, "--gdb", path, "--gdb-wait"], stdin=subprocess.DEVNULL) as guest:
        patience = time.monotonic() + PATIENCE_S
        while not path.exists():
            assert guest.poll() is None, "the guest has ended"
            assert time.monotonic() < patience
        yield path
        guest.terminate()
        assert guest.wait(PATIENCE_S) == 128 + signal.SIGTERM


def test_a_breakpoint_on_the_second_processor(need_tool: NeedTool, program: Path, address: Path) -> None:
    commands = [
        "set pagination off",
        f"target remote {address}",
        "info threads",
        "break second_turn",
        "continue",
        "continue",
        "continue",
        'printf "thread %d, argument %u\\n", $_thread, $a0',
        "info threads",
        "delete",
        "thread 1",
        "break first_turn thread 1",
        "continue",
        'printf "thread %d, same function %d\\n", $_thread, $pc - (long)&first_turn',
        "thread 2",
        'printf "counted %d\\n", *(int *)&second_count >= 2',
        "delete",
        "stepi",
        'printf "thread %d\\n", $_thread',
        "detach",
    ]
    words = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(
        [need_tool("gdb-multiarch"), "-nx", "-batch", *words, program],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    text = done.stdout + done.stderr
    lines = text.splitlines()
    assert "Remote" not in done.stderr, text
    assert "rejected" not in done.stderr, text
    assert re.search(r"^\* 1 +Thread 1 \(processor 0, running\)", text, re.MULTILINE), text
    assert re.search(r"^  2 +Thread 2 \(processor 1, halted\)", text, re.MULTILINE), text
    assert "Switching to Thread 2" in text, text
    assert re.search(r"Thread 2 hit Breakpoint 1, .*second_turn \(\)", text), text
    assert "thread 2, argument 2" in lines, text
    assert re.search(r"^\* 2 +Thread 2 \(processor 1, running\) .*second_turn", text, re.MULTILINE), text
    assert "thread 1, same function 0" in lines, text
    assert "counted 1" in lines, text
    assert lines[lines.index("counted 1") :].count("thread 2") == 1, text
    assert "detached" in text
