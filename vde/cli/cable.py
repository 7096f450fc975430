"""`vde cable`: the process of a cable between two switches. Started by labs; the help does not show it.

It is `vde plug` between two ports. When a switch goes away so does the cable. Frames bypass Python; one that the other
switch does not take at once waits in a bounded queue, and is lost when that is full, as on any wire.
"""

import argparse
import re
from typing import Any

from vde.cli import status
from vde.errors import ConfigError

END = re.compile(r"(.+)\[([0-9]{1,5})\]", re.DOTALL)
DESCRIPTION = "cable"


def add_parser(subparsers: Any) -> None:
    """Without `help`, a command is not listed."""
    parser = subparsers.add_parser("cable", description="Join two switches: each is DIRECTORY[PORT], 0 for any port.")
    parser.add_argument("ends", nargs=2, metavar="DIRECTORY[PORT]")


def run(args: argparse.Namespace) -> int:
    """Carry frames until a switch goes away: cables are stopped by a signal, or fail."""
    from plugs.surroundings import Here
    from switch.notify import notify_ready
    from vde.cli.programs.plugging import Junction

    here = Here(DESCRIPTION, print)
    left, right = (_vnl(text) for text in args.ends)
    outcome = Junction(left, right, (here, here), notify_ready).run()
    if outcome.error is not None:
        raise outcome.error
    return status.FAILED


def _vnl(text: str) -> str:
    from vde.vnl import quote

    found = END.fullmatch(text)
    if not found:
        raise ConfigError(f"{text!r}: DIRECTORY[PORT] was expected")
    directory = quote(found[1]).replace("\\/", "/")
    return f"vde://{directory}" + (f"[{found[2]}]" if int(found[2]) else "")
