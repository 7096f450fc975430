"""What a wire does, exactly, in virtual time."""

from pathlib import Path

import pytest

from tests.vde.wire.wires import LR, MS, RL, drain, feed, frame, number_of, numbers, times_ms, wire
from vde.errors import ConfigError
from vde.wire.impairments import Impairments, merge
from vde.wire.model import Start, Wire
from vde.wire.schedule import DIRECTIONS, Change, parse_entry
from vde.wire.trace import TraceServer, parse_trace


def change(verb: str, direction: str = "both", **settings: str) -> Change:
    names = DIRECTIONS if direction == "both" else (direction,)
    return Change(verb, names, None, tuple((name.replace("_", "-"), value) for name, value in settings.items()))


def test_a_clear_wire_changes_nothing() -> None:
    one = wire()
    assert one.clear
    feed(one, [frame(1), frame(2)], 5)
    assert drain(one) == [(5, frame(1)), (5, frame(2))]
    assert one.next_deadline() is None


def test_delay_is_exact_and_of_one_direction() -> None:
    one = wire()
    one.change(change("set", LR, delay="40ms"), 0)
    feed(one, [frame(1)], 7)
    feed(one, [frame(2)], 7, RL)
    assert one.next_deadline() == 7
    assert drain(one, RL) == [(7, frame(2))]
    assert drain(one) == [(7 + 40 * MS, frame(1))]


def test_a_serial_line() -> None:
    one = wire(rate="8Mbit")  # an octet a microsecond
    feed(one, [frame(n, 1000) for n in range(4)])
    assert times_ms(drain(one)) == [1, 2, 3, 4]
    feed(one, [frame(9, 500)], 10 * MS)
    assert times_ms(drain(one)) == [10.5]


def test_overhead_and_burst() -> None:
    one = wire(rate="8Mbit", overhead="24B", burst="3K")
    feed(one, [frame(n, 1000) for n in range(5)])
    assert [at // 1000 for at, _ in drain(one)] == [0, 0, 0, 4 * 1024 - 3072, 5 * 1024 - 3072]
    feed(one, [frame(n, 1000) for n in range(2)], 100 * MS)
    assert times_ms(drain(one)) == [100, 100]


def test_rate_then_delay() -> None:
    one = wire(rate="8Mbit", delay="5ms")
    feed(one, [frame(n, 1000) for n in range(3)])
    assert times_ms(drain(one)) == [6, 7, 8]


def test_the_queue_has_a_tail() -> None:
    one = wire(rate="8Mbit", queue_frames="2")
    feed(one, [frame(n, 1000) for n in range(5)])  # one leaves, two wait
    assert numbers(drain(one)) == [0, 1, 2]
    assert one.statistics()[LR]["dropped"] == {"queue": 2}
    one = wire(rate="8Mbit", queue="2500B")
    feed(one, [frame(n, 1000) for n in range(5)])
    assert numbers(drain(one)) == [0, 1, 2]


def test_mtu_down_and_up() -> None:
    one = wire(mtu="100B")
    feed(one, [frame(1, 100), frame(2, 101)])
    one.change(change("down", LR), 0)
    feed(one, [frame(3)])
    one.change(change("clear"), 0)
    feed(one, [frame(4)])  # clear does not bring it up
    one.change(change("up"), 0)
    feed(one, [frame(5, 2000)])
    assert numbers(drain(one)) == [1, 5]
    assert one.statistics()[LR]["dropped"] == {"mtu": 1, "down": 2}


def test_every_third_frame_overtakes() -> None:
    one = wire(delay="10ms", reorder="100%", gap="3")
    for n in range(1, 10):
        feed(one, [frame(n)], n * MS)
    assert numbers(drain(one)) == [3, 6, 9, 1, 2, 4, 5, 7, 8]
    assert one.statistics()[LR]["reordered"] == 3


def test_keep_order() -> None:
    late = wire(delay="10ms", jitter="10ms")
    kept = wire(delay="10ms", jitter="10ms", keep_order="yes")
    for n in range(50):
        for one in (late, kept):
            feed(one, [frame(n)], n * MS)
    assert numbers(drain(kept)) == list(range(50))
    assert numbers(drain(late)) != list(range(50))


def test_duplicates_and_certain_loss() -> None:
    one = wire(duplicate="100%")
    feed(one, [frame(1)])
    assert numbers(drain(one)) == [1, 1]
    one = wire(loss="100%", duplicate="100%")
    feed(one, [frame(1)])
    assert drain(one) == []


def test_one_bit_is_inverted() -> None:
    one = wire(corrupt="100%")
    feed(one, [frame(n) for n in range(100)])
    for n, (_, octets) in enumerate(drain(one)):
        assert sum((a ^ b).bit_count() for a, b in zip(octets, frame(n), strict=True)) == 1


def test_rules_have_lanes_of_their_own() -> None:
    one = wire(rule="ethertype 0x88b5 and length -100", delay="5ms", rate="8Mbit")
    one.change(change("set", LR, delay="1ms"), 0)
    feed(one, [frame(1, 1000), frame(2, 100), frame(3, 1000), frame(4, 100)])
    found = drain(one)
    assert numbers(found) == [1, 3, 2, 4]
    assert times_ms(found) == [1, 1, 5.1, 5.2]
    assert one.state()[LR]["rules"] == [
        {"match": "ethertype 0x88b5 and length -100", "settings": {"delay": "5ms", "rate": "8Mbit"}}
    ]
    assert one.why(LR, 2)["rule"] == "ethertype 0x88b5 and length -100"


def test_set_merges_replaces_resets_and_clears() -> None:
    one = wire(delay="40ms", loss="1%")
    one.change(change("set", LR, loss="5%"), 0)
    assert one.state()[LR]["settings"] == {"delay": "40ms", "loss": "5%"}
    one.change(Change("set", DIRECTIONS, None, (("jitter", "1ms"),), replace=True), 0)
    assert one.state()[LR]["settings"] == {"jitter": "1ms"}
    one.change(change("reset"), 0)
    assert one.state()[LR]["settings"] == one.state()[RL]["settings"] == {"delay": "40ms", "loss": "1%"}
    one.change(change("set", delay="none"), 0)
    assert one.state()[LR]["settings"] == {"loss": "1%"}
    one.change(change("clear"), 0)
    assert one.clear


def test_a_change_that_is_wrong_changes_nothing() -> None:
    one = wire(delay="40ms")
    with pytest.raises(ConfigError, match="write 5ms"):
        one.change(change("set", delay="5", loss="3%"), 0)
    assert one.state()[LR]["settings"] == {"delay": "40ms"}


def test_a_rate_that_is_taken_away_lets_the_queue_go() -> None:
    one = wire(rate="8kbit", delay="1ms")
    feed(one, [frame(n, 1000) for n in range(3)])
    one.change(change("set", rate="none"), 5 * MS)
    found = drain(one)
    assert sorted(numbers(found)) == [0, 1, 2]
    assert sorted(times_ms(found)) == [6, 6, 1001]  # the first one was on its way already


def test_a_rate_that_is_raised_serves_what_waits() -> None:
    one = wire(rate="8kbit")
    feed(one, [frame(n, 1000) for n in range(3)])
    one.change(change("set", rate="8Mbit"), 500 * MS)
    assert times_ms(drain(one)) == [1000, 1001, 1002]


def test_schedules() -> None:
    entries = tuple(
        parse_entry(line) for line in ("10ms set loss=100%", "20ms reset", "25ms every 10ms down", "30ms up")
    )
    one = Wire("w", "s", 0, Start(schedule=entries))
    passed = []
    for at in range(50):
        one.handle_timer(at * MS)
        feed(one, [frame(at)], at * MS)
        passed += numbers(drain(one))
    assert passed == [*range(10), *range(20, 25), *range(30, 35)]
    assert one.next_change_ns() == 55 * MS


def test_traces_follow_their_moments() -> None:
    server = TraceServer(parse_trace("t", "10\n10\n20\n"), 0)
    ends = []
    for _ in range(6):
        start = server.start_ns(0)
        ends.append(server.transmit(start, 1500) // MS)
    assert ends == [10, 10, 20, 30, 30, 40]
    server = TraceServer(parse_trace("t", "10\n20\n"), 0)
    assert server.transmit(server.start_ns(0), 700) == 10 * MS
    assert server.transmit(server.start_ns(0), 700) == 10 * MS  # the rest of the moment
    assert server.transmit(server.start_ns(0), 3100) == 30 * MS  # 100 of the first and two whole ones
    assert server.start_ns(95 * MS) == 100 * MS
    assert server.transmit(100 * MS, 100) == 100 * MS


def test_a_trace_as_a_setting(tmp_path: Path) -> None:
    (tmp_path / "lte").write_text("5\n10\n")
    settings = merge(Impairments(), {"trace": str(tmp_path / "lte")}, lambda path: Path(path).read_text())
    start = Start().changed(
        Change("set", DIRECTIONS, None, (("trace", str(tmp_path / "lte")),)), lambda p: Path(p).read_text()
    )
    one = Wire("w", "s", 0, start)
    assert one.directions[LR].impairments == settings
    feed(one, [frame(n, 1500) for n in range(4)])
    assert times_ms(drain(one)) == [5, 10, 15, 20]
    one.change(change("set", rate="1Mbit"), 0)
    assert one.state()[LR]["settings"] == {"rate": "1Mbit"}


def test_codel_drops_only_from_a_standing_queue() -> None:
    """Offered twice the rate for two seconds: RFC 8289 drops more and more; offered half, nothing."""
    one = wire(rate="8Mbit", discipline="codel", queue_frames="100000")
    for n in range(4000):
        feed(one, [frame(n, 1000)], n * MS // 2)
    drain(one)
    over = one.statistics()[LR]["dropped"]["codel"]
    assert 10 < over < 2000
    first = next(n for n in range(1, 4000) if one.why(LR, n)["dropped"] == "codel")
    arrived_ms = one.why(LR, first)["arrived_ns"] / MS
    assert 50 <= arrived_ms <= 60  # its turn comes after twice that: an interval after sojourns passed the target
    calm = wire(rate="8Mbit", discipline="codel")
    for n in range(2000):
        feed(calm, [frame(n, 1000)], n * 2 * MS)
    drain(calm)
    assert not calm.statistics()[LR]["dropped"]


def test_codel_holds_the_delay_where_tail_drop_fills_the_queue() -> None:
    sojourn = {}
    for discipline in ("codel", "tail-drop"):
        one = wire(rate="8Mbit", discipline=discipline, queue_frames="1000")
        for n in range(8000):
            feed(one, [frame(n, 1000)], n * 950_000)  # 5 % too much
        last = [at - number_of(octets) * 950_000 for at, octets in drain(one)][-500:]
        sojourn[discipline] = sum(last) / len(last) / MS
    assert sojourn["codel"] < 40
    assert sojourn["tail-drop"] > 300


def test_what_waits_is_bounded() -> None:
    from vde.wire.delay_line import MOST_FRAMES

    one = wire(delay="8760h")
    batch = [frame(0)] * 1024
    for _ in range(MOST_FRAMES // 1024 + 2):
        feed(one, batch)
    statistics = one.statistics()[LR]
    assert statistics["in_flight_frames"] == MOST_FRAMES
    assert statistics["dropped"] == {"held": 2048}


def test_why() -> None:
    one = wire(loss="100%")
    feed(one, [frame(1)])
    assert one.why(LR, 1)["text"] == "frame 1; dropped: loss (loss 100%)"
    one.change(change("clear"), 0)
    one.change(change("set", delay="5ms", rate="8Mbit"), 0)
    feed(one, [frame(2, 1000)], 5)
    assert one.why(LR, 2)["text"] == "frame 2; waited 1ms for the rate; delayed 5ms"
    with pytest.raises(ConfigError, match="1 to 2 have come"):
        one.why(LR, 3)
    for _ in range(9):
        feed(one, [frame(0)] * 1024)
    assert one.why(LR, 1)["known"] is False
