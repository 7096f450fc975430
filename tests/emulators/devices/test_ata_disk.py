import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.ata.channel import CONTROL, Channel
from emulators.devices.ata.disk import AtaDisk
from emulators.devices.ata.drive import ABRT, DF, DRDY, DRQ, DSC, ERR, IDNF, UNC
from emulators.outside import MemoryDisk
from emulators.snapshot import SnapshotError
from tests.emulators.devices.ide_host import SECTOR, Host, contents
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

READY = DRDY | DSC


class FailingDisk(MemoryDisk):
    """Its second half cannot be read or written."""

    def read_at(self, offset: int, octets: int) -> bytes:
        if offset + octets > self.size_octets // 2:
            raise OSError("worn out")
        return super().read_at(offset, octets)

    def write_at(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self.size_octets // 2:
            raise OSError("worn out")
        super().write_at(offset, data)

    def flush(self) -> None:
        raise OSError("worn out")


def memory(host: Host) -> MemoryDisk:
    assert isinstance(host.disk, MemoryDisk)
    return host.disk


def test_software_reset_leaves_both_signatures() -> None:
    host = Host()
    host.channel.write(CONTROL, 1, 4)
    assert host.channel.read(CONTROL, 1) == 0x80
    host.channel.write(CONTROL, 1, 0)
    for device, signature, status in ((0xA0, [1, 1, 1, 0, 0], READY), (0xB0, [1, 1, 1, 0x14, 0xEB], 0)):
        host.channel.write(6, 1, device)
        assert [host.channel.read(register, 1) for register in range(1, 6)] == signature
        assert host.channel.read(7, 1) == status


def test_an_absent_second_drive_answers_nought_and_an_empty_channel_floats() -> None:
    channel = Channel(irq=Line(), drives=(AtaDisk(MemoryDisk(bytes(SECTOR)), serial=""), None))
    channel.write(6, 1, 0xB0)
    channel.write(2, 1, 0x55)
    assert [channel.read(register, 1) for register in range(1, 8)] == [0] * 7
    channel.write(6, 1, 0xA0)
    assert channel.read(7, 1) == READY
    assert Channel(irq=Line()).read(7, 1) == 0xFF


def test_identify() -> None:
    host = Host()
    assert host.command(0xEC) == READY | DRQ
    assert host.line.level
    words = struct.unpack("<256H", data := host.take(SECTOR))
    assert host.status() == READY
    assert (words[1], words[3], words[6]) == (8, 16, 63)
    assert words[60] | words[61] << 16 == 8192 == words[100]
    assert struct.pack(">20H", *words[27:47]).decode().strip() == "VDE HARDDISK"
    assert sum(data) & 0xFF == 0
    assert words[83] & 1 << 10
    assert words[49] & 3 << 8


def test_read_sectors_gives_an_interrupt_for_each() -> None:
    host = Host()
    assert host.command(0x20, 1000, 3) == READY | DRQ
    data = b""
    for left in (2, 1, 0):
        assert host.line.level
        assert host.status() == READY | DRQ
        assert not host.line.level
        data += host.take(SECTOR)
        assert host.line.level == bool(left)
    assert data == memory(host).contents[1000 * SECTOR : 1003 * SECTOR]
    assert host.status() == READY
    assert host.line.rises == 3


def test_write_sectors_asks_for_the_first_without_an_interrupt() -> None:
    host = Host()
    assert host.command(0x30, 7, 2) == READY | DRQ
    assert not host.line.level
    host.channel.write_string(0, 2, b"a" * SECTOR)
    assert host.line.level
    assert host.status() == READY | DRQ
    host.channel.write_string(0, 4, b"b" * SECTOR)
    assert host.line.level
    assert host.status() == READY
    assert memory(host).contents[7 * SECTOR : 9 * SECTOR] == b"a" * SECTOR + b"b" * SECTOR
    assert host.command(0xE7) == READY
    assert memory(host).flushes == 1


def test_multiple_moves_blocks_of_several_sectors() -> None:
    host = Host()
    assert host.command(0xC4, 0, 1) & ERR  # before it is set
    assert host.command(0xC6, 0, 8) == READY
    host.status()
    host.command(0xC4, 16, 20)
    rises = host.line.rises
    data = b""
    for sectors in (8, 8, 4):
        assert host.status() == READY | DRQ
        data += host.take(sectors * SECTOR)
    assert host.line.rises == rises + 2
    assert data == memory(host).contents[16 * SECTOR : 36 * SECTOR]
    assert host.command(0xC6, 0, 7) & ERR


def test_a_count_of_nought_is_256_and_48_bits_go_further() -> None:
    host = Host(disk=(disk := MemoryDisk(contents(36 << 20))))
    host.command(0x20, 0, 0)
    assert host.take(256 * SECTOR) == disk.contents[: 256 * SECTOR]
    assert host.channel.read(CONTROL, 1) == READY
    assert host.command_48(0x24, 70_000, 0x102) == READY | DRQ
    assert host.take(0x102 * SECTOR) == disk.contents[70_000 * SECTOR : 70_258 * SECTOR]
    assert host.channel.read(CONTROL, 1) == READY
    host.channel.write(CONTROL, 1, 0x80)
    assert host.channel.read(3, 1) == 70_257 >> 24 & 0xFF
    assert host.command_48(0x27, 0, 0) == READY
    assert host.channel.read(5, 1) == (36 << 11) - 1 >> 16


def test_cylinder_head_and_sector() -> None:
    host = Host()
    lba = (2 * 16 + 5) * 63 + 10
    host.put(0, 1, 11, 2, 0, device=0xA5)
    host.channel.write(7, 1, 0x20)
    assert host.take(SECTOR) == memory(host).contents[lba * SECTOR : (lba + 1) * SECTOR]
    host.put(0, 1, 0, 2, 0, device=0xA5)  # sectors count from 1
    host.channel.write(7, 1, 0x20)
    assert host.channel.read(1, 1) == IDNF
    host.put(0, 17, device=0xA3)  # four heads, 17 sectors
    host.channel.write(7, 1, 0x91)
    assert host.status() == READY
    host.put(0, 1, 3, 1, 0, device=0xA2)
    host.channel.write(7, 1, 0x20)
    at = ((1 * 4 + 2) * 17 + 2) * SECTOR
    assert host.take(SECTOR) == memory(host).contents[at : at + SECTOR]


def test_sectors_behind_the_end_are_not_found() -> None:
    host = Host()
    for code in (0x20, 0x30, 0x40, 0xC8, 0xCA):
        assert host.command(code, 8191, 2) & (ERR | DRQ) == ERR
        assert host.channel.read(1, 1) == IDNF
    assert host.command(0x20, 0x0FFFFFFF, 0) & ERR
    assert host.command_48(0x24, (1 << 48) - 1, 0) & ERR
    assert host.command(0x40, 8190, 2) == READY


def test_a_worn_out_medium_is_an_error_of_the_sector() -> None:
    host = Host(disk=FailingDisk(contents(64 * SECTOR)))
    host.command(0x20, 30, 4)
    host.take(2 * SECTOR)
    assert host.status() & (ERR | DRQ) == ERR
    assert host.channel.read(1, 1) == UNC
    assert host.channel.read(3, 1) == 32
    host.command(0x30, 40, 1)
    host.channel.write_string(0, 2, bytes(SECTOR))
    assert host.status() & (ERR | DF) == ERR | DF
    assert host.command(0xE7) & ERR


def test_a_read_only_disk_is_not_written() -> None:
    host = Host(disk=MemoryDisk(contents(1 << 16), readonly=True))
    for code in (0x30, 0xCA, 0x34):
        assert host.command(code, 0, 1) & (ERR | DRQ) == ERR
        assert host.channel.read(1, 1) == ABRT
    assert host.disk.read_at(0, 1 << 16) == contents(1 << 16)


def test_nien_holds_the_line_back() -> None:
    host = Host()
    host.channel.write(CONTROL, 1, 2)
    host.command(0x20)
    assert not host.line.level
    host.channel.write(CONTROL, 1, 0)
    assert host.line.level


def test_dma_both_ways_in_scattered_regions() -> None:
    host = Host()
    host.table((0x10000, 1024), (0x30000, 512 * 5), (0x20000, 512 * 2))
    assert host.command(0xC8, 100, 9) == READY | DRQ
    host.start(to_memory=True)
    assert host.master == 4  # interrupt, not active
    assert host.line.level
    whole = memory(host).contents[100 * SECTOR : 109 * SECTOR]
    assert host.memory.octets[0x10000:0x10400] == whole[:1024]
    assert host.memory.octets[0x30000 : 0x30000 + 512 * 5] == whole[1024 : 512 * 7]
    assert host.memory.octets[0x20000:0x20400] == whole[512 * 7 :]
    host.stop()
    assert host.status() == READY
    host.table((0x40000, 0))
    host.memory.write(0x40000, bytes(range(256)) * 256)
    host.start(to_memory=False)  # before the command
    assert host.master == 1
    assert host.command(0xCA, 500, 128) == READY
    assert host.master == 4
    assert memory(host).contents[500 * SECTOR : 628 * SECTOR] == bytes(range(256)) * 256


def test_a_table_longer_than_the_command_leaves_the_master_active() -> None:
    host = Host()
    host.table((0x10000, 4096))
    host.command(0xC8, 0, 2)
    host.start(to_memory=True)
    assert host.master == 5
    host.stop()
    assert host.master == 4


@pytest.mark.parametrize(
    "regions", [[(0xFFFFFFF0, 512)], [(0x10000, 256), (0xFFFF0000, 512)], [(0x000FFF00, 512)]], ids=str
)
def test_regions_outside_memory_end_the_command(regions: list[tuple[int, int]]) -> None:
    host = Host()
    host.table(*regions)
    host.command(0xC8, 0, 1)
    host.start(to_memory=True)
    assert host.master & 3 == 2
    assert host.status() & (ERR | DRQ) == ERR
    assert host.command(0x20) & DRQ  # it goes on


def test_a_table_without_end_is_bounded() -> None:
    host = Host()
    for number in range(8192):
        host.memory.write(number * 8, struct.pack("<IHH", 0x20000, 2, 0))
    host.ide.bars[0].device.write(4, 4, 0)
    host.command(0xC8, 0, 0)  # 128 KiB, two octets a region
    host.start(to_memory=True)
    assert host.memory.writes == 2 * 8192
    assert host.master & 1 == 0
    host.channel.write(CONTROL, 1, 4)
    host.channel.write(CONTROL, 1, 0)
    assert host.command(0x20) & DRQ


def test_the_wrong_direction_is_an_error() -> None:
    host = Host()
    host.table((0x10000, 512))
    host.command(0xC8, 0, 1)
    host.start(to_memory=False)
    assert host.master & 2
    assert host.status() & ERR


def test_no_dma_without_mastership() -> None:
    host = Host()
    host.ide.config_write(4, 2, 1)
    host.table((0x10000, 512))
    host.command(0xC8, 0, 1)
    host.start(to_memory=True)
    assert host.memory.octets[0x10000:0x10200] == bytes(512)


def test_features_and_power() -> None:
    host = Host()
    assert host.command(0xEF, 0, 0x42, features=3) == READY
    host.status()
    host.command(0xEC)
    assert struct.unpack("<256H", host.take(SECTOR))[88] >> 8 == 1 << 2
    assert host.command(0xEF, 0, 0x47, features=3) & ERR
    assert host.command(0xEF, 0, 0, features=0x82) == READY
    assert host.command(0xEF, 0, 0, features=0x99) & ERR
    assert host.command(0xE0) == READY
    host.command(0xE5)
    assert host.channel.read(2, 1) == 0
    assert host.command(0xB0, features=0xD0) & ERR  # SMART is not there


def test_every_command_code_is_taken_by_both_drives() -> None:
    """CVE-2015-6855: commands of the other kind of drive."""
    host = Host()
    for device in (0xE0, 0xF0):
        for code in range(256):
            host.put(0, 0, 0, 0, 0, device=device)
            host.channel.write(7, 1, code)
            host.channel.write(CONTROL, 1, 4)
            host.channel.write(CONTROL, 1, 0)
    assert memory(host).contents == contents(4 << 20)


def test_a_command_while_data_wait_aborts_both() -> None:
    host = Host()
    host.command(0x20, 0, 4)
    host.take(100)
    host.channel.write(7, 1, 0x20)
    assert host.channel.read(CONTROL, 1) & (ERR | DRQ) == ERR
    assert host.command(0x20) & DRQ


def test_state_in_the_middle_of_a_sector() -> None:
    host = Host()
    host.command(0xC6, 0, 16)
    host.command(0xC4, 50, 40)
    data = host.take(17 * SECTOR + 10)
    twin = moved(host.channel, host.make)
    assert isinstance(twin, Channel)
    data += twin.read_string(0, 2, (23 * SECTOR - 10) // 2)
    assert data == memory(host).contents[50 * SECTOR : 90 * SECTOR]
    moved(host.ide, lambda: host.make_ide(host.make()))


def test_a_state_of_another_disk_is_refused() -> None:
    state = Host().channel.state()
    with pytest.raises(SnapshotError, match="sectors"):
        Host(disk=MemoryDisk(bytes(SECTOR))).channel.from_state(state)
    state["drives"][0]["transfer"] = {
        **dict.fromkeys(("total", "block", "done", "at"), 512),
        "inward": True,
        "dma": False,
        "purpose": "",
        "offset": 1 << 40,
        "data": b"",
        "piece": b"",
    }
    with pytest.raises(SnapshotError, match="cannot be"):
        Host().channel.from_state(state)


@pytest.mark.fuzz
@given(accesses(15))
def test_any_access_is_harmless(operations: list[Access]) -> None:
    host = Host(disk=MemoryDisk(contents(256 * SECTOR)), disc=MemoryDisk(contents(1 << 16)))
    exercise(host.channel, Timeline(), 15, operations)
    moved(host.channel, host.make)


@pytest.mark.fuzz
@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 255)), max_size=40), st.binary(max_size=64))
def test_any_use_of_the_bus_master_is_harmless(writes: list[tuple[int, int]], table: bytes) -> None:
    host = Host()
    host.memory.write(TABLE_AT, table)
    for offset, value in writes:
        host.command((0xC8, 0xCA, 0x25, 0x35)[value & 3], value, value)
        host.ide.bars[0].device.write(4, 4, TABLE_AT)
        host.ide.bars[0].device.write(offset, 1, value)
        assert host.ide.bars[0].device.read(offset, 4) >= 0
    moved(host.ide, lambda: host.make_ide(host.make()))


TABLE_AT = 0x1000
