"""A program as a child that cannot outlive us, even if we are killed: started here, waited for with trio.

Not `trio.run_process`: it forks from a worker thread, and the kernel's parent-death signal fires when that thread ends.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from vde.errors import InternalError

SHIM = Path(__file__).with_name("child.py")
GRACE_S = 5.0  # chosen: how long a program may take to end when asked


class Process:
    """A running program, its standard output and error in one pipe.

    Attributes:
        pid: its process number.
        output: the reading end of the pipe.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        descriptors: Sequence[int] = (),
        terminal: int = 0,
        directory: Path = Path("/"),
    ) -> None:
        """Start it.

        Args:
            command: program and arguments.
            environment: the whole environment.
            descriptors: of ours that it inherits under the same numbers.
            terminal: one of them, that is its terminal and its standard input, output and error; 0: none.
            directory: where it runs.

        Raises:
            OSError: no process, no memory, no descriptor.
        """
        if threading.current_thread() is not threading.main_thread():
            raise InternalError("a node's process must be started by the main thread: it dies with the thread")
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-S", os.fspath(SHIM), str(os.getpid()), str(terminal), *command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
            cwd=directory,
        )
        assert self._popen.stdout is not None
        self.pid = self._popen.pid
        self.output = trio.lowlevel.FdStream(os.dup(self._popen.stdout.fileno()))
        self._popen.stdout.close()
        self._pidfd = os.pidfd_open(self.pid)

    async def wait(self) -> int:
        """Until it has ended; the exit status, or the negative number of the signal that killed it."""
        while self._popen.poll() is None:
            await trio.lowlevel.wait_readable(self._pidfd)
        return int(self._popen.returncode)

    async def end(self, farewell: signal.Signals = signal.SIGTERM, grace_s: float = GRACE_S) -> int:
        """Ask it to end, and kill it if it does not; it is gone when this returns, cancelled or not."""
        with trio.CancelScope(shield=True):
            self.signal(farewell)
            with trio.move_on_after(grace_s):
                await self.wait()
            self.signal(signal.SIGKILL)  # does nothing if it ended in time
            await self.wait()
        return int(self._popen.returncode)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)

    async def aclose(self) -> None:
        """Kill it if it runs, and free what we hold."""
        with trio.CancelScope(shield=True):
            self.signal(signal.SIGKILL)
            await self.wait()
            await self.output.aclose()
            os.close(self._pidfd)


def how_it_ended(status: int) -> str:
    """`exit status 1`, `killed by SIGSEGV`."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
