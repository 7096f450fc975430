"""Network namespaces: by name (ip-netns(8)), by a process in them, or by path.

A namespace that belongs to another user namespace, as a view's does, can be entered by who may enter that one: its
owner, and root. Entering a user namespace takes a process of one thread, so whole programs do it (`enter`); `inside` is
for threads, and stays in the user namespace.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from vde.errors import ConfigError
from vde.host.kernel import CloneFlag, setns

NAMED = Path("/run/netns")  # ip-netns(8)
NS_GET_USERNS = 0xB701  # ioctl_ns(2): _IO(0xb7, 1)


def open_namespace(text: str) -> int:
    """A descriptor of a network namespace.

    Args:
        text: a number is a process, what has a `/` is a path, else a name.

    Raises:
        ConfigError: there is none, or it may not be opened.
    """
    if text.isascii() and text.isdecimal():
        place = f"/proc/{int(text)}/ns/net"
    elif "/" in text:
        place = text
    elif text in ("", ".", "..") or "\0" in text:
        raise ConfigError(f"network namespace {text!r}: a name, a process's number or a path was expected")
    else:
        place = str(NAMED / text)
    try:
        return os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ConfigError(f"network namespace {text!r}: there is no {place}; {_known()}") from None
    except PermissionError:
        raise ConfigError(
            f"network namespace {text!r}: {place} may not be opened: it is another user's (CAP_SYS_PTRACE is missing)"
        ) from None
    except OSError as error:
        raise ConfigError(f"network namespace {text!r}: {place}: {error.strerror}") from None


def enter(text: str) -> None:
    """Enter for good, with the whole program, which must have one thread; with its user namespace where we must.

    Raises:
        ConfigError: not possible; says why.
    """
    descriptor = open_namespace(text)
    try:
        try:
            setns(descriptor, CloneFlag.NEWNET)
        except PermissionError:
            owner = fcntl.ioctl(descriptor, NS_GET_USERNS)
            try:
                setns(owner, CloneFlag.NEWUSER)
            finally:
                os.close(owner)
            setns(descriptor, CloneFlag.NEWNET)
    except OSError as error:
        raise _refused(text, error) from None
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def inside(text: str | None) -> Iterator[None]:
    """Be there meanwhile, with this thread: sockets that it makes are the namespace's, and stay so. None: no change.

    No other task of the thread may run meanwhile: there must be no `await` in the body.

    Raises:
        ConfigError: not possible; says why.
    """
    if text is None:
        yield
        return
    with contextlib.ExitStack() as stack:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, home)
        there = open_namespace(text)
        stack.callback(os.close, there)
        try:
            setns(there, CloneFlag.NEWNET)
        except OSError as error:
            raise _refused(text, error) from None
        stack.callback(setns, home, CloneFlag.NEWNET)
        yield


def _refused(text: str, error: OSError) -> ConfigError:
    if error.errno == 22:  # EINVAL
        return ConfigError(f"network namespace {text!r}: it is no network namespace")
    return ConfigError(
        f"network namespace {text!r}: {error.strerror}: CAP_SYS_ADMIN is missing there: only root and whoever made it "
        "may enter"
    )


def _known() -> str:
    try:
        names = sorted(os.listdir(NAMED))
    except OSError:
        names = []
    return f"named ones: {', '.join(names)}" if names else "there are no named ones"
