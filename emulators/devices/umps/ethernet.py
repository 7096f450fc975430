"""The Ethernet card of uMPS3.

Specification: uMPS3 Principles of Operation, "Network (Ethernet) adapters"; times and the order of polls measured from
uMPS3 3.0.5.
Board: umps3 (line 5).

Registers: STATUS, COMMAND, DATA0, DATA1.
Commands: 0 reset, 1 acknowledge, 2 read configuration (DATA0 := mode << 16 | address octets 0–1, DATA1 := octets 2–5),
3 read a frame (to DATA0; DATA1 := its length, 0: none waits), 4 write a frame (from DATA0, DATA1 octets), 5 configure
(DATA0, DATA1 as above; the address is taken if the mode has bit 7). A command is compared as a whole word.
Results: 1 ready, 2 illegal command, 3 busy, 5 read failed, 6 write failed (and, as in the original, DMA of a read
failed), 7 DMA of a write failed. Bit 7 of STATUS: a frame waits.
Mode bits: 0 NAMED (the card's address is written over the source of what is sent), 1 INTERRUPT (look for a frame every
610 µs, and interrupt), 2 PROMISC (take every frame). At the start NAMED and PROMISC.

Theory: the card looks every 610 µs; while the queue is empty nothing is scheduled for that, and a frame that arrives is
seen when the card would have looked next. A look has no identity of its own: one that falls into a command's time
finishes the command early, and the command's own end then is the look. All of this is kept, because guests can time it.
Frames are filtered when they arrive.

Differs from the original: address octets above 127 are read as they are (the original extends their sign into the
mode); frames below 14 octets are not sent, and counted in `runts`.

| threat | stopped by |
|---|---|
| a flood of frames | 16 wait; further ones are dropped, counted in `dropped_frames` |
| a frame longer than the guest's buffer | reads give at most 1514 octets, and DMA reaches memory only |
| a length of nonsense | more than 4096 octets are answer 7 |
"""

from collections import deque
from collections.abc import Callable, Mapping

from emulators.device import Irq, State
from emulators.devices.umps.blocks import BLOCK_OCTETS, deliver
from emulators.devices.umps.events import LATEST, EventQueue
from emulators.devices.umps.unit import ACK, BUSY, COMMAND, DATA0, DATA1, ILLEGAL, READY, RESET, STATUS, Unit
from emulators.dma import Dma, DmaFault
from emulators.snapshot import SnapshotError, take, take_int

READ_CONFIGURATION, READ, WRITE, CONFIGURE = 2, 3, 4, 5
READ_FAILED, WRITE_FAILED, READ_DMA_FAILED, WRITE_DMA_FAILED = 5, 6, 6, 7
READ_PENDING = 0x80
NAMED, INTERRUPT, PROMISC, SET_ADDRESS = 0x01, 0x02, 0x04, 0x80
MODE = 0xFF
RESET_US, CONFIGURE_US, FRAME_US, LOOK_US = 200, 40, 1220, 610
QUEUE_FRAMES = 16
LARGEST_READ_OCTETS = 1514
ADDRESS_OCTETS = 6
HEADER_OCTETS = 14


class Ethernet(Unit):
    """One card.

    Args:
        send: takes a frame without FCS.
        address: its MAC address until the guest sets another.
    """

    _writable = (DATA0, DATA1)

    def __init__(
        self, *, name: str, irq: Irq, events: EventQueue, dma: Dma, send: Callable[[bytes], None], address: bytes
    ) -> None:
        super().__init__(name=name, irq=irq, events=events)
        self._dma = dma
        self._send = send
        self.address = address
        self.mode = NAMED | PROMISC
        self._queue: deque[bytes] = deque()
        self._polling = False
        self._looks: int | None = None  # the clock value of a look that is not scheduled
        self._outgoing = b""
        self.dropped_frames = 0
        self.runts = 0

    @property
    def busy(self) -> bool:
        """Is a command under way?"""
        return self._registers[STATUS] & ~READ_PENDING == BUSY

    # -- the outside

    def receive(self, frame: bytes) -> None:
        """A frame comes in."""
        if not self.mode & PROMISC and frame[:ADDRESS_OCTETS] != self.address and not frame[0] & 1:
            return
        if len(self._queue) >= QUEUE_FRAMES:
            self.dropped_frames += 1
            return
        self._queue.append(frame[:LARGEST_READ_OCTETS])
        self._schedule_look(self._clock.tod)

    # -- looking for frames

    def _poll(self) -> None:
        """Look in 610 µs."""
        self._polling = True
        self._looks = self._clock.tod + self._clock.ticks(LOOK_US)
        if self._queue:
            self._schedule_look(self._looks)

    def _schedule_look(self, earliest: int) -> None:
        """Schedule the look, if it is not yet, for its first time from `earliest` on."""
        if self._looks is None:
            return
        period = self._clock.ticks(LOOK_US)
        missed = max(0, -(-(earliest - self._looks) // period))
        self._schedule(self._looks + missed * period - self._clock.tod)
        self._looks = None

    # -- the guest

    def _command(self, command: int) -> None:
        if command == ACK:
            self._irq(False)
            self._set_status(READY)
        elif command in (RESET, READ_CONFIGURATION, CONFIGURE, READ):
            self._start({RESET: RESET_US, READ: FRAME_US}.get(command, CONFIGURE_US))
        elif command == WRITE:
            outgoing = self._fetch(self._registers[DATA0], self._registers[DATA1])
            if outgoing is None:
                self._irq(False)
                self._refuse_now(WRITE_DMA_FAILED)
            else:
                self._outgoing = outgoing
                self._start(FRAME_US)
        else:
            self._refuse_now(ILLEGAL)

    def _start(self, us: int) -> None:
        self._schedule_look(self._clock.tod + 1)  # it may fall into the command's time
        self._irq(False)
        self._set_status(BUSY)
        self._schedule(self._clock.ticks(us))

    def _refuse_now(self, status: int) -> None:
        self.mistakes += 1
        self._set_status(status)
        self._irq(True)

    def _set_status(self, status: int) -> None:
        self._registers[STATUS] = status | self._registers[STATUS] & READ_PENDING

    def _fetch(self, address: int, octets: int) -> bytes | None:
        if octets > BLOCK_OCTETS or address % 4:
            return None
        try:
            return self._dma.read(address, -(-octets // 4) * 4)[:octets]
        except DmaFault:
            return None

    def _complete(self) -> None:
        if self._polling and not self.busy:
            self._look()
            return
        pending = self._registers[STATUS] & READ_PENDING
        command = self._registers[COMMAND]
        if command == READ:
            status = self._read()
            if self.working:
                pending = READ_PENDING if self._queue else 0
        elif command == WRITE:
            status = self._write()
        else:
            status = READY
            if command == READ_CONFIGURATION:
                self._registers[DATA0] = self.mode << 16 | int.from_bytes(self.address[:2], "big")
                self._registers[DATA1] = int.from_bytes(self.address[2:], "big")
            elif command == CONFIGURE:
                self._configure(self._registers[DATA0] >> 16 & MODE)
        self._registers[STATUS] = status | pending
        self._irq(True)
        if self.mode & INTERRUPT and not self._polling and not pending:
            self._poll()

    def _look(self) -> None:
        self._polling = False
        if self._registers[STATUS] & READ_PENDING:
            return
        if self._queue:
            self._registers[STATUS] |= READ_PENDING
            self._irq(True)
        elif self.mode & INTERRUPT:
            self._poll()

    def _configure(self, mode: int) -> None:
        if mode & SET_ADDRESS:
            octets = (self._registers[DATA0] & 0xFFFF) << 32 | self._registers[DATA1]
            self.address = octets.to_bytes(ADDRESS_OCTETS, "big")
        self.mode = mode & ~SET_ADDRESS

    def _read(self) -> int:
        if not self.working:
            return READ_FAILED
        frame = self._queue.popleft() if self._queue else b""
        self._registers[DATA1] = len(frame)
        padded = frame + bytes(-len(frame) % 4)
        return READY if deliver(self._dma, self._registers[DATA0], padded) or not frame else READ_DMA_FAILED

    def _write(self) -> int:
        frame, self._outgoing = self._outgoing, b""
        if not self.working:
            return WRITE_FAILED
        if self.mode & NAMED and len(frame) >= 2 * ADDRESS_OCTETS:
            frame = frame[:ADDRESS_OCTETS] + self.address + frame[2 * ADDRESS_OCTETS :]
        if len(frame) < HEADER_OCTETS:
            self.runts += 1
        else:
            self._send(frame)
        return READY

    def _more_state(self) -> Mapping[str, object]:
        return {
            "address": self.address,
            "mode": self.mode,
            "queue": list(self._queue),
            "polling": self._polling,
            "looks": self._looks,
            "outgoing": self._outgoing,
            "dropped": self.dropped_frames,
            "runts": self.runts,
        }

    def _from_more(self, state: State) -> None:
        address, outgoing = take(state, "address", bytes), take(state, "outgoing", bytes)
        queue = take(state, "queue", list)
        if (
            len(address) != ADDRESS_OCTETS
            or len(outgoing) > BLOCK_OCTETS
            or len(queue) > QUEUE_FRAMES
            or any(type(frame) is not bytes or len(frame) > LARGEST_READ_OCTETS for frame in queue)
        ):
            raise SnapshotError("snapshot: address, outgoing, queue: not those of an Ethernet card")
        looks = None if state.get("looks") is None else take_int(state, "looks", LATEST)
        self.mode, self._polling = take_int(state, "mode", MODE), take(state, "polling", bool)
        self.dropped_frames, self.runts = take_int(state, "dropped", LATEST), take_int(state, "runts", LATEST)
        self.address, self._outgoing, self._queue, self._looks = address, outgoing, deque(queue), looks
