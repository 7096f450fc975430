"""`vde guest umps3 --break` and `--trace` with a kernel in C on two processors: exit status, line, file."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from emulators.umps_tools import elf2umps
from tests.emulators.umps.kernels import build_kernel
from tests.lab_runner import VDE
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
SOURCE = Path(__file__).parent.parent / "emulators" / "programs" / "umps_pair" / "pair.c"
need_tool = NeedTool()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pair")
    assert elf2umps.run(["-k", str(build_kernel(place, [SOURCE], need_tool))], "elf2umps") == 0
    boot = {"load-core-file": True, "core-file": "kernel.core.umps"}
    symbols = {"file": "kernel.stab.umps", "asid": 64}
    path = place / "machine.json"
    path.write_text(json.dumps({"num-processors": 2, "boot": boot, "symbol-table": symbols}))
    return path


def guest(config: Path, *options: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [VDE, "guest", "umps3", config, "--rom", "own", "--console", "none", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_breakpoint_and_a_trace(config: Path) -> None:
    file = config.with_name("trace.txt")
    done = guest(config, "--break", "second_turn+0x8", "--trace", "first_count,w", "--trace-file", file)
    assert done.returncode == 12, done.stderr
    assert done.stderr.startswith("vde guest: breakpoint: processor 1 at pc 0x2000"), done.stderr
    assert " (second_turn+0x8), tick " in done.stderr
    lines = file.read_text().splitlines()
    assert lines
    assert all(" processor 0 pc 0x2000" in line and "first_turn" in line for line in lines)
    assert ": write 0x2000" in lines[0]
    assert " first_count = 0x00000001: sw " in lines[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--break", "nobody", "--trace", "0x2,q"), "--break nobody: no symbol is called nobody"),
        (("--break", "main", "--gdb", "0"), "--gdb: the debugger sets breakpoints then"),
        (("--trace", "main", "--trace-file", "/nowhere/t"), "--trace-file /nowhere/t: No such file or directory"),
    ],
)
def test_what_cannot_be(config: Path, options: tuple[str, ...], said: str) -> None:
    done = guest(config, *options)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr


def test_a_kernel_that_hangs_is_told_as_spinning(tmp_path: Path) -> None:
    source = tmp_path / "hangs.c"
    source.write_text("void hang(void) { for (;;); }\nint main(void) { hang(); return 0; }\n")
    assert elf2umps.run(["-k", str(build_kernel(tmp_path, [source], need_tool))], "elf2umps") == 0
    path = tmp_path / "machine.json"
    boot = {"load-core-file": True, "core-file": "kernel.core.umps"}
    symbols = {"file": "kernel.stab.umps", "asid": 64}
    path.write_text(json.dumps({"boot": boot, "symbol-table": symbols}))
    with subprocess.Popen(
        [VDE, "guest", "umps3", path, "--rom", "own", "--console", "none"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            assert re.fullmatch(r"vde guest: spinning at pc 0x2000[0-9a-f]{4} \(main(\+0x\w+)?\)\n", said)
        finally:
            process.terminate()
