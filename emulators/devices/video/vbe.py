"""The linear frame buffer, and the registers by which it is switched on (Bochs' DISPI interface).

Reference: Bochs, "VBE DISPI interface" (iodev/display/vga.h, vgabios' vbe_display_api.txt); QEMU,
docs/specs/standard-vga.rst, version B0C5.
Boards: pc, as a part of `emulators.devices.video.stdvga`.

Registers: ID, XRES, YRES, BPP (4, 8, 15, 16, 24, 32), ENABLE (with capabilities, 8-bit DAC, no clearing), BANK,
VIRT_WIDTH, VIRT_HEIGHT (read), X_OFFSET, Y_OFFSET, VIDEO_MEMORY_64K. Values that are impossible are made possible when
the mode is switched on, as Bochs and QEMU do.

Not emulated: the VGA's planes as the first 256 KiB of the frame buffer (they are memory of their own; four-bit modes
are shown out of the planes, 64 KiB each), banks of other sizes than 64 KiB.

**Theory.** The frame buffer's window becomes memory of the guest's after `PATIENCE` accesses, as those of
`emulators.devices.video.planes`, and returns to octets here when its address is taken away.

| threat | stopped by |
|---|---|
| modes of 65535 × 65535 | only what the memory holds is ever shown |
| a window moved in a loop, each time with 16 MiB copied | a copy needs `PATIENCE` accesses |
| a window over memory or firmware | it stays registers, and is counted |
"""

import zlib
from typing import Final

from emulators.device import State
from emulators.devices.video.planes import PATIENCE, GuestMemory
from emulators.snapshot import SnapshotError, take, take_int

OCTETS: Final = 16 << 20
BANK_OCTETS: Final = 0x10000

ID, XRES, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY_64K = range(11)
REGISTERS: Final = 11
OLDEST, NEWEST = 0xB0C0, 0xB0C5
ENABLED, CAPABILITIES, EIGHT_BIT_DAC, LINEAR, NO_CLEAR = 0x01, 0x02, 0x20, 0x40, 0x80
MOST_X, MOST_Y, MOST_BITS = 16000, 12000, 32
DEPTHS: Final = (4, 8, 15, 16, 24, 32)


class FrameBuffer:
    """The memory; as registers, its window on the bus.

    Args:
        vm: where it becomes memory of the guest's.
    """

    def __init__(self, vm: GuestMemory | None) -> None:
        self._vm = vm
        self._octets = bytearray()  # until somebody writes
        self._at: int | None = None
        self._memory_at: int | None = None
        self._touched = 0
        self.refused = 0
        self.copies = 0

    def place(self, address: int | None) -> None:
        """Its window is there now, or nowhere."""
        if self._memory_at is not None and self._memory_at != address:
            assert self._vm is not None
            self._octets = bytearray(self._vm.read(self._memory_at, OCTETS))
            self._vm.remove_memory(self._memory_at)
            self._memory_at = None
        if address != self._at:
            self._at, self._touched = address, 0

    @property
    def is_memory(self) -> bool:
        """Is the window memory of the guest's?"""
        return self._memory_at is not None

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        self._touch()
        return int.from_bytes(self.peek(offset, size), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        self.poke(offset, value.to_bytes(size, "little"))
        self._touch()

    def _touch(self) -> None:
        self._touched = min(self._touched + 1, PATIENCE + 1)
        if self._touched == PATIENCE:
            self._begin()

    def _begin(self) -> None:
        if self._vm is None or self._at is None or self._memory_at is not None:
            return
        try:
            self._vm.add_memory(self._at, OCTETS)
        except ValueError:
            self.refused += 1
            return
        if any(self._octets):
            self._vm.write(self._at, bytes(self._octets))
        self._memory_at, self._octets = self._at, bytearray()
        self.copies += 1

    def peek(self, offset: int, octets: int) -> bytes:
        """Octets, wherever they are; zeros behind the end."""
        octets_there = max(0, min(octets, OCTETS - offset))
        if self._memory_at is not None and octets_there:
            assert self._vm is not None
            return self._vm.read(self._memory_at + offset, octets_there).ljust(octets, b"\0")
        return bytes(self._octets[offset : offset + octets_there]).ljust(octets, b"\0")

    def poke(self, offset: int, data: bytes) -> None:
        """Write what lies within."""
        data = data[: max(0, OCTETS - offset)]
        if not data:
            return
        if self._memory_at is not None:
            assert self._vm is not None
            self._vm.write(self._memory_at + offset, data)
            return
        if not self._octets:
            self._octets = bytearray(OCTETS)
        self._octets[offset : offset + len(data)] = data

    def clear(self, octets: int) -> None:
        """Set the first `octets` to zero."""
        if self._memory_at is not None or self._octets:
            self.poke(0, bytes(min(octets, OCTETS)))

    def saved(self) -> State:
        """What belongs to the display's state."""
        octets = self.peek(0, OCTETS) if self._memory_at is not None else bytes(self._octets)
        return {
            "octets": zlib.compress(octets, 1) if any(octets) else b"",
            "is_memory": self._memory_at is not None,
            "touched": self._touched,
        }

    def restore(self, state: State) -> None:
        """Take it back, once the window is where it was. Raises SnapshotError."""
        packed = take(state, "octets", bytes)
        octets = b""
        if packed:
            try:
                octets = zlib.decompressobj().decompress(packed, OCTETS + 1)
            except zlib.error as error:
                raise SnapshotError(f"snapshot: frame buffer: {error}") from None
            if len(octets) != OCTETS:
                raise SnapshotError("snapshot: frame buffer of another size")
        at = self._at
        self.place(None)
        self._octets = bytearray(octets)
        self.place(at)
        if take(state, "is_memory", bool):
            self._begin()
            if self._memory_at is None:
                raise SnapshotError("snapshot: a frame buffer that cannot be memory")
        self._touched = take_int(state, "touched", PATIENCE + 1)


class Dispi:
    """The registers. `offset`s are ports from 0x1CE on."""

    def __init__(self, buffer: FrameBuffer) -> None:
        self._buffer = buffer
        self.index = 0
        self.registers = [0] * REGISTERS
        self.registers[ID] = NEWEST
        self.mistakes = 0

    @property
    def enabled(self) -> bool:
        """Does the frame buffer show, instead of the VGA?"""
        return bool(self.registers[ENABLE] & ENABLED)

    @property
    def depth(self) -> int:
        """Bits of a pixel."""
        return self.registers[BPP]

    def stride(self) -> int:
        """Octets from one line to the next."""
        return max(1, self.registers[VIRT_WIDTH] * {15: 16}.get(self.depth, self.depth) // 8)

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        if size == 2 and offset == 0:
            return self.index
        if size == 2 and offset in (1, 2):
            return self.get(self.index)
        self.mistakes += 1
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if size == 2 and offset == 0:
            self.index = value
        elif size == 2 and offset in (1, 2):
            self.set(self.index, value)
        else:
            self.mistakes += 1

    def get(self, index: int) -> int:
        """A register's value."""
        if index >= REGISTERS:
            self.mistakes += 1
            return 0
        if index == MEMORY_64K:
            return OCTETS // BANK_OCTETS
        if index == VIRT_HEIGHT:
            return min(OCTETS // self.stride(), 0xFFFF) if self.enabled else 0
        if self.registers[ENABLE] & CAPABILITIES and index in (XRES, YRES, BPP):
            return (MOST_X, MOST_Y, MOST_BITS)[index - XRES]
        return self.registers[index]

    def set(self, index: int, value: int) -> None:
        """Write a register."""
        match index:
            case 0:
                if OLDEST <= value <= NEWEST:
                    self.registers[ID] = value
            case 4:
                self._enable(value)
            case 5:
                self.registers[BANK] = value % (OCTETS // BANK_OCTETS)
            case 1 | 2 | 3 | 6 | 8 | 9:
                self.registers[index] = value
                self._make_possible()
            case _:
                self.mistakes += index not in (VIRT_HEIGHT, MEMORY_64K)

    def _enable(self, value: int) -> None:
        registers, was = self.registers, self.enabled
        registers[ENABLE] = value & (ENABLED | CAPABILITIES | EIGHT_BIT_DAC | LINEAR | NO_CLEAR)
        if not value & ENABLED:
            registers[BANK] = 0
        elif not was:
            registers[VIRT_WIDTH] = registers[X_OFFSET] = registers[Y_OFFSET] = registers[BANK] = 0
            self._make_possible()
            if not value & NO_CLEAR and self.depth != 4:
                self._buffer.clear(self.stride() * registers[YRES])

    def _make_possible(self) -> None:
        """Turn what cannot be shown into something that can."""
        if not self.enabled:
            return
        registers = self.registers
        if registers[BPP] not in DEPTHS:
            registers[BPP] = 8
        registers[XRES] = max(8, min(registers[XRES] & ~7, MOST_X))
        registers[VIRT_WIDTH] = max(registers[XRES], min(registers[VIRT_WIDTH] & ~7, MOST_X))
        stride = self.stride()
        registers[YRES] = max(1, min(registers[YRES], MOST_Y, OCTETS // stride))
        octets = {15: 16}.get(self.depth, self.depth) * registers[X_OFFSET] // 8
        if octets + (registers[Y_OFFSET] + registers[YRES]) * stride > OCTETS:
            registers[Y_OFFSET] = 0
            if octets + registers[YRES] * stride > OCTETS:
                registers[X_OFFSET] = 0

    def saved(self) -> State:
        """What belongs to the display's state."""
        return {"index": self.index, "registers": list(self.registers)}

    def restore(self, state: State) -> None:
        """Take it back. Raises SnapshotError."""
        self.index = take_int(state, "index", 0xFFFF)
        registers = take(state, "registers", list)
        if len(registers) != REGISTERS or any(
            type(value) is not int or not 0 <= value <= 0xFFFF for value in registers
        ):
            raise SnapshotError("snapshot: frame buffer registers")
        before, self.registers = self.registers, registers
        self._make_possible()
        if self.enabled and (registers[BPP] not in DEPTHS or registers[BANK] >= OCTETS // BANK_OCTETS):
            self.registers = before
            raise SnapshotError("snapshot: frame buffer registers")
