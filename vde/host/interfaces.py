"""The interfaces of one network namespace: taps, bridges, veths, addresses, made and joined, and undone.

    with Interfaces("lab1") as interfaces:              # None: this process's network namespace
        interfaces.make_bridge("br0")
        interfaces.make_tap("tap0", owner="joe")
        interfaces.join("tap0", "br0")
        interfaces.add_address("br0", ip_interface("10.0.0.1/24"))
        for name in ("br0", "tap0"):
            interfaces.set_up(name)
        …                                               # at the end of the block all of it is taken back
        interfaces.keep()                               # unless this was called: persistent

What was there before is left as it was found: an interface that was joined goes back to its bridge of before (or none),
an address that it had already is not removed, nor is one set down that was up. What others have removed meanwhile is no
error. Nothing is undone after `kill -9`: what was made stays then, and `vde tap list` and `vde bridge list` show it.

Needs CAP_NET_ADMIN in the namespace, and says so. By rtnetlink (pyroute2) and /dev/net/tun; no program is run.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any, Literal, Self

from vde.errors import ConfigError
from vde.host import tap
from vde.host.namespaces import inside, open_namespace
from vde.host.privilege import lacking_net_admin

Address = IPv4Interface | IPv6Interface
Gateway = IPv4Address | IPv6Address
Kind = Literal["tap", "bridge"]
IFF_UP = 0x1  # linux/if.h
IFA_F_NODAD = 0x02  # linux/if_addr.h: usable at once, no duplicate address detection
MTU_LEAST, MTU_MOST = 68, 65521  # the kernel's, of taps


@dataclass(frozen=True)
class Interface:
    """An interface as it is now.

    Attributes:
        kind: the kernel's word: `tun` (taps too), `bridge`, `veth`, …; empty for a real card.
        bridge: the name of the bridge that it is joined to.
        owner: of a tap, who may open it.
        persistent: of a tap; None for others.
    """

    name: str
    kind: str
    is_up: bool
    has_carrier: bool
    mtu_octets: int
    mac: str
    bridge: str | None
    addresses: tuple[str, ...]
    owner: int | None = None
    group: int | None = None
    persistent: bool | None = None


class Interfaces:
    """See the module's text. Not for several threads at once; all calls are short and block."""

    def __init__(self, netns: str | None = None) -> None:
        """Open the namespace.

        Args:
            netns: name, process number or path, as `vde.host.namespaces.open_namespace` reads it.

        Raises:
            ConfigError: there is none, or it may not be entered.
        """
        from pyroute2 import IPRoute  # a fifth of a second, which commands without interfaces need not wait

        self._netns = netns
        self._undo: list[tuple[str, Callable[[], None]]] = []
        with inside(netns):
            self._route = IPRoute()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def keep(self) -> None:
        """Take nothing back."""
        self._undo.clear()

    def close(self) -> list[str]:
        """Take all back, last first; what could not be taken back, with the reason."""
        failed = []
        while self._undo:
            what, undo = self._undo.pop()
            try:
                undo()
            except (ConfigError, OSError) as error:
                failed.append(f"{what}: {error}")
        self._route.close()
        return failed

    # -- making -------------------------------------------------------------------------------------------------------

    def make_tap(self, name: str, owner: str | None = None, group: str | None = None, mac: str | None = None) -> str:
        """Make a tap that programs can open; its name (`%d` in `name` is a number that the kernel chooses).

        Without `owner` and `group` it is ours: a tap of nobody's is everybody's.

        Raises:
            ConfigError: there is one already, a name is wrong, or CAP_NET_ADMIN is missing.
        """
        with inside(self._netns):
            descriptor, made = tap.open_tap(name, new=True)
            try:
                tap.make_persistent(descriptor, str(os.getuid()) if owner is group is None else owner, group)
            finally:
                os.close(descriptor)
        self._undo.append((f"removing {made}", lambda: self.delete(made)))
        if mac is not None:
            self._link("set", made, address=mac)
        return made

    def make_bridge(
        self, name: str, *, stp: bool = False, vlan_filtering: bool = False, mac: str | None = None
    ) -> None:
        """Make a bridge of the kernel.

        Raises:
            ConfigError: as `make_tap`.
        """
        tap.check_name(name)
        settings: dict[str, Any] = {"br_stp_state": int(stp)}
        if vlan_filtering:  # the word alone is refused by kernels without it
            settings["br_vlan_filtering"] = 1
        if mac is not None:
            settings["address"] = mac
        with _explained(f"making the bridge {name!r}"):
            self._route.link("add", ifname=name, kind="bridge", **settings)
        self._undo.append((f"removing {name}", lambda: self.delete(name)))

    def make_veth(self, name: str, peer: str, peer_netns: str | None = None) -> None:
        """Make a pair of interfaces: what goes in at one comes out at the other, which may be in another namespace.

        Raises:
            ConfigError: as `make_tap`; or the other namespace is not there.
        """
        tap.check_name(name)
        settings: dict[str, Any] = {"ifname": tap.check_name(peer)}
        descriptor = -1
        try:
            if peer_netns is not None:
                settings["net_ns_fd"] = descriptor = open_namespace(peer_netns)
            with _explained(f"making the pair {name!r}, {peer!r}"):
                self._route.link("add", ifname=name, kind="veth", peer=settings)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        self._undo.append((f"removing {name}", lambda: self.delete(name)))

    def delete(self, name: str, kind: Kind | None = None) -> None:
        """Remove an interface; with `kind`, only if it is one.

        Raises:
            ConfigError: it is of another kind, cannot be removed, or CAP_NET_ADMIN is missing.
        """
        if kind is not None:
            found = self.find(name)
            if found is None:
                raise ConfigError(f"interface {name!r}: there is none")
            if not _is_a(found, kind):
                raise ConfigError(f"interface {name!r}: it is no {kind}" + (f", but {found.kind}" * bool(found.kind)))
        index = self._find_index(name)
        if index is not None:
            with _explained(f"removing {name!r}", gone_is_fine=True):
                self._route.link("del", index=index)

    # -- changing -----------------------------------------------------------------------------------------------------

    def join(self, interface: str, bridge: str) -> None:
        """Make an interface a port of a bridge.

        Raises:
            ConfigError: one of them is not there, `bridge` is no bridge, or CAP_NET_ADMIN is missing.
        """
        master = self.find(bridge)
        if master is None or master.kind != "bridge":
            raise ConfigError(f"bridge {bridge!r}: " + ("there is none" if master is None else "it is no bridge"))
        before = self._present(interface).bridge
        if before != bridge:
            self._link("set", interface, master=self._index(bridge))
            self._undo.append((f"taking {interface} out of {bridge}", lambda: self._back_to(interface, before)))

    def leave(self, interface: str, bridge: str) -> None:
        """Take an interface out of a bridge.

        Raises:
            ConfigError: it is not in it, or CAP_NET_ADMIN is missing.
        """
        before = self._present(interface).bridge
        if before != bridge:
            raise ConfigError(f"interface {interface!r} is " + (f"in {before!r}" if before else "in no bridge"))
        self._link("set", interface, master=0)
        self._undo.append((f"joining {interface} to {bridge}", lambda: self._back_to(interface, before)))

    def set_up(self, interface: str) -> None:
        """Bring it up.

        Raises:
            ConfigError: it is not there, or CAP_NET_ADMIN is missing.
        """
        if not self._present(interface).is_up:
            self._link("set", interface, state="up")
            self._undo.append((f"setting {interface} down", lambda: self._down(interface)))

    def set_mtu(self, interface: str, octets: int) -> None:
        """The largest packet that it takes.

        Raises:
            ConfigError: as `set_up`, or the interface cannot.
        """
        before = self._present(interface).mtu_octets
        if before != octets:
            self._link("set", interface, mtu=octets)
            self._undo.append((f"setting the MTU of {interface}", lambda: self._link("set", interface, mtu=before)))

    def set_mac(self, interface: str, mac: str) -> None:
        """Its Ethernet address.

        Raises:
            ConfigError: as `set_up`, or the interface cannot.
        """
        before = self._present(interface).mac
        if before != mac:
            self._link("set", interface, address=mac)
            self._undo.append((f"setting the MAC address of {interface}", lambda: self._mac(interface, before)))

    def add_address(self, interface: str, address: Address) -> bool:
        """Give it an address, usable at once; whether it did not have it.

        Raises:
            ConfigError: as `set_up`.
        """
        index = self._index(interface)
        settings: dict[str, Any] = {"address": str(address.ip), "prefixlen": address.network.prefixlen}
        flags = {"flags": IFA_F_NODAD} if address.version == 6 else {}
        try:
            with _explained(f"giving {interface!r} the address {address}"):
                self._route.addr("add", index=index, **settings, **flags)
        except FileExistsError:
            return False

        def take_back() -> None:
            with _explained(f"removing {address} from {interface!r}", gone_is_fine=True):
                self._route.addr("del", index=index, **settings)

        self._undo.append((f"removing {address} from {interface}", take_back))
        return True

    def add_default_route(self, gateway: Gateway) -> None:
        """Send what is for elsewhere to `gateway`.

        Raises:
            ConfigError: no interface has it in its network, there is such a route, or CAP_NET_ADMIN is missing.
        """
        settings = {"dst": "default", "gateway": str(gateway), "family": 2 if gateway.version == 4 else 10}  # AF_INET…6
        try:
            with _explained(f"the gateway {gateway}"):
                self._route.route("add", **settings)
        except FileExistsError:
            raise ConfigError(f"the gateway {gateway}: there is a default route already") from None

        def take_back() -> None:
            with _explained(f"removing the gateway {gateway}", gone_is_fine=True):
                self._route.route("del", **settings)

        self._undo.append((f"removing the gateway {gateway}", take_back))

    # -- looking ------------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Interface | None:
        """An interface as it is now; None: there is none."""
        return next((found for found in self.list() if found.name == name), None)

    def list(self, kind: Kind | None = None) -> Sequence[Interface]:
        """All of them, or those of one kind, in the kernel's order."""
        messages = list(self._route.get_links())
        names = {message["index"]: message.get_attr("IFLA_IFNAME") for message in messages}
        addresses: dict[int, list[str]] = {}
        for message in self._route.get_addr():
            local = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            addresses.setdefault(message["index"], []).append(f"{local}/{message['prefixlen']}")
        found = [_interface(message, names, addresses.get(message["index"], [])) for message in messages]
        return [one for one in found if kind is None or _is_a(one, kind)]

    def _present(self, name: str) -> Interface:
        found = self.find(name)
        if found is None:
            raise ConfigError(f"interface {name!r}: there is none")
        return found

    def _index(self, name: str) -> int:
        index = self._find_index(name)
        if index is None:
            raise ConfigError(f"interface {name!r}: there is none")
        return index

    def _find_index(self, name: str) -> int | None:
        found = self._route.link_lookup(ifname=name)
        return int(found[0]) if found else None

    def _link(self, command: str, interface: str, **settings: Any) -> None:
        shown = ", ".join(f"{key} {value}" for key, value in settings.items())
        with _explained(f"interface {interface!r} ({shown})"):
            self._route.link(command, index=self._index(interface), **settings)

    def _back_to(self, interface: str, bridge: str | None) -> None:
        if self._find_index(interface) is None:
            return
        master = 0 if bridge is None else self._find_index(bridge)
        if master is not None:
            self._link("set", interface, master=master)

    def _mac(self, interface: str, mac: str) -> None:
        if self._find_index(interface) is not None:
            self._link("set", interface, address=mac)

    def _down(self, interface: str) -> None:
        if self._find_index(interface) is not None:
            self._link("set", interface, state="down")


@contextmanager
def _explained(what: str, *, gone_is_fine: bool = False) -> Iterator[None]:
    """Netlink's errors in the project's words; "it exists" of an address or a route is `FileExistsError`."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except NetlinkError as error:
        number = int(error.code)
        if gone_is_fine and number in (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ESRCH):
            return
        if number in (errno.EPERM, errno.EACCES):
            raise ConfigError(lacking_net_admin(what)) from None
        if number == errno.EEXIST and what.startswith(("giving", "the gateway")):
            raise FileExistsError(what) from None
        raise ConfigError(f"{what}: {_MEANINGS.get(number) or os.strerror(number)}") from None


_MEANINGS = {
    errno.EEXIST: "there is an interface of that name",
    errno.EOPNOTSUPP: "this kernel cannot (a module is missing?)",
    errno.ENETUNREACH: "no interface is in its network",
    errno.EHOSTUNREACH: "no interface is in its network",
    errno.ENODEV: "it is gone",
}


def _is_a(interface: Interface, kind: Kind) -> bool:
    return interface.kind == "bridge" if kind == "bridge" else interface.persistent is not None


def _interface(message: Any, names: dict[int, str], addresses: Sequence[str]) -> Interface:
    name = message.get_attr("IFLA_IFNAME")
    details = message.get_attr("IFLA_LINKINFO")
    kind = (details.get_attr("IFLA_INFO_KIND") if details is not None else None) or ""
    facts: dict[str, Any] = {}
    if kind == "tun" and details is not None:
        data = details.get_attr("IFLA_INFO_DATA")
        if data is not None and data.get_attr("IFLA_TUN_TYPE") == 2:  # linux/if_tun.h: IFF_TAP
            persistent = data.get_attr("IFLA_TUN_PERSIST")
            facts = {
                "owner": data.get_attr("IFLA_TUN_OWNER"),
                "group": data.get_attr("IFLA_TUN_GROUP"),
                "persistent": bool(persistent),
            }
    return Interface(
        name=name,
        kind=kind,
        is_up=bool(message["flags"] & IFF_UP),
        has_carrier=bool(message.get_attr("IFLA_CARRIER")),
        mtu_octets=message.get_attr("IFLA_MTU"),
        mac=message.get_attr("IFLA_ADDRESS") or "",
        bridge=names.get(message.get_attr("IFLA_MASTER")),
        addresses=tuple(addresses),
        **facts,
    )
