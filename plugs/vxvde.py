"""vxvde:// — a cloud: everybody who names the same multicast group, port and VNI is on one Ethernet, hosts and all.

    vxvde://                          group 239.0.0.1 (with v6: ff05:56de::1), port 14789, VNI 1
    vxvde://234.0.0.1/vni=7/if=eth0
    vxvde:///grp=students             the group's last three octets and the VNI are the number of a Unix group;
    vxvde:///grp=                     with no name: that of this process

Datagrams are those of vxlan:// (RFC 7348 §5), but any number of members may run on one host. A member has two sockets:
one bound to the multicast group, that only receives; and one with a port of its own (the kernel's choice), from which
everything is sent, and to which others send once they know an address behind it. At the end a member sends the header
alone to the group: the others forget what they learned from it. The header's 64 bits must be as expected: reserved
bits are 0.

A member knows copies of its own datagrams by their source address and port. So that these are certain, the second
socket is bound to the address that leads to the group (or to `bind`), as of when the link was opened; when this host
gets another address instead, the link breaks.

Peer: libvdeplug's vxvde plug. Differences, on purpose: the table keeps `hashsize` addresses whatever their hash; an
Unix group that does not exist is an error.

Limits: members are not authenticated, nothing is encrypted; whoever reaches the group is in. A frame of more than the
network's MTU less 50 (IPv6: 70) octets is sent in IP fragments. The ttl holds for unicast as well.
"""

import errno
import grp
import os
import select
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from plugs.parts.overlay_socket import (
    InterfaceWatch,
    Place,
    family_of,
    interface_number,
    is_multicast,
    join,
    open_udp,
    prepare_sending,
    resolve,
    source_towards,
)
from vde.descriptor_link import DescriptorLink
from vde.errors import ConfigError, LinkBroken
from vde.frame import MTU_OCTETS
from vde.link import Link
from vde.overlay import VNI_MAX, VXLAN_OCTETS, Overlay
from vde.plugspec import PlugSpec, Surroundings, option

SECOND_NS = 1_000_000_000
DEFAULT_GROUP = {socket.AF_INET: "239.0.0.1", socket.AF_INET6: "ff05:56de::1"}  # libvdeplug_vxvde(1)
BROKEN = (errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL, errno.EINVAL)


@dataclass(frozen=True)
class Params:
    """Options of vxvde://."""

    port: int = option(14789, "UDP port of the group", least=1, most=65535)
    vni: str | None = option(None, "network identifier, or a Unix group's name: its number (default 1, or grp's)")
    ttl: int = option(1, "how many routers datagrams may pass, plus one", least=1, most=255)
    rcvbuf: int | None = option(None, "sockets' receive buffer", least=1, most=1 << 30, unit="octets")
    v4: bool = option(False, "the default group is IPv4's")
    v6: bool = option(False, "the default group is IPv6's")
    hashsize: int = option(1024, "most addresses in the table", least=1, most=65536)
    expiretime: int = option(128, "how long an address is known", least=1, most=1 << 31, unit="seconds")
    if_: str | None = option(None, "interface that multicast uses")
    grp: str | None = option(None, "Unix group, name or number: sets the group's last three octets, and the VNI")
    bind: str | None = option(None, "address of this host to send from")


def _gid(name: str) -> int:
    with suppress(ValueError):
        return int(name, 0)
    try:
        return grp.getgrnam(name).gr_gid if name else os.getegid()
    except KeyError:
        raise ConfigError(f"vxvde://: there is no Unix group {name!r}") from None


def network_identifier(params: Params) -> int:
    """The VNI that the options name. Raises `ConfigError`."""
    number = 1
    if params.vni is not None:
        number = _gid(params.vni)
    elif params.grp is not None:
        number = _gid(params.grp) & VNI_MAX
    if not 0 <= number <= VNI_MAX:
        raise ConfigError(f"vxvde://: vni {number}: 0 to {VNI_MAX} are possible")
    return number


def group_of(text: str, gid: int) -> str:
    """The group's address with a Unix group's number as its last three octets."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        octets = socket.inet_pton(family, text)
    except OSError:
        raise ConfigError(f"vxvde://{text}: with grp, a numeric multicast address was expected") from None
    return socket.inet_ntop(family, octets[:-3] + (gid & VNI_MAX).to_bytes(3))


class VxvdeLink(DescriptorLink):
    """One member."""

    mtu_octets = MTU_OCTETS

    def __init__(
        self,
        everybody: socket.socket,
        own: socket.socket,
        watch: InterfaceWatch,
        ready: select.epoll,
        group: Place,
        interface: int,
        overlay: Overlay[Place],
        now_ns: Callable[[], int],
    ) -> None:
        super().__init__(ready.fileno(), own.fileno())
        self._sockets = [everybody, own]
        self._own = own
        self._own_place: Place = own.getsockname()
        self._watch = watch
        self._group = group
        self._interface = interface
        self._overlay = overlay
        self._now_ns = now_ns

    def _read(self) -> bytes | None:
        self._sockets.reverse()  # neither can keep the other from being read
        try:
            datagram, sender = self._sockets[0].recvfrom(MTU_OCTETS + VXLAN_OCTETS + 1)
        except BlockingIOError:
            try:
                datagram, sender = self._sockets[1].recvfrom(MTU_OCTETS + VXLAN_OCTETS + 1)
            except BlockingIOError:
                if self._watch.is_gone():
                    raise LinkBroken("the interface has gone away") from None
                raise
        if sender[:2] == self._own_place[:2]:
            return None
        found = self._overlay.receive(datagram, sender, self._now_ns())
        if isinstance(found, str):
            if found != "leave":
                self.counters.drop_in(found)
            return None
        return found

    def _read_failed(self, error: OSError) -> None:
        if error.errno in BROKEN:
            raise LinkBroken(f"the network has gone away: {error.strerror}") from error

    def _write(self, frame: bytes) -> None:
        known = self._overlay.destination(frame, self._now_ns())
        self._own.sendto(self._overlay.header + frame, known or self._group)

    def _write_failed(self, error: OSError) -> None:
        if error.errno in BROKEN or (error.errno == errno.ENETUNREACH and self._has_other_source()):
            raise LinkBroken(f"datagrams cannot leave from {self._own_place[0]}: {error.strerror}") from error
        super()._write_failed(error)

    def _has_other_source(self) -> bool:
        """Is there a way to the group, if not from our address?"""
        try:
            source_towards(self._group, self._interface)
        except ConfigError:
            return False
        return True

    def leave(self) -> None:
        """Tell the others that we go."""
        with suppress(OSError):
            self._own.sendto(self._overlay.header, self._group)

    def state(self) -> dict[str, str | int | float | bool | None]:
        """Where it is, and how much it knows."""
        host, port = self._own_place[:2]
        return {"group": self._group[0], "address": host, "port": port, "addresses": len(self._overlay.table)}


@asynccontextmanager
async def open_vxvde(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the multicast group; empty: the default one."""
    family = family_of([address, params.bind or ""], v4=params.v4, v6=params.v6)
    host = address or DEFAULT_GROUP[family]
    if params.grp is not None:
        host = group_of(host, _gid(params.grp))
    interface = interface_number(params.if_)
    group = await resolve(host, params.port, family, interface)
    if not is_multicast(group):
        raise ConfigError(f"vxvde://{address}: {group[0]} is no multicast group; vxlan:// knows single peers")
    overlay: Overlay[Place] = Overlay(
        network_identifier(params),
        limit=params.hashsize,
        expire_ns=params.expiretime * SECOND_NS,
        strict=True,
        leaves=True,
    )
    source = await resolve(params.bind or source_towards(group, interface), 0, family, interface)
    with ExitStack() as stack:
        everybody = stack.enter_context(open_udp(group, rcvbuf=params.rcvbuf, shared=True))
        join(everybody, group, interface)
        own = stack.enter_context(open_udp(source, rcvbuf=params.rcvbuf))
        prepare_sending(own, ttl=params.ttl, interface=interface, loop=True, unicast_ttl=family is socket.AF_INET)
        watch = InterfaceWatch(interface)
        stack.callback(watch.close)
        ready = stack.enter_context(select.epoll())
        for one in (everybody, own, watch.socket):
            if one is not None:
                ready.register(one, select.EPOLLIN)
        link = VxvdeLink(everybody, own, watch, ready, group, interface, overlay, surroundings.now_ns)
        stack.callback(link.end)
        stack.callback(link.leave)
        yield link


PLUG = PlugSpec("vxvde", open_vxvde, Params, syntax="vxvde://[GROUP][/OPTION…]")
