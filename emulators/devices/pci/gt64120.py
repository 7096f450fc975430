"""Galileo GT-64120 system controller: what the MIPS processor's bus leads to.

Datasheet: Galileo GT-64120 rev 1.4 (1999), chapter and table numbers as cited.
Boards: malta.

Theory. Every access that meets no memory comes here with its whole physical address, and is decoded as the chip does:
its own registers (4 KiB at the Internal Space Decode address), the devices behind its chip selects (`cbus`, which the
board wires), then the three windows of PCI_0: I/O, memory 0 and memory 1. A window is LD (bits 35:21 of the first
address) to HD (bits 27:21 of the last), and Remap replaces the bits that both have in common. `read` and `write` are
the processor's bus; the chip is also function 0.0 of the PCI bus (`configuration`).

Registers emulated: CPU configuration (Endianness), all CPU address decoders and remaps of PCI_0, ISD, sync barriers,
PCI_0 command, interrupt acknowledge, configuration address and data (type 0 cycles; special cycles), interrupt cause
and mask with their line to the processor (master abort, CPU address out of range).

Registers that keep what is written, and nothing more: address decoders of SDRAM and devices, SDRAM and device
parameters, ECC, DMA channels, timers, everything of PCI_1, the inbound windows (bus masters see memory at its own
address).

Not emulated: the four DMA channels and four timers, PCI_1, byte swapping of windows (MByteSwap is heeded for
configuration data only; little-endian software sets it), read prefetch, retries and timeouts.

| threat | stopped by |
|---|---|
| windows over the chip's own registers, over flash or over nothing | a fixed order of decoding, no mapping to corrupt |
| an access below or beyond everything | sets CPUOut, counted; a load gets 0, a fetch a bus error |
| a bus number with no bridge, an empty slot | master abort, as on the bus |
"""

from collections.abc import Callable
from typing import Final

from emulators.bus import Bus, BusError
from emulators.device import Irq, State
from emulators.devices.pci.bus import PciBus
from emulators.devices.pci.config import BASE_ADDRESS_0, PciFunction
from emulators.snapshot import SnapshotError, take, take_version

# Register offsets: chapter 19, "register tables"
CPU_CONFIG: Final = 0x000
CPU_LITTLE_ENDIAN: Final = 1 << 12
PCI0_IO_LD, PCI0_IO_HD = 0x048, 0x050
PCI0_M0_LD, PCI0_M0_HD = 0x058, 0x060
ISD: Final = 0x068
PCI0_M1_LD, PCI0_M1_HD = 0x080, 0x088
PCI0_SYNC, PCI1_SYNC = 0x0C0, 0x0C8
PCI0_IO_REMAP, PCI0_M0_REMAP, PCI0_M1_REMAP = 0x0F0, 0x0F8, 0x100
PCI0_COMMAND: Final = 0xC00
MBYTESWAP: Final = 1 << 0
SBYTESWAP: Final = 1 << 16
INTERRUPT_CAUSE, INTERRUPT_MASK = 0xC18, 0xC1C
PCI0_IACK: Final = 0xC34
PCI0_CONFIG_ADDRESS, PCI0_CONFIG_DATA = 0xCF8, 0xCFC

CAUSE_SUM: Final = 1 << 0
CAUSE_CPU_OUT: Final = 1 << 3
CAUSE_MASTER_ABORT: Final = 1 << 18
CONFIG_ENABLE: Final = 1 << 31

ISD_OCTETS: Final = 0x1000
GRAIN: Final = 21
"""Decoders see address bits from here on (2 MiB)."""

LD, HD, REMAP, WORD = 0x7FFF, 0x7F, 0x7FF, 0xFFFFFFFF

REGISTERS: Final[dict[int, tuple[int, int]]] = {
    # offset: (value at reset, bits that software may write); tables 60 ff., values of the datasheet's "initial value"
    0x000: (CPU_LITTLE_ENDIAN, WORD),
    0x008: (0x000, LD),  # SCS[1:0]
    0x010: (0x007, HD),
    0x018: (0x008, LD),  # SCS[3:2]
    0x020: (0x00F, HD),
    0x028: (0x0E0, LD),  # CS[2:0]
    0x030: (0x070, HD),
    0x038: (0x0F8, LD),  # CS[3], boot
    0x040: (0x07F, HD),
    0x048: (0x080, LD),  # PCI_0 I/O
    0x050: (0x00F, HD),
    0x058: (0x090, LD),  # PCI_0 memory 0
    0x060: (0x01F, HD),
    0x068: (0x0A0, LD),  # internal space
    0x080: (0x790, LD),  # PCI_0 memory 1
    0x088: (0x01F, HD),
    0x090: (0x100, LD),  # PCI_1 I/O
    0x098: (0x00F, HD),
    0x0A0: (0x110, LD),
    0x0A8: (0x01F, HD),
    0x0B0: (0x120, LD),
    0x0B8: (0x02F, HD),
    0x0D0: (0x000, REMAP),
    0x0D8: (0x008, REMAP),
    0x0E0: (0x0E0, REMAP),
    0x0E8: (0x0F8, REMAP),
    0x0F0: (0x080, REMAP),
    0x0F8: (0x090, REMAP),
    0x100: (0x790, REMAP),
    0x108: (0x100, REMAP),
    0x110: (0x110, REMAP),
    0x118: (0x120, REMAP),
    0x070: (0, 0),  # CPU error report
    0x078: (0, 0),
    0x120: (3, 0),  # Multi-GT
    0x128: (WORD, 0),
    0x130: (WORD, 0),
    0x138: (0xFF, 0),
    0x0C0: (0, 0),  # sync barriers
    0x0C8: (0, 0),
    **{0x400 + 8 * n: (8 * n, 0xFF) for n in range(4)},  # SCS[n] low, high
    **{0x404 + 8 * n: (8 * n + 7, 0xFF) for n in range(4)},
    0x420: (0xC0, 0xFF),  # CS[n] low, high
    0x424: (0xC7, 0xFF),
    0x428: (0xC8, 0xFF),
    0x42C: (0xCF, 0xFF),
    0x430: (0xD0, 0xFF),
    0x434: (0xDF, 0xFF),
    0x438: (0xF0, 0xFF),
    0x43C: (0xFB, 0xFF),
    0x440: (0xFC, 0xFF),
    0x444: (0xFF, 0xFF),
    0x470: (WORD, 0),
    0x448: (0x200, WORD),  # SDRAM
    0x474: (0, WORD),
    0x478: (7, WORD),
    0x47C: (2, WORD),
    **{0x44C + 4 * n: (5, WORD) for n in range(4)},
    **{0x45C + 4 * n: (0x386FFFFF, WORD) for n in range(4)},  # device parameters
    0x46C: (0x146FFFFF, WORD),
    **{0x480 + 4 * n: (0, 0) for n in range(5)},  # ECC
    **{0x800 + 4 * n: (0, WORD) for n in range(16)},  # DMA
    **{0x840 + 4 * n: (0, WORD) for n in range(4)},
    **{0x870 + 4 * n: (0, WORD) for n in range(4)},
    0x860: (0, WORD),
    0x850: (WORD, WORD),  # timers
    0x854: (0xFFFFFF, 0xFFFFFF),
    0x858: (0xFFFFFF, 0xFFFFFF),
    0x85C: (0xFFFFFF, 0xFFFFFF),
    0x864: (0, WORD),
    **{
        base + offset: value
        for base in (0xC00, 0xC80)  # PCI_0 and PCI_1 internal
        for offset, value in {
            0x00: (MBYTESWAP | SBYTESWAP, 0x0401FC0F),
            0x04: (0x70F, WORD),
            0x08: (0xFFF000, 0xFFFFF000),
            0x0C: (0xFFF000, 0xFFFFF000),
            0x10: (0x1FFF000, 0xFFFFF000),
            0x14: (0xFFF000, 0xFFFFF000),
            0x3C: (0xF, 0x1FF),
            0x40: (0x40, WORD),
            0x48: (0, 0xFFFFF000),
            0x4C: (0x01000000, 0xFFFFF000),
            0x50: (0x1C000000, 0xFFFFF000),
            0x54: (0x1F000000, 0xFFFFF000),
            0x58: (0, 0xFFFFF000),
            0x5C: (0x01000000, 0xFFFFF000),
            0x64: (0x1F000000, 0xFFFFF000),
        }.items()
    },
    0xC18: (0, 0),  # interrupt cause: has rules of its own
    0xC1C: (0, 0x3C3FFFFE),
    0xC24: (0, 0x03FFFFFE),
    0xC28: (0, 0x3F),
    0xC30: (0, 0),
    0xC34: (0, 0),
    0xC70: (0, WORD),
    0xC74: (0, WORD),
    0xC98: (0, 0),
    0xC9C: (0, WORD),
    0xCA4: (0, WORD),
    0xCA8: (0, 0x3F),
    0xCF0: (0, 0x80FFFFFC),
    0xCF4: (0, 0),
    0xCF8: (0, 0x80FFFFFC),
    0xCFC: (0, 0),
}
REMAP_OF: Final = {0x048: 0x0F0, 0x058: 0x0F8, 0x080: 0x100, 0x090: 0x108, 0x0A0: 0x110, 0x0B0: 0x118}
"""A write to a low decoder puts the same into its remap (chapter 4, "address remapping")."""


def _swapped(value: int) -> int:
    return int.from_bytes(value.to_bytes(4, "little"), "big")


def host_function() -> PciFunction:
    """The chip as function 0.0 of its bus: chapter 17.16, with the addresses that it has at reset."""
    function = PciFunction("gt64120", vendor=0x11AB, device=0x4620, revision=0x10, class_code=0x060000, pin=1)
    for index, value in enumerate((0x00000008, 0x01000008, 0x1C000000, 0x1F000000, 0x14000000, 0x14000001)):
        function.set_config(BASE_ADDRESS_0 + 4 * index, 4, value, writable=0xFFFFF000)
    return function


class Gt64120:
    """The chip.

    Args:
        pci: the bus of PCI_0; the chip plugs itself in as 0.0.
        cbus: the devices behind the chip selects, by physical address.
        acknowledge: answers the vector of an interrupt acknowledge cycle.
        irq: its interrupt line.
        special: takes the message of a special cycle.
        is_fetch: is the access to this address the processor's fetch of an instruction?
    """

    timed = False

    def __init__(
        self,
        *,
        pci: PciBus,
        cbus: Bus,
        acknowledge: Callable[[], int],
        irq: Irq,
        special: Callable[[int], None] = lambda message: None,
        is_fetch: Callable[[int], bool] = lambda address: False,
    ) -> None:
        self._pci = pci
        self._cbus = cbus
        self._acknowledge = acknowledge
        self._irq = irq
        self._special = special
        self._is_fetch = is_fetch
        self.configuration = host_function()
        pci.add(self.configuration, 0)
        self.registers = {offset: value for offset, (value, _) in REGISTERS.items()}
        self.mistakes = 0
        self._decode()

    # -- the processor's bus

    def read(self, offset: int, size: int) -> int:
        """`offset` is the physical address."""
        for first, last, mask, base, bus in self._windows:
            if first <= offset <= last:
                if bus is None:
                    return self._read_own(offset - first, size)
                return bus.read(base | offset & mask, size)
        self._out_of_range()
        if self._is_fetch(offset):
            raise BusError
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """`offset` is the physical address."""
        for first, last, mask, base, bus in self._windows:
            if first <= offset <= last:
                if bus is None:
                    self._write_own(offset - first, size, value)
                else:
                    bus.write(base | offset & mask, size, value)
                return
        self._out_of_range()

    def _decode(self) -> None:
        """The table that accesses are looked up in: first and last address, what stays of it, what is put in, where."""
        get = self.registers.__getitem__
        isd = get(ISD) << GRAIN
        windows: list[tuple[int, int, int, int, Bus | None]] = [(isd, isd + ISD_OCTETS - 1, 0, 0, None)]
        windows += [(one.base, one.base + one.size - 1, (1 << 36) - 1, 0, self._cbus) for one in self._cbus.windows()]
        for low, high, remap, bus in (
            (PCI0_IO_LD, PCI0_IO_HD, PCI0_IO_REMAP, self._pci.io),
            (PCI0_M0_LD, PCI0_M0_HD, PCI0_M0_REMAP, self._pci.memory),
            (PCI0_M1_LD, PCI0_M1_HD, PCI0_M1_REMAP, self._pci.memory),
        ):
            first, last = get(low), get(low) & ~HD | get(high)
            if last < first:
                continue  # chapter 4: a decoder with HD below LD is off
            kept = (1 << (first ^ last).bit_length()) - 1  # the bits that vary within the window
            base = get(remap) & ~kept & REMAP
            keep = (kept << GRAIN | (1 << GRAIN) - 1) & WORD
            windows.append((first << GRAIN, (last + 1 << GRAIN) - 1, keep, base << GRAIN, bus))
        self._windows = windows

    def _out_of_range(self) -> None:
        self.mistakes += 1
        self._cause(CAUSE_CPU_OUT)

    # -- its own registers

    def _read_own(self, offset: int, size: int) -> int:
        aligned, lane = offset & ~3, 8 * (offset & 3)
        if aligned == PCI0_CONFIG_DATA and size <= 4:
            return self._config_data(offset & 3, size, None)
        value = 0
        for step in range(0, max(size, 4), 4):
            value |= self._own(aligned + step) << 8 * step
        return value >> lane & (1 << 8 * size) - 1

    def _own(self, offset: int) -> int:
        if offset == PCI0_IACK:
            value = self._acknowledge()
        elif offset in self.registers:
            value = self.registers[offset]
        else:
            self.mistakes += 1
            value = 0
        return value if self.registers[CPU_CONFIG] & CPU_LITTLE_ENDIAN else _swapped(value)

    def _write_own(self, offset: int, size: int, value: int) -> None:
        aligned, lane = offset & ~3, 8 * (offset & 3)
        if aligned == PCI0_CONFIG_DATA and size <= 4:
            self._config_data(offset & 3, size, value)
            return
        if size < 4:
            mask = (1 << 8 * size) - 1 << lane
            old = self.registers.get(aligned, 0)
            if not self.registers[CPU_CONFIG] & CPU_LITTLE_ENDIAN:
                old = _swapped(old)
            value = old & ~mask & WORD | value << lane & mask
        for step in range(0, max(size, 4), 4):
            self._set(aligned + step, value >> 8 * step & WORD)

    def _set(self, offset: int, value: int) -> None:
        if not self.registers[CPU_CONFIG] & CPU_LITTLE_ENDIAN:
            value = _swapped(value)
        if offset not in REGISTERS:
            self.mistakes += 1
            return
        if offset == INTERRUPT_CAUSE:
            self.registers[offset] &= value  # "write 0 to clear"
            self._cause(0)
            return
        mask = REGISTERS[offset][1]
        self.registers[offset] = self.registers[offset] & ~mask | value & mask
        if offset in REMAP_OF:
            self.registers[REMAP_OF[offset]] = value & REMAP
        if offset < 0x120:
            self._decode()
        elif offset == INTERRUPT_MASK:
            self._cause(0)

    def _cause(self, bits: int) -> None:
        cause = (self.registers[INTERRUPT_CAUSE] | bits) & ~CAUSE_SUM
        self.registers[INTERRUPT_CAUSE] = cause | (CAUSE_SUM if cause else 0)
        self._irq(bool(cause & self.registers[INTERRUPT_MASK]))

    def _config_data(self, lane: int, size: int, value: int | None) -> int:
        """A configuration cycle (chapter 8, "PCI configuration space"): a read if there is no value."""
        address = self.registers[PCI0_CONFIG_ADDRESS]
        if not address & CONFIG_ENABLE:
            self.mistakes += 1
            return 0
        bus, devfn, register = address >> 16 & 0xFF, address >> 8 & 0xFF, address & 0xFC
        ones = (1 << 8 * size) - 1
        if bus == 0 and devfn == 0xFF and register == 0 and value is not None:
            self._special(value)
            return 0
        if bus or self._pci.function_at(devfn) is None:
            self._cause(CAUSE_MASTER_ABORT)
            return ones
        swap = not self.registers[PCI0_COMMAND] & MBYTESWAP and devfn >> 3
        if swap:
            lane = 4 - size - lane
            if value is not None:
                value = int.from_bytes(value.to_bytes(size, "little"), "big")
        if lane < 0:
            self.mistakes += 1  # an access across two words
            return ones
        if value is not None:
            self._pci.config_write(devfn, register + lane, size, value)
            return 0
        value = self._pci.config_read(devfn, register + lane, size)
        return int.from_bytes(value.to_bytes(size, "little"), "big") if swap else value

    # -- the machine

    def next_deadline(self) -> int | None:
        """None: the timers are not emulated."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`; the configuration space is a device of its own."""
        return {
            "version": 1,
            "registers": {f"{offset:03x}": value for offset, value in self.registers.items()},
            "configuration": self.configuration.state(),
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        saved = take(state, "registers", dict)
        if set(saved) != {f"{offset:03x}" for offset in REGISTERS}:
            raise SnapshotError("snapshot: gt64120: other registers than this chip has")
        for offset in REGISTERS:
            value = saved[f"{offset:03x}"]
            if type(value) is not int or not 0 <= value <= WORD:
                raise SnapshotError(f"snapshot: gt64120: register {offset:03x}: {value!r:.40}")
            self.registers[offset] = value
        self.configuration.from_state(take(state, "configuration", dict))
        self._decode()
