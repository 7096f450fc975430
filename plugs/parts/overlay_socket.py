"""The UDP sockets of vxlan:// and vxvde://: addresses from text, multicast membership, interfaces that go away.

Sources: ip(7), ipv6(7), RFC 3493 §5.2; netlink(7) and rtnetlink(7) for RTM_DELLINK.
"""

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator

import trio

from vde.errors import ConfigError, LinkBroken

Place = tuple[str, int] | tuple[str, int, int, int]
"""A socket address: host, port; IPv6: flow information, scope as well."""

IP_MREQN = struct.Struct("=4s4si")  # ip(7): imr_multiaddr, imr_address, imr_ifindex
IPV6_MREQ = struct.Struct("=16si")  # ipv6(7): ipv6mr_multiaddr, ipv6mr_interface
UDP_NO_CHECK6_RX = 102  # linux/udp.h; RFC 6936: tunnels may send no checksum
RTMGRP_LINK = 1  # linux/rtnetlink.h
RTM_DELLINK = 17
NLMSGHDR = struct.Struct("=IHHII")  # netlink(7): length, type, flags, sequence, port
IFINFOMSG = struct.Struct("=BxHiII")  # rtnetlink(7): family, type, index, flags, change


async def resolve(host: str, port: int, family: socket.AddressFamily, interface: int) -> Place:
    """The first address of a host or group; `interface` is the scope of link-local ones, 0: none was named.

    Raises:
        ConfigError: an address of the other family.
        LinkBroken: the name cannot be resolved (now).
    """
    try:
        found = await trio.socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)
    except OSError as error:
        if error.args[0] in (socket.EAI_ADDRFAMILY, socket.EAI_NODATA, socket.EAI_FAMILY):
            wanted = "IPv6" if family is socket.AF_INET6 else "IPv4"
            raise ConfigError(f"{host!r} has no {wanted} address") from None
        raise LinkBroken(f"{host!r} cannot be resolved: {error.args[-1]}") from None
    place: Place = found[0][4]  # type: ignore[assignment] # no (int, bytes): IP
    if len(place) == 4 and not place[3] and _is_link_local(place[0]):
        if not interface:
            raise ConfigError(f"{host!r} is link-local: if=INTERFACE names its link")
        return place[0], place[1], place[2], interface
    return place


def family_of(hosts: list[str], *, v4: bool, v6: bool) -> socket.AddressFamily:
    """IPv4 or IPv6: as said, or as the (numeric) addresses are; otherwise IPv4.

    Raises:
        ConfigError: both are asked for.
    """
    if v4 and v6:
        raise ConfigError("the options v4 and v6 exclude each other")
    if v6 or (not v4 and any(":" in host for host in hosts)):
        return socket.AF_INET6
    return socket.AF_INET


def is_multicast(place: Place) -> bool:
    """Is this a group's address?"""
    octets = _octets(place)
    return octets[0] == 0xFF if len(octets) == 16 else octets[0] >> 4 == 0xE  # RFC 4291 §2.7, RFC 1112 §4


def interface_number(name: str | None) -> int:
    """An interface's index; 0 for None.

    Raises:
        LinkBroken: it is not there.
    """
    if name is None:
        return 0
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise LinkBroken(f"the interface {name!r} is not there") from None


@contextlib.contextmanager
def open_udp(place: Place, *, rcvbuf: int | None = None, shared: bool = False) -> Iterator[socket.socket]:
    """A non-blocking UDP socket bound to `place`; `shared`: others of this host may bind the same.

    Raises:
        ConfigError: the address is in use, or not this host's.
    """
    family = socket.AF_INET6 if len(place) == 4 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as udp:
        if family is socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            udp.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_RX, 1)
        if shared:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if rcvbuf is not None:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        try:
            udp.bind(place)
        except OSError as error:
            hint = ""
            if error.errno == errno.EADDRINUSE:
                hint = ": another program, or the kernel's own vxlan device, has it; the option port chooses another"
            raise ConfigError(f"UDP {place[0]} port {place[1]}: {error.strerror}{hint}") from None
        yield udp


def join(udp: socket.socket, group: Place, interface: int) -> None:
    """Receive what is sent to a group.

    Raises:
        ConfigError: no interface leads there.
    """
    try:
        if len(group) == 4:
            member = IPV6_MREQ.pack(_octets(group), interface)
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        else:
            member = IP_MREQN.pack(_octets(group), bytes(4), interface)
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    except OSError as error:
        raise ConfigError(
            f"the group {group[0]} cannot be joined: {error.strerror}; if=INTERFACE names the way to it"
        ) from None


def prepare_sending(udp: socket.socket, *, ttl: int, interface: int, loop: bool, unicast_ttl: bool = False) -> None:
    """How datagrams to groups leave; `loop`: this host's other members get them too."""
    if udp.family is socket.AF_INET6:
        level, options = socket.IPPROTO_IPV6, (socket.IPV6_MULTICAST_HOPS, socket.IPV6_MULTICAST_LOOP)
        if interface:
            udp.setsockopt(level, socket.IPV6_MULTICAST_IF, interface)
        if unicast_ttl:
            udp.setsockopt(level, socket.IPV6_UNICAST_HOPS, ttl)
    else:
        level, options = socket.IPPROTO_IP, (socket.IP_MULTICAST_TTL, socket.IP_MULTICAST_LOOP)
        if interface:
            udp.setsockopt(level, socket.IP_MULTICAST_IF, IP_MREQN.pack(bytes(4), bytes(4), interface))
        if unicast_ttl:
            udp.setsockopt(level, socket.IP_TTL, ttl)
    udp.setsockopt(level, options[0], ttl)
    udp.setsockopt(level, options[1], loop)


def source_towards(group: Place, interface: int) -> str:
    """The address of this host that datagrams to `group` come from.

    Raises:
        ConfigError: no interface leads there.
    """
    family = socket.AF_INET6 if len(group) == 4 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        prepare_sending(probe, ttl=1, interface=interface, loop=False)
        try:
            probe.connect(group)
        except OSError as error:
            raise ConfigError(f"{group[0]}: {error.strerror}; if=INTERFACE or bind=ADDRESS names the way") from None
        host: str = probe.getsockname()[0]
        return host


class InterfaceWatch:
    """Hears of interfaces that go away."""

    def __init__(self, interface: int) -> None:
        """`interface`: 0 watches nothing."""
        self._interface = interface
        self.socket: socket.socket | None = None
        if interface:
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
            self.socket.bind((0, RTMGRP_LINK))

    def is_gone(self) -> bool:
        """Has it gone away, as far as is told by now?"""
        while self.socket is not None:
            try:
                message = self.socket.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # others were told in the meantime; ours is told to sendto
                    raise
                continue
            if len(message) >= NLMSGHDR.size + IFINFOMSG.size:
                kind = NLMSGHDR.unpack_from(message)[1]
                index = IFINFOMSG.unpack_from(message, NLMSGHDR.size)[2]
                if kind == RTM_DELLINK and index == self._interface:
                    return True
        return False

    def close(self) -> None:
        """Watch no more."""
        if self.socket is not None:
            self.socket.close()


def _octets(place: Place) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if len(place) == 4 else socket.AF_INET, place[0].partition("%")[0])


def _is_link_local(host: str) -> bool:
    octets = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return octets[:2] == b"\xfe\x80" or (octets[0] == 0xFF and octets[1] & 0x0F <= 2)  # RFC 4291 §2.5.6, §2.7
