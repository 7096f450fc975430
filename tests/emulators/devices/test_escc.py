"""Z85C30: octets, interrupts, vectors, resets."""

import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.serial.escc import QUEUE_OCTETS, Escc
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

CONTROL_B, DATA_B, CONTROL_A, DATA_A = range(4)


class Bench:
    def __init__(self) -> None:
        self.lines = (Line(), Line())
        self.sent = (bytearray(), bytearray())
        self.chip = self.make()

    def make(self) -> Escc:
        return Escc(irqs=self.lines, outs=(self.sent[0].extend, self.sent[1].extend))

    def put(self, register: int, value: int, control: int = CONTROL_A) -> None:
        if register:
            self.chip.write(control, 1, register if register < 8 else 0x08 | register - 8)
        self.chip.write(control, 1, value)

    def get(self, register: int, control: int = CONTROL_A) -> int:
        if register:
            self.chip.write(control, 1, register if register < 8 else 0x08 | register - 8)
        return self.chip.read(control, 1)

    def start(self) -> None:
        """8N1, both directions, as Linux' driver begins."""
        for register, value in ((4, 0x44), (14, 0x03), (3, 0xC1), (5, 0xEA), (9, 0x08)):
            self.put(register, value)


def test_octets_go_out() -> None:
    bench = Bench()
    bench.chip.write(DATA_A, 1, ord("?"))  # the transmitter is off
    bench.start()
    for octet in b"hello":
        assert bench.get(0) & 0x04
        bench.chip.write(DATA_A, 1, octet)
    bench.put(8, ord("!"))
    assert bytes(bench.sent[1]) == b"hello!"
    assert bytes(bench.sent[0]) == b""
    assert bench.get(1) & 0x01  # all sent


def test_octets_come_in_when_the_receiver_is_on() -> None:
    bench = Bench()
    bench.chip.channels[1].receive(b"abcdef")
    assert not bench.get(0) & 0x01
    bench.start()
    got = bytearray()
    while bench.get(0) & 0x01:
        got.append(bench.chip.read(DATA_A, 1))
    assert got == b"abcdef"
    assert bench.chip.channels[1].ready_octets() == QUEUE_OCTETS


def test_the_receiver_interrupts_on_every_octet() -> None:
    bench = Bench()
    bench.start()
    bench.put(1, 0x10)
    bench.chip.channels[1].receive(b"xy")
    assert bench.lines[1].level
    assert not bench.lines[0].level
    assert bench.get(3) == 0x20
    assert bench.get(3, CONTROL_B) == 0  # RR3 is in channel A only
    assert bench.get(2, CONTROL_B) == 0x0C  # the vector says: A, received
    bench.chip.read(DATA_A, 1)
    assert bench.lines[1].level
    bench.chip.read(DATA_A, 1)
    assert not bench.lines[1].level
    assert bench.get(2, CONTROL_B) == 0x06  # none


def test_the_first_octet_only() -> None:
    bench = Bench()
    bench.start()
    bench.put(1, 0x08)
    bench.chip.channels[1].receive(b"x")
    assert bench.lines[1].level
    bench.chip.read(DATA_A, 1)
    bench.chip.channels[1].receive(b"y")
    assert not bench.lines[1].level
    bench.chip.write(CONTROL_A, 1, 0x20)  # enable interrupt on next receive character
    bench.chip.channels[1].receive(b"z")
    assert bench.lines[1].level


def test_the_transmitter_interrupts_until_told_not_to() -> None:
    bench = Bench()
    bench.start()
    bench.put(1, 0x02)
    assert not bench.lines[1].level
    bench.chip.write(DATA_A, 1, 0x41)
    assert bench.lines[1].level
    assert bench.get(3) == 0x10
    bench.chip.write(CONTROL_A, 1, 0x28)
    assert not bench.lines[1].level


def test_no_interrupt_without_the_master_enable() -> None:
    bench = Bench()
    bench.start()
    bench.put(9, 0)
    bench.put(1, 0x12)
    bench.chip.channels[1].receive(b"x")
    bench.chip.write(DATA_A, 1, 0x41)
    assert not bench.lines[1].level
    bench.put(9, 0x08)
    assert bench.lines[1].level


def test_vectors_with_status_high() -> None:
    bench = Bench()
    bench.start()
    bench.put(2, 0x81)
    bench.put(9, 0x18)
    bench.put(1, 0x02)
    bench.chip.write(DATA_A, 1, 0x41)
    assert bench.get(2) == 0x81
    assert bench.get(2, CONTROL_B) == 0x91  # 4 (A, transmitter) with its bits the other way round, in bits 6:4


def test_a_break_is_an_external_interrupt_and_a_zero() -> None:
    bench = Bench()
    bench.start()
    bench.put(15, 0x80)
    bench.put(1, 0x01)
    bench.chip.channels[1].receive_break()
    assert bench.lines[1].level
    assert bench.get(0) & 0x81 == 0x81
    assert bench.chip.read(DATA_A, 1) == 0
    bench.chip.write(CONTROL_A, 1, 0x10)
    assert not bench.lines[1].level
    assert not bench.get(0) & 0x80


def test_local_loopback() -> None:
    bench = Bench()
    bench.start()
    bench.put(14, 0x10)
    bench.chip.write(DATA_A, 1, 0x5A)
    assert not bench.sent[1]
    assert bench.chip.read(DATA_A, 1) == 0x5A


@pytest.mark.parametrize(("command", "sides"), [(0x80, {1}), (0x40, {0}), (0xC0, {0, 1})])
def test_resets(command: int, sides: set[int]) -> None:
    bench = Bench()
    for control in (CONTROL_A, CONTROL_B):
        bench.put(3, 0xC1, control)
    bench.put(9, command)
    assert {side for side in (0, 1) if not bench.chip.channels[side].written[3]} == sides


def test_what_nobody_reads_is_bounded() -> None:
    bench = Bench()
    bench.chip.channels[0].receive(bytes(QUEUE_OCTETS + 5))
    assert bench.chip.channels[0].dropped_octets == 5
    assert bench.chip.channels[0].ready_octets() == 0


@pytest.mark.fuzz
@given(accesses(6))
def test_any_access_is_harmless(operations: list[Access]) -> None:
    bench = Bench()
    for channel in bench.chip.channels:
        channel.receive(b"input that waits")
    exercise(bench.chip, Timeline(), 6, operations)
    levels = [line.level for line in bench.lines]
    twin = moved(bench.chip, bench.make)
    assert [line.level for line in bench.lines] == levels
    for offset in (0, 1, 2, 3, 3, 3):
        assert twin.read(offset, 1) == bench.chip.read(offset, 1)
