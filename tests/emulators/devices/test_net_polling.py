"""Cards whose drivers poll: time passes for reads in a loop, and for no others."""

from emulators.device import Timeline
from emulators.devices.net.polling import PASSED_NS, PATIENCE, SPIN_NS, Polling

BUSY = 0x80


class Reader:
    """A driver; the clock jumps as a machine's would."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.passed: list[int] = []
        self.polling = Polling(timeline=self.timeline, warp=self.warp)

    def warp(self, until_ns: int) -> None:
        self.passed.append(until_ns - self.timeline.now_ns)
        self.timeline.now_ns = until_ns

    def read(self, value: int, *, times: int = 1, apart_ns: int = 3000) -> None:
        for _ in range(times):
            self.timeline.now_ns += apart_ns
            assert self.polling.read(value, BUSY) == value


def test_a_loop_of_reads_lets_time_pass() -> None:
    reader = Reader()
    reader.read(0x73, times=PATIENCE - 1)
    assert not reader.passed
    reader.read(0x73, times=100)
    assert reader.passed == [PASSED_NS] * 100


def test_another_value_begins_anew() -> None:
    reader = Reader()
    reader.read(0x73, times=PATIENCE)
    reader.read(0x72)
    reader.read(0x73, times=PATIENCE - 1)
    assert len(reader.passed) == 1


def test_an_interrupt_handler_under_load_is_no_loop() -> None:
    reader = Reader()
    reader.read(BUSY, times=10 * PATIENCE)
    reader.read(0, times=10 * PATIENCE, apart_ns=SPIN_NS + 1)
    assert not reader.passed


def test_its_state() -> None:
    reader, other = Reader(), Reader()
    reader.read(5, times=PATIENCE - 1)
    other.timeline.now_ns = reader.timeline.now_ns
    other.polling.from_state(reader.polling.state())
    other.read(5)
    assert other.passed == [PASSED_NS]
    assert other.polling.state()["reads"] == PATIENCE
