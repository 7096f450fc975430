"""cmd://COMMAND LINE — a program whose standard input and output are a stream of frames.

    cmd://ssh there vde_plug                     another machine's default switch
    cmd://ssh there sshlirp                      a NAT there
    cmd://vde_plug vde:///run/sw.ctl

The command line is cut into words as a shell does it (quotes and `\\`), but no shell runs: there are no variables,
wildcards, pipes or redirections. For those: cmd://sh -c '…'. The program is found in PATH, and keeps our standard error
and our terminal, so that ssh may ask for a password.

Wire: two octets of length, big-endian, then the frame; both ways, as vde_plug, sshlirp and wirefilter speak it. What
it prints before its first frame (a greeting) is passed over and counted (`framing`).

Its end is the link's: its exit status is in the message. When the link is closed, the program's standard input ends;
if it has not ended within 2 s it gets SIGTERM, and 2 s later SIGKILL. Only the program itself, not what it started.

Shown with: Debian's vde_plug; OpenSSH, with vde_plug at the far end (Debian's, ours).
Limits: frames of up to 9234 octets; longer ones are dropped and counted (`oversize`).
"""

import os
import shlex
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from vde.errors import ConfigError, LinkBroken
from vde.link import Link
from vde.pipe_link import PipeLink
from vde.plugspec import PlugSpec, Surroundings

PATIENCE_S = 2.0  # chosen


@dataclass(frozen=True)
class Params:
    """No options: all of the text is the command line."""


class CommandLink(PipeLink):
    """A program's pipes; the end of the stream is told as the program's."""

    def __init__(self, process: trio.Process, reading_fd: int, writing_fd: int, shown: str) -> None:
        super().__init__(reading_fd, writing_fd, shown)
        self._process = process
        self._name = shown

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        try:
            return await super().receive()
        except LinkBroken:
            raise LinkBroken(await self._epitaph()) from None

    async def _epitaph(self) -> str:
        with trio.move_on_after(PATIENCE_S):
            await self._process.wait()
        status = self._process.returncode
        if status is None:
            return f"{self._name}: it closed its standard output"
        if status < 0:
            return f"{self._name}: it was ended by {signal.Signals(-status).name}"
        return f"{self._name}: it ended with status {status}"

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {**super().state(), "pid": self._process.pid, "status": self._process.returncode}


@asynccontextmanager
async def open_cmd(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the command line."""
    words = _words(address)
    ours_in, its_out = os.pipe()
    its_in, ours_out = os.pipe()
    try:
        try:
            process = await trio.lowlevel.open_process(words, stdin=its_in, stdout=its_out)
        except OSError as error:
            raise ConfigError(f"cmd://{words[0]}: {error.strerror}") from error
        finally:
            os.close(its_in)
            os.close(its_out)
        try:
            link = CommandLink(process, ours_in, ours_out, f"cmd://{Path(words[0]).name}")
        except BaseException:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            raise
    finally:
        os.close(ours_in)
        os.close(ours_out)
    try:
        yield link
    finally:
        link.close()
        await _end(process)


def _words(address: str) -> list[str]:
    try:
        words = shlex.split(address)
    except ValueError as error:
        raise ConfigError(f"cmd://{address}: {str(error).lower()}") from error
    if not words:
        raise ConfigError("cmd://: a command line was expected")
    return words


async def _end(process: trio.Process) -> None:
    with trio.CancelScope(shield=True):
        for number in (None, signal.SIGTERM):
            if number is not None:
                process.send_signal(number)
            with trio.move_on_after(PATIENCE_S):
                await process.wait()
                return
        process.kill()
        await process.wait()


PLUG = PlugSpec("cmd", open_cmd, Params, syntax="cmd://COMMAND LINE", style="raw")
