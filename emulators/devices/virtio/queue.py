"""A split virtqueue, as the device sees it.

Specification: Virtual I/O Device (VIRTIO) Version 1.2, 2.7 (split virtqueues), 2.7.5.3 (indirect), 2.7.7 and 2.7.10
(event index). All fields are little-endian; a legacy driver (2.7.2, 2.7.3) must be, too: big-endian ones use the modern
interface.

Theory: the guest does not run while a device works, so a queue is read in few large pieces: the whole available ring,
and for a batch the whole descriptor table. Used elements are collected and written together (`flush`), and then
`flush` says whether the driver wants an interrupt.

| threat | stopped by |
|---|---|
| chains that form a circle, or are longer than the ring | at most `size` descriptors, `LONGEST_INDIRECT` in a table |
| an available index from nowhere | more than `size` new entries: broken |
| a head or a next beyond the table; nested tables; an odd table; readable behind writable | broken |
| queues and buffers outside memory | DMA faults: broken |
| lengths that add up to gigabytes | `Chain.read` and `Chain.write` take what fits their caller's limit |

A broken queue stops its whole device: DEVICE_NEEDS_RESET (2.1.2).
"""

from collections.abc import Iterator
from struct import Struct, unpack_from
from typing import Final

from emulators.device import State
from emulators.dma import Dma
from emulators.snapshot import SnapshotError, take, take_int

F_NEXT: Final = 1  # 2.7.5
F_WRITE: Final = 2
F_INDIRECT: Final = 4
AVAIL_NO_INTERRUPT: Final = 1  # 2.7.6
USED_NO_NOTIFY: Final = 1  # 2.7.8

LARGEST: Final = 256  # chosen; 2.7 allows 32768
LONGEST_INDIRECT: Final = 1024  # chosen: Linux never makes a longer one
LEGACY_ALIGN: Final = 4096  # 2.7.2

_DESCRIPTOR: Final = Struct("<QIHH")
_USED: Final = Struct("<II")

Segment = tuple[int, int]
"""Address and octets."""


class Broken(Exception):
    """The driver broke the rules of the queue."""


class Chain:
    """One request: what the device may read, and what it may write."""

    __slots__ = ("_dma", "head", "readable", "writable")

    def __init__(self, dma: Dma, head: int, readable: list[Segment], writable: list[Segment]) -> None:
        self._dma = dma
        self.head = head
        self.readable = readable
        self.writable = writable

    @property
    def readable_octets(self) -> int:
        """How many octets there are to read."""
        return sum([octets for _, octets in self.readable])

    @property
    def writable_octets(self) -> int:
        """How many octets there is room for."""
        return sum([octets for _, octets in self.writable])

    def read(self, limit: int) -> bytes:
        """The readable octets, at most `limit` of them. Raises DmaFault."""
        if len(self.readable) == 1:
            address, octets = self.readable[0]
            return self._dma.read(address, min(octets, limit))
        parts = []
        for address, octets in self.readable:
            if limit <= 0:
                break
            parts.append(self._dma.read(address, min(octets, limit)))
            limit -= octets
        return b"".join(parts)

    def write(self, data: bytes, at: int = 0) -> int:
        """Put `data` into the writable part, from its octet `at` on; answers how much went in. Raises DmaFault."""
        done = 0
        for address, octets in self.writable:
            if at >= octets:
                at -= octets
                continue
            part = data[done : done + octets - at] if done or octets - at < len(data) else data
            if not part:
                break
            self._dma.write(address + at, part)
            done += len(part)
            at = 0
        return done


class Virtqueue:
    """One queue.

    Args:
        dma: to memory.
        size: its largest size, a power of two.
    """

    def __init__(self, dma: Dma, size: int = LARGEST) -> None:
        self._dma = dma
        self.largest = size
        self.reset()

    def reset(self) -> None:
        """As after a reset of the device."""
        self.size = self.largest
        self.enabled = False
        self.descriptors = self.driver = self.device = 0
        self.event_index = self.indirect = False
        self._next_avail = 0
        self._seen_avail = 0  # the driver's index, when it was read last
        self._next_used = 0
        self._signalled = 0
        self._waiting: list[tuple[int, int]] = []

    def place_legacy(self, page: int) -> None:
        """Where a legacy driver has put it: descriptors, available ring, and behind the next page boundary the used."""
        self.descriptors = page * LEGACY_ALIGN
        self.driver = self.descriptors + 16 * self.size
        end = self.driver + 6 + 2 * self.size
        self.device = end + LEGACY_ALIGN - 1 & ~(LEGACY_ALIGN - 1)
        self.enabled = page != 0

    # What the driver offers

    def _read_available(self) -> tuple[list[int], int]:
        """Heads not taken yet, and how to suppress interrupts: used_event, or flags."""
        size = self.size
        octets = self._dma.read(self.driver, 6 + 2 * size)
        index = int.from_bytes(octets[2:4], "little")
        count = index - self._next_avail & 0xFFFF
        if count > size:
            raise Broken(f"{count} new entries in a ring of {size}")
        self._seen_avail = index
        first = self._next_avail % size
        before_end = min(count, size - first)
        heads = list(unpack_from(f"<{before_end}H", octets, 4 + 2 * first))
        if before_end < count:
            heads += unpack_from(f"<{count - before_end}H", octets, 4)
        suppress = int.from_bytes(octets[-2:] if self.event_index else octets[:2], "little")
        return heads, suppress

    def take_all(self) -> Iterator[Chain]:
        """Every request there is now. Raises Broken, DmaFault."""
        heads, _ = self._read_available()
        if heads:
            table = self._dma.read(self.descriptors, 16 * self.size)
            for head in heads:
                self._next_avail = self._next_avail + 1 & 0xFFFF
                yield self._chain(table, head)

    def take(self, count: int = 1) -> list[Chain]:
        """Up to `count` requests. Raises Broken, DmaFault."""
        heads, _ = self._read_available()
        chains = []
        for head in heads[:count]:
            if head >= self.size:
                raise Broken(f"descriptor {head} of {self.size}")
            octets = self._dma.read(self.descriptors + 16 * head, 16)
            address, length, flags, _ = _DESCRIPTOR.unpack(octets)
            if flags & (F_NEXT | F_INDIRECT):
                chains.append(self._chain(self._dma.read(self.descriptors, 16 * self.size), head))
            else:
                segment = [(address, length)]
                chains.append(Chain(self._dma, head, *(([], segment) if flags & F_WRITE else (segment, []))))
        self._next_avail = self._next_avail + len(chains) & 0xFFFF
        return chains

    def give_back(self, chains: int) -> None:
        """The last `chains` taken were not used after all."""
        self._next_avail = self._next_avail - chains & 0xFFFF

    def _chain(self, table: bytes, head: int) -> Chain:
        readable: list[Segment] = []
        writable: list[Segment] = []
        index, left = head, self.size
        limit = self.size
        within = False
        while True:
            if index >= limit:
                raise Broken(f"descriptor {index} of {limit}")
            if not left:
                raise Broken("a chain without an end")
            left -= 1
            address, octets, flags, following = _DESCRIPTOR.unpack_from(table, 16 * index)
            if flags & F_INDIRECT:
                if (
                    within
                    or not self.indirect
                    or flags & F_NEXT
                    or octets % 16
                    or not 0 < octets <= 16 * LONGEST_INDIRECT
                ):
                    raise Broken(f"an indirect table of {octets} octets where it must not be")
                table = self._dma.read(address, octets)
                limit = left = octets // 16
                index, within = 0, True
                continue
            if flags & F_WRITE:
                writable.append((address, octets))
            elif writable:
                raise Broken("readable octets behind writable ones")
            else:
                readable.append((address, octets))
            if not flags & F_NEXT:
                return Chain(self._dma, head, readable, writable)
            index = following

    # What the device gives back

    def use(self, chain: Chain, written: int) -> None:
        """The request is done; `written` octets of its writable part are valid. Told to the driver by `flush`."""
        self._waiting.append((chain.head, written))

    def forget(self) -> None:
        """Drop what `use` collected: the queue is broken."""
        self._waiting.clear()

    def flush(self) -> bool:
        """Publish what `use` collected. True: the driver wants an interrupt. Raises Broken, DmaFault."""
        if not self._waiting:
            return False
        at = self._next_used % self.size
        octets = b"".join([_USED.pack(head, written) for head, written in self._waiting])
        room = 8 * (self.size - at)
        self._dma.write(self.device + 4 + 8 * at, octets[:room])
        if len(octets) > room:
            self._dma.write(self.device + 4, octets[room:])
        self._next_used = self._next_used + len(self._waiting) & 0xFFFF
        self._waiting.clear()
        self._dma.write(self.device + 2, self._next_used.to_bytes(2, "little"))
        return self._wants_interrupt()

    def _wants_interrupt(self) -> bool:
        before, self._signalled = self._signalled, self._next_used
        if not self.event_index:
            flags = self._dma.read(self.driver, 2)
            return not flags[0] & AVAIL_NO_INTERRUPT
        event = int.from_bytes(self._dma.read(self.driver + 4 + 2 * self.size, 2), "little")
        return (self._next_used - event - 1 & 0xFFFF) < (self._next_used - before & 0xFFFF)  # 2.7.7.2

    def want_kicks(self, wanted: bool) -> None:
        """Tell the driver whether requests newer than those just looked at are to be notified. Raises DmaFault."""
        if self.event_index:
            event = self._seen_avail if wanted else self._seen_avail - 1 & 0xFFFF
            self._dma.write(self.device + 4 + 8 * self.size, event.to_bytes(2, "little"))
        else:
            self._dma.write(self.device, (0 if wanted else USED_NO_NOTIFY).to_bytes(2, "little"))

    # State

    def state(self) -> State:
        """All of it; `flush` was called."""
        return {
            "size": self.size,
            "enabled": self.enabled,
            "addresses": [address.to_bytes(8, "little") for address in (self.descriptors, self.driver, self.device)],
            "indices": [self._next_avail, self._next_used, self._signalled],
        }

    def from_state(self, state: State, *, event_index: bool, indirect: bool) -> None:
        """Take `state` back. Raises SnapshotError."""
        size = take_int(state, "size", self.largest)
        addresses, indices = take(state, "addresses", list), take(state, "indices", list)
        values = [take_int({"index": index}, "index", 0xFFFF) for index in indices]
        places = [int.from_bytes(take({"address": one}, "address", bytes)[:8], "little") for one in addresses]
        enabled = take(state, "enabled", bool)
        if len(values) != 3 or len(places) != 3 or not size or size & size - 1:
            raise SnapshotError(f"snapshot: a queue of {size} entries, {len(values)} indices, {len(places)} addresses")
        self.size, self.enabled = size, enabled
        self.descriptors, self.driver, self.device = places
        self._next_avail, self._next_used, self._signalled = values
        self.event_index, self.indirect = event_index, indirect
        self._seen_avail = self._next_avail
        self._waiting = []
