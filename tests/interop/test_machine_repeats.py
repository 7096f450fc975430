"""The same image and inputs give the same machine, however it was run, saved, and restored in another process."""

import functools
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.interop.malta_run import END, IMAGE, make, run_to
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0


@functools.cache
def uninterrupted() -> tuple[str, bytes]:
    """Hash and output of the whole run."""
    store.pull(IMAGE)
    machine, outside = make()
    run_to(machine, outside, END)
    return machine.state_hash(), bytes(outside.written["serial0"])


def test_the_run_is_one_of_a_booted_guest() -> None:
    said = uninterrupted()[1]
    assert b"vde-guest ready:" in said
    assert b"\n42\r" in said
    assert b"cpuinfo" in said


@example(at=517_123_457, seed=1)
@settings(max_examples=1, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(1, END - 1), seed=st.integers(0, 1 << 32))
def test_saved_anywhere_and_restored_in_another_process(tmp_path: Path, at: int, seed: int) -> None:
    """Up to there the run is cut into random pieces, behind it is in one piece."""
    expected, said = uninterrupted()
    machine, outside = make()
    run_to(machine, outside, at, random.Random(seed))
    path = tmp_path / "snapshot"
    path.write_bytes(machine.snapshot())
    before = bytes(outside.written["serial0"])
    command = [sys.executable, "-m", "tests.interop.malta_run", str(path), str(END)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    found, after = done.stdout.split("\n")[:2]
    assert before + bytes.fromhex(after) == said
    assert found == expected
