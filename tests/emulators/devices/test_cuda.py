"""CUDA behind its 6522: packets as Linux' and OpenBIOS' drivers exchange them, timers, the desktop bus."""

from collections.abc import Callable

import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.input.adb import MOST_KEYS, AdbKeyboard, AdbMouse
from emulators.devices.macio.cuda import SECONDS_1904, Cuda
from emulators.devices.macio.via6522 import ACR, DDRB, IER, IFR, ORB, SR, T1CH, T1CL, T1LH, T1LL, T2CH, T2CL
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved, wait

TREQ, TACK, TIP = 0x08, 0x10, 0x20
START = 1_000_000_000
MS = 1_000_000


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.line = Line()
        self.ended: list[str] = []
        self.warps: list[int] = []
        self.keyboard, self.mouse = AdbKeyboard(), AdbMouse()
        self.cuda = self.make(self.keyboard, self.mouse)

    def make(self, keyboard: AdbKeyboard | None = None, mouse: AdbMouse | None = None) -> Cuda:
        return Cuda(
            irq=self.line,
            timeline=self.timeline,
            start_s=START,
            devices=(keyboard or AdbKeyboard(), mouse or AdbMouse()),
            power_off=lambda: self.ended.append("off"),
            reset=lambda: self.ended.append("reset"),
            warp=self.warps.append,
        )

    def get(self, register: int) -> int:
        return self.cuda.read(register, 1)

    def put(self, register: int, value: int) -> None:
        self.cuda.write(register, 1, value)

    def flag(self) -> None:
        """Wait for the shift register's flag, and clear it."""
        deadline = self.cuda.next_deadline()
        assert deadline is not None
        wait(self.cuda, self.timeline, max(deadline, self.timeline.now_ns))
        assert self.get(IFR) & 0x04
        self.put(IFR, 0x04)

    def toggle(self, signal: int) -> None:
        self.put(ORB, self.get(ORB) ^ signal)

    def say(self, packet: bytes) -> None:
        assert self.get(ORB) & TREQ
        self.put(ACR, self.get(ACR) | 0x10)
        self.put(SR, packet[0])
        self.toggle(TIP)
        for octet in packet[1:]:
            self.flag()
            self.put(SR, octet)
            self.toggle(TACK)
        self.flag()
        self.put(ACR, self.get(ACR) & ~0x10)
        self.get(SR)
        self.put(ORB, self.get(ORB) | TIP | TACK)
        self.flag()

    def hear(self) -> bytes:
        assert not self.get(ORB) & TREQ
        self.get(SR)
        self.toggle(TIP)
        packet = bytearray()
        for _ in range(200):
            self.flag()
            packet.append(self.get(SR))
            if self.get(ORB) & TREQ:
                break
            self.toggle(TACK)
        self.put(ORB, self.get(ORB) | TIP | TACK)
        self.flag()
        self.get(SR)
        return bytes(packet)

    def ask(self, *packet: int) -> bytes:
        self.say(bytes(packet))
        return self.hear()


def test_synchronisation() -> None:
    bench = Bench()
    bench.put(DDRB, TIP | TACK)
    bench.toggle(TACK)
    assert not bench.get(ORB) & TREQ
    bench.flag()
    bench.toggle(TACK)
    assert bench.get(ORB) & TREQ
    bench.flag()


def test_the_clock() -> None:
    bench = Bench()
    bench.timeline.now_ns = 5_500_000_000
    assert bench.ask(1, 3) == b"\x01\x00\x03" + (START + SECONDS_1904 + 5).to_bytes(4, "big")
    assert bench.ask(1, 9, 0xB0, 0, 0, 0) == b"\x01\x00\x09"
    assert bench.ask(1, 3)[3:] == b"\xb0\x00\x00\x00"


@pytest.mark.parametrize(("command", "end"), [(0x0A, "off"), (0x11, "reset")])
def test_power(command: int, end: str) -> None:
    bench = Bench()
    bench.say(bytes((1, command)))
    assert bench.ended == [end]


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        (b"\x01\x7f", b"\x02\x02\x01\x7f"),  # no such command
        (b"\x01\x09\x00", b"\x02\x05\x01\x09"),  # too short
        (b"\x05\x00", b"\x02\x02\x05\x00"),  # no such packet
        (b"\x01\x13\x01", b"\x01\x00\x13"),  # understood, and that is all
        (b"\x01\x22\x8a\x01", b"\x02\x05\x01\x22"),  # no I2C
        (b"\x01\x16", b"\x01\x00\x16\x0b"),
        (b"\x00\x5c", b"\x00\x02\x5c"),  # nobody at address 5
        (b"\x00\x2f", b"\x00\x00\x2f\x62\x02"),  # the keyboard's register 3
        (b"\x00\x3f", b"\x00\x00\x3f\x63\x01"),  # the mouse's
        (b"\x00\x2c", b"\x00\x02\x2c"),  # no key
    ],
)
def test_packets(packet: bytes, answer: bytes) -> None:
    assert Bench().ask(*packet) == answer


def test_parameter_memory() -> None:
    bench = Bench()
    assert bench.ask(1, 0x0C, 0, 0x10, 1, 2, 3) == b"\x01\x00\x0c"
    assert bench.ask(1, 0x07, 0, 0x10)[3:7] == b"\x01\x02\x03\x00"
    assert bench.ask(1, 0x02, 1, 0x11)[3:5] == b"\x02\x03"  # the 6805's address of the same
    assert bench.ask(1, 0x07, 0x10, 0)[0] == 2


def test_a_bus_scan_moves_devices_away_and_finds_them_again() -> None:
    bench = Bench()
    assert bench.ask(0, 0x2B, 0x08, 0xFE) == b"\x00\x00\x2b"  # listen to register 3: move to address 8
    assert bench.ask(0, 0x2F) == b"\x00\x02\x2f"
    assert bench.ask(0, 0x8F) == b"\x00\x00\x8f\x68\x02"
    bench.ask(0, 0x00)  # reset
    assert bench.ask(0, 0x2F) == b"\x00\x00\x2f\x62\x02"


def test_keys_and_lights() -> None:
    bench = Bench()
    for name, down in (("a", True), ("a", False), ("shift", True)):
        bench.keyboard.press(name, down)
    assert bench.ask(0, 0x2C) == b"\x00\x00\x2c\x00\x80"
    assert bench.ask(0, 0x2C) == b"\x00\x00\x2c\x38\xff"
    assert bench.ask(0, 0x2E)[3:] == (0xFFFF & ~0x0400).to_bytes(2, "big")
    bench.ask(0, 0x2A, 0xFF, 0xFE)
    assert bench.keyboard.lights == 6


def test_autopolling_brings_keys_and_movements() -> None:
    bench = Bench()
    bench.ask(1, 1, 1)
    bench.keyboard.press("enter", True)
    bench.mouse.move(3, 2, buttons=1)
    packets = []
    for _ in range(2):
        while bench.get(ORB) & TREQ:
            deadline = bench.cuda.next_deadline()
            assert deadline is not None
            wait(bench.cuda, bench.timeline, deadline)
        bench.flag()
        packets.append(bench.hear())
    assert sorted(packets) == [b"\x00\x40\x2c\x24\xff", b"\x00\x40\x3c\x7e\x83"]
    bench.ask(1, 1, 0)
    bench.keyboard.press("enter", False)
    wait(bench.cuda, bench.timeline, bench.timeline.now_ns + 100 * MS)
    assert bench.get(ORB) & TREQ  # nobody polls


def test_three_buttons_with_handler_4() -> None:
    bench = Bench()
    bench.ask(0, 0x3B, 0x03, 0x04)
    assert bench.ask(0, 0x3D)[3:] == AdbMouse.IDENTITY
    bench.mouse.move(-100, 0, buttons=0b110)
    first = bench.ask(0, 0x3C)[3:]
    assert first == bytes((0x80, 0x40, 0x0F))  # up; -64 with the right button; the middle one
    second = bench.ask(0, 0x3C)[3:]
    assert second[1] & 0x7F == -36 & 0x7F


def test_interrupts_need_their_enable() -> None:
    bench = Bench()
    bench.put(ACR, 0x10)
    bench.toggle(TIP)
    wait(bench.cuda, bench.timeline, MS)
    assert not bench.line.level
    bench.put(IER, 0x84)
    assert bench.line.level
    assert bench.get(IFR) == 0x84
    bench.get(SR)
    assert not bench.line.level


def test_timer_1_free_running_has_a_period_of_its_latch_and_two() -> None:
    bench = Bench()
    bench.put(ACR, 0x40)
    bench.put(T1CL, 0x02)
    bench.put(T1CH, 0)
    bench.put(T1LL, 0x0F)
    bench.put(T1LH, 0x27)  # 9999
    times = []
    for _ in range(3):
        while not bench.get(IFR) & 0x40:
            wait(bench.cuda, bench.timeline, bench.warps[-1])
        times.append(bench.timeline.now_ns)
        bench.get(T1CL)
    period = 10001 * 6 / 4.7e6 * 1e9
    assert abs(times[2] - times[1] - period) <= 2
    assert bench.warps  # who polls is brought there


def test_timers_count_down() -> None:
    bench = Bench()
    bench.put(T2CL, 0xE8)
    bench.put(T2CH, 0x03)
    wait(bench.cuda, bench.timeline, 600 * 6 * 10**9 // 4_700_000 + 1)
    assert bench.get(T2CL) | bench.get(T2CH) << 8 == 400
    assert not bench.get(IFR) & 0x20
    wait(bench.cuda, bench.timeline, 2 * MS)
    assert bench.get(IFR) & 0x20
    assert bench.get(T2CH) == 0xFD  # on through zero


def test_a_clock_that_ran_for_a_year_is_caught_up_at_once() -> None:
    bench = Bench()
    bench.put(ACR, 0x40)
    bench.put(T1CL, 0)
    bench.put(T1CH, 0)
    bench.timeline.now_ns = 10**17
    bench.cuda.handle_timer(bench.timeline.now_ns)
    deadline = bench.cuda.next_deadline()
    assert deadline is not None
    assert 10**17 < deadline < 10**17 + 10_000


def test_keys_that_nobody_reads_are_bounded() -> None:
    keyboard = AdbKeyboard()
    for _ in range(MOST_KEYS + 3):
        keyboard.press("a", True)
    keyboard.press("no such key", True)
    assert keyboard.dropped_keys == 4
    assert keyboard.ready() == 0


@pytest.mark.fuzz
@given(accesses(16))
def test_any_access_is_harmless(operations: list[Access]) -> None:
    bench = Bench()
    bench.keyboard.press("a", True)
    exercise(bench.cuda, bench.timeline, 16, operations)
    fresh: Callable[[], Cuda] = bench.make
    twin = moved(bench.cuda, fresh)
    for register in (0, 4, 5, 8, 9, 10, 13, 14):
        assert twin.read(register, 1) == bench.get(register)


@pytest.mark.fuzz
@given(accesses(2, widths=(1,)))
def test_any_packet_is_answered(operations: list[Access]) -> None:
    bench = Bench()
    packet = bytes(value & 0xFF for _, _, _, value in operations)[:100]
    if packet:
        answer = bench.ask(*packet)
        assert answer[0] in (0, 1, 2)
