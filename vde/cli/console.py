"""`vde console NODE`: a guest's serial line on this terminal, or driven by a script through standard input."""

import argparse
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vde import clock
from vde.cli import status
from vde.cli.labs import find_running
from vde.errors import ConfigError

if TYPE_CHECKING:
    import socket

DETACH = b"\x1d"  # Ctrl-], as telnet(1)
CHUNK_OCTETS = 4096


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "console",
        help="a guest's serial console (Ctrl-] detaches)",
        description="Show a guest's serial console, and type on it. Ctrl-] detaches; the guest goes on. Several may "
        "look and type at the same time. With standard input from a pipe, its lines are typed, and the console is "
        "shown until it has been quiet for a while after the end of the input.",
    )
    parser.add_argument("node", metavar="NODE")
    parser.add_argument("-l", "--lab", metavar="FILE|LAB", help="by default the only one")
    parser.add_argument(
        "--linger", default="1s", metavar="TIME", help="quiet time after the end of a piped input (default %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Do it.

    Raises:
        NotRunning: the lab, or the node.
        LabFailed: there is no such node, or it has no console.
    """
    from pydantic_core import PydanticCustomError

    from vde.lab.client import Connection
    from vde.lab.errors import LabFailed, NotRunning
    from vde.lab.messages import Console
    from vde.lab.units import parse_duration_ns

    try:
        linger_ns = parse_duration_ns(args.linger)
    except PydanticCustomError as error:
        raise ConfigError(f"--linger {args.linger}: {error.message()}") from None
    home = find_running(args.lab)
    with Connection(home) as connection:
        first = next(connection.ask(Console(node=args.node)), None)
        if first is None:
            raise NotRunning(f"the supervisor of lab '{home.name}' has ended")
        if first.outcome == "not_running":
            raise NotRunning(first.text)
        if first.kind != "console":
            raise LabFailed(first.text)
        _write(connection.rest())
        if sys.stdin.isatty():
            print(f"[{args.node}: Ctrl-] detaches]", file=sys.stderr)
            with _raw_terminal():
                detached = _relay(connection.socket, linger_ns=None)
            print(f"\n[{'detached' if detached else 'the guest has ended'}]", file=sys.stderr)
        else:
            _relay(connection.socket, linger_ns=linger_ns)
    return status.DONE


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to the guest, Ctrl-C too."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)  # what was typed already is not thrown away
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _relay(line: "socket.socket", *, linger_ns: int | None) -> bool:
    """Carry octets until the user detaches or the guest ends; whether it was the user.

    Args:
        line: to the supervisor.
        linger_ns: for an input that is no terminal: how long to show the console after its end, while it is quiet.
    """
    keyboard = sys.stdin.fileno()
    poll = select.poll()
    poll.register(line, select.POLLIN)
    poll.register(keyboard, select.POLLIN)
    ended = False
    quiet_since_ns = 0
    while True:
        timeout_ms = None
        if ended:
            assert linger_ns is not None
            left_ns = quiet_since_ns + linger_ns - clock.monotonic_ns()
            if left_ns <= 0:
                return True
            timeout_ms = left_ns // 1_000_000 + 1
        for descriptor, _ in poll.poll(timeout_ms):
            if descriptor == keyboard:
                typed = os.read(keyboard, CHUNK_OCTETS)
                before, detach, _ = typed.partition(DETACH) if linger_ns is None else (typed, b"", b"")
                try:
                    line.sendall(before if linger_ns is None else before.replace(b"\n", b"\r"))
                except ConnectionError:
                    return False
                if detach or (not typed and linger_ns is None):
                    return True
                if not typed:
                    poll.unregister(keyboard)
                    ended, quiet_since_ns = True, clock.monotonic_ns()
            else:
                octets = line.recv(CHUNK_OCTETS)
                if not octets:
                    return False
                _write(octets)
                quiet_since_ns = clock.monotonic_ns()


def _write(octets: bytes) -> None:
    while octets:
        octets = octets[os.write(sys.stdout.fileno(), octets) :]
