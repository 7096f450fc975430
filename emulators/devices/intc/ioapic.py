"""Intel 82093AA I/O APIC: 24 interrupt lines, each with a vector and a destination.

Datasheet: Intel 82093AA IOAPIC (290566-001, 1996), sections as cited.
Boards: pc (option `apic`).

Registers: IOREGSEL at 0x00, IOWIN at 0x10 of the window; behind them IOAPICID 00h, IOAPICVER 01h, IOAPICARB 02h,
IOREDTBL[23:0] 10h–3Fh.

Emulated: edge and level, both polarities kept (lines are levels of assertion here), masks, fixed and lowest-priority
delivery, physical and logical destinations, remote IRR and the EOI message, ExtINT by its line 0.

Not emulated: SMI, NMI and INIT delivery (counted), the serial bus's arbitration.

| threat | stopped by |
|---|---|
| a level-triggered line that stays asserted | delivered again only behind the EOI (remote IRR) |
"""

from typing import Final, Protocol

from emulators.device import Irq, State
from emulators.snapshot import SnapshotError, take, take_int, take_version

IOREGSEL, IOWIN = 0x00, 0x10  # §3.1
IOAPICID, IOAPICVER, IOAPICARB, IOREDTBL = 0x00, 0x01, 0x02, 0x10  # §3.2
WINDOW_OCTETS: Final = 0x1000
LINES: Final = 24
VERSION_VALUE: Final = (LINES - 1) << 16 | 0x11

# §3.2.4
VECTOR: Final = 0xFF
DELIVERY, FIXED, LOWEST = 0x700, 0x000, 0x100
LOGICAL, REMOTE_IRR, LEVEL, MASKED = 1 << 11, 1 << 14, 1 << 15, 1 << 16
LOW_WRITABLE: Final = 0x1AFFF
DESTINATION: Final = 56


class Processor(Protocol):
    """The local APIC, as the I/O APIC sees it."""

    def accept(self, vector: int, *, level: bool) -> None:
        """An interrupt message comes."""

    def matches(self, destination: int, *, logical: bool) -> bool:
        """Is this processor meant by a destination?"""


class IoApic:
    """The I/O APIC.

    Args:
        processor: the only one.
    """

    timed = False

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self.identity = 0
        self.selected = 0
        self.table = [MASKED] * LINES
        self.raised = 0
        self.mistakes = 0

    def line(self, number: int) -> Irq:
        """Input `number` as a line to give to a device."""

        def drive(level: bool) -> None:
            was = self.raised >> number & 1
            self.raised = self.raised | 1 << number if level else self.raised & ~(1 << number)
            if level and not was:
                self._deliver(number)

        return drive

    def ended(self, vector: int) -> None:
        """The EOI of a level-triggered interrupt."""
        for number, entry in enumerate(self.table):
            if entry & VECTOR == vector and entry & REMOTE_IRR:
                self.table[number] &= ~REMOTE_IRR
                if self.raised >> number & 1:
                    self._deliver(number)

    def _deliver(self, number: int) -> None:
        entry = self.table[number]
        if entry & (MASKED | REMOTE_IRR):
            return
        if entry & DELIVERY not in (FIXED, LOWEST):
            self.mistakes += 1
            return
        if not self._processor.matches(entry >> DESTINATION, logical=bool(entry & LOGICAL)):
            return
        level = bool(entry & LEVEL)
        if level:
            self.table[number] |= REMOTE_IRR
        self._processor.accept(entry & VECTOR, level=level)

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        value = 0
        if offset & ~3 == IOREGSEL:
            value = self.selected
        elif offset & ~3 == IOWIN:
            value = self._register()
        else:
            self.mistakes += 1
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def _register(self) -> int:
        if self.selected in (IOAPICID, IOAPICARB):
            return self.identity
        if self.selected == IOAPICVER:
            return VERSION_VALUE
        number, high = divmod(self.selected - IOREDTBL, 2)
        if 0 <= number < LINES:
            return self.table[number] >> 32 * high & 0xFFFFFFFF
        self.mistakes += 1
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if offset == IOREGSEL:
            self.selected = value & 0xFF
        elif offset == IOWIN and size == 4:
            self._write(value)
        else:
            self.mistakes += 1

    def _write(self, value: int) -> None:
        if self.selected == IOAPICID:
            self.identity = value & 0x0F000000
            return
        number, high = divmod(self.selected - IOREDTBL, 2)
        if not 0 <= number < LINES:
            self.mistakes += 1
            return
        entry = self.table[number]
        if high:
            self.table[number] = entry & 0xFFFFFFFF | (value & 0xFF000000) << 32
            return
        kept = entry & REMOTE_IRR if value & LEVEL else 0
        self.table[number] = entry & ~0xFFFFFFFF | value & LOW_WRITABLE | kept
        if value & LEVEL and self.raised >> number & 1:
            self._deliver(number)

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "identity": self.identity,
            "selected": self.selected,
            "table": list(self.table),
            "raised": self.raised,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        table = take(state, "table", list)
        if len(table) != LINES or any(type(entry) is not int or not 0 <= entry < 1 << 64 for entry in table):
            raise SnapshotError("snapshot: ioapic: another table than it has")
        self.table = list(table)
        self.identity = take_int(state, "identity", 0x0F000000)
        self.selected = take_int(state, "selected", 0xFF)
        self.raised = take_int(state, "raised", (1 << LINES) - 1)
