"""dtls://ADDRESS[/OPTIONS] — an encrypted, authenticated point-to-point tunnel over UDP (DTLS 1.2).

    dtls://:5000/listen/key=vde.key                        the listener, on all addresses of the host
    dtls://gw.example:5000/key=vde.key                     the connector, from any port: it may roam, or sit behind NAT
    dtls://:5001->gw.example:5000/key='/etc/vde.key'       the connector, from a fixed port
    dtls://:5000->192.0.2.9:5001/listen/key=vde.key        the listener, for that peer's address only
    dtls://gw.example:5000/cert=c.pem/key=k.pem/ca=ca.pem  by certificates; or peer=FINGERPRINT instead of ca=

`HOST` empty: all addresses; IPv6 in brackets (`[::1]:5000`); a `/` within a value is quoted (`'…'`). `vde key new FILE`
makes a key for both ends. Opening does not wait for the peer: frames are dropped and counted (`no-peer`) while there is
none, and a connector tries again with ever longer waits; with `reconnect=off` the link ends instead.

Wire: DTLS 1.2 records with ECDHE and AEAD ciphers; in them the messages of `plugs.parts.tunnel`: frames, fragments of
frames that are longer than the path takes, pings, a goodbye. OpenSSL drops what was changed, and what comes twice (a
window of 64 records); trio answers first messages with a cookie, so that forged addresses cost nothing. A listener has
one peer: the last one that proved the key. Keys are renewed by a new handshake after `rekey` seconds or `rekey-octets`,
from another port, without loss; from a fixed port, what is in flight at that moment is lost.

The path's MTU is the kernel's knowledge (datagrams are never fragmented by IP), at most `mtu`; set it lower where a
firewall swallows the ICMP messages. `state()` shows the room of a record, the peer, and counts of strangers.

Shown with: itself, through proxies that lose, change, repeat and reorder; openssl s_client and s_server (handshakes).
Limits: one peer; 256 handshakes at a time; what `plugs.parts.tunnel` says. Not supported: DTLS 1.3, PSK cipher suites.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
from OpenSSL import SSL

from plugs.parts.backoff import Backoff
from plugs.parts.beside import running
from plugs.parts.dtls_identity import CONNECTOR, LISTENER, Identity, from_files, from_key, read_key
from plugs.parts.dtls_link import LINGER_S, Association, DtlsLink, Timing, set_path_mtu
from plugs.parts.udp_path import UdpPath
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings, option

HANDSHAKES = 256  # chosen: at a time, of peers that answered a cookie
BUFFERED_PACKETS = 512  # chosen; for each peer
RETRANSMIT_S = 0.5  # chosen: first; RFC 6347 §4.2.4.1 has 1 s
REKEY_PAUSE_S = 10.0  # chosen: after a renewal that failed
FIRST_WAIT_S = 0.5  # chosen


@dataclass(frozen=True)
class Params:
    """Options."""

    listen: bool = option(False, "wait for the peer; else: connect to it")
    key: str | None = option(None, "file of the shared key; with cert: of the certificate's private key (PEM)")
    cert: str | None = option(None, "file of our certificate and its chain (PEM)")
    ca: str | None = option(None, "file of the authorities that sign the peer's (PEM)")
    peer: str | None = option(None, "SHA-256 of the peer's certificate")
    name: str | None = option(None, "DNS name that the peer's certificate must have")
    mtu: int = option(
        0, "of the path, IP headers included; 0: what the kernel knows", least=0, most=65535, unit="octets"
    )
    keepalive: float = option(10.0, "ask the peer when nothing came for so long", unit="s")
    dead: float = option(35.0, "give the peer up when nothing came for so long", unit="s")
    patience: float = option(10.0, "for a handshake", unit="s")
    rekey: float = option(3600.0, "new keys after so long (connector)", unit="s")
    rekey_octets: int = option(1 << 36, "new keys after so much (connector)", least=1 << 10, unit="octets")
    reconnect: bool = option(True, "go on when the peer went away")


class HandshakeFailed(Exception):
    """Nobody answered, or not as expected."""


@asynccontextmanager
async def open_dtls(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """As the help page says."""
    if not 0 < params.keepalive < params.dead:
        raise ConfigError(f"dtls://: 0 < keepalive={params.keepalive:g} < dead={params.dead:g} was expected")
    if params.patience <= 0 or params.rekey <= 0:
        raise ConfigError("dtls://: patience and rekey: more than 0 seconds were expected")
    if params.mtu and params.mtu < 576:
        raise ConfigError(f"dtls://: mtu={params.mtu}: 0, or at least 576 octets were expected")
    local, remote = _places(address, params.listen)
    identity = _identity(params)
    shown = {"role": LISTENER if params.listen else CONNECTOR, "identity": identity.shown}
    link = DtlsLink(shown, surroundings)
    tunnel = _Tunnel(link, identity, params, surroundings)
    family, found_local, found_remote = await _resolve(local, remote)
    endpoint = tunnel.endpoint(family, found_local) if found_local is not None else None

    async def run() -> None:
        if params.listen:
            assert endpoint is not None
            await tunnel.listen(endpoint, found_remote)
        else:
            assert found_remote is not None
            await tunnel.connect(family, found_remote, endpoint)

    try:
        async with running(run):
            try:
                yield link
            finally:
                await link.say_goodbye()
                link.finish(LinkClosed("the link is closed"))
    finally:
        tunnel.close()


@dataclass
class _Endpoint:
    endpoint: trio.DTLSEndpoint
    path: UdpPath
    lock: trio.Lock

    def close(self) -> None:
        self.endpoint.close()


class _Tunnel:
    """The tasks of a link."""

    def __init__(self, link: DtlsLink, identity: Identity, params: Params, surroundings: Surroundings) -> None:
        self._link = link
        self._identity = identity
        self._params = params
        self._random = surroundings.random
        self._endpoints: list[_Endpoint] = []
        self._timing = Timing(params.keepalive, params.dead, params.patience, params.mtu)

    def endpoint(self, family: int, local: Any) -> _Endpoint:
        """A socket of our own; `local`: None: any port."""
        plain = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if family == socket.AF_INET6 and local is not None:
                plain.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if local[0] == "::" else 1)
            if local is not None:
                plain.bind(local)
        except OSError as error:
            plain.close()
            raise ConfigError(f"dtls://: cannot listen at {local[0]} port {local[1]}: {error.strerror}") from error
        path = UdpPath(plain)
        endpoint: Any = trio.DTLSEndpoint(path, incoming_packets_buffer=BUFFERED_PACKETS)  # type: ignore[arg-type] # has what of a socket it uses
        made = _Endpoint(endpoint, path, trio.Lock())
        self._endpoints.append(made)
        return made

    def close(self) -> None:
        """Close all sockets."""
        for endpoint in self._endpoints:
            endpoint.close()
        self._endpoints.clear()

    def _drop(self, endpoint: _Endpoint) -> None:
        if endpoint in self._endpoints:
            self._endpoints.remove(endpoint)
        endpoint.close()

    async def connect(self, family: int, remote: Any, fixed: _Endpoint | None) -> None:
        """Keep an association with a listener."""
        link, params = self._link, self._params
        backoff = Backoff(FIRST_WAIT_S, self._random)
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    association = await self._associate(nursery, family, remote, fixed)
                except HandshakeFailed as error:
                    link.last_why = str(error)
                    if not params.reconnect:
                        link.finish(LinkBroken(str(error)))
                        return
                    link.warn_once(f"{error}; trying again")
                else:
                    backoff.succeeded()
                    await self._keep_fresh(nursery, association, family, remote, fixed)
                    if not params.reconnect:
                        link.finish(LinkBroken(link.last_why or "the peer went away"))
                        return
                await trio.sleep(backoff.failed())

    async def _keep_fresh(
        self, nursery: trio.Nursery, association: Association, family: int, remote: Any, fixed: _Endpoint | None
    ) -> None:
        """Renew the keys as often as they are due, until there is no association."""
        while await self._until_stale(association):
            if fixed is not None:
                self._link.open_gap(self._params.patience)
            try:
                association = await self._associate(nursery, family, remote, fixed)
            except HandshakeFailed:  # the old one goes on, if it can
                with trio.move_on_after(REKEY_PAUSE_S):
                    await association.over.wait()

    async def _associate(self, nursery: trio.Nursery, family: int, remote: Any, fixed: _Endpoint | None) -> Association:
        endpoint = fixed or self.endpoint(family, None)
        try:
            association = await self._handshake(endpoint, remote)
        except BaseException as error:
            if fixed is None:
                self._drop(endpoint)
            self._link.failed_handshakes += isinstance(error, HandshakeFailed)
            raise
        await self._use(nursery, association, endpoint, fixed)
        return association

    async def _until_stale(self, association: Association) -> bool:
        """Until its keys are to be renewed (True), or it is over (False)."""
        params = self._params
        with trio.move_on_after(params.rekey):
            while not association.over.is_set() and association.carried_octets < params.rekey_octets:
                with trio.move_on_after(min(1.0, params.rekey)):
                    await association.over.wait()
        return not association.over.is_set()

    async def _handshake(self, endpoint: _Endpoint, remote: Any) -> Association:
        context = self._identity.context(self._link.on_refused)
        refused = self._link.refused
        channel = endpoint.endpoint.connect(remote, context)
        set_path_mtu(channel, endpoint.path, self._params.mtu)
        shown = f"{remote[0]} port {remote[1]}"
        try:
            with trio.fail_after(self._params.patience):
                await channel.do_handshake(initial_retransmit_timeout=RETRANSMIT_S)
        except trio.TooSlowError:
            channel.close()
            if self._link.refused > refused:
                raise HandshakeFailed(f"{shown} has another key or certificate") from None
            why = f" ({endpoint.path.last_error.strerror})" if endpoint.path.last_error else ""
            raise HandshakeFailed(f"{shown} does not answer, or does not accept us{why}") from None
        except (SSL.Error, trio.BrokenResourceError) as error:
            channel.close()
            raise HandshakeFailed(f"{shown}: {error}") from None
        return Association(self._link, channel, endpoint.path, endpoint.lock, self._timing)

    async def _use(
        self, nursery: trio.Nursery, association: Association, endpoint: _Endpoint, fixed: _Endpoint | None
    ) -> None:
        async def live() -> None:
            await association.live()
            if fixed is None:
                self._drop(endpoint)

        nursery.start_soon(live)
        before = self._link.adopt(association)
        if before is not None:
            nursery.start_soon(_linger, before)
        await association.ping()  # tells the listener that we have come to the end of the handshake

    async def listen(self, endpoint: _Endpoint, expected: Any) -> None:
        """Serve whoever has the key."""
        link, params = self._link, self._params

        async with trio.open_nursery() as nursery:

            async def serve(channel: trio.DTLSChannel) -> None:
                if expected is not None and channel.peer_address[:2] != expected[:2]:
                    link.on_refused()
                    return
                if link.handshaking + link.living >= HANDSHAKES:
                    link.failed_handshakes += 1
                    return
                set_path_mtu(channel, endpoint.path, params.mtu)
                link.handshaking += 1
                try:
                    with trio.fail_after(params.patience):
                        await channel.do_handshake(initial_retransmit_timeout=RETRANSMIT_S)
                except (trio.TooSlowError, SSL.Error, trio.BrokenResourceError) as error:
                    link.failed_handshakes += 1
                    if not isinstance(error, trio.BrokenResourceError):
                        host, port = channel.peer_address[:2]
                        link.warn_once(f"{host} port {port} does not have our key; from now on they are only counted")
                    return
                finally:
                    link.handshaking -= 1
                association = Association(link, channel, endpoint.path, endpoint.lock, self._timing)

                def adopt() -> None:
                    """Not before the peer sends by it: the last message of the handshake may have been lost."""
                    if (before := link.adopt(association)) is not None:
                        nursery.start_soon(_linger, before)

                association.on_first_record = adopt
                link.living += 1
                await association.live()
                link.living -= 1
                if not params.reconnect and link.current is None and link.associations:
                    link.finish(LinkBroken(link.last_why or "the peer went away"))

            await endpoint.endpoint.serve(self._identity.context(link.on_refused), serve)


async def _linger(association: Association) -> None:
    with trio.move_on_after(LINGER_S):
        await association.over.wait()
    association.end("its keys were renewed")


def _identity(params: Params) -> Identity:
    if params.key is None:
        raise ConfigError("dtls://: key=FILE was expected: vde key new FILE makes one, for both ends")
    if params.cert is not None:
        return from_files(params.cert, params.key, params.ca, params.peer, params.name)
    if params.ca or params.peer or params.name:
        raise ConfigError("dtls://: ca, peer and name are for certificates: cert=FILE was expected beside them")
    return from_key(read_key(params.key), LISTENER if params.listen else CONNECTOR)


Place = tuple[str, int]


def _places(address: str, listen: bool) -> tuple[Place | None, Place | None]:
    """Local and remote place of an address."""
    local, arrow, remote = address.partition("->")
    if not arrow:
        local, remote = (local, "") if listen else ("", local)
    if listen and not local:
        raise ConfigError(f"dtls://{address}: [HOST]:PORT to listen at was expected")
    if not listen and not remote:
        raise ConfigError(f"dtls://{address}: HOST:PORT to connect to was expected (or the option listen)")
    found_local = _place(address, local, True) if local else None
    found_remote = _place(address, remote, False) if remote else None
    return found_local, found_remote


def _place(address: str, text: str, local: bool) -> Place:
    host, colon, port = text.rpartition(":")
    if (
        not colon
        or not (port.isascii() and port.isdigit() and int(port[:6]) < 1 << 16)
        or (int(port) == 0 and not local)
    ):
        raise ConfigError(f"dtls://{address}: {text!r}: HOST:PORT was expected")
    host = host.removeprefix("[").removesuffix("]")
    if not host and not local:
        hint = ""
        if "->" not in address:
            hint = " (or the option listen)"
        raise ConfigError(f"dtls://{address}: {text!r}: the peer's HOST:PORT was expected{hint}")
    return host, int(port)


async def _resolve(local: Place | None, remote: Place | None) -> tuple[int, Any, Any]:
    """Family, and the addresses of both."""
    found_remote: Any = None
    found_local: Any = None
    family = 0
    try:
        if remote is not None:
            first = (await trio.socket.getaddrinfo(remote[0], remote[1], type=socket.SOCK_DGRAM))[0]
            family, found_remote = first[0], first[4]
        if local is not None and local[0]:
            first = (await trio.socket.getaddrinfo(local[0], local[1], family=family, type=socket.SOCK_DGRAM))[0]
            family, found_local = first[0], first[4]
        elif local is not None:
            family = family or _widest_family()
            found_local = ("::" if family == socket.AF_INET6 else "0.0.0.0", local[1])
    except OSError as error:
        raise LinkBroken(f"dtls://: {error.strerror}") from error
    return family, found_local, found_remote


def _widest_family() -> int:
    """IPv6, which takes IPv4 as well, unless this host has none."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return socket.AF_INET
    return socket.AF_INET6


PLUG = PlugSpec("dtls", open_dtls, Params, syntax="dtls://[[HOST]:PORT->]HOST:PORT | dtls://[HOST]:PORT/listen")
