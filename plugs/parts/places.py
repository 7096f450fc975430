"""Where sockets are: a path or HOST:PORT; connecting, listening and binding there, with errors by who is at fault."""

import errno
import os
import socket
import stat
from contextlib import suppress

import trio

from vde.errors import ConfigError, LinkBroken

UNIX_PATH_OCTETS = 107  # unix(7): sun_path
KEEP_ALIVE_TRIES = 3  # chosen
CONNECT_S = 10.0  # chosen
SOCKET_BUFFER_OCTETS = 1 << 20  # chosen; the kernel may give less
Place = str | tuple[str, int]


def read_place(address: str) -> Place:
    """A path, or HOST and PORT; the host may be empty."""
    if "/" in address:
        if len(os.fsencode(address)) > UNIX_PATH_OCTETS:
            raise ConfigError(f"the path {address!r} is longer than {UNIX_PATH_OCTETS} octets")
        return address
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 1 << 16):
        raise ConfigError(f"{address!r}: a path, HOST:PORT or fd:NUMBER was expected")
    return host.removeprefix("[").removesuffix("]"), int(port)


async def resolve(place: tuple[str, int], kind: int, family: int = 0) -> tuple[int, tuple[str, int]]:
    """Address family and address; the first that the resolver gives."""
    host, port = place
    try:
        found = await trio.socket.getaddrinfo(host or None, port, family, kind, 0, socket.AI_PASSIVE)
    except OSError as error:
        raise LinkBroken(f"{host}: {error.strerror}") from error
    return found[0][0], found[0][4]  # type: ignore[return-value] # no (int, bytes): IP


async def connect_stream(place: Place) -> socket.socket:
    """A connection, within `CONNECT_S`.

    Raises:
        LinkBroken: nobody is there (yet).
        ConfigError: a permission is missing.
    """
    family, target = (
        (int(socket.AF_UNIX), place) if isinstance(place, str) else await resolve(place, socket.SOCK_STREAM)
    )
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        with trio.fail_after(CONNECT_S):
            await sock.connect(target)
    except trio.TooSlowError:
        sock.close()
        raise LinkBroken(f"{shown(place)}: no answer within {CONNECT_S:g} s") from None
    except OSError as error:
        sock.close()
        if error.errno == errno.EACCES:
            raise ConfigError(f"{shown(place)}: {error.strerror}") from error
        raise LinkBroken(f"{shown(place)}: {error.strerror}") from error
    except BaseException:
        sock.close()
        raise
    plain = socket.socket(fileno=sock.detach())
    widen(plain)
    return plain


def listen(place: Place, mode: int) -> trio.socket.SocketType:
    """A listening stream socket; a path's permissions are `mode`.

    Raises:
        ConfigError: the place cannot be had.
    """
    family = socket.AF_UNIX
    if not isinstance(place, str):
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if isinstance(place, str):
            bind_path(listener, place, mode)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
        listener.listen(1)
    except OSError as error:
        listener.close()
        raise cannot("listen at", shown(place), error) from error
    except BaseException:
        listener.close()
        raise
    return trio.socket.from_stdlib_socket(listener)


def bind_path(sock: socket.socket, path: str, mode: int) -> None:
    """Bind, in place of a socket that a dead process left."""
    with suppress(OSError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX, sock.type) as probe:
                try:
                    probe.connect(path)
                except ConnectionRefusedError:
                    os.unlink(path)
    try:
        sock.bind(path)
        os.chmod(path, mode)
    except OSError as error:
        raise cannot("bind", path, error) from error


def remove_socket(path: str) -> None:
    """What `bind_path` made."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def cannot(what: str, where: str, error: OSError) -> ConfigError:
    """The sentence of an error."""
    return ConfigError(f"cannot {what} {where}: {error.strerror}")


def shown(place: Place) -> str:
    """For messages."""
    return place if isinstance(place, str) else f"{place[0]}:{place[1]}"


def widen(sock: socket.socket) -> None:
    """Larger buffers; no waiting for more to send."""
    for name in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, name, SOCKET_BUFFER_OCTETS)
    if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def keep_alive(sock: socket.socket, idle_s: int) -> None:
    """Have a TCP peer that vanished without a word found after some 4 × `idle_s` (0: never); others are left alone."""
    if idle_s == 0 or sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        (socket.TCP_KEEPIDLE, idle_s),
        (socket.TCP_KEEPINTVL, idle_s),
        (socket.TCP_KEEPCNT, KEEP_ALIVE_TRIES),
        (socket.TCP_USER_TIMEOUT, (1 + KEEP_ALIVE_TRIES) * idle_s * 1000),  # for what was sent and not acknowledged
    ):
        sock.setsockopt(socket.IPPROTO_TCP, name, value)
