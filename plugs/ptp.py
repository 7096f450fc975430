"""ptp://PATH — a cable between two programs of one machine, without a switch.

    ptp:///run/cable                      the one who comes first waits there, the second one joins it
    ptp:///run/cable[type=dgram]          meet vdeplug4 up to April 2025 (Debian 12), or libvdeplug2

There are two generations that cannot talk to each other. Who comes second follows what the first one made; who comes
first makes what `type` says:

* `seqpacket` (the default; vdeplug4 since April 2025): PATH is a listening SOCK_SEQPACKET socket. Who connects is
  answered one octet: 0, or the number of an error (EISCONN: there are two already). When one side goes away the other
  one stays, and listens if it did not.
* `dgram`: PATH is the first side's SOCK_DGRAM socket, PATH+ the second side's. An empty datagram is a farewell.

Without a peer, frames are dropped and counted (`no-peer`), and the link lasts. A third side is refused. The sockets are
removed at the end; what a dead program left is taken over.

Wire: one frame a message, without any header.
Shown with: Debian 12's vde_plug (`dgram`, both roles).
Limits: frames of up to 9234 octets; longer ones are dropped and counted (`oversize`). Who may write to PATH (`mode`)
may join, once: there is no other authentication.
"""

import contextlib
import errno
import os
import socket
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from plugs.parts.hangup import Watched
from plugs.parts.places import widen
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.link import FRAMES_PER_BATCH, SHORTEST_OCTETS, Link
from vde.plugspec import PlugSpec, Surroundings, option
from vde.registration import SUN_PATH_OCTETS

ACCEPTED = b"\0"
BACKLOG = 1
ATTEMPTS = 10  # chosen: two sides that come and go at the same moment
NOBODY = (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTCONN, errno.EPIPE, errno.ECONNRESET)


@dataclass(frozen=True)
class Params:
    """Options."""

    type: str = option("auto", "generation, if we come first (auto: seqpacket)", choices=("auto", "seqpacket", "dgram"))
    mode: int = option(0o700, "permissions of the socket, octal", least=0, most=0o777, base=8)


class Exchange(Link):
    """What both generations share. `_step` reads once; frames without a peer are dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._watched = Watched()
        self._closed = False

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        while True:
            if self._closed:
                raise LinkClosed("the link is closed")
            try:
                await self._watched.wait()
            except trio.ClosedResourceError:
                raise LinkClosed("the link is closed") from None
            frames: list[bytes] = []
            for _ in range(FRAMES_PER_BATCH):
                if (message := self._step()) is None:
                    break
                if len(message) < SHORTEST_OCTETS:
                    self.counters.drop_in("short")
                elif len(message) > self.mtu_octets:
                    self.counters.drop_in("oversize")
                else:
                    frames.append(message)
            if frames:
                self.counters.received(sum(map(len, frames)), len(frames))
                return frames

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        await trio.lowlevel.checkpoint()
        for frame in frames:
            if self._closed:
                raise LinkClosed("the link is closed")
            if len(frame) < SHORTEST_OCTETS:
                self.counters.drop_out("short")
            elif len(frame) > self.mtu_octets:
                self.counters.drop_out("oversize")
            elif (reason := await self._put(frame)) is None:
                self.counters.sent(len(frame))
            else:
                self.counters.drop_out(reason)

    @abstractmethod
    def _step(self) -> bytes | None:
        """One message; None: there is none, or something else was done."""

    @abstractmethod
    async def _put(self, frame: bytes) -> str | None:
        """Send; why not."""

    def close(self) -> None:
        """For whoever made it."""
        self._closed = True
        self._watched.close()


class SeqpacketExchange(Exchange):
    """Either side of the newer generation."""

    def __init__(self, path: str, mode: int) -> None:
        """Raises `OSError`: neither connecting nor listening is possible."""
        super().__init__()
        self._path = path
        self._mode = mode
        self._listener: socket.socket | None = None
        self._peer: socket.socket | None = None
        self._unanswered = False
        try:
            self._meet()
        except BaseException:
            self.close()
            raise

    def _meet(self) -> None:
        """Connect, or listen."""
        for _ in range(ATTEMPTS):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sock.setblocking(False)
            try:
                sock.connect(self._path)
            except (FileNotFoundError, ConnectionRefusedError) as error:
                with contextlib.suppress(FileNotFoundError):
                    if isinstance(error, ConnectionRefusedError):
                        os.unlink(self._path)
                try:
                    sock.bind(self._path)
                    os.chmod(self._path, self._mode)
                    sock.listen(BACKLOG)
                except OSError as failure:
                    sock.close()
                    if failure.errno != errno.EADDRINUSE:
                        raise
                    continue
                self._listener = sock
                self._watched.add(sock.fileno())
                return
            except BaseException:
                sock.close()
                raise
            self._take(sock)
            self._unanswered = True
            return
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    def _take(self, sock: socket.socket) -> None:
        widen(sock)
        sock.setblocking(False)
        self._peer = sock
        self._watched.add(sock.fileno())

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            sock, _ = self._listener.accept()
        except OSError:  # none, or it has gone again
            return
        answer = ACCEPTED if self._peer is None else bytes([errno.EISCONN])
        with contextlib.suppress(OSError):
            sock.send(answer, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        if self._peer is None:
            self._take(sock)
        else:
            self.counters.drop_in("stranger")
            sock.close()

    def _step(self) -> bytes | None:
        self._accept()
        if self._peer is None:
            return None
        try:
            message = self._peer.recv(self.mtu_octets + 1)
        except BlockingIOError:
            return None
        except OSError:
            message = b""
        if self._unanswered and message:
            self._unanswered = False
            if message != ACCEPTED:
                self._lose()
                raise LinkBroken(f"ptp://{self._path}: refused: {os.strerror(message[0])}")
            return self._step()
        if not message:
            self._lose()
            if self._listener is None:
                try:
                    self._meet()
                except OSError as error:
                    raise LinkBroken(f"ptp://{self._path}: {error.strerror}") from error
            return None
        return message

    def _lose(self) -> None:
        if self._peer is not None:
            trio.lowlevel.notify_closing(self._peer)
            self._watched.remove(self._peer.fileno())
            self._peer.close()
            self._peer = None
        self._unanswered = False

    async def _put(self, frame: bytes) -> str | None:
        if self._peer is None:
            self._accept()
        while (peer := self._peer) is not None:
            try:
                peer.send(frame, socket.MSG_NOSIGNAL)
                return None
            except BlockingIOError:
                with contextlib.suppress(trio.ClosedResourceError):
                    await trio.lowlevel.wait_writable(peer)
            except OSError as error:
                return "no-peer" if error.errno in NOBODY else "refused"
        return "no-peer"

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"type": "seqpacket", "listening": self._listener is not None, "connected": self._peer is not None}

    def close(self) -> None:
        """For whoever made it."""
        super().close()
        if self._peer is not None:
            trio.lowlevel.notify_closing(self._peer)
            self._peer.close()
            self._peer = None
        if self._listener is not None:
            self._listener.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)


class DatagramExchange(Exchange):
    """Either side of the older generation."""

    def __init__(self, path: str, mode: int) -> None:
        """Raises `OSError`: both sides are taken, or no socket can be made."""
        super().__init__()
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._own = ""
        try:
            widen(self._sock)
            first = not _answers(path)
            if not first and _answers(path + "+"):
                raise OSError(errno.EISCONN, "both of its ends are taken")
            own, self._other = (path, path + "+") if first else (path + "+", path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(own)  # nobody answers there
            self._sock.bind(own)
            self._own = own
            os.chmod(own, mode)
            self._watched.add(self._sock.fileno())
        except BaseException:
            self.close()
            raise

    def _step(self) -> bytes | None:
        while True:
            try:
                message, sender = self._sock.recvfrom(self.mtu_octets + 1)
            except OSError:
                return None
            if sender is not None and not self._is_other(sender):
                self.counters.drop_in("stranger")
            elif message:
                return message

    def _is_other(self, sender: str) -> bool:
        """Peers may spell the path in another way, relative to where they are."""
        return sender == self._other or os.path.basename(sender) == os.path.basename(self._other)

    async def _put(self, frame: bytes) -> str | None:
        try:
            self._sock.sendto(frame, self._other)
        except BlockingIOError:  # poll(2) of an unconnected socket does not tell of the receiver's room
            return await self._insist(frame)
        except OSError as error:
            return "no-peer" if error.errno in NOBODY else "refused"
        return None

    async def _insist(self, frame: bytes) -> str | None:
        """By a connected socket, which can be waited for. Its messages have no sender, and so no stranger's name."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                while True:
                    try:
                        self._sock.sendto(frame, self._other)
                        return None
                    except BlockingIOError:
                        sock.connect(self._other)
                        await trio.lowlevel.wait_writable(sock)
            except OSError as error:
                return "no-peer" if error.errno in NOBODY else "refused"

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"type": "dgram", "first": not self._own.endswith("+"), "connected": os.path.exists(self._other)}

    def close(self) -> None:
        """For whoever made it."""
        super().close()
        if self._own:
            with contextlib.suppress(OSError):
                self._sock.sendto(b"", self._other)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._own)
            self._own = ""
        self._sock.close()


def _answers(path: str) -> bool:
    """Is a live datagram socket there?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except PermissionError:  # it is connected, to another one than us
            return True
    return True


@asynccontextmanager
async def open_ptp(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the path."""
    if not address or len(os.fsencode(address)) >= SUN_PATH_OCTETS - 1:
        raise ConfigError(f"ptp://{address}: a path of 1 to {SUN_PATH_OCTETS - 2} octets was expected")
    link: Exchange
    try:
        if params.type == "dgram":
            link = DatagramExchange(address, params.mode)
        else:
            try:
                link = SeqpacketExchange(address, params.mode)
            except OSError as error:
                if error.errno != errno.EPROTOTYPE or params.type == "seqpacket":
                    raise
                link = DatagramExchange(address, params.mode)
    except OSError as error:
        raise _explain(address, error) from error
    try:
        yield link
    finally:
        link.close()


def _explain(path: str, error: OSError) -> ConfigError | LinkBroken:
    text = f"ptp://{path}: {error.strerror}"
    if error.errno == errno.EPROTOTYPE:
        return ConfigError(f"{text}: the other side is of the other generation; let type= choose: auto")
    if error.errno in (errno.EISCONN, errno.EAGAIN):
        return LinkBroken(text)
    return ConfigError(text)


PLUG = PlugSpec("ptp", open_ptp, Params, syntax="ptp://PATH", style="bracket")
