"""String instructions on the bus: at once where a device takes them so, one by one elsewhere, ones where nothing is."""

from emulators.bus import Bus


class Latch:
    """One register that counts."""

    def __init__(self) -> None:
        self.accesses: list[tuple[int, int, int]] = []

    def read(self, offset: int, size: int) -> int:
        self.accesses.append((offset, size, -1))
        return len(self.accesses)

    def write(self, offset: int, size: int, value: int) -> None:
        self.accesses.append((offset, size, value))


class DataPort(Latch):
    """A device that takes strings."""

    def read_string(self, offset: int, size: int, count: int) -> bytes:
        self.accesses.append((offset, size, count))
        return bytes(range(size * count))

    def write_string(self, offset: int, size: int, data: bytes) -> None:
        self.accesses.append((offset, size, len(data)))


def test_strings() -> None:
    bus = Bus(lambda address, size: (1 << 8 * size) - 1)
    latch, port = Latch(), DataPort()
    bus.map(0x100, 8, latch, name="latch")
    bus.map(0x200, 8, port, name="port", offset=0x10)
    assert bus.read_string(0x102, 2, 3) == b"\1\0\2\0\3\0"
    bus.write_string(0x102, 2, b"\1\2\3\4")
    assert latch.accesses[3:] == [(2, 2, 0x0201), (2, 2, 0x0403)]
    assert bus.read_string(0x204, 4, 2) == bytes(range(8))
    bus.write_string(0x204, 4, bytes(40))
    assert port.accesses == [(0x14, 4, 2), (0x14, 4, 40)]
    assert bus.read_string(0x300, 2, 2) == b"\xff" * 4
    bus.write_string(0x300, 2, bytes(4))
    assert bus.unmapped_accesses == 4
