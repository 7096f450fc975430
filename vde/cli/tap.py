"""`vde tap create|delete|list`: tap interfaces of this machine, in a network namespace of one's choice.

Manual: docs/host-networks.md. Machinery: `vde.host.interfaces`.
"""

import argparse
import json
from typing import Any

from vde.cli import status
from vde.cli.programs.lasting import add_lasting, add_words, hold, read_addresses, read_words

DESCRIPTION = """\
A tap lasts as long as this command, or the COMMAND that it runs, unless --persistent says otherwise.
  vde tap create tap0 --owner joe --addr 10.0.0.1/24 --persistent
  vde tap create tap0 --bridge br0 -- vde plug tap://tap0 vde:///run/sw
"""


def add_parser(subparsers: Any) -> None:
    """The command has a parser of its own, because what follows `--` is not ours."""
    add_words(subparsers, "tap", "tap interfaces of this machine: create, delete, list")


def build_parser() -> argparse.ArgumentParser:
    """Of the words before `--`."""
    parser = argparse.ArgumentParser(prog="vde tap")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser(
        "create", help="make one", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    create.add_argument("name", metavar="NAME", help="of the interface; %%d in it is a number that is free")
    create.add_argument("--owner", metavar="USER", help="who may open it (you)")
    create.add_argument("--group", metavar="GROUP", help="whose members may open it")
    create.add_argument("--mac", metavar="MAC", help="its Ethernet address")
    create.add_argument("--bridge", metavar="BRIDGE", help="join it to this bridge")
    add_lasting(create)
    delete = verbs.add_parser("delete", help="remove one")
    delete.add_argument("name", metavar="NAME")
    listing = verbs.add_parser("list", help="show them")
    listing.add_argument("--json", action="store_true", help="machine-readable")
    for one in (delete, listing):
        one.add_argument("--netns", metavar="NAME|PID|PATH", help="network namespace")
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
                if args.mtu is not None:
                    interfaces.set_mtu(name, args.mtu)
                if args.bridge is not None:
                    interfaces.join(name, args.bridge)
                for address in addresses:
                    interfaces.add_address(name, address)
                interfaces.set_up(name)
                return hold(interfaces, [name], args)
            case "delete":
                interfaces.delete(args.name, "tap")
                interfaces.keep()
            case _:
                _list(interfaces.list("tap"), as_json=args.json)
    return status.DONE


def _list(taps: Any, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([_facts(tap) for tap in taps], indent=2))
        return
    rows = [("NAME", "STATE", "OWNER", "GROUP", "BRIDGE", "MTU", "ADDRESSES")]
    for tap in taps:
        state = "used" if tap.has_carrier else "up" if tap.is_up else "down"
        who = [_shown(number) for number in (tap.owner, tap.group)]
        rows.append((tap.name, state, *who, tap.bridge or "-", str(tap.mtu_octets), " ".join(tap.addresses) or "-"))
    for row in rows:
        print("{:<16}{:<6}{:<8}{:<8}{:<16}{:<6}{}".format(*row))


def _shown(number: int | None) -> str:
    return "-" if number is None else str(number)


def _facts(tap: Any) -> dict[str, Any]:
    return {
        "name": tap.name,
        "up": tap.is_up,
        "used": tap.has_carrier,
        "owner": tap.owner,
        "group": tap.group,
        "persistent": tap.persistent,
        "bridge": tap.bridge,
        "mac": tap.mac,
        "mtu": tap.mtu_octets,
        "addresses": list(tap.addresses),
    }
