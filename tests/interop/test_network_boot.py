"""Booting over the network: SeaBIOS runs iPXE (Debian ipxe-qemu) from an option ROM, which asks a server here."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emulators.boards.pc_boot import IPXE, option_files
from tests.interop.guest_console import ConsoleGuest
from tests.interop.namespaces import in_namespace
from tests.lab_runner import LabRunner
from tests.switch_process import SwitchProcess

pytestmark = [pytest.mark.interop, pytest.mark.slow]
VDE = Path(sys.executable).parent / "vde"
PATIENCE_S = 60.0
LAB = """
nodes:
  sw: {kind: switch}
  p: {kind: pc, boot: network, nics: rtl8139, memory: 32M}
links: [p -- sw]
"""
TEXT = "started from the network"


def program() -> bytes:
    """A network bootstrap program, for 0000:7C00: it writes `TEXT` to the serial port and halts. 4000 octets."""
    code = bytes.fromhex(
        "31c0"  # xor ax, ax
        "8ed8"  # mov ds, ax
        "fc"  # cld
        "be407c"  # mov si, 7C40h
        "baf803"  # mov dx, 3F8h
        "ac"  # lodsb
        "84c0"  # test al, al
        "7403"  # jz the end
        "ee"  # out dx, al
        "ebf8"  # jmp lodsb
        "fa"  # cli
        "f4"  # hlt
        "ebfd"  # jmp hlt
    )
    return (code.ljust(0x40, b"\x90") + TEXT.encode() + b"\r\n\0").ljust(4000, b"\0")


class BootServer:
    """`tests.interop.boot_server` in a namespace, behind a switch."""

    def __init__(self, namespace: str, tap: str, directory: Path, name: str) -> None:
        command = [sys.executable, "-m", "tests.interop.boot_server", tap, str(directory), name]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *command],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def end(self) -> str:
        """What it was asked."""
        self.process.kill()
        return self.process.communicate()[0]


class Network:
    """A switch with a server's end, and the options of a guest that boots over it."""

    def __init__(self, start_switch: Callable[..., SwitchProcess], namespace: str, directory: Path) -> None:
        self._namespace, self._tap, self.directory = namespace, f"nb{os.getpid()}", directory
        self._switch = start_switch("-t", self._tap)
        subprocess.run(["ip", "link", "set", self._tap, "netns", namespace], check=True)
        in_namespace(namespace, "ip", "link", "set", "lo", "up")
        in_namespace(namespace, "ip", "link", "set", self._tap, "up")
        in_namespace(namespace, "ip", "address", "add", "192.0.2.1/24", "dev", self._tap)

    def boot(self, model: str, name: str, text: str, *, memory: str = "32M", patience_s: float = 180) -> str:
        """The file `name` is started over a card, until the guest shows `text`: what the server was asked."""
        if not IPXE.exists():
            pytest.skip(f"{IPXE} is missing (package ipxe-qemu)")
        options = ["--boot", "network", "--memory", memory]
        options += ["--nic", f"{model},vde://{self._switch.directory}", "--console", "serial0=stdio"]
        server = BootServer(self._namespace, self._tap, self.directory, name)
        try:
            with ConsoleGuest([str(VDE), "guest", "pc", *options], patience_s=patience_s) as guest:
                guest.wait_for(text)
        finally:
            told = server.end()
        return told


MODELS = ("e1000", "ne2000", "pcnet", "rtl8139", "virtio")
"""Cards with firmware."""


@pytest.fixture
def network(start_switch: Callable[..., SwitchProcess], two_namespaces: tuple[str, str], short_path: Path) -> Network:
    directory = short_path / "tftp"
    directory.mkdir()
    return Network(start_switch, two_namespaces[0], directory)


def test_a_program_from_a_server_starts(network: Network) -> None:
    (network.directory / "program").write_bytes(program())
    told = network.boot("rtl8139", "program", TEXT)
    assert "dhcp 1 from 52:54:00" in told
    assert "dhcp 3 from 52:54:00" in told
    assert "tftp done 4000" in told


def test_a_pc_in_a_lab_starts_its_cards_firmware(short_path: Path) -> None:
    if not IPXE.exists():
        pytest.skip(f"{IPXE} is missing (package ipxe-qemu)")
    with LabRunner(short_path, fake_guests=False) as labs:
        labs.write(LAB)
        labs.vde("up", timeout_s=120)
        shown = ""
        patience = time.monotonic() + PATIENCE_S
        while "Configuring (net0" not in shown:
            assert time.monotonic() < patience, shown
            shown = labs.vde("console", "p", "--linger", "2s", stdin=b"")
        labs.vde("down")
        labs.assert_nothing_is_left()


def test_a_rom_that_names_no_card_was_never_run() -> None:
    """Debian's for the RTL8029 says 0000:0000: it is for the card that no other ROM is for."""
    paths = [IPXE / f"pxe-{name}.rom" for name in ("ne2k_pci", "e1000")]
    if not all(path.exists() for path in paths):
        pytest.skip(f"{IPXE} is missing (package ipxe-qemu)")
    roms = [(path.name, path.read_bytes()) for path in paths]
    files = option_files(roms, [(0x8086, 0x100E), (0x10EC, 0x8029)])
    assert files == {"pci10ec,8029.rom": roms[0][1], "pci8086,100e.rom": roms[1][1]}
    assert files.keys() != option_files(roms).keys()


def test_the_rom_of_a_virtio_card_names_the_later_of_its_numbers() -> None:
    """Debian's names 1AF4:1041, as a card without the legacy interface has it; ours was never run for it."""
    path = IPXE / "pxe-virtio.rom"
    if not path.exists():
        pytest.skip(f"{IPXE} is missing (package ipxe-qemu)")
    roms = [(path.name, path.read_bytes())]
    assert option_files(roms, [(0x1AF4, 0x1000)]) == {"pci1af4,1000.rom": roms[0][1]}
    for cards in ([(0x1AF4, 0x1041)], [(0x1AF4, 0x1000), (0x1AF4, 0x1041)], []):
        assert option_files(roms, cards) == {"pci1af4,1041.rom": roms[0][1]}
