"""Assemble the guest's first root file system: busybox, modules, /init.

The same input gives the same octets: the archive has no times and a fixed order, and the compressed form has no name or
time in its header (its octets may differ between versions of zlib; the archive inside does not).
"""

import importlib.resources
import re
import struct
import zlib
from collections.abc import Mapping, Sequence

from vde.errors import WireError
from vde.image import cpio, modules
from vde.image.modinfo import ModuleInfo

_APPLET = re.compile(rb"[a-z0-9][a-z0-9_.-]{0,31}|\[\[?")
_APPLETS_MAX = 1024  # chosen: busybox has about 400
# A busybox without these would give a guest that does not come up, or that cannot take part.
_USED_BY_INIT = frozenset(
    ("cat", "cttyhack", "dmesg", "echo", "hostname", "init", "ip", "mkdir", "modprobe", "mount", "readlink", "sh")
)
_USED_IN_LABS = frozenset(
    ("dd", "httpd", "nc", "ping", "poweroff", "ps", "reboot", "sha256sum", "sleep", "sort", "usleep", "wget")
)

# RFC 1952 §2.3: magic, method deflate, no flags, no time, slowest compression, system unknown. Python's own header
# names the system, and has changed between versions.
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"

_INITTAB = "::respawn:/bin/cttyhack /bin/sh -l\n::ctrlaltdel:/bin/reboot\n"
_PROFILE = "export PATH=/bin HOME=/root\nPS1='\\h:\\w\\$ '\n"


def guest_init() -> bytes:
    """The script that becomes the guest's first process."""
    return importlib.resources.files("vde.image").joinpath("guest_init.sh").read_bytes()


def applets(busybox: bytes) -> list[str]:
    """The commands of a busybox binary of any architecture, read from its table of names.

    The table is a sorted run of NUL-terminated names that begins with `[` and `[[`.

    Raises:
        WireError: there is no such table, or commands are missing that the guest needs.
    """
    position = busybox.find(b"[\0[[\0")
    if position < 0:
        raise WireError("busybox: no table of applet names found")
    names: list[str] = []
    while len(names) < _APPLETS_MAX:
        end = busybox.find(b"\0", position, position + 64)
        name = busybox[position:end] if end >= 0 else b""
        if not _APPLET.fullmatch(name):
            break
        names.append(name.decode())
        position = end + 1
    missing = (_USED_BY_INIT | _USED_IN_LABS) - set(names)
    if missing:
        raise WireError(f"busybox lacks the commands {', '.join(sorted(missing))}")
    return names


def assemble(
    busybox: bytes,
    init: bytes,
    kernel_version: str,
    order: Sequence[str],
    facts: Mapping[str, ModuleInfo],
    files: Mapping[str, tuple[str, bytes]],
) -> bytes:
    """Build the archive, uncompressed.

    Args:
        busybox: the static binary of the guest's architecture.
        init: the script for /init.
        kernel_version: as `uname -r` shows it.
        order: names of the modules to include, from `modules.closure`.
        facts: the modules' facts by name.
        files: path below /lib/modules/VERSION and content of each module, by name.
    """
    archive = cpio.Archive()
    for path in ("proc", "sys", "run", "root"):
        archive.directory(path)
    archive.directory("tmp", 0o1777)
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3, 0o666)
    archive.file("init", init, 0o755)
    archive.file("bin/busybox", busybox, 0o755)
    for name in applets(busybox):
        if name != "busybox":
            archive.symlink(f"bin/{name}", "busybox")
    archive.symlink("sbin", "bin")
    archive.file("etc/inittab", _INITTAB.encode())
    archive.file("etc/profile", _PROFILE.encode())
    archive.file("etc/passwd", b"root::0:0:root:/root:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\n")
    base = f"lib/modules/{kernel_version}"
    paths = {name: path for name, (path, _) in files.items()}
    for name in order:
        path, content = files[name]
        archive.file(f"{base}/{path}", content)
    archive.file(f"{base}/modules.dep", modules.dependency_table(order, facts, paths).encode())
    archive.file(f"{base}/modules.alias", modules.alias_table(order, facts).encode())
    return archive.emit()


def compress(archive: bytes) -> bytes:
    """Gzip, which every Linux kernel can unpack: a tenth of a second more in the guest, half the size."""
    worker = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    body = worker.compress(archive) + worker.flush()
    return _GZIP_HEADER + body + struct.pack("<II", zlib.crc32(archive), len(archive) & 0xFFFFFFFF)
