"""MPC106: the address map, configuration cycles, and what is not there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.pci.bus import PciBus
from emulators.devices.pci.config import BASE_ADDRESS_0, COMMAND, COMMAND_IO, COMMAND_MEMORY, PciFunction
from emulators.devices.pci.grackle import CONFIG_ADDR, CONFIG_DATA, Grackle
from tests.emulators.devices.registers import Access, accesses, exercise, moved


class Cells:
    def __init__(self) -> None:
        self.octets = bytearray(256)

    def read(self, offset: int, size: int) -> int:
        return int.from_bytes(self.octets[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        self.octets[offset : offset + size] = value.to_bytes(size, "little")


class Bench:
    def __init__(self) -> None:
        self.pci = PciBus([lambda level: None] * 4)
        self.bridge = Grackle(pci=self.pci)
        self.cells = Cells()
        self.card = PciFunction("card", vendor=0x1234, device=0x5678, class_code=0x020000, pin=1)
        self.card.add_bar(0, 256, self.cells)
        self.card.add_bar(1, 256, self.cells, io=True)
        self.pci.add(self.card, 3)

    def select(self, device: int, register: int) -> None:
        self.bridge.write(CONFIG_ADDR, 4, 1 << 31 | device << 11 | register)


def test_configuration_cycles_of_every_width() -> None:
    bench = Bench()
    bench.select(3, 0)
    assert bench.bridge.read(CONFIG_DATA, 4) == 0x56781234
    assert bench.bridge.read(CONFIG_DATA, 2) == 0x1234
    assert bench.bridge.read(CONFIG_DATA + 2, 2) == 0x5678
    assert [bench.bridge.read(CONFIG_DATA + lane, 1) for lane in range(4)] == [0x34, 0x12, 0x78, 0x56]
    assert bench.bridge.read(CONFIG_ADDR, 4) == 0x80001800
    bench.select(0, 0)
    assert bench.bridge.read(CONFIG_DATA, 4) == 0x00021057  # the bridge itself


def test_nothing_answers_in_an_empty_slot_and_the_bridge_notes_it() -> None:
    bench = Bench()
    bench.select(7, 0)
    assert bench.bridge.read(CONFIG_DATA, 4) == 0xFFFFFFFF
    bench.select(0, 4)
    assert bench.bridge.read(CONFIG_DATA, 4) >> 29 & 1  # master abort
    bench.bridge.write(CONFIG_DATA + 2, 2, 0x2000)
    assert not bench.bridge.read(CONFIG_DATA, 4) >> 29 & 1
    bench.bridge.write(CONFIG_ADDR, 4, 3 << 11)  # not enabled
    assert bench.bridge.read(CONFIG_DATA, 4) == 0xFFFFFFFF
    assert bench.bridge.mistakes == 1


def test_windows_of_map_b() -> None:
    bench = Bench()
    bench.card.place_bar(0, 0x81000000)
    bench.card.place_bar(1, 0x1000)
    bench.card.config_write(COMMAND, 2, COMMAND_IO | COMMAND_MEMORY)
    bench.bridge.write(0x81000010, 4, 0x11223344)
    assert bench.cells.octets[0x10:0x14] == b"\x44\x33\x22\x11"
    assert bench.bridge.read(0xFE001010, 4) == 0x11223344  # the same cells by I/O
    assert bench.bridge.read(0x82000000, 4) == 0xFFFFFFFF
    bench.card.place_bar(0, 0x000A0000)  # low PCI memory: at 0xFD000000
    assert bench.bridge.read(0xFD0A0010, 2) == 0x3344
    bench.card.place_bar(1, 0x00800000)
    assert bench.bridge.read(0xFE800010, 1) == 0x44
    assert bench.bridge.read(0xFEF00000, 1) == 0xFF  # nobody acknowledges


def test_registers_keep_what_is_written() -> None:
    bench = Bench()
    bench.select(0, 0xA8)
    bench.bridge.write(CONFIG_DATA, 4, 0xFF141A98)
    assert bench.bridge.read(CONFIG_DATA, 4) == 0xFF141A98
    bench.select(0, BASE_ADDRESS_0)
    bench.bridge.write(CONFIG_DATA, 4, 0xFFFFFFFF)
    assert bench.bridge.read(CONFIG_DATA, 4) == 0  # no base registers


class Corner:
    """The bridge as a device whose window is the last 64 MiB below the ROM."""

    def __init__(self, bridge: Grackle) -> None:
        self.bridge = bridge
        self.state, self.from_state = bridge.state, bridge.from_state
        self.next_deadline, self.handle_timer = bridge.next_deadline, bridge.handle_timer

    def read(self, offset: int, size: int) -> int:
        return self.bridge.read(0xFD000000 + offset * 0x3FFF % 0x02000000, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self.bridge.write(0xFD000000 + offset * 0x3FFF % 0x02000000, size, value)


@pytest.mark.fuzz
@given(accesses(0x02000000), st.integers(0, 0xFFFFFFFF))
def test_any_access_is_harmless(operations: list[Access], address: int) -> None:
    bench = Bench()
    bench.bridge.write(CONFIG_ADDR, 4, address)
    exercise(Corner(bench.bridge), Timeline(), 0x02000000, operations)
    moved(bench.bridge, lambda: Bench().bridge)
