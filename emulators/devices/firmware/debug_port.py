"""Ports that firmware writes messages to: the debugging consoles of Bochs (0xE9) and QEMU (0x402), and port 0x80.

Specification: Bochs user manual, "port_e9_hack"; SeaBIOS, "debugging"; IBM AT technical reference, "POST codes".
Boards: pc.

Registers: one each. A read of a debugging console answers 0xE9, by which programs know that there is one; port 0x80
keeps the last code. Not emulated: nothing else is there.

A write to port 0x80 is how programs wait for a slow device: an access on the ISA bus takes a microsecond, and nobody
is there to be disturbed. Here the machine lets `DELAY_NS` pass (`warp`), which spares loops that poll most of their
rounds.
"""

from collections.abc import Callable
from typing import Final

from emulators.device import State, Timeline
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


DELAY_NS: Final = 1000
"""Of an access to port 0x80 on the ISA bus: eight clocks of 8.33 MHz (IEEE P996, I/O cycles of 8 bits)."""


class PostCode(EightBit):
    """Port 0x80.

    Args:
        timeline: the machine's time.
        warp: asks the machine to let virtual time pass to the given nanosecond.
    """

    timed = False

    def __init__(self, *, timeline: Timeline, warp: Callable[[int], None]) -> None:
        self._timeline = timeline
        self._warp = warp
        self.code = 0

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        return ALL_ONES if offset else self.code

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if not offset:
            self.code = value
            self._warp(self._timeline.now_ns + DELAY_NS)

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
