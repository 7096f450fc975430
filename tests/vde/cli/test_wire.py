"""`vde wire` as a user runs it: between two switches, controlled while it runs, and ended."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.lab_runner import VDE
from tests.switch_process import PATIENCE_S, SwitchProcess
from tests.vde_client import VdeClient, frame
from vde.wire.client import WireConnection
from vde.wire.native import may_be_realtime

StartSwitch = Callable[..., SwitchProcess]


def vde(*arguments: str, status: int = 0) -> str:
    done = subprocess.run([VDE, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@contextmanager
def wire(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`vde wire --control HOME/w ARGUMENTS…`, ready; interrupted at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
        notification.bind(os.fspath(home / "notify"))
        notification.settimeout(PATIENCE_S)
        process = subprocess.Popen(
            [VDE, "wire", "--control", os.fspath(home / "w"), *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"NOTIFY_SOCKET": os.fspath(home / "notify")},
        )
        try:
            assert notification.recv(100).startswith(b"READY=1")
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
            (home / "notify").unlink()
    assert not (home / "w").exists()


@pytest.fixture
def clients(start_switch: StartSwitch) -> Iterator[tuple[VdeClient, VdeClient, str, str]]:
    one, other = start_switch(name="a"), start_switch(name="b")
    with VdeClient(one.directory) as left, VdeClient(other.directory) as right:
        yield left, right, f"vde://{one.directory}", f"vde://{other.directory}"


def test_a_wire_is_set_while_it_runs(short_path: Path, clients: tuple[VdeClient, VdeClient, str, str]) -> None:
    left, right, one, other = clients
    control = os.fspath(short_path / "w")
    with wire(short_path, one, other, "--name", "slow", "--seed", "42") as process:
        left.send(frame(1))
        assert right.receive() == frame(1)
        assert "frames bypass the model" in vde("wire", "show", control)
        vde("wire", "set", control, "delay=60ms", "--loss", "0%", "--dir", "lr")
        begin = time.monotonic()
        left.send(frame(2))
        assert right.receive() == frame(2)
        assert 0.06 <= time.monotonic() - begin < PATIENCE_S
        assert "left-to-right: frame 2; delayed 60ms" in vde("wire", "why", control, "2")
        vde("wire", "down", control)
        right.send(frame(3))
        statistics: dict[str, Any] = {}
        while not statistics.get("dropped_frames"):
            with WireConnection(Path(control)) as connection:
                statistics = connection.ask("stats")["statistics"]["right-to-left"]
        assert statistics["dropped"] == {"down": 1}
        assert json.loads(vde("wire", "stats", control, "--format", "json"))["right-to-left"] == statistics
        assert "DOWN" in vde("wire", "up", control, "--dir", "rl")
        vde("wire", "up", control)
        vde("wire", "clear", control)
        right.send(frame(4))
        assert left.receive() == frame(4)
        assert "write 5ms" in vde("wire", "set", control, "delay=5", status=2)
        assert vde("wire", "reset", control).count("nothing set") == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130


def test_options_rules_and_directions(short_path: Path, clients: tuple[VdeClient, VdeClient, str, str]) -> None:
    _, _, one, other = clients
    arguments = (
        "--delay",
        "5ms",
        one,
        "--left-to-right",
        "loss=100%",
        other,
        "--rule",
        "src 02:00:00:00:00:07: loss=0%",
    )
    with wire(short_path, *arguments) as process:
        state = json.loads(vde("wire", "show", os.fspath(short_path / "w"), "--format", "json"))
        assert state["left-to-right"]["settings"] == {"delay": "5ms", "loss": "100%"}
        assert state["right-to-left"]["settings"] == {"delay": "5ms"}
        assert state["right-to-left"]["rules"] == [{"match": "src 02:00:00:00:00:07", "settings": {"loss": "0%"}}]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_a_wire_ends_with_its_switch_if_it_is_told_to(short_path: Path, start_switch: StartSwitch) -> None:
    one, other = start_switch(name="a"), start_switch(name="b")
    with wire(short_path, str(one.directory), str(other.directory), "--delay", "1ms", "--once") as process:
        one.stop()
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr is not None
        assert "vde wire: " in process.stderr.read()


@pytest.mark.parametrize("settings", [(), ("--delay", "1ms")], ids=["bypass", "model"])
def test_a_wire_joins_a_switch_that_comes_back(
    short_path: Path, start_switch: StartSwitch, settings: tuple[str, ...]
) -> None:
    one, other = start_switch(name="a"), start_switch(name="b")
    control = os.fspath(short_path / "w")
    left, right = f"vde://{one.directory}", f"vde://{other.directory}"
    with wire(short_path, left, right, *settings) as process, VdeClient(other.directory) as beyond:
        one.stop()
        while shown(control)["ends"][0]["state"] == "connected":
            assert process.poll() is None
        told = vde("wire", "show", control)
        assert f"{left}: AWAY" in told
        assert f"{right}: AWAY" not in told
        assert any("wire" in line for line in other.command("port/print")), "the other end was closed, too"
        with VdeClient(start_switch(name="a").directory) as near:
            while (ends := shown(control)["ends"])[0]["state"] != "connected":
                assert process.poll() is None
            assert (ends[0]["breaks"], ends[1]["breaks"]) == (1, 0)
            near.send(frame(1))
            assert beyond.receive() == frame(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        assert process.stderr is not None
        told = process.stderr.read()
        assert told.count("trying again") == 1
        assert told.count(f"{left}: is there again") == 1


CHANGES = [
    ("set", {"rate": "1Gbit"}),
    ("set", {"discipline": "codel"}),
    ("watch", {}),
    ("set", {"discipline": "tail-drop", "delay": "20ms"}),
    ("down", {}),
    ("up", {}),
    ("clear", {}),
    ("set", {"delay": "30ms", "corrupt": "0%"}),
]
"""Some that the native carrier knows, some that only the model knows, and none."""


@pytest.mark.parametrize("rings", ["yes", "no"])
def test_no_frame_is_lost_when_another_begins_to_carry(short_path: Path, start_switch: StartSwitch, rings: str) -> None:
    one, other = start_switch(name="a"), start_switch(name="b")
    control = short_path / "w"
    with (
        wire(short_path, str(one.directory), str(other.directory), "--delay", "30ms", "--rings", rings),
        VdeClient(one.directory) as near,
        VdeClient(other.directory) as beyond,
        WireConnection(control) as connection,
    ):
        number = 0
        for verb, settings in CHANGES * 2:
            for _ in range(25):
                near.send(frame(number))
                number += 1
            while connection.ask("stats")["statistics"]["left-to-right"]["received_frames"] < number:
                pass
            if verb == "watch":
                with WireConnection(control) as watching:
                    watching.ask("watch")
            else:
                connection.ask(verb, **({"settings": settings} if settings else {}))
        sent_while_down = {n for turn in (5, 13) for n in range(25 * turn, 25 * turn + 25)}
        expected = {frame(n) for n in set(range(number)) - sent_while_down}
        assert {beyond.receive() for _ in expected} == expected
        statistics = connection.ask("stats")["statistics"]["left-to-right"]
        assert (statistics["received_frames"], statistics["sent_frames"]) == (number, len(expected))
        assert statistics["dropped"] == {"down": 50}
        assert connection.ask("why", number=1, direction="left-to-right")["why"]["delay_ns"] == 30_000_000


@pytest.mark.parametrize(
    ("options", "modules"),
    [((), {"ring"}), (("--rings", "no"), {"unix prog"}), (("--delay", "1ms"), {"unix prog"})],
    ids=["plain", "told not to", "impaired"],
)
def test_a_plain_wire_takes_the_rings_that_a_switch_offers(
    short_path: Path, start_switch: StartSwitch, options: tuple[str, ...], modules: set[str]
) -> None:
    one, other = start_switch(name="a"), start_switch(name="b")
    with wire(short_path, f"vde://{one.directory}[7]", str(other.directory), *options):
        lines = [line for switch in (one, other) for line in switch.command("port/allprint")]
        assert any("Port 0007" in line for line in lines)
        assert {line.split("module ")[1].split(":")[0].strip() for line in lines if "module " in line} == modules


def policies(pid: int) -> set[int]:
    """Of all threads of a process."""
    return {os.sched_getscheduler(int(thread)) for thread in os.listdir(f"/proc/{pid}/task")}


def test_a_wire_of_real_time_or_why_not(short_path: Path, clients: tuple[VdeClient, VdeClient, str, str]) -> None:
    left, right, one, other = clients
    if may_be_realtime():
        with wire(short_path, one, other, "--delay", "1ms", "--realtime") as process:
            left.send(frame(1))
            assert right.receive() == frame(1)
            assert policies(process.pid) == {os.SCHED_OTHER, os.SCHED_FIFO}
        with wire(short_path, one, other, "--delay", "1ms") as process:
            assert policies(process.pid) == {os.SCHED_OTHER}
    else:
        assert "CAP_SYS_NICE" in vde("wire", one, other, "--realtime", status=2)
    assert "--python does without" in vde("wire", one, other, "--realtime", "--python", status=2)


def shown(control: str | Path) -> dict[str, Any]:
    """As `vde wire show --format json`, without a process."""
    with WireConnection(Path(control)) as connection:
        found: dict[str, Any] = connection.ask("show")["state"]
    return found


def dropped(control: str) -> dict[str, int]:
    """From left to right, by cause."""
    with WireConnection(Path(control)) as connection:
        found: dict[str, int] = connection.ask("stats")["statistics"]["left-to-right"]["dropped"]
    return found


def test_a_wire_waits_for_a_switch_that_starts_later(short_path: Path, start_switch: StartSwitch) -> None:
    control = short_path / "w"
    late = short_path / "b" / "s.ctl"
    process = subprocess.Popen(
        [VDE, "wire", "null://", f"vde://{late}", "--control", control], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert "trying again" in process.stderr.readline()
        assert shown(control)["ends"][1]["state"] in ("waiting", "opening")
        switch = start_switch(name="b")
        assert switch.directory == late
        while shown(control)["ends"][1]["state"] != "connected":
            assert process.poll() is None
    finally:
        process.terminate()
        _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "is there again" in told


MARKOV = """
markov-numnodes 2
markov-name 1,silent
markov-time 100
loss 100[1]
setedge 0,1,100
setedge 1,0,100
"""


def test_a_wire_walks_between_the_states_of_a_file(
    short_path: Path, clients: tuple[VdeClient, VdeClient, str, str]
) -> None:
    left, right, one, other = clients
    control = os.fspath(short_path / "w")
    (short_path / "states").write_text(MARKOV)
    with wire(short_path, one, other, "--markov", os.fspath(short_path / "states")) as process:
        received = 0
        right.data.settimeout(0.02)
        while not (dropped(control) and received):
            assert process.poll() is None
            left.send(frame(1))
            with suppress(TimeoutError):
                received += right.receive() == frame(1)
        assert dropped(control).keys() == {"loss"}
        states: set[str] = set()
        while len(states) < 2:
            states.add(shown(control)["markov_state"])
        assert states == {"0", "silent"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("null://",), "two VNLs"),
        (("null://", "nope://"), "nope:// is unknown"),
        (("null://", "null://", "--delay", "5"), "write 5ms"),
        (("null://", "null://", "--rule", "vlan 10"), "MATCH: NAME=VALUE"),
        (("null://", "null://", "--at", "5s burn"), "set, reset, clear, up, down"),
        (("null://", "null://", "--trace", "/nonexistent"), "No such file"),
        (("set", "/nonexistent/wire"), "NAME=VALUE or --NAME VALUE"),
        (("why", "x"), "the number of a frame"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...], expected: str) -> None:
    assert expected in vde("wire", *arguments, status=2)


def test_a_wire_that_does_not_run() -> None:
    assert "no wire" in vde("wire", "show", "/nonexistent/wire", status=4)


def test_a_wire_by_name(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(short_path))
    process = subprocess.Popen([VDE, "wire", "null://", "null://", "--name", "n1", "--loss", "1%"])
    try:
        while not (short_path / "vde" / "wires" / "n1").exists():
            assert process.poll() is None
            os.sched_yield()
        assert "loss 1%" in vde("wire", "show", "n1")
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    assert not (short_path / "vde").exists()
