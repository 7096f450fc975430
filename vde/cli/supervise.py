"""`vde supervise`: the process behind a lab. Started by `vde up`, not by people; so the help does not show it."""

import argparse
import os
from pathlib import Path
from typing import Any

from vde.cli import status


def add_parser(subparsers: Any) -> None:
    """Without `help`, a command is not listed."""
    parser = subparsers.add_parser("supervise", description="The process behind a lab; 'vde up' starts it.")
    parser.add_argument("name")
    parser.add_argument("file", type=Path)
    parser.add_argument("runtime", type=Path)
    parser.add_argument("ready_fd", type=int)


def run(args: argparse.Namespace) -> int:
    """Run the lab until it is taken down."""
    import trio

    from switch.descriptors import raise_limit
    from vde.lab.places import Home
    from vde.lab.supervisor import supervise

    home = Home(args.name, args.file, args.file.parent / ".vde" / args.name, args.runtime)

    def ready() -> None:
        os.write(args.ready_fd, b"ready\n")
        os.close(args.ready_fd)

    raise_limit()  # four for each node
    trio.run(supervise, home, ready)
    return status.DONE
