"""Devices' way to guest memory: memory only, never another device's registers.

Threat: a device whose descriptors point at registers, its own included, re-enters them (CVE-2021-20255 and its kin).
Here such an address is a fault, which the device turns into its own error state.
"""

from typing import Protocol


class DmaFault(Exception):
    """The addressed octets are not all in guest memory that a device may access."""


class Memory(Protocol):
    """What a `Vm` of any engine offers."""

    def read(self, gpa: int, octets: int, /) -> bytes:
        """Octets at a guest-physical address. Raises ValueError outside memory."""
        ...

    def write(self, gpa: int, data: bytes, /) -> None:
        """Write them, and keep dirty bits and decoded code right. Raises ValueError outside memory."""
        ...


class Dma:
    """Bus-master access to guest memory.

    Args:
        memory: the machine's `Vm`.
        offset: what to add to a device's address to get a guest-physical one (PCI windows).
    """

    LARGEST_OCTETS = 1 << 20
    """Chosen: one transfer of no device here is longer; a longer one is a guest's mistake."""

    def __init__(self, memory: Memory, *, offset: int = 0) -> None:
        self._memory = memory
        self._offset = offset
        self.faults = 0

    def read(self, address: int, octets: int) -> bytes:
        """`octets` octets at `address`. Raises DmaFault."""
        try:
            if octets > self.LARGEST_OCTETS:
                raise ValueError(octets)
            return self._memory.read(address + self._offset, octets)
        except (ValueError, OverflowError):
            self.faults += 1
            raise DmaFault(f"{octets} octets at {address:#x}") from None

    def write(self, address: int, data: bytes) -> None:
        """Put `data` at `address`, all of it or nothing. Raises DmaFault."""
        try:
            if len(data) > self.LARGEST_OCTETS:
                raise ValueError(len(data))
            self._memory.write(address + self._offset, data)
        except (ValueError, OverflowError):
            self.faults += 1
            raise DmaFault(f"{len(data)} octets at {address:#x}") from None
