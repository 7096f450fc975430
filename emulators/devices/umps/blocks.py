"""Blocks of 4096 octets between a disk's or a flash's medium and guest memory."""

from typing import Protocol

from emulators.dma import Dma, DmaFault

BLOCK_OCTETS = 4096
DMA_TICKS = 1024
"""A block's way over the bus: one word a tick."""


class Medium(Protocol):
    """Where the blocks lie: `emulators.outside.DiskEnd`, as far as it is used here."""

    def read_at(self, offset: int, octets: int) -> bytes:
        """Exactly `octets` octets. Raises OSError."""
        ...

    def write_at(self, offset: int, data: bytes) -> None:
        """Write. Raises OSError."""
        ...


def fetch(dma: Dma, address: int) -> bytes | None:
    """A block of guest memory; None: the address is no word's, or not all of the block is memory."""
    if address % 4:
        return None
    try:
        return dma.read(address, BLOCK_OCTETS)
    except DmaFault:
        return None


def deliver(dma: Dma, address: int, block: bytes) -> bool:
    """Write a block, or a part of one, to guest memory; False: as above, and nothing is written."""
    if address % 4:
        return False
    try:
        dma.write(address, block)
    except DmaFault:
        return False
    return True
