"""An end of a wire that is opened again when it broke: a link that is sometimes not there.

    opening ──ok──► connected ──the link ends──► waiting ──time──► opening
       └───────────────fails───────────────────────┘

The wait before another attempt doubles up to half a minute, with some chance in it (who gives the `Waits` decides), and
begins anew after a connection that lasted `LASTING_NS`. A first failure is told, those that follow only show in
`facts`, until it is connected again. While it is away, frames sent to it are lost and counted, and `receive` waits.

Not retried: a `ConfigError` of the first attempt, which waiting does not mend.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal, NoReturn, Protocol

import trio

from vde.endpoint import EndpointKind, HandedOver
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.link import Link, LinkStatistics

LASTING_NS = 10 * 10**9  # chosen; as `switch/plugged.py`
State = Literal["opening", "connected", "waiting"]


class Waits(Protocol):
    """How long to wait before another attempt."""

    def failed(self) -> float:
        """An attempt failed: seconds to wait."""

    def succeeded(self) -> None:
        """Begin anew."""


class EndAway(LinkBroken):
    """A kept end broke while it was watched; it is being opened again."""


class KeptEnd(Link):
    """See the module's text.

    Attributes:
        on_change: called when it has come or gone.
        lost_frames: sent to it while it was away.
    """

    def __init__(
        self,
        open_link: Callable[[], AbstractAsyncContextManager[Link]],
        waits: Waits,
        now_ns: Callable[[], int],
        warn: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.on_change: Callable[[], None] = _nothing
        self.lost_frames = 0
        self._open_link = open_link
        self._waits = waits
        self._now_ns = now_ns
        self._warn = warn
        self._link: Link | None = None
        self._state: State = "opening"
        self._since_ns = now_ns()
        self._failures = self._breaks = 0
        self._last_error = ""
        self._again = False
        self._notes_arrivals = False
        self._came = trio.Event()
        self._gone = trio.Event()
        self._busy: set[trio.CancelScope] = set()

    @property
    def is_connected(self) -> bool:
        """Is it there?"""
        return self._link is not None

    async def wait_connected(self) -> None:
        """Until it is there."""
        while self._link is None:
            await self._came.wait()

    def facts(self) -> dict[str, str | int]:
        """Its state, for users."""
        found: dict[str, str | int] = {"state": self._state, "since_ns": self._since_ns, "breaks": self._breaks}
        if self.lost_frames:
            found["lost_frames"] = self.lost_frames
        if self._state != "connected":
            found |= {"failures": self._failures, "last_error": self._last_error}
        return found

    async def keep(self) -> NoReturn:
        """Keep it open until cancelled.

        Raises:
            ConfigError: it cannot be opened the first time.
        """
        is_first = True
        while True:
            self._turn("opening")
            began_ns = self._now_ns()
            try:
                async with self._open_link() as link:
                    is_first = False
                    self._come(link)
                    await self._gone.wait()
                if self._again:
                    continue
                self._fail(self._last_error)
            except (LinkBroken, LinkClosed, OSError) as error:
                self._fail(str(error))
            except ConfigError as error:
                if is_first:
                    raise
                self._fail(str(error))
            finally:
                self._leave()
            if self._now_ns() - began_ns >= LASTING_NS:
                self._waits.succeeded()
            self._turn("waiting")
            await trio.sleep(self._waits.failed())

    def _come(self, link: Link) -> None:
        if self._failures:
            self._warn("is there again")
        self._failures = 0
        self._again = False
        self._gone = trio.Event()
        self._link = link
        self.mtu_octets = link.mtu_octets
        if self._notes_arrivals:
            link.note_arrivals()
        self._turn("connected")
        self._came.set()
        self._came = trio.Event()
        self.on_change()

    def _leave(self) -> None:
        """Nobody is to use the link any more."""
        self._link = None
        for scope in self._busy:
            scope.cancel()
        self.on_change()

    def _fail(self, why: str) -> None:
        if self._state == "connected":
            self._breaks += 1
        if not self._failures:
            self._warn(f"{why}; trying again")
        self._failures += 1
        self._last_error = why

    def broke(self, error: Exception) -> None:
        """It was found broken."""
        self._last_error = str(error)
        self._leave()
        self._gone.set()

    def _turn(self, state: State) -> None:
        self._state, self._since_ns = state, self._now_ns()

    # -- as a link ----------------------------------------------------------------------------------------------------

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`; lost while it is away."""
        link = self._link
        if link is not None:
            with trio.CancelScope() as scope:
                self._busy.add(scope)
                try:
                    await link.send(frames)
                    return
                except (LinkBroken, LinkClosed) as error:
                    self._found_broken(link, error)
                finally:
                    self._busy.discard(scope)
        else:
            await trio.lowlevel.checkpoint()
        self.lost_frames += len(frames)

    def send_nowait(self, frames: Sequence[bytes]) -> int:
        """As `Link.send_nowait`."""
        if (link := self._link) is None:
            return 0
        try:
            return link.send_nowait(frames)
        except (LinkBroken, LinkClosed) as error:
            self._found_broken(link, error)
            return 0

    def note_arrivals(self) -> bool:
        """As `Link.note_arrivals`."""
        self._notes_arrivals = True
        return self._link is not None and self._link.note_arrivals()

    def arrivals_ns(self) -> Sequence[int] | None:
        """As `Link.arrivals_ns`."""
        return None if self._link is None else self._link.arrivals_ns()

    async def receive(self) -> list[bytes]:
        """As `Link.receive`; waits while it is away."""
        while True:
            link = self._link
            if link is None:
                await self._came.wait()
                continue
            with trio.CancelScope() as scope:
                self._busy.add(scope)
                try:
                    return await link.receive()
                except (LinkBroken, LinkClosed) as error:
                    self._found_broken(link, error)
                finally:
                    self._busy.discard(scope)

    async def watch(self) -> NoReturn:
        """As `Link.watch`. Raises `EndAway`."""
        link = self._link
        if link is not None:
            try:
                await link.watch()
            except (LinkBroken, LinkClosed) as error:
                self._found_broken(link, error)
        raise EndAway(self._last_error)

    @property
    def handed_kind(self) -> EndpointKind | None:
        """As `Link.handed_kind`; None while it is away."""
        return None if self._link is None else self._link.handed_kind

    def hand_over(self) -> HandedOver | None:
        """As `Link.hand_over`; None while it is away."""
        return None if self._link is None else self._link.hand_over()

    def take_back(self) -> bool:
        """As `Link.take_back`: a link that cannot be taken back is opened anew."""
        if self._link is not None and not self._link.take_back():
            self._again = True
            self._leave()
            self._gone.set()
        return True

    def statistics(self) -> LinkStatistics:
        """Of the present link."""
        return self.counters.freeze() if self._link is None else self._link.statistics()

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """Of the present link."""
        return {} if self._link is None else self._link.state()

    def _found_broken(self, link: Link, error: Exception) -> None:
        if self._link is link:
            self.broke(error)


@asynccontextmanager
async def keep_open(
    open_link: Callable[[], AbstractAsyncContextManager[Link]],
    waits: Waits,
    now_ns: Callable[[], int],
    warn: Callable[[str], None],
) -> AsyncIterator[Link]:
    """A `KeptEnd`, being kept; it need not be there yet.

    Args:
        open_link: an attempt.
        waits: between attempts.
        now_ns: the clock.
        warn: gets one line about it.
    """
    end = KeptEnd(open_link, waits, now_ns, warn)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.keep)
        yield end
        nursery.cancel_scope.cancel()


def _nothing() -> None:
    """Nobody wants to know."""
