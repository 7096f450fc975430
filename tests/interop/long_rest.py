"""Guests that have nothing to do, against the host's clock and its processor: `make test-pc`."""

import os
import sys
import time
from pathlib import Path

import pytest

from tests.interop.guest_console import ConsoleGuest
from tests.interop.test_network_cards import VDE
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
BOARDS = [("malta", "debian-malta"), ("pc", "debian-i386")]
TICKS_HZ = 250
"""Of Debian's kernels for both boards (CONFIG_HZ, CONFIG_HZ_PERIODIC)."""
TRIES = 5
"""This machine may have other work."""


class Rest:
    """What a guest's process did while its shell slept; first, a paced guest makes up for the work of the command."""

    def __init__(self, guest: ConsoleGuest, seconds: int) -> None:
        assert guest.process.stdin is not None
        since = len(guest.transcript)
        guest.process.stdin.write(f"sleep 2; echo be''gin; sleep {seconds}; echo e''nd\n".encode())
        guest.process.stdin.flush()
        begin = guest.wait_for("begin\r\n", since)
        pid = guest.process.pid
        sleeps, used_s, now = _sleeps(pid), _processor_s(pid), time.monotonic()
        guest.wait_for("end\r\n", begin)
        self.passed_s = time.monotonic() - now
        self.sleeps = _sleeps(pid) - sleeps
        self.used_s = _processor_s(pid) - used_s


def _sleeps(pid: int) -> int:
    """How often its threads have gone to sleep."""
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(line.split()[1]) for text in texts for line in text.split("\n") if line.startswith("voluntary"))


def _processor_s(pid: int) -> float:
    """User and system time."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("clock", ["host", "virtual"])
@pytest.mark.parametrize(("board", "image"), BOARDS)
def test_rest(board: str, image: str, clock: str) -> None:
    """Ten seconds are ten, and the host sleeps through most of the guest's ticks."""
    store.pull(image)
    with ConsoleGuest([str(VDE), "guest", board, "--image", image, "--clock", clock]) as guest:
        guest.wait_for("vde-guest ready")
        for _ in range(60):  # paced, it makes up for the boot, at most at twice its pace
            if Rest(guest, 1).passed_s > 0.98:
                break
        rests = []
        for _ in range(TRIES):
            rests.append(Rest(guest, 10))
            if abs(rests[-1].passed_s - 10) < 0.1:
                break
        else:
            pytest.fail(f"sleep 10 took {[rest.passed_s for rest in rests]} s")
    best = min(rests, key=lambda rest: rest.used_s)
    used_pct = 100 * best.used_s / best.passed_s
    sys.stdout.write(f"{board} {clock}: {best.passed_s:.3f} s, {used_pct:.1f} % of a processor\n")
    assert best.sleeps < TICKS_HZ * 10 / 2
    assert best.used_s < 2
