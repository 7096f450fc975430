"""The PC's keyboard controller (8042), with a keyboard that answers and no mouse.

Reference: IBM PS/2 Hardware Interface Technical Reference (1991), "Keyboard/Auxiliary Device Controller"; the
keyboard's commands: "Keyboard (101- and 102-key)".
Boards: malta; made for the PC as well.

Registers, as offsets that the board maps: 0 data (port 0x60), 4 status and command (port 0x64).

Emulated: controller commands 20, 60 (command byte and RAM), A7–A9, AA, AB, AD, AE, C0, D0–D4, F0–FF; a keyboard that
resets, identifies itself, acknowledges its commands and sends what `press` gives it (set 1 after translation);
interrupts 1 and 12; A20 and reset as callables.

Not emulated: an auxiliary device (its loopback D3 answers as a controller without that port does, its test A9 fails),
the keyboard's own timing, passwords, the keyboard's scan sets 2 and 3 without translation.

| threat | stopped by |
|---|---|
| an answer for every octet that a guest writes, for ever | the queue has `QUEUE_OCTETS`; the rest is counted only |
"""

from collections import deque
from collections.abc import Callable

from emulators.device import Irq, State
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.snapshot import SnapshotError, take, take_int, take_version

DATA, STATUS = 0, 4

STATUS_OBF = 0x01
STATUS_SYSTEM = 0x04
STATUS_COMMAND = 0x08
STATUS_UNLOCKED = 0x10
STATUS_AUX = 0x20

COMMAND_IRQ1, COMMAND_IRQ12, COMMAND_SYSTEM = 0x01, 0x02, 0x04
COMMAND_NO_KEYBOARD, COMMAND_NO_AUX, COMMAND_TRANSLATE = 0x10, 0x20, 0x40
COMMAND_AT_START = COMMAND_TRANSLATE | COMMAND_SYSTEM | COMMAND_NO_AUX | COMMAND_IRQ1

OUTPUT_NO_RESET, OUTPUT_A20 = 0x01, 0x02
OUTPUT_WRITABLE = 0x0F
INPUT_PORT = 0x80  # keyboard not locked
SELF_TEST_OK = 0x55
TEST_OK = 0x00
TEST_NO_AUX = 0x02  # "clock line stuck high"
ACK, RESEND, KEYBOARD_OK = 0xFA, 0xFE, 0xAA
KEYBOARD_ID = b"\xab\x41"  # MF2, as a translating controller shows it
QUEUE_OCTETS = 256


class I8042(EightBit):
    """The controller and its keyboard.

    Args:
        irq: interrupt of the keyboard (IRQ 1).
        reset: the guest pulls the processor's reset line.
        a20: the guest switches address line 20.
    """

    timed = False

    def __init__(
        self, *, irq: Irq, reset: Callable[[], None] | None = None, a20: Callable[[bool], None] | None = None
    ) -> None:
        self._irq = irq
        self._reset = reset
        self._a20 = a20
        self._queue: deque[int] = deque()
        self._command_byte = COMMAND_AT_START
        self._output_port = OUTPUT_NO_RESET | OUTPUT_A20
        self._expects = 0  # the controller command whose octet comes next
        self._keyboard_expects = 0
        self._scanning = True
        self._last_was_command = False
        self._last = 0
        self.mistakes = 0

    def press(self, codes: bytes) -> None:
        """Scan codes of set 1 come from the keyboard."""
        if self._scanning:
            self._answer(codes)

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        if offset == DATA:
            if self._queue:
                self._last = self._queue.popleft()
                self._irq(False)
                self._drive()
            return self._last
        if offset == STATUS:
            return (
                (STATUS_OBF if self._queue else 0)
                | (self._command_byte & STATUS_SYSTEM)
                | (STATUS_COMMAND if self._last_was_command else 0)
                | STATUS_UNLOCKED
            )
        self.mistakes += 1
        return ALL_ONES

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset == DATA:
            self._last_was_command = False
            self._data(value)
        elif offset == STATUS:
            self._last_was_command = True
            self._command(value)
        else:
            self.mistakes += 1

    def _answer(self, octets: bytes) -> None:
        room = QUEUE_OCTETS - len(self._queue)
        self.mistakes += max(0, len(octets) - room)
        self._queue.extend(octets[:room])
        self._drive()

    def _drive(self) -> None:
        self._irq(bool(self._queue and self._command_byte & COMMAND_IRQ1))

    def _command(self, value: int) -> None:
        """An octet for the controller."""
        self._expects = 0
        match value:
            case 0x20:
                self._answer(bytes((self._command_byte,)))
            case 0x60 | 0xD1 | 0xD2 | 0xD3 | 0xD4:
                self._expects = value
            case 0xA7:
                self._command_byte |= COMMAND_NO_AUX
            case 0xA8:
                self._command_byte &= ~COMMAND_NO_AUX
            case 0xA9:
                self._answer(bytes((TEST_NO_AUX,)))
            case 0xAA:
                self._queue.clear()
                self._command_byte |= COMMAND_SYSTEM
                self._answer(bytes((SELF_TEST_OK,)))
            case 0xAB:
                self._answer(bytes((TEST_OK,)))
            case 0xAD:
                self._command_byte |= COMMAND_NO_KEYBOARD
            case 0xAE:
                self._command_byte &= ~COMMAND_NO_KEYBOARD
            case 0xC0:
                self._answer(bytes((INPUT_PORT,)))
            case 0xD0:
                self._answer(bytes((self._output_port | (0x10 if self._queue else 0),)))
            case _ if value >= 0xF0:
                if not value & 1 and self._reset is not None:
                    self._reset()
            case _:
                self.mistakes += 1

    def _data(self, value: int) -> None:
        """An octet for the last command's argument, or for the keyboard."""
        expects, self._expects = self._expects, 0
        match expects:
            case 0x60:
                self._command_byte = value
                self._drive()
            case 0xD1:
                self._set_output_port(value)
            case 0xD2 | 0xD3:
                self._answer(bytes((value,)))
            case 0xD4:
                self.mistakes += 1  # nobody is there
            case _:
                self._keyboard(value)

    def _set_output_port(self, value: int) -> None:
        changed = (value ^ self._output_port) & OUTPUT_A20
        self._output_port = value & OUTPUT_WRITABLE
        if changed and self._a20 is not None:
            self._a20(bool(value & OUTPUT_A20))
        if not value & OUTPUT_NO_RESET and self._reset is not None:
            self._reset()

    def _keyboard(self, value: int) -> None:
        self._command_byte &= ~COMMAND_NO_KEYBOARD  # an octet for it enables it
        if self._keyboard_expects:
            expected, self._keyboard_expects = self._keyboard_expects, 0
            self._answer(bytes((ACK, 0x02) if expected == 0xF0 and value == 0 else (ACK,)))
            return
        match value:
            case 0xED | 0xF0 | 0xF3:
                self._keyboard_expects = value
                self._answer(bytes((ACK,)))
            case 0xEE:
                self._answer(b"\xee")
            case 0xF2:
                self._answer(bytes((ACK, *KEYBOARD_ID)))
            case 0xF4:
                self._scanning = True
                self._answer(bytes((ACK,)))
            case 0xF5 | 0xF6:
                self._scanning = value == 0xF6
                self._answer(bytes((ACK,)))
            case 0xFE:
                self._answer(bytes((self._last,)))
            case 0xFF:
                self._scanning = True
                self._answer(bytes((ACK, KEYBOARD_OK)))
            case _ if value >= 0xF7:
                self._answer(bytes((ACK,)))
            case _:
                self._answer(bytes((RESEND,)))

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    OCTETS = ("_command_byte", "_output_port", "_expects", "_keyboard_expects", "_last")

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "queue": bytes(self._queue),
            "scanning": self._scanning,
            "last_was_command": self._last_was_command,
            **{name[1:]: getattr(self, name) for name in self.OCTETS},
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        queue = take(state, "queue", bytes)
        if len(queue) > QUEUE_OCTETS:
            raise SnapshotError("snapshot: queue: too long")
        self._queue = deque(queue)
        self._scanning = take(state, "scanning", bool)
        self._last_was_command = take(state, "last_was_command", bool)
        for name in self.OCTETS:
            setattr(self, name, take_int(state, name[1:], 0xFF))
