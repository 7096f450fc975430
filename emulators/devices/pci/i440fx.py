"""Intel 440FX (82441FX PMC): the PC's host bridge: the way to configuration space, and what lies below 1 MiB.

Datasheet: Intel 440FX PCIset, 82441FX and 82442FX (290549-001, 1996), sections as cited.
Boards: pc.

Emulated: configuration mechanism 1 (§3.1: CONFADD at port 0xCF8, CONFDATA at 0xCFC; the octet 0xCF9 between them is the
south bridge's reset control); the programmable attribute map PAM0–PAM6 (§3.2.17), which says for each of thirteen
segments between 0xC0000 and 0xFFFFF whether reads and writes go to memory or to the bus behind the bridge; the memory
row boundaries DRB0–DRB7 (§3.2.18) as firmware leaves them.

Not emulated: SMRAM (§3.2.22: the register keeps what is written; there is no system management mode), ECC, memory
timing, the deturbo counter, the fixed memory hole (§3.2.16), access from PCI to hidden memory.

**Identity.** The subsystem numbers 1AF4:1100 are those by which firmware and drivers made for virtual machines know
that there is an fw_cfg device (`emulators.devices.firmware.fw_cfg`); the chip has zeros there.

**Theory of shadow memory.** The engine has one piece of memory for the segments, and it always holds what a *read*
shows: memory, or the ROM behind the bus. The other of the two is kept here; a change of the read bit exchanges them.
A segment whose writes do not go to what is read is read-only for the engine, so writes come to `write`: they go
to the hidden memory if the write bit says so, and are lost otherwise.

| threat | stopped by |
|---|---|
| attributes switched in a loop | an exchange is at most 64 KiB |
| configuration cycles to buses that are not there | all ones, counted as the bridge's master abort |
"""

from dataclasses import dataclass, field
from typing import Final, Protocol

from emulators.bus import Registers
from emulators.device import State
from emulators.devices.pci.bus import PciBus
from emulators.devices.pci.config import PciFunction
from emulators.snapshot import SnapshotError, take, take_int, take_version

INTEL: Final = 0x8086
VIRTUAL_VENDOR, VIRTUAL_MACHINE = 0x1AF4, 0x1100

PAM0: Final = 0x59
PAM_COUNT: Final = 7
PAM_READ, PAM_WRITE = 1, 2  # §3.2.17: RE, WE
DRB: Final = 0x60
DRB_GRAIN: Final = 8 << 20
DRAMC, DRAMT, PMCCFG, SMRAM = 0x57, 0x58, 0x50, 0x72

SHADOW: Final = 0xC0000
SHADOW_END: Final = 0x100000
SEGMENTS: Final = (
    (0xF0000, 0x10000, 0x59, 4),
    *((0xC0000 + 0x4000 * index, 0x4000, 0x5A + index // 2, 4 * (index & 1)) for index in range(12)),
)
"""§3.2.17, table 3-2: address, octets, register, and the bit where RE is."""

CONFADD_ENABLE: Final = 1 << 31  # §3.1.1
CONFADD_WRITABLE: Final = 0x80FFFFFC


class Memory(Protocol):
    """The part of a `Vm` that is needed here."""

    def read(self, gpa: int, octets: int, /) -> bytes: ...  # noqa: D102
    def write(self, gpa: int, data: bytes, /) -> None: ...  # noqa: D102
    def set_readonly(self, gpa: int, size: int, on: bool, /) -> None: ...  # noqa: D102


@dataclass
class Segment:
    """One of the thirteen.

    Attributes:
        rom: what the bus behind the bridge has there.
        hidden: memory's octets, while reads show the other.
    """

    gpa: int
    octets: int
    register: int
    shift: int
    rom: bytes
    hidden: bytearray | None = None
    attributes: int = 0
    readonly: bool = field(default=False)


class I440Fx(PciFunction):
    """Device 0 of the bus, and the window at `SHADOW`.

    Args:
        vm: has memory at `SHADOW` … `SHADOW_END`.
        memory_octets: how much memory the machine has, for the row boundaries.
        rom: what is behind the bus at `SHADOW` … `SHADOW_END` (an image of firmware, all ones before it).
    """

    def __init__(self, *, vm: Memory, memory_octets: int, rom: bytes = b"") -> None:
        super().__init__(
            "i440fx",
            vendor=INTEL,
            device=0x1237,
            class_code=0x060000,
            revision=2,
            subsystem_vendor=VIRTUAL_VENDOR,
            subsystem=VIRTUAL_MACHINE,
        )
        self._vm = vm
        self.set_config(0x04, 2, 0x0006, writable=0x0140)  # §3.2.3
        self.set_config(0x06, 2, 0x0280, write_1_clears=0xF900)
        self.set_config(PMCCFG, 2, 0, writable=0xFFFF)
        self.set_config(0x53, 1, 0x80, writable=0xFF)  # DBC
        self.set_config(DRAMC, 1, 0x01, writable=0xFF)
        self.set_config(DRAMT, 1, 0, writable=0xFF)
        self.set_config(PAM0, PAM_COUNT, 0, writable=0x33333333333330)
        for row in range(8):
            self.set_config(DRB + row, 1, min(memory_octets // DRB_GRAIN, 0xFF), writable=0xFF)
        self.set_config(0x68, 1, 0, writable=0xC0)  # FDHC
        self.set_config(0x70, 1, 0, writable=0xF8)  # MTT
        self.set_config(SMRAM, 1, 0x02, writable=0x78)
        self.set_config(0x90, 4, 0, writable=0x1FFFFF)  # ERRCMD, ERRSTS, TRC
        whole = rom.rjust(SHADOW_END - SHADOW, b"\xff")[-(SHADOW_END - SHADOW) :]
        self.segments = [
            Segment(gpa, octets, register, shift, whole[gpa - SHADOW : gpa - SHADOW + octets], bytearray(octets))
            for gpa, octets, register, shift in SEGMENTS
        ]

    def start(self) -> None:
        """After a reset: every segment shows what is behind the bus, and nothing can be written."""
        for segment in self.segments:
            self._vm.write(segment.gpa, segment.rom)
            self._protect(segment)

    def open(self) -> None:
        """What firmware does in the end: all is memory, to read and to write."""
        self.config_write(PAM0, 1, 0x30)
        for register in range(PAM0 + 1, PAM0 + PAM_COUNT):
            self.config_write(register, 1, 0x33)

    def config_changed(self, offset: int, size: int) -> None:
        """Attributes may have changed."""
        if offset < PAM0 + PAM_COUNT and offset + size > PAM0:
            for segment in self.segments:
                self._attribute(segment, self.config[segment.register] >> segment.shift & 3)

    def _attribute(self, segment: Segment, attributes: int) -> None:
        changed = attributes ^ segment.attributes
        if not changed:
            return
        segment.attributes = attributes
        if changed & PAM_READ:
            if segment.hidden is None:
                segment.hidden = bytearray(self._vm.read(segment.gpa, segment.octets))
                self._vm.write(segment.gpa, segment.rom)
            else:
                self._vm.write(segment.gpa, bytes(segment.hidden))
                segment.hidden = None
        self._protect(segment)

    def _protect(self, segment: Segment) -> None:
        readonly = segment.attributes != PAM_READ | PAM_WRITE
        if readonly != segment.readonly:
            segment.readonly = readonly
            self._vm.set_readonly(segment.gpa, segment.octets, readonly)

    # -- the window at `SHADOW`: writes that the engine may not make itself

    def shadow_write(self, offset: int, size: int, value: int) -> None:
        """A write to a read-only segment; `offset` from `SHADOW`."""
        for at, octet in enumerate(value.to_bytes(size, "little"), SHADOW + offset):
            for segment in self.segments:
                if segment.gpa <= at < segment.gpa + segment.octets:
                    if segment.attributes & PAM_WRITE and segment.hidden is not None:
                        segment.hidden[at - segment.gpa] = octet
                    break

    def state(self) -> State:
        """As `Device.state`."""
        return super().state() | {
            "hidden": [None if segment.hidden is None else bytes(segment.hidden) for segment in self.segments]
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`: memory already holds what reads show."""
        super().from_state(state)
        hidden = take(state, "hidden", list)
        if len(hidden) != len(self.segments):
            raise SnapshotError("snapshot: i440fx: hidden memory of another chip")
        for segment, octets in zip(self.segments, hidden, strict=True):
            segment.attributes = self.config[segment.register] >> segment.shift & 3
            shown = octets is None
            if shown != bool(segment.attributes & PAM_READ):
                raise SnapshotError(f"snapshot: i440fx: {segment.gpa:#x}: attributes and hidden memory differ")
            if not shown and (not isinstance(octets, bytes) or len(octets) != segment.octets):
                raise SnapshotError(f"snapshot: i440fx: {segment.gpa:#x}: hidden memory of another size")
            segment.hidden = None if shown else bytearray(octets)
            self._protect(segment)


class Shadow:
    """The bus's window at `SHADOW`."""

    def __init__(self, bridge: I440Fx) -> None:
        self._bridge = bridge

    def read(self, offset: int, size: int) -> int:
        """All ones: what can be read here is memory."""
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        self._bridge.shadow_write(offset, size, value)


class ConfigurationPorts:
    """Ports 0xCF8–0xCFF. CONFADD is accessed by 32 bits only; narrower accesses go to what is behind (§3.1.1).

    Args:
        pci: bus 0.
        reset_control: the south bridge's octet at 0xCF9.
    """

    timed = False

    def __init__(self, *, pci: PciBus, reset_control: Registers) -> None:
        self._pci = pci
        self._reset_control = reset_control
        self.address = 0
        self.mistakes = 0

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        if offset >= 4:
            devfn, register = self._cycle(offset, size)
            return (1 << 8 * size) - 1 if devfn is None else self._pci.config_read(devfn, register, size)
        if offset == 0 and size == 4:
            return self.address
        if offset == 1 and size == 1:
            return self._reset_control.read(0, 1)
        self.mistakes += 1
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        if offset >= 4:
            devfn, register = self._cycle(offset, size)
            if devfn is not None:
                self._pci.config_write(devfn, register, size, value)
        elif offset == 0 and size == 4:
            self.address = value & CONFADD_WRITABLE
        elif offset == 1 and size == 1:
            self._reset_control.write(0, 1, value)
        else:
            self.mistakes += 1

    def _cycle(self, offset: int, size: int) -> tuple[int | None, int]:
        """Which function and register; None: nobody answers."""
        address = self.address
        if not address & CONFADD_ENABLE or address >> 16 & 0xFF or offset + size > 8:
            self.mistakes += 1
            return None, 0
        return address >> 8 & 0xFF, address & 0xFC | offset - 4

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "address": self.address}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self.address = take_int(state, "address", CONFADD_WRITABLE)
