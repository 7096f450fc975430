"""The file that a capture goes to: never waited for, and whole up to its last block whatever happens.

A regular file takes what it is given, until the disk is full: then it is cut back to its last complete block. A pipe
(`mkfifo`, read by Wireshark) may be slow: what it does not take waits here, up to `WAITING_OCTETS`; further blocks are
refused, which the capture counts as lost.
"""

import contextlib
import errno
import os
import stat

WAITING_OCTETS = 4 << 20  # chosen
BUFFER_OCTETS = 64 << 10  # chosen


class CaptureFile:
    """An open file.

    Args:
        append: go on after what it holds, instead of replacing it.
        buffered: collect blocks up to `BUFFER_OCTETS` before writing.

    Raises:
        OSError: it cannot be opened (ENXIO: a pipe that nobody reads).
    """

    def __init__(self, path: str, *, append: bool, buffered: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        self._descriptor = os.open(path, flags | (os.O_APPEND if append else os.O_TRUNC), 0o600)
        status = os.fstat(self._descriptor)
        self._regular = stat.S_ISREG(status.st_mode)
        self._complete = status.st_size
        """Octets of a regular file that are whole blocks."""
        self._waiting = bytearray()
        self.buffered = buffered

    def write(self, block: bytes) -> bool:
        """Take a block; False: there is no room for it now.

        Raises:
            OSError: the file takes no more, for good; `close` it.
        """
        if len(self._waiting) + len(block) > WAITING_OCTETS:
            self.flush()
            if len(self._waiting) + len(block) > WAITING_OCTETS:
                return False
        self._waiting += block
        if not self.buffered or len(self._waiting) >= BUFFER_OCTETS:
            self.flush()
        return True

    def flush(self) -> None:
        """Write what waits, as far as it goes. Raises `OSError` as `write`."""
        while self._waiting:
            try:
                written = os.write(self._descriptor, self._waiting)
            except BlockingIOError:
                return
            except OSError:
                self._waiting.clear()
                if self._regular:
                    with contextlib.suppress(OSError):
                        os.ftruncate(self._descriptor, self._complete)
                raise
            del self._waiting[:written]
        if self._regular:
            self._complete = os.lseek(self._descriptor, 0, os.SEEK_END)

    def abandon(self) -> None:
        """Close without writing what waits."""
        os.close(self._descriptor)

    def close(self) -> None:
        """Write what waits and close. Raises `OSError` if that fails; it is closed all the same."""
        try:
            self.flush()
            if self._waiting:
                raise OSError(errno.EAGAIN, "the reader of the pipe does not keep up")
        finally:
            os.close(self._descriptor)
