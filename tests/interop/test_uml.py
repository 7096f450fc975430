"""User-Mode Linux's two classic transports register with our switch.

Only registration: on hosts whose CPU state is larger than UML 6.1 knows its first user process dies, and its kernel has
no address of its own before that.
"""

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.switch_process import Console, SwitchProcess
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
PATIENCE_S = 20.0


@pytest.mark.parametrize(
    ("transport", "port"),
    [("daemon,,unix,{directory}/ctl", 1), ("vde,{directory},,7", 7)],
    ids=["daemon, unpacked and abstract", "vde, through libvdeplug"],
)
def test_user_mode_linux_registers(
    start_switch: Callable[..., SwitchProcess], need_tool: NeedTool, transport: str, port: int
) -> None:
    switch = start_switch()
    with Console(switch.management) as console:
        console.command("debug/add port/ep/+")
        uml = subprocess.Popen(
            [
                need_tool("linux.uml"),
                "mem=64M",
                f"eth0={transport.format(directory=switch.directory)}",
                "con=null",
                "root=/dev/ubda",
                "rootwait",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        try:
            assert console.wait_line("3031").startswith(f"3031 port/ep/+ Port {port:02d}")
            console.command("debug/add port/-")
        finally:
            os.killpg(uml.pid, signal.SIGKILL)  # its helper processes hold the connection as well
            uml.wait(PATIENCE_S)
        console.wait_line(f"3022 port/- {port:02d}")
