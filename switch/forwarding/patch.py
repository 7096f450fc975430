"""A patch: two links joined by a forwarder, frames going straight through, without a switch.

    patch = Patch()
    patch.plug("left", HandedOver(fd, kind))
    patch.plug("right", HandedOver(other_fd, kind))
    await patch.run()                    # until cancelled; raises `EndBroken` when an end fails

or, where nothing is ever plugged in anew, `await patch_through(left, right)`.

It is a forwarder in hub mode with two ports: nothing is learned, looked up or changed; frames move in batches (a turn
takes up to 32 and sends them by one system call), and with the native forwarder without the GIL. Each direction has the
kernel's buffer and a bounded queue; what neither holds is dropped and counted, so a stalled end delays nobody.

Limits: frames of up to `Limits.max_frame_octets`; longer and shorter (14 octets) ones are dropped and counted.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

import trio

from switch.forwarding.choice import Kind, open_forwarder
from switch.forwarding.contract import NO_VLAN, DropReason, EndpointFailed, Event, Limits, PortStatistics
from vde.endpoint import HandedOver
from vde.errors import LinkBroken

Side = Literal["left", "right"]

_PORTS: Mapping[Side, int] = {"left": 1, "right": 2}  # a hub's ports count from 1
_SIDES: Mapping[int, Side] = {port: side for side, port in _PORTS.items()}
_EGRESS = frozenset({DropReason.QUEUE_FULL, DropReason.SEND_ERROR})
DEFAULT_LIMITS = Limits(queue_frames=512)
"""A queue four times a switch port's: there are only two. Chosen."""


class EndBroken(LinkBroken):
    """An end of a patch failed.

    Attributes:
        side: which one.
        errno: of reading it (ECONNRESET: the peer closed it).
    """

    def __init__(self, side: Side, errno: int) -> None:
        super().__init__(f"the {side} end broke: {os.strerror(errno)}")
        self.side: Side = side
        self.errno = errno


@dataclass(frozen=True, slots=True)
class Crossing:
    """What went one way.

    Attributes:
        frames, octets: taken from the one end.
        dropped: frames that did not reach the other end, by reason (`short`, `oversize`, `queue_full`, `send_error`…).
    """

    frames: int
    octets: int
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PatchStatistics:
    """Both directions."""

    left_to_right: Crossing
    right_to_left: Crossing


class Patch:
    """Two ends. A side may be unplugged and plugged in again meanwhile; frames to a side without a link are lost."""

    def __init__(self, kind: Kind = "native", limits: Limits = DEFAULT_LIMITS) -> None:
        self._forwarder = open_forwarder(kind, limits)
        self._forwarder.set_mode(hub=True, fstp=False, vlan_transparent=False)
        for port in _SIDES:
            self._forwarder.add_port(port, NO_VLAN)
        self._broken: dict[Side, int] = {}
        self._changed = trio.Event()

    def plug(self, side: Side, handed: HandedOver) -> None:
        """Join a link here; its descriptor is the patch's from now on.

        Raises:
            ValueError: there is one already; OSError: the descriptor cannot be used. It stays the caller's.
        """
        self._forwarder.attach(_PORTS[side], _PORTS[side], handed.fd, handed.kind, handed.others, handed.overlay)

    def unplug(self, side: Side) -> None:
        """Take the link out; its descriptor is closed. Raises `KeyError` if there is none."""
        self._forwarder.detach(_PORTS[side])
        self._broken.pop(side, None)

    def statistics(self) -> PatchStatistics:
        """The counters now."""
        left, right = (self._forwarder.statistics(_PORTS[side]) for side in ("left", "right"))
        return PatchStatistics(_crossing(left, right), _crossing(right, left))

    def close(self) -> None:
        """Close the descriptors of a patch that never ran."""
        self._forwarder.close()

    async def wait_broken(self) -> EndBroken:
        """Wait for an end to fail; it stays plugged in, but silent, until it is unplugged. For use beside `forward`."""
        while not self._broken:
            await self._changed.wait()
        side, errno = next(iter(self._broken.items()))
        return EndBroken(side, errno)

    async def forward(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Forward until cancelled, whatever happens to the ends (`wait_broken`). Closes the descriptors on return."""
        await self._forwarder.run(self._take, task_status=task_status)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Forward until cancelled, or until an end fails.

        Raises:
            EndBroken: which one, and how.

        Resource handling: the descriptors are closed on return.
        """
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(_forward, self)
                task_status.started()
                broken = await self.wait_broken()
                nursery.cancel_scope.cancel()
        finally:
            self.close()
        raise broken

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, EndpointFailed):
                self._broken.setdefault(_SIDES[event.endpoint], event.errno)
                self._changed.set()
                self._changed = trio.Event()


async def patch_through(
    left: HandedOver,
    right: HandedOver,
    *,
    kind: Kind = "native",
    limits: Limits = DEFAULT_LIMITS,
    task_status: trio.TaskStatus[Patch] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Join two links until cancelled, or until one of them fails (`EndBroken`). Both descriptors are closed at the end.

    `task_status` gets the `Patch`, for its statistics.
    """
    waiting: dict[Side, HandedOver] = {"left": left, "right": right}
    patch: Patch | None = None
    try:
        patch = Patch(kind, limits)
        for side, handed in list(waiting.items()):
            patch.plug(side, handed)
            del waiting[side]
    except BaseException:
        if patch is not None:
            patch.close()
        for handed in waiting.values():
            handed.close()
        raise
    task_status.started(patch)
    await patch.run()


async def _forward(patch: Patch, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    await patch.forward(task_status=task_status)


def _crossing(of: PortStatistics, to: PortStatistics) -> Crossing:
    dropped = {reason: count for reason, count in of.drops.items() if reason not in _EGRESS}
    dropped |= {reason: count for reason, count in to.drops.items() if reason in _EGRESS}
    return Crossing(of.in_frames, of.in_octets, {reason.name.lower(): count for reason, count in dropped.items()})
