"""A switch's start and end: directories, pidfiles, daemons, signals, and what is left behind (nothing)."""

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.switch_process import PROGRAM, Console, SwitchProcess
from tests.vde_client import VdeClient, frame

StartSwitch = Callable[..., SwitchProcess]
PATIENCE_S = 20


def run(*arguments: str | Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
    )


def test_help_and_version() -> None:
    shown = run("--help")
    assert shown.returncode == 1  # as the original
    assert "--sock" in shown.stdout
    shown = run("-version")
    assert shown.returncode == 0
    assert shown.stdout.startswith("VDE 2.3.2")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_ends_it_and_nothing_is_left(start_switch: StartSwitch, number: signal.Signals, status: int) -> None:
    switch = start_switch("-p", "PIDFILE", name="x")
    pidfile = Path("PIDFILE")
    try:
        assert pidfile.read_text() == f"{switch.process.pid}\n"
        with VdeClient(switch.directory), VdeClient(switch.directory) as b:
            assert switch.stop(number) == status
            b.wait_closed()
        assert list(switch.home.iterdir()) == []
        assert not pidfile.exists()
    finally:
        pidfile.unlink(missing_ok=True)


def test_hangup_and_others_are_ignored(start_switch: StartSwitch) -> None:
    switch = start_switch()
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        switch.process.send_signal(number)
        assert switch.command("port/showinfo")[-1] == "1000 Success"


def test_modes_of_what_it_makes(start_switch: StartSwitch) -> None:
    switch = start_switch("-m", "0660", "--mgmtmode", "0640")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (switch.directory, switch.management)}
    assert modes == {"s.ctl": 0o2770, "s.mgmt": 0o640}
    assert stat.S_IMODE((switch.directory / "ctl").stat().st_mode) == 0o660


def test_a_killed_switch_is_replaced_in_the_same_directory(start_switch: StartSwitch) -> None:
    first = start_switch("-p", "first.pid", name="a")
    with VdeClient(first.directory):
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
        assert len(list(first.directory.iterdir())) == 3  # ctl, ring and the client's data socket
        second = start_switch("-p", "first.pid", name="a")
        assert sorted(path.name for path in second.directory.iterdir()) == ["ctl", "ring"]
        with VdeClient(second.directory) as a, VdeClient(second.directory) as b:
            a.send(frame(1))
            assert b.receive() == frame(1)
    assert second.stop() == 0
    assert list(second.home.iterdir()) == []
    assert not Path("first.pid").exists()


def test_a_live_switch_is_not_disturbed_by_a_second_one(start_switch: StartSwitch) -> None:
    switch = start_switch()
    second = run("-s", switch.directory, "--nostdin")
    assert second.returncode == 255
    assert "Address already in use (a switch is running there)" in second.stderr
    second = run("-s", switch.home / "other", "-M", switch.management, "--nostdin")
    assert second.returncode == 255
    assert "Address already in use" in second.stderr
    assert not (switch.home / "other").exists()
    with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
        a.send(frame(1))
        assert b.receive() == frame(1)


def test_a_live_pidfile_refuses_the_start_and_stays(short_path: Path) -> None:
    pidfile = short_path / "pid"
    pidfile.write_text(f"{os.getpid()}\n")
    refused = run("-s", short_path / "s", "-p", pidfile)
    assert refused.returncode == 1
    assert "Error in pidfile creation: File exists" in refused.stderr
    assert pidfile.read_text() == f"{os.getpid()}\n"
    assert not (short_path / "s").exists()


def test_a_full_disk_for_the_pidfile_is_an_error_and_leaves_nothing(short_path: Path) -> None:
    refused = run("-s", short_path / "s", "-p", "/dev/full")
    assert refused.returncode == 1
    assert "Error in pidfile creation" in refused.stderr
    assert Path("/dev/full").exists()
    assert not (short_path / "s").exists()


def test_a_missing_parent_of_the_directory_is_named(short_path: Path) -> None:
    refused = run("-s", short_path / "none" / "s")
    assert refused.returncode == 255
    assert f"Cannot create ctl directory '{short_path}/none/s': No such file or directory" in refused.stderr


def test_a_path_that_is_too_long_is_refused_not_truncated(short_path: Path) -> None:
    refused = run("-s", short_path / ("x" * 100))
    assert refused.returncode == 255
    assert "at most" in refused.stderr
    assert list(short_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_directory_without_permission(short_path: Path) -> None:
    os.chmod(short_path, 0o755)
    program = "import os, sys; from switch.main import main; os.setresuid(12345, 12345, 12345); sys.exit(main())"
    refused = subprocess.run(
        [sys.executable, "-c", program, "-s", short_path / "s", "-f", ""],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert refused.returncode == 255
    assert f"Cannot create ctl directory '{short_path}/s': Permission denied" in refused.stderr


def test_an_unknown_group_is_refused(short_path: Path) -> None:
    refused = run("-s", short_path / "s", "-g", "nogroup-of-this-name")
    assert "No such group 'nogroup-of-this-name'" in refused.stderr
    assert refused.returncode != 0


def test_unknown_options_are_told_and_skipped(short_path: Path) -> None:
    shown = run("-s", short_path / "s", "--bogus")  # standard input ends at once, and with it the switch
    assert "unrecognized option '--bogus'" in shown.stderr
    assert "EOF on stdin" in shown.stderr
    assert shown.returncode == 0


def test_a_daemon_is_up_when_the_command_returns(short_path: Path) -> None:
    started = run("-d", "-s", "s", "-M", "m", "-p", "pid", cwd=short_path)
    assert (started.returncode, started.stderr) == (0, "")
    pid = int((short_path / "pid").read_text())
    try:
        with VdeClient(short_path / "s") as a, VdeClient(short_path / "s") as b:
            a.send(frame(1))
            assert b.receive() == frame(1)
        assert os.getsid(pid) == pid
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert {os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)} == {"/dev/null"}
    finally:
        descriptor = os.pidfd_open(pid)
        with Console(short_path / "m") as console:
            console.socket.sendall(b"shutdown\n")
            assert console.socket.recv(100).startswith(b"9999 END OF SESSION")
        import select

        assert select.select([descriptor], [], [], PATIENCE_S)[0]
        os.close(descriptor)
    assert list(short_path.iterdir()) == []


def test_a_daemon_that_cannot_start_says_so_to_its_caller(short_path: Path) -> None:
    refused = run("-d", "-s", short_path / "none" / "s")
    assert refused.returncode == 255
    assert "Cannot create ctl directory" in refused.stderr


def test_standard_input_is_a_console_as_the_nixos_test_driver_uses_it(short_path: Path) -> None:
    arguments: list[str | Path] = [PROGRAM, "--sock", short_path / "s", "--dirmode", "0700", "--hub"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(PATIENCE_S, process.kill)
        watchdog.start()
        process.stdin.write("showinfo\n")
        process.stdin.flush()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "1000 Success" in line:
                break
        watchdog.cancel()
        assert lines[-1] == "1000 Success\n"
        assert not any("vde$" in line for line in lines)
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
    assert list(short_path.iterdir()) == []


@pytest.mark.parametrize("turn", range(8))
def test_a_signal_in_the_middle_of_the_clean_up_leaves_nothing(short_path: Path, turn: int) -> None:
    """As the NixOS test driver ends it: end of standard input, and SIGTERM right behind."""
    arguments: list[str | Path] = [PROGRAM, "--sock", short_path / "s", "-M", short_path / "m"]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("showinfo\n")
        process.stdin.flush()
        assert next(iter(process.stdout)).startswith("0000 DATA END")
        process.stdin.close()
        if turn % 2:
            assert "EOF on stdin" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    assert list(short_path.iterdir()) == []


def test_an_rcfile_is_carried_out_before_the_first_client(start_switch: StartSwitch, short_path: Path) -> None:
    (short_path / "rc").write_text("# comment\nvlan/create 7\nbogus\nport/create 3\nport/setvlan 3 7\n")
    switch = start_switch("-f", str(short_path / "rc"))
    assert "VLAN 0007" in switch.command("vlan/allprint 7")
    assert switch.command("port/allprint 3")[0].startswith("Port 0003 untagged_vlan=0007 INACTIVE - NOT Unnamed")


def test_foreign_files_keep_the_directory_with_a_warning(start_switch: StartSwitch) -> None:
    switch = start_switch()
    (switch.directory / "mine").write_text("")
    assert switch.process.stderr is not None
    switch.process.send_signal(signal.SIGTERM)
    switch.process.wait(PATIENCE_S)
    assert b"Could not remove ctl dir" in switch.process.stderr.read()
    assert [path.name for path in switch.directory.iterdir()] == ["mine"]
