"""Registers of the DP8390D: numbers, bits, limits. No behaviour.

Specification: National Semiconductor DP8390D/NS32490D datasheet (July 1995), section 10; Realtek RTL8029AS datasheet,
section 5 (page 3 and the identification registers).
"""

from typing import Final

# Command register, §10.3
CR_STP: Final = 0x01
CR_STA: Final = 0x02
CR_TXP: Final = 0x04
CR_RD: Final = 0x38
CR_READ: Final = 0x08
CR_WRITE: Final = 0x10
CR_SEND_PACKET: Final = 0x18
CR_ABORT: Final = 0x20

# Interrupt status and mask, §10.3
ISR_PRX: Final = 0x01
ISR_PTX: Final = 0x02
ISR_OVW: Final = 0x10
ISR_CNT: Final = 0x20
ISR_RDC: Final = 0x40
ISR_RST: Final = 0x80
ISR_INTERRUPTS: Final = 0x7F

# Data configuration, transmit configuration, transmit status
DCR_WTS: Final = 0x01
TCR_CRC: Final = 0x01
TCR_LOOPBACK: Final = 0x06
TSR_PTX: Final = 0x01
TSR_CRS: Final = 0x10
TSR_CDH: Final = 0x40

# Receive configuration and status
RCR_AB: Final = 0x04
RCR_AM: Final = 0x08
RCR_PRO: Final = 0x10
RCR_MON: Final = 0x20
RSR_PRX: Final = 0x01
RSR_MPA: Final = 0x10
RSR_PHY: Final = 0x20
RSR_DIS: Final = 0x40

COUNTER_STOPS: Final = 192
"""Tally counters stop there, and interrupt from 128 on."""

# RTL8029AS
ID_8029: Final = (0x50, 0x43)  # page 0, 0x0A and 0x0B
ASID_8029: Final = (0x29, 0x80)  # page 3, 0x0E and 0x0F
CR_9346_CONFIG: Final = 0xC0  # page 3, 0x01: CONFIG registers may be written
CONFIG3_WRITABLE: Final = 0x46  # page 3, 0x06: full duplex, sleep, power down

SHORTEST_FRAME: Final = 60  # 802.3: 64 with FCS
LONGEST_FRAME: Final = 1518  # 802.3: 1514, and a VLAN tag
PAGE: Final = 256
HEADER: Final = 4
QUEUE_FRAMES: Final = 64  # chosen
REMIND_NS: Final = 50_000  # chosen: less than the time of a frame at 10 Mbit/s
