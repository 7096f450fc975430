"""What an Am79C970A keeps in memory: the initialisation block and the descriptors, in three software styles.

Specification: AMD 19436 rev. E, "Initialization Block" and "Receive/Transmit Descriptors"; everything little-endian.

Style 0 (8 octets; addresses of 24 bits, the upper 8 come from CSR2):

    0 u16 address 15–0 · 2 u8 address 23–16 · 3 u8 status 15–8 · 4 u16 count · 6 u16 receive: length, transmit: errors

Style 2 (16 octets; style 3 has the words at 0 and 8 exchanged):

    0 u32 address · 4 u16 count · 6 u16 status · 8 u32 receive: length, transmit: errors · 12 u32 the driver's

`count` is the two's complement of the buffer's size in 12 bits. A status is always in the form of styles 2 and 3.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

OWN: Final = 0x8000  # RMD1, TMD1
ERR: Final = 0x4000
STP: Final = 0x0200
ENP: Final = 0x0100
RMD_OFLO: Final = 0x1000
RMD_BUFF: Final = 0x0400
RMD_PAM: Final = 0x0040
RMD_LAFM: Final = 0x0020
RMD_BAM: Final = 0x0010
RMD_CLEARED: Final = 0xFFF0
TMD_ADD_FCS: Final = 0x2000
TMD_LTINT: Final = 0x1000
TMD_CLEARED: Final = OWN | ERR | 0x0C00  # and MORE/ONE, DEF, which the chip reports

TMD_BUFF: Final = 0x80000000  # TMD2 (TMD3 in style 0, upper half)
TMD_UFLO: Final = 0x40000000
TMD_LCAR: Final = 0x08000000

_SHORT: Final = Struct("<HBBHH")
_LONG: Final = Struct("<IHHI4x")
_BLOCK_16: Final = Struct("<H6s8sII")
_BLOCK_32: Final = Struct("<HBB6s2x8sII")
LONGEST_RING: Final = 512


class Descriptor(NamedTuple):
    """One descriptor, whatever its style."""

    address: int
    octets: int
    status: int


@dataclass(frozen=True, slots=True)
class Style:
    """How descriptors lie in memory. `high` are the upper address bits where the descriptor has 24 only."""

    number: int
    high: int = 0

    @property
    def size(self) -> int:
        """Octets of a descriptor."""
        return 8 if self.number == 0 else 16

    def parse(self, octets: bytes, at: int = 0) -> Descriptor:
        """The descriptor at `octets[at:]`."""
        if self.number == 0:
            low, middle, status, count, _ = _SHORT.unpack_from(octets, at)
            return Descriptor(self.high | middle << 16 | low, 4096 - (count & 0xFFF), status << 8)
        address, count, status, last = _LONG.unpack_from(octets, at)
        return Descriptor(last if self.number == 3 else address, 4096 - (count & 0xFFF), status)

    def answer(self, octets: int, status: int, report: int) -> tuple[int, bytes]:
        """What the chip writes back, and at which offset: its status and `report` (length or errors).

        The count, of a buffer of `octets`, is written again as it was: so one transfer does.
        """
        count = (-octets & 0xFFF) | 0xF000
        if self.number == 0:
            return 3, (status >> 8 | count << 8 | (report >> 16 or report) << 24).to_bytes(5, "little")
        if self.number == 2:
            return 6, (status | report << 16).to_bytes(6, "little")
        return 0, (report | count << 32 | status << 48).to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class InitBlock:
    """The initialisation block."""

    mode: int
    address: bytes
    filter: bytes
    rx_length: int
    tx_length: int
    rx_ring: int
    tx_ring: int

    @staticmethod
    def size(style: Style) -> int:
        """Octets of the block."""
        return _BLOCK_16.size if style.number == 0 else _BLOCK_32.size

    @classmethod
    def parse(cls, octets: bytes, style: Style) -> "InitBlock":
        """The block in `octets`; ring lengths are bounded by 512 (RLEN and TLEN of 9)."""
        if style.number == 0:
            mode, address, ladrf, rx, tx = _BLOCK_16.unpack(octets)
            rx_log, tx_log = rx >> 29, tx >> 29
            rx, tx = style.high | rx & 0xFFFFFF, style.high | tx & 0xFFFFFF
        else:
            mode, rx_log, tx_log, address, ladrf, rx, tx = _BLOCK_32.unpack(octets)
            rx_log, tx_log = rx_log >> 4, tx_log >> 4
        lengths = (1 << min(rx_log, 9), 1 << min(tx_log, 9))
        return cls(mode, address, ladrf, *lengths, rx, tx)
