"""User-Mode Linux as an image: its program changed in place, its packages from a release that the machine lacks."""

import contextlib
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools import NeedTool
from tests.vde.image.archive import Archive, ArchiveServer
from tests.vde.image.packages import TarMember, make_busybox_deb, make_deb
from vde.errors import ConfigError, WireError
from vde.image import sources, store
from vde.image.errors import ImageError
from vde.image.uml import LIBRARIES, relocate

BASE = 0x60000000
VERSION = "7.2.99"


def make_program(
    interpreter: bytes = b"/lib64/ld-linux-x86-64.so.2", run_path: bytes = b"/lib64:/lib", needed: bytes = b"libc.so.6"
) -> bytes:
    """An ELF program with nothing but what the loader reads: interpreter, one library, a run path."""
    strings = b"\0" + needed + b"\0" + run_path + b"\0"
    place = 64 + 3 * 56
    dynamic_place = place + len(interpreter) + 1 + len(strings)
    entries = [(1, 1), (5, BASE + place + len(interpreter) + 1), (29, len(needed) + 2), (0, 0)]
    if not run_path:
        del entries[2]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    whole = dynamic_place + len(dynamic)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, BASE, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    segments = [
        (1, 5, 0, BASE, BASE, whole, whole, 4096),
        (3, 4, place, BASE + place, 0, len(interpreter) + 1, len(interpreter) + 1, 1),
        (2, 6, dynamic_place, BASE + dynamic_place, 0, len(dynamic), len(dynamic), 8),
    ]
    table = b"".join(struct.pack("<IIQQQQQQ", *segment) for segment in segments)
    return header + table + interpreter + b"\0" + strings + dynamic


def test_the_loader_and_the_library_beside_the_program_are_used() -> None:
    before = make_program()
    after = relocate(before)
    assert len(after) == len(before)
    assert b"./ld-linux-x86-64.so.2\0\0\0\0\0\0" in after
    assert b"\0$ORIGIN\0\0\0\0\0" in after
    changed = [index for index, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert changed[-1] - changed[0] < 64, "more than the two strings was changed"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"MZ", "no 64-bit ELF program"),
        (make_program(run_path=b"/lib"), "no room for b'\\$ORIGIN' in place of b'/lib'"),
        (make_program(run_path=b""), "no run path"),
        (make_program(interpreter=b"/lib/ld.so"), "no room for b'./ld-linux"),
        (make_program(needed=b"libpcap.so.0.8"), "it needs libpcap.so.0.8"),
        (make_program()[:200], "outside of the file"),
        (make_program().replace(struct.pack("<II", 3, 4), struct.pack("<II", 9, 4)), "0 segments of type 3"),
    ],
)
def test_programs_that_are_otherwise(program: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        relocate(program)


@given(st.data())
def test_hostile_programs_are_refused_or_changed_in_place(data: st.DataObject) -> None:
    program = bytearray(make_program())
    for _ in range(data.draw(st.integers(0, 12))):
        program[data.draw(st.integers(0, len(program) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(program[: data.draw(st.integers(0, len(program)))])
    for octets in (bytes(program), cut):
        with contextlib.suppress(WireError):
            assert len(relocate(octets)) == len(octets)


def test_an_archive_is_asked_for_a_release_that_the_machine_has_no_source_of() -> None:
    machine = sources.parse_one_line(
        "deb [signed-by=/k.gpg inrelease-path=x] http://a/debian bookworm main contrib\n"
        "deb http://a/security bookworm-security main\ndeb http://b/other nodistro main\n",
        "list",
    )
    (found,) = sources.borrow(machine, "sid")
    assert (found.uris, found.suites, found.components) == (("http://a/debian",), ("sid",), ("main",))
    assert found.options == {"Signed-By": "/k.gpg"}


def uml_deb(program: bytes) -> bytes:
    modules = f"./usr/lib/uml/modules/{VERSION}"
    return make_deb(
        [
            TarMember("./usr/bin/linux.uml", program),
            TarMember(f"{modules}/modules.builtin", b"kernel/net/packet/af_packet.ko\n"),
        ]
    )


@pytest.fixture
def sid(tmp_path: Path) -> Archive:
    made = Archive(tmp_path / "archive", architecture="amd64", suite="sid")
    made.packages["user-mode-linux"] = ("7.2um1", "libc6 (>= 2.38)", uml_deb(make_program()))
    made.packages["libc6"] = (
        "2.43-7",
        "",
        make_deb([TarMember(f"./usr/lib/x86_64-linux-gnu/{name}", name.encode()) for name in LIBRARIES]),
    )
    made.packages["busybox-static"] = ("1:1.38.0-3", "", make_busybox_deb())
    made.publish()
    (tmp_path / "key.gpg").write_bytes(made.key.keyring())
    return made


@pytest.mark.interop
def test_pull_makes_a_program_with_its_library(
    cache: Path, sid: Archive, use_sources: Callable[..., Path], need_tool: NeedTool
) -> None:
    with ArchiveServer(sid.root) as server:
        use_sources(server.uri)  # a machine of the release bookworm
        image = store.pull("uml")
        assert (image.kind, image.architecture, image.kernel_version) == ("uml", "amd64", VERSION)
        assert image.kernel.read_bytes() == relocate(make_program())
        assert image.kernel.stat().st_mode & stat.S_IXUSR
        beside = {path.name: path.read_bytes() for path in image.kernel.parent.iterdir()}
        assert beside.keys() == {"linux.uml", *LIBRARIES}
        assert all(os.access(image.kernel.parent / name, os.X_OK) for name in LIBRARIES)
        sid.packages["user-mode-linux"] = ("7.3um1", "", uml_deb(make_program(run_path=b"/lib64:/libs")))
        sid.publish()
        newer = store.pull("uml", refresh=True)
        assert newer.kernel.parent != image.kernel.parent
        assert not image.kernel.exists()
    (newer.kernel.parent / "libc.so.6").write_bytes(b"libc.so.7")
    with pytest.raises(ImageError, match=r"libc.so.6 has changed since it was made; repair it"):
        store.open_image("uml")
    assert store.remove("uml")
    assert not (cache / "uml").exists()


@pytest.mark.interop
def test_a_machine_without_an_archive_of_debian_is_told_what_to_add(
    cache: Path, tmp_path: Path, use_sources: Callable[..., Path]
) -> None:
    use_sources("http://127.0.0.1:9/", suite="noble")
    with pytest.raises(
        ConfigError, match=r"packages of Debian unstable \(sid\)[\s\S]*Suites: sid\n[\s\S]*sid.sources uml"
    ):
        store.pull("uml")
