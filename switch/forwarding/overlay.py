"""A VXLAN network as an endpoint of the Python forwarder; its twin is `switch/native/src/overlay.rs`.

Rules: RFC 7348 §5 by `vde.overlay`; what is no datagram of the network is dropped. The socket's send buffer is the
queue.
"""

import socket
import struct

from vde import clock
from vde.endpoint import OverlayTerms
from vde.overlay import VXLAN_OCTETS, Overlay

Place = tuple[str, int] | tuple[str, int, int, int]
SOCKADDR_IN = struct.Struct("=H2s4s8x")  # ip(7): family, port (big-endian), address
SOCKADDR_IN6 = struct.Struct("=H2sI16sI")  # ipv6(7): family, port (big-endian), flow information, address, scope


class OverlayEnd:
    """The socket, whose descriptor stays another's, and what is known."""

    def __init__(self, fd: int, terms: OverlayTerms) -> None:
        self._socket = socket.socket(fileno=fd)
        self._terms = terms
        self._overlay: Overlay[Place] = Overlay(
            terms.vni, limit=terms.limit, expire_ns=terms.expire_ns, strict=False, leaves=False
        )
        self._hosts = {_host(remote) for remote in terms.remotes} if terms.only_remotes else None

    def release(self) -> None:
        """Use the descriptor no more."""
        self._socket.detach()

    def receive(self, most: int) -> bytes | None:
        """A frame (of up to `most` octets and one); None: something else came. Raises `OSError`."""
        datagram, sender = self._socket.recvfrom(most + VXLAN_OCTETS + 1)
        if self._hosts is not None and _host(sender) not in self._hosts:
            return None
        found = self._overlay.receive(datagram, _at(sender, self._terms.port), clock.monotonic_ns())
        if found == "short":
            return datagram[VXLAN_OCTETS:]
        return found if isinstance(found, bytes) else None

    def send(self, frame: bytes) -> tuple[int, int]:
        """Send a frame; copies that found no room, and that were refused."""
        full = refused = 0
        known = self._overlay.destination(frame, clock.monotonic_ns())
        for place in self._terms.remotes if known is None else (known,):
            try:
                self._socket.sendto(self._overlay.header + frame, place)
            except BlockingIOError:
                full += 1
            except OSError:
                refused += 1
        return full, refused


def packed(terms: OverlayTerms) -> tuple[int, list[bytes], int, bool, int, int]:
    """The terms for the native forwarder."""
    remotes = []
    for host, port, *rest in terms.remotes:
        if rest:
            flow, scope = rest
            address = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
            remotes.append(SOCKADDR_IN6.pack(socket.AF_INET6, port.to_bytes(2), socket.htonl(flow), address, scope))
        else:
            remotes.append(SOCKADDR_IN.pack(socket.AF_INET, port.to_bytes(2), socket.inet_aton(host)))
    return terms.vni, remotes, terms.port, terms.only_remotes, terms.limit, terms.expire_ns


def _host(place: Place) -> tuple[str, int]:
    return place[0], place[3] if len(place) == 4 else 0


def _at(place: Place, port: int) -> Place:
    return (place[0], port, place[2], place[3]) if len(place) == 4 else (place[0], port)
