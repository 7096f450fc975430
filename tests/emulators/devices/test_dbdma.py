"""DBDMA channels and the mac-io IDE channel behind one: programs, conditions, disks, and programs that are wrong."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.ata.atapi import CdRom
from emulators.devices.ata.channel import Channel as AtaChannel
from emulators.devices.ata.disk import AtaDisk
from emulators.devices.macio.dbdma import ACTIVE, DEAD, RUN, Channel, Dbdma
from emulators.devices.macio.ide import MacIde
from emulators.dma import Dma
from emulators.outside import MemoryDisk
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

CONTROL, STATUS, POINTER, INTERRUPT, BRANCH, WAIT = 0x00, 0x04, 0x0C, 0x10, 0x14, 0x18
OUT_MORE, OUT_LAST, IN_MORE, IN_LAST, STORE, LOAD, NOP, STOP = range(8)
SYSTEM = 6
FIRST = 0xB00


class Bench:
    """One IDE channel with a disk and a CD-ROM, its DMA channel, and memory."""

    def __init__(self) -> None:
        self.memory = GuestMemory(1 << 20)
        self.disk = MemoryDisk(bytes(range(256)) * 2 * 64)
        self.cd = MemoryDisk(b"CD" * 1024 * 16)
        self.line, self.dma_line = Line(), Line()
        self.ide, self.dma = self.make()

    def make(self) -> tuple[MacIde, Dbdma]:
        drives = (AtaDisk(self.disk, serial="1"), CdRom(self.cd, serial="2"))
        ide = MacIde(AtaChannel(irq=self.line, drives=drives))
        channel = Channel(unit=ide, irq=self.dma_line, dma=Dma(self.memory))
        ide.wake = channel.wake
        return ide, Dbdma({11: channel})

    @property
    def channel(self) -> Channel:
        return self.dma.channels[11]

    def program(self, at: int, *commands: tuple[int, int, int, int]) -> None:
        """(operation word, count, address, what depends)."""
        for index, (operation, count, address, more) in enumerate(commands):
            self.memory.write(at + 16 * index, struct.pack("<HHIIHH", count, operation, address, more, 0, 0))

    def run(self, at: int) -> None:
        self.dma.write(FIRST + POINTER, 4, at)
        self.dma.write(FIRST + CONTROL, 4, (RUN << 16) | RUN)

    @property
    def status(self) -> int:
        return self.dma.read(FIRST + STATUS, 4)

    def residue(self, at: int) -> tuple[int, int]:
        left, status = struct.unpack("<HH", self.memory.read(at + 12, 4))
        return left, status

    def ata(self, command: int, *, sector: int = 0, count: int = 1, device: int = 0xE0) -> None:
        for index, value in ((6, device), (2, count), (3, sector), (4, 0), (5, 0), (7, command)):
            self.ide.write(index << 4, 1, value)


def op(code: int, *, key: int = 0, interrupt: int = 0, branch: int = 0, wait: int = 0) -> int:
    return code << 12 | key << 8 | interrupt << 4 | branch << 2 | wait


def test_words_and_branches() -> None:
    bench = Bench()
    bench.memory.write(0x4000, b"\x11\x22\x33\x44")
    bench.program(
        0x1000,
        (op(LOAD, key=SYSTEM), 4, 0x4000, 0),
        (op(STORE, key=SYSTEM), 2, 0x4010, 0xAABBCCDD),
        (op(NOP, branch=3), 0, 0, 0x2000),
        (op(STORE, key=SYSTEM), 4, 0x4010, 0),
        (op(STOP), 0, 0, 0),
    )
    bench.program(0x2000, (op(NOP, interrupt=3), 0, 0, 0), (op(STOP), 0, 0, 0))
    bench.run(0x1000)
    assert bench.memory.read(0x1008, 4) == b"\x11\x22\x33\x44"
    assert bench.memory.read(0x4010, 4) == b"\xdd\xcc\x00\x00"
    assert bench.dma_line.rises == 1
    assert bench.status & (RUN | ACTIVE | DEAD) == RUN
    assert bench.dma.read(FIRST + POINTER, 4) == 0x2010
    assert bench.residue(0x1020)[1] & 0x0100  # it branched


def test_conditions_look_at_the_status() -> None:
    bench = Bench()
    bench.dma.write(FIRST + BRANCH, 4, 0x00010001)
    bench.program(0x1000, (op(NOP, branch=1), 0, 0, 0x2000), (op(STOP), 0, 0, 0))
    bench.program(0x2000, (op(STOP), 0, 0, 0))
    bench.run(0x1000)
    assert bench.dma.read(FIRST + POINTER, 4) == 0x1010
    bench.dma.write(FIRST + CONTROL, 4, RUN << 16)
    bench.dma.write(FIRST + CONTROL, 4, 0x00010001)
    bench.run(0x1000)
    assert bench.dma.read(FIRST + POINTER, 4) == 0x2000


def test_waiting_until_the_host_writes() -> None:
    bench = Bench()
    bench.dma.write(FIRST + WAIT, 4, 0x00010001)
    bench.program(0x1000, (op(NOP, wait=2), 0, 0, 0), (op(STOP), 0, 0, 0))
    bench.run(0x1000)
    assert bench.status & ACTIVE
    assert bench.dma.read(FIRST + POINTER, 4) == 0x1000
    bench.dma.write(FIRST + CONTROL, 4, 0x00010001)
    assert bench.dma.read(FIRST + POINTER, 4) == 0x1010
    assert not bench.status & ACTIVE


def test_a_stopped_channel_wakes() -> None:
    bench = Bench()
    bench.program(0x1000, (op(STOP), 0, 0, 0), (op(STOP), 0, 0, 0))
    bench.run(0x1000)
    bench.program(0x1000, (op(NOP, interrupt=3), 0, 0, 0))
    bench.dma.write(FIRST + CONTROL, 4, 0x10001000)
    assert bench.dma_line.rises == 1


def test_a_disk_is_read_and_written() -> None:
    bench = Bench()
    bench.program(
        0x1000, (op(IN_MORE), 0x300, 0x8000, 0), (op(IN_LAST, interrupt=3), 0x100, 0x9000, 0), (op(STOP), 0, 0, 0)
    )
    bench.run(0x1000)
    assert bench.status & ACTIVE  # waits for the drive
    bench.ata(0xC8, sector=2, count=2)
    assert bench.memory.read(0x8000, 0x300) + bench.memory.read(0x9000, 0x100) == bytes(range(256)) * 4
    assert bench.line.level
    assert bench.dma_line.rises == 1
    assert bench.residue(0x1010)[0] == 0
    assert bench.ide.read(0x70, 1) == 0x50
    assert not bench.line.level

    bench.memory.write(0x8000, b"new!" * 128)
    bench.dma.write(FIRST + CONTROL, 4, RUN << 16)
    bench.program(0x1000, (op(OUT_LAST), 0x200, 0x8000, 0), (op(STOP), 0, 0, 0))
    bench.ata(0xCA, sector=5)
    assert not bench.line.level
    bench.run(0x1000)
    assert bench.line.level
    assert bench.disk.contents[5 * 512 : 6 * 512] == b"new!" * 128


def test_a_command_longer_than_the_transfer_waits() -> None:
    bench = Bench()
    bench.program(0x1000, (op(IN_LAST), 0x400, 0x8000, 0), (op(STOP), 0, 0, 0))
    bench.run(0x1000)
    bench.ata(0xC8)
    assert bench.line.level
    assert bench.status & ACTIVE
    assert bench.channel.state()["left"] == 0x200
    bench.dma.write(FIRST + CONTROL, 4, RUN << 16)
    assert not bench.status & ACTIVE


def test_a_disc_by_packets() -> None:
    bench = Bench()
    for _ in range(2):  # the first command fails: unit attention
        bench.ide.write(0x60, 1, 0x10)
        bench.ide.write(0x10, 1, 1)  # by DMA
        bench.ide.write(0x70, 1, 0xA0)
        packet = bytes((0x28, 0, 0, 0, 0, 3, 0, 0, 2, 0, 0, 0))
        for at in range(0, 12, 2):
            bench.ide.write(0, 2, int.from_bytes(packet[at : at + 2], "little"))
    bench.program(0x1000, (op(IN_LAST), 4096, 0x8000, 0), (op(STOP), 0, 0, 0))
    bench.run(0x1000)
    assert bench.memory.read(0x8000, 4096) == b"CD" * 2048
    assert not bench.status & ACTIVE


def test_data_by_hand_are_in_the_order_of_the_medium() -> None:
    bench = Bench()
    bench.ata(0x20, sector=1)
    first, second = bench.ide.read(0, 2), bench.ide.read(0, 4)
    assert first.to_bytes(2, "little") + second.to_bytes(4, "little") == bytes(range(6))
    assert bench.ide.read(0x160, 1) == 0x58
    bench.ide.write(0x200, 4, 0x12345678)
    assert bench.ide.read(0x202, 2) == 0x1234


@pytest.mark.parametrize(
    "commands",
    [
        [(op(NOP, branch=3), 0, 0, 0x1000)],  # no end
        [(op(OUT_MORE), 16, 0xFFFFF000, 0)],
        [(op(STORE, key=3), 4, 0, 0)],
        [(op(9), 0, 0, 0)],
        [(op(LOAD, key=SYSTEM), 4, 0xF0000000, 0)],
    ],
)
def test_wrong_programs_are_dead(commands: list[tuple[int, int, int, int]]) -> None:
    bench = Bench()
    bench.ata(0xCA)
    bench.program(0x1000, *commands)
    bench.run(0x1000)
    assert bench.status & (DEAD | ACTIVE) == DEAD
    assert bench.channel.mistakes == 1
    bench.dma.write(FIRST + CONTROL, 4, RUN << 16)
    assert not bench.status & DEAD


def test_a_program_outside_memory_is_dead() -> None:
    bench = Bench()
    bench.run(0xFFFF0000)
    assert bench.status & DEAD


@pytest.mark.fuzz
@given(accesses(0x100, widths=(4,)), st.lists(st.tuples(*[st.integers(0, 0xFFFF)] * 2), min_size=1, max_size=8))
def test_any_program_is_harmless(operations: list[Access], commands: list[tuple[int, int]]) -> None:
    bench = Bench()
    bench.program(0, *((operation, count, count * 8, operation & 0x70) for operation, count in commands))
    bench.ata(0xC8, count=16)
    bench.dma.write(FIRST + CONTROL, 4, (RUN << 16) | RUN)
    shifted = [(what, FIRST + (offset & ~3), width, value) for what, offset, width, value in operations]
    exercise(bench.dma, Timeline(), 0x2000, shifted, seconds=5)
    moved(bench.dma, lambda: bench.make()[1])
    moved(bench.ide, lambda: bench.make()[0])
