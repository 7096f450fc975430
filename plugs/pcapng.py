"""pcapng:// — a capture file: what is sent there is recorded; or one is played, with its original timing.

    pcapng:///tmp/lab.pcapng                         record
    pcapng:///tmp/lab.pcapng[snaplen=128/append]
    pcapng:///var/tmp/ring.pcapng[rotate=64M/files=9]
    pcapng:///tmp/lab.pcapng[play]                   play: the frames arrive as they were captured
    pcapng:///tmp/old.pcap[play/speed=10/loop]       ten times as fast, again and again; speed=0: without waiting

**Recording** writes pcapng (draft-ietf-opsawg-pcapng) with nanoseconds: one interface, named `name`. A file that is
there is replaced, or with `append` gets another section. After about `rotate` octets FILE becomes FILE.1, FILE.1
becomes FILE.2 …, of which `files` are kept, and a new FILE begins. Frames are in the file once `send` returns. Nothing
is ever received. The file is its owner's alone (mode 0600): it holds others' words.

**Playing** reads pcapng and pcap (as tshark, tcpdump, editcap and `vde capture` write them), of one or several
interfaces. The first frame comes at once, each other one so much later as it was captured later (divided by `speed`);
one whose time lies before that of its predecessor comes with it, and no pause is longer than `gap` seconds. At the end
the link ends in good order; with `loop` the file begins again. Frames sent to a player are dropped (`playing`).
What is no Ethernet frame is dropped and counted (`other`), as are frames of which only the beginning was captured
(`cut`). A file that is damaged is played up to there; then the link breaks, and the message says where.

Limits: a frame comes within about 1 ms of its time. Files that somebody else made are read in bounded memory.
Not supported: compressed files; pipes (`vde capture --wireshark` shows frames as they pass).
"""

import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import trio

from plugs.parts.capture_reader import Captured, CaptureReader
from vde import pcapng
from vde.errors import ConfigError, LinkBroken, LinkEnded, WireError
from vde.frame import MTU_OCTETS
from vde.link import FRAMES_PER_BATCH, SHORTEST_OCTETS, Link
from vde.plugspec import PlugSpec, Surroundings, option

READ_OCTETS = 1 << 18  # chosen
SECOND_NS = 1_000_000_000
SOON_NS = 1_000  # chosen: less is not waited for
ROTATE_LEAST = 1 << 16  # chosen: several of the longest frames
SPEED_LEAST, SPEED_MOST = 1e-6, 1e9  # chosen
APPLICATION = "vde-fabric"


@dataclass(frozen=True)
class Params:
    """Options of pcapng://."""

    play: bool = option(False, "play the file, instead of recording")
    speed: float = option(1.0, "of playing, as a multiple of the original; 0: without waiting")
    loop: bool = option(False, "play again and again")
    gap: float | None = option(None, "longest pause of playing", unit="seconds")
    append: bool = option(False, "record after what is in the file")
    snaplen: int = option(0, "octets of a frame that are recorded; 0: all", least=0, most=MTU_OCTETS)
    rotate: int = option(0, "size of a file at which the next begins; 0: never", least=0, unit="octets")
    files: int = option(4, "how many older files are kept", least=0, most=10_000)
    name: str = option("vde0", "of the interface, as Wireshark shows it")


class RecordLink(Link):
    """Writes."""

    def __init__(self, path: Path, params: Params, surroundings: Surroundings) -> None:
        """Raises `ConfigError`."""
        super().__init__()
        self._path = path
        self._params = params
        self._surroundings = surroundings
        self._size = 0
        self._file: FileIO | None = None
        self._open(append=params.append)

    def _open(self, *, append: bool) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            file = open(os.open(self._path, flags, 0o600), "r+b", buffering=0)  # noqa: SIM115 - `close` closes it
        except OSError as error:
            raise ConfigError(f"pcapng://{self._path}: {error.strerror}") from None
        try:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"pcapng://{self._path}: a file was expected")
            if append:
                _check_end(file, self._path)
            else:
                file.truncate()
            self._size = file.seek(0, os.SEEK_END)
            self._file = file
            params = self._params
            self._write(
                pcapng.section_header(APPLICATION)
                + pcapng.interface(params.name, self._surroundings.description, params.snaplen)
            )
        except BaseException:
            file.close()
            raise

    def _write(self, octets: bytes) -> None:
        assert self._file is not None
        rest = memoryview(octets)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)  # no half of a block
            raise LinkBroken(f"pcapng://{self._path}: {error.strerror}") from error
        self._size += len(octets)

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        await trio.lowlevel.checkpoint()
        when_ns = self._surroundings.wall_ns()
        blocks: list[bytes] = []
        octets = 0
        for frame in frames:
            if len(frame) < SHORTEST_OCTETS:
                self.counters.drop_out("short")
            elif len(frame) > self.mtu_octets:
                self.counters.drop_out("oversize")
            else:
                kept = frame[: self._params.snaplen or len(frame)]
                blocks.append(pcapng.packet(0, when_ns, kept, pcapng.PacketDirection.UNKNOWN, len(frame)))
                octets += len(frame)
        if self._params.rotate and self._size + sum(map(len, blocks)) > max(self._params.rotate, ROTATE_LEAST):
            self._rotate()
        self._write(b"".join(blocks))
        self.counters.sent(octets, len(blocks))

    def _rotate(self) -> None:
        self.close()
        try:
            for number in range(self._params.files, 0, -1):
                older = _numbered(self._path, number)
                newer = _numbered(self._path, number - 1)
                if newer.exists():
                    newer.replace(older)
            self._open(append=False)
        except (OSError, ConfigError) as error:
            raise LinkBroken(f"pcapng://{self._path}: the next file cannot be begun: {error}") from error

    async def receive(self) -> list[bytes]:
        """As `Link.receive`: waits for ever."""
        await trio.sleep_forever()

    def close(self) -> None:
        """Frames in the file so far stay."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _check_end(file: FileIO, path: Path) -> None:
    """Raises `ConfigError` unless a section may follow what is in the file."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(0)
    begin = file.read(4)
    whole = False
    if size >= 28:
        file.seek(-4, os.SEEK_END)
        last = file.read(4)
        for length in (int.from_bytes(last, "little"), int.from_bytes(last, "big")):
            if length % 4 == 0 and 12 <= length <= size:
                file.seek(size - length + 4)
                whole = whole or file.read(4) == last
    if begin != pcapng.SECTION_HEADER.to_bytes(4) or not whole:
        raise ConfigError(f"pcapng://{path}: nothing can be appended: it is no whole pcapng file")


class PlayLink(Link):
    """Reads."""

    def __init__(self, file: FileIO, path: Path, params: Params, surroundings: Surroundings) -> None:
        """Raises `ConfigError`: the file is none that can be played."""
        super().__init__()
        self._file = file
        self._path = path
        self._params = params
        self._now_ns = surroundings.now_ns
        self._reader = CaptureReader()
        self._next: Captured | None = None
        self._due_ns = 0
        self._last: Captured | None = None
        self._end: LinkBroken | None = None
        self._frames = 0
        self._look_ahead()
        if self._end is not None and not isinstance(self._end, LinkEnded):
            raise ConfigError(str(self._end))

    def _look_ahead(self) -> None:
        """Try to have a frame, or an end: reads one piece of the file at most."""
        if self._next is not None or self._end is not None:
            return
        try:
            self._next = self._reader.next_frame()
            if self._next is None:
                if octets := self._file.read(READ_OCTETS):
                    self._reader.feed(octets)
                    self._next = self._reader.next_frame()
                else:
                    self._finish()
        except (WireError, OSError) as error:
            self._count_lost()
            self._end = LinkBroken(f"pcapng://{self._path}: at octet {self._reader.offset}: {error}")

    def _finish(self) -> None:
        self._count_lost()
        if not self._reader.is_between_blocks:
            self._end = LinkBroken(f"pcapng://{self._path}: at octet {self._reader.offset}: the end is cut off")
        elif self._params.loop and self._frames:
            self._file.seek(0)
            self._reader = CaptureReader()
            self._last = None
        else:
            self._end = LinkEnded(f"pcapng://{self._path}: played to its end")

    def _count_lost(self) -> None:
        for reason, count in (("other", self._reader.other), ("cut", self._reader.cut)):
            if count:
                self.counters.drop_in(reason, count)

    def _due(self, one: Captured, now_ns: int) -> int:
        """When a frame is due that follows `_last`, which was due at `_due_ns`."""
        if self._frames == 0:
            return now_ns
        if self._params.speed == 0 or self._last is None:
            return self._due_ns
        pause_ns = max(0, one.when_ns - self._last.when_ns)
        if self._params.gap is not None:
            pause_ns = min(pause_ns, int(self._params.gap * SECOND_NS))
        return self._due_ns + int(pause_ns / self._params.speed)

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        while True:
            await trio.lowlevel.checkpoint()
            frames, wait_ns = self._take_due()
            if frames:
                self.counters.received(sum(map(len, frames)), len(frames))
                return frames
            if wait_ns:
                await trio.sleep(wait_ns / SECOND_NS)
            elif self._next is None and self._end is not None:
                raise self._end

    def _take_due(self) -> tuple[list[bytes], int]:
        """Frames that are due now; how long it is to the next one, if that is known."""
        frames: list[bytes] = []
        now_ns = self._now_ns()
        for _ in range(FRAMES_PER_BATCH):
            self._look_ahead()
            if (one := self._next) is None:
                break
            due_ns = self._due(one, now_ns)
            if due_ns - now_ns > SOON_NS:
                return frames, due_ns - now_ns
            self._next = None
            self._due_ns, self._last = due_ns, one
            self._frames += 1
            if len(one.frame) <= self.mtu_octets:
                frames.append(one.frame)
            else:
                self.counters.drop_in("oversize")
        return frames, 0

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`: they go nowhere."""
        await trio.lowlevel.checkpoint()
        self.counters.drop_out("playing", len(frames))

    def state(self) -> dict[str, str | int | float | bool | None]:
        """How far it is."""
        return {"frames": self._frames, "octet": self._reader.offset, "ended": self._end is not None}


@asynccontextmanager
async def open_pcapng(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the file's path."""
    path = Path(address)
    if not address:
        raise ConfigError("pcapng://: a file's path was expected")
    if params.speed != 0 and not SPEED_LEAST <= params.speed <= SPEED_MOST:
        raise ConfigError(f"pcapng://{address}: speed {params.speed}: 0, or {SPEED_LEAST} to {SPEED_MOST} was expected")
    if params.gap is not None and not 0 <= params.gap <= SPEED_MOST:
        raise ConfigError(f"pcapng://{address}: gap {params.gap}: 0 to {SPEED_MOST} seconds were expected")
    if not params.play:
        recorder = RecordLink(path, params, surroundings)
        try:
            yield recorder
        finally:
            recorder.close()
        return
    with _open_regular(path) as file:
        yield PlayLink(file, path, params, surroundings)


def _open_regular(path: Path) -> FileIO:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(f"pcapng://{path}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ConfigError(f"pcapng://{path}: a file was expected")
    return FileIO(fd)


PLUG = PlugSpec("pcapng", open_pcapng, Params, syntax="pcapng://FILE[[OPTION…]]", style="bracket")
