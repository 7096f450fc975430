"""Realtek RTL8139C Fast Ethernet controller.

Datasheet: Realtek RTL8139C(L) rev. 1.4. Boards: pc, malta. Files: `rtl8139_registers` (bits and limits),
`rtl8139_data_path` (what moves frames), `eeprom93c46`, `mii`, and here registers, timer, reset and state.

I/O and memory base registers lead to the same 256 octets; any width, a part of a register is merged with the rest.

Registers emulated: IDR, MAR, TSD0–3, TSAD0–3, RBSTART, CR, CAPR, CBR, IMR, ISR, TCR (CRC, loopback), RCR (filter, WRAP,
RBLEN), TCTR, TIMERINT, MPC, 9346CR with its EEPROM, CONFIG1, 3, 4, 5 (kept, behind the lock), MSR, TSAD, BMCR, BMSR,
ANAR, ANLPAR, ANER, CSCR (link). PCI revision 0x10: drivers tell an 8139C+ by 0x20.

Not emulated: the C+ mode and its descriptors, early receive interrupts (ERBCR, ERSR and MULINT read 0 or as written:
frames come whole), wake-up frames, power states, the counters of line errors, the PHY's test registers.

Theory: a TSD written without OWN sends what its transmitter points at, at once and in the order of the four. Received
frames go behind a header into the ring that RBSTART and RBLEN name, from CBR on, up to CAPR + 16; those that do not
fit wait in `queue` until the driver writes CAPR. What finds the queue full is missed (RXOVW, MPC). On a wire there is
time between frames, and drivers rely on the next one's interrupt when they leave some unread. Here they come at once;
so while there are unread frames, ROK comes again `REMIND_NS` after it was cleared.

| threat | stopped by |
|---|---|
| sizes that reach beyond a buffer and leak what lies there (CVE-2015-5165's kin) | what is sent is guest memory only |
| CAPR and RBLEN of any value (CVE-2007-1320's kin) | both pointers modulo the buffer's length |
| a buffer that lies on registers (CVE-2021-20255, CVE-2021-3416) | DMA reaches memory only; else SERR, and a stop |
| loopback that feeds itself (CVE-2021-3416) | receiving never transmits |
| transmitters that are never done | four a write at most |
| a timer that fires without end | it fires once for a TIMERINT; the next time is 2³² clocks later |
| floods from the cable | `QUEUE_FRAMES`; the rest is missed and counted |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import State, Timeline
from emulators.devices.net import rtl8139_registers as r
from emulators.devices.net.eeprom93c46 import Eeprom93c46
from emulators.devices.net.polling import Polling
from emulators.devices.net.rtl8139_data_path import DataPath
from emulators.dma import Dma
from emulators.snapshot import SnapshotError, take, take_counts, take_frames, take_int, take_ints, take_version

_SCALARS: Final = {
    "next": 3,
    "cr": 0xFF,
    "isr": 0xFFFF,
    "imr": 0xFFFF,
    "tcr": 0xFFFFFFFF,
    "rcr": 0xFFFFFFFF,
    "rbstart": 0xFFFFFFFF,
    "read_at": 0xFFFF,
    "write_at": 0xFFFF,
    "missed": 0xFFFFFF,
    "cscr": 0xFFFF,
    "cr_9346": 0xFF,
    "timer_int": 0xFFFFFFFF,
    "mulint": 0xFFFF,
    "timer_began_ns": 1 << 62,
}
_PLACES: Final = tuple(
    next((base, r.WIDTHS[base]) for base in range(offset, -1, -1) if base in r.WIDTHS)
    if any(base <= offset < base + width for base, width in r.WIDTHS.items())
    else (offset, 1)
    for offset in range(r.REGISTERS)
)
"""For each octet the register that it belongs to, and its width."""


class Rtl8139(DataPath):
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
        registers = _Registers(self)
        self.add_bar(0, r.REGISTERS, registers, io=True)
        self.add_bar(1, r.REGISTERS, registers)
        self.eeprom = Eeprom93c46(eeprom_words(mac))
        self._config = bytearray(r.REGISTERS)
        self._cr_9346 = 0
        self._timer_int = 0
        self._mulint = 0
        self._timer_at: int | None = None
        self._timer_began_ns = 0
        self._reset_hardware()

    @property
    def mac(self) -> bytes:
        """The address in IDR."""
        return bytes(self._idr)

    # Registers

    def read_register(self, offset: int, size: int) -> int:
        """One access to the 256 octets."""
        base, width = _PLACES[offset]
        if base == offset and width == size:
            return self._read(base)
        value, lane = 0, 0
        while lane < size and offset + lane < r.REGISTERS:
            base, width = _PLACES[offset + lane]
            skip = offset + lane - base
            value |= self._read(base) >> 8 * skip << 8 * lane
            lane += width - skip
        return value & (1 << 8 * size) - 1

    def write_register(self, offset: int, size: int, value: int) -> None:
        """One access to the 256 octets."""
        lane = 0
        while lane < size and offset + lane < r.REGISTERS:
            base, width = _PLACES[offset + lane]
            skip = offset + lane - base
            octets = min(width - skip, size - lane)
            part = value >> 8 * lane & (1 << 8 * octets) - 1
            if octets < width:
                kept = 0 if base == r.ISR else self._read(base)
                mask = (1 << 8 * octets) - 1 << 8 * skip
                part = kept & ~mask | part << 8 * skip
            self._write(base, part)
            lane += octets

    def _read(self, base: int) -> int:
        match base:
            case r.ISR:
                return self._polling.read(self._isr, busy=self._isr)
            case r.CR:
                return self._cr | (r.CR_BUFE if self.is_empty() else 0)
            case r.IMR:
                return self._imr
            case r.CAPR:
                return self._read_at - 16 & 0xFFFF
            case r.CBR:
                return self._write_at
            case r.TCR:
                return self._tcr | r.TCR_VERSION
            case r.RCR:
                return self._rcr
            case r.RBSTART:
                return self._rbstart
            case r.MPC:
                return self._missed
            case r.TCTR:
                return self._ticks()
            case r.TIMER_INT:
                return self._timer_int
            case r.CR_9346:
                return self._cr_9346 | (r.EEDO if self.eeprom.output else 0)
            case r.MSR:
                return r.MSR_AUX | (0 if self._link else r.MSR_LINKB)
            case r.MULINT:
                return self._mulint
            case r.RERID:
                return r.RERID_VALUE
            case r.TSAD:
                return self._summary()
            case r.CSCR:
                value = self._cscr | (r.CSCR_LINK_OK if self._link else 0)
                self._cscr &= ~r.CSCR_LINK_CHANGED
                return value
            case _ if base < r.IDR + 6:
                return self._idr[base]
            case _ if r.MAR <= base < r.MAR + 8:
                return self._mar[base - r.MAR]
            case _ if r.TSD <= base < r.TSAD_0:
                return self._tsd[base - r.TSD >> 2]
            case _ if r.TSAD_0 <= base < r.RBSTART:
                return self._tsad[base - r.TSAD_0 >> 2]
            case _ if base in r.PHY_REGISTERS:
                return self._phy.read(r.PHY_REGISTERS[base])
            case _:
                return self._config[base]

    def _summary(self) -> int:
        """TSAD (§5.25): TOK, TUN, TABT and OWN of the four."""
        value = 0
        for number, status in enumerate(self._tsd):
            value |= bool(status & r.TSD_TOK) << 12 + number | bool(status & r.TSD_TABT) << 4 + number
            value |= bool(status & r.TSD_OWN) << number
        return value

    def _write(self, base: int, value: int) -> None:
        match base:
            case r.ISR:
                self._isr &= ~value
                self._raise(0)
            case r.IMR:
                self._imr = value & r.ISR_ALL
                self._raise(0)
            case r.CAPR:
                self._read_at = value + 16 & 0xFFFF
                self._serve()
                self._raise(0)
            case r.CR:
                self._command(value)
            case r.RBSTART:
                self._rbstart = value
            case r.TCR:
                self._tcr = value & r.TCR_WRITABLE
            case r.RCR:
                self._rcr = value & r.RCR_WRITABLE
                self._serve()
            case r.MPC:
                self._missed = 0
            case r.TCTR:
                self._timer_began_ns = self._timeline.now_ns
                self._arm()
            case r.TIMER_INT:
                self._timer_int = value
                self._arm()
            case r.CR_9346:
                self._write_9346(value)
            case r.MULINT:
                self._mulint = value & 0x0FFF
            case r.HLTCLK | r.ERSR | r.CONFIG0:
                pass
            case _ if base < r.IDR + 6:
                if self._unlocked():
                    self._idr[base] = value
            case _ if r.MAR <= base < r.MAR + 8:
                self._mar[base - r.MAR] = value
            case _ if r.TSD <= base < r.TSAD_0:
                self._tsd[base - r.TSD >> 2] = value & (r.TSD_KEPT | r.TSD_OWN)
                self._transmit()
            case _ if r.TSAD_0 <= base < r.RBSTART:
                self._tsad[base - r.TSAD_0 >> 2] = value
            case _ if base in r.CONFIG_WRITABLE:
                mask = r.CONFIG_WRITABLE[base]
                if base == r.CONFIG5 or self._unlocked():
                    self._config[base] = self._config[base] & ~mask | value & mask
            case _ if base in r.PHY_REGISTERS:
                if base != r.BMCR or self._unlocked():
                    self._phy.write(r.PHY_REGISTERS[base], value)
            case _:
                self.mistakes += 1

    def _unlocked(self) -> bool:
        if self._cr_9346 & r.EEM == r.EEM_CONFIG:
            return True
        self.mistakes += 1
        return False

    def _command(self, value: int) -> None:
        if value & r.CR_RST:
            self._reset_software()
            return
        started = value & ~self._cr
        self._cr = value & (r.CR_RE | r.CR_TE)
        if started & r.CR_RE:
            self._read_at = self._write_at = 0
        if not value & r.CR_RE:
            self.queue.clear()
        if started & r.CR_TE:
            self._next = 0
            self._transmit()

    def _write_9346(self, value: int) -> None:
        self._cr_9346 = value & (r.EEM | r.EECS | r.EESK | r.EEDI)
        mode = value & r.EEM
        if mode == r.EEM_AUTOLOAD:
            self._autoload()
            self._cr_9346 = 0
        chosen = mode == r.EEM_PROGRAM
        self.eeprom.drive(select=chosen and bool(value & r.EECS), clock=bool(value & r.EESK), data=bool(value & r.EEDI))

    # The timer

    def _ticks(self) -> int:
        return (self._timeline.now_ns - self._timer_began_ns) // r.CLOCK_NS & 0xFFFFFFFF

    def _arm(self) -> None:
        self._timer_at = None
        if self._timer_int:
            wait = (self._timer_int - self._ticks()) % (1 << 32) or 1 << 32
            elapsed = (self._timeline.now_ns - self._timer_began_ns) // r.CLOCK_NS
            self._timer_at = self._timer_began_ns + (elapsed + wait) * r.CLOCK_NS

    def next_deadline(self) -> int | None:
        """When TCTR will be TIMERINT, or the driver is reminded of what it has not read."""
        if self._timer_at is None or self._remind_at is None:
            return self._remind_at if self._timer_at is None else self._timer_at
        return min(self._timer_at, self._remind_at)

    def handle_timer(self, now_ns: int) -> None:
        """One of them is due."""
        if self._remind_at is not None and now_ns >= self._remind_at:
            self._raise(r.ISR_ROK)
        if self._timer_at is not None and now_ns >= self._timer_at:
            self._timer_at = self._timer_at + (r.CLOCK_NS << 32)
            self._raise(r.ISR_TIME_OUT)

    # Reset and state

    def _autoload(self) -> None:
        for number in range(3):
            self._idr[2 * number : 2 * number + 2] = self.eeprom.words[7 + number].to_bytes(2, "little")

    def _reset_hardware(self) -> None:
        self._config = bytearray(r.REGISTERS)
        self._config[r.CONFIG1] = r.CONFIG1_RESET
        self._cscr = r.CSCR_RESET
        self._cr_9346 = 0
        self._mar = bytearray(8)
        self._rbstart = 0
        self._phy.reset()
        self._autoload()
        self._reset_software()

    def _reset_software(self) -> None:
        """CR.RST (§5.6): transmitters, FIFOs, pointers and interrupts; addresses and configuration stay."""
        self._cr = self._isr = self._imr = self._tcr = self._rcr = 0
        self._tsd = [r.TSD_OWN] * r.TRANSMITTERS
        self._tsad = [0] * r.TRANSMITTERS
        self._next = self._read_at = self._write_at = self._missed = 0
        self._mulint = self._timer_int = 0
        self._timer_began_ns = self._timeline.now_ns
        self._timer_at = self._remind_at = None
        self.queue.clear()
        self.set_interrupt(False)

    def reset(self) -> None:
        """RST#."""
        super().reset()
        self._reset_hardware()

    def state(self) -> State:
        """All of it."""
        return {
            "version": 1,
            "function": super().state(),
            "registers": {name: getattr(self, f"_{name}") for name in _SCALARS},
            "arrays": [bytes(self._idr), bytes(self._mar), bytes(self._config)],
            "transmitters": [*self._tsd, *self._tsad],
            "timers": [-1 if at is None else at for at in (self._timer_at, self._remind_at)],
            "link": self._link,
            "phy": self._phy.state(),
            "polling": self._polling.state(),
            "eeprom": self.eeprom.state(),
            "queue": list(self.queue),
            "counts": dict(self.counts),
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        take_version(state, 1)
        saved = take(state, "registers", dict)
        scalars = {name: take_int(saved, name, limit) for name, limit in _SCALARS.items()}
        arrays = take(state, "arrays", list)
        transmitters = take_ints(state, "transmitters", 2 * r.TRANSMITTERS, 0xFFFFFFFF)
        if not all(type(one) is bytes for one in arrays) or [len(one) for one in arrays] != [6, 8, r.REGISTERS]:
            raise SnapshotError(f"snapshot: {self.name}: arrays")
        queue = take_frames(state, "queue", r.QUEUE_FRAMES, r.LONGEST_RECEIVED)
        counts = take_counts(state, self.counts)
        link, timers = take(state, "link", bool), take(state, "timers", list)
        if [type(at) for at in timers] != [int, int]:
            raise SnapshotError(f"snapshot: {self.name}: timers")
        self._phy.from_state(take(state, "phy", dict))
        self._polling.from_state(take(state, "polling", dict))
        self.eeprom.from_state(take(state, "eeprom", dict))
        super().from_state(take(state, "function", dict))
        for name, value in scalars.items():
            setattr(self, f"_{name}", value)
        self._idr, self._mar, self._config = (bytearray(one) for one in arrays)
        self._tsd, self._tsad = transmitters[: r.TRANSMITTERS], transmitters[r.TRANSMITTERS :]
        self._link, self.queue, self.counts = link, queue, counts
        self._timer_at, self._remind_at = (at if at >= 0 else None for at in timers)


class _Registers:
    """What the base registers lead to."""

    def __init__(self, card: Rtl8139) -> None:
        self.read = card.read_register
        self.write = card.write_register


def eeprom_words(mac: bytes) -> list[int]:
    """§6: signature, identities, grant and latency, then the address at word 7."""
    if len(mac) != 6:
        raise ValueError(f"an address of {len(mac)} octets")
    address = [int.from_bytes(mac[at : at + 2], "little") for at in (0, 2, 4)]
    return [r.EEPROM_SIGNATURE, 0x10EC, 0x8139, 0x10EC, 0x8139, 0x4020, 0xE012, *address]
