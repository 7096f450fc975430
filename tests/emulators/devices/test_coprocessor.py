import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.intc.coprocessor import CoprocessorError
from emulators.snapshot import SnapshotError
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved


class Unit:
    """The processor's pins."""

    def __init__(self) -> None:
        self.ferr = False
        self.ignne = False

    def set_ignne(self, level: bool) -> None:
        self.ignne = level


def latch() -> tuple[CoprocessorError, Unit, Line]:
    unit, line = Unit(), Line()
    return CoprocessorError(irq=line, ferr=lambda: unit.ferr, ignne=unit.set_ignne), unit, line


def test_an_error_is_one_interrupt_until_it_is_known() -> None:
    device, unit, line = latch()
    assert not device.look()
    unit.ferr = True
    assert device.look()
    assert line.level
    assert not device.look()  # known
    device.write(1, 1, 0)
    assert line.level
    device.write(0, 1, 0)
    assert (line.level, unit.ignne) == (False, True)
    assert device.look()  # still there
    assert line.rises == 2


def test_nothing_can_be_read() -> None:
    device, _, _ = latch()
    assert device.read(0, 2) == 0xFFFF
    assert device.mistakes == 2


def test_its_state_moves() -> None:
    device, unit, _ = latch()
    unit.ferr = True
    device.look()
    line = Line()
    moved(device, lambda: CoprocessorError(irq=line, ferr=lambda: True, ignne=unit.set_ignne))
    assert line.level
    with pytest.raises(SnapshotError, match="latched"):
        device.from_state({"version": 1, "latched": 1})


@pytest.mark.fuzz
@given(accesses(2))
def test_random_accesses(operations: list[Access]) -> None:
    device, _, _ = latch()
    exercise(device, Timeline(), 2, operations)
    moved(device, lambda: latch()[0])
