"""Images that qemu-nbd reads, and servers that talk nonsense."""

import contextlib
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.guest import nbd
from emulators.guest.disk import Access, open_disk
from emulators.guest.nbd import NbdDisk
from tests.tools import NeedTool
from vde.errors import ConfigError

MIB = 1 << 20
TABLE_AT = 40
"""Where a qcow2 says where its first table is (docs/interop/qcow2.txt)."""


@pytest.fixture
def image(tmp_path: Path, need_tool: NeedTool) -> Path:
    need_tool("qemu-nbd")
    raw, path = tmp_path / "raw", tmp_path / "disk.qcow2"
    raw.write_bytes(os.urandom(64 * 1024) + bytes(MIB) + os.urandom(64 * 1024))
    command = [need_tool("qemu-img"), "convert", "-O", "qcow2", str(raw), str(path)]
    subprocess.run(command, check=True)
    return path


def raw_of(image: Path) -> bytes:
    return (image.parent / "raw").read_bytes()


def test_an_image_is_read_and_written(image: Path, need_tool: NeedTool) -> None:
    contents = bytearray(raw_of(image))
    disk, file = open_disk(image, "rw")
    assert disk.size_octets == len(contents)
    assert disk.read_at(0, len(contents)) == contents
    contents[700_000:800_000] = b"w" * 100_000
    disk.write_at(700_000, b"w" * 100_000)
    disk.flush()
    assert disk.read_at(699_999, 3) == b"\0ww"
    with pytest.raises(ValueError, match="the disk has"):
        disk.read_at(len(contents), 1)
    file.close()
    back = image.parent / "back"
    subprocess.run([need_tool("qemu-img"), "convert", "-O", "raw", str(image), str(back)], check=True)
    assert back.read_bytes() == contents
    subprocess.run([need_tool("qemu-img"), "check", "-q", str(image)], check=True)


@pytest.mark.parametrize("access", ["ro", "overlay"])
def test_an_image_stays_as_it_is(image: Path, access: Access) -> None:
    before = image.read_bytes()
    disk, file = open_disk(image, access)
    if access == "ro":
        with pytest.raises(PermissionError):
            disk.write_at(0, bytes(512))
    else:
        disk.write_at(0, b"new!" * 128)
        assert disk.read_at(0, 4) == b"new!"
    again, other = open_disk(image, access)  # both at once
    assert again.read_at(0, 512) == raw_of(image)[:512]
    file.close()
    other.close()
    assert image.read_bytes() == before


def test_two_guests_cannot_write_to_an_image(image: Path) -> None:
    _, file = open_disk(image, "rw")
    with pytest.raises(ConfigError, match="lock"):
        open_disk(image, "rw")
    file.close()
    _, file = open_disk(image, "rw")
    file.close()


def test_images_that_are_damaged(image: Path, tmp_path: Path) -> None:
    octets = bytearray(image.read_bytes())
    (table,) = struct.unpack_from(">Q", octets, TABLE_AT)
    wrong = bytearray(octets)
    struct.pack_into(">Q", wrong, table, 0x8000_0000_7777_0000)  # behind the file
    cases: dict[str, bytes] = {
        "table.qcow2": bytes(wrong),
        "cut.qcow2": bytes(octets[:50]),
        "far.qcow2": bytes(octets[:TABLE_AT] + struct.pack(">Q", 1 << 50) + octets[TABLE_AT + 8 :]),
        "other.qcow2": b"not an image at all".ljust(4096),
        "empty.qcow2": b"",
    }
    for name, contents in cases.items():
        path = tmp_path / name
        path.write_bytes(contents)
        with pytest.raises(ConfigError, match=name) as caught:
            open_disk(path, "rw")
        assert len(str(caught.value)) < 1000
        assert path.read_bytes() == contents
    with pytest.raises(ConfigError, match="No such file"):
        open_disk(tmp_path / "missing.qcow2", "rw")


def test_without_the_program_its_package_is_named(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="qemu-utils"):
        open_disk(image, "ro")


def served(answers: bytes) -> tuple[socket.socket, threading.Thread]:
    """A server that says `answers`, whatever it hears."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs, contextlib.suppress(OSError):
            theirs.sendall(answers)
            theirs.shutdown(socket.SHUT_WR)
            while theirs.recv(4096):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    return ours, thread


GREETING = nbd.GREETING.pack(b"NBDMAGIC", b"IHAVEOPT", 3)
EXPORT = struct.pack(">HQH", 0, MIB, 1)


def option_reply(kind: int, data: bytes = b"") -> bytes:
    return nbd.OPTION_REPLY.pack(nbd.OPTION_REPLY_MAGIC, nbd.OPT_GO, kind, len(data)) + data


WELCOME = GREETING + option_reply(nbd.REP_INFO, EXPORT) + option_reply(nbd.REP_ACK)


@pytest.mark.parametrize(
    "answers",
    [
        b"",
        GREETING[:-1],
        b"SSH-2.0-OpenSSH_9.2 is here, hello",
        GREETING + option_reply(nbd.REP_ACK),
        GREETING + option_reply(1 << 31 | 6, b"no such export"),
        GREETING + option_reply(nbd.REP_INFO, b"\0") * 70,
        GREETING + nbd.OPTION_REPLY.pack(nbd.OPTION_REPLY_MAGIC, nbd.OPT_GO, 3, 1 << 31),
    ],
)
def test_servers_that_are_none(answers: bytes) -> None:
    ours, thread = served(answers)
    with pytest.raises(OSError, match=r"NBD|Broken|reset"):
        NbdDisk(ours)
    ours.close()
    thread.join()


def test_an_error_is_one_of_its_request_and_nonsense_one_for_good() -> None:
    replies = nbd.REPLY.pack(nbd.REPLY_MAGIC, 5, 1) + nbd.REPLY.pack(nbd.REPLY_MAGIC, 0, 2) + b"x" * 512
    ours, thread = served(WELCOME + replies + nbd.REPLY.pack(nbd.REPLY_MAGIC, 0, 77))
    disk = NbdDisk(ours)
    with pytest.raises(OSError, match="Input/output"):
        disk.read_at(0, 512)
    assert disk.read_at(0, 512) == b"x" * 512
    with pytest.raises(OSError, match="not asked for"):
        disk.read_at(0, 512)
    with pytest.raises(OSError, match="any more"):
        disk.read_at(0, 512)
    disk.close()
    thread.join()


@pytest.mark.fuzz
@given(st.binary(max_size=200), st.booleans())
def test_any_server_is_harmless(answers: bytes, after_welcome: bool) -> None:
    ours, thread = served((WELCOME if after_welcome else GREETING) + answers)
    try:
        disk = NbdDisk(ours)
        disk.read_at(0, 512)
    except OSError:
        pass
    ours.close()
    thread.join()
