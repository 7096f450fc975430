"""The disk of uMPS3: cylinders, heads and sectors of 4096 octets, a seek time, a platter that turns.

Specification: uMPS3 Principles of Operation, "Disk devices"; times measured from uMPS3 3.0.5.
Board: umps3 (line 3). File format: `emulators.loaders.umps`.

Registers: STATUS, COMMAND, DATA0 (DMA address), DATA1 (cylinders << 16 | heads << 8 | sectors).
Commands (bits 0–7): 0 reset, 1 acknowledge, 2 seek (cylinder in bits 8–23), 3 read, 4 write (head in bits 16–23, sector
in bits 8–15). Results: 1 ready, 2 illegal command, 3 busy, 4 seek, 5 read, 6 write, 7 DMA failed. All are emulated.

Theory: the platter turns with the time-of-day clock, its low word. A read waits until the sector comes round, then
reads the share of the sector that holds data, then transfers; the sector that was read or written last is in the disk's
buffer, and takes the transfer's time only. A write transfers at once (the guest's memory is read when the command is
given), then waits for the sector.

Differs from the original: a write whose DMA address is bad answers 7, as the specification says, and leaves the medium
alone (the original answers 1 and writes what its buffer holds); an error of the medium is the read's or the write's
(the original ends).

| threat | stopped by |
|---|---|
| an address outside memory, or of registers | DMA reaches memory only; answer 7 |
| a geometry that overflows the file | the file's parser compares them; here all three coordinates are checked |
"""

from collections.abc import Mapping
from dataclasses import dataclass

from emulators.device import Irq, State
from emulators.devices.umps.blocks import BLOCK_OCTETS, DMA_TICKS, Medium, deliver, fetch
from emulators.devices.umps.events import EventQueue
from emulators.devices.umps.unit import ACK, COMMAND, DATA0, DATA1, ILLEGAL, READY, RESET, WORD, Unit
from emulators.dma import Dma
from emulators.snapshot import SnapshotError, take, take_int

SEEK, READ, WRITE = 2, 3, 4
SEEK_FAILED, READ_FAILED, WRITE_FAILED, DMA_FAILED = 4, 5, 6, 7
RESET_US = 400


@dataclass(frozen=True, slots=True)
class Geometry:
    """What a disk's file says of it.

    Attributes:
        rotation_us: one turn.
        seek_us: from a cylinder to the next one.
        data_pct: the share of a sector that holds data.
        first_octet: where the first sector lies in the file.
    """

    cylinders: int
    heads: int
    sectors: int
    rotation_us: int
    seek_us: int
    data_pct: int
    first_octet: int


class Disk(Unit):
    """One disk."""

    def __init__(
        self, *, name: str, irq: Irq, events: EventQueue, dma: Dma, medium: Medium, geometry: Geometry
    ) -> None:
        super().__init__(name=name, irq=irq, events=events)
        self._dma = dma
        self._medium = medium
        self._geometry = geometry
        self._registers[DATA1] = geometry.cylinders << 16 | geometry.heads << 8 | geometry.sectors
        self._sector_ticks = geometry.rotation_us * self._clock.scale // geometry.sectors
        self._cylinder = 0
        self._buffered: tuple[int, int, int] | None = None  # cylinder, head, sector of what the buffer holds
        self._block: bytes | None = None  # None: the DMA of the write under way has failed

    def _command(self, command: int) -> None:
        code = command & 0xFF
        if code == RESET:
            recalibration_us = self._geometry.seek_us * self._cylinder
            self._begin(self._clock.ticks(RESET_US + recalibration_us))
        elif code == ACK:
            self._acknowledge()
        elif code == SEEK:
            self._seek(command >> 8 & 0xFFFF)
        elif code in (READ, WRITE):
            self._transfer(code, command >> 16 & 0xFF, command >> 8 & 0xFF)
        else:
            self._refuse(ILLEGAL, acknowledge=False)

    def _seek(self, cylinder: int) -> None:
        if cylinder >= self._geometry.cylinders:
            self._refuse(SEEK_FAILED)
            return
        distance = abs(cylinder - self._cylinder)
        self._begin(self._clock.ticks(self._geometry.seek_us * distance) + 1)

    def _transfer(self, code: int, head: int, sector: int) -> None:
        if head >= self._geometry.heads or sector >= self._geometry.sectors:
            self._refuse(READ_FAILED if code == READ else WRITE_FAILED)
            return
        place = (self._cylinder, head, sector)
        tod_low = self._clock.tod & WORD
        if code == READ:
            if self._buffered == place:
                ticks = DMA_TICKS
            else:
                self._buffered = None
                ticks = self._turn(tod_low, sector) + DMA_TICKS
        else:
            self._block = fetch(self._dma, self._registers[DATA0])
            if self._block is None:
                self._buffered = None
                ticks = DMA_TICKS
            else:
                self._buffered = place
                ticks = DMA_TICKS + self._turn(tod_low + DMA_TICKS, sector)
        self._begin(ticks)

    def _turn(self, at: int, sector: int) -> int:
        """Ticks from `at` until the sector's data have passed, as the original counts them: what of the present sector
        has passed already (not what is left of it) and the sectors between."""
        sectors = self._geometry.sectors
        present = at // self._sector_ticks % sectors
        between = sector - present - 1 if sector > present else sectors - 1 - (present - sector)
        share = self._sector_ticks * self._geometry.data_pct // 100
        return at % self._sector_ticks + self._sector_ticks * between + share

    def _complete(self) -> None:
        command = self._registers[COMMAND]
        code = command & 0xFF
        if code == SEEK:
            self._finish(self._arrive(command >> 8 & 0xFFFF))
        elif code == READ:
            self._finish(self._read(command >> 16 & 0xFF, command >> 8 & 0xFF))
        elif code == WRITE:
            self._finish(self._write(command >> 16 & 0xFF, command >> 8 & 0xFF))
        else:
            self._buffered = None
            self._finish(READY)

    def _arrive(self, cylinder: int) -> int:
        if not self.working:
            self._cylinder = (cylinder + self._cylinder) // 2  # somewhere on the way
            return SEEK_FAILED
        self._cylinder = cylinder
        return READY

    def _read(self, head: int, sector: int) -> int:
        if not self.working:
            self._buffered = None
            return READ_FAILED
        try:
            block = self._medium.read_at(self._offset(head, sector), BLOCK_OCTETS)
        except OSError:
            self._buffered = None
            return READ_FAILED
        self._buffered = (self._cylinder, head, sector)
        return READY if deliver(self._dma, self._registers[DATA0], block) else DMA_FAILED

    def _write(self, head: int, sector: int) -> int:
        block, self._block = self._block, None
        if block is None:
            return DMA_FAILED
        if self.working:
            try:
                self._medium.write_at(self._offset(head, sector), block)
            except OSError:
                pass
            else:
                return READY
        self._buffered = None
        return WRITE_FAILED

    def _offset(self, head: int, sector: int) -> int:
        geometry = self._geometry
        number = (self._cylinder * geometry.heads + head) * geometry.sectors + sector
        return geometry.first_octet + number * BLOCK_OCTETS

    def _more_state(self) -> Mapping[str, object]:
        return {"cylinder": self._cylinder, "buffered": list(self._buffered or ()), "block": self._block}

    def _from_more(self, state: State) -> None:
        cylinder = take_int(state, "cylinder", self._geometry.cylinders - 1)
        buffered = take(state, "buffered", list)
        if len(buffered) not in (0, 3) or any(type(number) is not int for number in buffered):
            raise SnapshotError("snapshot: buffered: a place on the disk was expected")
        block = state.get("block")
        if block is not None and (type(block) is not bytes or len(block) != BLOCK_OCTETS):
            raise SnapshotError("snapshot: block: 4096 octets were expected")
        self._cylinder, self._block = cylinder, block
        self._buffered = (buffered[0], buffered[1], buffered[2]) if buffered else None
