"""The machine that a benchmark runs on: what it is, and whether others use it at the moment."""

import os
import platform
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

SAMPLE_S = 0.25
"""Time over which foreign load is sampled: 25 clock ticks of each processor."""


def end_in_order() -> None:
    """From now on SIGTERM (timeout(1) sends it) unwinds the program, as Ctrl-C does: nothing is left behind."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def description() -> str:
    """Processor, number of processors, kernel, in one line."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}"


def _ticks() -> tuple[int, int]:
    """(All, idle) ticks of all processors since boot; proc(5), /proc/stat."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields), fields[3] + fields[4]


def foreign_load_pct() -> float:
    """Share of all processors in use now, stolen time included. Call it while nothing of ours runs."""
    all_before, idle_before = _ticks()
    sleep(SAMPLE_S)
    all_after, idle_after = _ticks()
    return 100.0 * (1.0 - (idle_after - idle_before) / max(1, all_after - all_before))


def cpu_ticks(pid: int) -> int:
    """utime and stime of all threads of a process (proc(5), /proc/PID/stat 14 and 15)."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


class Disturbance:
    """What others use of the machine over a time in which this process and its children work.

    All processors' busy and stolen time, less this process's, its children's that ended meanwhile, and that of
    `pids`, children that run on.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = tuple(pids)
        self._begun = self._now()

    def _now(self) -> tuple[float, float, float]:
        everything, idle = _ticks()
        tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        own += tick_s * sum(cpu_ticks(pid) for pid in self._pids)
        return everything * tick_s, idle * tick_s, own

    def pct(self) -> float:
        """Share of all processors since the beginning."""
        total, idle, own = (now - then for now, then in zip(self._now(), self._begun, strict=True))
        return max(0.0, 100.0 * (total - idle - own) / max(total, 0.01))


@contextmanager
def alone(patience_s: float) -> Iterator[None]:
    """Keep other benchmarks of this machine waiting: two that repeat disturbed runs would disturb each other for ever.

    Whoever waits longer than `patience_s` goes on regardless. The lock is an abstract unix address, which ends with
    the process.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        deadline = monotonic() + patience_s
        while monotonic() < deadline:
            try:
                lock.bind("\0vde-fabric-benchmark")
            except OSError:
                sleep(SAMPLE_S)  # nobody tells when it is free
            else:
                break
        yield


def wait_quiet(below_pct: float, patience_s: float) -> float:
    """Wait until others use less than `below_pct` of the machine, for at most `patience_s`; returns their share."""
    deadline = monotonic() + patience_s
    while True:
        load = foreign_load_pct()
        if load < below_pct or monotonic() >= deadline:
            return load


@contextmanager
def awake(wanted: bool) -> Iterator[bool]:
    """Keep idle processors from sleeping; yields whether that worked (it needs root).

    A wake-up of a sleeping processor costs tens of µs (in a virtual machine: a trip through the host), several times
    a frame's whole work, and falls to whoever happens to wait on the other processor: most of the noise from run to
    run. A request for 0 µs of wake-up latency (Linux, admin-guide/pm/cpuidle, "Power Management Quality of
    Service") makes them poll instead, for as long as the descriptor is open.
    """
    try:
        latency = os.open("/dev/cpu_dma_latency", os.O_WRONLY) if wanted else None
    except OSError:
        latency = None
    try:
        if latency is not None:
            os.write(latency, struct.pack("=i", 0))
        yield latency is not None
    finally:
        if latency is not None:
            os.close(latency)
