"""Registers of the RTL8139C: offsets, bits, limits. No behaviour.

Specification: Realtek RTL8139C(L) datasheet rev. 1.4, section 5 (register descriptions) and 6 (EEPROM contents).
"""

from typing import Final

IDR, MAR, TSD, TSAD_0, RBSTART, ERBCR, ERSR, CR = 0x00, 0x08, 0x10, 0x20, 0x30, 0x34, 0x36, 0x37
CAPR, CBR, IMR, ISR, TCR, RCR, TCTR, MPC = 0x38, 0x3A, 0x3C, 0x3E, 0x40, 0x44, 0x48, 0x4C
CR_9346, CONFIG0, CONFIG1, TIMER_INT, MSR, CONFIG3, CONFIG4, HLTCLK = 0x50, 0x51, 0x52, 0x54, 0x58, 0x59, 0x5A, 0x5B
MULINT, RERID, TSAD, BMCR, BMSR, ANAR, ANLPAR, ANER = 0x5C, 0x5E, 0x60, 0x62, 0x64, 0x66, 0x68, 0x6A
CSCR, CONFIG5 = 0x74, 0xD8
REGISTERS: Final = 256

WIDTHS: Final = {
    **dict.fromkeys((RBSTART, TCR, RCR, TCTR, MPC, TIMER_INT), 4),
    **dict.fromkeys(range(TSD, TSAD_0 + 16, 4), 4),
    **dict.fromkeys((ERBCR, CAPR, CBR, IMR, ISR, MULINT, TSAD, BMCR, BMSR, ANAR, ANLPAR, ANER, CSCR), 2),
}
"""Octets of a register; one where nothing is said."""
PHY_REGISTERS: Final = {BMCR: 0, BMSR: 1, ANAR: 4, ANLPAR: 5, ANER: 6}

# CR, §5.6
CR_RST: Final = 0x10
CR_RE: Final = 0x08
CR_TE: Final = 0x04
CR_BUFE: Final = 0x01

# ISR, §5.8
ISR_ROK: Final = 0x0001
ISR_RER: Final = 0x0002
ISR_TOK: Final = 0x0004
ISR_TER: Final = 0x0008
ISR_RXOVW: Final = 0x0010
ISR_LINK_CHANGE: Final = 0x0020
ISR_TIME_OUT: Final = 0x4000
ISR_SERR: Final = 0x8000
ISR_ALL: Final = 0xE07F

# TSD, §5.2
TSD_SIZE: Final = 0x1FFF
TSD_OWN: Final = 1 << 13
TSD_TOK: Final = 1 << 15
TSD_KEPT: Final = 0x003F1FFF  # size and threshold
TSD_TABT: Final = 1 << 30
TSD_CRS: Final = 1 << 31

# TCR, §5.9
TCR_CLRABT: Final = 1 << 0
TCR_CRC: Final = 1 << 16
TCR_LOOPBACK: Final = 3 << 17
TCR_WRITABLE: Final = 0x030707F0
TCR_VERSION: Final = 0x74000000  # RTL8139C

# RCR, §5.10
RCR_AAP: Final = 1 << 0
RCR_APM: Final = 1 << 1
RCR_AM: Final = 1 << 2
RCR_AB: Final = 1 << 3
RCR_WRAP: Final = 1 << 7
RCR_RBLEN: Final = 3 << 11
RCR_WRITABLE: Final = 0x0F03FFBF

# The status in front of a received frame, §5.1
RX_MAR: Final = 1 << 15
RX_PAM: Final = 1 << 14
RX_BAR: Final = 1 << 13
RX_ROK: Final = 1 << 0

# 9346CR, §5.11
EEM: Final = 0xC0
EEM_AUTOLOAD: Final = 0x40
EEM_PROGRAM: Final = 0x80
EEM_CONFIG: Final = 0xC0
EECS: Final = 0x08
EESK: Final = 0x04
EEDI: Final = 0x02
EEDO: Final = 0x01

CONFIG1_RESET: Final = 0x0C  # §5.13: memory and I/O mapped
CONFIG_WRITABLE: Final = {CONFIG1: 0xF3, CONFIG3: 0x71, CONFIG4: 0xFF, CONFIG5: 0x7F}
CSCR_RESET: Final = 0x03C0  # §5.30: link pulses, heart beat, jabber, 100 Mbit/s
CSCR_LINK_OK: Final = 0x0400  # undocumented, and what drivers look at: link, and that it changed
CSCR_LINK_CHANGED: Final = 0x0800
MSR_LINKB: Final = 0x04  # §5.15: no link
MSR_AUX: Final = 0x10
RERID_VALUE: Final = 0x10

EEPROM_SIGNATURE: Final = 0x8129  # §6

TRANSMITTERS: Final = 4
SHORTEST_FRAME: Final = 60  # 802.3: 64 with FCS
LONGEST_SENT: Final = 1792  # §5.2
LONGEST_RECEIVED: Final = 4092  # §5.1: 4 KiB with FCS
QUEUE_FRAMES: Final = 128  # chosen
REMIND_NS: Final = 50_000  # chosen: some frames at 100 Mbit/s
CLOCK_NS: Final = 30  # TCTR counts PCI clocks of 33 MHz
