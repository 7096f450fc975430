"""QEMU's `-netdev vde` on our switch, by datagrams and by shared memory: an unmodified Debian kernel pings, and moves
octets over TCP, unharmed.
"""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pytest

from tests.interop.libvdeplug import module_path
from tests.interop.namespaces import in_namespace
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
BOOT_S = 120.0
TRANSFER_MIB = 8

SERVER = """
import hashlib, os, socket
with socket.create_server(("192.0.2.1", 5000)) as server:
    print("listening", flush=True)
    connection, _ = server.accept()
    digest = hashlib.sha256()
    while octets := connection.recv(1 << 16):
        digest.update(octets)
    print(digest.hexdigest(), flush=True)
    connection.close()
    connection, _ = server.accept()
    octets = os.urandom({size})
    connection.sendall(octets)
    connection.close()
    print(hashlib.sha256(octets).hexdigest(), flush=True)
"""


class Guest:
    """A QEMU whose serial console is its standard input and output. Killed on exit."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.transcript = b""

    def wait_for(self, text: str, since: int = 0) -> int:
        """Until the console shows `text` after offset `since`; returns the offset behind it."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + BOOT_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while (place := self.transcript.find(text.encode(), since)) < 0:
                left = deadline - time.monotonic()
                assert left > 0, f"no {text!r} in {self.transcript[since:]!r}"
                if selector.select(left):
                    octets = os.read(self.process.stdout.fileno(), 65536)
                    assert octets, f"QEMU ended: {self.transcript!r}"
                    self.transcript += octets
        return place + len(text)

    def shell(self, command: str) -> str:
        """What the guest's shell prints for a command."""
        assert self.process.stdin is not None
        since = len(self.transcript)
        self.process.stdin.write(f"echo be''gin; {command}; echo e''nd\n".encode())
        self.process.stdin.flush()
        start = self.wait_for("begin\r\n", since)
        end = self.wait_for("end\r\n", start)
        return self.transcript[start : end - len("end\r\n")].decode().replace("\r\n", "\n")

    def __enter__(self) -> "Guest":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("scheme", ["vde", "vdeshm"])
def test_a_debian_guest_pings_the_host_kernel_and_moves_octets_both_ways(
    start_switch: Callable[..., SwitchProcess],
    need_tool: NeedTool,
    two_namespaces: tuple[str, str],
    scheme: str,
    short_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VDEPLUGIN_PATH", module_path(short_path / "modules"))
    image = store.pull("debian-i386")
    namespace = two_namespaces[0]
    tap = f"vq{os.getpid()}"
    switch = start_switch("-t", tap)
    subprocess.run(["ip", "link", "set", tap, "netns", namespace], check=True)
    in_namespace(namespace, "ip", "address", "add", "192.0.2.1/24", "dev", tap)
    in_namespace(namespace, "ip", "link", "set", tap, "up")
    arguments = [
        need_tool("qemu-system-i386"), "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-m", "128",
        "-kernel", str(image.kernel), "-initrd", str(image.initrd),
        "-append", f"{image.default_cmdline} hostname=guest ip4=192.0.2.2/24",
        "-netdev", f"vde,id=n0,sock={scheme}://{switch.directory}", "-device", "virtio-net-pci,netdev=n0",
    ]  # fmt: skip
    with Guest(arguments) as guest:
        guest.wait_for("vde-guest ready: hostname=guest eth0=192.0.2.2/24")
        lines = switch.command("port/print")
        assert any(": QEMU user=" in line for line in lines)
        assert any("module ring" in line for line in lines) == (scheme == "vdeshm")
        assert "3 packets received" in guest.shell("ping -c 3 192.0.2.1")
        assert "3 received" in in_namespace(namespace, need_tool("ping"), "-c", "3", "-i", "0.2", "192.0.2.2")
        program = SERVER.format(size=TRANSFER_MIB << 20)
        with subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            try:
                assert server.stdout.readline() == "listening\n"
                sent = guest.shell(
                    f"dd if=/dev/urandom of=/tmp/x bs=1M count={TRANSFER_MIB} 2>/dev/null; sha256sum /tmp/x; "
                    "nc 192.0.2.1 5000 < /tmp/x"
                )
                assert server.stdout.readline().split() == sent.split()[:1]
                received = guest.shell("nc 192.0.2.1 5000 < /dev/null | sha256sum")
                assert received.split()[:1] == server.stdout.readline().split()
            finally:
                server.kill()
