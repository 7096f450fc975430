"""A disk with Debian 12 for i386, made by mmdebstrap without a host's disk, and GRUB put on it by the guest itself.

`make_disk` needs root (a chroot in a mount and process namespace of its own, in `work`) and apt's archive. The disk:
one partition from 1 MiB on, ext4, a local archive of packages at /srv/repo, and `workload`, which installs them, checks
every file of every package, packs, unpacks and compares thousands of files, and removes the packages. root's password
is `vde`. GRUB is not on it yet: `INSTALL_GRUB` is for a shell of the guest that was started with --kernel.
"""

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.tools import NeedTool
from vde.image import sources
from vde.image.apt import machine_source_files

DISK_OCTETS = 2400 << 20
"""Twice what is on it is packed and unpacked beside it. Sparse."""
FIRST_SECTOR, SECTOR_OCTETS = 2048, 512
PARTITION_AT = FIRST_SECTOR * SECTOR_OCTETS
LINUX = 0x83  # the type of the partition
INCLUDED = "linux-image-686,grub-pc,systemd-sysv,udev,kmod,e2fsprogs,initramfs-tools"
IN_THE_ARCHIVE = ("bc", "file", "jq", "less", "python3-minimal", "sqlite3", "tcc", "libc6-dev")
INSTALL_GRUB = "grub-install /dev/sda && update-grub && sync"
PASSWORD = "vde"

CUSTOMIZE = """
set -e
root=$1
mkdir -p $root/srv/repo
export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
apt-get install --download-only -y -o APT::Keep-Downloaded-Packages=true {packages}
for deb in $root/var/cache/apt/archives/*.deb; do
    name=$(basename $deb)
    dpkg-deb -f $deb
    echo "Filename: ./$name"
    echo "Size: $(stat -c %s $deb)"
    echo "SHA256: $(sha256sum < $deb | cut -d' ' -f1)"
    echo
    mv $deb $root/srv/repo/
done > $root/srv/repo/Packages
echo 'deb [trusted=yes] file:/srv/repo ./' > $root/etc/apt/sources.list
rm -f $root/etc/apt/sources.list.d/*
echo 'root:{password}' | chroot $root chpasswd
echo installed > $root/etc/hostname
echo '/dev/sda1 / ext4 errors=remount-ro 0 1' > $root/etc/fstab
cat > $root/etc/default/grub <<END
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_CMDLINE_LINUX="root=/dev/sda1 console=tty0 console=ttyS0 cryptomgr.notests"
GRUB_TERMINAL=console
GRUB_DISABLE_OS_PROBER=true
GRUB_DISABLE_LINUX_UUID=true
END
echo MODULES=list > $root/etc/initramfs-tools/conf.d/list
printf 'ata_piix\\nsd_mod\\next4\\n' >> $root/etc/initramfs-tools/modules
chroot $root update-initramfs -u
cat > $root/usr/local/bin/workload <<'END'
#!/bin/sh
set -e
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt-get update -qq
apt-get install -y -qq {packages} >/dev/null
cd /var/tmp
printf '#include <stdio.h>\\nint main(void) {{ printf("%%d\\\\n", 6 * 7); return 0; }}\\n' > answer.c
tcc -o answer answer.c
test "$(./answer)" = 42
test "$(python3 -c 'print(2 ** 200 % 1000007)')" = "$(echo '2 ^ 200 % 1000007' | bc)"
dpkg --verify > verified || true
if grep -v ' c /' verified; then exit 1; fi
find /usr/bin /usr/lib /usr/sbin -xdev -type f -exec md5sum {{}} + > sums
tar cf files.tar -C / usr/bin usr/lib usr/sbin
mkdir -p unpacked
tar xf files.tar -C unpacked
rm files.tar
sync
echo 3 > /proc/sys/vm/drop_caches
sed 's#  /#  unpacked/#' sums | md5sum --quiet -c -
rm -rf unpacked answer answer.c
apt-get purge -y -qq --autoremove {packages} >/dev/null
echo "checked $(wc -l < sums) files"
END
chmod 755 $root/usr/local/bin/workload
"""


@dataclass(frozen=True)
class Disk:
    """What was made."""

    path: Path
    kernel: Path
    initrd: Path


def make_disk(work: Path, need_tool: NeedTool) -> Disk:
    """A disk in `work`, which also keeps the kernel for a first start without GRUB."""
    for tool in ("mmdebstrap", "unshare", "mkfs.ext4"):
        need_tool(tool)
    if os.geteuid() != 0:
        pytest.skip("a chroot needs root")
    root, listed, hook = work / "root", work / "i386.sources", work / "customize"
    chosen = sources.select(sources.read_sources(*machine_source_files()), "bookworm")
    release = [replace(one, suites=("bookworm",)) for one in chosen if "bookworm" in one.suites]
    listed.write_text(sources.render(release, "i386"))
    packages = " ".join(IN_THE_ARCHIVE)
    hook.write_text("#!/bin/sh" + CUSTOMIZE.format(packages=packages, password=PASSWORD))
    hook.chmod(0o755)
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "mmdebstrap", "--mode=root", "--quiet"]
    command += ["--architectures=i386", "--variant=minbase", "--skip=check/qemu", "--format=directory"]
    command += [f"--include={INCLUDED}", f"--customize-hook={hook}", "bookworm", str(root), str(listed)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr[-4000:]
        kernel, initrd = work / "vmlinuz", work / "initrd"
        for name, path in (("vmlinuz", kernel), ("initrd.img", initrd)):
            shutil.copyfile((root / name).resolve() if not (root / name).is_symlink() else _target(root, name), path)
        return Disk(_disk(work / "disk.img", root), kernel, initrd)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _target(root: Path, name: str) -> Path:
    """Of a symbolic link in the new system: relative, or absolute from its root."""
    return root / os.readlink(root / name).lstrip("/")


def _disk(path: Path, root: Path) -> Path:
    """A partition table with one partition, and a file system in it."""
    path.touch()
    os.truncate(path, DISK_OCTETS)
    kib = (DISK_OCTETS - PARTITION_AT) >> 10
    command = ["mkfs.ext4", "-q", "-F", "-d", str(root), "-E", f"offset={PARTITION_AT}", str(path), f"{kib}k"]
    subprocess.run(command, check=True, capture_output=True)
    # one entry: active, first sector's CHS, type, last sector's CHS, first sector, sectors (both little-endian)
    entry = struct.pack(
        "<B3sB3sII", 0x80, b"\xfe\xff\xff", LINUX, b"\xfe\xff\xff", FIRST_SECTOR, DISK_OCTETS // 512 - FIRST_SECTOR
    )
    with path.open("r+b") as file:
        file.seek(446)
        file.write(entry.ljust(64, b"\0") + b"\x55\xaa")
    return path


def check_file_system(path: Path) -> None:
    """It must be clean."""
    command = ["e2fsck", "-fn", f"{path}?offset={PARTITION_AT}"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
