"""`checks` of a file: what they mean, and what cannot be meant."""

from collections.abc import Mapping

from vde.lab import schema
from vde.lab.diagnostics import Code, Complaints, did_you_mean, listed, shown
from vde.lab.document import find
from vde.lab.forms import is_address
from vde.lab.resolved import (
    AnyCheck,
    AnyNode,
    Bochs,
    ConsoleCheck,
    Guest,
    Pearpc,
    PingCheck,
    Plug,
    Station,
    Tap,
    Umps3,
    View,
)
from vde.lab.validate import Validated


def resolve_checks(validated: Validated, nodes: Mapping[str, AnyNode], complaints: Complaints) -> dict[str, AnyCheck]:
    """The checks whose meaning is clear; complaints about the others."""
    checks = {}
    for name, check in (validated.file.checks or {}).items():
        made = _Rules(validated, nodes, complaints, name).check(check)
        if made is not None:
            checks[name] = made
    return checks


class _Rules:
    def __init__(self, validated: Validated, nodes: Mapping[str, AnyNode], complaints: Complaints, name: str) -> None:
        self.validated = validated
        self.nodes = nodes
        self.complaints = complaints
        self.name = name

    def check(self, check: schema.Check) -> AnyCheck | None:
        known = self.guest(check.node, has_shell=check.ping is not None)
        if (check.ping is None) == (check.console is None):
            if not self.validated.was_cut("checks", self.name):
                self.complain((), f"check '{self.name}' needs either 'ping' or 'console'")
            return None
        if check.ping is not None:
            address = self.address(check.ping)
            if address is None or not known:
                return None
            return PingCheck(
                name=self.name,
                node=check.node,
                target=check.ping,
                address=address,
                count=check.count,
                within_ns=check.within,
            )
        assert check.console is not None
        send, expect = check.console.send or "", check.console.expect
        if expect in send:
            self.complain(
                ("console", "expect"),
                f"check '{self.name}' expects {shown(expect)}, which the echo of what it sends contains: "
                "it could not fail",
                "expect something that only the answer has",
            )
            return None
        if not known:
            return None
        return ConsoleCheck(name=self.name, node=check.node, send=send, expect=expect, within_ns=check.within)

    def guest(self, name: str, *, has_shell: bool) -> bool:
        """Whether the node can be asked on its console, where a shell may be needed."""
        node = self.nodes.get(name)
        if isinstance(node, Umps3 | Bochs | Pearpc):
            if has_shell:
                text = f"{node.kind} '{name}' has no shell that could ping"
                self.complain(("node",), text, "ping it from another node, or expect a text on its console")
            return not has_shell
        if isinstance(node, View) and node.command:
            text = f"view '{name}' runs a command of its own, and no shell that a check could type to"
            self.complain(("node",), text, "leave its 'command' out, and start that from the shell")
            return False
        if isinstance(node, Guest | View):
            return True
        guests = [guest for guest, node in self.nodes.items() if isinstance(node, Guest | View)]
        if node is not None:
            self.complain(
                ("node",), f"node '{name}' has no console: one of {listed(guests) or '(no node)'} was expected"
            )
        elif not self.is_said(name):
            self.complain(("node",), f"there is no node {shown(name)}", did_you_mean(name, guests))
        return False

    def address(self, target: str) -> str | None:
        """The address to ping."""
        node = self.nodes.get(target)
        if node is None:
            if is_address(target):
                return target
            if not self.is_said(target):
                self.complain(
                    ("ping",), f"{shown(target)} is neither a node nor an address", did_you_mean(target, self.nodes)
                )
            return None
        found = None
        if isinstance(node, Station):
            found = next((nic.ipv4 or nic.ipv6 for nic in node.nics if nic.ipv4 or nic.ipv6), None)
        elif isinstance(node, Tap):
            found = node.ipv4 or node.ipv6
        elif isinstance(node, Plug):
            found = node.address4 or node.address6
        if found is None:
            if not self.validated.was_cut("nodes", target):
                self.complain(("ping",), f"node '{target}' has no address that could be pinged", "give it an 'ipv4'")
            return None
        return str(found.ip)

    def is_said(self, name: str) -> bool:
        """Whether the file has such a node, which something else is wrong with."""
        return name in self.validated.file.nodes

    def complain(self, path: tuple[str, ...], message: str, hint: str = "") -> None:
        place = find(self.validated.tree, ("checks", self.name, *path), key=not path)
        self.complaints.add(Code.CHECK, message, place, hint)
