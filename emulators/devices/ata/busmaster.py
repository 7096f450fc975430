"""Function 1 of the PIIX3: two IDE channels, and the bus master that moves their data.

Datasheet: Intel 82371FB/SB (290550-002, 1997), §2.3 (configuration) and §2.6 (registers); Programming Interface for
Bus Master IDE Controller, revision 1.0 (Intel, 1994), clauses 1.2 (descriptors), 2 (registers), 3.1 (operation).
Boards: pc (8086:7010).

Emulated: the bus-master registers of both channels, physical region descriptors, the timing registers (kept). The
channels' legacy ports are the board's to map; IDETIM's decode bits are set from the start, as firmware leaves them.

Theory: a transfer runs when the start bit is set and the drive has data, whichever comes first, and is done at once.
Status: active while the drive wants more than the table gives (clause 3.1); the interrupt bit when the line rises.

Not emulated: native mode, USB, simplex, prefetch.

| threat | stopped by |
|---|---|
| a table without an end, of one-octet regions | `MOST_REGIONS`: a table does not leave its 64 KiB (clause 1.2) |
| a table or regions in registers | `Dma` reaches memory only: error bit, the command fails |
| a start without a command, either direction | waits; the drive's direction counts: a mismatch is an error |
"""

from collections.abc import Callable, Sequence
from typing import Final

from emulators.device import State
from emulators.devices.ata.channel import Channel
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.devices.pci.config import PciFunction
from emulators.dma import Dma, DmaFault
from emulators.snapshot import SnapshotError, take

COMMAND, STATUS, TABLE = 0, 2, 4  # clause 2
COMMAND_START, COMMAND_READ = 0x01, 0x08
"""COMMAND_READ: the bus master writes memory, from the drive."""
STATUS_ACTIVE, STATUS_ERROR, STATUS_INTERRUPT = 0x01, 0x02, 0x04
STATUS_KEPT: Final = 0x60  # drives 0 and 1 can do DMA: firmware's note to drivers
REGION_OCTETS: Final = 8  # clause 1.2: u32 address, even · u16 octets, 0: 64 KiB · u16, bit 15: the last one
MOST_REGIONS: Final = 65536 // REGION_OCTETS
SLICE: Final = 1 << 14  # octets at once, chosen

DEVICE: Final = 0x7010
IDETIM, SIDETIM = 0x40, 0x44  # §2.3.9, §2.3.10
IDETIM_DECODE: Final = 0x8000


class Master(EightBit):
    """One channel's registers."""

    def __init__(self, channel: Channel, dma: Dma) -> None:
        self._channel = channel
        self._dma = dma
        self.command = 0
        self.status = 0
        self.table = 0
        self.allowed: Callable[[], bool] = lambda: True
        channel.interrupted = self._interrupted
        channel.wants_dma = self._go

    def _interrupted(self) -> None:
        self.status |= STATUS_INTERRUPT

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        match offset:
            case 0:
                return self.command
            case 2:
                return self.status
            case 4 | 5 | 6 | 7:
                return self.table >> 8 * (offset - TABLE) & 0xFF
            case 1 | 3:
                return 0
            case _:
                return ALL_ONES

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        match offset:
            case 0:
                self._command(value)
            case 2:
                self.status &= ~(value & (STATUS_ERROR | STATUS_INTERRUPT)) & ~STATUS_KEPT
                self.status |= value & STATUS_KEPT
            case 4 | 5 | 6 | 7:
                shift = 8 * (offset - TABLE)
                self.table = self.table & ~(0xFF << shift) | (value & (0xFC if offset == TABLE else 0xFF)) << shift

    def _command(self, value: int) -> None:
        before, self.command = self.command, value & (COMMAND_START | COMMAND_READ)
        if value & ~before & COMMAND_START:
            self.status |= STATUS_ACTIVE
            self._go()
        elif not value & COMMAND_START:
            self.status &= ~STATUS_ACTIVE

    def _go(self) -> None:
        """Move everything, if both sides are ready."""
        transfer = self._channel.dma_waits
        drive = self._channel.drive
        if transfer is None or drive is None or not self.command & COMMAND_START or not self.allowed():
            return
        try:
            self._move(inward=transfer.inward, left=transfer.total - transfer.done)
        except DmaFault:
            self.status |= STATUS_ERROR
            self.status &= ~STATUS_ACTIVE
            drive.dma_failed()
        self._channel.update()

    def _move(self, *, inward: bool, left: int) -> None:
        drive, dma = self._channel.drive, self._dma
        assert drive is not None
        if inward != bool(self.command & COMMAND_READ):
            raise DmaFault("the wrong direction")
        at = self.table
        for _ in range(MOST_REGIONS):
            region = dma.read(at, REGION_OCTETS)
            address = int.from_bytes(region[:4], "little") & ~1
            octets = int.from_bytes(region[4:6], "little") & ~1 or 0x10000
            is_last = bool(region[7] & 0x80)
            while octets and left:
                part = min(octets, left, SLICE)
                if inward:
                    data = drive.dma_read(part)
                    if not data:  # the medium failed: the drive has ended its command
                        self.status &= ~STATUS_ACTIVE
                        return
                    dma.write(address, data)
                    part = len(data)
                elif not drive.dma_write(dma.read(address, part)):
                    self.status &= ~STATUS_ACTIVE
                    return
                address, octets, left = address + part, octets - part, left - part
            if not left:
                if is_last and not octets:
                    self.status &= ~STATUS_ACTIVE  # otherwise: the table has room for more (clause 3.1)
                drive.dma_end()
                return
            if is_last:
                break
            at = at & ~0xFFFF | at + REGION_OCTETS & 0xFFFF
        # the table is shorter than the command: the drive goes on wanting, until it is reset
        self.status &= ~STATUS_ACTIVE

    def state(self) -> State:
        """Its registers."""
        return {"command": self.command, "status": self.status, "table": self.table}

    def from_state(self, state: object) -> None:
        """As `Device.from_state`."""
        for name, most in (("command", 0x09), ("status", 0x67), ("table", 0xFFFFFFFC)):
            value = take(state, name, int)
            if not 0 <= value <= most:
                raise SnapshotError(f"snapshot: bus master: {name} is {value:#x}")
            setattr(self, name, value)


class BusMasterPorts:
    """Base register 4: 8 ports for each channel."""

    def __init__(self, masters: Sequence[Master]) -> None:
        self.masters = masters

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        return self.masters[offset >> 3 & 1].read(offset & 7, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        self.masters[offset >> 3 & 1].write(offset & 7, size, value)


class Piix3Ide(PciFunction):
    """Function 1.

    Args:
        channels: the primary and the secondary.
    """

    def __init__(self, name: str = "ide", *, channels: Sequence[Channel], dma: Dma) -> None:
        super().__init__(name, vendor=0x8086, device=DEVICE, class_code=0x010180)
        self.masters = [Master(channel, dma) for channel in channels]
        for master in self.masters:
            master.allowed = lambda: self.is_master
        self.set_config(0x04, 2, 0, writable=0x0005)  # §2.3.3
        self.set_config(0x06, 2, 0x0280, write_1_clears=0x3800)
        self.set_config(IDETIM, 4, IDETIM_DECODE << 16 | IDETIM_DECODE, writable=0xFFFFFFFF)
        self.set_config(SIDETIM, 1, 0, writable=0xFF)
        self.add_bar(4, 16, BusMasterPorts(self.masters), io=True)

    def state(self) -> State:
        """As `Device.state`."""
        return super().state() | {"masters": [master.state() for master in self.masters]}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        super().from_state(state)
        masters = take(state, "masters", list)
        if len(masters) != len(self.masters):
            raise SnapshotError("snapshot: bus masters")
        for master, saved in zip(self.masters, masters, strict=True):
            master.from_state(saved)
