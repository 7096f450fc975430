"""Read the files of a Debian package, in memory, without running anything of it.

Specification: deb(5) (an `ar` archive with the members `debian-binary`, `control.tar.*`, `data.tar.*`), the POSIX ustar
format with GNU's long names, which is what dpkg-deb writes.

The reader never writes to the disk and never follows a link: it hands over the octets of regular files by their path
inside the package, so device nodes and links of a hostile package have nothing to act on. A path that would leave the
package (`..`, absolute) makes the whole package refused.

Limits: `Limits` bounds the unpacked octets, the number of members and the memory of the decompressor, so that a small
file cannot become a large one here.

Not supported: packages that need pax headers or sparse files (dpkg-deb writes neither), zstd (Debian uses xz).
"""

import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from vde.errors import WireError

_AR_MAGIC = b"!<arch>\n"  # ar(5)
_AR_HEADER_OCTETS = 60  # name 16 · mtime 12 · uid 6 · gid 6 · mode 8 · size 10 · end 2
_AR_END = b"`\n"
_AR_MEMBERS_MAX = 16  # chosen: deb(5) names three; a few of the future may stand between them

_TAR_BLOCK_OCTETS = 512
_TAR_NAME_OCTETS_MAX = 4096  # PATH_MAX: the bound of a GNU long name
_READ_OCTETS = 1 << 17

# POSIX ustar typeflag
_REGULAR = (b"0", b"\0")
_KNOWN = (*_REGULAR, b"1", b"2", b"3", b"4", b"5", b"6")
_GNU_LONG_NAME, _GNU_LONG_LINK = b"L", b"K"


@dataclass(frozen=True)
class Limits:
    """How much a package may ask for.

    Attributes:
        unpacked_octets: of the whole `data.tar`.
        members: files, directories and links.
        decompressor_octets: memory of the xz decoder (`xz -9` needs 65 MiB).
    """

    unpacked_octets: int = 1 << 30
    members: int = 200_000
    decompressor_octets: int = 256 << 20


class _Decoder(Protocol):
    def decode(self, data: bytes, room: int) -> bytes: ...
    def hungry(self) -> bool: ...
    def finish(self) -> None: ...


class _Stored:
    def decode(self, data: bytes, room: int) -> bytes:
        return data

    def hungry(self) -> bool:
        return True

    def finish(self) -> None:
        pass


class _Xz:
    def __init__(self, limits: Limits) -> None:
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limits.decompressor_octets)

    def decode(self, data: bytes, room: int) -> bytes:
        if self._decoder.eof:
            _only_padding(data)
            return b""
        out = self._decoder.decompress(data, room)
        if self._decoder.eof:
            _only_padding(self._decoder.unused_data)
        return out

    def hungry(self) -> bool:
        return self._decoder.eof or self._decoder.needs_input

    def finish(self) -> None:
        if not self._decoder.eof:
            raise WireError("data.tar.xz ends in the middle")


class _Gzip:
    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(31)
        self._pending = b""

    def decode(self, data: bytes, room: int) -> bytes:
        if self._decoder.eof:
            _only_padding(data)
            return b""
        out = self._decoder.decompress(self._pending + data, room)
        self._pending = self._decoder.unconsumed_tail
        if self._decoder.eof:
            _only_padding(self._decoder.unused_data)
        return out

    def hungry(self) -> bool:
        return not self._pending

    def finish(self) -> None:
        if not self._decoder.eof:
            raise WireError("data.tar.gz ends in the middle")


def _only_padding(data: bytes | bytearray) -> None:
    if data.strip(b"\0"):
        raise WireError("octets after the end of the data")


class _Stream:
    """The decompressed `data.tar`, read once from front to back."""

    def __init__(self, file: BinaryIO, octets: int, decoder: _Decoder, limits: Limits) -> None:
        self._file = file
        self._left = octets
        self._decoder = decoder
        self._room = limits.unpacked_octets
        self._buffer = bytearray()

    def _fill(self) -> bool:
        while True:
            data = b""
            if self._decoder.hungry():
                data = self._file.read(min(_READ_OCTETS, self._left))
                self._left -= len(data)
                if not data:
                    if self._left:
                        raise WireError("the package is cut off")
                    self._decoder.finish()
                    return False
            try:
                out = self._decoder.decode(data, _READ_OCTETS)
            except (lzma.LZMAError, zlib.error, MemoryError) as error:
                raise WireError(f"the compressed data are damaged: {error}") from None
            self._room -= len(out)
            if self._room < 0:
                raise WireError("the package unpacks to more than is allowed")
            if out:
                self._buffer += out
                return True

    def read(self, octets: int) -> bytes:
        """Exactly so many octets; raises WireError if there are fewer."""
        while len(self._buffer) < octets:
            if not self._fill():
                raise WireError("data.tar ends in the middle")
        out = bytes(self._buffer[:octets])
        del self._buffer[:octets]
        return out

    def skip(self, octets: int) -> None:
        """Pass over so many octets."""
        while octets > len(self._buffer):
            octets -= len(self._buffer)
            self._buffer.clear()
            if not self._fill():
                raise WireError("data.tar ends in the middle")
        del self._buffer[:octets]

    def end(self) -> None:
        """Read on to the end, where the compressed form is checked as a whole; only padding may come."""
        _only_padding(self._buffer)
        self._buffer.clear()
        while self._fill():
            _only_padding(self._buffer)
            self._buffer.clear()


class Member:
    """A regular file of a package.

    Attributes:
        path: inside the package, without a leading `./` or `/`.
        octets: its size.
    """

    def __init__(self, path: str, octets: int, stream: _Stream) -> None:
        self.path = path
        self.octets = octets
        self._stream: _Stream | None = stream

    def read(self, limit_octets: int) -> bytes:
        """The file's content; only while the iteration stands at this member, and once.

        Raises:
            WireError: it is larger than `limit_octets`.
        """
        if self.octets > limit_octets:
            raise WireError(f"{self.path}: {self.octets} octets, at most {limit_octets} are expected")
        assert self._stream is not None, "a member can be read once, before the next one is asked for"
        data = self._stream.read(self.octets)
        self._stream = None
        return data

    def _pass(self) -> None:
        if self._stream is not None:
            self._stream.skip(self.octets)
            self._stream = None


def read_files(file: BinaryIO, limits: Limits | None = None) -> Iterator[Member]:
    """Walk over the regular files of a package, in its order.

    Args:
        file: the `.deb`, at its start.
        limits: bounds; the defaults fit a kernel package.

    Raises:
        WireError: it is no Debian package, is damaged, tries to leave its directory, or exceeds the limits.
    """
    limits = limits or Limits()
    stream = _data_stream(file, limits)
    long_name: str | None = None
    for _ in range(limits.members):
        header = stream.read(_TAR_BLOCK_OCTETS)
        if not header.strip(b"\0"):
            stream.end()
            return
        kind, octets = header[156:157], _tar_number(header[124:136], "size")
        _check_sum(header)
        padding = -octets % _TAR_BLOCK_OCTETS
        if kind in (_GNU_LONG_NAME, _GNU_LONG_LINK):
            if octets > _TAR_NAME_OCTETS_MAX:
                raise WireError(f"a path of {octets} octets")
            text = stream.read(octets).rstrip(b"\0").decode("utf-8", "surrogateescape")
            stream.skip(padding)
            if kind == _GNU_LONG_NAME:
                long_name = text
            continue
        if kind not in _KNOWN:
            raise WireError(f"a tar member of type {kind!r}, which Debian packages do not have")
        path = clean_path(_header_path(header) if long_name is None else long_name)
        long_name = None
        if kind in _REGULAR and path:
            member = Member(path, octets, stream)
            yield member
            member._pass()
            stream.skip(padding)
        elif octets:
            raise WireError(f"{path}: a link, directory or device with content")
    raise WireError(f"more than {limits.members} members")


def clean_path(path: str) -> str:
    """Write a member's path without `./`; the package's root becomes the empty text.

    Raises:
        WireError: the path leaves the package or has octets that no file name may have.
    """
    if path.startswith("/") or "\0" in path:
        raise WireError(f"unsafe path {path!r}")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise WireError(f"unsafe path {path!r}")
    return "/".join(parts)


def _data_stream(file: BinaryIO, limits: Limits) -> _Stream:
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise WireError("not a Debian package: no ar archive")
    for index in range(_AR_MEMBERS_MAX):
        header = file.read(_AR_HEADER_OCTETS)
        if len(header) != _AR_HEADER_OCTETS or header[58:60] != _AR_END:
            raise WireError("not a Debian package: no data.tar in it")
        name = header[:16].decode("ascii", "replace").rstrip(" ").rstrip("/")
        size = header[48:58].strip(b" ")
        if not size.isdigit():
            raise WireError(f"ar member {name!r} has no size")
        octets = int(size)
        if index == 0:
            version = file.read(min(octets, 16))
            if name != "debian-binary" or not version.startswith(b"2."):
                raise WireError(f"not a Debian package of format 2: it begins with {name!r}")
            file.seek(octets - len(version) + octets % 2, 1)
        elif name.startswith("data.tar"):
            return _Stream(file, octets, _decoder(name, limits), limits)
        else:
            file.seek(octets + octets % 2, 1)
    raise WireError("not a Debian package: no data.tar among its first members")


def _decoder(name: str, limits: Limits) -> _Decoder:
    match name.removeprefix("data.tar"):
        case ".xz":
            return _Xz(limits)
        case ".gz":
            return _Gzip()
        case "":
            return _Stored()
        case _:
            raise WireError(f"{name}: compressed in a way that is not supported (xz, gz or none)")


def _header_path(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0":  # POSIX; GNU's magic is "ustar  " and uses these octets for times
        prefix = header[345:500].split(b"\0", 1)[0]
        name = prefix + b"/" + name if prefix else name
    return name.decode("utf-8", "surrogateescape")


def _tar_number(field: bytes, what: str) -> int:
    text = field.strip(b" \0")
    try:
        return int(text or b"0", 8) if text.isdigit() or not text else _bad_number(field, what)
    except ValueError:
        return _bad_number(field, what)


def _bad_number(field: bytes, what: str) -> int:
    raise WireError(f"tar header: {what} is {field!r}, not an octal number")


def _check_sum(header: bytes) -> None:
    expected = _tar_number(header[148:156], "checksum")
    if sum(header[:148]) + 8 * ord(" ") + sum(header[156:]) != expected:
        raise WireError("tar header: the checksum is wrong")
