"""Every network card of our boards under Debian's unmodified kernel and its driver, against this machine's kernel.

For each card: ping, a megabyte by HTTP both ways (`long_cards`: ten), promiscuous mode, the multicast filter, the
link's loss and return as the guest sees them, and the largest frame that its driver allows.
"""

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop import ppc_image
from tests.interop.guest_console import ConsoleGuest
from tests.interop.namespaces import in_namespace, inside
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
VDE = Path(sys.executable).parent / "vde"
TRANSFER_OCTETS = 10_000_000
SHORT_OCTETS = 1_000_000
PATIENCE_S = 120.0
IMAGES = {"malta": "debian-malta", "pc": "debian-i386", "mac": "linux-ppc"}
OWN, PEER = "02:00:00:00:00:42", "02:00:00:00:00:01"

Started = Callable[..., SwitchProcess]


@dataclass(frozen=True)
class Card:
    """A card: its driver, what it is loaded with, whether it knows its link, the largest MTU that its driver allows."""

    board: str
    model: str
    driver: str
    mtu: int
    link: bool = True
    words: str = ""


CARDS = [
    Card("malta", "e1000", "e1000", 9000),
    Card("pc", "virtio", "virtio_net", 9000),
    Card("pc", "pcnet", "pcnet32", 1500),
    Card("pc", "e1000", "e1000", 9000),
    Card("pc", "rtl8139", "8139too", 1514),
]
SLOW_CARDS = (
    Card("malta", "rtl8139", "8139too", 1514),
    Card("malta", "ne2000", "ne2k-pci", 1500, link=False),
    Card("pc", "ne2000", "ne2k-pci", 1500, link=False),
    Card("pc", "ne2000-isa", "ne", 1500, link=False, words="ne.io=0x300 ne.irq=5"),
)
"""`make test-pc`: every word of an NE2000 is an access; the other is under its driver on the PC already.

PCnet and virtio on the Malta are in `test_malta_network`.
"""


class Peer:
    """This machine's kernel, in a namespace, on a switch: 192.0.2.1, with jumbo frames."""

    def __init__(self, start_switch: Started, namespace: str) -> None:
        self._start_switch = start_switch
        self.namespace = namespace
        self.tap = f"nc{os.getpid()}"
        self.switch = self.start()

    def start(self) -> SwitchProcess:
        """A switch at the same place, with a tap."""
        self.switch = self._start_switch("-t", self.tap)
        subprocess.run(["ip", "link", "set", self.tap, "netns", self.namespace], check=True)
        in_namespace(self.namespace, "ip", "link", "set", self.tap, "address", PEER, "mtu", "9000", "up")
        in_namespace(self.namespace, "ip", "address", "add", "192.0.2.1/24", "dev", self.tap)
        return self.switch

    def send(self, *frames: bytes) -> None:
        """Frames onto the switch."""
        with inside(self.namespace):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with raw:
            raw.bind((self.tap, 0))
            for frame in frames:
                raw.send(frame)


@pytest.fixture
def peer(start_switch: Started, two_namespaces: tuple[str, str]) -> Peer:
    """On a switch of its own."""
    return Peer(start_switch, two_namespaces[0])


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


def guest_of(card: Card, switches: list[Path], append: str = "", models: list[str] | None = None) -> ConsoleGuest:
    """The board with one card on each switch; the first has the address `OWN`."""
    nics = []
    for number, directory in enumerate(switches):
        model = card.model if models is None else models[number]
        nics += ["--nic", f"{model}{f',mac={OWN}' if number == 0 else ''},vde://{directory}"]
    image = IMAGES[card.board]
    words = f"hostname=m ip4=192.0.2.2/24 {card.words} {append}"
    return ConsoleGuest([str(VDE), "guest", card.board, "--image", image, "--append", words, *nics])


def statistic(guest: ConsoleGuest, name: str, card: str = "eth0") -> int:
    return int(guest.shell(f"cat /sys/class/net/{card}/statistics/{name}"))


def frame_to(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", "") + PEER.replace(":", "")) + b"\x88\xb5" + bytes(50)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: f"{card.board}-{card.model}")
def test_a_card_under_its_driver(card: Card, peer: Peer, need_tool: NeedTool, short_path: Path) -> None:
    under_its_driver(card, SHORT_OCTETS, peer, need_tool, short_path)


def under_its_driver(card: Card, octets: int, peer: Peer, need_tool: NeedTool, short_path: Path) -> None:
    """All that is asked of a card."""
    if card.board == "mac":
        ppc_image.find_built()
    else:
        store.pull(IMAGES[card.board])
    contents = os.urandom(octets)
    digest = hashlib.sha256(contents).hexdigest()
    files = short_path / "files"
    files.mkdir()
    (files / "ten").write_bytes(contents)
    with guest_of(card, [peer.switch.directory]) as guest:
        guest.wait_for("vde-guest ready: hostname=m eth0=192.0.2.2/24")
        assert guest.shell("cat /sys/class/net/eth0/address") == f"{OWN}\n"
        assert guest.shell("basename $(readlink /sys/class/net/eth0/device/driver)") == f"{card.driver}\n"
        assert "3 packets received" in guest.shell("ping -c 3 192.0.2.1")
        assert "3 received" in in_namespace(peer.namespace, need_tool("ping"), "-c", "3", "-i", "0.2", "192.0.2.2")
        throughput(card, guest, peer, files, digest)
        filters(guest, peer)
        largest_frames(card, guest, need_tool("ping"), peer)
        errors = "rx_errors tx_errors rx_crc_errors rx_frame_errors tx_fifo_errors tx_aborted_errors"
        assert [statistic(guest, name) for name in errors.split()] == [0] * 6
        loses_its_link(card, guest, peer)


def throughput(card: Card, guest: ConsoleGuest, peer: Peer, files: Path, digest: str) -> None:
    """So much in, and out again; how fast is printed (`pytest -s`)."""
    with http_server(peer.namespace, files):
        began = time.monotonic()
        got = guest.shell("wget -q -O /tmp/ten http://192.0.2.1:8000/ten; sync")
        received_s = time.monotonic() - began
        assert got == ""
        assert guest.shell("sha256sum /tmp/ten").split()[0] == digest
    guest.shell("httpd -h /tmp")
    with inside(peer.namespace), urllib.request.urlopen("http://192.0.2.2/ten", timeout=PATIENCE_S) as answer:
        began = time.monotonic()
        contents = answer.read()
        sent_s = time.monotonic() - began
    assert hashlib.sha256(contents).hexdigest() == digest
    mib = len(contents) / (1 << 20)
    sys.stdout.write(f"\n{card.board} {card.model}: in {mib / received_s:.1f} MiB/s, out {mib / sent_s:.1f} MiB/s\n")


def filters(guest: ConsoleGuest, peer: Peer) -> None:
    """What is not for the card reaches its driver in promiscuous mode only; multicast when somebody has joined."""
    others, group, other_group = "02:00:00:00:00:77", "33:33:ff:42:43:44", "01:00:5e:44:55:66"

    def heard(address: str) -> int:
        """How many of ten frames the driver got, beside the ping that follows them."""
        before = statistic(guest, "rx_packets")
        peer.send(*[frame_to(address)] * 10)
        assert "1 packets received" in guest.shell("ping -c 1 192.0.2.1")
        return statistic(guest, "rx_packets") - before

    # The switch floods what it has not seen; nobody has these addresses.
    assert heard(others) < 10
    guest.shell("ip link set eth0 promisc on")
    assert heard(others) >= 10
    guest.shell("ip link set eth0 promisc off")
    assert heard(others) < 10
    assert heard(group) < 10
    guest.shell("ip address add 2001:db8::42:4344/64 dev eth0")  # joins the group of neighbours who look for it
    assert heard(group) >= 10
    assert heard(other_group) < 10
    guest.shell("ip address del 2001:db8::42:4344/64 dev eth0")
    assert heard(group) < 10
    guest.shell("ifconfig eth0 allmulti")
    assert heard(other_group) >= 10
    guest.shell("ifconfig eth0 -allmulti")


def largest_frames(card: Card, guest: ConsoleGuest, ping: str, peer: Peer) -> None:
    """Pings that fill a frame, both ways, at the largest MTU that the driver takes."""
    guest.shell(f"ip link set eth0 mtu {card.mtu}")
    assert guest.shell("cat /sys/class/net/eth0/mtu") == f"{card.mtu}\n"
    octets = card.mtu - 28
    assert "3 packets received" in guest.shell(f"ping -c 3 -s {octets} 192.0.2.1")
    whole = in_namespace(peer.namespace, ping, "-c", "3", "-i", "0.2", "-M", "do", "-s", str(octets), "192.0.2.2")
    assert "3 received" in whole
    guest.shell("ip link set eth0 mtu 1500")


def loses_its_link(card: Card, guest: ConsoleGuest, peer: Peer) -> None:
    """The switch goes away, as if the cable was pulled, and comes back."""
    assert guest.shell("cat /sys/class/net/eth0/carrier") == "1\n"
    peer.switch.stop()
    if card.link:
        wait_for_carrier(guest, "0")
    else:
        wait_for_carrier_errors(guest)
    peer.start()
    wait_for_carrier(guest, "1")
    assert "3 packets received" in guest.shell("sleep 1; ping -c 3 192.0.2.1")


def wait_for_carrier(guest: ConsoleGuest, level: str) -> None:
    """Until the guest says so."""
    for _ in range(100):
        if guest.shell("usleep 100000; cat /sys/class/net/eth0/carrier") == f"{level}\n":
            return
    raise AssertionError(f"the carrier is not {level}")


def wait_for_carrier_errors(guest: ConsoleGuest) -> None:
    """A card without a register for its link: what it sends is lost, and its driver counts that."""
    for _ in range(100):
        guest.shell("arping -c 1 -w 1 -I eth0 192.0.2.1")
        if statistic(guest, "tx_carrier_errors") > 0:
            return
    raise AssertionError("the loss of the carrier is not seen")


def test_five_cards_at_once(peer: Peer, start_switch: Started) -> None:
    models = {"e1000": "e1000", "rtl8139": "8139too", "ne2000": "ne2k-pci", "pcnet": "pcnet32", "virtio": "virtio_net"}
    cards_at_once("malta", list(models.items()), peer, start_switch)


def cards_at_once(
    board: str, cards: Sequence[tuple[str, str]], peer: Peer, start_switch: Started, words: str = ""
) -> None:
    """Cards, by model and driver: the first alone on a switch, the others on a second one."""
    store.pull(IMAGES[board])
    other = start_switch(name="b").directory
    switches = [peer.switch.directory, *[other] * (len(cards) - 1)]
    card = Card(board, "", "", 1500, words=words)
    with guest_of(card, switches, append="ip4.eth1=198.51.100.1/24", models=[model for model, _ in cards]) as guest:
        guest.wait_for("vde-guest ready: hostname=m eth0=192.0.2.2/24 eth1=198.51.100.1/24 eth2=none")
        names = " ".join(f"eth{number}" for number in range(len(cards)))
        found = guest.shell(f"for n in {names}; do basename $(readlink /sys/class/net/$n/device/driver); done")
        assert found.split() == [driver for _, driver in cards]
        # What one card of the second switch asks, the others hear; meanwhile the first goes on.
        others = range(2, len(cards))
        before = [statistic(guest, "rx_packets", f"eth{number}") for number in others]
        guest.shell("ping -c 5 -i 0.2 192.0.2.1 >/tmp/ping & arping -c 3 -w 3 -I eth1 198.51.100.9; wait")
        assert "5 packets received" in guest.shell("cat /tmp/ping")
        after = [statistic(guest, "rx_packets", f"eth{number}") for number in others]
        assert all(late - early >= 3 for early, late in zip(before, after, strict=True))
