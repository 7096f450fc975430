"""The Macintosh with real software: Linux for PowerPC by a flattened tree, and Debian's OpenBIOS to its prompt."""

import sys
from pathlib import Path

import pytest

from emulators.boards import mac
from emulators.machine import Done, Idle, Machine, PoweredOff
from emulators.outside import Bench
from tests.interop import ppc_image
from tests.interop.guest_console import ConsoleGuest

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.late]
VDE = Path(sys.executable).parent / "vde"
OPENBIOS = Path("/usr/share/qemu/openbios-ppc")
CHUNK = mac.TICKS_HZ // 20


class Dialogue:
    """A machine whose first console is talked to."""

    def __init__(self, params: mac.Params, outside: Bench | None = None) -> None:
        self.outside = outside or Bench()
        self.machine: Machine = mac.build(params, self.outside)
        self._at = 0

    @property
    def text(self) -> str:
        return bytes(self.outside.written["serial0"]).decode("latin1").replace("\r", "")

    def wait_for(self, text: str, seconds: int = 30) -> str:
        """What is said until `text`, which begins behind what was waited for before."""
        for _ in range(20 * seconds):
            found = self.text.find(text, self._at)
            if found >= 0:
                said, self._at = self.text[self._at : found], found + len(text)
                return said
            outcome = self.machine.run_for(CHUNK)
            assert isinstance(outcome, Done | Idle), f"{outcome}: {self.text[-2000:]}"
        raise AssertionError(f"no {text!r}: {self.text[-2000:]}")

    def type(self, text: str) -> None:
        receive = self.outside.consoles["serial0"].on_input
        assert receive is not None
        receive(text.encode())

    def until_end(self, seconds: int = 30) -> object:
        for _ in range(20 * seconds):
            outcome = self.machine.run_for(CHUNK)
            if not isinstance(outcome, Done | Idle):
                return outcome
        raise AssertionError(self.text[-2000:])


def test_linux_boots_by_a_tree_and_switches_the_machine_off() -> None:
    image = ppc_image.find()
    params = mac.Params(kernel=image.kernel, initrd=image.initrd, append=f"{image.words} loglevel=7")
    guest = Dialogue(params)
    guest.wait_for(image.ready)
    assert guest.machine.cpu.icount < 120_000_000
    for expected in ("PowerMac motherboard: PowerMac G3 (Silk)", "Macintosh Cuda and Egret driver", "ttyPZ0 at MMIO"):
        assert expected in guest.text
    for bad in ("Oops", "BUG:", "WARNING:", "irq = 0", "Call Trace"):
        assert bad not in guest.text
    guest.type("date -u +%Y-%m-%d; cat /proc/interrupts\n")
    assert "2026-01-01" in guest.wait_for("Spurious")
    guest.type("poweroff -f\n")
    assert guest.until_end() == PoweredOff(0)
    assert "Power down" in guest.text


@pytest.mark.skipif(not OPENBIOS.exists(), reason="qemu-system-data is not installed (setup/packages)")
def test_openbios_comes_to_its_prompt_and_lists_the_machine() -> None:
    firmware = Dialogue(mac.Params(firmware="openbios", boot="prompt", nics=("pcnet",), disks=("cdrom",)), disc())
    banner = firmware.wait_for("0 > ")
    assert "OpenBIOS" in banner
    assert "CPU type PowerPC,750" in banner
    assert "Memory: 128M" in banner
    firmware.type("dev / ls\n")
    root = firmware.wait_for("0 > ")
    for node in ("aliases", "chosen", "cpus", "memory@0", "pci@80000000"):
        assert f" {node}\n" in root
    firmware.type("show-devs\n")
    devices = firmware.wait_for("0 > ")
    for node in ("PowerPC,750@0", "QEMU,VGA@1", "pcnet@2", "mac-io@10/via-cuda@16000/adb/keyboard@8", "nvram@60000"):
        assert node in devices
    assert "ata-3@21000/cdrom@0" in devices
    firmware.type("power-off\n")
    assert firmware.until_end() == PoweredOff(0)


def disc() -> Bench:
    from emulators.outside import MemoryDisk

    return Bench(nic_count=1, disk_list=[MemoryDisk(bytes(1 << 20))])


def test_a_run_goes_on_from_a_snapshot_as_it_was() -> None:
    image = ppc_image.find()
    params = mac.Params(kernel=image.kernel, initrd=image.initrd, append=image.words, memory=64 << 20, nics=("pcnet",))
    first = Dialogue(params, Bench(nic_count=1))
    first.machine.run_for(30_000_000)
    saved = first.machine.snapshot()
    second = Dialogue(params, Bench(nic_count=1))
    second.machine.restore(saved)
    for guest in (first, second):
        for ticks in (7_000_001, 12_999_999) if guest is second else (20_000_000,):
            guest.machine.run_for(ticks)
    assert second.machine.state_hash() == first.machine.state_hash()


def test_three_macintoshes_of_vde_guest_see_each_other(start_switch: object, tmp_path: Path) -> None:
    image = ppc_image.find()
    switch = start_switch()  # type: ignore[operator]
    guests = []
    for number, model in ((1, "virtio"), (2, "pcnet"), (3, "gem")):
        command = [str(VDE), "guest", "mac", *image.options(f"ip4=192.0.2.{number}/24"), "--nic"]
        guests.append(ConsoleGuest([*command, f"{model},vde://{switch.directory}"]))
    with guests[0] as first, guests[1] as second, guests[2] as third:
        for guest in (first, second, third):
            guest.wait_for(image.ready)
        third.shell("until [ `cat /sys/class/net/eth0/carrier` = 1 ]; do usleep 100000; done")  # sungem takes its time
        assert "3 packets received" in first.shell("ping -c 3 192.0.2.2")
        assert "3 packets received" in second.shell("ping -c 3 192.0.2.3")
        assert "3 packets received" in third.shell("ping -c 3 192.0.2.1")
        assert "Call Trace" not in third.shell("dmesg")


def test_linux_boots_by_asking_open_firmware() -> None:
    image = ppc_image.find()
    params = mac.Params(kernel=image.kernel, initrd=image.initrd, append=image.words, entry="open-firmware")
    guest = Dialogue(params)
    guest.wait_for("copying OF device tree...")
    guest.wait_for("Booting Linux via __start()")
    guest.wait_for(image.ready)
    guest.type("poweroff -f\n")
    assert guest.until_end() == PoweredOff(0)
