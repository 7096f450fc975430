"""Consoles and checks of quick guests, which have a real shell on a real terminal behind their serial line."""

import os
import pty
import select
import signal
import subprocess
import tempfile
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab_runner import PATIENCE_S, VDE, LabRunner

GUESTS = r"""
name: guests
nodes:
  sw: {kind: switch}
  a: {kind: qemu, image: debian-i386, ipv4: 10.0.0.1/24}
  b: {kind: qemu, image: debian-malta, ipv4: 10.0.0.2/24, cmdline: fake.noise=700}
links: [a -- sw, b -- sw]
checks:
  b-answers: {node: a, ping: b, within: 20s}
  b-answers-again: {node: a, ping: b, count: 3, within: 20s}
  later: {node: b, ping: 10.0.0.77, within: 30s}
  sum: {node: b, console: {send: "echo $((40 + 2))nd\n", expect: "42nd"}, within: 20s}
"""
FAILING = (
    GUESTS
    + """
  nobody: {node: a, ping: 10.0.0.99, within: 1.5s}
  nothing: {node: b, console: {expect: never seen}, within: 100ms}
"""
)


@pytest.fixture(scope="module")
def guests() -> Iterator[LabRunner]:
    """Two guests that run, for tests that leave them as they are."""
    with tempfile.TemporaryDirectory(prefix="vde") as name, LabRunner(Path(name)) as labs:
        labs.write(GUESTS)
        labs.vde("up")
        yield labs


def test_up_runs_the_checks_and_shows_what_the_guests_showed(labs: LabRunner) -> None:
    labs.write(GUESTS)
    output = labs.vde("up")
    assert "check b-answers: ok: 3 of 3 answered by b" in output
    assert "    a: PING 10.0.0.2 (10.0.0.2): 56 data bytes\n" in output
    assert "    a: 3 packets transmitted, 3 packets received\n" in output
    assert "check later: ok: 3 of 3 answered by 10.0.0.77" in output, "tried again until it held"
    assert "check sum: ok: '42nd' came" in output
    assert "VDE-" not in output, "the marks are ours"


def test_a_failed_check_is_status_3_and_the_lab_stays(labs: LabRunner) -> None:
    labs.write(FAILING)
    output = labs.vde("up", status=3)
    assert "check nobody: FAILED: 0 of 3 answered by 10.0.0.99 (gave up after" in output
    assert "check nothing: FAILED: no 'never seen' on the console" in output
    assert "check b-answers: ok" in output
    assert labs.nodes()["a"]["state"] == "ready"


@pytest.mark.parametrize(("text", "status"), [(GUESTS, 0), (FAILING, 3)])
def test_until_checked_takes_the_lab_down_with_the_checks_status(labs: LabRunner, text: str, status: int) -> None:
    labs.write(text)
    assert "guests: down, nothing is left running" in labs.vde("up", "--until-checked", status=status)
    labs.assert_nothing_is_left()


def test_no_checks(labs: LabRunner) -> None:
    labs.write(FAILING)
    assert "check " not in labs.vde("up", "--no-checks")
    assert "there is nothing to check" in labs.vde("up", "--until-checked", "--no-checks", status=2)


def test_check_by_name(guests: LabRunner) -> None:
    output = guests.vde("check", "sum")
    assert "check sum: ok" in output
    assert "b-answers" not in output
    assert "there is no check 'summ'" in guests.vde("check", "summ", status=1)


def test_a_check_of_a_dead_guest_fails(labs: LabRunner) -> None:
    labs.write(GUESTS)
    labs.vde("up", "--no-checks")
    os.kill(labs.pids()["a"], signal.SIGKILL)
    assert "check b-answers: FAILED: node 'a'" in labs.vde("check", "b-answers", status=3)


def test_a_piped_console_types_and_shows(guests: LabRunner) -> None:
    output = guests.vde("console", "a", stdin=b"echo $((20 + 1)) is half\nexit_status() { return 5; }\n")
    assert "vde-guest ready: hostname=a" in output, "the transcript comes first"
    assert "21 is half" in output


def test_several_viewers_see_the_same(guests: LabRunner) -> None:
    one, other = guests.start("console", "b"), guests.start("console", "b")
    one.wait_for("ready: hostname=b")
    other.wait_for("ready: hostname=b")
    one.write(b"echo from $((1 + 1))\n")
    other.wait_for("from 2")
    one.wait_for("from 2")
    other.write(b"echo from $((1 + 2))\n")
    one.wait_for("from 3")
    for viewer in (one, other):
        viewer.process.kill()


def test_a_check_survives_a_viewer_who_began_to_type(guests: LabRunner) -> None:
    viewer = guests.start("console", "a", "--linger", "1h")
    viewer.wait_for("ready: hostname=a")
    viewer.write(b"ls -l /some/thin")
    viewer.wait_for("/some/thin")
    assert "check b-answers: ok" in guests.vde("check", "b-answers")
    viewer.process.kill()


class Terminal:
    """`vde console` on a terminal."""

    def __init__(self, labs: LabRunner, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        tty.setcbreak(slave)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(
            [VDE, "console", *arguments],
            cwd=labs.directory,
            env=labs.environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        self.output = b""

    def wait_for(self, text: bytes) -> None:
        while text not in self.output:
            readable, _, _ = select.select([self.master], [], [], PATIENCE_S)
            assert readable, self.output
            self.output += os.read(self.master, 4096)

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


def test_on_a_terminal_every_key_goes_to_the_guest_and_ctrl_bracket_detaches(guests: LabRunner) -> None:
    terminal = Terminal(guests, "a")
    terminal.wait_for(b"Ctrl-] detaches")
    terminal.wait_for(b"# ")
    os.write(terminal.master, b"cat\r")
    terminal.wait_for(b"cat\r\n")
    os.write(terminal.master, b"still here\r")
    terminal.wait_for(b"still here\r\nstill here\r\n")
    os.write(terminal.master, b"\x03")
    terminal.wait_for(b"^C")
    os.write(terminal.master, b"\recho after $((3 * 3))\r")
    terminal.wait_for(b"after 9")
    assert terminal.process.poll() is None, "Ctrl-C was for the guest"
    os.write(terminal.master, b"\x1d")
    terminal.wait_for(b"[detached]")
    assert terminal.process.wait(PATIENCE_S) == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before, "the terminal is as it was"
    terminal.close()
    assert guests.nodes()["a"]["state"] == "ready"


def test_a_console_ends_with_its_guest(labs: LabRunner) -> None:
    labs.write(GUESTS)
    labs.vde("up", "--no-checks")
    terminal = Terminal(labs, "a")
    terminal.wait_for(b"# ")
    os.write(terminal.master, b"exit\r")
    terminal.wait_for(b"[the guest has ended]")
    assert terminal.process.wait(PATIENCE_S) == 0
    terminal.close()
    assert "node 'a' is dead: exit status 0" in labs.vde("console", "a", status=4)


def test_consoles_that_are_not_there(guests: LabRunner) -> None:
    assert "node 'sw' is a switch, which has no console" in guests.vde("console", "sw", status=1)
    assert "there is no node 'c' in lab 'guests' (it has sw, a, b)" in guests.vde("console", "c", status=1)
    assert "lab 'other' is not running" in guests.vde("console", "a", "-l", "other", status=4)


def test_logs_while_it_runs_and_afterwards(labs: LabRunner) -> None:
    labs.write(GUESTS)
    labs.vde("up", "--no-checks")
    assert "a: vde-guest ready: hostname=a\n" in labs.vde("logs", "a")
    text = labs.vde("logs")
    assert "b: vde-guest ready: hostname=b\n" in text
    assert "\x1b" not in text, "what would control the terminal is left out"
    assert labs.vde("logs", "-n", "1", "a").count("\n") == 1
    assert "there are no logs of a node 'c'" in labs.vde("logs", "c", status=1)
    labs.vde("down")
    assert "no lab is running" in labs.vde("logs", status=4)
    assert "a: vde-guest ready: hostname=a\n" in labs.vde("logs", "-l", "lab.vlab.yml", "a")


def test_logs_follow_until_the_lab_ends(labs: LabRunner) -> None:
    labs.write(GUESTS)
    labs.vde("up", "--no-checks")
    following = labs.start("logs", "-f", "a")
    following.wait_for("ready: hostname=a")
    labs.vde("console", "a", stdin=b"echo new $((5 * 5))\n")
    following.wait_for("a: new 25")
    labs.vde("down")
    assert following.wait() == 0
