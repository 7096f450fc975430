"""Joining links: what one receives the other sends; or a link as a descriptor, for a forwarder.

A link that cannot be handed over gets a socket pair: a task carries frames between it and one end, the other end is the
forwarder's. What waits is bounded by the forwarder's queue and the pair's buffers; what does not fit is dropped there
and counted, so that a slow link delays nobody else.
"""

import socket
from collections.abc import Awaitable, Callable
from typing import NoReturn

import trio

from plugs.parts.places import widen
from plugs.seqpacket import SeqpacketLink
from vde.endpoint import EndpointKind, HandedOver
from vde.errors import LinkBroken, LinkClosed
from vde.link import Link


async def pump(left: Link, right: Link) -> NoReturn:
    """Carry frames both ways until a link ends. A link that takes no more stops the other one's reader.

    Raises:
        LinkBroken, LinkClosed: of the link that ended first.
    """
    await first_end(lambda: carry(left, right), lambda: carry(right, left))


async def carry(source: Link, sink: Link) -> NoReturn:
    """One way."""
    while True:
        await sink.send(await source.receive())


async def first_end(*tasks: Callable[[], Awaitable[None]]) -> NoReturn:
    """Run tasks that only end by `LinkBroken` or `LinkClosed`, until one does; raises that, alone."""
    ends: list[LinkBroken | LinkClosed] = []

    async def run(task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except (LinkBroken, LinkClosed) as end:
            ends.append(end)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(run, task)
    raise ends[0]


class Attachment:
    """A link as a descriptor.

    Attributes:
        handed: for the forwarder, which closes it.
        direct: is it the link's own? Else frames pass through Python.
    """

    def __init__(self, link: Link) -> None:
        """`link`: open; it is not to be used otherwise from now on."""
        self._link = link
        self._near: SeqpacketLink | None = None
        handed = link.hand_over()
        self.direct = handed is not None
        if handed is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for one in (ours, theirs):
                widen(one)
            theirs.setblocking(False)
            self._near = SeqpacketLink(ours)
            handed = HandedOver(theirs.detach(), EndpointKind.DATAGRAM)
        self.handed = handed

    async def run(self) -> NoReturn:
        """Carry, or watch, until the link or the forwarder's end is gone.

        Raises:
            LinkBroken, LinkClosed.
        """
        if self._near is None:
            await self._link.watch()
        else:
            await pump(self._near, self._link)

    def close(self) -> None:
        """For whoever made it; the link stays open, `handed` is the forwarder's."""
        if self._near is not None:
            self._near.close()

    def discard(self) -> None:
        """Close `handed`, if no forwarder took it."""
        self.handed.close()
