"""Debian's own VDE programs on our switch: vde_plug, dpipe, vde_switch, wirefilter, vde_plug2tap."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.namespaces import in_namespace
from tests.interop.original import OriginalSwitch
from tests.switch_process import Console, SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame

StartSwitch = Callable[..., SwitchProcess]
pytestmark = pytest.mark.interop
PATIENCE_S = 20.0
EXCHANGES = 50


@contextlib.contextmanager
def running(*arguments: str | Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A child with pipes, in a process group of its own that ends with the block."""
    process = subprocess.Popen(
        [os.fspath(argument) for argument in arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.communicate(timeout=PATIENCE_S)


def wait_for_ports(switch: SwitchProcess, number: int) -> list[str]:
    """Until so many ports are active; returns the descriptions of their endpoints."""
    with Console(switch.management) as console:
        console.command("debug/add port/descr")
        while True:
            lines = console.command("port/print")
            ends = [line.split(":", 1)[1].strip() for line in lines if "endpoint ID" in line]
            if len(ends) >= number:
                return ends
            console.wait_line("3023")


def exchange(a: VdeClient, b: VdeClient) -> None:
    """Frames both ways, all of which arrive in order."""
    for number in range(EXCHANGES):
        there, back = frame(1, None if number == 0 else 2, number.to_bytes(4)), frame(2, 1, number.to_bytes(4))
        a.send(there)
        assert b.receive() == there
        b.send(back)
        assert a.receive() == back


def test_vde_plug_carries_frames_between_its_pipes_and_our_switch(
    start_switch: StartSwitch, need_tool: NeedTool
) -> None:
    switch = start_switch()
    with VdeClient(switch.directory) as client, running(need_tool("vde_plug"), switch.directory) as plug:
        assert wait_for_ports(switch, 2)[1].startswith("vdeplug: user=")
        assert plug.stdin is not None
        assert plug.stdout is not None
        octets = frame(2, payload=b"from vde_plug")
        plug.stdin.write(len(octets).to_bytes(2) + octets)
        plug.stdin.flush()
        assert client.receive() == octets
        octets = frame(1, 2, b"to vde_plug")
        client.send(octets)
        assert plug.stdout.read(2 + len(octets)) == len(octets).to_bytes(2) + octets


def test_vde_plug_gets_the_port_that_it_asks_for_and_ends_with_the_switch(
    start_switch: StartSwitch, need_tool: NeedTool
) -> None:
    switch = start_switch()
    address = f"vde://{switch.directory}[port=7/mode=666]"
    with VdeClient(switch.directory) as client, running(need_tool("vde_plug"), address) as plug:
        wait_for_ports(switch, 2)
        assert any(line.startswith("Port 0007") for line in switch.command("port/print"))
        assert plug.stdin is not None
        octets = frame(2, payload=b"it is through with its registration")
        plug.stdin.write(len(octets).to_bytes(2) + octets)
        plug.stdin.flush()
        assert client.receive() == octets
        switch.stop()
        assert plug.wait(PATIENCE_S) == 0


def test_vde_plug_is_refused_at_once_where_the_port_does_not_exist(
    start_switch: StartSwitch, need_tool: NeedTool
) -> None:
    switch = start_switch("-n", "4")
    plug = subprocess.run(
        [need_tool("vde_plug"), f"vde://{switch.directory}[port=9]"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert plug.returncode != 0
    assert switch.command("port/print") == ["1000 Success"]


def test_a_killed_vde_plug_disappears_from_the_port_list(start_switch: StartSwitch, need_tool: NeedTool) -> None:
    switch = start_switch()
    with running(need_tool("vde_plug"), switch.directory) as plug:
        wait_for_ports(switch, 1)
        with Console(switch.management) as console:
            console.command("debug/add port/-")
            plug.kill()
            console.wait_line("3022 port/- 01")
    assert switch.command("port/print") == ["1000 Success"]


def test_dpipe_joins_our_switch_and_the_original(
    start_switch: StartSwitch, short_path: Path, need_tool: NeedTool
) -> None:
    ours = start_switch()
    (short_path / "o").mkdir()
    with (
        OriginalSwitch(need_tool("vde_switch"), short_path / "o") as theirs,
        running(need_tool("dpipe"), "vde_plug", ours.directory, "=", "vde_plug", theirs.directory),
        VdeClient(theirs.directory) as far,
        VdeClient(ours.directory, 9) as near,
    ):
        wait_for_ports(ours, 2)
        with Console(theirs.management) as console:
            while sum("endpoint ID" in line for line in console.command("port/print")) < 2:
                pass
        exchange(near, far)
        assert any("02:00:00:00:00:02" in line for line in ours.command("hash/print"))


def test_wirefilter_between_our_switch_and_the_original_loses_what_it_should(
    start_switch: StartSwitch, short_path: Path, need_tool: NeedTool
) -> None:
    ours = start_switch()
    (short_path / "o").mkdir()
    with (
        OriginalSwitch(need_tool("vde_switch"), short_path / "o") as theirs,
        running(need_tool("wirefilter"), "-d", "1", "-m", "1000", "-v", f"{ours.directory}:{theirs.directory}"),
        VdeClient(theirs.directory) as far,
        VdeClient(ours.directory, 9) as near,
    ):
        wait_for_ports(ours, 2)
        with Console(theirs.management) as console:
            while sum("endpoint ID" in line for line in console.command("port/print")) < 2:
                pass
        near.send(frame(1, payload=bytes(1200)))  # longer than its mtu
        exchange(near, far)


@pytest.mark.parametrize("forwarder", ["native", "python"])
def test_the_linux_kernel_pings_itself_through_a_tap_of_ours_and_vde_plug2tap(
    start_switch: StartSwitch, need_tool: NeedTool, two_namespaces: tuple[str, str], forwarder: str
) -> None:
    first, second = two_namespaces
    tap = f"vt{os.getpid()}"
    switch = start_switch("-t", tap, "--forwarder", forwarder)
    subprocess.run(["ip", "link", "set", tap, "netns", first], check=True)
    plug2tap: list[str | Path] = [
        "ip",
        "netns",
        "exec",
        second,
        need_tool("vde_plug2tap"),
        "-s",
        switch.directory,
        "vdetap",
    ]
    with running(*plug2tap):
        wait_for_ports(switch, 2)
        for name, interface, address in ((first, tap, "192.0.2.1"), (second, "vdetap", "192.0.2.2")):
            in_namespace(name, "ip", "address", "add", f"{address}/24", "dev", interface)
            in_namespace(name, "ip", "link", "set", interface, "up")
        shown = in_namespace(first, need_tool("ping"), "-c", "3", "-i", "0.2", "-W", "5", "192.0.2.2")
        assert "3 received" in shown
    assert any("module tuntap      : " + tap in line for line in switch.command("port/print"))
    switch.stop()
    assert tap not in in_namespace(first, "ip", "-o", "link")
