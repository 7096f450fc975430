"""Two switches of ours and two of Debian's in one ring: no storm, one copy of each frame, and it heals."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.original import OriginalSwitch
from tests.interop.test_vde_tools import running
from tests.switch_process import Console, SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame

pytestmark = [pytest.mark.interop, pytest.mark.slow]
CONVERGENCE_S = 60.0  # a hello is due every 4 s, a root is lost after 3 of them
QUIET_S = 0.5


def copies_everywhere(clients: list[VdeClient], serial: int) -> list[int]:
    """How many copies of one broadcast from the first client reach each of the others; nothing else may storm."""
    probe = frame(0x100, payload=b"probe" + serial.to_bytes(4))
    clients[0].send(probe)
    counts = []
    for client in clients[1:]:
        client.data.settimeout(QUIET_S)
        seen = 0
        with contextlib.suppress(TimeoutError):
            for _ in range(1000):
                seen += client.receive() == probe
        counts.append(seen)
    return counts


def wait_for_one_copy_each(clients: list[VdeClient], serials: "list[int]") -> float:
    """Seconds until a broadcast reaches everybody exactly once."""
    start = time.monotonic()
    while True:
        serials[0] += 1
        counts = copies_everywhere(clients, serials[0])
        waited = time.monotonic() - start
        if counts == [1] * (len(clients) - 1):
            return waited
        assert waited < CONVERGENCE_S, f"after {waited:.0f} s still {counts} copies"


@pytest.mark.parametrize("forwarder", ["native", "python"])
def test_a_ring_of_ours_and_theirs_converges_and_heals_when_a_link_dies(
    start_switch: Callable[..., SwitchProcess], short_path: Path, need_tool: NeedTool, forwarder: str
) -> None:
    ours = [
        start_switch("-F", "--forwarder", forwarder, "--priority", priority, name=name)
        for name, priority in (("a", "0x7000"), ("c", "0x9000"))
    ]
    with contextlib.ExitStack() as stack:
        theirs = []
        for name in ("b", "d"):
            (short_path / name).mkdir()
            theirs.append(stack.enter_context(OriginalSwitch(need_tool("vde_switch"), short_path / name, "-F")))
        ring: list[SwitchProcess | OriginalSwitch] = [ours[0], theirs[0], ours[1], theirs[1]]
        links = [
            stack.enter_context(
                running(need_tool("dpipe"), "vde_plug", one.directory, "=", "vde_plug", other.directory)
            )
            for one, other in zip(ring, [*ring[1:], ring[0]], strict=True)
        ]
        clients = [stack.enter_context(VdeClient(switch.directory, 20)) for switch in ring]
        serials = [0]
        wait_for_one_copy_each(clients, serials)
        with Console(ours[1].management) as console:
            shown = console.command("fstp/print 0")
        assert "ROOTSWITCH" not in shown[0]
        assert shown[1] == f" ++ root 70:00:{root_address(ours[0])}"
        with Console(ours[0].management) as console:
            console.command("debug/add port/-")
            os.killpg(links[0].pid, signal.SIGTERM)  # between the root and its neighbour
            console.wait_line("3022 port/-")
        wait_for_one_copy_each(clients, serials)


def root_address(switch: SwitchProcess) -> str:
    """The switch's own address."""
    return next(line.split()[1] for line in switch.command("fstp/showinfo") if line.startswith("MAC"))
