"""uMPS3's disk and flash drive at their registers: times by the platter's turn, DMA, results, saved states."""

from typing import Any

import pytest
from hypothesis import given

from emulators.devices.umps import disk, flash
from emulators.devices.umps.disk import Disk
from emulators.devices.umps.flash import Flash
from emulators.outside import MemoryDisk
from emulators.snapshot import SnapshotError
from tests.emulators.devices.registers import Access, accesses, exercise, moved
from tests.emulators.devices.umps_bench import RAM, Bench, FailingDisk

STATUS, COMMAND, DATA0, DATA1 = 0, 4, 8, 12
BLOCK = 4096
GEOMETRY = disk.Geometry(4, 2, 8, 16_666, 100, 80, 28)
SECTOR = 16_666 // 8
SHARE = SECTOR * 80 // 100
FLASH = flash.Geometry(16, 1000, 12)


def a_disk(bench: Bench, medium: Any = None) -> tuple[Disk, Any]:
    if medium is None:
        blocks = [bytes([number]) * BLOCK for number in range(4 * 2 * 8)]
        medium = MemoryDisk(bytes(28) + b"".join(blocks))
    device = Disk(
        name="disk0", irq=bench.asked.append, events=bench.events, dma=bench.dma, medium=medium, geometry=GEOMETRY
    )
    return device, medium


def a_flash(bench: Bench, medium: Any = None) -> tuple[Flash, Any]:
    if medium is None:
        medium = MemoryDisk(bytes(12) + b"".join(bytes([number]) * BLOCK for number in range(16)))
    device = Flash(
        name="flash0", irq=bench.asked.append, events=bench.events, dma=bench.dma, medium=medium, geometry=FLASH
    )
    return device, medium


def does(bench: Bench, device: Disk | Flash, command: int, address: int = RAM) -> tuple[int, int]:
    """(result, ticks)."""
    device.write(DATA0, 4, address)
    device.write(COMMAND, 4, command)
    ticks = bench.until_quiet()
    return device.read(STATUS, 4), ticks


def test_geometry_of_a_disk() -> None:
    device, _ = a_disk(Bench())
    assert device.read(DATA1, 4) == 4 << 16 | 2 << 8 | 8


@pytest.mark.parametrize("scale", [1, 3])
def test_a_seek_takes_time_by_distance_and_one_tick(scale: int) -> None:
    bench = Bench(scale)
    device, _ = a_disk(bench)
    assert does(bench, device, disk.SEEK | 3 << 8) == (1, 300 * scale + 1)
    assert does(bench, device, disk.SEEK | 1 << 8) == (1, 200 * scale + 1)
    assert does(bench, device, 0) == (1, (400 + 100) * scale)  # back over one cylinder, as the original counts
    assert bench.pending


def test_a_read_waits_for_its_sector() -> None:
    bench = Bench()
    device, _ = a_disk(bench)
    # the clock shows 1: sector 0 passes; sector 3 comes after 1 and 2
    assert does(bench, device, disk.READ | 1 << 16 | 3 << 8) == (1, 1 + 2 * SECTOR + SHARE + 1024)
    assert bench.memory.octets[:BLOCK] == bytes([8 + 3]) * BLOCK
    assert does(bench, device, disk.READ | 1 << 16 | 3 << 8, RAM + BLOCK) == (1, 1024)  # in the buffer
    assert bench.memory.octets[BLOCK : 2 * BLOCK] == bytes([11]) * BLOCK


def test_a_sector_that_has_just_passed_comes_round() -> None:
    bench = Bench()
    device, _ = a_disk(bench)
    bench.at(5 * SECTOR)  # the clock shows one more: sector 5, one tick of it has passed
    assert does(bench, device, disk.READ | 5 << 8) == (1, 1 + 7 * SECTOR + SHARE + 1024)


def test_a_write_takes_memory_at_once_and_the_platter_goes_on_turning() -> None:
    bench = Bench()
    device, medium = a_disk(bench)
    bench.memory.write(RAM, b"w" * BLOCK)
    does(bench, device, disk.SEEK | 2 << 8)
    bench.at(0)
    device.write(DATA0, 4, RAM)
    device.write(COMMAND, 4, disk.WRITE | 7 << 8)
    bench.memory.write(RAM, b"x" * BLOCK)
    assert bench.until_quiet() == 1024 + (1 + 1024) + 6 * SECTOR + SHARE
    at = 28 + (2 * 2 * 8 + 7) * BLOCK
    assert medium.contents[at : at + BLOCK] == b"w" * BLOCK
    assert device.read(STATUS, 4) == 1


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (disk.SEEK | 4 << 8, 4),
        (disk.SEEK | 0xFFFF << 8, 4),
        (disk.READ | 8 << 8, 5),
        (disk.READ | 2 << 16, 5),
        (disk.WRITE | 8 << 8, 6),
        (disk.WRITE | 2 << 16, 6),
        (5, 2),
        (0xFF, 2),
    ],
)
def test_what_a_disk_does_not_have_is_answered_at_once(command: int, result: int) -> None:
    bench = Bench()
    device, _ = a_disk(bench)
    assert does(bench, device, command) == (result, 0)
    assert bench.pending
    assert device.mistakes == 1


@pytest.mark.parametrize("address", [0, 0x1000_0054, RAM - 4, RAM + (128 << 10) - BLOCK + 4, RAM + 2, 0xFFFF_FFFC])
def test_bad_addresses_of_dma(address: int) -> None:
    bench = Bench()
    device, medium = a_disk(bench)
    before = bytes(medium.contents)
    assert does(bench, device, disk.READ, address)[0] == disk.DMA_FAILED
    assert does(bench, device, disk.WRITE | 1 << 8, address) == (disk.DMA_FAILED, 1024)
    assert medium.contents == before
    drive, medium = a_flash(bench)
    before = bytes(medium.contents)
    assert does(bench, drive, flash.READ, address)[0] == flash.DMA_FAILED
    assert does(bench, drive, flash.WRITE, address) == (flash.DMA_FAILED, 1024)
    assert medium.contents == before


def test_drives_whose_medium_fails_and_drives_that_do_not_work() -> None:
    bench = Bench()
    device, _ = a_disk(bench, FailingDisk(bytes(28)))
    assert does(bench, device, disk.READ)[0] == 5
    assert does(bench, device, disk.WRITE)[0] == 6
    drive, _ = a_flash(bench, FailingDisk(bytes(12)))
    assert does(bench, drive, flash.READ)[0] == 4
    assert does(bench, drive, flash.WRITE)[0] == 5
    device, _ = a_disk(bench)
    device.working = False
    assert does(bench, device, disk.READ)[0] == 5
    assert does(bench, device, disk.WRITE)[0] == 6
    assert does(bench, device, disk.SEEK | 2 << 8)[0] == 4
    assert does(bench, device, 0) == (1, 400 + 100)  # it stopped half-way
    read_only, _ = a_disk(bench, MemoryDisk(bytes(28 + 64 * BLOCK), readonly=True))
    assert does(bench, read_only, disk.WRITE)[0] == 6


def test_a_failed_write_is_not_read_back_from_the_buffer() -> None:
    bench = Bench()
    device, _ = a_disk(bench, MemoryDisk(bytes(28 + 64 * BLOCK), readonly=True))
    bench.memory.write(RAM, b"w" * BLOCK)
    does(bench, device, disk.WRITE)
    assert does(bench, device, disk.READ)[0] == 1
    assert bench.memory.octets[:BLOCK] == bytes(BLOCK)


def test_times_of_a_flash_drive() -> None:
    bench = Bench(2)
    drive, medium = a_flash(bench)
    assert drive.read(DATA1, 4) == 16
    assert does(bench, drive, flash.READ | 5 << 8) == (1, 750 * 2 + 1024)
    assert bench.memory.octets[:BLOCK] == bytes([5]) * BLOCK
    assert does(bench, drive, flash.READ | 5 << 8) == (1, 1024)
    bench.memory.write(RAM, b"f" * BLOCK)
    assert does(bench, drive, flash.WRITE | 6 << 8) == (1, 1000 * 2 + 1024)
    assert medium.contents[12 + 6 * BLOCK : 12 + 7 * BLOCK] == b"f" * BLOCK
    assert does(bench, drive, flash.READ | 6 << 8) == (1, 1024)
    assert does(bench, drive, 0) == (1, 1400 * 2)


@pytest.mark.parametrize(("command", "result"), [(flash.READ | 16 << 8, 4), (flash.WRITE | 0xFFFFFF << 8, 5), (4, 2)])
def test_what_a_flash_drive_does_not_have_is_answered_at_once(command: int, result: int) -> None:
    bench = Bench()
    drive, _ = a_flash(bench)
    assert does(bench, drive, command) == (result, 0)


def test_drives_move_in_the_middle_of_a_write() -> None:
    bench = Bench()
    device, _ = a_disk(bench)
    bench.memory.write(RAM, b"m" * BLOCK)
    device.write(DATA0, 4, RAM)
    device.write(COMMAND, 4, disk.WRITE | 7 << 8)
    bench.pass_ticks(100)
    other = Bench()
    other.at(100)
    twin, medium = a_disk(other)
    moved(device, lambda: twin)
    other.events.from_state(bench.events.state())
    other.until_quiet()
    assert medium.contents[28 + 7 * BLOCK :][:BLOCK] == b"m" * BLOCK


@pytest.mark.parametrize("change", [{"cylinder": 4}, {"buffered": [1]}, {"block": b"short"}, {"block": 7}])
def test_a_damaged_state_is_refused(change: dict[str, object]) -> None:
    device, _ = a_disk(Bench())
    with pytest.raises(SnapshotError):
        device.from_state({**device.state(), **change})


@pytest.mark.fuzz
@given(accesses(16, widths=(4,)))
def test_any_accesses_to_a_disk(operations: list[Access]) -> None:
    bench = Bench()
    device, medium = a_disk(bench)
    octets = len(medium.contents)
    for operation in operations:
        exercise(device, bench.timeline, 16, [operation])
        bench.pass_ticks(3000)
    moved(device, lambda: a_disk(bench)[0])
    assert len(medium.contents) == octets


@pytest.mark.fuzz
@given(accesses(16, widths=(4,)))
def test_any_accesses_to_a_flash_drive(operations: list[Access]) -> None:
    bench = Bench()
    drive, medium = a_flash(bench)
    octets = len(medium.contents)
    for operation in operations:
        exercise(drive, bench.timeline, 16, [operation])
        bench.pass_ticks(3000)
    moved(drive, lambda: a_flash(bench)[0])
    assert len(medium.contents) == octets
