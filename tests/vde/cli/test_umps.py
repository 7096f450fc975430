"""`vde umps` as a command: arguments go to the tool as they are, and its exit status comes back."""

import subprocess
import sys
from pathlib import Path

import pytest

VDE = Path(sys.executable).parent / "vde"
PATIENCE_S = 60.0


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([VDE, "umps", *arguments], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S)


def test_a_disk_is_made_and_is_none_of_the_files_that_objdump_shows(tmp_path: Path) -> None:
    assert run("mkdev", "-d", "d.umps", "1", "1", "3", cwd=tmp_path).returncode == 0
    assert (tmp_path / "d.umps").stat().st_size == 28 + 3 * 4096
    shown = run("objdump", "-h", "d.umps", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (
        1,
        "vde umps objdump : Error opening file d.umps : invalid/corrupted file\n",
    )


@pytest.mark.parametrize("tool", ["mkdev", "objdump"])
def test_a_tool_without_arguments_shows_them(tmp_path: Path, tool: str) -> None:
    shown = run(tool, cwd=tmp_path)
    assert shown.returncode == 0
    assert shown.stderr.startswith(f"vde umps {tool} syntax : ")


def test_wrong_usage(tmp_path: Path) -> None:
    assert run("mkfs", cwd=tmp_path).returncode == 2
    assert run("elf2umps", cwd=tmp_path).returncode == 1
