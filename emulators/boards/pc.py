"""PC with an i440FX chipset and a 32-bit Intel processor: runs Linux, multiboot kernels, and firmware.

With --kernel the kernel is started at once, as a boot loader would: a Linux bzImage (unpacked before the machine
starts, which saves five sixths of the boot), or a multiboot ELF file. Without, firmware is: Debian's SeaBIOS, or
--firmware FILE, which boots from a disk, a CD-ROM, a floppy or the network (--boot). docs/pc.md is the manual.

Read first: `emulators.boards.pc_chipset` (what every PC has, and how a card is added), `emulators.boards.pc_boot`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulators.board import BoardSpec, option
from emulators.boards import pc_boot
from emulators.boards.pc_cards import DISK_MODELS, MOST_DISKS, MOST_NICS, NIC_MODELS, nic_identities, plug_in
from emulators.boards.pc_chipset import Chipset, Pins
from emulators.boards.pc_display import plug_display, start_in_text, start_linear
from emulators.cpus.i386 import MODELS, Cpu, Vm
from emulators.cpus.i386.disassembler import LONGEST_OCTETS, disassemble
from emulators.devices.pci.i440fx import SHADOW, SHADOW_END
from emulators.devices.video.stdvga import StdVga
from emulators.dma import Dma
from emulators.loaders import bochsrc, bzimage
from emulators.loaders.bzimage import Booted
from emulators.machine import Machine, Region
from emulators.outside import Outside
from vde.errors import ConfigError

TICKS_HZ: Final = 100_000_000
"""Of the time stamp counter, and instructions in a second."""
LEAST_OCTETS, MOST_OCTETS = 4 << 20, 3 << 30
MEMORY_GRAIN: Final = 1 << 20
LOW_END: Final = 0xA0000
HIGH: Final = 0x100000
TOP: Final = 1 << 32
START_S: Final = 1_767_225_600
"""1 January 2026. Chosen."""
CONSOLES: Final = ("serial0", "serial1", "serial2", "serial3", "debug", "virtio0")

# Access rights as a descriptor's second word has them (Intel SDM vol. 3, 3.4.5): flat, present, accessed
CODE_RIGHTS: Final = 0x00C09B00
DATA_RIGHTS: Final = 0x00C09300
RIGHTS_BIG: Final = 0x00400000
CR0_PE_ET: Final = 0x11
EFLAGS_NONE: Final = 0x2

FLAVOURS: Final = {"586": "pentium", "686": "pentium2"}
FLAVOUR: Final = re.compile(r"-(?P<level>586|686)(?P<pae>-pae)?$")
"""Debian's kernels: the end of their releases."""


@dataclass(frozen=True)
class Params:
    """The options."""

    kernel: Path | None = option(None, "a Linux kernel (bzImage) or a multiboot one, started at once")
    initrd: Path | None = option(None, "its initial file system, or a multiboot kernel's first module")
    module: tuple[str, ...] = option((), "a multiboot kernel's module", metavar="FILE[,TEXT]")
    append: str = option("console=ttyS0", "kernel parameters")
    memory: int = option(128 << 20, "size of the memory", unit="octets", least=LEAST_OCTETS, most=MOST_OCTETS)
    cpu: str = option("pentium3", "the processor's model", choices=MODELS)
    pae: bool = option(False, "the processor has physical address extension, and no-execute rights (-686-pae kernels)")
    sse2: bool = option(False, "the processor has SSE2, which no Pentium III has")
    boot: str = option(
        "",
        "kernel, disk, cdrom, floppy or network: what is started (the kernel, if there is one, or else the disk)",
        choices=("", "kernel", *pc_boot.BOOT_ORDERS),
    )
    firmware: Path | None = option(None, "the BIOS (Debian's SeaBIOS)")
    option_rom: tuple[str, ...] = option((), "firmware of a card (with --boot network: Debian's iPXE)", metavar="FILE")
    apic: bool = option(False, "a local APIC and an I/O APIC, besides the 8259s")
    decompress: bool = option(True, "unpack a Linux kernel before the machine starts")
    serial_ports: int = option(2, "how many serial ports", least=0, most=4)
    date: int = option(START_S, "what the clock shows at the start, in seconds since 1970", least=0, most=3_155_759_999)
    paced_serial: bool = option(False, "serial lines take as long as their speed says")
    isa_irq: int = option(5, "interrupt of the first ne2000-isa card (5 or 7; the second has the other)")
    vga: bool = option(True, "a display (vde screen)")
    rng: bool = option(True, "a virtio entropy device")
    virtio_console: bool = option(False, "a virtio console besides the serial lines (hvc0)")
    nics: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()


def read(path: Path, what: str) -> bytes:
    """A file that the user named. Raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"pc: {what} {str(path)!r}: {error.strerror}") from None


def build(params: Params, outside: Outside) -> Machine:
    """As `emulators.board.BoardSpec.build`."""
    if params.memory % MEMORY_GRAIN:
        raise ConfigError(f"pc: memory: {params.memory} octets; whole MiB were expected")
    boot = params.boot or ("kernel" if params.kernel else "disk")
    if boot == "kernel" and params.kernel is None:
        raise ConfigError("pc: --boot kernel: which one? --kernel FILE, or --image debian-i386")
    idle = {"firmware": params.firmware, "option-rom": params.option_rom}
    if boot != "kernel":
        idle = {"kernel": params.kernel, "initrd": params.initrd, "module": params.module}
    for name in (name for name, given in idle.items() if given):
        raise ConfigError(f"pc: --{name} has no part in --boot {boot}: leave out one of them")
    bios = b"" if boot == "kernel" else pc_boot.find_firmware(params.firmware)

    vm = Vm()
    regions = [
        Region("low memory", 0, LOW_END),
        Region("upper memory", SHADOW, SHADOW_END - SHADOW),
        Region("memory", HIGH, params.memory - HIGH),
    ]
    for region in regions:
        vm.add_memory(region.gpa, region.octets)
    cpu = Cpu(vm, model=params.cpu, pae=params.pae, nx=params.pae, sse2=params.sse2, apic=params.apic)
    chipset = Chipset(
        pins=Pins(intr=cpu.set_intr, a20=cpu.set_a20, ferr=lambda: cpu.ferr, ignne=cpu.set_ignne, nmi=cpu.nmi),
        outside=outside,
        vm=vm,
        dma=Dma(Ram(vm, regions)),
        memory_octets=params.memory,
        rom=bios[-(SHADOW_END - pc_boot.UPPER) :],
        start_s=params.date,
        serial_ports=params.serial_ports,
        paced=params.paced_serial,
        apic=params.apic,
    )
    vga = plug_display(chipset, vm) if params.vga else None
    vga_bios = next((path.read_bytes() for path in pc_boot.VGA_BIOS if path.exists()), b"") if vga else b""
    plug_in(
        chipset,
        nics=params.nics,
        isa_irq=params.isa_irq,
        disks=params.disks,
        rng=params.rng,
        virtio_console=params.virtio_console,
    )
    symbols = None
    notes: tuple[str, ...] = ()
    if boot == "kernel":
        if vga is not None:
            start_in_text(vga, vga_bios)
        booted = _boot_kernel(params, vm, chipset, vga)
        enter(cpu, booted)
        symbols, notes = booted.symbols, booted.notes
    else:
        vm.add_memory(TOP - len(bios), len(bios), readonly=True)
        vm.write(TOP - len(bios), bios)
        names = params.option_rom or (pc_boot.network_roms(params.nics) if boot == "network" else ())
        roms = [(Path(name).name, read(Path(name), "option ROM")) for name in names]
        if vga_bios:
            roms.insert(0, ("vgabios", vga_bios))
        chipset.files.update(pc_boot.option_files(roms, nic_identities(chipset)))
        pc_boot.prepare_firmware(
            chipset, memory_octets=params.memory, boot=boot, serial_ports=params.serial_ports, vga=params.vga
        )
        chipset.bridge.start()

    def interrupt() -> None:
        cpu.inject(chipset.acknowledge())

    return Machine(
        board="pc",
        cpu=cpu,
        vm=vm,
        bus=chipset.memory,
        ports=chipset.io,
        timeline=chipset.timeline,
        events=chipset.events,
        ticks_hz=TICKS_HZ,
        devices=chipset.devices,
        memory=tuple(regions),
        interrupt=interrupt,
        shutdown=lambda place: chipset.events.reset(f"triple fault at {place}, {instruction(cpu, vm)}"),
        waiting=chipset.coprocessor.look,
        symbol=symbols.find if symbols is not None else lambda address: None,
        notes=notes,
    )


def _boot_kernel(params: Params, vm: Vm, chipset: Chipset, vga: StdVga | None) -> Booted:
    assert params.kernel is not None
    kernel = read(params.kernel, "kernel")
    if bzimage.is_bzimage(kernel):
        _check_flavour(params, bzimage.read_header(kernel, params.kernel.name).release)
    modules = []
    for text in params.module:
        name, _, words = text.partition(",")
        modules.append((name, read(Path(name), "module"), words or name))
    return pc_boot.boot_kernel(
        vm,
        chipset,
        memory_octets=params.memory,
        kernel=(params.kernel.name, kernel),
        initrd=None if params.initrd is None else (params.initrd.name, read(params.initrd, "initrd")),
        modules=modules,
        command_line=params.append,
        decompress=params.decompress,
        serial_ports=params.serial_ports,
        text_screen=params.vga,
        screen_info=lambda: b"" if vga is None else start_linear(vga, params.append),
    )


def _check_flavour(params: Params, release: str) -> None:
    """Debian names its kernels for the processor; entered without firmware, one that wants another dies unheard.

    Raises:
        ConfigError: the processor is older than the kernel.
    """
    found = FLAVOUR.search(release)
    if found is None:
        return
    wanted = FLAVOURS[found["level"]]
    if MODELS.index(params.cpu) < MODELS.index(wanted):
        raise ConfigError(f"pc: the kernel {release} wants a processor of its time: --cpu {wanted} or later")
    if found["pae"] and not params.pae:
        raise ConfigError(f"pc: the kernel {release} wants physical address extension: --pae")


def instruction(cpu: Cpu, vm: Vm) -> str:
    """Where the processor is, for a message."""
    state = cpu.state()
    linear = state["cs.base"] + state["eip"] & TOP - 1
    octets = bytearray()
    for at in range(linear, linear + LONGEST_OCTETS):
        gpa = cpu.translate(at & TOP - 1, "fetch")
        try:
            octets += b"" if gpa is None else vm.read(gpa, 1)
        except ValueError:
            gpa = None
        if gpa is None:
            break
    if not octets:
        return "where no memory is"
    _, one = next(disassemble(bytes(octets), linear, big=state["cs.rights"] & RIGHTS_BIG != 0))
    return one.text


class Ram:
    """What bus masters reach: memory, but not the firmware's ROM, nor memory of cards."""

    def __init__(self, vm: Vm, regions: Sequence[Region]) -> None:
        self._vm = vm
        self._ends = [(region.gpa, region.gpa + region.octets) for region in regions]

    def read(self, gpa: int, octets: int, /) -> bytes:
        """As `emulators.dma.Memory.read`."""
        self._check(gpa, octets)
        return self._vm.read(gpa, octets)

    def write(self, gpa: int, data: bytes, /) -> None:
        """As `emulators.dma.Memory.write`."""
        self._check(gpa, len(data))
        self._vm.write(gpa, data)

    def _check(self, gpa: int, octets: int) -> None:
        # the two regions around 1 MiB touch each other
        for first, end in self._ends:
            if first <= gpa < end:
                if gpa + octets <= end:
                    return
                gpa, octets = end, gpa + octets - end
        raise ValueError(gpa)


def enter(cpu: Cpu, booted: Booted) -> None:
    """Set the processor as a boot loader leaves it: flat 32-bit protected mode, paging and interrupts off."""
    state = {"cr0": CR0_PE_ET, "eflags": EFLAGS_NONE, "eip": booted.entry, "gdtr.base": booted.gdt[0]}
    state["gdtr.limit"] = booted.gdt[1]
    state |= dict.fromkeys(("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp"), 0) | booted.registers
    for name in ("cs", "ds", "es", "fs", "gs", "ss"):
        state[name] = booted.code if name == "cs" else booted.data
        state |= {f"{name}.base": 0, f"{name}.limit": 0xFFFFFFFF}
        state[f"{name}.rights"] = CODE_RIGHTS if name == "cs" else DATA_RIGHTS
    cpu.set_state(state)


BOARD = BoardSpec(
    "pc",
    build,
    Params,
    consoles=CONSOLES,
    nic_models=NIC_MODELS,
    most_nics=MOST_NICS,
    disk_models=DISK_MODELS,
    most_disks=MOST_DISKS,
    architecture="i386",
    bochsrc=bochsrc.read,
)
