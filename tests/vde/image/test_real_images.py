"""The real images: pulled from Debian's archive, booted by QEMU, on a network.

They are taken from the user's own cache, and pulled into it if they are not there; a machine without a network skips,
CI does not.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from tests.tools import NeedTool
from tests.vde.image.guest import MACHINES, Guest
from vde.image import store
from vde.image.cmdline import guest_parameters
from vde.image.errors import ImageError
from vde.image.store import Image

pytestmark = [pytest.mark.interop, pytest.mark.slow]

NICS = ("pcnet", "virtio-net-pci", "e1000", "ne2k_pci", "rtl8139")
# A Malta has a PCnet on the board, as device 11, and four slots; a sixth card would get no interrupt.
SLOTS = {"mipsel": (0x0B, 0x12, 0x13, 0x14, 0x15), "i386": (3, 4, 5, 6, 7)}


def host_state() -> list[tuple[str, int]]:
    """Everything of the machine's own apt and dpkg, with times of change."""
    paths = [path for top in ("/var/lib/apt", "/var/lib/dpkg", "/var/cache/apt") for path in Path(top).rglob("*")]
    return sorted((str(path), path.stat().st_mtime_ns) for path in paths)


@pytest.fixture(scope="module", params=["debian-i386", "debian-malta"])
def image(request: pytest.FixtureRequest) -> Image:
    return pulled(request.param)


def pulled(name: str) -> Image:
    before = host_state()
    try:
        made = store.pull(name)
    except ImageError as error:
        if "no connection" in str(error) and not os.environ.get("CI"):
            pytest.skip(f"no network: {error}")
        raise
    assert host_state() == before, "the machine's apt or dpkg was changed"
    return made


@contextmanager
def original_switch(directory: Path, need_tool: NeedTool) -> Iterator[Path]:
    """Debian's vde_switch."""
    path = directory / "sw"
    switch = subprocess.Popen([need_tool("vde_switch"), "-s", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert switch.stdin
    assert switch.stdout
    with switch.stdin, switch.stdout:
        while not (path / "ctl").exists():
            assert switch.poll() is None
        try:
            yield path
        finally:
            switch.terminate()
            switch.wait()


def test_every_network_card_comes_up(image: Image, need_tool: NeedTool) -> None:
    need_tool(MACHINES[image.architecture][0])
    arguments = []
    for number, (model, slot) in enumerate(zip(NICS, SLOTS[image.architecture], strict=True)):
        arguments += ["-netdev", f"user,id=n{number},net=10.{number}.0.0/24"]
        arguments += ["-device", f"{model},netdev=n{number},mac=52:54:00:00:00:{number:02x},addr={slot:#x}"]
    addresses = {number: [ip_interface(f"10.{number}.0.9/24")] for number in range(len(NICS))}
    with Guest(image, guest_parameters("cards", addresses, [ip_address("10.0.0.2")]), arguments) as guest:
        words = ["hostname=cards", *(f"eth{number}=10.{number}.0.9/24" for number in range(len(NICS)))]
        assert guest.wait_ready() == " ".join(words)
        for number, model in enumerate(NICS):
            answer = guest.run(f"cat /sys/class/net/eth{number}/address; ping -c 1 -W 20 10.{number}.0.2")
            assert f"52:54:00:00:00:{number:02x}" in answer, f"eth{number} is not the {model}"
            assert "1 packets received" in answer, model
        assert image.kernel_version in guest.run("uname -r")
        assert "default via 10.0.0.2 dev eth0" in guest.run("ip route")
        # Ctrl-C reaches the command, the shell survives, and comes back when it is ended.
        guest.type("echo begun; cat\n")
        guest.wait_for(r"\nbegun\n")
        guest.type("heard\n")
        guest.wait_for(r"heard\nheard\n")  # it has the terminal: what is typed sooner may reach the shell instead
        guest.type("\x03")
        guest.wait_for(r"cards:/# ")
        guest.type("exit\n")
        guest.wait_for(r"built-in shell")
        guest.wait_for(r"cards:/# ")
        assert guest.console.count("vde-guest ready:") == 1
        guest.type("poweroff\n")
        assert guest.wait_end() == 0


def test_two_architectures_ping_each_other(need_tool: NeedTool, short_path: Path) -> None:
    for program in ("qemu-system-i386", "qemu-system-mipsel"):
        need_tool(program)
    images = [pulled("debian-i386"), pulled("debian-malta")]
    with original_switch(short_path, need_tool) as switch:
        guests = [
            Guest(
                each,
                guest_parameters(name, {0: [ip_interface(f"10.0.0.{number}/24"), ip_interface(f"fd00::{number}/64")]}),
                ["-netdev", f"vde,id=n0,sock={switch}", "-device", f"pcnet,netdev=n0,mac=52:54:00:00:01:0{number}"],
            )
            for each, name, number in zip(images, "ab", (1, 2), strict=True)
        ]
        with guests[0] as a, guests[1] as b:
            assert a.wait_ready() == "hostname=a eth0=10.0.0.1/24,fd00::1/64"
            assert b.wait_ready() == "hostname=b eth0=10.0.0.2/24,fd00::2/64"
            assert "3 packets received" in a.run("ping -c 3 -W 20 10.0.0.2")
            assert "1 packets received" in b.run("ping -c 1 -W 20 fd00::1")
            # A file through the network arrives whole.
            b.run("dd if=/dev/urandom of=/tmp/file bs=1024 count=256 2>/dev/null; httpd -h /tmp")
            a.run("wget -q -O /tmp/file http://10.0.0.2/file")
            sums = [guest.run("sha256sum /tmp/file").split()[0] for guest in (a, b)]
            assert sums[0] == sums[1]
