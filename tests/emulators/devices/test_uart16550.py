import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.serial.uart16550 import QUEUE_OCTETS, Uart16550
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved, wait

RBR = THR = 0
IER, IIR, FCR, LCR, MCR, LSR, MSR, SCR = 1, 2, 2, 3, 4, 5, 6, 7


class Bench:
    def __init__(self, *, gated: bool = False, paced: bool = False) -> None:
        self.timeline = Timeline()
        self.line = Line()
        self.out = bytearray()
        self.gated, self.paced = gated, paced
        self.uart = self.make()

    def make(self) -> Uart16550:
        return Uart16550(irq=self.line, out=self.out.extend, timeline=self.timeline, gated=self.gated, paced=self.paced)

    def get(self, register: int) -> int:
        return self.uart.read(register, 1)

    def put(self, register: int, value: int) -> None:
        self.uart.write(register, 1, value)

    def speed(self, divisor: int) -> None:
        self.put(LCR, 0x83)
        self.put(0, divisor & 0xFF)
        self.put(1, divisor >> 8)
        self.put(LCR, 0x03)


def test_octets_go_out_and_the_transmitter_is_empty_again() -> None:
    bench = Bench()
    for octet in b"hello":
        assert bench.get(LSR) == 0x60
        bench.put(THR, octet)
    assert bench.out == b"hello"


def test_octets_come_in_one_by_one_without_fifo() -> None:
    bench = Bench()
    bench.uart.receive(b"ab")
    assert bench.get(LSR) & 0x03 == 0x01
    assert bench.get(RBR) == ord("a")
    assert bench.get(LSR) & 0x03 == 0x01
    assert bench.get(RBR) == ord("b")
    assert not bench.get(LSR) & 0x01
    assert bench.get(RBR) == 0


def test_interrupts_by_trigger_level_then_by_timeout() -> None:
    bench = Bench()
    bench.put(FCR, 0x41)  # FIFOs on, trigger at 4
    bench.put(IER, 0x01)
    bench.uart.receive(b"abcde")
    assert bench.line.level
    assert bench.get(IIR) == 0xC4
    bench.get(RBR)
    bench.get(RBR)
    assert bench.get(IIR) == 0xC1  # three left, and something was read just now
    assert not bench.line.level
    bench.uart.receive(b"")
    bench.uart.receive(b"f")
    assert bench.get(IIR) == 0xC4


def test_a_lone_octet_is_a_timeout_interrupt() -> None:
    bench = Bench()
    bench.put(FCR, 0x81)
    bench.put(IER, 0x01)
    bench.uart.receive(b"x")
    assert bench.get(IIR) == 0xCC
    bench.get(RBR)
    assert bench.get(IIR) == 0xC1


def test_nothing_is_left_lying_below_the_trigger_level() -> None:
    bench = Bench()
    bench.put(FCR, 0xC1)  # trigger at 14
    bench.put(IER, 0x01)
    text = bytes(range(100))
    bench.uart.receive(text)
    seen = b""
    while bench.line.level:
        assert bench.get(IIR) & 0x0F in (0x04, 0x0C)
        while bench.get(LSR) & 1:
            seen += bytes((bench.get(RBR),))
    assert seen == text


def test_the_transmit_interrupt_comes_when_enabled_and_goes_when_read() -> None:
    bench = Bench()
    bench.put(IER, 0x02)
    assert bench.line.level
    assert bench.get(IIR) == 0x02
    assert not bench.line.level
    assert bench.get(IIR) == 0x01
    bench.put(THR, 0x41)
    assert bench.line.level


def test_priorities() -> None:
    bench = Bench()
    bench.put(IER, 0x0F)
    bench.put(MCR, 0x10)  # loopback: all modem lines fall
    bench.put(THR, 0x41)
    bench.uart.receive_break()
    order = []
    for _ in range(4):
        cause = bench.get(IIR) & 0x0F
        order.append(cause)
        if cause == 0x04:
            bench.get(RBR)
        elif cause == 0x06:
            bench.get(LSR)
            bench.get(RBR)
        elif cause == 0x00:
            bench.get(MSR)
    assert order == [0x04, 0x06, 0x02, 0x00]
    assert not bench.line.level


def test_a_break_is_a_zero_with_a_mark() -> None:
    bench = Bench()
    bench.put(FCR, 0x01)
    bench.uart.receive(b"a")
    bench.uart.receive_break()
    assert bench.get(LSR) & 0x91 == 0x81  # somewhere in the FIFO
    assert bench.get(RBR) == ord("a")
    assert bench.get(LSR) & 0x11 == 0x11
    assert bench.get(RBR) == 0
    assert not bench.get(LSR) & 0x90


def test_loopback() -> None:
    bench = Bench()
    bench.put(MCR, 0x1F)
    assert bench.get(MSR) & 0xF0 == 0xF0
    bench.put(THR, 0x5A)
    assert bench.get(RBR) == 0x5A
    assert bench.out == b""
    bench.put(MCR, 0x10)
    assert bench.get(MSR) == 0x0F  # all of them changed; RI by its trailing edge
    assert bench.get(MSR) == 0x00
    bench.put(MCR, 0x00)
    assert bench.get(MSR) & 0xF0 == 0xB0


def test_out2_gates_the_line_of_a_pc() -> None:
    bench = Bench(gated=True)
    bench.put(IER, 0x02)
    assert not bench.line.level
    bench.put(MCR, 0x08)
    assert bench.line.level


def test_divisor_and_scratch() -> None:
    bench = Bench()
    bench.speed(0x1234)
    bench.put(LCR, 0x83)
    assert bench.get(0) == 0x34
    assert bench.get(1) == 0x12
    bench.put(LCR, 0x03)
    assert bench.get(IER) == 0
    bench.put(SCR, 0xA7)
    assert bench.get(SCR) == 0xA7


def test_changing_the_fifo_mode_clears_it() -> None:
    bench = Bench()
    bench.put(FCR, 0x01)
    bench.uart.receive(b"old")
    bench.put(FCR, 0x00)
    assert not bench.get(LSR) & 1


def test_what_nobody_reads_is_bounded() -> None:
    bench = Bench()
    bench.uart.receive(b"x" * (QUEUE_OCTETS + 1000))
    bench.uart.receive(b"y" * 1000)
    assert bench.uart.ready_octets() == 0
    assert bench.uart.dropped_octets == 1999  # one octet is in the receiver, out of the queue


def test_paced_lines_take_their_time() -> None:
    bench = Bench(paced=True)
    bench.speed(12)  # 9600 bit/s, 10 bits a character
    character_ns = 10 * 16 * 12 * 1_000_000_000 // 1_843_200
    bench.put(FCR, 0x01)
    for octet in b"abc":
        bench.put(THR, octet)
    assert not bench.get(LSR) & 0x60
    wait(bench.uart, bench.timeline, 2 * character_ns)
    assert bench.out == b"ab"
    wait(bench.uart, bench.timeline, 3 * character_ns)
    assert bench.out == b"abc"
    assert bench.get(LSR) & 0x60 == 0x60
    now = bench.timeline.now_ns
    bench.put(IER, 0x01)
    bench.put(FCR, 0x81)
    bench.uart.receive(b"de")
    assert not bench.get(LSR) & 1
    wait(bench.uart, bench.timeline, now + 2 * character_ns)
    assert not bench.line.level
    wait(bench.uart, bench.timeline, now + 6 * character_ns)
    assert bench.get(IIR) & 0x0F == 0x0C  # four silent characters later


@given(st.lists(st.binary(max_size=40)), st.sampled_from((0x00, 0x01, 0x81)))
def test_every_octet_arrives_in_order(pieces: list[bytes], mode: int) -> None:
    bench = Bench()
    bench.put(FCR, mode)
    seen = b""
    for piece in pieces:
        bench.uart.receive(piece)
        for _ in range(7):
            if bench.get(LSR) & 1:
                seen += bytes((bench.get(RBR),))
    while bench.get(LSR) & 1:
        seen += bytes((bench.get(RBR),))
    assert seen == b"".join(pieces)


@pytest.mark.fuzz
@given(accesses(9), st.booleans())
def test_any_access_is_harmless(operations: list[Access], paced: bool) -> None:
    bench = Bench(paced=paced)
    bench.uart.receive(b"input that waits")
    exercise(bench.uart, bench.timeline, 9, operations)
    twin = moved(bench.uart, bench.make)
    for register in (5, 6, 2, 0, 0, 0):
        assert twin.read(register, 1) == bench.get(register)
