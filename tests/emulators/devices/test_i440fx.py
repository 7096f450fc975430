import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.pci.bus import PciBus
from emulators.devices.pci.i440fx import SHADOW, SHADOW_END, ConfigurationPorts, I440Fx, Shadow
from emulators.devices.pci.piix3 import ApmPorts, Piix3Isa, Port92
from emulators.snapshot import SnapshotError
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

ROM = bytes(range(256)) * 512
"""128 KiB: what a BIOS shows below 1 MiB."""


class ShadowMemory(GuestMemory):
    def __init__(self) -> None:
        super().__init__()
        self.readonly: dict[int, int] = {}

    def set_readonly(self, gpa: int, size: int, on: bool, /) -> None:
        if on:
            self.readonly[gpa] = size
        else:
            del self.readonly[gpa]


class Bench:
    def __init__(self) -> None:
        self.memory = ShadowMemory()
        self.resets = 0
        self.inputs = [Line() for _ in range(16)]
        self.bridge = self.make()
        self.isa = self.make_isa()
        self.pci = PciBus([self.isa.pirq(pin) for pin in range(4)])
        self.pci.add(self.bridge, 0)
        self.pci.add(self.isa, 1)
        self.ports = ConfigurationPorts(pci=self.pci, reset_control=self.isa.reset_control)

    def make(self) -> I440Fx:
        return I440Fx(vm=self.memory, memory_octets=64 << 20, rom=ROM)

    def make_isa(self) -> Piix3Isa:
        return Piix3Isa(line=self.inputs.__getitem__, reset=self.reset)

    def reset(self) -> None:
        self.resets += 1

    def config(self, device: int, offset: int) -> int:
        self.ports.write(0, 4, 0x80000000 | device << 11 | offset & 0xFC)
        return self.ports.read(4 + (offset & 3), 1)

    def set_config(self, device: int, offset: int, value: int) -> None:
        self.ports.write(0, 4, 0x80000000 | device << 11 | offset & 0xFC)
        self.ports.write(4 + (offset & 3), 1, value)


def test_identity_and_row_boundaries() -> None:
    bench = Bench()
    bench.ports.write(0, 4, 0x80000000)
    assert bench.ports.read(4, 4) == 0x12378086
    bench.ports.write(0, 4, 0x8000002C)
    assert bench.ports.read(4, 4) == 0x11001AF4
    assert [bench.config(0, 0x60 + row) for row in range(8)] == [8] * 8
    bench.ports.write(0, 4, 0x80000800)
    assert bench.ports.read(4, 4) == 0x70008086


def test_configuration_cycles_that_nobody_answers() -> None:
    bench = Bench()
    bench.ports.write(0, 4, 0x00000000)  # not enabled
    assert bench.ports.read(4, 4) == 0xFFFFFFFF
    bench.ports.write(0, 4, 0x80010000)  # bus 1
    assert bench.ports.read(4, 4) == 0xFFFFFFFF
    bench.ports.write(4, 4, 0x12345678)
    bench.ports.write(0, 4, 0x80001800)  # device 3 is not there
    assert bench.ports.read(4, 2) == 0xFFFF
    assert bench.ports.read(0, 4) == 0x80001800
    bench.ports.write(0, 2, 0x1234)  # narrower than CONFADD
    assert bench.ports.read(0, 4) == 0x80001800


def test_the_octet_between_is_reset_control() -> None:
    bench = Bench()
    bench.ports.write(1, 1, 0x02)
    assert bench.resets == 0
    bench.ports.write(1, 1, 0x06)
    assert bench.resets == 1
    assert bench.ports.read(1, 1) == 0x06


def test_after_a_reset_the_rom_shows_and_nothing_can_be_written() -> None:
    bench = Bench()
    bench.bridge.start()
    assert bench.memory.read(0xE0000, 0x20000) == ROM
    assert bench.memory.read(0xC0000, 4) == b"\xff" * 4
    assert sum(bench.memory.readonly.values()) == SHADOW_END - SHADOW


def test_firmware_copies_itself_into_the_memory_behind_it() -> None:
    """Read from the ROM, write to memory; then memory alone, which is protected in the end."""
    bench = Bench()
    bench.bridge.start()
    bench.set_config(0, 0x59, 0x20)  # F0000: writes go to memory
    assert 0xF0000 in bench.memory.readonly
    shadow = Shadow(bench.bridge)
    shadow.write(0xF0000 - SHADOW, 4, 0xDEADBEEF)
    assert bench.memory.read(0xF0000, 4) == ROM[0x10000:0x10004]
    bench.set_config(0, 0x59, 0x30)
    assert bench.memory.read(0xF0000, 4) == bytes.fromhex("efbeadde")
    assert 0xF0000 not in bench.memory.readonly
    bench.memory.write(0xF0000, b"new!")
    bench.set_config(0, 0x59, 0x10)  # read-only memory
    assert bench.memory.readonly[0xF0000] == 0x10000
    shadow.write(0xF0000 - SHADOW, 4, 0)
    assert bench.memory.read(0xF0000, 4) == b"new!"
    bench.set_config(0, 0x59, 0x00)
    assert bench.memory.read(0xF0000, 4) == ROM[0x10000:0x10004]
    bench.set_config(0, 0x59, 0x30)
    assert bench.memory.read(0xF0000, 4) == b"new!"


def test_the_small_segments_have_a_nibble_each() -> None:
    bench = Bench()
    bench.bridge.start()
    bench.set_config(0, 0x5A, 0x03)
    assert 0xC0000 not in bench.memory.readonly
    assert 0xC4000 in bench.memory.readonly
    bench.set_config(0, 0x5F, 0x30)
    assert 0xEC000 not in bench.memory.readonly
    assert 0xE8000 in bench.memory.readonly


def test_open_is_all_memory() -> None:
    bench = Bench()
    bench.bridge.open()
    assert bench.memory.readonly == {}
    assert bench.memory.read(SHADOW, SHADOW_END - SHADOW) == bytes(SHADOW_END - SHADOW)


def test_hidden_memory_is_saved() -> None:
    bench = Bench()
    bench.bridge.start()
    bench.set_config(0, 0x59, 0x20)
    Shadow(bench.bridge).write(0xF0000 - SHADOW, 1, 0x55)
    saved = bench.bridge.state()
    other = Bench()
    other.memory.octets[:] = bench.memory.octets
    other.bridge.from_state(saved)
    assert other.memory.readonly == bench.memory.readonly
    other.set_config(0, 0x59, 0x30)
    assert other.memory.read(0xF0000, 1) == b"\x55"
    saved["hidden"] = [None] * 13
    with pytest.raises(SnapshotError, match="differ"):
        Bench().bridge.from_state(saved)


def test_port_92_and_the_keyboard_controller_are_one_switch() -> None:
    seen: list[bool] = []
    resets: list[int] = []
    port = Port92(a20=seen.append, reset=lambda: resets.append(1))
    assert seen == [True]
    port.switch(False)
    assert port.read(0, 1) == 0
    port.write(0, 1, 2)
    assert seen == [True, False, True]
    assert resets == []
    port.write(0, 1, 3)
    assert resets == [1]
    moved(port, lambda: Port92(a20=seen.append, reset=lambda: None, on=False))


def test_apm_ports_keep_what_is_written() -> None:
    ports = ApmPorts()
    ports.write(0, 2, 0x1234)
    assert (ports.read(0, 1), ports.read(1, 1)) == (0x34, 0x12)
    moved(ports, ApmPorts)


@pytest.mark.fuzz
@given(accesses(8))
def test_any_access_to_the_ports_is_harmless(operations: list[Access]) -> None:
    bench = Bench()
    bench.ports.address = 0x80000058
    exercise(bench.ports, Timeline(), 8, operations)
    moved(bench.ports, lambda: ConfigurationPorts(pci=bench.pci, reset_control=bench.isa.reset_control))


@pytest.mark.fuzz
@given(accesses(0x100))
def test_any_configuration_is_harmless(operations: list[Access]) -> None:
    bench = Bench()
    bench.bridge.start()
    exercise(bench.bridge, Timeline(), 0x100, operations)
    exercise(bench.isa, Timeline(), 0x100, operations)
    moved(bench.isa, bench.make_isa)
    twin = Bench()
    twin.memory.octets[:] = bench.memory.octets
    moved(bench.bridge, lambda: twin.bridge)
    assert twin.memory.readonly == bench.memory.readonly


@pytest.mark.fuzz
@given(accesses(SHADOW_END - SHADOW))
def test_any_write_below_1_mib_is_harmless(operations: list[Access]) -> None:
    bench = Bench()
    bench.bridge.start()
    bench.set_config(0, 0x5A, 0x22)
    for what, offset, width, value in operations:
        if what == "write":
            Shadow(bench.bridge).write(min(offset, SHADOW_END - SHADOW - width), width, value & (1 << 8 * width) - 1)
    assert bench.memory.read(0xE0000, 0x20000) == ROM
