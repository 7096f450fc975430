"""Intel 82540EM gigabit Ethernet controller ("e1000", PRO/1000 MT).

Manual: Intel 317453 rev. 4.0, "PCI/PCI-X Family of Gigabit Ethernet Controllers". Boards: pc, malta. Files:
`e1000_registers` (bits and limits), `e1000_data_path` (what moves frames), `e1000_offload` (checksums, segments),
`m88e1011` (the PHY), `eeprom93c46`, and here registers, reset and state.

Base register 0 leads to 128 KiB of registers, 2 to IOADDR and IODATA. Registers are accessed with 32 bits.

Registers emulated: CTRL (SLU, RST, PHY_RST, VME), STATUS, EECD and EERD, MDIC, ICR, ICS, IMS, IMC, ITR, RCTL (but store
bad packets, DPF, PMCF), TCTL (EN, PSP), the receive and transmit rings with legacy, context and data descriptors,
RXCSUM, MTA, RAL and RAH, VFTA, VET, statistics. Kept without effect: flow control, TIPG, PBA, LEDCTL, the delay timers
(a cause is raised at once; ITR throttles), wake-up, MANC, TXCW.

Not emulated: flash, the packet buffer as memory, ASF, wake-up, PCI power management, 64-bit addresses of registers,
half duplex.

Theory: a write of TDT sends what is between TDH and TDT, at once, or in portions of `MOST_WORK`. Frames from the cable
pass the filter and go into the descriptors between RDH and RDT; those that do not fit wait in `queue` until RDT is
written. What finds the queue full is missed (RXO, MPC). The interrupt pin rises at most once in ITR × 256 ns.

| threat | stopped by |
|---|---|
| TDH, TDT, RDH, RDT beyond the ring, a ring of no length (CVE-2016-1981) | no walk, and counted |
| rings of descriptors without data or end (CVE-2015-6815, CVE-2021-20257) | `MOST_WORK`, `LONGEST_PACKET` |
| segments of no octets, headers longer than the packet (CVE-2010-4343's kin) | `e1000_offload` |
| rings and buffers that lie on registers (CVE-2021-20255) | DMA reaches memory only; else both directions stop |
| loopback that feeds itself (CVE-2021-3416) | receiving never transmits |
| an index of a register array beyond it | registers are a table of those that there are |
| floods from the cable | `QUEUE_FRAMES`; the rest is missed and counted |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import State, Timeline
from emulators.devices.net import e1000_registers as r
from emulators.devices.net.e1000_data_path import DataPath
from emulators.devices.net.e1000_offload import Context
from emulators.devices.net.eeprom93c46 import Eeprom93c46
from emulators.devices.net.polling import Polling
from emulators.devices.pci.config import MIN_GNT
from emulators.dma import Dma
from emulators.snapshot import SnapshotError, take, take_counts, take_frames, take_int, take_ints, take_version

_SCALARS: Final = {
    **dict.fromkeys(("ctrl", "rctl", "tctl", "eecd", "eerd", "mdic", "icr", "ims", "io_address"), 0xFFFFFFFF),
    **dict.fromkeys(("rdh", "rdt", "tdh", "tdt"), 0xFFFF),
    "options": 0xFF,
    "quiet_until_ns": 1 << 62,
    "transmit_at": 1 << 62,
}
EEPROM_SUM: Final = 0xBABA  # §5.6.35


class E1000(DataPath):
    """One card.

    Args:
        mac: its address, 6 octets.
        dma: to memory.
        out: takes the frames that are sent, without FCS.
        warp: lets time pass for drivers that poll (`emulators.devices.net.polling`).
    """

    def __init__(
        self,
        name: str,
        *,
        mac: bytes,
        dma: Dma,
        out: Callable[[bytes], None],
        timeline: Timeline,
        warp: Callable[[int], None] = lambda ns: None,
    ) -> None:
        self._polling = Polling(timeline=timeline, warp=warp)
        super().__init__(name, dma=dma, out=out, timeline=timeline)
        self.set_config(MIN_GNT, 2, 0x00FF)
        self.add_bar(0, r.REGISTERS, _Registers(self))
        self.add_bar(2, 64, _Ports(self), io=True)
        self.eeprom = Eeprom93c46(eeprom_words(mac))
        self._eecd = self._eerd = self._mdic = self._io_address = 0
        self._reset_software()

    @property
    def mac(self) -> bytes:
        """The address in the EEPROM."""
        return b"".join(word.to_bytes(2, "little") for word in self.eeprom.words[:3])

    def set_link(self, up: bool) -> None:
        """The cable is put in or pulled out."""
        before = self._link
        self._phy.set_link(up)
        self._note_link(before)

    def _note_link(self, before: bool) -> None:
        if self._link != before:
            self._raise(r.ICR_LSC)

    # Registers

    def read_register(self, offset: int, size: int) -> int:
        """One access to the 128 KiB."""
        if offset & 3 or size < 4:
            return self.read_register(offset & ~3, 4) >> 8 * (offset & 3) & (1 << 8 * size) - 1
        if size == 8:
            return self.read_register(offset, 4) | self.read_register(offset + 4, 4) << 32
        if offset == r.ICR:
            value = self._icr
            self._icr = 0
            self._update_interrupt()
            return self._polling.read(value, busy=value)
        value = self._plain.get(offset, -1)
        return value if value >= 0 else self._read(offset)

    def _read(self, offset: int) -> int:
        match offset:
            case r.STATUS:
                status = r.STATUS_FD | r.STATUS_1000 | r.STATUS_ASDV_1000
                return status | (r.STATUS_LU if self._link else 0)
            case r.CTRL:
                return self._ctrl
            case r.EECD:
                grant = r.EECD_GNT if self._eecd & r.EECD_REQ else 0
                return self._eecd | grant | r.EECD_PRES | (r.EECD_DO if self.eeprom.output else 0)
            case r.EERD:
                return self._eerd
            case r.MDIC:
                return self._mdic
            case r.IMS | r.ICS:
                return self._ims if offset == r.IMS else self._icr
            case r.RCTL:
                return self._rctl
            case r.TCTL:
                return self._tctl
            case r.RDH:
                return self._rdh
            case r.RDT:
                return self._rdt
            case r.TDH:
                return self._tdh
            case r.TDT:
                return self._tdt
            case _ if offset in r.STATISTICS:
                value = self._stats[offset]
                self._stats[offset] = 0
                return value
            case _:
                self.mistakes += 1
                return 0

    def write_register(self, offset: int, size: int, value: int) -> None:
        """One access to the 128 KiB."""
        if size == 8 and not offset & 3:
            self.write_register(offset, 4, value & 0xFFFFFFFF)
            self.write_register(offset + 4, 4, value >> 32)
            return
        if size != 4 or offset & 3:
            self.mistakes += 1
            return
        match offset:
            case r.TDT:
                self._tdt = value & 0xFFFF
                self._transmit()
            case r.RDT:
                self._rdt = value & 0xFFFF
                self._serve()
            case r.IMS:
                self._ims |= value & r.ICR_ALL
                self._update_interrupt()
            case r.IMC:
                self._ims &= ~value
                self._update_interrupt()
            case r.ICR:
                self._icr &= ~value
                self._update_interrupt()
            case r.ICS:
                self._raise(value & r.ICR_ALL)
            case _ if offset in r.PLAIN:
                self._plain[offset] = value & r.PLAIN[offset]
                if offset in (r.RDLEN, r.RDBAL):
                    self._serve()
            case _:
                self._write(offset, value)

    def _write(self, offset: int, value: int) -> None:
        match offset:
            case r.CTRL:
                self._write_ctrl(value)
            case r.RCTL:
                self._rctl = value & r.RCTL_WRITABLE
                if not value & r.RCTL_EN:
                    self.queue.clear()
                self._serve()
            case r.TCTL:
                self._tctl = value & 0x03FFFFFA
                self._transmit()
            case r.TDH | r.RDH:
                if offset == r.TDH:
                    self._tdh = value & 0xFFFF
                    self._packet = bytearray()
                else:
                    self._rdh = value & 0xFFFF
            case r.EECD:
                self._eecd = value & r.EECD_WRITABLE
                self.eeprom.drive(
                    select=bool(value & r.EECD_CS), clock=bool(value & r.EECD_SK), data=bool(value & r.EECD_DI)
                )
            case r.EERD:
                word = self.eeprom.words[value >> 8 & 0x3F]
                self._eerd = value & 0xFF00 | (r.EERD_DONE | word << 16 if value & r.EERD_START else 0)
            case r.MDIC:
                self._write_mdic(value)
            case r.STATUS:
                pass  # read-only, and written by drivers all the same
            case _ if offset in r.STATISTICS:
                pass
            case _:
                self.mistakes += 1

    def _write_ctrl(self, value: int) -> None:
        before = self._link
        if value & r.CTRL_PHY_RST:
            self._phy.reset()
        if value & r.CTRL_RST:
            self._reset_software()
            return
        self._ctrl = value & ~(r.CTRL_RST | r.CTRL_PHY_RST)
        self._note_link(before)

    def _write_mdic(self, value: int) -> None:
        before = self._link
        operation, phy, register = value >> 26 & 3, value >> 21 & 31, value >> 16 & 31
        self._mdic = value & 0x2FFFFFFF | r.MDIC_READY
        if phy != r.PHY_ADDRESS:
            self._mdic |= r.MDIC_ERROR
        elif operation == 2:
            self._mdic = self._mdic & ~0xFFFF | self._phy.read(register)
        elif operation == 1:
            self._phy.write(register, value & 0xFFFF)
            self._note_link(before)
        else:
            self._mdic |= r.MDIC_ERROR
        if value & r.MDIC_INTERRUPT:
            self._raise(r.ICR_MDAC)

    def read_port(self, offset: int, size: int) -> int:
        """IOADDR and IODATA (§13.3)."""
        if size != 4 or offset not in (0, 4):
            self.mistakes += 1
            return (1 << 8 * size) - 1
        if offset == 0:
            return self._io_address
        return self.read_register(self._io_address & ~3, 4) if self._io_address < r.REGISTERS else 0

    def write_port(self, offset: int, size: int, value: int) -> None:
        """IOADDR and IODATA (§13.3)."""
        if size != 4 or offset not in (0, 4):
            self.mistakes += 1
        elif offset == 0:
            self._io_address = value
        elif self._io_address < r.REGISTERS:
            self.write_register(self._io_address & ~3, 4, value)

    # Reset and state

    def _reset_software(self) -> None:
        """CTRL.RST (§13.4.1): all registers but those of PHY and EEPROM; then the address is loaded from the EEPROM."""
        self._plain = {offset: r.RESET.get(offset, 0) for offset in r.PLAIN}
        self._stats = dict.fromkeys(r.STATISTICS, 0)
        address = int.from_bytes(self.mac, "little")
        self._plain[r.RAL], self._plain[r.RAL + 4] = address & 0xFFFFFFFF, address >> 32 | r.RAH_AV
        self._ctrl = r.RESET[r.CTRL]
        self._rctl = self._tctl = self._icr = self._ims = 0
        self._rdh = self._rdt = self._tdh = self._tdt = 0
        self._eerd = self._mdic = 0
        self._quiet_until_ns = 0
        self._interrupt_at = None
        self._transmit_at = 0
        self._context = self._segment_context = Context()
        self._packet = bytearray()
        self._options = 0
        self.queue.clear()
        self.set_interrupt(False)

    def reset(self) -> None:
        """RST#."""
        super().reset()
        self._eecd = self._io_address = 0
        self._phy.reset()
        self._reset_software()

    def state(self) -> State:
        """All of it."""
        return {
            "version": 1,
            "function": super().state(),
            "scalars": {name: getattr(self, f"_{name}") for name in _SCALARS},
            "plain": list(self._plain.values()),
            "statistics": list(self._stats.values()),
            "contexts": [self._context.numbers(), self._segment_context.numbers()],
            "packet": bytes(self._packet),
            "interrupt_at": -1 if self._interrupt_at is None else self._interrupt_at,
            "phy": self._phy.state(),
            "polling": self._polling.state(),
            "eeprom": self.eeprom.state(),
            "queue": list(self.queue),
            "counts": dict(self.counts),
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        take_version(state, 1)
        saved = take(state, "scalars", dict)
        scalars = {name: take_int(saved, name, limit) for name, limit in _SCALARS.items()}
        plain = dict(zip(r.PLAIN, take_ints(state, "plain", len(r.PLAIN), 0xFFFFFFFF), strict=True))
        if any(value & ~r.PLAIN[offset] for offset, value in plain.items()):
            raise SnapshotError(f"snapshot: {self.name}: a register with bits that it does not have")
        counters = take_ints(state, "statistics", len(r.STATISTICS), 0xFFFFFFFF)
        statistics = dict(zip(r.STATISTICS, counters, strict=True))
        contexts = []
        for numbers in take(state, "contexts", list):
            if not isinstance(numbers, list) or len(numbers) != 9:
                raise SnapshotError(f"snapshot: {self.name}: contexts")
            contexts.append(Context(*(take_int({"context": number}, "context", 0xFFFF) for number in numbers)))
        if len(contexts) != 2:
            raise SnapshotError(f"snapshot: {self.name}: contexts")
        packet, queue = take(state, "packet", bytes), take_frames(state, "queue", r.QUEUE_FRAMES, r.LONGEST_LONG_FRAME)
        if len(packet) > r.LONGEST_PACKET + 1:
            raise SnapshotError(f"snapshot: {self.name}: a packet of {len(packet)} octets")
        counts = take_counts(state, self.counts)
        interrupt_at = take(state, "interrupt_at", int)
        self._phy.from_state(take(state, "phy", dict))
        self._polling.from_state(take(state, "polling", dict))
        self.eeprom.from_state(take(state, "eeprom", dict))
        super().from_state(take(state, "function", dict))
        for name, value in scalars.items():
            setattr(self, f"_{name}", value)
        self._plain, self._stats, self.counts = plain, statistics, counts
        self._context, self._segment_context = contexts
        self._packet, self.queue = bytearray(packet), queue
        self._interrupt_at = interrupt_at if interrupt_at >= 0 else None


class _Registers:
    """What base register 0 leads to."""

    def __init__(self, card: E1000) -> None:
        self.read = card.read_register
        self.write = card.write_register


class _Ports:
    """What base register 2 leads to."""

    def __init__(self, card: E1000) -> None:
        self.read = card.read_port
        self.write = card.write_port


def eeprom_words(mac: bytes) -> list[int]:
    """§5.6: address, identities, initial control words, and the sum that drivers check."""
    if len(mac) != 6:
        raise ValueError(f"an address of {len(mac)} octets")
    words = [0] * 64
    words[:3] = [int.from_bytes(mac[at : at + 2], "little") for at in (0, 2, 4)]
    words[0x0A:0x10] = [0x4408, 0x001E, 0x8086, 0x100E, 0x8086, 0x3040]  # §5.6.7–5.6.12
    words[0x3F] = EEPROM_SUM - sum(words) & 0xFFFF
    return words
