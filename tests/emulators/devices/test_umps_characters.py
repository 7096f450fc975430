"""uMPS3's printer and terminal at their registers: times, results, the shared interrupt, saved states."""

import pytest
from hypothesis import given

from emulators.devices.umps import printer, terminal
from emulators.devices.umps.printer import Printer
from emulators.devices.umps.terminal import Terminal
from emulators.snapshot import SnapshotError
from tests.emulators.devices.registers import Access, accesses, exercise, moved
from tests.emulators.devices.umps_bench import Bench

STATUS, COMMAND, DATA0, DATA1 = 0, 4, 8, 12
RECV_STATUS, RECV_COMMAND, TRANSM_STATUS, TRANSM_COMMAND = 0, 4, 8, 12


def a_printer(bench: Bench) -> tuple[Printer, bytearray]:
    paper = bytearray()
    return Printer(name="printer0", irq=bench.asked.append, events=bench.events, out=paper.extend), paper


def a_terminal(bench: Bench) -> tuple[Terminal, bytearray]:
    screen = bytearray()
    return Terminal(name="terminal0", irq=bench.asked.append, events=bench.events, out=screen.extend), screen


@pytest.mark.parametrize("scale", [1, 7, 99])
def test_a_printer_prints_in_eight_microseconds(scale: int) -> None:
    bench = Bench(scale)
    device, paper = a_printer(bench)
    assert device.read(STATUS, 4) == 1
    device.write(DATA0, 4, 0x1234_5641)
    device.write(COMMAND, 4, printer.PRINT)
    assert device.read(STATUS, 4) == 3
    assert bench.until_quiet() == 8 * scale
    assert device.read(STATUS, 4) == 1
    assert paper == b"A"
    assert bench.pending
    device.write(COMMAND, 4, 1)
    assert not bench.pending


def test_a_busy_printer_takes_nothing() -> None:
    bench = Bench()
    device, paper = a_printer(bench)
    device.write(DATA0, 4, ord("a"))
    device.write(COMMAND, 4, printer.PRINT)
    device.write(DATA0, 4, ord("b"))
    device.write(COMMAND, 4, 0)
    assert bench.until_quiet() == 8
    assert paper == b"a"
    assert device.read(COMMAND, 4) == printer.PRINT


def test_a_printer_resets_in_forty_microseconds() -> None:
    bench = Bench()
    device, _ = a_printer(bench)
    device.write(COMMAND, 4, 0)
    assert bench.until_quiet() == 40
    assert device.read(STATUS, 4) == 1
    assert bench.pending


def test_an_unknown_command_is_answered_at_once() -> None:
    bench = Bench()
    device, _ = a_printer(bench)
    device.write(COMMAND, 4, 0x102)
    assert device.read(STATUS, 4) == 2
    assert bench.asked == [True]
    assert device.mistakes == 1


def test_a_printer_that_does_not_work() -> None:
    bench = Bench()
    device, paper = a_printer(bench)
    device.working = False
    device.write(COMMAND, 4, printer.PRINT)
    bench.until_quiet()
    assert device.read(STATUS, 4) == printer.PRINT_FAILED
    assert not paper
    device.write(COMMAND, 4, 0)
    bench.until_quiet()
    assert device.read(STATUS, 4) == 1


def test_status_and_data1_of_a_printer_cannot_be_written() -> None:
    bench = Bench()
    device, _ = a_printer(bench)
    device.write(STATUS, 4, 9)
    device.write(DATA1, 4, 9)
    assert (device.read(STATUS, 4), device.read(DATA1, 4)) == (1, 0)


def test_a_terminal_transmits() -> None:
    bench = Bench(2)
    device, screen = a_terminal(bench)
    device.write(TRANSM_COMMAND, 4, ord("x") << 8 | terminal.CHARACTER)
    assert device.read(TRANSM_STATUS, 4) == 3
    assert bench.until_quiet() == 160
    assert device.read(TRANSM_STATUS, 4) == ord("x") << 8 | 5
    assert screen == b"x"
    assert bench.pending


def test_a_terminal_receives_what_waits() -> None:
    bench = Bench()
    device, _ = a_terminal(bench)
    device.receive(b"hi\xff")
    for character in b"hi\xff":
        device.write(RECV_COMMAND, 4, terminal.CHARACTER)
        assert bench.until_quiet() == 80
        assert device.read(RECV_STATUS, 4) == character << 8 | 5
    assert device.ready_octets() == terminal.QUEUE_OCTETS


@pytest.mark.parametrize(("typed_at", "seen_at"), [(0, 80), (79, 80), (80, 80), (81, 160), (801, 880)])
def test_the_receiver_looks_every_eighty_microseconds(typed_at: int, seen_at: int) -> None:
    bench = Bench()
    device, _ = a_terminal(bench)
    device.write(RECV_COMMAND, 4, terminal.CHARACTER)
    assert bench.events.next_deadline() is None
    bench.pass_ticks(typed_at)
    device.receive(b"a")
    bench.until_quiet()
    assert bench.tick == seen_at
    assert device.read(RECV_STATUS, 4) == ord("a") << 8 | 5


def test_an_interrupt_stays_while_the_other_half_has_one() -> None:
    bench = Bench()
    device, _ = a_terminal(bench)
    device.receive(b"a")
    device.write(RECV_COMMAND, 4, terminal.CHARACTER)
    device.write(TRANSM_COMMAND, 4, 0x6100 | terminal.CHARACTER)
    bench.until_quiet()
    device.write(RECV_COMMAND, 4, 1)
    assert bench.pending
    device.write(TRANSM_COMMAND, 4, 1)
    assert not bench.pending


def test_terminal_commands_are_compared_as_the_original_does() -> None:
    bench = Bench()
    device, screen = a_terminal(bench)
    device.write(RECV_COMMAND, 4, 0x4102)  # the whole word counts here
    assert device.read(RECV_STATUS, 4) == 2
    device.write(TRANSM_COMMAND, 4, 0xFFFF_4102)
    bench.until_quiet()
    assert screen == b"A"
    device.write(TRANSM_COMMAND, 4, 0x4100)
    assert bench.until_quiet() == 400


def test_a_terminal_that_does_not_work() -> None:
    bench = Bench()
    device, screen = a_terminal(bench)
    device.working = False
    device.receive(b"a")
    device.write(RECV_COMMAND, 4, terminal.CHARACTER)
    device.write(TRANSM_COMMAND, 4, 0x4102)
    bench.until_quiet()
    assert (device.read(RECV_STATUS, 4), device.read(TRANSM_STATUS, 4)) == (4, 0x4104)
    assert not screen


def test_typing_faster_than_the_guest_reads_is_counted() -> None:
    bench = Bench()
    device, _ = a_terminal(bench)
    device.receive(bytes(terminal.QUEUE_OCTETS + 7))
    assert device.dropped_octets == 7


def test_a_terminal_moves_in_the_middle_of_everything() -> None:
    bench = Bench()
    device, _ = a_terminal(bench)
    device.write(RECV_COMMAND, 4, terminal.CHARACTER)
    device.write(TRANSM_COMMAND, 4, 0x4102)
    bench.pass_ticks(30)
    events = bench.events.state()
    other = Bench()
    other.at(30)
    twin, screen = a_terminal(other)
    moved(device, lambda: twin)
    other.events.from_state(events)
    twin.receive(b"z")
    other.until_quiet()
    assert screen == b"A"
    assert twin.read(RECV_STATUS, 4) == ord("z") << 8 | 5


@pytest.mark.parametrize(
    "change",
    [
        {"registers": [1, 2, 3]},
        {"registers": [1, 2, 3, 1 << 32]},
        {"version": 2},
        {"working": 1},
        {"pending": [True]},
        {"waiting": "text"},
        {"looks": -1},
    ],
)
def test_a_damaged_state_is_refused(change: dict[str, object]) -> None:
    bench = Bench()
    device, _ = a_terminal(bench)
    with pytest.raises(SnapshotError):
        device.from_state({**device.state(), **change})


@pytest.mark.fuzz
@given(accesses(16, widths=(4,)))
def test_any_accesses_to_a_printer(operations: list[Access]) -> None:
    bench = Bench()
    device, _ = a_printer(bench)
    exercise(device, bench.timeline, 16, operations)
    bench.until_quiet()
    moved(device, lambda: a_printer(bench)[0])


@pytest.mark.fuzz
@given(accesses(16, widths=(4,)))
def test_any_accesses_to_a_terminal(operations: list[Access]) -> None:
    bench = Bench()
    device, _ = a_terminal(bench)
    device.receive(b"abc" * 100)
    for _ in range(3):
        exercise(device, bench.timeline, 16, operations)
        bench.pass_ticks(1000)
    moved(device, lambda: a_terminal(bench)[0])
