"""The outside of a view: start its process, get its taps, let it go, pass signals on, end as it ended.

    running = start(view, ["ping", "10.0.0.1"])      # before there is an event loop or a thread: it forks
    for descriptor in running.taps: …                # a descriptor of a tap for each of view.nets: frames, one a read
    status = await attend(running)                   # the command runs: 0…255, or minus a signal's number

**Terminal.** The command stays in our process group, so the terminal's signals (Ctrl-C, Ctrl-Z, a new size) reach it
and us; it is we who leave those to it. Signals sent to us alone are passed on. When it is stopped we stop too, so that
the shell sees it; its `fg` continues both.

Nothing is left behind: the namespaces end with their last process, the taps with our descriptors; a `kill -9` of us
ends the command (not what it has put into the background, unless it has its own processes); the mount point in $TMPDIR,
an empty directory, may remain then.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio

from vde.errors import ConfigError, VdeError
from vde.host.view.inside import ERROR_OCTETS, GO, PASSED_ON, become
from vde.host.view.plan import View

TAPS_MAX = 64  # chosen; one message carries 253 descriptors
STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class NotStarted(VdeError):
    """The view was made, but its command cannot be executed.

    Attributes:
        status: what a shell would answer.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Running:
    """A view whose process waits, or runs.

    Attributes:
        pid: of its process.
        taps: a descriptor for each of `view.nets`, the caller's to close.
        names: of the taps inside.
    """

    def __init__(self, pid: int, control: socket.socket, scratch: Path | None) -> None:
        self.pid = pid
        self.taps: list[int] = []
        self.names: list[str] = []
        self._control = control
        self._scratch = scratch

    def go(self) -> None:
        """Let the command begin; see `attend`, which does it when signals can be passed on.

        Raises:
            NotStarted: it cannot be executed.
        """
        with contextlib.suppress(BrokenPipeError):
            self._control.send(GO)
        answer = self._control.recv(2 * ERROR_OCTETS)
        if answer:
            failed = json.loads(answer)
            raise NotStarted(failed["error"], failed["status"])

    def close(self) -> None:
        """For whoever started it, at the end: a command that still runs is killed."""
        self._control.close()
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            if os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        if self._scratch is not None:
            with contextlib.suppress(OSError):
                self._scratch.rmdir()


def start(view: View, command: Sequence[str]) -> Running:
    """Make the view; its command waits for `go`.

    Raises:
        ConfigError: it cannot be made; says why.
    """
    if len(view.nets) > TAPS_MAX:
        raise ConfigError(f"{len(view.nets)} networks in a view: at most {TAPS_MAX} are possible")
    if not command:
        raise ConfigError("a command was expected")
    scratch = Path(tempfile.mkdtemp(prefix="vde-view")) if view.needs_scratch else None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        ours.close()
        become(view, command, scratch, theirs)
    theirs.close()
    running = Running(pid, ours, scratch)
    try:
        octets, running.taps, _, _ = socket.recv_fds(ours, 2 * ERROR_OCTETS, TAPS_MAX)
        answer: dict[str, Any] = json.loads(octets) if octets else {"error": "the view's process ended"}
        if "error" in answer:
            raise ConfigError(answer["error"])
        running.names = answer["names"]
    except BaseException:
        running.close()
        raise
    return running


async def attend(running: Running) -> int:
    """Let the command begin, and wait for its end, passing signals on.

    Returns:
        Its exit status, or minus the number of the signal that it died of.

    Raises:
        NotStarted: it cannot be executed.

    Cancellation: the command goes on; `close` kills it.
    """
    watched = {*PASSED_ON, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD, signal.SIGCONT}
    watched -= {number for number in watched if signal.getsignal(number) is signal.SIG_IGN}  # nohup
    watched.add(signal.SIGCHLD)
    with trio.open_signal_receiver(*watched) as signals:
        running.go()
        if (status := _look(running.pid)) is not None:
            return status
        async for number in signals:
            if number == signal.SIGCHLD:
                if (status := _look(running.pid)) is not None:
                    return status
            elif number in PASSED_ON or number == signal.SIGCONT or not _in_foreground():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(running.pid, number)
    raise AssertionError("signals do not end")


def end_as(status: int) -> int:
    """The exit status for a program that is to end as the command did: it may not return."""
    if status >= 0:
        return status
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # its core was enough
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
    return 128 - status


def _look(pid: int) -> int | None:
    """Its end, if it has ended. Stops us if it is stopped."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED | os.WNOHANG)
    if found is None:
        return None
    if found.si_code == os.CLD_STOPPED:
        if found.si_status in STOPS:
            os.kill(os.getpid(), signal.SIGSTOP)
        return None
    if found.si_code == os.CLD_EXITED:
        return found.si_status
    if found.si_code in (os.CLD_KILLED, os.CLD_DUMPED):
        return -found.si_status
    return None


def _in_foreground() -> bool:
    """Does the terminal send its signals to us, and so to the command?"""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
