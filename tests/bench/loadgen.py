"""The load generator from Python: building `loadgen.c`, running it once, what it measured.

The generator is compiled into a directory of the caller's (a second's work), never kept: a benchmark that runs
a stale binary measures nothing.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import median
from typing import Any

from vde.errors import ConfigError

SOURCE = Path(__file__).with_name("loadgen.c")
GRACE_S = 75.0
"""Longer than the generator's own alarm(2) needs beyond the measured time."""


class LoadFailed(Exception):
    """The generator, or the switch under it, did not get to the end; says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """One load, as `loadgen.c` describes it. Zeros and Nones: the generator's default."""

    mode: str
    size_octets: int = 64
    pairs: int | None = None
    receivers: int | None = None
    window_frames: int = 64
    seconds: float = 2.0
    count_frames: int | None = None
    idle_ports: int = 0
    addresses: int | None = None
    """Per client: source addresses of a sender, and as many destinations at its receiver."""
    spread_ports: int = 1
    """Connections of each client; frames take them in turn."""
    stalled_receivers: int = 0
    direct: bool = False

    def arguments(self) -> list[str]:
        """The generator's command line, without the URL."""
        words = [f"--mode={self.mode}", f"--size={self.size_octets}", f"--window={self.window_frames}"]
        words += [f"--seconds={self.seconds}", f"--idle={self.idle_ports}", f"--spread={self.spread_ports}"]
        words += [f"--stalled={self.stalled_receivers}"]
        optional = {"pairs": self.pairs, "receivers": self.receivers, "count": self.count_frames}
        words += [f"--{name}={value}" for name, value in optional.items() if value is not None]
        if self.addresses is not None:
            words.append(f"--addresses={self.addresses}")
        if self.direct:
            words.append("--direct")
        return words


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Quantiles of the round trips of the measured part, in µs."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run gave. `frames_per_s`, `switch_*` and `rtt_us` are of the measured part, the counts of the whole."""

    seconds: float
    sent: int
    expected: int
    """Deliveries if nothing is lost: `sent`, times the receivers in a flood."""
    delivered: int
    measured: int
    frames_per_s: float
    stalled_delivered: int
    """Of `delivered`, those that a stalled receiver found waiting in the end."""
    stalls: int
    """Times that a sender wrote off a window of frames at a receiver that stood still."""
    refused: int
    strays: int
    """Frames at a client that were not for it: the switch flooded what it should have known."""
    damaged: int
    misordered: int
    switch_cpu_ns: int
    switch_cpu_ns_per_frame: float
    """Per delivery; a round trip is two."""
    switch_user_ticks: int
    switch_kernel_ticks: int
    switch_rss_kib: int
    rounds: int
    rounds_lost: int
    rtt_us: RoundTrip = field(default=RoundTrip(0, 0, 0, 0, 0))

    @property
    def lost(self) -> int:
        """Frames that did not arrive."""
        return self.expected - self.delivered

    @property
    def loss_pct(self) -> float:
        """The same, of what should have arrived."""
        return 100.0 * self.lost / self.expected if self.expected else 0.0

    @classmethod
    def merged(cls, slices: Sequence["Measurement"]) -> "Measurement":
        """One measurement of several of the same load: sums, rates of the sums, medians of round-trip quantiles."""
        sums = {f.name: sum(getattr(one, f.name) for one in slices) for f in fields(cls) if f.type in (int, float)}
        frames = [one.switch_cpu_ns / one.switch_cpu_ns_per_frame for one in slices if one.switch_cpu_ns_per_frame]
        sums["frames_per_s"] = sums["measured"] / sums["seconds"]
        sums["switch_cpu_ns_per_frame"] = sums["switch_cpu_ns"] / sum(frames) if frames else 0.0
        sums["switch_rss_kib"] = max(one.switch_rss_kib for one in slices)
        quantiles = {f.name: median(getattr(one.rtt_us, f.name) for one in slices) for f in fields(RoundTrip)}
        return cls(**sums, rtt_us=RoundTrip(**quantiles))

    @classmethod
    def parse(cls, text: str) -> "Measurement":
        """Read the generator's JSON."""
        values: dict[str, Any] = json.loads(text)
        values["rtt_us"] = RoundTrip(**values["rtt_us"])
        return cls(**{f.name: values[f.name] for f in fields(cls)})


def build(directory: Path) -> Path:
    """Compile the generator into `directory`."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise ConfigError("the benchmark's load generator needs a C compiler: apt install gcc libc6-dev")
    program = directory / "loadgen"
    command = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(SOURCE)]
    done = subprocess.run([*command, "-lvdeplug"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"cannot build {SOURCE.name} (apt install libvdeplug-dev?):\n{done.stderr.strip()}")
    return program


def run(
    program: Path,
    url: str,
    load: Load,
    switch_pid: int | None = None,
    *,
    receiver_url: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Measurement:
    """Put `load` on the switch at `url` (receivers: at `receiver_url`) once.

    The generator's processes end with this one.
    """
    command = [str(program), f"--url={url}", *load.arguments()]
    if switch_pid is not None:
        command.append(f"--switch-pid={switch_pid}")
    if receiver_url is not None:
        command.append(f"--receiver-url={receiver_url}")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as generator:
        try:
            out, err = generator.communicate(timeout=load.seconds + GRACE_S)
        except subprocess.TimeoutExpired as expired:
            raise LoadFailed(f"the generator did not end: {' '.join(command)}") from expired
        finally:
            generator.kill()  # its clients die with it (PR_SET_PDEATHSIG); no effect if it has ended
    if generator.returncode:
        why = err.strip() or f"ended with status {generator.returncode}"
        raise LoadFailed(f"{why}\n  in: {' '.join(command)}")
    return Measurement.parse(out)
