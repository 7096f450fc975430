"""Apple's Heathrow mac-io chip: one PCI function with everything that a Macintosh has on its board.

References: Apple, "Macintosh Technology in the Common Hardware Reference Platform" (1995), chapter 7 (addresses); Linux
arch/powerpc/include/asm/heathrow.h (feature registers); the device tree that OpenBIOS makes for it. Boards: mac.

Base register 0, 512 KiB:

| offset | what |
|---|---|
| 0x00010 | interrupt controller (`emulators.devices.intc.heathrow`) |
| 0x00034 | media bay control, feature control, auxiliary control: kept |
| 0x08000 | DMA channels (`dbdma`), 0x100 each |
| 0x12000, 0x13000 | serial controller (`emulators.devices.serial.escc`), old and new layout |
| 0x16000 | CUDA (`cuda`), a register every 0x200 |
| 0x20000, 0x21000 | IDE channels (`ide`) |
| 0x60000 | non-volatile memory (`nvram`) |

Not emulated: the effect of feature bits (clocks, resets and power of the parts), the sound chip, SCSI, the floppy
controller, BMAC.

| threat | stopped by |
|---|---|
| accesses where nothing is | zeros, counted by the chip's own bus |
"""

from collections.abc import Mapping
from typing import Final

from emulators.bus import Bus, Registers
from emulators.device import State
from emulators.devices.pci.config import PciFunction
from emulators.snapshot import SnapshotError, take

VENDOR, DEVICE, CLASS = 0x106B, 0x0010, 0xFF0000
OCTETS: Final = 0x80000

FEATURES, FEATURE_OCTETS = 0x34, 0x10
"""asm/heathrow.h: HEATHROW_MBCR 0x34, HEATHROW_FCR 0x38, HEATHROW_AUX_CNTL_REG 0x3C, and one behind them."""
PIC, DMA, ESCC_OLD, ESCC, CUDA, IDE, NVRAM = 0x10, 0x8000, 0x12000, 0x13000, 0x16000, (0x20000, 0x21000), 0x60000
CUDA_OCTETS, CUDA_SPACING = 0x2000, 9


class Heathrow(PciFunction):
    """The chip.

    Args:
        parts: registers by their offset, each with its size and name.
    """

    def __init__(self, parts: Mapping[int, tuple[int, Registers, str]]) -> None:
        super().__init__("mac-io", vendor=VENDOR, device=DEVICE, class_code=CLASS, pin=1)
        self.chip = Bus(lambda address, size: 0)
        self.features = bytearray(FEATURE_OCTETS)
        for offset, (size, part, name) in parts.items():
            # a part sees its own offsets; the interrupt controller those of the chip
            self.chip.map(offset, size, part, name=name, offset=offset if offset == PIC else 0)
        self.chip.map(FEATURES, FEATURE_OCTETS, _Kept(self.features), name="features")
        self.add_bar(0, OCTETS, self.chip)

    def state(self) -> State:
        """As `Device.state`."""
        return super().state() | {"features": bytes(self.features)}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        super().from_state(state)
        features = take(state, "features", bytes)
        if len(features) != FEATURE_OCTETS:
            raise SnapshotError("snapshot: mac-io: feature registers")
        self.features[:] = features


class _Kept:
    """Registers that keep what is written."""

    def __init__(self, octets: bytearray) -> None:
        self._octets = octets

    def read(self, offset: int, size: int) -> int:
        return int.from_bytes(self._octets[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        self._octets[offset : offset + size] = value.to_bytes(size, "little")


class Spread:
    """Registers of eight bits that lie apart.

    Args:
        device: the part.
        places: offset here → the part's register; what is not named reads 0.
    """

    def __init__(self, device: Registers, places: Mapping[int, int]) -> None:
        self._device = device
        self._places = dict(places)

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`: the register's octet comes first."""
        register = self._places.get(offset)
        return 0 if register is None else self._device.read(register, 1)

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        register = self._places.get(offset)
        if register is not None:
            self._device.write(register, 1, value & 0xFF)


ESCC_OLD_PLACES: Final = {0x0: 0, 0x2: 2, 0x4: 1, 0x6: 3}
ESCC_PLACES: Final = {0x00: 0, 0x10: 1, 0x20: 2, 0x30: 3}
CUDA_PLACES: Final = {register << CUDA_SPACING: register for register in range(16)}
"""Registers by their places: of the serial controller control and data of B, then of A."""
