"""The pidfile: who runs here, for service scripts.

Created with O_EXCL, mode 0644, removed at the end if it is still ours. An existing one refuses the start unless the
process that it names is dead (a killed switch).
"""

import contextlib
import errno
import os
from pathlib import Path

from vde.errors import ConfigError


class PidfileError(ConfigError):
    """The pidfile cannot be written, or names a running process."""


class Pidfile:
    """A file with this process's number."""

    def __init__(self, path: Path, number: int | None = None) -> None:
        """Write it, with another `number` if one is given.

        Raises:
            PidfileError: a file that cannot be written whole is removed.
        """
        self._path = path
        self._text = f"{os.getpid() if number is None else number}\n"
        if _names_dead_process(path):
            path.unlink(missing_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise PidfileError(f"Error in pidfile creation: {error.strerror}: '{path}'") from None
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(self._text)
        except OSError as error:
            with contextlib.suppress(OSError):
                path.unlink()
            raise PidfileError(f"Error in pidfile creation: {error.strerror}: '{path}'") from None

    def remove(self) -> None:
        """If it still names us."""
        with contextlib.suppress(OSError, ValueError):
            if self._path.read_text() == self._text:
                self._path.unlink()


def _names_dead_process(path: Path) -> bool:
    try:
        with path.open() as file:
            pid = int(file.read(32))
        if pid <= 0:
            return False
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.ESRCH
    except ValueError:
        return False
    return False
