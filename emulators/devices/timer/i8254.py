"""Intel 8254 programmable interval timer, and port 61h of the PC, which gates and shows its third counter.

Datasheets: Intel 8254 (231164, 1993); port 61h: Intel 82371AB PIIX4 (290562, §4.2.5).
Boards: malta; made for the PC as well.

Registers: offsets 0–2 are the counters, 3 is the control word (8254 figure 3). Port 61h is a device of its own,
`SystemPortB`, with one register.

Emulated: three counters with modes 0–5, binary and BCD, all three ways of access, counter latch, read-back of count
and status, null count, gates; a new count of modes 2 and 3 waits for the end of the period.

Not emulated: OUT low for one clock in modes 2, 4 and 5 as a level of its own (`out` sees the rising edge as low, high,
at one moment); in mode 3 the falling edge is not driven either; the output of counter 1 but for port 61h's refresh bit.

Theory: nothing counts. A counter knows the clock at which its count was loaded, and computes what a read would give.
Only counter 0's rising edges are deadlines: `out` is called at them.

| threat | stopped by |
|---|---|
| a count of 1 in mode 2 or 3: 1.2 million interrupts a second | periods below `SHORTEST` clocks give none, counted |
| a long sleep that leaves thousands of periods to catch up with | edges that were missed are one edge |
"""

from collections.abc import Callable
from dataclasses import dataclass

from emulators.device import Irq, State, Timeline
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.snapshot import take, take_int, take_version

CLOCK_HZ = 1_193_182
"""The PC's: 14.31818 MHz / 12."""
SHORTEST = 12
"""Clocks of a period, about 10 µs. Chosen."""
NS_PER_S = 1_000_000_000
LONGEST_CLOCKS = 1 << 64

# Control word, 8254 figure 7
READ_BACK = 3
LATCH = 0
LSB_ONLY, MSB_ONLY, LSB_MSB = 1, 2, 3
# Read-back command, figure 11
READ_BACK_NO_COUNT = 0x20
READ_BACK_NO_STATUS = 0x10
# Status, figure 12
STATUS_OUT = 0x80
STATUS_NULL = 0x40


def clocks(now_ns: int) -> int:
    """Clocks that have begun by then."""
    return now_ns * CLOCK_HZ // NS_PER_S


def clock_ns(clock: int) -> int:
    """The first nanosecond at which `clock` has begun."""
    return -(-clock * NS_PER_S // CLOCK_HZ)


@dataclass(slots=True)
class Counter:
    """One counter. Times are clocks since the machine's start.

    Attributes:
        count: clocks of a period, 1–65536 (BCD: 1–10000).
        following: the count of the next period, written in the middle of this one.
        loaded: the clock at which `count` began; None: it has not (no count yet, or no trigger).
        frozen: the counting element while the gate holds it, in clocks since the load.
        latched, latched_status: what reads are to answer first.
        low: the first half of a count that is written in two.
        high_next: the second half is read, or written, next.
    """

    mode: int = 3
    access: int = LSB_MSB
    bcd: bool = False
    gate: bool = True
    count: int = 0x10000
    following: int | None = None
    loaded: int | None = None
    frozen: int | None = None
    null: bool = True
    latched: int | None = None
    latched_status: int | None = None
    low: int | None = None
    high_next: bool = False

    @property
    def top(self) -> int:
        """Counts that the counting element has."""
        return 10_000 if self.bcd else 0x10000

    def elapsed(self, clock: int) -> int | None:
        """Clocks since the load."""
        if self.frozen is not None:
            return self.frozen
        return None if self.loaded is None else max(0, clock - self.loaded)

    def settle(self, clock: int) -> None:
        """Put the load at the beginning of the present period."""
        if self.mode not in (2, 3) or self.loaded is None or self.frozen is not None:
            return
        passed = clock - self.loaded
        if passed < self.count:
            return
        if self.following is not None:
            self.loaded += self.count
            self.count, self.following = self.following, None
            self.null = False
            passed = clock - self.loaded
        self.loaded += passed - passed % self.count

    def value(self, clock: int) -> int:
        """The counting element."""
        self.settle(clock)
        passed = self.elapsed(clock)
        if passed is None:
            return self.count % self.top
        if self.mode == 2:
            return (self.count - passed) % self.top
        if self.mode == 3:
            high = (self.count + 1) // 2
            into = passed if passed < high else passed - high
            return (self.count - (self.count & 1) - 2 * into) % self.top  # figure 18: by two, odd counts less one
        return (self.count - passed) % self.top

    def output(self, clock: int) -> bool:
        """OUT."""
        self.settle(clock)
        passed = self.elapsed(clock)
        match self.mode:
            case 0:
                return passed is not None and passed >= self.count
            case 1:
                return passed is None or passed >= self.count
            case 2:
                return passed is None or not self.gate or passed < self.count - 1 or self.count == 1
            case 3:
                return passed is None or not self.gate or passed < (self.count + 1) // 2
            case _:
                return passed is None or passed != self.count

    def rising_edge(self, clock: int) -> int | None:
        """The clock of the next rising edge of OUT behind `clock`."""
        self.settle(clock)
        if self.loaded is None or self.frozen is not None:
            return None
        at = self.loaded + self.count + (self.mode in (4, 5))
        return at if at > clock else None

    def set_gate(self, level: bool, clock: int) -> None:
        """GATE, 8254 figure 22."""
        if level == self.gate:
            return
        self.settle(clock)
        self.gate = level
        if self.mode in (1, 5):
            if level and not (self.null and self.loaded is None and self.following is None):
                self._load(clock)
        elif not level:
            self.frozen = self.elapsed(clock)
        elif self.frozen is not None:
            self.loaded = clock if self.mode in (2, 3) else clock - self.frozen
            self.frozen = None
        elif self.following is not None or not self.null:
            self._load(clock)

    def _load(self, clock: int) -> None:
        if self.following is not None:
            self.count, self.following = self.following, None
        self.null = False
        self.frozen = None
        self.loaded = clock + 1  # the counting element takes the count with the next clock

    def program(self, mode: int, access: int, bcd: bool) -> None:
        """A control word."""
        self.mode = mode if mode < 6 else mode - 4  # figure 7: 6 and 7 are 2 and 3
        self.access = access
        self.bcd = bcd
        self.count = min(self.count, self.top)
        self.loaded = self.frozen = self.following = self.low = self.latched = self.latched_status = None
        self.null = True
        self.high_next = False

    def write(self, value: int, clock: int) -> None:
        """A write to the counter."""
        if self.access == LSB_MSB and not self.high_next:
            self.low = value
            self.high_next = True
            if self.mode == 0:
                self.loaded = self.frozen = None  # "writing the first byte disables counting"
            return
        if self.access == LSB_MSB:
            value = value << 8 | (self.low or 0)
            self.high_next = False
        elif self.access == MSB_ONLY:
            value <<= 8
        self.low = None
        if self.bcd:
            value = sum((value >> 4 * digit & 0xF) * 10**digit for digit in range(4))
        self._take(value or self.top, clock)

    def _take(self, count: int, clock: int) -> None:
        self.settle(clock)
        self.null = True
        self.following = min(count, self.top)
        if self.mode in (1, 5):
            return  # a trigger loads it
        if self.mode in (2, 3) and (self.loaded is not None or self.frozen is not None):
            return  # the end of the period does
        if self.gate:
            self._load(clock)
        else:
            self.count, self.following, self.null = self.following, None, False
            self.frozen = 0
            self.loaded = clock

    def read(self, clock: int) -> int:
        """A read of the counter."""
        if self.latched_status is not None:
            status, self.latched_status = self.latched_status, None
            return status
        value = self._encoded(clock) if self.latched is None else self.latched
        high = self.access == MSB_ONLY or (self.access == LSB_MSB and self.high_next)
        if self.access == LSB_MSB:
            self.high_next = not self.high_next
        if self.access != LSB_MSB or high:
            self.latched = None
        return value >> 8 if high else value & 0xFF

    def latch(self, clock: int) -> None:
        """The counter latch command; a second one is ignored until the first is read."""
        if self.latched is None:
            self.latched = self._encoded(clock)

    def latch_status(self, clock: int) -> None:
        """Read-back of the status."""
        if self.latched_status is None:
            self.latched_status = (
                (STATUS_OUT if self.output(clock) else 0)
                | (STATUS_NULL if self.null else 0)
                | self.access << 4
                | self.mode << 1
                | self.bcd
            )

    def _encoded(self, clock: int) -> int:
        value = self.value(clock)
        if self.bcd:
            return sum(value // 10**digit % 10 << 4 * digit for digit in range(4))
        return value

    def state(self) -> State:
        """As `Device.state`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: State) -> "Counter":
        """A counter as `state` says."""

        def maybe(name: str, limit: int) -> int | None:
            return None if isinstance(state, dict) and state.get(name) is None else take_int(state, name, limit)

        bcd = take(state, "bcd", bool)
        top = 10_000 if bcd else 0x10000
        return cls(
            mode=take_int(state, "mode", 5),
            access=max(1, take_int(state, "access", 3)),
            bcd=bcd,
            gate=take(state, "gate", bool),
            count=max(1, take_int(state, "count", top)),
            following=maybe("following", top) or None,
            loaded=maybe("loaded", LONGEST_CLOCKS),
            frozen=maybe("frozen", LONGEST_CLOCKS),
            null=take(state, "null", bool),
            latched=maybe("latched", 0xFFFF),
            latched_status=maybe("latched_status", 0xFF),
            low=maybe("low", 0xFF),
            high_next=take(state, "high_next", bool),
        )


class I8254(EightBit):
    """The timer.

    Args:
        irq: OUT of counter 0.
        timeline: the machine's time.
    """

    def __init__(self, *, irq: Irq, timeline: Timeline) -> None:
        self._irq = irq
        self._timeline = timeline
        self.counters = [Counter(), Counter(), Counter(gate=False)]
        self._edge: int | None = None
        self.mistakes = 0

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        if offset < 3:
            return self.counters[offset].read(clocks(self._timeline.now_ns))
        self.mistakes += 1  # the control word cannot be read
        return ALL_ONES

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        clock = clocks(self._timeline.now_ns)
        if offset < 3:
            self.counters[offset].write(value, clock)
        elif offset == 3:
            self._control(value, clock)
        else:
            self.mistakes += 1
        if offset in (0, 3):
            self._plan(clock)

    def _control(self, value: int, clock: int) -> None:
        number = value >> 6
        if number == READ_BACK:
            for index, counter in enumerate(self.counters):
                if value >> 1 + index & 1:
                    if not value & READ_BACK_NO_COUNT:
                        counter.latch(clock)
                    if not value & READ_BACK_NO_STATUS:
                        counter.latch_status(clock)
            return
        counter = self.counters[number]
        access = value >> 4 & 3
        if access == LATCH:
            counter.latch(clock)
            return
        counter.program(value >> 1 & 7, access, bool(value & 1))
        if number == 0:
            self._irq(counter.mode != 0)  # figure 15: OUT is low at once in mode 0, high in the others

    def gate2(self, level: bool) -> None:
        """GATE of counter 2."""
        self.counters[2].set_gate(level, clocks(self._timeline.now_ns))

    def out2(self) -> bool:
        """OUT of counter 2."""
        return self.counters[2].output(clocks(self._timeline.now_ns))

    def _plan(self, clock: int) -> None:
        counter = self.counters[0]
        self._edge = counter.rising_edge(clock)
        if self._edge is not None and counter.mode in (2, 3) and counter.count < SHORTEST:
            self.mistakes += 1
            self._edge = None

    def next_deadline(self) -> int | None:
        """The next rising edge of OUT 0."""
        return None if self._edge is None else clock_ns(self._edge)

    def handle_timer(self, now_ns: int) -> None:
        """The edge."""
        clock = clocks(now_ns)
        if self._edge is not None and self._edge <= clock:
            self._irq(False)
            self._irq(True)
            self._plan(clock)

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "counters": [counter.state() for counter in self.counters], "edge": self._edge}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        counters = take(state, "counters", list)
        self.counters = [Counter.from_state(counters[index] if index < len(counters) else {}) for index in range(3)]
        self._edge = None if state.get("edge") is None else take_int(state, "edge", LONGEST_CLOCKS)


PORTB_GATE2 = 0x01  # PIIX4 §4.2.5, NMISC
PORTB_SPEAKER = 0x02
PORTB_WRITABLE = 0x0F
PORTB_REFRESH = 0x10
PORTB_OUT2 = 0x20
REFRESH_NS = 15_085
"""Half a period of the refresh bit: 18 clocks of 1.193182 MHz."""
ACCESS_NS = 1000
"""Of a read: eight clocks of 8.33 MHz (IEEE P996, I/O cycles of 8 bits)."""


class SystemPortB(EightBit):
    """Port 61h: the gate of counter 2, the speaker, and a bit that goes with the memory's refresh.

    Programs measure the processor by reading it until counter 2 has ended, for 50 ms and more. A read takes as long as
    on an ISA bus, through `warp`: a thirtieth of the reads, and Linux, which counts them, finds what it finds on a PC.

    Args:
        warp: asks the machine to let virtual time pass to the given nanosecond.
    """

    timed = False

    def __init__(self, *, timer: I8254, timeline: Timeline, warp: Callable[[int], None] = lambda ns: None) -> None:
        self._timer = timer
        self._timeline = timeline
        self._warp = warp
        self._written = 0
        self.mistakes = 0

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        if offset:
            self.mistakes += 1
            return ALL_ONES
        self._warp(self._timeline.now_ns + ACCESS_NS)
        refresh = PORTB_REFRESH if self._timeline.now_ns // REFRESH_NS & 1 else 0
        return self._written | refresh | (PORTB_OUT2 if self._timer.out2() else 0)

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset:
            self.mistakes += 1
            return
        self._written = value & PORTB_WRITABLE
        self._timer.gate2(bool(value & PORTB_GATE2))

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "written": self._written}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self._written = take_int(state, "written", PORTB_WRITABLE)
