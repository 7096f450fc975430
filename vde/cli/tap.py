"""`vde tap create|delete|list`: tap interfaces of this machine, in a network namespace of one's choice.

Manual: docs/host-networks.md. Machinery: `vde.host.interfaces`.
"""

import argparse
from typing import Any

from vde.cli import status
from vde.cli.programs.lasting import (
    add_create,
    add_others,
    add_words,
    finish,
    read_addresses,
    read_words,
    show_listing,
)

DESCRIPTION = """\
A tap lasts as long as this command, or the COMMAND that it runs, unless --persistent says otherwise.
  vde tap create tap0 --owner joe --addr 10.0.0.1/24 --persistent
  vde tap create tap0 --bridge br0 -- vde plug tap://tap0 vde:///run/sw
"""
LAYOUT = "{:<16}{:<6}{:<8}{:<8}{:<16}{:<6}{}"


def add_parser(subparsers: Any) -> None:
    """The command has a parser of its own, because what follows `--` is not ours."""
    add_words(subparsers, "tap", "tap interfaces of this machine: create, delete, list")


def build_parser() -> argparse.ArgumentParser:
    """Of the words before `--`."""
    parser = argparse.ArgumentParser(prog="vde tap")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = add_create(verbs, DESCRIPTION)
    create.add_argument("name", metavar="NAME", help="of the interface; %%d in it is a number that is free")
    create.add_argument("--owner", metavar="USER", help="who may open it (you)")
    create.add_argument("--group", metavar="GROUP", help="whose members may open it")
    create.add_argument("--bridge", metavar="BRIDGE", help="join it to this bridge")
    add_others(verbs, "remove one", "show them")
    return parser


def run(args: argparse.Namespace) -> int:
    """Do it."""
    args = read_words(build_parser(), args.words)
    from vde.host.interfaces import Interfaces
    from vde.host.namespaces import enter

    if args.netns is not None:
        enter(args.netns)
    with Interfaces() as interfaces:
        match args.verb:
            case "create":
                addresses = read_addresses(args.addr)
                name = interfaces.make_tap(args.name, args.owner, args.group, args.mac)
                if args.bridge is not None:
                    interfaces.join(name, args.bridge)
                return finish(interfaces, name, addresses, args)
            case "delete":
                interfaces.delete(args.name, "tap")
                interfaces.keep()
            case _:
                headings = "NAME STATE OWNER GROUP BRIDGE MTU ADDRESSES"
                show_listing(interfaces.list("tap"), _facts, LAYOUT, _row, headings, as_json=args.json)
    return status.DONE


def _row(tap: Any) -> list[str]:
    state = "used" if tap.has_carrier else "up" if tap.is_up else "down"
    who = ["" if number is None else str(number) for number in (tap.owner, tap.group)]
    return [tap.name, state, *who, tap.bridge or "", str(tap.mtu_octets), " ".join(tap.addresses)]


def _facts(tap: Any) -> dict[str, Any]:
    return {
        "used": tap.has_carrier,
        "owner": tap.owner,
        "group": tap.group,
        "persistent": tap.persistent,
        "bridge": tap.bridge,
    }
