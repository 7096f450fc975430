"""`vde logs`: what nodes wrote, on their consoles and otherwise."""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vde.cli import status
from vde.cli.labs import find_running

if TYPE_CHECKING:
    from vde.lab.places import Home


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "logs",
        help="what nodes wrote",
        description="Show what nodes wrote: guests on their consoles, and all of them on standard error. Characters "
        "that could control the terminal are left out. Logs stay after 'vde down': give the FILE with --lab.",
    )
    parser.add_argument("nodes", nargs="*", metavar="NODE", help="by default all")
    parser.add_argument("-l", "--lab", metavar="FILE|LAB", help="by default the only one")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is being written")
    parser.add_argument("-n", "--tail", type=int, metavar="LINES", help="only the last so many lines of each")


def run(args: argparse.Namespace) -> int:
    """Do it.

    Raises:
        NotRunning: the lab, with --follow.
    """
    home = _home(args.lab, must_run=args.follow)
    for node in args.nodes or _nodes_with_logs(home):
        _show(home, node, args.tail)
    if args.follow:
        _follow(home, args.nodes)
    return status.DONE


def _home(given: str | None, *, must_run: bool) -> "Home":
    import os

    from vde.lab.errors import NotRunning
    from vde.lab.places import home_of
    from vde.lab.read import load

    try:
        return find_running(given)
    except NotRunning:
        if must_run or given is None or not Path(given).is_file():
            raise
    file = Path(given)
    return home_of(load(file).name, file, os.environ, os.geteuid())


def _nodes_with_logs(home: "Home") -> list[str]:
    files = [*(home.state / "console").glob("*.log"), *(home.state / "logs").glob("*.log")]
    return sorted({file.name.removesuffix(".log") for file in files})


def _show(home: "Home", node: str, tail: int | None) -> None:
    from vde.lab.errors import LabFailed
    from vde.lab.transcript import previous, text_lines

    found = False
    for path in (home.console(node), home.log(node)):
        octets = b"".join(part.read_bytes() for part in (previous(path), path) if part.is_file())
        found |= path.is_file()
        lines = text_lines(octets)
        for line in lines[-tail:] if tail else lines:
            print(f"{node}: {line}")
    if not found and node not in _nodes_with_logs(home):
        raise LabFailed(f"there are no logs of a node '{node}' in {home.state}")


def _follow(home: "Home", nodes: list[str]) -> None:
    from vde.lab.client import Connection
    from vde.lab.errors import LabFailed
    from vde.lab.messages import Follow
    from vde.lab.transcript import text_lines

    pending: dict[str, str] = defaultdict(str)
    with Connection(home) as connection:
        for event in connection.ask(Follow(nodes=nodes)):
            if event.kind == "output":
                complete, newline, rest = (pending[event.node] + event.text).rpartition("\n")
                pending[event.node] = rest[-4096:]
                if newline:
                    for line in text_lines(complete.encode()):
                        print(f"{event.node}: {line}", flush=True)
            elif event.outcome == "failed":
                raise LabFailed(event.text)
