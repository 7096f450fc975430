"""The Apple Desktop Bus: a keyboard and a mouse, and the commands that reach them.

Reference: Apple, "Guide to the Macintosh Family Hardware" (2nd ed., 1990), chapter 8; Apple technical note HW 01,
"ADB - The Untold Story" (addresses, handlers, collisions). Boards: mac, behind CUDA.

A command is an octet: device address (bits 7:4), command (3:2: 0 SendReset or Flush, 2 Listen, 3 Talk), register (1:0).

Emulated: SendReset, Flush, Listen and Talk; register 3 (address, handler, service request enable), with the moves of
addresses that bus scans make; the keyboard's registers 0 (two transitions) and 2 (modifiers, lights); the mouse's
register 0, and three buttons with handler 4 (extended mouse protocol, register 1).

Not emulated: the bus' bits and their times, collisions (no two devices have one address at the start).

| threat | stopped by |
|---|---|
| keys that nobody reads | `MOST_KEYS`; the rest is dropped, counted |
| movements that nobody reads | they add up within `FARTHEST` |
"""

from abc import abstractmethod
from collections import deque
from typing import Final

from emulators.device import State
from emulators.devices.input.keys import NAMES
from emulators.snapshot import SnapshotError, take, take_int

RESET_OR_FLUSH, LISTEN, TALK = 0, 2, 3
KEYBOARD, MOUSE = 2, 3
"""Default addresses (chapter 8, table 8-2)."""
R3_SERVICE: Final = 0x20
R3_EXCEPTIONAL: Final = 0x40
HANDLER_SET_ALL, HANDLER_SELF_TEST, HANDLER_MOVE, HANDLER_MOVE_IF_ACTIVE = 0x00, 0xFF, 0xFE, 0xFD
RELEASED: Final = 0x80
NO_KEY: Final = 0xFF
MOST_KEYS: Final = 64
FARTHEST: Final = 1 << 15
POWER_KEY: Final = 0x7F

CODES: Final[dict[str, int]] = {
    # figure 8-10, "Apple extended keyboard": in the order of the codes
    **dict(zip("asdfhgzxcv", range(0x0A), strict=True)),
    **dict(zip("bqweryt123465", range(0x0B, 0x18), strict=True)),
    **dict(zip("9780", (0x19, 0x1A, 0x1C, 0x1D), strict=True)),
    **dict(zip("ouiplkjnm", (0x1F, 0x20, 0x22, 0x23, 0x25, 0x28, 0x26, 0x2D, 0x2E), strict=True)),
    "less": 0x0A,
    "equal": 0x18,
    "minus": 0x1B,
    "right_bracket": 0x1E,
    "left_bracket": 0x21,
    "enter": 0x24,
    "apostrophe": 0x27,
    "semicolon": 0x29,
    "backslash": 0x2A,
    "comma": 0x2B,
    "slash": 0x2C,
    "dot": 0x2F,
    "tab": 0x30,
    "space": 0x31,
    "grave": 0x32,
    "backspace": 0x33,
    "escape": 0x35,
    "ctrl": 0x36,
    "super": 0x37,
    "shift": 0x38,
    "caps_lock": 0x39,
    "alt": 0x3A,
    "left": 0x3B,
    "right": 0x3C,
    "down": 0x3D,
    "up": 0x3E,
    "kp_dot": 0x41,
    "kp_multiply": 0x43,
    "kp_plus": 0x45,
    "num_lock": 0x47,
    "kp_divide": 0x4B,
    "kp_enter": 0x4C,
    "kp_minus": 0x4E,
    **{f"kp_{digit}": code for digit, code in zip("01234567", range(0x52, 0x5A), strict=True)},
    "kp_8": 0x5B,
    "kp_9": 0x5C,
    "f5": 0x60,
    "f6": 0x61,
    "f7": 0x62,
    "f3": 0x63,
    "f8": 0x64,
    "f9": 0x65,
    "f11": 0x67,
    "print_screen": 0x69,
    "scroll_lock": 0x6B,
    "f10": 0x6D,
    "menu": 0x6E,
    "f12": 0x6F,
    "pause": 0x71,
    "insert": 0x72,
    "home": 0x73,
    "page_up": 0x74,
    "delete": 0x75,
    "f4": 0x76,
    "end": 0x77,
    "f2": 0x78,
    "page_down": 0x79,
    "f1": 0x7A,
    "right_shift": 0x7B,
    "altgr": 0x7C,
    "right_ctrl": 0x7D,
    "right_super": 0x37,
}
MODIFIERS: Final = {0x75: 14, 0x39: 13, 0x7F: 12, 0x36: 11, 0x7D: 11, 0x38: 10, 0x7B: 10, 0x3A: 9, 0x7C: 9, 0x37: 8}
"""Bits of the keyboard's register 2 that are clear while a key is down (figure 8-12)."""
LIGHTS: Final = 0x07


class AdbDevice:
    """A device on the bus: an address, a handler, four registers.

    Args:
        address: where it answers after a reset.
        handler: its kind.
    """

    handlers: frozenset[int] = frozenset()
    """Those that it can become."""

    def __init__(self, address: int, handler: int) -> None:
        self.default = (address, handler)
        self.address, self.handler = self.default
        self.service = True

    def reset(self) -> None:
        """SendReset."""
        self.address, self.handler = self.default
        self.service = True
        self.flush()

    @abstractmethod
    def flush(self) -> None:
        """Forget what was not read."""

    @abstractmethod
    def talk(self, register: int) -> bytes:
        """What register 0 … 2 says; nothing: it has nothing to say."""

    @abstractmethod
    def listen(self, register: int, data: bytes) -> None:
        """Write register 0 … 2."""

    def command(self, code: int, data: bytes) -> bytes:
        """A command to this device; what it answers."""
        register = code & 3
        match code >> 2 & 3:
            case command if command == TALK:
                if register != 3:
                    return self.talk(register)
                return bytes((R3_EXCEPTIONAL | (R3_SERVICE if self.service else 0) | self.address, self.handler))
            case command if command == LISTEN:
                if register != 3:
                    self.listen(register, data)
                elif len(data) >= 2:
                    self._move(data[0], data[1])
            case _ if register == 1:
                self.flush()
        return b""

    def _move(self, first: int, handler: int) -> None:
        """Listen to register 3 (chapter 8, "register 3")."""
        match handler:
            case 0xFF:
                return  # self test: passed
            case 0xFE | 0xFD:
                self.address = first & 0xF
            case 0x00:
                self.address = first & 0xF
                self.service = bool(first & R3_SERVICE)
            case _ if handler in self.handlers:
                self.handler = handler

    def state(self) -> State:
        """What a device has; each adds its own."""
        return {"address": self.address, "handler": self.handler, "service": self.service}

    def from_state(self, state: State) -> None:
        """Take it back."""
        self.address = take_int(state, "address", 15)
        self.handler = take_int(state, "handler", 0xFF)
        self.service = take(state, "service", bool)


class AdbKeyboard(AdbDevice):
    """An extended keyboard."""

    handlers = frozenset({2, 3})

    def __init__(self) -> None:
        self.keys: deque[int] = deque()
        self.down: set[int] = set()
        self.lights = LIGHTS
        self.dropped_keys = 0
        super().__init__(KEYBOARD, 2)

    def press(self, name: str, down: bool) -> None:
        """A key, by its name in `emulators.devices.input.keys`."""
        code = CODES.get(name)
        if code is None or len(self.keys) >= MOST_KEYS:
            self.dropped_keys += 1
            return
        (self.down.add if down else self.down.discard)(code)
        self.keys.append(code | (0 if down else RELEASED))

    def ready(self) -> int:
        """How many events `press` would keep now."""
        return MOST_KEYS - len(self.keys)

    def flush(self) -> None:
        """As `AdbDevice.flush`."""
        self.keys.clear()

    def talk(self, register: int) -> bytes:
        """As `AdbDevice.talk`."""
        if register == 0 and self.keys:
            first = self.keys.popleft()
            if first & 0x7F == POWER_KEY:
                return bytes((first, first))
            return bytes((first, self.keys.popleft() if self.keys else NO_KEY))
        if register == 2:
            bits = 0xFFF8 | self.lights
            for code, bit in MODIFIERS.items():
                if code in self.down:
                    bits &= ~(1 << bit)
            return bits.to_bytes(2, "big")
        return b""

    def listen(self, register: int, data: bytes) -> None:
        """As `AdbDevice.listen`."""
        if register == 2 and len(data) >= 2:
            self.lights = data[1] & LIGHTS

    def state(self) -> State:
        """As `AdbDevice.state`."""
        mine = {"keys": list(self.keys), "down": sorted(self.down), "lights": self.lights}
        return super().state() | mine | {"dropped": self.dropped_keys}

    def from_state(self, state: State) -> None:
        """As `AdbDevice.from_state`."""
        super().from_state(state)
        keys, down = take(state, "keys", list), take(state, "down", list)
        if len(keys) > MOST_KEYS or any(type(key) is not int or not 0 <= key <= 0xFF for key in keys + down):
            raise SnapshotError("snapshot: keyboard: its keys")
        self.keys, self.down = deque(keys), set(down)
        self.lights = take_int(state, "lights", LIGHTS)
        self.dropped_keys = take_int(state, "dropped", 1 << 62)


class AdbMouse(AdbDevice):
    """A mouse: one button as handler 1 or 2, three as handler 4."""

    handlers = frozenset({1, 2, 4})
    IDENTITY: Final = b"vdem\x00\x64\x01\x03"
    """Register 1 of handler 4 (technical note HW 01): a name, counts per inch, a mouse, three buttons."""

    def __init__(self) -> None:
        self.buttons = 0
        self.moved = [0, 0]
        self.changed = False
        super().__init__(MOUSE, 1)

    def move(self, right: int, up: int, wheel: int = 0, buttons: int | None = None) -> None:
        """Moved by so many counts; these buttons are down (left, right, middle from bit 0 on). It has no wheel."""
        for axis, by in enumerate((right, -up)):
            self.moved[axis] = max(-FARTHEST, min(self.moved[axis] + by, FARTHEST))
        if buttons is not None:
            self.changed |= buttons & 7 != self.buttons
            self.buttons = buttons & 7

    def flush(self) -> None:
        """As `AdbDevice.flush`."""
        self.moved, self.changed = [0, 0], False

    def talk(self, register: int) -> bytes:
        """As `AdbDevice.talk`: octets of movement down and right, each with a button that is not pressed on top."""
        if register == 1 and self.handler == 4:
            return self.IDENTITY
        if register != 0 or not (self.changed or any(self.moved)):
            return b""
        steps = []
        for axis in (1, 0):
            step = max(-64, min(self.moved[axis], 63))
            self.moved[axis] -= step
            steps.append(step & 0x7F)
        self.changed = False
        left, right, middle = (not self.buttons >> bit & 1 for bit in range(3))
        report = bytes((left << 7 | steps[0], (right if self.handler != 1 else 1) << 7 | steps[1]))
        if self.handler != 4:
            return report
        signs = (steps[0] >> 6 & 1) * 0x70, (steps[1] >> 6 & 1) * 0x07
        return report + bytes((middle << 7 | signs[0] | 0x08 | signs[1],))

    def listen(self, register: int, data: bytes) -> None:
        """As `AdbDevice.listen`: nothing can be written."""

    def state(self) -> State:
        """As `AdbDevice.state`."""
        return super().state() | {"buttons": self.buttons, "moved": list(self.moved), "changed": self.changed}

    def from_state(self, state: State) -> None:
        """As `AdbDevice.from_state`."""
        super().from_state(state)
        moved = take(state, "moved", list)
        if len(moved) != 2 or any(type(by) is not int or abs(by) > FARTHEST for by in moved):
            raise SnapshotError("snapshot: mouse: its movement")
        self.moved = list(moved)
        self.buttons = take_int(state, "buttons", 7)
        self.changed = take(state, "changed", bool)


class AdbBus:
    """The bus: devices, and the controller's end."""

    def __init__(self, devices: tuple[AdbDevice, ...]) -> None:
        self.devices = devices
        self._last = 0

    def command(self, code: int, data: bytes = b"") -> bytes | None:
        """A command; what was answered, or None: nobody is at that address (or has something to say)."""
        if code & 0xF == 0:
            for device in self.devices:
                device.reset()
            return b""
        answers = [device.command(code, data) for device in self.devices if device.address == code >> 4]
        if not answers:
            return None
        answer = next((one for one in answers if one), b"")
        return answer if answer or code >> 2 & 3 != TALK else None

    def poll(self, addresses: int = 0xFFFF) -> tuple[int, bytes] | None:
        """What autopolling finds: the command, and what a device answered. Devices take turns."""
        count = len(self.devices)
        for turn in range(count):
            index = (self._last + turn) % count
            device = self.devices[index]
            if not addresses >> device.address & 1:
                continue
            answer = device.talk(0)
            if answer:
                self._last = index
                return device.address << 4 | TALK << 2, answer
        return None

    def state(self) -> State:
        """All of it."""
        return {"devices": [device.state() for device in self.devices], "last": self._last}

    def from_state(self, state: State) -> None:
        """Take it back."""
        saved = take(state, "devices", list)
        if len(saved) != len(self.devices):
            raise SnapshotError("snapshot: other devices on the desktop bus")
        self._last = take_int(state, "last", len(self.devices) - 1)
        for device, one in zip(self.devices, saved, strict=True):
            device.from_state(one)


assert set(CODES) <= NAMES
