"""The 6522 versatile interface adapter, as far as Macintoshes use it: two ports, two timers, the shift register.

Datasheet: Rockwell R6522 (document 29000D47), "functional description" and tables 1 … 9. Boards: mac, within CUDA's
interface (`emulators.devices.macio.cuda`).

Registers, as offsets: 0 ORB, 1 ORA, 2 DDRB, 3 DDRA, 4 T1C-L, 5 T1C-H, 6 T1L-L, 7 T1L-H, 8 T2C-L, 9 T2C-H, 10 SR,
11 ACR, 12 PCR, 13 IFR, 14 IER, 15 ORA without handshake.

Emulated: ports with their directions; timer 1 one-shot and free-running; timer 2 one-shot; the shift register under
an external clock, whose other end calls `shifted`; flags, enables and the interrupt line.

Not emulated: handshakes and CA/CB lines, latching of inputs, PB7 as timer 1's output, pulse counting of timer 2, the
shift register under the chip's own clocks, interrupts of the lines.

Theory: counters are not counted: a timer knows when it was loaded, and its value follows from the time. A guest that
polls IFR for a flag which comes at a known time is brought there (`warp`).

| threat | stopped by |
|---|---|
| a latch of 0 in free-running mode | a period is at least two counts, 2.6 µs |
| a clock that has run for years | one division, no loop |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State, Timeline
from emulators.devices.eight_bit import EightBit
from emulators.snapshot import SnapshotError, take, take_int, take_version

ORB, ORA, DDRB, DDRA, T1CL, T1CH, T1LL, T1LH, T2CL, T2CH, SR, ACR, PCR, IFR, IER, ORA_PLAIN = range(16)

ACR_SHIFT, ACR_SHIFT_OUT, ACR_T1_FREE = 0x1C, 0x10, 0x40  # table 5
IFR_SR, IFR_T2, IFR_T1, IFR_ANY = 0x04, 0x20, 0x40, 0x80  # table 8
IER_SET: Final = 0x80

CLOCK_HZ: Final = (4_700_000, 6)
"""A Macintosh's E clock, a sixth of 4.7 MHz (Linux arch/powerpc/platforms/powermac/time.c, VIA_TIMER_FREQ_6)."""
NS_PER_S: Final = 1_000_000_000
LONGEST_WARP_NS: Final = 100_000_000


def counts(ns: int) -> int:
    """Clocks that are over after `ns` nanoseconds."""
    return ns * CLOCK_HZ[0] // (CLOCK_HZ[1] * NS_PER_S)


def nanoseconds(clocks: int) -> int:
    """The first nanosecond at which `clocks` are over."""
    return -(-clocks * CLOCK_HZ[1] * NS_PER_S // CLOCK_HZ[0])


class Via6522(EightBit):
    """The chip.

    Args:
        irq: its line.
        timeline: the machine's time.
        outputs_b: pins of port B that are outputs whatever DDRB says (high at the start).
        warp: as `emulators.machine.Events.warp`.

    Attributes:
        port_b_written, control_written: called when the guest has written ORB or DDRB, or ACR.
        inputs_b: what the pins of port B say where they are inputs.
        shift: the shift register.
        expected_ns: set by the other end of the shift register: when it will call `shifted`; None: not known.
    """

    def __init__(
        self,
        *,
        irq: Irq,
        timeline: Timeline,
        outputs_b: int = 0,
        warp: Callable[[int], None] = lambda until_ns: None,
    ) -> None:
        self._irq = irq
        self._timeline = timeline
        self._warp = warp
        self.port_b_written: Callable[[], None] = lambda: None
        self.control_written: Callable[[], None] = lambda: None
        self._always_b = outputs_b
        self.outputs_a, self.outputs_b = 0, outputs_b
        self.inputs_a = self.inputs_b = 0xFF
        self.directions_a = self.directions_b = 0
        self.shift = 0
        self.expected_ns: int | None = None
        self.control = self.peripheral = 0
        self.flags = self.enables = 0
        self._latch1 = self._latch2 = 0xFFFF
        self._base1 = self._base2 = 0
        self._start1 = self._start2 = 0xFFFF
        self._due1_ns: int | None = None
        self._due2_ns: int | None = None
        self.mistakes = 0

    # -- the other ends

    @property
    def port_b(self) -> int:
        """The pins of port B."""
        outputs = self.directions_b | self._always_b
        return self.outputs_b & outputs | self.inputs_b & ~outputs & 0xFF

    def shifted(self) -> None:
        """Eight bits have gone through the shift register."""
        self.expected_ns = None
        self.flags |= IFR_SR
        self._update()

    # -- the guest

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        match offset:
            case 0:
                return self.port_b
            case 1 | 15:
                return self.outputs_a & self.directions_a | self.inputs_a & ~self.directions_a & 0xFF
            case 2:
                return self.directions_b
            case 3:
                return self.directions_a
            case 4:
                self._clear(IFR_T1)
                return self._count1() & 0xFF
            case 5:
                return self._count1() >> 8
            case 6:
                return self._latch1 & 0xFF
            case 7:
                return self._latch1 >> 8
            case 8:
                self._clear(IFR_T2)
                return self._count2() & 0xFF
            case 9:
                return self._count2() >> 8
            case 10:
                self._clear(IFR_SR)
                return self.shift
            case 11:
                return self.control
            case 12:
                return self.peripheral
            case 13:
                return self._read_flags()
            case 14:
                return self.enables | IER_SET
            case _:
                self.mistakes += 1
                return 0xFF

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        match offset:
            case 0:
                self.outputs_b = value
                self.port_b_written()
            case 1 | 15:
                self.outputs_a = value
            case 2:
                self.directions_b = value
                self.port_b_written()
            case 3:
                self.directions_a = value
            case 4 | 6:
                self._latch1 = self._latch1 & 0xFF00 | value
            case 5:
                self._latch1 = self._latch1 & 0xFF | value << 8
                self._start1, self._base1 = self._latch1, counts(self._timeline.now_ns)
                self._due1_ns = nanoseconds(self._base1 + self._latch1 + 1)
                self._clear(IFR_T1)
            case 7:
                self._latch1 = self._latch1 & 0xFF | value << 8
                self._clear(IFR_T1)
            case 8:
                self._latch2 = self._latch2 & 0xFF00 | value
            case 9:
                self._latch2 = self._latch2 & 0xFF | value << 8
                self._start2, self._base2 = self._latch2, counts(self._timeline.now_ns)
                self._due2_ns = nanoseconds(self._base2 + self._latch2 + 1)
                self._clear(IFR_T2)
            case 10:
                self.shift = value
                self._clear(IFR_SR)
            case 11:
                self.control = value
                self.control_written()
            case 12:
                self.peripheral = value
            case 13:
                self._clear(value & 0x7F)
            case 14:
                if value & IER_SET:
                    self.enables |= value & 0x7F
                else:
                    self.enables &= ~value
                self._update()
            case _:
                self.mistakes += 1

    def _clear(self, flags: int) -> None:
        self.flags &= ~flags
        self._update()

    def _read_flags(self) -> int:
        flags = self.flags
        if not flags:
            soon = [ns for ns in (self.expected_ns, self._due1_ns, self._due2_ns) if ns is not None]
            if soon and min(soon) <= self._timeline.now_ns + LONGEST_WARP_NS:
                self._warp(min(soon))
        return flags | (IFR_ANY if flags & self.enables else 0)

    def _update(self) -> None:
        self._irq(bool(self.flags & self.enables & 0x7F))

    # -- timers

    def _count1(self) -> int:
        over = counts(self._timeline.now_ns) - self._base1
        return 0xFFFF if over < 0 else self._start1 - over & 0xFFFF

    def _count2(self) -> int:
        return self._start2 - (counts(self._timeline.now_ns) - self._base2) & 0xFFFF

    def next_deadline(self) -> int | None:
        """When the next timer runs out."""
        soon = [ns for ns in (self._due1_ns, self._due2_ns) if ns is not None]
        return min(soon) if soon else None

    def handle_timer(self, now_ns: int) -> None:
        """Timers that have run out set their flags."""
        if self._due1_ns is not None and self._due1_ns <= now_ns:
            self.flags |= IFR_T1
            self._due1_ns = self._reload(counts(now_ns)) if self.control & ACR_T1_FREE else None
        if self._due2_ns is not None and self._due2_ns <= now_ns:
            self.flags |= IFR_T2
            self._due2_ns = None
        self._update()

    def _reload(self, now: int) -> int:
        """Timer 1 has run out and goes on: one clock of 0xFFFF, then the latch. Answers when it runs out again."""
        self._base1 += self._start1 + 2
        self._start1 = self._latch1
        period, late = self._start1 + 2, now - self._base1 - self._start1 - 1
        if late >= 0:  # the machine has skipped some rounds
            self._base1 += (late // period + 1) * period
        return nanoseconds(self._base1 + self._start1 + 1)

    # -- state

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "a": [self.outputs_a, self.inputs_a, self.directions_a],
            "b": [self.outputs_b, self.inputs_b, self.directions_b],
            "shift": self.shift,
            "expected": self.expected_ns,
            "control": self.control,
            "peripheral": self.peripheral,
            "flags": self.flags,
            "enables": self.enables,
            "latch1": self._latch1,
            "latch2": self._latch2,
            "start1": self._start1,
            "start2": self._start2,
            "base1": self._base1,
            "base2": self._base2,
            "due1": self._due1_ns,
            "due2": self._due2_ns,
            "mistakes": self.mistakes,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self.outputs_a, self.inputs_a, self.directions_a = take_octets(state, "a", 3)
        self.outputs_b, self.inputs_b, self.directions_b = take_octets(state, "b", 3)
        self.shift = take_int(state, "shift", 0xFF)
        self.control = take_int(state, "control", 0xFF)
        self.peripheral = take_int(state, "peripheral", 0xFF)
        self.flags = take_int(state, "flags", 0x7F)
        self.enables = take_int(state, "enables", 0x7F)
        self._latch1, self._latch2 = take_int(state, "latch1", 0xFFFF), take_int(state, "latch2", 0xFFFF)
        self._start1, self._start2 = take_int(state, "start1", 0xFFFF), take_int(state, "start2", 0xFFFF)
        self._base1, self._base2 = take_int(state, "base1", 1 << 62), take_int(state, "base2", 1 << 62)
        self.expected_ns = _moment(state, "expected")
        self._due1_ns, self._due2_ns = _moment(state, "due1"), _moment(state, "due2")
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        self._update()


def _moment(state: State, name: str) -> int | None:
    return None if state.get(name) is None else take_int(state, name, 1 << 63)


def take_octets(state: State, name: str, count: int) -> list[int]:
    """`state[name]`, a list of `count` octets. Raises SnapshotError."""
    values = take(state, name, list)
    if len(values) != count or any(type(value) is not int or not 0 <= value <= 0xFF for value in values):
        raise SnapshotError(f"snapshot: {name}: {count} octets were expected")
    return values
