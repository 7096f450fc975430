"""vxlan:// — a VXLAN network: Ethernet frames in UDP, with whoever has the same group, port and VNI.

    vxlan://239.0.0.1/vni=42                  a multicast group (default 239.0.0.1, with v6 ff05:56de::1)
    vxlan://ff15::3/if=eth0/port=12345/vni=7  IPv6, by one interface
    vxlan://10.0.0.2/vni=42                   one peer, no multicast
    vxlan://10.0.0.2,10.0.0.3/vni=42          several peers: frames to many are sent to each of them

Each datagram is a VXLAN header (RFC 7348 §5) and a frame. Frames to a group address or to an unknown one go to the
multicast group, or to every named peer; others to the endpoint that the address was last heard from, at the port
`dstport`. Reserved bits of the header are ignored on receipt. With named peers, what others send is dropped and counted
(`stranger`); with a group, anybody who can reach the port is a member: VXLAN has neither encryption nor authentication.

Peers: the Linux kernel's vxlan device (`ip link add vx0 type vxlan id 42 dstport 4789 group 239.0.0.1 dev eth0`, or
`remote 10.0.0.2`; give both the same ttl), libvdeplug's vxlan plug. As with that one, what we send to the group is not
heard on this host: a second member on the same host needs another network namespace (or vxvde://).

Differences to libvdeplug's plug: named peers, `dstport` and `bind`; reserved bits are ignored (it wants octet 0 to be
exactly 0x08); the table keeps `hashsize` addresses whatever their hash. Debian 12's (4.0.1) cannot send to an address
that it has learned: it gives sendmsg(2) an address without a length, which fails (EDESTADDRREQ), and the frame is lost
until the address expires. What it sends to everybody arrives, and what we send to it as well.

The link can be handed over to a forwarder, which then keeps the table; statistics are its port's.

Limits: a frame of more than the network's MTU less 50 (IPv6: 70) octets is sent in IP fragments. The source port is
`port`, not a hash of the frame (RFC 7348 §5 recommends one, for routers that share load).
Not supported: multicast and named peers at once; several VNIs in one link; VXLAN-GPE, group policy.
"""

import errno
import os
import select
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import NoReturn

import trio

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
)
from vde.descriptor_link import DescriptorLink
from vde.endpoint import EndpointKind, HandedOver, OverlayTerms
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.frame import MTU_OCTETS
from vde.link import Link
from vde.overlay import VNI_MAX, VXLAN_OCTETS, Overlay
from vde.plugspec import PlugSpec, Surroundings, option

SECOND_NS = 1_000_000_000
DEFAULT_GROUP = {socket.AF_INET: "239.0.0.1", socket.AF_INET6: "ff05:56de::1"}  # libvdeplug_vxlan(1)
ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
REMOTES_MAX = 256  # chosen: every frame to many costs as many datagrams
ENDPOINT_GONE = (errno.ENODEV, errno.ENXIO)


@dataclass(frozen=True)
class Params:
    """Options of vxlan://."""

    port: int = option(4789, "UDP port that we listen on and send from", least=1, most=65535)
    vni: int = option(1, "VXLAN network identifier", least=0, most=VNI_MAX)
    ttl: int = option(1, "how many routers multicast datagrams may pass, plus one", least=1, most=255)
    rcvbuf: int | None = option(None, "socket's receive buffer", least=1, most=1 << 30, unit="octets")
    v4: bool = option(False, "names are resolved to IPv4, the default group is IPv4's")
    v6: bool = option(False, "names are resolved to IPv6, the default group is IPv6's")
    hashsize: int = option(1024, "most addresses in the table", least=1, most=65536)
    expiretime: int = option(128, "how long an address is known", least=1, most=1 << 31, unit="seconds")
    if_: str | None = option(None, "interface that multicast uses")
    dstport: int | None = option(None, "UDP port of the peers, if it is not port", least=1, most=65535)
    bind: str | None = option(None, "address of this host to use, instead of any")


@dataclass(frozen=True)
class Meeting:
    """Where members meet, resolved: what a socket for them needs.

    Attributes:
        own: what the socket is bound to.
        group: multicast group with the peers' port; None: `remotes` only.
        remotes: where frames to many are sent: the group, or the named peers.
        port: the peers', for addresses that were learned.
        interface: index, 0: the kernel's choice.
    """

    own: Place
    group: Place | None
    remotes: tuple[Place, ...]
    port: int
    interface: int
    ttl: int
    rcvbuf: int | None


async def find_meeting(address: str, params: Params) -> Meeting:
    """Resolve what a VNL says.

    Raises:
        ConfigError, LinkBroken.
    """
    hosts = [host for host in address.split(",") if host]
    family = family_of([*hosts, params.bind or ""], v4=params.v4, v6=params.v6)
    interface = interface_number(params.if_)
    port = params.dstport or params.port
    hosts = hosts or [DEFAULT_GROUP[family]]
    if len(hosts) > REMOTES_MAX:
        raise ConfigError(f"vxlan://: {len(hosts)} peers: at most {REMOTES_MAX} are possible")
    remotes = tuple([await resolve(host, port, family, interface) for host in hosts])
    if any(map(is_multicast, remotes)) and len(remotes) > 1:
        raise ConfigError(f"vxlan://{address}: one multicast group, or peers' addresses, were expected")
    own = await resolve(params.bind or ANY[family], params.port, family, interface)
    group = remotes[0] if is_multicast(remotes[0]) else None
    return Meeting(own, group, remotes, port, interface, params.ttl, params.rcvbuf)


@contextmanager
def open_socket(meeting: Meeting) -> Iterator[socket.socket]:
    """The socket that all datagrams of a network come and go by. Raises `ConfigError`."""
    with open_udp(meeting.own, rcvbuf=meeting.rcvbuf) as udp:
        prepare_sending(udp, ttl=meeting.ttl, interface=meeting.interface, loop=False)
        if meeting.group is not None:
            join(udp, meeting.group, meeting.interface)
        yield udp


class VxlanLink(DescriptorLink):
    """Frames to datagrams, and back."""

    mtu_octets = MTU_OCTETS

    def __init__(
        self,
        udp: socket.socket,
        watch: InterfaceWatch,
        ready: select.epoll,
        meeting: Meeting,
        overlay: Overlay[Place],
        now_ns: Callable[[], int],
        params: Params,
    ) -> None:
        super().__init__(ready.fileno(), udp.fileno())
        self._udp = udp
        self._watch = watch
        self._meeting = meeting
        self._overlay = overlay
        self._now_ns = now_ns
        self._params = params
        self._peers = None if meeting.group else {_host(place) for place in meeting.remotes}

    def _read(self) -> bytes | None:
        try:
            datagram, sender = self._udp.recvfrom(MTU_OCTETS + VXLAN_OCTETS + 1)
        except BlockingIOError:
            if self._watch.is_gone():
                raise LinkBroken("the interface has gone away") from None
            raise
        if self._peers is not None and _host(sender) not in self._peers:
            self.counters.drop_in("stranger")
            return None
        found = self._overlay.receive(datagram, _at(sender, self._meeting.port), self._now_ns())
        if isinstance(found, str):
            self.counters.drop_in(found)
            return None
        return found

    def _read_failed(self, error: OSError) -> None:
        if error.errno in ENDPOINT_GONE:
            raise LinkBroken(f"the network has gone away: {error.strerror}") from error

    def _write(self, frame: bytes) -> None:
        overlay, now_ns = self._overlay, self._now_ns()
        datagram = overlay.header + frame
        known = overlay.destination(frame, now_ns)
        if known is not None or len(self._meeting.remotes) == 1:
            self._udp.sendto(datagram, known or self._meeting.remotes[0])
            return
        for remote in self._meeting.remotes:
            try:
                self._udp.sendto(datagram, remote)
            except OSError as error:  # the others get it all the same
                self.counters.drop_out("copy-full" if isinstance(error, BlockingIOError) else "copy-refused")

    def _write_failed(self, error: OSError) -> None:
        if error.errno in ENDPOINT_GONE:
            raise LinkBroken(f"the network has gone away: {error.strerror}") from error
        super()._write_failed(error)

    async def watch(self) -> NoReturn:
        """As `Link.watch`: the interface's removal."""
        while self._watch.socket is not None and not self._watch.is_gone():
            try:
                await trio.lowlevel.wait_readable(self._watch.socket)
            except trio.ClosedResourceError:
                raise LinkClosed("the link is closed") from None
        if self._watch.socket is not None:
            raise LinkBroken("the interface has gone away")
        await trio.sleep_forever()

    def hand_over(self) -> HandedOver | None:
        """As `Link.hand_over`."""
        terms = OverlayTerms(
            vni=self._params.vni,
            remotes=self._meeting.remotes,
            port=self._meeting.port,
            only_remotes=self._meeting.group is None,
            limit=self._params.hashsize,
            expire_ns=self._params.expiretime * SECOND_NS,
        )
        return HandedOver(os.dup(self._udp.fileno()), EndpointKind.OVERLAY, overlay=terms)

    def take_back(self) -> bool:
        """As `Link.take_back`. What the forwarder learned is forgotten."""
        return True

    def state(self) -> dict[str, str | int | float | bool | None]:
        """Where it is, and how much it knows."""
        shown = ",".join(place[0] for place in self._meeting.remotes)
        return {"to": shown, "port": self._udp.getsockname()[1], "addresses": len(self._overlay.table)}


def _host(place: Place) -> tuple[str, int]:
    return place[0], place[3] if len(place) == 4 else 0


def _at(place: Place, port: int) -> Place:
    return (place[0], port, place[2], place[3]) if len(place) == 4 else (place[0], port)


@asynccontextmanager
async def open_vxlan(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: a multicast group, or peers joined by commas."""
    meeting = await find_meeting(address, params)
    overlay: Overlay[Place] = Overlay(
        params.vni, limit=params.hashsize, expire_ns=params.expiretime * SECOND_NS, strict=False, leaves=False
    )
    with ExitStack() as stack:
        udp = stack.enter_context(open_socket(meeting))
        watch = InterfaceWatch(meeting.interface)
        stack.callback(watch.close)
        ready = stack.enter_context(select.epoll())
        ready.register(udp, select.EPOLLIN)
        if watch.socket is not None:
            ready.register(watch.socket, select.EPOLLIN)
        link = VxlanLink(udp, watch, ready, meeting, overlay, surroundings.now_ns, params)
        stack.callback(link.end)
        yield link


PLUG = PlugSpec("vxlan", open_vxlan, Params, syntax="vxlan://[GROUP|PEER[,PEER…]][/OPTION…]")
