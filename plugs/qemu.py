"""qemu://ADDRESS[OPTIONS] — QEMU: `-netdev stream`, `-netdev dgram`, the older `-netdev socket`; also passt.

    qemu:///run/vm.sock[server]              -netdev stream,id=n,addr.type=unix,addr.path=/run/vm.sock,server=off
    qemu:///run/vm.sock                      -netdev stream,id=n,addr.type=unix,addr.path=/run/vm.sock,server=on
    qemu://127.0.0.1:5000                    -netdev stream,…,addr.type=inet,addr.host=127.0.0.1,addr.port=5000,
                                             server=on
                                             or -netdev socket,id=n,listen=127.0.0.1:5000
    qemu:///run/vm.sock[dgram/local='/run/us.sock']
                                             -netdev dgram,…,local.type=unix,local.path=/run/vm.sock,
                                             remote.type=unix,remote.path=/run/us.sock
    qemu://127.0.0.1:5000[dgram/local=127.0.0.1:5001]
                                             -netdev dgram,…,local.host=127.0.0.1,local.port=5000,remote…port=5001
                                             or -netdev socket,id=n,udp=127.0.0.1:5001,localaddr=127.0.0.1:5000
    qemu://fd:5                              an inherited socket, stream or datagram (-netdev stream,…,addr.type=fd)
    qemu:///tmp/passt_1.socket               a running passt (its -s)

An address with a `/` is a Unix socket's path, `HOST:PORT` is TCP (or UDP with `dgram`), `HOST` may be empty for a
server; an IPv6 address is quoted: `qemu://'[::1]':5000`. QEMU's `mcast=` is `udp://`'s multicast form.

Wire: on a stream, a length of 4 octets, big-endian, then the frame; in datagrams, the bare frame. A stream that
announces more than 69632 octets is closed and counted (`framing`), as QEMU does it; a vnet header is not spoken.

A server serves one client at a time, even if that says nothing; another one waits in its queue. A TCP peer that
vanished without a word is found by `keepalive`. When the peer goes away the link ends, and with `reconnect=SECONDS` it
does not: a client tries again after that time, then ever more rarely (at most every 30 s), a server listens on; frames
sent meanwhile are dropped and counted (`no-peer`). Datagrams have no connection: they are sent whether or not somebody
is there.

Shown with: QEMU 7.2 (stream by Unix and TCP in both roles, dgram by Unix and UDP, socket), passt of Debian 12.
Limits: frames of up to 69632 octets (UDP: 65507, Unix datagrams: the kernel's send buffer).
"""

import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from plugs.parts.backoff import Backoff
from plugs.parts.beside import running
from plugs.parts.framed import StreamLink
from plugs.parts.places import (
    Place,
    bind_path,
    cannot,
    connect_stream,
    keep_alive,
    listen,
    read_place,
    remove_socket,
    resolve,
    widen,
)
from vde.descriptor_link import DescriptorLink
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings, option

FRAME_OCTETS = 69632  # QEMU: include/net/net.h, NET_BUFSIZE
UDP_OCTETS = 65507  # RFC 768, in IPv4
GONE = (errno.ECONNREFUSED, errno.ENOENT, errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)


@dataclass(frozen=True)
class Params:
    """Options."""

    server: bool = option(False, "listen, and serve the client that connects")
    dgram: bool = option(False, "datagrams (-netdev dgram) instead of a stream")
    local: str | None = option(None, "datagrams: where we receive, a path or HOST:PORT")
    reconnect: float = option(0.0, "0: the link ends with the connection; else: keep it, and try again after", unit="s")
    keepalive: int = option(15, "TCP: ask a silent peer after; 0: never", least=0, most=3600, unit="s")
    mode: int = option(0o600, "permissions of a Unix socket that we make", least=0, most=0o777, base=8)


class DatagramLink(DescriptorLink):
    """One frame a datagram."""

    def __init__(self, sock: socket.socket, remote: Place | None, shown: str) -> None:
        """`remote`: None: the socket is connected."""
        sock.setblocking(False)
        super().__init__(sock.fileno())
        self._socket = sock
        self._remote = remote
        self._shown = shown
        self.mtu_octets = FRAME_OCTETS if sock.family == socket.AF_UNIX else UDP_OCTETS

    def _read(self) -> bytes | None:
        frame, _, flags, sender = self._socket.recvmsg(self.mtu_octets + 1)
        if self._remote is not None and sender != self._remote:
            self.counters.drop_in("stranger")
            return None
        if flags & socket.MSG_TRUNC:
            self.counters.drop_in("oversize")
            return None
        return frame

    def _read_failed(self, error: OSError) -> None:
        if not isinstance(error, ConnectionError):  # that one: an earlier datagram of ours found nobody
            super()._read_failed(error)

    def _write(self, frame: bytes) -> None:
        if self._remote is None:
            self._socket.send(frame)
            return
        try:
            self._socket.sendto(frame, self._remote)
        except BlockingIOError:  # poll(2) of an unconnected socket does not tell of the receiver's room
            raise OSError(errno.ENOBUFS, "the receiver's queue is full") from None

    def _write_failed(self, error: OSError) -> None:
        if error.errno == errno.ENOBUFS:
            self.counters.drop_out("full")
        else:
            self.counters.drop_out("no-peer" if error.errno in GONE else "refused")

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"address": self._shown}


@asynccontextmanager
async def open_qemu(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """As the help page says."""
    if params.reconnect < 0:
        raise ConfigError(f"qemu://: reconnect={params.reconnect:g}: 0 or more seconds were expected")
    if params.local is not None and not params.dgram:
        raise ConfigError("qemu://: local= is for datagrams: add dgram")
    if params.dgram and params.server:
        raise ConfigError("qemu://: datagrams know no server: say local= and the peer's address on both sides")
    if address.startswith("fd:"):
        async with _open_inherited(address) as link:
            yield link
    elif params.dgram:
        async with _open_datagrams(address, params) as link:
            yield link
    elif params.server:
        async with _open_server(address, params) as link:
            yield link
    else:
        async with _open_client(address, params, surroundings) as link:
            yield link


@asynccontextmanager
async def _open_client(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    place = read_place(address)
    link = StreamLink(address, FRAME_OCTETS, FRAME_OCTETS)

    async def connect() -> socket.socket:
        connected = await connect_stream(place)
        keep_alive(connected, params.keepalive)
        return connected

    first = None if params.reconnect else link.use(await connect())

    async def run() -> None:
        if first is not None:
            await link.until_over(first)
            link.finish(_broken(link.last_error))
            return
        backoff = Backoff(params.reconnect, surroundings.random)
        while True:
            try:
                connected = await connect()
            except LinkBroken as error:
                if not backoff.failures:
                    surroundings.warn(f"qemu://{address}: {error}; trying again")
                await trio.sleep(backoff.failed())
                continue
            backoff.succeeded()
            await link.until_over(link.use(connected))
            await trio.sleep(backoff.failed())

    async with _running(link, run):
        yield link


@asynccontextmanager
async def _open_server(address: str, params: Params) -> AsyncIterator[Link]:
    place = read_place(address)
    link = StreamLink(address, FRAME_OCTETS, FRAME_OCTETS)
    listener = listen(place, params.mode)

    async def run() -> None:
        while True:
            connected, _ = await listener.accept()
            plain = socket.socket(fileno=connected.detach())
            widen(plain)
            keep_alive(plain, params.keepalive)
            await link.until_over(link.use(plain))
            if not params.reconnect:
                link.finish(_broken(link.last_error))
                return

    try:
        async with _running(link, run):
            yield link
    finally:
        listener.close()
        if isinstance(place, str):
            remove_socket(place)


@asynccontextmanager
async def _open_datagrams(address: str, params: Params) -> AsyncIterator[Link]:
    if params.local is None:
        raise ConfigError("qemu://: datagrams need local=, where we receive: a path or HOST:PORT")
    remote, local = read_place(address), read_place(params.local)
    if isinstance(remote, str) != isinstance(local, str):
        raise ConfigError(f"qemu://: {address} and local={params.local}: two paths or two HOST:PORT were expected")
    if isinstance(remote, str) and isinstance(local, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            bind_path(sock, local, params.mode)
        except BaseException:
            sock.close()
            raise
        link = DatagramLink(sock, remote, address)
    else:
        assert not isinstance(remote, str)
        assert not isinstance(local, str)
        family, target = await resolve(remote, socket.SOCK_DGRAM)
        _, source = await resolve(local, socket.SOCK_DGRAM, family)
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.bind(source)
            sock.connect(target)
        except OSError as error:
            sock.close()
            raise cannot("use", params.local, error) from error
        link = DatagramLink(sock, None, address)
    widen(sock)
    try:
        yield link
    finally:
        link.end()
        sock.close()
        if isinstance(local, str):
            remove_socket(local)


@asynccontextmanager
async def _open_inherited(address: str) -> AsyncIterator[Link]:
    number = address.removeprefix("fd:")
    try:
        connected = socket.socket(fileno=os.dup(int(number)))
    except (ValueError, OSError) as error:
        raise ConfigError(f"qemu://{address}: {number!r} is no socket's descriptor: {error}") from error
    if connected.type == socket.SOCK_STREAM:
        link = StreamLink(address, FRAME_OCTETS, FRAME_OCTETS)
        stream = link.use(connected)

        async def run() -> None:
            await link.until_over(stream)
            link.finish(_broken(link.last_error))

        async with _running(link, run):
            yield link
    else:
        datagrams = DatagramLink(connected, None, address)
        try:
            yield datagrams
        finally:
            datagrams.end()
            connected.close()


@asynccontextmanager
async def _running(link: StreamLink, run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    async with running(run):
        try:
            yield
        finally:
            link.finish(LinkClosed("the link was closed"))


def _broken(error: LinkBroken | LinkClosed) -> LinkBroken:
    return error if isinstance(error, LinkBroken) else LinkBroken(str(error))


PLUG = PlugSpec("qemu", open_qemu, Params, syntax="qemu://PATH | HOST:PORT | fd:NUMBER", style="bracket")
