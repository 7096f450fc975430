"""What a network chip with memory of its own addresses: 64 KiB, of which a part is memory.

Used by `emulators.devices.net.dp8390`. Threat: ring and DMA registers that lead out of memory (CVE-2007-1321,
CVE-2015-5279, CVE-2015-8743): addresses have 16 bits, writes reach memory only, and what is not there reads as ones.
"""


class PacketMemory:
    """What the chip addresses: 64 KiB, of which one part is memory; the rest reads as ones or as a PROM.

    Args:
        first, size: where the memory is.
        prom: what is at 0; it cannot be written.
    """

    def __init__(self, first: int, size: int, prom: bytes) -> None:
        self.first = first
        self.end = first + size
        self.space = bytearray(b"\xff") * 0x10000
        self.space[: len(prom)] = prom
        self.space[first : self.end] = bytes(size)

    def read(self, at: int, octets: int) -> bytes:
        """`octets` from `at` on; the last address is followed by the first."""
        part = self.space[at : at + octets]
        return bytes(part) if len(part) == octets else bytes(part + self.space[: octets - len(part)])

    def write(self, at: int, data: bytes) -> int:
        """Put `data` where there is memory; answers how many octets were lost."""
        first, end = max(at, self.first), min(at + len(data), self.end)
        if first >= end:
            return len(data)
        self.space[first:end] = data[first - at : end - at]
        return len(data) - (end - first)
