"""How Linux comes up on a Power Macintosh without firmware: kernel, initial file system, and a flattened device tree.

References: Linux Documentation/powerpc/booting.rst and arch/powerpc/kernel/head_book3s_32.S (what the kernel expects);
arch/powerpc/platforms/powermac (what it looks for in the tree); arch/powerpc/boot/wrapper (zImage).

The kernel is at physical 0 and is entered there with r3 = tree, r4 = r5 = 0, the MMU off; r1 points into free memory,
because the first C function stores below it before the kernel has a stack of its own. Behind the kernel come, at the
top of the first 256 MiB: the initial file system, and below it the tree.

`zImage.pmac` is an ELF file for Open Firmware with a compressed kernel in it: that is looked for, unpacked, and started
instead of the wrapper, which could not run without Open Firmware.

The tree is of "New World" style: one interrupt controller with an interrupt map for all slots, so that cards need no
nodes; only Apple's own network chip has one. Rules for it that are not obvious stand beside the lines that follow them.

| threat | stopped by |
|---|---|
| a kernel or archive that unpacks to more than memory | unpacked up to the limit, then refused or left packed |
| many false beginnings of streams | at most `MOST_STREAMS` are tried |
"""

import zlib
from dataclasses import dataclass
from typing import Final, Protocol

from emulators.loaders.device_tree import Node, Value, flatten
from emulators.loaders.elf import EM_PPC, MAGIC, Elf, Symbols, place, read_elf
from vde.errors import ConfigError

KERNEL_VIRTUAL: Final = 0xC0000000
"""PAGE_OFFSET of 32-bit PowerPC kernels."""
LOW_OCTETS: Final = 256 << 20
"""What the kernel's first mapping surely reaches."""
STACK_OCTETS: Final = 0x1000
TREE_OCTETS: Final = 0x10000
"""Room for the tree. Chosen; it takes 3 KiB."""
ALIGNMENT: Final = 0x1000
COMMAND_LINE_OCTETS: Final = 2047  # arch/powerpc/include/uapi/asm/setup.h: COMMAND_LINE_SIZE, with its 0
GZIP_MAGIC: Final = b"\x1f\x8b\x08"
CPIO_MAGIC: Final = b"07070"
MOST_STREAMS: Final = 64

PIC_HANDLE: Final = 1


class Memory(Protocol):
    """The part of a `Vm` that is needed here."""

    def write(self, gpa: int, data: bytes, /) -> None:
        """Raises ValueError outside memory."""
        ...


@dataclass(frozen=True)
class Hardware:
    """What the tree says of the machine.

    Attributes:
        timebase_hz, clock_hz, bus_hz: of the processor.
        processor: its name in the tree.
        mac_io, mac_io_slot: address and slot of the mac-io chip.
        pci_memory, pci_memory_octets: where cards' memory may go.
        slot_line: (slot, pin 1 … 4) → line of the interrupt controller.
        escc_lines, cuda_line: of the interrupt controller; ESCC channel A, then B.
        ata: IDE channels with drives: registers, DMA registers (offsets in the mac-io chip), both lines.
        ethernet: slots with Apple's network chip, and its address, which the driver looks for nowhere else.
        model: root's `compatible` begins with it.
    """

    timebase_hz: int
    clock_hz: int
    bus_hz: int
    processor: str
    mac_io: int
    mac_io_slot: int
    pci_memory: int
    pci_memory_octets: int
    slot_lines: tuple[tuple[int, int, int], ...]
    escc_lines: tuple[int, int]
    cuda_line: int
    ata: tuple[tuple[int, int, int, int], ...] = ()
    ethernet: tuple[tuple[int, bytes], ...] = ()
    model: str = "AAPL,PowerMac G3"


@dataclass(frozen=True)
class Booted:
    """What is in memory now, and how to enter it."""

    entry: int
    registers: dict[str, int]
    symbols: Symbols


def boot(
    vm: Memory,
    *,
    memory_octets: int,
    kernel: bytes,
    kernel_name: str,
    initrd: bytes | None,
    initrd_name: str = "initrd",
    command_line: str,
    hardware: Hardware,
    decompress: bool = True,
    seed: bytes = b"",
) -> Booted:
    """Put kernel, initial file system and tree into memory.

    Args:
        decompress: unpack a gzip'd initial file system here instead of letting the kernel do so.
        seed: random octets for the kernel; none: it gets none.

    Raises:
        ConfigError: it is not a kernel for this board, or something does not fit.
    """
    line = check_command_line(command_line)
    elf = find_kernel(kernel, kernel_name, memory_octets)
    end = place(elf, kernel_name, vm, lambda address: address & ~KERNEL_VIRTUAL)
    top = min(memory_octets, LOW_OCTETS)
    start = stop = top - ALIGNMENT
    if initrd:
        unpacked = unpack_archive(initrd, stop - end - TREE_OCTETS - STACK_OCTETS) if decompress else None
        archive = unpacked or initrd
        start = (stop - len(archive)) // ALIGNMENT * ALIGNMENT
        stop = start + len(archive)
    tree_at = start - TREE_OCTETS
    if tree_at - STACK_OCTETS < end:
        raise ConfigError(
            f"{initrd_name if initrd else kernel_name}: does not fit: the kernel ends at {end:#x}, and there are "
            f"{top:#x} octets of memory that it reaches: give the machine more"
        )
    if initrd:
        vm.write(start, archive)
    root = tree(hardware, memory_octets=memory_octets, command_line=line, initrd=(start, stop) if initrd else None)
    if seed:
        chosen = root.find("/chosen")
        assert chosen is not None
        chosen["rng-seed"] = seed
    flat = flatten(root)
    if len(flat) > TREE_OCTETS:
        raise ConfigError(f"kernel parameters: the device tree has {len(flat)} octets; {TREE_OCTETS} are possible")
    vm.write(tree_at, flat)
    entry = elf.entry & ~KERNEL_VIRTUAL
    registers = {"r1": tree_at - 0x100, "r3": tree_at, "r4": 0, "r5": 0}
    return Booted(entry, registers, elf.symbols)


def check_command_line(text: str) -> str:
    """Raises ConfigError: it is too long, or not ASCII."""
    if not text.isascii() or "\0" in text:
        raise ConfigError(f"kernel parameters {text!r:.80}: only ASCII is possible")
    if len(text) > COMMAND_LINE_OCTETS:
        raise ConfigError(f"kernel parameters: {len(text)} octets; this kernel takes {COMMAND_LINE_OCTETS}")
    return text


def find_kernel(octets: bytes, name: str, most_octets: int) -> Elf:
    """The kernel: the file itself (packed with gzip or not), or the one inside a zImage.

    Raises:
        ConfigError: there is none for this board.
    """
    if octets.startswith(GZIP_MAGIC):
        unpacked = _gunzip(octets, most_octets)
        if unpacked is None:
            raise ConfigError(f"{name}: a gzip file that cannot be unpacked into the machine's memory")
        octets = unpacked
    elf = read_elf(octets, name, machine=EM_PPC, big_endian=True)
    if min(segment.address for segment in elf.segments) >= KERNEL_VIRTUAL:
        return elf
    at = -1
    for _ in range(MOST_STREAMS):
        at = octets.find(GZIP_MAGIC, at + 1)
        if at < 0:
            break
        unpacked = _gunzip(octets[at:], most_octets)
        if unpacked is None or not unpacked.startswith(MAGIC):
            continue
        inner = read_elf(unpacked, f"the kernel in {name}", machine=EM_PPC, big_endian=True)
        if min(segment.address for segment in inner.segments) >= KERNEL_VIRTUAL:
            return inner
    raise ConfigError(f"{name}: neither a vmlinux (linked at {KERNEL_VIRTUAL:#x}) nor a zImage with one inside")


def unpack_archive(octets: bytes, most_octets: int) -> bytes | None:
    """A gzip'd cpio archive, unpacked; None: it is something else, or does not fit."""
    unpacked = _gunzip(octets, most_octets, whole=True) if octets.startswith(GZIP_MAGIC) else None
    return unpacked if unpacked is not None and unpacked.startswith(CPIO_MAGIC) else None


def _gunzip(octets: bytes, most_octets: int, *, whole: bool = False) -> bytes | None:
    """A gzip stream, unpacked. `whole`: nothing may lie behind it."""
    inflater = zlib.decompressobj(31)
    try:
        data = inflater.decompress(octets, max(most_octets, 0) + 1)
    except zlib.error:
        return None
    if not inflater.eof or len(data) > most_octets or (whole and inflater.unused_data.strip(b"\0")):
        return None
    return data


def tree(hardware: Hardware, *, memory_octets: int, command_line: str, initrd: tuple[int, int] | None = None) -> Node:
    """The device tree."""
    root = Node("")
    for name, value in (
        ("#address-cells", 1),
        ("#size-cells", 1),
        ("model", "PowerMac1,1"),
        # one of the last two makes it a PowerMac; "PowerMac1,1" instead of the first would cost a delay loop that
        # runs before the timebase is known
        ("compatible", (hardware.model, "MacRISC", "Power Macintosh")),
        ("device_type", "bootrom"),
        ("clock-frequency", hardware.bus_hz),
    ):
        root[name] = value
    chosen: dict[str, Value] = {"bootargs": command_line}
    if initrd is not None:
        chosen |= {"linux,initrd-start": initrd[0], "linux,initrd-end": initrd[1]}
    chosen["linux,stdout-path"] = "/pci@80000000/mac-io@10/escc@13000/ch-a@13020"
    root.add("chosen", chosen)
    cpus = root.add("cpus", {"#address-cells": 1, "#size-cells": 0})
    cpus.add(
        f"{hardware.processor}@0",
        {
            "device_type": "cpu",
            "reg": 0,
            "clock-frequency": hardware.clock_hz,
            "bus-frequency": hardware.bus_hz,
            "timebase-frequency": hardware.timebase_hz,
            "i-cache-size": 0x8000,
            "i-cache-block-size": 0x20,
            "d-cache-size": 0x8000,
            "d-cache-block-size": 0x20,
            "reservation-granule-size": 0x20,
        },
    )
    root.add("memory@0", {"device_type": "memory", "reg": (0, memory_octets)})
    _pci(root, hardware)
    return root


def _pci(root: Node, hardware: Hardware) -> None:
    # Linux looks for a bridge named "pci" right below the root
    routes: list[int] = []
    for slot, pin, line in hardware.slot_lines:
        routes += [slot << 11, 0, 0, pin, PIC_HANDLE, line]
    io = (0x01000000, 0, 0, 0xFE000000, 0, 0x00800000)
    # no window onto bus address 0 (0xfd000000): the kernel would put cards there, into VGA's memory
    memory = (0x02000000, 0, hardware.pci_memory, hardware.pci_memory, 0, hardware.pci_memory_octets)
    pci = root.add(
        "pci@80000000",
        {
            "device_type": "pci",
            "compatible": "grackle",
            "model": "MOT,MPC106",
            "reg": (0x80000000, 0x7F000000),
            "#address-cells": 3,
            "#size-cells": 2,
            "#interrupt-cells": 1,
            "bus-range": (0, 0),
            "clock-frequency": hardware.bus_hz // 2,
            "ranges": io + memory,
            "interrupt-map-mask": (0x1800, 0, 0, 7),
            "interrupt-map": tuple(routes),
        },
    )
    for slot, address in hardware.ethernet:
        pci.add(
            f"ethernet@{slot:x}",
            {
                "device_type": "network",
                "compatible": "gmac",
                "vendor-id": 0x106B,
                "device-id": 0x21,
                "class-code": 0x020000,
                "revision-id": 1,
                "reg": (slot << 11, 0, 0, 0, 0, 0x02000010 | slot << 11, 0, 0, 0, 0x200000),
                "interrupts": 1,
                "local-mac-address": address,
            },
        )
    _mac_io(pci, hardware)


def _mac_io(pci: Node, hardware: Hardware) -> None:
    slot, base, octets = hardware.mac_io_slot, hardware.mac_io, 0x80000
    mac_io = pci.add(
        f"mac-io@{slot:x}",
        {
            "device_type": "mac-io",
            "compatible": "heathrow",
            "model": "AAPL,343S1201",
            "vendor-id": 0x106B,
            "device-id": 0x10,
            "class-code": 0xFF0000,
            "revision-id": 0,
            "#address-cells": 1,
            "#size-cells": 1,
            "reg": (slot << 11, 0, 0, 0, 0, 0x02000010 | slot << 11, 0, 0, 0, octets),
            "assigned-addresses": (0x82000010 | slot << 11, 0, base, 0, octets),
            "ranges": (0, 0x82000010 | slot << 11, 0, base, octets),
            # here, too: the kernel's search for a parent stops at the bridge
            "interrupt-parent": PIC_HANDLE,
        },
    )
    mac_io.add(
        "interrupt-controller@10",
        {
            "device_type": "interrupt-controller",
            "compatible": "heathrow",
            "reg": (0x10, 0x20),
            "interrupt-controller": True,
            "#address-cells": 0,
            "#interrupt-cells": 1,
            "phandle": PIC_HANDLE,
            "linux,phandle": PIC_HANDLE,
        },
    )
    escc = mac_io.add(
        "escc@13000",
        {
            "device_type": "escc",
            "compatible": ("escc", "chrp,es0"),
            "#address-cells": 1,
            "#size-cells": 1,
            "reg": (0x13000, 0x1000),
            "ranges": True,
        },
    )
    for name, kind, control, data, line in (
        ("ch-a@13020", "chrp,es2", 0x13020, 0x13030, hardware.escc_lines[0]),
        ("ch-b@13000", "chrp,es3", 0x13000, 0x13010, hardware.escc_lines[1]),
    ):
        properties: dict[str, Value] = {
            "device_type": "serial",
            "compatible": kind,
            "reg": (control, 1, data, 1),
            "interrupts": line,
        }
        escc.add(name, properties)
    for bus, (registers, dma, line, dma_line) in enumerate(hardware.ata):
        mac_io.add(
            f"ata-3@{registers:x}",
            {
                "device_type": "ata",
                "compatible": "heathrow-ata",
                "model": "ata-3",
                "AAPL,bus-id": bus,
                "#address-cells": 1,
                "#size-cells": 0,
                "reg": (registers, 0x1000, dma, 0x100),
                "interrupts": (line, dma_line),
            },
        )
    mac_io.add(
        "via-cuda@16000",
        {
            "device_type": "via-cuda",
            "compatible": "cuda",
            "#address-cells": 1,
            "#size-cells": 0,
            "reg": (0x16000, 0x2000),
            "interrupts": hardware.cuda_line,
        },
    )
