"""The coprocessor's error latch: FERR# to IRQ 13, and port F0h.

Datasheet: IBM PC AT Technical Reference (6183355), "80287 Math Coprocessor"; Intel SDM vol. 1, appendix D.

With CR0.NE = 0 an x87 exception is no exception of the processor: it drives FERR# and stands before the next x87
instruction. The board latches that as IRQ 13; a write to port F0h clears the latch and drives IGNNE# until the guest
has cleared the exception, so that the handler can use the unit.

| port | register | |
|---|---|---|
| F0h | any write | clears the latch, drives IGNNE# |
| F1h | any write | resets an 80287; nothing since the 387 |

Registers not emulated: none. Boards: pc.

| threat | answer |
|---|---|
| a guest that leaves its exception pending | the line stays, the processor waits: as on the board |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.snapshot import take, take_version

VERSION: Final = 1
CLEAR, RESET = 0, 1


class CoprocessorError(EightBit):
    """The latch.

    Args:
        irq: IRQ 13.
        ferr: the processor's FERR#.
        ignne: the processor's IGNNE#.
    """

    timed = False

    def __init__(self, *, irq: Irq, ferr: Callable[[], bool], ignne: Callable[[bool], None]) -> None:
        self._irq = irq
        self._ferr = ferr
        self._ignne = ignne
        self.latched = False
        self.mistakes = 0

    def look(self) -> bool:
        """The processor waits: is it for an error, and one that was not known yet?"""
        if self.latched or not self._ferr():
            return False
        self.latched = True
        self._irq(True)
        return True

    def read_octet(self, offset: int) -> int:
        """Nobody drives the bus."""
        self.mistakes += 1
        return ALL_ONES

    def write_octet(self, offset: int, value: int) -> None:
        """F0h: the error is known."""
        if offset == CLEAR:
            self.latched = False
            self._irq(False)
            self._ignne(True)
        elif offset != RESET:
            self.mistakes += 1

    def next_deadline(self) -> None:
        """Never."""

    def handle_timer(self, now_ns: int) -> None:
        """Never called."""

    def state(self) -> State:
        """The latch."""
        return {"version": VERSION, "latched": self.latched}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, VERSION)
        self.latched = take(state, "latched", bool)
        self._irq(self.latched)
