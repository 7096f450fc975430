"""Two runs of a PC with one seed, as a user starts them: their logs are the same, time stamps included."""

import re
import subprocess

import pytest

from tests.interop.test_network_cards import VDE
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
PATIENCE_S = 120
UUID = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\r?$", re.MULTILINE)
SHELL = "mount -t proc proc /proc; cat /proc/sys/kernel/random/uuid"
WORDS = f'loglevel=7 panic=-1 rdinit=/bin/sh -- -c "{SHELL}"'
"""The shell shows what the kernel makes of the random octets that its loader gives, and ends: panic, and reset."""


def log(seed: str) -> str:
    command = [str(VDE), "guest", "pc", "--image", "debian-i386", "--clock", "warp", "--no-reboot", "--seed", seed]
    done = subprocess.run(
        [*command, "--append", WORDS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return (done.stdout + done.stderr).decode()


def test_the_same_seed_gives_the_same_log() -> None:
    store.pull("debian-i386")
    first = log("7")
    assert "Kernel panic" in first
    assert len(first.splitlines()) > 100
    assert len(UUID.findall(first)) == 1
    assert log("7") == first
