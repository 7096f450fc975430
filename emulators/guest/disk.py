"""A guest's disks: raw files and images, as they are, read-only, or with what the guest writes kept in memory.

Offsets are checked here as well as by devices. A file's size is taken when it is opened; one that shrinks under a
running guest gives an I/O error, not zeros.

Limits: an overlay keeps whole blocks of 4 KiB, at most `MOST_OVERLAY_OCTETS` of them; then writes fail (ENOSPC).
Other formats than raw are read by qemu-nbd (`emulators.guest.nbd`). Not supported: growing disks.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from emulators.guest.nbd import ImageDisk, check_image
from emulators.outside import SECTOR_OCTETS, DiskEnd, check_range
from vde.errors import ConfigError

Access = Literal["rw", "ro", "overlay"]
ACCESSES: Final[dict[str, Access]] = {"rw": "rw", "ro": "ro", "overlay": "overlay", "snapshot": "overlay"}
FORMATS: Final = ("raw", "qcow2", "qed", "vdi", "vmdk", "vpc", "vhdx")
SUFFIXES: Final = {f".{form}": form for form in FORMATS} | {".vhd": "vpc"}
SIGNATURES: Final = {b"QFI\xfb": "qcow2", b"QED\0": "qed", b"KDMV": "vmdk", b"vhdxfile": "vhdx"}
SIGNATURE_OCTETS: Final = 8
BLOCK_OCTETS = 4096
MOST_OVERLAY_OCTETS = 1 << 30
"""Chosen: a guest must not fill the host's memory."""


class FileDisk:
    """A raw file or block device.

    Args:
        path: which.
        writable: for the guest; then nobody else of ours may open it.

    Raises:
        ConfigError: it cannot be opened, is no file, or another guest writes to it; says which and why.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.readonly = not writable
        try:
            self._file = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        except OSError as error:
            hint = ", or use it with ro or overlay" if writable and error.errno in (errno.EACCES, errno.EROFS) else ""
            raise ConfigError(f"disk {path}: {error.strerror}{hint}") from None
        try:
            kind = os.fstat(self._file).st_mode
            if not stat.S_ISREG(kind) and not stat.S_ISBLK(kind):
                raise ConfigError(f"disk {path}: a file or a block device was expected")
            fcntl.flock(self._file, (fcntl.LOCK_EX if writable else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            self.size_octets = os.lseek(self._file, 0, os.SEEK_END)
        except BlockingIOError:
            os.close(self._file)
            other = "uses it" if writable else "writes to it"
            raise ConfigError(f"disk {path}: another guest {other}; open it with overlay in both") from None
        except ConfigError:
            os.close(self._file)
            raise

    def read_at(self, offset: int, octets: int) -> bytes:
        """As `DiskEnd.read_at`."""
        check_range(self, offset, octets)
        data = os.pread(self._file, octets, offset)
        if len(data) != octets:
            raise OSError(errno.EIO, "the file is shorter than it was")
        return data

    def write_at(self, offset: int, data: bytes) -> None:
        """As `DiskEnd.write_at`."""
        check_range(self, offset, len(data))
        if self.readonly:
            raise PermissionError(errno.EROFS, "the disk is read-only")
        if os.pwrite(self._file, data, offset) != len(data):
            raise OSError(errno.EIO, "not all was written")

    def flush(self) -> None:
        """As `DiskEnd.flush`."""
        if not self.readonly:
            os.fdatasync(self._file)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)


class Overlay:
    """A disk whose writes stay in memory: the one below is only read."""

    readonly = False

    def __init__(self, below: DiskEnd) -> None:
        self._below = below
        self.size_octets = below.size_octets
        self.blocks: dict[int, bytearray] = {}

    def read_at(self, offset: int, octets: int) -> bytes:
        """As `DiskEnd.read_at`."""
        check_range(self, offset, octets)
        data = bytearray(self._below.read_at(offset, octets))
        first, last = offset // BLOCK_OCTETS, (offset + octets - 1) // BLOCK_OCTETS
        for number in range(first, last + 1) if octets else ():
            block = self.blocks.get(number)
            if block is not None:
                start, end = max(offset, number * BLOCK_OCTETS), min(offset + octets, (number + 1) * BLOCK_OCTETS)
                at = start - number * BLOCK_OCTETS
                data[start - offset : end - offset] = block[at : at + end - start]
        return bytes(data)

    def write_at(self, offset: int, data: bytes) -> None:
        """As `DiskEnd.write_at`."""
        check_range(self, offset, len(data))
        done = 0
        while done < len(data):
            number, at = divmod(offset + done, BLOCK_OCTETS)
            part = data[done : done + BLOCK_OCTETS - at]
            self._block(number)[at : at + len(part)] = part
            done += len(part)

    def _block(self, number: int) -> bytearray:
        block = self.blocks.get(number)
        if block is None:
            if (len(self.blocks) + 1) * BLOCK_OCTETS > MOST_OVERLAY_OCTETS:
                raise OSError(errno.ENOSPC, "the overlay is full")
            start = number * BLOCK_OCTETS
            block = bytearray(self._below.read_at(start, min(BLOCK_OCTETS, self.size_octets - start)))
            self.blocks[number] = block
        return block

    def flush(self) -> None:
        """Nothing is kept anyway."""


class Opened(Protocol):
    """What to close at the end."""

    def close(self) -> None:
        """Give it back."""
        ...


@dataclass(frozen=True)
class Words:
    """What `--disk` says: `[MODEL,][file=]FILE[,ro|,rw|,overlay|,snapshot][,format=FORMAT]`.

    `access` and `form` are "" if it does not say.
    """

    model: str
    path: Path
    access: Access | Literal[""]
    form: str


def parse_disk(text: str, models: Sequence[str]) -> Words:
    """Read it; the first of `models` is the default.

    Raises:
        ConfigError: no file, an unknown format, or words that contradict one another.
    """
    word, comma, rest = text.partition(",")
    model, rest = (word, rest) if comma and word in models else (models[0], text)
    access: Access | Literal[""] = ""
    form = ""
    while True:
        before, comma, word = rest.rpartition(",")
        if comma and word in ACCESSES:
            if access not in ("", ACCESSES[word]):
                raise ConfigError(f"disk {text!r}: {word} or {access}? One of them was expected")
            access, rest = ACCESSES[word], before
        elif comma and word.startswith("format="):
            if form:
                raise ConfigError(f"disk {text!r}: which format? One was expected")
            form, rest = word.removeprefix("format="), before
        else:
            break
    path = rest.removeprefix("file=")
    if not path:
        raise ConfigError(f"disk {text!r}: which file?")
    if form and form not in FORMATS:
        raise ConfigError(f"disk {text!r}: format {form!r}: {', '.join(FORMATS)} were expected")
    return Words(model, Path(path), access, form)


def format_of(path: Path, form: str = "") -> str:
    """A disk's format: what the user says, or what the file's name says, or raw.

    Raises:
        ConfigError: a raw file, which nobody called so, has another format's signature. A guest can write one to its
            disk, so it is never followed; but most probably it is what it seems to be.
    """
    if form:
        return form
    named = SUFFIXES.get(path.suffix.lower())
    if named is not None:
        return named
    try:
        with path.open("rb") as file:
            start = file.read(SIGNATURE_OCTETS)
    except OSError:
        return "raw"  # opening it says why
    for signature, found in SIGNATURES.items():
        if start.startswith(signature):
            raise ConfigError(f"disk {path}: it looks like {found}: say format={found}, or format=raw")
    return "raw"


def open_disk(path: Path, access: Access, *, any_size: bool = False, form: str = "") -> tuple[DiskEnd, Opened]:
    """A disk, and the file to close.

    Args:
        any_size: the board knows the file's format, and checks it.
        form: one of `FORMATS`; "": as `format_of`.

    Raises:
        ConfigError: as `FileDisk`, `ImageDisk` or `format_of`, or it has no whole number of sectors.
    """
    file: FileDisk | ImageDisk
    form = "raw" if any_size else format_of(path, form)
    if form == "raw":
        file = FileDisk(path, writable=access == "rw")
    else:
        FileDisk(path, writable=access == "rw").close()  # its messages are clearer
        check_image(path, form)
        file = ImageDisk(path, form, writable=access == "rw")
    if not any_size and (file.size_octets % SECTOR_OCTETS or not file.size_octets):
        file.close()
        raise ConfigError(
            f"disk {path}: {file.size_octets} octets: one or more whole sectors of {SECTOR_OCTETS} octets were expected"
        )
    return (Overlay(file) if access == "overlay" else file), file
