"""The 93C46: what drivers shift in and out of it, the lock, state."""

from hypothesis import given
from hypothesis import strategies as st

from emulators.devices.net.eeprom93c46 import Eeprom93c46


def shift_in(chip: Eeprom93c46, bits: str) -> None:
    for bit in bits:
        for clock in (False, True, False):
            chip.drive(select=True, clock=clock, data=bit == "1")


def shift_out(chip: Eeprom93c46, count: int) -> int:
    value = 0
    for _ in range(count):
        chip.drive(select=True, clock=True, data=False)
        value = value << 1 | chip.output
        chip.drive(select=True, clock=False, data=False)
    return value


def command(chip: Eeprom93c46, bits: str) -> None:
    chip.drive(select=False, clock=False, data=False)
    chip.drive(select=True, clock=False, data=False)
    shift_in(chip, bits)


def read(chip: Eeprom93c46, address: int) -> int:
    command(chip, f"110{address:06b}")
    assert not chip.output  # the dummy bit
    return shift_out(chip, 16)


def test_read_and_read_on() -> None:
    chip = Eeprom93c46([0x1234, 0xABCD, 0x8001])
    assert [read(chip, number) for number in (0, 1, 2, 3)] == [0x1234, 0xABCD, 0x8001, 0xFFFF]
    command(chip, "00110000000")  # zeros before the start bit
    assert shift_out(chip, 48) == 0x1234_ABCD_8001


def test_writes_need_to_be_enabled() -> None:
    chip = Eeprom93c46([0] * 64)
    command(chip, f"101{5:06b}{0xBEEF:016b}")
    assert read(chip, 5) == 0
    command(chip, "100110000")
    command(chip, f"101{5:06b}{0xBEEF:016b}")
    assert read(chip, 5) == 0xBEEF
    assert read(chip, 4) == 0
    command(chip, f"111{5:06b}")
    assert read(chip, 5) == 0xFFFF
    command(chip, f"100010000{0x5A5A:016b}")
    assert {read(chip, number) for number in range(64)} == {0x5A5A}
    command(chip, "100100000")
    assert {read(chip, number) for number in range(64)} == {0xFFFF}
    command(chip, "100000000")
    command(chip, f"101{5:06b}{1:016b}")
    assert read(chip, 5) == 0xFFFF
    assert chip.output in (False, True)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=300), st.integers(0, 300))
def test_any_waveform_and_a_state_in_its_middle(pins: list[tuple[bool, bool, bool]], cut: int) -> None:
    chip = Eeprom93c46([number * 0x0101 for number in range(64)])
    twin = Eeprom93c46([])
    for number, (select, clock, data) in enumerate(pins):
        if number == cut:
            twin.from_state(chip.state())
        chip.drive(select=select, clock=clock, data=data)
        if number >= cut:
            twin.drive(select=select, clock=clock, data=data)
            assert twin.output == chip.output
    if cut < len(pins):
        assert twin.state() == chip.state()
