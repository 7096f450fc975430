"""Plugs beside the originals: taps, tunnels and shared memory, in turns. Manual: `docs/performance.md`, "Plugs".

python -m tests.bench.plugs                     everything
python -m tests.bench.plugs --scenario tap      also: udp, vxlan, shm
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from time import gmtime, monotonic, sleep, strftime

from tests.bench import machine
from tests.bench.hosts import Hosts, hosts, joined_by_bridge, joined_by_cable, joined_by_switch, tcp_gbit_s
from tests.bench.loadgen import Load, LoadFailed, build, run
from tests.bench.switches import running
from vde.errors import ConfigError

SCENARIOS = ("tap", "udp", "vxlan", "shm")
BIN = Path(sys.executable).parent
OURS = [str(BIN / "vdeswitch"), "--nostdin"]
THEIRS = ["vde_switch"]
PATIENCE_S = 20.0
QUIET_PCT = 10.0
SETTLE_S = 0.5
"""Between starting a pair of plugs and the first frame. Chosen: nothing tells when a tunnel carries."""

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Contest:
    """Two ways to do one thing; each, when entered, gives what measures it once."""

    title: str
    unit: str
    aim: float
    theirs: Callable[[], AbstractContextManager[Measure]]
    ours: Callable[[], AbstractContextManager[Measure]]


@dataclass(slots=True)
class Result:
    """Rates of both, by run, and how much of the machine others used."""

    contest: Contest
    runs: list[tuple[float, float]] = field(default_factory=list)
    foreign_pct: list[float] = field(default_factory=list)

    def row(self) -> str:
        """One line of the table."""
        ratios = [ours / theirs for theirs, ours in self.runs]
        ratio = median(ratios)
        theirs, ours = (median(rates) for rates in zip(*self.runs, strict=True))
        verdict = "met" if ratio >= self.contest.aim else "missed"
        return (
            f"| {self.contest.title} | {self.contest.unit} | {theirs:.3g} | {ours:.3g} |"
            f" {ratio:.2f} ({min(ratios):.2f}–{max(ratios):.2f}) | ≥ {self.contest.aim:g}: {verdict} |"
        )


HEAD = "| what | unit | theirs | ours | ratio | aim |\n|---|---|---:|---:|---:|---|"


def one_run(contest: Contest) -> tuple[float, float]:
    """Both in the order A B B A, so that a drift of the machine counts for both."""
    with contextlib.ExitStack() as stack:
        rates: dict[str, list[float]] = {"theirs": [], "ours": []}
        for who in ("theirs", "ours", "ours", "theirs"):
            with getattr(contest, who)() as measure:
                rates[who].append(measure())
        del stack
    return mean(rates["theirs"]), mean(rates["ours"])


# -- taps -------------------------------------------------------------------------------------------------------------


def tap_contests(at: Hosts, seconds: float) -> list[Contest]:
    """TCP between two taps."""

    def switch(*command: str) -> Callable[[], AbstractContextManager[Measure]]:
        @contextlib.contextmanager
        def enter() -> Iterator[Measure]:
            with joined_by_switch(at, command):
                yield lambda: tcp_gbit_s(at, seconds)

        return enter

    @contextlib.contextmanager
    def bridge() -> Iterator[Measure]:
        with joined_by_bridge(at):
            yield lambda: tcp_gbit_s(at, seconds)

    return [
        Contest(
            "TCP tap to tap, MTU 1500, no offloads; theirs: vde_switch",
            "Gbit/s",
            1.3,
            switch(*THEIRS),
            switch(*OURS, "--no-offload"),
        ),
        Contest("the same with offloads; theirs: vde_switch", "Gbit/s", 1.3, switch(*THEIRS), switch(*OURS)),
        Contest("the same with offloads; theirs: kernel bridge", "Gbit/s", 1 / 1.6, bridge, switch(*OURS)),
    ]


# -- tunnels ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def plug(command: Sequence[str]) -> Iterator[None]:
    """A program that joins two VNLs; ended by its pid."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            yield
            if process.poll() is not None:
                assert process.stderr is not None
                raise LoadFailed(f"{' '.join(command)} ended: {process.stderr.read().decode().strip()}")
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def tunnel(
    program: Path,
    load: Load,
    plug_command: Sequence[str],
    vnls: Callable[[], tuple[str, str]],
    prefixes: Sequence[Sequence[str]] = ((), ()),
) -> Callable[[], AbstractContextManager[Measure]]:
    """Two switches (ours), each joined by a plug program to its end of a tunnel; millions of frames a second."""

    @contextlib.contextmanager
    def enter() -> Iterator[Measure]:
        with contextlib.ExitStack() as stack:
            urls = []
            for vnl, prefix in zip(vnls(), prefixes, strict=True):
                switch = stack.enter_context(running(OURS))
                stack.enter_context(plug([*prefix, *plug_command, vnl, f"vde://{switch.url}"]))
                urls.append(f"vde://{switch.url}")
            wait_carrying(program, urls)
            yield lambda: run(program, urls[0], load, receiver_url=urls[1]).frames_per_s / 1e6

    return enter


def wait_carrying(program: Path, urls: Sequence[str]) -> None:
    """Until frames come through."""
    sleep(SETTLE_S)
    deadline = monotonic() + PATIENCE_S
    while True:
        trial = run(program, urls[0], Load("pairs", seconds=0.1), receiver_url=urls[1])
        if trial.delivered:
            return
        if monotonic() > deadline:
            raise LoadFailed(f"nothing comes through between {urls[0]} and {urls[1]}")


def udp_ports() -> tuple[str, str]:
    """Two VNLs that mean each other, by ports that were free a moment ago."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        a, b = one.getsockname()[1], two.getsockname()[1]
    return f"udp://127.0.0.1:{a}->127.0.0.1:{b}", f"udp://127.0.0.1:{b}->127.0.0.1:{a}"


def udp_contests(program: Path, seconds: float) -> list[Contest]:
    """vde_plug and vde plug with udp:// between two switches."""
    ours = [str(BIN / "vde"), "plug"]
    return [
        Contest(
            f"UDP tunnel, {octets} octets; theirs: vde_plug",
            "M frames/s",
            1.0,
            tunnel(program, load, ["vde_plug"], udp_ports),
            tunnel(program, load, ours, udp_ports),
        )
        for octets in (64, 1514)
        for load in [Load("pairs", size_octets=octets, seconds=seconds)]
    ]


def vxlan_contests(program: Path, at: Hosts, seconds: float) -> list[Contest]:
    """The same with vxlan:// between two namespaces; frames go to the group, as the receiver is not known."""
    ours = [str(BIN / "vde"), "plug"]
    inside = [["ip", "netns", "exec", host] for host in (at.left, at.right)]
    vnl = "vxlan://239.9.9.9/vni=9"
    return [
        Contest(
            f"VXLAN tunnel, {octets} octets; theirs: vde_plug",
            "M frames/s",
            1.0,
            tunnel(program, load, ["vde_plug"], lambda: (vnl, vnl), inside),
            tunnel(program, load, ours, lambda: (vnl, vnl), inside),
        )
        for octets in (64, 1400)
        for load in [Load("pairs", size_octets=octets, seconds=seconds)]
    ]


# -- shared memory ----------------------------------------------------------------------------------------------------


def shm_contests(program: Path, seconds: float, module: Path | None) -> list[Contest]:
    """vde_switch with datagrams, ours with `vdeshm://` from unmodified libvdeplug clients."""
    directory = module.parent if module is not None else None
    if directory is None:
        raise ConfigError("libvdeplug_vdeshm.so is not built: cargo build --release, or --vdeshm FILE")
    environment = {**os.environ, "VDEPLUGIN_PATH": str(directory)}

    def switch(command: list[str], scheme: str, load: Load) -> Callable[[], AbstractContextManager[Measure]]:
        @contextlib.contextmanager
        def enter() -> Iterator[Measure]:
            with running(command) as started:
                url = f"{scheme}://{started.url}"
                plugins = environment if scheme == "vdeshm" else None  # in that directory there is no other plug
                yield lambda: run(program, url, load, environment=plugins).frames_per_s / 1e6

        return enter

    return [
        Contest(
            f"shared memory, {pairs} pair{'s' if pairs > 1 else ''}, {octets} octets; theirs: vde_switch, datagrams",
            "M frames/s",
            aim,
            switch(THEIRS, "vde", load),
            switch(OURS, "vdeshm", load),
        )
        for pairs, aim in ((1, 5.0), (8, 10.0))
        for octets in (64, 1514)
        for load in [Load("pairs", size_octets=octets, pairs=pairs, seconds=seconds)]
    ]


# -- all --------------------------------------------------------------------------------------------------------------


def contests(options: argparse.Namespace, program: Path, at: Callable[[], Hosts]) -> Iterator[Contest]:
    """What is asked for. Namespaces are made when a scenario needs them."""
    for scenario in options.scenario:
        if scenario == "tap":
            yield from tap_contests(at(), options.seconds)
        elif scenario == "udp":
            yield from udp_contests(program, options.seconds)
        elif scenario == "vxlan":
            with joined_by_cable(at()):
                yield from vxlan_contests(program, at(), options.seconds)
        else:
            yield from shm_contests(program, options.seconds, options.vdeshm)


def measure(contest: Contest, options: argparse.Namespace) -> Result:
    """All runs of one."""
    result = Result(contest)
    for _ in range(options.runs):
        machine.wait_quiet(options.quiet_pct, options.patience)
        disturbance = machine.Disturbance([])
        result.runs.append(one_run(contest))
        result.foreign_pct.append(disturbance.pct())
    _say(result.row())
    return result


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plugs", description=__doc__.partition("\n")[0])
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--runs", type=int, default=5, help="alternating runs (5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="measured time, four times a run (1)")
    parser.add_argument("--quiet-pct", type=float, default=QUIET_PCT, help="wait until others use less of the machine")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="but no longer than this, in s (20)")
    parser.add_argument("--vdeshm", type=Path, help="libvdeplug_vdeshm.so (that of the last cargo build)")
    options = parser.parse_args(arguments)
    built = Path(__file__).parents[2] / "target" / "release" / "libvdeplug_vdeshm.so"
    if options.vdeshm is None and built.exists():
        options.vdeshm = built
    for tool in ("vde_switch", "vde_plug"):
        if shutil.which(tool) is None:
            raise ConfigError(f"{tool} is not installed: apt install vde-switch vdeplug")
    return options


def _raise_exit(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)  # namespaces and directories are removed on the way


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    signal.signal(signal.SIGTERM, _raise_exit)
    status = 0
    results: list[Result] = []
    try:
        options = _options(arguments)
        with contextlib.ExitStack() as stack:
            stack.enter_context(machine.alone(300.0))
            awake = stack.enter_context(machine.awake(True))
            program = build(Path(stack.enter_context(TemporaryDirectory(prefix="bench-plugs-"))))
            made: list[Hosts] = []

            def at() -> Hosts:
                if not made:
                    made.append(stack.enter_context(hosts()))
                return made[0]

            for contest in contests(options, program, at):
                results.append(measure(contest, options))  # noqa: PERF401 - what was measured before an error is shown
    except (ConfigError, LoadFailed) as error:
        _say(f"bench-plugs: {error}")
        status = 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        _say("bench-plugs: interrupted")
        status = 130
    if results:
        foreign = [pct for result in results for pct in result.foreign_pct]
        print(  # noqa: T201
            f"{strftime('%Y-%m-%d', gmtime())}, {machine.description()}; {options.runs} runs, {options.seconds:g} s"
            f" four times each, idle processors {'kept awake' if awake else 'sleep'}."
            f" Others used {median(foreign):.0f} % of the machine (at most {max(foreign):.0f} %).\n\n{HEAD}"
        )
        for result in results:
            print(result.row())  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main())
