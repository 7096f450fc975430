"""The interval timer of uMPS3: a word that goes down by one every tick, and interrupts when it passes zero.

Specification: uMPS3 Principles of Operation, "Interval timer"; measured from uMPS3 3.0.5.
Board: umps3 (line 2).

Registers: one word. A write sets it and takes the interrupt back. It starts with 0xFFFFFFFF. All is emulated.

Theory: nothing counts. What is kept is the clock value at which the word is 0; the interrupt comes one tick later, and
again every 2³² ticks. At one and the same tick the timer comes before the event queue: a board lists it first.

| threat | stopped by |
|---|---|
| a guest that sets it to 0 again and again | each interrupt needs a tick, and so an instruction, of its own |
"""

from emulators.device import Irq, State
from emulators.devices.umps.events import LATEST, Clock
from emulators.devices.umps.unit import WORD
from emulators.snapshot import take_int, take_version


class IntervalTimer:
    """The timer."""

    def __init__(self, *, irq: Irq, clock: Clock) -> None:
        self._irq = irq
        self._clock = clock
        self._zero_at = WORD

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        return self._zero_at - self._clock.tod & WORD

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        self._zero_at = self._clock.tod + value
        self._irq(False)

    def next_deadline(self) -> int | None:
        """As `Device.next_deadline`."""
        return self._clock.ns(self._zero_at + 1)

    def handle_timer(self, now_ns: int) -> None:
        """As `Device.handle_timer`."""
        if self._clock.tod > self._zero_at:
            self._zero_at += WORD + 1
            self._irq(True)

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "zero_at": self._zero_at}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self._zero_at = take_int(state, "zero_at", LATEST)
