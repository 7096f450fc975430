"""Heathrow's interrupt controller: events, levels, masks, both banks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.intc.heathrow import HeathrowPic
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

EVENTS, MASK, CLEAR, LEVELS = 0x20, 0x24, 0x28, 0x2C
SECOND = -0x10


def test_an_event_is_remembered_until_it_is_cleared() -> None:
    irq = Line()
    pic = HeathrowPic(irq=irq)
    line = pic.line(15)
    pic.write(MASK, 4, 1 << 15)
    line(True)
    assert irq.level
    assert (pic.read(EVENTS, 4), pic.read(LEVELS, 4)) == (1 << 15, 1 << 15)
    line(False)
    assert irq.level  # still an event
    assert pic.read(LEVELS, 4) == 0
    pic.write(CLEAR, 4, 1 << 15)
    assert not irq.level
    assert pic.read(EVENTS, 4) == 0


def test_clearing_under_an_asserted_line_waits_for_the_next_rise() -> None:
    irq = Line()
    pic = HeathrowPic(irq=irq)
    line = pic.line(15)
    pic.write(MASK, 4, 1 << 15)
    line(True)
    pic.write(CLEAR, 4, 1 << 15)
    assert not irq.level
    line(False)
    line(True)
    assert irq.level


def test_slots_are_levels() -> None:
    irq = Line()
    pic = HeathrowPic(irq=irq)
    line = pic.line(21)
    pic.write(MASK, 4, 1 << 21)
    line(True)
    pic.write(CLEAR, 4, 1 << 21)
    assert irq.level
    line(False)
    assert not irq.level
    assert pic.read(EVENTS, 4) == 0


def test_masked_events_wait() -> None:
    irq = Line()
    pic = HeathrowPic(irq=irq)
    pic.line(18)(True)
    assert not irq.level
    pic.write(MASK, 4, 1 << 18)
    assert irq.level


def test_the_second_bank_lies_below() -> None:
    irq = Line()
    pic = HeathrowPic(irq=irq)
    pic.line(33)(True)
    assert pic.read(EVENTS, 4) == 0
    assert pic.read(EVENTS + SECOND, 4) == 2
    pic.write(MASK + SECOND, 4, 2)
    assert irq.level
    pic.write(CLEAR + SECOND, 1, 2)
    assert not irq.level


def test_there_are_64_lines() -> None:
    with pytest.raises(ValueError, match="no line 64"):
        HeathrowPic(irq=Line()).line(64)


@pytest.mark.fuzz
@given(accesses(0x40, widths=(1, 2, 4, 8)), st.lists(st.integers(0, 63), max_size=8))
def test_any_access_is_harmless(operations: list[Access], lines: list[int]) -> None:
    irq = Line()
    pic = HeathrowPic(irq=irq)
    for line in lines:
        pic.line(line)(True)
    exercise(pic, Timeline(), 0x40, operations)
    level = irq.level
    moved(pic, lambda: HeathrowPic(irq=irq))
    assert irq.level == level
