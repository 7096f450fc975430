"""Network namespaces without a name: they live as long as what was opened in them."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000  # linux/sched.h
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def new_namespace() -> Iterator[int]:
    """A descriptor of a new network namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if _libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        made = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _set(home)
    finally:
        os.close(home)
    try:
        yield made
    finally:
        os.close(made)


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """This thread is in the namespace. Nothing may be awaited meanwhile."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _set(namespace)
        try:
            yield
        finally:
            _set(home)
    finally:
        os.close(home)


def run_inside(namespace: int, *command: str) -> str:
    """What a program prints there."""
    with inside(namespace):
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout


def _set(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
