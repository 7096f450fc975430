"""The virtio block device.

Specification: VIRTIO 1.2, 5.2. Boards: malta; any with PCI.
Read first: `emulators.devices.virtio.pci`.

Features: SEG_MAX, BLK_SIZE, FLUSH, RO (if the disk is read-only). Requests: IN, OUT, FLUSH, GET_ID.

Not supported: discard, write zeroes, several queues, zones; requests are done at once, in the order of the queue.

| threat | stopped by |
|---|---|
| sectors beyond the disk, sums that wrap around | checked against the size: IOERR |
| a request of gigabytes | `LONGEST_REQUEST`: IOERR |
| writes to a read-only disk | IOERR, whatever features were negotiated |
| a request without a header or a status | broken |
"""

from struct import Struct
from typing import Final, Protocol

from emulators.devices.virtio.pci import VirtioPci
from emulators.devices.virtio.queue import Broken, Chain
from emulators.dma import Dma, DmaFault

F_SEG_MAX: Final = 1 << 2  # 5.2.3
F_RO: Final = 1 << 5
F_BLK_SIZE: Final = 1 << 6
F_FLUSH: Final = 1 << 9

SECTOR_OCTETS: Final = 512
QUEUE_SIZE: Final = 128  # chosen
SEG_MAX: Final = QUEUE_SIZE - 2  # a header and a status beside the data
LONGEST_REQUEST: Final = 4 << 20  # chosen: SEG_MAX segments of 32 KiB

# 5.2.4: u64 capacity · u32 size_max · u32 seg_max · u16 cylinders · u8 heads · u8 sectors · u32 blk_size
_CONFIG: Final = Struct("<QIIHBBI")
# 5.2.6: u32 type · u32 reserved · u64 sector
_REQUEST: Final = Struct("<I4xQ")
IN, OUT, FLUSH, GET_ID = 0, 1, 4, 8
OK, IOERR, UNSUPPORTED = b"\0", b"\1", b"\2"
ID_OCTETS: Final = 20


class Disk(Protocol):
    """What is behind the device (`emulators.outside.DiskEnd`)."""

    @property
    def size_octets(self) -> int:
        """Its size."""
        ...

    @property
    def readonly(self) -> bool:
        """Are writes refused?"""
        ...

    def read_at(self, offset: int, octets: int) -> bytes:
        """Exactly `octets` octets. Raises OSError."""
        ...

    def write_at(self, offset: int, data: bytes) -> None:
        """Write. Raises OSError."""
        ...

    def flush(self) -> None:
        """Have what was written safe. Raises OSError."""
        ...


class VirtioBlk(VirtioPci):
    """One disk.

    Args:
        disk: its contents; a last sector that is not whole is not seen.
        serial: what GET_ID answers, at most 20 octets.
    """

    def __init__(self, name: str, *, disk: Disk, dma: Dma, serial: bytes = b"", transitional: bool = True) -> None:
        super().__init__(
            name,
            kind=2,
            class_code=0x010000,
            dma=dma,
            features=F_SEG_MAX | F_BLK_SIZE | F_FLUSH | (F_RO if disk.readonly else 0),
            queues=(QUEUE_SIZE,),
            transitional=transitional,
        )
        self._disk = disk
        self._sectors = disk.size_octets // SECTOR_OCTETS
        self._serial = serial[:ID_OCTETS].ljust(ID_OCTETS, b"\0")

    def config_space(self) -> bytes:
        """5.2.4."""
        return _CONFIG.pack(self._sectors, 0, SEG_MAX, 0, 0, 0, SECTOR_OCTETS)

    def handle_queue(self, index: int) -> None:
        """Do all requests."""
        queue = self.queues[0]
        for chain in queue.take_all():
            queue.use(chain, self._request(chain))
        queue.want_kicks(True)
        if queue.flush():
            self.queue_interrupt()

    def _request(self, chain: Chain) -> int:
        room = chain.writable_octets
        length = chain.readable_octets
        if length < _REQUEST.size or not room:
            raise Broken("a request without a header or without room for its status")
        if max(room, length) > LONGEST_REQUEST + _REQUEST.size:
            self.mistakes += 1
            return self._finish(chain, b"", IOERR)
        octets = chain.read(length)
        kind, sector = _REQUEST.unpack_from(octets)
        try:
            answer, status = self._do(kind, sector * SECTOR_OCTETS, octets[_REQUEST.size :], room - 1)
        except DmaFault:
            raise
        except OSError:
            answer, status = b"", IOERR
        return self._finish(chain, answer, status)

    def _finish(self, chain: Chain, answer: bytes, status: bytes) -> int:
        """The status is the last octet, wherever the answer ends."""
        last = chain.writable_octets - 1
        if len(answer) == last:
            return chain.write(answer + status)
        if answer:
            chain.write(answer)
        chain.write(status, last)
        return last + 1

    def _do(self, kind: int, offset: int, data: bytes, room: int) -> tuple[bytes, bytes]:
        disk = self._disk
        size = self._sectors * SECTOR_OCTETS
        match kind:
            case 0:
                if offset + room > size or room % SECTOR_OCTETS:
                    self.mistakes += 1
                    return b"", IOERR
                return disk.read_at(offset, room), OK
            case 1:
                if disk.readonly or offset + len(data) > size or len(data) % SECTOR_OCTETS:
                    self.mistakes += 1
                    return b"", IOERR
                disk.write_at(offset, data)
                return b"", OK
            case 4:
                disk.flush()
                return b"", OK
            case 8:
                return self._serial[:room], OK
            case _:
                self.mistakes += 1
                return b"", UNSUPPORTED
