"""Two Maltas load their network for a long time: `make soak-malta`.

python -m tests.interop.soak_malta MINUTES

Each downloads from the other through vdeswitch without pause, one over virtio-net, one over pcnet, and compares the
checksum each time. Meanwhile both consoles have to answer, and the host processes must not grow: what is resident
besides the guest's own memory is sampled, and compared between the second quarter of the time and the last.
"""

import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.interop.guest_console import ConsoleGuest
from tests.switch_process import SwitchProcess
from vde.image import store

VDE = str(Path(sys.executable).parent / "vde")
MEMORY_MIB = 64
FILE_MIB = 8
SAMPLE_S = 2.0
MOST_GROWTH_KIB = 2048
"""Chosen: Python's own allocator comes and goes by less."""
ANSWER_S = 30.0
"""For a console's answer under load. Chosen: it takes less than one."""
LEAST_SAMPLES = 8
WORK = (
    "while :; do wget -q -O - http://{peer}/file | sha256sum | grep -q {digest} && echo y >>/tmp/good || "
    "echo n >>/tmp/bad; done"
)


def own_kib(pid: int) -> int:
    """What a guest's process has resident, its guest's memory apart (proc(5), smaps)."""
    total = apart = size = 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "Size":
            size = int(rest.split()[0])
        elif name == "Rss":
            if size == MEMORY_MIB << 10:
                apart += 1
            else:
                total += int(rest.split()[0])
    assert apart == 1, f"{apart} mappings of {MEMORY_MIB} MiB: which one is the guest's memory?"
    return total


def growth_kib(samples: list[int]) -> float:
    """From the second quarter of the samples to the last one."""
    quarter = len(samples) // 4
    return statistics.median(samples[-quarter:]) - statistics.median(samples[quarter : 2 * quarter])


class Malta(ConsoleGuest):
    """One of the two."""

    def __init__(self, name: str, nic: str, address: str) -> None:
        words = f"hostname={name} ip4={address}/24"
        machine = ["--image", "debian-malta", "--memory", f"{MEMORY_MIB}M", "--nic", nic, "--append", words]
        super().__init__([VDE, "guest", "malta", *machine])
        self.name = name
        self.samples: list[int] = []

    def count(self, what: str) -> int:
        return int(self.shell(f"cat /tmp/{what} 2>/dev/null | wc -l"))


def soak(seconds: float, home: Path) -> list[str]:
    """What each of the two did.

    Raises:
        AssertionError: a console was silent, a checksum wrong, a process grew, or nothing was carried.
    """
    with ExitStack() as stack:
        switch = stack.enter_context(SwitchProcess(home))
        a = stack.enter_context(Malta("a", f"virtio,vde://{switch.directory}", "192.0.2.1"))
        b = stack.enter_context(Malta("b", f"pcnet,vde://{switch.directory}", "192.0.2.2"))
        digests = []
        for guest in (a, b):
            guest.wait_for(f"vde-guest ready: hostname={guest.name}")
            made = f"dd if=/dev/urandom of=/tmp/file bs=1M count={FILE_MIB} 2>/dev/null"
            digests.append(guest.shell(f"{made}; httpd -h /tmp; sha256sum /tmp/file").split()[0])
            guest.patience_s = ANSWER_S
        a.shell(f"{{ {WORK.format(peer='192.0.2.2', digest=digests[1])} & }}")
        b.shell(f"{{ {WORK.format(peer='192.0.2.1', digest=digests[0])} & }}")
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(a.samples) < LEAST_SAMPLES:
            for guest in (a, b):
                assert guest.shell("echo $((6*7))") == "42\n"
                guest.samples.append(own_kib(guest.process.pid))
            time.sleep(SAMPLE_S)
        report = []
        for guest in (a, b):
            good, bad, grown = guest.count("good"), guest.count("bad"), growth_kib(guest.samples)
            report.append(
                f"{guest.name}: {good} downloads of {FILE_MIB} MiB, {bad} wrong; {guest.samples[-1]} KiB besides the "
                f"guest's memory, {grown:+.0f} KiB in {len(guest.samples)} samples"
            )
            assert good > 0, report
            assert bad == 0, report
            assert grown <= MOST_GROWTH_KIB, report
        return report


def main() -> None:
    minutes = float(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    store.pull("debian-malta")
    with tempfile.TemporaryDirectory(prefix="vde-soak-") as home:
        sys.stdout.write("\n".join(soak(minutes * 60, Path(home))) + "\n")


if __name__ == "__main__":
    main()
