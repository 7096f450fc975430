"""A UDP socket for trio's DTLS that survives the network's errors, and what the path to a peer lets through.

trio's endpoint runs its reading loop as a system task, in which an error of the network (a route that vanished, a
firewall's answer) would end the program. Here such errors are remembered instead, and a datagram that does not fit the
path says so. Datagrams are never cut into IP fragments: the kernel learns the path's MTU (RFC 1191, RFC 8201).
"""

import errno
import socket
from typing import Any

import trio

IP_MTU_DISCOVER, IP_MTU = 10, 14  # linux/in.h
IPV6_MTU_DISCOVER, IPV6_MTU = 23, 24  # linux/in6.h
PMTUDISC_DO = 2
HEADERS4_OCTETS, HEADERS6_OCTETS = 20 + 8, 40 + 8  # RFC 791, RFC 8200; RFC 768
LEAST4_OCTETS, LEAST6_OCTETS = 576, 1280  # RFC 1122 §3.3.3; RFC 8200 §5
BUFFER_OCTETS = 1 << 20  # chosen
PACKETS_A_TURN = 32  # chosen


class UdpPath:
    """What `trio.DTLSEndpoint` needs of a socket."""

    type = socket.SOCK_DGRAM

    def __init__(self, plain: socket.socket) -> None:
        """Takes `plain` over."""
        plain.setblocking(False)
        self.family = plain.family
        plain.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)  # IPv6 sockets carry IPv4 as well
        if plain.family == socket.AF_INET6:
            plain.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO)
        for name in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            plain.setsockopt(socket.SOL_SOCKET, name, BUFFER_OCTETS)
        self._socket = plain
        self._turn = 0
        self.too_long = False
        self.last_error: OSError | None = None

    async def sendto(self, octets: bytes, address: Any) -> int:
        """Send, or remember why not."""
        while True:
            try:
                return self._socket.sendto(octets, address)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as error:
                if self._socket.fileno() < 0:
                    raise trio.ClosedResourceError from None
                self.too_long |= error.errno == errno.EMSGSIZE
                self.last_error = error
                return len(octets)

    async def recvfrom(self, octets: int) -> tuple[bytes, Any]:
        """The next datagram."""
        while True:
            try:
                found = self._socket.recvfrom(octets)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)
                self._turn = 0
            except OSError as error:
                if self._socket.fileno() < 0:
                    raise trio.ClosedResourceError from None
                self.last_error = error
                await trio.lowlevel.checkpoint()
            else:
                self._turn += 1
                if self._turn >= PACKETS_A_TURN:  # others have their turn
                    self._turn = 0
                    await trio.lowlevel.checkpoint()
                return found

    def getsockname(self) -> Any:
        """As of a socket."""
        return self._socket.getsockname()

    def close(self) -> None:
        """Close; whoever waits is told. May be called twice."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


def path_octets(family: int, address: Any) -> int:
    """The largest datagram's payload that the kernel knows to pass to `address`."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)
            if family == socket.AF_INET6:
                return max(probe.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU), LEAST6_OCTETS) - HEADERS6_OCTETS
            return max(probe.getsockopt(socket.IPPROTO_IP, IP_MTU), LEAST4_OCTETS) - HEADERS4_OCTETS
        except OSError:  # no route: it will be seen when something is sent
            return (LEAST6_OCTETS - HEADERS6_OCTETS) if family == socket.AF_INET6 else 1500 - HEADERS4_OCTETS
