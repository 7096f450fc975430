"""Host interfaces of `tap` nodes: whether we may have them, and their addresses. The only place that needs a privilege.

The switch opens the interface itself (`-t`). One that does not exist is made by that and vanishes with the switch, so
nothing is left behind even after `kill -9`. To make it, and to give it addresses, takes CAP_NET_ADMIN. Without: have an
administrator make it once, with its address, for the user (`ip tuntap add IF mode tap user NAME`); it is used as it is.
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Any

from vde.lab.errors import LabFailed
from vde.lab.resolved import Tap

TUN_DEVICE = Path("/dev/net/tun")
CAP_NET_ADMIN = 12  # linux/capability.h
Address = IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class Host:
    """What decides whether a tap can be had.

    Attributes:
        is_admin: this process has CAP_NET_ADMIN.
        tun_writable: /dev/net/tun can be opened.
        owners: the user who owns each persistent tap of the host, None for interfaces of other kinds.
        uid: who we are.
    """

    is_admin: bool
    tun_writable: bool
    owners: dict[str, int | None]
    uid: int


def survey(interfaces: Sequence[str]) -> Host:
    """Look at the host."""
    status = Path("/proc/self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    owners: dict[str, int | None] = {}
    for interface in interfaces:
        place = Path("/sys/class/net") / interface
        if place.exists():
            try:
                owners[interface] = int((place / "owner").read_text())
            except (OSError, ValueError):
                owners[interface] = None if not (place / "tun_flags").exists() else -1
    return Host(
        is_admin=bool(effective >> CAP_NET_ADMIN & 1),
        tun_writable=os.access(TUN_DEVICE, os.R_OK | os.W_OK),
        owners=owners,
        uid=os.geteuid(),
    )


def require(taps: Sequence[Tap], host: Host) -> None:
    """See that all taps can be had, before anything is started.

    Raises:
        LabFailed: says which cannot, why, and what would help.
    """
    problems = []
    for tap in taps:
        name, what = tap.interface, f"tap '{tap.name}'"
        addresses = " ".join(str(address) for address in (tap.ipv4, tap.ipv6) if address is not None)
        if not host.tun_writable:
            problems.append(f"{what}: {TUN_DEVICE} cannot be opened: load the module tun, or ask for access to it")
        elif name in host.owners and host.owners[name] is None:
            problems.append(f"{what}: the host's interface {name} exists and is no tap: choose another 'interface'")
        elif host.is_admin or (host.owners.get(name) == host.uid and not addresses):
            continue
        elif host.owners.get(name) == host.uid:
            problems.append(
                f"{what}: setting {addresses} on {name} takes CAP_NET_ADMIN: let the administrator set the address, "
                "and remove it from the file"
            )
        else:
            problems.append(
                f"{what}: making the interface {name} takes CAP_NET_ADMIN: run as root, or let the administrator make "
                f"it once: ip tuntap add {name} mode tap user {host.uid}; ip link set {name} up"
                + (f"; ip addr add {addresses.split()[0]} dev {name}" if addresses else "")
            )
    if problems:
        raise LabFailed("\n".join(problems))


def configure(tap: Tap, *, is_admin: bool) -> list[Address]:
    """Bring the interface up and set its addresses; without privilege it stays as the administrator made it.

    Returns:
        The addresses that it did not have before.

    Raises:
        LabFailed: the kernel refused.
    """
    if not is_admin:
        return []
    from pyroute2 import IPRoute  # a fifth of a second, which labs without taps need not wait
    from pyroute2.netlink.exceptions import NetlinkError

    added: list[Address] = []
    try:
        with IPRoute() as route:
            index = _index(route, tap.interface)
            if index is None:
                raise LabFailed(f"tap '{tap.name}': the switch did not open {tap.interface}")
            route.link("set", index=index, state="up")
            wanted = [address for address in (tap.ipv4, tap.ipv6) if address is not None]
            added.extend(address for address in wanted if _address(route, "add", index, address))
    except NetlinkError as error:
        raise LabFailed(f"tap '{tap.name}': {tap.interface}: {error.args[-1]}") from None
    return added


def remove_addresses(interface: str, addresses: Sequence[Address]) -> None:
    """Take back what `configure` added, if the interface is still there: one of ours vanished with the switch."""
    if not addresses:
        return
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with contextlib.suppress(NetlinkError), IPRoute() as route:
        index = _index(route, interface)
        for address in addresses if index is not None else ():
            _address(route, "del", index, address)


def _index(route: Any, interface: str) -> int | None:
    found = route.link_lookup(ifname=interface)
    return int(found[0]) if found else None


def _address(route: Any, command: str, index: int | None, address: Address) -> bool:
    """Whether it made a difference."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        route.addr(command, index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
    except NetlinkError as error:
        if error.code in (errno.EEXIST, errno.EADDRNOTAVAIL, errno.ENODEV):
            return False
        raise
    return True
