"""The printer of uMPS3: one character at a time.

Specification: uMPS3 Principles of Operation, "Printer devices"; times measured from uMPS3 3.0.5.
Board: umps3 (line 6).

Registers: STATUS, COMMAND (0 reset, 1 acknowledge, 2 print), DATA0 (the character in bits 0–7), DATA1 (always 0).
Results: 1 ready, 2 illegal command, 3 busy, 4 printing failed. All of them are emulated.

| threat | stopped by |
|---|---|
| output without end | 8 µs a character (125 000 a second of virtual time); the console's other end bounds the rest |
"""

from collections.abc import Callable

from emulators.device import Irq
from emulators.devices.umps.events import EventQueue
from emulators.devices.umps.unit import ACK, COMMAND, DATA0, ILLEGAL, READY, RESET, Unit

PRINT = 2
PRINT_FAILED = 4
RESET_US, PRINT_US = 40, 8


class Printer(Unit):
    """One printer. `out` takes what it prints."""

    def __init__(self, *, name: str, irq: Irq, events: EventQueue, out: Callable[[bytes], None]) -> None:
        super().__init__(name=name, irq=irq, events=events)
        self._out = out

    def _command(self, command: int) -> None:
        if command == RESET:
            self._begin(self._clock.ticks(RESET_US))
        elif command == ACK:
            self._acknowledge()
        elif command == PRINT:
            self._begin(self._clock.ticks(PRINT_US))
        else:
            self._refuse(ILLEGAL, acknowledge=False)

    def _complete(self) -> None:
        status = READY
        if self._registers[COMMAND] == PRINT:
            if self.working:
                self._out(bytes([self._registers[DATA0] & 0xFF]))
            else:
                status = PRINT_FAILED
        self._finish(status)
