"""Registers of Sun's GEM in Apple's host bridges: offsets, bits, descriptors, limits. No behaviour.

Sources: NetBSD's gemreg.h (after Sun's "GEM Gigabit Ethernet ASIC Specification", whose sections it names: 3.1.4.1
global, 3.1.4.2 sending, 3.1.4.3 receiving, 3.1.5 MAC, 3.1.5.8 MIF, 3.1.6 PCS), and sungem.h of Linux for what Apple
added. Both kinds of descriptor are 16 octets, little-endian: 0 u64 flags · 8 u64 address of the buffer.
"""

from struct import Struct
from typing import Final

# 3.1.4.1
SEB_STATE, CONFIG, STATUS, INTMASK, INTACK, STATUS_ALIAS = 0x0000, 0x0004, 0x000C, 0x0010, 0x0014, 0x001C
ERROR_STATUS, ERROR_MASK, BIF_CONFIG, BIF_DIAG, RESET = 0x1000, 0x1004, 0x1008, 0x100C, 0x1010
# 3.1.4.2
TX_KICK, TX_CONFIG, TX_RING_LO, TX_RING_HI, TX_COMPLETION, TX_FIFO_SIZE = 0x2000, 0x2004, 0x2008, 0x200C, 0x2100, 0x2118
# Apple: patterns that wake the machine
WOL_MATCH, WOL_COUNT, WOL_CSR = 0x3000, 0x300C, 0x3010
# 3.1.4.3
RX_CONFIG, RX_RING_LO, RX_RING_HI, RX_PAUSE_THRESH = 0x4000, 0x4004, 0x4008, 0x4020
RX_KICK, RX_COMPLETION, RX_BLANKING, RX_FIFO_SIZE = 0x4100, 0x4104, 0x4108, 0x4120
# 3.1.5
MAC_TXRESET, MAC_RXRESET, MAC_SEND_PAUSE = 0x6000, 0x6004, 0x6008
MAC_TX_STATUS, MAC_RX_STATUS, MAC_CONTROL_STATUS = 0x6010, 0x6014, 0x6018
MAC_TX_MASK, MAC_RX_MASK, MAC_CONTROL_MASK = 0x6020, 0x6024, 0x6028
MAC_TX_CONFIG, MAC_RX_CONFIG, MAC_CONTROL_CONFIG, MAC_XIF_CONFIG = 0x6030, 0x6034, 0x6038, 0x603C
MAC_IPG0, MAC_SLOT_TIME, MAC_MIN_FRAME, MAC_MAX_FRAME = 0x6040, 0x604C, 0x6050, 0x6054
MAC_PREAMBLE, MAC_JAM_SIZE, MAC_ATTEMPT_LIMIT, MAC_CONTROL_TYPE = 0x6058, 0x605C, 0x6060, 0x6064
MAC_ADDR, MAC_ALTERNATE, MAC_CONTROL_ADDR, MAC_ADDR_FILTER = 0x6080, 0x608C, 0x6098, 0x60A4
MAC_FILTER_MASK_21, MAC_FILTER_MASK_0, MAC_HASH, HASHES = 0x60B0, 0x60B4, 0x60C0, 16
MAC_COLLISIONS, MAC_PEAK_ATTEMPTS, MAC_RX_FRAMES, MAC_RX_LENGTH_ERRORS = 0x6100, 0x6114, 0x6118, 0x611C
MAC_RX_CODE_ERRORS, MAC_RANDOM_SEED, MAC_STATE = 0x6128, 0x6130, 0x6134
# 3.1.5.8
MIF_BB_CLOCK, MIF_BB_DATA, MIF_BB_OUTPUT, MIF_FRAME = 0x6200, 0x6204, 0x6208, 0x620C
MIF_CONFIG, MIF_MASK, MIF_STATUS, MIF_STATE = 0x6210, 0x6214, 0x6218, 0x621C
# 3.1.6
PCS_CONTROL, PCS_STATUS, PCS_ADVERTISEMENT, PCS_PARTNER, PCS_CONFIG = 0x9000, 0x9004, 0x9008, 0x900C, 0x9010
PCS_STATE, PCS_INTERRUPT, PCS_DATAPATH, PCS_SLINK_CONTROL, PCS_OUTPUT = 0x9014, 0x9018, 0x9050, 0x9054, 0x9058
PCS_SLINK_STATUS: Final = 0x905C

REGISTERS: Final = 0x200000

PLAIN: Final = {
    CONFIG: 0x1FFF,
    INTMASK: 0xFFFFFFFF,
    ERROR_MASK: 0x7,
    BIF_CONFIG: 0xF,
    TX_KICK: 0x1FFF,
    TX_CONFIG: 0x003FFC3F,
    TX_RING_LO: 0xFFFFF800,
    TX_RING_HI: 0xFFFFFFFF,
    **dict.fromkeys((WOL_MATCH, WOL_MATCH + 4, WOL_MATCH + 8, WOL_COUNT), 0xFFFF),
    WOL_CSR: 0x3B,
    RX_CONFIG: 0x070FFC3F,
    RX_RING_LO: 0xFFFFF800,
    RX_RING_HI: 0xFFFFFFFF,
    RX_PAUSE_THRESH: 0x001FF1FF,
    RX_KICK: 0x1FFF,
    RX_BLANKING: 0x000FF1FF,
    MAC_SEND_PAUSE: 0xFFFF,
    MAC_TX_MASK: 0x1FF,
    MAC_RX_MASK: 0x7F,
    MAC_CONTROL_MASK: 0x7,
    MAC_TX_CONFIG: 0x3FF,
    MAC_RX_CONFIG: 0x1FF,
    MAC_CONTROL_CONFIG: 0x7,
    MAC_XIF_CONFIG: 0x7F,
    **dict.fromkeys((MAC_IPG0, MAC_IPG0 + 4, MAC_IPG0 + 8, MAC_ATTEMPT_LIMIT), 0xFF),
    **dict.fromkeys((MAC_SLOT_TIME, MAC_MIN_FRAME, MAC_PREAMBLE, MAC_RANDOM_SEED), 0x3FF),
    MAC_MAX_FRAME: 0x7FFF7FFF,
    MAC_JAM_SIZE: 0xF,
    MAC_CONTROL_TYPE: 0xFFFF,
    **dict.fromkeys(range(MAC_ADDR, MAC_FILTER_MASK_21, 4), 0xFFFF),
    MAC_FILTER_MASK_21: 0xFF,
    MAC_FILTER_MASK_0: 0xFFFF,
    **dict.fromkeys(range(MAC_HASH, MAC_HASH + 4 * HASHES, 4), 0xFFFF),
    **dict.fromkeys(range(MAC_COLLISIONS, MAC_RX_CODE_ERRORS + 4, 4), 0xFFFF),
    **dict.fromkeys((MIF_BB_CLOCK, MIF_BB_DATA, MIF_BB_OUTPUT), 0x1),
    MIF_CONFIG: 0x7DFF,
    MIF_MASK: 0xFFFF,
    PCS_CONTROL: 0x51C0,
    PCS_ADVERTISEMENT: 0x31E0,
    PCS_CONFIG: 0x3F,
    PCS_DATAPATH: 0xF,
    PCS_SLINK_CONTROL: 0x3FFFF,
    PCS_OUTPUT: 0x3,
}
"""Registers that are kept as written, and the bits that are."""

RESET_VALUES: Final = {
    CONFIG: 0x42,
    INTMASK: 0xFFFFFFFF,
    TX_CONFIG: 0x118C10,
    RX_CONFIG: 0x1000010,
    RX_PAUSE_THRESH: 0xF8,
    MAC_TX_MASK: 0x1FF,
    MAC_RX_MASK: 0x7F,
    MAC_CONTROL_MASK: 0x7,
    MAC_IPG0 + 4: 0x08,
    MAC_IPG0 + 8: 0x04,
    MAC_SLOT_TIME: 0x40,
    MAC_MIN_FRAME: 0x40,
    MAC_MAX_FRAME: 0x200005EE,
    MAC_PREAMBLE: 0x07,
    MAC_JAM_SIZE: 0x04,
    MAC_ATTEMPT_LIMIT: 0x10,
    MAC_CONTROL_TYPE: 0x8808,
    MIF_CONFIG: 0x100,
    MIF_MASK: 0xFFFF,
    PCS_CONTROL: 0x1040,
    PCS_ADVERTISEMENT: 0xE0,
}
"""gemreg.h's defaults and recommended values; masks are closed. Others are zero."""
OF_TX: Final = (TX_KICK, TX_CONFIG, TX_RING_LO, TX_RING_HI, MAC_TX_CONFIG)
OF_RX: Final = (RX_CONFIG, RX_RING_LO, RX_RING_HI, RX_PAUSE_THRESH, RX_KICK, RX_BLANKING, MAC_RX_CONFIG)
"""What a reset of one half sets back."""
FIXED: Final = {
    TX_FIFO_SIZE: 9 * 1024 // 64,
    RX_FIFO_SIZE: 20 * 1024 // 64,
    PCS_STATUS: 0x0108,
    **dict.fromkeys((SEB_STATE, BIF_DIAG, INTACK, RESET, MAC_TXRESET, MAC_RXRESET, MAC_STATE, MIF_STATE), 0),
    **dict.fromkeys((*range(0x2014, 0x202C, 4), 0x2030, 0x2034, *range(0x2104, 0x2118, 4)), 0),
    **dict.fromkeys((*range(0x400C, 0x4020, 4), 0x4024, 0x4028, *range(0x410C, 0x4120, 4)), 0),
    **dict.fromkeys((PCS_PARTNER, PCS_STATE, PCS_INTERRUPT, PCS_SLINK_STATUS), 0),
}
"""Registers that always read the same: FIFOs of 9 and 20 KiB, their pointers and state machines, a PCS without link."""

# STATUS, INTMASK, INTACK
TX_INTME: Final = 1 << 0
TX_ALL: Final = 1 << 1
TX_DONE: Final = 1 << 2
RX_DONE: Final = 1 << 4
RX_NOBUF: Final = 1 << 5
LATCHED: Final = 0x7F
TX_MAC: Final = 1 << 14
RX_MAC: Final = 1 << 15
MAC_CONTROL: Final = 1 << 16
MIF: Final = 1 << 17
BUS_ERROR: Final = 1 << 18
COMPLETION_SHIFT: Final = 19

ERROR_OTHER: Final = 1 << 2
RESET_TX, RESET_RX, RESET_OUT = 1 << 0, 1 << 1, 1 << 2

# TX_CONFIG, RX_CONFIG
DMA_ENABLE: Final = 1 << 0
LARGEST_RING: Final = 8192


def ring(config: int) -> int:
    """Descriptors of a ring, by TX_CONFIG or RX_CONFIG: 32 … 8192; what is reserved is the largest."""
    return min(32 << (config >> 1 & 0xF), LARGEST_RING)


# MAC_TX_STATUS, MAC_RX_STATUS, MAC_CONTROL_STATUS
TXS_SENT, TXS_TOO_LONG = 1 << 0, 1 << 2
RXS_RECEIVED, RXS_OVERFLOW, RXS_FRAMES, RXS_LENGTHS = 1 << 0, 1 << 1, 1 << 2, 1 << 5
CS_PAUSE_RECEIVED: Final = 1 << 0
SEND_PAUSE: Final = 1 << 16

# MAC_TX_CONFIG, MAC_RX_CONFIG, MAC_CONTROL_CONFIG, MAC_XIF_CONFIG
MAC_ENABLE: Final = 1 << 0
TXC_NO_FCS: Final = 1 << 8
RXC_STRIP_FCS: Final = 1 << 2
RXC_PROMISCUOUS: Final = 1 << 3
RXC_GROUPS: Final = 1 << 4
RXC_HASH: Final = 1 << 5
CC_RX_PAUSE: Final = 1 << 1
CC_PASS: Final = 1 << 2
XIF_LOOPBACK: Final = 1 << 1
PAUSE: Final = b"\0\1"  # 802.3 table 31A-1

# MIF_FRAME, MIF_CONFIG
FRAME_START, FRAME_WRITE, FRAME_READ = 1, 1, 2
FRAME_DONE: Final = 1 << 16
MIF_PHY_SELECT: Final = 1 << 0
MIF_POLL: Final = 1 << 1
MIF_MDIO_0: Final = 1 << 8
PHY_ADDRESS: Final = 0

PCS_ALWAYS: Final = 0x0040  # 1000 Mbit/s

# Descriptors
DESCRIPTOR: Final = Struct("<QQ")
TXD_SIZE: Final = 0x7FFF
TXD_CHECKSUM: Final = 1 << 29
TXD_END: Final = 1 << 30
TXD_START: Final = 1 << 31
TXD_INTME: Final = 1 << 32
TXD_NO_CRC: Final = 1 << 33
RXD_HASH_SHIFT: Final = 44
RXD_HASH_PASS: Final = 1 << 60
RXD_ALTERNATE: Final = 1 << 61
RXD_BAD: Final = 1 << 62

SHORTEST_FRAME: Final = 60  # 802.3: 64 with FCS
LONGEST_FRAME: Final = 9018  # chosen: jumbo frames, without FCS
QUEUE_FRAMES: Final = 128  # chosen: the receive FIFO
SLICE: Final = 32  # chosen: descriptors read at once
MOST_WORK: Final = 1024  # chosen: descriptors walked at once; then the guest runs for a while
PAUSE_NS: Final = 50_000  # chosen
