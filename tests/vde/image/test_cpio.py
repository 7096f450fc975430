"""The archive that the kernel unpacks, read back by another program."""

import stat
import subprocess
from pathlib import Path

import pytest

from tests.tools import NeedTool
from vde.image.cpio import Archive


def sample() -> Archive:
    archive = Archive()
    archive.file("init", b"#!/bin/sh\n", 0o755)
    archive.file("etc/deep/file", bytes(range(256)) * 9)
    archive.file("etc/empty", b"")
    archive.symlink("bin/sh", "busybox")
    archive.directory("tmp", 0o1777)
    archive.character_device("dev/console", 5, 1)
    return archive


@pytest.mark.interop
def test_cpio_lists_it(tmp_path: Path, need_tool: NeedTool) -> None:
    listing = subprocess.run(
        [need_tool("cpio"), "-tv", "--numeric-uid-gid", "--quiet"],
        input=sample().emit(), capture_output=True, check=True, env={"TZ": "UTC", "LC_ALL": "C"},
    )  # fmt: skip
    assert [line.split()[0:1] + line.split()[2:] for line in listing.stdout.decode().splitlines()] == [
        line.split()
        for line in (
            "drwxr-xr-x 0 0 0 Jan 1 1970 bin",
            "lrwxrwxrwx 0 0 7 Jan 1 1970 bin/sh -> busybox",
            "drwxr-xr-x 0 0 0 Jan 1 1970 dev",
            "crw------- 0 0 5, 1 Jan 1 1970 dev/console",
            "drwxr-xr-x 0 0 0 Jan 1 1970 etc",
            "drwxr-xr-x 0 0 0 Jan 1 1970 etc/deep",
            "-rw-r--r-- 0 0 2304 Jan 1 1970 etc/deep/file",
            "-rw-r--r-- 0 0 0 Jan 1 1970 etc/empty",
            "-rwxr-xr-x 0 0 10 Jan 1 1970 init",
            "drwxrwxrwt 0 0 0 Jan 1 1970 tmp",
        )
    ]
    assert not listing.stderr


@pytest.mark.interop
def test_cpio_unpacks_it(tmp_path: Path, need_tool: NeedTool) -> None:
    command = [need_tool("cpio"), "-i", "--quiet", "--no-absolute-filenames", "--nonmatching", "dev/*"]
    subprocess.run(command, input=sample().emit(), check=True, cwd=tmp_path)
    assert (tmp_path / "etc/deep/file").read_bytes() == bytes(range(256)) * 9
    assert (tmp_path / "bin/sh").readlink() == Path("busybox")
    assert stat.S_IMODE((tmp_path / "init").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "tmp").stat().st_mode) == 0o1777


def test_the_order_of_adding_does_not_matter() -> None:
    one, other = Archive(), Archive()
    one.file("a/b", b"x")
    one.symlink("c", "a")
    other.symlink("c", "a")
    other.directory("a")
    other.file("a/b", b"x")
    assert one.emit() == other.emit()


def test_layout_of_an_entry() -> None:
    archive = Archive()
    archive.file("ab", b"12345", 0o644)
    octets = archive.emit()
    assert octets[:110] == b"070701" + b"".join(b"%08X" % n for n in (1, 0o100644, 0, 0, 1, 0, 5, 0, 0, 0, 0, 3, 0))
    assert octets[110:124] == b"ab\0\0"[:2] + b"\0" + bytes(3) + b"12345" + bytes(3)
    assert octets.rstrip(b"\0").endswith(b"TRAILER!!!")
    assert len(octets) % 4 == 0


@pytest.mark.parametrize("path", ["", ".", "/etc", "../a", "a/../b", "a//b", "./a", "a/", "a\0b"])
def test_paths_that_are_not_clean(path: str) -> None:
    with pytest.raises(ValueError, match="not a clean relative path"):
        Archive().file(path, b"")


def test_one_path_cannot_be_two_things() -> None:
    archive = Archive()
    archive.symlink("sbin", "bin")
    with pytest.raises(ValueError, match="'sbin' is no directory"):
        archive.file("sbin/init", b"")
    with pytest.raises(ValueError, match="there already"):
        archive.directory("sbin")
