"""National PC16550D UART, with its FIFOs.

Datasheet: National Semiconductor PC16550D (TL/C/8652, 1995), tables and sections as cited.
Boards: malta (two of the super I/O, one on the CBUS); made for the PC as well.

Registers (table I): 0 RBR/THR/DLL, 1 IER/DLM, 2 IIR/FCR, 3 LCR, 4 MCR, 5 LSR, 6 MSR, 7 SCR.

Emulated: both FIFOs with trigger levels, all five interrupts with their priorities and ways of clearing, loopback,
line and modem status with deltas, break from outside, divisor latch. At the other end of the line sits something that
is always there: CTS, DSR and DCD are asserted.

Not emulated: parity and framing errors (the line has none), DMA signals, a break from the guest, the wait of four
character times before the timeout interrupt (it comes at once) unless the line is paced.

Theory: octets from outside wait in a queue of their own, as if flow control held them back, and enter the receive FIFO
as it has room: no overrun. Without `paced` a character takes no time in either direction. With it, one takes as long
as the divisor and the line control say.

| threat | stopped by |
|---|---|
| a script that types faster than the guest reads | the queue has `QUEUE_OCTETS`; the rest is dropped and counted |
| a divisor of 0 (time stands still, division by zero) | taken as 65536 |
"""

from collections import deque
from collections.abc import Callable

from emulators.device import Irq, State, Timeline
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.snapshot import SnapshotError, take, take_int, take_version

RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR = range(8)
THR, FCR = 0, 2
DLL, DLM = 0, 1

IER_ERBFI, IER_ETBEI, IER_ELSI, IER_EDSSI = 0x01, 0x02, 0x04, 0x08
IIR_NONE = 0x01  # table IV
IIR_MODEM, IIR_THRE, IIR_DATA, IIR_LINE, IIR_TIMEOUT = 0x00, 0x02, 0x04, 0x06, 0x0C
IIR_FIFOS = 0xC0
FCR_ENABLE, FCR_CLEAR_RX, FCR_CLEAR_TX = 0x01, 0x02, 0x04
FCR_TRIGGER = (1, 4, 8, 14)  # §8.4, bits 6 and 7
LCR_LENGTH, LCR_STOP, LCR_PARITY, LCR_BREAK, LCR_DLAB = 0x03, 0x04, 0x08, 0x40, 0x80
MCR_DTR, MCR_RTS, MCR_OUT1, MCR_OUT2, MCR_LOOP = 0x01, 0x02, 0x04, 0x08, 0x10
MCR_WRITABLE = 0x1F
LSR_DR, LSR_OE, LSR_PE, LSR_FE, LSR_BI = 0x01, 0x02, 0x04, 0x08, 0x10
LSR_THRE, LSR_TEMT, LSR_FIFO_ERROR = 0x20, 0x40, 0x80
MSR_DCTS, MSR_DDSR, MSR_TERI, MSR_DDCD = 0x01, 0x02, 0x04, 0x08
MSR_CTS, MSR_DSR, MSR_RI, MSR_DCD = 0x10, 0x20, 0x40, 0x80

FIFO_OCTETS = 16
QUEUE_OCTETS = 65_536
"""Octets from outside that wait. Chosen."""
NS_PER_S = 1_000_000_000
ALWAYS = MSR_CTS | MSR_DSR | MSR_DCD
BREAK = 0x100
"""Marks a character in the FIFO that was a break."""


class Uart16550(EightBit):
    """One UART.

    Args:
        irq: its interrupt line.
        out: takes the octets that the guest sends.
        timeline: the machine's time.
        clock_hz: of the crystal; the PC's.
        gated: OUT2 must be set for interrupts, as on PCs.
        paced: a character takes its time.
    """

    def __init__(
        self,
        *,
        irq: Irq,
        out: Callable[[bytes], None],
        timeline: Timeline,
        clock_hz: int = 1_843_200,
        gated: bool = False,
        paced: bool = False,
    ) -> None:
        self._irq = irq
        self._out = out
        self._timeline = timeline
        self._clock_hz = clock_hz
        self._gated = gated
        self._paced = paced
        self.timed = paced
        self._waiting: deque[int] = deque()
        self._received: deque[int] = deque()
        self._sending: deque[int] = deque()
        self._ier = self._lcr = self._mcr = self._scr = 0
        self._fcr = 0
        self._divisor = 0
        self._lsr_errors = 0
        self._modem_deltas = 0
        self._thre_pending = False
        self._sent_ns: int | None = None  # when the character in the transmitter is out
        self._arrives_ns: int | None = None  # when the next one of the queue is in
        self._idle_ns: int | None = None  # when the timeout interrupt is due
        self._timed_out = False
        self.dropped_octets = 0
        self.mistakes = 0

    # -- the outside

    def receive(self, octets: bytes) -> None:
        """Octets come in on the line."""
        room = QUEUE_OCTETS - len(self._waiting)
        self.dropped_octets += max(0, len(octets) - room)
        self._waiting.extend(octets[:room])
        self._refill()
        self._drive()

    def receive_break(self) -> None:
        """The line goes to break for a character's time."""
        if len(self._waiting) < QUEUE_OCTETS:
            self._waiting.append(BREAK)
        self._refill()
        self._drive()

    def ready_octets(self) -> int:
        """How many octets `receive` would keep now."""
        return QUEUE_OCTETS - len(self._waiting)

    # -- the guest

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        match offset:
            case 0 | 1 if self._lcr & LCR_DLAB:
                return self._divisor >> 8 * offset & 0xFF
            case 0:
                return self._read_rbr()
            case 1:
                return self._ier
            case 2:
                return self._read_iir()
            case 3:
                return self._lcr
            case 4:
                return self._mcr
            case 5:
                return self._read_lsr()
            case 6:
                value = self._modem_lines() | self._modem_deltas
                self._modem_deltas = 0
                self._drive()
                return value
            case 7:
                return self._scr
        self.mistakes += 1
        return ALL_ONES

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        match offset:
            case 0 | 1 if self._lcr & LCR_DLAB:
                shift = 8 * offset
                self._divisor = self._divisor & ~(0xFF << shift) | value << shift
            case 0:
                self._write_thr(value)
            case 1:
                if value & ~self._ier & IER_ETBEI and not self._sending:
                    self._thre_pending = True
                self._ier = value & 0x0F
                self._drive()
            case 2:
                self._write_fcr(value)
            case 3:
                self._lcr = value
            case 4:
                self._write_mcr(value)
            case 7:
                self._scr = value
            case _:
                self.mistakes += 1  # LSR and MSR are for reading only (§8.3)

    def _read_rbr(self) -> int:
        value = 0
        if self._received:
            value = self._received.popleft() & 0xFF
            self._timed_out = False
            self._note_break()
        self._refill()
        self._drive()
        return value

    def _read_lsr(self) -> int:
        value = self._lsr_errors
        if self._received:
            value |= LSR_DR
        if not self._sending:
            value |= LSR_THRE | LSR_TEMT
        elif not self._fifos() and len(self._sending) < 2:
            value |= LSR_THRE
        if self._fifos() and any(one & BREAK for one in self._received):
            value |= LSR_FIFO_ERROR
        self._lsr_errors = 0
        self._drive()
        return value

    def _read_iir(self) -> int:
        cause = self._cause()
        if cause == IIR_THRE:
            self._thre_pending = False
            self._drive()
        return cause | (IIR_FIFOS if self._fifos() else 0)

    def _write_thr(self, value: int) -> None:
        self._thre_pending = False
        if self._mcr & MCR_LOOP:
            self._waiting.appendleft(value)
            self._refill()
            self._thre_pending = True
        elif not self._paced:
            self._out(bytes((value,)))
            self._thre_pending = True
        elif len(self._sending) < (FIFO_OCTETS if self._fifos() else 2):
            self._sending.append(value)
            if self._sent_ns is None:
                self._sent_ns = self._timeline.now_ns + self._character_ns()
        else:
            self.mistakes += 1  # §8.4: written to a full FIFO
        self._drive()

    def _write_fcr(self, value: int) -> None:
        if (value ^ self._fcr) & FCR_ENABLE:
            value |= FCR_CLEAR_RX | FCR_CLEAR_TX  # §8.4: changing the mode clears both
        if value & FCR_CLEAR_RX:
            self._received.clear()
            self._timed_out = False
            self._idle_ns = None
        if value & FCR_CLEAR_TX and self._sending:
            self._sending.clear()
            self._sent_ns = None
            self._thre_pending = True
        self._fcr = value & 0xC9
        self._refill()
        self._drive()

    def _write_mcr(self, value: int) -> None:
        before = self._modem_lines()
        self._mcr = value & MCR_WRITABLE
        after = self._modem_lines()
        changed = before ^ after
        self._modem_deltas |= (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4
        if changed & before & MSR_RI:  # §8.8: the trailing edge
            self._modem_deltas |= MSR_TERI
        self._drive()

    def _modem_lines(self) -> int:
        if not self._mcr & MCR_LOOP:
            return ALWAYS
        return (
            (MSR_DSR if self._mcr & MCR_DTR else 0)
            | (MSR_CTS if self._mcr & MCR_RTS else 0)
            | (MSR_RI if self._mcr & MCR_OUT1 else 0)
            | (MSR_DCD if self._mcr & MCR_OUT2 else 0)
        )

    # -- inside

    def _fifos(self) -> bool:
        return bool(self._fcr & FCR_ENABLE)

    def _character_ns(self) -> int:
        """Start, data, parity and stop bits at 16 × divisor clocks each."""
        length = 5 + (self._lcr & LCR_LENGTH)
        bits = 1 + length + bool(self._lcr & LCR_PARITY) + 1 + bool(self._lcr & LCR_STOP)
        return bits * 16 * (self._divisor or 0x10000) * NS_PER_S // self._clock_hz

    def _refill(self) -> None:
        """Let the queue's octets into the receive FIFO."""
        room = FIFO_OCTETS if self._fifos() else 1
        if self._paced and not self._mcr & MCR_LOOP:
            if self._waiting and self._arrives_ns is None and len(self._received) < room:
                self._arrives_ns = self._timeline.now_ns + self._character_ns()
            return
        while self._waiting and len(self._received) < room:
            self._arrive()

    def _arrive(self) -> None:
        self._received.append(self._waiting.popleft())
        if len(self._received) == 1:
            self._note_break()
        if not self._paced:
            self._timed_out = True
        else:
            self._idle_ns = self._timeline.now_ns + 4 * self._character_ns()

    def _note_break(self) -> None:
        """The status of a character is that of the one on top of the FIFO (§8.4)."""
        if self._received and self._received[0] & BREAK:
            self._lsr_errors |= LSR_BI

    def _cause(self) -> int:
        """The interrupt of the highest priority, table IV."""
        if self._ier & IER_ELSI and self._lsr_errors:
            return IIR_LINE
        if self._ier & IER_ERBFI and self._received:
            trigger = FCR_TRIGGER[self._fcr >> 6] if self._fifos() else 1
            if len(self._received) >= trigger:
                return IIR_DATA
            if self._timed_out:
                return IIR_TIMEOUT
        if self._ier & IER_ETBEI and self._thre_pending:
            return IIR_THRE
        if self._ier & IER_EDSSI and self._modem_deltas:
            return IIR_MODEM
        return IIR_NONE

    def _drive(self) -> None:
        self._irq(self._cause() != IIR_NONE and (not self._gated or bool(self._mcr & MCR_OUT2)))

    # -- the machine

    def next_deadline(self) -> int | None:
        """The next character's end, in either direction, or the timeout interrupt."""
        return min((at for at in (self._sent_ns, self._arrives_ns, self._idle_ns) if at is not None), default=None)

    def handle_timer(self, now_ns: int) -> None:
        """As `Device.handle_timer`."""
        if self._sent_ns is not None and self._sent_ns <= now_ns:
            self._sent_ns = None
            if self._sending:
                self._out(bytes((self._sending.popleft(),)))
            if self._sending:
                self._sent_ns = now_ns + self._character_ns()
            else:
                self._thre_pending = True
        if self._arrives_ns is not None and self._arrives_ns <= now_ns:
            self._arrives_ns = None
            if self._waiting and len(self._received) < (FIFO_OCTETS if self._fifos() else 1):
                self._arrive()
            self._refill()
        if self._idle_ns is not None and self._idle_ns <= now_ns:
            self._idle_ns = None
            self._timed_out = bool(self._received)
        self._drive()

    OCTETS = ("_ier", "_lcr", "_mcr", "_scr", "_fcr", "_lsr_errors", "_modem_deltas")
    TIMES = ("_sent_ns", "_arrives_ns", "_idle_ns")

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "divisor": self._divisor,
            "waiting": list(self._waiting),
            "received": list(self._received),
            "sending": list(self._sending),
            "thre_pending": self._thre_pending,
            "timed_out": self._timed_out,
            **{name[1:]: getattr(self, name) for name in (*self.OCTETS, *self.TIMES)},
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self._divisor = take_int(state, "divisor", 0xFFFF)
        for name in self.OCTETS:
            setattr(self, name, take_int(state, name[1:], 0xFF))
        for name in self.TIMES:
            setattr(self, name, None if state.get(name[1:]) is None else take_int(state, name[1:], 1 << 64))
        self._thre_pending = take(state, "thre_pending", bool)
        self._timed_out = take(state, "timed_out", bool)
        for name, limit in (("waiting", QUEUE_OCTETS), ("received", FIFO_OCTETS), ("sending", FIFO_OCTETS)):
            characters = take(state, name, list)
            if len(characters) > limit or not all(type(one) is int and 0 <= one <= BREAK for one in characters):
                raise SnapshotError(f"snapshot: {name}: not characters of this line")
            setattr(self, f"_{name}", deque(characters))
