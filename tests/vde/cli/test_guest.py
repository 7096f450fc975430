"""vde guest: boards, their options, what is wrong with them, and the terminal."""

import os
import pty
import select
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

from emulators import board
from tests.emulators.boards.bare_mips import Program
from tests.lab_runner import PATIENCE_S, VDE
from vde.cli.guest import board_parser


def guest(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [VDE, "guest", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """It says `hello` and stays."""
    code = Program()
    code.say(b"hello\n")
    code.stop()
    return code.kernel(tmp_path / "program")


@pytest.mark.parametrize("name", board.names())
def test_every_board_explains_its_options(name: str) -> None:
    spec = board.find(name)
    text = " ".join(board_parser(spec).format_help().split())
    for field, _ in spec.options():
        assert field.metadata["positional"] or f"--{field.name.replace('_', '-')}" in text
    for option in ("--console", "--clock", "--gdb", "--snapshot", "--restore", "--no-reboot"):
        assert option in text


def test_boards_are_listed() -> None:
    done = guest("--list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == board.names()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nothing"], "board 'nothing' is unknown; there are "),
        (["malta"], "kernel is missing"),
        (["malta", "--kernel", "/nonexistent"], "No such file"),
        (["malta", "--kernel", "/dev/null"], "null: not an ELF file"),
        (["malta", "--memory", "many"], "memory: 'many': a size such as 128M was expected"),
        (["malta", "--memory", "1"], "memory: '1': 32M to 2G was expected"),
        (["malta", "--nic", "bogus://x"], "bogus:// is unknown"),
        (["malta", "--nic", "pcnet,mac=01:00:00:00:00:00,none"], "a unicast address such as"),
        (["malta", "--nic", "none"] + ["--nic", "none"] * 40, "--nic: 41 of them: malta has at most"),
        (["malta", "--disk", "/nonexistent"], "disk /nonexistent: No such file"),
        (["malta", "--console", "nowhere"], "stdio, none, file:PATH"),
        (["malta", "--console", "serial1=stdio"], "cannot both have this terminal"),
        (["malta", "--gdb-wait"], "without --gdb nobody could start the guest"),
        (["malta", "--restore", "/nonexistent"], "kernel is missing"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], text: str) -> None:
    done = guest(*arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (("--disk", "/nonexistent"), "disk /nonexistent: No such file"),
        (("--console", "file:/nonexistent/x"), "console file:/nonexistent/x: No such file"),
        (("--restore", "/dev/null"), "not readable"),
        (("--console", "fd:99"), "console fd:99: Bad file descriptor"),
    ],
)
def test_what_cannot_be_opened_is_said(program: Path, option: tuple[str, str], text: str) -> None:
    done = guest("malta", "--kernel", program, *option)
    assert (done.returncode, text in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr


def test_a_network_that_is_not_there(program: Path) -> None:
    done = guest("malta", "--kernel", program, "--nic", "/nonexistent")
    assert (done.returncode, "/nonexistent: No such file" in done.stderr) == (1, True)


class Terminal:
    """A guest on a terminal of ours."""

    def __init__(self, *arguments: str | Path) -> None:
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen([VDE, "guest", *arguments], stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.said = b""

    def wait_for(self, text: bytes) -> None:
        patience = time.monotonic() + PATIENCE_S
        while text not in self.said:
            assert time.monotonic() < patience, self.said
            if select.select([self.ours], [], [], 1)[0]:
                self.said += os.read(self.ours, 4096)

    def type(self, octets: bytes) -> None:
        os.write(self.ours, octets)

    def close(self) -> int:
        status = self.process.wait(PATIENCE_S)
        os.close(self.ours)
        return status


def test_keys_of_ours(program: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    terminal = Terminal("malta", "--kernel", program, "--memory", "32M", "--snapshot", saved)
    terminal.wait_for(b"hello\n")
    terminal.type(b"\x03\x1di")
    terminal.wait_for(b" instructions, ")
    terminal.type(b"\x1d?")
    terminal.wait_for(b"q quit")
    terminal.type(b"\x1ds")
    terminal.wait_for(b"vde guest: saved: ")
    terminal.type(b"\x1dq")
    assert terminal.close() == 0
    again = Terminal("malta", "--kernel", program, "--memory", "32M", "--restore", saved)
    again.type(b"\x1di")
    again.wait_for(b" instructions, ")
    again.process.terminate()
    assert again.close() == 128 + signal.SIGTERM
    assert b"hello" not in again.said, "it had said that before it was saved"


def test_a_signal_saves(program: Path, tmp_path: Path) -> None:
    saved, console = tmp_path / "saved", tmp_path / "console"
    command: list[str | Path] = [VDE, "guest", "malta", "--kernel", program, "--memory", "32M", "--snapshot", saved]
    with subprocess.Popen(
        [*command, "--console", f"file:{console}"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        patience = time.monotonic() + PATIENCE_S
        while not console.exists() or console.read_bytes() != b"hello\n":
            assert time.monotonic() < patience
        process.send_signal(signal.SIGUSR1)
        assert "saved: " in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGINT
    assert struct.unpack("<B", saved.read_bytes()[:1])[0] & 0xF0 == 0x80, "a msgpack map"
