import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.timer.i8254 import CLOCK_HZ, I8254, SystemPortB, clock_ns
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved, wait

CONTROL = 3


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.line = Line()
        self.timer = I8254(irq=self.line, timeline=self.timeline)

    def at(self, clock: int) -> None:
        self.timeline.now_ns = clock_ns(clock)

    def program(self, counter: int, mode: int, count: int) -> None:
        self.timer.write(CONTROL, 1, counter << 6 | 0x30 | mode << 1)
        self.timer.write(counter, 1, count & 0xFF)
        self.timer.write(counter, 1, count >> 8 & 0xFF)

    def count(self, counter: int = 0) -> int:
        self.timer.write(CONTROL, 1, counter << 6)
        return self.timer.read(counter, 1) | self.timer.read(counter, 1) << 8

    def status(self, counter: int = 0) -> int:
        self.timer.write(CONTROL, 1, 0xE0 | 2 << counter)
        return self.timer.read(counter, 1)


def test_mode_0_counts_down_once_and_raises_out() -> None:
    bench = Bench()
    bench.program(0, 0, 1000)
    assert not bench.line.level
    bench.at(1)
    assert bench.count() == 1000
    bench.at(501)
    assert bench.count() == 500
    assert not bench.status() & 0x80
    deadline = bench.timer.next_deadline()
    assert deadline == clock_ns(1001)
    wait(bench.timer, bench.timeline, clock_ns(1001))
    assert bench.line.level
    assert bench.status() & 0x80
    assert bench.timer.next_deadline() is None
    bench.at(1011)
    assert bench.count() == 0x10000 - 10  # it goes on


@pytest.mark.parametrize("mode", [2, 3, 6, 7])
def test_rates_give_as_many_interrupts_as_they_should(mode: int) -> None:
    bench = Bench()
    bench.program(0, mode, 11932)  # 100 Hz
    bench.line.rises = 0
    wait(bench.timer, bench.timeline, 1_000_000_000)
    assert bench.line.rises == CLOCK_HZ // 11932 == 99


def test_missed_edges_are_one_edge() -> None:
    bench = Bench()
    bench.program(0, 2, 11932)
    bench.line.rises = 0
    bench.timeline.now_ns = 10**12
    bench.timer.handle_timer(10**12)
    assert bench.line.rises == 1
    deadline = bench.timer.next_deadline()
    assert deadline is not None
    assert 0 < deadline - 10**12 <= 10_000_800


def test_mode_3_is_high_for_half_a_period_and_counts_by_two() -> None:
    bench = Bench()
    bench.program(0, 3, 1000)
    bench.at(1 + 100)
    assert bench.count() == 800
    assert bench.status() & 0x80
    bench.at(1 + 600)
    assert bench.count() == 800
    assert not bench.status() & 0x80


def test_a_new_rate_waits_for_the_end_of_the_period() -> None:
    bench = Bench()
    bench.program(0, 2, 1000)
    bench.at(501)
    bench.timer.write(0, 1, 200)
    bench.timer.write(0, 1, 0)
    bench.at(601)
    assert bench.count() == 400
    assert bench.status() & 0x40  # null count: the new one is not in yet
    bench.at(1051)
    assert bench.count() == 150
    assert not bench.status() & 0x40


def test_latches_hold_until_they_are_read() -> None:
    bench = Bench()
    bench.program(0, 2, 5000)
    bench.at(1001)
    bench.timer.write(CONTROL, 1, 0x00)
    bench.at(2001)
    bench.timer.write(CONTROL, 1, 0x00)  # ignored
    assert bench.timer.read(0, 1) | bench.timer.read(0, 1) << 8 == 4000
    assert bench.timer.read(0, 1) | bench.timer.read(0, 1) << 8 == 3000


def test_read_back_gives_the_status_before_the_count() -> None:
    bench = Bench()
    bench.program(1, 2, 0x1234)
    bench.at(1)
    bench.timer.write(CONTROL, 1, 0xC4)
    assert bench.timer.read(1, 1) == 0x80 | 0x30 | 2 << 1
    assert bench.timer.read(1, 1) == 0x34
    assert bench.timer.read(1, 1) == 0x12


def test_bcd() -> None:
    bench = Bench()
    bench.timer.write(CONTROL, 1, 0x35)
    bench.timer.write(0, 1, 0x00)
    bench.timer.write(0, 1, 0x10)  # 1000
    bench.at(1 + 1)
    assert bench.count() == 0x0999


def test_one_octet_at_a_time() -> None:
    bench = Bench()
    bench.timer.write(CONTROL, 1, 0x14)  # counter 0, low octet only, mode 2
    bench.timer.write(0, 1, 100)
    bench.at(1 + 40)
    assert bench.timer.read(0, 1) == 60
    assert bench.timer.read(0, 1) == 60


def test_a_rate_that_would_flood_the_guest_gives_no_interrupts() -> None:
    bench = Bench()
    bench.program(0, 2, 1)
    assert bench.timer.next_deadline() is None
    assert bench.timer.mistakes == 1


def test_port_61h_gates_and_shows_counter_2() -> None:
    bench = Bench()
    port = SystemPortB(timer=bench.timer, timeline=bench.timeline)
    port.write(0, 1, 0)
    bench.program(2, 0, 1000)
    bench.at(5000)
    assert not port.read(0, 1) & 0x20  # the gate holds it
    port.write(0, 1, 1)
    bench.at(5500)
    assert not port.read(0, 1) & 0x20
    assert bench.count(2) == 500
    bench.at(6001)
    assert port.read(0, 1) & 0x21 == 0x21


def test_a_read_of_port_61h_takes_as_long_as_on_an_isa_bus() -> None:
    """GRUB read it 1.8 million times to wait for 55 ms."""
    bench = Bench()
    passed: list[int] = []
    port = SystemPortB(timer=bench.timer, timeline=bench.timeline, warp=passed.append)
    bench.timeline.now_ns = 5000
    port.read(0, 1)
    port.write(0, 1, 1)
    assert passed == [6000]


def test_the_refresh_bit_toggles() -> None:
    bench = Bench()
    port = SystemPortB(timer=bench.timer, timeline=bench.timeline)
    seen = set()
    for _ in range(4):
        seen.add(port.read(0, 1) & 0x10)
        bench.timeline.now_ns += 15_085
    assert seen == {0, 0x10}


def test_a_hardware_shot_waits_for_its_trigger() -> None:
    bench = Bench()
    port = SystemPortB(timer=bench.timer, timeline=bench.timeline)
    bench.program(2, 1, 100)
    assert bench.status(2) & 0x80
    port.write(0, 1, 1)
    bench.at(50)
    assert not bench.status(2) & 0x80
    bench.at(102)
    assert bench.status(2) & 0x80


@pytest.mark.fuzz
@given(accesses(5))
def test_any_access_is_harmless(operations: list[Access]) -> None:
    bench = Bench()
    exercise(bench.timer, bench.timeline, 4, operations)
    twin = moved(bench.timer, lambda: I8254(irq=Line(), timeline=bench.timeline))
    for offset in (0, 1, 2, 0, 1, 2):
        assert twin.read(offset, 1) == bench.timer.read(offset, 1)
