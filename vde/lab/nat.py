"""The VNL of a `nat` node, made from what the file says about it (`plugs/nat.py` has the meaning of its options).

    {kind: nat, ipv4: 10.0.10.1/24, ports: ["8080:web:80"]}      nat://host=10.0.10.1\\/24/v4/tcpfwd=8080:10.0.10.11:80

An address family that the file does not give is off, unless it gives neither: then they are the plug's own.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address
from typing import Any

from vde.lab.diagnostics import did_you_mean, shown
from vde.lab.forms import FORWARD_PATTERN
from vde.lab.resolved import AnyNode, Nic, Station
from vde.vnl import quote

USUAL_IPV4 = IPv4Interface("10.0.2.2/24")  # libslirp's, and so the plug's
Complain = Callable[..., None]


def nat_vnl(name: str, said: Mapping[str, Any], nodes: Mapping[str, AnyNode], complain: Complain) -> str:
    """The VNL; `complain` gets the key and the sentence of what is wrong."""
    ipv4, ipv6 = said.get("ipv4"), said.get("ipv6")
    options: list[str] = []
    if ipv4 is not None:
        options.append(f"host={quote(str(ipv4))}")
    if ipv6 is not None:
        options.append(f"host6={quote(str(ipv6))}")
    if ipv4 is not None and ipv6 is None:
        options.append("v4")
    if ipv6 is not None and ipv4 is None:
        options.append("v6")
    options += [f"{key}=off" for key in ("dhcp", "dns") if said.get(key) is False]
    if (engine := said.get("engine")) not in (None, "auto"):
        options.append(f"engine={engine}")
    networks = [interface.network for interface in (ipv4, ipv6) if interface is not None] or [USUAL_IPV4.network]
    forwards: dict[str, list[str]] = {"tcp": [], "udp": []}
    for text in said.get("ports") or ():
        found = re.fullmatch(FORWARD_PATTERN, text)
        assert found is not None, "the form was checked"
        target = _target(name, found["node"], nodes, networks, complain)
        if target is not None:
            host = f"{found['host']}:" if found["host"] else ""
            forwards[found["proto"] or "tcp"].append(f"{host}{found['port']}:{target}:{found['to']}")
    options += [f"{proto}fwd={quote(','.join(items))}" for proto, items in forwards.items() if items]
    return "nat://" + "".join(f"/{option}" for option in options)


def _target(name: str, node: str, nodes: Mapping[str, AnyNode], networks: list[Any], complain: Complain) -> str | None:
    """The address, in brackets if it is one of IPv6."""
    if node.startswith("[") or node not in nodes:
        try:
            return _shown(ip_address(node.strip("[]")))
        except ValueError:
            hint = did_you_mean(node, nodes) or "write [HOST:]PORT:NODE:PORT"
            complain("ports", f"'ports' of node '{name}': there is no node {shown(node)}", hint)
            return None
    for address in addresses(nodes[node]):
        if any(address.ip in network for network in networks):
            return _shown(address.ip)
    where = " and ".join(map(str, networks))
    complain("ports", f"'ports' of node '{name}': node '{node}' has no address in {where}", f"give '{node}' an 'ipv4'")
    return None


def addresses(node: AnyNode) -> list[IPv4Interface | IPv6Interface]:
    """Those that a node has by the file."""
    nics: tuple[Nic, ...] = node.nics if isinstance(node, Station) else ()
    return [address for nic in nics for address in (nic.ipv4, nic.ipv6) if address is not None]


def _shown(address: Any) -> str:
    return f"[{address}]" if isinstance(address, IPv6Address) else str(address)
