"""PearPC as a node: the file and the environment that it is started with, and what it has not."""

from pathlib import Path

import pytest

from vde.errors import ConfigError
from vde.lab.pearpc import command, configuration, disk_words, environment, read
from vde.lab.resolved import Attachment, Nic, Pearpc

LABS = Path("/labs")
NIC = Nic(interface="eth0", mac="02:00:00:00:00:07", attachment=Attachment(segment="sw", port=3))
PLUGGED = {"eth0": NIC.attachment}

EXAMPLE = """
## Start Resolution
ppc_start_resolution = "800x600x15"   # default
memory_size=0x10000000
prom_driver_graphic = "video.x"
pci_ide0_master_installed = 1
pci_ide0_master_image = "test/imgs/linux.img"
pci_ide0_slave_installed = 1
pci_ide0_slave_image = "/dev/cdrom"
pci_ide0_slave_type = "cdrom"
pci_3c90x_installed = 0
pci_rtl8139_installed = 0
nvram_file = "nvram"
"""


def settings(text: str) -> dict[str, str]:
    """The file as PearPC reads it: a key that is there twice ends it."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" = ")
        assert key not in found
        found[key] = value
    return found


def test_a_node_that_says_everything() -> None:
    node = Pearpc(
        name="p", memory_octets=128 << 20, cpu="750", disks=("a.img", "cdrom,b.iso"), nics=(NIC,), kernel="vmlinux"
    )
    assert settings(configuration(node, PLUGGED, LABS, {}, headless=True)) == {
        "headless": "0x1",
        "nvram_file": '"nvram"',
        "memory_size": "0x8000000",
        "cpu_pvr": "0x80200",
        "pci_ide0_master_installed": "0x1",
        "pci_ide0_master_image": '"/labs/a.img"',
        "pci_ide0_master_type": '"hd"',
        "pci_ide0_slave_installed": "0x1",
        "pci_ide0_slave_image": '"/labs/b.iso"',
        "pci_ide0_slave_type": '"cdrom"',
        "prom_bootmethod": '"force"',
        "prom_loadfile": '"/labs/vmlinux"',
        "pci_rtl8139_installed": "0x1",
        "pci_rtl8139_mac": '"02:00:00:00:00:07"',
    }


def test_what_the_file_says_stays_but_for_the_nodes_own_words() -> None:
    said = read(EXAMPLE, "ppccfg", LABS / "mac")
    found = settings(configuration(Pearpc(name="p", nics=(NIC,)), PLUGGED, LABS, said, headless=False))
    assert "headless" not in found  # older versions do not know it
    assert found["memory_size"] == "0x10000000"
    assert found["ppc_start_resolution"] == '"800x600x15"'
    assert found["pci_ide0_master_image"] == '"/labs/mac/test/imgs/linux.img"'
    assert found["pci_ide0_slave_image"] == '"/dev/cdrom"'
    assert (found["pci_3c90x_installed"], found["pci_rtl8139_installed"]) == ("0x0", "0x1")
    node = Pearpc(name="p", disks=("one.img",), memory_octets=64 << 20)
    found = settings(configuration(node, {}, LABS, said, headless=False))
    assert found["memory_size"] == "0x4000000"
    assert found["pci_ide0_slave_installed"] == found["pci_rtl8139_installed"] == "0x0"


def test_the_files_3com_card_gets_the_nodes_address() -> None:
    said = read("pci_3c90x_installed = 1\n", "ppccfg", LABS)
    found = settings(configuration(Pearpc(name="p", nics=(NIC,)), PLUGGED, LABS, said, headless=False))
    assert found["pci_3c90x_installed"] == "0x1"
    assert found["pci_3c90x_mac"] == '"02:00:00:00:00:07"'
    assert "pci_rtl8139_installed" not in found


def test_its_tap_is_a_port_of_the_switch() -> None:
    said = environment(Path("/run/sw"), 3)
    assert said == {"LD_PRELOAD": "/usr/lib/vde2/libvdetap.so", "VDEALLTAP": "/run/sw", "VDEALLTAP_port": "3"}
    assert environment(None, None) == {}
    assert command("/usr/bin/ppc", "ready:")[-2:] == ["/usr/bin/ppc", "ppccfg"]


@pytest.mark.parametrize("line", ["memory_size 5", 'a = "b', "= 1", "a = -1", "a = 1 2"])
def test_a_line_that_is_no_setting_is_shown(line: str) -> None:
    with pytest.raises(ConfigError, match=r"ppccfg:2:.*KEY = NUMBER"):
        read(f"# PearPC\n{line}\n", "ppccfg", LABS)


def test_kinds_of_drives() -> None:
    assert disk_words("a,b.img") == ("hd", "a,b.img")
    assert disk_words("ide,b.img") == ("hd", "b.img")
    assert disk_words("cdrom,b.iso") == ("cdrom", "b.iso")
