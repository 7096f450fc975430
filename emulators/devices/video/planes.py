"""The VGA's memory: four planes, latches, and the window at 0xA0000 through which a processor sees them.

Reference: IBM PS/2 Hardware Interface Technical Reference, Video Subsystems, "Graphics Controller", "Video memory";
Intel HD Graphics PRM vol. 3 part 1 (2009), §2.4, §4.

**Theory.** A *place* is one octet in each of four planes, kept as one integer of 32 bits with plane 0 lowest, so all
write modes are a few operations on whole places. Addresses lead to places as on the chip: odd/even takes A0 away
(plane A0, and A0 + 2 for writes), chain 4 takes A1 and A0.

**Windows that are memory.** An access that comes here costs an exit of the engine, and a scrolling text screen makes
thousands. In the two set-ups where the window is nothing but octets (text: odd/even in write mode 0; mode 13h: chain 4
in write mode 0) it becomes memory of the guest's: `View`. That happens after `PATIENCE` accesses in such a set-up
(programs that load a font come through it without an access); the register write that ends the set-up takes
the octets back into the planes. While a view stands, reads do not load the latches.

Limits: 64 KiB a plane. Not emulated: the odd/even page bit, A16 in the 128 KiB window (it wraps at 64 KiB).

| threat | stopped by |
|---|---|
| set-ups changed in a loop, each time with 64 KiB copied | a view needs `PATIENCE` accesses to come to be |
"""

import sys
from dataclasses import dataclass
from typing import Final, Protocol

from emulators.devices.video.vga_registers import (
    BIT_MASK,
    COMPARE,
    DONT_CARE,
    ENABLE_SET_RESET,
    MAP_MASK,
    MEMORY_CHAIN_4,
    MEMORY_MODE,
    MEMORY_NOT_ODD_EVEN,
    MISCELLANEOUS,
    MISCELLANEOUS_MAP_SHIFT,
    MISCELLANEOUS_ODD_EVEN,
    MODE,
    MODE_ODD_EVEN,
    MODE_READ_COMPARE,
    MODE_WRITE,
    READ_MAP,
    ROTATE,
    SET_RESET,
    WINDOWS,
)
from emulators.snapshot import SnapshotError

WINDOW: Final = 0xA0000
WINDOW_OCTETS: Final = 0x20000
PLACES: Final = 0x10000
PLANES: Final = 4
PATIENCE: Final = 8
"""Accesses to a window that could be memory before it is. Chosen: a copy costs as much as some ten of them."""

EVERYWHERE: Final = 0x01010101
PLANE_MASKS: Final = tuple(sum(0xFF << 8 * plane for plane in range(PLANES) if bits >> plane & 1) for bits in range(16))
"""What four bits, one for each plane, select of a place."""
LANES: Final = tuple(range(PLANES)) if sys.byteorder == "little" else tuple(reversed(range(PLANES)))
"""Where the planes' octets are in a place."""


class GuestMemory(Protocol):
    """The part of a `Vm` that is needed here."""

    def add_memory(self, gpa: int, size: int) -> None: ...  # noqa: D102
    def remove_memory(self, gpa: int) -> None: ...  # noqa: D102
    def read(self, gpa: int, octets: int, /) -> bytes: ...  # noqa: D102
    def write(self, gpa: int, data: bytes, /) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class View:
    """A window that is memory. `planes` of the planes in turn are `stride` places apart."""

    gpa: int
    octets: int
    planes: int


class Planes:
    """The memory.

    Args:
        vm: where views are made; without it there are none.
        sequencer, graphics: the registers, which are only read here.
    """

    def __init__(self, vm: GuestMemory | None, sequencer: bytearray, graphics: bytearray) -> None:
        self._vm = vm
        self._sequencer = sequencer
        self._graphics = graphics
        self.octets = bytearray(PLANES * PLACES)
        self.places = memoryview(self.octets).cast("I")
        self.latch = 0
        self.enabled = False
        """Does the window answer (miscellaneous register, RAM enable)?"""
        self.hidden = False
        """Something else has the window now: the frame buffer's bank."""
        self._view: View | None = None
        self._touched = 0
        self.copies = 0

    # -- views

    @property
    def view(self) -> View | None:
        """The view that stands."""
        return self._view

    def possible(self) -> View | None:
        """The view that registers allow now."""
        sequencer, graphics = self._sequencer, self._graphics
        if (
            not self.enabled
            or self.hidden
            or graphics[ENABLE_SET_RESET]
            or graphics[ROTATE]
            or graphics[BIT_MASK] != 0xFF
            or graphics[MODE] & (MODE_WRITE | MODE_READ_COMPARE)
        ):
            return None
        select = graphics[MISCELLANEOUS] >> MISCELLANEOUS_MAP_SHIFT & 3
        base, octets = WINDOWS[select]
        if sequencer[MEMORY_MODE] & MEMORY_CHAIN_4:
            return View(WINDOW + base, octets, 4) if select == 1 and sequencer[MAP_MASK] == 0xF else None
        if (
            select >= 2
            and not sequencer[MEMORY_MODE] & MEMORY_NOT_ODD_EVEN
            and graphics[MODE] & MODE_ODD_EVEN
            and graphics[MISCELLANEOUS] & MISCELLANEOUS_ODD_EVEN
            and sequencer[MAP_MASK] == 3
            and graphics[READ_MAP] < 2
        ):
            return View(WINDOW + base, octets, 2)
        return None

    def changed(self) -> None:
        """Registers were written that say how the window works."""
        if self._view is not None and self._view != self.possible():
            self._end()
        self._touched = 0

    def _touch(self) -> None:
        self._touched += 1
        if self._touched >= PATIENCE:
            self._touched = 0
            view = self.possible()
            if view is not None:
                self._begin(view)

    def _begin(self, view: View) -> None:
        assert self._vm is not None
        octets = bytearray(view.octets)
        for plane in range(view.planes):
            octets[plane :: view.planes] = self.octets[self._places(view, plane)]
        self._vm.add_memory(view.gpa, view.octets)
        self._vm.write(view.gpa, bytes(octets))
        self._view = view
        self.copies += 1

    @staticmethod
    def _places(view: View, plane: int) -> slice:
        return slice(LANES[plane], PLANES * view.octets, PLANES * view.planes)

    def synchronise(self) -> None:
        """Have in the planes what the guest wrote into a view."""
        if self._view is None or self._vm is None:
            return
        octets = self._vm.read(self._view.gpa, self._view.octets)
        for plane in range(self._view.planes):
            self.octets[self._places(self._view, plane)] = octets[plane :: self._view.planes]

    def _end(self) -> None:
        assert self._vm is not None
        assert self._view is not None
        self.synchronise()
        self._vm.remove_memory(self._view.gpa)
        self._view = None

    # -- the processor's accesses; offsets from `WINDOW`

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        value = 0
        for lane in range(size):
            value |= self._read(offset + lane) << 8 * lane
        self._count()
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        for lane in range(size):
            self._write(offset + lane, value >> 8 * lane & 0xFF)
        self._count()

    def _count(self) -> None:
        if self._vm is not None and self._view is None and self.enabled and not self.hidden:
            self._touch()

    def _address(self, offset: int) -> int | None:
        """Of an offset, within the memory that shows; None: nothing does there."""
        base, octets = WINDOWS[self._graphics[MISCELLANEOUS] >> MISCELLANEOUS_MAP_SHIFT & 3]
        if not self.enabled or not base <= offset < base + octets:
            return None
        return offset - base & PLACES - 1

    def _read(self, offset: int) -> int:
        address = self._address(offset)
        if address is None:
            return 0xFF
        graphics = self._graphics
        plane = graphics[READ_MAP]
        if self._sequencer[MEMORY_MODE] & MEMORY_CHAIN_4:
            plane, address = address & 3, address & ~3
        elif graphics[MODE] & MODE_ODD_EVEN:
            plane, address = plane & 2 | address & 1, address & ~1
        self.latch = latch = self.places[address]
        if not graphics[MODE] & MODE_READ_COMPARE:
            return latch >> 8 * plane & 0xFF
        differs = (latch ^ PLANE_MASKS[graphics[COMPARE]]) & PLANE_MASKS[graphics[DONT_CARE]]
        differs |= differs >> 16
        return ~(differs | differs >> 8) & 0xFF

    def _write(self, offset: int, value: int) -> None:
        address = self._address(offset)
        if address is None:
            return
        planes = self._sequencer[MAP_MASK]
        mode = self._sequencer[MEMORY_MODE]
        if mode & MEMORY_CHAIN_4:
            planes &= 1 << (address & 3)
            address &= ~3
        elif not mode & MEMORY_NOT_ODD_EVEN:
            planes &= 0b1010 if address & 1 else 0b0101
            address &= ~1
        mask = PLANE_MASKS[planes]
        self.places[address] = self.places[address] & ~mask | self._value(value) & mask

    def _value(self, value: int) -> int:
        """What a write puts into a place, before the map mask."""
        graphics = self._graphics
        mode = graphics[MODE] & MODE_WRITE
        if mode == 1:
            return self.latch
        bits = graphics[BIT_MASK]
        if mode != 2:
            rotation = graphics[ROTATE] & 7
            value = (value >> rotation | value << 8 - rotation) & 0xFF
        if mode == 0:
            chosen = PLANE_MASKS[graphics[ENABLE_SET_RESET]]
            word = value * EVERYWHERE & ~chosen | PLANE_MASKS[graphics[SET_RESET]] & chosen
        elif mode == 2:
            word = PLANE_MASKS[value & 0xF]
        else:
            bits &= value
            word = PLANE_MASKS[graphics[SET_RESET]]
        match graphics[ROTATE] >> 3:
            case 1:
                word &= self.latch
            case 2:
                word |= self.latch
            case 3:
                word ^= self.latch
        mask = bits * EVERYWHERE
        return word & mask | self.latch & ~mask

    # -- state

    def saved(self) -> dict[str, object]:
        """What belongs to the display's state."""
        self.synchronise()
        return {
            "planes": bytes(self.octets),
            "latch": self.latch,
            "view": self._view is not None,
            "touched": self._touched,
        }

    def restore(self, planes: bytes, latch: int, touched: int, *, view: bool) -> None:
        """Take it back; the registers have been. Raises SnapshotError."""
        if len(planes) != len(self.octets):
            raise SnapshotError(f"snapshot: video memory of {len(planes)} octets")
        if self._view is not None:
            self._end()
        self.octets[:] = planes
        self.latch, self._touched = latch, touched
        if view:
            possible = self.possible()
            if possible is None or self._vm is None:
                raise SnapshotError("snapshot: a window that cannot be memory")
            self._begin(possible)
