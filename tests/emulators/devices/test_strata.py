import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.flash.strata import StrataFlash
from emulators.snapshot import SnapshotError
from tests.emulators.devices.registers import Access, accesses, exercise, moved

SIZE = 1 << 20


def flash() -> StrataFlash:
    return StrataFlash(b"code", size_octets=SIZE)


def command(device: StrataFlash, *values: int, at: int = 0) -> None:
    for value in values:
        device.write(at, 4, value << 16 | value)


def test_it_reads_as_memory() -> None:
    device = flash()
    assert device.read(0, 4) == int.from_bytes(b"code", "little")
    assert device.read(4, 2) == 0xFFFF
    assert device.read(3, 1) == ord("e")


def test_the_query_tells_the_geometry() -> None:
    device = flash()
    device.write(0x55 * 4, 4, 0x00980098)
    table = [device.read(4 * address, 4) for address in range(0x10, 0x3C)]
    assert all(value >> 16 == value & 0xFFFF for value in table)  # both chips say the same
    octets = bytes(value & 0xFF for value in table)
    assert octets[:3] == b"QRY"
    assert octets[3:5] == b"\x01\x00"
    assert 2 << octets[0x27 - 0x10] - 1 == SIZE // 2
    blocks = int.from_bytes(octets[0x2D - 0x10 : 0x2F - 0x10], "little") + 1
    block_octets = int.from_bytes(octets[0x2F - 0x10 : 0x31 - 0x10], "little") * 256
    assert blocks * block_octets == SIZE // 2
    pri = int.from_bytes(octets[5:7], "little")
    assert octets[pri - 0x10 : pri - 0x10 + 5] == b"PRI10"
    command(device, 0xFF)
    assert device.read(0, 4) == int.from_bytes(b"code", "little")


def test_identifier_and_status() -> None:
    device = flash()
    command(device, 0x90)
    assert device.read(0, 4) == 0x00890089
    assert device.read(4, 4) == 0x00D000D0
    command(device, 0x70)
    assert device.read(0x1234, 4) == 0x00800080


def test_programming_clears_bits_and_erasing_sets_them() -> None:
    device = flash()
    device.write(0x20000, 4, 0x00400040)
    device.write(0x20000, 4, 0x12345678)
    assert device.read(0x20000, 4) == 0x00800080
    command(device, 0xFF)
    assert device.read(0x20000, 4) == 0x12345678
    device.write(0x20000, 4, 0x00400040)
    device.write(0x20000, 4, 0xFFFF0000)
    command(device, 0xFF)
    assert device.read(0x20000, 4) == 0x12340000
    command(device, 0x20, 0xD0, at=0x3FFFC)
    command(device, 0xFF)
    assert device.read(0x20000, 4) == 0xFFFFFFFF
    assert device.read(0, 4) == int.from_bytes(b"code", "little")


def test_a_wrong_sequence_is_in_the_status() -> None:
    device = flash()
    command(device, 0x20, 0x00)
    assert device.read(0, 4) == 0x00B000B0
    command(device, 0x50, 0x70)
    assert device.read(0, 4) == 0x00800080


def test_states_with_other_blocks_are_refused() -> None:
    device = flash()
    state = device.state()
    state["blocks"]["00000001"] = b"x"
    with pytest.raises(SnapshotError, match="no block"):
        device.from_state(state)


@pytest.mark.fuzz
@given(accesses(SIZE, widths=(1, 2, 4, 8)))
def test_any_access_is_harmless(operations: list[Access]) -> None:
    device = flash()
    exercise(device, Timeline(), SIZE, operations)
    moved(device, flash)
