import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.bus import Bus
from emulators.device import Timeline
from emulators.devices.pci.bus import PciBus
from emulators.devices.pci.config import PciFunction
from emulators.devices.pci.gt64120 import (
    CAUSE_CPU_OUT,
    CAUSE_MASTER_ABORT,
    CPU_CONFIG,
    INTERRUPT_CAUSE,
    INTERRUPT_MASK,
    ISD,
    PCI0_COMMAND,
    PCI0_CONFIG_ADDRESS,
    PCI0_CONFIG_DATA,
    PCI0_IACK,
    PCI0_IO_HD,
    PCI0_IO_LD,
    PCI0_IO_REMAP,
    PCI0_M0_HD,
    PCI0_M0_LD,
    Gt64120,
)
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

OWN = 0x14000000
ONES = 0xFFFFFFFF


class Echo:
    """Answers the low half of the address; remembers writes."""

    def __init__(self) -> None:
        self.written: list[tuple[int, int, int]] = []

    def read(self, offset: int, size: int) -> int:
        return offset & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        self.written.append((offset, size, value))


class Bench:
    def __init__(self) -> None:
        self.line = Line()
        self.vectors = [0x2B]
        self.messages: list[int] = []
        self.echo = Echo()
        self.chip = self.make()

    def make(self) -> Gt64120:
        self.pci = PciBus([Line() for _ in range(4)])
        self.pci.io.map(0, 0x10000, self.echo, name="ports")
        self.pci.memory.map(0x12000000, 0x1000, self.echo, name="card")
        self.pci.add(PciFunction("card", vendor=0x1234, device=0x5678, class_code=0x020000), 11)
        cbus = Bus(lambda address, size: 0)
        cbus.map(0x1E000000, 0x1000, self.echo, name="flash")
        return Gt64120(
            pci=self.pci,
            cbus=cbus,
            acknowledge=lambda: self.vectors[0],
            irq=self.line,
            special=self.messages.append,
        )

    def get(self, offset: int) -> int:
        return self.chip.read(OWN + offset, 4)

    def put(self, offset: int, value: int) -> None:
        self.chip.write(OWN + offset, 4, value)

    def window(self, low: int, high: int, first: int, last: int) -> None:
        self.put(low, first >> 21)
        self.put(high, last >> 21 & 0x7F)

    def configure(self, device: int, register: int, function: int = 0, bus: int = 0) -> None:
        self.put(PCI0_CONFIG_ADDRESS, 1 << 31 | bus << 16 | device << 11 | function << 8 | register)


def test_its_registers_move() -> None:
    bench = Bench()
    assert bench.get(ISD) == 0xA0
    bench.put(ISD, 0xDF)
    assert bench.chip.read(0x1BE00000 + ISD, 4) == 0xDF
    assert bench.chip.read(OWN + ISD, 4) == 0
    assert bench.chip.read(0x1BE00000 + INTERRUPT_CAUSE, 4) == CAUSE_CPU_OUT | 1


def test_windows_lead_to_pci() -> None:
    bench = Bench()
    bench.window(PCI0_IO_LD, PCI0_IO_HD, 0x18000000, 0x181FFFFF)
    bench.window(PCI0_M0_LD, PCI0_M0_HD, 0x10000000, 0x13FFFFFF)
    assert bench.chip.read(0x12000123, 2) == 0x123
    assert bench.chip.read(0x18000000 + 0x3F8, 1) == 0xFF  # not remapped yet: port 0x180003F8
    bench.put(PCI0_IO_REMAP, 0)
    assert bench.chip.read(0x18000000 + 0x3F8, 2) == 0x3F8
    bench.chip.write(0x18000000 + 0x70, 1, 0x0A)
    assert bench.echo.written == [(0x70, 1, 0x0A)]
    assert bench.chip.read(0x12001000, 4) == ONES  # a master abort on the bus


def test_a_low_decoder_sets_its_remap() -> None:
    bench = Bench()
    bench.put(PCI0_IO_LD, 0x1C5)
    assert bench.get(PCI0_IO_REMAP) == 0x1C5


def test_remapping_keeps_the_bits_that_vary_within_the_window() -> None:
    bench = Bench()
    bench.window(PCI0_M0_LD, PCI0_M0_HD, 0x20000000, 0x23FFFFFF)
    bench.put(0x0F8, 0x10000000 >> 21)
    assert bench.chip.read(0x22000ABC, 2) == 0xABC


def test_a_decoder_with_its_end_before_its_beginning_is_off() -> None:
    bench = Bench()
    bench.window(PCI0_IO_LD, PCI0_IO_HD, 0x18000000, 0x18000000)
    bench.put(PCI0_IO_LD, 0xC5)
    bench.put(PCI0_IO_HD, 0x41)
    assert bench.chip.read(0x18A00000, 1) == 0
    assert bench.chip.mistakes == 1


def test_devices_of_the_chip_selects_come_before_windows() -> None:
    bench = Bench()
    bench.window(PCI0_M0_LD, PCI0_M0_HD, 0x1E000000, 0x1FFFFFFF)
    assert bench.chip.read(0x1E000020, 4) == 0x1E000020 - 0x1E000000
    assert bench.chip.read(0x1E001000, 4) == ONES  # behind the device: the window


def test_configuration_cycles() -> None:
    bench = Bench()
    bench.configure(11, 0)
    assert bench.get(PCI0_CONFIG_DATA) == 0x56781234
    assert bench.chip.read(OWN + PCI0_CONFIG_DATA + 2, 2) == 0x5678
    bench.configure(11, 0x3C)
    bench.chip.write(OWN + PCI0_CONFIG_DATA, 1, 0x0A)
    assert bench.get(PCI0_CONFIG_DATA) & 0xFF == 0x0A
    bench.configure(0, 0)
    assert bench.get(PCI0_CONFIG_DATA) == 0x462011AB


@pytest.mark.parametrize(("device", "function", "bus"), [(5, 0, 0), (11, 1, 0), (11, 0, 1), (31, 7, 0)])
def test_empty_places_are_master_aborts(device: int, function: int, bus: int) -> None:
    bench = Bench()
    bench.configure(device, 0, function, bus)
    assert bench.get(PCI0_CONFIG_DATA) == ONES
    assert bench.get(INTERRUPT_CAUSE) == CAUSE_MASTER_ABORT | 1
    bench.put(INTERRUPT_CAUSE, ONES & ~CAUSE_MASTER_ABORT)
    assert bench.get(INTERRUPT_CAUSE) == 0


def test_a_disabled_configuration_address_does_nothing() -> None:
    bench = Bench()
    bench.put(PCI0_CONFIG_ADDRESS, 11 << 11)
    assert bench.get(PCI0_CONFIG_DATA) == 0
    assert bench.get(INTERRUPT_CAUSE) == 0


def test_special_cycles() -> None:
    bench = Bench()
    bench.configure(31, 0, 7)
    bench.put(PCI0_CONFIG_DATA, 0x00120002)
    assert bench.messages == [0x00120002]


def test_interrupt_acknowledge() -> None:
    bench = Bench()
    assert bench.get(PCI0_IACK) == 0x2B


def test_the_cause_interrupts_if_unmasked() -> None:
    bench = Bench()
    bench.chip.read(0x40000000, 4)
    assert bench.get(INTERRUPT_CAUSE) == CAUSE_CPU_OUT | 1
    assert not bench.line.level
    bench.put(INTERRUPT_MASK, CAUSE_CPU_OUT)
    assert bench.line.level
    bench.put(INTERRUPT_CAUSE, 0)
    assert not bench.line.level


def test_a_big_endian_processor_sees_registers_swapped() -> None:
    bench = Bench()
    bench.put(CPU_CONFIG, 0)
    assert bench.get(ISD) == 0xA0000000
    bench.put(PCI0_IO_REMAP, 0x34020000)
    assert bench.get(PCI0_IO_REMAP) == 0x34020000
    assert bench.chip.registers[PCI0_IO_REMAP] == 0x234
    assert bench.chip.read(OWN + ISD, 1) == 0
    assert bench.chip.read(OWN + ISD + 3, 1) == 0xA0


def test_master_byte_swap_turns_configuration_data_but_its_own() -> None:
    bench = Bench()
    bench.put(PCI0_COMMAND, 0)
    bench.configure(11, 0)
    assert bench.get(PCI0_CONFIG_DATA) == 0x34127856
    bench.configure(0, 0)
    assert bench.get(PCI0_CONFIG_DATA) == 0x462011AB


def test_narrow_writes_leave_the_other_octets() -> None:
    bench = Bench()
    bench.put(0x448, 0x11223344)
    bench.chip.write(OWN + 0x449, 1, 0xAA)
    bench.chip.write(OWN + 0x44A, 2, 0xBBCC)
    assert bench.get(0x448) == 0xBBCCAA44


@pytest.mark.fuzz
@given(accesses(0x1000, widths=(1, 2, 4, 8)))
def test_any_access_to_its_registers_is_harmless(operations: list[Access]) -> None:
    bench = Bench()
    exercise(_At(bench.chip, OWN), Timeline(), 0x1000, operations)
    twin = moved(bench.chip, Bench().make)
    for address in range(OWN, OWN + 0x1000, 4):
        assert twin.read(address, 4) == bench.chip.read(address, 4)


@pytest.mark.fuzz
@given(st.lists(st.tuples(st.sampled_from(range(0x48, 0x120, 8)), st.integers(0, ONES)), max_size=30), st.data())
def test_any_decoding_leads_somewhere(programmed: list[tuple[int, int]], data: st.DataObject) -> None:
    bench = Bench()
    for register, value in programmed:
        bench.put(register, value)
    for _ in range(10):
        address = data.draw(st.integers(0, ONES - 4))
        assert 0 <= bench.chip.read(address, 4) <= ONES
        bench.chip.write(address, 4, 0x12345678)


class _At:
    """The chip as a device whose registers begin at `base`."""

    def __init__(self, chip: Gt64120, base: int) -> None:
        self._chip = chip
        self._base = base
        self.next_deadline = chip.next_deadline
        self.handle_timer = chip.handle_timer
        self.state = chip.state
        self.from_state = chip.from_state

    def read(self, offset: int, size: int) -> int:
        return self._chip.read(self._base + offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self._chip.write(self._base + offset, size, value)
