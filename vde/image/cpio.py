"""Write a cpio archive in the format that Linux unpacks as its first root file system.

Specification: Linux Documentation/driver-api/early-userspace/buffer-format.rst ("newc").

The result depends on the entries and on nothing else: no times, no owners, inode numbers by position, entries sorted by
path.
"""

import posixpath
from dataclasses import dataclass, field

# c_magic "070701", then thirteen numbers of eight hexadecimal digits: ino mode uid gid nlink mtime filesize devmajor
# devminor rdevmajor rdevminor namesize check; then the name with its NUL, padded to 4; then the content, padded to 4.
_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
_ALIGN = 4

# inode(7)
S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR = 0o100000, 0o040000, 0o120000, 0o020000


@dataclass(frozen=True)
class _Entry:
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


@dataclass
class Archive:
    """A tree to be written. Parent directories come by themselves."""

    _entries: dict[str, _Entry] = field(default_factory=dict)

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory."""
        self._add(path, _Entry(S_IFDIR | mode))

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._add(path, _Entry(S_IFREG | mode, content))

    def symlink(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(path, _Entry(S_IFLNK | 0o777, target.encode()))

    def character_device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        """Add a character device: a record in the archive, nothing on this machine's disk."""
        self._add(path, _Entry(S_IFCHR | mode, device=(major, minor)))

    def _add(self, path: str, entry: _Entry) -> None:
        if path != posixpath.normpath(path) or path.startswith(("/", "..")) or "\0" in path or path in ("", "."):
            raise ValueError(f"not a clean relative path: {path!r}")
        parent = posixpath.dirname(path)
        if parent and parent not in self._entries:
            self.directory(parent)
        if parent and self._entries[parent].mode & 0o170000 != S_IFDIR:
            raise ValueError(f"{parent!r} is no directory")
        existing = self._entries.get(path)
        if existing is not None and existing.mode & 0o170000 != entry.mode & 0o170000:
            raise ValueError(f"{path!r} is there already, as something else")
        self._entries[path] = entry

    def emit(self) -> bytes:
        """The archive's octets."""
        out = bytearray()
        for ino, path in enumerate(sorted(self._entries), 1):
            entry = self._entries[path]
            _emit_entry(out, path, entry, ino)
        _emit_entry(out, _TRAILER, _Entry(0), 0)
        return bytes(out)


def _emit_entry(out: bytearray, path: str, entry: _Entry, ino: int) -> None:
    name = path.encode() + b"\0"
    links = 2 if entry.mode & 0o170000 == S_IFDIR else 1
    numbers = (ino, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
    if any(number >> 32 for number in numbers):
        raise ValueError(f"{path!r}: a number does not fit into 32 bits")
    out += _MAGIC + b"".join(b"%08X" % number for number in numbers) + name
    _pad(out)
    out += entry.content
    _pad(out)


def _pad(out: bytearray) -> None:
    out += bytes(-len(out) % _ALIGN)
