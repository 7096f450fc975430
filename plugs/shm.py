"""shm://PATH — frames through rings in shared memory: the fast path between programs of ours on one machine.

    shm:///run/sw.ctl                    a port of a vdeswitch: beside vde:///run/sw.ctl, without a system call a frame
    shm:///run/sw.ctl[port=7]            port 7
    shm:///run/cable[listen]             wait there for one peer, a shm:///run/cable
    shm:///run/cable[listen/mode=660/ring=1M]

PATH is a directory with a socket `ring` in it, or a socket. Both sides map one sealed memfd with a ring for either
direction; whoever sleeps is woken by an eventfd, and only then. What a peer may write into the memory, and what becomes
of it, is in docs/shm.md; so is `vdeshm://`, the same for programs with libvdeplug.

`listen` serves one peer: the link is open when it has come, and breaks when it goes; a second one finds nobody. The
socket, made with `mode`, is removed as soon as the peer is there.

A full ring holds a sender up; nothing is lost between two of these. (A switch does not wait: what a full ring does not
take is dropped there, and counted.) The link can be handed over to a forwarder.

Shown with: vdeswitch, itself, and libvdeplug's clients through the module `vdeshm`.
Limits: Linux; frames of up to 9234 octets; longer ones are dropped and counted (`oversize`). Both users must be allowed
to reach the socket, nothing else is asked. Not supported: offloads, another machine.
"""

import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import trio

from plugs.parts.hangup import Watched
from plugs.parts.places import UNIX_PATH_OCTETS, bind_path, remove_socket
from vde._native import Ring
from vde.endpoint import EndpointKind, HandedOver
from vde.errors import ConfigError, LinkBroken, LinkClosed, LinkEnded, WireError
from vde.frame import MTU_OCTETS, TAG_OCTETS
from vde.link import FRAMES_PER_BATCH, SHORTEST_OCTETS, Link
from vde.plugspec import PlugSpec, Surroundings, option
from vde.ring_handshake import SOCKET_NAME, RingAnswer, RingRequest, refusal_of_version
from vde.ring_socket import receive_request, request_ring, send_answer

ANSWER_S = 10.0  # chosen
PORT_MAX = (1 << 24) - 1  # `RingRequest`
_FRAME_OCTETS = MTU_OCTETS + TAG_OCTETS
T = TypeVar("T")


@dataclass(frozen=True)
class Params:
    """Options."""

    port: int = option(0, "number of the switch's port; 0: any free one", least=0, most=PORT_MAX)
    listen: bool = option(False, "be the one who waits, at a socket of this path")
    mode: int = option(0o600, "permissions of that socket, octal", least=0, most=0o777, base=8)
    ring: int = option(0, "size of one ring; 0: as the listener likes", least=0, most=1 << 24, unit="octets")


class ShmLink(Link):
    """One side of rings. Owns them and the connection."""

    def __init__(self, control: socket.socket, ring: Ring, path: str) -> None:
        super().__init__()
        control.setblocking(False)
        self.mtu_octets = min(MTU_OCTETS, ring.frame_octets)
        self._control, self._path = control, path
        self._ring: Ring | None = ring
        self._sizes = {"ring_octets": ring.ring_octets, "frame_octets": ring.frame_octets}
        self._kind = EndpointKind.RING_LISTENER if ring.listener else EndpointKind.RING_CONNECTOR
        self._watch_ring(ring)
        self._kept: list[int] = []
        self._closed = False

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        await trio.lowlevel.checkpoint()
        good = [frame for frame in frames if self._is_good(frame)]
        sent = 0
        while sent < len(good):
            ring = self._open_ring()
            count = self._try(partial(ring.send, good, sent))
            self.counters.sent(sum(map(len, good[sent : sent + count])), count)
            sent += count
            if sent < len(good) and not self._try(ring.wait_for_room):
                await self._wait(self._room)
                self._check_control()

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        await trio.lowlevel.checkpoint()
        while True:
            ring = self._open_ring()
            come = self._try(partial(ring.receive, FRAMES_PER_BATCH))
            frames = [frame for frame in come if SHORTEST_OCTETS <= len(frame) <= self.mtu_octets]
            if len(frames) < len(come):
                short = sum(len(frame) < SHORTEST_OCTETS for frame in come)
                for reason, count in (("short", short), ("oversize", len(come) - len(frames) - short)):
                    if count:
                        self.counters.drop_in(reason, count)
            if frames:
                self.counters.received(sum(map(len, frames)), len(frames))
                return frames
            if not come:
                self._check_control()
            await self._wait(self._frames)

    async def watch(self) -> NoReturn:
        """As `Link.watch`."""
        while True:
            try:
                await trio.lowlevel.wait_readable(self._control)
            except trio.ClosedResourceError:
                raise LinkClosed("the link is closed") from None
            if self._closed:
                raise LinkClosed("the link is closed")
            self._check_control()

    @property
    def handed_kind(self) -> EndpointKind | None:
        """As `Link.handed_kind`."""
        return self._kind

    def hand_over(self) -> HandedOver | None:
        """As `Link.hand_over`. Duplicates of the descriptors stay here, for `take_back`."""
        if self._ring is None:
            return None
        self._frames.close()
        self._room.close()
        fd, *others = self._ring.give_away()
        self._ring = None
        self._kept = [os.dup(one) for one in (fd, *others)]
        return HandedOver(fd, self._kind, tuple(others))

    def take_back(self) -> bool:
        """As `Link.take_back`: both sides' positions are in the memory."""
        kept, self._kept = self._kept, []
        try:
            self._ring = Ring.from_parts(kept, self._kind is EndpointKind.RING_LISTENER)
        except (OSError, ValueError):  # the peer has spoilt it, or nothing was handed over
            return False
        self._watch_ring(self._ring)
        return True

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"path": self._path, **self._sizes}

    def close(self) -> None:
        """For whoever made it."""
        self._closed = True
        self._frames.close()
        self._room.close()
        trio.lowlevel.notify_closing(self._control)
        self._control.close()
        if self._ring is not None:
            self._ring.close()
        for descriptor in self._kept:
            os.close(descriptor)
        self._kept = []

    def _watch_ring(self, ring: Ring) -> None:
        self._frames = Watched(readable=[ring.frames_fd, self._control.fileno()])
        self._room = Watched(readable=[ring.room_fd, self._control.fileno()])

    def _is_good(self, frame: bytes) -> bool:
        if len(frame) < SHORTEST_OCTETS:
            self.counters.drop_out("short")
        elif len(frame) > self.mtu_octets:
            self.counters.drop_out("oversize")
        else:
            return True
        return False

    def _open_ring(self) -> Ring:
        if self._closed or self._ring is None:
            raise LinkClosed("the link is closed, or handed over")
        return self._ring

    def _try(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except OSError as error:
            raise LinkBroken(f"{self._path}: {error.strerror}") from error

    async def _wait(self, watched: Watched) -> None:
        try:
            await watched.wait()
        except trio.ClosedResourceError:
            raise LinkClosed("the link is closed, or handed over") from None

    def _check_control(self) -> None:
        """Octets there mean nothing; their end is the rings'."""
        try:
            if self._control.recv(4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        raise LinkEnded(f"{self._path}: the peer has ended the rings")


@asynccontextmanager
async def open_shm(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """See the module's text."""
    if not address:
        raise ConfigError("shm:// needs a path: shm:///run/sw.ctl")
    if params.listen:
        control, ring = await _listen(address, params)
    else:
        wish = RingRequest(params.port, False, params.ring, 0, surroundings.description)
        control, ring = await _connect(_socket_at(address), wish, Path(address))
    link = ShmLink(control, ring, address)
    try:
        yield link
    finally:
        link.close()


def _socket_at(address: str) -> str:
    return os.path.join(address, SOCKET_NAME) if os.path.isdir(address) else address


async def _connect(path: str, wish: RingRequest, address: Path) -> tuple[socket.socket, Ring]:
    _check_length(path)
    connection = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with trio.fail_after(ANSWER_S):
            await connection.connect(path)
            ring = await request_ring(connection, wish)
        if isinstance(ring, RingAnswer):
            if ring.errno in (errno.EPROTONOSUPPORT, errno.EINVAL):
                raise ConfigError(f"{address}: {ring.reason}")
            raise LinkBroken(f"{address}: {ring.reason}")
    except trio.TooSlowError:
        connection.close()
        raise LinkBroken(f"{address}: no answer within {ANSWER_S:g} s") from None
    except OSError as error:
        connection.close()
        raise _explained(error, address) from error
    except WireError as error:
        connection.close()
        raise LinkBroken(f"{address}: {error}") from error
    except BaseException:
        connection.close()
        raise
    return socket.socket(fileno=connection.detach()), ring


def _explained(error: OSError, address: Path) -> ConfigError | LinkBroken:
    if error.errno == errno.EACCES:
        return ConfigError(f"{address}: no permission to use its rings")
    if error.errno == errno.ENOENT and (address / "ctl").exists():
        return ConfigError(f"{address}: the switch there has no rings: vde://{address} works with any switch")
    return LinkBroken(f"{address}: {error.strerror}")


async def _listen(path: str, params: Params) -> tuple[socket.socket, Ring]:
    _check_length(path)
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener = trio.socket.from_stdlib_socket(plain)
    bound = False
    try:
        bind_path(plain, path, params.mode)
        bound = True
        plain.listen(1)
        while True:
            connection, _ = await listener.accept()
            try:
                with trio.move_on_after(ANSWER_S):
                    ring = await _answer(connection, params)
                    if ring is not None:
                        return socket.socket(fileno=connection.detach()), ring
            except (OSError, WireError):
                pass  # the next one may be a peer
            finally:
                connection.close()
    finally:
        listener.close()
        if bound:
            remove_socket(path)


async def _answer(connection: trio.socket.SocketType, params: Params) -> Ring | None:
    wish = await receive_request(connection)
    if wish is None:
        return None
    if (refusal := refusal_of_version(wish)) is not None:
        await send_answer(connection, refusal, [])
        return None
    ring, theirs = Ring.create(params.ring or wish.ring_octets, _FRAME_OCTETS)
    try:
        await send_answer(connection, RingAnswer(0, ring.ring_octets, ring.frame_octets), theirs)
    except BaseException:
        ring.close()
        raise
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    return ring


def _check_length(path: str) -> None:
    if len(os.fsencode(path)) > UNIX_PATH_OCTETS:
        raise ConfigError(f"the path {path!r} is longer than {UNIX_PATH_OCTETS} octets")


PLUG = PlugSpec("shm", open_shm, Params, syntax="shm://PATH[listen]", style="bracket")
