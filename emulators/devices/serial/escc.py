"""Zilog Z85C30 serial communications controller: two channels, as far as asynchronous lines need it.

Datasheet: Zilog, "SCC/ESCC User Manual" (UM010903), chapters 2 (interface), 4 (modes) and 5 (registers).
Boards: mac (channel A is the modem port and the console, channel B the printer port).

Offsets here: 0 control of B, 1 data of B, 2 control of A, 3 data of A; the board spreads them out. A write to control
goes to the register that the last write to WR0 pointed at, else to WR0; a read takes RR0 or the one pointed at.

Emulated: RR0, RR1, RR2 (with status in B), RR3, RR8, RR10, RR12, RR13, RR15 and their copies; WR0 (pointer, commands
that concern asynchronous lines), WR1 (interrupts of receiver, transmitter and external lines), WR2, WR3 and WR5
(enables, RTS, DTR), WR9 (vector, master enable, resets), WR11 … WR15 (kept; local loopback of WR14; WR15's enables);
the receive FIFO of three octets; interrupts with their priorities.

Not emulated: acknowledge cycles (so no interrupt is ever "under service"), synchronous modes, SDLC, DMA requests,
parity and framing errors (the line has none), the baud rate (an octet takes no time), the ESCC's deeper FIFOs (WR7').
At the other end sits something that is always there: CTS and DCD are asserted, and the transmitter is always empty.

Theory: octets from outside wait in a queue, as if flow control held them back, and enter the FIFO as it has room.

| threat | stopped by |
|---|---|
| a script that types faster than the guest reads | the queue has `QUEUE_OCTETS`; the rest is dropped, counted |
| loopback of loopback | an octet that comes back goes to the queue, never to the transmitter |
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State
from emulators.devices.eight_bit import EightBit
from emulators.snapshot import SnapshotError, take, take_int, take_version

B, A = 0, 1
REGISTERS: Final = 16

# WR0, §5.2.1
WR0_COMMAND: Final = 0x38
POINT_HIGH, RESET_EXTERNAL, ENABLE_NEXT_RX, RESET_TX_PENDING = 0x08, 0x10, 0x20, 0x28
# WR1, §5.2.2
WR1_EXTERNAL, WR1_TX, WR1_PARITY_SPECIAL, WR1_RX = 0x01, 0x02, 0x04, 0x18
RX_FIRST, RX_ALL, RX_SPECIAL = 0x08, 0x10, 0x18
WR3_RX_ENABLE: Final = 0x01
WR5_RTS, WR5_TX_ENABLE, WR5_DTR = 0x02, 0x08, 0x80
# WR9, §5.2.10
WR9_VIS, WR9_NV, WR9_DLC, WR9_MIE, WR9_STATUS_HIGH = 0x01, 0x02, 0x04, 0x08, 0x10
WR9_RESET_B, WR9_RESET_A, WR9_RESET_CHIP = 0x40, 0x80, 0xC0
WR14_LOOPBACK: Final = 0x10
# RR0, §5.3.1
RR0_RX, RR0_ZERO_COUNT, RR0_TX_EMPTY, RR0_DCD, RR0_SYNC, RR0_CTS, RR0_UNDERRUN, RR0_BREAK = (
    1 << bit for bit in range(8)
)
RR1_ALL_SENT, RR1_RESIDUE, RR1_OVERRUN = 0x01, 0x06, 0x20
RR3_EXTERNAL, RR3_TX, RR3_RX = 0x01, 0x02, 0x04
"""Of channel B; of A three bits further up (§5.3.4)."""
VECTORS: Final = {RR3_TX: 0, RR3_EXTERNAL: 1, RR3_RX: 2}
"""Of B; of A plus 4 (table 5-3)."""
VECTOR_NONE: Final = 3

COPIES: Final = {4: 0, 5: 1, 6: 2, 7: 3, 9: 13, 11: 15, 14: 10}
"""Read registers that an NMOS or CMOS chip without WR7' shows again (§5.3)."""

FIFO_OCTETS: Final = 3
QUEUE_OCTETS: Final = 65_536
"""Octets from outside that wait. Chosen."""
BREAK: Final = 0x100


class Channel:
    """One of the two lines.

    Args:
        out: takes the octets that the guest sends.
        changed: the chip's: interrupts may be others now.
    """

    def __init__(self, out: Callable[[bytes], None], changed: Callable[[], None]) -> None:
        self._out = out
        self._changed = changed
        self.written = [0] * REGISTERS
        self.waiting: deque[int] = deque()
        self.received: deque[int] = deque()
        self.pointer = 0
        self.pending = 0
        self.first = True
        self.breaks = False
        self.dropped_octets = 0
        self.reset(hard=True)

    def reset(self, *, hard: bool) -> None:
        """A channel reset, or one of the whole chip (§2.8, table 2-8)."""
        kept = list(self.written)
        self.written = [0] * REGISTERS
        self.written[4], self.written[11] = 0x04, 0x08
        self.written[14], self.written[15] = (0x30 if hard else 0x20 | kept[14] & 0x03), 0xF8
        self.written[2], self.written[12], self.written[13] = kept[2], kept[12], kept[13]
        if not hard:
            self.written[11] = kept[11]
            self.written[10] = kept[10] & 0x60
        self.received.clear()
        self.pointer = self.pending = 0
        self.first = True

    # -- the outside

    def receive(self, octets: bytes) -> None:
        """Octets come in on the line."""
        room = QUEUE_OCTETS - len(self.waiting)
        self.dropped_octets += max(0, len(octets) - room)
        self.waiting.extend(octets[:room])
        self.refill()

    def receive_break(self) -> None:
        """The line goes to break for a character's time."""
        if len(self.waiting) < QUEUE_OCTETS:
            self.waiting.append(BREAK)
        self.refill()

    def ready_octets(self) -> int:
        """How many octets `receive` would keep now."""
        return QUEUE_OCTETS - len(self.waiting)

    def refill(self) -> None:
        """From the queue into the FIFO, as far as it has room."""
        if self.written[3] & WR3_RX_ENABLE:
            while self.waiting and len(self.received) < FIFO_OCTETS:
                octet = self.waiting.popleft()
                if octet == BREAK:
                    octet = 0
                    if self.written[15] & RR0_BREAK:
                        self.breaks = True
                        self._external()
                self.received.append(octet)
                if self.written[1] & WR1_RX == RX_ALL or (self.written[1] & WR1_RX == RX_FIRST and self.first):
                    self.pending |= RR3_RX
                    self.first = False
        self._changed()

    # -- the guest

    def status(self) -> int:
        """RR0."""
        value = RR0_TX_EMPTY | RR0_UNDERRUN | RR0_SYNC | RR0_DCD | RR0_CTS | (RR0_BREAK if self.breaks else 0)
        return value | (RR0_RX if self.received else 0)

    def take(self) -> int:
        """RR8: the next octet of the FIFO."""
        octet = self.received.popleft() if self.received else 0
        if not self.received:
            self.pending &= ~RR3_RX
        self.refill()
        return octet

    def send(self, octet: int) -> None:
        """WR8."""
        self.pending &= ~RR3_TX
        if self.written[14] & WR14_LOOPBACK:
            self.receive(bytes((octet,)))
        elif self.written[5] & WR5_TX_ENABLE:
            self._out(bytes((octet,)))
        if self.written[1] & WR1_TX and self.written[5] & WR5_TX_ENABLE:
            self.pending |= RR3_TX  # the buffer is empty again
        self._changed()

    def _external(self) -> None:
        if self.written[1] & WR1_EXTERNAL:
            self.pending |= RR3_EXTERNAL

    def enabled(self) -> int:
        """Interrupts that are pending (what is switched off does not pend)."""
        wr1 = self.written[1]
        mask = RR3_EXTERNAL if wr1 & WR1_EXTERNAL else 0
        mask |= RR3_TX if wr1 & WR1_TX else 0
        mask |= RR3_RX if wr1 & WR1_RX else 0
        return self.pending & mask

    def command(self, value: int) -> None:
        """A write to WR0."""
        self.pointer = value & 7
        match value & WR0_COMMAND:
            case command if command == POINT_HIGH:
                self.pointer |= 8
            case command if command == RESET_EXTERNAL:
                self.breaks = False
                self.pending &= ~RR3_EXTERNAL
            case command if command == ENABLE_NEXT_RX:
                self.first = True
            case command if command == RESET_TX_PENDING:
                self.pending &= ~RR3_TX
        self._changed()

    def control(self, register: int, value: int) -> None:
        """A write to WR1 … WR15, but for WR2, WR8 and WR9."""
        before, self.written[register] = self.written[register], value
        match register:
            case 1:
                if value & WR1_RX == RX_ALL and self.received:
                    self.pending |= RR3_RX
            case 3 if value & WR3_RX_ENABLE and not before & WR3_RX_ENABLE:
                self.refill()
        self._changed()

    # -- state

    def state(self) -> State:
        """All of it."""
        return {
            "written": list(self.written),
            "waiting": list(self.waiting),
            "received": list(self.received),
            "pointer": self.pointer,
            "pending": self.pending,
            "first": self.first,
            "breaks": self.breaks,
            "dropped": self.dropped_octets,
        }

    def from_state(self, state: State) -> None:
        """Take it back."""
        written, waiting, received = (take(state, name, list) for name in ("written", "waiting", "received"))
        for values, count, most in ((written, REGISTERS, 0xFF), (waiting, QUEUE_OCTETS, BREAK), (received, 3, 0xFF)):
            if len(values) > count or any(type(value) is not int or not 0 <= value <= most for value in values):
                raise SnapshotError("snapshot: escc: a list that cannot be")
        if len(written) != REGISTERS:
            raise SnapshotError("snapshot: escc: registers")
        self.written = list(written)
        self.waiting, self.received = deque(waiting), deque(received)
        self.pointer = take_int(state, "pointer", 15)
        self.pending = take_int(state, "pending", 7)
        self.first = take(state, "first", bool)
        self.breaks = take(state, "breaks", bool)
        self.dropped_octets = take_int(state, "dropped", 1 << 62)


class Escc(EightBit):
    """The chip.

    Args:
        irqs: interrupt lines of channel B and channel A. The chip has one output; mac-io has a line for each channel,
            and so have we.
        outs: take what the guest sends on B and on A.
    """

    timed = False

    def __init__(self, *, irqs: tuple[Irq, Irq], outs: tuple[Callable[[bytes], None], Callable[[bytes], None]]) -> None:
        self._irqs = irqs
        self._vector = 0
        self._control = 0
        self.mistakes = 0
        self._ready = False
        self.channels = [Channel(out, self._update) for out in outs]
        self._ready = True
        self._reset_chip()

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        if offset > 3:
            self.mistakes += 1
            return 0xFF
        channel = self.channels[offset >> 1]
        if offset & 1:
            return channel.take()
        pointer, channel.pointer = channel.pointer, 0
        if pointer == 0:
            return channel.status()
        return self._read(channel, COPIES.get(pointer, pointer), offset >> 1)

    def _read(self, channel: Channel, register: int, side: int) -> int:
        match register:
            case 0:
                return channel.status()
            case 1:
                return RR1_ALL_SENT | RR1_RESIDUE
            case 2:
                return self._vector if side == A else self._modified()
            case 3:
                return self._pending() if side == A else 0
            case 8:
                return channel.take()
            case 10:
                return 0
            case 15:
                return channel.written[15] & 0xFA
            case _:
                return channel.written[register]

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset > 3:
            self.mistakes += 1
            return
        channel = self.channels[offset >> 1]
        if offset & 1:
            channel.send(value)
            return
        pointer, channel.pointer = channel.pointer, 0
        match pointer:
            case 0:
                channel.written[0] = value
                channel.command(value)
            case 2:
                self._vector = value
                for each in self.channels:
                    each.written[2] = value
            case 8:
                channel.send(value)
            case 9:
                self._master(value)
            case _:
                channel.control(pointer, value)

    def _master(self, value: int) -> None:
        match value & WR9_RESET_CHIP:
            case 0xC0:
                self._reset_chip()
                value &= 0x3F
            case 0x80:
                self.channels[A].reset(hard=False)
            case 0x40:
                self.channels[B].reset(hard=False)
        self._control = value & 0x3F
        self._update()

    def _reset_chip(self) -> None:
        self._control &= WR9_VIS | WR9_NV
        for channel in self.channels:
            channel.reset(hard=True)
        self._update()

    def _pending(self) -> int:
        """RR3."""
        return self.channels[B].enabled() | self.channels[A].enabled() << 3

    def _modified(self) -> int:
        """RR2 of B: the vector with the most urgent interrupt in it (§5.3.3)."""
        found = VECTOR_NONE
        for side in (A, B):
            pending = self.channels[side].enabled()
            urgent = next((bit for bit in (RR3_RX, RR3_TX, RR3_EXTERNAL) if pending & bit), 0)
            if urgent:
                found = VECTORS[urgent] + (4 if side == A else 0)
                break
        if self._control & WR9_STATUS_HIGH:
            return self._vector & 0x8F | (found & 1) << 6 | (found & 2) << 4 | (found & 4) << 2
        return self._vector & 0xF1 | found << 1

    def _update(self) -> None:
        if not self._ready:
            return
        for channel, irq in zip(self.channels, self._irqs, strict=True):
            irq(bool(self._control & WR9_MIE and channel.enabled()))

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "vector": self._vector,
            "control": self._control,
            "mistakes": self.mistakes,
            "channels": [channel.state() for channel in self.channels],
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        channels = take(state, "channels", list)
        if len(channels) != len(self.channels):
            raise SnapshotError("snapshot: escc: two channels")
        self._vector = take_int(state, "vector", 0xFF)
        self._control = take_int(state, "control", 0x3F)
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        for channel, saved in zip(self.channels, channels, strict=True):
            channel.from_state(saved)
        self._update()
