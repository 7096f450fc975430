"""wirefilter as a service: in the background, with a pidfile and a management socket."""

import os
import select
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.wirefilters import OURS, PATIENCE_S, WireFilterConsole
from tests.switch_process import SwitchProcess
from tests.vde_client import VdeClient, frame

StartSwitch = Callable[..., SwitchProcess]


def start(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*OURS, *arguments], cwd=home, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


@contextmanager
def ended(pid: int, number: signal.Signals) -> Iterator[None]:
    """A daemon is ended by a signal, and waited for."""
    watched = os.pidfd_open(pid)
    try:
        yield
        os.kill(pid, number)
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        assert poll.poll(1000 * PATIENCE_S), "it still runs"
    finally:
        os.close(watched)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_daemon_works_when_its_starter_returns(
    short_path: Path, start_switch: StartSwitch, number: signal.Signals
) -> None:
    one, other = start_switch(name="a"), start_switch(name="b")
    done = start(
        short_path, "--daemon", "--pidfile", "pid", "-M", "mgmt", "--mgmtmode", "640", "-l", "100",
        str(one.directory), str(other.directory),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pid = int((short_path / "pid").read_text())
    with ended(pid, number):
        assert stat.S_IMODE((short_path / "mgmt").stat().st_mode) == 0o640
        assert Path(f"/proc/{pid}/cwd").resolve() == Path("/")
        console = WireFilterConsole(short_path / "mgmt")
        try:
            with VdeClient(one.directory) as left, VdeClient(other.directory) as right:
                assert "Loss   L->R 100+0U" in "".join(console.ask("showinfo"))
                assert console.ask("loss 0") == ["1000 Success"]
                left.send(frame(1))
                assert right.receive() == frame(1)
        finally:
            console.close()
        again = start(short_path, "--daemon", "--pidfile", "pid", str(one.directory), str(other.directory))
        assert again.returncode != 0
        assert "Error in pidfile creation" in again.stderr
    assert not (short_path / "pid").exists()
    assert not (short_path / "mgmt").exists()


def threads(pid: int) -> list[str]:
    return [file.read_text().strip() for file in Path(f"/proc/{pid}/task").glob("*/comm")]


def test_delays_pass_the_native_carrier_until_something_is_set_that_it_does_not_know(
    short_path: Path, start_switch: StartSwitch
) -> None:
    one, other = start_switch(name="a"), start_switch(name="b")
    ends = str(one.directory), str(other.directory)
    assert start(short_path, "--daemon", "--pidfile", "pid", "-M", "mgmt", "-d", "1+1N", *ends).returncode == 0
    pid = int((short_path / "pid").read_text())
    with ended(pid, signal.SIGTERM):
        console = WireFilterConsole(short_path / "mgmt")
        try:
            with VdeClient(one.directory) as left, VdeClient(other.directory) as right:
                for number, (command, carried) in enumerate(
                    [("mtu 1516", True), ("noise 1", False), ("noise 0", True), ("fifo 0", True), ("delay 0", True)]
                ):
                    assert console.ask(command) == ["1000 Success"]
                    left.send(frame(2 * number))
                    assert right.receive() == frame(2 * number)
                    right.send(frame(2 * number + 1))
                    assert left.receive() == frame(2 * number + 1)
                    assert ("wire" in threads(pid)) is carried, command
                console.ask("delay 100000")
                left.send(frame(100))
                while "Waiting packets in delay queues 1" not in "".join(console.ask("showinfo")):
                    pass
                assert console.ask("delay 0") == ["1000 Success"]  # what is on its way stays so
                assert console.ask("noise 1") == ["1000 Success"]
                assert "Waiting packets in delay queues 1" in "".join(console.ask("showinfo"))
        finally:
            console.close()


def test_the_console_shuts_a_daemon_down(short_path: Path, start_switch: StartSwitch) -> None:
    switch = str(start_switch().directory)
    assert start(short_path, "--daemon", "--pidfile", "pid", "-M", "mgmt", "-v", f"{switch}:{switch}").returncode == 0
    watched = os.pidfd_open(int((short_path / "pid").read_text()))
    try:
        console = WireFilterConsole(short_path / "mgmt")
        console.socket.sendall(b"shutdown\n")
        while console.read():
            pass
        console.close()
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        assert poll.poll(1000 * PATIENCE_S)
    finally:
        os.close(watched)
    assert not (short_path / "mgmt").exists()


def test_a_daemon_that_cannot_work_says_so_and_leaves_nothing(short_path: Path) -> None:
    done = start(short_path, "--daemon", "--pidfile", "pid", "-M", "mgmt", "/nonexistent", "null://")
    assert done.returncode == 1
    assert "wirefilter: /nonexistent: No such file" in done.stderr
    assert os.listdir(short_path) == []
