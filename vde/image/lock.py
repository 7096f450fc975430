"""One pull or removal of an image at a time, across processes.

flock(2) on a file that is never removed: the kernel lets go of it when the last process that has it open ends, however
it ends. apt inherits the descriptor, so a pull that was killed keeps the lock for as long as its apt still writes.
"""

import contextlib
import fcntl
import os
import select
from collections.abc import Callable, Iterator
from pathlib import Path

_POLL_S = 0.2  # chosen: short enough that nobody notices, and the waiting caller can be cancelled


@contextlib.contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold a lock.

    Args:
        path: the lock's file; it is made if it is missing, its directory must exist.
        waiting: is called again and again while another process holds the lock; may raise.

    Yields:
        The lock's file descriptor, for processes that shall hold the lock as well.

    Raises:
        OSError: the file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                select.select([], [], [], _POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)
