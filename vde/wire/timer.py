"""A timer that is more exact than the event loop's, whose epoll_wait(2) counts in milliseconds: timerfd_create(2).

Python has it from 3.13 on; until then libc is called through ctypes.

From the moment itself until a waiting task runs, some 0.2 ms pass: the kernel wakes us, the event loop finds out whom.
So the kernel's timer is set earlier by what that took of late, and the rest is waited for by looking at the clock.
"""

import contextlib
import ctypes
import os
from typing import Protocol

import trio

from vde.clock import monotonic_ns

CLOCK_MONOTONIC = 1  # time.h; the clock of vde.clock.monotonic_ns
TFD_NONBLOCK, TFD_CLOEXEC, TFD_TIMER_ABSTIME = os.O_NONBLOCK, os.O_CLOEXEC, 1  # sys/timerfd.h
NS_PER_S = 10**9


class Timer(Protocol):
    """Waits for a moment that may be changed meanwhile."""

    def arm(self, deadline_ns: int | None) -> None:
        """Wait for this moment from now on; None: for none."""

    async def wait(self) -> None:
        """Until the moment has come. One task at a time."""

    def close(self) -> None:
        """Be used no more."""


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


_libc = ctypes.CDLL(None, use_errno=True)

EARLY_NS = 200_000
"""Chosen, at first."""
EARLY_LEAST_NS, EARLY_MOST_NS = 20_000, 500_000
"""Chosen: what looking at the clock costs at most."""


class Lead:
    """How much earlier to be woken: what all but one in a hundred wake-ups were late by."""

    def __init__(self) -> None:
        self.ns = EARLY_NS

    def learn(self, late_ns: int) -> None:
        """A wake-up came so much later than asked for."""
        if late_ns > self.ns:
            self.ns = min(self.ns + (late_ns - self.ns) // 2, EARLY_MOST_NS)
        else:
            self.ns = max(self.ns - (self.ns - late_ns) // 256, EARLY_LEAST_NS)


class TimerDescriptor:
    """A `Timer` of the kernel; times are CLOCK_MONOTONIC's."""

    def __init__(self) -> None:
        self._fd: int = _libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _Itimerspec()
        self._deadline_ns: int | None = None
        self._lead = Lead()

    def arm(self, deadline_ns: int | None) -> None:
        """As `Timer.arm`."""
        if deadline_ns == self._deadline_ns:
            return
        self._deadline_ns = deadline_ns
        value = self._spec.it_value
        value.tv_sec, value.tv_nsec = (
            (0, 0) if deadline_ns is None else divmod(max(1, deadline_ns - self._lead.ns), NS_PER_S)
        )
        if _libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    async def wait(self) -> None:
        """As `Timer.wait`."""
        await trio.lowlevel.wait_readable(self._fd)
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
        if (deadline_ns := self._deadline_ns) is not None:
            self._deadline_ns = None
            left_ns = deadline_ns - monotonic_ns()
            if 0 < left_ns <= EARLY_MOST_NS:
                while monotonic_ns() < deadline_ns:
                    pass
            if left_ns <= self._lead.ns:
                self._lead.learn(self._lead.ns - left_ns)

    def close(self) -> None:
        """As `Timer.close`."""
        trio.lowlevel.notify_closing(self._fd)
        os.close(self._fd)
