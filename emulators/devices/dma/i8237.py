"""Intel 8237A pair with page registers: the ISA bus's DMA.

Datasheet: Intel 8237A (231466-005); PIIX3 (290550-002, 1997), §2.5.1 (registers as ISA has them, page registers).
Boards: pc (ports 0x00–0x0F, 0xC0–0xDF, pages 0x81–0x8F).

Emulated: base and current address and count, the byte pointer, mode (read, write, verify; increment, decrement;
autoinitialise), masks, status, master clear, clear mask; page registers. Channels 5 to 7 count words. A device asks
with `request` and is served at once, or when the guest unmasks the channel; `read_memory` and `write_memory` move its
data, as far as the terminal count. Single, demand and block mode are the same then.

Not emulated: software requests (counted), memory to memory, rotating priority, compressed timing, the bus (nobody
waits for it), the temporary register, extended mode.

Offsets: 0 … 15 the first chip, 16 … 47 the second (its registers two ports apart), 48 … 62 the pages 0x81 … 0x8F.

| threat | stopped by |
|---|---|
| addresses in registers, or behind memory | `Dma` reaches memory only; the octets are lost (all ones), counted |
| a count that wraps | 64 Ki units at most, within 64 KiB or 128 KiB of a page as the chip does it |
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Final

from emulators.device import State
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.dma import Dma, DmaFault
from emulators.snapshot import SnapshotError, take, take_int, take_version

CASCADE: Final = 4
"""The channel of the second chip to which the first one is connected."""
SECOND, PAGES, OCTETS = 16, 48, 63
PAGE_OF: Final = {0x7: 0, 0x3: 1, 0x1: 2, 0x2: 3, 0xB: 5, 0x9: 6, 0xA: 7}
"""Channels, by the low digit of the page register's port (PIIX3 §2.5.1)."""

# Mode register, figure 5
MODE_TRANSFER, MODE_AUTO, MODE_DOWN = 0x0C, 0x10, 0x20
TRANSFER_WRITE, TRANSFER_READ = 0x04, 0x08
"""To memory, and from memory."""
COMMAND_DISABLE: Final = 0x04


@dataclass(slots=True)
class Line:
    """One channel."""

    base_address: int = 0
    base_count: int = 0
    address: int = 0
    count: int = 0
    mode: int = 0
    masked: bool = True
    reached: bool = False
    requested: bool = False


class I8237Pair(EightBit):
    """Both chips.

    Args:
        dma: the way to memory.
    """

    timed = False

    def __init__(self, *, dma: Dma) -> None:
        self._dma = dma
        self._services: dict[int, Callable[[], None]] = {}
        self.lines = [Line() for _ in range(8)]
        self.lines[CASCADE].masked = False
        self.commands = [0, 0]
        self._high = [False, False]
        self.pages = bytearray(16)
        self.mistakes = 0

    # -- the devices' side

    def attach(self, channel: int, service: Callable[[], None]) -> None:
        """`service` is called when `channel` may go on, while it is requested."""
        self._services[channel] = service

    def request(self, channel: int, level: bool) -> None:
        """DREQ."""
        self.lines[channel].requested = level

    def ready(self, channel: int) -> bool:
        """Would it be served now?"""
        return not self.lines[channel].masked and not self.commands[channel >> 2] & COMMAND_DISABLE

    def left(self, channel: int) -> int:
        """Octets to the terminal count, inclusive."""
        return (self.lines[channel].count + 1) * (2 if channel > CASCADE else 1)

    def write_memory(self, channel: int, data: bytes) -> tuple[int, bool]:
        """A device's octets for memory: how many were taken, and whether the terminal count was reached."""
        octets = min(len(data), self.left(channel))
        writes = self.lines[channel].mode & MODE_TRANSFER == TRANSFER_WRITE  # not: verify
        at = 0
        for address, part, backwards in self._parts(channel, octets):
            piece = data[at : at + part]
            at += part
            try:
                if writes:
                    self._dma.write(address, piece[::-1] if backwards else piece)
            except DmaFault:
                self.mistakes += 1
        return octets, self._advance(channel, octets)

    def read_memory(self, channel: int, octets: int) -> tuple[bytes, bool]:
        """At most `octets` octets of memory for a device, and whether the terminal count was reached."""
        octets = min(octets, self.left(channel))
        data = b""
        for address, part, backwards in self._parts(channel, octets):
            try:
                piece = self._dma.read(address, part)
            except DmaFault:
                self.mistakes += 1
                piece = b"\xff" * part
            data += piece[::-1] if backwards else piece
        return data, self._advance(channel, octets)

    def _parts(self, channel: int, octets: int) -> list[tuple[int, int, bool]]:
        """Pieces of memory: lowest address, octets, downwards; the address wraps within its page."""
        line, unit = self.lines[channel], 2 if channel > CASCADE else 1
        page = self.pages[next(digit for digit, number in PAGE_OF.items() if number == channel)]
        base = (page & ~1 if unit == 2 else page) << 16
        parts, at = [], line.address
        down = bool(line.mode & MODE_DOWN)
        units = octets // unit
        while units:
            now = min(units, at + 1 if down else 0x10000 - at)
            lowest = at - now + 1 if down else at
            parts.append((base + lowest * unit, now * unit, down))
            at = (at - now if down else at + now) & 0xFFFF
            units -= now
        return parts

    def _advance(self, channel: int, octets: int) -> bool:
        line = self.lines[channel]
        units = octets // (2 if channel > CASCADE else 1)
        line.address = line.address + (-units if line.mode & MODE_DOWN else units) & 0xFFFF
        is_last = units > line.count
        line.count = line.count - units & 0xFFFF
        if is_last:
            line.reached = True
            if line.mode & MODE_AUTO:
                line.address, line.count = line.base_address, line.base_count
            else:
                line.masked = True
        return is_last

    def _serve(self) -> None:
        for channel, service in self._services.items():
            if self.lines[channel].requested and self.ready(channel):
                service()

    # -- registers

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        if offset >= PAGES:
            return self.pages[offset - PAGES + 1] if offset < OCTETS else ALL_ONES
        chip, register = self._which(offset)
        if register < 8:
            line = self.lines[4 * chip + (register >> 1)]
            value = line.count if register & 1 else line.address
            high, self._high[chip] = self._high[chip], not self._high[chip]
            return value >> 8 if high else value & 0xFF
        if register == 8:
            value = 0
            for number, line in enumerate(self.lines[4 * chip : 4 * chip + 4]):
                value |= line.reached << number | line.requested << number + 4
                line.reached = False
            return value
        if register == 15:  # PIIX3 §2.5.1.7
            return 0xF0 | sum(line.masked << number for number, line in enumerate(self.lines[4 * chip :][:4]))
        return 0

    def _which(self, offset: int) -> tuple[int, int]:
        return (0, offset) if offset < SECOND else (1, offset - SECOND >> 1)

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset >= PAGES:
            if offset < OCTETS:
                self.pages[offset - PAGES + 1] = value
            return
        chip, register = self._which(offset)
        if register < 8:
            self._set(chip, register, value)
            return
        lines = self.lines[4 * chip : 4 * chip + 4]
        match register:
            case 8:
                self.commands[chip] = value
            case 9:
                self.mistakes += 1  # a software request: nobody would bring data
            case 10:
                lines[value & 3].masked = bool(value & 4)
            case 11:
                lines[value & 3].mode = value & 0xFC
            case 12:
                self._high[chip] = False
            case 13:
                self.commands[chip] = 0
                self._high[chip] = False
                for line in lines:
                    line.masked, line.reached = True, False
            case 14 | 15:
                for number, line in enumerate(lines):
                    line.masked = register == 15 and bool(value >> number & 1)
        self._serve()

    def _set(self, chip: int, register: int, value: int) -> None:
        line = self.lines[4 * chip + (register >> 1)]
        high, self._high[chip] = self._high[chip], not self._high[chip]
        keep, shift = (0x00FF, 8) if high else (0xFF00, 0)
        if register & 1:
            line.base_count = line.count = line.base_count & keep | value << shift
        else:
            line.base_address = line.address = line.base_address & keep | value << shift

    # -- the rest of a device

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "lines": [[int(value) for value in astuple(line)] for line in self.lines],
            "commands": list(self.commands),
            "high": list(self._high),
            "pages": bytes(self.pages),
            "mistakes": self.mistakes,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        lines, commands, high = take(state, "lines", list), take(state, "commands", list), take(state, "high", list)
        pages = take(state, "pages", bytes)
        if (len(lines), len(commands), len(high), len(pages)) != (8, 2, 2, 16):
            raise SnapshotError("snapshot: i8237: other channels")
        restored = []
        for saved in lines:
            if not isinstance(saved, list) or len(saved) != 8 or any(type(one) is not int for one in saved):
                raise SnapshotError("snapshot: i8237: a channel")
            if not all(0 <= one <= most for one, most in zip(saved, (0xFFFF,) * 4 + (0xFC, 1, 1, 1), strict=True)):
                raise SnapshotError("snapshot: i8237: a channel's registers")
            restored.append(Line(*saved[:5], *(bool(one) for one in saved[5:])))
        self.lines = restored
        self.commands = [take_int({"command": one}, "command", 0xFF) for one in commands]
        self._high = [take({"high": one}, "high", bool) for one in high]
        self.pages[:] = pages
        self.mistakes = take_int(state, "mistakes", 1 << 62)
