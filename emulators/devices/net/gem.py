"""Sun's GEM as Apple built it into its host bridges: the Ethernet of Power Macintoshes ("gmac", 106B:0021).

Sources: NetBSD's gemreg.h (after Sun's "GEM Gigabit Ethernet ASIC Specification"); sungem.h and sungem.c of Linux, for
what Apple changed and what its driver relies on. Board: mac. Files: `gem_registers` (bits, descriptors and limits),
`gem_data_path` (what moves frames), `bcm5201` (the PHY), and here registers, the way to the PHY, reset and state.

Base register 0 leads to 2 MiB of registers. They are accessed with 32 bits; parts can be read.

Registers emulated: STATUS and its alias, INTMASK, INTACK, error status and mask, RESET; kick, completion, configuration
and ring base of both directions, with rings of 32 to 8192 descriptors, checksums put in and reported; MAC: reset, send
pause, status and masks, TX, RX, control and XIF configuration, address, alternate and control address, hash table,
largest frame, received frames and length errors; MIF: frame, polling, mask, status. After RST# the address registers
hold the card's own (what OpenBIOS takes it from).

Kept without effect: RX_BLANKING (RX_DONE comes at once), thresholds, gaps, slot time, collision counters, wake-up, the
PCS (never a link there: the PHY is on MDIO 0, address 0), CONFIG, BIF_CONFIG, address filter and its masks.

Not emulated: the expansion ROM (reads as zero), FIFOs by hand, bit-bang of the MIF, stripping of padding, frames with
errors; a received pause frame is reported, and stops nothing.

Theory: a write of TX_KICK sends what is between completion and kick, at once, or in portions of `MOST_WORK`. Frames
from the cable pass the filter and go into the descriptors between RX_COMPLETION and RX_KICK, but for the last, so that
a kick that equals the completion is a full ring: drivers give back all that they took. Frames that do not fit wait in
`queue` (RX_NOBUF) until the kick is written. What finds the queue full is missed (overflow: the driver resets the
receiver). STATUS is made when it is read: latched bits, and those that follow from the registers of the units.

| threat | stopped by |
|---|---|
| kicks and completions beyond the ring | both modulo the ring's length, a power of two |
| rings of descriptors without end, or of the largest size (CVE-2015-6815's kin) | `MOST_WORK`, `LONGEST_FRAME` |
| checksum offsets beyond the frame | nothing is written, and counted |
| buffers smaller than the frame | what does not fit is cut off and marked bad |
| rings and buffers that lie on registers (CVE-2021-20255) | DMA reaches memory only; else BUS_ERROR, and a stop |
| loopback that feeds itself (CVE-2021-3416) | receiving never transmits |
| floods from the cable | `QUEUE_FRAMES`; the rest is missed and counted |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import State, Timeline
from emulators.devices.net import gem_registers as r
from emulators.devices.net.gem_data_path import DataPath
from emulators.dma import Dma
from emulators.snapshot import SnapshotError, take, take_counts, take_frames, take_int, take_ints, take_version

_SCALARS: Final = {
    "latched": r.LATCHED,
    **dict.fromkeys(("tx_status", "rx_status"), 0x1FF),
    "control_status": 0xFFFFFFFF,
    "errors": 7,
    **dict.fromkeys(("mif_image", "mif_changed"), 0xFFFF),
    "mif_frame": 0xFFFFFFFF,
    "reset_out": r.RESET_OUT,
    **dict.fromkeys(("tx_done", "rx_done"), r.LARGEST_RING - 1),
    "transmit_at": 1 << 62,
    "flags": (1 << 64) - 1,
}


class Gem(DataPath):
    """One card.

    Args:
        mac: its address, 6 octets.
        dma: to memory.
        out: takes the frames that are sent, without FCS.
    """

    def __init__(self, name: str, *, mac: bytes, dma: Dma, out: Callable[[bytes], None], timeline: Timeline) -> None:
        if len(mac) != 6:
            raise ValueError(f"an address of {len(mac)} octets")
        super().__init__(name, dma=dma, out=out, timeline=timeline)
        self.add_bar(0, r.REGISTERS, _Registers(self))
        self._mac = mac
        self._reset_hardware()

    @property
    def mac(self) -> bytes:
        """The address that it was made with."""
        return self._mac

    def set_link(self, up: bool) -> None:
        """The cable is put in or pulled out."""
        self._phy.set_link(up)
        self._poll()

    # Registers

    def read_register(self, offset: int, size: int) -> int:
        """One access to the 2 MiB."""
        if offset & 3 or size < 4:
            return self.read_register(offset & ~3, 4) >> 8 * (offset & 3) & (1 << 8 * size) - 1
        if size == 8:
            return self.read_register(offset, 4) | self.read_register(offset + 4, 4) << 32
        if offset == r.STATUS:
            value = self._causes() | self._tx_done << r.COMPLETION_SHIFT
            self._latched = 0
            self._raise(0)
            return value
        if offset == r.RX_COMPLETION:
            return self._rx_done
        if offset in self._plain:
            return self._plain[offset]
        return self._read(offset)

    def _read(self, offset: int) -> int:
        match offset:
            case r.STATUS_ALIAS:
                return self._causes() | self._tx_done << r.COMPLETION_SHIFT
            case r.TX_COMPLETION:
                return self._tx_done
            case r.RESET:
                return self._reset_out
            case r.ERROR_STATUS:
                value, self._errors = self._errors, 0
            case r.MAC_TX_STATUS:
                value, self._tx_status = self._tx_status, 0
            case r.MAC_RX_STATUS:
                value, self._rx_status = self._rx_status, 0
            case r.MAC_CONTROL_STATUS:
                value = self._control_status
                self._control_status &= 0xFFFF0000
            case r.MIF_STATUS:
                value, self._mif_changed = self._mif_image << 16 | self._mif_changed, 0
            case r.MIF_FRAME:
                return self._mif_frame
            case _:
                self.mistakes += offset not in r.FIXED
                return r.FIXED.get(offset, 0)
        self._raise(0)
        return value

    def write_register(self, offset: int, size: int, value: int) -> None:
        """One access to the 2 MiB."""
        if size == 8 and not offset & 3:
            self.write_register(offset, 4, value & 0xFFFFFFFF)
            self.write_register(offset + 4, 4, value >> 32)
            return
        if size != 4 or offset & 3:
            self.mistakes += 1
            return
        if offset in self._plain:
            self._plain[offset] = value & r.PLAIN[offset]
        match offset:
            case r.TX_KICK | r.TX_CONFIG | r.MAC_TX_CONFIG:
                self._transmit()
            case r.RX_KICK | r.RX_CONFIG | r.MAC_RX_CONFIG:
                self._serve()
            case r.INTMASK | r.ERROR_MASK | r.MAC_TX_MASK | r.MAC_RX_MASK | r.MAC_CONTROL_MASK | r.MIF_MASK:
                self._raise(0)
            case _ if offset not in self._plain or offset in (r.MAC_SEND_PAUSE, r.MIF_CONFIG, r.PCS_CONTROL):
                self._write(offset, value)

    def _write(self, offset: int, value: int) -> None:
        match offset:
            case r.INTACK:
                self._latched &= ~value
                self._raise(0)
            case r.RESET:
                self._reset_out = value & r.RESET_OUT
                self._reset_halves(tx=bool(value & r.RESET_TX), rx=bool(value & r.RESET_RX))
            case r.MAC_TXRESET | r.MAC_RXRESET:
                if value & 1 and offset == r.MAC_TXRESET:
                    self._plain[r.MAC_TX_CONFIG], self._tx_status = 0, 0
                elif value & 1:
                    self._plain[r.MAC_RX_CONFIG], self._rx_status = 0, 0
                    self.queue.clear()
                self._raise(0)
            case r.MAC_SEND_PAUSE:
                if value & r.SEND_PAUSE:
                    self._send_pause()
            case r.MIF_CONFIG:
                self._plain[r.MIF_CONFIG] |= r.MIF_MDIO_0
                self._poll()
            case r.MIF_FRAME:
                self._mif_frame = self._talk(value)
            case r.PCS_CONTROL:
                self._plain[r.PCS_CONTROL] |= r.PCS_ALWAYS
            case _:
                self.mistakes += offset not in r.FIXED

    # The PHY

    def _is_there(self, address: int) -> bool:
        return address == r.PHY_ADDRESS and not self._plain[r.MIF_CONFIG] & r.MIF_PHY_SELECT

    def _talk(self, frame: int) -> int:
        """What the frame register holds when a management frame (802.3 clause 22.2.4.5) is done."""
        start, operation, register = frame >> 30, frame >> 28 & 3, frame >> 18 & 31
        there = self._is_there(frame >> 23 & 31)
        answer = frame & 0xFFFF
        if start != r.FRAME_START or operation not in (r.FRAME_READ, r.FRAME_WRITE):
            self.mistakes += 1
        elif operation == r.FRAME_READ:
            answer = self._phy.read(register) if there else 0xFFFF
        elif there:
            self._phy.write(register, answer)
            self._poll()
        return frame & 0xFFFE0000 | r.FRAME_DONE | answer

    def _poll(self) -> None:
        """The MIF reads one register over and over; two times show all that a latch can hide."""
        config = self._plain[r.MIF_CONFIG]
        if config & r.MIF_POLL and self._is_there(config >> 10 & 31):
            for _ in range(2):
                image = self._phy.read(config >> 3 & 31)
                self._mif_changed |= image ^ self._mif_image
                self._mif_image = image
            self._raise(0)

    # Reset and state

    def _reset_halves(self, *, tx: bool, rx: bool) -> None:
        """RESET: the DMA and the enable of one half, or of both, and then interrupts too; addresses stay."""
        for offset in (*(r.OF_TX if tx else ()), *(r.OF_RX if rx else ())):
            self._plain[offset] = r.RESET_VALUES.get(offset, 0)
        if tx:
            self._tx_done = self._tx_status = self._transmit_at = self._flags = 0
            self._packet = bytearray()
        if rx:
            self._rx_done = self._rx_status = 0
            self.queue.clear()
        if tx and rx:
            self._plain[r.INTMASK] = r.RESET_VALUES[r.INTMASK]
            self._latched = self._errors = self._control_status = 0
        self._raise(0)

    def _reset_hardware(self) -> None:
        self._plain = {offset: r.RESET_VALUES.get(offset, 0) for offset in r.PLAIN}
        for number in range(3):
            self._plain[r.MAC_ADDR + 8 - 4 * number] = int.from_bytes(self._mac[2 * number : 2 * number + 2], "big")
        self._mif_image = self._mif_changed = self._mif_frame = self._reset_out = 0
        self._phy.reset()
        self._reset_halves(tx=True, rx=True)

    def reset(self) -> None:
        """RST#."""
        super().reset()
        self._reset_hardware()

    def state(self) -> State:
        """All of it."""
        return {
            "version": 1,
            "function": super().state(),
            "scalars": {name: getattr(self, f"_{name}") for name in _SCALARS},
            "plain": list(self._plain.values()),
            "packet": bytes(self._packet),
            "phy": self._phy.state(),
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
        packet, queue = take(state, "packet", bytes), take_frames(state, "queue", r.QUEUE_FRAMES, r.LONGEST_FRAME)
        if len(packet) > r.LONGEST_FRAME + 5:
            raise SnapshotError(f"snapshot: {self.name}: a packet of {len(packet)} octets")
        counts = take_counts(state, self.counts)
        self._phy.from_state(take(state, "phy", dict))
        super().from_state(take(state, "function", dict))
        for name, value in scalars.items():
            setattr(self, f"_{name}", value)
        self._plain, self.counts = plain, counts
        self._packet, self.queue = bytearray(packet), queue


class _Registers:
    """What the base register leads to."""

    def __init__(self, card: Gem) -> None:
        self.read = card.read_register
        self.write = card.write_register
