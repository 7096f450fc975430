import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.dma.i8237 import PAGES, SECOND, I8237Pair
from emulators.devices.floppy import media
from emulators.devices.floppy.fdc import Bay, Fdc
from emulators.dma import Dma
from emulators.outside import MemoryDisk
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.ide_host import contents
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

OCTETS = 1474560
BUFFER = 0x28000
"""The transfer crosses no 64 KiB."""
DOR, MSR, FIFO, DIR, CCR = 2, 4, 5, 7, 7
TO_MEMORY, FROM_MEMORY = 0x46, 0x4A


class Bench:
    """A controller that was reset, its interrupts asked for, as a driver does."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.memory = GuestMemory()
        self.line = Line()
        self.disk = MemoryDisk(contents(OCTETS)) if disk is None else disk
        self.dma = I8237Pair(dma=Dma(self.memory))
        self.fdc = self.make()
        self.fdc.write(DOR, 1, 0)
        self.fdc.write(DOR, 1, 0x1C)
        assert self.line.level
        for drive in range(4):
            assert self.command(8)[0] == 0xC0 | drive
        assert not self.line.level
        self.fdc.write(CCR, 1, 0)
        self.command(3, 0xAF, 0x02)

    def make(self) -> Fdc:
        return Fdc(irq=self.line, dma=self.dma, disks=[self.disk])

    def command(self, *octets: int) -> list[int]:
        for value in octets:
            assert self.fdc.read(MSR, 1) & 0xC0 == 0x80
            self.fdc.write(FIFO, 1, value)
        return self.results()

    def results(self) -> list[int]:
        answer = []
        while self.fdc.read(MSR, 1) & 0xD0 == 0xD0:
            answer.append(self.fdc.read(FIFO, 1))
        return answer

    def program(self, mode: int, octets: int, *, address: int = BUFFER, unmask: bool = True) -> None:
        for offset, value in (
            (10, 6),
            (12, 0),
            (11, mode),
            (4, address & 0xFF),
            (4, address >> 8 & 0xFF),
            (PAGES, address >> 16),
            (12, 0),
            (5, octets - 1 & 0xFF),
            (5, octets - 1 >> 8),
        ):
            self.dma.write(offset, 1, value)
        if unmask:
            self.dma.write(10, 1, 2)

    def seek(self, track: int) -> None:
        self.command(0x0F, 0, track)
        assert self.line.level
        assert self.command(8) == [0x20, track]

    def read(self, track: int, head: int, sector: int, sectors: int, *, last: int = 18) -> list[int]:
        self.program(TO_MEMORY, 512 * sectors)
        return self.command(0xE6, head << 2, track, head, sector, 2, last, 0x1B, 0xFF)


def at(track: int, head: int, sector: int) -> int:
    return ((track * 2 + head) * 18 + sector - 1) * 512


def test_a_track_of_both_sides_by_dma() -> None:
    bench = Bench()
    bench.seek(5)
    assert bench.read(5, 0, 1, 36) == [0, 0, 0, 6, 0, 1, 2]
    assert bench.memory.octets[BUFFER : BUFFER + 36 * 512] == bench.disk.contents[at(5, 0, 1) : at(6, 0, 1)]


def test_a_read_ends_at_the_terminal_count() -> None:
    bench = Bench()
    bench.seek(3)
    assert bench.read(3, 1, 4, 2) == [4, 0, 0, 3, 1, 6, 2]
    assert bench.memory.octets[BUFFER : BUFFER + 1024] == bench.disk.contents[at(3, 1, 4) : at(3, 1, 6)]
    assert bench.memory.octets[BUFFER + 1024 :] == bytes(len(bench.memory.octets) - BUFFER - 1024)
    assert bench.dma.read(8, 1) & 4
    assert bench.dma.read(15, 1) & 4  # masked again


def test_without_a_terminal_count_the_end_of_the_track_is_one() -> None:
    bench = Bench()
    bench.seek(0)
    bench.program(TO_MEMORY, 0x10000 - (BUFFER & 0xFFFF))
    results = bench.command(0x46, 0, 0, 0, 17, 2, 18, 0x1B, 0xFF)
    assert results == [0x40, 0x80, 0, 1, 0, 1, 2]
    assert bench.memory.octets[BUFFER : BUFFER + 1024] == bench.disk.contents[at(0, 0, 17) : at(0, 1, 1)]


def test_write_verify_and_format() -> None:
    bench = Bench()
    bench.seek(2)
    bench.memory.write(BUFFER, b"w" * 1024)
    bench.program(FROM_MEMORY, 1024)
    assert bench.command(0xC5, 4, 2, 1, 9, 2, 18, 0x1B, 0xFF) == [4, 0, 0, 2, 1, 11, 2]
    assert bench.disk.contents[at(2, 1, 9) : at(2, 1, 11)] == b"w" * 1024
    bench.memory.write(BUFFER, bytes(value for sector in range(1, 19) for value in (2, 0, sector, 2)))
    bench.program(FROM_MEMORY, 72)
    assert bench.command(0x4D, 0, 2, 18, 0x50, 0xF6)[:3] == [0, 0, 0]
    assert bench.disk.contents[at(2, 0, 1) : at(2, 1, 1)] == b"\xf6" * 18 * 512
    assert bench.command(0x56, 0, 2, 0, 1, 2, 18, 0x1B, 0xFF)[:3] == [0, 0, 0]


def test_a_read_only_disk_says_so() -> None:
    bench = Bench(MemoryDisk(contents(OCTETS), readonly=True))
    bench.seek(1)
    bench.program(FROM_MEMORY, 512)
    assert bench.command(0x45, 0, 1, 0, 1, 2, 18, 0x1B, 0xFF)[:2] == [0x40, 0x02]
    assert bench.command(4, 0)[0] & 0x40
    assert bench.disk.contents == contents(OCTETS)


@pytest.mark.parametrize(
    ("place", "errors"),
    [((4, 0, 19), (4, 0)), ((4, 0, 0), (4, 0)), ((5, 0, 1), (4, 0x10)), ((4, 2, 1), (4, 0)), ((4, 255, 255), (4, 0))],
)
def test_places_that_the_disk_does_not_have(place: tuple[int, int, int], errors: tuple[int, int]) -> None:
    bench = Bench()
    bench.seek(4)
    results = bench.command(0x46, 0, *place, 2, 255, 0x1B, 0xFF)
    if results == []:  # it waits for the DMA controller
        bench.program(TO_MEMORY, 512)
        results = bench.results()
    assert results[0] & 0xC0 == 0x40
    assert tuple(results[1:3]) == errors


def test_formats_are_told_apart_by_the_data_rate() -> None:
    bench = Bench(MemoryDisk(bytes(737280)))
    assert bench.command(0x4A, 0)[:2] == [0x40, 1]
    bench.fdc.write(CCR, 1, 2)
    assert bench.command(0x4A, 0) == [0, 0, 0, 0, 0, 1, 2]


def test_an_image_may_be_the_beginning_of_a_disk() -> None:
    bench = Bench(MemoryDisk(b"\x55" * 512))
    assert bench.read(0, 0, 1, 2)[0] == 0
    assert bench.memory.octets[BUFFER : BUFFER + 1024] == b"\x55" * 512 + bytes(512)
    assert media.find(OCTETS + 512) is None
    assert media.find(100) is None
    with pytest.raises(ValueError, match="floppy"):
        Bay(MemoryDisk(bytes(OCTETS + 1)))


def test_disk_change_goes_with_a_step() -> None:
    bench = Bench()
    assert bench.fdc.read(DIR, 1) == 0x80
    bench.seek(1)
    assert bench.fdc.read(DIR, 1) == 0
    bench.command(7, 0)
    assert bench.command(8) == [0x20, 0]
    bench.command(7, 1)
    assert bench.command(8)[0] & 0xF0 == 0x70  # there is no drive 1


def test_what_drivers_ask_to_know_the_chip() -> None:
    bench = Bench()
    assert bench.command(0x10) == [0x90]
    assert bench.command(0x94) == [0x10]
    bench.command(0x13, 0, 0x5A, 0)
    assert bench.command(0x0E) == [0, 0, 0, 0, 0xAF, 0x02, 0, 0x80, 0x5A, 0]
    assert bench.command(0x14) == [0]
    assert bench.command(0x18) == [0x80]
    assert bench.command(8) == [0x80]  # nothing to ask about


def test_without_dma_through_the_fifo() -> None:
    bench = Bench()
    bench.command(3, 0xAF, 0x03)
    bench.seek(7)
    for value in (0x46, 0, 7, 0, 17, 2, 18, 0x1B, 0xFF):
        bench.fdc.write(FIFO, 1, value)
    data = bytearray()
    while bench.fdc.read(MSR, 1) & 0x20:
        assert bench.line.level
        data.append(bench.fdc.read(FIFO, 1))
    assert data == bench.disk.contents[at(7, 0, 17) : at(7, 1, 1)]
    assert bench.results() == [0x40, 0x80, 0, 8, 0, 1, 2]
    for value in (0x45, 0, 7, 0, 18, 2, 18, 0x1B, 0xFF):
        bench.fdc.write(FIFO, 1, value)
    for _ in range(512):
        bench.fdc.write(FIFO, 1, 0x77)
    assert bench.results()[:2] == [0x40, 0x80]
    assert bench.disk.contents[at(7, 0, 18) : at(7, 1, 1)] == b"\x77" * 512


def test_a_masked_channel_holds_the_transfer_up() -> None:
    bench = Bench()
    bench.program(TO_MEMORY, 512, unmask=False)
    assert bench.command(0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF) == []
    twin = moved(bench.fdc, bench.make)
    assert isinstance(twin, Fdc)
    bench.fdc = twin
    bench.dma.write(10, 1, 2)
    assert bench.results()[0] == 0


def test_any_number_of_octets_into_the_fifo() -> None:
    """CVE-2015-3456: parameters without end, most of all behind READ ID and an unknown command."""
    for first in range(256):
        bench = Bench(MemoryDisk(contents(5120)))
        bench.fdc.write(FIFO, 1, first)
        for value in range(600):
            bench.fdc.write(FIFO, 1, value & 0xFF)
        moved(bench.fdc, bench.make)
        bench.fdc.write(DOR, 1, 0)
        bench.fdc.write(DOR, 1, 0x1C)
        assert bench.command(0x10) == [0x90]


def test_dma_wraps_in_its_page_and_counts_words_in_the_second_chip() -> None:
    memory = GuestMemory()
    dma = I8237Pair(dma=Dma(memory))
    for offset, value in ((11, 0x46), (12, 0), (4, 0xFE), (4, 0xFF), (5, 3), (5, 0), (PAGES, 1), (10, 2)):
        dma.write(offset, 1, value)
    assert dma.write_memory(2, b"abcdef") == (4, True)
    assert memory.octets[0x1FFFE:0x20000] == b"ab"
    assert memory.octets[0x10000:0x10002] == b"cd"
    for offset, value in ((SECOND + 22, 0x49), (SECOND + 24, 0), (SECOND + 4, 0x00), (SECOND + 4, 0x10)):
        dma.write(offset, 1, value)
    for offset, value in ((SECOND + 6, 1), (SECOND + 6, 0), (PAGES + 0xB - 1, 0x03)):
        dma.write(offset, 1, value)
    assert dma.left(5) == 4
    memory.write(0x22000, b"wxyz")
    assert dma.read_memory(5, 100) == (b"wxyz", True)


def test_dma_backwards_again_and_outside_memory() -> None:
    memory = GuestMemory()
    dma = I8237Pair(dma=Dma(memory))
    for offset, value in ((11, 0x76), (12, 0), (4, 3), (4, 0), (5, 3), (5, 0), (PAGES, 2), (10, 2)):
        dma.write(offset, 1, value)
    assert dma.write_memory(2, b"abcd") == (4, True)
    assert memory.octets[0x20000:0x20004] == b"dcba"
    assert dma.ready(2)  # autoinitialise
    assert dma.left(2) == 4
    dma.write(PAGES, 1, 0xFF)
    assert dma.write_memory(2, b"abcd") == (4, True)
    assert dma.mistakes == 1


@pytest.mark.fuzz
@given(accesses(8, widths=(1, 2)), accesses(63, widths=(1,)))
def test_any_access_is_harmless(operations: list[Access], dma_operations: list[Access]) -> None:
    bench = Bench(MemoryDisk(contents(368640)))
    exercise(bench.dma, Timeline(), 63, dma_operations)
    exercise(bench.fdc, Timeline(), 8, operations)
    exercise(bench.dma, Timeline(), 63, dma_operations)
    moved(bench.fdc, bench.make)
    moved(bench.dma, lambda: I8237Pair(dma=Dma(bench.memory)))


@pytest.mark.fuzz
@given(
    st.lists(
        st.tuples(st.sampled_from((0x06, 0x46, 0xE6, 0xC5, 0x4D, 0x0F, 0x56, 0x08)), st.binary(min_size=8, max_size=8)),
        max_size=12,
    ),
    st.booleans(),
)
def test_any_command_ends(commands: list[tuple[int, bytes]], with_dma: bool) -> None:
    bench = Bench(MemoryDisk(contents(368640)))
    bench.fdc.write(CCR, 1, 2)
    bench.command(3, 0, 0 if with_dma else 1)
    bench.program(TO_MEMORY, 0x1000)
    for code, parameters in commands:
        for value in (code, *parameters):
            if bench.fdc.read(MSR, 1) & 0xC0 == 0x80:
                bench.fdc.write(FIFO, 1, value)
        for _ in range(20000):
            if bench.fdc.read(MSR, 1) & 0xC0 != 0xC0:
                break
            bench.fdc.read(FIFO, 1)
        moved(bench.fdc, bench.make)
