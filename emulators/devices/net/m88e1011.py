"""A gigabit Ethernet PHY as its MII management registers: Marvell's 88E1011, as in Intel's 82540EM.

Specification: IEEE 802.3 clauses 22.2.4, 28, 40 (registers 0–10, 15); Intel 82540EM software developer's manual,
section 13.4.17 and table 13-7 ff. (registers 16–21). Board: cards with an `emulators.devices.net.e1000`.

| register | | emulated |
|---|---|---|
| 0 | control | reset, power down, loopback, speed, duplex, negotiation: kept; restart: done at once |
| 1 | status | link (a loss is latched until it is read), negotiation complete |
| 2, 3 | identifier | |
| 4, 9 | advertisement | kept |
| 5, 6, 10 | partner | 10, 100, 1000 while the cable is in |
| 15 | extended status | 1000BASE-T |
| 16, 18, 20 | PHY control, interrupt mask, extended control | kept |
| 17 | PHY status | link, resolved, 1000 Mbit/s full duplex |
| 19 | PHY interrupt status | link changed, until it is read |

Not emulated: other registers (read as zero, writes are lost), cable tests, half duplex; a forced speed changes nothing.
"""

from typing import Final

from emulators.device import State
from emulators.snapshot import SnapshotError, take, take_int, take_version

CONTROL, STATUS, ADVERTISEMENT, PARTNER, EXPANSION, GIGABIT_CONTROL, GIGABIT_STATUS = 0, 1, 4, 5, 6, 9, 10
EXTENDED_STATUS, PHY_CONTROL, PHY_STATUS, INTERRUPT_MASK, INTERRUPT_STATUS, EXTENDED_CONTROL = 15, 16, 17, 18, 19, 20

BMCR_RESET: Final = 0x8000  # 802.3 table 22-7
BMCR_LOOPBACK: Final = 0x4000
BMCR_POWER_DOWN: Final = 0x0800
BMCR_KEPT: Final = 0x7DC0
BMSR_ABILITIES: Final = 0x7949  # 802.3 table 22-8: 10/100, extended status, can negotiate, extended registers
BMSR_NEGOTIATED: Final = 0x0020
BMSR_LINK: Final = 0x0004
IDENTIFIER: Final = (0x0141, 0x0C20)
PHY_STATUS_LINK: Final = 0xAC00  # table 13-15: 1000 Mbit/s, full duplex, resolved, link
INTERRUPT_LINK: Final = 0x0400

_RESET: Final = {
    CONTROL: 0x1140,
    ADVERTISEMENT: 0x0DE1,
    GIGABIT_CONTROL: 0x0E00,
    PHY_CONTROL: 0x0360,
    INTERRUPT_MASK: 0,
    EXTENDED_CONTROL: 0x0D60,
}


class GigabitPhy:
    """The registers of one PHY."""

    def __init__(self) -> None:
        self._cable = True
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self._kept = dict(_RESET)
        self._lost = False
        self._changed = False

    @property
    def link(self) -> bool:
        """Is there a link?"""
        return self._cable and not self._kept[CONTROL] & BMCR_POWER_DOWN

    @property
    def loopback(self) -> bool:
        """Is what is sent heard again?"""
        return bool(self._kept[CONTROL] & BMCR_LOOPBACK)

    def set_link(self, up: bool) -> None:
        """The cable is put in or pulled out."""
        before = self.link
        self._cable = up
        self._note(before)

    def _note(self, before: bool) -> None:
        self._lost = self._lost or not self.link
        self._changed = self._changed or before != self.link

    def read(self, register: int) -> int:
        """Register 0 … 31."""
        match register:
            case 1:
                up = self.link and not self._lost
                self._lost = not self.link
                return BMSR_ABILITIES | (BMSR_LINK | BMSR_NEGOTIATED if up else 0)
            case 2 | 3:
                return IDENTIFIER[register - 2]
            case 5:
                return 0x4DE1 if self.link else 0  # 802.3 table 28-2: acknowledge, pause, 10/100
            case 6:
                return 0x0001 if self.link else 0
            case 10:
                return 0x7C00 if self.link else 0  # 802.3 table 40-3: master, receivers fine, partner full and half
            case 15:
                return 0x3000  # 802.3 table 22-9
            case 17:
                return PHY_STATUS_LINK if self.link else 0
            case 19:
                value = INTERRUPT_LINK if self._changed else 0
                self._changed = False
                return value
            case _:
                return self._kept.get(register, 0)

    def write(self, register: int, value: int) -> None:
        """Register 0 … 31."""
        before = self.link
        if register == CONTROL and value & BMCR_RESET:
            self._kept[CONTROL] = _RESET[CONTROL]
        elif register in _RESET:
            self._kept[register] = value & (BMCR_KEPT if register == CONTROL else 0xFFFF)
        self._note(before)

    def state(self) -> State:
        """All of it."""
        return {
            "version": 1,
            "kept": [self._kept[register] for register in sorted(_RESET)],
            "cable": self._cable,
            "latches": [self._lost, self._changed],
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        take_version(state, 1)
        kept, latches = take(state, "kept", list), take(state, "latches", list)
        if len(kept) != len(_RESET) or [type(latch) for latch in latches] != [bool, bool]:
            raise SnapshotError("snapshot: registers of a PHY")
        kept = [take_int({"register": value}, "register", 0xFFFF) for value in kept]
        self._cable = take(state, "cable", bool)
        self._kept = dict(zip(sorted(_RESET), kept, strict=True))
        self._lost, self._changed = latches
