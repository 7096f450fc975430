"""Where captures go: pcapng, to a file, a ring of files, or a stream; or a line a frame for people.

A ring's files are NAME-00.pcapng, NAME-01.pcapng…; each is a whole capture with all interfaces. What a writer cannot
take (a full disk, a reader that has gone) raises `OSError`: the capture ends, whole up to its last block.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO

from vde import pcapng
from vde.frame import format_mac
from vde.lab.listening import Heard
from vde.pcapng import PacketDirection

APPLICATION = "vde capture (vde-fabric)"


class Recorder(Protocol):
    """Takes frames in the order in which they were heard."""

    def store(self, heard: Heard) -> None:
        """One frame."""

    def finish(self, now_ns: int) -> None:
        """No more frames."""


@dataclass
class Interface:
    """An interface of the file: its name, and how many frames were stored and missed."""

    name: str
    stored: int = 0
    lost: int = 0


@dataclass
class PcapngRecorder:
    """Writes pcapng to a stream.

    Attributes:
        snap_octets: of each frame; 0: all.
    """

    interfaces: Sequence[Interface]
    stream: BinaryIO
    snap_octets: int = 0
    written_octets: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        head = pcapng.section_header(APPLICATION)
        self._write(head + b"".join(pcapng.interface(each.name, "", self.snap_octets) for each in self.interfaces))

    def store(self, heard: Heard) -> None:
        """One frame, and at once: somebody may be looking."""
        kept = heard.frame[: self.snap_octets] if self.snap_octets else heard.frame
        direction = PacketDirection.OUTBOUND if heard.sent else PacketDirection.INBOUND
        self._write(pcapng.packet(heard.point, heard.wall_ns, kept, direction, len(heard.frame), heard.comment))

    def finish(self, now_ns: int) -> None:
        """How many there were, by interface."""
        for number, interface in enumerate(self.interfaces):
            received = interface.stored + interface.lost
            self._write(pcapng.statistics(number, now_ns, received=received, dropped=interface.lost))

    def _write(self, octets: bytes) -> None:
        self.stream.write(octets)
        self.stream.flush()
        self.written_octets += len(octets)


class RingRecorder:
    """Writes to several files in turn; the oldest is replaced."""

    def __init__(
        self, interfaces: Sequence[Interface], path: Path, snap_octets: int, files: int, most_octets: int
    ) -> None:
        """`files` of at most `most_octets`, a frame more or less; 0: one without limit."""
        self._interfaces = interfaces
        self._path = path
        self._snap_octets = snap_octets
        self._files = files
        self._most_octets = most_octets
        self._next = 0
        self._open()

    def store(self, heard: Heard) -> None:
        """One frame."""
        if self._files and self._recorder.written_octets >= self._most_octets:
            self.finish(heard.wall_ns)
            self._open()
        self._recorder.store(heard)

    def finish(self, now_ns: int) -> None:
        """Close the file that is open."""
        try:
            self._recorder.finish(now_ns)
        finally:
            self._recorder.stream.close()

    def _open(self) -> None:
        path = self._path
        if self._files:
            digits = len(str(self._files - 1))
            path = path.with_name(f"{path.stem}-{self._next:0{digits}}{path.suffix}")
            self._next = (self._next + 1) % self._files
        self._recorder = PcapngRecorder(self._interfaces, path.open("wb"), self._snap_octets)


class TextRecorder:
    """A line a frame."""

    def __init__(self, interfaces: Sequence[Interface], stream: TextIO) -> None:
        self._interfaces = interfaces
        self._stream = stream

    def store(self, heard: Heard) -> None:
        """Time of the day (UTC), interface, direction, addresses, EtherType, octets, and what the wire did."""
        seconds, rest_ns = divmod(heard.wall_ns, 10**9)
        clock = time.strftime("%H:%M:%S", time.gmtime(seconds))
        frame = heard.frame
        way = ">" if heard.sent else "<"
        about = f"{format_mac(frame[6:12])} > {format_mac(frame[:6])} type 0x{frame[12:14].hex()} length {len(frame)}"
        said = f"  # {heard.comment}" if heard.comment else ""
        name = self._interfaces[heard.point].name
        self._stream.write(f"{clock}.{rest_ns // 1000:06} {name} {way} {about}{said}\n")
        self._stream.flush()

    def finish(self, now_ns: int) -> None:
        """Nothing to add."""
