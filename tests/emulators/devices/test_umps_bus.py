"""uMPS3's bus registers, interrupt routing, machine control, interval timer and event queue."""

import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.umps import events
from emulators.devices.umps.bus_registers import OCTETS, BusRegisters
from emulators.devices.umps.events import Clock, EventQueue
from emulators.devices.umps.interrupt_routing import DYNAMIC, InterruptRouting
from emulators.devices.umps.interval import IntervalTimer
from emulators.devices.umps.machine_control import MachineControl
from emulators.devices.umps.printer import Printer
from emulators.snapshot import SnapshotError
from tests.emulators.devices.registers import Access, accesses, exercise, moved
from tests.emulators.devices.umps_bench import Bench

CONSTANTS = {0x00: 0x2000_0000, 0x04: 0x4_0000, 0x28: 0x8000_0000}
PRINTER3 = 0x54 + ((6 - 3) * 8 + 3) * 16


class Board:
    """Some processors, one printer (line 6, unit 3), everything else of the bus."""

    def __init__(self, processors: int = 1, scale: int = 1) -> None:
        self.bench = Bench(scale)
        self.lines: dict[tuple[int, int], bool] = {}
        self.done: list[tuple[object, ...]] = []
        self.current = 0
        queue = self.bench.events
        self.routing = InterruptRouting(
            processors=processors, drive=self.drive, current=lambda: self.current, events=queue
        )
        self.control = MachineControl(
            processors=processors,
            reset=lambda *numbers: self.done.append(("reset", *numbers)),
            halt=lambda *numbers: self.done.append(("halt", *numbers)),
            power_off=lambda: self.done.append(("off",)),
            events=queue,
        )
        self.timer = IntervalTimer(irq=self.routing.input(2), clock=self.bench.clock)
        self.paper = bytearray()
        self.printer = Printer(name="printer3", irq=self.routing.input(6, 3), events=queue, out=self.paper.extend)
        self.bus = BusRegisters(
            constants=CONSTANTS,
            clock=self.bench.clock,
            timer=self.timer,
            interrupts=self.routing,
            machine=self.control,
            units={(6, 3): self.printer},
        )

    def drive(self, processor: int, line: int, level: bool) -> None:
        self.lines[processor, line] = level

    def asserted(self, processor: int = 0) -> set[int]:
        return {line for (which, line), level in self.lines.items() if which == processor and level}

    def get(self, offset: int, processor: int = 0, size: int = 4) -> int:
        self.current = processor
        return self.bus.read(offset, size)

    def put(self, offset: int, value: int, processor: int = 0, size: int = 4) -> None:
        self.current = processor
        self.bus.write(offset, size, value)


def test_constants_clock_and_installed_devices() -> None:
    board = Board(scale=5)
    board.bench.at((7 << 32) + 8)
    assert [board.get(offset) for offset in (0, 4, 0x28, 0x24)] == [0x2000_0000, 0x4_0000, 0x8000_0000, 5]
    assert (board.get(0x18), board.get(0x1C)) == (7, 9)
    assert [board.get(0x2C + 4 * line) for line in range(5)] == [0, 0, 0, 8, 0]


def test_what_is_not_there_reads_zero_and_ignores_writes() -> None:
    board = Board()
    for offset in (0x54, 0x2D4, 0x2FC, 0x3C0, 0x3FC, 0x414, 0x4FC, 0x510, 0x514):
        board.put(offset, 0xFFFF_FFFF)
        assert board.get(offset) == 0


def test_parts_of_words() -> None:
    board = Board()
    assert board.get(0x00 + 3, size=1) == 0x20
    assert board.get(0x28 + 2, size=2) == 0x8000
    board.put(PRINTER3 + 8, 0x4142)
    board.put(PRINTER3 + 8, 0x43, size=1)
    assert board.get(PRINTER3 + 8) == 0x4143
    board.put(PRINTER3 + 8 + 2, 0x1234, size=2)
    assert board.get(PRINTER3 + 8) == 0x1234_4143
    board.put(PRINTER3 + 4, 2, size=1)
    board.bench.until_quiet()
    assert board.paper == b"C"


def test_a_device_interrupts_processor_0_until_it_is_acknowledged() -> None:
    board = Board(2)
    board.put(PRINTER3 + 4, 2)
    board.bench.until_quiet()
    assert (board.asserted(0), board.asserted(1)) == ({6}, set())
    assert (board.get(0x40 + 3 * 4, 0), board.get(0x40 + 3 * 4, 1)) == (8, 0)
    board.put(PRINTER3 + 4, 1)
    assert board.asserted() == set()
    assert board.get(0x40 + 3 * 4) == 0


def test_a_line_stays_while_any_of_its_devices_interrupts() -> None:
    board = Board()
    first, second = board.routing.input(7, 0), board.routing.input(7, 5)
    first(True)
    second(True)
    assert board.get(0x40 + 4 * 4) == 0x21
    first(False)
    assert board.asserted() == {7}
    second(False)
    assert board.asserted() == set()
    second(False)  # spurious


def test_fixed_routes() -> None:
    board = Board(3)
    entry = 0x300 + 4 * ((6 - 2) * 8 + 3)
    board.put(entry, 0xFFFF_0002)
    assert board.get(entry) == DYNAMIC | 2
    board.put(entry, 2)
    board.put(PRINTER3 + 4, 2)
    board.bench.until_quiet()
    assert board.asserted(2) == {6}
    board.put(entry, 1)  # what is pending stays where it is
    board.put(PRINTER3 + 4, 1)
    assert board.asserted(2) == set()
    board.put(entry, 9)
    board.put(PRINTER3 + 4, 2)
    board.bench.until_quiet()
    assert not any(board.lines.values())
    assert board.routing.lost == 1


def test_dynamic_routes_take_turns_and_follow_the_priority() -> None:
    board = Board(4)
    entry = 0x300 + 4 * ((6 - 2) * 8 + 3)
    board.put(entry, DYNAMIC | 0b1110)
    interrupt = board.routing.input(6, 3)

    def winner() -> int:
        interrupt(True)
        (who,) = (processor for processor in range(4) if board.asserted(processor))
        interrupt(False)
        return who

    assert [winner() for _ in range(4)] == [1, 2, 3, 1]
    board.put(0x408, 0xF5, processor=3)
    assert board.get(0x408, processor=3) == 5
    assert [winner() for _ in range(2)] == [3, 3]
    board.put(entry, DYNAMIC)
    interrupt(True)
    assert not any(board.lines.values())


def test_messages_between_processors() -> None:
    board = Board(3)
    board.put(0x404, 0b110 << 8 | 0x42, processor=0)
    assert board.bench.until_quiet() == 20
    assert (board.asserted(0), board.asserted(1), board.asserted(2)) == (set(), {0}, {0})
    board.put(0x404, 0b010 << 8 | 0x43, processor=0)  # one of every sender is kept
    board.put(0x404, 0b010 << 8 | 0x44, processor=2)
    board.bench.until_quiet()
    assert board.get(0x400, 1) == 0x42
    board.put(0x400, 0, 1)
    assert board.get(0x400, 1) == 2 << 8 | 0x44
    assert board.asserted(1) == {0}
    board.put(0x400, 0, 1)
    assert board.asserted(1) == set()
    assert board.get(0x400, 1) == 0
    board.put(0x400, 0, 1)


def test_the_words_of_the_bios_are_every_processors_own() -> None:
    board = Board(2)
    board.put(0x40C, 11, 0)
    board.put(0x410, 12, 0)
    board.put(0x40C, 21, 1)
    assert [board.get(0x40C, 0), board.get(0x410, 0), board.get(0x40C, 1), board.get(0x410, 1)] == [11, 12, 21, 0]


def test_processors_are_started_and_halted_and_the_power_is_switched_off() -> None:
    board = Board(4, scale=2)
    assert [board.get(offset) for offset in (0x500, 0x508, 0x50C)] == [4, 0x1FC0_0000, 0]
    board.put(0x508, 0x100)
    board.put(0x50C, 0x2000_8000)
    board.put(0x504, 0xFFF3)
    board.put(0x508, 0x200)
    assert board.bench.until_quiet() == 100
    board.put(0x504, 4)
    board.put(0x510, 15)
    board.put(0x514, 0xFE)
    assert board.bench.until_quiet() == 0
    board.put(0x510, 3)
    board.put(0x514, 0xFF)
    assert board.bench.until_quiet() == 2000
    assert board.done == [("reset", 3, 0x100, 0x2000_8000), ("halt", 3), ("off",)]


def test_the_interval_timer_interrupts_when_it_passes_zero() -> None:
    board = Board()
    timer, bench = board.timer, board.bench
    assert board.get(0x20) == 0xFFFF_FFFF - 1  # the first instruction sees it one tick on
    board.put(0x20, 10)
    assert board.get(0x20) == 10
    bench.at(4)
    assert board.get(0x20) == 6
    assert timer.next_deadline() == 11_000  # the eleventh tick: past zero
    bench.at(11)
    timer.handle_timer(11_000)
    assert board.asserted() == {2}
    assert board.get(0x20) == 0xFFFF_FFFF
    assert timer.next_deadline() == (11 + (1 << 32)) * 1000
    board.put(0x20, 0)
    assert board.asserted() == set()
    moved(timer, lambda: IntervalTimer(irq=lambda level: None, clock=bench.clock))


@pytest.mark.parametrize("scale", range(1, 100))
def test_ticks_and_nanoseconds_agree(scale: int) -> None:
    timeline = Timeline()
    clock = Clock(timeline, scale)
    for tick in (0, 1, 2, 3, 97, 12_345, 10**9 + 7, 10**12 + 13):
        timeline.now_ns = tick * 10**9 // (scale * 10**6)  # as the machine sets it
        assert clock.tod == tick + 1
        # as the machine takes a deadline
        assert -(-clock.ns(tick + 1) * (scale * 10**6) // 10**9) == tick


def test_events_of_one_time_happen_in_the_order_of_their_asking() -> None:
    bench = Bench()
    happened: list[tuple[str, int]] = []
    first = bench.events.register("first", lambda number: happened.append(("first", number)))
    second = bench.events.register("second", lambda number: happened.append(("second", number)))
    second(5, 1)
    first(5, 2)
    first(4, 3)
    second(5, 4)
    bench.until_quiet()
    assert happened == [("first", 3), ("second", 1), ("first", 2), ("second", 4)]


def test_too_many_events_are_lost() -> None:
    bench = Bench()
    ask = bench.events.register("one", lambda: None)
    for _ in range(events.MOST_EVENTS + 3):
        ask(1)
    assert bench.events.lost == 3


@pytest.mark.parametrize(
    "queue",
    [[[1, 1, "nobody"]], [[1, 1]], ["text"], [[1, "one", 1]], [[-1, 1, "one"]], [[1, 1, "one", 1, 2, 3, 4, 5]]],
)
def test_damaged_queues_are_refused(queue: list[object]) -> None:
    bench = Bench()
    bench.events.register("one", lambda: None)
    with pytest.raises(SnapshotError):
        bench.events.from_state({"version": 1, "serial": 1, "queue": queue})


@pytest.mark.fuzz
@given(accesses(OCTETS))
def test_any_accesses_to_the_bus(operations: list[Access]) -> None:
    board = Board(3)
    for number, operation in enumerate(operations):
        board.current = number % 3
        exercise(board.bus, board.bench.timeline, OCTETS, [operation])
        board.bench.pass_ticks(number)
    fresh = Board(3)
    moved(board.routing, lambda: fresh.routing)
    moved(board.control, lambda: fresh.control)
    moved(board.bus, lambda: fresh.bus)
    fresh.bench.timeline.now_ns = board.bench.timeline.now_ns
    queue: EventQueue = fresh.bench.events
    moved(board.bench.events, lambda: queue)


@pytest.mark.parametrize(
    "change",
    [
        {"targets": [5]},
        {"routes": [0]},
        {"interfaces": []},
        {"arbiter": 3},
        {"interfaces": [{"devices": [0] * 5, "asserted": 0, "inbox": [[9, 9]], "priority": 0, "bios": [0, 0]}]},
    ],
)
def test_a_damaged_state_of_the_routing_is_refused(change: dict[str, object]) -> None:
    board = Board()
    with pytest.raises(SnapshotError):
        board.routing.from_state({**board.routing.state(), **change})
