"""`vde cable`: the process of a cable between two switches. Started by labs; the help does not show it."""

import argparse
import re
from pathlib import Path
from typing import Any

from vde.cli import status
from vde.errors import ConfigError

END = re.compile(r"(.+)\[([0-9]{1,5})\]", re.DOTALL)


def add_parser(subparsers: Any) -> None:
    """Without `help`, a command is not listed."""
    parser = subparsers.add_parser("cable", description="Join two switches: each is DIRECTORY[PORT], 0 for any port.")
    parser.add_argument("ends", nargs=2, metavar="DIRECTORY[PORT]")


def run(args: argparse.Namespace) -> int:
    """Carry frames until a switch goes away."""
    from vde.lab.cable import End, run_cable

    ends = []
    for text in args.ends:
        found = END.fullmatch(text)
        if not found:
            raise ConfigError(f"{text!r}: DIRECTORY[PORT] was expected")
        ends.append(End(Path(found[1]), int(found[2])))
    run_cable(*ends)
    return status.FAILED  # cables are stopped by a signal, or fail
