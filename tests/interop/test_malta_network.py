"""Malta's network cards under Debian's unmodified kernel: its drivers, our chips, the switch, and real peers."""

import contextlib
import hashlib
import itertools
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.guest_console import ConsoleGuest
from tests.interop.namespaces import in_namespace, inside
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
VDE = Path(sys.executable).parent / "vde"
TRANSFER_OCTETS = 10 << 20
PATIENCE_S = 120.0

Started = Callable[..., SwitchProcess]


@pytest.fixture
def host_peer(start_switch: Started, two_namespaces: tuple[str, str]) -> tuple[SwitchProcess, str]:
    """A switch with this machine's kernel on it, in a namespace: 192.0.2.1 and 2001:db8::1."""
    namespace = two_namespaces[0]
    tap = f"vm{os.getpid()}"
    switch = start_switch("-t", tap)
    subprocess.run(["ip", "link", "set", tap, "netns", namespace], check=True)
    in_namespace(namespace, "ip", "address", "add", "192.0.2.1/24", "dev", tap)
    in_namespace(namespace, "ip", "address", "add", "2001:db8::1/64", "dev", tap, "nodad")
    in_namespace(namespace, "ip", "link", "set", tap, "up")
    return switch, namespace


def malta(*options: str, append: str) -> ConsoleGuest:
    """A Malta; its shell is ours."""
    return ConsoleGuest([str(VDE), "guest", "malta", "--image", "debian-malta", "--append", append, *options])


@contextlib.contextmanager
def http_server(namespace: str, directory: Path) -> Iterator[None]:
    """This machine's files, on port 8000 of the namespace."""
    program = (
        "import http.server, functools\n"
        f"handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory={str(directory)!r})\n"
        "server = http.server.HTTPServer(('', 8000), handler)\n"
        "print('listening', flush=True)\n"
        "server.serve_forever()\n"
    )
    arguments = ["ip", "netns", "exec", namespace, sys.executable, "-c", program]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == "listening\n"
            yield
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("model", "words"),
    [("pcnet", ""), ("virtio", ""), ("virtio", " virtio_pci.force_legacy=1")],
    ids=["pcnet", "virtio", "virtio-legacy"],
)
def test_ping_and_ten_megabytes_both_ways(
    host_peer: tuple[SwitchProcess, str], need_tool: NeedTool, short_path: Path, model: str, words: str
) -> None:
    store.pull("debian-malta")
    switch, namespace = host_peer
    contents = os.urandom(TRANSFER_OCTETS)
    digest = hashlib.sha256(contents).hexdigest()
    files = short_path / "files"
    files.mkdir()
    (files / "ten").write_bytes(contents)
    nic = f"{model},mac=02:00:00:00:00:42,vde://{switch.directory}"
    with malta("--nic", nic, append="hostname=m ip4=192.0.2.2/24 ip6=2001:db8::2/64" + words) as guest:
        guest.wait_for("vde-guest ready: hostname=m eth0=192.0.2.2/24,2001:db8::2/64")
        if model == "virtio":
            features = guest.shell("cat /sys/class/net/eth0/device/features")
            assert features[32] == ("0" if words else "1")  # VERSION_1
        assert guest.shell("cat /sys/class/net/eth0/address") == "02:00:00:00:00:42\n"
        for address in ("192.0.2.1", "2001:db8::1"):
            assert "3 packets received" in guest.shell(f"ping -c 3 {address}")
        for address in ("192.0.2.2", "2001:db8::2"):
            assert "3 received" in in_namespace(namespace, need_tool("ping"), "-c", "3", "-i", "0.2", address)
        with http_server(namespace, files):
            assert guest.shell("wget -q -O /tmp/ten http://192.0.2.1:8000/ten; sha256sum /tmp/ten").split()[0] == digest
        guest.shell("httpd -h /tmp")
        with inside(namespace), urllib.request.urlopen("http://192.0.2.2/ten", timeout=PATIENCE_S) as answer:
            assert hashlib.sha256(answer.read()).hexdigest() == digest
        errors = guest.shell("cd /sys/class/net/eth0/statistics; cat rx_errors tx_errors rx_crc_errors tx_fifo_errors")
        assert errors.split() == ["0"] * 4


def test_three_cards_and_jumbo_frames(host_peer: tuple[SwitchProcess, str], start_switch: Started) -> None:
    store.pull("debian-malta")
    switch, namespace = host_peer
    other = start_switch(name="b")
    in_namespace(namespace, "ip", "link", "set", f"vm{os.getpid()}", "mtu", "9000")
    nics = [f"virtio,vde://{switch.directory}", f"pcnet,vde://{other.directory}", f"virtio,vde://{other.directory}"]
    options = [word for nic in nics for word in ("--nic", nic)]
    with malta(*options, append="hostname=m ip4=192.0.2.2/24 ip4.eth1=198.51.100.1/24") as guest:
        guest.wait_for("vde-guest ready: hostname=m eth0=192.0.2.2/24 eth1=198.51.100.1/24 eth2=none")
        drivers = guest.shell("for n in 0 1 2; do basename $(readlink /sys/class/net/eth$n/device/driver); done")
        assert drivers.split() == ["virtio_net", "pcnet32", "virtio_net"]

        guest.shell("ip link set eth0 mtu 9000")
        sent = "cat /sys/class/net/eth0/statistics/tx_packets"
        before = int(guest.shell(sent))
        assert "3 packets received" in guest.shell("ping -c 3 -s 8900 192.0.2.1")
        assert int(guest.shell(sent)) - before < 3 * 6  # whole: in fragments of 1500 it takes six each

        # From one card of the machine to another, through the second switch: eth2 hears what eth1 asks.
        heard = "cat /sys/class/net/eth2/statistics/rx_packets"
        before = int(guest.shell(heard))
        guest.shell("arping -c 3 -w 3 -I eth1 198.51.100.9")
        assert int(guest.shell(heard)) - before >= 3


@pytest.mark.parametrize("model", ["pcnet", "virtio"])
def test_a_qemu_guest_and_a_malta_exchange_ten_megabytes(
    start_switch: Started, need_tool: NeedTool, model: str
) -> None:
    store.pull("debian-malta")
    image = store.pull("debian-i386")
    switch = start_switch()
    qemu = [
        need_tool("qemu-system-i386"), "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-m", "128",
        "-kernel", str(image.kernel), "-initrd", str(image.initrd),
        "-append", f"{image.default_cmdline} hostname=q ip4=192.0.2.1/24 ip6=2001:db8::1/64",
        "-netdev", f"vde,id=n0,sock={switch.directory}", "-device", "virtio-net-pci,netdev=n0",
    ]  # fmt: skip
    nic = f"{model},vde://{switch.directory}"
    with (
        ConsoleGuest(qemu) as peer,
        malta("--nic", nic, append="hostname=m ip4=192.0.2.2/24 ip6=2001:db8::2/64") as own,
    ):
        peer.wait_for("vde-guest ready: hostname=q")
        own.wait_for("vde-guest ready: hostname=m")
        assert "3 packets received" in own.shell("ping -c 3 192.0.2.1")
        assert "3 packets received" in peer.shell("ping -c 3 2001:db8::2")
        made = peer.shell(
            "dd if=/dev/urandom of=/tmp/ten bs=1M count=10 2>/dev/null; httpd -h /tmp; sha256sum /tmp/ten"
        )
        got = own.shell("wget -q -O /tmp/ten http://192.0.2.1/ten; sha256sum /tmp/ten; httpd -h /tmp")
        assert got.split()[0] == made.split()[0]
        back = peer.shell("wget -q -O /tmp/back http://192.0.2.2/ten; sha256sum /tmp/back")
        assert back.split()[0] == made.split()[0]


def test_a_guest_that_floods_the_network_or_is_flooded_harms_nobody_else(
    start_switch: Started, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others go on through the same switch, the guest's own shell answers, and what it lost is counted and told."""
    store.pull("debian-malta")
    switch = start_switch()
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(short_path / "notify"))
    told.setblocking(False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(short_path / "notify"))
    with (
        told,
        malta("--nic", f"virtio,vde://{switch.directory}", append="ip4=192.0.2.2/24") as guest,
        VdeClient(switch.directory) as one,
        VdeClient(switch.directory) as other,
    ):
        guest.wait_for("vde-guest ready")
        guest.shell("arp -s 192.0.2.9 02:00:00:00:00:99")
        guest.shell("for n in 1 2 3 4 5 6 7 8; do ping -q -i 0.001 -s 1400 192.0.2.9 >/dev/null & done")
        one.send(frame(1))
        other.send(frame(2))
        flooded = b"\x02\0\0\0\0\x99"  # unknown to the switch
        while other.receive()[:6] != flooded:
            pass
        seen, numbers = 0, itertools.count()
        while seen < 300:
            payload = next(numbers).to_bytes(8)
            one.send(frame(1, 2, payload))
            while (got := other.receive())[14:22] != payload or got[:6] != frame(1, 2)[:6]:
                seen += got[:6] == flooded
        assert guest.shell("echo $((6 * 7))") == "42\n"
        flood = [frame(1, payload=bytes(1400))] * 5000
        for octets in flood:
            one.send(octets)
        assert guest.shell("echo $((6 * 7))") == "42\n"
        guest.shell("killall ping")
        statuses = []
        with contextlib.suppress(BlockingIOError):
            while True:
                statuses.append(told.recv(4096))
    assert any(re.match(rb"STATUS=nic 0 dropped [0-9,]+ received", status) for status in statuses), statuses
