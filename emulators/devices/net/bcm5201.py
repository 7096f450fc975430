"""Broadcom BCM5201: the 10/100 PHY beside the network chip of Power Macintoshes, as its MII management registers.

Specification: IEEE 802.3 clause 22.2.4 (registers 0–6, by `emulators.devices.net.mii`); for the others NetBSD's
bmtphyreg.h, and sungem_phy.c of Linux (what it touches). Board: mac, with an `emulators.devices.net.gem`.

| register | | emulated |
|---|---|---|
| 2, 3 | identifier | 0x0040, 0x6210 |
| 16, 27, 30 | auxiliary control and mode 2, multi-PHY | kept; super-isolate (register 30) takes the PHY off the cable |
| 24, 25 | auxiliary control and status, status summary | negotiation, speed, duplex, link |
| 26 | interrupt | masks kept; link changed, until it is read. The pin leads nowhere |

Not emulated: error counters (read as zero), test registers; a forced speed is shown, and changes nothing.
"""

from typing import Final

from emulators.device import State
from emulators.devices.net import mii
from emulators.snapshot import SnapshotError, take, take_int

IDENTIFIER: Final = (0x0040, 0x6210)  # the revision is chosen
AUX_CONTROL, AUX_CSR, AUX_SUMMARY, INTERRUPT, AUX_MODE_2, MULTI_PHY = 0x10, 0x18, 0x19, 0x1A, 0x1B, 0x1E
KEPT: Final = {AUX_CONTROL: 0x27E0, INTERRUPT: 0xCF00, AUX_MODE_2: 0xFFFF, MULTI_PHY: 0xFFFF}
CSR_NEGOTIATES, CSR_FORCED_100, CSR_100, CSR_FULL = 0x0008, 0x0004, 0x0002, 0x0001
SUMMARY_LINK: Final = 0xF51C  # negotiated, 100BASE-TX full duplex, partner negotiates, 100 Mbit/s, link
SUMMARY_NEGOTIATES: Final = 0x0002
INTERRUPT_LINK: Final = 0x0003  # link changed, interrupt
SUPER_ISOLATE: Final = 0x0008
BMCR_POWER_DOWN, BMCR_ISOLATE = 0x0800, 0x0400  # 802.3 table 22-7


class Bcm5201(mii.Phy):
    """The registers of one PHY."""

    def reset(self) -> None:
        """As after power-on."""
        super().reset()
        self._kept = dict.fromkeys(KEPT, 0)
        self._changed = False

    @property
    def link(self) -> bool:
        """Do frames pass?"""
        off = self._control & (BMCR_POWER_DOWN | BMCR_ISOLATE) or self._kept[MULTI_PHY] & SUPER_ISOLATE
        return self._link and not off

    def set_link(self, up: bool) -> None:
        """The cable is put in or pulled out."""
        self._changed |= up != self._link
        super().set_link(up)

    def read(self, register: int) -> int:
        """Register 0 … 31."""
        negotiates = self._control & mii.BMCR_NEGOTIATE
        if register in (2, 3):
            return IDENTIFIER[register - 2]
        if register == AUX_CSR and negotiates:
            return CSR_NEGOTIATES | (CSR_100 | CSR_FULL if self._link else 0)
        if register == AUX_CSR:
            fast = CSR_FORCED_100 | CSR_100 if self._control & mii.BMCR_SPEED_100 else 0
            return fast | (CSR_FULL if self._control & mii.BMCR_FULL_DUPLEX else 0)
        if register == AUX_SUMMARY:
            return (SUMMARY_NEGOTIATES if negotiates else 0) | (SUMMARY_LINK if self._link else 0)
        value = self._kept[register] if register in KEPT else super().read(register)
        if register == INTERRUPT and self._changed:
            value |= INTERRUPT_LINK
            self._changed = False
        return value

    def write(self, register: int, value: int) -> None:
        """Register 0 … 31."""
        if register in KEPT:
            self._kept[register] = value & KEPT[register]
        else:
            super().write(register, value)

    def state(self) -> State:
        """All of it."""
        return {"mii": super().state(), "kept": list(self._kept.values()), "changed": self._changed}

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        kept, changed = take(state, "kept", list), take(state, "changed", bool)
        if len(kept) != len(KEPT):
            raise SnapshotError("snapshot: registers of a PHY")
        kept = [
            take_int({"register": value}, "register", mask) for value, mask in zip(kept, KEPT.values(), strict=True)
        ]
        super().from_state(take(state, "mii", dict))
        self._kept, self._changed = dict(zip(KEPT, kept, strict=True)), changed
