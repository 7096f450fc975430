"""The loads that the two switches are compared under, and what issue and reference ask of each.

A `Cell` is one load at one frame size; `CELLS` of a scenario name are made for the sizes asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.bench.loadgen import Load

SIZES_OCTETS = (64, 512, 1514)
PORTS = 1100
"""`-n` of switches that get a thousand clients."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the result: a load, and the least ratio (ours/theirs) that it should show."""

    scenario: str
    title: str
    load: Load
    aim: float | None = None
    """Deliveries a second, ours over theirs."""

    @property
    def round_trip(self) -> bool:
        """Measured in µs, not in frames a second."""
        return self.load.mode == "rtt"


def _pair(size: int) -> Cell:
    return Cell("pair", "one pair", Load("pairs", size, pairs=1), 1.1 if size == 512 else 1.2)


def _pairs8(size: int) -> Cell:
    return Cell("pairs8", "eight pairs", Load("pairs", size, pairs=8), 2.0)


def _flood(size: int) -> Cell:
    return Cell("flood", "flood to 16, deliveries", Load("flood", size, receivers=16), 2.5)


def _stalled(size: int) -> Cell:
    return Cell("stalled", "flood to 16, one stalled", Load("flood", size, receivers=16, stalled_receivers=1))


def _rtt(size: int) -> Cell:
    return Cell("rtt", "idle", Load("rtt", size))


def _rtt_loaded(size: int) -> Cell:
    return Cell("rtt-loaded", "beside one loaded pair", Load("rtt", size, pairs=1))


SCENARIOS: dict[str, Callable[[int], Cell]] = {
    "pair": _pair,
    "pairs8": _pairs8,
    "flood": _flood,
    "stalled": _stalled,
    "rtt": _rtt,
    "rtt-loaded": _rtt_loaded,
}
SHM_AIMS = {"pair": 5.0, "pairs8": 10.0}
"""The same ratios where our clients share memory with the switch."""
RTT_P50_AIM = 1.1
RTT_P99_AIM = 1.0


def cells(names: Sequence[str], sizes_octets: Sequence[int], seconds: float, window_frames: int) -> list[Cell]:
    """All cells of the named scenarios; `ports` (below) is not one of them."""
    made = [SCENARIOS[name](size) for name in names for size in sizes_octets]
    return [_with(cell, seconds, window_frames) for cell in made]


def _with(cell: Cell, seconds: float, window_frames: int) -> Cell:
    return replace(cell, load=replace(cell.load, seconds=seconds, window_frames=window_frames))


BOUND = Load("pairs", direct=True)
"""Client to client, no switch: what the clients' own system calls allow."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """One point of the `ports` scenario: how the cost of a frame grows with ports and addresses."""

    title: str
    series: str
    """Points of one series are divided by its first."""
    load: Load
    ports: int
    addresses: int


def crowds(seconds: float, size_octets: int = 64) -> list[Crowd]:
    """1,000 ports and 100,000 addresses, and the way there.

    One pair talks while the other ports are silent, or all ports talk in turn (window 5, so that a port has at most
    one frame waiting however few there are); then ten ports and ever more addresses, every frame of another source and
    to another destination. Silent ports also show whether an address was not known: it would be flooded to them.
    """
    points = []
    for ports in (10, 100, 1000):
        load = Load("pairs", size_octets, pairs=1, seconds=seconds, idle_ports=ports - 2)
        points.append(Crowd("one pair talks", "pair", load, ports, 2))
    for ports in (10, 100, 1000):
        load = Load("pairs", size_octets, pairs=1, seconds=seconds, spread_ports=ports // 2, window_frames=5)
        points.append(Crowd("all ports talk in turn", "spread", load, ports, ports))
    for addresses in (10, 1_000, 100_000):
        load = Load("pairs", size_octets, pairs=1, seconds=seconds, idle_ports=8, addresses=addresses // 2)
        points.append(Crowd("one pair, many addresses", "addresses", load, 10, addresses))
    return points
