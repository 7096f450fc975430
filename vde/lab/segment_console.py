"""A switch's management console, as far as captures need it: ports that get copies of what crosses another port.

    vde$ port/create 40              the destination; nobody gets it who does not ask for it
    vde$ port/mirror 40 3 in         what enters port 3 is copied there

The protocol is vde_switch's: a prompt, a line, `0000 DATA…` to `.` if there is data, `1NNN text` (docs/console.md).

Limits (chosen): `MOST_OCTETS` of an answer, `ANSWER_S` until it is there.
"""

import errno
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import trio

from vde.errors import LinkBroken, WireError

PROMPT = b"\nvde$ "
ANSWER_S = 10.0
MOST_OCTETS = 16 << 20  # `json` of a switch with 4096 ports
SUCCESS = 1000
Way = Literal["in", "out"]


class CommandFailed(LinkBroken):
    """The switch refused a command; `errno` says why."""

    def __init__(self, command: str, number: int, text: str) -> None:
        super().__init__(f"the switch refused {command!r}: {text}")
        self.errno = number


class SegmentConsole:
    """A connection to the console of a switch."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._pending = b""

    async def ask(self, command: str) -> list[str]:
        """Give a command; the lines of its data.

        Raises:
            CommandFailed: the switch refuses it.
            LinkBroken: it has gone, or does not answer.
        """
        try:
            with trio.fail_after(ANSWER_S):
                await self._stream.send_all(command.encode() + b"\n")
                lines = (await self._until_prompt()).splitlines()
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            raise LinkBroken("the switch does not answer on its console") from None
        lines = [line for line in lines if line and not line.startswith("0000 ") and line != "."]
        status, _, text = lines.pop().partition(" ") if lines else ("", "", "")
        if not status.isdecimal():
            raise WireError(f"{command!r} was not answered by a status")
        if int(status) != SUCCESS:
            raise CommandFailed(command, int(status) - SUCCESS, text)
        return lines

    async def state(self) -> dict[str, Any]:
        """Everything about the switch."""
        found = json.loads("\n".join(await self.ask("json")))
        if not isinstance(found, dict):
            raise WireError("the switch's state is no JSON object")
        return found

    async def create_port(self, number: int) -> bool:
        """Make a port; False if it is there already."""
        try:
            await self.ask(f"port/create {number}")
        except CommandFailed as failed:
            if failed.errno == errno.EEXIST:
                return False
            raise
        return True

    async def create_spare_port(self, beyond: int) -> int:
        """Make a port that no node of the lab will ask for: its number is greater than `beyond`."""
        state = await self.state()
        taken = {port["port"] for port in state["ports"]}
        number = beyond
        while True:
            number += 1
            if number in taken:
                continue
            if number > state["num_ports"]:
                await self.ask(f"port/setnumports {number}")
            if await self.create_port(number):
                return number

    async def _until_prompt(self) -> str:
        while PROMPT not in self._pending:
            more = await self._stream.receive_some(65536)
            if not more or len(self._pending) > MOST_OCTETS:
                raise LinkBroken("the switch closed its console")
            self._pending += more
        answer, self._pending = self._pending.split(PROMPT, 1)
        return answer.decode(errors="replace")


@asynccontextmanager
async def open_console(path: Path) -> AsyncIterator[SegmentConsole]:
    """Connect.

    Raises:
        LinkBroken: nobody is there.
    """
    try:
        stream = await trio.open_unix_socket(path)
    except OSError as error:
        raise LinkBroken(f"{path}: {error.strerror or error}") from None
    async with stream:
        console = SegmentConsole(stream)
        with trio.move_on_after(ANSWER_S) as patience:
            await console._until_prompt()  # the greeting
        if patience.cancelled_caught:
            raise LinkBroken(f"{path}: the switch does not greet")
        yield console


@asynccontextmanager
async def open_mirror(path: Path, source: int, way: Way, beyond: int) -> AsyncIterator[int]:
    """A port that gets a copy of every frame that enters (`in`) or leaves (`out`) another one; removed at the end.

    Args:
        path: of the console.
        source: the port.
        way: of the frames.
        beyond: numbers up to this one are the lab's.
    """
    async with open_console(path) as console:
        await console.create_port(source)  # whoever is to be there may not have come yet
        number = await console.create_spare_port(beyond)
        try:
            await console.ask(f"port/mirror {number} {source} {way}")
            yield number
        finally:
            with trio.move_on_after(ANSWER_S, shield=True):
                await _remove(console, number)


async def _remove(console: SegmentConsole, number: int) -> None:
    for command in (f"port/delmirror {number}", f"port/remove {number}"):
        try:
            await console.ask(command)
        except (LinkBroken, WireError):
            return  # the switch has gone, and the port with it
