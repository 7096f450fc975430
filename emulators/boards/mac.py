"""Power Macintosh G3 (Grackle and Heathrow), as QEMU's g3beige: boots PowerPC Linux, and OpenBIOS.

With --kernel the kernel is started at once, with a device tree that this program makes. With --firmware openbios
Debian's OpenBIOS starts, and whatever it boots: the kernel that --kernel names, a disk or a CD-ROM. docs/mac.md has the
memory map, the lines and the slots.

Read first: `emulators.boards.mac_chipset` (what the machine is made of), `emulators.loaders.mac` (the tree).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulators.board import BoardSpec, option
from emulators.boards import mac_firmware
from emulators.boards.mac_cards import DISK_MODELS, MOST_DISKS, MOST_NICS, NIC_MODELS, plug_in
from emulators.boards.mac_chipset import (
    BUS_HZ,
    CLOCK_HZ,
    CUDA_LINE,
    ESCC_A_LINE,
    ESCC_B_LINE,
    MAC_IO,
    MAC_IO_SLOT,
    PCI_MEMORY,
    PCI_MEMORY_OCTETS,
    TIMEBASE_HZ,
    TIMEBASE_TICKS,
    Chipset,
    Ram,
    slot_lines,
)
from emulators.cpus.ppc import MODELS, Cpu, Vm
from emulators.dma import Dma
from emulators.loaders import mac as loader
from emulators.loaders import mac_configs
from emulators.loaders.elf import Symbols
from emulators.machine import Machine, Region
from emulators.outside import Outside
from vde.errors import ConfigError

TICKS_HZ: Final = TIMEBASE_HZ * TIMEBASE_TICKS
"""Instructions in a second."""
LEAST_OCTETS, MOST_OCTETS = 32 << 20, 2047 << 20
MEMORY_GRAIN: Final = 1 << 20
START_S: Final = 1_767_225_600
"""1 January 2026. Chosen."""
CONSOLES: Final = ("serial0", "serial1", "virtio0")
MSR_AT_ENTRY: Final = 0x1000
"""Machine check enabled; no translation, no interrupts, vectors at 0."""


@dataclass(frozen=True)
class Params:
    """The options."""

    kernel: Path | None = option(None, "a kernel: vmlinux (packed or not) or zImage.pmac")
    initrd: Path | None = option(None, "its initial file system")
    append: str = option("console=ttyPZ0", "kernel parameters")
    memory: int = option(128 << 20, "size of the memory", unit="octets", least=LEAST_OCTETS, most=MOST_OCTETS)
    cpu: str = option("750", "the processor's model", choices=MODELS)
    entry: str = option(
        "tree",
        "how a kernel without firmware learns of the machine: from a flattened tree, or by asking Open Firmware",
        choices=("tree", "open-firmware"),
    )
    firmware: str = option("", "openbios (Debian's), or a file: what is started instead of the kernel", metavar="FILE")
    boot: str = option(
        "",
        "kernel, disk or cdrom: what the firmware starts (the kernel, if there is one, or else the disk)",
        choices=("", "kernel", "disk", "cdrom", "prompt"),
    )
    firmware_console: str = option("serial", "where the firmware's console is", choices=("serial", "screen"))
    decompress: bool = option(True, "unpack the initial file system before the machine starts")
    date: int = option(START_S, "what the clock shows at the start, in seconds since 1970", least=0, most=2_212_122_495)
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
        raise ConfigError(f"mac: {what} {str(path)!r}: {error.strerror}") from None


def build(params: Params, outside: Outside) -> Machine:
    """As `emulators.board.BoardSpec.build`."""
    if params.memory % MEMORY_GRAIN:
        raise ConfigError(f"mac: memory: {params.memory} octets; whole MiB were expected")
    wanted = params.firmware or (mac_firmware.OPENBIOS if params.boot in mac_firmware.NEEDED_FOR else "")
    if params.kernel is None and not wanted:
        raise ConfigError("mac: kernel is missing: --kernel FILE, --image linux-ppc, or --firmware openbios")
    if wanted and params.entry == "open-firmware":
        raise ConfigError(f"mac: --entry open-firmware has no part in --firmware {wanted}: leave out one of them")
    firmware = mac_firmware.find(wanted) if wanted else None
    vm = Vm()
    regions = [Region("memory", 0, params.memory)]
    vm.add_memory(0, params.memory)
    asking = params.entry == "open-firmware"
    cpu = Cpu(vm, model=params.cpu, timebase_ticks=TIMEBASE_TICKS, hypercalls=asking)
    chipset = Chipset(
        irq=cpu.set_irq,
        outside=outside,
        vm=vm,
        dma=Dma(Ram(vm, params.memory)),
        start_s=params.date,
        vga=params.vga,
        nvram=mac_firmware.variables(params.boot) if firmware else b"",
    )
    plug_in(chipset, nics=params.nics, disks=params.disks, rng=params.rng, virtio_console=params.virtio_console)
    symbols = Symbols()
    services = None
    if firmware is not None:
        kernel = None if params.kernel is None else (params.kernel.name, read(params.kernel, "kernel"))
        initrd = None if params.initrd is None else (params.initrd.name, read(params.initrd, "initrd"))
        symbols = mac_firmware.start(
            vm,
            chipset,
            firmware,
            memory_octets=params.memory,
            kernel=kernel,
            initrd=initrd,
            command_line=params.append,
            boot=params.boot,
            screen=params.vga and params.firmware_console == "screen",
        )
    elif asking:
        assert params.kernel is not None
        chipset.place_mac_io()
        started, services = mac_firmware.start_asking(
            vm,
            chipset,
            memory_octets=params.memory,
            kernel=(params.kernel.name, read(params.kernel, "kernel")),
            initrd=None if params.initrd is None else read(params.initrd, "initrd"),
            command_line=params.append,
            hardware=hardware(params.cpu, chipset),
        )
        cpu.set_state({"msr": MSR_AT_ENTRY, **started})
    else:
        assert params.kernel is not None
        chipset.place_mac_io()
        booted = loader.boot(
            vm,
            memory_octets=params.memory,
            kernel=read(params.kernel, "kernel"),
            kernel_name=params.kernel.name,
            initrd=None if params.initrd is None else read(params.initrd, "initrd"),
            initrd_name="initrd" if params.initrd is None else params.initrd.name,
            command_line=params.append,
            hardware=hardware(params.cpu, chipset),
            decompress=params.decompress,
            seed=outside.entropy(32),
        )
        cpu.set_state({"pc": booted.entry, "msr": MSR_AT_ENTRY, **booted.registers})
        symbols = booted.symbols

    def hypercall(number: int) -> None:
        assert services is not None
        cpu.set_state({"r3": services.call(number)})

    return Machine(
        board="mac",
        cpu=cpu,
        vm=vm,
        bus=chipset.bus,
        timeline=chipset.timeline,
        events=chipset.events,
        ticks_hz=TICKS_HZ,
        devices=chipset.devices,
        memory=tuple(regions),
        hypercall=hypercall if services is not None else None,
        symbol=symbols.find,
    )


def hardware(model: str, chipset: Chipset) -> loader.Hardware:
    """What the device tree says."""
    return loader.Hardware(
        timebase_hz=TIMEBASE_HZ,
        clock_hz=CLOCK_HZ,
        bus_hz=BUS_HZ,
        processor=f"PowerPC,{'G4' if model == '7400' else model}",
        mac_io=MAC_IO,
        mac_io_slot=MAC_IO_SLOT,
        pci_memory=PCI_MEMORY,
        pci_memory_octets=PCI_MEMORY_OCTETS,
        slot_lines=slot_lines(),
        escc_lines=(ESCC_A_LINE, ESCC_B_LINE),
        cuda_line=CUDA_LINE,
        ata=chipset.channels(),
        ethernet=tuple(chipset.ethernet.items()),
    )


BOARD = BoardSpec(
    "mac",
    build,
    Params,
    consoles=CONSOLES,
    nic_models=NIC_MODELS,
    most_nics=MOST_NICS,
    disk_models=DISK_MODELS,
    most_disks=MOST_DISKS,
    architecture="powerpc",
    foreign={"pearpc": mac_configs.read_pearpc, "molrc": mac_configs.read_molrc},
)
