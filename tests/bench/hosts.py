"""Two hosts and what joins them, as network namespaces: for TCP between taps, and for tunnels between machines."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from tests.bench.loadgen import LoadFailed
from tests.bench.switches import running
from vde.errors import ConfigError

ROOT = Path(__file__).parents[2]
PORT = 5201
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Hosts:
    """Namespaces: two hosts, and the one between them."""

    left: str
    right: str
    between: str


def ip(*words: str) -> None:
    """Run ip(8). Raises `LoadFailed`."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadFailed(f"ip {' '.join(words)}: {done.stderr.strip()}")


@contextlib.contextmanager
def hosts() -> Iterator[Hosts]:
    """Make them; gone at the end with all that is in them."""
    if os.geteuid() or shutil.which("ip") is None:
        raise ConfigError("this scenario makes network namespaces: root and iproute2 were expected")
    names = Hosts(*(f"vdebench{os.getpid()}{end}" for end in "abs"))
    with contextlib.ExitStack() as stack:
        for name in (names.left, names.right, names.between):
            ip("netns", "add", name)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
            ip("-n", name, "link", "set", "lo", "up")
        yield names


def _address(host: str, interface: str, address: str) -> None:
    ip("-n", host, "address", "add", f"{address}/24", "dev", interface)
    ip("-n", host, "link", "set", interface, "up")


def _wait_link(host: str, interface: str) -> None:
    deadline = monotonic() + PATIENCE_S
    while subprocess.run(["ip", "-n", host, "link", "show", interface], capture_output=True, check=False).returncode:
        if monotonic() > deadline:
            raise LoadFailed(f"the switch has not made {interface}")
        sleep(0.01)  # nobody tells


@contextlib.contextmanager
def joined_by_switch(at: Hosts, command: Sequence[str]) -> Iterator[None]:
    """A switch with a tap on each host. MTU 1500."""
    taps = ("benchtap0", "benchtap1")
    words = ["ip", "netns", "exec", at.between, *command, *(word for tap in taps for word in ("-t", tap))]
    with running(words):
        for tap, host, address in zip(taps, (at.left, at.right), ("10.99.0.1", "10.99.0.2"), strict=True):
            _wait_link(at.between, tap)
            ip("-n", at.between, "link", "set", tap, "netns", host)
            _address(host, tap, address)
        yield


@contextlib.contextmanager
def joined_by_bridge(at: Hosts) -> Iterator[None]:
    """The kernel's bridge with a veth to each host, offloads as the kernel has them. MTU 1500."""
    ip("-n", at.between, "link", "add", "bench0", "type", "bridge")
    try:
        ip("-n", at.between, "link", "set", "bench0", "up")
        for number, (host, address) in enumerate(((at.left, "10.99.0.1"), (at.right, "10.99.0.2"))):
            here = f"bench{number}b"
            ip("-n", at.between, "link", "add", here, "type", "veth", "peer", "name", "benchveth", "netns", host)
            ip("-n", at.between, "link", "set", here, "master", "bench0", "up")
            _address(host, "benchveth", address)
        yield
    finally:
        for link in ("bench0b", "bench1b", "bench0"):
            subprocess.run(["ip", "-n", at.between, "link", "del", link], check=False, capture_output=True)


@contextlib.contextmanager
def joined_by_cable(at: Hosts) -> Iterator[None]:
    """A veth pair between the two hosts, with multicast: two machines on one network."""
    ip("-n", at.left, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", at.right)
    try:
        for host, address in ((at.left, "10.98.0.1"), (at.right, "10.98.0.2")):
            _address(host, "cable", address)
            ip("-n", host, "route", "add", "224.0.0.0/4", "dev", "cable")
        yield
    finally:
        subprocess.run(["ip", "-n", at.left, "link", "del", "cable"], check=False, capture_output=True)


def tcp_gbit_s(at: Hosts, seconds: float) -> float:
    """The rate of one TCP stream from the left host to the right one."""
    program = [sys.executable, "-m", "tests.bench.stream"]
    receive = ["ip", "netns", "exec", at.right, *program, "receive", "10.99.0.2", str(PORT), str(seconds)]
    send = ["ip", "netns", "exec", at.left, *program, "send", "10.99.0.2", str(PORT)]
    with subprocess.Popen(receive, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        with subprocess.Popen(send, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as sender:
            try:
                out, err = receiver.communicate(timeout=seconds + PATIENCE_S)
            finally:
                receiver.kill()
                sender.kill()
            if receiver.returncode:
                assert sender.stderr is not None
                raise LoadFailed(f"TCP stream: {err.strip()}\n{sender.stderr.read().strip()}")
    return float(out)
