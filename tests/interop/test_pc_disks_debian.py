"""Debian's drivers for the drives of our board: checksums both ways, and a clean file system."""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from emulators.boards.pc import Params, build
from emulators.outside import Bench, MemoryDisk
from tests.interop.debian_i386 import Archive
from tests.interop.test_pc_debian import READY, Shell
from tests.tools import NeedTool
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]

MODULES = [
    "scsi_common",
    "crct10dif_common",
    "crct10dif_generic",
    "crc-t10dif",
    "crc64",
    "crc64_rocksoft_generic",
    "crc64-rocksoft",
    "t10-pi",
    "scsi_mod",
    "libata",
    "ata_piix",
    "sd_mod",
    "cdrom",
    "sr_mod",
    "isofs",
    "crc16",
    "crc32c_generic",
    "libcrc32c",
    "mbcache",
    "jbd2",
    "ext4",
    "floppy",
]
"""In the order of their needs."""
ISO = Path("/usr/lib/grub-rescue/grub-rescue-cdrom.iso")
FLOPPY_OCTETS, DISK_OCTETS = 1474560, 24 << 20


class DiskShell(Shell):
    """A Debian with three drives, whose initial file system has the modules for them."""

    def __init__(self, params: Params, disks: list[MemoryDisk]) -> None:
        self.outside = Bench(disk_list=disks)
        self.machine = build(params, self.outside)
        self.console = self.outside.console("serial0")
        self.shown = self.outside.written["serial0"]


def initrd_with_modules(directory: Path, modules: Sequence[str]) -> Path:
    """Debian's initial file system with more modules, in /m."""
    image = store.pull("debian-i386", lambda progress: None)
    archive = Archive(directory)
    release = image.kernel.name.removeprefix("vmlinuz-").rpartition("-")[0]
    wanted = {name.replace("-", "_"): rf"/{name}\.ko$" for name in modules}
    found = archive.files(f"linux-image-{release}", **wanted)
    root = directory / "root" / "m"
    root.mkdir(parents=True)
    for name, file in found.items():
        file.rename(root / f"{name}.ko")
    packed = subprocess.run(
        ["cpio", "-H", "newc", "-o", "--quiet"],
        cwd=root.parent,
        input=b"\n".join([b"m", *(f"m/{name}.ko".encode() for name in found)]),
        capture_output=True,
        check=True,
    ).stdout
    octets = image.initrd.read_bytes()
    path = directory / "initrd"
    path.write_bytes(octets + bytes(-len(octets) % 4) + packed)
    return path


def test_disk_disc_floppy_and_virtio(tmp_path: Path, need_tool: NeedTool) -> None:
    need_tool("cpio")
    if not ISO.exists():
        pytest.skip("grub-rescue-pc is not installed (setup/packages)")
    iso, floppy = ISO.read_bytes(), os.urandom(FLOPPY_OCTETS)
    file_system = tmp_path / "ext4.img"
    file_system.touch()
    os.truncate(file_system, DISK_OCTETS)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", str(file_system)], check=True)
    disks = [MemoryDisk(file_system.read_bytes()), MemoryDisk(iso, readonly=True), MemoryDisk(floppy)]
    disks += [MemoryDisk(bytes(len(iso))), MemoryDisk(iso, readonly=True)]
    image = store.pull("debian-i386", lambda progress: None)
    params = Params(
        kernel=image.kernel,
        initrd=initrd_with_modules(tmp_path, MODULES),
        append=image.command_line("console=ttyS0 cryptomgr.notests"),
        memory=96 << 20,
        disks=("ide", "cdrom", "floppy", "virtio", "virtio"),
    )
    shell = DiskShell(params, disks)
    shell.run_until(READY, seconds=120)
    names = " ".join(name.replace("-", "_") for name in MODULES)
    assert "bad" not in shell.ask(f"for m in {names}; do insmod /m/$m.ko || echo ba''d; done; sleep 2")
    digest = hashlib.md5(iso).hexdigest()
    assert digest in shell.ask("md5sum /dev/sr0")
    assert "boot.catalog" in shell.ask("mkdir /a /c; mount -t iso9660 /dev/sr0 /c && ls /c")
    shell.ask("mount -t ext4 /dev/sda /a && cat /dev/sr0 > /a/x; cp -a /c/boot /a/; umount /a")
    assert digest in shell.ask("echo 3 > /proc/sys/vm/drop_caches; mount -t ext4 /dev/sda /a; md5sum /a/x; umount /a")
    assert hashlib.md5(floppy).hexdigest() in shell.ask("md5sum /dev/fd0")
    shell.ask("dd if=/dev/sr0 of=/dev/fd0 bs=512 count=64 seek=100; sync")
    assert disks[2].contents[100 * 512 : 164 * 512] == iso[: 64 * 512]
    assert shell.ask("cat /sys/block/vda/ro /sys/block/vdb/ro").split() == ["0", "1"]
    assert digest in shell.ask("cat /dev/vdb > /dev/vda; sync; echo 3 > /proc/sys/vm/drop_caches; md5sum /dev/vda")
    assert disks[3].contents == iso
    assert "not permitted" in shell.ask("dd if=/dev/vda of=/dev/vdb count=1 2>&1")
    file_system.write_bytes(disks[0].contents)
    checked = subprocess.run(["/sbin/e2fsck", "-fn", str(file_system)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert "errors" not in shell.ask("dmesg | grep -iE 'ata[0-9].*(error|failed)|I/O error' && echo err''ors")
