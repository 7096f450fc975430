"""The configuration space of one PCI function, and the class that chips on a PCI bus derive from.

Specification: PCI Local Bus Specification 3.0, chapter 6 (header type 0) and 2.2.6 (interrupt pins).

Theory: 256 octets, beside them a mask of the bits that software may write, and one of those that writing 1 clears.
Everything that a chip adds (its own registers, capabilities) is a range of octets with masks of its own. Base registers
are ordinary masked octets too: sizing works because the low bits are not writable. When the command register or a base
register changes, the bus (`emulators.devices.pci.bus`) is told and moves the windows.

A chip gives each base register a `Registers` object that sees offsets within it. It drives its interrupt pin by
`set_interrupt(level)`, which heeds Interrupt Disable, and looks at `is_master` before it touches memory.

Limits: header type 0; base registers of 32 bits; no expansion ROM; accesses are 1, 2 or 4 octets within 256.

Not supported: bridges to other buses (type 1), 64-bit base registers, message-signalled interrupts, power states.

Threats: a base register that covers other devices (the bus keeps the first window and counts the rest as hidden); a DMA
of a function whose bus-master bit is off (`is_master`); a snapshot with other identities (refused).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulators.bus import Registers
from emulators.device import Irq, State
from emulators.snapshot import SnapshotError, take, take_int, take_version

SIZE: Final = 256

# PCI 3.0 §6.1, figure 6-1
VENDOR_ID: Final = 0x00
DEVICE_ID: Final = 0x02
COMMAND: Final = 0x04
STATUS: Final = 0x06
REVISION_ID: Final = 0x08
CLASS_CODE: Final = 0x09
CACHE_LINE_SIZE: Final = 0x0C
LATENCY_TIMER: Final = 0x0D
HEADER_TYPE: Final = 0x0E
BASE_ADDRESS_0: Final = 0x10
SUBSYSTEM_VENDOR_ID: Final = 0x2C
SUBSYSTEM_ID: Final = 0x2E
CAPABILITIES: Final = 0x34
INTERRUPT_LINE: Final = 0x3C
INTERRUPT_PIN: Final = 0x3D
MIN_GNT: Final = 0x3E
MAX_LAT: Final = 0x3F
FIRST_FREE: Final = 0x40

# PCI 3.0 §6.2.2, table 6-1
COMMAND_IO: Final = 1 << 0
COMMAND_MEMORY: Final = 1 << 1
COMMAND_MASTER: Final = 1 << 2
COMMAND_INVALIDATE: Final = 1 << 4
COMMAND_PARITY: Final = 1 << 6
COMMAND_SERR: Final = 1 << 8
COMMAND_INTERRUPT_DISABLE: Final = 1 << 10
COMMAND_WRITABLE: Final = (
    COMMAND_IO
    | COMMAND_MEMORY
    | COMMAND_MASTER
    | COMMAND_INVALIDATE
    | COMMAND_PARITY
    | COMMAND_SERR
    | COMMAND_INTERRUPT_DISABLE
)

# PCI 3.0 §6.2.3, table 6-2
STATUS_INTERRUPT: Final = 1 << 3
STATUS_CAPABILITIES: Final = 1 << 4
STATUS_WRITE_1_CLEARS: Final = 0xF900

HEADER_MULTIFUNCTION: Final = 0x80  # §6.2.1


@dataclass(frozen=True, slots=True)
class Bar:
    """A base register: `size` addresses (a power of two; memory ≥ 16, I/O ≥ 4) that lead to `device`."""

    index: int
    size: int
    device: Registers
    io: bool = False
    prefetchable: bool = False


class PciFunction:
    """One function: identity, configuration space, base registers, interrupt pin.

    `on_moved` is the bus's: it is called when windows moved.

    Args:
        name: the function's name in messages and in snapshots.
        vendor, device: its identity.
        class_code: 24 bits: base class, subclass, programming interface.
        pin: 0: no interrupt; 1 … 4: INTA# … INTD#.
    """

    timed = False

    def __init__(
        self,
        name: str,
        *,
        vendor: int,
        device: int,
        class_code: int,
        revision: int = 0,
        subsystem_vendor: int = 0,
        subsystem: int = 0,
        pin: int = 0,
        multifunction: bool = False,
    ) -> None:
        self.name = name
        self.config = bytearray(SIZE)
        self.writable = bytearray(SIZE)
        self.write_1_clears = bytearray(SIZE)
        self.bars: list[Bar] = []
        self.mistakes = 0
        self.pin = pin
        self.on_moved: Callable[[], None] = lambda: None
        self._irq: Irq = lambda level: None
        self._wanted = False
        self._driven = False
        self._free = FIRST_FREE
        self._last_capability = CAPABILITIES
        self.set_config(VENDOR_ID, 2, vendor)
        self.set_config(DEVICE_ID, 2, device)
        self.set_config(COMMAND, 2, 0, writable=COMMAND_WRITABLE)
        self.set_config(STATUS, 2, 0, write_1_clears=STATUS_WRITE_1_CLEARS)
        self.set_config(REVISION_ID, 1, revision)
        self.set_config(CLASS_CODE, 3, class_code)
        self.set_config(CACHE_LINE_SIZE, 1, 0, writable=0xFF)
        self.set_config(LATENCY_TIMER, 1, 0, writable=0xFF)
        self.set_config(HEADER_TYPE, 1, HEADER_MULTIFUNCTION if multifunction else 0)
        self.set_config(SUBSYSTEM_VENDOR_ID, 2, subsystem_vendor)
        self.set_config(SUBSYSTEM_ID, 2, subsystem)
        self.set_config(INTERRUPT_LINE, 1, 0, writable=0xFF)
        self.set_config(INTERRUPT_PIN, 1, pin)

    # What a chip says about itself

    def set_config(self, offset: int, size: int, value: int, *, writable: int = 0, write_1_clears: int = 0) -> None:
        """Define the octets at `offset`: their value, and which bits software may write or clear."""
        self.config[offset : offset + size] = value.to_bytes(size, "little")
        self.writable[offset : offset + size] = writable.to_bytes(size, "little")
        self.write_1_clears[offset : offset + size] = write_1_clears.to_bytes(size, "little")

    def add_bar(
        self, index: int, size: int, device: Registers, *, io: bool = False, prefetchable: bool = False
    ) -> None:
        """Define base register `index` (0 … 5)."""
        if size & (size - 1) or size < (4 if io else 16) or not 0 <= index < 6:
            raise ValueError(f"{self.name}: base register {index} of {size} addresses")
        kind = 1 if io else 8 if prefetchable else 0  # PCI 3.0 §6.2.5.1
        self.set_config(BASE_ADDRESS_0 + 4 * index, 4, kind, writable=0xFFFFFFFF & ~(size - 1))
        self.bars.append(Bar(index, size, device, io, prefetchable))

    def add_capability(self, identity: int, body: bytes, writable: bytes = b"") -> int:
        """Append a capability (PCI 3.0 §6.7) of `body` behind its two octets of header; answers its offset."""
        offset = self._free
        size = 2 + len(body)
        if offset + size > SIZE:
            raise ValueError(f"{self.name}: no room for capability {identity:#x}")
        self.set_config(offset, 2, identity)
        self.config[offset + 2 : offset + size] = body
        self.writable[offset + 2 : offset + 2 + len(writable)] = writable
        self.config[self._last_capability if offset == FIRST_FREE else self._last_capability + 1] = offset
        self._last_capability = offset
        self._free = offset + (size + 3 & ~3)
        self.config[STATUS] |= STATUS_CAPABILITIES
        return offset

    def set_interrupt(self, level: bool) -> None:
        """Assert the interrupt pin, or not."""
        self._wanted = level
        drive = level and not self.config[COMMAND + 1] & COMMAND_INTERRUPT_DISABLE >> 8
        if drive != self._driven:
            self._driven = drive
            self._irq(drive)

    def set_pci_status(self, bits: int) -> None:
        """Set error bits (those that software clears by writing 1) in the status register."""
        bits &= STATUS_WRITE_1_CLEARS
        self.config[STATUS] |= bits & 0xFF
        self.config[STATUS + 1] |= bits >> 8

    @property
    def is_master(self) -> bool:
        """May the function access memory?"""
        return bool(self.config[COMMAND] & COMMAND_MASTER)

    def bar_address(self, bar: Bar) -> int | None:
        """Where `bar` is now; None if its space is off, or nobody gave it an address."""
        if not self.config[COMMAND] & (COMMAND_IO if bar.io else COMMAND_MEMORY):
            return None
        at = BASE_ADDRESS_0 + 4 * bar.index
        return int.from_bytes(self.config[at : at + 4], "little") & ~(3 if bar.io else 15) or None

    def place_bar(self, index: int, address: int) -> None:
        """Give base register `index` an address (what firmware does); the command register decides when it counts."""
        self.config_write(BASE_ADDRESS_0 + 4 * index, 4, address)

    # What the bus does

    def connect(self, irq: Irq, on_moved: Callable[[], None]) -> None:
        """The bus's end: the interrupt line, and whom to tell that windows moved."""
        self._irq = irq
        self.on_moved = on_moved

    def config_read(self, offset: int, size: int) -> int:
        """The value of 1, 2 or 4 octets of the configuration space, little-endian."""
        if not 0 <= offset <= SIZE - size:
            self.mistakes += 1
            return (1 << 8 * size) - 1
        value = int.from_bytes(self.config[offset : offset + size], "little")
        if self._wanted and offset <= STATUS < offset + size:
            value |= STATUS_INTERRUPT << 8 * (STATUS - offset)
        return value

    def config_write(self, offset: int, size: int, value: int) -> None:
        """Write to the configuration space what may be written."""
        if not 0 <= offset <= SIZE - size:
            self.mistakes += 1
            return
        before = bytes(self.config[offset : offset + size])
        for i, new in enumerate(value.to_bytes(size, "little"), offset):
            mask = self.writable[i]
            self.config[i] = (self.config[i] & ~mask | new & mask) & ~(new & self.write_1_clears[i])
        if before != self.config[offset : offset + size]:
            if offset < CACHE_LINE_SIZE or BASE_ADDRESS_0 <= offset + size - 1 < SUBSYSTEM_VENDOR_ID:
                self.set_interrupt(self._wanted)
                self.on_moved()
            self.config_changed(offset, size)

    def config_changed(self, offset: int, size: int) -> None:
        """For chips: software changed `size` octets at `offset`."""

    # The contract of devices (`emulators.device.Device`): as a device, a function is its configuration space

    def read(self, offset: int, size: int) -> int:
        """As `config_read`."""
        return self.config_read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """As `config_write`."""
        self.config_write(offset, size, value)

    def next_deadline(self) -> int | None:
        """None: a function has no timers of its own."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing to do."""

    def reset(self) -> None:
        """What RST# does: decoding, mastership, addresses and the interrupt go."""
        for i in range(SIZE):
            self.config[i] &= ~(self.writable[i] | self.write_1_clears[i]) if i < FIRST_FREE else 0xFF
        self.set_interrupt(False)
        self.on_moved()

    def state(self) -> State:
        """Configuration space and interrupt; chips add theirs."""
        return {"version": 1, "config": bytes(self.config), "interrupt": self._wanted, "mistakes": self.mistakes}

    def from_state(self, state: State) -> None:
        """Take `state` back; windows move and the line is driven accordingly."""
        take_version(state, 1)
        config = take(state, "config", bytes)
        if len(config) != SIZE:
            raise SnapshotError(f"snapshot: {self.name}: configuration space of {len(config)} octets")
        for i, (old, new) in enumerate(zip(self.config, config, strict=True)):
            if (old ^ new) & ~(self.writable[i] | self.write_1_clears[i]):
                raise SnapshotError(f"snapshot: {self.name}: configuration octet {i:#x} is {new:#x}, not {old:#x}")
        wanted = take(state, "interrupt", bool)
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        self.config[:] = config
        self._driven = not wanted  # whatever the line was: drive it
        self.set_interrupt(wanted)
        self.on_moved()
