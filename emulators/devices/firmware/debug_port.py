"""Ports that firmware writes messages to: the debugging consoles of Bochs (0xE9) and QEMU (0x402), and port 0x80.

Specification: Bochs user manual, "port_e9_hack"; SeaBIOS, "debugging"; IBM AT technical reference, "POST codes".
Boards: pc.

Registers: one each. A read of a debugging console answers 0xE9, by which programs know that there is one; port 0x80
keeps the last code. Not emulated: nothing else is there.
"""

from collections.abc import Callable
from typing import Final

from emulators.device import State
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.snapshot import take_int, take_version

PRESENT: Final = 0xE9


class DebugPort(EightBit):
    """A console that can be written only. `out` takes each octet."""

    timed = False

    def __init__(self, *, out: Callable[[bytes], None]) -> None:
        self._out = out

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        return ALL_ONES if offset else PRESENT

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if not offset:
            self._out(bytes((value,)))

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """Nothing."""
        return {"version": 1}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)


class PostCode(EightBit):
    """Port 0x80: programs write to it to pass a microsecond as well."""

    timed = False

    def __init__(self) -> None:
        self.code = 0

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        return ALL_ONES if offset else self.code

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if not offset:
            self.code = value

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "code": self.code}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self.code = take_int(state, "code", 0xFF)
