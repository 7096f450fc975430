"""A node while it lives: its process, what it writes, and how far it is.

    waiting → starting → ready → stopping → stopped          (asked to end)
                  └────────┴──→ dead                         (ended by itself; the text says how)

A switch, cable, wire, plug or capture is ready when it says so (sd_notify(3)), a guest or view when its console shows
the ready line of our images (one with a kernel of the user's: when it runs), a tap when its addresses are set.
"""

import contextlib
import fcntl
import os
import signal
import socket
import struct
import termios
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import trio

from vde import clock
from vde.lab import commands, tap
from vde.lab.console import Console
from vde.lab.errors import LabFailed
from vde.lab.process import Process, how_it_ended
from vde.lab.resolved import AnyNode, Tap
from vde.lab.transcript import Transcript, text_lines

READY_LINE = commands.READY_LINE.encode()
READY_MOST_OCTETS = 4096
WINDOW = 24, 200  # lines and columns; chosen: line editors do not wrap what checks type
DRAIN_S = 1.0  # chosen: how long what an ended program wrote may take to arrive, if a child of it holds the pipe
LAST_LINES = 8  # chosen: what is shown of a dead node


class State(StrEnum):
    """How far a node is."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DEAD = "dead"


ENDED = frozenset({State.STOPPED, State.DEAD})


@dataclass(frozen=True)
class Launch:
    """How a node's process is started.

    Attributes:
        command: program and arguments; gets the number of the console's descriptor, 0 if there is none.
        readiness: where it says that it is ready, and how it is; None: nowhere.
        ready_line: it is ready when its console shows the line of our images, whatever it says there.
        console: its serial line: none, an inherited descriptor, or a terminal that is its standard input and output.
        farewell: the signal that asks it to end.
        directory: where it runs.
        environment: what is different in it.
    """

    command: Callable[[int], list[str]]
    readiness: Path | None
    console: Literal["none", "descriptor", "terminal"] = "none"
    farewell: signal.Signals = signal.SIGTERM
    directory: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_line: bool = False


class LiveNode:
    """One run of a node. Made when it is planned, run once.

    Attributes:
        node: what it is.
        fingerprint: what it was started as.
        transcript: what its program writes.
        console: its serial line, while it has one.
        state, text: how far it is, and what is to be said about that.
        pid: of its process, 0 while there is none.
        settled: ready, or ended.
        ended: stopped, or dead.
    """

    def __init__(
        self,
        node: AnyNode,
        fingerprint: str,
        transcript: Transcript,
        console_transcript: Transcript,
        on_change: Callable[["LiveNode"], None],
    ) -> None:
        self.node = node
        self.fingerprint = fingerprint
        self.transcript = transcript
        self.console_transcript = console_transcript
        self.console: Console | None = None
        self.state = State.WAITING
        self.text = ""
        self.pid = 0
        self.started_ns = 0
        self.started = trio.Event()
        self.settled = trio.Event()
        self.ended = trio.Event()
        self._on_change = on_change
        self._scope = trio.CancelScope()

    @property
    def name(self) -> str:
        """Of the node."""
        return self.node.name

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or is about to."""
        return self.state not in ENDED

    def last_lines(self) -> list[str]:
        """What it wrote last: on its console, then its program."""
        console, program = self.console_transcript.last_lines(LAST_LINES), self.transcript.last_lines(LAST_LINES)
        return (console + program)[-LAST_LINES:]

    def change(self, state: State, text: str = "") -> None:
        """Another state."""
        self.state, self.text = state, text
        if state in ENDED:
            self.pid = 0
            self.started.set()
            self.ended.set()
        if state in ENDED or state is State.READY:
            self.settled.set()
        self._on_change(self)

    async def stop(self) -> None:
        """Ask it to end; it has when this returns."""
        if self.state is State.WAITING:
            self.change(State.STOPPED)
        elif self.is_alive:
            if self.state is not State.STOPPING:
                self.change(State.STOPPING)
            self._scope.cancel()
        await self.ended.wait()

    async def run(self, launch: Launch) -> None:
        """Start its process, and stay with it until it has ended. What it does wrong changes its state only."""
        text = "cancelled"
        try:
            with self._scope:
                text = await self._live(launch)
        except OSError as error:
            text = f"it could not be started: {error.strerror or error}"
        finally:
            self.transcript.close()
            self.console_transcript.close()
            stopping = self.state is State.STOPPING or self._scope.cancelled_caught
            self.change(State.STOPPED if stopping else State.DEAD, "" if stopping else text)

    async def _live(self, launch: Launch) -> str:
        async with contextlib.AsyncExitStack() as stack:
            environment = {**os.environ, **launch.environment}
            readiness = None
            if launch.readiness is not None:
                readiness = stack.enter_context(_bound(launch.readiness))
                environment["NOTIFY_SOCKET"] = os.fspath(launch.readiness)
            number, opened = 0, contextlib.ExitStack()
            with opened:
                if launch.console != "none":
                    stream, number = _terminal(opened) if launch.console == "terminal" else _line(opened)
                    self.console = Console(stream, self.console_transcript)
                    stack.push_async_callback(self._drop_console)
                terminal = number if launch.console == "terminal" else 0
                inherited = [number] if number else []
                process = Process(launch.command(number), environment, inherited, terminal, launch.directory)
            stack.push_async_callback(process.aclose)
            self.pid, self.started_ns = process.pid, clock.monotonic_ns()
            self.change(State.STARTING)
            self.started.set()
            try:
                return how_it_ended(await self._attend(process, readiness, launch))
            finally:
                await process.end(launch.farewell)

    async def _attend(self, process: Process, readiness: trio.socket.SocketType | None, launch: Launch) -> int:
        async with trio.open_nursery() as watchers:
            if readiness is not None:
                watchers.start_soon(self._await_notifications, readiness, not launch.ready_line)
            if self.console is not None:
                watchers.start_soon(self._await_ready_line, self.console)
            async with trio.open_nursery() as writers:
                writers.start_soon(self._write_down, process)
                if self.console is not None:
                    writers.start_soon(self.console.run)
                status = await process.wait()
                writers.cancel_scope.deadline = trio.current_time() + DRAIN_S
            watchers.cancel_scope.cancel()
        return status

    async def _write_down(self, process: Process) -> None:
        async for octets in process.output:
            self.transcript.write(bytes(octets))

    async def _await_notifications(self, readiness: trio.socket.SocketType, says_ready: bool) -> None:
        """sd_notify(3): READY=1, and STATUS= with what is to be said about it until the next one."""
        usual = None
        while True:
            for line in (await readiness.recv(READY_MOST_OCTETS)).split(b"\n"):
                if line == b"READY=1" and says_ready:
                    self._becomes_ready("")
                elif line.startswith(b"STATUS="):
                    said = line.removeprefix(b"STATUS=").decode(errors="replace")
                    usual = self.text if usual is None else usual
                    self.change(self.state, said or usual)
                    usual = usual if said else None

    async def _await_ready_line(self, console: Console) -> None:
        seen = bytearray()
        with console.viewer(bounded=False) as octets_seen:
            async for octets in octets_seen:
                seen += octets
                start = seen.find(READY_LINE)
                if start >= 0 and (end := seen.find(b"\n", start)) >= 0:
                    self._becomes_ready(" ".join(text_lines(bytes(seen[start + len(READY_LINE) : end]))).strip())
                    return
                del seen[: -READY_MOST_OCTETS if start < 0 else start]

    def _becomes_ready(self, text: str) -> None:
        if self.state is State.STARTING:
            self.change(State.READY, text)

    async def _drop_console(self) -> None:
        if self.console is not None:
            await self.console.aclose()
            self.console = None


class LiveTap(LiveNode):
    """A tap: no process of its own, but addresses on the interface that its segment has opened."""

    async def live(self, segment: LiveNode, *, is_admin: bool) -> None:
        """Set the addresses, and stay until the segment has ended."""
        assert isinstance(self.node, Tap)
        node: Tap = self.node
        self.change(State.STARTING)
        self.started.set()
        text = f"'{node.segment}' has ended, which had it open"
        done = tap.HostEnd()
        try:
            with self._scope:
                # Not left alone when cancelled: what was done has to be known, to be undone.
                done = await trio.to_thread.run_sync(lambda: tap.configure(node, is_admin=is_admin))
                self.started_ns = clock.monotonic_ns()
                self._becomes_ready(done.text)
                await segment.ended.wait()
        except LabFailed as error:
            text = str(error)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(done.undo)
            stopping = self.state is State.STOPPING or self._scope.cancelled_caught
            self.change(State.STOPPED if stopping else State.DEAD, "" if stopping else text)


def _line(stack: contextlib.ExitStack) -> tuple[trio.abc.Stream, int]:
    """A serial line: our end, and the number of the other, which `stack` closes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    stack.callback(theirs.close)
    return trio.SocketStream(trio.socket.from_stdlib_socket(ours)), theirs.fileno()


def _terminal(stack: contextlib.ExitStack) -> tuple[trio.abc.Stream, int]:
    """A terminal: our end, and the number of the other, which `stack` closes."""
    ours, theirs = os.openpty()
    stack.callback(os.close, theirs)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *WINDOW, 0, 0))
    return trio.lowlevel.FdStream(ours), theirs


@contextlib.contextmanager
def _bound(path: Path) -> Iterator[trio.socket.SocketType]:
    """A datagram socket with a name, while it is needed."""
    path.unlink(missing_ok=True)
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        plain.bind(os.fspath(path))
        with trio.socket.from_stdlib_socket(plain) as bound:
            yield bound
    finally:
        plain.close()
        path.unlink(missing_ok=True)
