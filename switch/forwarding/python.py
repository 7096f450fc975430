"""`PythonForwarder`: the reference plane on file descriptors, as one trio task.

All endpoints are in one epoll set, which is itself a descriptor that trio waits for. A round serves every ready
endpoint once: it sends what waits in its queue (level-triggered EPOLLOUT is asked for only while something waits) and
takes some of its frames, each of which is delivered at once. An eventfd in the same set wakes the task for events that
configuration made.

Limits: one system call a frame; the GIL is held; no offloads (rule 13).
`native` is the fast one, this is the readable one.
"""

import contextlib
import errno
import fcntl
import os
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from switch.forwarding.overlay import OverlayEnd
from switch.forwarding.reference import Delivery, ReferencePlane
from switch.forwarding.terms import (
    COUNT_MAX,
    DELIVERIES_PER_TURN,
    FRAMES_AT_DETACH,
    FRAMES_PER_SHORT_TURN,
    FRAMES_PER_TURN,
    LONE_ROUNDS,
    LONE_TURNS,
    QUEUED_PER_TURN,
    ROUNDS_PER_POLL,
    DropReason,
    EndpointKind,
    Event,
    Limits,
)
from vde import clock
from vde._native import Ring
from vde.endpoint import OverlayTerms

ENDPOINTS_PER_ROUND = 64  # chosen
IDLE_WAIT_MIN_NS = 10_000_000  # chosen: a garbage collection interval of 0 does not become a busy loop
_TUNSETOFFLOAD = 0x400454D0  # linux/if_tun.h: _IOW('T', 208, unsigned int)
_VNET_OCTETS = 10  # virtio 1.2 §5.1.6.1: the legacy header; of zeros: an ordinary frame
_NOT_NOW = {errno.EAGAIN, errno.ENOBUFS}
_TRANSIENT = {errno.EINTR, errno.ECONNRESET, errno.ECONNREFUSED}  # a datagram socket reports them once and goes on
_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class _Endpoint:
    number: int
    fd: int
    kind: EndpointKind
    connection: bool
    """Does an empty message mean its end?"""
    transient: frozenset[int]
    """Errors of reading that pass."""
    queue_frames: int
    frames_per_turn: int = FRAMES_PER_TURN
    bursty: bool = False
    """Did its last turn bring more than one frame?"""
    last_round: int = -1
    """When that was."""
    lone_turns: int = 0
    """How many turns in a row brought one frame, not right after the one before."""
    before: bytes = b""
    """Stands before each frame."""
    queue: deque[bytes] = field(default_factory=deque)
    failed: bool = False
    ring: Ring | None = None
    overlay: OverlayEnd | None = None


class PythonForwarder(ReferencePlane):
    """See `contract.Forwarder` for every method, and the module's text."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._endpoints: dict[int, _Endpoint] = {}
        self._by_fd: dict[int, _Endpoint] = {}
        self._now_ns = 0
        self._rounds = 0
        self._lone = (-1, -LONE_ROUNDS)
        """Which endpoint that steadily sends single frames was served last, and in which round."""
        self._running = self._closed = False
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)

    def __del__(self) -> None:
        if hasattr(self, "_wake"):
            self.close()

    # -- endpoints ----------------------------------------------------------------------------------------------------

    def attach(
        self,
        port: int,
        endpoint: int,
        fd: int,
        kind: EndpointKind,
        others: Sequence[int] = (),
        overlay: OverlayTerms | None = None,
    ) -> None:
        """As `Forwarder.attach`."""
        if self._closed:
            raise RuntimeError("attach: the forwarder is closed")
        self.add_endpoint(port, endpoint)
        if kind in (EndpointKind.RING_LISTENER, EndpointKind.RING_CONNECTOR):
            self._attach_ring(endpoint, [fd, *others], listener=kind is EndpointKind.RING_LISTENER)
            return
        try:
            connection = kind not in (EndpointKind.DATAGRAM, EndpointKind.OVERLAY)
            if kind is EndpointKind.OVERLAY:
                if overlay is None:
                    raise ValueError("an overlay endpoint has terms")
                _prepare_socket(fd, self.limits.send_buffer_octets)
            if kind is EndpointKind.TAP_VNET:
                _refuse_offloads(fd)
            if kind is EndpointKind.DATAGRAM:
                connection = _prepare_socket(fd, self.limits.send_buffer_octets) == socket.SOCK_SEQPACKET
            os.set_blocking(fd, False)
            self._epoll.register(fd, select.EPOLLIN)
        except BaseException:
            self.remove_endpoint(endpoint)
            raise
        transient = frozenset() if connection else frozenset(_TRANSIENT)
        end = _Endpoint(endpoint, fd, kind, connection, transient, self.limits.queue_frames)
        if kind is EndpointKind.TAP_VNET:
            end.before = bytes(_VNET_OCTETS)
        if overlay is not None and kind is EndpointKind.OVERLAY:
            end.overlay = OverlayEnd(fd, overlay)
        self._endpoints[endpoint] = self._by_fd[fd] = end

    def _attach_ring(self, endpoint: int, descriptors: list[int], *, listener: bool) -> None:
        copies: list[int] = []
        try:
            for descriptor in descriptors:
                copies.append(os.dup(descriptor))  # noqa: PERF401 - those made before an error are closed
            given, copies = copies, []
            ring = Ring.from_parts(given, listener)
        except BaseException:
            for copy in copies:
                os.close(copy)
            self.remove_endpoint(endpoint)
            raise
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        end = _Endpoint(endpoint, descriptors[0], EndpointKind.RING_LISTENER, True, frozenset(), 0, ring=ring)
        self._epoll.register(end.fd, select.EPOLLIN)
        self._endpoints[endpoint] = self._by_fd[end.fd] = end

    def detach(self, endpoint: int) -> None:
        """As `Forwarder.detach`."""
        self._take_rest(self._endpoint(endpoint))
        self._remove(endpoint)

    def _remove(self, endpoint: int) -> None:
        end = self._endpoint(endpoint)
        self.remove_endpoint(endpoint)
        del self._endpoints[endpoint], self._by_fd[end.fd]
        if not end.failed:
            self._epoll.unregister(end.fd)
        if end.overlay is not None:
            end.overlay.release()
        os.close(end.fd)
        if end.ring is not None:
            end.ring.close()

    def _take_rest(self, end: _Endpoint) -> None:
        if end.failed or end.kind is not EndpointKind.DATAGRAM:
            return
        now_ns = clock.monotonic_ns() if self._running else self._now_ns
        with contextlib.suppress(OSError):
            for _ in range(FRAMES_AT_DETACH):
                octets = os.read(end.fd, self.limits.max_frame_octets + 1)
                if not octets and end.connection:
                    break
                self._deliver(self.ingress(end.number, octets, now_ns))

    def set_queue(self, endpoint: int, frames: int) -> None:
        """As `Forwarder.set_queue`."""
        end = self._endpoint(endpoint)
        if not 0 <= frames <= COUNT_MAX:
            raise ValueError(f"queue of {frames} frames: 0 to {COUNT_MAX} are possible")
        end.queue_frames = frames

    def queue_length(self, endpoint: int) -> int:
        """As `Forwarder.queue_length`."""
        return len(self._endpoint(endpoint).queue)

    def transmit(self, port: int, frame: bytes) -> None:
        """As `Forwarder.transmit`."""
        self._deliver(self.egress(port, frame, clock.monotonic_ns() if self._running else self._now_ns))

    def _endpoint(self, endpoint: int) -> _Endpoint:
        try:
            return self._endpoints[endpoint]
        except KeyError:
            raise KeyError(f"endpoint {endpoint} does not exist") from None

    def set_aging(self, *, expire_ns: int, gc_interval_ns: int, min_persistence_ns: int) -> None:
        """As `Forwarder.set_aging`."""
        super().set_aging(expire_ns=expire_ns, gc_interval_ns=gc_interval_ns, min_persistence_ns=min_persistence_ns)
        if not self._closed:
            os.eventfd_write(self._wake, 1)

    # -- rounds -------------------------------------------------------------------------------------------------------

    def poll(self, now_ns: int) -> Sequence[Event]:
        """As `Forwarder.poll`."""
        if self._running or self._closed:
            raise RuntimeError("poll: the forwarder is running, or closed")
        self._now_ns = now_ns
        self.collect(now_ns)
        for _ in range(ROUNDS_PER_POLL):
            if not self._round(now_ns):
                break
        return self.take_events()

    async def run(
        self,
        on_events: Callable[[Sequence[Event]], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """As `Forwarder.run`."""
        if self._running or self._closed:
            raise RuntimeError("run: once only")
        self._running = True
        try:
            task_status.started()
            while True:
                if self._events:
                    on_events(self.take_events())
                wait_ns = max(self.next_collection_ns() - clock.monotonic_ns(), IDLE_WAIT_MIN_NS)
                with trio.move_on_after(wait_ns / _SECOND_NS):
                    await trio.lowlevel.wait_readable(self._epoll.fileno())
                now_ns = clock.monotonic_ns()
                self.collect(now_ns)
                self._round(now_ns)
        finally:
            self._running = False
            self.close()

    def close(self) -> None:
        """As `Forwarder.close`."""
        if self._running:
            raise RuntimeError("close: the forwarder is running; cancel it")
        if self._closed:
            return
        self._closed = True
        for endpoint in list(self._endpoints):
            self._remove(endpoint)
        os.close(self._wake)
        self._epoll.close()

    def _report(self, event: Event) -> None:
        if self._running and not self._events:
            os.eventfd_write(self._wake, 1)
        super()._report(event)

    def _round(self, now_ns: int) -> bool:
        """Serve the ready endpoints; was there one?"""
        ready = dict(self._epoll.poll(0, ENDPOINTS_PER_ROUND))
        if ready.pop(self._wake, 0):
            os.eventfd_read(self._wake)
        turns = sorted(((self._by_fd[fd], mask) for fd, mask in ready.items()), key=lambda turn: turn[0].number)
        self._rounds += bool(turns)
        for end, mask in turns:
            if mask & select.EPOLLOUT:
                self._send_queued(end)
            if mask & ~select.EPOLLOUT:
                self._receive(end, now_ns, hung_up=bool(mask & select.EPOLLHUP))
        return bool(turns)

    def _receive(self, end: _Endpoint, now_ns: int, *, hung_up: bool) -> None:
        frames = deliveries = 0
        if end.ring is not None:
            self._receive_ring(end, end.ring, now_ns)
            return
        singly = not end.bursty and end.last_round != self._rounds - 1
        lone, lone_round = self._lone
        most = 1 if singly else end.frames_per_turn
        if lone != end.number and self._rounds - lone_round < LONE_ROUNDS:
            most = min(most, FRAMES_PER_SHORT_TURN)
        while frames < most:
            try:
                octets = self._read(end)
            except BlockingIOError:
                if hung_up and not frames:
                    self._fail(end, errno.ECONNRESET)
                break
            except OSError as error:
                if error.errno not in end.transient:
                    self._fail(end, error.errno or errno.EIO)
                break
            if octets is None:
                self.count_undelivered(end.number, DropReason.OVERLAY)
                frames += 1
                continue
            if not octets and end.connection:
                self._fail(end, errno.ECONNRESET)
                break
            out = self.ingress(end.number, octets[len(end.before) :], now_ns)
            self._deliver(out)
            frames += 1
            deliveries += len(out)
        end.bursty, end.last_round = frames > 1, self._rounds
        end.frames_per_turn = _next_turn(frames, deliveries)
        end.lone_turns = end.lone_turns + 1 if singly and frames == 1 else 0
        if end.lone_turns >= LONE_TURNS:
            self._lone = (end.number, self._rounds)

    def _read(self, end: _Endpoint) -> bytes | None:
        if end.overlay is not None:
            return end.overlay.receive(self.limits.max_frame_octets)
        return os.read(end.fd, len(end.before) + self.limits.max_frame_octets + 1)

    def _receive_ring(self, end: _Endpoint, ring: Ring, now_ns: int) -> None:
        try:
            frames = ring.receive(end.frames_per_turn)
        except OSError as error:
            self._fail(end, error.errno or errno.EPROTO)
            return
        deliveries = 0
        for frame in frames:
            out = self.ingress(end.number, frame, now_ns)
            self._deliver(out)
            deliveries += len(out)
        end.frames_per_turn = _next_turn(len(frames), deliveries)

    def _fail(self, end: _Endpoint, code: int) -> None:
        end.failed = True
        end.queue.clear()
        self._epoll.unregister(end.fd)
        self.fail_endpoint(end.number, code)

    # -- sending ------------------------------------------------------------------------------------------------------

    def _deliver(self, deliveries: list[Delivery]) -> None:
        for number, frame in deliveries:
            end = self._endpoints[number]
            if not end.queue and self._send(end, frame):
                continue
            if end.failed or end.ring is not None or len(end.queue) >= end.queue_frames:
                self.count_undelivered(number, DropReason.QUEUE_FULL)
                continue
            if not end.queue:
                self._epoll.modify(end.fd, select.EPOLLIN | select.EPOLLOUT)
            end.queue.append(frame)

    def _send_queued(self, end: _Endpoint) -> None:
        for _ in range(QUEUED_PER_TURN):
            if not end.queue or not self._send(end, end.queue[0]):
                break
            end.queue.popleft()
        if not end.queue:
            self._epoll.modify(end.fd, select.EPOLLIN)

    def _send(self, end: _Endpoint, frame: bytes) -> bool:
        """Is it done with: sent, or refused and counted?"""
        try:
            if end.ring is not None:
                return end.ring.send([frame]) == 1
            if end.overlay is not None:
                full, refused = end.overlay.send(frame)
                for reason, copies in ((DropReason.QUEUE_FULL, full), (DropReason.SEND_ERROR, refused)):
                    for _ in range(copies):
                        self.count_undelivered(end.number, reason)
                return True
            os.write(end.fd, end.before + frame)
        except ValueError:  # longer than the ring's longest frame
            self.count_undelivered(end.number, DropReason.SEND_ERROR)
        except OSError as error:
            if error.errno in _NOT_NOW:
                return False
            self.count_undelivered(end.number, DropReason.SEND_ERROR)
        return True


def _next_turn(frames: int, deliveries: int) -> int:
    """How many frames an endpoint may take in its next turn, after one of `frames` frames made `deliveries`."""
    if deliveries <= DELIVERIES_PER_TURN:
        return FRAMES_PER_TURN
    return min(max(DELIVERIES_PER_TURN * frames // deliveries, 1), FRAMES_PER_TURN)


def _refuse_offloads(fd: int) -> None:
    try:
        fcntl.ioctl(fd, _TUNSETOFFLOAD, 0)
    except OSError as error:
        if error.errno != errno.ENOTTY:  # no tap
            raise


def _prepare_socket(fd: int, send_buffer_octets: int) -> int:
    """Set the send buffer; returns the socket's type."""
    sock = socket.socket(fileno=fd)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_octets)
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    finally:
        sock.detach()
