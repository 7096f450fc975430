"""Descriptor-based DMA of Apple's mac-io chips: channels that run little programs.

Reference: Apple, "Macintosh Technology in the Common Hardware Reference Platform" (1995), chapter 9 ("DBDMA").
Boards: mac (the two IDE channels).

Registers of a channel (32 bits, little-endian, `STRIDE` apart): 0x00 ChannelControl (mask in the upper half; reads 0),
0x04 ChannelStatus, 0x0C CommandPtrLo, 0x10 InterruptSelect, 0x14 BranchSelect, 0x18 WaitSelect; the upper halves of
pointers and the transfer mode registers read 0.

A command is 16 octets, little-endian: request count 2, operation 2, address 4, command-dependent 4, residual count 2,
transfer status 2. Operations: OUTPUT_MORE, OUTPUT_LAST, INPUT_MORE, INPUT_LAST, STORE_QUAD, LOAD_QUAD, NOP, STOP, each
with its conditions for an interrupt, a branch, and waiting.

Theory: a channel runs when its control register says so, or its unit calls `wake`, until it has to wait for the unit,
stops, or has done `MOST_COMMANDS`. What is left of a command that waits is kept.

Not emulated: FLUSH in the middle of a command (nothing is buffered, so it has nothing to do), device status bits set by
units, the streams other than the system's memory.

| threat | stopped by |
|---|---|
| a program that branches to itself | `MOST_COMMANDS`, then the channel is dead, counted |
| programs and data outside memory | the channel is dead, counted |
"""

from collections.abc import Callable
from typing import Final, Protocol

from emulators.device import Irq, State
from emulators.dma import Dma, DmaFault
from emulators.snapshot import SnapshotError, take, take_int, take_version

STRIDE: Final = 0x100
CONTROL, STATUS, POINTER_HIGH, POINTER, INTERRUPT_SELECT, BRANCH_SELECT, WAIT_SELECT = (
    0x00,
    0x04,
    0x08,
    0x0C,
    0x10,
    0x14,
    0x18,
)
RUN, PAUSE, FLUSH, WAKE, DEAD, ACTIVE, BRANCHED = 0x8000, 0x4000, 0x2000, 0x1000, 0x0800, 0x0400, 0x0100
DEVICE_STATUS: Final = 0x00FF
WRITABLE: Final = RUN | PAUSE | FLUSH | WAKE | DEVICE_STATUS
OUTPUT_MORE, OUTPUT_LAST, INPUT_MORE, INPUT_LAST, STORE, LOAD, NOP, STOP = range(8)
KEY_SYSTEM: Final = 6
ALWAYS, IF_TRUE, IF_FALSE = 3, 1, 2
COMMAND_OCTETS: Final = 16
MOST_COMMANDS: Final = 4096
"""In one go. Chosen: four megabytes in pages, four times over."""
PIECE_OCTETS: Final = 1 << 16


class Unit(Protocol):
    """What a channel serves."""

    def give(self, octets: int) -> bytes | None:
        """At most so many octets for memory; None: not now."""
        ...

    def accept(self, octets: int) -> int | None:
        """How many octets of memory it would take now, up to so many; None: not now."""
        ...

    def put(self, data: bytes) -> None:
        """As many as `accept` said."""
        ...


class Channel:
    """One channel.

    Args:
        unit: what it serves.
        irq: its line, which is pulsed.
        dma: the way to memory.
        allowed: is the chip a bus master now?
    """

    def __init__(self, *, unit: Unit, irq: Irq, dma: Dma, allowed: Callable[[], bool] = lambda: True) -> None:
        self._unit = unit
        self._irq = irq
        self._dma = dma
        self._allowed = allowed
        self.status = 0
        self.pointer = 0
        self.selects = [0, 0, 0]
        self._left: int | None = None
        self._address = 0
        self._running = False
        self.mistakes = 0

    # -- registers

    def read(self, register: int) -> int:
        """One of them."""
        match register:
            case 0x04:
                return self.status
            case 0x0C:
                return self.pointer
            case 0x10 | 0x14 | 0x18:
                return self.selects[(register - INTERRUPT_SELECT) // 4]
            case _:
                return 0

    def write(self, register: int, value: int) -> None:
        """One of them."""
        match register:
            case 0x00:
                self._control(value)
            case 0x0C:
                if self.status & ACTIVE:
                    self.mistakes += 1
                else:
                    self.pointer, self._left = value & ~0xF, None
            case 0x10 | 0x14 | 0x18:
                self.selects[(register - INTERRUPT_SELECT) // 4] = value & 0x00FF00FF
            case _:
                self.mistakes += 1

    def _control(self, value: int) -> None:
        mask, before = value >> 16 & WRITABLE, self.status
        self.status = before & ~mask | value & mask
        if not self.status & RUN:
            self.status &= ~(ACTIVE | DEAD | WAKE | FLUSH | BRANCHED)
            self._left = None
            return
        if self.status & DEAD:
            self.status &= ~(WAKE | FLUSH)
            return
        if not before & RUN or self.status & WAKE or before & PAUSE:
            self.status |= ACTIVE
        if self.status & PAUSE:
            self.status &= ~ACTIVE
        self.status &= ~(WAKE | FLUSH)
        self.wake()

    # -- running

    def wake(self) -> None:
        """Go on, if there is something to do: the unit is ready, or the host has written."""
        if self._running or not self.status & ACTIVE or not self._allowed():
            return
        self._running = True
        try:
            for _ in range(MOST_COMMANDS):
                if not self._step():
                    return
            raise DmaFault("no end")
        except DmaFault:
            self.mistakes += 1
            self.status = self.status & ~ACTIVE | DEAD
        finally:
            self._running = False

    def _step(self) -> bool:
        """One command, or what is left of it; False: the channel waits, or has stopped."""
        head = self._dma.read(self.pointer, COMMAND_OCTETS)
        count, operation = int.from_bytes(head[0:2], "little"), int.from_bytes(head[2:4], "little")
        match operation >> 12:
            case 0 | 1 | 2 | 3:
                if self._left is None:
                    self._left, self._address = count, int.from_bytes(head[4:8], "little")
                if not self._move(inward=operation >> 12 >= INPUT_MORE):
                    return False
            case 4 | 5:
                if operation >> 8 & 7 < KEY_SYSTEM:
                    raise DmaFault("a stream that is not memory")
                octets = next((n for n in (4, 2, 1) if count & n), 4)
                address = int.from_bytes(head[4:8], "little")
                if operation >> 12 == STORE:
                    self._dma.write(address, head[8 : 8 + octets])
                else:
                    self._dma.write(self.pointer + 8, self._dma.read(address, octets).ljust(4, b"\0"))
            case 6:
                pass
            case 7:
                self.status &= ~ACTIVE
                return False
            case _:
                raise DmaFault("no such operation")
        return self._finish(operation, int.from_bytes(head[8:12], "little"))

    def _move(self, *, inward: bool) -> bool:
        assert self._left is not None
        while self._left:
            want = min(self._left, PIECE_OCTETS)
            if inward:
                data = self._unit.give(want)
                if not data:
                    return False
                self._dma.write(self._address, data)
                moved = len(data)
            else:
                moved = self._unit.accept(want) or 0
                if not moved:
                    return False
                self._unit.put(self._dma.read(self._address, moved))
            self._left -= moved
            self._address += moved
        return True

    def _is(self, select: int) -> bool:
        word = self.selects[select]
        return self.status & word >> 16 & 0xFF == word & word >> 16 & 0xFF

    def _chosen(self, field: int, select: int) -> bool:
        return (
            field == ALWAYS or (field == IF_TRUE and self._is(select)) or (field == IF_FALSE and not self._is(select))
        )

    def _finish(self, operation: int, target: int) -> bool:
        if self._chosen(operation & 3, 2):
            return False  # the wait condition: until the host writes again
        branch = self._chosen(operation >> 2 & 3, 1)
        self.status = self.status & ~BRANCHED | (BRANCHED if branch else 0)
        left, self._left = self._left or 0, None
        done = left.to_bytes(2, "little") + self.status.to_bytes(2, "little")
        self._dma.write(self.pointer + 12, done)
        interrupt = self._chosen(operation >> 4 & 3, 0)
        self.pointer = target & ~0xF if branch else self.pointer + COMMAND_OCTETS & 0xFFFFFFFF
        if interrupt:
            self._irq(True)
            self._irq(False)
        return True

    # -- state

    def state(self) -> State:
        """All of it."""
        return {
            "status": self.status,
            "pointer": self.pointer,
            "selects": list(self.selects),
            "left": self._left,
            "address": self._address,
            "mistakes": self.mistakes,
        }

    def from_state(self, state: State) -> None:
        """Take it back."""
        selects = take(state, "selects", list)
        if len(selects) != 3 or any(type(word) is not int or not 0 <= word <= 0xFFFFFFFF for word in selects):
            raise SnapshotError("snapshot: dbdma: selects")
        self.status = take_int(state, "status", 0xFFFF)
        self.pointer = take_int(state, "pointer", 0xFFFFFFFF) & ~0xF
        self.selects = list(selects)
        self._left = None if state.get("left") is None else take_int(state, "left", 0xFFFF)
        self._address = take_int(state, "address", 1 << 33)
        self.mistakes = take_int(state, "mistakes", 1 << 62)


class Dbdma:
    """The chip's channels, by number."""

    timed = False

    def __init__(self, channels: dict[int, Channel]) -> None:
        self.channels = dict(sorted(channels.items()))
        self.mistakes = 0

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        channel = self.channels.get(offset // STRIDE)
        if channel is None or size != 4 or offset & 3:
            self.mistakes += 1
            return 0
        return channel.read(offset % STRIDE)

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        channel = self.channels.get(offset // STRIDE)
        if channel is None or size != 4 or offset & 3:
            self.mistakes += 1
            return
        channel.write(offset % STRIDE, value)

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        channels = {str(number): channel.state() for number, channel in self.channels.items()}
        return {"version": 1, "mistakes": self.mistakes, "channels": channels}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        saved = take(state, "channels", dict)
        if set(saved) != {str(number) for number in self.channels}:
            raise SnapshotError("snapshot: dbdma: other channels")
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        for number, channel in self.channels.items():
            channel.from_state(saved[str(number)])
