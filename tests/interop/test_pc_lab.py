"""PCs in labs: with a kernel of ours, with a kernel that hangs (told by `vde ps`), from firmware."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulators.boards.bare_i386 import FOREVER, Program, bios, say16
from tests.lab_runner import LabRunner

pytestmark = [pytest.mark.interop, pytest.mark.slow]
PATIENCE_S = 60.0

LAB = """
nodes:
  sw: {kind: switch}
  good: {kind: i386, ipv4: 10.0.6.1/24, nics: virtio}
  hangs: {kind: pc, kernel: hangs.elf, memory: 32M}
  bare: {kind: pc, boot: disk, firmware: bios.bin, memory: 32M}
links: [good -- sw, hangs -- sw]
"""


@pytest.fixture
def labs(short_path: Path) -> Iterator[LabRunner]:
    with LabRunner(short_path, fake_guests=False) as runner:
        yield runner


def test_pcs_in_a_lab(labs: LabRunner) -> None:
    program = Program()
    program.say(b"now\n")
    program.code(b"\xfa", FOREVER)
    program.kernel(labs.directory / "hangs.elf")
    (labs.directory / "bios.bin").write_bytes(bios(say16(b"x") + b"\xfa\xf4"))
    labs.write(LAB)
    labs.vde("up", timeout_s=120)
    assert "i686" in labs.vde("console", "good", "--linger", "4s", stdin=b"uname -m\n")
    where = f"spinning at pc {program.here - 2:#010x}"
    patience = time.monotonic() + PATIENCE_S
    while where not in (shown := labs.vde("ps")):
        assert time.monotonic() < patience, shown
    rows = {line.split()[0]: line for line in shown.splitlines() if line}
    assert " pc " in rows["good"]
    assert "eth0 → sw:" in rows["good"]
    assert "waits with interrupts off, at pc 0x000f0" in rows["bare"]
    labs.vde("down")
    labs.assert_nothing_is_left()
