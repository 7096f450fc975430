"""The PC's keyboard controller (8042), with a keyboard, and a mouse at its auxiliary port.

Reference: IBM PS/2 Hardware Interface Technical Reference (1991), "Keyboard/Auxiliary Device Controller".
Boards: malta (without the auxiliary port), pc.

Registers, as offsets that the board maps: 0 data (port 0x60), 4 status and command (port 0x64).

Emulated: controller commands 20–3F and 60–7F (command byte and RAM), A4 (no password), A7–A9, AA, AB, AD, AE, C0,
D0–D4, DD and DF (A20), E0, F0–FF; translation of set 2; interrupts 1 and 12; A20 and reset as callables. The devices
are `ps2_keyboard` and `ps2_mouse`.

Not emulated: the input buffer's fullness (an octet is taken at once), parity and timeouts, passwords.

**Theory.** The output buffer holds one octet. The controller's own answers come into it at once; an octet of a device
takes `OCTET_NS`, the time of its eleven bits on the cable, counted from when the buffer was free and the port
enabled. While the buffer is full, or a port is disabled, its device keeps what it has.

| threat | stopped by |
|---|---|
| an answer for every octet that a guest writes, for ever | the queues are bounded; the rest is counted only |
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State, Timeline
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.devices.input.keys import RELEASED_1, RELEASED_2, TRANSLATION
from emulators.devices.input.ps2_keyboard import Ps2Keyboard
from emulators.devices.input.ps2_mouse import Ps2Mouse
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
OUTPUT_IRQ1, OUTPUT_IRQ12 = 0x10, 0x20
INPUT_PORT = 0x80  # keyboard not locked
SELF_TEST_OK = 0x55
TEST_OK = 0x00
TEST_NO_AUX = 0x02  # "clock line stuck high"
NO_PASSWORD = 0xF1
RAM_OCTETS = 32
ANSWERS: Final = 16
OCTET_NS: Final = 700_000
"""Eleven bits at 16 kHz, the fastest clock of a keyboard."""

KEYBOARD, AUX = 0, 1


class I8042(EightBit):
    """The controller and what is plugged into it.

    Args:
        irq: interrupt of the keyboard (IRQ 1).
        timeline: the machine's time.
        mouse_irq: interrupt of the auxiliary port (IRQ 12); without it there is no such port.
        reset: the guest pulls the processor's reset line.
        a20: the guest switches address line 20.
    """

    def __init__(
        self,
        *,
        irq: Irq,
        timeline: Timeline,
        mouse_irq: Irq | None = None,
        reset: Callable[[], None] | None = None,
        a20: Callable[[bool], None] | None = None,
    ) -> None:
        self._irq = irq
        self._mouse_irq = mouse_irq
        self._timeline = timeline
        self._reset = reset
        self._a20 = a20
        self.keyboard = Ps2Keyboard()
        self.mouse = Ps2Mouse() if mouse_irq is not None else None
        self._answers: deque[tuple[int, int]] = deque()  # octet, and whose it seems to be
        self._ram = bytearray(RAM_OCTETS)
        self._ram[0] = COMMAND_AT_START
        self._output_port = OUTPUT_NO_RESET | OUTPUT_A20
        self._full = False
        self._source = KEYBOARD
        self._data_octet = 0
        self._released = False  # the translation has seen F0
        self._due_ns: int | None = None
        self._expects = 0  # the controller command whose octet comes next
        self._last_was_command = False
        self._mistakes = 0

    @property
    def mistakes(self) -> int:
        """Of the guest, with those that the devices counted."""
        return self._mistakes + self.keyboard.mistakes + (self.mouse.mistakes if self.mouse else 0)

    def press(self, name: str, down: bool) -> None:
        """A key goes down or up. Raises KeyError: there is no such key."""
        self.keyboard.press(name, down=down)
        self._arm()

    def move(self, right: int, up: int, wheel: int, buttons: int) -> None:
        """The mouse was moved."""
        if self.mouse is not None:
            self.mouse.move(right, up, wheel, buttons)
            self._arm()

    # -- the guest's side

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        if offset == DATA:
            if self._full:
                self._full = False
                self._drive()
                self._fill()
            return self._data_octet
        if offset == STATUS:
            return (
                (STATUS_OBF if self._full else 0)
                | (self._ram[0] & STATUS_SYSTEM)
                | (STATUS_COMMAND if self._last_was_command else 0)
                | STATUS_UNLOCKED
                | (STATUS_AUX if self._full and self._source == AUX else 0)
            )
        self._mistakes += 1
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
            self._mistakes += 1
            return
        self._arm()

    # -- the output buffer

    def _answer(self, octet: int, source: int = KEYBOARD) -> None:
        if len(self._answers) >= ANSWERS:
            self._mistakes += 1
            return
        self._answers.append((octet, source))
        if not self._full:
            self._fill()

    def _fill(self) -> None:
        """The buffer is free: an answer of the controller's, or time for a device's octet begins."""
        if self._answers:
            self._put(*self._answers.popleft())
        else:
            self._due_ns = None
            self._arm()

    def _put(self, octet: int, source: int) -> None:
        self._data_octet, self._source, self._full = octet, source, True
        self._due_ns = None
        self._drive()

    def _drive(self) -> None:
        self._irq(bool(self._full and self._source == KEYBOARD and self._ram[0] & COMMAND_IRQ1))
        if self._mouse_irq is not None:
            self._mouse_irq(bool(self._full and self._source == AUX and self._ram[0] & COMMAND_IRQ12))

    def _sender(self) -> Ps2Keyboard | Ps2Mouse | None:
        """The device whose octet is next."""
        if not self._ram[0] & COMMAND_NO_KEYBOARD and self.keyboard.has_octet():
            return self.keyboard
        if self.mouse is not None and not self._ram[0] & COMMAND_NO_AUX and self.mouse.has_octet():
            return self.mouse
        return None

    def _arm(self) -> None:
        if self._full or self._sender() is None:
            self._due_ns = None
        elif self._due_ns is None:
            self._due_ns = self._timeline.now_ns + OCTET_NS

    def next_deadline(self) -> int | None:
        """When an octet has come over the cable."""
        return self._due_ns

    def handle_timer(self, now_ns: int) -> None:
        """It has."""
        if self._due_ns is None or now_ns < self._due_ns:
            return
        self._due_ns = None
        sender = self._sender()
        if sender is None or self._full:
            return
        octet = sender.take()
        if sender is self.mouse:
            self._put(octet, AUX)
        elif not self._ram[0] & COMMAND_TRANSLATE:
            self._put(octet, KEYBOARD)
        elif octet == RELEASED_2:
            self._released = True
            self._arm()
        else:
            code = TRANSLATION[octet] | (RELEASED_1 if self._released else 0)
            self._released = False
            self._put(code, KEYBOARD)

    # -- commands

    def _command(self, value: int) -> None:
        """An octet for the controller."""
        self._expects = 0
        match value:
            case _ if 0x20 <= value < 0x40:
                self._answer(self._ram[value - 0x20])
            case _ if 0x60 <= value < 0x80:
                self._expects = value
            case 0xD1 | 0xD2 | 0xD3 | 0xD4:
                self._expects = value
            case 0xA4:
                self._answer(NO_PASSWORD)
            case 0xA7:
                self._ram[0] |= COMMAND_NO_AUX
            case 0xA8:
                self._ram[0] &= ~COMMAND_NO_AUX & 0xFF
            case 0xA9:
                self._answer(TEST_OK if self.mouse is not None else TEST_NO_AUX)
            case 0xAA:
                self._answers.clear()
                self._full = False
                self._ram[0] |= COMMAND_SYSTEM
                self._answer(SELF_TEST_OK)
            case 0xAB:
                self._answer(TEST_OK)
            case 0xAD:
                self._ram[0] |= COMMAND_NO_KEYBOARD
            case 0xAE:
                self._ram[0] &= ~COMMAND_NO_KEYBOARD & 0xFF
            case 0xC0:
                self._answer(INPUT_PORT)
            case 0xD0:
                pending = 0 if not self._full else OUTPUT_IRQ12 if self._source == AUX else OUTPUT_IRQ1
                self._answer(self._output_port | pending)
            case 0xDD | 0xDF:
                self._set_output_port(self._output_port & ~OUTPUT_A20 | (OUTPUT_A20 if value == 0xDF else 0))
            case 0xE0:
                self._answer(0)
            case _ if value >= 0xF0:
                if not value & 1 and self._reset is not None:
                    self._reset()
            case _:
                self._mistakes += 1

    def _data(self, value: int) -> None:
        """An octet for the last command's argument, or for the keyboard."""
        expects, self._expects = self._expects, 0
        match expects:
            case 0:
                self._ram[0] &= ~COMMAND_NO_KEYBOARD & 0xFF  # an octet for it enables it
                self.keyboard.write(value)
            case 0xD1:
                self._set_output_port(value)
            case 0xD2:
                self._answer(value)
            case 0xD3:
                self._answer(value, AUX if self.mouse is not None else KEYBOARD)
            case 0xD4 if self.mouse is not None:
                self._ram[0] &= ~COMMAND_NO_AUX & 0xFF
                self.mouse.write(value)
            case 0xD4:
                self._mistakes += 1  # nobody is there
            case _:
                self._ram[expects - 0x60] = value
                if expects == 0x60:
                    self._drive()

    def _set_output_port(self, value: int) -> None:
        changed = (value ^ self._output_port) & OUTPUT_A20
        self._output_port = value & OUTPUT_WRITABLE
        if changed and self._a20 is not None:
            self._a20(bool(value & OUTPUT_A20))
        if not value & OUTPUT_NO_RESET and self._reset is not None:
            self._reset()

    # -- state

    OCTETS = ("_output_port", "_expects", "_data_octet", "_source")
    FLAGS = ("_full", "_released", "_last_was_command")

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 2,
            "answers": [octet | source << 8 for octet, source in self._answers],
            "ram": bytes(self._ram),
            "due_ns": self._due_ns,
            **{name[1:]: getattr(self, name) for name in (*self.OCTETS, *self.FLAGS)},
            "keyboard": self.keyboard.saved(),
            "mouse": self.mouse.saved() if self.mouse is not None else None,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 2)
        answers, ram = take(state, "answers", list), take(state, "ram", bytes)
        fits = [type(answer) is int and 0 <= answer < 0x200 for answer in answers]
        if len(fits) > ANSWERS or not all(fits) or len(ram) != RAM_OCTETS:
            raise SnapshotError("snapshot: i8042")
        if (state.get("mouse") is None) != (self.mouse is None):
            raise SnapshotError("snapshot: i8042: with another auxiliary port")
        due_ns = None if state.get("due_ns") is None else take_int(state, "due_ns", 1 << 63)
        for name in self.OCTETS:
            setattr(self, name, take_int(state, name[1:], 1 if name == "_source" else 0xFF))
        for name in self.FLAGS:
            setattr(self, name, take(state, name[1:], bool))
        if self._expects and self._expects not in (*range(0x60, 0x80), 0xD1, 0xD2, 0xD3, 0xD4):
            raise SnapshotError("snapshot: i8042: a command that takes no octet")
        self._answers = deque((answer & 0xFF, answer >> 8) for answer in answers)
        self._ram[:] = ram
        self._due_ns = due_ns
        self.keyboard.restore(take(state, "keyboard", dict))
        if self.mouse is not None:
            self.mouse.restore(take(state, "mouse", dict))
        self._drive()
