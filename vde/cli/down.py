"""`vde down`: stop a lab; nothing is left behind."""

import argparse
import shutil
from typing import TYPE_CHECKING, Any

from vde.cli import status
from vde.cli.labs import find_running, running_homes

if TYPE_CHECKING:
    from vde.lab.places import Home


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "down",
        aliases=["destroy"],
        help="stop a lab",
        description="Stop a lab: all its processes end, its sockets and interfaces vanish. Its logs stay in .vde.",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("lab", nargs="?", metavar="FILE|LAB", help="by default the only one")
    which.add_argument("-a", "--all", action="store_true", help="all labs of this user")
    parser.add_argument("--cleanup", action="store_true", help="remove its logs and transcripts as well")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    homes = running_homes() if args.all else [find_running(args.lab)]
    for home in homes:
        print(f"{home.name}: {_take_down(home)}", flush=True)
        if args.cleanup and home.state.is_dir():
            shutil.rmtree(home.state)
    return status.DONE


def _take_down(home: "Home") -> str:
    from vde.lab.client import Connection, wait_until_gone
    from vde.lab.errors import NotRunning
    from vde.lab.messages import Down

    try:
        with Connection(home) as connection:
            for _ in connection.ask(Down()):
                continue
    except NotRunning:
        wait_until_gone(home)
        home.remove_runtime()
        return "its supervisor had been killed; removed what was left"
    wait_until_gone(home)
    return "down"
