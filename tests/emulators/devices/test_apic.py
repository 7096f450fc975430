import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.intc.ioapic import IoApic
from emulators.devices.intc.lapic import LocalApic
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved, wait

TPR, PPR, EOI, LDR, SVR, ISR, TMR, IRR, ESR = 0x80, 0xA0, 0xB0, 0xD0, 0xF0, 0x100, 0x180, 0x200, 0x280
ICR, LVT_TIMER, LINT0, INITIAL, CURRENT, DIVIDE = 0x300, 0x320, 0x350, 0x380, 0x390, 0x3E0
LEVEL, MASKED = 1 << 15, 1 << 16


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.intr = Line()
        self.external = self.nmis = 0
        self.local = self.make()
        self.io = IoApic(self.local)
        self.local.write(SVR, 4, 0x1FF)

    def make(self) -> LocalApic:
        return LocalApic(
            irq=self.intr,
            timeline=self.timeline,
            external=self.from_8259,
            ended=lambda vector: self.io.ended(vector),
            nmi=self.count_nmi,
        )

    def count_nmi(self) -> None:
        self.nmis += 1

    def from_8259(self) -> int:
        self.external += 1
        return 0x20

    def redirect(self, line: int, low: int, destination: int = 0) -> None:
        self.io.write(0, 4, 0x10 + 2 * line + 1)
        self.io.write(0x10, 4, destination << 24)
        self.io.write(0, 4, 0x10 + 2 * line)
        self.io.write(0x10, 4, low)

    def entry(self, line: int) -> int:
        self.io.write(0, 4, 0x10 + 2 * line)
        return self.io.read(0x10, 4)


def test_identity() -> None:
    bench = Bench()
    assert bench.local.read(0x30, 4) == 0x40011
    bench.io.write(0, 4, 1)
    assert bench.io.read(0x10, 4) == 0x170011
    assert bench.entry(23) == MASKED


def test_an_edge_is_delivered_once() -> None:
    bench = Bench()
    line = bench.io.line(4)
    line(True)
    assert not bench.intr.level
    line(False)
    bench.redirect(4, 0x34)
    line(True)
    assert bench.intr.level
    assert bench.local.read(IRR + 0x10, 4) == 1 << 0x14
    assert bench.local.acknowledge() == 0x34
    assert not bench.intr.level
    assert bench.local.read(ISR + 0x10, 4) == 1 << 0x14
    assert bench.local.read(PPR, 4) == 0x30
    bench.local.write(EOI, 4, 0)
    assert bench.local.read(ISR + 0x10, 4) == 0
    assert not bench.intr.level, "the line is still up, but it is an edge"


def test_a_level_comes_again_until_it_goes() -> None:
    bench = Bench()
    line = bench.io.line(10)
    line(True)
    bench.redirect(10, 0x5A | LEVEL)
    assert bench.local.acknowledge() == 0x5A
    assert bench.entry(10) == 0x5A | LEVEL | 1 << 14
    assert bench.local.read(TMR + 0x20, 4) == 1 << 0x1A
    bench.local.write(EOI, 4, 0)
    assert bench.local.acknowledge() == 0x5A
    line(False)
    bench.local.write(EOI, 4, 0)
    assert not bench.intr.level
    assert bench.entry(10) == 0x5A | LEVEL


def test_priorities() -> None:
    bench = Bench()
    bench.redirect(1, 0x41)
    bench.redirect(2, 0x52)
    bench.io.line(1)(True)
    assert bench.local.acknowledge() == 0x41
    bench.io.line(2)(True)
    assert bench.local.acknowledge() == 0x52, "a higher class interrupts"
    bench.io.line(1)(False)
    bench.io.line(1)(True)
    assert not bench.intr.level
    bench.local.write(EOI, 4, 0)
    assert not bench.intr.level, "41 is served still"
    bench.local.write(EOI, 4, 0)
    assert bench.local.acknowledge() == 0x41
    bench.local.write(EOI, 4, 0)
    bench.local.write(TPR, 4, 0x60)
    bench.io.line(2)(False)
    bench.io.line(2)(True)
    assert not bench.intr.level
    bench.local.write(TPR, 4, 0x50 - 1)
    assert bench.local.acknowledge() == 0x52


def test_destinations() -> None:
    bench = Bench()
    bench.local.write(LDR, 4, 0x02000000)
    for line, low, destination, arrives in (
        (3, 0x33, 5, False),  # another processor
        (4, 0x44, 0xFF, True),
        (5, 0x55 | 1 << 11, 1, False),
        (6, 0x66 | 1 << 11, 3, True),
        (7, 0x77 | 0x100 | 1 << 11, 2, True),  # lowest priority
        (8, 0x88 | 0x700, 0, False),  # ExtINT
    ):
        bench.redirect(line, low, destination)
        bench.io.line(line)(True)
        assert bool(bench.local.irr >> (low & 0xFF) & 1) == arrives


def test_the_8259s_come_through_lint0() -> None:
    bench = Bench()
    bench.local.line(True)
    assert not bench.intr.level
    bench.local.write(LINT0, 4, 0x700)
    assert bench.intr.level
    assert bench.local.acknowledge() == 0x20
    bench.local.line(False)
    assert not bench.intr.level
    assert bench.local.acknowledge() == 0xFF, "spurious"
    assert bench.external == 1


def test_messages_to_itself_and_wrong_vectors() -> None:
    bench = Bench()
    bench.local.write(ICR, 4, 0x40 | 1 << 18)
    assert bench.local.acknowledge() == 0x40
    bench.local.write(ICR, 4, 0x41 | 3 << 18)  # all but itself: nobody
    assert not bench.intr.level
    bench.local.write(ICR, 4, 0x05 | 1 << 18)
    bench.local.write(ESR, 4, 0)
    assert bench.local.read(ESR, 4) == 0x20


def test_an_nmi_to_itself_went_nowhere() -> None:
    """By its number it comes, once, with interrupts pending or not; not to others, nor by a shorthand (table 7-3)."""
    bench = Bench()
    bench.local.write(ICR, 4, 0x4400)
    assert (bench.nmis, bench.intr.level) == (1, False)
    bench.local.write(ICR + 0x10, 4, 5 << 24)
    bench.local.write(ICR, 4, 0x4400)
    for shorthand in (1, 2, 3):
        bench.local.write(ICR, 4, 0x4400 | shorthand << 18)
    assert bench.nmis == 1


def test_the_timer() -> None:
    bench = Bench()
    bench.local.write(DIVIDE, 4, 0x3)  # by 16
    bench.local.write(LVT_TIMER, 4, 0x20030)
    bench.local.write(INITIAL, 4, 6250)  # 1 ms of 100 MHz
    bench.timeline.now_ns = 250_000
    assert bench.local.read(CURRENT, 4) == 4687
    wait(bench.local, bench.timeline, 1_000_000)
    assert bench.local.acknowledge() == 0x30
    bench.local.write(EOI, 4, 0)
    assert bench.local.next_deadline() == 2_000_000
    wait(bench.local, bench.timeline, 10_000_000)
    assert bench.local.next_deadline() == 11_000_000
    bench.local.write(LVT_TIMER, 4, 0x30)  # once
    bench.local.write(INITIAL, 4, 6250)
    wait(bench.local, bench.timeline, 20_000_000)
    assert bench.local.next_deadline() is None
    assert bench.local.read(CURRENT, 4) == 0
    moved(bench.local, bench.make)


def test_a_timer_that_is_too_fast_gives_none() -> None:
    bench = Bench()
    bench.local.write(LVT_TIMER, 4, 0x20030)
    bench.local.write(DIVIDE, 4, 0xB)
    bench.local.write(INITIAL, 4, 1)
    assert bench.local.next_deadline() is None
    assert bench.local.mistakes == 1


def test_switched_off_by_software_it_masks_everything() -> None:
    bench = Bench()
    bench.local.write(LINT0, 4, 0x700)
    bench.local.write(SVR, 4, 0xFF)
    assert bench.local.read(LINT0, 4) == 0x10700
    bench.local.write(LINT0, 4, 0x700)
    assert bench.local.read(LINT0, 4) == 0x10700
    bench.redirect(1, 0x41)
    bench.io.line(1)(True)
    assert not bench.intr.level


@pytest.mark.fuzz
@given(accesses(0x400, widths=(4,)), accesses(0x20))
def test_any_access_is_harmless(local: list[Access], io: list[Access]) -> None:
    bench = Bench()
    exercise(bench.io, bench.timeline, 0x20, io)
    exercise(
        bench.local, bench.timeline, 0x400, [(what, offset & ~15, width, value) for what, offset, width, value in local]
    )
    for number in range(24):
        bench.io.line(number)(True)
        bench.io.line(number)(False)
    moved(bench.local, bench.make)
    moved(bench.io, lambda: IoApic(bench.local))
