"""Going to the background, and telling the one who asked how it went.

The parent waits until the switch is up, so that `vdeswitch -d && client` cannot come too early, and its exit status
says whether it is. Until then the child keeps the terminal, so that its errors are seen.
"""

import os
import sys

READY = b"+"


class Background:
    """The child's side. Made by `detach`."""

    def __init__(self, report: int) -> None:
        self._report = report

    def ready(self) -> None:
        """Let the parent go; give up the terminal and the working directory."""
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)
        os.chdir("/")
        os.write(self._report, READY)
        os.close(self._report)


def detach() -> Background:
    """Fork. Returns in the child, in a session of its own; the parent exits with the child's fate.

    Must be called before any thread or event loop is started.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        return Background(writing)
    os.close(writing)
    try:
        if os.read(reading, 1) == READY:
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    except KeyboardInterrupt:
        os._exit(130)
