"""The virtio block device: requests of every kind, bounds, disks that fail, bad drivers."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.devices.virtio.blk import LONGEST_REQUEST, SEG_MAX, VirtioBlk
from emulators.dma import Dma
from emulators.outside import MemoryDisk
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.virtio_driver import EVENT_IDX, INDIRECT_DESC, VERSION_1, VirtioDriver

USUAL = VERSION_1 | EVENT_IDX | INDIRECT_DESC
RO, FLUSH = 1 << 5, 1 << 9
SECTORS = 64


class FailingDisk(MemoryDisk):
    """Nothing can be read or written."""

    def read_at(self, offset: int, octets: int) -> bytes:
        raise OSError(5, "medium")

    def write_at(self, offset: int, data: bytes) -> None:
        raise OSError(5, "medium")

    def flush(self) -> None:
        raise OSError(5, "medium")


class Blk(VirtioDriver):
    """A disk and its driver."""

    def __init__(self, disk: MemoryDisk | None = None, *, legacy: bool = False) -> None:
        memory = GuestMemory(1 << 21)
        contents = b"".join(bytes([n]) * 512 for n in range(SECTORS))
        self.disk = disk or MemoryDisk(contents)
        self.blk = VirtioBlk("blk", disk=self.disk, dma=Dma(memory), serial=b"vde-disk-0")
        super().__init__(self.blk, memory, legacy=legacy)
        (self.ring,) = self.start(USUAL)

    def request(self, kind: int, sector: int, data: bytes = b"", room: int = 0, pieces: int = 1) -> tuple[int, bytes]:
        """Status, and what was read."""
        address = self.buffer(room + 1)
        self.memory.write(address, b"\xee" * (room + 1))
        header = kind.to_bytes(4, "little") + bytes(4) + sector.to_bytes(8, "little")
        step = room // pieces
        writable = [(address + i * step, step) for i in range(pieces)] if room else []
        head = self.ring.add([header, data] if data else [header], [*writable, (address + room, 1)])
        self.ring.kick()
        ((done, written),) = self.ring.take()
        assert done == head
        assert written == room + 1
        octets = self.memory.read(address, room + 1)
        return octets[-1], octets[:-1]


@pytest.mark.parametrize("legacy", [False, True])
def test_read_write_flush_identify(legacy: bool) -> None:
    blk = Blk(legacy=legacy)
    assert blk.config(0, 4) == SECTORS
    assert blk.config(12, 4) == SEG_MAX
    assert blk.config(20, 4) == 512
    assert blk.request(0, 3, room=1024) == (0, b"\3" * 512 + b"\4" * 512)
    assert blk.request(0, 3, room=1024, pieces=4) == (0, b"\3" * 512 + b"\4" * 512)
    assert blk.request(1, 5, data=b"new!" * 256) == (0, b"")
    assert blk.disk.contents[5 * 512 : 8 * 512] == b"new!" * 256 + b"\7" * 512
    assert blk.request(4, 0) == (0, b"")
    assert blk.disk.flushes == 1
    assert blk.request(8, 0, room=20) == (0, b"vde-disk-0".ljust(20, b"\0"))
    assert blk.level()


def test_a_header_in_pieces() -> None:
    blk = Blk()
    address = blk.buffer(513)
    header = bytes(8) + (7).to_bytes(8, "little")
    blk.ring.add([header[:5], header[5:]], [(address, 500), (address + 500, 13)])
    blk.ring.kick()
    assert blk.ring.take()[0][1] == 513
    assert blk.memory.read(address, 513) == b"\7" * 512 + b"\0"


@pytest.mark.parametrize(
    ("kind", "sector", "data", "room"),
    [
        (0, SECTORS, b"", 512),
        (0, SECTORS - 1, b"", 1024),
        (0, (1 << 64) - 1, b"", 512),
        (0, 0, b"", 100),
        (1, SECTORS, b"x" * 512, 0),
        (1, (1 << 64) - 1, b"x" * 512, 0),
        (1, 0, b"x" * 100, 0),
    ],
)
def test_requests_beyond_the_disk_or_of_odd_size(kind: int, sector: int, data: bytes, room: int) -> None:
    blk = Blk()
    before = bytes(blk.disk.contents)
    assert blk.request(kind, sector, data, room)[0] == 1
    assert blk.disk.contents == before
    assert blk.request(0, 0, room=512) == (0, bytes(512))


def test_unknown_requests() -> None:
    blk = Blk()
    assert blk.request(11, 0, b"x" * 16)[0] == 2
    assert blk.request(0xFFFF_FFFF, 0)[0] == 2


def test_a_read_only_disk() -> None:
    blk = Blk(MemoryDisk(bytes(4096), readonly=True))
    assert blk.offered() & RO
    assert blk.request(1, 0, b"x" * 512)[0] == 1
    assert blk.request(0, 0, room=512) == (0, bytes(512))
    assert not Blk().offered() & RO


def test_a_disk_that_fails() -> None:
    blk = Blk(FailingDisk(bytes(4096)))
    assert blk.request(0, 0, room=512)[0] == 1
    assert blk.request(1, 0, b"x" * 512)[0] == 1
    assert blk.request(4, 0)[0] == 1
    assert not blk.status() & 0x40


def test_a_last_sector_that_is_not_whole() -> None:
    blk = Blk(MemoryDisk(bytes(1500)))
    assert blk.config(0, 4) == 2
    assert blk.request(0, 2, room=512)[0] == 1


def test_a_request_too_long() -> None:
    blk = Blk(MemoryDisk(bytes(16 << 20)))
    address = blk.buffer(1)
    segments = [(0x10_0000, 0x10_0000)] * (LONGEST_REQUEST // 0x10_0000 + 1)
    blk.ring.add([bytes(16)], [*segments, (address, 1)])
    blk.ring.kick()
    blk.ring.take()
    assert blk.memory.read(address, 1) == b"\1"


@pytest.mark.parametrize("kind", ["no header", "short header", "no status"])
def test_a_request_without_its_parts_breaks_the_queue(kind: str) -> None:
    blk = Blk()
    if kind == "no header":
        blk.ring.add([], [(0x1000, 512)])
    elif kind == "short header":
        blk.ring.add([bytes(15)], [(0x1000, 1)])
    else:
        blk.ring.add([bytes(16)])
    blk.ring.kick()
    assert blk.status() & 0x40


def test_state_round_trip() -> None:
    blk = Blk()
    blk.request(0, 0, room=512)
    again = Blk()
    again.blk.from_state(blk.blk.state())
    assert again.blk.state() == blk.blk.state()


@pytest.mark.fuzz
@given(
    st.lists(
        st.tuples(
            st.binary(min_size=0, max_size=40),
            st.lists(st.tuples(st.integers(0, 1 << 22), st.integers(0, 1 << 21)), max_size=4),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_fuzz(requests: list[tuple[bytes, list[tuple[int, int]], bool]]) -> None:
    """Whatever requests hold: no exception, a bounded time, the disk keeps its size."""
    blk = Blk()
    began = time.monotonic()
    for header, writable, kind in requests:
        if len(blk.ring.free) < 6:
            break
        readable = [bytes([kind]) + header] if header else []
        if readable or writable:
            blk.ring.add(readable, writable)
            blk.ring.kick()
    assert time.monotonic() - began < 2
    assert len(blk.disk.contents) == SECTORS * 512
