"""The control socket of a running wire: `control.py` on Unix stream connections.

A client that does not read stops its own connection only. The socket's file has mode 0600, and is removed at the end.
"""

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from vde.errors import ConfigError
from vde.wire.control import LINE_OCTETS, MOST_CONNECTIONS, WATCH_FRAMES, carry_out, emit, parse_request, refuse
from vde.wire.direction import Observer
from vde.wire.model import Wire
from vde.wire.process import WireProcess
from vde.wire.schedule import VERBS, parse_direction
from vde.wire.verdict import Verdict

Facts = Callable[[], Mapping[str, Any]]


@contextmanager
def open_socket(path: Path) -> Iterator[trio.SocketListener]:
    """Listen at `path`; a socket there that nobody listens at any more is replaced.

    Raises:
        ConfigError: it cannot be had.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        old_mask = os.umask(0o177)
        try:
            _bind(listening, path)
        finally:
            os.umask(old_mask)
        try:
            identity = path.stat().st_ino
            listening.listen(MOST_CONNECTIONS)
            yield trio.SocketListener(trio.socket.from_stdlib_socket(listening))
        finally:
            if path.exists() and path.stat().st_ino == identity:
                path.unlink()


def _bind(listening: socket.socket, path: Path) -> None:
    for _ in range(2):
        try:
            listening.bind(os.fspath(path))
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_stale(path):
                reason = "a wire listens there" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
                raise ConfigError(f"control socket {path}: {reason}") from None
            path.unlink(missing_ok=True)


def _is_stale(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return path.is_socket()
        except OSError:
            return False
    return False


class ControlServer:
    """Serves the connections of one wire."""

    def __init__(
        self, wire: Wire, process: WireProcess, facts: Facts, now_ns: Callable[[], int], wall_ns: Callable[[], int]
    ) -> None:
        """`facts`: more for `show`."""
        self._wire = wire
        self._process = process
        self._facts = facts
        self._now_ns = now_ns
        self._wall_ns = wall_ns
        self._connections = 0
        self._watchers: list[_Watcher] = []

    async def serve(self, listener: trio.SocketListener) -> None:
        """Until cancelled."""
        await trio.serve_listeners(self._serve, [listener])

    async def _serve(self, stream: trio.SocketStream) -> None:
        if self._connections >= MOST_CONNECTIONS:
            await trio.aclose_forcefully(stream)
            return
        self._connections += 1
        try:
            async with stream:
                await self._converse(stream)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._connections -= 1

    async def _converse(self, stream: trio.SocketStream) -> None:
        pending = b""
        async for data in stream:
            pending += data
            *lines, pending = pending.split(b"\n")
            if len(pending) > LINE_OCTETS:
                await stream.send_all(emit(refuse(ConfigError(f"at most {LINE_OCTETS} octets a line were expected"))))
                return
            for line in lines:
                if not line.strip():
                    continue
                try:
                    request = parse_request(line)
                    answer = self._carry_out(request)
                except ConfigError as error:
                    await stream.send_all(emit(refuse(error)))
                    continue
                await stream.send_all(emit(answer))
                if request["do"] == "watch":
                    await self._watch(stream, parse_direction(request.get("direction", "both")))
                    return

    def _carry_out(self, request: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        process.count()
        if request["do"] == "watch":
            parse_direction(request.get("direction", "both"))
        if request["do"] in VERBS:
            process.stop_carrying()
        answer = carry_out(
            self._wire, request, self._now_ns(), {**self._facts(), "bypass": process.bypass and self._wire.clear}
        )
        if request["do"] in VERBS:
            process.changed()
        return answer

    async def _watch(self, stream: trio.SocketStream, names: tuple[str, ...]) -> None:
        watcher = _Watcher(self._wall_ns)
        self._watchers.append(watcher)
        self._observe()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_wait_for_end, stream, nursery.cancel_scope)
                while True:
                    await stream.send_all(await watcher.next(names))
        finally:
            self._watchers.remove(watcher)
            self._observe()

    def _observe(self) -> None:
        self._process.stop_carrying()
        for name, side in self._wire.directions.items():
            side.observer = self._observer(name) if self._watchers else None
        self._process.changed()

    def _observer(self, name: str) -> Observer:
        def observe(verdict: Verdict, frame: bytes) -> None:
            for watcher in self._watchers:
                watcher.put(name, verdict, frame)

        return observe


class _Watcher:
    """Frames for one connection."""

    def __init__(self, wall_ns: Callable[[], int]) -> None:
        self._wall_ns = wall_ns
        self._frames: deque[tuple[str, int, bytes, str, bool, str]] = deque()
        self._lost = 0
        self._news = trio.Event()

    def put(self, name: str, verdict: Verdict, frame: bytes) -> None:
        if len(self._frames) >= WATCH_FRAMES:
            self._lost += 1
        else:
            self._frames.append((name, self._wall_ns(), frame, verdict.fate, verdict.changed, verdict.sentence()))
        self._news.set()

    async def next(self, names: tuple[str, ...]) -> bytes:
        """Lines."""
        while not self._frames and not self._lost:
            self._news = trio.Event()
            await self._news.wait()
        lines: list[bytes] = []
        while self._frames and len(lines) < 64:
            name, wall_ns, frame, fate, changed, text = self._frames.popleft()
            if name in names:
                number = text.removeprefix("frame ").partition(";")[0].partition(",")[0]
                line = {"frame": frame.hex(), "direction": name, "number": int(number), "wall_ns": wall_ns}
                lines.append(emit({**line, "dropped": fate or None, "changed": changed, "text": text}))
        if self._lost and not self._frames:
            lines.append(emit({"lost": self._lost}))
            self._lost = 0
        return b"".join(lines)


async def _wait_for_end(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    while await stream.receive_some(4096):
        pass
    scope.cancel()
