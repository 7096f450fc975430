"""Wires measured: `python -m tests.bench.wires [--scenario accuracy|delay|throughput …]`. Manual: docs/wires.md.

* **accuracy**: the same settings for our wire and for the kernel's netem (`tc qdisc … netem` between two network
  namespaces of ours; needs CAP_NET_ADMIN), measured by the same sender; one table.
* **delay**: how late frames of a delay are, beside a sender and a receiver with nothing between them.
* **throughput**: frames a second through `wirefilter -v` and through `vde wire`, in turns, with nothing set, and with a
  delay; and the processor time of the wire's process for each. Between two ends that cost next to nothing
  (`tests.bench.wire_ends`), so that the wire is what is measured; between two of our switches, whose clients use
  sockets (`vdeswitch`) or shared memory (`vdeshm`); between two of Debian's. The load's clients are the same
  libvdeplug's for both wires.

Times of arrival are the kernel's (SO_TIMESTAMPNS), so that they do not depend on when we are scheduled.
"""

import argparse
import contextlib
import ctypes
import math
import os
import shlex
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, pstdev
from tempfile import TemporaryDirectory

from tests.bench import machine
from tests.bench.loadgen import Load, build, run
from tests.bench.switch import OURS
from tests.bench.switches import running
from tests.bench.wire_ends import End, build_pump, ends, pump

BIN = Path(sys.executable).parent
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
CLONE_NEWNET = 0x40000000  # sched.h
HEADERS_OCTETS = 42  # Ethernet, IPv4, UDP: what netem sees more of than we send
FRAME_OCTETS = 1000
PATIENCE_S = 20.0
HEAD = bytes.fromhex("ffffffffffff 020000000001 88b5")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Setting:
    """One row: the same for both, and how it is loaded.

    Attributes:
        count, gap_s: frames, and the time between them; 0: all at once, as fast as the receiver keeps up.
        show: what is measured.
        expected: what it should be.
    """

    title: str
    ours: tuple[str, ...]
    netem: str
    count: int
    gap_s: float
    show: Callable[["Run"], str]
    expected: str


@dataclass
class Run:
    """Frames that came: number → one-way times in ms, in the order of arrival; and how many were sent."""

    sent: int
    arrivals: list[tuple[int, float, float]]
    """(number, one-way ms, time of arrival in s)"""

    @property
    def delays(self) -> list[float]:
        return [delay for _, delay, _ in self.arrivals]

    @property
    def lost_pct(self) -> float:
        return 100 * (1 - len({number for number, _, _ in self.arrivals}) / self.sent)


def _delays(run: Run) -> str:
    ordered = sorted(run.delays)
    return f"mean {mean(ordered):.3f}, p50 {median(ordered):.3f}, p99 {ordered[int(len(ordered) * 0.99)]:.3f} ms"


def _spread(run: Run) -> str:
    return f"mean {mean(run.delays):.2f}, σ {pstdev(run.delays):.2f} ms"


def _loss(run: Run) -> str:
    return f"{run.lost_pct:.2f} %"


def _bursts(run: Run) -> str:
    came = {number for number, _, _ in run.arrivals}
    lost = [number not in came for number in range(run.sent)]
    runs = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    return f"{run.lost_pct:.2f} %, bursts of {sum(lost) / max(1, runs):.2f}"


def _copies(run: Run) -> str:
    return f"{100 * (len(run.arrivals) / run.sent - 1):.2f} %"


def _reordered(run: Run) -> str:
    early = highest = 0
    for number, _, _ in run.arrivals:
        if number < highest:
            early += 1
        highest = max(highest, number)
    return f"{100 * sum(delay < 5 for delay in run.delays) / run.sent:.2f} % without the delay"


def _rate(run: Run) -> str:
    times = [at for _, _, at in run.arrivals]
    return f"{(len(times) - 1) * FRAME_OCTETS * 8 / (times[-1] - times[0]) / 1e6:.3f} Mbit/s"


N = 4000
SETTINGS = (
    Setting("delay 10ms", ("delay=10ms",), "delay 10ms", 1000, 0.002, _delays, "10.000 ms"),
    Setting(
        "jitter 2ms, uniform",
        ("delay=10ms", "jitter=2ms"),
        "delay 10ms 2ms",
        2000,
        0.001,
        _spread,
        f"10, σ {2 / math.sqrt(3):.2f} ms",
    ),
    Setting(
        "jitter 2ms, normal",
        ("delay=10ms", "jitter=2ms", "distribution=normal"),
        "delay 10ms 2ms distribution normal",
        2000,
        0.001,
        _spread,
        "10, σ 2 ms",
    ),
    Setting("loss 5%", ("loss=5%",), "loss 5%", N, 0.0002, _loss, "5 % ± 1.1"),
    Setting("loss 5%,50%", ("loss=5%,50%",), "loss 5% 50%", N, 0.0002, _bursts, "5 %"),
    Setting(
        "gilbert:2%,25%", ("loss=gilbert:2%,25%",), "loss gemodel 2% 25%", N, 0.0002, _bursts, "7.41 %, bursts of 4"
    ),
    Setting(
        "state:1%,25%,0%,100%,1%",
        ("loss=state:1%,25%,0%,100%,1%",),
        "loss state 1% 25% 0% 100% 1%",
        N,
        0.0002,
        _loss,
        "4.76 %",
    ),
    Setting("duplicate 5%", ("duplicate=5%",), "duplicate 5%", N, 0.0002, _copies, "5 % ± 1.1"),
    Setting(
        "reorder 25%, gap 5",
        ("delay=10ms", "reorder=25%", "gap=5"),
        "delay 10ms reorder 25% gap 5",
        N,
        0.0005,
        _reordered,
        "12.5 %",
    ),
    Setting("rate 10Mbit", ("rate=10Mbit",), "rate 10mbit", 900, 0.0, _rate, "10.000 Mbit/s"),
    Setting("rate 1Mbit", ("rate=1Mbit",), "rate 1mbit", 250, 0.0, _rate, "1.000 Mbit/s"),
)


def measure(sender: socket.socket, receiver: socket.socket, setting: Setting, payload_octets: int) -> Run:
    """Send, and collect until nothing has come for half a second."""
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    arrivals: list[tuple[int, float, float]] = []
    begin = time.monotonic()
    for number in range(setting.count):
        due = begin + number * setting.gap_s
        while (now := time.monotonic()) < due:
            if due - now > 0.0003:
                time.sleep(due - now - 0.0002)
        stamp = struct.pack("!Iq", number, time.time_ns())
        sender.send((HEAD + stamp).ljust(payload_octets, b"\0"))
        _collect(receiver, arrivals, 0.0)
    while _collect(receiver, arrivals, 0.5):
        pass
    return Run(setting.count, arrivals)


def _collect(receiver: socket.socket, arrivals: list[tuple[int, float, float]], patience_s: float) -> bool:
    receiver.settimeout(patience_s)
    found = False
    with contextlib.suppress(TimeoutError, BlockingIOError):
        while True:
            data, ancillary, _, _ = receiver.recvmsg(2048, 64)
            if not data.startswith(HEAD):
                continue  # a kernel's own
            seconds, rest = struct.unpack("@qq", ancillary[0][2][:16])
            number, sent_ns = struct.unpack("!Iq", data[14:26])
            at_ns = seconds * 10**9 + rest
            arrivals.append((number, (at_ns - sent_ns) / 1e6, at_ns / 1e9))
            found = True
            receiver.settimeout(patience_s)
    return found


def by_nothing(setting: Setting) -> Run:
    """From the sender's socket to the receiver's: what the measurement itself adds."""
    with ExitStack() as stack:
        sender, receiver = (stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
        receiver.bind(("127.0.0.1", 0))
        sender.connect(receiver.getsockname())
        return measure(sender, receiver, setting, FRAME_OCTETS)


# -- the two sides -----------------------------------------------------------------------------------------------------


def by_wire(setting: Setting, *options: str) -> Run:
    """Our wire between two udp:// plugs on loopback."""
    with ExitStack() as stack:
        sender, receiver = (stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
        free = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for one in (sender, receiver, *free):
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in (sender, *free, receiver)]
        for one in free:
            one.close()
        vnls = [
            f"udp://127.0.0.1:{own}->127.0.0.1:{peer}" for own, peer in ((ports[1], ports[0]), (ports[2], ports[3]))
        ]
        stack.enter_context(_ready([str(BIN / "vde"), "wire", *vnls, "--seed", "1", *options, *setting.ours]))
        sender.connect(("127.0.0.1", ports[1]))
        return measure(sender, receiver, setting, FRAME_OCTETS)


@contextmanager
def _ready(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Started, and has said so by sd_notify(3)."""
    with (
        TemporaryDirectory(prefix="bench-wire-") as home,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification,
    ):
        notification.bind(f"{home}/n")
        notification.settimeout(PATIENCE_S)
        environment = os.environ | {"NOTIFY_SOCKET": f"{home}/n"}
        process = subprocess.Popen([*command, "--control", f"{home}/c"], env=environment)
        try:
            notification.recv(100)
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def by_netem(setting: Setting) -> Run:
    """netem on the one end of a veth between two namespaces."""
    names = [f"vdebench{os.getpid()}{side}" for side in "ab"]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    with ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
        ip("-n", names[0], "link", "add", "v", "type", "veth", "peer", "name", "v", "netns", names[1])
        for number, name in enumerate(names, 1):
            ip("-n", name, "address", "add", f"10.99.0.{number}/24", "dev", "v")
            ip("-n", name, "link", "set", "v", "up")
        ip("-n", names[0], "neighbour", "replace", "10.99.0.2", "dev", "v", "lladdr", _address(names[1]))
        netem = ["tc", "qdisc", "add", "dev", "v", "root", "netem", "limit", "5000", *setting.netem.split()]
        done = subprocess.run(["ip", "netns", "exec", names[0], *netem], check=False, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(done.stderr.strip().splitlines()[0])
        sender = stack.enter_context(_socket_in(names[0]))
        receiver = stack.enter_context(_socket_in(names[1]))
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 20)
        receiver.bind(("10.99.0.2", 5000))
        sender.connect(("10.99.0.2", 5000))
        return measure(sender, receiver, setting, FRAME_OCTETS - HEADERS_OCTETS)


class Unavailable(Exception):
    """This kernel cannot do it; says why."""


def _address(name: str) -> str:
    text = subprocess.run(["ip", "-n", name, "-br", "link", "show", "v"], check=True, capture_output=True, text=True)
    return text.stdout.split()[2]


def _socket_in(name: str) -> socket.socket:
    """A UDP socket of a network namespace; we come back to ours."""
    with open(f"/run/netns/{name}", "rb") as there, open("/proc/self/ns/net", "rb") as here:
        if _libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise Unavailable(f"setns: {os.strerror(ctypes.get_errno())}")
        try:
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        finally:
            _libc.setns(here.fileno(), CLONE_NEWNET)


def accuracy() -> None:
    """The table of docs/wires.md."""
    print("| settings | should be | netem | vde wire |\n|---|---|---|---|")  # noqa: T201
    for setting in SETTINGS:
        cells = []
        for side in (by_netem, by_wire):
            try:
                cells.append(setting.show(side(setting)))
            except (Unavailable, subprocess.CalledProcessError, FileNotFoundError) as error:
                cells.append(f"not here: {error}")
        print(f"| {setting.title} | {setting.expected} | {' | '.join(cells)} |", flush=True)  # noqa: T201


def delays(runs: int) -> None:
    """How late frames are, in µs: 10 ms of delay by our wire, beside no wire at all, in turns."""
    setting = next(setting for setting in SETTINGS if setting.title == "delay 10ms")
    print("| run | through | p50 | p90 | p99 | p99.9 | most | others |\n|---|---|---:|---:|---:|---:|---:|---:|")  # noqa: T201
    for number in range(1, runs + 1):
        for name, side, due_ms in (
            ("no wire", by_nothing, 0.0),
            ("vde wire", by_wire, 10.0),
            ("vde wire --realtime", lambda setting: by_wire(setting, "--realtime"), 10.0),
        ):
            machine.wait_quiet(10.0, 3.0)
            disturbance = machine.Disturbance([])
            late = sorted(1e3 * (delay - due_ms) for delay in side(setting).delays)
            shown = " | ".join(f"{late[int(len(late) * share)]:.0f}" for share in (0.5, 0.9, 0.99, 0.999))
            print(f"| {number} | {name} | {shown} | {late[-1]:.0f} | {disturbance.pct():.0f} % |", flush=True)  # noqa: T201


SCENARIOS = ("accuracy", "delay", "throughput")
BETWEEN = ("ends", "vdeswitch", "vdeshm", "vde_switch")
CONTESTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "nothing set": ((), ()),
    "delay 1 ms": (("-d", "1"), ("delay=1ms",)),
}
"""wirefilter's options, and our settings."""

# -- throughput --------------------------------------------------------------------------------------------------------


@contextmanager
def _joined(command: Callable[[str, str], Sequence[str]], ours: bool, between: str) -> Iterator[tuple[str, str, int]]:
    """Two switches, and what joins them."""
    switch = ["vde_switch"] if between == "vde_switch" else shlex.split(OURS)
    with running(switch) as left, running(switch) as right:
        words = command(left.url, right.url)
        if ours:
            with _ready(words) as process:
                yield left.url, right.url, process.pid
        else:
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                assert process.stderr is not None
                process.stderr.readline()  # "starting..."
                yield left.url, right.url, process.pid
            finally:
                process.terminate()
                process.communicate()


@contextmanager
def _between_ends(command: Callable[[str, str], Sequence[str]]) -> Iterator[tuple[End, End, int]]:
    """Two ends that cost next to nothing, and what joins them."""
    with ends() as (left, right):
        process = subprocess.Popen(
            command(str(left.directory), str(right.directory)),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with ThreadPoolExecutor() as pool:  # which one is opened first is its own affair
                for done in [pool.submit(end.accept) for end in (left, right)]:
                    done.result()
            yield left, right, process.pid
        finally:
            process.terminate()
            process.communicate()


def throughput(runs: int, seconds: float, sizes: Sequence[int], between: str, settings: Sequence[str]) -> None:
    """Frames a second, in turns."""

    def directory(url: str) -> str:
        return url.removeprefix("vde://").split("[")[0]

    def wirefilter(left: str, right: str, *more: str) -> list[str]:
        return ["/usr/bin/wirefilter", "-v", f"{directory(left)}:{directory(right)}", *more]  # ours has the same name

    def wire(left: str, right: str, *more: str) -> list[str]:
        return [str(BIN / "vde"), "wire", directory(left), directory(right), *more]

    scheme = "vdeshm://{}" if between == "vdeshm" else "{}"
    module = Path(__file__).parents[2] / "target" / "release"
    environment = {**os.environ, "VDEPLUGIN_PATH": str(module)} if between == "vdeshm" else None
    head = "| settings | octets | wirefilter, frames/s | vde wire, frames/s | ratio | runs | ns of CPU a frame |"
    print(f"{head}\n|{'---|' * 7}")  # noqa: T201
    with TemporaryDirectory(prefix="bench-wires-") as home:
        program = build_pump(Path(home)) if between == "ends" else build(Path(home))
        for title in settings:
            theirs, mine = CONTESTS[title]
            for size in sizes:
                rates: tuple[list[float], list[float]] = ([], [])
                costs: tuple[list[float], list[float]] = ([], [])
                for number in range(runs):
                    for side in (0, 1) if number % 2 == 0 else (1, 0):
                        command = (
                            (lambda a, b, m=mine: wire(a, b, *m))
                            if side
                            else (lambda a, b, t=theirs: wirefilter(a, b, *t))
                        )
                        machine.wait_quiet(10.0, 10.0)
                        if between == "ends":
                            with _between_ends(command) as (left_end, right_end, pid):
                                pumped = pump(program, left_end, right_end, size, seconds, pid)
                            rates[side].append(pumped.frames_per_s)
                            costs[side].append(pumped.wire_cpu_ns_per_frame)
                            continue
                        with _joined(command, bool(side), between) as (left, right, pid):
                            load = Load("pairs", size, pairs=1, seconds=seconds)
                            measured = run(
                                program,
                                scheme.format(left),
                                load,
                                pid,
                                receiver_url=scheme.format(right),
                                environment=environment,
                            )
                        rates[side].append(measured.frames_per_s)
                        costs[side].append(measured.switch_cpu_ns_per_frame)
                ratios = [ours / others for others, ours in zip(*rates, strict=True)]
                shown = f"{median(rates[0]):,.0f} | {median(rates[1]):,.0f} | {median(ratios):.2f}"
                spread = f"{min(ratios):.2f} … {max(ratios):.2f} in {runs}"
                spread += f" | {median(costs[0]):,.0f}, {median(costs[1]):,.0f}"
                print(f"| {title} | {size} | {shown} | {spread} |", flush=True)  # noqa: T201


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.wires", description=__doc__)
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=SCENARIOS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--between", nargs="+", choices=BETWEEN, default=BETWEEN)
    parser.add_argument("--settings", nargs="+", choices=CONTESTS, default=list(CONTESTS), help="of throughput")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 1514])
    options = parser.parse_args()
    machine.end_in_order()
    if "accuracy" in options.scenario:
        accuracy()
    if "delay" in options.scenario:
        with machine.alone(300.0), machine.awake(True):
            delays(options.runs)
    if "throughput" in options.scenario:
        for between in options.between:
            print(f"\nbetween {between}:\n")  # noqa: T201
            with machine.alone(300.0), machine.awake(True):
                throughput(options.runs, options.seconds, options.sizes, between, options.settings)


if __name__ == "__main__":
    main()
