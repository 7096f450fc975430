"""The PCI transport of virtio devices: the modern interface, and for transitional devices the legacy one as well.

Specification: VIRTIO 1.2, 4.1 (PCI), 2.1 (status), 2.2 (features), 3.1 (initialisation). Boards: malta; any with PCI.
Read first: `emulators.devices.virtio.queue`.

Base register 0 (I/O, transitional devices only) is the legacy interface; base register 1 (memory, 16 KiB):

| offset | structure |
|---|---|
| 0x0000 | common configuration (4.1.4.3) |
| 0x1000 | ISR status (4.1.4.5) |
| 0x2000 | the device's own configuration |
| 0x3000 | notifications (4.1.4.4), 4 octets a queue |

Emulated: feature negotiation, status with DEVICE_NEEDS_RESET, the configuration's generation, INTx with ISR, the
configuration access capability (4.1.4.9), indirect descriptors, event indices, legacy queues (page numbers).

Not emulated: MSI-X (vectors read as 0xFFFF), packed rings, queue reset, notification data, shared memory.

A device derives from `VirtioPci`, says its type, features and queues, and has `handle_queue`, `config_space` and what
else it wants to override.

| threat | stopped by |
|---|---|
| queues before DRIVER_OK, queue numbers from nowhere | not served, counted |
| broken queues, pointers outside memory | DEVICE_NEEDS_RESET: nothing is served until the driver resets |
| features that were not offered | FEATURES_OK does not stick (3.1.1) |
| the configuration access capability pointed at itself or beyond a base register | only base registers, checked |
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final

from emulators.device import State
from emulators.devices.pci.config import PciFunction
from emulators.devices.virtio.queue import Broken, Virtqueue
from emulators.dma import Dma, DmaFault
from emulators.snapshot import SnapshotError, take, take_int, take_version

VENDOR: Final = 0x1AF4  # 4.1.2
MODERN_DEVICE: Final = 0x1040  # plus the type
LEGACY_DEVICES: Final = {1: 0x1000, 2: 0x1001, 3: 0x1003, 4: 0x1005}  # 4.1.2, by type

ACKNOWLEDGE: Final = 1  # 2.1
DRIVER: Final = 2
DRIVER_OK: Final = 4
FEATURES_OK: Final = 8
NEEDS_RESET: Final = 0x40
FAILED: Final = 0x80

F_ANY_LAYOUT: Final = 1 << 27  # 6.3, legacy only
F_INDIRECT: Final = 1 << 28  # 6
F_EVENT_IDX: Final = 1 << 29
F_VERSION_1: Final = 1 << 32
TRANSPORT_FEATURES: Final = F_INDIRECT | F_EVENT_IDX | F_VERSION_1

ISR_QUEUE: Final = 1  # 4.1.4.5
ISR_CONFIG: Final = 2
NO_VECTOR: Final = 0xFFFF  # 4.1.5.1.2

CAP_VENDOR: Final = 9  # 4.1.4
CAP_COMMON, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI = 1, 2, 3, 4, 5
MEMORY_OCTETS: Final = 0x4000
ISR_AT: Final = 0x1000
DEVICE_AT: Final = 0x2000
NOTIFY_AT: Final = 0x3000
NOTIFY_STEP: Final = 4
LEGACY_OCTETS: Final = 0x80
LEGACY_CONFIG: Final = 0x14  # 4.1.4.8, without MSI-X


class VirtioPci(PciFunction):
    """A virtio device on a PCI bus.

    Args:
        name: as in messages.
        kind: its type (VIRTIO 1.2, 5).
        class_code: of PCI.
        dma: to memory.
        features: its own, without those of the transport.
        queues: the largest size of each.
        transitional: has the legacy interface, too.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: int,
        class_code: int,
        dma: Dma,
        features: int,
        queues: Sequence[int],
        transitional: bool = True,
    ) -> None:
        super().__init__(
            name,
            vendor=VENDOR,
            device=LEGACY_DEVICES[kind] if transitional else MODERN_DEVICE + kind,
            class_code=class_code,
            revision=0 if transitional else 1,
            subsystem_vendor=VENDOR,
            subsystem=kind if transitional else MODERN_DEVICE + kind,
            pin=1,
        )
        self._offered = features | TRANSPORT_FEATURES
        self.queues = [Virtqueue(dma, size) for size in queues]
        self._memory = _Modern(self)
        self._io = _Legacy(self)
        if transitional:
            self.add_bar(0, LEGACY_OCTETS, self._io, io=True)
        self.add_bar(1, MEMORY_OCTETS, self._memory)
        self._add_capability(CAP_COMMON, 0, 56)
        self._add_capability(CAP_ISR, ISR_AT, 1)
        self._add_capability(CAP_DEVICE, DEVICE_AT, 0x1000)
        self._add_capability(CAP_NOTIFY, NOTIFY_AT, NOTIFY_STEP * len(queues), NOTIFY_STEP.to_bytes(4, "little"))
        body = bytes([20, CAP_PCI]) + bytes(16)
        self._access = self.add_capability(CAP_VENDOR, body, bytes(2) + b"\xff\0\0\0" + b"\xff" * 8 + bytes(4))
        self._status = 0
        self._accepted = 0
        self._isr = 0
        self._generation = 0

    def _add_capability(self, kind: int, offset: int, length: int, more: bytes = b"") -> None:
        place = offset.to_bytes(4, "little") + length.to_bytes(4, "little")
        self.add_capability(CAP_VENDOR, bytes([16 + len(more), kind, 1, 0, 0, 0]) + place + more)

    # What a device overrides

    @abstractmethod
    def handle_queue(self, index: int) -> None:
        """The driver notified queue `index`, which is enabled. May raise Broken and DmaFault."""

    @abstractmethod
    def config_space(self) -> bytes:
        """The device's configuration as it is now."""

    def config_space_write(self, offset: int, data: bytes) -> None:
        """The driver writes to it."""
        self.mistakes += 1

    def driver_ready(self) -> None:
        """The driver set DRIVER_OK. May raise Broken and DmaFault."""

    def device_reset(self) -> None:
        """The driver reset the device, or the bus did."""

    # What a device uses

    @property
    def running(self) -> bool:
        """Does the driver drive the device, and may it reach memory?"""
        return self._status & (DRIVER_OK | NEEDS_RESET) == DRIVER_OK and self.is_master

    def accepted(self, feature: int) -> bool:
        """Was it negotiated?"""
        return bool(self._accepted & feature)

    def queue_interrupt(self) -> None:
        """Buffers were used."""
        self._isr |= ISR_QUEUE
        self.set_interrupt(True)

    def config_interrupt(self) -> None:
        """The configuration changed."""
        self._generation = self._generation + 1 & 0xFF
        if self._status & DRIVER_OK:
            self._isr |= ISR_CONFIG
            self.set_interrupt(True)

    def needs_reset(self) -> None:
        """The driver broke a rule: nothing is served until it resets the device (2.1.2)."""
        self.mistakes += 1
        self._status |= NEEDS_RESET
        for queue in self.queues:
            queue.forget()
        self.config_interrupt()

    # Common to both interfaces

    def offered(self) -> int:
        """The features that the device has."""
        return self._offered

    def accepted_word(self, word: int) -> int:
        """32 of the features that the driver took."""
        return self._accepted >> 32 * word & 0xFFFFFFFF if word < 2 else 0

    def accept_word(self, word: int, value: int) -> None:
        """The driver says what it takes, in words of 32."""
        if self._status & (FEATURES_OK | DRIVER_OK) or word > 1:
            self.mistakes += 1
            return
        shift = 32 * word
        self._accepted = self._accepted & ~(0xFFFFFFFF << shift) | value << shift

    def set_status(self, value: int, *, legacy: bool) -> None:
        """The driver writes the device status."""
        if not value:
            self._reset_device()
            return
        sound = not self._accepted & ~self._offered and (legacy or self._accepted & F_VERSION_1)
        if value & FEATURES_OK and not self._status & FEATURES_OK and not sound:
            self.mistakes += 1
            value &= ~FEATURES_OK
        ready = value & DRIVER_OK and not self._status & DRIVER_OK
        self._status = value | self._status & NEEDS_RESET
        if not ready:
            return
        if legacy:
            self._accepted &= self._offered & 0xFFFFFFFF
        for queue in self.queues:
            queue.event_index = self.accepted(F_EVENT_IDX)
            queue.indirect = self.accepted(F_INDIRECT)
        try:
            self.driver_ready()
        except (Broken, DmaFault):
            self.needs_reset()

    def notify(self, index: int) -> None:
        """The driver notifies queue `index`."""
        if not self.running or index >= len(self.queues) or not self.queues[index].enabled:
            self.mistakes += 1
            return
        try:
            self.handle_queue(index)
        except (Broken, DmaFault):
            self.needs_reset()

    def take_isr(self) -> int:
        """Reading the ISR acknowledges."""
        value, self._isr = self._isr, 0
        self.set_interrupt(False)
        return value

    def device_status(self) -> int:
        """The device status."""
        return self._status

    @property
    def generation(self) -> int:
        """Of the configuration."""
        return self._generation

    def _reset_device(self) -> None:
        self._status = self._accepted = self._isr = 0
        for queue in self.queues:
            queue.reset()
        self._memory.reset()
        self._io.reset()
        self.device_reset()
        self.set_interrupt(False)

    # The configuration access capability

    def config_read(self, offset: int, size: int) -> int:
        """As `PciFunction.config_read`; the capability's data come from the base register that it names."""
        if self._access + 16 <= offset < self._access + 20:
            window = self._window()
            if window is not None and window[1] == size:
                return self._memory.read(*window)
        return super().config_read(offset, size)

    def config_changed(self, offset: int, size: int) -> None:
        """Nothing: what the capability names is looked at when its data are accessed."""

    def config_write(self, offset: int, size: int, value: int) -> None:
        """As `PciFunction.config_write`; the capability's data go to the base register that it names."""
        if self._access + 16 <= offset < self._access + 20:
            window = self._window()
            if window is not None and window[1] == size:
                self._memory.write(*window, value)
            return
        super().config_write(offset, size, value)

    def _window(self) -> tuple[int, int] | None:
        at = self._access
        place = int.from_bytes(self.config[at + 8 : at + 12], "little")
        length = int.from_bytes(self.config[at + 12 : at + 16], "little")
        if self.config[at + 4] == 1 and length in (1, 2, 4) and place + length <= MEMORY_OCTETS:
            return place, length
        self.mistakes += 1
        return None

    # Reset and state

    def reset(self) -> None:
        """RST#."""
        super().reset()
        self._reset_device()

    def state(self) -> State:
        """All of it; devices add theirs."""
        return {
            "version": 1,
            "function": super().state(),
            "status": self._status,
            "accepted": self._accepted,
            "isr": self._isr,
            "generation": self._generation,
            "selectors": [*self._memory.selectors, self._io.selected],
            "queues": [queue.state() for queue in self.queues],
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        take_version(state, 1)
        status, isr = take_int(state, "status", 0xFF), take_int(state, "isr", 3)
        accepted, generation = take_int(state, "accepted", (1 << 64) - 1), take_int(state, "generation", 0xFF)
        selectors, queues = take(state, "selectors", list), take(state, "queues", list)
        if len(selectors) != 4 or len(queues) != len(self.queues):
            raise SnapshotError(f"snapshot: {self.name}: {len(selectors)} selectors, {len(queues)} queues")
        numbers = [take_int({"selector": one}, "selector", 0xFFFFFFFF) for one in selectors]
        for queue, one in zip(self.queues, queues, strict=True):
            queue.from_state(one, event_index=bool(accepted & F_EVENT_IDX), indirect=bool(accepted & F_INDIRECT))
        self._memory.selectors, self._io.selected = numbers[:3], numbers[3]
        self._status, self._accepted, self._isr, self._generation = status, accepted, isr, generation
        super().from_state(take(state, "function", dict))


class _Modern:
    """Base register 1."""

    def __init__(self, device: VirtioPci) -> None:
        self._device = device
        self.reset()

    def reset(self) -> None:
        """No selection."""
        self.selectors = [0, 0, 0]  # device features, driver features, queue

    def _queue(self) -> Virtqueue | None:
        queues = self._device.queues
        return queues[self.selectors[2]] if self.selectors[2] < len(queues) else None

    def read(self, offset: int, size: int) -> int:
        if offset < ISR_AT:
            return self._read_common(offset, size) & (1 << 8 * size) - 1  # iPXE reads halves of features
        if offset < DEVICE_AT:
            return self._device.take_isr() if offset == ISR_AT else 0
        if offset < NOTIFY_AT:
            return _slice(self._device.config_space(), offset - DEVICE_AT, size)
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        if offset >= NOTIFY_AT:
            self._device.notify(offset - NOTIFY_AT >> 2)
        elif offset < ISR_AT:
            self._write_common(offset, size, value)
        elif offset >= DEVICE_AT:
            self._device.config_space_write(offset - DEVICE_AT, value.to_bytes(size, "little"))

    def _read_common(self, offset: int, size: int) -> int:
        device, queue = self._device, self._queue()
        match offset:  # 4.1.4.3
            case 0 | 8 | 22:
                return self.selectors[(0, 8, 22).index(offset)]
            case 4:
                return device.offered() >> 32 * self.selectors[0] & 0xFFFFFFFF if self.selectors[0] < 2 else 0
            case 12:
                return device.accepted_word(self.selectors[1])
            case 16 | 26:
                return NO_VECTOR
            case 18:
                return len(device.queues)
            case 20:
                return device.device_status()
            case 21:
                return device.generation
            case 24:
                return queue.size if queue else 0
            case 28:
                return int(queue.enabled) if queue else 0
            case 30:
                return self.selectors[2]
        if 32 <= offset < 56 and queue:
            addresses = b"".join(
                address.to_bytes(8, "little") for address in (queue.descriptors, queue.driver, queue.device)
            )
            return _slice(addresses, offset - 32, size)
        return 0

    def _write_common(self, offset: int, size: int, value: int) -> None:
        device, queue = self._device, self._queue()
        match offset:
            case 0 | 8 | 22:
                self.selectors[(0, 8, 22).index(offset)] = value
            case 12:
                device.accept_word(self.selectors[1], value)
            case 16 | 26:
                pass
            case 20:
                device.set_status(value & 0xFF, legacy=False)
            case 24 if queue and not queue.enabled and 0 < value <= queue.largest and not value & value - 1:
                queue.size = value
            case 28 if queue and value == 1:
                queue.enabled = True
            case _ if 32 <= offset <= 56 - size and queue and not queue.enabled:
                names = ("descriptors", "driver", "device")
                name = names[offset - 32 >> 3]
                old = getattr(queue, name).to_bytes(8, "little")
                at = offset & 7
                if at + size > 8:
                    device.mistakes += 1
                    return
                new = old[:at] + value.to_bytes(size, "little") + old[at + size :]
                setattr(queue, name, int.from_bytes(new, "little"))
            case _:
                device.mistakes += 1


class _Legacy:
    """Base register 0 (4.1.4.8)."""

    def __init__(self, device: VirtioPci) -> None:
        self._device = device
        self.reset()

    def reset(self) -> None:
        """No selection."""
        self.selected = 0

    def _queue(self) -> Virtqueue | None:
        queues = self._device.queues
        return queues[self.selected] if self.selected < len(queues) else None

    def read(self, offset: int, size: int) -> int:
        device, queue = self._device, self._queue()
        if offset >= LEGACY_CONFIG:
            return _slice(device.config_space(), offset - LEGACY_CONFIG, size)
        return self._read_register(offset, device, queue) & (1 << 8 * size) - 1

    def _read_register(self, offset: int, device: "VirtioPci", queue: Virtqueue | None) -> int:
        match offset:
            case 0:
                return (device.offered() | F_ANY_LAYOUT) & 0xFFFFFFFF
            case 4:
                return device.accepted_word(0)
            case 8:
                return queue.descriptors // 4096 & 0xFFFFFFFF if queue else 0
            case 12:
                return queue.largest if queue else 0
            case 14:
                return self.selected
            case 18:
                return device.device_status()
            case 19:
                return device.take_isr()
            case _:
                return 0

    def write(self, offset: int, size: int, value: int) -> None:
        device, queue = self._device, self._queue()
        if offset >= LEGACY_CONFIG:
            device.config_space_write(offset - LEGACY_CONFIG, value.to_bytes(size, "little"))
            return
        match offset:
            case 4:
                device.accept_word(0, value)
            case 8 if queue:
                queue.place_legacy(value)
            case 14:
                self.selected = value & 0xFFFF
            case 16:
                device.notify(value & 0xFFFF)
            case 18:
                device.set_status(value & 0xFF, legacy=True)
            case _:
                device.mistakes += 1


def _slice(octets: bytes, offset: int, size: int) -> int:
    return int.from_bytes(octets[offset : offset + size].ljust(size, b"\0"), "little")
