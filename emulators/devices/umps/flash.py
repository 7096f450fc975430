"""The flash drive of uMPS3: blocks of 4096 octets.

Specification: uMPS3 Principles of Operation, "Flash drive devices"; times measured from uMPS3 3.0.5.
Board: umps3 (line 4). File format: `emulators.loaders.umps`.

Registers: STATUS, COMMAND, DATA0 (DMA address), DATA1 (number of blocks).
Commands (bits 0–7): 0 reset, 1 acknowledge, 2 read, 3 write (block in bits 8–31). Results: 1 ready, 2 illegal command,
3 busy, 4 read, 5 write, 6 DMA failed. All are emulated.

Theory: reading takes three quarters of the time of writing, and the transfer; the block that was read or written last
is in the drive's buffer, and takes the transfer's time only. A write reads the guest's memory when the command is
given.

Differs from the original: as `disk.py`, with the answers 4 to 6.

| threat | stopped by |
|---|---|
| an address outside memory, or of registers | DMA reaches memory only; answer 6 |
| more blocks than the file has | the file's parser compares them |
"""

from collections.abc import Mapping
from dataclasses import dataclass

from emulators.device import Irq, State
from emulators.devices.umps.blocks import BLOCK_OCTETS, DMA_TICKS, Medium, deliver, fetch
from emulators.devices.umps.events import EventQueue
from emulators.devices.umps.unit import ACK, COMMAND, DATA0, DATA1, ILLEGAL, READY, RESET, WORD, Unit
from emulators.dma import Dma
from emulators.snapshot import SnapshotError, take_int

READ, WRITE = 2, 3
READ_FAILED, WRITE_FAILED, DMA_FAILED = 4, 5, 6
RESET_US = 400


@dataclass(frozen=True, slots=True)
class Geometry:
    """What a flash drive's file says of it. `first_octet`: where block 0 lies in the file."""

    blocks: int
    write_us: int
    first_octet: int


class Flash(Unit):
    """One flash drive."""

    def __init__(
        self, *, name: str, irq: Irq, events: EventQueue, dma: Dma, medium: Medium, geometry: Geometry
    ) -> None:
        super().__init__(name=name, irq=irq, events=events)
        self._dma = dma
        self._medium = medium
        self._geometry = geometry
        self._registers[DATA1] = geometry.blocks
        self._buffered: int | None = None  # the block that the buffer holds
        self._block: bytes | None = None  # None: the DMA of the write under way has failed

    def _command(self, command: int) -> None:
        code, block = command & 0xFF, command >> 8
        write_us = self._geometry.write_us
        if code == RESET:
            self._begin(self._clock.ticks(RESET_US + write_us))
        elif code == ACK:
            self._acknowledge()
        elif code not in (READ, WRITE):
            self._refuse(ILLEGAL, acknowledge=False)
        elif block >= self._geometry.blocks:
            self._refuse(READ_FAILED if code == READ else WRITE_FAILED)
        elif code == READ:
            ticks = DMA_TICKS
            if self._buffered != block:
                self._buffered = None
                ticks += self._clock.ticks(write_us * 3 // 4)
            self._begin(ticks)
        else:
            self._block = fetch(self._dma, self._registers[DATA0])
            self._buffered = None if self._block is None else block
            self._begin(DMA_TICKS + (0 if self._block is None else self._clock.ticks(write_us)))

    def _complete(self) -> None:
        command = self._registers[COMMAND]
        code, block = command & 0xFF, command >> 8
        if code == READ:
            self._finish(self._read(block))
        elif code == WRITE:
            self._finish(self._write(block))
        else:
            self._buffered = None
            self._finish(READY)

    def _read(self, block: int) -> int:
        self._buffered = None
        if not self.working:
            return READ_FAILED
        try:
            data = self._medium.read_at(self._geometry.first_octet + block * BLOCK_OCTETS, BLOCK_OCTETS)
        except OSError:
            return READ_FAILED
        self._buffered = block
        return READY if deliver(self._dma, self._registers[DATA0], data) else DMA_FAILED

    def _write(self, block: int) -> int:
        data, self._block = self._block, None
        if data is None:
            return DMA_FAILED
        if self.working:
            try:
                self._medium.write_at(self._geometry.first_octet + block * BLOCK_OCTETS, data)
            except OSError:
                pass
            else:
                return READY
        self._buffered = None
        return WRITE_FAILED

    def _more_state(self) -> Mapping[str, object]:
        return {"buffered": self._buffered, "block": self._block}

    def _from_more(self, state: State) -> None:
        buffered = None if state.get("buffered") is None else take_int(state, "buffered", WORD)
        block = state.get("block")
        if block is not None and (type(block) is not bytes or len(block) != BLOCK_OCTETS):
            raise SnapshotError("snapshot: block: 4096 octets were expected")
        self._buffered, self._block = buffered, block
