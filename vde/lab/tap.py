"""Host interfaces of `tap` and `bridge` nodes: whether we may have them, and their addresses.

The only place of a lab that needs a privilege.
The switch opens the interface itself (`-t`). One that does not exist is made by that and vanishes with the switch, so
nothing is left behind even after `kill -9`. To make it, and to give it addresses, takes CAP_NET_ADMIN. Without: have an
administrator make it once, with its address, for the user (`ip tuntap add IF mode tap user NAME`); it is used as it is.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vde.errors import ConfigError
from vde.lab.errors import LabFailed
from vde.lab.resolved import Tap

TUN_DEVICE = Path("/dev/net/tun")
CAP_NET_ADMIN = 12  # linux/capability.h


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
        name, what = tap.interface, f"{tap.kind} '{tap.name}'"
        addresses = " ".join(str(address) for address in (tap.ipv4, tap.ipv6) if address is not None)
        if not host.tun_writable:
            problems.append(f"{what}: {TUN_DEVICE} cannot be opened: load the module tun, or ask for access to it")
        elif name in host.owners and host.owners[name] is None:
            problems.append(f"{what}: the host's interface {name} exists and is no tap: choose another 'interface'")
        elif tap.bridge is not None and not host.is_admin:
            problems.append(
                f"{what}: joining {tap.bridge} takes CAP_NET_ADMIN: run as root; without privilege, a node "
                "of kind 'nat' reaches the host's networks"
            )
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


class HostEnd:
    """What was done to the host's interfaces for one tap, so that it can be undone.

    Attributes:
        text: the addresses, for `vde ps`.
    """

    def __init__(self, interfaces: Any = None, text: str = "") -> None:
        self._interfaces = interfaces
        self.text = text

    def undo(self) -> None:
        """Leave everything as it was. What has gone already, as one of ours has with the switch, is no error."""
        if self._interfaces is not None:
            self._interfaces.close()


def configure(tap: Tap, *, is_admin: bool) -> HostEnd:
    """Bring the interface up, join it to its bridge (made if there is none), and set the addresses.

    Without privilege a tap stays as the administrator made it.

    Raises:
        LabFailed: the kernel refused.
    """
    if not is_admin:
        return HostEnd()
    from vde.host.interfaces import Interfaces

    owner = tap.interface if tap.bridge is None else tap.bridge
    try:
        interfaces = Interfaces()
        try:
            if interfaces.find(tap.interface) is None:
                raise LabFailed(f"{tap.kind} '{tap.name}': the switch did not open {tap.interface}")
            if tap.bridge is not None:
                if interfaces.find(tap.bridge) is None:
                    interfaces.make_bridge(tap.bridge)
                interfaces.join(tap.interface, tap.bridge)
                interfaces.set_up(tap.bridge)
            interfaces.set_up(tap.interface)
            wanted = [address for address in (tap.ipv4, tap.ipv6) if address is not None]
            added = [address for address in wanted if interfaces.add_address(owner, address)]
        except BaseException:
            interfaces.close()
            raise
    except ConfigError as error:
        raise LabFailed(f"{tap.kind} '{tap.name}': {error}") from None
    where = [f"in {tap.bridge}"] if tap.bridge is not None else []
    return HostEnd(interfaces, " ".join(where + [str(address) for address in added]))
