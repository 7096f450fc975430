"""A link to a libslirp network: trio waits for what the library waits for.

All descriptors of the library are in one epoll set, which is itself waited for; it is brought up to date before every
wait, because the library opens and closes sockets as it likes and only says at that moment which it wants.
"""

import select
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import trio

from plugs.parts.beside import running
from plugs.parts.libslirp import Network, Slirp
from plugs.parts.nat_plan import Plan
from plugs.parts.router_door import is_addressed
from vde.errors import ConfigError, LinkClosed
from vde.frame import HEADER_OCTETS, TAG_OCTETS
from vde.link import FRAMES_PER_BATCH, SHORTEST_OCTETS, Link
from vde.plugspec import Surroundings

DEFAULT_MTU_OCTETS = 1500


class SlirpLink(Link):
    """See above."""

    def __init__(self, slirp: Slirp, mtu_octets: int, shown: Mapping[str, str | int | float | bool | None]) -> None:
        super().__init__()
        self.mtu_octets = mtu_octets + HEADER_OCTETS + TAG_OCTETS
        self._slirp = slirp
        self._shown = shown
        self._sleep = trio.CancelScope()
        self._frames_there = trio.Event()
        self._closed = False
        self._watched: set[int] = set()

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        self._check()
        await trio.lowlevel.checkpoint()
        self._check()
        for frame in frames:
            if len(frame) < SHORTEST_OCTETS:
                self.counters.drop_out("short")
            elif len(frame) > self.mtu_octets:
                self.counters.drop_out("oversize")
            else:
                if is_addressed(frame):
                    self._slirp.input(frame)
                self.counters.sent(len(frame))
        self._tell()
        self._sleep.cancel()  # what it waits for may be another thing now

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        await trio.lowlevel.checkpoint()
        while not self._slirp.has_frames:
            self._check()
            await self._frames_there.wait()
        frames = self._slirp.take_frames(FRAMES_PER_BATCH)
        self.counters.received(sum(map(len, frames)), len(frames))
        return frames

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        counters = self._slirp.counters
        return {
            **self._shown,
            "overflowed_frames": counters.overflowed_frames,
            "guest_errors": counters.guest_errors,
            "last_guest_error": counters.last_error or None,
        }

    async def run(self) -> None:
        """Keep the library going, until cancelled."""
        with select.epoll() as epoll:
            while not self._closed:
                wanted, wait_ms = self._slirp.fill()
                self._watch(epoll, wanted)
                with trio.CancelScope() as self._sleep:
                    if wait_ms is not None:
                        self._sleep.deadline = trio.current_time() + wait_ms / 1000
                    await trio.lowlevel.wait_readable(epoll.fileno())
                if not self._closed:
                    self._slirp.poll(dict(epoll.poll(0)))
                    self._tell()
                await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Whoever waits is told; the library's sockets are closed."""
        self._closed = True
        self._slirp.close()
        self._frames_there.set()

    def _watch(self, epoll: select.epoll, wanted: Mapping[int, int]) -> None:
        for descriptor in self._watched - wanted.keys():
            with suppress(OSError):  # closed by the library: it left the set by itself
                epoll.unregister(descriptor)
        for descriptor, events in wanted.items():
            try:
                epoll.modify(descriptor, events)
            except FileNotFoundError:
                epoll.register(descriptor, events)
        self._watched = set(wanted)

    def _tell(self) -> None:
        if self._slirp.has_frames:
            self._frames_there.set()
            self._frames_there = trio.Event()

    def _check(self) -> None:
        if self._closed:
            raise LinkClosed("the link is closed")


@asynccontextmanager
async def open_slirp_link(plan: Plan, surroundings: Surroundings) -> AsyncIterator[Link]:
    """A network as planned.

    Raises:
        ConfigError: libslirp is missing, too old, or a port cannot be forwarded.
    """
    slirp = Slirp(network_of(plan), surroundings.now_ns)
    link = None
    try:
        _forward(slirp, plan)
        shown = {
            "engine": "libslirp",
            "engine_version": ".".join(map(str, slirp.version)),
            "host": str(plan.host4) if plan.host4 else None,
            "host6": str(plan.host6) if plan.host6 else None,
            "dns": str(plan.dns4) if plan.dns and plan.dns4 else None,
        }
        link = SlirpLink(slirp, max(plan.options.mtu, plan.options.mru) or DEFAULT_MTU_OCTETS, shown)
        async with running(link.run):
            try:
                yield link
            finally:
                link.close()
    finally:
        slirp.close()


def network_of(plan: Plan) -> Network:
    """What libslirp is told of a plan."""
    options = plan.options
    return Network(
        network4=plan.host4.network if plan.host4 else None,
        host4=plan.host4.ip if plan.host4 else None,
        nameserver4=plan.dns4,
        dhcp_start=plan.dhcp4,
        network6=plan.host6.network if plan.host6 else None,
        host6=plan.host6.ip if plan.host6 else None,
        nameserver6=plan.dns6,
        hostname=options.hostname,
        domain=options.domain,
        search=plan.search,
        tftp_name=options.tftp_server_name,
        tftp_path=options.tftp_path,
        bootfile=options.bootfile,
        mtu_octets=options.mtu,
        mru_octets=options.mru,
        restricted=options.restrict,
        host_loopback=not options.disable_host_loopback,
        dhcp=plan.dhcp,
        dns=plan.dns,
    )


def _forward(slirp: Slirp, plan: Plan) -> None:
    for one in plan.forwards:
        host = one.host or type(one.guest)(0)
        if not slirp.forward(one.udp, host, one.port, one.guest, one.guest_port):
            kind = "UDP" if one.udp else "TCP"
            raise ConfigError(
                f"{kind} port {one.port} of {host} cannot be had: in use, or below 1024 without privilege"
            )
    for service in plan.unix:
        if not slirp.forward_to_unix(service.target, service.address, service.port):
            raise ConfigError(f"unixfwd: libslirp refuses {service.port}:{service.target}")
    for service in plan.commands:
        if not slirp.forward_to_command(service.target, service.address, service.port):
            raise ConfigError(f"cmdfwd: libslirp refuses {service.port}:{service.target}")
