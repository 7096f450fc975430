"""What takes minutes on the Macintosh: `make test-mac`. Every card in both directions; Linux and a CD by OpenBIOS."""

import hashlib
import os
import re
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from emulators.boards import mac
from emulators.machine import PoweredOff
from emulators.outside import Bench, MemoryDisk
from tests.emulators.loaders.elf_file import elf
from tests.interop import ppc_image
from tests.interop import test_network_cards as cards
from tests.interop.guest_console import ConsoleGuest
from tests.interop.namespaces import in_namespace, inside
from tests.interop.test_mac_linux import CHUNK, Dialogue
from tests.interop.test_malta_network import TRANSFER_OCTETS, host_peer, http_server
from tests.lab_runner import LabRunner
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool

__all__ = ["host_peer"]

pytestmark = [pytest.mark.interop, pytest.mark.slow]
peer = cards.peer
VDE = Path(sys.executable).parent / "vde"
TOPOLOGIES = Path(__file__).parents[2] / "topologies"
PATIENCE_S = 120.0
LINE, CELL_WIDTH, CELL_HEIGHT = 18, 8, 10
"""Where OpenBIOS' third line of text is, and the size of its letters."""

Started = Callable[..., SwitchProcess]


@pytest.mark.parametrize("model", ["pcnet", "rtl8139", "virtio", "e1000", "ne2000", "gem"])
def test_ping_and_ten_megabytes_both_ways(
    host_peer: tuple[SwitchProcess, str], need_tool: NeedTool, short_path: Path, model: str
) -> None:
    image = ppc_image.find()
    switch, namespace = host_peer
    contents = os.urandom(TRANSFER_OCTETS)
    digest = hashlib.sha256(contents).hexdigest()
    files = short_path / "files"
    files.mkdir()
    (files / "ten").write_bytes(contents)
    options = image.options("ip4=192.0.2.2/24 ip6=2001:db8::2/64")
    nic = ["--nic", f"{model},mac=02:00:00:00:00:42,vde://{switch.directory}"]
    with ConsoleGuest([str(VDE), "guest", "mac", *options, *nic]) as guest:
        guest.wait_for(image.ready)
        guest.shell("ip -6 addr add 2001:db8::2/64 dev eth0 2>/dev/null; sleep 3")  # if /init did not; and DAD
        for address in ("192.0.2.1", "2001:db8::1"):
            assert "3 packets received" in guest.shell(f"ping -c 3 {address}")
        for address in ("192.0.2.2", "2001:db8::2"):
            assert "3 received" in in_namespace(namespace, need_tool("ping"), "-c", "3", "-i", "0.2", address)
        with http_server(namespace, files):
            assert guest.shell("wget -q -O /tmp/ten http://192.0.2.1:8000/ten; sha256sum /tmp/ten").split()[0] == digest
        guest.shell("httpd -h /tmp")
        with inside(namespace), urllib.request.urlopen("http://192.0.2.2/ten", timeout=PATIENCE_S) as answer:
            assert hashlib.sha256(answer.read()).hexdigest() == digest


def test_apples_own_card_under_its_driver(peer: cards.Peer, need_tool: NeedTool, short_path: Path) -> None:
    """What `test_network_cards` does with the cards of the other boards: filters, largest frames, the link's loss."""
    card = cards.Card("mac", "gem", "gem", 1500)
    cards.under_its_driver(card, cards.TRANSFER_OCTETS, peer, need_tool, short_path)


def test_apples_own_card_is_switched_off_and_on(peer: cards.Peer, start_switch: Started) -> None:
    """Its driver resets all, silences the PHY, and brings both back; two of them; floods; another address."""
    ppc_image.find_built()
    other = start_switch(name="b").directory
    card = cards.Card("mac", "gem", "gem", 1500)
    with cards.guest_of(card, [peer.switch.directory, other], models=["gem", "gem"]) as guest:
        guest.wait_for("vde-guest ready: hostname=m eth0=192.0.2.2/24")
        for name in ("eth0", "eth1"):
            guest.shell(f"until [ `cat /sys/class/net/{name}/carrier` = 1 ]; do usleep 100000; done")
            assert guest.shell(f"basename $(readlink /sys/class/net/{name}/device/driver)") == "gem\n"
        assert "3 packets received" in guest.shell("ping -c 3 192.0.2.1")
        for change in ("", "ip link set eth0 address 02:00:00:00:00:99;"):
            guest.shell(f"ip link set eth0 down; {change} ip link set eth0 up")
            guest.shell("until [ `cat /sys/class/net/eth0/carrier` = 1 ]; do usleep 100000; done")
            assert "3 packets received" in guest.shell("ping -c 3 192.0.2.1")
        before = cards.statistic(guest, "rx_packets")
        peer.send(*[cards.frame_to("ff:ff:ff:ff:ff:ff")] * 3000)
        assert "3 packets received" in guest.shell("ping -c 3 192.0.2.1")
        assert cards.statistic(guest, "rx_packets") - before > 251  # ring and queue; the switch drops the rest
        assert [cards.statistic(guest, name) for name in ("rx_errors", "tx_errors", "rx_over_errors")] == [0, 0, 0]
        assert "Call Trace" not in guest.shell("dmesg")


def test_openbios_draws_its_prompt_and_reads_the_keyboard() -> None:
    """What is typed and what is answered look alike; nobody has to read letters for that."""
    guest = Dialogue(mac.Params(boot="prompt", firmware_console="screen"))
    display = guest.outside.display
    assert display.frame is not None
    assert display.on_key is not None

    def line() -> list[bytes]:
        """The cells of the line with the prompt."""
        assert display.frame is not None
        frame = display.frame()
        assert (frame.width, frame.height) == (800, 600)
        rows = [frame.pixels[y * 2400 : (y + 1) * 2400] for y in range(LINE, LINE + CELL_HEIGHT)]
        return [b"".join(row[at : at + 3 * CELL_WIDTH] for row in rows) for at in range(0, 2400, 3 * CELL_WIDTH)]

    def wait_until(right: Callable[[], bool]) -> None:
        for _ in range(200):
            guest.machine.run_for(CHUNK)
            if right():
                return
        raise AssertionError(set(line()))

    def drawn() -> list[bytes]:
        """But for blanks."""
        cells = line()
        blank = max(set(cells), key=cells.count)
        return [cell for cell in cells if cell != blank]

    # The VGA's mode before OpenBIOS sets its own is of another size.
    wait_until(lambda: display.frame is not None and display.frame().width == 800)
    wait_until(lambda: len(drawn()) == 3)  # "0 > " and the cursor
    for name in ("4", "2", "space", "dot", "enter"):
        for down in (True, False):
            display.on_key(name, down)
            guest.machine.run_for(CHUNK)
    wait_until(lambda: len(drawn()) >= 9)  # 0 > 42 . 42  ok
    prompt = line()
    four, two = prompt[4:6]
    assert four != two
    assert drawn()[2:7] == [four, two, drawn()[4], four, two]


def test_openbios_starts_linux() -> None:
    image = ppc_image.find()
    params = mac.Params(firmware="openbios", kernel=image.kernel, initrd=image.initrd, append=image.words)
    guest = Dialogue(params)
    guest.wait_for(image.ready, seconds=60)
    guest.type("cat /proc/device-tree/openprom/model; echo re''ad\n")
    assert "OpenFirmware 3" in guest.wait_for("read\n")
    guest.type("poweroff -f\n")
    assert guest.until_end() == PoweredOff(0)


def test_linux_reads_and_writes_an_ide_disk() -> None:
    """With the kernel of `vide image build`, which has the driver."""
    image = ppc_image.find()
    if ppc_image.VARIABLE in os.environ:
        pytest.skip(f"the kernel of {ppc_image.VARIABLE} has no driver of the disk")
    disk = MemoryDisk(bytes(range(256)) * 4096)
    params = mac.Params(kernel=image.kernel, initrd=image.initrd, append=image.words, disks=("ide",))
    guest = Dialogue(params, Bench(disk_list=[disk]))
    guest.wait_for(image.ready)
    guest.type("sha256sum /dev/sda; echo re''ad\n")
    assert hashlib.sha256(disk.contents).hexdigest() in guest.wait_for("read\n")
    guest.type("dd if=/dev/zero of=/dev/sda bs=64k count=4; sync; echo do''ne\n")
    guest.wait_for("done")
    assert disk.contents[: 256 << 10] == bytes(256 << 10)
    assert disk.contents[256 << 10 : 257 << 10] == bytes(range(256)) * 4


def test_linux_sees_what_is_done_to_keyboard_and_mouse() -> None:
    """By evdev: a key goes down and up, a button goes down while the mouse moves to the right and up."""
    image = ppc_image.find_built()
    guest = Dialogue(mac.Params(kernel=image.kernel, initrd=image.initrd, append=image.words))
    guest.wait_for(image.ready)
    guest.type("cat /proc/bus/input/devices; echo re''ad\n")
    found = guest.wait_for("read\n")
    assert 'N: Name="ADB keyboard"' in found
    assert 'N: Name="ADB mouse"' in found
    display = guest.outside.display
    assert display.on_key is not None
    assert display.on_mouse is not None
    reading = "dd if=/dev/input/event{} bs=16 count=4 2>/dev/null | od -An -v -td2 & usleep 200000; echo re''ad\n"
    guest.type(reading.format(0))
    guest.wait_for("read\n")
    display.on_key("a", True)
    display.on_key("a", False)
    guest.type("wait; echo do''ne\n")
    key, synchronize = (1, 30), (0, 0, 0, 0)  # EV_KEY, KEY_A; EV_SYN
    assert events(guest.wait_for("done\n")) == [(*key, 0, 1), synchronize, (*key, 0, 0), synchronize]
    guest.type(reading.format(1))
    guest.wait_for("read\n")
    display.on_mouse(5, 3, 0, 1)
    guest.type("wait; echo do''ne\n")
    button, right, up = (1, 272, 0, 1), (2, 0, 0, 5), (2, 1, -1, -3)  # EV_KEY, BTN_LEFT; EV_REL, REL_X and REL_Y
    assert events(guest.wait_for("done\n")) == [button, right, up, synchronize]


def events(dump: str) -> list[tuple[int, ...]]:
    """Of each `struct input_event` behind its time: type, code, and the halves of its value."""
    lines = [line.split() for line in dump.splitlines()]
    return [tuple(map(int, line[4:])) for line in lines if len(line) == 8 and line[0].lstrip("-").isdigit()]


def test_openbios_starts_a_program_from_a_disc(need_tool: NeedTool, tmp_path: Path) -> None:
    """A hybrid disc as Debian made them; the program speaks by the client interface."""
    tree = tmp_path / "disc"
    tree.mkdir()
    (tree / "boot.elf").write_bytes(client_program('." hello from the disc" cr power-off'))
    image = tmp_path / "disc.iso"
    command = [need_tool("genisoimage"), "-quiet", "-hfs", "-part", "-r", "-o", str(image), str(tree)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    outside = Bench(disk_list=[MemoryDisk(image.read_bytes(), readonly=True)])
    guest = Dialogue(mac.Params(boot="prompt", disks=("cdrom",)), outside)
    guest.wait_for("0 > ")
    guest.type("boot cd:,\\boot.elf\n")
    assert guest.until_end() == PoweredOff(0)
    assert "\nhello from the disc" in guest.text


def test_three_worlds_reach_each_other(short_path: Path) -> None:
    ppc_image.find()
    with LabRunner(short_path, fake_guests=False) as labs:
        labs.file = labs.directory / "three-worlds.yaml"
        labs.file.write_text((TOPOLOGIES / "three-worlds.yaml").read_text())
        output = labs.vde("up", "three-worlds.yaml", timeout_s=PATIENCE_S)
        assert "FAILED" not in output
        for check in ("pc-to-mac", "mac-to-malta", "malta-to-pc", "pc-fetches", "malta-fetches", "mac-fetches"):
            assert f"check {check}: ok" in output
        labs.vde("down")
        labs.assert_nothing_is_left()


def warnings(log: str) -> set[str]:
    """Lines of `dmesg -r` whose level is warning or worse, without times, numbers and addresses."""
    found = set()
    for line in log.splitlines():
        match = re.fullmatch(r"<(\d+)>(?:\[ *[0-9.]+\] )?(.*)", line)
        if match is not None and int(match[1]) & 7 <= 4:
            found.add(re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8}\b|\d+", "#", match[2]))
    return found


def test_the_kernel_complains_of_nothing_that_it_does_not_on_qemu(need_tool: NeedTool) -> None:
    """By its log's levels; QEMU's comes by OpenBIOS, so ours is taken both ways."""
    image = ppc_image.find()
    words = f"{image.words} log_buf_len=1M"
    command = [need_tool("qemu-system-ppc"), "-M", "g3beige", "-m", "128", "-nographic", "-monitor", "none"]
    command += ["-serial", "stdio", "-no-reboot", "-nic", "none", "-device", "pcnet,romfile="]
    command += ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", words]
    logs = {}
    with ConsoleGuest(command) as guest:
        guest.wait_for(image.ready)
        logs["qemu"] = guest.shell("dmesg -r")
    for how, params in {
        "tree": mac.Params(kernel=image.kernel, initrd=image.initrd, append=words, nics=("pcnet",)),
        "openbios": mac.Params(
            kernel=image.kernel, initrd=image.initrd, append=words, nics=("pcnet",), firmware="openbios"
        ),
    }.items():
        ours = Dialogue(params, Bench(nic_count=1))
        ours.wait_for(image.ready, seconds=60)
        ours.type("dmesg -r; echo re''ad\n")
        logs[how] = ours.wait_for("read\n")
    for log in logs.values():
        assert re.search(r"<\d+>.*Linux version", log), log[:500]
    for how in ("openbios", "tree"):
        assert not warnings(logs[how]) - warnings(logs["qemu"])


def lines_of_the_card(log: str) -> list[str]:
    """What sungem says, without times."""
    found = [match[1] for line in log.splitlines() if (match := re.match(r"\[ *[0-9.]+\] (.*)", line))]
    return [line for line in found if re.search(r"gem|csum", line)]


def test_the_driver_of_apples_card_says_what_it_does_on_qemu(need_tool: NeedTool) -> None:
    """Identity of the PHY, speed, link, and no complaint; the address comes from the tree, or from the card."""
    image = ppc_image.find()
    words = f"{image.words} ip4=192.0.2.2/24"
    address = "02:00:00:00:00:42"
    command = [need_tool("qemu-system-ppc"), "-M", "g3beige", "-m", "128", "-nographic", "-monitor", "none"]
    command += ["-serial", "stdio", "-no-reboot", "-nic", "none", "-device", f"sungem,mac={address},romfile="]
    command += ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", words]
    with ConsoleGuest(command) as guest:
        guest.wait_for(image.ready)
        expected = lines_of_the_card(guest.shell("sleep 3; dmesg"))
    assert [line for line in expected if line.endswith(f"Ethernet {address}")]
    assert [line for line in expected if line.endswith("Link is up at 100 Mbps, full-duplex")]
    plain = mac.Params(kernel=image.kernel, initrd=image.initrd, append=words, nics=("gem",))
    for params in (plain, replace(plain, entry="open-firmware"), replace(plain, firmware="openbios")):
        ours = Dialogue(params, Bench(nic_count=1, macs={0: bytes.fromhex(address.replace(":", ""))}))
        ours.wait_for(image.ready, seconds=60)
        ours.type("sleep 3; dmesg; echo re''ad\n")
        found = lines_of_the_card(ours.wait_for("read\n"))
        enabling = "gem 0000:00:02.0: enabling device (0000 -> 0002)"  # what OpenBIOS has done
        assert [line for line in found if line != enabling] == expected


MISTAKES = ("dir cd:", "dir cd:,\\\\nothing", "dir cd:\\", "boot cd:,\\\\nothing", "load hd:", "1 2 + .")


def test_openbios_takes_mistakes_about_discs_as_on_qemu(need_tool: NeedTool, tmp_path: Path) -> None:
    """A blank disc: the same complaints, and the prompt again."""
    file = tmp_path / "blank.iso"
    file.write_bytes(bytes(1 << 20))
    command = [need_tool("qemu-system-ppc"), "-M", "g3beige", "-m", "128", "-nographic", "-monitor", "none"]
    command += ["-serial", "stdio", "-nic", "none", "-prom-env", "auto-boot?=false", "-cdrom", str(file)]
    ours = Dialogue(
        mac.Params(boot="prompt", disks=("cdrom",)), Bench(disk_list=[MemoryDisk(bytes(1 << 20), readonly=True)])
    )
    ours.wait_for("0 > ")
    with ConsoleGuest(command) as qemu:
        assert qemu.process.stdin is not None
        at = qemu.wait_for("0 > ")
        for line in MISTAKES:
            qemu.process.stdin.write(f"{line}\n".encode())
            qemu.process.stdin.flush()
            end = qemu.wait_for("0 > ", at)
            ours.type(f"{line}\n")
            assert ours.wait_for("0 > ") == qemu.transcript[at : end - 4].decode().replace("\r", "")
            at = end


def client_program(words: str) -> bytes:
    """An ELF file that has Open Firmware interpret `words`."""
    base = 0x100000
    arguments, service, text = base + 0x100, base + 0x200, base + 0x240
    code = (
        0x3C600000 | arguments >> 16,  # lis r3, …
        0x60630000 | arguments & 0xFFFF,  # ori r3, r3, …
        0x7CA903A6,  # mtctr r5
        0x4E800421,  # bctrl
        0x48000000,  # b .
    )
    octets = struct.pack(">5I", *code).ljust(0x100, b"\0")
    octets += struct.pack(">5I", service, 1, 1, text, 0).ljust(0x100, b"\0")
    octets += b"interpret".ljust(0x40, b"\0") + words.encode() + b"\0"
    return elf([(base, octets, len(octets))], base, machine=20, order=">")
