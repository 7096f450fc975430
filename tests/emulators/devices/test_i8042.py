import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.input import keys
from emulators.devices.input.i8042 import ANSWERS, I8042, OCTET_NS
from emulators.devices.input.ps2_keyboard import BUFFER_OCTETS
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved, wait

DATA, STATUS = 0, 4
FULL, FROM_MOUSE = 0x01, 0x20


class Bench:
    def __init__(self, *, mouse: bool = True) -> None:
        self.line, self.mouse_line = Line(), Line()
        self.timeline = Timeline()
        self.events: list[str] = []
        self.a20: list[bool] = []
        self._mouse = mouse
        self.device = self.make()

    def make(self) -> I8042:
        return I8042(
            irq=self.line,
            timeline=self.timeline,
            mouse_irq=self.mouse_line if self._mouse else None,
            reset=lambda: self.events.append("reset"),
            a20=self.a20.append,
        )

    def command(self, value: int, *arguments: int) -> bytes:
        self.device.write(STATUS, 1, value)
        for argument in arguments:
            self.device.write(DATA, 1, argument)
        return self.answer()

    def keyboard(self, *values: int) -> bytes:
        octets = b""
        for value in values:
            self.device.write(DATA, 1, value)
            octets += self.answer()
        return octets

    def mouse(self, *values: int) -> bytes:
        return b"".join(self.command(0xD4, value) for value in values)

    def answer(self) -> bytes:
        octets = b""
        for _ in range(200):
            wait(self.device, self.timeline, self.timeline.now_ns + 3 * OCTET_NS)
            if not self.device.read(STATUS, 1) & FULL:
                return octets
            octets += bytes((self.device.read(DATA, 1),))
        raise AssertionError("it never ends")


def test_the_controller_passes_its_tests() -> None:
    bench = Bench()
    assert bench.command(0xAA) == b"\x55"
    assert bench.command(0xAB) == b"\x00"
    assert bench.command(0xA9) == b"\x00"
    assert bench.command(0xA4) == b"\xf1"


def test_command_byte_and_memory() -> None:
    bench = Bench()
    bench.command(0x60, 0x45)
    assert bench.command(0x20) == b"\x45"
    bench.command(0xAD)
    assert bench.command(0x20) == b"\x55"
    bench.command(0xAE)
    assert bench.command(0x20) == b"\x45"
    bench.command(0xA7)
    assert bench.command(0x20) == b"\x65"
    bench.command(0x75, 0x99)
    assert bench.command(0x35) == b"\x99"


def test_without_an_auxiliary_port() -> None:
    bench = Bench(mouse=False)
    assert bench.command(0xA9) == b"\x02"
    assert bench.command(0xD3, 0x5A) == b"\x5a"
    assert bench.command(0xD4, 0xFF) == b""


def test_loopback_of_the_auxiliary_port_interrupts() -> None:
    """Linux' i8042 driver looks for the interrupt in this way."""
    bench = Bench()
    bench.command(0x60, 0x03)
    bench.device.write(STATUS, 1, 0xD3)
    bench.device.write(DATA, 1, 0xA5)
    assert bench.mouse_line.level
    assert not bench.line.level
    assert bench.device.read(STATUS, 1) & (FULL | FROM_MOUSE) == FULL | FROM_MOUSE
    assert bench.device.read(DATA, 1) == 0xA5
    assert not bench.mouse_line.level


def test_the_keyboard_answers() -> None:
    bench = Bench()
    assert bench.keyboard(0xFF) == b"\xfa\xaa"
    assert bench.keyboard(0xF2) == b"\xfa\xab\x41"  # the identity too is translated
    assert bench.keyboard(0xED, 0x07) == b"\xfa\xfa"
    assert bench.device.keyboard.lights == 7
    assert bench.keyboard(0xF3, 0x20) == b"\xfa\xfa"
    assert bench.keyboard(0xEE) == b"\xee"
    assert bench.keyboard(0x12) == b"\xfe"
    bench.command(0x60, 0x05)
    assert bench.keyboard(0xF2) == b"\xfa\xab\x83"


def test_keys_by_set_and_translation() -> None:
    bench = Bench()
    for down in (True, False):
        bench.device.press("a", down)
        bench.device.press("delete", down)
    assert bench.answer() == bytes.fromhex("1e e053 9e e0d3")
    bench.command(0x60, 0x05)
    for down in (True, False):
        bench.device.press("a", down)
        bench.device.press("delete", down)
    assert bench.answer() == bytes.fromhex("1c e071 f01c e0f071")
    assert bench.keyboard(0xF0, 0x01, 0xF0, 0x00) == b"\xfa\xfa\xfa\xfa\x01"
    bench.device.press("a", True)
    bench.device.press("a", False)
    assert bench.answer() == b"\x1e\x9e"
    assert bench.keyboard(0xF0, 0x03) == b"\xfa\xfe"


@given(st.sampled_from(sorted(keys.NAMES)), st.booleans())
def test_the_controller_makes_set_1_of_set_2(name: str, down: bool) -> None:
    released, octets = False, bytearray()
    for octet in keys.scan_codes(name, down=down, scan_set=2):
        if octet == keys.RELEASED_2:
            released = True
        else:
            octets.append(keys.TRANSLATION[octet] | (0x80 if released else 0))
            released = False
    assert bytes(octets) == keys.scan_codes(name, down=down, scan_set=1)


def test_every_character_of_the_us_layout_has_keys() -> None:
    assert set(map(chr, range(0x20, 0x7F))) <= set(keys.US)
    assert all(name in keys.NAMES for chord in keys.US.values() for name in chord)
    assert keys.chord("Ctrl-Alt-Delete") == ("ctrl", "alt", "delete")
    for wrong in ("", "ctrl-", "hyper-x", "a-b-c-d-e-f-g"):
        with pytest.raises(ValueError, match="key"):
            keys.chord(wrong)


def test_an_octet_takes_its_time_and_interrupts() -> None:
    bench = Bench()
    bench.device.press("a", True)
    assert not bench.line.level
    assert bench.device.next_deadline() == OCTET_NS
    wait(bench.device, bench.timeline, OCTET_NS)
    assert bench.line.level
    assert bench.device.read(DATA, 1) == 0x1E
    assert not bench.line.level
    assert bench.device.next_deadline() is None


def test_each_octet_is_an_edge() -> None:
    """An edge-triggered controller loses the second of two octets whose levels run together."""
    bench = Bench()
    bench.keyboard(0xF2)
    assert bench.line.rises == 3


def test_a_disabled_keyboard_keeps_what_it_has() -> None:
    bench = Bench()
    bench.command(0xAD)
    bench.device.press("a", True)
    assert bench.answer() == b""
    bench.command(0xAE)
    bench.device.press("a", False)
    bench.keyboard(0xF5)
    bench.device.press("b", True)
    assert bench.answer() == b""


def test_keys_that_nobody_reads_overrun_once() -> None:
    bench = Bench()
    for _ in range(BUFFER_OCTETS):
        bench.device.press("delete", False)
    octets = bench.answer()
    assert octets.count(0xFF) == 1  # set 2's 00, translated
    assert bench.device.mistakes
    assert bench.device.keyboard.ready() > 0


def test_reset_and_a20() -> None:
    bench = Bench()
    bench.command(0xD1, 0x01)
    bench.command(0xD1, 0x03)
    bench.command(0xDD)
    bench.command(0xDF)
    assert bench.a20 == [False, True, False, True]
    assert "reset" not in bench.events
    bench.command(0xFE)
    bench.command(0xD1, 0x02)
    assert bench.events.count("reset") == 2


def test_a_mouse_with_a_wheel() -> None:
    """What Linux' psmouse and Windows do to find the wheel."""
    bench = Bench()
    bench.command(0x60, 0x03)
    assert bench.mouse(0xFF) == b"\xfa\xaa\x00"
    assert bench.mouse(0xF2) == b"\xfa\x00"
    assert bench.mouse(0xF3, 200, 0xF3, 100, 0xF3, 80) == b"\xfa" * 6
    assert bench.mouse(0xF2) == b"\xfa\x03"
    assert bench.mouse(0xE8, 3, 0xF3, 100, 0xF4) == b"\xfa" * 5
    bench.device.move(5, -3, 1, 0b001)
    assert bench.answer() == bytes((0x08 | 0x20 | 1, 5, 0xFD, 0xFF))
    bench.device.move(300, 0, 0, 0)
    assert bench.answer() == bytes((0x08, 255, 0, 0, 0x08, 45, 0, 0))
    assert bench.mouse(0xE9) == bytes((0xFA, 0x20, 3, 100))
    assert bench.mouse_line.rises > 20
    assert bench.line.rises == 0


def test_a_mouse_in_remote_mode_is_asked() -> None:
    bench = Bench()
    assert bench.mouse(0xF0) == b"\xfa"
    bench.device.move(-1, 2, 0, 0b100)
    assert bench.answer() == b""
    assert bench.mouse(0xEB) == bytes((0xFA, 0x08 | 0x10 | 4, 0xFF, 2))
    assert bench.mouse(0xEE, 0x55, 0xEC) == b"\xfa\x55\xfa"


def test_answers_that_nobody_reads_are_bounded() -> None:
    bench = Bench()
    for _ in range(1000):
        bench.device.write(STATUS, 1, 0x20)
        bench.device.write(STATUS, 1, 0xD4)
        bench.device.write(DATA, 1, 0xF2)
        bench.device.write(DATA, 1, 0xF2)
    assert len(bench.answer()) <= 1 + ANSWERS + 2 * 16
    assert bench.device.mistakes > 900


@pytest.mark.fuzz
@given(accesses(5), st.lists(st.sampled_from(sorted(keys.NAMES)), max_size=20))
def test_any_access_is_harmless(operations: list[Access], names: list[str]) -> None:
    bench = Bench()
    for name in names:
        bench.device.press(name, True)
        bench.device.move(len(name), -7, 1, len(name))
    exercise(bench.device, bench.timeline, 5, operations)
    twin = moved(bench.device, bench.make)
    for _ in range(8):
        assert twin.read(DATA, 1) == bench.device.read(DATA, 1)
