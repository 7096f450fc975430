from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.rtc.mc146818 import (
    PATIENCE,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
    UPDATE_NS,
    Mc146818,
)
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved, wait

SECOND = 1_000_000_000
NEW_YEARS_EVE = int(datetime(2027, 12, 31, 23, 59, 58, tzinfo=UTC).timestamp())
B_24, B_DM, B_SET, B_UIE, B_AIE, B_PIE = 0x02, 0x04, 0x80, 0x10, 0x20, 0x40


class Bench:
    def __init__(self, start_s: int = NEW_YEARS_EVE) -> None:
        self.timeline = Timeline()
        self.line = Line()
        self.warped: list[int] = []
        self.clock = self.make(start_s)

    def make(self, start_s: int = 0) -> Mc146818:
        return Mc146818(irq=self.line, timeline=self.timeline, start_s=start_s, warp=self.warped.append)

    def get(self, register: int) -> int:
        self.clock.write(0, 1, register)
        return self.clock.read(1, 1)

    def put(self, register: int, value: int) -> None:
        self.clock.write(0, 1, register)
        self.clock.write(1, 1, value)

    def fields(self) -> list[int]:
        return [self.get(register) for register in (9, 8, 7, 4, 2, 0)]

    def wait(self, ns: int) -> None:
        wait(self.clock, self.timeline, self.timeline.now_ns + ns)


def test_the_time_is_the_given_one_and_goes_on() -> None:
    bench = Bench()
    assert bench.fields() == [0x27, 0x12, 0x31, 0x23, 0x59, 0x58]
    bench.wait(2 * SECOND)
    assert bench.fields() == [0x28, 0x01, 0x01, 0x00, 0x00, 0x00]
    assert bench.get(6) == 7  # a Saturday


def test_binary_and_twelve_hours() -> None:
    bench = Bench()
    bench.put(REG_B, B_DM | B_SET)
    for register, value in ((9, 27), (8, 12), (7, 31), (4, 0x80 | 11), (2, 59), (0, 58)):
        bench.put(register, value)
    bench.put(REG_B, B_DM)
    bench.wait(SECOND)
    assert bench.get(4) == 0x80 | 11
    bench.wait(SECOND)
    assert bench.fields() == [28, 1, 1, 12, 0, 0]


def test_leap_years() -> None:
    bench = Bench(int(datetime(2028, 2, 28, 23, 59, 59, tzinfo=UTC).timestamp()))
    bench.wait(SECOND)
    assert bench.fields()[:3] == [0x28, 0x02, 0x29]
    bench.wait(86_400 * SECOND)
    assert bench.fields()[:3] == [0x28, 0x03, 0x01]


def test_set_stops_updates_and_writes_count() -> None:
    bench = Bench()
    bench.put(REG_B, B_24 | B_SET)
    bench.put(4, 0x12)
    bench.put(2, 0x34)
    bench.put(0, 0x56)
    bench.wait(10 * SECOND)
    assert bench.fields()[3:] == [0x12, 0x34, 0x56]
    bench.put(REG_B, B_24)
    bench.wait(5 * SECOND)
    assert bench.fields()[3:] == [0x12, 0x35, 0x01]


def test_nonsense_in_the_fields_becomes_a_time() -> None:
    bench = Bench()
    for register in range(10):
        bench.put(register, 0xFF)
    bench.wait(SECOND)
    year, month, day, hour, minute, second = bench.fields()
    assert month <= 0x12
    assert day <= 0x31
    assert hour <= 0x23
    assert minute <= 0x59
    assert second <= 0x59
    assert year <= 0x99


def test_update_in_progress_frames_the_second() -> None:
    bench = Bench()
    assert not bench.get(REG_A) & 0x80
    bench.timeline.now_ns = SECOND - UPDATE_NS - 1
    assert not bench.get(REG_A) & 0x80
    bench.timeline.now_ns += 1
    assert bench.get(REG_A) & 0x80
    bench.timeline.now_ns = SECOND - 1
    assert bench.get(REG_A) & 0x80
    bench.timeline.now_ns = SECOND
    assert not bench.get(REG_A) & 0x80


def test_the_divider_starts_half_a_second_before_the_first_update() -> None:
    bench = Bench()
    bench.wait(SECOND // 3)
    bench.put(REG_A, 0x66)
    bench.wait(10 * SECOND)
    assert bench.fields()[-1] == 0x58
    bench.put(REG_A, 0x26)
    bench.wait(SECOND // 2 - 1)
    assert bench.fields()[-1] == 0x58
    bench.wait(1)
    assert bench.fields()[-1] == 0x59


def test_update_interrupt() -> None:
    bench = Bench()
    bench.put(REG_B, B_24 | B_UIE)
    bench.wait(SECOND - 1)
    assert not bench.line.level
    bench.wait(1)
    assert bench.line.level
    assert bench.clock.next_deadline() is None  # nobody has read register C
    assert bench.get(REG_C) & ~0x40 == 0x80 | 0x10
    assert not bench.line.level
    assert bench.get(REG_C) == 0
    assert bench.clock.next_deadline() == 2 * SECOND


def test_flags_without_their_enable_bits() -> None:
    bench = Bench()
    bench.put(1, 0x30)  # the alarm's seconds: not now
    bench.wait(3 * SECOND)
    assert bench.get(REG_C) == 0x40 | 0x10
    assert not bench.line.rises
    bench.wait(3 * SECOND)
    bench.get(0)
    bench.put(REG_B, B_24 | B_UIE)
    assert bench.line.level  # register C had the flag already


@pytest.mark.parametrize(("rate", "hertz"), [(6, 1024), (15, 2), (3, 8192), (1, 256), (2, 128)])
def test_periodic_interrupt(rate: int, hertz: int) -> None:
    bench = Bench()
    bench.put(REG_A, 0x20 | rate)
    bench.put(REG_B, B_24 | B_PIE)
    for _ in range(5):
        before = bench.timeline.now_ns
        deadline = bench.clock.next_deadline()
        assert deadline is not None
        assert deadline - before <= -(-SECOND // hertz)
        bench.wait(deadline - before)
        assert bench.line.level
        assert bench.get(REG_C) & 0xC0 == 0xC0
    assert bench.timeline.now_ns == -(-5 * SECOND // hertz)


@pytest.mark.parametrize(
    ("hours", "minutes", "seconds", "after_s"),
    [
        (0x00, 0x00, 0x00, 2),
        (0x23, 0x59, 0x59, 1),
        (0x23, 0x59, 0x58, 86_400),
        (0xFF, 0x00, 0x05, 7),
        (0xC0, 0xC0, 0xC0, 1),
        (0x05, 0xFF, 0x30, 2 + 5 * 3600 + 30),
        (0xFF, 0xFF, 0x57, 59),
        (0x23, 0xFF, 0xFF, 1),
    ],
)
def test_alarm(hours: int, minutes: int, seconds: int, after_s: int) -> None:
    bench = Bench()
    for register, value in ((5, hours), (3, minutes), (1, seconds)):
        bench.put(register, value)
    bench.get(REG_C)
    bench.put(REG_B, B_24 | B_AIE)
    assert bench.clock.next_deadline() == after_s * SECOND
    bench.wait(after_s * SECOND)
    assert bench.line.level
    assert bench.get(REG_C) & 0xA0 == 0xA0


def test_an_alarm_that_never_comes() -> None:
    bench = Bench()
    bench.put(1, 0x61)
    bench.put(REG_B, B_24 | B_AIE)
    assert bench.clock.next_deadline() is None


def test_a_spin_on_update_in_progress_asks_for_the_edge() -> None:
    bench = Bench()
    for _ in range(PATIENCE):
        assert not bench.warped
        bench.get(REG_A)
        bench.timeline.now_ns += 300
    assert bench.warped == [SECOND - UPDATE_NS]
    bench.timeline.now_ns = SECOND - UPDATE_NS
    for _ in range(PATIENCE):
        assert bench.get(REG_A) & 0x80
        bench.timeline.now_ns += 300
    assert bench.warped == [SECOND - UPDATE_NS, SECOND]


def test_the_read_that_sees_the_edge_does_not_warp() -> None:
    """A kernel reads its cycle counter next: that must be the time of the edge."""
    bench = Bench()
    bench.timeline.now_ns = SECOND - UPDATE_NS - (PATIENCE - 1) * 300
    for _ in range(PATIENCE - 1):
        assert not bench.get(REG_A) & 0x80
        bench.timeline.now_ns += 300
    assert bench.get(REG_A) & 0x80
    assert not bench.warped


@pytest.mark.parametrize("between", ["register", "write", "time"])
def test_no_warp_if_anything_happens_between_the_reads(between: str) -> None:
    bench = Bench()
    for _ in range(3 * PATIENCE):
        bench.get(REG_A)
        if between == "register":
            bench.get(REG_D)
        elif between == "write":
            bench.put(0x40, 1)
        else:
            bench.timeline.now_ns += 50_000
    assert not bench.warped


def test_no_warp_to_an_edge_that_does_not_come() -> None:
    bench = Bench()
    bench.put(REG_B, B_24 | B_SET)
    for _ in range(3 * PATIENCE):
        assert not bench.get(REG_A) & 0x80
    assert not bench.warped


def test_memory_and_what_is_read_only() -> None:
    bench = Bench()
    bench.put(0x7F, 0xA5)
    assert bench.get(0x7F) == 0xA5
    bench.put(REG_D, 0)
    assert bench.get(REG_D) == 0x80
    assert bench.clock.mistakes == 1
    assert bench.clock.read(0, 1) == 0xFF


@pytest.mark.fuzz
@given(accesses(3), st.integers(0, 3_155_759_999))
def test_any_access_is_harmless(operations: list[Access], start_s: int) -> None:
    bench = Bench(start_s)
    exercise(bench.clock, bench.timeline, 2, operations)
    twin = moved(bench.clock, bench.make)
    for register in range(16):
        twin.write(0, 1, register)
        assert twin.read(1, 1) == bench.get(register)
