"""What an ATA disk and an ATAPI drive have in common: the task file, and data that go through the host's hands.

Specification: ATA/ATAPI-6 (T13/1410D revision 3b), clauses 6 (general operation), 7 (registers) and 9 (protocols).

Theory: every command is carried out at once; BSY is never seen by a guest, except while it holds the software reset.
A command that moves data leaves a `Transfer` behind, in DRQ blocks (PIO) or as one stream (DMA). The host's end of it
is the data register (`pull`, `push`) or the bus master (`dma_read`, `dma_write`); where the octets come from and go to
is the drive's: `fetch`, `store`, or `received` for those that are no sectors.

The registers Sector Count, LBA Low, Mid and High are two octets deep (48-bit commands). INTRQ is a flag of the drive;
its channel (`emulators.devices.ata.channel`) makes it a line.

Limits: a transfer is at most 65 536 sectors; one DRQ block at most 64 KiB.

Not supported: overlapped and queued commands, the security, host-protected-area and media-status feature sets.
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Final, Protocol

from emulators.device import State
from emulators.snapshot import SnapshotError, take, take_int, take_version

# Status register, §7.15
ERR, DRQ, DSC, DF, DRDY, BSY = 0x01, 0x08, 0x10, 0x20, 0x40, 0x80
# Error register, §7.9
ABRT, IDNF, UNC = 0x04, 0x10, 0x40
# Device register, §7.7
DEV, LBA = 0x10, 0x40
DEVICE_OBSOLETE: Final = 0xA0  # §7.7.4: bits 7 and 5, which read as ones
DIAGNOSTIC_PASSED: Final = 0x01  # §8.11, table 26

FEATURES, COUNT, LOW, MID, HIGH = 0, 1, 2, 3, 4
"""The two-octet registers, as places in `Drive.registers`."""

MOST_OCTETS: Final = 65536 * 512
MOST_BLOCK: Final = 1 << 16


class Medium(Protocol):
    """What is in a drive (`emulators.outside.DiskEnd`)."""

    @property
    def size_octets(self) -> int:
        """Of the whole medium."""

    @property
    def readonly(self) -> bool:
        """May it not be written?"""

    def read_at(self, offset: int, octets: int) -> bytes:
        """Octets from an offset on, all of them."""

    def write_at(self, offset: int, data: bytes) -> None:
        """Put octets at an offset."""

    def flush(self) -> None:
        """What was written is kept from now on."""


@dataclass(slots=True)
class Transfer:
    """Data on their way.

    Attributes:
        inward: to the host.
        total: octets of all of it.
        block: octets of one DRQ block.
        dma: by the bus master.
        purpose: the drive's own word for what they are.
        offset: where they lie on the medium, in octets; -1: in `data`.
        data: what a drive says (inward), or what it has heard so far (outward).
        done: octets that have been fetched from the medium, or stored on it.
        piece, at: the DRQ block that is open now, and how much of it went through the host's hands.
    """

    inward: bool
    total: int
    block: int
    dma: bool = False
    purpose: str = ""
    offset: int = -1
    data: bytes = b""
    done: int = 0
    piece: bytearray = field(default_factory=bytearray)
    at: int = 0


class Drive:
    """A drive; derived classes carry commands out.

    Attributes:
        interrupt: INTRQ is wanted.
        registers: current and previous content (high octet) of the five registers.
    """

    signature: tuple[int, int]
    ready_bits: int
    """Status when there is nothing to do."""

    def __init__(self) -> None:
        self.registers = [0] * 5
        self.device = 0
        self.error = DIAGNOSTIC_PASSED
        self.status = 0
        self.interrupt = False
        self.transfer: Transfer | None = None
        self.mistakes = 0
        self.reset()

    # -- what derived classes have

    @abstractmethod
    def command(self, code: int) -> None:
        """Carry a command out."""

    @abstractmethod
    def fetch(self, transfer: Transfer, octets: int) -> bytes:
        """The next octets from the medium. Raises OSError."""

    @abstractmethod
    def store(self, transfer: Transfer, data: bytes) -> None:
        """Write the next octets to the medium. Raises OSError."""

    @abstractmethod
    def received(self, transfer: Transfer) -> None:
        """All octets of an outward transfer that are no sectors are in `transfer.data`."""

    @abstractmethod
    def medium_failed(self, transfer: Transfer) -> None:
        """The medium failed at `transfer.done`: end the command."""

    def opened(self, transfer: Transfer) -> None:
        """A DRQ block was opened."""

    def finished(self, transfer: Transfer) -> None:
        """All data went through: end the command."""
        self.status = self.ready_bits
        if not transfer.inward or transfer.dma:
            self.interrupt = True

    # -- the channel's side

    def reset(self) -> None:
        """Power on, software reset, EXECUTE DEVICE DIAGNOSTIC: the signature (§9.12)."""
        mid, high = self.signature
        self.registers = [0, 1, 1, mid, high]
        self.device = 0
        self.error = DIAGNOSTIC_PASSED
        self.status = self.ready_bits if mid == 0 else 0
        self.interrupt = False
        self.transfer = None

    def set_register(self, which: int, value: int) -> None:
        """The host writes: what was there becomes the previous content."""
        self.registers[which] = (self.registers[which] & 0xFF) << 8 | value

    @property
    def busy(self) -> bool:
        """Is a command under way? Then the task file is not the host's."""
        return self.transfer is not None

    @property
    def dma_waits(self) -> Transfer | None:
        """The transfer for which the bus master is awaited."""
        return self.transfer if self.transfer is not None and self.transfer.dma else None

    def pull(self, octets: int) -> bytes:
        """The host reads the data register."""
        answer = b""
        while len(answer) < octets:
            transfer = self.transfer
            if transfer is None or not transfer.inward or transfer.dma:
                self.mistakes += 1
                return answer.ljust(octets, b"\0")
            part = transfer.piece[transfer.at : transfer.at + octets - len(answer)]
            transfer.at += len(part)
            answer += part
            if transfer.at == len(transfer.piece):
                if transfer.done == transfer.total:
                    self.transfer = None
                    self.finished(transfer)
                    # the last word of an odd number of octets
                    return answer.ljust(octets, b"\0")
                self._open(transfer)
        return answer

    def push(self, data: bytes) -> None:
        """The host writes the data register."""
        while data:
            transfer = self.transfer
            if transfer is None or transfer.inward or transfer.dma:
                self.mistakes += 1
                return
            room = min(transfer.block, transfer.total - transfer.done) - len(transfer.piece)
            transfer.piece += data[:room]
            data = data[room:]
            if len(transfer.piece) < min(transfer.block, transfer.total - transfer.done):
                return
            piece, transfer.piece = bytes(transfer.piece), bytearray()
            if not self._put(transfer, piece):
                return
            if transfer.done == transfer.total:
                self._end_out(transfer)
            else:
                self._open(transfer)
                self.interrupt = True

    def dma_read(self, octets: int) -> bytes:
        """The bus master takes at most `octets` octets; b"": it failed, or it is done."""
        transfer = self.transfer
        if transfer is None or not transfer.dma or not transfer.inward:
            return b""
        return self._get(transfer, min(octets, transfer.total - transfer.done))

    def dma_write(self, data: bytes) -> bool:
        """The bus master brings octets, not more than are left. False: they cannot be taken."""
        transfer = self.transfer
        if transfer is None or not transfer.dma or transfer.inward:
            return False
        return self._put(transfer, data)

    def dma_end(self) -> None:
        """The bus master has moved everything."""
        transfer = self.transfer
        if transfer is None or not transfer.dma:
            return
        if transfer.inward:
            self.transfer = None
            self.finished(transfer)
        else:
            self._end_out(transfer)

    def dma_failed(self) -> None:
        """The bus master was stopped, or its table is wrong: the command ends with an error."""
        transfer, self.transfer = self.transfer, None
        if transfer is not None:
            self.mistakes += 1
            self.abort()

    # -- for derived classes

    def done(self) -> None:
        """A command without data has ended well."""
        self.error = 0
        self.status = self.ready_bits
        self.interrupt = True

    def abort(self, error: int = ABRT) -> None:
        """A command has ended with an error."""
        self.transfer = None
        self.error = error
        self.status = self.ready_bits | ERR
        self.interrupt = True

    def start(self, transfer: Transfer) -> None:
        """A command has data: open the first DRQ block, or wait for the bus master."""
        self.error = 0
        self.transfer = transfer
        if transfer.dma:
            self.status = self.ready_bits | DRQ
        else:
            self._open(transfer)

    # -- inside

    def _open(self, transfer: Transfer) -> None:
        octets = min(transfer.block, transfer.total - transfer.done)
        if transfer.inward:
            piece = self._get(transfer, octets)
            if not piece:
                return
            transfer.piece = bytearray(piece)
            self.interrupt = True
        transfer.at = 0
        self.status = self.ready_bits | DRQ
        self.opened(transfer)

    def _get(self, transfer: Transfer, octets: int) -> bytes:
        if transfer.offset < 0:
            data = transfer.data[transfer.done : transfer.done + octets]
        else:
            try:
                data = self.fetch(transfer, octets)
            except OSError:
                self.transfer = None
                self.medium_failed(transfer)
                return b""
        transfer.done += len(data)
        return data

    def _put(self, transfer: Transfer, data: bytes) -> bool:
        if transfer.offset < 0:
            transfer.data += data
        else:
            try:
                self.store(transfer, data)
            except OSError:
                self.transfer = None
                self.medium_failed(transfer)
                return False
        transfer.done += len(data)
        return True

    def _end_out(self, transfer: Transfer) -> None:
        self.transfer = None
        if transfer.offset < 0:
            self.received(transfer)
        else:
            self.finished(transfer)

    # -- state

    def state(self) -> State:
        """As `Device.state`."""
        transfer = self.transfer
        return {
            "version": 1,
            "registers": list(self.registers),
            "device": self.device,
            "error": self.error,
            "status": self.status,
            "interrupt": self.interrupt,
            "mistakes": self.mistakes,
            "transfer": None
            if transfer is None
            else {
                "inward": transfer.inward,
                "total": transfer.total,
                "block": transfer.block,
                "dma": transfer.dma,
                "purpose": transfer.purpose,
                "offset": transfer.offset + 1,
                "data": transfer.data,
                "done": transfer.done,
                "piece": bytes(transfer.piece),
                "at": transfer.at,
            },
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        registers = take(state, "registers", list)
        if len(registers) != len(self.registers) or any(
            type(value) is not int or not 0 <= value <= 0xFFFF for value in registers
        ):
            raise SnapshotError("snapshot: a drive's registers")
        self.registers = list(registers)
        for name in ("device", "error", "status"):
            setattr(self, name, take_int(state, name, 0xFF))
        self.interrupt = take(state, "interrupt", bool)
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        self.transfer = None if state.get("transfer") is None else self._transfer(take(state, "transfer", dict))

    def _transfer(self, state: State) -> Transfer:
        transfer = Transfer(
            inward=take(state, "inward", bool),
            total=take_int(state, "total", MOST_OCTETS),
            block=take_int(state, "block", MOST_BLOCK),
            dma=take(state, "dma", bool),
            purpose=take(state, "purpose", str),
            offset=take_int(state, "offset", 1 << 62) - 1,
            data=take(state, "data", bytes),
            done=take_int(state, "done", MOST_OCTETS),
            piece=bytearray(take(state, "piece", bytes)),
            at=take_int(state, "at", MOST_BLOCK),
        )
        fits = transfer.block and transfer.done <= transfer.total and transfer.at <= len(transfer.piece) <= MOST_BLOCK
        in_data = transfer.offset >= 0 or len(transfer.data) == (transfer.total if transfer.inward else transfer.done)
        inside = transfer.offset < 0 or transfer.offset + transfer.total <= self.medium_octets()
        if not (fits and in_data and inside):
            raise SnapshotError("snapshot: a drive's transfer that cannot be")
        return transfer

    def medium_octets(self) -> int:
        """Size of the medium."""
        return 0
