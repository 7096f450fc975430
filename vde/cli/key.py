"""`vde key`: shared keys of `dtls://` tunnels."""

import argparse
import os
from typing import Any

from vde.cli import status
from vde.errors import ConfigError


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "key",
        help="make the key of a dtls:// tunnel, or name it",
        description="A shared key of dtls:// is a file that both ends have, and nobody else. `new` makes one, readable"
        " for its owner only; `name` shows a short name of one, the same at both ends, which tells nothing of the key.",
    )
    actions = parser.add_subparsers(dest="action", metavar="new|name", required=True)
    new = actions.add_parser("new", help="make a key")
    new.add_argument("file", metavar="FILE", help="must not exist")
    name = actions.add_parser("name", help="show a key's name")
    name.add_argument("file", metavar="FILE")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from plugs.parts.dtls_identity import key_name, new_key, read_key

    if args.action == "new":
        try:
            descriptor = os.open(args.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"{args.file}: {error.strerror}") from error
        with os.fdopen(descriptor, "w") as file:
            file.write(new_key(os.urandom))
    print(key_name(read_key(args.file)))
    return status.DONE
