"""An IDE channel of a mac-io chip: an ATA channel with its registers 16 addresses apart, served by DBDMA.

Reference: Linux drivers/ata/pata_macio.c (layout and timing register). Boards: mac.

Offsets: 0x000 data (2 or 4 octets, in the order of the medium), 0x010 … 0x070 the command block, 0x160 (and 0x080,
where OpenBIOS has them) device control and alternate status, 0x200 timing (kept; nothing here takes time). The drives
are those of `emulators.devices.ata`.

Not emulated: the interrupt register of KeyLargo, the reset lines in the chip's feature register.

| threat | stopped by |
|---|---|
| the DMA channel asks for more than the drive has | it waits, as the chip does, until it is stopped |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import State
from emulators.devices.ata.channel import CONTROL, Channel
from emulators.snapshot import take, take_int, take_version

WINDOW: Final = 0x1000
SPACING: Final = 4
CONTROL_INDICES, TIMING = (0x16, 0x08), 0x200


class MacIde:
    """The registers, and the unit that a DBDMA channel serves.

    Args:
        channel: the drives and their task file.

    Attributes:
        wake: the DMA channel's: the drive has data for it, or wants some.
    """

    timed = False

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.timing = 0
        self.mistakes = 0
        self.wake: Callable[[], None] = lambda: None
        channel.wants_dma = lambda: self.wake()

    # -- the host

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        index, lane = offset >> SPACING, offset & 0xF
        if index == 0 and not lane:
            return int.from_bytes(self.channel.read_string(0, size, 1), "little")
        if 1 <= index <= 7 and not lane:
            return self.channel.read(index, 1)
        if index in CONTROL_INDICES and not lane:
            return self.channel.read(CONTROL, 1)
        if offset >= TIMING and offset + size <= TIMING + 4:
            return self.timing >> 8 * (offset - TIMING) & (1 << 8 * size) - 1
        self.mistakes += 1
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        index, lane = offset >> SPACING, offset & 0xF
        if index == 0 and not lane:
            self.channel.write_string(0, size, value.to_bytes(size, "little"))
        elif 1 <= index <= 7 and not lane:
            self.channel.write(index, 1, value & 0xFF)
        elif index in CONTROL_INDICES and not lane:
            self.channel.write(CONTROL, 1, value & 0xFF)
        elif offset >= TIMING and offset + size <= TIMING + 4:
            mask = (1 << 8 * size) - 1 << 8 * (offset - TIMING)
            self.timing = self.timing & ~mask | value << 8 * (offset - TIMING) & mask
        else:
            self.mistakes += 1

    # -- the DMA channel

    def give(self, octets: int) -> bytes | None:
        """As `dbdma.Unit.give`."""
        transfer, drive = self.channel.dma_waits, self.channel.drive
        if transfer is None or drive is None or not transfer.inward:
            return None
        data = drive.dma_read(min(octets, transfer.total - transfer.done))
        if data and transfer.done >= transfer.total:
            drive.dma_end()
        self.channel.update()
        return data or None

    def accept(self, octets: int) -> int | None:
        """As `dbdma.Unit.accept`."""
        transfer = self.channel.dma_waits
        if transfer is None or transfer.inward:
            return None
        return min(octets, transfer.total - transfer.done)

    def put(self, data: bytes) -> None:
        """As `dbdma.Unit.put`."""
        transfer, drive = self.channel.dma_waits, self.channel.drive
        assert transfer is not None
        assert drive is not None
        if drive.dma_write(data) and transfer.done >= transfer.total:
            drive.dma_end()
        self.channel.update()

    # -- the rest of a device

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "timing": self.timing, "mistakes": self.mistakes, "channel": self.channel.state()}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self.timing = take_int(state, "timing", 0xFFFFFFFF)
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        self.channel.from_state(take(state, "channel", dict))
