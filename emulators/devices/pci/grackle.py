"""Motorola MPC106 "Grackle": the bridge between a PowerPC's bus, memory and PCI, with address map B.

Datasheet: Motorola MPC106UM/AD rev. 1 (1997), chapter 3 (address maps and registers) and chapter 7 (PCI).
Boards: mac.

Theory. Accesses that meet no memory come here with their physical address and are sent on (table 3-5, map B):

| processor's address | where |
|---|---|
| 0x80000000 … 0xFCFFFFFF | PCI memory at the same address |
| 0xFD000000 … 0xFDFFFFFF | PCI memory from 0 on (ISA memory, VGA) |
| 0xFE000000 … 0xFE7FFFFF | PCI I/O from 0 on |
| 0xFE800000 … 0xFEBFFFFF | PCI I/O from 0x00800000 on |
| 0xFEC00000 … 0xFEDFFFFF | CONFIG_ADDR |
| 0xFEE00000 … 0xFEEFFFFF | CONFIG_DATA: a configuration cycle; the low address bits are the octet within the register |
| 0xFEF00000 … 0xFEFFFFFF | interrupt acknowledge: nothing here answers, all ones |
| 0xFF000000 … 0xFFFFFFFF | ROM (memory, on our boards) |

Registers are little-endian, as everything on PCI is. The chip itself is function 0.0.

Registers emulated: identity, command and status of PCI; master abort is set in the status register.

Registers that keep what is written, and nothing more: power management, output driver control, memory boundaries and
banks, memory control 1 … 4, processor interface configuration 1 and 2, error enabling and detection, alternate OS
visible parameters.

Not emulated: address map A, ECC and parity, the L2 cache interface, special cycles, buses behind bridges.

| threat | stopped by |
|---|---|
| an empty slot, another bus | master abort: all ones, as on the bus |
| accesses across a register, or beyond everything | all ones, counted |
"""

from collections.abc import Callable
from typing import Final

from emulators.bus import Registers
from emulators.device import State
from emulators.devices.pci.bus import PciBus
from emulators.devices.pci.config import PciFunction
from emulators.snapshot import take, take_int, take_version

VENDOR, DEVICE, HOST_BRIDGE = 0x1057, 0x0002, 0x060000  # §3.2.2, table 3-8
STATUS_MASTER_ABORT: Final = 1 << 13  # PCI 3.0 table 6-2

CONFIG_ENABLE: Final = 1 << 31
CONFIG_WRITABLE: Final = 0x80FFFFFC  # §3.2.1.1

PCI_MEMORY, ISA_MEMORY, PCI_IO, PCI_IO_HIGH, CONFIG_ADDR, CONFIG_DATA, ACKNOWLEDGE, ROM = (
    0x80000000,
    0xFD000000,
    0xFE000000,
    0xFE800000,
    0xFEC00000,
    0xFEE00000,
    0xFEF00000,
    0xFF000000,
)

KEPT: Final = {
    # offset: (octets, value at reset, bits that software may write); table 3-8
    0x70: (2, 0x0000, 0xFFFF),  # power management 1
    0x72: (1, 0x00, 0xFF),  # power management 2
    0x73: (1, 0xCD, 0xFF),  # output driver control
    **{0x80 + 4 * n: (4, 0, 0xFFFFFFFF) for n in range(8)},  # memory starting and ending addresses
    0xA0: (1, 0x00, 0xFF),  # memory bank enable
    0xA3: (1, 0x00, 0xFF),  # page mode counter
    0xA8: (4, 0xFF000010, 0xFFFFFFFF),  # processor interface 1
    0xAC: (4, 0x000C060C, 0xFFFFFFFF),  # processor interface 2
    0xB8: (1, 0x00, 0xFF),
    0xBA: (1, 0x04, 0xFF),  # alternate OS visible
    0xBB: (1, 0x00, 0xFF),
    0xC0: (1, 0x01, 0xFF),  # error enabling 1
    0xC4: (1, 0x00, 0xFF),  # error enabling 2
    0xF0: (4, 0xFF020000, 0xFFFFFFFF),  # memory control 1 … 4
    0xF4: (4, 0x00000003, 0xFFFFFFFF),
    0xF8: (4, 0x00000000, 0xFFFFFFFF),
    0xFC: (4, 0x00100000, 0xFFFFFFFF),
}


def host_function() -> PciFunction:
    """The chip as function 0.0 of its bus."""
    function = PciFunction("grackle", vendor=VENDOR, device=DEVICE, revision=0x40, class_code=HOST_BRIDGE)
    for offset, (octets, value, writable) in KEPT.items():
        function.set_config(offset, octets, value, writable=writable)
    return function


class Grackle:
    """The chip. Offsets are physical addresses.

    Args:
        pci: its bus; the chip plugs itself in as 0.0.
    """

    timed = False

    def __init__(self, *, pci: PciBus) -> None:
        self._pci = pci
        self.configuration = host_function()
        pci.add(self.configuration, 0)
        self.address = 0
        self.mistakes = 0
        io: Callable[[int], tuple[Registers, int]] = lambda address: (pci.io, address - PCI_IO)  # noqa: E731
        self._ways: tuple[tuple[int, int, Callable[[int], tuple[Registers, int]]], ...] = (
            (PCI_MEMORY, ISA_MEMORY, lambda address: (pci.memory, address)),
            (ISA_MEMORY, PCI_IO, lambda address: (pci.memory, address - ISA_MEMORY)),
            (PCI_IO, CONFIG_ADDR, io),
        )

    def read(self, offset: int, size: int) -> int:
        """`offset` is the physical address."""
        if PCI_MEMORY <= offset < ISA_MEMORY:
            return self._pci.memory.read(offset, size)
        for first, end, way in self._ways:
            if first <= offset < end:
                device, address = way(offset)
                return device.read(address, size)
        if CONFIG_ADDR <= offset < CONFIG_DATA:
            return self.address >> 8 * (offset & 3) & (1 << 8 * size) - 1
        if CONFIG_DATA <= offset < ACKNOWLEDGE:
            return self._cycle(offset & 3, size, None)
        if not ACKNOWLEDGE <= offset < ROM:
            self.mistakes += 1
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """`offset` is the physical address."""
        for first, end, way in self._ways:
            if first <= offset < end:
                device, address = way(offset)
                device.write(address, size, value)
                return
        if CONFIG_ADDR <= offset < CONFIG_DATA:
            lane = 8 * (offset & 3)
            mask = (1 << 8 * size) - 1 << lane & CONFIG_WRITABLE
            self.address = self.address & ~mask | value << lane & mask
        elif CONFIG_DATA <= offset < ACKNOWLEDGE:
            self._cycle(offset & 3, size, value)
        else:
            self.mistakes += 1

    def _cycle(self, lane: int, size: int, value: int | None) -> int:
        """A configuration cycle: a read if there is no value."""
        ones = (1 << 8 * size) - 1
        bus, devfn, register = self.address >> 16 & 0xFF, self.address >> 8 & 0xFF, self.address & 0xFC
        if not self.address & CONFIG_ENABLE or lane + size > 4:
            self.mistakes += 1
            return ones
        if bus or self._pci.function_at(devfn) is None:
            self.configuration.set_pci_status(STATUS_MASTER_ABORT)
            return ones
        if value is not None:
            self._pci.config_write(devfn, register + lane, size, value)
            return 0
        return self._pci.config_read(devfn, register + lane, size)

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "address": self.address,
            "mistakes": self.mistakes,
            "configuration": self.configuration.state(),
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self.address = take_int(state, "address", 0xFFFFFFFF) & CONFIG_WRITABLE
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        self.configuration.from_state(take(state, "configuration", dict))
