"""The consoles that people use, on our management socket: unixcmd with vdecmd's script, unixterm, vdeterm."""

import os
import pty
import select
import subprocess
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.switch_process import PATIENCE_S, SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient

pytestmark = pytest.mark.interop
StartSwitch = Callable[..., SwitchProcess]
VDECMD = Path("/etc/vde2/vdecmd")
"""Package vde2's script for unixcmd: prints the data of an answer, passes the status on."""


def unixcmd(program: str, management: Path, *words: str) -> list[str]:
    done = subprocess.run(
        [program, "-s", management, "-f", VDECMD, *words], capture_output=True, timeout=PATIENCE_S, check=False
    )
    return done.stdout.replace(b"\0", b"").decode().splitlines()


def test_unixcmd_gets_the_data_of_every_answer(start_switch: StartSwitch, need_tool: NeedTool) -> None:
    switch, program = start_switch(), need_tool("unixcmd")
    with VdeClient(switch.directory, 7, "a client"):
        assert unixcmd(program, switch.management, "port/showinfo") == ["Numports=32", "HUB=false", "counters=true"]
        lines = unixcmd(program, switch.management, "port/print", "7")
        assert lines[0] == "Port 0007 untagged_vlan=0000 ACTIVE - Unnamed Allocatable"
        assert lines[-1].endswith(" module unix prog   : a client")
        assert unixcmd(program, switch.management, "vlan/create", "5") == []
        assert unixcmd(program, switch.management, "vlan/print", "5") == ["VLAN 0005"]
        assert unixcmd(program, switch.management, "help")[0].startswith("COMMAND PATH ")
        assert unixcmd(program, switch.management, "port/print", "9") == []


class Screen:
    """What a program writes to its terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def read_until(self, ending: str) -> str:
        octets = b""
        while ending.encode() not in octets:
            assert select.select([self._descriptor], [], [], PATIENCE_S)[0], octets
            octets += os.read(self._descriptor, 4096)
        return octets.decode().replace("\r", "")


@contextmanager
def on_a_terminal(*arguments: str | Path) -> Iterator[tuple[Screen, "subprocess.Popen[bytes]"]]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    process = subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    try:
        yield Screen(master), process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        os.close(master)


def test_vdeterm_edits_lines_shows_answers_and_events(start_switch: StartSwitch, need_tool: NeedTool) -> None:
    switch = start_switch()
    prompt = f"vde[{switch.management}]: "
    with on_a_terminal(need_tool("vdeterm"), switch.management) as (screen, process):
        assert screen.read_until(prompt).startswith("VDE switch V.2.3.2\nvde-fabric ")
        screen.type("port/showx\x7finfo\n")
        assert "Numports=32\n" in screen.read_until("Success")
        screen.type("debug/add port\n")
        screen.read_until("Success")
        with VdeClient(switch.directory, 7, "seen"):
            shown = screen.read_until('-> "seen"')
            assert "** DBG MSG: port/+ 07\n" in shown
        screen.read_until("port/- 07")
        screen.type("bogus\n")
        assert "Function not implemented" in screen.read_until("implemented")
        screen.type("logout\n")
        assert process.wait(PATIENCE_S) == 0


def test_unixterm_copies_both_ways(start_switch: StartSwitch, need_tool: NeedTool) -> None:
    switch = start_switch()
    with on_a_terminal(need_tool("unixterm"), switch.management) as (screen, process):
        assert "\n\nvde$ " in screen.read_until("vde$ ")
        screen.type("vlan/create 5\n")
        assert screen.read_until("vde$ ").endswith("1000 Success\n\nvde$ ")
        screen.type("vlan/print 5\n")
        assert "0000 DATA END WITH '.'\nVLAN 0005\n.\n1000 Success\n" in screen.read_until("vde$ ")
        screen.type("shutdown\n")  # unixterm may see the end of the connection before it shows our farewell
        assert process.wait(PATIENCE_S) == 0
    assert switch.process.wait(PATIENCE_S) == 0
