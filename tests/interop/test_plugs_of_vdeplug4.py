"""Our plugs and tools with Debian's: vde_switch, vde_plug, dpipe and wirefilter of vdeplug4 4.0.1 and vde2 2.3.2.

Debian's programs are named by their whole path: ours have the same names.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trio.lowlevel

from plugs.registry import open_link
from tests.interop.namespaces import in_namespace, inside
from tests.interop.original import OriginalSwitch
from tests.interop.original_plug import exchange, open_original_plug, quiet
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.udp_ports import free_udp_port
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame
from vde.errors import LinkBroken, LinkEnded
from vde.link import Link

pytestmark = pytest.mark.interop
PATIENCE_S = 20
VDE_SWITCH, VDE_PLUG, DPIPE = "/usr/bin/vde_switch", "/usr/bin/vde_plug", "/usr/bin/dpipe"
OURS = Path(sys.executable).parent
OUR_PLUG, OUR_DPIPE, OUR_TAP = ([os.fspath(OURS / name)] for name in ("vde_plug", "dpipe", "vde_plug2tap"))
StartSwitch = Callable[..., SwitchProcess]


@pytest.fixture(autouse=True)
def _debian(need_tool: NeedTool) -> None:
    for tool in (VDE_SWITCH, VDE_PLUG, DPIPE):
        need_tool(tool)


@contextmanager
def program(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=False)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def until(condition: Callable[[], bool]) -> None:
    deadline = os.times().elapsed + PATIENCE_S
    while not condition():
        assert os.times().elapsed < deadline
        os.sched_yield()


def crosses(near: VdeClient, far: VdeClient) -> None:
    """Frames of several sizes, both ways; the first until the program between has started."""
    far.data.settimeout(0.1)
    for _ in range(int(10 * PATIENCE_S)):
        near.send(frame(1))
        try:
            assert far.receive() == frame(1)
            break
        except TimeoutError:
            continue
    far.data.settimeout(PATIENCE_S)
    for size in (0, 500, 1486):
        octets = frame(2, None, os.urandom(size))
        near.send(octets)
        while (got := far.receive()) != octets:
            assert got == frame(1)
        far.send(octets)
        assert near.receive() == octets


async def both_ways(one: Link, other: Link) -> None:
    with trio.fail_after(PATIENCE_S):
        for number, size in enumerate((0, 500, 1486, 9000)):
            octets = frame(number, None, bytes(size))
            assert await exchange(one, other, octets) == octets
            await quiet(other)
            assert await exchange(other, one, octets) == octets
            await quiet(one)


@pytest.mark.parametrize("options", ["", "[7]"])
async def test_vde_with_vde_switch(short_path: Path, options: str) -> None:
    with OriginalSwitch(VDE_SWITCH, short_path) as switch, VdeClient(switch.directory) as client:
        async with open_link(f"vde://{switch.directory}{options}", TestSurroundings()) as link:
            for size in (0, 1486):
                await link.send([frame(1, None, bytes(size))])
                assert client.receive() == frame(1, None, bytes(size))
                client.send(frame(2, 1, bytes(size)))
                with trio.fail_after(PATIENCE_S):
                    assert await link.receive() == [frame(2, 1, bytes(size))]
            switch.process.terminate()
            with trio.fail_after(PATIENCE_S), pytest.raises(LinkEnded):
                await link.receive()


async def test_vde_switch_refuses_by_silence(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugs.vde.ANSWER_S", 0.3)
    with OriginalSwitch(VDE_SWITCH, short_path) as switch, pytest.raises(LinkBroken, match="refuses port 99 so"):
        async with open_link(f"{switch.directory}[99]", TestSurroundings()):
            pass


@pytest.mark.parametrize("first", ["ours", "debian"])
async def test_ptp_of_the_older_generation(short_path: Path, first: str) -> None:
    """Debian 12 has it. Whoever comes first."""
    vnl = f"ptp://{short_path}/p"
    if first == "ours":
        async with open_link(f"{vnl}[type=dgram]", TestSurroundings()) as link, open_original_plug(vnl) as original:
            await both_ways(original, link)
    else:
        async with open_original_plug(vnl) as original:
            while not (short_path / "p").exists():
                await trio.lowlevel.checkpoint()
            async with open_link(vnl, TestSurroundings()) as link:
                assert link.state()["type"] == "dgram"
                await both_ways(link, original)


async def test_udp() -> None:
    here, there = free_udp_port(), free_udp_port()
    async with (
        open_link(f"udp://127.0.0.1:{here}->127.0.0.1:{there}", TestSurroundings()) as link,
        open_original_plug(f"udp://127.0.0.1:{there}->127.0.0.1:{here}") as original,
    ):
        await both_ways(link, original)


async def test_cmd_of_debians_vde_plug(short_path: Path) -> None:
    with OriginalSwitch(VDE_SWITCH, short_path) as switch, VdeClient(switch.directory) as client:
        async with open_link(f"cmd://{VDE_PLUG} {switch.directory}", TestSurroundings()) as link:
            client.data.settimeout(0)
            with trio.fail_after(PATIENCE_S):
                while True:
                    await link.send([frame(1)])
                    try:
                        assert client.receive() == frame(1)
                        break
                    except BlockingIOError:
                        await trio.lowlevel.checkpoint()
                client.send(frame(2, 1))
                assert frame(2, 1) in await link.receive()


async def test_seqpacket_given_to_debians_vde_plug(start_switch: StartSwitch) -> None:
    """User-Mode Linux's command line, with Debian's program and then ours, which join the socket to our switch."""
    switch = start_switch()
    for words in ([VDE_PLUG], OUR_PLUG):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [*words, "--descr", "UML", f"seqpacket://{theirs.fileno()}", f"vde://{switch.directory}"]
        with (
            theirs,
            subprocess.Popen(  # noqa: ASYNC220
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            ) as process,
        ):
            try:
                async with open_link(f"seqpacket://{ours.fileno()}", TestSurroundings()) as link:
                    with VdeClient(switch.directory) as client, trio.fail_after(PATIENCE_S):
                        client.data.settimeout(0)
                        await link.send([frame(1)])
                        while True:
                            try:
                                assert client.receive() == frame(1)
                                break
                            except BlockingIOError:
                                await trio.lowlevel.checkpoint()
                        client.send(frame(2, 1))
                        assert await link.receive() == [frame(2, 1)]
                        assert any("UML user=" in line for line in switch.command("port/print"))
            finally:
                ours.close()
                theirs.close()
                if words == [VDE_PLUG]:
                    process.terminate()  # it does not mind the end of a socket pair
                process.wait(PATIENCE_S)
        assert words == [VDE_PLUG] or process.returncode == 0


@pytest.mark.parametrize("dpipe", [OUR_DPIPE, [DPIPE]], ids=["our dpipe", "their dpipe"])
@pytest.mark.parametrize(
    ("left", "right"),
    [(OUR_PLUG, [VDE_PLUG]), ([VDE_PLUG], OUR_PLUG), (OUR_PLUG, OUR_PLUG)],
    ids=["ours-theirs", "theirs-ours", "ours-ours"],
)
def test_dpipe(start_switch: StartSwitch, dpipe: list[str], left: list[str], right: list[str]) -> None:
    one, other = start_switch(name="a"), start_switch(name="b")
    line = [*dpipe, *left, str(one.directory), "=", *right, str(other.directory)]
    with program(*line), VdeClient(one.directory) as near, VdeClient(other.directory) as far:
        crosses(near, far)


@pytest.mark.parametrize("dpipe", [OUR_DPIPE, [DPIPE]], ids=["our dpipe", "their dpipe"])
def test_wirefilter_in_the_middle(need_tool: NeedTool, start_switch: StartSwitch, dpipe: list[str]) -> None:
    need_tool("/usr/bin/wirefilter")
    one, other = start_switch(name="a"), start_switch(name="b")
    line = [*dpipe, *OUR_PLUG, str(one.directory), "=", "/usr/bin/wirefilter", "--delay", "1", "="]
    line += [*OUR_PLUG, str(other.directory)]
    with program(*line), VdeClient(one.directory) as near, VdeClient(other.directory) as far:
        crosses(near, far)


@pytest.mark.parametrize("first", [OUR_PLUG, [VDE_PLUG]], ids=["ours", "theirs"])
def test_vde_plug_and_a_command(start_switch: StartSwitch, first: list[str]) -> None:
    one, other = start_switch(name="a"), start_switch(name="b")
    second = [VDE_PLUG] if first == OUR_PLUG else OUR_PLUG
    line = [*first, str(one.directory), "=", *second, str(other.directory)]
    with program(*line), VdeClient(one.directory) as near, VdeClient(other.directory) as far:
        crosses(near, far)


def test_taps_of_two_hosts_ping_through_a_switch(
    start_switch: StartSwitch, two_namespaces: tuple[str, str], need_tool: NeedTool
) -> None:
    """vde_plug2tap on one side, a tap that is the switch's own port on the other."""
    need_tool("ping")
    switch = start_switch()
    left, right = two_namespaces
    with (
        program("ip", "netns", "exec", left, *OUR_TAP, "-s", str(switch.directory), "tap0"),
        program("ip", "netns", "exec", right, *OUR_PLUG, "tap://tap0/up", str(switch.directory)),
    ):
        for number, name in enumerate(two_namespaces, 1):
            until(lambda name=name: "tap0" in in_namespace(name, "ip", "-o", "link", "show"))  # type: ignore[misc]
            in_namespace(name, "ip", "address", "add", f"10.77.0.{number}/24", "dev", "tap0")
            in_namespace(name, "ip", "link", "set", "tap0", "up")
        until(lambda: "".join(switch.command("port/print")).count("module unix prog") == 2)
        shown = in_namespace(left, "ping", "-c", "3", "-i", "0.2", "-W", "5", "10.77.0.2")
    assert "3 received" in shown
    with inside(left):
        assert "tap0" not in {name for _, name in socket.if_nameindex()}
