"""A link to a network behind passt: many guests, each with a passt of its own.

A passt serves one guest: it answers whoever sent last. So every Ethernet address that asks for the router gets
a process (`passt_process`), the first of which is there from the beginning and has the forwards. What is the router's
business is decided before (`router_door`), and pings of the router itself are answered here (`router_echo`).

Limits: `GUESTS_MOST` at a time; when there are as many, a new one gets the passt of one that was silent for `SILENT_S`.

Threats: a guest that makes up addresses fills the table, and new ones get no service until its own are silent;
processes and waiting frames stay bounded.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import trio

from plugs.parts.beside import running
from plugs.parts.framed import FramedStream
from plugs.parts.nat_plan import Plan
from plugs.parts.passt_process import PACKAGE, PROGRAM, Passt, addresses, guest6_of, is_installed, refusals, start
from plugs.parts.router_door import Door
from plugs.parts.router_echo import echo_answer
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.frame import format_mac
from vde.link import SHORTEST_OCTETS, Link
from vde.plugspec import Surroundings

FRAME_OCTETS = 65535  # passt: tap.c resets the connection after a longer one
GUESTS_MOST = 32  # chosen
SILENT_S = 60.0  # chosen
ANSWERS_MOST = 16  # chosen: batches that wait to be received
WAITING_MOST = 64  # chosen: frames, while a guest's passt starts, which takes some 20 ms
SOURCE = slice(6, 12)


class _Guest:
    """`stream`: to its passt, once that runs."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.heard_s = 0.0
        self.waiting: deque[bytes] = deque()
        self.stream: FramedStream | None = None
        self.has_none = False


class PasstLink(Link):
    """See above."""

    def __init__(self, plan: Plan, first: Passt, surroundings: Surroundings, nursery: trio.Nursery) -> None:
        super().__init__()
        self.mtu_octets = FRAME_OCTETS
        self._plan = plan
        self._first = first
        self._warn = surroundings.warn
        self._nursery = nursery
        self._hosts = plan.host4.packed if plan.host4 else None, plan.host6.packed if plan.host6 else None
        self._door = Door(plan.host4.ip if plan.host4 else None, plan.host6.ip if plan.host6 else None)
        self._into, self._out_of = trio.open_memory_channel[list[bytes]](ANSWERS_MOST)
        self._end: LinkBroken | LinkClosed | None = None
        self._guests: dict[bytes, _Guest] = {}
        self._unclaimed: _Guest | None = _Guest(0)
        self._told: set[str] = set()
        nursery.start_soon(self._serve, self._unclaimed)

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`. Frames that are not the router's business have arrived: it is in the same network."""
        if self._end is not None:
            raise self._end
        lots: dict[bytes, list[bytes]] = {}
        for frame in frames:
            if not SHORTEST_OCTETS <= len(frame) <= self.mtu_octets:
                self.counters.drop_out("short" if len(frame) < SHORTEST_OCTETS else "oversize")
            elif not self._door.lets_in(frame):
                self.counters.sent(len(frame))
            elif (answer := echo_answer(frame, *self._hosts)) is not None:
                self.counters.sent(len(frame))
                self._answer(answer)
            else:
                lots.setdefault(frame[SOURCE], []).append(frame)
        for source, lot in lots.items():
            await self._pass_on(source, lot)
        await trio.lowlevel.checkpoint()

    def _answer(self, frame: bytes) -> None:
        try:
            self._into.send_nowait([frame])
        except trio.WouldBlock:
            self.counters.drop_in("full")
        else:
            self.counters.received(len(frame))

    async def _pass_on(self, source: bytes, frames: list[bytes]) -> None:
        guest = self._guest_of(source)
        if guest is None or guest.has_none:
            self.counters.drop_out("no-passt", len(frames))
        elif guest.stream is None:
            taken = frames[: WAITING_MOST - len(guest.waiting)]
            guest.waiting.extend(taken)
            if len(taken) < len(frames):
                self.counters.drop_out("full", len(frames) - len(taken))
        else:
            try:
                await guest.stream.send(frames)
            except (LinkBroken, LinkClosed):  # whoever receives finds it, too, and says why
                self.counters.drop_out("no-passt", len(frames))

    def _guest_of(self, source: bytes) -> _Guest | None:
        now_s = trio.current_time()
        if (guest := self._guests.get(source)) is None and (guest := self._new_guest(now_s)) is not None:
            self._guests[source] = guest
        if guest is not None:
            guest.heard_s = now_s
        return guest

    def _new_guest(self, now_s: float) -> _Guest | None:
        if self._unclaimed is not None:
            guest, self._unclaimed = self._unclaimed, None
            return guest
        if (number := self._free_number()) is None:
            source, silent = min(self._guests.items(), key=lambda item: item[1].heard_s)
            if now_s - silent.heard_s < SILENT_S:
                self._tell(f"nat://: passt serves {len(self._guests)} guests, and no more: engine=libslirp does")
                return None
            del self._guests[source]
            return silent
        guest = _Guest(number)
        self._nursery.start_soon(self._serve, guest)
        return guest

    def _free_number(self) -> int | None:
        taken = {guest.number for guest in self._guests.values()}
        number = min(set(range(len(taken) + 1)) - taken)
        return number if number < GUESTS_MOST and addresses(self._plan, number) is not None else None

    async def _serve(self, guest: _Guest) -> None:
        try:
            passt = self._first if guest.number == 0 else await start(self._plan, guest.number)
        except ConfigError as error:
            guest.has_none = True
            guest.waiting.clear()
            self._tell(str(error))
            return
        try:
            await self._carry(guest, passt)
        except trio.ClosedResourceError:
            pass  # the link is over
        except LinkBroken as error:
            self.finish(LinkBroken(f"passt ended: {passt.last_words() or error}"))
        finally:
            with trio.CancelScope(shield=True):
                await passt.end()

    async def _carry(self, guest: _Guest, passt: Passt) -> None:
        stream = FramedStream(passt.line, self.counters, mtu_octets=FRAME_OCTETS, bound_octets=FRAME_OCTETS)

        async def flush() -> None:
            with suppress(LinkBroken):
                while guest.waiting:
                    frames = list(guest.waiting)
                    guest.waiting.clear()
                    await stream.send(frames)
            guest.stream = stream

        try:
            async with running(lambda: passt.listen(lambda: self._notice(passt)), flush):
                self._notice(passt)
                while True:
                    frames = await stream.receive()
                    for frame in frames:
                        self._door.look_out(frame)
                    await self._into.send(frames)
        finally:
            stream.close()

    def _notice(self, passt: Passt) -> None:
        for family, wanted in ((4, self._plan.host4), (6, self._plan.host6)):
            if wanted is not None and passt.lacks_route(family):
                self._tell(
                    f"nat://: passt does no IPv{family}, as this host has no default route of it; engine=libslirp does"
                )

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._warn(text)

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        try:
            return await self._out_of.receive()
        except trio.EndOfChannel:
            assert self._end is not None
            raise self._end from None

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        plan = self._plan
        return {
            "engine": "passt",
            "host": str(plan.host4) if plan.host4 else None,
            "host6": str(plan.host6) if plan.host6 else None,
            "guest": str(plan.dhcp4) if plan.dhcp4 else None,
            "guest6": str(guest6_of(plan)) if plan.host6 else None,
            "guests": ", ".join(map(format_mac, self._guests)) or None,
            "pid": self._first.pid,
            "connected": self._end is None,
        }

    def finish(self, error: LinkBroken | LinkClosed) -> None:
        """The link is over."""
        self._end = self._end or error
        self._into.close()


@asynccontextmanager
async def open_passt_link(plan: Plan, surroundings: Surroundings) -> AsyncIterator[Link]:
    """A link with passts of its own.

    Raises:
        ConfigError: it is not installed, cannot do what is asked, or does not start, in its own words.
    """
    if not is_installed():
        raise ConfigError(f"nat://: {PROGRAM} is not there: install the Debian package {PACKAGE}")
    if names := refusals(plan):
        raise ConfigError(f"nat://: passt cannot do {', '.join(names)}; engine=libslirp can")
    first = await start(plan, 0)
    async with running() as nursery:
        link = PasstLink(plan, first, surroundings, nursery)
        try:
            yield link
        finally:
            link.finish(LinkClosed("the link is closed"))
