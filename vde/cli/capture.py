"""`vde capture`: what crosses links of a running lab, to a file, to Wireshark, or line by line."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vde.cli import status
from vde.cli.labs import find_running
from vde.errors import ConfigError, VdeError

if TYPE_CHECKING:
    from vde.lab.capture_file import Interface, Recorder
    from vde.lab.messages import Listening
    from vde.lab.places import Home

STDOUT = "-"
EPILOG = """\
LINK is a link's name, NODE:INTERFACE, or two nodes joined by '--'; the last word may be a filter in the language of
pcap-filter(7), if no link is called so. Frames that a wire drops, delays or changes are shown at the end that sent
them, and a comment says what happened to them.
examples:
  vde capture slow web:eth0 -w both.pcapng
  vde capture slow --wireshark 'arp or icmp'
  vde capture term--sw1 icmp
"""


def add_parser(subparsers: Any) -> None:
    """The command has a parser of its own, because its options and words may be mixed."""
    parser = subparsers.add_parser(
        "capture", help="record what crosses links of a running lab", prefix_chars="\0", add_help=False
    )
    parser.add_argument("words", nargs="*")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vde capture",
        description="Record what crosses links of a running lab, until interrupted; without -w or --wireshark as text.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("links", nargs="*", metavar="LINK", help="several go to one file")
    parser.add_argument("-l", "--lab", metavar="FILE|LAB", help="by default the only one")
    to = parser.add_mutually_exclusive_group()
    to.add_argument("-w", "--write", metavar="FILE", help="a pcapng file; - is standard output")
    to.add_argument("--wireshark", action="store_true", help="start Wireshark and show it there")
    parser.add_argument("-f", "--filter", default="", metavar="BPF", help="which frames: 'arp or icmp'")
    parser.add_argument("-s", "--snaplen", type=int, default=0, metavar="OCTETS", help="of each frame; by default all")
    parser.add_argument("-c", "--count", type=int, default=0, metavar="N", help="end after so many frames")
    parser.add_argument("--ring", metavar="FILESxSIZE", help="several files in turn, such as 10x5M")
    parser.add_argument("--lab-runtime", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--node", default="", help=argparse.SUPPRESS)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do it.

    Raises:
        ConfigError: a filter or an option.
        NotRunning, LabFailed: the lab, or there is no such link.
        LinkBroken: a switch or a wire went away meanwhile.
    """
    from vde.lab.bpf import Filter

    args = _parser().parse_intermixed_args(args.words)
    ring = _ring(args)
    if args.snaplen < 0 or 0 < args.snaplen < 14 or args.count < 0:
        raise ConfigError("--snaplen takes 14 octets or more, --count one frame or more")
    home = _home(args)
    points, rest = _points(home, args)
    wanted = Filter(" ".join(filter(None, [args.filter, rest])))
    with _recorder(args, points, ring) as (interfaces, recorder, is_gone):
        interrupted = _record(points, interfaces, recorder, wanted, args.count, is_gone)
    if not args.node:
        for interface in interfaces:
            lost = f", {interface.lost} lost" if interface.lost else ""
            print(f"{interface.name}: {interface.stored} frames{lost}", file=sys.stderr)
    return status.INTERRUPTED if interrupted and not args.node and args.count else status.DONE


def _home(args: argparse.Namespace) -> "Home":
    from vde.lab.places import Home

    if args.lab_runtime is not None:
        return Home(args.lab, Path(), Path(), args.lab_runtime)
    if not args.links:
        raise ConfigError("which link? a name, NODE:INTERFACE or a--b was expected ('vde ps --json' has the names)")
    return find_running(args.lab)


def _points(home: "Home", args: argparse.Namespace) -> tuple[list["Listening"], str]:
    """Where to listen; and the last word, if it is a filter."""
    from vde.lab.errors import LabFailed

    try:
        return _ask(home, args.links, args.node), ""
    except LabFailed:
        if len(args.links) < 2 or args.filter:
            raise
        *links, last = args.links
        try:
            return _ask(home, links, args.node), last
        except LabFailed:
            pass
        raise


def _ask(home: "Home", links: list[str], node: str) -> list["Listening"]:
    from vde.lab.client import ANSWER_S, Connection
    from vde.lab.errors import LabFailed, NotRunning
    from vde.lab.messages import Listen

    with Connection(home, ANSWER_S) as connection:
        points = None
        for event in connection.ask(Listen(selected=links, node=node)):
            if event.kind == "listen":
                points = event.points
            elif event.outcome == "failed":
                raise LabFailed(event.text)
    if points is None:
        raise NotRunning(f"the supervisor of lab '{home.name}' has ended")
    return points


def _ring(args: argparse.Namespace) -> tuple[int, int]:
    from pydantic_core import PydanticCustomError

    from vde.lab.units import parse_memory

    if args.ring is None:
        return 0, 0
    files, _, size = args.ring.partition("x")
    try:
        octets = int(size) if size.isdecimal() and args.node else parse_memory(size)
    except PydanticCustomError as error:
        raise ConfigError(f"--ring {args.ring}: {error.message()}") from None
    if not files.isdecimal() or not 2 <= int(files) <= 1000 or args.write in (None, STDOUT):
        raise ConfigError(f"--ring {args.ring}: 2 to 1000 files and a size, such as 10x5M, and -w FILE were expected")
    return int(files), octets


@contextmanager
def _recorder(
    args: argparse.Namespace, points: list["Listening"], ring: tuple[int, int]
) -> Iterator[tuple[list["Interface"], "Recorder", Any]]:
    """Where it goes; the last is a descriptor that becomes readable when nobody is interested any more."""
    from vde.lab.capture_file import Interface, PcapngRecorder, RingRecorder, TextRecorder

    interfaces = [Interface(point.name) for point in points]
    if args.wireshark:
        with _wireshark() as (stream, gone):
            yield interfaces, PcapngRecorder(interfaces, stream, args.snaplen), gone
    elif args.write == STDOUT:
        yield interfaces, PcapngRecorder(interfaces, sys.stdout.buffer, args.snaplen), None
    elif args.write is not None:
        try:
            recorder = RingRecorder(interfaces, Path(args.write), args.snaplen, *ring)
        except OSError as error:
            raise ConfigError(f"{args.write}: {error.strerror}") from None
        yield interfaces, recorder, None
    else:
        yield interfaces, TextRecorder(interfaces, sys.stdout), None


@contextmanager
def _wireshark() -> Iterator[Any]:
    import subprocess

    try:
        process = subprocess.Popen(["wireshark", "-k", "-i", "-"], stdin=subprocess.PIPE)
    except FileNotFoundError:
        raise ConfigError("--wireshark: wireshark is not installed (apt-get install wireshark)") from None
    gone = os.pidfd_open(process.pid)
    try:
        yield process.stdin, gone
    finally:
        os.close(gone)
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it was closed
            process.stdin.close()
        process.wait()


def _record(
    points: list["Listening"],
    interfaces: list["Interface"],
    recorder: "Recorder",
    wanted: Any,
    most_frames: int,
    is_gone: int | None,
) -> bool:
    """Record until interrupted (True), or until there is an end otherwise."""
    import trio

    from plugs.surroundings import Here
    from switch.notify import notify_ready
    from vde.lab.capture import capture

    here = Here("vde capture", lambda text: print(f"vde capture: {text}", file=sys.stderr))
    interrupted = False

    def ready() -> None:
        notify_ready()
        if sys.stderr.isatty():
            print(f"listening to {', '.join(each.name for each in interfaces)}", file=sys.stderr)

    async def until_signal(scope: trio.CancelScope) -> None:
        nonlocal interrupted
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                interrupted = True
                scope.cancel()

    async def until_gone(scope: trio.CancelScope) -> None:
        assert is_gone is not None
        await trio.lowlevel.wait_readable(is_gone)
        scope.cancel()

    async def everything() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_signal, nursery.cancel_scope)
            if is_gone is not None:
                nursery.start_soon(until_gone, nursery.cancel_scope)
            await capture(points, interfaces, recorder, wanted, here, ready, most_frames)
            nursery.cancel_scope.cancel()

    try:
        trio.run(everything)
    except BaseExceptionGroup as group:
        _raise_first(group)
    return interrupted


def _raise_first(group: BaseExceptionGroup[BaseException]) -> None:
    """What a user can do something about; a group of anything else is our bug."""
    from vde.lab.errors import LabFailed

    leaves: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        else:
            leaves.append(error)
    for error in leaves:
        if isinstance(error, BrokenPipeError):
            return  # whoever read it has seen enough
        if isinstance(error, VdeError):
            raise error from None
        if isinstance(error, OSError):
            raise LabFailed(f"the capture ends: {error.strerror or error}") from None
    raise group
