"""Compare our switch with Debian's vde_switch: `python -m tests.bench.switch` (`make bench-switch`).

For every run of every load two fresh switches are started and take turns, A B B A B A A B, under the same standard
libvdeplug clients; ratios are taken within a run, so that the drift of the machine's speed falls out. `--ours
vde_switch` compares the original with itself and must give 1.0: that is the test of the method. A slice during which
others used the machine is repeated, after a bounded wait for quiet.

Only unix sockets in temporary directories; no privileges; ends by itself; leaves nothing behind, also on Ctrl-C.
Result tables on standard output (Markdown), progress on standard error, everything raw with `--json`.
"""

import argparse
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from time import gmtime, strftime

from plugs.module import install
from tests.bench import machine, table
from tests.bench.loadgen import Load, LoadFailed, Measurement, build, run
from tests.bench.scenarios import BOUND, PORTS, SCENARIOS, SHM_AIMS, SIZES_OCTETS, Cell, cells, crowds
from tests.bench.switches import Switch, command_line, running
from tests.bench.table import Comparison, CrowdResult
from vde.errors import ConfigError

OURS = f"{Path(sys.executable).with_name('vdeswitch')} --forwarder native --nostdin"
"""The program installed beside the interpreter that runs this."""
ONCE = {"stalled", "rtt-loaded"}
"""Scenarios measured at the first size only, unless they are the only ones asked for."""
IDLE_TICKS = 3
"""Chosen: a switch without clients that uses more in one slice disturbs the other's measurement."""
ALONE_S = 120.0
"""Longer than another benchmark's run."""
HASH_SIZE = 131_072
"""For the original's second variant under many addresses: its default table has 128 chains."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _measure_pair(
    program: Path, cell: Cell, options: argparse.Namespace
) -> tuple[float, tuple[Measurement, Measurement]]:
    """One run of one cell: both switches are up, and have clients in turn (A B B A B A A B for four slices).

    Returns also the share of the machine that others used meanwhile.
    """
    load = replace(cell.load, seconds=cell.load.seconds / options.slices)
    slices: tuple[list[Measurement], list[Measurement]] = ([], [])
    foreign_pct = []
    with running(options.against) as theirs, running(options.ours, options.ours_url) as ours:
        both = (theirs, ours)
        for number in range(options.slices):
            for side in ((0, 1), (1, 0), (1, 0), (0, 1))[number % 4]:
                pct, measured = _measure_slice(program, load, both[side], both[1 - side], options)
                slices[side].append(measured)
                foreign_pct.append(pct)
    return mean(foreign_pct), (Measurement.merged(slices[0]), Measurement.merged(slices[1]))


def _measure_slice(
    program: Path, load: Load, switch: Switch, idle: Switch, options: argparse.Namespace
) -> tuple[float, Measurement]:
    """One slice, again if others used the machine meanwhile; of all tries the least disturbed, whatever it shows."""
    tries = []
    for number in range(options.tries):
        with machine.alone(ALONE_S if options.quiet_pct <= 100 else 0):
            if number:
                machine.wait_quiet(options.quiet_pct, options.patience)
            disturbance = machine.Disturbance([switch.pid, idle.pid])
            before = machine.cpu_ticks(idle.pid)
            measured = run(program, switch.url, load, switch.pid)
            tries.append((disturbance.pct(), measured))
            if (ticks := machine.cpu_ticks(idle.pid) - before) > IDLE_TICKS:
                _say(f"warning: {idle.name} used {ticks} clock ticks while it had no clients")
        if tries[-1][0] < options.quiet_pct:
            break
    return min(tries, key=lambda one: one[0])


def compare(program: Path, results: Sequence[Comparison], options: argparse.Namespace) -> None:
    """All cells, `--runs` times, into `results`."""
    for number in range(1, options.runs + 1):
        for result in results:
            foreign_pct, pair = _measure_pair(program, result.cell, options)
            result.foreign_load_pct.append(foreign_pct)
            result.runs.append(pair)
            _say(f"run {number}/{options.runs}  {_progress(result, pair)}")


def _progress(result: Comparison, pair: tuple[Measurement, Measurement]) -> str:
    theirs, ours = pair
    head = f"{result.cell.scenario:10} {result.cell.load.size_octets:5}  "
    if result.cell.round_trip:
        values = (
            f"p50 {theirs.rtt_us.p50:.1f} {ours.rtt_us.p50:.1f} µs, p99 {theirs.rtt_us.p99:.1f} {ours.rtt_us.p99:.1f}"
        )
    else:
        ratio = ours.frames_per_s / theirs.frames_per_s if theirs.frames_per_s else 0.0
        values = f"{theirs.frames_per_s / 1e6:.3f} {ours.frames_per_s / 1e6:.3f} M/s, ratio {ratio:.2f}"
        values += f", lost {theirs.lost} {ours.lost}"
    wrong = sum(m.damaged + m.misordered + m.strays for m in pair)
    return f"{head}{values}, others {result.foreign_load_pct[-1]:.0f} %{f', {wrong} WRONG FRAMES' if wrong else ''}"


def bound(program: Path, rates: list[float], options: argparse.Namespace) -> None:
    """Frames a second from client to client without a switch (`ptp://`), one a run."""
    for _ in range(options.runs):
        with TemporaryDirectory(prefix="bench-bound-") as where:
            load = replace(BOUND, seconds=options.seconds / options.slices, window_frames=options.window)
            rates.append(run(program, f"ptp://{where}/ptp", load).frames_per_s)


def measure_crowds(program: Path, results: Sequence[CrowdResult], options: argparse.Namespace) -> None:
    """The `ports` scenario: every point with every variant, `--runs` times, into `results`."""
    theirs = [*options.against, "-n", str(PORTS)]
    variants = {
        "vde_switch": theirs,
        f"vde_switch, hash {HASH_SIZE}": [*theirs, "--hashsize", str(HASH_SIZE)],
        "ours": [*options.ours, "-n", str(PORTS)],
    }
    for number in range(1, options.runs + 1):
        for result in results:
            for name, command in variants.items():
                with machine.alone(ALONE_S if options.quiet_pct <= 100 else 0):
                    machine.wait_quiet(options.quiet_pct, options.patience)
                    with running(command) as switch:
                        measured = run(program, switch.url, result.crowd.load, switch.pid)
                        grown = measured.switch_rss_kib - switch.rss_kib
                result.runs.setdefault(name, []).append(measured)
                result.grown_kib.setdefault(name, []).append(grown)
                cost = f"{measured.switch_cpu_ns_per_frame:,.0f} ns/frame, {measured.frames_per_s / 1e6:.3f} M/s"
                where = f"{result.crowd.title}, {result.crowd.ports} ports, {result.crowd.addresses} addresses"
                _say(f"run {number}/{options.runs}  {where}, {name}: {cost}, {grown / 1024:+.1f} MiB")


def _version(command: Sequence[str]) -> str:
    done = subprocess.run([command[0], "--version"], capture_output=True, text=True, timeout=20, check=False)
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else "?"


def _positive(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100:
        raise ValueError
    return value


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.switch", description=__doc__.partition("\n")[0])
    names = [*SCENARIOS, "ports", "all"]
    parser.add_argument("--runs", type=_positive, default=5, help="alternating runs, 1…100 (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="measured time of each, 0.05…600 (2)")
    parser.add_argument("--slices", type=_positive, default=4, help="parts of a run, in which they take turns (4)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES_OCTETS, help="frame sizes in octets, 60…9216")
    parser.add_argument("--scenario", nargs="+", choices=names, default=["all"], help="all: everything but `ports`")
    parser.add_argument("--window", type=int, default=64, help="frames outstanding at each receiver, 2… (64); 0: any")
    parser.add_argument("--against", default="vde_switch", help="the other switch's command line (vde_switch)")
    parser.add_argument("--ours", default=OURS, help=f"our switch's command line ({OURS})")
    parser.add_argument(
        "--shm", action="store_true", help="our switch's clients open vdeshm:// (the same clients, by our module)"
    )
    parser.add_argument(
        "--quiet-pct",
        type=float,
        default=10.0,
        help="a slice is disturbed if others use more of the machine (10; above 100: never)",
    )
    parser.add_argument(
        "--patience", type=float, default=20.0, help="longest wait for quiet before another try, in s (20)"
    )
    parser.add_argument("--no-awake", dest="awake", action="store_false", help="let idle processors sleep (as root)")
    parser.add_argument("--tries", type=_positive, default=3, help="measure a disturbed slice again, at most (3)")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args(arguments)
    options.ours_url = "vdeshm://{}" if options.shm else "{}"
    options.against, options.ours = command_line(options.against), command_line(options.ours)
    return options


def _wanted(options: argparse.Namespace) -> list[Cell]:
    everything = "all" in options.scenario
    names = list(SCENARIOS) if everything else [name for name in options.scenario if name in SCENARIOS]
    made = cells(names, options.sizes, options.seconds, options.window)
    if options.shm:
        made = [replace(cell, aim=SHM_AIMS.get(cell.scenario)) for cell in made]
    return [c for c in made if not (everything and c.scenario in ONCE and c.load.size_octets != options.sizes[0])]


@dataclass(slots=True)
class Findings:
    """All that was measured; also after a failure or Ctrl-C, as far as it came."""

    cells: list[Comparison]
    crowds: list[CrowdResult]
    bound_frames_per_s: list[float] = field(default_factory=list)
    awake: bool = False

    def report(self, options: argparse.Namespace) -> str:
        """The tables, and what one must know to read them."""
        ours = [Path(options.ours[0]).name, *options.ours[1:]]
        done = [result for result in self.cells if result.runs]
        today, idle = strftime("%Y-%m-%d", gmtime()), "kept awake" if self.awake else "sleep"
        parts = [
            f"{today}, {machine.description()}; {options.runs} runs, {options.seconds:g} s in {options.slices} slices,"
            f" window {options.window}, idle processors {idle}."
            f" Theirs (t): {_version(options.against)}. Ours (o): `{shlex.join(ours)}`"
            f"{', clients by shared memory (`vdeshm://`)' if options.shm else ''}."
        ]
        if loads := [load for result in done for load in result.foreign_load_pct]:
            parts.append(
                f"Others used {median(loads):.0f} % of the machine during the runs (at most {max(loads):.0f} %)."
            )
        parts += [table.throughput(done), table.round_trips(done)]
        if rates := self.bound_frames_per_s:
            parts.append(f"Without a switch (`ptp://`), one pair, 64 octets: {median(rates) / 1e6:.3f} M/s.")
        parts.append(table.crowds([result for result in self.crowds if result.runs]))
        return "\n\n".join(part for part in parts if part)

    def raw(self, options: argparse.Namespace) -> str:
        """Everything, as JSON."""
        about = {"machine": machine.description(), "against": options.against, "ours": options.ours}
        return json.dumps(about | asdict(self), indent=1) + "\n"


def _raise_exit(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _measure_all(findings: Findings, options: argparse.Namespace) -> None:
    with machine.awake(options.awake) as findings.awake, TemporaryDirectory(prefix="bench-loadgen-") as where:
        if options.shm:
            variable, _, path = install(Path(where) / "modules").variable.partition("=")
            os.environ[variable] = path
        program = build(Path(where))
        compare(program, findings.cells, options)
        if findings.cells:
            bound(program, findings.bound_frames_per_s, options)
        measure_crowds(program, findings.crowds, options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    signal.signal(signal.SIGTERM, _raise_exit)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    status = 0
    try:
        options = _options(arguments)
        points = crowds(options.seconds) if "ports" in options.scenario else []
        findings = Findings([Comparison(cell) for cell in _wanted(options)], [CrowdResult(point) for point in points])
        _measure_all(findings, options)
    except ConfigError as error:
        _say(f"bench-switch: {error}")
        return 2
    except LoadFailed as error:
        _say(f"bench-switch: {error}")
        status = 1
    except KeyboardInterrupt:
        _say("bench-switch: interrupted")
        status = 130
    print(findings.report(options))  # noqa: T201
    if options.json:
        options.json.write_text(findings.raw(options))
    return status


if __name__ == "__main__":
    sys.exit(main())
