"""PearPC itself as a node, where it is: a program on it sends frames through our switch, and gets ours.

No Debian release has PearPC: docs/mac.md says how it is built. Its program `ppc` has to be in PATH.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab_runner import LabRunner
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame

pytestmark = [pytest.mark.interop, pytest.mark.slow]
PROGRAM = Path(__file__).with_name("pearpc_echo.S")
LAB = "nodes:\n  sw: {kind: hub}\n  old: {kind: pearpc, kernel: echo.elf}\nlinks: [old -- sw]\n"
MOST_FRAMES = 1000


def test_its_frames_cross_our_switch_both_ways(short_path: Path, need_tool: NeedTool) -> None:
    if shutil.which("ppc") is None:
        pytest.skip("PearPC (ppc) is not in PATH, and no Debian release has it: docs/mac.md")
    compiler = need_tool("powerpc-linux-gnu-gcc")
    with LabRunner(short_path, fake_guests=False) as labs:
        command = [compiler, "-nostdlib", "-static", "-Wl,-Ttext=0x800000", "-Wl,--build-id=none", "-Wl,-N"]
        command += ["-Wl,--no-warn-rwx-segments", "-o", str(labs.directory / "echo.elf"), str(PROGRAM)]
        subprocess.run(command, check=True)
        labs.write(LAB)
        labs.vde("up")
        (segments,) = labs.runtime.glob("**/s/sw")
        with VdeClient(segments) as client:
            assert client.receive()[:25] == b"\xff" * 6 + bytes.fromhex("02000000000788b5") + b"from PearPC"
            mine = frame(9, None, b"from the test").ljust(60, b"\0")
            client.send(mine)
            assert any(client.receive()[:60] == mine for _ in range(MOST_FRAMES))
        assert "eth0 → sw:" in labs.vde("ps")
        pid = labs.pids()["old"]
        labs.vde("down")
        assert not Path(f"/proc/{pid}").exists()
        labs.assert_nothing_is_left()
