"""Linux from media, as OpenBIOS starts it: a CD-ROM and an IDE disk with a partition map.

The kernel is `vmlinux`, moved to where OpenBIOS can put it (it copies segments to their virtual addresses); it moves
itself. Its root file system is on the same medium. Nothing is given to the firmware but the medium.
"""

import gzip
import struct
import subprocess
from pathlib import Path

import pytest

from emulators.boards import mac
from emulators.machine import PoweredOff
from emulators.outside import Bench, MemoryDisk
from tests.interop import ppc_image
from tests.interop.ppc_image import PpcImage
from tests.interop.test_mac_linux import Dialogue
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop, pytest.mark.slow]
KERNEL_AT = 0x01000000
ENTRY, HEADERS, HEADER_SIZES, HEADER = 24, 28, 42, ">8I"
"""ELF, 32 bits: offsets of e_entry, e_phoff, e_phentsize (with e_phnum behind it); a program header."""
SCRIPT = """<chrp-boot>
<description>Linux</description>
<boot-script>boot {what},\\vmlinux {words} init=/init</boot-script>
</chrp-boot>
"""
"""CHRP binding of IEEE 1275, 11.1.1."""


def moved(kernel: bytes, to: int) -> bytes:
    """The same ELF file, linked to another address."""
    octets = bytearray(kernel)
    (entry,) = struct.unpack_from(">I", octets, ENTRY)
    (at,) = struct.unpack_from(">I", octets, HEADERS)
    size, count = struct.unpack_from(">2H", octets, HEADER_SIZES)
    headers = {at + n * size: list(struct.unpack_from(HEADER, octets, at + n * size)) for n in range(count)}
    first = min(header[2] for header in headers.values() if header[0] == 1)
    for where, header in headers.items():
        if header[5]:
            header[2] = header[3] = header[2] - first + to
        struct.pack_into(HEADER, octets, where, *header)
    struct.pack_into(">I", octets, ENTRY, entry - first + to)
    return bytes(octets)


@pytest.fixture
def image() -> PpcImage:
    """The image that is built here: another one's kernel has no drivers of drives."""
    return ppc_image.find_built()


@pytest.fixture
def root(image: PpcImage, tmp_path: Path, need_tool: NeedTool) -> Path:
    """What the image's initial file system has, and its kernel; device nodes are the kernel's business."""
    made = tmp_path / "root"
    made.mkdir()
    command = [need_tool("cpio"), "-id", "--quiet", "--nonmatching", "dev/*"]
    subprocess.run(command, cwd=made, input=gzip.decompress(image.initrd.read_bytes()), check=True)
    (made / "vmlinux").write_bytes(moved(image.kernel.read_bytes(), KERNEL_AT))
    return made


def medium(root: Path, directory: Path, need_tool: NeedTool, script: str) -> bytes:
    """A hybrid of ISO 9660 and HFS with an Apple partition map, as discs of the time were; firmware starts `script`.

    By the file of HFS type `tbxi` in the blessed folder.
    """
    (root / "ppc").mkdir()
    (root / "ppc" / "bootinfo.txt").write_text(script)
    (directory / "types").write_text("bootinfo.txt Raw 'chrp' 'tbxi'\n* Raw '????' '????'\n")
    made = directory / "medium"
    command = [need_tool("genisoimage"), "-quiet", "-r", "-l", "-hfs", "-part", "-map", str(directory / "types")]
    command += ["-hfs-bless", str(root / "ppc"), "-o", str(made), str(root)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return made.read_bytes()


@pytest.mark.parametrize(
    ("boot", "drive", "alias", "linux"), [("cdrom", "cdrom", "cd:", "/dev/sr0"), ("disk", "ide", "hd:", "/dev/sda")]
)
def test_a_medium_starts_by_itself(
    image: PpcImage, root: Path, tmp_path: Path, need_tool: NeedTool, boot: str, drive: str, alias: str, linux: str
) -> None:
    """The kernel from the HFS partition; Linux, which knows no Apple partitions, has ISO 9660 of the whole medium."""
    script = SCRIPT.format(what=alias, words=f"{image.words} root={linux} rootfstype=iso9660 ro")
    disk = MemoryDisk(medium(root, tmp_path, need_tool, script), readonly=drive == "cdrom")
    guest = Dialogue(mac.Params(boot=boot, disks=(drive,)), Bench(disk_list=[disk]))
    guest.wait_for(image.ready, seconds=60)
    guest.type("mount; ls /; echo re''ad\n")
    said = guest.wait_for("read\n")
    assert "/dev/root on / type iso9660 (ro" in said
    assert "vmlinux" in said
    guest.type("poweroff -f\n")
    assert guest.until_end() == PoweredOff(0)
