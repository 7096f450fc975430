"""`vde schema`: the JSON Schema of topology files, for editors."""

import argparse
import json
from typing import Any

from vde.cli import status


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    subparsers.add_parser(
        "schema",
        help="print the JSON Schema of topology files",
        description="Print the JSON Schema (2020-12) of topology files. Editors that use yaml-language-server check "
        "and complete a file whose first line is: # yaml-language-server: $schema=FILE",
    )


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from vde.lab.json_schema import topology_schema

    print(json.dumps(topology_schema(), indent=2))
    return status.DONE
