"""Devices with registers of eight bits, on a bus that takes wider accesses apart.

An ISA bridge makes a wider access to an eight-bit device into one access per octet, the lowest address first (PIIX4
datasheet 290562, §4.3). A device that derives from `EightBit` has `read_octet` and `write_octet` only.

A wider access that leaves the device's own registers goes to offsets that it does not have: all ones, and counted.
"""

from abc import abstractmethod

ALL_ONES = 0xFF


class EightBit:
    """The registers of a device that has nothing wider than an octet."""

    @abstractmethod
    def read_octet(self, offset: int) -> int:
        """The octet at `offset`."""

    @abstractmethod
    def write_octet(self, offset: int, value: int) -> None:
        """Write the octet at `offset`."""

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        if size == 1:
            return self.read_octet(offset)
        value = 0
        for lane in range(size):
            value |= self.read_octet(offset + lane) << 8 * lane
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if size == 1:
            self.write_octet(offset, value)
            return
        for lane in range(size):
            self.write_octet(offset + lane, value >> 8 * lane & 0xFF)
