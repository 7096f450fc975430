"""The link of `dtls://`: one peer, by one association after another, each with keys of its own.

Theory of operation. An `Association` is a trio DTLS channel whose handshake is done, with a task that reads it and one
that watches it (pings when it is quiet, and ends it when nothing comes back). The link sends on the *current*
association and reads from all. A connector makes the new one before it leaves the old one: it sends on the new one as
soon as its handshake is done, the listener as soon as something comes by it, and both go on reading the old one for
`LINGER_S`, so that nothing in flight is lost. To a listener, a peer that roams and one that renews its keys look alike.

trio allows one sender at a time on an endpoint, hence the locks.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import trio
from OpenSSL import SSL

from plugs.parts.tunnel import CLOSE, PING, ROOM_LEAST, Fragmenter, Reassembler, message, pack
from plugs.parts.udp_path import UdpPath, path_octets
from vde.errors import LinkBroken, LinkClosed
from vde.frame import MTU_OCTETS
from vde.link import FRAMES_PER_BATCH, SHORTEST_OCTETS, Link
from vde.plugspec import Surroundings

LINGER_S = 3.0  # chosen: longer than a path delays
QUEUE_FRAMES = 1024  # chosen
RECORD_OCTETS = 1 << 14  # RFC 6347 §4.1: the longest plaintext
NS = 1_000_000_000


@dataclass(frozen=True)
class Timing:
    """See the plug's options."""

    keepalive_s: float
    dead_s: float
    patience_s: float
    mtu_octets: int


class Association:
    """One channel with a peer."""

    def __init__(
        self, link: "DtlsLink", channel: trio.DTLSChannel, path: UdpPath, lock: trio.Lock, timing: Timing
    ) -> None:
        """After the handshake. `lock`: of the endpoint's senders."""
        self.channel = channel
        self.path = path
        self.over = trio.Event()
        self.why = ""
        self.carried_octets = 0
        self.on_first_record: Callable[[], None] | None = None
        self.reassembler = Reassembler(link.counters.drop_in, link.mtu_octets)
        self.round_trip_ns: int | None = None
        self._link = link
        self._lock = lock
        self._timing = timing
        self._now_ns = link.now_ns
        self._heard_ns = self._now_ns()
        self.room_octets = 0
        self.measure_path()

    def measure_path(self) -> bool:
        """Ask the kernel how long a datagram may be; was that less than before?"""
        before = self.room_octets
        set_path_mtu(self.channel, self.path, self._timing.mtu_octets)
        self.room_octets = max(min(self.channel.get_cleartext_mtu(), RECORD_OCTETS), ROOM_LEAST)
        return self.room_octets < before

    async def send(self, records: Sequence[bytes]) -> int:
        """Encrypt and send; how many. Less than all: the path takes less than it did, or this one is over."""
        try:
            self._lock.acquire_nowait()  # no turn of the loop is lost where there is one sender
        except trio.WouldBlock:
            await self._lock.acquire()
        try:
            return await self._send(records)
        finally:
            self._lock.release()

    async def _send(self, records: Sequence[bytes]) -> int:
        for done, record in enumerate(records):
            self.path.too_long = False
            try:
                await self.channel.send(record)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self.end(str(error) or "closed")
                return done
            except SSL.Error as error:
                self.end(f"OpenSSL: {error}")
                return done
            if self.path.too_long and self.measure_path():
                return done
            self.carried_octets += len(record)
        return len(records)

    async def read(self) -> None:
        """Hand its frames to the link, until its end."""
        while not self.over.is_set():
            try:
                record = await self.channel.receive()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self.end(str(error) or "closed")
                return
            except SSL.Error as error:  # the peer's alert; random octets are dropped by OpenSSL itself
                self.end(f"the peer ended it: {error}" if error.args else "the peer ended it")
                return
            now_ns = self._now_ns()
            self._heard_ns = now_ns
            self.carried_octets += len(record)
            found = self.reassembler.receive(record, now_ns)
            if (call := self.on_first_record) is not None:
                self.on_first_record = None
                call()
            self._link.on_record(self, found.frames)
            for body in found.pongs:
                if len(body) == 8:
                    self.round_trip_ns = max(now_ns - int.from_bytes(body), 0)
            if found.replies:
                await self.send(found.replies)
            if found.closed:
                self.end("the peer closed it")

    async def watch(self) -> None:
        """Ask when it is quiet; end it when nothing answers."""
        timing = self._timing
        while not self.over.is_set():
            quiet_s = (self._now_ns() - self._heard_ns) / NS
            if quiet_s >= timing.dead_s:
                self.end(f"nothing came for {quiet_s:.3g} s")
                return
            if quiet_s >= timing.keepalive_s:
                await self.ping()
            await trio.sleep(min(timing.keepalive_s, timing.dead_s) / 2)

    async def ping(self) -> None:
        """Ask for an answer."""
        await self.send([message(PING, self._now_ns().to_bytes(8))])

    def end(self, why: str) -> None:
        """It is over."""
        if not self.over.is_set():
            self.why = why
            self.over.set()
            self._link.on_over(self)

    async def live(self) -> None:
        """Read and watch until it is over."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.read)
            nursery.start_soon(self.watch)
            await self.over.wait()
            nursery.cancel_scope.cancel()
        self.channel.close()


def set_path_mtu(channel: trio.DTLSChannel, path: UdpPath, most_octets: int) -> None:
    """Tell a channel what the path takes; `most_octets`: of an IP packet, 0: what the kernel knows."""
    octets = path_octets(path.family, channel.peer_address)
    if most_octets:
        headers = 48 if ":" in str(channel.peer_address[0]) else 28
        octets = min(octets, most_octets - headers)
    channel.set_ciphertext_mtu(octets)


class DtlsLink(Link):
    """See the module's text."""

    mtu_octets = MTU_OCTETS

    def __init__(self, shown: Mapping[str, str | int | float | bool | None], surroundings: Surroundings) -> None:
        super().__init__()
        self.now_ns = surroundings.now_ns
        self.current: Association | None = None
        self.associations = 0
        self.refused = 0
        self.failed_handshakes = 0
        self.handshaking = 0
        self.living = 0
        self.last_why: str | None = None
        self._shown = shown
        self._warn = surroundings.warn
        self._warned = False
        self._fragmenter = Fragmenter()
        self._frames: deque[bytes] = deque()
        self._end: LinkBroken | LinkClosed | None = None
        self._changed = trio.Event()
        self._gap_until_ns = 0

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`; without a peer, frames are dropped."""
        await trio.lowlevel.checkpoint()
        good = []
        for frame in frames:
            if len(frame) < SHORTEST_OCTETS:
                self.counters.drop_out("short")
            elif len(frame) > self.mtu_octets:
                self.counters.drop_out("oversize")
            else:
                good.append(frame)
        for _ in range(4):  # a path that shrinks again and again, a peer that renews its keys
            if self._end is not None:
                raise self._end
            association = self.current or await self._wait_out_gap()
            if association is None or not good:
                break
            good = good[await self._send(association, good) :]
        if good:
            self.counters.drop_out("no-peer", len(good))

    async def _send(self, association: Association, frames: Sequence[bytes]) -> int:
        """How many frames are gone."""
        room = association.room_octets
        packed = pack((self._fragmenter.records(frame, room) for frame in frames), room)
        done = await association.send([record for record, _ in packed])
        gone = packed[done - 1][1] if done else 0
        self.counters.sent(sum(map(len, frames[:gone])), gone)
        return gone

    async def _wait_out_gap(self) -> Association | None:
        """While keys are renewed from the same port, there is no association for a moment."""
        while self.current is None and self._end is None:
            left_ns = self._gap_until_ns - self.now_ns()
            if left_ns <= 0:
                return None
            with trio.move_on_after(left_ns / NS):
                await self._changed.wait()
        return self.current

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        await trio.lowlevel.checkpoint()
        while not self._frames:
            if self._end is not None:
                raise self._end
            await self._changed.wait()
        batch = [self._frames.popleft() for _ in range(min(FRAMES_PER_BATCH, len(self._frames)))]
        self.counters.received(sum(map(len, batch)), len(batch))
        return batch

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        current = self.current
        found: dict[str, Any] = {
            **self._shown,
            "connected": current is not None,
            "associations": self.associations,
            "refused_peers": self.refused,
            "failed_handshakes": self.failed_handshakes,
            "fragmented_frames": self._fragmenter.fragmented_frames,
            "last_end": self.last_why,
        }
        if current is not None:
            host, port = current.channel.peer_address[:2]
            found["peer"] = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
            found["room_octets"] = current.room_octets
            found["round_trip_ns"] = current.round_trip_ns
        return found

    def adopt(self, association: Association) -> Association | None:
        """Send by this one from now on; the one before it."""
        before, self.current = self.current, association
        self.associations += 1
        self._gap_until_ns = 0
        self._tell()
        return before

    def on_record(self, association: Association, frames: Sequence[bytes]) -> None:
        """Something authentic came by an association."""
        room = QUEUE_FRAMES - len(self._frames)
        if len(frames) > room:
            self.counters.drop_in("full", len(frames) - room)
        self._frames.extend(frames[:room])
        self._tell()

    def on_over(self, association: Association) -> None:
        """An association is over."""
        if self.current is association:
            self.current = None
            self.last_why = association.why
        self._tell()

    def open_gap(self, seconds: float) -> None:
        """Until then, `send` waits for the next association instead of dropping."""
        self._gap_until_ns = self.now_ns() + int(seconds * NS)

    def on_refused(self) -> None:
        """A peer showed a certificate that is not accepted."""
        self.refused += 1
        self.warn_once("a peer with another key or certificate was refused; from now on they are only counted")

    def warn_once(self, text: str) -> None:
        """Tell the first time."""
        if not self._warned:
            self._warned = True
            self._warn(f"dtls://: {text}")

    def finish(self, error: LinkBroken | LinkClosed) -> None:
        """The link is over."""
        self._end = self._end or error
        self._tell()

    async def say_goodbye(self) -> None:
        """Tell the peer that we go, if there is one."""
        if self.current is not None:
            with trio.move_on_after(0.2) as scope:
                scope.shield = True
                await self.current.send([message(CLOSE)])

    async def wait_connected(self) -> None:
        """Until there is a peer."""
        while self.current is None:
            if self._end is not None:
                raise self._end
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
