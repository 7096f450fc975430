"""Configuration files of PearPC and Mac-on-Linux: what is used, what is named, what is wrong."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.loaders.mac_configs import read_molrc, read_pearpc
from vde.errors import ConfigError

PEARPC = """
## a comment
ppc_start_resolution = "800x600x15"
prom_bootmethod = "auto"   # of the first disk
memory_size=0x4000000
cpu_pvr = 0x00088302
pci_ide0_master_installed = 1
pci_ide0_master_image = "linux.img"
pci_ide0_slave_installed = 1
pci_ide0_slave_image = "/dev/cdrom"
pci_ide0_slave_type = "cdrom"
pci_3c90x_installed = 0
pci_rtl8139_installed = 1
pci_rtl8139_mac = "de:ad:ca:fe:12:35"
nvram_file = "nvram"
"""
MOLRC = """
# memory
ram_size: 96
blkdev: /dev/hda9 -rw -boot
blkdev: "my disc.iso" -cd -ro
netdev: tun0 -tun -hwaddr 00:11:22:33:44:55
netdev: eth0 -sheep
oldworld: yes
if !${x}
"""


def write(path: Path, text: str) -> Path:
    (path / "file").write_text(text)
    return path / "file"


def test_pearpc(tmp_path: Path) -> None:
    file = write(tmp_path, PEARPC)
    said = read_pearpc(file, {})
    assert said.options == {"memory": 64 << 20, "cpu": "750", "boot": "disk"}
    assert said.disks == ("ide,linux.img", "cdrom,/dev/cdrom,ro")
    assert said.nics == ("rtl8139,mac=de:ad:ca:fe:12:35,tap://ppc",)
    assert said.unused == (f"{file}:3: ppc_start_resolution", f"{file}:15: nvram_file")


def test_pearpc_starts_a_program_or_asks(tmp_path: Path) -> None:
    forced = 'prom_bootmethod = "force"\nprom_loadfile = "vmlinux"\nprom_env_bootargs = "quiet"\n'
    said = read_pearpc(write(tmp_path, forced), {})
    assert said.options == {"kernel": Path("vmlinux"), "entry": "open-firmware", "append": "quiet"}
    assert read_pearpc(write(tmp_path, 'prom_bootmethod = "select"\n'), {}).options == {"boot": "prompt"}
    other = read_pearpc(write(tmp_path, "cpu_pvr = 0x00390202\npci_3c90x_installed = 1\n"), {})
    assert read_pearpc(write(tmp_path, "cpu_pvr = 0x000c0201\n"), {}).options["cpu"] == "7400"
    assert other.nics == ("rtl8139,tap://ppc",)
    assert [note.partition(": ")[2] for note in other.unused] == [
        "cpu_pvr of a processor that there is not",
        "pci_3c90x_installed (an rtl8139 in its place)",
    ]


def test_mac_on_linux(tmp_path: Path) -> None:
    file = write(tmp_path, MOLRC)
    said = read_molrc(file, {})
    assert said.options == {"memory": 96 << 20, "boot": "disk"}
    assert said.disks == ("ide,/dev/hda9", "cdrom,my disc.iso,ro")
    assert said.nics == ("pcnet,mac=00:11:22:33:44:55,tap://tun0",)
    assert said.unused == (f"{file}:7: netdev", f"{file}:8: oldworld", f"{file}:9: if")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("memory_size", r"file:1: .*KEY = NUMBER"),
        ('memory_size = "much"', "memory_size: 'much': a number"),
        ("prom_loadfile = 7", "prom_loadfile: 7: a text"),
        ('prom_bootmethod = "net"', "auto, select, force was expected"),
        ('pci_ide0_master_installed = 1\npci_ide0_master_image = "a"\npci_ide0_master_type = "zip"', "hd or cdrom"),
    ],
)
def test_what_pearpc_would_not_take(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read_pearpc(write(tmp_path, text), {})


def test_what_mac_on_linux_would_not_take(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file:1: ram_size"):
        read_molrc(write(tmp_path, "ram_size: lots"), {})
    with pytest.raises(ConfigError, match="No closing quotation"):
        read_molrc(write(tmp_path, 'blkdev: "x'), {})
    with pytest.raises(ConfigError, match="No such file"):
        read_molrc(tmp_path / "none", {})


@pytest.mark.fuzz
@given(st.text(max_size=300), st.sampled_from([read_pearpc, read_molrc]))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str, reader: object) -> None:
    file = write(tmp_path_factory.mktemp("any"), text.encode("utf-8", "replace").decode())
    with contextlib.suppress(ConfigError):
        reader(file, {})  # type: ignore[operator]
