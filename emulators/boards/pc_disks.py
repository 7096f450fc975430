"""The PC's drive bays: two IDE channels, a floppy controller with two drives, and the DMA controllers.

Hard disks take the first free of primary master, primary slave, secondary master, secondary slave; CD-ROMs begin with
the secondary master. IDE and DMA controllers are always there, the floppy controller only with a disk: without one,
drivers would wait for drives that do not answer.
"""

from typing import Final

from emulators.boards.pc_chipset import CMOS_EQUIPMENT, IRQ_FLOPPY, SOUTH_BRIDGE, Chipset
from emulators.devices.ata.atapi import CdRom
from emulators.devices.ata.busmaster import Piix3Ide
from emulators.devices.ata.channel import CONTROL, Channel
from emulators.devices.ata.disk import AtaDisk
from emulators.devices.ata.drive import Drive
from emulators.devices.ata.mmc import SECTOR as CD_SECTOR
from emulators.devices.dma import i8237
from emulators.devices.floppy import media
from emulators.devices.floppy.fdc import Fdc
from emulators.outside import DiskEnd
from vde.errors import ConfigError

FIXED_MODELS: Final = ("ide", "cdrom", "floppy")
"""What does not go into a PCI slot."""
CHANNELS: Final = ((0x1F0, 0x3F6, 14), (0x170, 0x376, 15))
"""Command block, control port, interrupt (PIIX3 §2.6)."""
PLACES: Final = {"ide": (0, 1, 2, 3), "cdrom": (2, 3, 1, 0)}
FLOPPY, FLOPPY_END, FLOPPY_DIR = 0x3F0, 0x3F6, 0x3F7
MOST_FLOPPIES: Final = 2
IDE_FUNCTION: Final = 1
CMOS_FLOPPIES: Final = 0x10
EQUIPMENT_FLOPPY, EQUIPMENT_SECOND = 0x01, 0x40


class Bays:
    """Drives by their places; `connect` when all are known."""

    def __init__(self, chipset: Chipset) -> None:
        self._chipset = chipset
        self._drives: dict[int, Drive] = {}
        self._floppies: list[DiskEnd] = []

    def add(self, index: int, model: str, disk: DiskEnd) -> None:
        """One more.

        Raises:
            ConfigError: there is no bay for it, or its size is not that of such a disk.
        """
        if model == "floppy":
            if len(self._floppies) == MOST_FLOPPIES:
                raise ConfigError(f"pc: disk {index}: at most {MOST_FLOPPIES} floppy disks")
            if media.find(disk.size_octets) is None:
                formats = ", ".join(f"{form.name} ({form.octets})" for form in media.FORMATS)
                raise ConfigError(
                    f"pc: disk {index}: no floppy disk has {disk.size_octets} octets; one of {formats} was expected"
                )
            self._floppies.append(disk)
            return
        place = next((place for place in PLACES[model] if place not in self._drives), None)
        if place is None:
            raise ConfigError(f"pc: disk {index}: at most 4 IDE disks and CD-ROMs; others as virtio")
        serial = f"VDE{index:05}"
        if model == "ide":
            self._drives[place] = AtaDisk(disk, serial=serial)
            return
        if disk.size_octets % CD_SECTOR:
            raise ConfigError(
                f"pc: disk {index}: {disk.size_octets} octets: a CD-ROM has whole sectors of {CD_SECTOR}: truncated?"
            )
        self._drives[place] = CdRom(disk, serial=serial)

    def connect(self) -> None:
        """Controllers, ports and lines."""
        chipset = self._chipset
        channels = []
        for number, (command, control, irq) in enumerate(CHANNELS):
            channel = Channel(
                irq=chipset.irq(irq), drives=(self._drives.get(2 * number), self._drives.get(2 * number + 1))
            )
            name = f"ide{number}"
            chipset.io.map(command, 8, channel, name=name)
            chipset.io.map(control, 1, channel, name=f"{name} control", offset=CONTROL)
            chipset.devices[name] = channel
            channels.append(channel)
        chipset.plug(Piix3Ide(channels=channels, dma=chipset.dma), SOUTH_BRIDGE, IDE_FUNCTION)
        dma = i8237.I8237Pair(dma=chipset.dma)
        chipset.io.map(0x00, 16, dma, name="i8237")
        chipset.io.map(0xC0, 32, dma, name="i8237 (second)", offset=i8237.SECOND)
        chipset.io.map(0x81, 15, dma, name="dma pages", offset=i8237.PAGES)
        chipset.devices["i8237"] = dma
        if self._floppies:
            self._connect_floppies(dma)

    def _connect_floppies(self, dma: i8237.I8237Pair) -> None:
        chipset = self._chipset
        fdc = Fdc(irq=chipset.irq(IRQ_FLOPPY), dma=dma, disks=self._floppies)
        chipset.io.map(FLOPPY, FLOPPY_END - FLOPPY, fdc, name="fdc")
        chipset.io.map(FLOPPY_DIR, 1, fdc, name="fdc (dir)", offset=FLOPPY_DIR - FLOPPY)
        chipset.devices["fdc"] = fdc
        kinds = [bay.format.drive for bay in fdc.bays if bay.format is not None]
        chipset.cmos[CMOS_FLOPPIES] = kinds[0] << 4 | (kinds[1] if len(kinds) > 1 else 0)
        chipset.cmos[CMOS_EQUIPMENT] |= EQUIPMENT_FLOPPY | (EQUIPMENT_SECOND if len(kinds) > 1 else 0)
