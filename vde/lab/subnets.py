"""Whether the lab's addresses can work: unique where frames meet, gateways within reach, host interfaces used once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vde.lab.diagnostics import Code, Complaints
from vde.lab.document import Keys, find
from vde.lab.resolved import AnyNode, Cable, Plug, Tap, Wire
from vde.lab.resolved import Station as AnyStation
from vde.lab.validate import Validated


@dataclass(frozen=True)
class Station:
    """An interface that is plugged in."""

    node: str
    interface: str
    segment: str
    mac: str | None
    addresses: tuple[IPv4Address | IPv6Address, ...]


def check_addresses(validated: Validated, nodes: Mapping[str, AnyNode], complaints: Complaints) -> None:
    """Complain about what cannot work."""
    domains = _domains(nodes)
    seen: dict[tuple[str, str], Station] = {}
    for station in _stations(nodes):
        domain = domains.get(station.segment, station.segment)
        for what, value in [("MAC", station.mac), *(("IP", str(address)) for address in station.addresses)]:
            if value is None:
                continue
            other = seen.setdefault((domain, value), station)
            if other is not station:
                key = "nics" if what == "MAC" else ("ipv6" if ":" in value else "ipv4")
                complaints.add(
                    Code.ADDRESS_CONFLICT,
                    f"{station.interface} of '{station.node}' has the address {value} of "
                    f"{other.interface} of '{other.node}', which is on the same segment",
                    find(validated.tree, _path(station.node, key, validated)),
                )
    for node in nodes.values():
        if isinstance(node, AnyStation) and node.gateway is not None:
            _check_gateway(validated, node, complaints)
    _check_taps(validated, nodes, complaints)


def _path(node: str, key: str, validated: Validated) -> Keys:
    own = validated.file.nodes.get(node) if isinstance(validated.file.nodes, dict) else None
    return ("nodes", node, key) if own is not None and getattr(own, key, None) is not None else ("nodes", node)


def _check_gateway(validated: Validated, guest: AnyStation, complaints: Complaints) -> None:
    gateway = guest.gateway
    interfaces = [address for nic in guest.nics for address in (nic.ipv4, nic.ipv6) if address is not None]
    if not any(gateway in interface.network for interface in interfaces):
        networks = ", ".join(str(interface.network) for interface in interfaces) or "it has no address"
        complaints.add(
            Code.ADDRESS_CONFLICT,
            f"'gateway' of node '{guest.name}' is {gateway}, which is in none of its networks ({networks})",
            find(validated.tree, _path(guest.name, "gateway", validated)),
        )


def _check_taps(validated: Validated, nodes: Mapping[str, AnyNode], complaints: Complaints) -> None:
    owners: dict[str, str] = {}
    for node in nodes.values():
        if isinstance(node, Tap) and owners.setdefault(node.interface, node.name) != node.name:
            complaints.add(
                Code.INTERFACE_TAKEN,
                f"tap '{node.name}' is {node.interface} on the host, as tap '{owners[node.interface]}' is",
                find(validated.tree, _path(node.name, "interface", validated)),
            )


def _stations(nodes: Mapping[str, AnyNode]) -> Iterator[Station]:
    for node in nodes.values():
        if isinstance(node, AnyStation):
            for nic in node.nics:
                if nic.attachment:
                    addresses = tuple(address.ip for address in (nic.ipv4, nic.ipv6) if address is not None)
                    yield Station(node.name, nic.interface, nic.attachment.segment, nic.mac, addresses)
        elif isinstance(node, Tap):
            addresses = tuple(address.ip for address in (node.ipv4, node.ipv6) if address is not None)
            yield Station(node.name, node.interface, node.segment, None, addresses)
        elif isinstance(node, Plug):
            addresses = tuple(address.ip for address in (node.address4, node.address6) if address is not None)
            yield Station(node.name, "the gateway", node.attachment.segment, None, addresses)


def _domains(nodes: Mapping[str, AnyNode]) -> dict[str, str]:
    """Segments that cables join, directly or not, get the same name."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while name in parents:
            name = parents[name]
        return name

    for node in nodes.values():
        if isinstance(node, Cable | Wire):
            one, other = (root(end.segment) for end in node.ends)
            if one != other:
                parents[one] = other
    return {name: root(name) for name in nodes}
