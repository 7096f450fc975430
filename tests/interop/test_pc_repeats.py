"""A PC's run is the same however it is cut, and goes on in another process from where it was saved."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.pc_run import END, IMAGE, make, run_to
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
SAVED_AT = 617_123_457
PATIENCE_S = 120.0


def test_cut_by_chance_and_saved_for_another_process(tmp_path: Path) -> None:
    store.pull(IMAGE)
    whole, outside = make()
    run_to(whole, outside, END)
    expected, said = whole.state_hash(), bytes(outside.written["serial0"])
    assert b"vde-guest ready:" in said
    assert b"\n42\r" in said

    machine, outside = make()
    run_to(machine, outside, SAVED_AT, random.Random(5))
    path = tmp_path / "snapshot"
    path.write_bytes(machine.snapshot())
    before = bytes(outside.written["serial0"])
    command = [sys.executable, "-m", "tests.interop.pc_run", str(path), str(END)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    found, after = done.stdout.split("\n")[:2]
    assert before + bytes.fromhex(after) == said
    assert found == expected
