"""`wirefilter`: a wire with delay, loss and more, with the command line and console of Debian's (wirefilter(1)).

    wirefilter [OPTIONS] -v VNL:VNL          or VNL VNL: between two plugs; - is standard input and output
    dpipe A = wirefilter [OPTIONS] = B       in the middle of a pipeline, both ways
    dpipe A =} wirefilter [OPTIONS] }= B     one way

Values: [LR|RL]VALUE[+PLUS][K|M|G][U|N][[NODE]], see `vde/wire/filter/values.py`; rules: `vde/wire/filter/pipeline.py`.
Standard input is a console with -v and without --daemon. Ours: --seed, positional VNLs.

Differences to the original, on purpose: when a switch or a plug goes away it ends (the original uses all of a
processor for ever), an unread blink socket loses blinks (and there stops the filter), and much noise is noise (an
endless loop there). Equal --seed: equal decisions for equal frames.
"""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import trio

from plugs import registry
from plugs.surroundings import Here
from switch.console.script import read_script
from switch.directory import open_management
from switch.getopt import Option
from vde import clock
from vde.cli.programs import classic
from vde.cli.programs.classic import option_rows, path_of, present, read_options
from vde.cli.programs.wire_patch import open_patch
from vde.errors import ConfigError, LinkEnded, Refused, VdeError
from vde.link import Link
from vde.pipe_link import PipeLink
from vde.vnl import STDIO
from vde.wire.filter.console import Console
from vde.wire.filter.nodes import Nodes
from vde.wire.filter.pipeline import BlinkSink, Filter
from vde.wire.filter.server import ConsoleServer
from vde.wire.native import NativeCarrier
from vde.wire.process import Open, WireProcess, unwrapped_nursery
from vde.wire.timer import TimerDescriptor

PROGRAM = "wirefilter"
FAILED = 1
STREAM_OCTETS = 1521  # the original's longest frame in a stream
DESCRIPTION = "vde_crosscable"
_warn = classic.warner(PROGRAM)
OPTIONS = (
    Option(("help",), "h", "", "show this"),
    Option(("rcfile",), "f", "FILE", "console commands to begin with"),
    Option(("loss",), "l", "PERCENT", "frames that are lost"),
    Option(("lostburst",), "L", "FRAMES", "mean length of bursts of lost frames"),
    Option(("delay",), "d", "MS", "delay"),
    Option(("dup",), "D", "PERCENT", "frames that come once more"),
    Option(("band", "bandwidth"), "b", "OCTETS/S", "bandwidth of the channel"),
    Option(("speed",), "s", "OCTETS/S", "speed of the interfaces"),
    Option(("chanbufsize", "capacity"), "c", "OCTETS", "most that the channel holds"),
    Option(("noise",), "n", "BITS/MB", "inverted bits in 2^20 octets"),
    Option(("mtu",), "m", "OCTETS", "longer frames are lost"),
    Option(("nofifo",), "N", "", "frames may overtake one another"),
    Option(("mgmt",), "M", "PATH", "management socket"),
    Option(("mgmtmode",), "", "MODE", "its octal permissions (0700)"),
    Option(("vde-plug",), "v", "VNL:VNL", "left and right"),
    Option(("daemon",), "", "", "go to the background"),
    Option(("pidfile",), "", "FILE", "write the process number to FILE"),
    Option(("blink",), "", "SOCKET", "a datagram for every frame that leaves"),
    Option(("blinkid",), "", "TEXT", "what it begins with (the process number)"),
    Option(("seed",), "", "TEXT", "equal seeds: equal decisions (random)"),
)
PARAMETERS = {"band": "bandwidth"} | {
    name: name for name in ("loss", "lostburst", "delay", "dup", "speed", "chanbufsize", "noise", "mtu")
}


@dataclass
class Asked:
    """What the command line says."""

    ends: tuple[str, str] | None = None
    parameters: list[tuple[str, str]] = field(default_factory=list)
    fifo: bool = True
    rcfile: str | None = None
    mgmt: Path | None = None
    mgmt_mode: int = 0o700
    daemon: bool = False
    pidfile: Path | None = None
    blink: str = ""
    blink_id: str = ""
    seed: str | None = None


def read(argv: Sequence[str]) -> Asked:
    """The command line, without the program's name.

    Raises:
        Help, ConfigError.
    """
    given, result = read_options(OPTIONS, argv)
    words = result.arguments
    if len(words) not in (0, 2) or ("vde-plug" in given and words):
        raise ConfigError(f"unexpected argument {words[0]!r}: two VNLs, or -v VNL:VNL, were expected")
    ends = (words[0], words[1]) if words else None
    if "vde-plug" in given:
        ends = split_pair(given["vde-plug"])
    try:
        mode = int(given.get("mgmtmode", "700"), 8)
    except ValueError:
        raise ConfigError(f"--mgmtmode {given['mgmtmode']}: an octal number was expected") from None
    return Asked(
        ends=ends,
        parameters=[(PARAMETERS[key], value) for key, value in result.options if key in PARAMETERS],
        fifo="nofifo" not in given,
        rcfile=given.get("rcfile"),
        mgmt=path_of(given.get("mgmt")),
        mgmt_mode=mode & 0o777,
        daemon="daemon" in given,
        pidfile=path_of(given.get("pidfile")),
        blink=given.get("blink", ""),
        blink_id=given.get("blinkid", f"{os.getpid():06d}"),
        seed=given.get("seed"),
    )


def split_pair(text: str) -> tuple[str, str]:
    """`LEFT:RIGHT`. A colon that belongs to `scheme://` does not part them.

    Raises:
        ConfigError: there is no such colon, or more than one.
    """
    places = [at for at, character in enumerate(text) if character == ":" and not text.startswith("://", at)]
    if len(places) != 1:
        raise ConfigError(
            f"Bad vde_plugs specification. -v {text}: "
            + ("LEFT:RIGHT was expected" if not places else "write it as two arguments, wirefilter LEFT RIGHT")
        )
    return text[: places[0]], text[places[0] + 1 :]


def usage() -> str:
    """The text of `--help`."""
    return f"Usage: {PROGRAM} OPTIONS\n{option_rows(OPTIONS)}Values: [LR|RL]VALUE[+PLUS][K|M|G][U|N][[NODE]]\n"


def main() -> int:
    """The program."""
    return classic.understand(PROGRAM, read, usage, _carry)


def _carry(asked: Asked) -> int:
    try:
        return _run(asked)
    except LinkEnded:
        return 0
    except VdeError as error:
        _warn(str(error))
        return FAILED


def _run(asked: Asked) -> int:
    if asked.ends is not None:
        for vnl in asked.ends:
            registry.check(vnl)
    ends, bidirectional = _ends(asked)
    nodes = Nodes()
    for parameter, text in asked.parameters:
        with contextlib.suppress(Refused):
            nodes.set_value(parameter, text)
    with contextlib.ExitStack() as stack:
        ready = stack.enter_context(present(daemon=asked.daemon, pidfile=asked.pidfile))
        management = None
        if asked.mgmt is not None:
            management = open_management(asked.mgmt, asked.mgmt_mode, None)
            stack.callback(asked.mgmt.unlink, missing_ok=True)
            stack.callback(management.close)
        seed = asked.seed if asked.seed is not None else os.urandom(8).hex()
        filter_ = Filter(seed, nodes, clock.monotonic_ns(), bidirectional=bidirectional)
        filter_.fifo = asked.fifo
        if asked.blink:
            blink = Blink(asked.blink, asked.blink_id, bidirectional)
            stack.callback(blink.close)
            filter_.blinks = blink
        console = Console(filter_, read_script, clock.monotonic_ns, version("vde-fabric"))
        console.blink_socket, console.blink_id = asked.blink, asked.blink_id
        if asked.rcfile is not None:
            try:
                console.load(asked.rcfile)
            except Refused as error:
                _warn(f"-f {error}")
        if not asked.daemon:
            _announce(asked, bidirectional)
        caught = trio.run(_serve, asked, filter_, console, ends, management, ready)
    if caught == signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return 0


def _announce(asked: Asked, bidirectional: bool) -> None:
    if asked.ends is not None:
        _warn(f"bidirectional vdeplug filter L={asked.ends[0]} R={asked.ends[1]} starting...")
    else:
        _warn(f"{'bi' if bidirectional else 'mono'}directional filter starting...")


async def _serve(
    asked: Asked,
    filter_: Filter,
    console: Console,
    ends: tuple[Open, Open],
    management: socket.socket | None,
    ready: Callable[[], None],
) -> int:
    """Until a signal, `shutdown`, or the end of standard input."""
    carrier = NativeCarrier(filter_)
    process = WireProcess(filter_, ends, clock.monotonic_ns, TimerDescriptor, open_patch, clock.wall_ns, carrier)
    console.before_change, console.on_change = process.stop_carrying, process.changed
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with unwrapped_nursery() as nursery:
            server = ConsoleServer(console, nursery.cancel_scope.cancel)
            nursery.start_soon(process.run, ready)
            if management is not None:
                nursery.start_soon(server.serve, trio.SocketListener(trio.socket.from_stdlib_socket(management)))
            if asked.ends is not None and STDIO not in asked.ends and not asked.daemon:
                nursery.start_soon(_serve_standard_input, server, nursery.cancel_scope)
            async for number in signals:
                nursery.cancel_scope.cancel()
                return number
    return 0


async def _serve_standard_input(server: ConsoleServer, scope: trio.CancelScope) -> None:
    await server.serve_standard_input(0, 1)
    scope.cancel()


# -- ends -------------------------------------------------------------------------------------------------------------


def _ends(asked: Asked) -> tuple[tuple[Open, Open], bool]:
    """What to open, and whether frames go both ways."""
    if asked.ends is not None:
        here = Here(DESCRIPTION, _warn)
        left, right = asked.ends
        return (lambda: registry.open_link(left, here), lambda: registry.open_link(right, here)), True
    one, two = os.environ.get("ALTERNATE_STDIN"), os.environ.get("ALTERNATE_STDOUT")
    if one is not None and two is not None:
        if not (one.isdecimal() and two.isdecimal()):
            raise ConfigError(f"ALTERNATE_STDIN={one}, ALTERNATE_STDOUT={two}: descriptors were expected")
        right_in, right_out = int(one), int(two)
        return (lambda: _pipes(0, 1), lambda: _pipes(right_in, right_out)), True
    stream = _OneWay()
    return (stream.open_left, stream.open_right), False


@asynccontextmanager
async def _pipes(reading: int, writing: int) -> AsyncIterator[Link]:
    try:
        link = PipeLink(reading, writing, "the pipeline", mtu_octets=STREAM_OCTETS)
    except OSError as error:
        raise ConfigError(f"descriptors {reading} and {writing}: {error.strerror}; see dpipe(1)") from None
    try:
        yield link
    finally:
        link.close()


class _OneWay:
    """Standard input is the left end, standard output the right one; nothing goes back."""

    def open_left(self) -> AbstractAsyncContextManager[Link]:
        return _pipes(0, 1)

    @asynccontextmanager
    async def open_right(self) -> AsyncIterator[Link]:
        async with _pipes(0, 1) as link:
            yield _Silent(link)


class _Silent(Link):
    """A link of which only the sending half is used."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        await self._link.send(frames)

    async def receive(self) -> list[bytes]:
        """As `Link.receive`: waits for ever."""
        await trio.sleep_forever()


class Blink(BlinkSink):
    """The datagrams: `ID DIRECTION SIZE`. One that is not taken at once is lost."""

    def __init__(self, path: str, name: str, bidirectional: bool) -> None:
        self._path = path
        self._words = [f"{name} {word}" for word in (("LR", "RL") if bidirectional else ("--", "--"))]
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.lost = 0

    def blink(self, which: int, size: int) -> None:
        """As `BlinkSink.blink`."""
        try:
            self._socket.sendto(f"{self._words[which]} {size}\n".encode(), self._path)
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Be used no more."""
        self._socket.close()


if __name__ == "__main__":
    sys.exit(main())
