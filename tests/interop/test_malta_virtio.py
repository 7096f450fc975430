"""Malta's virtio disks, entropy and console under Debian's unmodified kernel and its drivers."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

from tests.interop.guest_console import ConsoleGuest
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
VDE = Path(sys.executable).parent / "vde"


def test_disks_entropy_and_a_second_console(short_path: Path) -> None:
    store.pull("debian-malta")
    disk, fixed, said = short_path / "disk", short_path / "fixed", short_path / "hvc0"
    contents, untouched = os.urandom(4 << 20), os.urandom(1 << 20)
    disk.write_bytes(contents)
    fixed.write_bytes(untouched)
    arguments = [
        str(VDE), "guest", "malta", "--image", "debian-malta", "--append", "hostname=m",
        "--disk", str(disk), "--disk", f"{fixed},ro",
        "--virtio-console", "--console", "serial0=stdio", "--console", f"virtio0=file:{said}",
    ]  # fmt: skip
    with ConsoleGuest(arguments) as guest:
        guest.wait_for("vde-guest ready: hostname=m")
        assert guest.shell("cat /sys/block/vda/size /sys/block/vda/ro /sys/block/vdb/ro").split() == ["8192", "0", "1"]
        sums = guest.shell("sha256sum /dev/vda /dev/vdb").split()
        assert sums[::2] == [hashlib.sha256(contents).hexdigest(), hashlib.sha256(untouched).hexdigest()]
        guest.shell("dd if=/dev/vdb of=/dev/vda bs=64k seek=16 conv=fsync 2>/dev/null")
        assert disk.read_bytes() == contents[: 1 << 20] + untouched + contents[2 << 20 :]
        assert "Operation not permitted" in guest.shell("echo x 2>&1 >/dev/vdb")
        assert fixed.read_bytes() == untouched
        assert guest.shell("cat /sys/class/misc/hw_random/rng_current") == "virtio_rng.0\n"
        random = [guest.shell("dd if=/dev/hwrng bs=32 count=1 2>/dev/null | sha256sum") for _ in range(2)]
        assert random[0] != random[1]
        guest.shell("echo from the second console >/dev/hvc0; poweroff")
        assert guest.process.wait(60) == 0
    assert said.read_bytes() == b"from the second console\r\n"
