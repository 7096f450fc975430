"""Registers of the Am79C970A: bits, reset values, limits. No behaviour.

Specification: AMD 19436 rev. E, "Control and Status Registers", "Bus Configuration Registers"; AMD 21510 rev. E.
"""

from dataclasses import dataclass
from typing import Final

# CSR0
INIT: Final = 0x0001
STRT: Final = 0x0002
STOP: Final = 0x0004
TDMD: Final = 0x0008
TXON: Final = 0x0010
RXON: Final = 0x0020
IENA: Final = 0x0040
INTR: Final = 0x0080
IDON: Final = 0x0100
TINT: Final = 0x0200
RINT: Final = 0x0400
MERR: Final = 0x0800
MISS: Final = 0x1000
CERR: Final = 0x2000
BABL: Final = 0x4000
ANY_ERR: Final = 0x8000
CSR0_FLAGS: Final = 0x7F00
CSR0_ERRORS: Final = MERR | MISS | CERR | BABL
CSR0_MASKABLE: Final = 0x5F00

CSR3_WRITABLE: Final = 0x5F7C
CSR3_DXSUFLO: Final = 0x0040

# CSR4
CSR4_DPOLL: Final = 0x1000
CSR4_APAD_XMT: Final = 0x0800
CSR4_ASTRP_RCV: Final = 0x0400
CSR4_MFCO: Final = 0x0200
CSR4_UINTCMD: Final = 0x0080
CSR4_UINT: Final = 0x0040
CSR4_TXSTRT: Final = 0x0008
CSR4_FLAGS: Final = 0x026A
CSR4_MASKS: Final = 0x0115

# CSR5
CSR5_TOKINTD: Final = 0x8000
CSR5_LTINTEN: Final = 0x4000
CSR5_SINT: Final = 0x0800
CSR5_FLAGS: Final = 0x0A90
CSR5_SPND: Final = 0x0001

# CSR15
MODE_PROM: Final = 0x8000
MODE_DRCVBC: Final = 0x4000
MODE_DRCVPA: Final = 0x2000
MODE_DLNKTST: Final = 0x1000
MODE_DXMTFCS: Final = 0x0008
MODE_LOOP: Final = 0x0004
MODE_DTX: Final = 0x0002
MODE_DRX: Final = 0x0001

BCR4_LNKSTE: Final = 0x0040
BCR_LEDOUT: Final = 0x8000
BCR18_DWIO: Final = 0x0080

CSR_RESET: Final = {4: 0x0115, 80: 0x1410, 100: 0x0200, 103: 0x0105}
CSR_STOPPED: Final = frozenset([1, 2, *range(8, 16), *range(18, 48), *range(60, 67), 72, 74, 76, 78, 80, 82, 100, 112])
"""Writable only while STOP or SPND is set."""
BCR_RESET: Final = {0: 5, 1: 5, 2: 2, 4: 0xC0, 5: 0x84, 6: 0x88, 7: 0x90, 18: 0x9001, 19: 2, 20: 0x0200, 22: 0xFF06}
BCR_WRITABLE: Final = frozenset([2, 4, 5, 6, 7, 9, 16, 17, 18, 21, 22])
BCR_WRITABLE_MII: Final = frozenset([25, 26, 27, 32, 33])  # Am79C973: SRAM size, boundary and control; MII
SOFTWARE_STYLES: Final = {0: 0x0200, 2: 0x0302, 3: 0x0303}  # BCR20: with SSIZE32 and CSRPCNET
PHY_ADDRESS: Final = 30  # Am79C973: of the PHY within

SHORTEST_FRAME: Final = 60  # 802.3: 64 with FCS
LONGEST_FRAME: Final = 4091  # MCNT has 12 bits and counts the FCS
BABBLE_OCTETS: Final = 1519
CLOCK_NS: Final = 30  # 33 MHz
SHORTEST_POLL_NS: Final = 100_000  # chosen
REGISTERS: Final = 128  # CSR0 to CSR127, BCR0 to BCR127
QUEUE_FRAMES: Final = 128  # chosen: some milliseconds of a fast sender
SLICE: Final = 32  # chosen: descriptors read at once
BROADCAST: Final = b"\xff" * 6


@dataclass(frozen=True, slots=True)
class Model:
    """What tells the chips apart: CSR88 and 89, PCI revision, and whether there is an MII."""

    part: tuple[int, int]
    revision: int
    mii: bool


MODELS: Final = {
    "Am79C970A": Model((0x1003, 0x0262), 0x10, False),
    "Am79C973": Model((0x5003, 0x0262), 0x40, True),
}
