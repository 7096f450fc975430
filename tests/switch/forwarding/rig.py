"""A forwarder whose endpoints are socket pairs, with time in the test's hands."""

import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from switch.forwarding.choice import open_forwarder
from switch.forwarding.contract import NO_VLAN, EndpointKind, Event, Forwarder, Limits
from switch.forwarding.native import NativeForwarder
from vde._native import Ring

SECOND_NS = 1_000_000_000
Kind = Literal["python", "native", "sendmmsg"]
"""`native` uses io_uring if the machine lets it; `sendmmsg` is the native one without."""
MakeRig = Callable[..., "Rig"]


class RingPeer:
    """The other side of rings, as a socket. It cannot send more than the ring's longest frame."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring

    def send(self, frame: bytes) -> None:
        if not self.ring.send([frame[: self.ring.frame_octets]]):
            raise BlockingIOError

    def recv(self, octets: int) -> bytes:
        for frame in self.ring.receive(1):
            return frame
        raise BlockingIOError

    def close(self) -> None:
        self.ring.close()


class Rig:
    """Peers are the other ends: what a client would hold. Endpoints have their ports' numbers unless told otherwise."""

    def __init__(self, kind: Kind, limits: Limits | None = None, vlans: Iterable[int] = (0,)) -> None:
        self.kind = kind
        self.limits = limits or Limits()
        self.forwarder = open_kind(kind, self.limits)
        self.peers: dict[int, socket.socket] = {}
        self.ring_peers: dict[int, RingPeer] = {}
        self.before: dict[int, bytes] = {}
        self.now_ns = SECOND_NS
        for vlan in vlans:
            self.forwarder.add_vlan(vlan)

    def close(self) -> None:
        self.forwarder.close()
        for endpoint in (*self.peers, *self.ring_peers):
            self.peer(endpoint).close()

    def peer(self, endpoint: int) -> "socket.socket | RingPeer":
        return self.ring_peers[endpoint] if endpoint in self.ring_peers else self.peers[endpoint]

    def port(
        self, number: int, native: int = 0, *, tagged: Iterable[int] = (), endpoints: Sequence[int] | None = None
    ) -> None:
        """A forwarding port, untagged in `native`, with one endpoint unless told otherwise."""
        self.forwarder.add_port(number, native)
        if native != NO_VLAN:
            self.member(native, number, tagged=False)
        for vlan in tagged:
            self.member(vlan, number, tagged=True)
        for endpoint in (number,) if endpoints is None else endpoints:
            self.attach(number, endpoint)

    def member(
        self, vlan: int, number: int, *, tagged: bool = False, learning: bool = True, forwarding: bool = True
    ) -> None:
        self.forwarder.set_member(vlan, number, tagged=tagged, learning=learning, forwarding=forwarding)

    def attach(
        self,
        port: int,
        endpoint: int,
        kind: EndpointKind = EndpointKind.DATAGRAM,
        socket_type: socket.SocketKind = socket.SOCK_DGRAM,
        before: bytes = b"",
    ) -> None:
        """`before` stands before each frame, which is what a tap with offloads has."""
        if kind in (EndpointKind.RING_LISTENER, EndpointKind.RING_CONNECTOR):
            self.attach_ring(port, endpoint, kind)
            return
        ours, peer = socket.socketpair(socket.AF_UNIX, socket_type)
        try:
            self.forwarder.attach(port, endpoint, ours.fileno(), kind)
        except BaseException:
            ours.close()
            peer.close()
            raise
        ours.detach()
        peer.setblocking(False)
        self.peers[endpoint] = peer
        self.before[endpoint] = before

    def attach_ring(self, port: int, endpoint: int, kind: EndpointKind, ring_octets: int = 0) -> None:
        listener, given = Ring.create(ring_octets, self.limits.max_frame_octets + 4)
        sides = [listener, Ring.join(given)]
        ours = sides.pop(kind - EndpointKind.RING_LISTENER)
        fd, *others = ours.give_away()
        self.forwarder.attach(port, endpoint, fd, kind, others)
        self.ring_peers[endpoint] = RingPeer(sides[0])

    def detach(self, endpoint: int) -> None:
        self.forwarder.detach(endpoint)
        if endpoint in self.ring_peers:
            self.ring_peers.pop(endpoint).close()
        else:
            self.peers.pop(endpoint).close()

    def send(self, endpoint: int, *frames: bytes) -> None:
        for frame in frames:
            self.peer(endpoint).send(self.before.get(endpoint, b"") + frame)

    def taken(self, endpoint: int) -> list[bytes]:
        """What the peer finds in its buffer."""
        frames = []
        while True:
            try:
                frames.append(self.peer(endpoint).recv(1 << 17).removeprefix(self.before.get(endpoint, b"")))
            except BlockingIOError:
                return frames

    def poll(self, after_ns: int = 0) -> list[Event]:
        self.now_ns += after_ns
        return list(self.forwarder.poll(self.now_ns))

    def cross(self, endpoint: int, *frames: bytes) -> dict[int, list[bytes]]:
        """Send, forward, and what arrived where."""
        self.send(endpoint, *frames)
        self.poll()
        arrived = {number: self.taken(number) for number in sorted([*self.peers, *self.ring_peers])}
        return {number: frames for number, frames in arrived.items() if frames}

    def tell_ports(self, *numbers: int) -> None:
        """Let the table know that station N is on port N (and nobody is left with the frames by which it learns)."""
        for number in numbers:
            self.cross(number, hello(number))


def open_kind(kind: Kind, limits: Limits) -> Forwarder:
    if kind == "sendmmsg":
        return NativeForwarder(limits, seed=7, io_uring=False)
    return open_forwarder(kind, limits, seed=7)


def hello(station: int) -> bytes:
    """A frame from station `station` to a group that nobody minds."""
    return bytes.fromhex("0180c200000e") + b"\x02\0\0\0" + station.to_bytes(2) + b"\x88\xb5" + bytes(46)
