"""`vde validate`: everything that is wrong with a topology file, without starting anything."""

import argparse
import json
from pathlib import Path
from typing import Any

from vde.cli import status
from vde.cli.labs import find_file


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "validate",
        help="check a topology file",
        description="Check a topology file, and show all of its errors. Exit status 2: there are some.",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="by default the only *.vlab.yml here")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the errors (default text)")
    parser.add_argument("--resolved", action="store_true", help="show the lab with every default filled in")


def run(args: argparse.Namespace) -> int:
    """Do it.

    Raises:
        TopologyError: with text output.
    """
    from vde.lab.diagnostics import TopologyError
    from vde.lab.ports import allot
    from vde.lab.read import load
    from vde.lab.run_record import resolved_yaml

    file = find_file(args.file)
    try:
        lab = allot(load(file))
    except TopologyError as error:
        if args.format == "text":
            raise
        print(json.dumps(error.as_json(), indent=2))
        return status.USAGE
    if args.resolved:
        print(resolved_yaml(lab), end="")
    elif args.format == "json":
        print("[]")
    else:
        print(f"{file}: valid: lab '{lab.name}' with {len(lab.nodes)} nodes and {len(lab.checks)} checks")
    return status.DONE
