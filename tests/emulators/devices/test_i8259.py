import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.intc.i8259 import I8259Pair
from emulators.snapshot import SnapshotError
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

MASTER, SLAVE, ELCR = 0, 2, 4


def pair(*, icw4: int = 0x01) -> tuple[I8259Pair, Line]:
    """As a PC's firmware leaves them, with vectors 0x20 and 0x28 and nothing masked."""
    line = Line()
    pic = I8259Pair(irq=line)
    for base, vectors, wiring in ((MASTER, 0x20, 4), (SLAVE, 0x28, 2)):
        pic.write(base, 1, 0x11)
        for value in (vectors, wiring, icw4, 0x00):
            pic.write(base + 1, 1, value)
    return pic, line


def test_an_edge_is_one_interrupt() -> None:
    pic, line = pair()
    pic.line(3)(True)
    assert line.level
    assert pic.acknowledge() == 0x23
    assert not line.level
    pic.write(MASTER, 1, 0x20)
    assert not line.level  # still high, but no new edge
    pic.line(3)(False)
    pic.line(3)(True)
    assert line.level


def test_a_level_comes_again_until_it_goes() -> None:
    pic, line = pair()
    pic.write(ELCR, 2, 1 << 10 | 1 << 5)
    pic.line(10)(True)
    assert pic.acknowledge() == 0x2A
    pic.write(SLAVE, 1, 0x20)
    pic.write(MASTER, 1, 0x20)
    assert line.level
    pic.line(10)(False)
    assert not line.level


def test_the_elcr_refuses_the_lines_that_are_edges_by_construction() -> None:
    pic, _ = pair()
    pic.write(ELCR, 2, 0xFFFF)
    assert pic.read(ELCR, 2) == 0xDEF8


def test_priorities_and_nesting() -> None:
    pic, line = pair()
    pic.line(5)(True)
    assert pic.acknowledge() == 0x25
    pic.line(6)(True)
    assert not line.level  # 5 is being served
    pic.line(1)(True)
    assert line.level
    assert pic.acknowledge() == 0x21
    pic.write(MASTER, 1, 0x0B)
    assert pic.read(MASTER, 1) == 1 << 5 | 1 << 1
    pic.write(MASTER, 1, 0x20)  # ends 1
    assert pic.read(MASTER, 1) == 1 << 5
    pic.write(MASTER, 1, 0x65)  # specific: ends 5
    assert line.level
    assert pic.acknowledge() == 0x26


def test_a_request_that_goes_before_the_acknowledge_is_the_spurious_seventh() -> None:
    pic, line = pair()
    pic.line(4)(True)
    pic.line(4)(False)
    assert not line.level
    assert pic.acknowledge() == 0x27
    pic.write(MASTER, 1, 0x0B)
    assert pic.read(MASTER, 1) == 0  # nothing is served: no EOI is due
    assert pic.spurious == 1


def test_a_spurious_request_of_the_second_controller_is_served_by_the_first() -> None:
    pic, _ = pair()
    pic.slave.line(1, True)
    pic.master.latched |= 1 << 2
    pic.slave.raised = pic.slave.latched = 0
    assert pic.acknowledge() == 0x2F
    pic.write(MASTER, 1, 0x0B)
    assert pic.read(MASTER, 1) == 1 << 2


def test_masks() -> None:
    pic, line = pair()
    pic.write(MASTER + 1, 1, 0xFF)
    pic.line(0)(True)
    assert not line.level
    assert pic.read(MASTER + 1, 1) == 0xFF
    assert pic.read(MASTER, 1) == 1  # IRR shows it
    pic.write(MASTER + 1, 1, 0xFE)
    assert line.level


def test_rotation_gives_everyone_a_turn() -> None:
    pic, _ = pair()
    for number in (0, 1, 3):
        pic.line(number)(True)
    served = []
    for _ in range(3):
        served.append(pic.acknowledge() & 7)
        pic.write(MASTER, 1, 0xA0)  # rotate on non-specific EOI
        if served == [0]:
            pic.line(0)(False)
            pic.line(0)(True)
    assert served == [0, 1, 3]
    assert pic.acknowledge() == 0x20


def test_set_priority() -> None:
    pic, _ = pair()
    pic.write(MASTER, 1, 0xC0 | 4)  # 4 is the lowest: 5 the highest
    for number in (0, 4, 5):
        pic.line(number)(True)
    assert pic.acknowledge() == 0x25


def test_automatic_end_of_interrupt() -> None:
    pic, line = pair(icw4=0x03)
    pic.line(1)(True)
    pic.line(6)(True)
    assert pic.acknowledge() == 0x21
    assert line.level
    assert pic.acknowledge() == 0x26
    pic.write(MASTER, 1, 0x0B)
    assert pic.read(MASTER, 1) == 0


def test_special_mask_mode_lets_lower_levels_in() -> None:
    pic, line = pair()
    pic.line(3)(True)
    pic.acknowledge()
    pic.write(MASTER + 1, 1, 1 << 3)
    pic.line(7)(True)
    assert not line.level
    pic.write(MASTER, 1, 0x68)
    assert line.level
    pic.write(MASTER, 1, 0x48)
    assert not line.level


def test_special_fully_nested_mode_lets_the_second_controller_interrupt_itself() -> None:
    pic, line = pair(icw4=0x11)
    pic.line(12)(True)
    assert pic.acknowledge() == 0x2C
    pic.line(9)(True)
    assert line.level
    assert pic.acknowledge() == 0x29


def test_poll() -> None:
    pic, _ = pair()
    pic.line(2 + 8)(True)
    pic.write(SLAVE, 1, 0x0C)
    assert pic.read(SLAVE, 1) == 0x82
    pic.write(SLAVE, 1, 0x0C)
    assert pic.read(SLAVE, 1) == 0


def test_initialisation_forgets_everything() -> None:
    pic, line = pair()
    pic.line(1)(True)
    pic.acknowledge()
    pic.write(MASTER, 1, 0x11)
    pic.write(MASTER, 1, 0x0B)
    assert pic.read(MASTER, 1) == 0
    assert not line.level


def test_a_state_of_something_else_is_refused() -> None:
    pic, _ = pair()
    state = pic.state()
    state["master"]["step"] = 9
    with pytest.raises(SnapshotError, match="step"):
        pic.from_state(state)


@pytest.mark.fuzz
@given(accesses(6))
def test_any_access_is_harmless(operations: list[Access]) -> None:
    pic, _ = pair()
    exercise(pic, Timeline(), 6, operations)
    for number in range(16):
        pic.line(number)(bool(number & 1))
        assert 0 <= pic.acknowledge() < 0x100
    twin = moved(pic, lambda: I8259Pair(irq=Line()))
    assert isinstance(twin, I8259Pair)
    assert twin.acknowledge() == pic.acknowledge()
