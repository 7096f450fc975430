"""National Semiconductor DP8390D network interface controller: registers, receive ring, remote DMA.

Datasheet: National Semiconductor DP8390D (July 1995). Boards: those with an NE2000 (`emulators.devices.net.ne2000`).
Bits and limits: `dp8390_registers`;
what moves octets: `dp8390_data_path`.

Registers emulated: all of pages 0, 1 and 2; with `realtek` page 3 of an RTL8029AS and its identification.
Not emulated: the FIFO other than after loopback, auto-initialise remote DMA (ARM), big-endian order (BOS), collisions,
backoff, errors of frames (the tally counters for CRC and alignment stay 0).

Theory: the chip sees 64 KiB of its own (`PacketMemory`), not the machine's. A write of TXP sends at once. A frame that
passes the filter goes into pages from CURR on, behind a header of four octets (status, next page, length); the pages
stop before BNRY. While the driver has not freed enough pages frames wait in `queue`, and go into the ring when BNRY is
written; what finds the queue full is missed, which the driver sees as an overrun (OVW, tally counter 2). On a wire
there is time between frames, and drivers rely on the next one's interrupt when they leave some unread (Linux: nine at a
time). Here they come at once; so while there are unread frames, PRX comes again `REMIND_NS` after it was cleared.

Remote DMA moves octets between the data port and that memory: RSAR and RBCR say where and how many, and the port may
be accessed with 8, 16 or 32 bits. In word mode (DCR.WTS) each transfer moves two octets, and one with 8 bits carries
the lower. `read_string` and `write_string` do a whole string instruction at once.

The link: the chip has no register for it. Without it a frame is sent in vain: TSR says that the carrier was lost.

| threat | stopped by |
|---|---|
| ring registers that lead a received frame out of memory (CVE-2007-1321, CVE-2015-5279) | `PacketMemory.write` |
| addresses of the data port outside memory (CVE-2015-8743) | `PacketMemory`: 16 bits, ones where nothing is |
| PSTART, PSTOP, BNRY, CURR in an order that has no end (CVE-2015-5278) | a frame takes `LONGEST_FRAME` pages at most |
| transmit counts of 64 KiB | `LONGEST_FRAME`; what is longer is not sent |
| loopback that feeds itself (CVE-2021-3416) | in loopback nothing reaches ring or cable |
| floods from the cable | `QUEUE_FRAMES`; the rest is missed and counted |
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State, Timeline
from emulators.devices.net.dp8390_data_path import DataPath
from emulators.devices.net.dp8390_registers import (
    ASID_8029,
    CONFIG3_WRITABLE,
    COUNTER_STOPS,
    CR_9346_CONFIG,
    CR_ABORT,
    CR_RD,
    CR_READ,
    CR_SEND_PACKET,
    CR_STA,
    CR_STP,
    CR_TXP,
    CR_WRITE,
    HEADER,
    ID_8029,
    ISR_INTERRUPTS,
    ISR_PRX,
    ISR_RDC,
    ISR_RST,
    LONGEST_FRAME,
    PAGE,
    QUEUE_FRAMES,
    TCR_LOOPBACK,
)
from emulators.devices.net.packet_memory import PacketMemory
from emulators.devices.net.polling import Polling
from emulators.snapshot import SnapshotError, take, take_counts, take_frames, take_int, take_version

_KEPT: Final = ("pstart", "pstop", "bnry", "curr", "tpsr", "tsr", "isr", "imr", "rsr", "rcr", "tcr", "dcr", "cr")
_KEPT_16: Final = ("tbcr", "rsar", "rbcr", "clda")


class Dp8390(DataPath):
    """The chip.

    Args:
        memory: what its DMA channels see.
        irq: its interrupt pin.
        out: takes the frames that are sent, without FCS.
        timeline: the machine's time.
        realtek: be an RTL8029AS.
        warp: lets time pass for drivers that poll (`emulators.devices.net.polling`).
    """

    def __init__(
        self,
        *,
        memory: PacketMemory,
        irq: Irq,
        out: Callable[[bytes], None],
        timeline: Timeline,
        realtek: bool = False,
        warp: Callable[[int], None] = lambda ns: None,
    ) -> None:
        super().__init__(memory=memory, irq=irq, out=out, timeline=timeline)
        self._polling = Polling(timeline=timeline, warp=warp)
        self._realtek = realtek
        self._config = bytearray(16)

    def reset(self) -> None:
        """The reset pin (§7): stopped, interrupts off, no loopback of counters; addresses keep their values."""
        self.cr = CR_STP | CR_ABORT
        self.isr = ISR_RST
        self.imr = 0
        self.dcr &= ~0x06 & 0xFF
        self.tcr &= ~TCR_LOOPBACK & 0xFF
        self.rbcr = 0
        self._full = False
        self._remind_at = None
        self.queue.clear()
        self._irq(False)

    # Registers

    def read_octet(self, offset: int) -> int:
        """Register `offset` (0 … 15) of the page that CR names."""
        if offset == 0:
            return self.cr
        page = self.cr >> 6
        if page == 0:
            return self._read_page_0(offset)
        if page == 1:
            return self._par[offset - 1] if offset < 7 else self.curr if offset == 7 else self._mar[offset - 8]
        if page == 2:
            return self._read_page_2(offset)
        if self._realtek:
            return ASID_8029[offset - 14] if offset >= 14 else self._config[offset]
        self.mistakes += 1
        return 0xFF

    def _read_page_0(self, offset: int) -> int:
        match offset:
            case 7:
                # iPXE clears nothing in it, and looks at CURR as well; who moves data is no idle poller
                return self._polling.read(self.isr | self.curr << 8 | self.rsar << 16, busy=0) & 0xFF
            case 3:
                return self.bnry
            case 4:
                return self.tsr
            case 12:
                return self.rsr
            case 1 | 2:
                return self.clda >> 8 * (offset - 1) & 0xFF
            case 5:
                return 0  # NCR: never a collision
            case 6:
                return self._fifo.popleft() if self._fifo else 0
            case 8 | 9:
                return self.rsar >> 8 * (offset - 8) & 0xFF
            case 10 | 11:
                return ID_8029[offset - 10] if self._realtek else 0xFF
            case _:
                value = self._tally[offset - 13]
                self._tally[offset - 13] = 0
                return value

    def _read_page_2(self, offset: int) -> int:
        match offset:
            case 1:
                return self.pstart
            case 2:
                return self.pstop
            case 3:
                return self.rsar >> 8
            case 4:
                return self.tpsr
            case 5:
                return self.curr
            case 6 | 7:
                return self.clda >> 8 * (7 - offset) & 0xFF
            case 12:
                return self.rcr | 0xC0
            case 13:
                return self.tcr | 0xE0
            case 14:
                return self.dcr | 0x80
            case 15:
                return self.imr | 0x80
            case _:
                self.mistakes += 1
                return 0xFF

    def write_octet(self, offset: int, value: int) -> None:
        """Register `offset` (0 … 15) of the page that CR names."""
        if offset == 0:
            self._command(value)
            return
        page = self.cr >> 6
        if page == 0:
            self._write_page_0(offset, value)
        elif page == 1:
            if offset < 7:
                self._par[offset - 1] = value
            elif offset == 7:
                self.curr = value
                self._full = False
            else:
                self._mar[offset - 8] = value
        elif page == 3 and self._realtek and offset == 1:
            self._config[1] = value & CR_9346_CONFIG
        elif page == 3 and self._realtek and offset == 6 and self._config[1] == CR_9346_CONFIG:
            self._config[6] = value & CONFIG3_WRITABLE
        else:
            self.mistakes += 1  # page 2 is for diagnosis

    def _write_page_0(self, offset: int, value: int) -> None:
        match offset:
            case 1:
                self.pstart = value
            case 2:
                self.pstop = value
            case 3:
                self._free_up_to(value)
            case 4:
                self.tpsr = value
            case 5:
                self.tbcr = self.tbcr & 0xFF00 | value
            case 6:
                self.tbcr = self.tbcr & 0xFF | value << 8
            case 7:
                self.isr &= ~value | ISR_RST
                self._interrupt()
            case 8:
                self.rsar = self.rsar & 0xFF00 | value
            case 9:
                self.rsar = self.rsar & 0xFF | value << 8
            case 10:
                self.rbcr = self.rbcr & 0xFF00 | value
            case 11:
                self.rbcr = self.rbcr & 0xFF | value << 8
            case 12:
                self.rcr = value & 0x3F
            case 13:
                self.tcr = value & 0x1F
                self._serve()
            case 14:
                self.dcr = value & 0x7F
            case _:
                self.imr = value & ISR_INTERRUPTS
                self._interrupt()

    def _command(self, value: int) -> None:
        mode = self.cr & (CR_STP | CR_STA)
        if value & CR_STP:
            mode = CR_STP
            self.isr |= ISR_RST
            self.queue.clear()
        elif value & CR_STA:
            mode = CR_STA
            self.isr &= ~ISR_RST
        self.cr = value & ~(CR_STP | CR_STA | CR_TXP) | mode
        if value & CR_TXP and mode & CR_STA:
            self._transmit()
        remote = value & CR_RD
        if remote == CR_SEND_PACKET:
            header = self.memory.read(self.bnry * PAGE, HEADER)
            self.rsar = self.bnry * PAGE
            self.rbcr = int.from_bytes(header[2:4], "little")
        if remote in (CR_READ, CR_WRITE, CR_SEND_PACKET) and not self.rbcr:
            self.isr |= ISR_RDC
        self._interrupt()

    # Time

    def next_deadline(self) -> int | None:
        """When the driver is reminded of what it has not read."""
        return self._remind_at

    def handle_timer(self, now_ns: int) -> None:
        """Remind it."""
        if self._remind_at is not None and now_ns >= self._remind_at:
            self.isr |= ISR_PRX
            self._interrupt()

    # State

    def state(self) -> State:
        """All of it."""
        memory = self.memory
        return {
            "version": 2,
            "registers": {name: getattr(self, name) for name in _KEPT + _KEPT_16},
            "arrays": [bytes(self._par), bytes(self._mar), bytes(self._tally), bytes(self._config), bytes(self._fifo)],
            "full": self._full,
            "remind_at": -1 if self._remind_at is None else self._remind_at,
            "link": self._link,
            "memory": bytes(memory.space[memory.first : memory.end]),
            "queue": list(self.queue),
            "polling": self._polling.state(),
            "counts": dict(self.counts),
            "mistakes": self.mistakes,
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        take_version(state, 2)
        saved = take(state, "registers", dict)
        registers = {name: take_int(saved, name, 0xFF) for name in _KEPT}
        registers |= {name: take_int(saved, name, 0xFFFF) for name in _KEPT_16}
        arrays = take(state, "arrays", list)
        if not all(type(one) is bytes for one in arrays) or [len(one) for one in arrays[:4]] != [6, 8, 3, 16]:
            raise SnapshotError("snapshot: dp8390: arrays")
        if len(arrays) != 5 or len(arrays[4]) > 8 or max(arrays[2]) > COUNTER_STOPS:
            raise SnapshotError("snapshot: dp8390: arrays")
        memory, queue = take(state, "memory", bytes), take_frames(state, "queue", QUEUE_FRAMES, LONGEST_FRAME)
        if len(memory) != self.memory.end - self.memory.first:
            raise SnapshotError(f"snapshot: dp8390: packet memory of {len(memory)} octets")
        counts = take_counts(state, self.counts)
        remind_at = take(state, "remind_at", int)
        full, link = take(state, "full", bool), take(state, "link", bool)
        self._polling.from_state(take(state, "polling", dict))
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        for name, value in registers.items():
            setattr(self, name, value)
        self._par[:], self._mar[:], self._config[:] = arrays[0], arrays[1], arrays[3]
        self._tally, self._fifo = list(arrays[2]), deque(arrays[4])
        self._full, self._link, self.queue, self.counts = full, link, queue, counts
        self.memory.space[self.memory.first : self.memory.end] = memory
        self._interrupt()
        self._remind_at = remind_at if remind_at >= 0 else None
