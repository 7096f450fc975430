"""Kernels in C on the umps3 board: a student's, and one that speaks ARP and ping, with each other and with Linux.

Built with the cross compiler and the files of Debian's umps3, and by our own elf2umps.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emulators.boards import umps3
from emulators.machine import Halted, Idle, Machine, PoweredOff
from emulators.outside import Bench, MemoryDisk
from emulators.umps_tools import elf2umps, mkdev
from tests.emulators.umps.kernels import build_kernel
from tests.interop.guest_console import ConsoleGuest
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
PROGRAMS = Path(__file__).parent.parent / "emulators" / "programs"
VDE = Path(sys.executable).parent / "vde"
PATIENCE_TICKS = 100_000_000
PATIENCE_S = 60.0
need_tool = NeedTool()


def built(place: Path, source: Path) -> Path:
    """A folder with the kernel's core and symbol files."""
    place.mkdir(exist_ok=True)
    assert elf2umps.run(["-k", str(build_kernel(place, [source], need_tool))], "elf2umps") == 0
    return place


def configured(place: Path, devices: dict[str, str], **others: object) -> Path:
    """A configuration of the kernel in `place`."""
    path = place / "machine.json"
    whole = {
        "boot": {"load-core-file": True, "core-file": "kernel.core.umps"},
        "symbol-table": {"file": "kernel.stab.umps", "asid": 64},
        "devices": {name: {"enabled": True, "file": file} for name, file in devices.items()},
    }
    path.write_text(json.dumps({**whole, **others}))
    return path


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("student"), PROGRAMS / "umps_student" / "kernel.c")


@pytest.fixture(scope="module")
def ping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("ping"), PROGRAMS / "umps_ping" / "ping.c")


STUDENT_DEVICES = {
    "disk0": "disk0.umps",
    "flash0": "flash0.umps",
    "printer0": "printer0.umps",
    **{f"terminal{unit}": f"term{unit}.umps" for unit in range(8)},
}
PAPER = b"blocks are the same\ndisk 16\nflash 8\ncharacters 56\nthe timer ticks\n"


def make_drives(place: Path) -> None:
    assert mkdev.run(["-d", str(place / "disk0.umps"), "8", "2", "8"], "mkdev") == 0
    assert mkdev.run(["-f", str(place / "flash0.umps"), "/dev/null", "16"], "mkdev") == 0


@pytest.mark.parametrize("rom", ["auto", "own"])
@pytest.mark.parametrize("rate", [1, 7])
def test_a_student_kernel_uses_every_kind_of_device(student: Path, rom: str, rate: int) -> None:
    make_drives(student)
    params = umps3.Params(configured(student, STUDENT_DEVICES, **{"clock-rate": rate}), rom)
    bench = Bench([MemoryDisk(path.read_bytes()) for path, _ in umps3.needs(params).disks])
    machine = umps3.build(params, bench)
    for unit in range(8):
        typed = bench.consoles[f"terminal{unit}"].on_input
        assert typed is not None
        typed(b"line %d\n" % unit)
    assert machine.run_for(PATIENCE_TICKS) == Halted(umps3.HALTED, "System halted")
    assert bench.written["printer0"] == PAPER
    assert bench.written["terminal0"] == b"line 7\nall done\nSystem halted \n"
    for unit in range(1, 8):
        assert bench.written[f"terminal{unit}"] == b"line %d\n" % (unit - 1)


def test_a_student_kernel_from_the_command_line(student: Path) -> None:
    """Terminals are standard output, files and a socket; drives are files; the exit status tells the end."""
    make_drives(student)
    config = configured(student, STUDENT_DEVICES)
    pairs = [socket.socketpair() for _ in range(7)]
    consoles = [f"--console=terminal{unit}=fd:{theirs.fileno()}" for unit, (_, theirs) in enumerate(pairs, 1)]
    process = subprocess.Popen(
        [VDE, "guest", "umps3", config, *consoles],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[theirs.fileno() for _, theirs in pairs],
    )
    for unit, (ours, theirs) in enumerate(pairs, 1):
        theirs.close()
        ours.sendall(b"line %d\n" % unit)
    out, err = process.communicate(b"line 0\n", PATIENCE_S)
    assert out == b"line 7\nall done\nSystem halted \n"
    assert err == b"vde guest: the guest has halted: System halted\n"
    assert process.returncode == umps3.HALTED
    for unit, (ours, _) in enumerate(pairs, 1):
        with ours, ours.makefile("rb") as shown:
            assert shown.read() == b"line %d\r\n" % (unit - 1)  # as for a terminal
    assert (student / "printer0.umps").read_bytes() == PAPER
    written = (student / "disk0.umps").read_bytes()[28:]
    first = 1 * 8 * 4096  # cylinder 0, head 1, sector 0
    assert written[first : first + 4096] == bytes(at * 7 & 0xFF for at in range(4096))


def test_two_machines_ping_each_other(ping: Path) -> None:
    config = configured(ping, {"eth0": "/run/nowhere", "terminal0": "term0.umps"})
    benches = [Bench(nic_count=1, seed=seed) for seed in (1, 2)]
    machines = [umps3.build(umps3.Params(config), bench) for bench in benches]
    for bench, line in zip(benches, (b"1 2\n", b"2 1\n"), strict=True):
        bench.consoles["terminal0"].on_input(line)  # type: ignore[misc]
    exchange(machines, benches, lambda: all(b"done" in bench.written["terminal0"] for bench in benches))
    for bench, other in zip(benches, (2, 1), strict=True):
        shown = bench.written["terminal0"].decode().splitlines()
        assert shown[0] == "ready"
        assert shown.count(f"echo from {other}") == 3
        assert shown.count(f"answered {other}") >= 2
    for bench in benches:
        bench.consoles["terminal0"].on_input(b"q")  # type: ignore[misc]
    for machine in machines:
        assert machine.run_for(PATIENCE_TICKS) == PoweredOff(0)


def exchange(machines: list[Machine], benches: list[Bench], done: Callable[[], bool]) -> None:
    """Run both by turns of a millisecond, and carry frames between them."""
    while not done():
        for number, machine in enumerate(machines):
            outcome = machine.run_for(1000)
            assert not isinstance(outcome, Idle | Halted), outcome
            sent = benches[number].sent[0]
            for frame in sent:
                benches[1 - number].cables[0].on_frame(frame)  # type: ignore[misc]
            sent.clear()
        assert machines[0].cpu.ticks < PATIENCE_TICKS


@pytest.mark.slow
def test_two_machines_and_linux_on_a_switch(
    ping: Path, start_switch: Callable[..., SwitchProcess], need_tool: NeedTool
) -> None:
    """Each is a process of its own; Linux is this machine's kernel in a view."""
    switch = start_switch()
    config = configured(ping, {"eth0": os.fspath(switch.directory), "terminal0": "term0.umps"})
    command = [str(VDE), "guest", "umps3", str(config)]
    with ConsoleGuest(command) as one, ConsoleGuest(command) as two:
        for guest, line in ((one, b"1 2\n"), (two, b"2 1\n")):
            assert guest.process.stdin is not None
            guest.process.stdin.write(line)
            guest.process.stdin.flush()
        for guest, other in ((one, 2), (two, 1)):
            guest.wait_for("done\n", guest.wait_for(f"echo from {other}\n"))
        view = [str(VDE), "view", "--net", f"vde://{switch.directory}", "--addr", "10.0.5.9/24", "--"]
        for last in (1, 2):
            pings = [need_tool("ping"), "-c", "3", "-i", "0.3", "-s", "900", f"10.0.5.{last}"]
            answer = subprocess.run([*view, *pings], capture_output=True, text=True, timeout=PATIENCE_S)
            assert "3 received" in answer.stdout, answer
        one.wait_for("answered 9\n")
        two.wait_for("answered 9\n")
        for guest in (one, two):
            assert guest.process.stdin is not None
            guest.process.stdin.write(b"q")
            guest.process.stdin.flush()
        for guest in (one, two):
            assert guest.process.wait(PATIENCE_S) == 0


def test_lines_on_a_terminal(ping: Path) -> None:
    """The kernel ends lines with LF; a terminal in raw mode is told CR LF, and its Enter key is LF to the kernel."""
    config = configured(ping, {"eth0": "/run/nowhere", "terminal0": "term0.umps"})
    ours, theirs = os.openpty()
    command = [str(VDE), "guest", "umps3", str(config), "--nic", "none"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        os.write(ours, b"1\r0\r")
        shown = b""
        while not shown.endswith(b"ready\r\n"):
            shown += os.read(ours, 4096)
        os.write(ours, b"q")
        assert process.wait(PATIENCE_S) == 0
    os.close(ours)
