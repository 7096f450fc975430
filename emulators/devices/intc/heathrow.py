"""The interrupt controller of Apple's mac-io chips (Grand Central, O'Hare, Heathrow): 64 lines, no priorities.

Reference: Apple, "Macintosh Technology in the Common Hardware Reference Platform" (1995), chapter 8 (Grand Central's
interrupt registers, which its successors keep and double); Linux arch/powerpc/platforms/powermac/pic.c for the second
bank. Boards: mac.

Registers, 32 bits, little-endian; the second bank (lines 32 … 63) lies below the first one:

| offset | lines 0 … 31 at +0x10 | |
|---|---|---|
| 0x10 | Events | lines that want attention |
| 0x14 | Mask | lines that may interrupt |
| 0x18 | Clear | written: these events are done; reads as 0 |
| 0x1C | Levels | the lines as they are |

Theory: an event is remembered when its line rises, masked or not. Lines that are levels by nature (`LEVELS`: the PCI
slots and their neighbours) show as events as long as they are asserted, and cannot be cleared. The output is asserted
while any event is not masked.

Not emulated: the two bits of Clear that choose the interrupt mode on Grand Central.

| threat | stopped by |
|---|---|
| a line beyond the last | the board's mistake: ValueError when it is built |
| accesses of other sizes, or across registers | taken apart, nothing outside the bank |
"""

from typing import Final

from emulators.device import Irq, State
from emulators.snapshot import SnapshotError, take, take_int, take_version

FIRST: Final = 0x10
END: Final = 0x30
EVENTS, MASK, CLEAR, LEVEL = 0x0, 0x4, 0x8, 0xC
LINES: Final = 64
LEVELS: Final = 0x1FF00000
"""Lines 20 … 28 (Linux pic.c, `level_mask` of Heathrow)."""
WORD: Final = 0xFFFFFFFF


class HeathrowPic:
    """The controller; offsets are those of the mac-io chip, from `FIRST` on.

    Args:
        irq: the processor's external interrupt.
    """

    timed = False

    def __init__(self, *, irq: Irq) -> None:
        self._irq = irq
        self._events = [0, 0]
        self._masks = [0, 0]
        self._levels = [0, 0]
        self.mistakes = 0

    def line(self, number: int) -> Irq:
        """Input `number` 0 … 63."""
        if not 0 <= number < LINES:
            raise ValueError(f"heathrow: there is no line {number}")
        bank, bit = number >> 5, 1 << (number & 31)

        def drive(level: bool) -> None:
            if level == bool(self._levels[bank] & bit):
                return
            self._levels[bank] ^= bit
            if level:
                self._events[bank] |= bit
            self._update()

        return drive

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        aligned = offset & ~3
        value = self._register(aligned)
        if (offset & 3) + size > 4:
            value |= self._register(aligned + 4) << 32
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        lane = offset & 3
        span = 8 if lane + size > 4 else 4
        mask = (1 << 8 * size) - 1 << 8 * lane
        value <<= 8 * lane
        for step in range(0, span, 4):
            self._set(offset - lane + step, value >> 8 * step & WORD, mask >> 8 * step & WORD)
        self._update()

    def _shown(self, bank: int) -> int:
        """Events, and levels as they are now."""
        steady = LEVELS if bank == 0 else 0
        return self._events[bank] & ~steady | self._levels[bank] & steady

    def _register(self, offset: int) -> int:
        if not FIRST <= offset < END:
            self.mistakes += 1
            return 0
        bank = 0 if offset >= FIRST + 0x10 else 1
        match offset & 0xC:
            case 0x0:
                return self._shown(bank)
            case 0x4:
                return self._masks[bank]
            case 0xC:
                return self._levels[bank]
            case _:
                return 0

    def _set(self, offset: int, value: int, mask: int) -> None:
        if not FIRST <= offset < END:
            self.mistakes += 1
            return
        bank = 0 if offset >= FIRST + 0x10 else 1
        match offset & 0xC:
            case 0x4:
                self._masks[bank] = self._masks[bank] & ~mask | value & mask
            case 0x8:
                self._events[bank] &= ~(value & mask)
            case _:
                self.mistakes += 1

    def _update(self) -> None:
        self._irq(any(self._shown(bank) & self._masks[bank] for bank in range(2)))

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "events": list(self._events),
            "masks": list(self._masks),
            "levels": list(self._levels),
            "mistakes": self.mistakes,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        found = [take(state, name, list) for name in ("events", "masks", "levels")]
        if any(len(words) != 2 or any(type(w) is not int or not 0 <= w <= WORD for w in words) for words in found):
            raise SnapshotError("snapshot: heathrow: its registers")
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        self._events, self._masks, self._levels = (list(words) for words in found)
        self._update()
