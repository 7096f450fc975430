"""The VGA's registers: ports 0x3B0–0x3DF, and the timing of its retrace.

Reference: IBM PS/2 Hardware Interface Technical Reference, Video Subsystems (1992), "Video Graphics Array Function";
Intel HD Graphics PRM vol. 3 part 1: VGA (2009).
Boards: pc, as a part of `emulators.devices.video.stdvga`.

Emulated: miscellaneous output, input status 0 and 1, sequencer, CRT controller with its write protection, graphics
controller, attribute controller with its flip-flop, the DAC with mask and both indices, colour and monochrome
addresses. What a screen shows is made out of them by `text` and `raster`; the memory is `planes`.

Not emulated: the feature connector, the vertical retrace interrupt (as on most cards it is wired to nothing), sense
comparators (the switch always says: colour monitor), shift register loads every second or fourth clock, video subsystem
enable 0x3C3 (kept, without effect), the synchronous reset.

**Timing.** Where the beam is follows from virtual time, the dot clock and the CRT controller's totals. **Poll warp**:
programs wait for a retrace by reading status 1 as fast as they can; after `PATIENCE` equal answers in a row, each less
than `SPIN_NS` behind the one before, the device asks through `warp` for the time at which the answer changes. The guest
cannot tell.

| threat | stopped by |
|---|---|
| totals of nothing, or of everything | any octets give a frame of at least 10 and at most 2.3 million dots |
| a warp that ends at once, in a loop | one is asked for after `PATIENCE` reads only |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import State, Timeline
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.devices.video import vga_registers as registers
from emulators.devices.video.planes import GuestMemory, Planes
from emulators.devices.video.vga_registers import (
    ATTRIBUTE_PAS,
    ATTRIBUTE_WRITABLE,
    CLOCKING,
    CLOCKING_8_DOTS,
    CLOCKING_HALF,
    COLOUR_INDEX,
    COLOUR_STATUS,
    CRTC_REGISTERS,
    DOT_CLOCKS_HZ,
    GRAPHICS_WRITABLE,
    H_DISPLAYED,
    H_TOTAL,
    LINE_COMPARE,
    MAP_MASK,
    MEMORY_MODE,
    MISC_CLOCK_SHIFT,
    MISC_COLOUR,
    MISC_RAM,
    MONO_INDEX,
    MONO_STATUS,
    OVERFLOW,
    PROTECT,
    SEQUENCER_WRITABLE,
    STATUS_0_SWITCH,
    STATUS_NOT_DISPLAYED,
    STATUS_RETRACE,
    TEXT_80_25,
    V_DISPLAYED,
    V_RETRACE_END,
    V_RETRACE_START,
    V_TOTAL,
    Mode,
    ega_colours,
)
from emulators.snapshot import SnapshotError, take, take_int, take_version

NS_PER_S: Final = 1_000_000_000
PATIENCE: Final = 16
SPIN_NS: Final = 20_000
"""Both chosen: as `emulators.devices.rtc.mc146818`, but a retrace is short."""
PALETTE_OCTETS: Final = 768
OVERFLOW_LINE_COMPARE: Final = 0x10
FONT_OCTETS: Final = 32
"""Of one character in plane 2."""


class Vga(EightBit):
    """The register file.

    Args:
        timeline: the machine's time.
        vm: for the windows that are memory.
        warp: asks the machine to let virtual time pass to the given nanosecond.
    """

    timed = False

    def __init__(
        self, *, timeline: Timeline, vm: GuestMemory | None = None, warp: Callable[[int], None] | None = None
    ) -> None:
        self._timeline = timeline
        self._warp = warp
        self.misc = 0
        self.feature = 0
        self.subsystem = 1
        self.sequencer = bytearray(8)
        self.sequencer_index = 0
        self.graphics = bytearray(16)
        self.graphics_index = 0
        self.crtc = bytearray(CRTC_REGISTERS)
        self.crtc_index = 0
        self.attribute = bytearray(len(ATTRIBUTE_WRITABLE))
        self.attribute_index = 0
        self.attribute_data_next = False
        self.palette = bytearray(PALETTE_OCTETS)
        self.dac_mask = 0xFF
        self.dac_read = self.dac_write = 0  # octets, not entries
        self.dac_reading = False
        self.dac_eight = False
        """Eight bits a colour, which the frame buffer's registers switch on."""
        self.memory = Planes(vm, self.sequencer, self.graphics)
        self.mistakes = 0
        self._polls = self._polled = self._polled_ns = 0

    # -- what firmware does

    def set_mode(self, mode: Mode, palette: bytes = b"", font: bytes = b"") -> None:
        """Take a mode's registers, the DAC's first entries, and a font of 256 characters of equal height."""
        self.misc = mode.misc
        self.sequencer[: len(mode.sequencer)] = mode.sequencer
        self.crtc[:] = mode.crtc
        self.graphics[: len(mode.graphics)] = mode.graphics
        self.attribute[: len(mode.attribute)] = mode.attribute
        self.attribute_index = ATTRIBUTE_PAS
        self.palette[: len(palette)] = palette
        self.memory.enabled = bool(self.misc & MISC_RAM)
        self.memory.changed()
        height = len(font) // 256
        for character in range(256 if height else 0):
            for row in range(height):
                place = character * FONT_OCTETS + row
                self.memory.places[place] |= font[character * height + row] << 16

    def start_in_text(self, font: bytes = b"") -> None:
        """Mode 3, cleared: what a kernel finds that no firmware has started."""
        self.set_mode(TEXT_80_25, ega_colours(), font)
        for place in range(0, 0x8000, 2):
            self.memory.places[place] = self.memory.places[place] & ~0xFFFF | 0x0720

    # -- the guest's accesses

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`; ports from 0x3B0 on."""
        if offset in (MONO_STATUS, COLOUR_STATUS):
            if (offset == COLOUR_STATUS) != bool(self.misc & MISC_COLOUR):
                return ALL_ONES
            self.attribute_data_next = False
            return self._status()
        self._polls = 0
        match offset:
            case registers.MONO_INDEX | registers.MONO_DATA | registers.COLOUR_INDEX | registers.COLOUR_DATA:
                if (offset >= COLOUR_INDEX) != bool(self.misc & MISC_COLOUR):
                    return ALL_ONES
                if offset in (MONO_INDEX, COLOUR_INDEX):
                    return self.crtc_index
                return self.crtc[self.crtc_index] if self.crtc_index < CRTC_REGISTERS else ALL_ONES
            case registers.ATTRIBUTE:
                return self.attribute_index
            case registers.ATTRIBUTE_READ:
                register = self.attribute_index & 0x1F
                return self.attribute[register] if register < len(self.attribute) else 0
            case registers.MISC_WRITE:
                return STATUS_0_SWITCH
            case registers.ENABLE:
                return self.subsystem
            case registers.SEQUENCER_INDEX:
                return self.sequencer_index
            case registers.SEQUENCER_DATA:
                return self.sequencer[self.sequencer_index]
            case registers.DAC_MASK:
                return self.dac_mask
            case registers.DAC_READ_INDEX:
                return 3 if self.dac_reading else 0
            case registers.DAC_WRITE_INDEX:
                return self.dac_write // 3
            case registers.DAC_DATA:
                value = self.palette[self.dac_read]
                self.dac_read = (self.dac_read + 1) % PALETTE_OCTETS
                return value
            case registers.FEATURE_READ:
                return self.feature
            case registers.MISC_READ:
                return self.misc
            case registers.GRAPHICS_INDEX:
                return self.graphics_index
            case registers.GRAPHICS_DATA:
                return self.graphics[self.graphics_index]
        self.mistakes += 1
        return ALL_ONES

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        self._polls = 0
        match offset:
            case registers.MONO_INDEX | registers.MONO_DATA | registers.COLOUR_INDEX | registers.COLOUR_DATA:
                if (offset >= COLOUR_INDEX) == bool(self.misc & MISC_COLOUR):
                    if offset in (MONO_INDEX, COLOUR_INDEX):
                        self.crtc_index = value & 0x1F
                    else:
                        self._write_crtc(value)
            case registers.MONO_STATUS | registers.COLOUR_STATUS:
                self.feature = value & 0x03
            case registers.ATTRIBUTE:
                self._write_attribute(value)
            case registers.MISC_WRITE:
                self.misc = value & 0xEF
                self.memory.enabled = bool(value & MISC_RAM)
                self.memory.changed()
            case registers.ENABLE:
                self.subsystem = value & 1
            case registers.SEQUENCER_INDEX:
                self.sequencer_index = value & 7
            case registers.SEQUENCER_DATA:
                self._write_sequencer(value)
            case registers.DAC_MASK:
                self.dac_mask = value
            case registers.DAC_READ_INDEX:
                self.dac_read, self.dac_reading = 3 * value, True
            case registers.DAC_WRITE_INDEX:
                self.dac_write, self.dac_reading = 3 * value, False
            case registers.DAC_DATA:
                self.palette[self.dac_write] = value if self.dac_eight else value & 0x3F
                self.dac_write = (self.dac_write + 1) % PALETTE_OCTETS
            case registers.GRAPHICS_INDEX:
                self.graphics_index = value & 0xF
            case registers.GRAPHICS_DATA:
                self._write_graphics(value)
            case _:
                self.mistakes += 1

    def _write_crtc(self, value: int) -> None:
        index = self.crtc_index
        if index >= CRTC_REGISTERS:
            self.mistakes += 1
        elif index <= OVERFLOW and self.crtc[V_RETRACE_END] & PROTECT:
            if index == OVERFLOW:  # its line compare bit is not protected
                self.crtc[OVERFLOW] = self.crtc[OVERFLOW] & ~OVERFLOW_LINE_COMPARE | value & OVERFLOW_LINE_COMPARE
        else:
            self.crtc[index] = value

    def _write_attribute(self, value: int) -> None:
        if not self.attribute_data_next:
            self.attribute_index = value & 0x3F
        else:
            register = self.attribute_index & 0x1F
            if register < len(ATTRIBUTE_WRITABLE):
                self.attribute[register] = value & ATTRIBUTE_WRITABLE[register]
            else:
                self.mistakes += 1
        self.attribute_data_next = not self.attribute_data_next

    def _write_sequencer(self, value: int) -> None:
        index = self.sequencer_index
        if index >= len(SEQUENCER_WRITABLE):
            self.mistakes += index != 7  # 7 is an old reset of the character clock
            return
        self.sequencer[index] = value & SEQUENCER_WRITABLE[index]
        if index in (MAP_MASK, MEMORY_MODE):
            self.memory.changed()

    def _write_graphics(self, value: int) -> None:
        index = self.graphics_index
        if index >= len(GRAPHICS_WRITABLE):
            self.mistakes += 1
            return
        value &= GRAPHICS_WRITABLE[index]
        if value != self.graphics[index]:
            self.graphics[index] = value
            self.memory.changed()

    # -- timing

    def _status(self) -> int:
        now_ns = self._timeline.now_ns
        value, change_ns = self._beam(now_ns)
        again = value == self._polled and self._polls and now_ns - self._polled_ns <= SPIN_NS
        self._polls = self._polls + 1 if again else 1
        self._polled, self._polled_ns = value, now_ns
        if self._polls >= PATIENCE and self._warp is not None:
            self._polls = 0
            self._warp(change_ns)
        return value

    def _beam(self, now_ns: int) -> tuple[int, int]:
        """Status 1 now, and when it changes next, at the latest."""
        crtc, clocking, overflow = self.crtc, self.sequencer[CLOCKING], self.crtc[OVERFLOW]
        hz = DOT_CLOCKS_HZ[self.misc >> MISC_CLOCK_SHIFT & 3]
        dots = (8 if clocking & CLOCKING_8_DOTS else 9) << bool(clocking & CLOCKING_HALF)
        width = (crtc[H_TOTAL] + 5) * dots
        shown = min((crtc[H_DISPLAYED] + 1) * dots, width)
        height = (crtc[V_TOTAL] | (overflow & 0x01) << 8 | (overflow & 0x20) << 4) + 2
        lines = (crtc[V_DISPLAYED] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1
        start = crtc[V_RETRACE_START] | (overflow & 0x04) << 6 | (overflow & 0x80) << 2
        length = crtc[V_RETRACE_END] - start & 0xF or 16
        at = now_ns * hz // NS_PER_S
        line, column = at // width % height, at % width
        retrace = (line - start) % height < length
        blank = line >= lines or column >= shown
        if line >= lines:  # until the next frame, or an end of the retrace
            until = min((edge - line) % height or height for edge in (0, start, start + length))
            change = at - column + until * width
        else:
            change = at - column + (width if blank else shown)
        value = (STATUS_RETRACE if retrace else 0) | (STATUS_NOT_DISPLAYED if blank else 0)
        return value, -(-change * NS_PER_S // hz)

    def line_compare(self) -> int:
        """The line behind which the screen begins again at address 0."""
        crtc = self.crtc
        return crtc[LINE_COMPARE] | (crtc[OVERFLOW] & OVERFLOW_LINE_COMPARE) << 4 | (crtc[9] & 0x40) << 3

    def lines(self) -> int:
        """Scan lines that are displayed."""
        overflow = self.crtc[OVERFLOW]
        return (self.crtc[V_DISPLAYED] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1

    # -- state

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    ARRAYS = ("sequencer", "graphics", "crtc", "attribute", "palette")
    NUMBERS = (
        ("misc", 0xFF),
        ("feature", 3),
        ("subsystem", 1),
        ("sequencer_index", 7),
        ("graphics_index", 15),
        ("crtc_index", 0x1F),
        ("attribute_index", 0x3F),
        ("dac_mask", 0xFF),
        ("dac_read", PALETTE_OCTETS - 1),
        ("dac_write", PALETTE_OCTETS - 1),
        ("_polls", PATIENCE),
        ("_polled", 0xFF),
        ("_polled_ns", 1 << 63),
    )
    FLAGS = ("attribute_data_next", "dac_reading", "dac_eight")

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            **{name: bytes(getattr(self, name)) for name in self.ARRAYS},
            **{name: getattr(self, name) for name, _ in self.NUMBERS},
            **{name: getattr(self, name) for name in self.FLAGS},
            "memory": self.memory.saved(),
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        arrays = {name: take(state, name, bytes) for name in self.ARRAYS}
        numbers = {name: take_int(state, name, most) for name, most in self.NUMBERS}
        flags = {name: take(state, name, bool) for name in self.FLAGS}
        memory = take(state, "memory", dict)
        for name, octets in arrays.items():
            if len(octets) != len(getattr(self, name)):
                raise SnapshotError(f"snapshot: vga: {name}: {len(octets)} octets")
            getattr(self, name)[:] = octets
        for name, value in (numbers | flags).items():
            setattr(self, name, value)
        self.memory.enabled = bool(self.misc & MISC_RAM)
        self.memory.restore(
            take(memory, "planes", bytes),
            take_int(memory, "latch", (1 << 32) - 1),
            take_int(memory, "touched", 0xFF),
            view=take(memory, "view", bool),
        )
