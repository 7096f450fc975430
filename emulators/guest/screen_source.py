"""Where a screen is seen: in this process, or through the socket of the process that runs the guest.

    async with open_remote(path) as source:
        shown = await source.look()
        await source.press([Key("enter", True), Key("enter", False)])

Threats: a client that asks and does not read (its own task waits, nobody else), one that sends nonsense (it is told,
and closed), many of them (`CLIENTS`, the others wait to be accepted), questions that keep the guest from running (one
picture of one client at a time).
"""

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import trio

from emulators.devices.video.picture import Frame, TextScreen
from emulators.guest import screen_messages as messages
from emulators.guest.consoles import listening
from emulators.guest.ends import LiveScreen
from emulators.guest.inputs import Key, Pointer
from emulators.guest.runner import Runner
from emulators.machine import Machine
from vde.errors import ConfigError, LinkClosed, WireError

CHUNK_OCTETS = 64 << 10
CLIENTS = 16
DARK = Frame(640, 400, bytes(3 * 640 * 400))
"""Of a machine without a display, or that is just built anew."""


class Source(Protocol):
    """A screen."""

    async def look(self) -> TextScreen | Frame:
        """What is to be seen. Raises LinkClosed: the guest has gone; WireError: it talks nonsense."""
        ...

    async def frame(self) -> Frame:
        """The same as pixels, in any mode."""
        ...

    async def press(self, keys: Sequence[Key]) -> int:
        """Keys go down and up; answers how many of them found room."""
        ...


class Local:
    """Of a guest in this process."""

    def __init__(self, runner: Runner, screen: LiveScreen) -> None:
        self._runner = runner
        self._screen = screen
        self._one = trio.Lock()

    @property
    def board(self) -> str:
        """The machine's name."""
        return self._runner.machine.board

    async def look(self) -> TextScreen | Frame:
        """As `Source.look`."""
        return await self._ask("look")

    async def frame(self) -> Frame:
        """As `Source.frame`."""
        shown = await self._ask("frame")
        assert isinstance(shown, Frame)
        return shown

    async def _ask(self, which: str) -> TextScreen | Frame:
        def answer(machine: Machine) -> TextScreen | Frame:
            look = getattr(self._screen.end, which)
            return DARK if look is None else look()

        try:
            async with self._one:
                return await self._runner.ask(answer)
        except trio.BrokenResourceError:
            raise LinkClosed("the guest has ended") from None

    async def press(self, keys: Sequence[Key]) -> int:
        """As `Source.press`."""
        await trio.lowlevel.checkpoint()
        return self.put(keys)

    def put(self, events: Sequence[Key | Pointer]) -> int:
        """Keys and movements."""
        taken = self._screen.put(events)
        self._runner.wake()
        return taken


class Remote:
    """Of a guest in another process."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._reader = messages.Reader(messages.ANSWER_OCTETS)
        self._one = trio.Lock()

    async def look(self) -> TextScreen | Frame:
        """As `Source.look`."""
        return messages.read_picture(await self._ask({"ask": "look"}))

    async def frame(self) -> Frame:
        """As `Source.frame`."""
        shown = messages.read_picture(await self._ask({"ask": "frame"}))
        if not isinstance(shown, Frame):
            raise WireError("pixels were expected")
        return shown

    async def press(self, keys: Sequence[Key]) -> int:
        """As `Source.press`."""
        taken = 0
        for at in range(0, len(keys), messages.KEYS):
            part = keys[at : at + messages.KEYS]
            answer = await self._ask(messages.keys(part))
            took = answer.get("taken")
            if answer.get("is") != "done" or type(took) is not int:
                raise WireError(messages.printable(answer.get("text")))
            taken += min(max(took, 0), len(part))
        return taken

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        async with self._one:
            try:
                await self._stream.send_all(messages.pack(question))
                while (answer := self._reader.next()) is None:
                    octets = await self._stream.receive_some(CHUNK_OCTETS)
                    if not octets:
                        raise LinkClosed("the guest has ended")
                    self._reader.feed(bytes(octets))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise LinkClosed("the guest has ended") from None
        return answer


@asynccontextmanager
async def open_remote(path: Path) -> AsyncIterator[Remote]:
    """A screen behind a socket.

    Raises:
        ConfigError: nobody is there.
    """
    try:
        stream = await trio.open_unix_socket(os.fspath(path))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"screen {path}: {reason}") from None
    async with stream:
        yield Remote(stream)


async def serve(path: Path, source: Local, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Show a screen to whoever connects to `path`, until cancelled.

    Raises:
        ConfigError: the socket cannot be made.
    """
    room = trio.CapacityLimiter(CLIENTS)
    with listening(path, "screen", CLIENTS) as listener:
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                await room.acquire_on_behalf_of(ticket := object())
                stream = await listener.accept()

                async def client(stream: trio.SocketStream = stream, ticket: object = ticket) -> None:
                    try:
                        async with stream:
                            await serve_client(stream, source)
                    finally:
                        room.release_on_behalf_of(ticket)

                nursery.start_soon(client)


async def serve_client(stream: trio.abc.Stream, source: Local) -> None:
    """One of them, until it leaves or sends nonsense."""
    reader = messages.Reader(messages.QUESTION_OCTETS)
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, LinkClosed):
        try:
            while octets := await stream.receive_some(CHUNK_OCTETS):
                reader.feed(bytes(octets))
                while (question := reader.next()) is not None:
                    answer = await _answer(question, source)
                    await stream.send_all(await trio.to_thread.run_sync(messages.pack, answer))
        except WireError as error:
            await stream.send_all(messages.pack({"is": "error", "text": str(error)}))


async def _answer(question: dict[str, Any], source: Local) -> dict[str, Any]:
    match question.get("ask"):
        case "look":
            shown: TextScreen | Frame = await source.look()
        case "frame":
            shown = await source.frame()
        case _:
            return {"is": "done", "taken": source.put(messages.read_events(question))}
    if isinstance(shown, TextScreen):
        return messages.picture(shown)
    return await trio.to_thread.run_sync(messages.picture, shown)
