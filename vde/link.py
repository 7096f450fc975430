"""Links: what a plug opens, and what switches, wires and tools join.

A `Link` sends and receives **batches** of Ethernet frames (octets, without FCS). Its life:

    async with plugs.registry.open_link("udp://:5000->10.0.0.2:5000", surroundings) as link:
        await link.send([frame, …])
        frames = await link.receive()

A link that the outside ended raises `LinkBroken` from `receive`, `send` and `watch`; one that we closed raises
`LinkClosed`. What a peer may do wrong (octets in the wrong framing, frames too long or too short) is counted in
`statistics()` and never raises.

**Forwarders.** Where a link is no more than a descriptor in a form that the forwarder knows, `hand_over()` gives it
away, and frames then bypass Python. Whoever took it only keeps the link open, and waits in `watch()`.

This module has no behaviour of its own beyond counting.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import trio

from vde.endpoint import EndpointKind, HandedOver
from vde.frame import HEADER_OCTETS, MTU_OCTETS

FRAMES_PER_BATCH = 64
"""Most frames that `Link.receive` answers at once. Chosen: a batch of small frames costs the others some 0.2 ms."""
SHORTEST_OCTETS = HEADER_OCTETS


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """What passed since the link was opened, seen from us. Frames that a forwarder carried are counted by it.

    Attributes:
        dropped_out: frames given to `send` that did not leave, by reason (`oversize`, `refused`, `full`, …).
        dropped_in: what came from outside and was no frame, by reason (`short`, `oversize`, `framing`, …).
    """

    sent_frames: int = 0
    sent_octets: int = 0
    received_frames: int = 0
    received_octets: int = 0
    dropped_out: Mapping[str, int] = field(default_factory=dict)
    dropped_in: Mapping[str, int] = field(default_factory=dict)


class Counters:
    """The counters of one link, counting."""

    def __init__(self) -> None:
        self._sent = [0, 0]
        self._received = [0, 0]
        self._dropped_out: dict[str, int] = {}
        self._dropped_in: dict[str, int] = {}

    def sent(self, frame_octets: int, frames: int = 1) -> None:
        """`frames` frames of `frame_octets` octets in all have left."""
        self._sent[0] += frames
        self._sent[1] += frame_octets

    def received(self, frame_octets: int, frames: int = 1) -> None:
        """`frames` frames of `frame_octets` octets in all have come."""
        self._received[0] += frames
        self._received[1] += frame_octets

    def drop_out(self, reason: str, frames: int = 1) -> None:
        """Frames that did not leave. `reason` is one of a plug's few constant words, never a peer's."""
        self._dropped_out[reason] = self._dropped_out.get(reason, 0) + frames

    def drop_in(self, reason: str, frames: int = 1) -> None:
        """What came and was no frame. `reason` as above."""
        self._dropped_in[reason] = self._dropped_in.get(reason, 0) + frames

    def freeze(self) -> LinkStatistics:
        """The counters now."""
        (frames_out, octets_out), (frames_in, octets_in) = self._sent, self._received
        dropped = dict(self._dropped_out), dict(self._dropped_in)
        return LinkStatistics(frames_out, octets_out, frames_in, octets_in, *dropped)


class Link(ABC):
    """One end that frames enter and leave by.

    At most one task sends and one receives at a time. Links are made by plugs' `open`, an async context manager that
    closes them; nothing is left behind then (sockets, interfaces, processes).

    Attributes:
        mtu_octets: the largest frame, Ethernet header and tags included, without FCS, that passes. A longer one is
            dropped and counted (`oversize`), never cut.
    """

    mtu_octets: int = MTU_OCTETS

    def __init__(self) -> None:
        self.counters = Counters()

    @abstractmethod
    async def send(self, frames: Sequence[bytes]) -> None:
        """Send frames, in order.

        A frame shorter than 14 octets or longer than `mtu_octets`, or that the outside refuses, is dropped and
        counted. Waits while the outside takes no more: whoever must not wait has a bounded queue before it.

        Raises:
            LinkBroken, LinkClosed.

        Cancellation: frames not sent by then are lost; a frame is never cut.
        """

    @abstractmethod
    async def receive(self) -> list[bytes]:
        """Wait for frames: 1 to `FRAMES_PER_BATCH`, in order, each of 14 to `mtu_octets` octets.

        Raises:
            LinkBroken, LinkClosed.

        Cancellation: nothing is lost.
        """

    def note_arrivals(self) -> bool:
        """Have `arrivals_ns` from now on; False: that is not possible."""
        return False

    def arrivals_ns(self) -> Sequence[int] | None:
        """When the kernel got the frames of the last `receive`: `clock.wall_ns`, one for each; None: nobody knows."""
        return None

    def send_nowait(self, frames: Sequence[bytes]) -> int:
        """As `send`, as far as it goes without waiting: how many are done with. 0 is always right."""
        return 0

    async def watch(self) -> NoReturn:
        """Wait for the link's end, as its raise; for links handed over. At first: until cancelled.

        Raises:
            LinkBroken, LinkClosed.
        """
        await trio.sleep_forever()

    @property
    def handed_kind(self) -> EndpointKind | None:
        """Of what `hand_over` would give now, where `take_back` can follow it; None: anything else."""
        return None

    def hand_over(self) -> HandedOver | None:
        """Give the descriptor to a forwarder, if there is one in a form that it knows; None: use `send` and `receive`.

        After a `HandedOver`, `send` and `receive` must not be used.
        """
        return None

    def take_back(self) -> bool:
        """Whoever `hand_over` gave the descriptor to has closed it: use `send` and `receive` again.

        False: that is not possible with this link; it can only be closed, and its VNL opened anew.
        """
        return False

    def statistics(self) -> LinkStatistics:
        """The counters now."""
        return self.counters.freeze()

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """What a user may want to know of it now, as JSON: addresses that were chosen, whether a peer is there."""
        return {}
