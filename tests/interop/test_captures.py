"""What pdump writes, read by Wireshark's tools."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.switch_process import PATIENCE_S, Console, SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame, tagged

pytestmark = pytest.mark.interop
StartSwitch = Callable[..., SwitchProcess]
FIELDS = ("frame.interface_name", "frame.packet_flags_direction", "frame.len", "eth.src", "vlan.id", "frame.time_epoch")


def run(*arguments: str | Path) -> str:
    done = subprocess.run(arguments, capture_output=True, timeout=PATIENCE_S, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("buffered", ["0", "1"])
def test_tshark_reads_names_directions_and_times(
    start_switch: StartSwitch, need_tool: NeedTool, tmp_path: Path, buffered: str
) -> None:
    switch = start_switch()
    file = tmp_path / "capture"
    with (
        VdeClient(switch.directory, 1) as one,
        VdeClient(switch.directory, 2) as two,
        Console(switch.management) as console,
    ):
        for command in (
            "plugin/add pdump",
            f"pdump/filename {file}",
            f"pdump/buffered {buffered}",
            "vlan/create 5",
            "vlan/addport 5 1",
            "vlan/addport 5 2",
            "pdump/active 1",
        ):
            assert console.command(command)[-1] == "1000 Success"
        one.send(frame(1))
        assert two.receive() == frame(1)
        two.send(tagged(frame(2, 1, bytes(3000)), 5))
        assert len(one.receive()) == 3018
        while console.command("pdump/status")[3].split()[1] != "4":
            continue
        assert console.command("pdump/active 0")[-1] == "1000 Success"

    fields = [argument for field in FIELDS for argument in ("-e", field)]
    rows = [line.split("\t") for line in run(need_tool("tshark"), "-r", file, "-T", "fields", *fields).splitlines()]
    assert [row[:5] for row in rows] == [
        ["port1", "0x00000001", "60", "02:00:00:00:00:01", ""],
        ["port2", "0x00000002", "60", "02:00:00:00:00:01", ""],
        ["port2", "0x00000001", "3018", "02:00:00:00:00:02", "5"],
        ["port1", "0x00000002", "3018", "02:00:00:00:00:02", "5"],
    ]
    seconds = [float(row[5]) for row in rows]
    assert seconds == sorted(seconds)
    assert abs(file.stat().st_mtime - seconds[0]) < PATIENCE_S  # a file has the time of the last tick
    assert all(len(row[5].split(".")[1]) == 9 for row in rows)

    about = run(need_tool("capinfos"), "-M", file)
    assert "File type:           pcapng" in about
    assert "Number of packets:   4" in about
    assert "Number of interfaces in file: 3" in about
    assert "Capture application: vdeswitch (vde-fabric)" in about
    assert "Name = switch" in about


def test_a_killed_switch_leaves_a_file_that_can_be_read(
    start_switch: StartSwitch, need_tool: NeedTool, tmp_path: Path
) -> None:
    switch = start_switch()
    file = tmp_path / "capture"
    with VdeClient(switch.directory, 1) as one, Console(switch.management) as console:
        for command in ("plugin/add pdump", f"pdump/filename {file}", "pdump/active 1"):
            assert console.command(command)[-1] == "1000 Success"
        one.send(frame(1))
        while console.command("pdump/status")[3].split()[1] != "1":
            continue
        switch.stop(9)
    assert len(run(need_tool("tshark"), "-r", file).splitlines()) == 1


def test_wireshark_can_watch_through_a_pipe(start_switch: StartSwitch, need_tool: NeedTool, tmp_path: Path) -> None:
    switch = start_switch()
    pipe = switch.home / "pipe"
    run("mkfifo", pipe)
    watcher = subprocess.Popen(
        [need_tool("tshark"), "-l", "-c", "2", "-i", pipe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        with VdeClient(switch.directory, 1) as one, Console(switch.management) as console:
            for command in ("plugin/add pdump", f"pdump/filename {pipe}"):
                assert console.command(command)[-1] == "1000 Success"
            while console.command("pdump/active 1")[-1] != "1000 Success":
                assert watcher.poll() is None
            one.send(frame(1))
            one.send(frame(2))
            assert watcher.stdout is not None
            shown = watcher.stdout.read()
        assert watcher.wait(PATIENCE_S) == 0
        assert [line.split()[2] for line in shown.splitlines()] == ["02:00:00:00:00:01", "02:00:00:00:00:02"]
    finally:
        if watcher.poll() is None:
            watcher.kill()
        watcher.communicate()
