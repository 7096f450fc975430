"""fw_cfg: where firmware made for virtual machines asks what the machine is: a list of items, read by number or name.

Specification: "QEMU Firmware Configuration (fw_cfg) Device", docs/specs/fw_cfg.rst of QEMU 7.2.
Boards: pc; mac (`FwCfgMemory`).

Registers, as offsets that the board maps (ports of a PC in brackets):

| offset | access | |
|---|---|---|
| 0 (0x510) | 16 bits, written | selector: an item, from its beginning |
| 1 (0x511) | 8 bits, read | the next octet of the item; zeros behind its end |
| 4 (0x514) | 32 bits, written, big-endian | DMA address, upper half |
| 8 (0x518) | the same | lower half: the transfer is made |

Emulated: items, the directory of files, DMA read, skip and select.

The memory-mapped variant of big-endian machines has the selector (big-endian) at 0 and the data at 2, no DMA.

Not emulated: writes to items (the error bit is set), the memory-mapped variant's DMA.

| threat | stopped by |
|---|---|
| a transfer of 4 GiB | `LARGEST_OCTETS`, pieces of 1 MiB, the first fault ends it |
| a descriptor outside memory | a fault, counted; nothing is written back |
"""

import struct
from collections.abc import Mapping
from typing import Final

from emulators.device import State
from emulators.dma import Dma, DmaFault
from emulators.snapshot import take_int, take_version

SELECTOR, DATA, DMA_HIGH, DMA_LOW = 0, 1, 4, 8
PORTS: Final = 12
MEMORY_DATA, MEMORY_OCTETS = 2, 10

SIGNATURE, ID, FILE_DIRECTORY, FIRST_FILE = 0x0000, 0x0001, 0x0019, 0x0020
ID_TRADITIONAL, ID_DMA = 1, 2
DMA_SIGNATURE: Final = b"QEMU CFG"
"""What a read of the DMA address gives, big-endian."""

DMA_ERROR, DMA_READ, DMA_SKIP, DMA_SELECT, DMA_WRITE = 1, 2, 4, 8, 16
DMA_ACCESS: Final = struct.Struct(">IIQ")
"""control 4 (bits 16–31: item), length 4, address 8; big-endian."""
FILE_ENTRY: Final = struct.Struct(">IHH56s")
"""size 4, item 2, reserved 2, name 56 (ends in 0); big-endian."""
NAME_OCTETS: Final = 55
LARGEST_OCTETS: Final = 64 << 20
"""Chosen: no item is a quarter as long."""
SELECTOR_WRITE: Final = 0x4000
PIECE_OCTETS: Final = 1 << 20


class FwCfg:
    """The device.

    Args:
        items: octets by number, besides the signature, the identity and the directory.
        files: octets by name.
        dma: the way to memory.
    """

    timed = False

    features = ID_TRADITIONAL | ID_DMA

    def __init__(self, *, items: Mapping[int, bytes], files: Mapping[str, bytes], dma: Dma) -> None:
        self._dma = dma
        self.items = {SIGNATURE: b"QEMU", ID: self.features.to_bytes(4, "little"), **items}
        directory = len(files).to_bytes(4, "big")
        for number, (name, octets) in enumerate(sorted(files.items()), FIRST_FILE):
            encoded = name.encode("ascii")
            if len(encoded) > NAME_OCTETS:
                raise ValueError(f"fw_cfg: {name!r}: a name of more than {NAME_OCTETS} octets")
            self.items[number] = octets
            directory += FILE_ENTRY.pack(len(octets), number, 0, encoded)
        self.items[FILE_DIRECTORY] = directory
        self._selected = 0
        self._at = 0
        self._dma_high = 0
        self.mistakes = 0

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        if offset == DATA:
            return int.from_bytes(self._take(size), "little")
        if offset >= DMA_HIGH and offset + size <= PORTS:
            part = DMA_SIGNATURE[offset - DMA_HIGH : offset - DMA_HIGH + size]
            return int.from_bytes(part, "little")
        self.mistakes += 1
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if offset == SELECTOR and size == 2:
            self._select(value)
        elif offset == DMA_HIGH and size == 4:
            self._dma_high = _swapped(value)
        elif offset == DMA_LOW and size == 4:
            high, self._dma_high = self._dma_high, 0
            self._transfer(high << 32 | _swapped(value))
        else:
            self.mistakes += 1

    def _select(self, item: int) -> None:
        self._selected = item & ~SELECTOR_WRITE
        self._at = 0

    def _take(self, octets: int) -> bytes:
        """The next octets of the item, and zeros behind them."""
        found = self.items.get(self._selected, b"")[self._at : self._at + octets]
        self._at += octets
        return found.ljust(octets, b"\0")

    def _transfer(self, descriptor: int) -> None:
        try:
            control, length, address = DMA_ACCESS.unpack(self._dma.read(descriptor, DMA_ACCESS.size))
        except DmaFault:
            return
        if control & DMA_SELECT:
            self._select(control >> 16)
        failed = length > LARGEST_OCTETS
        if not failed and control & DMA_READ:
            failed = not self._copy(address, length)
        elif not failed and control & DMA_WRITE:
            failed = True
        elif control & DMA_SKIP:
            self._at += length
        self.mistakes += failed
        try:
            self._dma.write(descriptor, (DMA_ERROR if failed else 0).to_bytes(4, "big"))
        except DmaFault:
            return

    def _copy(self, address: int, length: int) -> bool:
        try:
            for at in range(0, length, PIECE_OCTETS):
                self._dma.write(address + at, self._take(min(PIECE_OCTETS, length - at)))
        except DmaFault:
            return False
        return True

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`. The items are the board's."""
        return {"version": 1, "selected": self._selected, "at": self._at, "dma_high": self._dma_high}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self._selected = take_int(state, "selected", 0xFFFF)
        self._at = take_int(state, "at", 1 << 62)
        self._dma_high = take_int(state, "dma_high", 0xFFFFFFFF)


class FwCfgMemory(FwCfg):
    """The memory-mapped variant. Arguments as `FwCfg`'s, without `dma`."""

    features = ID_TRADITIONAL

    def __init__(self, *, items: Mapping[int, bytes], files: Mapping[str, bytes]) -> None:
        super().__init__(items=items, files=files, dma=Dma(_NoMemory()))

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        if offset < MEMORY_DATA:
            self.mistakes += 1
            return 0
        return int.from_bytes(self._take(size), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if offset == SELECTOR and size == 2:
            self._select(int.from_bytes(value.to_bytes(2, "little"), "big"))
        else:
            self.mistakes += 1


class _NoMemory:
    def read(self, gpa: int, octets: int, /) -> bytes:
        raise ValueError(gpa)

    def write(self, gpa: int, data: bytes, /) -> None:
        raise ValueError(gpa)


def _swapped(value: int) -> int:
    return int.from_bytes(value.to_bytes(4, "little"), "big")
