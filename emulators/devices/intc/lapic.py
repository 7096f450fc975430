"""The local APIC of a P6 processor: one processor's, for systems that have an I/O APIC.

Specification: Intel SDM vol. 3 (243192, 1999), chapter 7.5 (local APIC), sections as cited.
Boards: pc (option `apic`).

Registers: 32 bits wide, 16 octets apart, from 0xFEE00000: ID, version, TPR, APR, PPR, EOI, LDR, DFR, SVR, ISR, TMR,
IRR, ESR, ICR, LVT (timer, performance, LINT0, LINT1, error), timer (initial and current count, divider).

Emulated: fixed and lowest-priority interrupts from the I/O APIC and from the processor itself; an NMI that it sends
itself by its number; priorities; level triggered interrupts and the EOI that goes back to the I/O APIC; LINT0 as the
way of the 8259s (ExtINT), LINT1 unused; the timer, once and periodic, which counts the bus clock; spurious vectors.

Not emulated: other processors (messages to them go nowhere), INIT, SMI and start-up messages to itself, the
performance counter's and thermal interrupts, x2APIC, moving the window (MSR 1BH).

Theory: IRR, ISR and TMR are integers of 256 bits. Whatever changes calls `_update`, which drives the processor's INTR;
the machine's acknowledge comes to `acknowledge`. The timer counts nothing: it knows when it was started.

| threat | stopped by |
|---|---|
| a periodic timer of a few clocks | periods below `SHORTEST_NS` give no interrupts, counted |
| a long sleep with thousands of periods to catch up | those that were missed are one |
| vectors 0–15 | not accepted, as the ESR says |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State, Timeline
from emulators.snapshot import SnapshotError, take, take_int, take_version

# §7.5.4, table 7-1
ID, VERSION, TPR, APR, PPR, EOI, LDR, DFR, SVR = 0x20, 0x30, 0x80, 0x90, 0xA0, 0xB0, 0xD0, 0xE0, 0xF0
ISR, TMR, IRR, ESR, ICR_LOW, ICR_HIGH = 0x100, 0x180, 0x200, 0x280, 0x300, 0x310
LVT_TIMER, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR = 0x320, 0x340, 0x350, 0x360, 0x370
INITIAL_COUNT, CURRENT_COUNT, DIVIDE = 0x380, 0x390, 0x3E0
WINDOW_OCTETS: Final = 0x1000

VERSION_VALUE: Final = 0x00040011  # §7.5.15: version 11h, five entries in the LVT
SVR_ENABLE: Final = 0x100
SVR_AT_RESET: Final = 0xFF
LVT_MASKED: Final = 1 << 16
LVT_PERIODIC: Final = 1 << 17
LVT_WRITABLE: Final = {
    LVT_TIMER: 0x300FF,
    LVT_PERFORMANCE: 0x107FF,
    LVT_LINT0: 0x1A7FF,
    LVT_LINT1: 0x1A7FF,
    LVT_ERROR: 0x100FF,
}
DELIVERY: Final = 0x700
FIXED, LOWEST, NMI, EXTINT = 0x000, 0x100, 0x400, 0x700
ESR_SEND_ILLEGAL, ESR_RECEIVE_ILLEGAL = 1 << 5, 1 << 6
ICR_WRITABLE: Final = 0xCCFFF
ICR_LOGICAL: Final = 1 << 11
ICR_SHORTHAND: Final = 18
FIRST_VECTOR: Final = 16
WRITABLE: Final = {TPR: 0xFF, LDR: 0xFF000000, DFR: 0xF0000000, SVR: 0x1FF, ID: 0x0F000000}
AT_RESET: Final = {DFR: 0xFFFFFFFF, SVR: SVR_AT_RESET, **dict.fromkeys(LVT_WRITABLE, LVT_MASKED)}
KEPT: Final = (ID, TPR, LDR, DFR, SVR, ESR, ICR_LOW, ICR_HIGH, *LVT_WRITABLE, INITIAL_COUNT, DIVIDE)
WORD: Final = 0xFFFFFFFF

BUS_HZ: Final = 100_000_000
NS_PER_S: Final = 1_000_000_000
SHORTEST_NS: Final = 10_000
"""Of a period. Chosen."""


class LocalApic:
    """The local APIC.

    Args:
        irq: the processor's INTR.
        timeline: the machine's time.
        external: acknowledges the 8259s, whose INT is LINT0.
        ended: told the vector of a level-triggered interrupt at its EOI.
        nmi: the processor's NMI, an edge.
    """

    def __init__(
        self,
        *,
        irq: Irq,
        timeline: Timeline,
        external: Callable[[], int],
        ended: Callable[[int], None],
        nmi: Callable[[], None],
    ) -> None:
        self._irq = irq
        self._timeline = timeline
        self._external = external
        self._ended = ended
        self._nmi = nmi
        self.registers = dict.fromkeys(KEPT, 0) | AT_RESET
        self.irr = self.isr = self.tmr = 0
        self.lint0 = False
        self._errors = 0
        self._started_ns: int | None = None
        self._periods = 0
        self.mistakes = 0

    # -- interrupts

    def line(self, level: bool) -> None:
        """LINT0."""
        self.lint0 = level
        self._update()

    def accept(self, vector: int, *, level: bool) -> None:
        """A message for this processor."""
        if vector < FIRST_VECTOR:
            self._errors |= ESR_RECEIVE_ILLEGAL
            self.mistakes += 1
            return
        if not self.registers[SVR] & SVR_ENABLE:
            return
        bit = 1 << vector
        self.irr |= bit
        self.tmr = self.tmr | bit if level else self.tmr & ~bit
        self._update()

    def matches(self, destination: int, *, logical: bool) -> bool:
        """Is this processor meant? (§7.5.6)"""
        if not logical:
            return destination in (self.registers[ID] >> 24, 0xFF, 0x0F)
        mine = self.registers[LDR] >> 24
        if self.registers[DFR] >> 28 == 0xF:
            return bool(destination & mine)
        return destination >> 4 in (mine >> 4, 0xF) and bool(destination & mine & 0xF)

    def acknowledge(self) -> int:
        """The processor takes an interrupt: its vector."""
        vector = self._pending()
        if vector is not None:
            self.irr &= ~(1 << vector)
            self.isr |= 1 << vector
            self._update()
            return vector
        if self._is_external():
            return self._external()
        return self.registers[SVR] & 0xFF

    def _is_external(self) -> bool:
        entry = self.registers[LVT_LINT0]
        return self.lint0 and not entry & LVT_MASKED and entry & DELIVERY == EXTINT

    def _pending(self) -> int | None:
        vector = self.irr.bit_length() - 1
        return vector if vector >= 0 and vector >> 4 > self._priority() >> 4 else None

    def _priority(self) -> int:
        """PPR, §7.5.13.3."""
        serving = max(self.isr.bit_length() - 1, 0)
        task = self.registers[TPR]
        return task if task >> 4 >= serving >> 4 else serving & 0xF0

    def _update(self) -> None:
        self._irq(self._pending() is not None or self._is_external())

    def _end(self) -> None:
        vector = self.isr.bit_length() - 1
        if vector < 0:
            return
        self.isr &= ~(1 << vector)
        if self.tmr >> vector & 1:
            self._ended(vector)
        self._update()

    def _send(self) -> None:
        """ICR, §7.5.10: to itself, or to nobody."""
        low = self.registers[ICR_LOW]
        shorthand = low >> ICR_SHORTHAND & 3
        here = shorthand in (1, 2) or (
            shorthand == 0 and self.matches(self.registers[ICR_HIGH] >> 24, logical=bool(low & ICR_LOGICAL))
        )
        if here and low & DELIVERY in (FIXED, LOWEST):
            if low & 0xFF < FIRST_VECTOR:
                self._errors |= ESR_SEND_ILLEGAL
            else:
                self.accept(low & 0xFF, level=False)
        elif here and low & DELIVERY == NMI and not shorthand:  # table 7-3: not by the shorthands that include it
            self._nmi()

    # -- the timer, §7.5.16

    def _period_ns(self) -> int:
        """0: it is stopped."""
        code = self.registers[DIVIDE] & 3 | self.registers[DIVIDE] >> 1 & 4
        divisor = 1 if code == 7 else 2 << code
        return self.registers[INITIAL_COUNT] * divisor * NS_PER_S // BUS_HZ

    def _current(self) -> int:
        period = self._period_ns()
        if self._started_ns is None or not period:
            return 0
        passed = self._timeline.now_ns - self._started_ns
        if not self.registers[LVT_TIMER] & LVT_PERIODIC and passed >= period:
            return 0
        return self.registers[INITIAL_COUNT] * (period - passed % period) // period

    def _start(self) -> None:
        self._started_ns = self._timeline.now_ns if self.registers[INITIAL_COUNT] else None
        self._periods = 0

    def next_deadline(self) -> int | None:
        """The timer's next interrupt."""
        if self._started_ns is None or self.registers[LVT_TIMER] & LVT_MASKED:
            return None
        period = self._period_ns()
        if self.registers[LVT_TIMER] & LVT_PERIODIC:
            return None if period < SHORTEST_NS else self._started_ns + (self._periods + 1) * period
        return None if self._periods else self._started_ns + period

    def handle_timer(self, now_ns: int) -> None:
        """As `Device.handle_timer`."""
        due = self.next_deadline()
        if due is None or due > now_ns or self._started_ns is None:
            return
        period = self._period_ns()
        self._periods = (now_ns - self._started_ns) // period if period else 1
        self.accept(self.registers[LVT_TIMER] & 0xFF, level=False)

    # -- registers

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`. Narrower accesses are of the register's octets; only 32 bits are architectural."""
        value = self._read(offset & ~15) if offset & 15 < 4 else 0
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def _read(self, register: int) -> int:
        for base, bits in ((ISR, self.isr), (TMR, self.tmr), (IRR, self.irr)):
            if base <= register < base + 0x80:
                return bits >> 2 * (register - base) & WORD
        match register:
            case 0x30:
                return VERSION_VALUE
            case 0xA0:
                return self._priority()
            case 0x390:
                return self._current()
        return self.registers.get(register, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`; 32 bits, aligned."""
        if size != 4 or offset & 15:
            self.mistakes += 1
            return
        if offset == EOI:
            self._end()
        elif offset == ESR:
            self.registers[ESR], self._errors = self._errors, 0  # §7.5.17: a write arms it
        elif offset == ICR_LOW:
            self.registers[ICR_LOW] = value & ICR_WRITABLE
            self._send()
        elif offset == ICR_HIGH:
            self.registers[ICR_HIGH] = value & 0xFF000000
        elif offset in LVT_WRITABLE:
            masked = 0 if self.registers[SVR] & SVR_ENABLE else LVT_MASKED
            self.registers[offset] = value & LVT_WRITABLE[offset] | masked
            if offset == LVT_TIMER:
                self._skip_missed()
            self._update()
        elif offset == INITIAL_COUNT:
            self.registers[INITIAL_COUNT] = value
            self._start()
            if self.registers[LVT_TIMER] & LVT_PERIODIC and 0 < self._period_ns() < SHORTEST_NS:
                self.mistakes += 1
        elif offset == DIVIDE:
            self.registers[DIVIDE] = value & 0xB
            self._skip_missed()
        elif offset in WRITABLE:
            kept = ~WRITABLE[offset] & self.registers[offset] if offset == DFR else 0
            self.registers[offset] = value & WRITABLE[offset] | kept
            if offset == SVR and not value & SVR_ENABLE:
                for entry in LVT_WRITABLE:
                    self.registers[entry] |= LVT_MASKED
            self._update()
        else:
            self.mistakes += 1

    def _skip_missed(self) -> None:
        """Periods that passed while nobody wanted them, or of another length, are not made up for."""
        period = self._period_ns()
        if self._started_ns is not None and period:
            self._periods = (self._timeline.now_ns - self._started_ns) // period

    # -- the machine

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "registers": [self.registers[name] for name in KEPT],
            "irr": self.irr.to_bytes(32, "little"),
            "isr": self.isr.to_bytes(32, "little"),
            "tmr": self.tmr.to_bytes(32, "little"),
            "lint0": self.lint0,
            "errors": self._errors,
            "started_ns": self._started_ns,
            "periods": self._periods,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`. The processor's own state holds INTR."""
        take_version(state, 1)
        values = take(state, "registers", list)
        if len(values) != len(KEPT) or any(type(value) is not int or not 0 <= value <= WORD for value in values):
            raise SnapshotError("snapshot: lapic: other registers than it has")
        for name in ("irr", "isr", "tmr"):
            octets = take(state, name, bytes)
            if len(octets) != 32:
                raise SnapshotError(f"snapshot: lapic: {name} of {len(octets)} octets")
            setattr(self, name, int.from_bytes(octets, "little"))
        self.registers = dict(zip(KEPT, values, strict=True))
        self.lint0 = take(state, "lint0", bool)
        self._errors = take_int(state, "errors", 0xFF)
        self._started_ns = None if state.get("started_ns") is None else take_int(state, "started_ns", 1 << 63)
        self._periods = take_int(state, "periods", 1 << 63)
