"""seqpacket://FD — an open socket that this process inherited, one frame a message.

    vde_plug --descr UML seqpacket://13 vde:///run/sw.ctl        what User-Mode Linux starts for vec0:transport=vde
    systemd-run … ; socketpair(AF_UNIX, SOCK_SEQPACKET, …) and fork: any program that has a socket pair to give

Wire: one frame a message, without any header, on a SOCK_SEQPACKET or a connected SOCK_DGRAM socket. An empty message
is the end of the other side (SEQPACKET) or nothing at all (DGRAM).

The link works on a duplicate: the descriptor stays open. It can be handed over to a forwarder.
Shown with: User-Mode Linux 7.2, Debian's vde_plug.
Limits: frames of up to 9234 octets; longer ones are dropped and counted (`oversize`), never cut.
"""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

import trio

from plugs.parts.hangup import Watched
from vde.descriptor_link import DescriptorLink
from vde.endpoint import EndpointKind, HandedOver
from vde.errors import ConfigError, LinkBroken, LinkClosed, LinkEnded
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings

KINDS = (socket.SOCK_SEQPACKET, socket.SOCK_DGRAM)


@dataclass(frozen=True)
class Params:
    """No options."""


class SeqpacketLink(DescriptorLink):
    """See the module's text. Owns its socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        super().__init__(sock.fileno())
        self._socket = sock
        self._watched = Watched(hangup=[sock.fileno()])
        self._ends = sock.type == socket.SOCK_SEQPACKET

    def _read(self) -> bytes | None:
        frame = self._socket.recv(self.mtu_octets + 1)
        if frame:
            return frame
        if self._ends:
            raise LinkEnded("the other end of the socket was closed")
        return None

    def _read_failed(self, error: OSError) -> None:
        if isinstance(error, ConnectionResetError):
            raise LinkEnded("the other end of the socket was closed") from error
        if not isinstance(error, ConnectionRefusedError):
            super()._read_failed(error)

    def _write(self, frame: bytes) -> None:
        self._socket.send(frame, socket.MSG_NOSIGNAL)

    def _write_failed(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError | ConnectionResetError):
            raise LinkEnded("the other end of the socket was closed") from error
        self.counters.drop_out("refused")

    async def watch(self) -> NoReturn:
        """As `Link.watch`: the hang-up."""
        try:
            await self._watched.wait()
        except trio.ClosedResourceError:
            raise LinkClosed("the link is closed") from None
        raise LinkEnded("the other end of the socket was closed")

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
        return {"type": self._socket.type.name}

    def close(self) -> None:
        """For whoever made it."""
        self.end()
        self._watched.close()
        self._socket.close()


@asynccontextmanager
async def open_seqpacket(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the descriptor's number."""
    if not (address.isascii() and address.isdecimal() and len(address) < 10):
        raise ConfigError(f"seqpacket://{address}: the number of an open descriptor was expected")
    try:
        sock = socket.socket(fileno=os.dup(int(address)))
    except OSError as error:
        raise ConfigError(f"seqpacket://{address}: it is no open socket: {error.strerror}") from error
    if sock.type not in KINDS:
        kind = socket.SocketKind(sock.type).name
        sock.close()
        raise ConfigError(f"seqpacket://{address}: its type is {kind}: SOCK_SEQPACKET or SOCK_DGRAM was expected")
    try:
        link = SeqpacketLink(sock)
    except OSError as error:
        sock.close()
        raise LinkBroken(f"seqpacket://{address}: {error.strerror}") from error
    try:
        yield link
    finally:
        link.close()


PLUG = PlugSpec("seqpacket", open_seqpacket, Params, syntax="seqpacket://FD")
