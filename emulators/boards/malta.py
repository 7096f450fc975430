"""MIPS Malta with a 24Kf on a Core LV card, little-endian: the board of Debian's 4kc-malta kernels.

Boots an ELF kernel with an initrd, as its monitor YAMON would. A Debian vmlinuz is unpacked before the machine starts,
which saves four fifths of the boot. Without --image, give --kernel. docs/malta.md has the memory map, the lines, the
PCI slots and what is not there.

Reference: MIPS Malta User's Manual (MD00048), chapters 4 (memory map), 5 (registers) and 6 (interrupts). Read first:
`emulators.devices.pci.gt64120` (everything that is not memory lies behind it), `emulators.loaders.malta`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulators.board import BoardSpec, option
from emulators.boards.malta_rom import BOOT_ROM, BOOT_ROM_OCTETS, boot_rom, unhandled
from emulators.boards.mips_exception import STATUS_ERL
from emulators.bus import Bus
from emulators.cpus.mips import Cpu, Vm
from emulators.device import Device, Irq, Timeline
from emulators.devices.board.malta_fpga import MaltaFpga, Spaced
from emulators.devices.flash.strata import StrataFlash
from emulators.devices.input.i8042 import I8042
from emulators.devices.intc.i8259 import I8259Pair
from emulators.devices.net import models
from emulators.devices.pci import gt64120 as gt
from emulators.devices.pci.bus import PciBus
from emulators.devices.pci.config import HEADER_MULTIFUNCTION, HEADER_TYPE, PciFunction
from emulators.devices.pci.piix4 import PIRQRC, Piix4Ide, Piix4Isa, Piix4Pm
from emulators.devices.rtc.mc146818 import Mc146818
from emulators.devices.serial.uart16550 import Uart16550
from emulators.devices.timer.i8254 import I8254, SystemPortB
from emulators.devices.virtio.blk import VirtioBlk
from emulators.devices.virtio.console import VirtioConsole
from emulators.devices.virtio.rng import VirtioRng
from emulators.dma import Dma
from emulators.loaders import malta as loader
from emulators.machine import Events, Machine, Region
from emulators.outside import Outside
from vde.errors import ConfigError

TICKS_HZ: Final = 100_000_000
"""Cycles of the processor in a second; Count goes at half of it."""

# Memory map, user's manual table 4-1 with a Core LV
FLASH, FLASH_OCTETS = 0x1E000000, 4 << 20
FPGA, FPGA_UART, FPGA_REST, FPGA_END = 0x1F000000, 0x1F000900, 0x1F000A00, 0x1F100000

# Interrupts, user's manual table 6-1: lines of the processor and inputs of the 8259 pair
IP_I8259, IP_CBUS_UART, IP_CORE_HI = 2, 4, 5
IRQ_TIMER, IRQ_KEYBOARD, IRQ_SERIAL1, IRQ_SERIAL0, IRQ_CLOCK = 0, 1, 3, 4, 8
PIRQ_TO_IRQ: Final = (10, 10, 11, 11)
"""What the monitor writes to PIRQRC[A:D]."""

# PCI: user's manual table 4-4; device numbers are those of Linux arch/mips/pci/fixup-malta.c
SOUTH_BRIDGE: Final = 10
ON_BOARD: Final = {SOUTH_BRIDGE: 3, 11: 1, 12: 2}
"""Devices with one interrupt line: PIRQD of the south bridge, PIRQB of the Ethernet chip, PIRQC of the sound chip."""
FIRST_SLOT: Final = 18
SLOTS: Final = tuple(
    [(11, 0), (12, 0)] + [(slot, function) for function in range(8) for slot in range(FIRST_SLOT, FIRST_SLOT + 4)]
)
"""Where cards go, in this order: the places of the on-board chips, the four slots, the slots' other functions."""

CBUS_UART_HZ: Final = 3_686_400
LEAST_OCTETS, MOST_OCTETS = 32 << 20, 2 << 30
START_S: Final = 1_767_225_600
"""1 January 2026. Chosen."""

CONSOLES: Final = ("serial0", "serial1", "cbus", "virtio0")
NIC_MODELS: Final = models.PCI_MODELS
DISK_MODELS: Final = ("virtio",)
MOST_NICS, MOST_DISKS = 16, 8
CHIP: Final = "Am79C973"
"""The Ethernet chip on the board."""


@dataclass(frozen=True)
class Params:
    """The options."""

    kernel: Path | None = option(None, "the kernel: an ELF file for little-endian MIPS, such as Debian's vmlinuz")
    initrd: Path | None = option(None, "its initial file system")
    append: str = option("console=ttyS0", "kernel parameters")
    memory: int = option(128 << 20, "size of the memory", unit="octets", least=LEAST_OCTETS, most=MOST_OCTETS)
    decompress: bool = option(True, "unpack the kernel before the machine starts")
    date: int = option(START_S, "what the clock shows at the start, in seconds since 1970", least=0, most=3_155_759_999)
    paced_serial: bool = option(False, "serial lines take as long as their speed says")
    rng: bool = option(True, "a virtio entropy device")
    virtio_console: bool = option(False, "a virtio console besides the serial lines (hvc0)")
    nics: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()


def read(path: Path, what: str) -> bytes:
    """A file that the user named. Raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"malta: {what} {str(path)!r}: {error.strerror}") from None


def route(device: int, pin: int) -> int:
    """PIRQA (0) … PIRQD (3) of a device's pin 1 … 4."""
    if device in ON_BOARD:
        return ON_BOARD[device]
    return (device - FIRST_SLOT + pin - 1) % 4


def build(params: Params, outside: Outside) -> Machine:
    """As `emulators.board.BoardSpec.build`."""
    if params.kernel is None:
        raise ConfigError("malta: kernel is missing: --kernel FILE, or --image debian-malta")
    vm = Vm()
    low = min(params.memory, loader.LOW_OCTETS)
    regions = [Region("memory", 0, low)]
    if params.memory > low:
        regions.append(Region("high memory", loader.HIGH, params.memory - low))
    for region in regions:
        vm.add_memory(region.gpa, region.octets)
    vm.add_memory(BOOT_ROM, BOOT_ROM_OCTETS, readonly=True)
    vm.write(BOOT_ROM, boot_rom())
    booted = loader.boot(
        vm,
        memory_octets=params.memory,
        kernel=read(params.kernel, "kernel"),
        kernel_name=params.kernel.name,
        initrd=None if params.initrd is None else read(params.initrd, "initrd"),
        initrd_name="initrd" if params.initrd is None else params.initrd.name,
        command_line=params.append,
        decompress=params.decompress,
        seed=outside.entropy(32),
    )
    cpu = Cpu(vm, model="24Kf", hypercalls=True)
    board = Board(
        params,
        outside,
        lambda line: lambda level: cpu.set_ip(line, level),
        Dma(Ram(vm, regions)),
        is_fetch=lambda gpa: cpu.translate(cpu.state()["pc"], "fetch") == gpa,
    )
    enter(cpu, booted)

    def from_rom(code: int) -> None:
        if text := unhandled(cpu, vm, booted.symbols.find, code):
            board.events.fault(text)

    return Machine(
        board="malta",
        cpu=cpu,
        vm=vm,
        bus=board.bus,
        timeline=board.timeline,
        events=board.events,
        ticks_hz=TICKS_HZ,
        devices=board.devices,
        memory=tuple(regions),
        symbol=booted.symbols.find,
        notes=booted.notes,
        hypercall=from_rom,
    )


class Board:
    """Everything but processor and memory.

    Args:
        ip: gives the processor's interrupt line of that number.
        dma: the cards' way to memory.
        is_fetch: is the access to this address one of the processor for an instruction?
    """

    def __init__(
        self,
        params: Params,
        outside: Outside,
        ip: Callable[[int], Irq],
        dma: Dma,
        *,
        is_fetch: Callable[[int], bool] = lambda gpa: False,
    ) -> None:
        timeline = self.timeline = Timeline()
        events = self.events = Events()

        pic = I8259Pair(irq=ip(IP_I8259))
        isa = Piix4Isa(line=pic.line, reset=events.reset)
        pci = self.pci = PciBus([isa.pirq(pin) for pin in range(4)], route)
        timer = I8254(irq=pic.line(IRQ_TIMER), timeline=timeline)
        port_b = SystemPortB(timer=timer, timeline=timeline)
        clock = Mc146818(irq=pic.line(IRQ_CLOCK), timeline=timeline, start_s=params.date, warp=events.warp)
        keyboard = I8042(irq=pic.line(IRQ_KEYBOARD), timeline=timeline, reset=events.reset)
        serial = []
        for name, irq, clock_hz, gated in (
            ("serial0", pic.line(IRQ_SERIAL0), 1_843_200, True),
            ("serial1", pic.line(IRQ_SERIAL1), 1_843_200, True),
            ("cbus", ip(IP_CBUS_UART), CBUS_UART_HZ, False),
        ):
            end = outside.console(name)
            uart = Uart16550(
                irq=irq, out=end.out, timeline=timeline, clock_hz=clock_hz, gated=gated, paced=params.paced_serial
            )
            end.on_input, end.ready_octets = uart.receive, uart.ready_octets
            serial.append(uart)

        # ISA: fixed ports of the south bridge and the super I/O
        for base, size, device, offset, name in (
            (0x020, 2, pic, 0, "i8259"),
            (0x0A0, 2, pic, 2, "i8259 (second)"),
            (0x4D0, 2, pic, 4, "elcr"),
            (0x040, 4, timer, 0, "i8254"),
            (0x061, 1, port_b, 0, "port 61h"),
            (0x060, 1, keyboard, 0, "i8042 data"),
            (0x064, 1, keyboard, 4, "i8042 command"),
            (0x070, 2, clock, 0, "mc146818"),
            (0x3F8, 8, serial[0], 0, "serial0"),
            (0x2F8, 8, serial[1], 0, "serial1"),
            (0xCF9, 1, isa.reset_control, 0, "reset control"),
        ):
            pci.io.map(base, size, device, name=name, offset=offset)

        # CBUS: what the system controller's chip selects lead to
        cbus = Bus(lambda address, size: 0)
        flash = StrataFlash(boot_rom(), size_octets=FLASH_OCTETS)
        fpga = MaltaFpga(reset=events.reset)
        cbus.map(FLASH, FLASH_OCTETS, flash, name="flash")
        cbus.map(FPGA, FPGA_UART - FPGA, fpga, name="fpga")
        cbus.map(FPGA_UART, FPGA_REST - FPGA_UART, Spaced(serial[2]), name="cbus uart")
        cbus.map(FPGA_REST, FPGA_END - FPGA_REST, fpga, name="fpga (rest)", offset=FPGA_REST - FPGA)

        system = gt.Gt64120(pci=pci, cbus=cbus, acknowledge=pic.acknowledge, irq=ip(IP_CORE_HI), is_fetch=is_fetch)
        ide = Piix4Ide()
        power = Piix4Pm(timeline=timeline, power_off=events.power_off)
        for number, function in ((0, isa), (1, ide), (3, power)):
            pci.add(function, SOUTH_BRIDGE, number)

        self.bus = Bus(lambda address, size: 0)
        self.bus.map(0, 1 << 32, system, name="gt64120")
        self.fpga = fpga
        self.devices: dict[str, Device] = {
            "gt64120": system,
            "piix4": isa,
            "piix4-ide": ide,
            "piix4-pm": power,
            "i8259": pic,
            "i8254": timer,
            "port61": port_b,
            "mc146818": clock,
            "i8042": keyboard,
            "serial0": serial[0],
            "serial1": serial[1],
            "cbus": serial[2],
            "fpga": fpga,
            "flash": flash,
        }
        monitor(system, pci)
        cards = self.cards(params, outside, dma)
        for (slot, number), card in zip(places(cards), cards, strict=True):
            pci.add(card, slot, number)
            self.devices[card.name] = card

    def cards(self, params: Params, outside: Outside, dma: Dma) -> list[PciFunction]:
        """What is plugged in, in the order of PCI addresses."""
        cards: list[PciFunction] = []
        for index, model in enumerate(params.nics):
            cable = outside.nic(index)
            mac = cable.mac or b"\x52\x54\x00" + outside.entropy(3)
            nic = models.card(
                model, f"nic{index}", mac=mac, dma=dma, out=cable.send, timeline=self.timeline, pcnet=CHIP
            )
            models.plug_in(cable, nic)
            cards.append(nic)
        for index in range(len(params.disks)):
            disk = outside.disk(index)
            if disk is not None:
                cards.append(VirtioBlk(f"disk{index}", disk=disk, dma=dma, serial=b"malta-%d" % index))
        if params.rng:
            cards.append(VirtioRng("rng", entropy=outside.entropy, dma=dma))
        if params.virtio_console:
            end = outside.console("virtio0")
            console = VirtioConsole("virtio0", outs=[end.out], dma=dma)
            end.on_input, end.ready_octets, end.on_size = console.receive, console.ready_octets, console.set_size
            cards.append(console)
        return cards


class Ram:
    """What bus masters reach: memory, but not the boot ROM."""

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
        for first, end in self._ends:
            if first <= gpa and gpa + octets <= end:
                return
        raise ValueError(gpa)


def places(cards: Sequence[PciFunction]) -> list[tuple[int, int]]:
    """Where they go: ascending, so that the guest finds them in their order.

    Raises:
        ConfigError: there are more of them than places.
    """
    if len(cards) > len(SLOTS):
        raise ConfigError(f"malta: {len(cards)} cards; there is room for {len(SLOTS)}")
    taken = sorted(SLOTS[: len(cards)])
    several = {device for device, number in taken if number}
    for (device, number), card in zip(taken, cards, strict=True):
        if device in several and number == 0:
            card.config[HEADER_TYPE] |= HEADER_MULTIFUNCTION
    return taken


def monitor(system: gt.Gt64120, pci: PciBus) -> None:
    """What YAMON programs before it starts a program: windows of the system controller, routing of the south bridge."""
    system.write(0x14000000 + gt.ISD, 4, 0x1BE00000 >> gt.GRAIN)
    for low, high, first, last in (
        (gt.PCI0_IO_LD, gt.PCI0_IO_HD, 0x18000000, 0x181FFFFF),
        (gt.PCI0_M0_LD, gt.PCI0_M0_HD, 0x10000000, 0x17FFFFFF),
        (gt.PCI0_M1_LD, gt.PCI0_M1_HD, 0x18200000, 0x1BDFFFFF),
    ):
        system.write(0x1BE00000 + low, 4, first >> gt.GRAIN)
        system.write(0x1BE00000 + high, 4, last >> gt.GRAIN & gt.HD)
    system.write(0x1BE00000 + gt.PCI0_IO_REMAP, 4, 0)
    for pin, irq in enumerate(PIRQ_TO_IRQ):
        pci.config_write(SOUTH_BRIDGE << 3, PIRQRC + pin, 1, irq)
    elcr = sum(1 << irq for irq in set(PIRQ_TO_IRQ))
    pci.io.write(0x4D0, 2, elcr)


def enter(cpu: Cpu, booted: loader.Booted) -> None:
    """Set the processor as YAMON's `go` leaves it: out of reset, at the entry, arguments in a0–a3."""
    status = cpu.state()["status"] & ~STATUS_ERL
    cpu.set_state(
        {"pc": booted.entry, "status": status} | {f"r{number}": value for number, value in booted.registers.items()}
    )


BOARD = BoardSpec(
    "malta",
    build,
    Params,
    consoles=CONSOLES,
    nic_models=NIC_MODELS,
    most_nics=MOST_NICS,
    disk_models=DISK_MODELS,
    most_disks=MOST_DISKS,
    architecture="mipsel",
)
