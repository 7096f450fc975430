"""The bus registers of uMPS3: the first 0x518 octets of its devices' space, and what of it leads to which device.

Specification: uMPS3 Principles of Operation, "Bus registers and device registers"; measured from uMPS3 3.0.5.
Board: umps3 (0x10000000).

Registers: 0x00 RAM base, 0x04 RAM size, 0x08 execution ROM base, 0x0C its size, 0x10 boot ROM base, 0x14 its size,
0x18 and 0x1C time of day high and low, 0x20 interval timer, 0x24 ticks of a microsecond, 0x28 TLB floor, 0x2C installed
devices of lines 3–7; then those of `interrupt_routing` (0x40, 0x300, 0x400), of the devices (0x54: 16 octets each, line
by line) and of `machine_control` (0x500). What is between reads 0, and ignores writes. All are emulated.

Theory: the bus moves words. A part of a word that is read is cut out of it; one that is written is put into the word
that was read before. The original does the same, so that a store of an octet to a command register is a whole command.

| threat | stopped by |
|---|---|
| an access across the end of a word | cannot happen: the processor raises an address error; here it is cut |
"""

from collections.abc import Mapping

from emulators.bus import Registers
from emulators.device import State
from emulators.devices.umps import interrupt_routing as routing
from emulators.devices.umps import machine_control as control
from emulators.devices.umps.events import Clock
from emulators.devices.umps.unit import WORD, WORD_OCTETS
from emulators.snapshot import take_version

BASE = 0x1000_0000
OCTETS = control.END
TOD_HIGH, TOD_LOW, TIMER, TIME_SCALE, TLB_FLOOR = 0x18, 0x1C, 0x20, 0x24, 0x28
INSTALLED, INSTALLED_END = 0x2C, 0x40
DEVICES, DEVICES_END = 0x54, 0x2D4
UNIT_OCTETS = 16


class BusRegisters:
    """The space.

    Args:
        constants: words that never change, by offset (RAM base to boot ROM size, TLB floor).
        clock, timer, interrupts, machine: what leads elsewhere.
        units: peripherals by (line, unit).
    """

    timed = False

    def __init__(
        self,
        *,
        constants: Mapping[int, int],
        clock: Clock,
        timer: Registers,
        interrupts: Registers,
        machine: Registers,
        units: Mapping[tuple[int, int], Registers],
    ) -> None:
        self._constants = {**constants, TIME_SCALE: clock.scale}
        for line in range(routing.FIRST_DEVICE_LINE, routing.LINES):
            installed = sum(1 << unit for unit in range(routing.UNITS) if (line, unit) in units)
            self._constants[INSTALLED + (line - routing.FIRST_DEVICE_LINE) * WORD_OCTETS] = installed
        self._clock = clock
        self._timer = timer
        self._interrupts = interrupts
        self._machine = machine
        self._units: list[Registers | None] = [
            units.get((line, unit))
            for line in range(routing.FIRST_DEVICE_LINE, routing.LINES)
            for unit in range(routing.UNITS)
        ]

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        if size == WORD_OCTETS:
            return self._read_word(offset)
        return self._read_word(offset & ~3) >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if size != WORD_OCTETS:
            mask = (1 << 8 * size) - 1
            shift = 8 * (offset & 3)
            word = self._read_word(offset & ~3)
            value = (word & ~(mask << shift) | (value & mask) << shift) & WORD
            offset &= ~3
        if DEVICES <= offset < DEVICES_END:
            unit = self._units[(offset - DEVICES) // UNIT_OCTETS]
            if unit is not None:
                unit.write((offset - DEVICES) % UNIT_OCTETS, WORD_OCTETS, value)
        elif routing.ROUTING_TABLE <= offset < routing.PROCESSOR_END:
            self._interrupts.write(offset, WORD_OCTETS, value)
        elif offset >= control.PROCESSORS:
            self._machine.write(offset, WORD_OCTETS, value)
        elif offset == TIMER:
            self._timer.write(0, WORD_OCTETS, value)

    def _read_word(self, offset: int) -> int:
        if DEVICES <= offset < DEVICES_END:
            unit = self._units[(offset - DEVICES) // UNIT_OCTETS]
            return 0 if unit is None else unit.read((offset - DEVICES) % UNIT_OCTETS, WORD_OCTETS)
        if offset == TOD_LOW:
            return self._clock.tod & WORD
        if offset == TOD_HIGH:
            return self._clock.tod >> 32 & WORD
        if offset == TIMER:
            return self._timer.read(0, WORD_OCTETS)
        if offset < INSTALLED_END:
            return self._constants.get(offset, 0)
        if offset < control.PROCESSORS:
            return self._interrupts.read(offset, WORD_OCTETS)
        return self._machine.read(offset, WORD_OCTETS)

    def next_deadline(self) -> int | None:
        """As `Device.next_deadline`: none of its own."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing: see `timed`."""

    def state(self) -> State:
        """As `Device.state`: nothing of its own."""
        return {"version": 1}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
