"""What a node's program or console wrote: in a file of bounded size, and its end in memory."""

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

MOST_OCTETS = 1 << 20  # chosen; one older file of the same size is kept
ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])")  # ECMA-48 §5.3, §5.4
TAIL_OCTETS = 16 << 10  # chosen: more than a screen


class Transcript:
    """Appends to a file; when it is full, it becomes `NAME.1` and a new one begins.

    A file that cannot be written does not stop the node: what is lost is counted.
    """

    def __init__(
        self, path: Path, most_octets: int = MOST_OCTETS, listener: Callable[[bytes], None] = lambda octets: None
    ) -> None:
        self.path = path
        self.most_octets = most_octets
        self.listener = listener
        self.tail = bytearray()
        self.lost_octets = 0
        self._file: BinaryIO | None = None
        self._size = 0

    def write(self, octets: bytes) -> None:
        """Append, and tell the listener."""
        self.listener(octets)
        self.tail += octets
        del self.tail[:-TAIL_OCTETS]
        try:
            if self._file is None or self._size >= self.most_octets:
                self._open()
            assert self._file is not None
            self._file.write(octets)
            self._size += len(octets)
        except OSError:
            self.lost_octets += len(octets)

    def _open(self) -> None:
        if self._file is not None:
            self.close()
            self.path.replace(previous(self.path))
        self._file = self.path.open("ab", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file; the tail stays."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def last_lines(self, number: int) -> list[str]:
        """The end as printable text."""
        return text_lines(bytes(self.tail))[-number:]


def previous(path: Path) -> Path:
    """Where the older half of a transcript is."""
    return path.with_name(path.name + ".1")


def text_lines(octets: bytes) -> list[str]:
    """Non-empty lines without what could control a terminal: escape sequences are removed, the rest shown as `?`."""
    text = strip_escapes(octets.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))
    lines = ("".join(c if c.isprintable() else " " if c == "\t" else "?" for c in line) for line in text.split("\n"))
    return [line for line in lines if line.strip()]


def strip_escapes(text: str) -> str:
    """Without the terminal's escape sequences."""
    return ESCAPE.sub("", text)
