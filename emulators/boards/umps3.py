"""uMPS3: a machine of 1 to 16 MIPS processors for teaching operating systems; runs kernels made for uMPS3 3.0.5.

CONFIG is the file that uMPS3 itself makes. Terminal 0 is this terminal; the others, and printers, write to the files
that CONFIG names, unless --console says otherwise; Ethernet cards are plugged into the VDE switches that it names.

exit status: 0 the guest switched the power off · 10 it called HALT · 11 it called PANIC · 12 --break was met ·
1 it cannot go on

Reference: uMPS3 Principles of Operation (M. Goldweber, R. Davoli). docs/umps3.md has the map, the lines, the registers
and what differs. Read first: `emulators.loaders.umps_config` (the options), `emulators.devices.umps.events` (time).
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Final, Literal

from emulators.board import BoardSpec, Needs, option
from emulators.boards.mips_exception import describe
from emulators.bus import Bus
from emulators.cpus.mips.umps import Processors, Vm
from emulators.device import Device, Timeline
from emulators.devices.umps import bus_registers
from emulators.devices.umps.bus_registers import BusRegisters
from emulators.devices.umps.disk import Disk
from emulators.devices.umps.ethernet import Ethernet
from emulators.devices.umps.events import Clock, EventQueue
from emulators.devices.umps.flash import Flash
from emulators.devices.umps.interrupt_routing import InterruptRouting
from emulators.devices.umps.interval import IntervalTimer
from emulators.devices.umps.machine_control import MachineControl
from emulators.devices.umps.printer import Printer
from emulators.devices.umps.terminal import Terminal
from emulators.devices.umps.unit import Unit
from emulators.dma import Dma
from emulators.firmware import umps3 as firmware
from emulators.loaders import umps as loader
from emulators.loaders import umps_config
from emulators.loaders.umps import SymbolTable
from emulators.loaders.umps_config import MachineConfig
from emulators.machine import Events, Machine, Region
from emulators.outside import DiskEnd, Outside
from vde.errors import ConfigError

# Memory map, principles of operation figure 2.1
EXECUTION_ROM, BIOS_DATA, BIOS_DATA_OCTETS = 0x0000_0000, 0x0FFF_F000, 0x1000
BOOT_ROM, RAM = 0x1FC0_0000, 0x2000_0000
PAGE_OCTETS: Final = 4096
HEADER_OCTETS: Final = 28

# Interrupt lines
LINE_TIMER: Final = 2
LINES: Final = {"disk": 3, "flash": 4, "eth": 5, "printer": 6, "terminal": 7}

# Where registers of the bus that never change say what is where
RAM_BASE, RAM_SIZE, EXECUTION_BASE, EXECUTION_SIZE, BOOT_BASE, BOOT_SIZE = range(0, 24, 4)

HALTED, PANICKED = 10, 11
"""Exit statuses. Chosen: none that `vde` itself has."""
WATCH_US: Final = 100_000
"""How often it is looked whether the execution ROM has come to its end. Chosen: half a second at 99 MHz."""
FOREVER: Final = (0x1000_FFFF).to_bytes(4, "little")
"""A branch to itself."""
TERMINALS: Final = tuple(f"terminal{unit}" for unit in range(8))
PRINTERS: Final = tuple(f"printer{unit}" for unit in range(8))


@dataclass(frozen=True)
class Params:
    """The options."""

    config: Path = option(MISSING, "the machine's configuration, as uMPS3 makes it", positional=True, metavar="CONFIG")
    rom: str = option(
        "auto",
        "whose ROMs: those that CONFIG names, and ours where uMPS3 is not installed (auto), or ours (own)",
        choices=("auto", "own"),
    )


def needs(params: Params) -> Needs:
    """What the configuration names outside the machine."""
    config = umps_config.read_config(params.config)
    consoles = {
        f"{kind}{unit}": f"file:{device.file}"
        for kind in ("printer", "terminal")
        for unit, device in config.of_kind(kind)
        if (kind, unit) != ("terminal", 0)
    }
    nics = tuple(device.file if "://" in device.file else f"vde://{device.file}" for _, device in config.of_kind("eth"))
    disks = tuple((Path(device.file), True) for kind in ("disk", "flash") for _, device in config.of_kind(kind))
    return Needs(consoles, nics, disks)


class GuestMemory:
    """What DMA reaches: RAM and the BIOS data page, and ROMs to read only."""

    def __init__(self, vm: Vm, readable: list[tuple[int, int]], writable: list[tuple[int, int]]) -> None:
        self._vm = vm
        self._readable = readable
        self._writable = writable

    def read(self, gpa: int, octets: int, /) -> bytes:
        """As `emulators.dma.Memory.read`."""
        _check_within(self._readable, gpa, octets)
        return self._vm.read(gpa, octets)

    def write(self, gpa: int, data: bytes, /) -> None:
        """As `emulators.dma.Memory.write`."""
        _check_within(self._writable, gpa, len(data))
        self._vm.write(gpa, data)


def _check_within(places: list[tuple[int, int]], gpa: int, octets: int) -> None:
    if not any(base <= gpa and gpa + octets <= base + size for base, size in places):
        raise ValueError(f"{octets} octets at {gpa:#x}")


class EndWatch:
    """Sees that the execution ROM has come to its end, HALT's or PANIC's: a branch to itself.

    The processors are looked at every `WATCH_US`, at ticks that depend on nothing but the configuration. The machine
    ends when one of them is there and none of the others does anything. Register 4 then points behind the text that
    was written; behind a panic's stands the exception that led to it.
    """

    def __init__(
        self,
        *,
        cpu: Processors,
        rom: bytes,
        events: EventQueue,
        halt: Callable[[int, str], None],
        exception: Callable[[int], str],
    ) -> None:
        """`exception`: describes a processor's last; "": it had none."""
        self._cpu = cpu
        self._rom = rom
        self._halt = halt
        self._exception = exception
        self._schedule = events.register("watch", self._look)
        self._ticks = events.clock.ticks(WATCH_US)
        ends = [at for at in range(0, len(rom), 4) if rom[at : at + 4] == FOREVER]
        self._ends = {EXECUTION_ROM + at + slot for at in ends for slot in (0, 4)}
        if self._ends:
            self._schedule(self._ticks)

    def _look(self) -> None:
        self._schedule(self._ticks)
        said = None
        for number in range(self._cpu.count):
            state = self._cpu.state(number)
            if state["pc"] in self._ends and not state["halted"]:
                said = number, state["r4"]
            elif not state["halted"] and not state["idle"]:
                return
        if said is not None:
            number, end = said
            text = self._text(end - EXECUTION_ROM)
            if "panic" in text:
                self._halt(PANICKED, ": ".join(filter(None, [text, self._exception(number)])))
            else:
                self._halt(HALTED, text or "HALT")

    def _text(self, end: int) -> str:
        match = re.search(rb"[\t\n -~]*\Z", self._rom[max(0, end - 80) : end]) if 0 <= end <= len(self._rom) else None
        return "" if match is None else match[0].decode("ascii").strip()


def build(params: Params, outside: Outside) -> Machine:
    """As `emulators.board.BoardSpec.build`."""
    config = umps_config.read_config(params.config)
    own = params.rom == "own"
    execution = _rom(config.execution_rom, umps_config.EXECUTION_ROM, firmware.EXECUTION, own=own)
    boot = _rom(config.boot_rom, umps_config.BOOT_ROM, firmware.BOOT, own=own)
    core = b""
    if config.core is not None:
        core = loader.read_core(_read(config.core, "boot.core-file"), str(config.core), config.ram_octets)
    symbols = SymbolTable()
    if config.symbols is not None:
        symbols = loader.read_symbols(_read(config.symbols, "symbol-table.file"), str(config.symbols))

    roms = [(EXECUTION_ROM, execution), (BOOT_ROM, boot)]
    vm = Vm()
    for base, contents in roms:
        vm.add_memory(base, -(-len(contents) // PAGE_OCTETS) * PAGE_OCTETS, readonly=True)
        vm.write(base, contents)
    vm.add_memory(BIOS_DATA, BIOS_DATA_OCTETS)
    vm.add_memory(RAM, config.ram_octets)
    vm.write(RAM, core)
    cpu = Processors(
        vm,
        config.processors,
        config.tlb_size,
        tlb_floor=config.tlb_floor,
        ram_base=RAM,
        ram_size=config.ram_octets,
        roms=[(base, len(contents)) for base, contents in roms],
    )

    timeline = Timeline()
    events = Events()
    queue = EventQueue(Clock(timeline, config.clock_rate))
    routing = InterruptRouting(
        processors=config.processors,
        drive=lambda processor, line, level: cpu.set_ip(line, level, processor),
        current=lambda: cpu.current,
        events=queue,
    )
    control = MachineControl(
        processors=config.processors,
        reset=cpu.reset_cpu,
        halt=cpu.halt_cpu,
        power_off=lambda: events.power_off(0),
        events=queue,
    )
    writable = [(RAM, config.ram_octets), (BIOS_DATA, BIOS_DATA_OCTETS)]
    dma = Dma(GuestMemory(vm, writable + [(base, len(contents)) for base, contents in roms], writable))
    units = _units(config, outside, routing, queue, dma)
    timer = IntervalTimer(irq=routing.input(LINE_TIMER), clock=queue.clock)
    registers = BusRegisters(
        constants={
            RAM_BASE: RAM,
            RAM_SIZE: config.ram_octets,
            EXECUTION_BASE: EXECUTION_ROM,
            EXECUTION_SIZE: len(execution),
            BOOT_BASE: BOOT_ROM,
            BOOT_SIZE: len(boot),
            bus_registers.TLB_FLOOR: config.tlb_floor,
        },
        clock=queue.clock,
        timer=timer,
        interrupts=routing,
        machine=control,
        units={(LINES[unit.name[:-1]], int(unit.name[-1])): unit for unit in units},
    )

    def exception(processor: int) -> str:
        def translate(va: int, access: Literal["fetch"]) -> int | None:
            return cpu.translate(va, access, processor)

        if not (state := cpu.state(processor))["cause"]:
            return ""
        found = describe(state, vm, translate, symbols.find, "uMPS3")
        return f"{found}, on processor {processor}" if config.processors > 1 else found

    EndWatch(cpu=cpu, rom=execution, events=queue, halt=events.halt, exception=exception)
    bus = Bus(lambda address, size: 0)
    bus.map(bus_registers.BASE, bus_registers.OCTETS, registers, name="bus registers")
    devices: dict[str, Device] = {
        "interval timer": timer,
        "events": queue,
        "interrupt routing": routing,
        "machine control": control,
        "bus registers": registers,
        **{unit.name: unit for unit in units},
    }
    return Machine(
        board="umps3",
        cpu=cpu,
        vm=vm,
        bus=bus,
        timeline=timeline,
        events=events,
        ticks_hz=config.clock_rate * 1_000_000,
        devices=devices,
        memory=(Region("memory", RAM, config.ram_octets), Region("BIOS data", BIOS_DATA, BIOS_DATA_OCTETS)),
        symbol=symbols.find,
        locate=symbols.extent,
    )


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"umps3: {key}: {str(path)!r}: {error.strerror}") from None


def _rom(path: Path, default: Path, ours: Path, *, own: bool) -> bytes:
    """What is in a ROM: ours if that is wanted, or if uMPS3's own is, and is not installed."""
    if own or (path == default and not path.exists()):
        path = ours
    return loader.read_rom(_read(path, "bootstrap-rom, execution-rom"), str(path))


def _units(
    config: MachineConfig, outside: Outside, routing: InterruptRouting, events: EventQueue, dma: Dma
) -> list[Unit]:
    """The peripherals, in the order of their lines, and wired to the outside."""
    cards = len(config.of_kind("eth"))
    if outside.nics() > cards:
        raise ConfigError(f"umps3: {outside.nics()} networks, but {config.name} has {cards} eth devices")
    units: list[Unit] = []
    disks, cables = itertools.count(), itertools.count()
    for kind, line in LINES.items():
        for number, device in config.of_kind(kind):
            name = f"{kind}{number}"
            irq = routing.input(line, number)
            if kind in ("disk", "flash"):
                medium = outside.disk(next(disks))
                if medium is None:
                    raise ConfigError(f"umps3: devices.{name}.file: {device.file}: not given to the machine")
                header = medium.read_at(0, min(HEADER_OCTETS, medium.size_octets))
                units.append(_drive(name, device.file, medium, header, irq, events, dma))
            elif kind == "eth":
                cable = outside.nic(next(cables))
                address = cable.mac or device.address or bytes((2, 0, number)) + outside.entropy(3)
                card = Ethernet(name=name, irq=irq, events=events, dma=dma, send=cable.send, address=address)
                cable.on_frame = card.receive
                units.append(card)
            elif kind == "printer":
                units.append(Printer(name=name, irq=irq, events=events, out=outside.console(name).out))
            else:
                console = outside.console(name)
                terminal = Terminal(name=name, irq=irq, events=events, out=console.out)
                console.on_input = terminal.receive
                console.lines = True
                console.ready_octets = terminal.ready_octets
                units.append(terminal)
    return units


def _drive(
    name: str,
    file: str,
    medium: DiskEnd,
    header: bytes,
    irq: Callable[[bool], None],
    events: EventQueue,
    dma: Dma,
) -> Unit:
    if name.startswith("disk"):
        disk = loader.read_disk_geometry(header, medium.size_octets, file)
        return Disk(name=name, irq=irq, events=events, dma=dma, medium=medium, geometry=disk)
    flash = loader.read_flash_geometry(header, medium.size_octets, file)
    return Flash(name=name, irq=irq, events=events, dma=dma, medium=medium, geometry=flash)


BOARD = BoardSpec("umps3", build, Params, consoles=(*TERMINALS, *PRINTERS), most_nics=8, needs=needs, points=True)
