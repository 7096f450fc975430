"""An Ethernet PHY as its MII management registers: one port, always 100BASE-TX full duplex when the cable is in.

Specification: IEEE 802.3 clause 22.2.4, registers 0–7. Boards: those with an Am79C973 (`emulators.devices.net.pcnet`).

| register | | emulated |
|---|---|---|
| 0 | control | reset, auto-negotiation enable, speed, duplex, isolate: kept; restart: done at once |
| 1 | status | link (a loss is latched until it is read), auto-negotiation complete |
| 2, 3 | identifier | |
| 4 | advertisement | kept |
| 5 | partner's ability | 10/100 half and full while the cable is in |
| 6 | expansion | partner can negotiate |

Not emulated: registers 7–31 (read as zero), loopback; a forced speed is kept and shown, and changes nothing.
"""

from typing import Final

from emulators.device import State
from emulators.snapshot import SnapshotError, take, take_version

BMCR_RESET: Final = 0x8000  # 802.3 table 22-7
BMCR_SPEED_100: Final = 0x2000
BMCR_NEGOTIATE: Final = 0x1000
BMCR_RESTART: Final = 0x0200
BMCR_FULL_DUPLEX: Final = 0x0100
BMCR_KEPT: Final = 0x7D80  # loopback, speed, negotiate, power down, isolate, duplex, collision test

BMSR_ABILITIES: Final = 0x7809  # 802.3 table 22-8: 100/10, full/half, can negotiate, extended registers
BMSR_NEGOTIATED: Final = 0x0020
BMSR_LINK: Final = 0x0004

IDENTIFIER: Final = (0x0000, 0x6B71)  # of the PHY within an Am79C973; the revision is chosen
ADVERTISEMENT: Final = 0x01E1  # 802.3 table 28-2: 100/10, full/half, selector 802.3
PARTNER: Final = ADVERTISEMENT | 0x4000
EXPANSION_PARTNER_CAN: Final = 0x0001


class Phy:
    """The registers of one PHY."""

    def __init__(self) -> None:
        self._link = True
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self._control = BMCR_SPEED_100 | BMCR_NEGOTIATE | BMCR_FULL_DUPLEX
        self._advertisement = ADVERTISEMENT
        self._link_lost = False

    def set_link(self, up: bool) -> None:
        """The cable is put in or pulled out."""
        if not up:
            self._link_lost = True
        self._link = up

    def read(self, register: int) -> int:
        """Register 0 … 31."""
        match register:
            case 0:
                return self._control
            case 1:
                up = self._link and not self._link_lost
                self._link_lost = not self._link
                return BMSR_ABILITIES | (BMSR_LINK | BMSR_NEGOTIATED if up else 0)
            case 2 | 3:
                return IDENTIFIER[register - 2]
            case 4:
                return self._advertisement
            case 5:
                return PARTNER if self._link else 0
            case 6:
                return EXPANSION_PARTNER_CAN if self._link else 0
            case _:
                return 0

    def write(self, register: int, value: int) -> None:
        """Register 0 … 31."""
        if register == 0:
            if value & BMCR_RESET:
                self.reset()
            else:
                self._control = value & BMCR_KEPT
        elif register == 4:
            self._advertisement = value & 0xFFFF

    def state(self) -> State:
        """All of it."""
        return {
            "version": 1,
            "registers": [self._control, self._advertisement],
            "link": self._link,
            "link_lost": self._link_lost,
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        take_version(state, 1)
        registers = take(state, "registers", list)
        if len(registers) != 2 or not all(type(value) is int and 0 <= value <= 0xFFFF for value in registers):
            raise SnapshotError(f"snapshot: registers of a PHY: {registers!r:.60}")
        self._link = take(state, "link", bool)
        self._link_lost = take(state, "link_lost", bool)
        self._control, self._advertisement = registers
