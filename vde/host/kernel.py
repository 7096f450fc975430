"""System calls that Python 3.11 lacks, by the C library, typed.

Sources: unshare(2), setns(2), mount(2), umount2(2), pivot_root(2), capset(2), prctl(2), capabilities(7). Each function
raises `OSError` with the errno, and the path or thing it was about. Only what is used is here. Linux only.

The capability calls know version 3 of the header (64 bits), which every kernel since 2.6.26 has.
"""

import ctypes
import os
import struct
from enum import IntEnum, IntFlag

_libc = ctypes.CDLL(None, use_errno=True)


class CloneFlag(IntFlag):
    """clone(2)'s namespaces, for `unshare` and `setns`."""

    NEWTIME = 0x00000080  # linux/sched.h
    NEWNS = 0x00020000
    NEWUTS = 0x04000000
    NEWUSER = 0x10000000
    NEWPID = 0x20000000
    NEWNET = 0x40000000


class MountFlag(IntFlag):
    """mount(2)'s flags."""

    RDONLY = 1  # linux/mount.h
    NOSUID = 2
    NODEV = 4
    NOEXEC = 8
    REMOUNT = 32
    NOATIME = 1024
    NODIRATIME = 2048
    BIND = 4096
    REC = 16384
    PRIVATE = 1 << 18
    SLAVE = 1 << 19
    RELATIME = 1 << 21


class Capability(IntEnum):
    """capabilities(7), by their numbers of linux/capability.h."""

    NET_BIND_SERVICE = 10
    NET_BROADCAST = 11
    NET_ADMIN = 12
    NET_RAW = 13
    SYS_ADMIN = 21
    SYS_TIME = 25


MNT_DETACH = 2  # linux/fs.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h
_CAPABILITY_HEADER = struct.Struct("=Ii")  # version, pid (0: this thread)
_CAPABILITY_SETS = struct.Struct("=6I")  # effective, permitted, inheritable: bits 0…31, then bits 32…63


def unshare(flags: CloneFlag) -> None:
    """Leave namespaces for new ones. With NEWUSER the process must have one thread."""
    _check(_libc.unshare(int(flags)), "unshare")


def setns(descriptor: int, kind: CloneFlag) -> None:
    """Enter the namespace of `descriptor`, which must be of `kind`: this thread only, for networks."""
    _check(_libc.setns(descriptor, int(kind)), "setns")


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, options: str | None = None) -> None:
    """mount(2). `target` is named in the error."""
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, options)]
    _check(_libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]), target)


def umount(target: str, flags: int = MNT_DETACH) -> None:
    """umount2(2)."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2): glibc exports it, unannounced."""
    _check(_libc.pivot_root(os.fsencode(new), os.fsencode(old)), new)


def die_with_parent(signal_number: int) -> None:
    """Get a signal when the thread that forked us ends; forgotten at a change of credentials, kept over `exec`."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


def keep_over_exec(capabilities: list[Capability]) -> None:
    """Let programs that this thread executes have these capabilities: inheritable and ambient sets.

    They must be permitted to us.
    """
    header = ctypes.create_string_buffer(_CAPABILITY_HEADER.pack(_CAPABILITY_VERSION_3, 0))
    sets = ctypes.create_string_buffer(_CAPABILITY_SETS.size)
    _check(_libc.capget(header, sets), "capget")
    words = list(_CAPABILITY_SETS.unpack(sets.raw))
    for capability in capabilities:
        words[2 + 3 * (capability // 32)] |= 1 << capability % 32
    _check(_libc.capset(header, ctypes.create_string_buffer(_CAPABILITY_SETS.pack(*words))), "capset")
    for capability in capabilities:
        _check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, int(capability), 0, 0), "prctl")


def _check(result: int, about: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about)
