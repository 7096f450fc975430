"""The Malta board's own registers, in the FPGA on its CBUS, and the way to its UART.

Reference: MIPS Malta User's Manual (MD00048, rev 1.07), section 5 "registers" (offsets from 0x1F00_0000).
Boards: malta.

Registers emulated: 0x200 SWITCH, 0x208 STATUS, 0x210 JMPRS, 0x408 LEDBAR, 0x410 ASCIIWORD, 0x418–0x450 ASCIIPOS0–7,
0x500 SOFTRES, 0x508 BRKRES, 0xA00 GPOUT, 0xA08 GPINP, 0xB00–0xB18 I2C.

Not emulated: the NMI button, the break reset (BRKRES is kept only), any device on the I2C bus (its lines are pulled
up: an EEPROM is not there).

`Spaced` is the CBUS' way to a device of eight bits: one register in every eight octets.

| threat | stopped by |
|---|---|
| any octet written to the display | shown as printable ASCII only |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import State
from emulators.devices.eight_bit import EightBit
from emulators.snapshot import SnapshotError, take, take_int, take_version

SWITCH, STATUS, JMPRS, LEDBAR, ASCIIWORD, ASCIIPOS0 = 0x200, 0x208, 0x210, 0x408, 0x410, 0x418
SOFTRES, BRKRES, GPOUT, GPINP = 0x500, 0x508, 0xA00, 0xA08
I2CINP, I2COE, I2COUT, I2CSEL = 0xB00, 0xB08, 0xB10, 0xB18

STATUS_MONITOR_FLASH: Final = 0x10  # MFWR: the monitor flash may be written
STATUS_BIG_ENDIAN: Final = 0x02
GORESET: Final = 0x42
BRKRES_AT_RESET: Final = 0x0A
POSITIONS: Final = 8


class MaltaFpga:
    """The registers.

    Args:
        reset: the guest resets the board.
        big_endian: how the board's endianness switch is set.
    """

    timed = False

    def __init__(self, *, reset: Callable[[], None], big_endian: bool = False) -> None:
        self._reset = reset
        self._status = STATUS_MONITOR_FLASH | (STATUS_BIG_ENDIAN if big_endian else 0)
        self._kept = {LEDBAR: 0, BRKRES: BRKRES_AT_RESET, GPOUT: 0, I2COE: 0, I2COUT: 3, I2CSEL: 1}
        self._text = bytearray(b" " * POSITIONS)
        self.mistakes = 0

    @property
    def display(self) -> str:
        """What the eight characters show."""
        return "".join(chr(one) if 0x20 <= one < 0x7F else "." for one in self._text)

    @property
    def leds(self) -> int:
        """The eight LEDs of the bar."""
        return self._kept[LEDBAR]

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        if offset == STATUS:
            return self._status
        if offset in self._kept:
            return self._kept[offset]
        if offset == I2CINP:
            return 3 & (self._kept[I2COUT] | ~self._kept[I2COE])  # lines that nobody drives are high
        if offset not in (SWITCH, JMPRS, GPINP):
            self.mistakes += 1
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if offset == SOFTRES:
            if value & 0xFF == GORESET:
                self._reset()
        elif offset == ASCIIWORD:
            self._text[:] = b"%08X" % (value & 0xFFFFFFFF)
        elif ASCIIPOS0 <= offset < ASCIIPOS0 + 8 * POSITIONS and not offset & 7:
            self._text[(offset - ASCIIPOS0) // 8] = value & 0xFF
        elif offset in self._kept:
            self._kept[offset] = value & 0xFF
        else:
            self.mistakes += 1

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "text": bytes(self._text),
            "kept": {f"{offset:03x}": value for offset, value in self._kept.items()},
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        text, kept = take(state, "text", bytes), take(state, "kept", dict)
        if len(text) != POSITIONS:
            raise SnapshotError("snapshot: text: not eight characters")
        self._text[:] = text
        self._kept = {offset: take_int(kept, f"{offset:03x}", 0xFF) for offset in self._kept}


class Spaced:
    """A device of eight bits whose registers lie eight octets apart, in the lowest lane of each."""

    def __init__(self, device: EightBit) -> None:
        self._device = device

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        return 0 if offset & 7 else self._device.read_octet(offset >> 3)

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if not offset & 7:
            self._device.write_octet(offset >> 3, value & 0xFF)
