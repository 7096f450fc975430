"""Guest memory for tests of devices that master the bus: octets, as a `Vm` offers them."""


class GuestMemory:
    """`size` octets from address 0; counts the transfers."""

    def __init__(self, size: int = 1 << 20) -> None:
        self.octets = bytearray(size)
        self.reads = 0
        self.writes = 0

    def read(self, gpa: int, octets: int, /) -> bytes:
        """As `Vm.read`."""
        if gpa < 0 or octets < 0 or gpa + octets > len(self.octets):
            raise ValueError(gpa)
        self.reads += 1
        return bytes(self.octets[gpa : gpa + octets])

    def write(self, gpa: int, data: bytes, /) -> None:
        """As `Vm.write`."""
        if gpa < 0 or gpa + len(data) > len(self.octets):
            raise ValueError(gpa)
        self.writes += 1
        self.octets[gpa : gpa + len(data)] = data
