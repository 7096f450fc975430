"""A virtio driver for tests: it finds the capabilities, negotiates, and fills rings as the specification says."""

from collections.abc import Sequence

from emulators.devices.pci.bus import PciBus
from emulators.devices.virtio.pci import VirtioPci
from tests.emulators.devices.guest_memory import GuestMemory

DEVFN = 12 << 3
NEXT, WRITE, INDIRECT = 1, 2, 4
VERSION_1, EVENT_IDX, INDIRECT_DESC = 1 << 32, 1 << 29, 1 << 28
QUEUES_AT = 0x10000
QUEUE_STEP = 0x4000
BUFFERS_AT = 0x60000


class Ring:
    """The driver's side of one queue."""

    def __init__(self, driver: "VirtioDriver", number: int, size: int, places: tuple[int, int, int]) -> None:
        self.driver = driver
        self.memory = driver.memory
        self.number = number
        self.size = size
        self.descriptors, self.available, self.used = places
        self.added = 0
        self.seen = 0
        self.kicked = 0
        self.free = list(range(size))
        self.held: dict[int, list[int]] = {}

    def put(self, index: int, address: int, octets: int, flags: int = 0, following: int = 0) -> None:
        """One descriptor."""
        raw = address.to_bytes(8, "little") + octets.to_bytes(4, "little")
        self.memory.write(
            self.descriptors + 16 * index, raw + flags.to_bytes(2, "little") + following.to_bytes(2, "little")
        )

    def add(self, readable: Sequence[bytes | tuple[int, int]], writable: Sequence[tuple[int, int]] = ()) -> int:
        """One request; answers its head. Readable octets are put into buffers of their own."""
        parts = []
        for part in readable:
            if isinstance(part, bytes):
                address = self.driver.buffer(len(part))
                self.memory.write(address, part)
                parts.append((address, len(part), 0))
            else:
                parts.append((*part, 0))
        parts += [(*part, WRITE) for part in writable]
        indices = [self.free.pop(0) for _ in parts]
        for i, (address, octets, flags) in enumerate(parts):
            last = i == len(parts) - 1
            self.put(indices[i], address, octets, flags | (0 if last else NEXT), 0 if last else indices[i + 1])
        self.held[indices[0]] = indices
        self.offer(indices[0])
        return indices[0]

    def offer(self, head: int) -> None:
        """Make a head available."""
        self.memory.write(self.available + 4 + 2 * (self.added % self.size), head.to_bytes(2, "little"))
        self.added = self.added + 1 & 0xFFFF
        self.memory.write(self.available + 2, self.added.to_bytes(2, "little"))

    def kick(self) -> None:
        """Notify, if the device asked for it (2.7.10); whenever nothing was offered since the last time."""
        new, old, self.kicked = self.added, self.kicked, self.added
        event = int.from_bytes(self.memory.read(self.used + 4 + 8 * self.size, 2), "little")
        if not self.driver.features & EVENT_IDX:
            wanted = self.wants_kick()
        else:
            wanted = (new - event - 1 & 0xFFFF) < (new - old & 0xFFFF)
        if wanted or new == old:
            self.driver.notify(self.number)

    def wants_kick(self) -> bool:
        """Does the device ask to be notified about what is offered next?"""
        if self.driver.features & EVENT_IDX:
            event = int.from_bytes(self.memory.read(self.used + 4 + 8 * self.size, 2), "little")
            return event == self.added
        return not self.memory.read(self.used, 1)[0] & 1

    def interrupt_at(self, used_event: int) -> None:
        """Event index for interrupts."""
        self.memory.write(self.available + 4 + 2 * self.size, (used_event & 0xFFFF).to_bytes(2, "little"))

    def take(self) -> list[tuple[int, int]]:
        """Used heads with the octets written."""
        index = int.from_bytes(self.memory.read(self.used + 2, 2), "little")
        done = []
        while self.seen != index:
            raw = self.memory.read(self.used + 4 + 8 * (self.seen % self.size), 8)
            head = int.from_bytes(raw[:4], "little")
            done.append((head, int.from_bytes(raw[4:], "little")))
            self.free += self.held.pop(head, [])
            self.seen = self.seen + 1 & 0xFFFF
        return done


class VirtioDriver:
    """A device on a bus, and the calls of a driver.

    Args:
        device: answers the device, given memory.
        legacy: by the legacy interface.
    """

    def __init__(self, device: VirtioPci, memory: GuestMemory, *, legacy: bool = False) -> None:
        self.memory = memory
        self.device = device
        self.legacy = legacy
        self.levels: list[bool] = []
        self.bus = PciBus([self.levels.append] * 4)
        self.bus.add(device, 12)
        self.bus.assign(io=(0x1000, 0x1FFF), memory=(0x1000_0000, 0x1000_FFFF), line=lambda slot, pin: 11)
        self.features = 0
        self.rings: list[Ring] = []
        self._buffers = BUFFERS_AT
        self.places = self._find_capabilities()

    def _find_capabilities(self) -> dict[int, int]:
        """Bus addresses of the structures, by their type."""
        places = {}
        at = self.bus.config_read(DEVFN, 0x34, 1)
        while at:
            if self.bus.config_read(DEVFN, at, 1) == 9 and self.bus.config_read(DEVFN, at + 3, 1) != 5:
                kind = self.bus.config_read(DEVFN, at + 3, 1)
                bar = self.bus.config_read(DEVFN, at + 4, 1)
                base = self.bus.config_read(DEVFN, 0x10 + 4 * bar, 4) & ~15
                places[kind] = base + self.bus.config_read(DEVFN, at + 8, 4)
                if kind == 2:
                    self.multiplier = self.bus.config_read(DEVFN, at + 16, 4)
            at = self.bus.config_read(DEVFN, at + 1, 1)
        return places

    def buffer(self, octets: int) -> int:
        """Room for a buffer; used round and round."""
        if self._buffers + octets > len(self.memory.octets):
            self._buffers = BUFFERS_AT
        at = self._buffers
        self._buffers += octets + 7 & ~7
        return at

    # Registers

    def common(self, offset: int, size: int, value: int | None = None) -> int:
        """The common configuration."""
        if value is None:
            return self.bus.memory.read(self.places[1] + offset, size)
        self.bus.memory.write(self.places[1] + offset, size, value)
        return 0

    def io(self, offset: int, size: int, value: int | None = None) -> int:
        """The legacy interface."""
        base = self.bus.config_read(DEVFN, 0x10, 4) & ~3
        if value is None:
            return self.bus.io.read(base + offset, size)
        self.bus.io.write(base + offset, size, value)
        return 0

    def status(self, value: int | None = None) -> int:
        """The device status."""
        return self.io(18, 1, value) if self.legacy else self.common(20, 1, value)

    def isr(self) -> int:
        """Read, and so acknowledge."""
        return self.io(19, 1) if self.legacy else self.bus.memory.read(self.places[3], 1)

    def level(self) -> bool:
        """Is the line asserted?"""
        return bool(self.levels) and self.levels[-1]

    def config(self, offset: int, size: int) -> int:
        """The device's configuration."""
        return self.io(0x14 + offset, size) if self.legacy else self.bus.memory.read(self.places[4] + offset, size)

    def notify(self, queue: int) -> None:
        """As the specification says."""
        if self.legacy:
            self.io(16, 2, queue)
        else:
            self.common(22, 2, queue)
            self.bus.memory.write(self.places[2] + self.multiplier * self.common(30, 2), 2, queue)

    def offered(self) -> int:
        """The device's features."""
        if self.legacy:
            return self.io(0, 4)
        words = []
        for word in range(2):
            self.common(0, 4, word)
            words.append(self.common(4, 4))
        return words[0] | words[1] << 32

    # Initialisation (3.1)

    def negotiate(self, features: int) -> bool:
        """Up to FEATURES_OK; did it stick?"""
        self.status(0)
        self.status(1)
        self.status(3)
        self.features = features
        if self.legacy:
            self.io(4, 4, features)
            return True
        for word in range(2):
            self.common(8, 4, word)
            self.common(12, 4, features >> 32 * word & 0xFFFFFFFF)
        self.status(11)
        return bool(self.status() & 8)

    def start(self, features: int = VERSION_1, size: int | None = None) -> list[Ring]:
        """All of it, with all queues."""
        assert self.negotiate(features & 0xFFFFFFFF if self.legacy else features)
        count = 0
        while self._select(count) and count < 40:
            count += 1
        self.rings = [self._set_up(number, size) for number in range(count)]
        self.status(self.status() | 4)
        return self.rings

    def _select(self, number: int) -> int:
        if self.legacy:
            self.io(14, 2, number)
            return self.io(12, 2)
        self.common(22, 2, number)
        return self.common(24, 2)

    def _set_up(self, number: int, size: int | None) -> Ring:
        largest = self._select(number)
        base = QUEUES_AT + QUEUE_STEP * number
        self.memory.write(base, bytes(QUEUE_STEP))
        if self.legacy:
            available = base + 16 * largest
            used = available + 6 + 2 * largest + 4095 & ~4095
            self.io(8, 4, base // 4096)
            return Ring(self, number, largest, (base, available, used))
        size = min(size or largest, largest)
        self.common(24, 2, size)
        places = (base, base + 0x2000, base + 0x3000)
        for field, place in zip((32, 40, 48), places, strict=True):
            self.common(field, 4, place)
            self.common(field + 4, 4, 0)
        self.common(28, 2, 1)
        return Ring(self, number, size, places)
