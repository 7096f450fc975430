"""GRUB of Debian's grub-rescue-pc on the PC's own screen and keyboard: its menu and its prompt."""

import os
import subprocess
from pathlib import Path

import pytest

from emulators.boards.pc import Params
from emulators.outside import MemoryDisk
from tests.interop.test_pc_screen import Screen

pytestmark = [pytest.mark.interop, pytest.mark.slow]
IMAGES = Path("/usr/lib/grub-rescue")
SEABIOS = Path("/usr/share/seabios/bios-256k.bin")
DISK_OCTETS = 3 << 20


def image(name: str) -> MemoryDisk:
    for file in (SEABIOS, IMAGES / name):
        if not file.exists():
            pytest.skip(f"{file} is not installed (setup/packages)")
    return MemoryDisk((IMAGES / name).read_bytes(), readonly=True)


def disk_with(work: Path, **files: bytes) -> MemoryDisk:
    """An ext2 file system without partitions."""
    root, path = work / "root", work / "disk"
    root.mkdir()
    for name, octets in files.items():
        (root / name).write_bytes(octets)
    path.touch()
    os.truncate(path, DISK_OCTETS)
    subprocess.run(["/sbin/mkfs.ext2", "-q", "-F", "-d", root, path], check=True)
    return MemoryDisk(path.read_bytes())


def at_the_prompt(screen: Screen) -> None:
    """From the menu."""
    screen.run_until(screen.shows("Press enter to boot"), seconds=20)
    screen.run_until(screen.shows("*GNU/Linux"), seconds=5)
    screen.press(("down",))
    screen.run_until(screen.shows("*GNU (aka GNU/Hurd)"), seconds=5)
    screen.type("c")
    screen.run_until(screen.shows("grub>"), seconds=5)


def test_grubs_menu_and_prompt_on_the_screen(tmp_path: Path) -> None:
    """Keys come through the 8042 and the BIOS; the prompt's `ls` finds a disk beside the CD-ROM, `cat` reads a file."""
    screen = Screen(
        Params(memory=16 << 20, boot="cdrom", disks=("cdrom", "ide")),
        [image("grub-rescue-cdrom.iso"), disk_with(tmp_path, greeting=b"Hello from the disk")],
    )
    at_the_prompt(screen)
    screen.type("ls\n")
    screen.run_until(lambda: any({"(hd0)", "(cd)"} <= {*line.split()} for line in screen.lines()), seconds=5)
    screen.type("cat (hd0)/greeting\n")
    screen.run_until(screen.shows("Hello from the disk"), seconds=5)
    screen.type("nonsense\n")
    screen.run_until(screen.shows("can't find command `nonsense'"), seconds=5)
    screen.type("set\n")
    screen.run_until(screen.shows("grub_platform=pc"), seconds=5)
    mistakes = {name: count for name, one in screen.machine.devices.items() if (count := getattr(one, "mistakes", 0))}
    assert not mistakes
