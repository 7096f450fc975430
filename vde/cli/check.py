"""`vde check`: run a running lab's checks again."""

import argparse
import sys
from typing import Any

from vde.cli import status
from vde.cli.labs import find_running


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "check",
        help="run the checks of a running lab",
        description="Run the checks of a running lab's file, or those that are named. Exit status 3: one failed.",
    )
    parser.add_argument("names", nargs="*", metavar="CHECK", help="by default all")
    parser.add_argument("-l", "--lab", metavar="FILE|LAB", help="by default the only one")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from vde.cli.up import show_check
    from vde.lab.client import Connection
    from vde.lab.errors import NotRunning
    from vde.lab.messages import Check

    home = find_running(args.lab)
    checked = 0
    with Connection(home) as connection:
        for event in connection.ask(Check(names=args.names)):
            if event.kind == "check":
                checked += 1
                show_check(event)
            elif event.kind == "end":
                if event.outcome == "failed":
                    print(f"vde check: {event.text}", file=sys.stderr)
                if event.outcome == "done" and not checked:
                    print(f"{home.name}: the file has no checks")
                return {"done": status.DONE, "check_failed": status.CHECK_FAILED}.get(event.outcome, status.FAILED)
    raise NotRunning(f"the supervisor of lab '{home.name}' has ended")
