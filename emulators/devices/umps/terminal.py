"""The terminal of uMPS3: a receiver and a transmitter that share an interrupt.

Specification: uMPS3 Principles of Operation, "Terminal devices"; times measured from uMPS3 3.0.5.
Board: umps3 (line 7).

Registers: 0 RECV_STATUS, 1 RECV_COMMAND, 2 TRANSM_STATUS, 3 TRANSM_COMMAND.
Commands: 0 reset, 1 acknowledge, 2 receive or transmit (the character in bits 8–15 of the command).
Results: 1 ready, 2 illegal command, 3 busy, 4 failed, 5 a character was received or transmitted (it is in bits 8–15).
All are emulated. The receiver's command is compared as a whole word, the transmitter's without its bits 8–31.

Theory: the receiver looks for a character every 80 µs from the moment of its command on. Where none waits nothing is
scheduled: when one comes, it is taken at the moment at which the receiver would have looked next. The interrupt is
taken back by a command to one half only if the other half has none pending.

Differs from the original: characters above 127 are received as they are (the original extends their sign), and a line
ends as the keyboard ends it; what is typed is not copied into the file of what was written.

| threat | stopped by |
|---|---|
| a script that types faster than the guest reads | `QUEUE_OCTETS` wait; the rest is dropped and counted |
"""

from collections import deque
from collections.abc import Callable, Mapping

from emulators.device import Irq, State
from emulators.devices.umps.events import LATEST, EventQueue
from emulators.devices.umps.unit import ACK, BUSY, ILLEGAL, READY, REGISTERS, RESET, WORD_OCTETS, Unit
from emulators.snapshot import SnapshotError, take, take_int

RECV_STATUS, RECV_COMMAND, TRANSM_STATUS, TRANSM_COMMAND = range(4)
CHARACTER = 2
FAILED, DONE = 4, 5
RESET_US, CHARACTER_US = 400, 80
QUEUE_OCTETS = 65_536
"""Octets from outside that wait. Chosen."""
RECEIVER, TRANSMITTER = 0, 1


class Terminal(Unit):
    """One terminal. `out` takes what it shows."""

    def __init__(self, *, name: str, irq: Irq, events: EventQueue, out: Callable[[bytes], None]) -> None:
        super().__init__(name=name, irq=irq, events=events)
        self._out = out
        self._registers[TRANSM_STATUS] = READY
        self._waiting: deque[int] = deque()
        self._pending = [False, False]
        self._looks: int | None = None  # the clock value at which the receiver looks; nothing is scheduled for it
        self.dropped_octets = 0

    # -- the outside

    def receive(self, octets: bytes) -> None:
        """Octets are typed."""
        room = QUEUE_OCTETS - len(self._waiting)
        self.dropped_octets += max(0, len(octets) - room)
        self._waiting.extend(octets[:room])
        if self._looks is not None and self._waiting:
            tod, period = self._clock.tod, self._clock.ticks(CHARACTER_US)
            missed = max(0, -(-(tod - self._looks) // period))
            self._schedule(self._looks + missed * period - tod, RECEIVER)
            self._looks = None

    def ready_octets(self) -> int:
        """How many octets `receive` would keep now."""
        return QUEUE_OCTETS - len(self._waiting)

    # -- the guest

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`; words."""
        register = offset // WORD_OCTETS % REGISTERS
        if register == RECV_COMMAND:
            self._half_command(RECEIVER, value, value)
        elif register == TRANSM_COMMAND:
            self._half_command(TRANSMITTER, value, value & 0xFF)

    def _half_command(self, half: int, command: int, code: int) -> None:
        status = 2 * half
        if self._registers[status] == BUSY:
            return
        self._registers[status + 1] = command
        if code not in (RESET, ACK, CHARACTER):
            self.mistakes += 1
            self._half_finish(half, ILLEGAL)
            return
        if not self._pending[1 - half]:
            self._irq(False)
        self._pending[half] = False
        if code == ACK:
            self._registers[status] = READY
            return
        self._registers[status] = BUSY
        ticks = self._clock.ticks(RESET_US if code == RESET else CHARACTER_US)
        if half == RECEIVER and code == CHARACTER and not self._waiting:
            self._looks = self._clock.tod + ticks
        else:
            self._schedule(ticks, half)

    def _complete(self, half: int = RECEIVER) -> None:
        command = self._registers[2 * half + 1]
        if half == TRANSMITTER:
            self._half_finish(half, READY if command & 0xFF == RESET else self._transmit(command & 0xFF00))
        elif command == RESET:
            self._half_finish(half, READY)
        elif self._waiting:  # it waited when this was scheduled, and nobody else takes it
            self._half_finish(half, self._waiting.popleft() << 8 | DONE if self.working else FAILED)

    def _transmit(self, character: int) -> int:
        if not self.working:
            return character | FAILED
        self._out(bytes([character >> 8]))
        return character | DONE

    def _half_finish(self, half: int, status: int) -> None:
        self._registers[2 * half] = status
        self._pending[half] = True
        self._irq(True)

    def _more_state(self) -> Mapping[str, object]:
        return {
            "waiting": bytes(self._waiting),
            "pending": list(self._pending),
            "looks": self._looks,
            "dropped": self.dropped_octets,
        }

    def _from_more(self, state: State) -> None:
        waiting, pending = take(state, "waiting", bytes), take(state, "pending", list)
        if len(waiting) > QUEUE_OCTETS or len(pending) != 2 or any(type(half) is not bool for half in pending):
            raise SnapshotError("snapshot: waiting, pending: not those of a terminal")
        looks = None if state.get("looks") is None else take_int(state, "looks", LATEST)
        self.dropped_octets = take_int(state, "dropped", LATEST)
        self._waiting, self._pending, self._looks = deque(waiting), list(pending), looks
