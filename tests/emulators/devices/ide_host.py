"""A driver of IDE channels for tests: task files, PIO, packets, and tables of the bus master."""

import struct

from emulators.devices.ata.atapi import CdRom
from emulators.devices.ata.busmaster import Piix3Ide
from emulators.devices.ata.channel import CONTROL, Channel
from emulators.devices.ata.disk import AtaDisk
from emulators.devices.ata.drive import BSY, DRQ, ERR, Drive
from emulators.dma import Dma
from emulators.outside import DiskEnd, MemoryDisk
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.registers import Line

SECTOR = 512
START, TO_MEMORY = 1, 8
TABLE = 0x8000


def contents(octets: int) -> bytes:
    """Every sector says its number."""
    return b"".join(struct.pack("<Q", sector) * 64 for sector in range(octets // SECTOR))


class Host:
    """A channel with a disk and a CD-ROM, and its bus master."""

    def __init__(self, disk: DiskEnd | None = None, disc: DiskEnd | None = None) -> None:
        self.disk = MemoryDisk(contents(4 << 20)) if disk is None else disk
        self.disc = MemoryDisk(contents(1 << 20), readonly=True) if disc is None else disc
        self.memory = GuestMemory()
        self.line = Line()
        self.channel = self.make()
        self.ide = self.make_ide(self.channel)
        self.ide.config_write(4, 2, 5)

    def make(self) -> Channel:
        drives: tuple[Drive, Drive] = (AtaDisk(self.disk, serial="1"), CdRom(self.disc, serial="2"))
        return Channel(irq=self.line, drives=drives)

    def make_ide(self, channel: Channel) -> Piix3Ide:
        return Piix3Ide(channels=(channel, Channel(irq=Line())), dma=Dma(self.memory))

    @property
    def master(self) -> int:
        """The bus master's status."""
        return self.ide.bars[0].device.read(2, 1)

    def put(self, *values: int, device: int = 0xE0) -> None:
        """Features, count, LBA low, mid, high."""
        self.channel.write(6, 1, device)
        for register, value in enumerate(values, 1):
            self.channel.write(register, 1, value)

    def command(self, code: int, lba: int = 0, count: int = 1, *, features: int = 0) -> int:
        """A 28-bit command for the disk; its status, without looking at the interrupt."""
        device = 0xE0 | lba >> 24
        self.put(features, count & 0xFF, lba & 0xFF, lba >> 8 & 0xFF, lba >> 16 & 0xFF, device=device)
        self.channel.write(7, 1, code)
        return self.channel.read(CONTROL, 1)

    def command_48(self, code: int, lba: int, count: int) -> int:
        for shift in (24, 0):
            octets = [lba >> shift & 0xFF, lba >> shift + 8 & 0xFF, lba >> shift + 16 & 0xFF]
            self.put(0, count >> (8 if shift else 0) & 0xFF, *octets)
        self.channel.write(7, 1, code)
        return self.channel.read(CONTROL, 1)

    def take(self, octets: int) -> bytes:
        """From the data register, a DRQ block at a time, each with its interrupt."""
        return self.channel.read_string(0, 2, octets // 2)

    def status(self) -> int:
        """Reading it answers the interrupt."""
        return self.channel.read(7, 1)

    def packet(self, *octets: int, limit: int = 0xFFFE, dma: bool = False) -> int:
        """A packet for the CD-ROM; the status behind it."""
        self.put(int(dma), 0, 0, limit & 0xFF, limit >> 8, device=0xB0)
        self.channel.write(7, 1, 0xA0)
        assert self.channel.read(CONTROL, 1) & (DRQ | BSY | ERR) == DRQ
        assert self.channel.read(2, 1) & 3 == 1  # C/D, to the drive
        self.channel.write_string(0, 2, bytes(octets).ljust(12, b"\0"))
        return self.channel.read(CONTROL, 1)

    def answer(self) -> bytes:
        """All that the packet brings, by PIO."""
        data = b""
        while self.channel.read(CONTROL, 1) & DRQ:
            assert self.line.level
            self.status()
            assert self.channel.read(2, 1) & 3 == 2
            octets = self.channel.read(4, 1) | self.channel.read(5, 1) << 8
            data += self.take(octets + 1 & ~1)[:octets]
        assert self.channel.read(2, 1) & 3 == 3
        return data

    def sense(self) -> tuple[int, int, int]:
        """REQUEST SENSE: key, code, qualifier."""
        self.packet(3, 0, 0, 0, 18)
        data = self.answer()
        return data[2], data[12], data[13]

    def table(self, *regions: tuple[int, int], end: bool = True) -> None:
        """Regions: address, octets (0: 64 KiB)."""
        last = len(regions) - 1
        for number, (address, octets) in enumerate(regions):
            flag = 0x8000 if end and number == last else 0
            self.memory.write(TABLE + 8 * number, struct.pack("<IHH", address, octets & 0xFFFF, flag))
        self.ide.bars[0].device.write(4, 4, TABLE)
        self.ide.bars[0].device.write(2, 1, 6)

    def start(self, *, to_memory: bool) -> None:
        """The bus master goes."""
        self.ide.bars[0].device.write(0, 1, TO_MEMORY * to_memory)
        self.ide.bars[0].device.write(0, 1, TO_MEMORY * to_memory | START)

    def stop(self) -> None:
        """The bus master stops."""
        self.ide.bars[0].device.write(0, 1, 0)
