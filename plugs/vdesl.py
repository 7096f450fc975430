"""vdesl:// — a point-to-point Ethernet over a serial line.

    vdesl:///dev/ttyUSB0
    vdesl:///dev/ttyS0[speed=115200]

Raw octets, eight bits, no parity, one stop bit, no flow control; each frame behind its length in two octets, big-endian
(`vde.framing`). After 100 ms of silence within a frame the rest of it is given up: the next octet is taken for the
beginning of a length. A line without a hardware that corrects errors loses and corrupts frames; nothing notices but
what is in them (Ethernet's check sum is not sent).

The terminal gets its settings back at the end. It is locked (flock(2), as picocom does): two programs that read one
line would each get half of it.

Peer: libvdeplug-vdesl 0.1. Differences, on purpose: a length that cannot be one makes the receiver hunt for the next
frame instead of skipping so many octets.

Limits: at 38,400 baud a frame of 1514 octets takes 0.4 s. A program that sends faster waits in `send`.
"""

import errno
import fcntl
import os
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import trio

from vde.errors import ConfigError, LinkBroken
from vde.framing import StreamDecoder
from vde.link import Link
from vde.pipe_link import OctetEnd, PipeLink
from vde.plugspec import PlugSpec, Surroundings, option

SILENCE_S = 0.1  # libvdeplug-vdesl: VTIME of 1, termios(3)
SPEEDS = {
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
    230400: termios.B230400,
    460800: termios.B460800,
    500000: termios.B500000,
    576000: termios.B576000,
    921600: termios.B921600,
    1000000: termios.B1000000,
    1152000: termios.B1152000,
    1500000: termios.B1500000,
    2000000: termios.B2000000,
    2500000: termios.B2500000,
    3000000: termios.B3000000,
    3500000: termios.B3500000,
    4000000: termios.B4000000,
}


@dataclass(frozen=True)
class Params:
    """Options of vdesl://."""

    speed: int = option(38400, "of the line: 9600, 19200, … 4000000", least=9600, most=4_000_000, unit="baud")


class _LineEnd(OctetEnd):
    """Forgets a frame in the middle of which the line fell silent."""

    def __init__(self, fd: int, decoder: StreamDecoder) -> None:
        super().__init__(fd, reading=True)
        self._decoder = decoder

    async def wait_readable(self) -> None:
        """As `OctetEnd.wait_readable`; or, within a frame, after the silence."""
        if self._decoder.is_between_frames:
            await super().wait_readable()
            return
        with trio.move_on_after(SILENCE_S):
            await super().wait_readable()
            return
        self._decoder.forget_partial()


class SerialLink(PipeLink):
    """Frames on a terminal."""

    def __init__(self, fd: int, shown: str) -> None:
        super().__init__(fd, fd, shown)
        self._source.close()
        self._source = _LineEnd(fd, self._decoder)


@contextmanager
def open_line(path: str, speed: int) -> Iterator[int]:
    """The terminal's descriptor, raw and locked.

    Raises:
        ConfigError: it is no terminal, is in use, or may not be opened.
        LinkBroken: it is not there.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise ConfigError(f"vdesl://{path}: {error.strerror}: are you in the group dialout?") from None
        raise LinkBroken(f"vdesl://{path}: {error.strerror}") from None
    try:
        if not os.isatty(fd):
            raise ConfigError(f"vdesl://{path}: a terminal, as /dev/ttyS0, was expected")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"vdesl://{path}: another program uses it") from None
        before = termios.tcgetattr(fd)
        try:
            _make_raw(fd, path, speed)
            yield fd
        finally:
            with suppress(termios.error):  # the device may be gone
                termios.tcsetattr(fd, termios.TCSANOW, before)
    finally:
        os.close(fd)


def _make_raw(fd: int, path: str, speed: int) -> None:
    code = SPEEDS[speed]
    characters: list[bytes | int] = [b"\0"] * 32  # NCCS: linux/termbits.h
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    control = termios.CS8 | termios.CLOCAL | termios.CREAD
    settings: list[int | list[bytes | int]] = [0, 0, control, 0, code, code, characters]
    try:
        termios.tcsetattr(fd, termios.TCSANOW, settings)
        termios.tcflush(fd, termios.TCIOFLUSH)
    except termios.error as error:
        raise ConfigError(f"vdesl://{path}: {speed} baud: {error.args[-1]}") from None


@asynccontextmanager
async def open_vdesl(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the terminal's path."""
    if params.speed not in SPEEDS:
        raise ConfigError(f"vdesl://: speed {params.speed}: one of {', '.join(map(str, SPEEDS))} was expected")
    with open_line(address, params.speed) as fd:
        link = SerialLink(fd, f"vdesl://{address}")
        try:
            yield link
        finally:
            link.close()


PLUG = PlugSpec("vdesl", open_vdesl, Params, syntax="vdesl://TERMINAL[[speed=BAUD]]", style="bracket")
