"""PCs in labs: with a kernel of ours, with a kernel that hangs (told by `vde ps`), from firmware."""

import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulators.boards.bare_i386 import FOREVER, Program, bios, say16
from tests.interop.test_pc_screen import shown_on, typed_on
from tests.lab_runner import LabRunner, Watched

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

SAVED = """
nodes:
  sw: {{kind: switch}}
  p: {{kind: pc, ipv4: 10.0.6.1/24, nics: pcnet, memory: 64M, {key}: p.saved}}
  v: {{kind: view, ipv4: 10.0.6.2/24}}
links: [p -- sw, v -- sw]
checks:
  p-remembers: {{node: p, console: {{send: "cat /tmp/x\\n", expect: kept-42}}, within: 60s}}
  p-to-v: {{node: p, ping: v, count: 2, within: 60s}}
"""


@pytest.fixture
def labs(short_path: Path) -> Iterator[LabRunner]:
    with LabRunner(short_path, fake_guests=False) as runner:
        yield runner


def test_a_pc_goes_on_from_its_snapshot_in_a_lab_and_ends_with_it(labs: LabRunner) -> None:
    labs.write(SAVED.format(key="snapshot"))
    labs.vde("up", "--no-checks", timeout_s=120)
    command = b"echo kept-$((6*7)) > /tmp/x; ping -c 1 10.0.6.2\n"
    assert " 0% packet loss" in labs.vde("console", "p", "--linger", "4s", stdin=command)
    assert {node["state"] for node in labs.nodes().values()} == {"ready"}
    os.kill(labs.pids()["p"], signal.SIGUSR1)
    patience = time.monotonic() + PATIENCE_S
    while not (labs.directory / "p.saved").exists():
        assert time.monotonic() < patience, labs.vde("logs", "p", status=None)
        labs.vde("ps")
    labs.vde("down")
    labs.assert_nothing_is_left()

    labs.write(SAVED.format(key="restore"))
    lab = labs.start("up", "--foreground")
    lab.wait_for("check p-remembers: ok")
    lab.wait_for("check p-to-v: ok")
    with Watched(labs.pids()) as watched:
        lab.interrupt()
        lab.wait()
        watched.wait_all()
    labs.assert_nothing_is_left()


def by_its_name_on_a_terminal(labs: LabRunner) -> None:
    """`vde screen NODE`, live: what Linux writes on its first virtual console, in colour; what is typed there."""
    reads = b"(read x; echo $((x+1)) > /dev/tty1) < /dev/tty1 &\n"
    labs.vde("console", "good", "--linger", "2s", stdin=b"printf '\\033[1;33;44mgolden' > /dev/tty1\n" + reads)
    assert "golden" in labs.vde("screen", "good", "--text")
    parent, child = pty.openpty()
    try:
        termios.tcsetwinsize(child, (25, 80))
        environment = {name: value for name, value in labs.environment.items() if name != "COLORTERM"}
        command = [*labs.command, "screen", "good"]
        with subprocess.Popen(command, cwd=labs.directory, env=environment, stdin=child, stdout=child) as viewer:
            try:
                assert b"93;44mgolden" in shown_on(parent, b"golden")
                typed_on(parent, b"7040\r", b"7041")
                typed_on(parent, b"\x1dq", b"\x1b[?1049l")
                assert viewer.wait(PATIENCE_S) == 0
            finally:
                viewer.kill()
    finally:
        os.close(parent)
        os.close(child)


def test_pcs_in_a_lab(labs: LabRunner) -> None:
    program = Program()
    program.say(b"now\n")
    program.code(b"\xfa", FOREVER)
    program.kernel(labs.directory / "hangs.elf")
    (labs.directory / "bios.bin").write_bytes(bios(say16(b"x") + b"\xfa\xf4"))
    labs.write(LAB)
    labs.vde("up", timeout_s=120)
    assert "i686" in labs.vde("console", "good", "--linger", "4s", stdin=b"uname -m\n")
    by_its_name_on_a_terminal(labs)
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
