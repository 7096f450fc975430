"""Messages to whoever runs the switch: standard error, or syslog when it is a daemon.

Writing one never blocks the switch: if standard error is a pipe that nobody reads, messages are dropped and counted.
Peers can cause messages, so equal ones in a row are limited to `BURST`, and told once more as a number.
"""

import os
import select
import sys
import syslog
from typing import Protocol

BURST = 10  # chosen
LINE_OCTETS = 4096  # PIPE_BUF: a pipe that polls writable takes so much without blocking


class Sink(Protocol):
    """Where lines go."""

    def __call__(self, priority: int, line: str) -> bool:
        """False: dropped."""


class Log:
    """Messages by priority, to a sink that may be changed."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.dropped = 0
        self._last = ""
        self._repeated = 0

    def info(self, text: str) -> None:
        """What one may like to know."""
        self._write(syslog.LOG_INFO, text)

    def warning(self, text: str) -> None:
        """Something is not as it should be; the switch goes on."""
        self._write(syslog.LOG_WARNING, text)

    def error(self, text: str) -> None:
        """The switch cannot do what it was asked to."""
        self._write(syslog.LOG_ERR, text)

    def _write(self, priority: int, text: str) -> None:
        line = text.encode("utf-8", "backslashreplace").decode()
        line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
        if line == self._last:
            self._repeated += 1
            if self._repeated >= BURST:
                return
        else:
            if self._repeated >= BURST:
                self._emit(priority, f"last message repeated {self._repeated - BURST + 1} times")
            self._last, self._repeated = line, 0
        self._emit(priority, line)

    def _emit(self, priority: int, line: str) -> None:
        if not self.sink(priority, line):
            self.dropped += 1


class StandardError:
    """`PROGRAM: line` on standard error."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._poll = select.poll()
        self._descriptor = sys.__stderr__.fileno() if sys.__stderr__ is not None else -1
        if self._descriptor >= 0:
            self._poll.register(self._descriptor, select.POLLOUT)

    def __call__(self, priority: int, line: str) -> bool:
        """See `Sink`."""
        if self._descriptor < 0 or not any(event & select.POLLOUT for _, event in self._poll.poll(0)):
            return False
        try:
            os.write(self._descriptor, f"{self._program}: {line}\n".encode()[:LINE_OCTETS])
        except OSError:
            return False
        return True


class Syslog:
    """syslog(3), with the process number, as the original."""

    def __init__(self, program: str) -> None:
        syslog.openlog(program, syslog.LOG_PID, syslog.LOG_DAEMON)

    def __call__(self, priority: int, line: str) -> bool:
        """See `Sink`."""
        syslog.syslog(priority, line)
        return True
