"""Intel flash memories with the basic command set: two chips of 16 bits side by side on a bus of 32.

Datasheets: Intel 28F160S5/28F320S5 (290609), "command definitions"; CFI: JEDEC JESD68.01 and Intel AP-646.
Boards: malta (4 MiB at 0x1E00_0000).

Commands emulated: read array FF, identifier 90, status 70, clear status 50, CFI query 98, word program 40/10, block
erase 20 and D0, block lock bits 60 (accepted, not kept), suspend B0 (nothing runs, so it changes nothing).

Not emulated: buffered writes (E8; the query does not offer them), the time that programming takes, block locks.

Theory: each chip sees its own half of a 32-bit access; both get the same command from all software that exists, so one
state serves both, taken from the lower half. The memory is one bytearray; only blocks that are not erased are saved.

| threat | stopped by |
|---|---|
| programs and erases beyond the end | the bus gives offsets within the window only |
| a snapshot of endless blocks | no more than there are, each of the right size |
"""

from typing import Final

from emulators.device import State
from emulators.snapshot import SnapshotError, take, take_int, take_version

READ_ARRAY, READ_ID, READ_STATUS, CLEAR_STATUS, READ_QUERY = 0xFF, 0x90, 0x70, 0x50, 0x98
PROGRAM, PROGRAM_TOO, ERASE, CONFIRM, LOCK, SUSPEND = 0x40, 0x10, 0x20, 0xD0, 0x60, 0xB0

STATUS_READY, STATUS_ERASE_ERROR, STATUS_PROGRAM_ERROR = 0x80, 0x20, 0x10
MANUFACTURER: Final = 0x89  # Intel
DEVICE: Final = 0xD0  # 28F160S5
BLOCK_OCTETS: Final = 64 << 10
"""Of one chip."""
CHIPS: Final = 2


def query(chip_octets: int) -> bytes:
    """The CFI table of one chip from address 0x10 on: identification, system interface, geometry (JESD68.01 §3)."""
    blocks = chip_octets // BLOCK_OCTETS
    return bytes(
        (
            *b"QRY",
            *(0x01, 0x00),  # primary command set: Intel/Sharp extended
            *(0x31, 0x00),  # its table, at 0x31
            *(0, 0, 0, 0),
            *(0x45, 0x55, 0, 0),  # VCC 4.5–5.5 V, no VPP
            *(0x03, 0x00, 0x0A, 0x00),  # typical times: word 8 µs, buffer none, block 1 s, chip none
            *(0x04, 0x00, 0x04, 0x00),  # at most 16 times as long
            chip_octets.bit_length() - 1,
            *(0x01, 0x00),  # x16
            *(0x00, 0x00),  # no buffered writes
            0x01,  # one erase region
            *(blocks - 1).to_bytes(2, "little"),
            *(BLOCK_OCTETS // 256).to_bytes(2, "little"),
            *b"PRI10",  # Intel's table: version 1.0, no optional feature
            *b"\0\0\0\0\0\0\0\0\0\0",
        )
    )


class StrataFlash:
    """The pair.

    Args:
        contents: what is in it from the start; the rest is erased.
        size_octets: of both together.
    """

    timed = False

    def __init__(self, contents: bytes = b"", *, size_octets: int = 4 << 20) -> None:
        self.octets = bytearray(contents[:size_octets]) + b"\xff" * (size_octets - len(contents))
        self._query = query(size_octets // CHIPS)
        self._mode = READ_ARRAY
        self._expects = 0
        self._status = STATUS_READY
        self.mistakes = 0

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        if self._mode == READ_ARRAY:
            return int.from_bytes(self.octets[offset : offset + size], "little")
        half = self._chip(offset >> 2)
        both = half << 16 | half
        value = both << 32 | both
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def _chip(self, address: int) -> int:
        """What one chip answers, 16 bits; `address` in its words."""
        if self._mode == READ_STATUS:
            return self._status
        if self._mode == READ_ID:
            return (MANUFACTURER, DEVICE)[address] if address < 2 else 0
        at = address - 0x10
        return self._query[at] if 0 <= at < len(self._query) else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if self._expects in (PROGRAM, PROGRAM_TOO):
            self._expects = 0
            self._mode = READ_STATUS
            for at, new in enumerate(value.to_bytes(size, "little"), offset):
                self.octets[at] &= new  # programming clears bits, never sets them
            return
        command = value & 0xFF
        if self._expects == ERASE:
            self._expects = 0
            self._mode = READ_STATUS
            if command == CONFIRM:
                first = offset - offset % (CHIPS * BLOCK_OCTETS)
                self.octets[first : first + CHIPS * BLOCK_OCTETS] = b"\xff" * (CHIPS * BLOCK_OCTETS)
            else:
                self._status |= STATUS_ERASE_ERROR | STATUS_PROGRAM_ERROR  # "improper command sequence"
            return
        if self._expects == LOCK:
            self._expects = 0
            self._mode = READ_STATUS
            return
        match command:
            case 0xFF | 0x90 | 0x70 | 0x98:
                self._mode = command
            case 0x50:
                self._status = STATUS_READY
            case 0x40 | 0x10 | 0x20 | 0x60:
                self._expects = command
                self._mode = READ_STATUS
            case 0xB0 | 0xD0 | 0xF0:
                pass
            case _:
                self.mistakes += 1

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        unit = CHIPS * BLOCK_OCTETS
        erased = b"\xff" * unit
        blocks = {
            f"{first:08x}": bytes(self.octets[first : first + unit])
            for first in range(0, len(self.octets), unit)
            if self.octets[first : first + unit] != erased
        }
        return {
            "version": 1,
            "blocks": blocks,
            "mode": self._mode,
            "expects": self._expects,
            "status": self._status,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        unit = CHIPS * BLOCK_OCTETS
        octets = bytearray(b"\xff" * len(self.octets))
        places = {f"{first:08x}": first for first in range(0, len(octets), unit)}
        for name, block in take(state, "blocks", dict).items():
            if name not in places or type(block) is not bytes or len(block) != unit:
                raise SnapshotError(f"snapshot: flash: no block {name!r:.20} of {unit} octets")
            octets[places[name] : places[name] + unit] = block
        self.octets = octets
        self._mode = take_int(state, "mode", 0xFF)
        self._expects = take_int(state, "expects", 0xFF)
        self._status = take_int(state, "status", 0xFF)
