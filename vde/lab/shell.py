"""A guest's shell, driven through its serial line: a command typed, its output and exit status read.

The terminal echoes what is typed, a line editor may wrap it, and anybody may look and type at the same time. So the
output is taken from between two marks which the guest's shell puts together from parts, and which the echo therefore
does not contain:

    typed       printf '\\n%s-%s\\n' VDE 7b; ping …; printf '\\n%s-%s-%s\\n' VDE 7e $?
    answered    VDE-7b ⏎ … ⏎ VDE-7e-0 ⏎

If the first mark does not come, the shell was not there yet, or busy: the command is typed again. Lines that the kernel
writes in between are part of the output, and can break a mark, which is then waited for in vain; callers have a limit.
"""

import re
from dataclasses import dataclass

import trio

from vde.lab.console import Console
from vde.lab.transcript import text_lines

PATIENCE_S = 5.0  # chosen: until a shell that is there has answered with the first mark
RETURN = "\r"  # what the key sends
KILL_LINE = b"\x15"  # Ctrl-U, termios(3) VKILL: away with what somebody began to type
MOST_OCTETS = 256 << 10  # chosen: of output that is kept


class ShellGone(Exception):
    """The guest ended."""


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    status: int
    lines: list[str]


class Shell:
    """The shell at the other end of a console.

    Args:
        console: the line; the caller holds `console.typing`.
        serial: a number that no earlier user of the line has had.
    """

    def __init__(self, console: Console, serial: int) -> None:
        self._console = console
        self._serial = serial
        self._tries = 0

    async def run(self, command: str) -> Answer:
        """Type a command until the shell takes it, and wait for its end.

        Raises:
            ShellGone: the guest ended.
        """
        while (answer := await self._try(command)) is None:
            pass
        return answer

    async def _try(self, command: str) -> Answer | None:
        self._tries += 1
        begin, end = f"{self._serial}.{self._tries}b", f"{self._serial}.{self._tries}e"
        typed = f"printf '\\n%s-%s\\n' VDE {begin}; {command}; printf '\\n%s-%s-%s\\n' VDE {end} $?{RETURN}"
        with self._console.viewer() as seen:
            await type_on(self._console, KILL_LINE + typed.encode())
            watch = Watch(seen)
            with trio.move_on_after(PATIENCE_S) as patience:
                await watch.find(re.compile(rb"VDE-%s\r?\n" % re.escape(begin.encode())))
            if patience.cancelled_caught:
                return None
            output, mark = await watch.find(re.compile(rb"VDE-%s-([0-9]{1,3})\r?\n" % re.escape(end.encode())))
        return Answer(int(mark[1]), text_lines(output))


class Watch:
    """What a console shows, searched as it comes.

    Attributes:
        pending: what came after the last match.
    """

    def __init__(self, seen: trio.MemoryReceiveChannel[bytes]) -> None:
        self._seen = seen
        self.pending = b""

    async def find(self, pattern: re.Pattern[bytes]) -> tuple[bytes, re.Match[bytes]]:
        """Wait for the pattern; what came before it, and the match. The next search begins behind it.

        Raises:
            ShellGone: the guest ended.
        """
        while (found := pattern.search(self.pending)) is None:
            try:
                self.pending = (self.pending + await self._seen.receive())[-MOST_OCTETS:]
            except trio.EndOfChannel:
                raise ShellGone from None
        before, self.pending = self.pending[: found.start()], self.pending[found.end() :]
        return before, found


async def type_on(console: Console, octets: bytes) -> None:
    """Type something.

    Raises:
        ShellGone: the guest ended.
    """
    try:
        await console.send(octets)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        raise ShellGone from None
