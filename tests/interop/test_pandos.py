"""PandOS, the kernel that is written for uMPS3 in courses: the tester of its first phase says itself that all is well.

PANDOS names a checkout of one (folders h and phase1 as the course's makefile has them); it is compiled in a copy.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from emulators.boards import umps3
from emulators.machine import Halted
from emulators.outside import Bench
from tests.emulators.umps.kernels import library
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
LAST = b"ASL module ok   \nSo Long and Thanks for All the Fish\nSystem halted \n"
"""What p1test.c says last, and the ROM when it returns."""
PATIENCE_TICKS = 500_000_000


@pytest.mark.skipif("PANDOS" not in os.environ, reason="PANDOS does not name a checkout of a PandOS")
@pytest.mark.parametrize("rom", ["auto", "own"])
def test_p1test_comes_to_its_last_line(tmp_path: Path, need_tool: NeedTool, rom: str) -> None:
    for name in ("mipsel-linux-gnu-gcc", "umps3-elf2umps", "make"):
        need_tool(name)
    for folder in ("h", "phase1"):
        source = Path(os.environ["PANDOS"], folder)
        shutil.copytree(source, tmp_path / folder, ignore=shutil.ignore_patterns("*.o", "*.umps"))
    place = tmp_path / "phase1"
    words = ["UMPS3_DIR_PREFIX=/usr", "INCDIR=/usr/include/umps3/umps", f"LIBDIR={Path(library('crtso.o')).parent}"]
    subprocess.run(["make", *words], cwd=place, check=True, timeout=120)
    boot = {"load-core-file": True, "core-file": "kernel.core.umps"}
    terminal = {"terminal0": {"enabled": True, "file": "term0.umps"}}
    (place / "machine.json").write_text(json.dumps({"boot": boot, "devices": terminal}))
    bench = Bench()
    machine = umps3.build(umps3.Params(place / "machine.json", rom), bench)
    end = machine.run_for(PATIENCE_TICKS)
    said = bytes(bench.written["terminal0"])
    assert end == Halted(umps3.HALTED, "System halted"), said
    assert said.endswith(LAST), said
