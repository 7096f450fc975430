import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.pci.bus import PciBus
from emulators.devices.pci.config import COMMAND, COMMAND_IO
from emulators.devices.pci.piix4 import PIRQRC, PMBA, PMREGMISC, Piix4Ide, Piix4Isa, Piix4Pm
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

PMSTS, PMCNTRL, PMTMR = 0, 4, 8


class Bench:
    def __init__(self) -> None:
        self.inputs = [Line() for _ in range(16)]
        self.timeline = Timeline()
        self.events: list[str] = []
        self.isa = self.make_isa()
        self.power = self.make_power()
        self.ide = Piix4Ide()
        self.pci = PciBus([self.isa.pirq(pin) for pin in range(4)])
        for number, function in ((0, self.isa), (1, self.ide), (3, self.power)):
            self.pci.add(function, 10, number)

    def make_isa(self) -> Piix4Isa:
        return Piix4Isa(line=self.inputs.__getitem__, reset=self.reset)

    def make_power(self) -> Piix4Pm:
        return Piix4Pm(timeline=self.timeline, power_off=self.off)

    def reset(self) -> None:
        self.events.append("reset")

    def off(self) -> None:
        self.events.append("off")

    def asserted(self) -> list[int]:
        return [number for number, line in enumerate(self.inputs) if line.level]

    def power_registers(self) -> int:
        self.power.config_write(PMBA, 2, 0x1000)
        self.power.config_write(PMREGMISC, 1, 1)
        return 0x1000


def test_identity() -> None:
    bench = Bench()
    assert bench.isa.config_read(0, 4) == 0x71108086
    assert bench.isa.config_read(0x0E, 1) == 0x80
    assert bench.ide.config_read(0, 4) == 0x71118086
    assert bench.power.config_read(0, 4) == 0x71138086
    assert bench.power.config_read(8, 1) >= 3, "Linux: 'Found PM-Timer Bug on the chipset'"


def test_pirqs_are_routed() -> None:
    bench = Bench()
    bench.isa.pirq(0)(True)
    assert bench.asserted() == []  # routing is off after reset
    bench.isa.config_write(PIRQRC, 1, 10)
    assert bench.asserted() == [10]
    bench.isa.config_write(PIRQRC, 1, 11)
    assert bench.asserted() == [11]
    bench.isa.config_write(PIRQRC, 1, 0x80 | 11)
    assert bench.asserted() == []


def test_two_pirqs_share_an_input() -> None:
    bench = Bench()
    for pin in (0, 1):
        bench.isa.config_write(PIRQRC + pin, 1, 10)
        bench.isa.pirq(pin)(True)
    bench.isa.pirq(0)(False)
    assert bench.asserted() == [10]
    bench.isa.pirq(1)(False)
    assert bench.asserted() == []


@pytest.mark.parametrize("number", [0, 1, 2, 8, 13])
def test_reserved_inputs_are_not_routed_to(number: int) -> None:
    bench = Bench()
    bench.isa.config_write(PIRQRC, 1, number)
    bench.isa.pirq(0)(True)
    assert bench.asserted() == []


def test_routing_leaves_other_inputs_alone() -> None:
    bench = Bench()
    bench.inputs[4](True)  # the serial line's
    bench.isa.config_write(PIRQRC, 1, 0x84)
    bench.isa.config_write(PIRQRC, 1, 0x80)
    assert bench.asserted() == [4]


def test_reset_control() -> None:
    bench = Bench()
    port = bench.isa.reset_control
    port.write(0, 1, 0x02)
    assert "reset" not in bench.events
    port.write(0, 1, 0x06)
    assert bench.events.count("reset") == 1
    port.write(0, 1, 0x06)
    assert bench.events.count("reset") == 1  # an edge, not a level


def test_power_off() -> None:
    bench = Bench()
    base = bench.power_registers()
    assert bench.pci.io.read(base + PMSTS, 2) == 0
    bench.pci.io.write(base + PMCNTRL, 2, 1 << 10 | 1 << 13)  # suspend to memory: not here
    assert "off" not in bench.events
    bench.pci.io.write(base + PMCNTRL, 2, 1 << 13)
    assert bench.events.count("off") == 1
    assert bench.pci.io.read(base + PMCNTRL, 2) == 0  # SUS_EN cannot be read


def test_the_power_window_moves_and_closes() -> None:
    bench = Bench()
    base = bench.power_registers()
    bench.power.config_write(PMBA, 2, 0x2000)
    assert bench.pci.io.read(base, 2) == 0xFFFF
    assert bench.pci.io.read(0x2000, 2) == 0
    bench.power.config_write(PMREGMISC, 1, 0)
    assert bench.pci.io.read(0x2000, 2) == 0xFFFF


def test_the_power_timer_runs() -> None:
    bench = Bench()
    base = bench.power_registers()
    bench.timeline.now_ns = 1_000_000_000
    assert bench.pci.io.read(base + PMTMR, 4) == 3_579_545
    bench.pci.io.write(base + PMTMR, 4, 0)
    assert bench.pci.io.read(base + PMTMR, 4) == 3_579_545


def test_bus_master_ide() -> None:
    bench = Bench()
    bench.ide.place_bar(4, 0xC000)
    bench.ide.config_write(COMMAND, 2, COMMAND_IO)
    bench.pci.io.write(0xC004, 4, 0x12345677)
    assert bench.pci.io.read(0xC004, 4) == 0x12345674
    bench.pci.io.write(0xC002, 1, 0xFF)
    assert bench.pci.io.read(0xC002, 1) == 0x60


@pytest.mark.fuzz
@given(accesses(0x100))
def test_any_configuration_is_harmless(operations: list[Access]) -> None:
    for name in ("isa", "ide", "power"):
        bench = Bench()
        device = {"isa": bench.isa, "ide": bench.ide, "power": bench.power}[name]
        bench.isa.pirq(1)(True)
        exercise(device, bench.timeline, 0x100, operations)
        moved(device, {"isa": bench.make_isa, "ide": Piix4Ide, "power": bench.make_power}[name])


@pytest.mark.fuzz
@given(accesses(0x40))
def test_any_access_to_the_power_registers_is_harmless(operations: list[Access]) -> None:
    bench = Bench()
    for what, offset, width, value in operations:
        if what == "write":
            bench.power.registers.write(min(offset, 64 - width), width, value & (1 << 8 * width) - 1)
            bench.ide.registers.write(min(offset, 16 - width), width, value & (1 << 8 * width) - 1)
    moved(bench.power, bench.make_power)
    moved(bench.ide, Piix4Ide)
