"""udp://[[HOST:]PORT->]HOST:PORT — a frame a UDP datagram, without any header.

    udp://:5000->10.0.0.2:5000             to one peer, which says udp://:5000->OUR-ADDRESS:5000
    udp://[::1]:5000->[::1]:5001           IPv6 addresses in brackets
    udp://239.0.0.7:5000                   everybody in a multicast group; also [ff05::7]:5000
    udp://239.0.0.7:5000/if=eth1/ttl=4

**To one peer** both ends are static. What comes from another address is not seen (the socket is connected). A peer that
is not there yet is no error: what is sent is lost, as on any network. An empty datagram (vde_plug's farewell) is passed
over. The link can be handed over to a forwarder.

**In a group** everybody's frames reach everybody else, several programs on one machine included; one's own do not
come back. QEMU's `-netdev socket,mcast=239.0.0.7:5000` joins.

Shown with: Debian's vde_plug (IPv4); QEMU's `socket,mcast=` and `dgram` networks (a group).
Limits: frames of up to 9234 octets; longer ones are dropped and counted (`oversize`). Above the path's MTU, IP
fragments. Neither encryption nor authentication: see dtls://. Host names are looked up once, when the link is opened.
"""

import ipaddress
import os
import re
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio

from plugs.parts.places import widen
from vde import arrival
from vde.descriptor_link import DescriptorLink
from vde.endpoint import EndpointKind, HandedOver
from vde.errors import ConfigError, LinkBroken
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings, option

PLACE = re.compile(r"(?:(?:\[([^]]*)\]|([^:\[\]]*)):)?([0-9]{1,5})")
Place = tuple[str, int]
SocketAddress = tuple[Any, ...]


@dataclass(frozen=True)
class Params:
    """Options; all of them are the multicast form's."""

    if_: str | None = option(None, "multicast: interface; else the one of the route to the group")
    ttl: int = option(1, "multicast: routers that a frame may pass, and one more", least=0, most=255)


class UdpLink(DescriptorLink):
    """To one peer. Owns its socket."""

    def __init__(self, sock: socket.socket, sender: socket.socket | None = None) -> None:
        """`sock`: connected, or `sender` is."""
        self._socket = sock
        self._sender = sender or sock
        for one in (self._socket, self._sender):
            one.setblocking(False)
        super().__init__(sock.fileno(), write_fd=self._sender.fileno())

    def note_arrivals(self) -> bool:
        """As `Link.note_arrivals`."""
        self._stamped = self._stamped or arrival.stamp(self._socket)
        return self._stamped

    def _read(self) -> bytes | None:
        if self._stamped:
            frame, self._stamp_ns = arrival.receive(self._socket, self.mtu_octets + 1)
            return frame or None
        return self._socket.recv(self.mtu_octets + 1) or None

    def _read_failed(self, error: OSError) -> None:
        """An ICMP error about an earlier datagram of ours: the peer may come back."""

    def _write(self, frame: bytes) -> None:
        self._sender.send(frame)

    @property
    def handed_kind(self) -> EndpointKind | None:
        """As `Link.handed_kind`."""
        return EndpointKind.DATAGRAM

    def hand_over(self) -> HandedOver | None:
        """As `Link.hand_over`."""
        return HandedOver(os.dup(self._fd), EndpointKind.DATAGRAM)

    def take_back(self) -> bool:
        """As `Link.take_back`."""
        return True

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"local": _shown(self._socket.getsockname()), "peer": _shown(self._socket.getpeername())}

    def close(self) -> None:
        """For whoever made it."""
        self.end()
        self._socket.close()
        self._sender.close()


class GroupLink(UdpLink):
    """To a multicast group: `sock` receives, another one sends, by whose address our own frames are known."""

    def __init__(self, sock: socket.socket, sender: socket.socket) -> None:
        """`sender`: connected to the group."""
        super().__init__(sock, sender)
        self._own = sender.getsockname()[:2]

    def note_arrivals(self) -> bool:
        """No: who sent a frame must be known as well."""
        return False

    def _read(self) -> bytes | None:
        frame, source = self._socket.recvfrom(self.mtu_octets + 1)
        return None if source[:2] == self._own else frame or None

    def hand_over(self) -> HandedOver | None:
        """No: a forwarder's endpoint is one descriptor."""
        return None

    def take_back(self) -> bool:
        """Nothing was given."""
        return False

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"local": _shown(self._own), "group": _shown(self._sender.getpeername())}


@asynccontextmanager
async def open_udp(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: what follows `udp://`, up to the options."""
    source, destination = read_address(address)
    family, target = await _resolve(destination, address)
    is_group = ipaddress.ip_address(target[0].partition("%")[0]).is_multicast
    if is_group and source is not None:
        raise ConfigError(f"udp://{address}: {target[0]} is a multicast group: udp://HOST:PORT was expected")
    if not is_group and source is None:
        raise ConfigError(f"udp://{address}: {_FORMS} was expected; HOST alone only if it is a multicast group")
    try:
        if is_group:
            link = _open_group(family, target, params)
        else:
            assert source is not None
            link = await _open_peer(family, source, target, address)
    except OSError as error:
        raise ConfigError(f"udp://{address}: {error.strerror}") from error
    try:
        yield link
    finally:
        link.close()


_FORMS = "[[HOST:]PORT->]HOST:PORT"


def read_address(address: str) -> tuple[Place | None, Place]:
    """Where we are (None: not said) and where the peer or the group is.

    Raises:
        ConfigError: it is none of the forms.
    """
    here, arrow, there = address.rpartition("->")
    destination = _read_place(there)
    source = _read_place(here) if arrow else None
    if destination is None or not destination[0] or (arrow and source is None):
        raise ConfigError(f"udp://{address}: {_FORMS} was expected")
    return source, destination


def _read_place(text: str) -> Place | None:
    found = PLACE.fullmatch(text)
    if not found or not 0 <= int(found[3]) <= 0xFFFF:
        return None
    return found[1] or found[2] or "", int(found[3])


async def _resolve(place: Place, address: str, family: int = 0) -> tuple[int, SocketAddress]:
    try:
        found = await trio.socket.getaddrinfo(
            place[0] or None, place[1], family, socket.SOCK_DGRAM, 0, socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        wrong = f"udp://{address}: {place[0]}: {error.strerror}"
        if error.errno == socket.EAI_AGAIN:
            raise LinkBroken(wrong) from error
        raise ConfigError(wrong) from error
    return found[0][0], found[0][4]


async def _open_peer(family: int, source: Place, target: SocketAddress, address: str) -> UdpLink:
    _, here = await _resolve(source, address, family)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        widen(sock)
        sock.bind(here)
        sock.connect(target)
        return UdpLink(sock)
    except BaseException:
        sock.close()
        raise


def _open_group(family: int, target: SocketAddress, params: Params) -> UdpLink:
    index = _index_of(params.if_)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sender = socket.socket(family, socket.SOCK_DGRAM)
    try:
        for each in (sock, sender):
            widen(each)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        group = socket.inet_pton(family, target[0].partition("%")[0])
        if family == socket.AF_INET:
            membership = group + struct.pack("=4xi", index)  # ip(7): struct ip_mreqn
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            if index:
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=8xi", index))
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, params.ttl)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("=i", index))
            if index:
                sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
                target = (target[0].partition("%")[0], target[1], 0, index)
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, params.ttl)
        sock.bind(target)
        sender.connect(target)
        return GroupLink(sock, sender)
    except BaseException:
        sock.close()
        sender.close()
        raise


def _index_of(interface: str | None) -> int:
    if interface is None:
        return 0
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise ConfigError(f"udp://: if={interface}: there is no such interface") from error


def _shown(place: SocketAddress) -> str:
    return f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}"


PLUG = PlugSpec("udp", open_udp, Params, syntax="udp://[[HOST:]PORT->]HOST:PORT")
