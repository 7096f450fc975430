"""Programs in network namespaces that a test made."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator

PATIENCE_S = 20.0
CLONE_NEWNET = 0x40000000  # setns(2)
_libc = ctypes.CDLL(None, use_errno=True)


def in_namespace(name: str, *arguments: str) -> str:
    """What a program prints there."""
    return subprocess.run(
        ["ip", "netns", "exec", name, *arguments], check=True, capture_output=True, text=True, timeout=PATIENCE_S
    ).stdout


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """Sockets that this thread makes meanwhile are the namespace's, and stay so. No other task may run meanwhile."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
