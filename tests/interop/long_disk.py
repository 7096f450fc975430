"""A disk with Debian, installed by mmdebstrap and GRUB, boots by SeaBIOS and GRUB to a login: `make test-pc`.

Raw, as a qcow2 image, and with an overlay that is thrown away; `make soak-pc` has it work for an hour.
"""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.interop.installed_disk import Disk, check_file_system, make_disk
from tests.interop.soak_pc import InstalledGuest, install_grub
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    disk = make_disk(tmp_path_factory.mktemp("disk"), NeedTool())
    install_grub(disk)
    return disk


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_an_overlay_leaves_the_disk_as_it_was(installed: Disk) -> None:
    before = digest(installed.path)
    with InstalledGuest(f"ide,{installed.path},overlay", "--boot", "disk") as guest:
        guest.log_in()
        assert "ext4" in guest.shell("findmnt -no FSTYPE,SOURCE /")
        guest.shell("dd if=/dev/urandom of=/var/tmp/x bs=1M count=16; sync; apt-get update -q; apt-get install -y bc")
        guest.switch_off()
    assert digest(installed.path) == before


def test_a_qcow2_image_keeps_what_was_written(installed: Disk, tmp_path: Path, need_tool: NeedTool) -> None:
    image, again = tmp_path / "disk.qcow2", tmp_path / "disk.img"
    convert = [need_tool("qemu-img"), "convert", "-f", "raw", "-O", "qcow2", str(installed.path), str(image)]
    subprocess.run(convert, check=True)
    with InstalledGuest(f"ide,{image}", "--boot", "disk") as guest:
        guest.log_in()
        guest.work()
        said = guest.shell("md5sum /var/tmp/sums; dd if=/dev/urandom of=/root/x bs=1M count=8; md5sum /root/x")
        guest.switch_off()
    with InstalledGuest(f"ide,{image},ro", "--boot", "disk") as guest:
        guest.log_in()
        assert said.split()[0] in guest.shell("md5sum /var/tmp/sums")
        assert said.split()[-2] in guest.shell("md5sum /root/x")
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(image), str(again)], check=True)
    check_file_system(again)
