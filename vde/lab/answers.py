"""What the supervisor does for each request (`vde.lab.messages`). One connection, one request, then `end`."""

from contextlib import suppress

import trio

from vde.errors import VdeError, WireError
from vde.lab import messages
from vde.lab.checks import pick_checks, run_checks
from vde.lab.console import serve_viewer
from vde.lab.errors import LabFailed
from vde.lab.line import LineReader
from vde.lab.messages import Event
from vde.lab.node import State
from vde.lab.served import Served

REQUEST_S = 10.0  # chosen: how long a connection may take to say what it wants
SEND_S = 10.0  # chosen: how long it may take to read one event


async def answer(served: Served, stream: trio.SocketStream) -> None:
    """Serve one connection. What the peer does wrong, or that it goes away, concerns it alone."""
    connection = _Connection(served, stream)
    try:
        try:
            request = await connection.request()
            if request is not None:
                await connection.answer(request)
        except VdeError as error:
            await connection.end("failed", str(error))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


class _Connection:
    def __init__(self, served: Served, stream: trio.SocketStream) -> None:
        self.served = served
        self.live = served.live
        self.stream = stream
        self.reader = LineReader(stream, messages.MOST_OCTETS)

    async def request(self) -> messages.Request | None:
        """What it wants; None if it goes away without a word.

        Raises:
            WireError: it makes no sense, or takes too long.
        """
        with trio.move_on_after(REQUEST_S):
            line = await self.reader.line()
            self.served.used.set()
            return None if line is None else messages.parse_request(line)
        raise WireError(f"no request within {REQUEST_S:g} s")

    async def answer(self, request: messages.Request) -> None:
        match request:
            case messages.Up():
                await self.up(request)
            case messages.Down():
                self.served.down.set()
                await self.served.stopped.wait()
                await self.end("down")
            case messages.Status():
                await self.send(Event(kind="status", status=self.live.status()))
                await self.end("done")
            case messages.Plan():
                _, steps = self.live.plan(request.lab, request.images, recreate=request.recreate)
                await self.send(Event(kind="plan", steps=[vars(step) for step in steps]))
                await self.end("done")
            case messages.Check():
                await self.end(*await self.check(request.names))
            case messages.Console():
                await self.console(request.node)
            case messages.Follow():
                await self.follow(request.nodes)
            case messages.Listen():
                await self.send(Event(kind="listen", points=self.live.listening(request.selected, request.node)))
                await self.end("done")

    async def up(self, request: messages.Up) -> None:
        if self.live.changing.locked() or self.served.down.is_set():
            raise LabFailed(f"lab '{self.served.home.name}' is being changed by somebody else")
        async with self.live.changing:
            is_first = self.live.lab is None
            outcome: tuple[messages.Outcome, str] | None = None
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._cancel_when_gone, nursery.cancel_scope)
                async with trio.open_nursery() as forwarding:
                    with self.served.listening() as events:
                        forwarding.start_soon(self._forward, events)
                        outcome = await self._apply(request)
                nursery.cancel_scope.cancel()
            if outcome is None and not (is_first or request.hold):
                return  # interrupted: what was done stays, and the next `up` goes on from there
        if outcome is not None:
            await self.end(*outcome)
            if self.live.lab is not None and not request.hold:
                return
            if request.hold:
                await self._tell_until_gone()
        self.served.down.set()
        await self.served.stopped.wait()
        await self.end("down")

    async def _apply(self, request: messages.Up) -> tuple[messages.Outcome, str]:
        try:
            await self.live.apply(request)
        except VdeError as error:
            return "failed", str(error)
        return await self.check([]) if request.check else ("done", "")

    async def check(self, names: list[str]) -> tuple[messages.Outcome, str]:
        if self.live.lab is None:
            return "failed", "nothing was started yet"
        checks = pick_checks(self.live.lab.checks, names)
        send, receive = trio.open_memory_channel[Event](len(checks))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._forward, receive)
            with send:
                held = await run_checks(checks, self.live.nodes, send.send_nowait)
        return ("done", "") if held else ("check_failed", "a check failed")

    async def console(self, name: str) -> None:
        live = self.live.guest(name)
        if live.console is None:
            reason = f"{live.state}: {live.text}" if live.state is State.DEAD else str(live.state)
            await self.end("not_running", f"node '{name}' is {reason}")
        elif live.console.is_full:
            await self.end("failed", f"the console of '{name}' has too many viewers")
        else:
            await self.send(Event(kind="console", node=name))
            await serve_viewer(live.console, self.stream, self.reader.rest())

    async def follow(self, names: list[str]) -> None:
        for name in names:
            if name not in self.live.nodes:
                raise LabFailed(f"there is no node '{name}' (there are: {', '.join(self.live.nodes)})")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_when_gone, nursery.cancel_scope)
            with self.served.following(frozenset(names)) as events:
                await self._forward(events)
            nursery.cancel_scope.cancel()
        if self.served.stopped.is_set():
            await self.end("down")

    async def _tell_until_gone(self) -> None:
        """Forward what happens until the peer has nothing more to say, or everything has ended."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_when_gone, nursery.cancel_scope)
            with self.served.listening() as events:
                await self._forward(events)
            nursery.cancel_scope.cancel()

    async def _forward(self, events: trio.MemoryReceiveChannel[Event]) -> None:
        """Send events until there are no more, or the peer is gone."""
        with events, suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for event in events:
                await self.send(event)

    async def _until_gone(self) -> None:
        """Until the peer closes its sending side; it has nothing more to say."""
        try:
            while await self.stream.receive_some(1024):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _cancel_when_gone(self, scope: trio.CancelScope) -> None:
        await self._until_gone()
        scope.cancel()

    async def send(self, event: Event) -> None:
        """Tell the peer, which is gone for us if it does not read.

        Raises:
            trio.BrokenResourceError: it is gone.
        """
        with trio.move_on_after(SEND_S) as patience:
            await self.stream.send_all(messages.emit(event))
        if patience.cancelled_caught:
            await trio.aclose_forcefully(self.stream)
            raise trio.BrokenResourceError("the peer does not read")

    async def end(self, outcome: messages.Outcome, text: str = "") -> None:
        await self.send(Event(kind="end", outcome=outcome, text=text))
