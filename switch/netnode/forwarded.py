"""Nodes whose frames the switch's forwarder moves: `switch://` and `hub://`.

The opener's end is one end of a socket pair, whose other end is a port of the switch like any other; it can be handed
over, so that frames do not pass through Python at all.
"""

import errno
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager

import trio

from switch.control import ControlServer
from switch.core import Settings, Switch
from switch.forwarding.choice import open_forwarder
from switch.forwarding.contract import EndpointKind, Event, Limits
from switch.netnode.place import LearningParams, Params, control_server, open_place
from switch.ports import PORT_MAX, Endpoint
from vde.descriptor_link import DescriptorLink
from vde.endpoint import HandedOver
from vde.errors import LinkBroken, Refused
from vde.frame import MTU_OCTETS
from vde.link import Link
from vde.plugspec import Surroundings

HOST = "host"
MAC_PREFIX = b"\x00\xff"  # as vde_switch: only the spanning tree, which is off, would show it
BUFFER_OCTETS = 1 << 20  # chosen: the forwarder's own bound of what a socket holds


class NodeSwitch(Switch):
    """A switch without a management port, on which every client gets a port of its own."""

    def choose_port(self, wanted: int, *, management: bool) -> int:
        """The next free one, whatever is wanted. Raises `Refused`."""
        if management:
            raise Refused(errno.EINVAL, "a node has no management port")
        return self.ports.first_free()

    def let_go(self) -> None:
        """Nothing refers to itself any more: the forwarder's descriptors are closed as soon as it is not used."""
        self.events.on_interest = lambda: None


class HostLink(DescriptorLink):
    """The opener's end."""

    mtu_octets = MTU_OCTETS

    def __init__(self, own: socket.socket) -> None:
        super().__init__(own.fileno())
        self._own = own

    def _read(self) -> bytes | None:
        octets = self._own.recv(MTU_OCTETS + 1)
        if not octets:
            raise LinkBroken("the node has ended")
        return octets

    def _write(self, frame: bytes) -> None:
        self._own.send(frame)

    def _write_failed(self, error: OSError) -> None:
        raise LinkBroken("the node has ended") from error

    def hand_over(self) -> HandedOver:
        """As `Link.hand_over`."""
        return HandedOver(os.dup(self._own.fileno()), EndpointKind.DATAGRAM)

    def take_back(self) -> bool:
        """As `Link.take_back`: what was handed over is a duplicate."""
        return True


@asynccontextmanager
async def open_forwarded(address: str, params: Params, surroundings: Surroundings, *, hub: bool) -> AsyncIterator[Link]:
    """A node at `address`, and our end of it."""
    now_ns = surroundings.now_ns
    with ExitStack() as stack:
        directory = stack.enter_context(open_place(address, params, surroundings))
        seed = int.from_bytes(surroundings.random(8))
        forwarder = open_forwarder("native", Limits(), seed)
        stack.callback(forwarder.close)
        settings = Settings(
            MAC_PREFIX + surroundings.random(4), num_ports=PORT_MAX, hub=hub, fstp=False, vlan_transparent=True
        )
        switch = NodeSwitch(forwarder, settings, now_ns())
        stack.callback(switch.let_go)
        if isinstance(params, LearningParams):
            switch.set_aging(expire_s=params.expiretime)
        own = stack.enter_context(_plug_in_host(switch, surroundings))
        link = HostLink(own)
        stack.callback(link.end)
        server = control_server(switch, directory, surroundings)
        async with trio.open_nursery() as nursery:
            await _start(nursery, switch, server, surroundings)
            yield link
            nursery.cancel_scope.cancel()


async def _start(nursery: trio.Nursery, switch: Switch, server: ControlServer, surroundings: Surroundings) -> None:
    def handle(events: Sequence[Event]) -> None:
        switch.handle_events(events, surroundings.now_ns())

    await nursery.start(switch.forwarder.run, handle)
    await nursery.start(server.serve)


def _plug_in_host(switch: Switch, surroundings: Surroundings) -> socket.socket:
    """Our end of a socket pair whose other end has a port."""
    own, port_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
    endpoint = Endpoint(
        id=port_end.fileno(),
        port=switch.ports.first_free(),
        kind=EndpointKind.DATAGRAM,
        module=HOST,
        description=surroundings.description,
        uid=None,
        close=lambda: None,
    )
    switch.plug_in(endpoint, port_end.fileno(), surroundings.now_ns())
    port_end.detach()
    return own
