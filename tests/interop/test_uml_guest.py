"""User-Mode Linux of Debian sid exchanges frames with a QEMU guest through our switch, by each of its two ways in.

The image is fetched with the machine's own apt, so this also shows that sid can be had where the test runs.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.test_qemu import Guest
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool
from vde.host.uml import Card, Launch, check, prepare
from vde.image import store
from vde.image.errors import ImageError

pytestmark = [pytest.mark.interop, pytest.mark.slow]
PROGRAMS = Path(sys.executable).parent
PATIENCE_S = 20.0


class UmlGuest(Guest):
    """A UML whose console is its standard input and output; with its helper processes killed on exit."""

    def __init__(self, launch: Launch) -> None:
        self.process = subprocess.Popen(
            launch.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=launch.directory,
            env=os.environ | launch.environment,
            pass_fds=launch.pass_fds,
            start_new_session=True,
        )
        self.transcript = b""

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.communicate()


@pytest.fixture(scope="module")
def image() -> store.Image:
    """Fetched if it is not in the cache."""
    try:
        return store.pull("uml")
    except ImageError as error:
        if "no connection" in str(error) and not os.environ.get("CI"):
            pytest.skip(f"no network: {error}")
        raise


@contextmanager
def plugged(switch: SwitchProcess) -> Iterator[int]:
    """A descriptor with a switch's port behind it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        plug = subprocess.Popen(
            [PROGRAMS / "vde_plug", f"seqpacket://{theirs.fileno()}", f"vde://{switch.directory}"],
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        try:
            yield ours.fileno()
        finally:
            plug.terminate()
            plug.wait(PATIENCE_S)


@contextmanager
def qemu_guest(switch: SwitchProcess, need_tool: NeedTool) -> Iterator[Guest]:
    debian = store.pull("debian-i386")
    arguments = [
        need_tool("qemu-system-i386"), "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-m", "128",
        "-kernel", str(debian.kernel), "-initrd", str(debian.initrd),
        "-append", debian.command_line("hostname=q ip4=192.0.2.1/24 ip6=2001:db8::1/64"),
        "-netdev", f"vde,id=n0,sock={switch.directory}", "-device", "virtio-net-pci,netdev=n0",
    ]  # fmt: skip
    with Guest(arguments) as guest:
        yield guest


def uml(image: store.Image, run: Path, cards: Sequence[Card], parameters: str) -> UmlGuest:
    check(image.kernel, cards)
    run.mkdir()
    line = image.command_line(parameters)
    return UmlGuest(prepare(image.kernel, run, cards, initrd=image.initrd, parameters=line, plug_directory=PROGRAMS))


@pytest.mark.parametrize("transport", ["vde", "fd"])
def test_user_mode_linux_and_qemu_ping_each_other(
    image: store.Image,
    start_switch: Callable[..., SwitchProcess],
    need_tool: NeedTool,
    short_path: Path,
    transport: str,
) -> None:
    switch = start_switch()
    with plugged(switch) as descriptor, qemu_guest(switch, need_tool) as other:
        if transport == "vde":
            card = Card("vde", str(switch.directory), mac="02:00:00:00:00:77")
        else:
            card = Card("fd", str(descriptor), mac="02:00:00:00:00:77")
        with uml(image, short_path / "uml", [card], "hostname=u ip4=192.0.2.2/24 ip6=2001:db8::2/64") as guest:
            guest.wait_for("vde-guest ready: hostname=u eth0=192.0.2.2/24,2001:db8::2/64")
            other.wait_for("vde-guest ready: hostname=q")
            if transport == "vde":
                assert any(": UML user=" in line for line in switch.command("port/print"))
            assert "02:00:00:00:00:77" in guest.shell("cat /sys/class/net/eth0/address")
            assert "3 packets received" in guest.shell("ping -c 3 192.0.2.1")
            assert "3 packets received" in other.shell("ping -c 3 192.0.2.2")
            assert "3 packets received" in guest.shell("ping -c 3 2001:db8::1")
            made = other.shell("mkdir /tmp/w; seq 1 200000 > /tmp/w/x; httpd -h /tmp/w; sha256sum < /tmp/w/x")
            assert guest.shell("wget -q -O - http://192.0.2.1/x | sha256sum") == made
            assert guest.process.stdin is not None
            guest.process.stdin.write(b"poweroff -f\n")
            guest.process.stdin.flush()
            guest.process.wait(PATIENCE_S)
        assert list((short_path / "uml").iterdir()) == [], "User-Mode Linux left something in its directory"
