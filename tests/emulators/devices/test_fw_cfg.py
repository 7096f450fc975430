import struct

import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.firmware.debug_port import DebugPort, PostCode
from emulators.devices.firmware.fw_cfg import FwCfg
from emulators.dma import Dma
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.registers import Access, accesses, exercise, moved

SELECTOR, DATA, DMA_HIGH, DMA_LOW = 0, 1, 4, 8


class Bench:
    def __init__(self) -> None:
        self.memory = GuestMemory()
        self.device = self.make()

    def make(self) -> FwCfg:
        files = {"etc/one": b"first", "bootorder": b"x" * 300}
        return FwCfg(items={5: b"\x01\x00"}, files=files, dma=Dma(self.memory))

    def item(self, number: int, octets: int) -> bytes:
        self.device.write(SELECTOR, 2, number)
        return bytes(self.device.read(DATA, 1) for _ in range(octets))

    def transfer(self, control: int, length: int, address: int) -> int:
        self.memory.write(0x1000, struct.pack(">IIQ", control, length, address))
        self.device.write(DMA_HIGH, 4, 0)
        self.device.write(DMA_LOW, 4, int.from_bytes(struct.pack(">I", 0x1000), "little"))
        return int.from_bytes(self.memory.read(0x1000, 4), "big")


def test_items_are_read_octet_by_octet() -> None:
    bench = Bench()
    assert bench.item(0, 6) == b"QEMU\0\0"
    assert bench.item(1, 4) == b"\x03\0\0\0"
    assert bench.item(5, 2) == b"\x01\0"
    assert bench.item(0x1234, 3) == bytes(3)


def test_the_directory_names_files_in_order() -> None:
    bench = Bench()
    directory = bench.item(0x19, 4 + 2 * 64)
    assert directory[:4] == b"\0\0\0\x02"
    size, item, _, name = struct.unpack_from(">IHH56s", directory, 4)
    assert (size, item, name.rstrip(b"\0")) == (300, 0x20, b"bootorder")
    size, item, _, name = struct.unpack_from(">IHH56s", directory, 68)
    assert (size, name.rstrip(b"\0")) == (5, b"etc/one")
    assert bench.item(item, 5) == b"first"


def test_dma() -> None:
    bench = Bench()
    assert bench.device.read(DMA_HIGH, 4) == int.from_bytes(b"QEMU", "little")
    assert bench.device.read(DMA_LOW, 4) == int.from_bytes(b" CFG", "little")
    assert bench.transfer(0x21 << 16 | 8 | 2, 8, 0x2000) == 0  # select and read
    assert bench.memory.read(0x2000, 8) == b"first\0\0\0"
    bench.device.write(SELECTOR, 2, 0x21)
    assert bench.transfer(4, 2, 0) == 0  # skip
    assert bench.transfer(2, 2, 0x3000) == 0
    assert bench.memory.read(0x3000, 2) == b"rs"


def test_wrong_transfers() -> None:
    bench = Bench()
    assert bench.transfer(0x10, 4, 0x2000) == 1  # items cannot be written
    assert bench.transfer(2, 0xFFFFFFFF, 0x2000) == 1
    assert bench.transfer(2, 4, 0xFFFFFFFFFFFFFFFF) == 1
    bench.device.write(DMA_LOW, 4, 0xFFFFFFFF)  # the descriptor is nowhere
    assert bench.device.mistakes == 3


def test_a_name_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="more than 55"):
        FwCfg(items={}, files={"x" * 56: b""}, dma=Dma(GuestMemory()))


@pytest.mark.fuzz
@given(accesses(12))
def test_any_access_is_harmless(operations: list[Access]) -> None:
    bench = Bench()
    exercise(bench.device, Timeline(), 12, operations)
    moved(bench.device, bench.make)


def test_debug_ports() -> None:
    said = bytearray()
    port = DebugPort(out=said.extend)
    assert port.read(0, 1) == 0xE9
    for octet in b"hi\n":
        port.write(0, 1, octet)
    assert said == b"hi\n"
    moved(port, lambda: DebugPort(out=said.extend))
    warps: list[int] = []
    post = PostCode(timeline=Timeline(5000), warp=warps.append)
    post.write(0, 1, 0xAB)
    assert post.read(0, 1) == 0xAB
    assert warps == [6000]
    moved(post, lambda: PostCode(timeline=Timeline(), warp=warps.append))
