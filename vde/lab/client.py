"""The other end of a lab's control socket, for the command line: blocking, so that Ctrl-C raises KeyboardInterrupt.

Starting the supervisor is here as well. It is made a grandchild with a session of its own: it is nobody's job.
"""

import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from vde import clock
from vde.errors import WireError
from vde.lab import messages
from vde.lab.errors import LabFailed, NotRunning
from vde.lab.messages import Event
from vde.lab.places import Home

CHUNK_OCTETS = 64 << 10
MOST_LOG_OCTETS = 1 << 20  # chosen; it has a traceback now and then
READY = b"ready\n"
ANSWER_S = 10.0  # chosen: for what takes no time
CONNECT_NS = 10 * 10**9  # chosen
BETWEEN_TRIES_S = 0.05  # chosen


class Connection:
    """One request, and the events that answer it.

    Args:
        home: of the lab.
        patience_s: how long the supervisor may be silent; None: for ever, as while guests boot.

    Raises:
        NotRunning: there is no supervisor.
    """

    def __init__(self, home: Home, patience_s: float | None = None) -> None:
        self._home = home
        self._pending = bytearray()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(patience_s)
        try:
            self.socket.connect(os.fspath(home.control))
        except OSError:
            self.socket.close()
            raise NotRunning(f"lab '{home.name}' is not running") from None

    def ask(self, request: messages.Request) -> Iterator[Event]:
        """Send the request; the events, as they come, until the supervisor closes the connection.

        Raises:
            NotRunning: the supervisor was killed.
        """
        try:
            self.socket.sendall(messages.emit(request))
        except OSError:
            raise NotRunning(f"the supervisor of lab '{self._home.name}' has ended") from None
        return self.events()

    def events(self) -> Iterator[Event]:
        """Further events; also after an exception interrupted the iteration.

        Raises:
            LabFailed: the supervisor does not answer.
        """
        while True:
            while (end := self._pending.find(b"\n")) < 0:
                if len(self._pending) > messages.MOST_OCTETS:
                    raise WireError("the supervisor sent a line that is too long")
                try:
                    octets = self.socket.recv(CHUNK_OCTETS)
                except ConnectionError:
                    octets = b""
                except TimeoutError:
                    raise LabFailed(f"the supervisor of lab '{self._home.name}' does not answer") from None
                if not octets:
                    return
                self._pending += octets
            line = bytes(self._pending[:end])
            del self._pending[: end + 1]
            yield messages.parse_event(line)

    def no_more_to_say(self) -> None:
        """Close the sending side: during `up` that means to take it back."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the supervisor is gone

    def rest(self) -> bytes:
        """What was received after the last event."""
        rest = bytes(self._pending)
        self._pending.clear()
        return rest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()


def is_running(home: Home) -> bool:
    """Whether the lab has a supervisor."""
    try:
        with home.lock.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def connect(home: Home) -> Connection:
    """A connection to the lab's supervisor, which is started if there is none.

    Raises:
        NoPlace, LabFailed: it could not be started.
    """
    deadline_ns = clock.monotonic_ns() + CONNECT_NS
    while True:
        try:
            return Connection(home)
        except NotRunning:
            if not is_running(home):
                try:
                    start_supervisor(home)
                    continue
                except LabFailed:
                    if not is_running(home):
                        raise
            # Somebody else's has just begun, or just ends: it has its lock, but not its socket.
            if clock.monotonic_ns() > deadline_ns:
                raise LabFailed(f"the supervisor of lab '{home.name}' does not answer") from None
            time.sleep(BETWEEN_TRIES_S)


def wait_until_gone(home: Home) -> None:
    """Until the supervisor has ended, and its directory is removed; at once if there is none."""
    try:
        with home.lock.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
    except OSError:
        return


def start_supervisor(home: Home) -> None:
    """Start the lab's supervisor, and wait until it can be talked to.

    Raises:
        NoPlace: the state directory cannot be had.
        LabFailed: it did not start; the text has what it said.
    """
    home.make_state()
    said = home.state / "supervisor.log"
    reading, writing = os.pipe()
    try:
        before = said.stat().st_size if said.exists() else 0
        with said.open("ab" if before < MOST_LOG_OCTETS else "wb") as log:
            subprocess.run(
                [sys.executable, "-c", _DETACH, str(writing), *_command(home, writing)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[writing],
                start_new_session=True,
                cwd="/",
                check=True,
            )
        os.close(writing)
        writing = -1
        with open(reading, "rb", closefd=False) as answer:
            if answer.readline() == READY:
                return
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    lines = said.read_text(errors="replace")[-MOST_LOG_OCTETS:].strip().splitlines()[-20:]
    raise LabFailed("\n".join(["the lab's supervisor did not start", *(f"    {line}" for line in lines)]))


_DETACH = """
import os, sys
if os.fork() == 0:
    os.execv(sys.argv[2], sys.argv[2:])
"""


def _command(home: Home, ready_fd: int) -> list[str]:
    words = [sys.executable, "-m", "vde.cli.main", "supervise", home.name, os.fspath(home.file)]
    return [*words, os.fspath(home.runtime), str(ready_fd)]
