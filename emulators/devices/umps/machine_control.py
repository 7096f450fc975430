"""The machine control registers of uMPS3: processors are started and halted, the power is switched off.

Specification: uMPS3 Principles of Operation, "Machine control"; times measured from uMPS3 3.0.5.
Board: umps3.

Registers (offsets from 0x10000000): 0x500 number of processors, 0x504 reset a processor, 0x508 and 0x50C program
counter and stack pointer that it then gets, 0x510 halt a processor, 0x514 power (0xFF: off). All are emulated.

| threat | stopped by |
|---|---|
| a processor number that does not exist | nothing happens |
| resets without end | bounded by the event queue |
"""

from collections.abc import Callable

from emulators.device import State
from emulators.devices.umps.events import EventQueue
from emulators.devices.umps.unit import WORD
from emulators.snapshot import take_int, take_version

PROCESSORS, RESET, BOOT_PC, BOOT_SP, HALT, POWER = 0x500, 0x504, 0x508, 0x50C, 0x510, 0x514
END = 0x518
START_PC, START_SP = 0x1FC0_0000, 0
PROCESSOR = 0xF
POWER_OFF = 0xFF
RESET_US, HALT_US, POWER_OFF_US = 50, 50, 1000


class MachineControl:
    """The registers.

    Args:
        processors: how many there are.
        reset: (processor, program counter, stack pointer) starts one.
        halt: stops one until it is started again.
        power_off: ends the machine.
        events: the machine's queue.
    """

    timed = False

    def __init__(
        self,
        *,
        processors: int,
        reset: Callable[[int, int, int], None],
        halt: Callable[[int], None],
        power_off: Callable[[], None],
        events: EventQueue,
    ) -> None:
        self._processors = processors
        self._clock = events.clock
        self._reset = events.register("reset", reset)
        self._halt = events.register("halt", halt)
        self._power_off = events.register("power", power_off)
        self._boot_pc, self._boot_sp = START_PC, START_SP

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`; words."""
        return {PROCESSORS: self._processors, BOOT_PC: self._boot_pc, BOOT_SP: self._boot_sp}.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`; words."""
        processor = value & PROCESSOR
        if offset == BOOT_PC:
            self._boot_pc = value
        elif offset == BOOT_SP:
            self._boot_sp = value
        elif offset == RESET and processor < self._processors:
            self._reset(self._clock.ticks(RESET_US), processor, self._boot_pc, self._boot_sp)
        elif offset == HALT and processor < self._processors:
            self._halt(self._clock.ticks(HALT_US), processor)
        elif offset == POWER and value == POWER_OFF:
            self._power_off(self._clock.ticks(POWER_OFF_US))

    def next_deadline(self) -> int | None:
        """As `Device.next_deadline`: none of its own."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing: see `timed`."""

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "boot_pc": self._boot_pc, "boot_sp": self._boot_sp}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        boot_pc, boot_sp = take_int(state, "boot_pc", WORD), take_int(state, "boot_sp", WORD)
        self._boot_pc, self._boot_sp = boot_pc, boot_sp
