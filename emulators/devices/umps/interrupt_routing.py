"""The interrupt controller of uMPS3: which processor gets a device's interrupt, and messages between processors.

Specification: uMPS3 Principles of Operation, "Interrupt routing" and "Inter-processor interrupts"; behaviour measured
from uMPS3 3.0.5.
Board: umps3.

Registers (offsets from 0x10000000): 0x40 interrupting devices of lines 3–7 (of the processor that reads), 0x300 routing
table (48 words: line 2's eight entries of which the first counts, then lines 3–7), and of the processor that accesses:
0x400 INBOX, 0x404 OUTBOX, 0x408 task priority, 0x40C and 0x410 two words for the BIOS. All are emulated.

Theory: an interrupt goes to the processor that the table names at that moment: fixed, or, if bit 28 says so, to the one
of the mask with the highest task priority value, the search beginning behind the one chosen last. It is taken back from
the processor that got it. One that has no such processor is lost. A processor's line is asserted while any
of its devices on the line is. A message takes 20 µs; a processor's inbox has room for one of every sender.

| threat | stopped by |
|---|---|
| messages without end | one of every sender is kept; those on their way are bounded by the event queue |
| a processor number that does not exist | nobody gets it |
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from emulators.device import Irq, State
from emulators.devices.umps.events import EventQueue
from emulators.devices.umps.unit import WORD, WORD_OCTETS
from emulators.snapshot import SnapshotError, take, take_int, take_ints, take_version

LINES = 8
UNITS = 8
"""Devices of a line."""
LINE_IPI, LINE_TIMER, FIRST_DEVICE_LINE = 0, 2, 3

PENDING_DEVICES, PENDING_DEVICES_END = 0x40, 0x54
ROUTING_TABLE, ROUTING_TABLE_END = 0x300, 0x3C0
INBOX, OUTBOX, TASK_PRIORITY, BIOS_0, BIOS_1 = 0x400, 0x404, 0x408, 0x40C, 0x410
PROCESSOR_END = 0x414

DYNAMIC = 1 << 28
DESTINATION = 0xFFFF
PRIORITY = 0xF
MESSAGE_US = 20


@dataclass(slots=True)
class Interface:
    """What a processor has of its own.

    Attributes:
        devices: interrupting devices of lines 3–7, a bit each.
        asserted: lines.
        inbox: (sender, message), the oldest first.
    """

    devices: list[int] = field(default_factory=lambda: [0] * (LINES - FIRST_DEVICE_LINE))
    asserted: int = 0
    inbox: list[tuple[int, int]] = field(default_factory=list)
    priority: int = 0
    bios: list[int] = field(default_factory=lambda: [0, 0])


class InterruptRouting:
    """The controller.

    Args:
        processors: how many there are.
        drive: drives a line of a processor: (processor, line, level).
        current: the processor whose access is being handled.
        events: the machine's queue.
    """

    timed = False

    def __init__(
        self,
        *,
        processors: int,
        drive: Callable[[int, int, bool], None],
        current: Callable[[], int],
        events: EventQueue,
    ) -> None:
        self._drive = drive
        self._current = current
        self._clock = events.clock
        self._schedule = events.register("message", self._deliver)
        self._interfaces = [Interface() for _ in range(processors)]
        sources = (LINES - LINE_TIMER) * UNITS
        self._routes = [0] * sources
        self._targets: list[int | None] = [None] * sources  # who got the interrupt that is pending
        self._arbiter = 0
        self.lost = 0

    def input(self, line: int, unit: int = 0) -> Irq:
        """The end of a device's interrupt: True asks for one, False takes it back."""
        source = (line - LINE_TIMER) * UNITS + unit

        def drive(level: bool) -> None:
            if level:
                self._start(line, unit, source)
            else:
                self._finish(line, unit, source)

        return drive

    def _start(self, line: int, unit: int, source: int) -> None:
        target = self._choose(self._routes[source])
        if target is None:
            self.lost += 1
            return
        self._targets[source] = target
        interface = self._interfaces[target]
        if line >= FIRST_DEVICE_LINE:
            interface.devices[line - FIRST_DEVICE_LINE] |= 1 << unit
        self._set(target, line, True)

    def _choose(self, route: int) -> int | None:
        count = len(self._interfaces)
        if not route & DYNAMIC:
            return route if route < count else None
        chosen = None
        for step in range(count):
            processor = (self._arbiter + step) % count
            if route >> processor & 1 and (
                chosen is None or self._interfaces[processor].priority > self._interfaces[chosen].priority
            ):
                chosen = processor
        if chosen is not None:
            self._arbiter = (chosen + 1) % count
        return chosen

    def _finish(self, line: int, unit: int, source: int) -> None:
        target, self._targets[source] = self._targets[source], None
        if target is None:
            return
        devices = self._interfaces[target].devices
        if line >= FIRST_DEVICE_LINE:
            devices[line - FIRST_DEVICE_LINE] &= ~(1 << unit)
            if devices[line - FIRST_DEVICE_LINE]:
                return
        self._set(target, line, False)

    def _set(self, processor: int, line: int, level: bool) -> None:
        interface = self._interfaces[processor]
        interface.asserted = interface.asserted | 1 << line if level else interface.asserted & ~(1 << line)
        self._drive(processor, line, level)

    def _deliver(self, sender: int, outbox: int) -> None:
        for processor, interface in enumerate(self._interfaces):
            if outbox >> 8 >> processor & 1 and all(other != sender for other, _ in interface.inbox):
                interface.inbox.append((sender, outbox & 0xFF))
                self._set(processor, LINE_IPI, True)

    # -- the guest

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`; words."""
        interface = self._interfaces[self._current()]
        if PENDING_DEVICES <= offset < PENDING_DEVICES_END:
            return interface.devices[(offset - PENDING_DEVICES) // WORD_OCTETS]
        if ROUTING_TABLE <= offset < ROUTING_TABLE_END:
            return self._routes[(offset - ROUTING_TABLE) // WORD_OCTETS]
        if offset == INBOX and interface.inbox:
            sender, message = interface.inbox[0]
            return sender << 8 | message
        if offset == TASK_PRIORITY:
            return interface.priority
        if offset in (BIOS_0, BIOS_1):
            return interface.bios[offset == BIOS_1]
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`; words."""
        processor = self._current()
        interface = self._interfaces[processor]
        if ROUTING_TABLE <= offset < ROUTING_TABLE_END:
            self._routes[(offset - ROUTING_TABLE) // WORD_OCTETS] = value & (DYNAMIC | DESTINATION)
        elif offset == INBOX and interface.inbox:
            interface.inbox.pop(0)
            if not interface.inbox:
                self._set(processor, LINE_IPI, False)
        elif offset == OUTBOX:
            self._schedule(self._clock.ticks(MESSAGE_US), processor, value)
        elif offset == TASK_PRIORITY:
            interface.priority = value & PRIORITY
        elif offset in (BIOS_0, BIOS_1):
            interface.bios[offset == BIOS_1] = value

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
            "routes": list(self._routes),
            "targets": list(self._targets),
            "arbiter": self._arbiter,
            "lost": self.lost,
            "interfaces": [
                {
                    "devices": list(one.devices),
                    "asserted": one.asserted,
                    "inbox": [list(message) for message in one.inbox],
                    "priority": one.priority,
                    "bios": list(one.bios),
                }
                for one in self._interfaces
            ],
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`. The processors' own state has their lines already."""
        take_version(state, 1)
        count = len(self._interfaces)
        saved = take(state, "interfaces", list)
        targets = take(state, "targets", list)
        if len(saved) != count or len(targets) != len(self._targets):
            raise SnapshotError(f"snapshot: interfaces: those of {count} processors were expected")
        if any(target is not None and not (type(target) is int and 0 <= target < count) for target in targets):
            raise SnapshotError("snapshot: targets: processors were expected")
        routes = take_ints(state, "routes", len(self._routes), WORD)
        arbiter = take_int(state, "arbiter", count - 1)
        self.lost = take_int(state, "lost", 1 << 63)
        self._interfaces = [_interface(one, count) for one in saved]
        self._routes, self._targets, self._arbiter = routes, list(targets), arbiter


def _interface(saved: State, count: int) -> Interface:
    devices = take_ints(saved, "devices", LINES - FIRST_DEVICE_LINE, WORD)
    inbox = take(saved, "inbox", list)
    if len(inbox) > count or any(
        not isinstance(entry, list)
        or len(entry) != 2
        or any(type(number) is not int for number in entry)
        or not (0 <= entry[0] < count and 0 <= entry[1] <= 0xFF)
        for entry in inbox
    ):
        raise SnapshotError("snapshot: inbox: a sender and a message each were expected")
    return Interface(
        [word & (1 << UNITS) - 1 for word in devices],
        take_int(saved, "asserted", (1 << LINES) - 1),
        [(sender, message) for sender, message in inbox],
        take_int(saved, "priority", PRIORITY),
        [word & WORD for word in take_ints(saved, "bios", 2, WORD)],
    )
