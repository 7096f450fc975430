"""cmd:// with a real ssh: OpenSSH's server on the loopback, with keys made for the occasion, and vde_plug behind it."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from plugs.registry import open_link
from tests.plugs.surroundings import TestSurroundings
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame
from vde.errors import LinkBroken

pytestmark = pytest.mark.interop
PATIENCE_S = 30
SEPARATION = Path("/run/sshd")
"""Debian's sshd, started by root, wants this directory to be there; systemd makes it otherwise."""

CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {home}/host
AuthorizedKeysFile {home}/user.pub
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
"""


def knocks(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def ssh(need_tool: NeedTool, short_path: Path) -> Iterator[str]:
    """The words `ssh …`, up to the command."""
    program, client = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"), need_tool("ssh")
    if program is None:
        need_tool("sshd")
        raise AssertionError("not reached")
    for name in ("host", "user"):
        key = [need_tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(short_path / name)]
        subprocess.run(key, check=True, timeout=PATIENCE_S)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (short_path / "config").write_text(CONFIG.format(port=port, home=short_path))
    made = os.geteuid() == 0 and not SEPARATION.exists()
    if made:
        SEPARATION.mkdir(mode=0o755)
    server = subprocess.Popen([program, "-D", "-e", "-f", str(short_path / "config")], stderr=subprocess.DEVNULL)
    try:
        while not knocks(port):  # it tells nobody when it listens
            assert server.poll() is None, "sshd has ended"
        yield (
            f"{client} -F none -p {port} -i {short_path}/user -o BatchMode=yes -o StrictHostKeyChecking=no"
            f" -o UserKnownHostsFile={short_path}/known -o LogLevel=ERROR 127.0.0.1"
        )
    finally:
        server.terminate()
        server.wait(PATIENCE_S)
        if made:
            SEPARATION.rmdir()


@pytest.mark.parametrize("far", ["Debian's", "ours"])
async def test_frames_pass_both_ways_through_ssh(
    need_tool: NeedTool, ssh: str, start_switch: Callable[..., SwitchProcess], far: str
) -> None:
    need_tool("vde_plug")
    program = "/usr/bin/vde_plug" if far == "Debian's" else str(Path(sys.executable).parent / "vde_plug")
    switch = start_switch()
    vnl = f"cmd://{ssh} {program} vde://{switch.directory}"
    with trio.fail_after(PATIENCE_S), VdeClient(switch.directory) as client:
        async with open_link(vnl, TestSurroundings()) as link:
            heard = b""
            while heard != frame(1):
                client.send(frame(1))
                with trio.move_on_after(0.2):
                    (heard, *_) = await link.receive()
            for octets in (60, 590, 1514):
                await link.send([frame(2, 1).ljust(octets, b"x")])
                assert await trio.to_thread.run_sync(client.receive) == frame(2, 1).ljust(octets, b"x")
            assert not link.statistics().dropped_in


async def test_an_ssh_that_may_not_log_in_ends_the_link_with_its_status(ssh: str, short_path: Path) -> None:
    (short_path / "user.pub").write_text("")
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"cmd://{ssh} vde_plug", TestSurroundings()) as link:
            with pytest.raises(LinkBroken, match="ended with status 255"):
                await link.receive()
