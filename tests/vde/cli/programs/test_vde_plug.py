"""vde_plug and vde_plug2tap: what their command lines mean; what they run, and refuse to."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.switch_process import SwitchProcess
from tests.vde_client import VdeClient, frame
from vde.cli.programs import vde_plug2tap
from vde.cli.programs.address_log import MOST, AddressLog
from vde.cli.programs.classic import Help
from vde.cli.programs.restricted import RestrictedHere
from vde.cli.programs.vde_plug import read, with_options
from vde.errors import ConfigError
from vde.framing import encode
from vde.vnl import VnlError, cut, parse

PROGRAM = [sys.executable, "-m", "vde.cli.programs.vde_plug"]
PATIENCE_S = 20
StartSwitch = Callable[..., SwitchProcess]


@pytest.mark.parametrize(
    ("line", "left", "right"),
    [
        ("", "", "-"),
        ("/run/a", "/run/a", "-"),
        ("/run/a udp://:1->h:2", "/run/a", "udp://:1->h:2"),
        ("= ssh there vde_plug", "", "cmd://ssh there vde_plug"),
        ("/run/a = sh -c x'y", "/run/a", "cmd://sh -c 'x'\"'\"'y'"),
        ("-m 660 -g staff /run/a", "vde:///run/a[group=staff/mode=660]", "-"),
        ("--port 3 /run/a[5]", "vde:///run/a[port=5]", "-"),
        ("--port 3", "vde://[port=3]", "-"),
        ("--port 3 -M 600 --port2 4 /a vde:///b[group=x]", "vde:///a[port=3]", "vde:///b[group=x/port=4/mode=600]"),
        ("-m 660 null:// -", "null://", "-"),
        ("--descr UML seqpacket://13 vde:///run/sw", "seqpacket://13", "vde:///run/sw"),
    ],
)
def test_the_command_line(line: str, left: str, right: str) -> None:
    asked = read(line.split(" ") if line else [])
    assert (asked.left, asked.right) == (left, right)
    assert asked.description == ("UML" if "UML" in line else "vdeplug:")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["a", "b", "c"], "3 VNLs: at most 2"),
        (["a", "b", "=", "c"], "2 VNLs: at most 1"),
        (["="], "a command was expected"),
        (["--bogus"], "unrecognized option"),
        (["-c", "sh -i"], "only vde_plug can be executed"),
        (["-c", "vde_plug 'x"], "only vde_plug can be executed"),
        (["-c", ""], "only vde_plug can be executed"),
        (["-c", "vde_plug /a = sh"], "runs no commands"),
    ],
)
def test_wrong_command_lines(argv: list[str], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        read(argv)


def test_a_login_shell_is_restricted_and_logged() -> None:
    asked = read(["-c", "/usr/bin/vde_plug -D x /run/a"])
    assert (asked.left, asked.right, asked.restricted, asked.log) == ("/run/a", "-", True, True)
    with pytest.raises(Help):
        read(["-c", "vde_plug --help"])


@pytest.mark.parametrize("vnl", ["cmd://sh", "CMD://sh", "vlan://3{cmd://sh}", "FILE"])
async def test_a_restricted_one_runs_no_commands(vnl: str, tmp_path: Path) -> None:
    (tmp_path / "net").write_text("cmd://sh\n")
    with pytest.raises(ConfigError, match="no commands can be run from here"):
        async with RestrictedHere("x", print).open_link(vnl.replace("FILE", str(tmp_path / "net"))):
            pass


@pytest.mark.fuzz
@given(st.text(max_size=30), st.sampled_from([None, "3", "a/b]"]))
def test_random_vnls_with_options_keep_their_address(text: str, port: str | None) -> None:
    try:
        before = cut(parse(text), "bracket")
        result = with_options(text, port, None, None)
    except VnlError:
        return
    if parse(text).scheme == "vde":
        after = cut(parse(result), "bracket")
        assert after.address == before.address
        assert not port or "port" in {one.name for one in after.options}


@pytest.mark.parametrize(
    ("line", "left", "right"),
    [
        ("t0", "", "tap://t0"),
        ("-s /run/a -p 3 -m 660 t0", "vde:///run/a[port=3/mode=660]", "tap://t0"),
        ("-s - t0", "-", "tap://t0"),
        ("--sock=/run/a[9] t/x", "/run/a[9]", "tap://t\\/x"),
    ],
)
def test_vde_plug2tap(line: str, left: str, right: str) -> None:
    asked = vde_plug2tap.read(line.split())
    assert (asked.left, asked.right) == (left, right)
    for wrong in ([], ["a", "b"], ["--bogus", "t0"]):
        with pytest.raises(ConfigError):
            vde_plug2tap.read(wrong)


def test_addresses_are_told_once() -> None:
    log = AddressLog()
    ipv4 = bytes(12) + b"\x08\x00\x45" + bytes(11) + bytes([10, 0, 0, 1]) + bytes(20)
    tagged = ipv4[:12] + b"\x81\x00\x00\x07" + ipv4[12:]
    assert log.receive(ipv4) == "VDE-IP4 10.0.0.1 on vlan 0"
    assert log.receive(ipv4) is None
    assert log.receive(tagged) == "VDE-IP4 10.0.0.1 on vlan 7"
    assert log.receive(frame(1)) is None
    for number in range(2 * MOST):
        log.receive(ipv4[:26] + number.to_bytes(4) + ipv4[30:])
    assert len(log._seen) == MOST


def test_standard_input_is_a_stream_of_frames_and_its_end_is_ours(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with VdeClient(switch.directory) as client:
        done = subprocess.run(
            [*PROGRAM, "-D", "hello", str(switch.directory)],
            input=encode([frame(1), frame(2)]),
            capture_output=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert [client.receive(), client.receive()] == [frame(1), frame(2)]


def test_the_end_of_a_switch_is_an_end_in_good_order(start_switch: StartSwitch) -> None:
    one, other = start_switch(name="a"), start_switch(name="b")
    with subprocess.Popen([*PROGRAM, str(one.directory), str(other.directory)], stderr=subprocess.PIPE) as process:
        with VdeClient(one.directory) as near, VdeClient(other.directory) as far:
            far.data.settimeout(0.1)
            while True:
                near.send(frame(1))
                try:
                    assert far.receive() == frame(1)
                    break
                except TimeoutError:
                    continue
        other.stop()
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_the_background_is_entered_when_both_are_open(start_switch: StartSwitch, tmp_path: Path) -> None:
    switch = start_switch()
    done = subprocess.run(
        [*PROGRAM, "-d", "-p", str(tmp_path / "p"), str(switch.directory), "null://"], check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0
    pid = int((tmp_path / "p").read_text())
    assert any(f"pid={pid}" in line for line in switch.command("port/print"))
    watched = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGTERM)
        os.set_blocking(watched, True)

        poll = select.poll()
        poll.register(watched, select.POLLIN)
        assert poll.poll(1000 * PATIENCE_S)
    finally:
        os.close(watched)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("argv", "status", "text"),
    [
        (["/nonexistent"], 1, "vde_plug: /nonexistent: No such file or directory"),
        (["null://", "udp://x"], 1, "udp://x: [[HOST:]PORT->]HOST:PORT was expected"),
        (["bogus://x"], 1, "bogus:// is unknown; there are"),
        (["-d", "/nonexistent"], 1, "No such file"),
        (["-c", "sh"], 1, "This is not a login shell, only vde_plug can be executed"),
        (["null://", "=", "sh", "-c", "exit 3"], 1, "cmd://sh: it ended with status 3"),
        (["--help"], 0, "--descr"),
    ],
)
def test_statuses(argv: list[str], status: int, text: str) -> None:
    done = subprocess.run([*PROGRAM, *argv], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert (done.returncode, text in done.stdout + done.stderr) == (status, True), done
