"""`vde bridge create|delete|join|leave|list`: the kernel's bridges, and what is joined to them.

Manual: docs/host-networks.md. Machinery: `vde.host.interfaces`.
"""

import argparse
from typing import Any

from vde.cli import status
from vde.cli.programs.lasting import (
    add_create,
    add_netns,
    add_others,
    add_words,
    finish,
    read_addresses,
    read_words,
    show_listing,
)

DESCRIPTION = """\
A bridge lasts as long as this command, or the COMMAND that it runs, unless --persistent says otherwise.
  vde bridge create br0 --port tap0 --veth eth0@guest --addr 10.0.0.254/24
"""
LAYOUT = "{:<16}{:<6}{:<6}{:<32} {}"


def add_parser(subparsers: Any) -> None:
    """The command has a parser of its own, because what follows `--` is not ours."""
    add_words(subparsers, "bridge", "the kernel's bridges: create, delete, join, leave, list")


def build_parser() -> argparse.ArgumentParser:
    """Of the words before `--`."""
    parser = argparse.ArgumentParser(prog="vde bridge")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = add_create(verbs, DESCRIPTION)
    create.add_argument("name", metavar="BRIDGE", help="name")
    create.add_argument("--port", action="append", default=[], metavar="IF", help="join this interface (repeatable)")
    create.add_argument(
        "--veth",
        action="append",
        default=[],
        metavar="PEER[@NETNS]",
        help="make a veth: one end joined, the other called PEER, in NETNS (repeatable)",
    )
    create.add_argument("--stp", action="store_true", help="spanning tree")
    create.add_argument("--vlan-filtering", action="store_true", help="802.1Q")
    add_others(verbs, "remove one; its ports stay", "show them and their ports")
    for verb, text in (("join", "make an interface a port of it"), ("leave", "take an interface out")):
        one = verbs.add_parser(verb, help=f"{text}; stays so")
        one.add_argument("bridge", metavar="BRIDGE")
        one.add_argument("interface", metavar="IF")
        add_netns(one)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do it."""
    args = read_words(build_parser(), args.words)
    from vde.host.interfaces import Interfaces
    from vde.host.namespaces import enter

    peers = _Peers(args.veth) if args.verb == "create" else None  # opened where we are now
    if args.netns is not None:
        enter(args.netns)
    with Interfaces() as interfaces:
        match args.verb:
            case "create":
                assert peers is not None
                return _create(interfaces, peers, args)
            case "delete":
                interfaces.delete(args.name, "bridge")
            case "join":
                interfaces.join(args.interface, args.bridge)
                interfaces.set_up(args.interface)
            case "leave":
                interfaces.leave(args.interface, args.bridge)
            case _:
                _list(interfaces, as_json=args.json)
        interfaces.keep()
    return status.DONE


class _Peers:
    """The far ends of veths: name, and namespace as a path that means the same everywhere."""

    def __init__(self, texts: list[str]) -> None:
        from vde.host.namespaces import open_namespace

        self.found: list[tuple[str, str | None]] = []
        for text in texts:
            name, at, netns = text.partition("@")
            self.found.append((name, f"/proc/self/fd/{open_namespace(netns)}" if at else None))


def _create(interfaces: Any, peers: _Peers, args: argparse.Namespace) -> int:
    addresses = read_addresses(args.addr)
    bridge = args.name
    interfaces.make_bridge(bridge, stp=args.stp, vlan_filtering=args.vlan_filtering, mac=args.mac)
    for number, (peer, netns) in enumerate(peers.found):
        near = f"{bridge[:11]}-{number}"  # 15 octets are a name's most
        interfaces.make_veth(near, peer, netns)
        interfaces.join(near, bridge)
        interfaces.set_up(near)
    for port in args.port:
        interfaces.join(port, bridge)
        interfaces.set_up(port)
    return finish(interfaces, bridge, addresses, args)


def _list(interfaces: Any, *, as_json: bool) -> None:
    everything = interfaces.list()
    bridges = [one for one in everything if one.kind == "bridge"]
    ports = {bridge.name: [one.name for one in everything if one.bridge == bridge.name] for bridge in bridges}

    def row(one: Any) -> list[str]:
        up = "up" if one.is_up else "down"
        return [one.name, up, str(one.mtu_octets), ",".join(ports[one.name]), " ".join(one.addresses)]

    headings = "NAME STATE MTU PORTS ADDRESSES"
    show_listing(bridges, lambda one: {"ports": ports[one.name]}, LAYOUT, row, headings, as_json=as_json)
