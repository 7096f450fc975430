import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.devices.ata.channel import CONTROL, Channel
from emulators.devices.ata.drive import DRQ, ERR
from emulators.outside import MemoryDisk
from tests.emulators.devices.ide_host import Host, contents
from tests.emulators.devices.registers import moved

SECTOR = 2048
SECTORS = (1 << 20) // SECTOR


@pytest.fixture
def host() -> Host:
    host = Host()
    assert host.packet(0) & ERR  # TEST UNIT READY: after power on
    assert host.sense() == (6, 0x29, 0)
    assert not host.packet(0) & ERR
    return host


def read_10(lba: int, count: int) -> tuple[int, ...]:
    return 0x28, 0, *lba.to_bytes(4, "big"), 0, *count.to_bytes(2, "big"), 0


def disc(first: int, count: int) -> bytes:
    return contents(1 << 20)[first * SECTOR : (first + count) * SECTOR]


def test_identify_device_is_aborted_with_the_signature_and_the_packet_kind_is_there(host: Host) -> None:
    host.put(0, 0, 0, 0, 0, device=0xB0)
    host.channel.write(7, 1, 0xEC)
    assert host.status() & ERR
    assert (host.channel.read(4, 1), host.channel.read(5, 1)) == (0x14, 0xEB)
    host.channel.write(7, 1, 0xA1)
    words = struct.unpack("<256H", host.take(512))
    assert words[0] == 0x85C0
    assert host.status() & (ERR | DRQ) == 0


def test_inquiry_is_as_long_as_asked_for(host: Host) -> None:
    host.packet(0x12, 0, 0, 0, 36)
    data = host.answer()
    assert data[:2] == b"\x05\x80"
    assert len(data) == 36
    host.packet(0x12, 0, 0, 0, 5)
    assert host.answer() == data[:5]
    assert not host.packet(0x12, 0, 0, 0, 0) & (DRQ | ERR)


def test_read_by_pio_in_pieces_of_the_byte_count(host: Host) -> None:
    host.packet(*read_10(17, 5), limit=SECTOR + 1)
    assert host.answer() == disc(17, 5)
    rises = host.line.rises
    host.packet(*read_10(0, 64), limit=0)
    assert host.answer() == disc(0, 64)
    assert host.line.rises == rises + 4  # 131072 octets in three pieces, and the end
    host.packet(0xA8, 0, *(3).to_bytes(4, "big"), *(2).to_bytes(4, "big"))
    assert host.answer() == disc(3, 2)


def test_read_by_dma(host: Host) -> None:
    host.table((0x20000, SECTOR), (0x40000, SECTOR))
    assert host.packet(*read_10(9, 2), dma=True) & DRQ
    host.start(to_memory=True)
    assert host.master == 4
    assert host.status() & (ERR | DRQ) == 0
    assert host.memory.octets[0x20000:0x20800] + host.memory.octets[0x40000:0x40800] == disc(9, 2)
    host.stop()
    host.table((0x20000, 512))
    host.start(to_memory=True)
    host.packet(0x12, 0, 0, 0, 36, dma=True)
    assert host.memory.octets[0x20000:0x20002] == b"\x05\x80"


@pytest.mark.parametrize(
    "packet",
    [
        read_10(SECTORS, 1),
        read_10(SECTORS - 1, 2),
        read_10(0xFFFFFFFF, 1),
        read_10(0x80000000, 0xFFFF),
        (0xA8, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF),
        (0xBE, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 1, 0x10),
        (0x2B, 0, 0xFF, 0xFF, 0xFF, 0xFF),
    ],
    ids=lambda packet: bytes(packet).hex(),
)
def test_sectors_outside_the_disc(host: Host, packet: tuple[int, ...]) -> None:
    """CVE-2020-29443: an address of -1."""
    assert host.packet(*packet) & (ERR | DRQ) == ERR
    assert host.channel.read(1, 1) >> 4 == 5
    assert host.sense() == (5, 0x21, 0)


def test_table_of_contents_and_capacity(host: Host) -> None:
    host.packet(0x25)
    assert struct.unpack(">II", host.answer()) == (SECTORS - 1, SECTOR)
    host.packet(0x43, 0, 0, 0, 0, 0, 0, 0, 100)
    assert host.answer() == bytes.fromhex("0012 0101 0014010000000000 0014aa00") + struct.pack(">I", SECTORS)
    host.packet(0x43, 2, 0, 0, 0, 0, 0xAA, 0, 100)
    minute, rest = divmod(SECTORS + 150, 75 * 60)
    assert host.answer()[4:] == bytes((0, 0x14, 0xAA, 0, 0, minute, *divmod(rest, 75)))
    host.packet(0x43, 0, 1, 0, 0, 0, 0, 0, 100)
    assert host.answer()[:4] == bytes((0, 10, 1, 1))
    host.packet(0x43, 2, 2, 0, 0, 0, 0, 1, 0)
    assert len(host.answer()) == 4 + 4 * 11
    assert host.packet(0x43, 0, 5, 0, 0, 0, 0, 0, 100) & ERR
    assert host.sense() == (5, 0x24, 0)


def test_mode_pages_features_and_events(host: Host) -> None:
    host.packet(0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 0xFF)
    page = host.answer()
    assert (len(page), page[8], page[9] + 2) == (28, 0x2A, 20)
    assert int.from_bytes(page[:2], "big") == 26
    host.packet(0x46, 0, 0, 0, 0, 0, 0, 1, 0)
    features = host.answer()
    assert int.from_bytes(features[:4], "big") == len(features) - 4
    assert int.from_bytes(features[6:8], "big") == 8
    host.packet(0x46, 2, 0, 0x1E, 0, 0, 0, 1, 0)
    assert host.answer()[8:10] == b"\x00\x1e"
    host.packet(0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8)
    assert host.answer() == bytes((0, 6, 4, 0x10, 0, 2, 0, 0))
    host.packet(0x51, 0, 0, 0, 0, 0, 0, 0, 34)
    assert int.from_bytes(host.answer()[:2], "big") == 32
    assert host.packet(0x04) & ERR
    assert host.sense() == (5, 0x20, 0)


def test_ejecting_locking_and_loading(host: Host) -> None:
    host.packet(0x1E, 0, 0, 0, 1)
    assert host.packet(0x1B, 0, 0, 0, 2) & ERR
    assert host.sense() == (5, 0x53, 2)
    host.packet(0x1E, 0, 0, 0, 0)
    assert not host.packet(0x1B, 0, 0, 0, 2) & ERR
    for packet in (read_10(0, 1), (0,), (0x25,)):
        assert host.packet(*packet) & ERR
        assert host.sense() == (2, 0x3A, 0)
    host.packet(0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8)
    assert host.answer()[4:6] == bytes((3, 1))
    host.packet(0x1B, 0, 0, 0, 3)
    assert host.packet(*read_10(0, 1)) & ERR
    assert host.sense() == (6, 0x28, 0)
    host.packet(*read_10(0, 1))
    assert host.answer() == disc(0, 1)


def test_read_cd_gives_user_data_only(host: Host) -> None:
    host.packet(0xBE, 0, 0, 0, 0, 7, 0, 0, 2, 0x10)
    assert host.answer() == disc(7, 2)
    assert not host.packet(0xBE, 0, 0, 0, 0, 7, 0, 0, 2, 0) & (ERR | DRQ)
    assert host.packet(0xBE, 0, 0, 0, 0, 7, 0, 0, 2, 0xF8) & ERR
    assert host.sense() == (5, 0x24, 0)


def test_device_reset_stops_a_transfer(host: Host) -> None:
    host.packet(*read_10(0, 4))
    host.channel.write(7, 1, 0x08)
    assert host.channel.read(CONTROL, 1) == 0
    assert (host.channel.read(4, 1), host.channel.read(5, 1)) == (0x14, 0xEB)
    assert not host.packet(0) & ERR


def test_state_in_the_middle_of_an_answer(host: Host) -> None:
    host.packet(*read_10(1, 3), limit=4096)
    data = host.take(1000)
    twin = moved(host.channel, host.make)
    assert isinstance(twin, Channel)
    assert data + twin.read_string(0, 2, (3 * SECTOR - 1000) // 2) == disc(1, 3)


@pytest.mark.fuzz
@given(st.lists(st.tuples(st.binary(min_size=12, max_size=12), st.integers(0, 0xFFFF), st.booleans()), max_size=20))
def test_any_packet_is_harmless(packets: list[tuple[bytes, int, bool]]) -> None:
    host = Host(disc=MemoryDisk(contents(1 << 18)))
    for packet, limit, dma in packets:
        status = host.packet(*packet, limit=limit, dma=dma)
        if status & DRQ and not dma:
            assert len(host.answer()) <= 1 << 18
        moved(host.channel, host.make)
        host.channel.write(7, 1, 0x08)
