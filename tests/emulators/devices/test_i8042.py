import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.input.i8042 import I8042, QUEUE_OCTETS
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

DATA, STATUS = 0, 4


class Bench:
    def __init__(self) -> None:
        self.line = Line()
        self.events: list[str] = []
        self.a20: list[bool] = []
        self.device = self.make()

    def make(self) -> I8042:
        return I8042(irq=self.line, reset=self.reset, a20=self.a20.append)

    def reset(self) -> None:
        self.events.append("reset")

    def command(self, value: int, *arguments: int) -> bytes:
        self.device.write(STATUS, 1, value)
        for argument in arguments:
            self.device.write(DATA, 1, argument)
        return self.answer()

    def keyboard(self, *values: int) -> bytes:
        for value in values:
            self.device.write(DATA, 1, value)
        return self.answer()

    def answer(self) -> bytes:
        octets = b""
        while self.device.read(STATUS, 1) & 1:
            octets += bytes((self.device.read(DATA, 1),))
        return octets


def test_the_controller_passes_its_tests() -> None:
    bench = Bench()
    assert bench.command(0xAA) == b"\x55"
    assert bench.command(0xAB) == b"\x00"


def test_command_byte() -> None:
    bench = Bench()
    bench.command(0x60, 0x45)
    assert bench.command(0x20) == b"\x45"
    bench.command(0xAD)
    assert bench.command(0x20) == b"\x55"
    bench.command(0xAE)
    assert bench.command(0x20) == b"\x45"


def test_there_is_no_mouse() -> None:
    bench = Bench()
    assert bench.command(0xA9) == b"\x02"
    assert bench.command(0xD3, 0x5A) == b"\x5a"
    assert bench.command(0xD4, 0xFF) == b""


def test_the_keyboard_answers() -> None:
    bench = Bench()
    assert bench.keyboard(0xFF) == b"\xfa\xaa"
    assert bench.keyboard(0xF2) == b"\xfa\xab\x41"
    assert bench.keyboard(0xED, 0x07) == b"\xfa\xfa"
    assert bench.keyboard(0xEE) == b"\xee"
    assert bench.keyboard(0x12) == b"\xfe"


def test_keys_interrupt_while_scanning() -> None:
    bench = Bench()
    bench.device.press(b"\x1e\x9e")
    assert bench.line.level
    assert bench.answer() == b"\x1e\x9e"
    assert not bench.line.level
    bench.keyboard(0xF5)
    bench.device.press(b"\x1e")
    assert bench.answer() == b""


def test_reset_and_a20() -> None:
    bench = Bench()
    bench.command(0xD1, 0x01)
    bench.command(0xD1, 0x03)
    assert bench.a20 == [False, True]
    assert "reset" not in bench.events
    bench.command(0xFE)
    bench.command(0xD1, 0x02)
    assert bench.events.count("reset") == 2


def test_answers_that_nobody_reads_are_bounded() -> None:
    bench = Bench()
    for _ in range(QUEUE_OCTETS):
        bench.device.write(DATA, 1, 0xF2)
    assert len(bench.answer()) == QUEUE_OCTETS
    assert bench.device.mistakes == 3 * QUEUE_OCTETS - QUEUE_OCTETS


@pytest.mark.fuzz
@given(accesses(5))
def test_any_access_is_harmless(operations: list[Access]) -> None:
    bench = Bench()
    exercise(bench.device, Timeline(), 5, operations)
    twin = moved(bench.device, bench.make)
    for _ in range(8):
        assert twin.read(DATA, 1) == bench.device.read(DATA, 1)
