"""What the benchmark found, as Markdown: medians of each switch, and the ratio within each run.

The machine's speed drifts from run to run, so ratios are taken between two neighbouring measurements, never between
medians: `1.31 (1.28–1.35)` is the median, least and largest of the runs' ratios, ours over theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.bench.loadgen import Measurement
from tests.bench.scenarios import RTT_P50_AIM, RTT_P99_AIM, Cell, Crowd


@dataclass(slots=True)
class Comparison:
    """A cell's measurements, run by run: theirs and ours."""

    cell: Cell
    runs: list[tuple[Measurement, Measurement]] = field(default_factory=list)
    foreign_load_pct: list[float] = field(default_factory=list)
    """Share of the machine that others used during each run."""

    def medians(self, of: Callable[[Measurement], float]) -> tuple[float, float]:
        """Of theirs and of ours."""
        return median(of(theirs) for theirs, _ in self.runs), median(of(ours) for _, ours in self.runs)

    def ratios(self, of: Callable[[Measurement], float]) -> list[float]:
        """Ours over theirs, one a run; runs in which theirs is 0 have none."""
        return [of(ours) / of(theirs) for theirs, ours in self.runs if of(theirs)]


@dataclass(slots=True)
class CrowdResult:
    """A crowd's measurements by variant of switch, run by run, and the memory that ports and addresses took."""

    crowd: Crowd
    runs: dict[str, list[Measurement]] = field(default_factory=dict)
    grown_kib: dict[str, list[int]] = field(default_factory=dict)
    """Resident memory under load less that of the switch when it was ready."""


def _spread(ratios: Sequence[float]) -> str:
    if not ratios:
        return "–"
    return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * 2 + "|---:" * (len(head) - 2) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def _verdict(ratio: float | None, aim: float | None, *, at_most: bool = False) -> str:
    if aim is None or ratio is None:
        return "–"
    met = ratio <= aim if at_most else ratio >= aim
    return f"{'≤' if at_most else '≥'} {aim:g}: {'met' if met else 'missed'}"


def throughput(results: Sequence[Comparison]) -> str:
    """Deliveries a second, loss and processor time of the switch."""
    rows = []
    for result in (r for r in results if not r.cell.round_trip):
        rates = result.medians(lambda m: m.frames_per_s / 1e6)
        cpu = result.medians(lambda m: m.switch_cpu_ns_per_frame)
        loss = result.medians(lambda m: m.loss_pct)
        ratios = result.ratios(lambda m: m.frames_per_s)
        rows.append(
            [
                result.cell.title,
                str(result.cell.load.size_octets),
                f"{rates[0]:.3f}",
                f"{rates[1]:.3f}",
                _spread(ratios),
                _verdict(median(ratios) if ratios else None, result.cell.aim),
                f"{loss[0]:.2f} / {loss[1]:.2f}",
                f"{cpu[0]:,.0f} / {cpu[1]:,.0f}",
                _spread(result.ratios(lambda m: m.switch_cpu_ns_per_frame)),
            ]
        )
    head = [
        "load",
        "octets",
        "theirs, M/s",
        "ours, M/s",
        "ratio",
        "aim",
        "loss %, t / o",
        "CPU ns/frame, t / o",
        "ratio",
    ]
    return _rows(head, rows) if rows else ""


def round_trips(results: Sequence[Comparison]) -> str:
    """Round-trip times, one frame at a time."""
    rows = []
    for result in (r for r in results if r.cell.round_trip):
        row = [result.cell.title, str(result.cell.load.size_octets)]
        idle = result.cell.scenario == "rtt"
        quantiles: list[tuple[Callable[[Measurement], float], float | None]] = [
            (lambda m: m.rtt_us.p50, RTT_P50_AIM if idle else None),
            (lambda m: m.rtt_us.p99, RTT_P99_AIM if idle else None),
        ]
        for of, aim in quantiles:
            theirs, ours = result.medians(of)
            ratios = result.ratios(of)
            row += [f"{theirs:.1f} / {ours:.1f}", _spread(ratios)]
            row.append(_verdict(median(ratios) if ratios else None, aim, at_most=True))
        lost = [sum(m.rounds_lost for m in side) for side in zip(*result.runs, strict=True)]
        beside = result.medians(lambda m: m.frames_per_s / 1e6)
        loaded = "–" if idle else f"{beside[0]:.3f} / {beside[1]:.3f}"
        rows.append([*row, f"{lost[0]} / {lost[1]}", loaded])
    head = ["round trip", "octets", "p50 µs, t / o", "ratio", "aim", "p99 µs, t / o", "ratio", "aim", "lost, t / o"]
    head.append("load, M/s, t / o")
    return _rows(head, rows) if rows else ""


def crowds(results: Sequence[CrowdResult]) -> str:
    """Cost of a frame and memory with ever more ports and addresses, one line a point, a group of columns a variant."""
    if not results:
        return ""
    variants = list(results[0].runs)
    first: dict[tuple[str, str], float] = {}
    rows = []
    for result in results:
        row = [result.crowd.title, f"{result.crowd.ports:,}", f"{result.crowd.addresses:,}"]
        for variant in variants:
            runs = result.runs[variant]
            cost = median(m.switch_cpu_ns_per_frame for m in runs)
            base = first.setdefault((result.crowd.series, variant), cost)
            row += [
                f"{cost:,.0f} (×{cost / base if base else 0:.2f})",
                f"{median(result.grown_kib[variant]) / 1024:.1f}",
            ]
        row.append(" / ".join(str(max(m.strays for m in result.runs[v])) for v in variants))
        rows.append(row)
    head = ["load", "ports", "addresses"]
    for variant in variants:
        head += [f"{variant}: CPU ns/frame", "MiB more"]
    return _rows([*head, "flooded"], rows)
