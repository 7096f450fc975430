"""Disks: the file, the file untouched, and what happens when it is not what it was."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.guest.disk import Access, Overlay, Words, format_of, open_disk, parse_disk
from emulators.outside import MemoryDisk
from vde.errors import ConfigError

CONTENTS = bytes(range(256)) * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(CONTENTS)
    return path


def test_a_file_is_read_and_written(path: Path) -> None:
    disk, file = open_disk(path, "rw")
    assert (disk.size_octets, disk.readonly) == (16384, False)
    disk.write_at(512, b"x" * 512)
    disk.flush()
    assert disk.read_at(511, 514) == CONTENTS[511:512] + b"x" * 512 + CONTENTS[1024:1025]
    file.close()
    assert path.read_bytes()[512:1024] == b"x" * 512


def test_a_read_only_file_stays(path: Path) -> None:
    path.chmod(0o400)
    disk, file = open_disk(path, "ro")
    with pytest.raises(PermissionError):
        disk.write_at(0, b"x")
    file.close()
    assert path.read_bytes() == CONTENTS


def test_an_overlay_leaves_the_file_alone(path: Path) -> None:
    disk, file = open_disk(path, "overlay")
    disk.write_at(4000, b"y" * 200)
    assert disk.read_at(3990, 220) == CONTENTS[3990:4000] + b"y" * 200 + CONTENTS[4200:4210]
    file.close()
    assert path.read_bytes() == CONTENTS


@given(st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=9000)), max_size=20))
def test_an_overlay_is_a_disk(writes: list[tuple[int, bytes]]) -> None:
    contents = bytes(range(251)) * 40  # no whole number of blocks
    twin, overlay = bytearray(contents), Overlay(MemoryDisk(contents, readonly=True))
    for at, data in writes:
        if at + len(data) > len(twin):
            with pytest.raises(ValueError, match="the disk has"):
                overlay.write_at(at, data)
            continue
        twin[at : at + len(data)] = data
        overlay.write_at(at, data)
        assert overlay.read_at(at, len(data)) == data
    assert overlay.read_at(0, len(twin)) == twin


def test_an_overlay_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulators.guest.disk.MOST_OVERLAY_OCTETS", 8192)
    overlay = Overlay(MemoryDisk(bytes(16384)))
    overlay.write_at(0, bytes(8192))
    with pytest.raises(OSError, match="full"):
        overlay.write_at(8192, b"x")
    overlay.write_at(100, b"x")


def test_a_file_that_shrinks_is_an_error_of_the_medium(path: Path) -> None:
    disk, file = open_disk(path, "ro")
    path.write_bytes(CONTENTS[:512])
    with pytest.raises(OSError, match="shorter"):
        disk.read_at(0, 1024)
    file.close()


@pytest.mark.parametrize("offset", [-1, 16384, 1 << 70])
def test_a_range_that_is_not_there(path: Path, offset: int) -> None:
    disk, file = open_disk(path, "ro")
    with pytest.raises(ValueError, match="the disk has 16384"):
        disk.read_at(offset, 1)
    file.close()


def test_two_guests_do_not_write_one_file(path: Path) -> None:
    _, file = open_disk(path, "rw")
    accesses: tuple[Access, ...] = ("rw", "ro", "overlay")
    for access in accesses:
        with pytest.raises(ConfigError, match="another guest"):
            open_disk(path, access)
    file.close()
    first, second = open_disk(path, "overlay"), open_disk(path, "ro")
    first[1].close()
    second[1].close()


@pytest.mark.parametrize(
    ("name", "access", "message"),
    [
        ("nothing", "ro", "No such file"),
        ("", "ro", "a file or a block device was expected"),
        ("odd", "rw", "513 octets: one or more whole sectors of 512 octets were expected"),
        ("empty", "rw", "0 octets"),
    ],
)
def test_what_is_no_disk(tmp_path: Path, name: str, access: Access, message: str) -> None:
    (tmp_path / "odd").write_bytes(bytes(513))
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ConfigError, match=message):
        open_disk(tmp_path / name, access)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.img", Words("virtio", Path("a.img"), "", "")),
        ("ide,a.img,ro", Words("ide", Path("a.img"), "ro", "")),
        ("cdrom,file=b,c.iso,snapshot", Words("cdrom", Path("b,c.iso"), "overlay", "")),
        ("file=x,format=qcow2,overlay", Words("virtio", Path("x"), "overlay", "qcow2")),
        ("ide", Words("virtio", Path("ide"), "", "")),
    ],
)
def test_words_of_the_option(text: str, words: Words) -> None:
    assert parse_disk(text, ("virtio", "ide", "cdrom")) == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ide,", "which file"),
        ("a,format=zip", "qcow2"),
        ("file=", "which"),
        ("a,rw,ro", "rw or ro"),
        ("a,ro,overlay", "ro or overlay"),
        ("a,format=raw,format=qcow2", "which format"),
    ],
)
def test_words_that_are_no_disk(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_disk(text, ("virtio", "ide"))


def test_a_signature_is_not_followed(path: Path) -> None:
    """A guest could have written it to its raw disk, with another file's name in it."""
    path.write_bytes(b"QFI\xfb" + bytes(508))
    with pytest.raises(ConfigError, match="format=qcow2"):
        open_disk(path, "rw")
    disk, file = open_disk(path, "ro", form="raw")
    assert disk.read_at(0, 4) == b"QFI\xfb"
    file.close()
    renamed = path.rename(path.with_suffix(".qcow2"))
    assert format_of(renamed) == "qcow2"
