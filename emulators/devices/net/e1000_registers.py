"""Registers of the 82540EM: offsets, bits, limits. No behaviour.

Specification: Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (317453, rev. 4.0),
chapter 13 (register descriptions), chapters 3 (descriptors) and 5 (EEPROM).
"""

from typing import Final

CTRL, STATUS, EECD, EERD, CTRL_EXT, MDIC, VET = 0x0000, 0x0008, 0x0010, 0x0014, 0x0018, 0x0020, 0x0038
ICR, ITR, ICS, IMS, IMC = 0x00C0, 0x00C4, 0x00C8, 0x00D0, 0x00D8
RCTL, TCTL = 0x0100, 0x0400
RDBAL, RDBAH, RDLEN, RDH, RDT = 0x2800, 0x2804, 0x2808, 0x2810, 0x2818
TDBAL, TDBAH, TDLEN, TDH, TDT = 0x3800, 0x3804, 0x3808, 0x3810, 0x3818
RXCSUM, MTA, RAL, VFTA = 0x5000, 0x5200, 0x5400, 0x5600
MTA_ENTRIES, RAL_ENTRIES, VFTA_ENTRIES = 128, 16, 128
LAST: Final = 0x6000
REGISTERS: Final = 0x20000

PLAIN: Final = {
    **dict.fromkeys((CTRL_EXT, RDBAH, TDBAH, 0x0028, 0x0030), 0xFFFFFFFF),  # FCAL, FCT
    **dict.fromkeys((0x002C, VET, ITR, 0x0170, 0x0458), 0xFFFF),  # FCAH, FCTTV, AIFS
    **dict.fromkeys((0x0410, 0x0E00, 0x1000, 0x2160, 0x2168, 0x0178), 0xFFFFFFFF),  # TIPG … FCRTH, TXCW
    **dict.fromkeys((RDBAL, TDBAL), 0xFFFFFFF0),
    **dict.fromkeys((RDLEN, TDLEN), 0x000FFF80),
    **dict.fromkeys((0x2820, 0x282C, 0x3820, 0x382C), 0x8000FFFF),  # RDTR, RADV, TIDV, TADV
    **dict.fromkeys((0x2828, 0x3828, 0x2C00, 0x3000, 0x3830), 0xFFFFFFFF),  # RXDCTL, TXDCTL, RSRPD, TXDMAC, TSPMT
    RXCSUM: 0x000003FF,
    **dict.fromkeys((0x5800, 0x5808, 0x5820, 0x5838), 0xFFFFFFFF),  # WUC, WUFC, MANC, IPAV
    **dict.fromkeys(range(MTA, MTA + 4 * MTA_ENTRIES, 4), 0xFFFFFFFF),
    **dict.fromkeys(range(RAL, RAL + 8 * RAL_ENTRIES, 8), 0xFFFFFFFF),
    **dict.fromkeys(range(RAL + 4, RAL + 8 * RAL_ENTRIES, 8), 0x8003FFFF),
    **dict.fromkeys(range(VFTA, VFTA + 4 * VFTA_ENTRIES, 4), 0xFFFFFFFF),
}
"""Registers that are kept as written, and the bits that are."""

RESET: Final = {CTRL: 0x00000201, 0x1000: 0x00100030, VET: 0x8100, 0x0410: 0x00602006, 0x0E00: 0x07061302}
"""CTRL (full duplex, 1000), PBA (48 KiB and 16), VET, TIPG, LEDCTL; §13.4. Others are zero."""

# CTRL, §13.4.1
CTRL_SLU: Final = 1 << 6
CTRL_RST: Final = 1 << 26
CTRL_VME: Final = 1 << 30
CTRL_PHY_RST: Final = 1 << 31

# STATUS, §13.4.2
STATUS_FD: Final = 1 << 0
STATUS_LU: Final = 1 << 1
STATUS_1000: Final = 2 << 6
STATUS_ASDV_1000: Final = 2 << 8

# EECD, §13.4.3; EERD, §13.4.4
EECD_SK: Final = 0x01
EECD_CS: Final = 0x02
EECD_DI: Final = 0x04
EECD_DO: Final = 0x08
EECD_REQ: Final = 0x40
EECD_GNT: Final = 0x80
EECD_PRES: Final = 0x100
EECD_WRITABLE: Final = 0x77
EERD_START: Final = 0x01
EERD_DONE: Final = 0x10

# MDIC, §13.4.8
MDIC_READY: Final = 1 << 28
MDIC_INTERRUPT: Final = 1 << 29
MDIC_ERROR: Final = 1 << 30
PHY_ADDRESS: Final = 1

# ICR, §13.4.17
ICR_TXDW: Final = 1 << 0
ICR_TXQE: Final = 1 << 1
ICR_LSC: Final = 1 << 2
ICR_RXDMT0: Final = 1 << 4
ICR_RXO: Final = 1 << 6
ICR_RXT0: Final = 1 << 7
ICR_MDAC: Final = 1 << 9
ICR_ALL: Final = 0x0001FFFF
ITR_UNIT_NS: Final = 256

# RCTL, §13.4.22
RCTL_EN: Final = 1 << 1
RCTL_UPE: Final = 1 << 3
RCTL_MPE: Final = 1 << 4
RCTL_LPE: Final = 1 << 5
RCTL_LBM: Final = 3 << 6
RCTL_BAM: Final = 1 << 15
RCTL_VFE: Final = 1 << 18
RCTL_BSEX: Final = 1 << 25
RCTL_SECRC: Final = 1 << 26
RCTL_WRITABLE: Final = 0x07DFB3FE

# TCTL, §13.4.33
TCTL_EN: Final = 1 << 1
TCTL_PSP: Final = 1 << 3

RAH_AV: Final = 1 << 31
RXCSUM_IPOFL: Final = 1 << 8
RXCSUM_TUOFL: Final = 1 << 9

# Receive descriptors, §3.2.3: status, errors
RXD_DD, RXD_EOP, RXD_IXSM, RXD_VP, RXD_TCPCS, RXD_IPCS, RXD_PIF = 0x01, 0x02, 0x04, 0x08, 0x20, 0x40, 0x80
RXD_TCPE, RXD_IPE = 0x20, 0x40

# Transmit descriptors, §3.3: bits of the second word's halves
TXD_EOP, TXD_IFCS, TXD_IC, TXD_RS, TXD_RPS, TXD_DEXT, TXD_VLE = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40
TXD_TSE: Final = TXD_IC
TXD_DD: Final = 0x01
POPTS_IXSM, POPTS_TXSM = 0x01, 0x02
TUCMD_TCP, TUCMD_IP = 0x01, 0x02
DTYP_CONTEXT, DTYP_DATA = 0, 1

DESCRIPTOR: Final = 16
SHORTEST_FRAME: Final = 60  # 802.3: 64 with FCS
LONGEST_FRAME: Final = 1522 - 4  # §13.4.22, LPE: with VLAN tag, without FCS
LONGEST_LONG_FRAME: Final = 16384 - 4
LONGEST_PACKET: Final = (64 << 10) + 256  # chosen: an IP packet, and headers
MOST_SEGMENTS: Final = 1024  # chosen: a packet in segments of 64 octets
QUEUE_FRAMES: Final = 256  # chosen
SLICE: Final = 64  # chosen: descriptors read at once
MOST_WORK: Final = 4096  # chosen: descriptors and frames that are sent at once; then the guest runs for a while
PAUSE_NS: Final = 50_000


# Statistics, §13.7: all are cleared by a read. Frames by size, in steps.
STATISTICS: Final = range(0x4000, 0x4100, 4)
MPC, PRC64, GPRC, BPRC, MPRC, GPTC, GORC, GOTC = 0x4010, 0x405C, 0x4074, 0x4078, 0x407C, 0x4080, 0x4088, 0x4090
RNBC, RUC, ROC, TOR, TOT, TPR, TPT, PTC64 = 0x40A0, 0x40A4, 0x40AC, 0x40C0, 0x40C8, 0x40D0, 0x40D4, 0x40D8
MPTC, BPTC, TSCTC, TSCTFC = 0x40F0, 0x40F4, 0x40F8, 0x40FC
SIZES: Final = (64, 127, 255, 511, 1023)
