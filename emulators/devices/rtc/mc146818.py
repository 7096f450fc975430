"""Motorola MC146818A real-time clock with CMOS memory, as every PC and the Malta board have it.

Datasheet: Motorola MC146818A (1984); the PC's 128 octets and the index port: Intel 82371AB PIIX4 (290562, §4.2.4).
Boards: malta; made for the PC as well.

Registers: offset 0 is the index (port 0x70, bit 7 is the PC's NMI mask and not ours), offset 1 the data (port 0x71).
0x00–0x09 time and alarm, 0x0A–0x0D registers A–D, the rest is memory.

Emulated: BCD and binary, 12 and 24 hours, SET, update in progress (tBUC + tUC before every second), divider reset
(the first update half a second after it ends), periodic, alarm and update-ended interrupts, register C cleared by a
read. The time begins at the seconds since 1970 that the constructor is given.

Not emulated: daylight saving (DSE), the square wave, time bases other than 32.768 kHz (they count the same), battery
failure (VRT is always set), port 0x70's NMI mask. Fields that hold no date are made one before they are counted on.

**Poll warp.** Kernels measure the processor by spinning on "update in progress", for a second and more. After
`PATIENCE` reads of register A in a row that gave the same, with nothing but the index between them and each less than
`SPIN_NS` behind the one before, the device asks through `warp` for the virtual time at which the bit changes. The guest
cannot tell: it would have read the same until then.

| threat | stopped by |
|---|---|
| a long time asleep, to be counted second by second | updates are added, not performed one by one |
| periodic interrupts at 8 kHz that no one takes | no deadline while the interrupt line is asserted |
| warps that never come to an edge (divider stopped, SET) | no warp is asked for then |
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from emulators.device import Irq, State, Timeline
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.snapshot import SnapshotError, take, take_int, take_version

NS_PER_S = 1_000_000_000

SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY, MONTH, YEAR = range(10)
REG_A, REG_B, REG_C, REG_D = range(10, 14)

A_UIP = 0x80
A_DV = 0x70
A_DV_RESET = 0x60  # table 4: 11x holds the divider at reset
A_RS = 0x0F
B_SET, B_PIE, B_AIE, B_UIE, B_SQWE, B_DM, B_24, B_DSE = (0x80 >> bit for bit in range(8))
C_IRQF, C_PF, C_AF, C_UF = 0x80, 0x40, 0x20, 0x10
D_VRT = 0x80
HOURS_PM = 0x80
ALARM_ANY = 0xC0  # "alarm bytes": C0–FF do not care
A_AT_START = 0x26  # 32.768 kHz, 1.024 kHz: what a PC's firmware leaves
TIME_BASE_HZ = 32_768
UPDATE_NS = 244_000 + 1_984_000
"""UIP is set tBUC before the update and through it, tUC (table 3, 32.768 kHz)."""
CENTURY = 1970
"""Two digits of a year are the one of these hundred: what Linux takes them for."""
MEMORY_OCTETS = 128
PATIENCE = 64
"""Identical reads before a warp. Chosen: some ten times more than anything that is not a loop makes."""
SPIN_NS = 20_000
"""Time between two reads of a loop that does nothing else. Chosen."""


def to_bcd(value: int) -> int:
    """Two digits."""
    return value // 10 % 10 << 4 | value % 10


def from_bcd(value: int) -> int:
    """0–165: hexadecimal digits count as what they are."""
    return (value >> 4) * 10 + (value & 0xF)


class Mc146818(EightBit):
    """The clock.

    Args:
        irq: the interrupt line (IRQ 8).
        timeline: the machine's time.
        start_s: seconds since 1970 that the clock shows at virtual time 0.
        warp: asks the machine to let virtual time pass to the given nanosecond.
    """

    def __init__(
        self, *, irq: Irq, timeline: Timeline, start_s: int, warp: Callable[[int], None] | None = None
    ) -> None:
        self._irq = irq
        self._timeline = timeline
        self._warp = warp
        self.memory = bytearray(MEMORY_OCTETS)
        self.memory[REG_A] = A_AT_START
        self.memory[REG_B] = B_24
        self.memory[REG_D] = D_VRT
        self._index = 0
        self._origin_ns = 0  # where the divider chain began; updates are whole seconds behind it
        self._updates = 0  # those that the fields have in them
        self._ticks = 0  # periodic edges that register C has seen
        self._polls = 0
        self._polled = 0
        self._polled_ns = 0
        self.mistakes = 0
        self.warps = 0
        self._show(datetime(1970, 1, 1) + timedelta(seconds=start_s))  # noqa: DTZ001 (the guest's own time zone)

    # -- the guest's side

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        if offset == 0:
            return ALL_ONES  # the PC's index cannot be read
        if offset != 1:
            self.mistakes += 1
            return ALL_ONES
        now_ns = self._timeline.now_ns
        self._count(now_ns)
        if self._index == REG_A:
            value = self.memory[REG_A] | (A_UIP if self._updating(now_ns) else 0)
            self._poll(value, now_ns)
            return value
        self._polls = 0
        value = self.memory[self._index]
        if self._index == REG_C:
            self.memory[REG_C] = 0
            self._irq(False)
        return value

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset == 0:
            self._index = value & 0x7F
            if self._index != REG_A:
                self._polls = 0
            return
        if offset != 1:
            self.mistakes += 1
            return
        self._polls = 0
        now_ns = self._timeline.now_ns
        self._count(now_ns)
        if self._index == REG_A:
            self._write_a(value & ~A_UIP, now_ns)
        elif self._index == REG_B:
            self._write_b(value, now_ns)
        elif self._index in (REG_C, REG_D):
            self.mistakes += 1
        else:
            self.memory[self._index] = value
        self._drive()

    def _write_a(self, value: int, now_ns: int) -> None:
        held = self._held()
        self.memory[REG_A] = value
        if held and not self._held():
            self._restart(now_ns - NS_PER_S // 2)  # "divider control": the first update is half a second away
        self._ticks = self._edges(now_ns)

    def _write_b(self, value: int, now_ns: int) -> None:
        if value & B_SET:
            value &= ~B_UIE  # register B: SET clears UIE
        self.memory[REG_B] = value
        self._updates = self._seconds(now_ns)

    # -- time

    def _held(self) -> bool:
        return self.memory[REG_A] & A_DV_RESET == A_DV_RESET

    def _restart(self, origin_ns: int) -> None:
        self._origin_ns = origin_ns
        self._updates = self._ticks = 0

    def _seconds(self, now_ns: int) -> int:
        """Updates that were due since the divider began."""
        return (now_ns - self._origin_ns) // NS_PER_S

    def _edges(self, now_ns: int) -> int:
        """Periodic edges since the divider began."""
        period = self._period()
        return (now_ns - self._origin_ns) * TIME_BASE_HZ // (NS_PER_S * period) if period else 0

    def _period(self) -> int:
        """Of the periodic interrupt, in periods of the time base; 0: none. Table 5."""
        rate = self.memory[REG_A] & A_RS
        return 0 if rate == 0 else 1 << (rate + 6 if rate < 3 else rate - 1)

    def _updating(self, now_ns: int) -> bool:
        if self._held() or self.memory[REG_B] & B_SET:
            return False
        return (now_ns - self._origin_ns) % NS_PER_S >= NS_PER_S - UPDATE_NS

    def _count(self, now_ns: int) -> None:
        """Bring fields and flags to `now_ns`."""
        if self._held():
            return
        edges = self._edges(now_ns)
        if edges > self._ticks:
            self.memory[REG_C] |= C_PF
            self._ticks = edges
        due = self._seconds(now_ns)
        passed, self._updates = due - self._updates, due
        if passed > 0 and not self.memory[REG_B] & B_SET:
            before = self._date()
            self._show(before + timedelta(seconds=passed))
            self.memory[REG_C] |= C_UF
            if self._alarm_in(before) <= passed:
                self.memory[REG_C] |= C_AF
        self._drive()

    def _drive(self) -> None:
        """IRQF and the line. The enable bits of register B are where the flags of register C are."""
        flags = self.memory[REG_C] & (C_PF | C_AF | C_UF)
        asserted = bool(flags & self.memory[REG_B])
        self.memory[REG_C] = flags | (C_IRQF if asserted else 0)
        self._irq(asserted)

    def _poll(self, value: int, now_ns: int) -> None:
        """A read of register A gave `value`."""
        again = value == self._polled and now_ns - self._polled_ns <= SPIN_NS
        self._polls = self._polls + 1 if again else 1
        self._polled, self._polled_ns = value, now_ns
        if self._polls < PATIENCE or self._warp is None or self._held() or self.memory[REG_B] & B_SET:
            return
        self._polls = 0
        self.warps += 1
        into = (now_ns - self._origin_ns) % NS_PER_S
        change = NS_PER_S if into >= NS_PER_S - UPDATE_NS else NS_PER_S - UPDATE_NS
        self._warp(now_ns - into + change)

    # -- the fields

    def _get(self, register: int) -> int:
        value = self.memory[register]
        return value if self.memory[REG_B] & B_DM else from_bcd(value)

    def _put(self, register: int, value: int) -> None:
        self.memory[register] = value if self.memory[REG_B] & B_DM else to_bcd(value)

    def _hour(self, register: int) -> int:
        if self.memory[REG_B] & B_24:
            return self._get(register) % 24
        value = self.memory[register]
        hour = value & ~HOURS_PM
        hour = (hour if self.memory[REG_B] & B_DM else from_bcd(hour)) % 12
        return hour + 12 if value & HOURS_PM else hour

    def _date(self) -> datetime:
        """The fields as a date; made one where they are none."""
        year = CENTURY + (self._get(YEAR) - CENTURY) % 100
        month = min(max(self._get(MONTH), 1), 12)
        day = max(self._get(DAY), 1)
        first = datetime(year, month, 1)  # noqa: DTZ001
        last = (datetime(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day  # noqa: DTZ001
        return first.replace(
            day=min(day, last), hour=self._hour(HOURS), minute=self._get(MINUTES) % 60, second=self._get(SECONDS) % 60
        )

    def _show(self, date: datetime) -> None:
        self._put(SECONDS, date.second)
        self._put(MINUTES, date.minute)
        if self.memory[REG_B] & B_24:
            self._put(HOURS, date.hour)
        else:
            self._put(HOURS, date.hour % 12 or 12)
            self.memory[HOURS] |= HOURS_PM if date.hour >= 12 else 0
        self._put(WEEKDAY, date.isoweekday() % 7 + 1)  # table 2: Sunday is 1
        self._put(DAY, date.day)
        self._put(MONTH, date.month)
        self._put(YEAR, date.year % 100)

    def _alarm_in(self, date: datetime) -> int:
        """Seconds until the alarm next matches behind `date`: 1 … 86 400, or more than ever passes: never."""
        fields = []
        for register, limit in ((HOURS_ALARM, 24), (MINUTES_ALARM, 60), (SECONDS_ALARM, 60)):
            if self.memory[register] >= ALARM_ANY:
                fields.append(range(limit))
                continue
            value = self._hour(register) if register == HOURS_ALARM else self._get(register)
            fields.append(range(value, min(value + 1, limit)))
        if not all(fields):
            return 1 << 63
        hours, minutes, seconds = fields
        now = date.hour * 3600 + date.minute * 60 + date.second
        for hour in hours:
            if hour < date.hour:
                continue
            for minute in minutes:
                start = hour * 3600 + minute * 60
                if start + seconds[-1] > now:
                    inside = now + 1 - start if len(seconds) > 1 and now >= start else seconds[0]
                    return start + inside - now
        return 86_400 - now + hours[0] * 3600 + minutes[0] * 60 + seconds[0]

    # -- the machine's side

    def next_deadline(self) -> int | None:
        """The next enabled interrupt; none while one is asserted: it waits for a read of register C."""
        enabled = self.memory[REG_B] & (B_PIE | B_AIE | B_UIE)
        if not enabled or self.memory[REG_C] & C_IRQF or self._held():
            return None
        deadlines = []
        period = self._period()
        if enabled & B_PIE and period:
            deadlines.append(self._origin_ns - (-(self._ticks + 1) * period * NS_PER_S // TIME_BASE_HZ))
        if not self.memory[REG_B] & B_SET:
            second = self._origin_ns + self._updates * NS_PER_S
            if enabled & B_UIE:
                deadlines.append(second + NS_PER_S)
            if enabled & B_AIE and (away := self._alarm_in(self._date())) <= 86_400:
                deadlines.append(second + away * NS_PER_S)
        return min(deadlines, default=None)

    def handle_timer(self, now_ns: int) -> None:
        """As `Device.handle_timer`."""
        self._count(now_ns)

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "memory": bytes(self.memory),
            "index": self._index,
            "origin_ns": self._origin_ns,
            "updates": self._updates,
            "ticks": self._ticks,
            "polls": self._polls,
            "polled": self._polled,
            "polled_ns": self._polled_ns,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        memory = take(state, "memory", bytes)
        origin_ns = take(state, "origin_ns", int)
        if len(memory) != MEMORY_OCTETS or abs(origin_ns) > 1 << 63:
            raise SnapshotError("snapshot: not a state of this clock")
        self.memory = bytearray(memory)
        self._origin_ns = origin_ns
        self._index = take_int(state, "index", 0x7F)
        self._updates = take_int(state, "updates", 1 << 63)
        self._ticks = take_int(state, "ticks", 1 << 63)
        self._polls = take_int(state, "polls", PATIENCE)
        self._polled = take_int(state, "polled", 0xFF)
        self._polled_ns = take_int(state, "polled_ns", 1 << 63)
