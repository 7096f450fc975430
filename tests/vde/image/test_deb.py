"""Reading packages: what is in them, and what hostile ones cannot do."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vde.image.packages import TarMember, compress, make_ar, make_deb, make_kernel_deb, make_tar
from vde.errors import WireError
from vde.image.deb import Limits, clean_path, read_files

LONG = "./" + "/".join(["a-directory-with-a-long-name"] * 8) + "/file"


def contents(deb: bytes, limits: Limits | None = None) -> dict[str, bytes]:
    return {member.path: member.read(1 << 20) for member in read_files(io.BytesIO(deb), limits)}


@pytest.mark.parametrize("suffix", [".xz", ".gz", ""])
def test_files_and_their_contents(suffix: str) -> None:
    big = os.urandom(300_001)
    deb = make_deb([TarMember("./boot/vmlinuz", b"kernel"), TarMember(LONG, b"long"), TarMember("big", big)], suffix)
    assert contents(deb) == {"boot/vmlinuz": b"kernel", LONG[2:]: b"long", "big": big}


def test_what_is_not_asked_for_is_passed_over() -> None:
    deb = make_deb([TarMember("a", bytes(5000)), TarMember("b", b"b"), TarMember("c", bytes(700))])
    assert [(m.path, m.octets, m.read(9) if m.path == "b" else None) for m in read_files(io.BytesIO(deb))] == [
        ("a", 5000, None),
        ("b", 1, b"b"),
        ("c", 700, None),
    ]


@pytest.mark.parametrize("path", ["../etc/passwd", "./a/../../b", "/etc/passwd", "a/.."])
def test_a_path_that_leaves_the_package(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deb = make_deb([TarMember("ok", b"ok"), TarMember(path, b"evil")])
    with pytest.raises(WireError, match="unsafe path"):
        contents(deb)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE]
)
def test_links_and_devices_are_nothing(kind: bytes) -> None:
    deb = make_deb([TarMember("boot/vmlinuz", kind=kind, link="/etc/shadow"), TarMember("a", b"a")])
    assert contents(deb) == {"a": b"a"}


def test_pax_headers_are_refused() -> None:
    name = "é" * 90
    deb = make_deb([], tar=make_tar([TarMember(name, b"a")], tarfile.PAX_FORMAT))
    with pytest.raises(WireError, match="member of type b'x'"):
        contents(deb)


def test_a_file_that_is_larger_than_expected() -> None:
    with pytest.raises(WireError, match="a: 101 octets, at most 100 are expected"):
        [member.read(100) for member in read_files(io.BytesIO(make_deb([TarMember("a", bytes(101))])))]


@pytest.mark.parametrize("suffix", [".xz", ".gz"])
def test_a_decompression_bomb_is_stopped(suffix: str) -> None:
    bomb = compress(bytes(50_000_000), suffix)
    assert len(bomb) < 100_000
    header = make_tar([TarMember("zeros")])[:512]
    tar = bytearray(header)
    tar[124:136] = b"%011o\0" % 50_000_000
    tar[148:156] = b"        "
    tar[148:156] = b"%06o\0 " % sum(tar)
    data = compress(bytes(tar) + bytes(50_000_000), suffix)
    deb = make_ar([("debian-binary", b"2.0\n"), (f"data.tar{suffix}", data)])
    with pytest.raises(WireError, match="unpacks to more than is allowed"):
        for _ in read_files(io.BytesIO(deb), Limits(unpacked_octets=1_000_000)):
            pass


def test_too_many_members() -> None:
    deb = make_deb([TarMember(f"f{number}") for number in range(30)])
    assert len(contents(deb, Limits(members=31))) == 30
    with pytest.raises(WireError, match="more than 29 members"):
        contents(deb, Limits(members=29))


def test_a_decompressor_that_wants_too_much_memory() -> None:
    with pytest.raises(WireError, match="damaged"):
        contents(make_deb([TarMember("a", b"a")]), Limits(decompressor_octets=1000))


@pytest.mark.parametrize(
    ("deb", "message"),
    [
        (b"", "no ar archive"),
        (b"!<arch>\n", "no data.tar in it"),
        (make_ar([("something", b"2.0\n")]), "begins with 'something'"),
        (make_ar([("debian-binary", b"3.0\n")]), "format 2"),
        (make_ar([("debian-binary", b"2.0\n"), ("control.tar", b"")]), "no data.tar in it"),
        (make_ar([("debian-binary", b"2.0\n")] + [("x", b"")] * 40), "among its first members"),
        (make_ar([("debian-binary", b"2.0\n"), ("data.tar.zst", b"")]), "data.tar.zst: compressed in a way"),
        (make_ar([("debian-binary", b"2.0\n"), ("data.tar.xz", b"rubbish" * 9)]), "damaged"),
        (make_ar([("debian-binary", b"2.0\n"), ("data.tar", b"")]), "ends in the middle"),
        (make_ar([("debian-binary", b"2.0\n"), ("data.tar.xz", compress(b"", ".xz") + b"more")]), "after the end"),
    ],
)
def test_what_is_no_package(deb: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        contents(deb)


@pytest.mark.parametrize("suffix", [".xz", ".gz", ""])
def test_a_package_that_is_cut_off_anywhere(suffix: str) -> None:
    deb = make_deb([TarMember("a", os.urandom(2000)), TarMember("b", b"b")], suffix)
    # The two blocks of zeros that end a tar archive may be missing without anything being lost.
    spare = 10240 if suffix == "" else 0
    for length in range(0, len(deb) - spare - 1, 7):
        with pytest.raises(WireError):
            contents(deb[:length])


@pytest.mark.fuzz
@given(st.data())
def test_random_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    deb = bytearray(make_kernel_deb() if data.draw(st.booleans()) else make_deb([TarMember(LONG, b"x" * 99)], ""))
    for _ in range(data.draw(st.integers(1, 8))):
        deb[data.draw(st.integers(0, len(deb) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = contents(bytes(deb))
    except WireError:
        return
    for path in found:
        assert path == clean_path(path)
        assert not path.startswith("/")
        assert ".." not in path.split("/")
