"""What a peripheral of uMPS3 is: four words of registers, one command at a time, an interrupt that waits to be taken.

Specification: uMPS3 Principles of Operation, "Device registers".

Registers (word offsets): 0 STATUS, 1 COMMAND, 2 DATA0, 3 DATA1. A command makes STATUS busy; when its time is over,
STATUS tells the result and the interrupt is pending, until the next command (ACK does nothing else) takes it back.
Registers cannot be written while STATUS is busy.

A unit with `working = False` fails whatever it is told to do, but resets, for tests of drivers.
"""

from collections.abc import Callable, Mapping

from emulators.device import Irq, State
from emulators.devices.umps.events import EventQueue
from emulators.snapshot import take, take_int, take_ints, take_version

STATUS, COMMAND, DATA0, DATA1 = range(4)
REGISTERS = 4
WORD_OCTETS = 4
WORD = 0xFFFF_FFFF
RESET, ACK = 0, 1
READY, ILLEGAL, BUSY = 1, 2, 3


class Unit:
    """The base of all peripherals.

    Args:
        name: of its events, and in messages.
        irq: its interrupt: True asks for one, False takes it back. The router counts askings; not a mere level.
        events: the machine's queue.

    Attributes:
        timed: its deadlines are the queue's.
        working: False makes it fail.
        mistakes: commands that do not exist or are out of range.
    """

    timed = False

    def __init__(self, *, name: str, irq: Irq, events: EventQueue) -> None:
        self.name = name
        self.working = True
        self.mistakes = 0
        self._irq = irq
        self._clock = events.clock
        self._schedule: Callable[..., int] = events.register(name, self._complete)
        self._registers = [READY, 0, 0, 0]

    @property
    def busy(self) -> bool:
        """Is a command under way?"""
        return self._registers[STATUS] == BUSY

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`; words (`bus_registers` makes them of parts)."""
        return self._registers[offset // WORD_OCTETS % REGISTERS]

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`; words."""
        register = offset // WORD_OCTETS % REGISTERS
        if self.busy:
            return
        if register == COMMAND:
            self._registers[COMMAND] = value
            self._command(value)
        elif register in self._writable:
            self._registers[register] = value

    _writable: tuple[int, ...] = (DATA0,)

    def _command(self, command: int) -> None:
        """Begin what COMMAND says."""
        raise NotImplementedError

    def _complete(self) -> None:
        """Finish it: its time is over."""
        raise NotImplementedError

    def _begin(self, ticks: int) -> None:
        """Be busy for `ticks` ticks."""
        self._irq(False)
        self._registers[STATUS] = BUSY
        self._schedule(ticks)

    def _acknowledge(self) -> None:
        self._irq(False)
        self._registers[STATUS] = READY

    def _refuse(self, status: int, *, acknowledge: bool = True) -> None:
        """A mistake of the guest: the result is there at once."""
        self.mistakes += 1
        if acknowledge:
            self._irq(False)
        self._finish(status)

    def _finish(self, status: int) -> None:
        self._registers[STATUS] = status
        self._irq(True)

    # -- state

    def next_deadline(self) -> int | None:
        """As `Device.next_deadline`: none of its own."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing: see `timed`."""

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "registers": list(self._registers),
            "working": self.working,
            "mistakes": self.mistakes,
            **self._more_state(),
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        registers = take_ints(state, "registers", REGISTERS, WORD)
        working, mistakes = take(state, "working", bool), take_int(state, "mistakes", 1 << 63)
        self._from_more(state)
        self._registers, self.working, self.mistakes = registers, working, mistakes

    def _more_state(self) -> Mapping[str, object]:
        return {}

    def _from_more(self, state: State) -> None:
        """Take what `_more_state` gave."""
