"""The benchmark's own method, against a switch whose behaviour is known: Debian's vde_switch.

The exact numbers of frames that a stalled client's socket holds are the kernel's: 212,992 octets of send buffer, about
768 charged for a frame of 64 octets, 2,304 for one of 1,514; a switch that drops at EAGAIN delivers no more.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import switch as bench
from tests.bench import table
from tests.bench.loadgen import Load, LoadFailed, Measurement, RoundTrip, build, run
from tests.bench.scenarios import SCENARIOS, cells, crowds
from tests.bench.switches import Switch, command_line, running
from vde.errors import ConfigError

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def loadgen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("loadgen"))


@pytest.fixture(scope="module")
def vde_switch() -> Iterator[Switch]:
    if shutil.which("vde_switch") is None:
        if os.environ.get("CI"):
            pytest.fail("vde_switch is missing: apt install vde-switch")
        pytest.skip("vde_switch is not installed (apt install vde-switch)")
    with running([*command_line("vde_switch"), "-n", "64"]) as switch:
        yield switch


def measurement(**values: float) -> Measurement:
    counts = dict.fromkeys(
        ("sent", "expected", "delivered", "measured", "stalled_delivered", "stalls", "refused", "strays", "damaged"), 0
    )
    rest = dict.fromkeys(("switch_cpu_ns", "switch_user_ticks", "switch_kernel_ticks", "switch_rss_kib", "rounds"), 0)
    full = {**counts, **rest, "misordered": 0, "rounds_lost": 0, "seconds": 1.0}
    full |= {"frames_per_s": 0.0, "switch_cpu_ns_per_frame": 0.0, **values}
    return Measurement(**full)  # type: ignore[arg-type]


def command_lines() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it may end while we look
            yield file.read_text(errors="replace").replace("\0", " ")


@pytest.mark.parametrize("size", [60, 64, 512, 1514])
def test_every_frame_that_was_sent_is_counted_once(loadgen: Path, vde_switch: Switch, size: int) -> None:
    load = Load("pairs", size, pairs=2, count_frames=3000, seconds=20, idle_ports=1)
    found = run(loadgen, vde_switch.url, load, vde_switch.pid)
    assert (found.sent, found.delivered + found.lost) == (6000, 6000)
    assert found.delivered >= 5000  # the original may drop some on a busy machine, and that is counted, not an error
    assert (found.strays, found.damaged, found.misordered, found.stalls, found.refused) == (0, 0, 0, 0, 0)


def test_a_broadcast_counts_once_for_each_receiver(loadgen: Path, vde_switch: Switch) -> None:
    found = run(loadgen, vde_switch.url, Load("flood", receivers=16, count_frames=500, seconds=20))
    assert (found.sent, found.expected, found.delivered + found.lost) == (500, 8000, 8000)
    assert found.delivered >= 7000


def test_rates_and_processor_time_are_of_the_measured_part(loadgen: Path, vde_switch: Switch) -> None:
    found = run(loadgen, vde_switch.url, Load("pairs", pairs=1, seconds=0.3), vde_switch.pid)
    assert 0 < found.measured < found.delivered == found.sent
    assert found.frames_per_s == pytest.approx(found.measured / found.seconds, rel=1e-3)
    assert found.switch_cpu_ns_per_frame == pytest.approx(found.switch_cpu_ns / found.measured, rel=1e-2)
    assert 0 < found.switch_cpu_ns <= 1.05e9 * found.seconds  # vde_switch has one thread


@pytest.mark.parametrize(("size", "held"), [(64, 278), (1514, 93)])
def test_what_exceeds_a_stalled_receivers_socket_is_lost_and_counted(
    loadgen: Path, vde_switch: Switch, size: int, held: int
) -> None:
    load = Load("pairs", size, pairs=1, count_frames=1000, stalled_receivers=1, seconds=20)
    found = run(loadgen, vde_switch.url, load)
    assert found.sent == 1000
    assert found.delivered == found.stalled_delivered == pytest.approx(held, rel=0.2)
    assert found.lost == 1000 - found.delivered


def test_a_stalled_receiver_takes_no_credit_from_the_others(loadgen: Path, vde_switch: Switch) -> None:
    load = Load("flood", receivers=4, count_frames=2000, stalled_receivers=1, seconds=20)
    found = run(loadgen, vde_switch.url, load)
    assert found.delivered - found.stalled_delivered == 3 * 2000
    assert 0 < found.stalled_delivered < 2000
    assert found.stalls == 0


def test_client_to_client_nothing_is_lost_however_large_the_window(tmp_path: Path, loadgen: Path) -> None:
    """A blocking sender waits where a switch would drop."""
    load = Load("pairs", pairs=1, count_frames=5000, window_frames=4096, seconds=20, direct=True)
    found = run(loadgen, f"ptp://{tmp_path}/ptp", load)
    assert (found.sent, found.delivered) == (5000, 5000)


def test_round_trips_are_timed_one_by_one(loadgen: Path, vde_switch: Switch) -> None:
    found = run(loadgen, vde_switch.url, Load("rtt", count_frames=300, seconds=20))
    assert found.rounds == 300
    assert found.rounds_lost == 0
    assert 0 < found.rtt_us.p50 <= found.rtt_us.p90 <= found.rtt_us.p99 <= found.rtt_us.p999 <= found.rtt_us.max


def test_all_addresses_are_known_before_the_first_frame(loadgen: Path, vde_switch: Switch) -> None:
    load = Load("pairs", pairs=1, count_frames=2000, addresses=500, idle_ports=3, seconds=20)
    found = run(loadgen, vde_switch.url, load)
    assert (found.delivered, found.strays) == (2000, 0)


def test_frames_flooded_to_silent_ports_are_seen(loadgen: Path) -> None:
    """A hub floods everything: were the stray counter broken, this would show 0."""
    with running([*command_line("vde_switch"), "--hub"]) as hub:
        found = run(loadgen, hub.url, Load("pairs", pairs=1, count_frames=100, idle_ports=1, seconds=20))
    assert found.delivered == 100
    assert found.strays >= 100


def test_traffic_spread_over_many_ports_arrives_in_turn(loadgen: Path, vde_switch: Switch) -> None:
    load = Load("pairs", pairs=1, count_frames=2000, spread_ports=25, window_frames=5, seconds=20)
    found = run(loadgen, vde_switch.url, load)
    assert (found.delivered, found.misordered, found.strays) == (2000, 0, 0)


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (Load("pairs", 59), "--size 59: expected a number 60…9216"),
        (Load("flood", addresses=3), "--addresses and --spread are for --mode pairs"),
        (Load("burst"), "--mode burst: expected pairs, flood or rtt"),
        (Load("pairs", window_frames=1), "--window 1"),
        (Load("pairs"), "cannot connect to"),
    ],
)
def test_a_load_that_cannot_be_is_refused_with_the_reason(loadgen: Path, tmp_path: Path, load: Load, why: str) -> None:
    with pytest.raises(LoadFailed, match=why):
        run(loadgen, str(tmp_path / "nothing"), load)


def test_a_missing_switch_is_named() -> None:
    with pytest.raises(ConfigError, match="no-such-switch"):
        command_line("no-such-switch -x")


def test_a_switch_that_does_not_start_shows_its_last_words() -> None:
    with (
        pytest.raises(LoadFailed, match="No such group"),
        running([*command_line("vde_switch"), "-g", "no-such-group"]),
    ):
        pytest.fail("it ran")


def test_ratios_are_taken_within_a_run_and_then_the_median() -> None:
    cell = cells(["pair"], [64], 1.0, 64)[0]
    result = table.Comparison(cell)
    for theirs, ours in ((1e6, 2e6), (2e6, 2.2e6), (0.5e6, 0.6e6)):
        result.runs.append((measurement(frames_per_s=theirs), measurement(frames_per_s=ours)))
    assert result.ratios(lambda m: m.frames_per_s) == pytest.approx([2.0, 1.1, 1.2])
    row = table.throughput([result]).splitlines()[-1]
    assert "| 1.000 | 2.000 | 1.20 (1.10–2.00) | ≥ 1.2: met |" in row


def test_slices_of_a_run_are_merged_by_frames_and_time() -> None:
    fast = measurement(seconds=1.0, measured=300, frames_per_s=300.0, switch_cpu_ns=300, switch_cpu_ns_per_frame=1.0)
    slow = measurement(seconds=2.0, measured=300, frames_per_s=150.0, switch_cpu_ns=900, switch_cpu_ns_per_frame=3.0)
    slow = replace(slow, rtt_us=RoundTrip(3, 3, 3, 3, 3))
    both = Measurement.merged([fast, slow])
    assert both.frames_per_s == pytest.approx(200.0)
    assert both.switch_cpu_ns_per_frame == pytest.approx(2.0)
    assert both.rtt_us.p50 == pytest.approx(1.5)


def test_every_scenario_has_a_load_that_the_generator_knows() -> None:
    assert {cell.scenario for cell in cells(list(SCENARIOS), [64], 1.0, 64)} == set(SCENARIOS)
    assert max(crowd.ports for crowd in crowds(1.0)) == 1000
    assert max(crowd.addresses for crowd in crowds(1.0)) == 100_000


def test_the_command_prints_tables_and_writes_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "all.json"
    words = ["--ours", "vde_switch", "--runs", "1", "--slices", "1", "--seconds", "0.1", "--sizes", "64"]
    words += ["--scenario", "pair", "rtt", "--quiet-pct", "101", "--json", str(file)]
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert bench.main(words) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    text = capsys.readouterr().out
    assert "| one pair | 64 |" in text
    assert "| idle | 64 |" in text
    raw = json.loads(file.read_text())
    assert [cell["cell"]["scenario"] for cell in raw["cells"]] == ["pair", "rtt"]
    assert raw["cells"][0]["runs"][0][0]["delivered"] > 0


def test_an_interrupted_benchmark_leaves_no_process_and_no_directory(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.bench.switch",
        "--ours",
        "vde_switch",
        "--scenario",
        "pair",
        "--sizes",
        "64",
    ]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command += ["--seconds", "60", "--quiet-pct", "101"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as tool:
        while not list(tmp_path.glob("bench-switch-*/sw/002.*")):  # the switch's end of the second client
            assert tool.poll() is None
        tool.send_signal(signal.SIGINT)
        tool.communicate(timeout=30)
    assert tool.returncode == 130
    assert list(tmp_path.iterdir()) == []
    assert [line for line in command_lines() if str(tmp_path) in line] == []
