"""The PC's chipset: host bridge, south bridge, and the devices that every PC has; and how a card is added.

**Adding a device** (in `emulators.boards.pc_cards`): `Chipset.plug(card)` puts a `PciFunction` into the next free
slot (or where it is told) and makes it a part of the machine's state. A device with fixed ports is mapped in
`Chipset.io`, one with fixed addresses in `Chipset.memory`, and entered in `Chipset.devices` under a name;
`Chipset.irq(n)` gives an ISA interrupt line (one that several devices share: `emulators.irq.SharedLine`).
`Chipset.cmos` is the clock's memory for what firmware reads there; `Chipset.files` are fw_cfg's files, by name, until
the machine is built. Bus masters are given `Chipset.dma`, which reaches memory only.

Where things are: `docs/pc.md` has the memory map, the ports and the lines.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from emulators.device import Device, Irq, Timeline
from emulators.devices.firmware.debug_port import DebugPort, PostCode
from emulators.devices.input.i8042 import I8042
from emulators.devices.intc import ioapic, lapic
from emulators.devices.intc.coprocessor import CoprocessorError
from emulators.devices.intc.i8259 import I8259Pair
from emulators.devices.pci.bus import PciBus
from emulators.devices.pci.config import HEADER_MULTIFUNCTION, HEADER_TYPE, PciFunction
from emulators.devices.pci.i440fx import SHADOW, SHADOW_END, ConfigurationPorts, I440Fx, Shadow
from emulators.devices.pci.piix3 import ApmPorts, Piix3Isa, Port92
from emulators.devices.pci.piix4 import PIRQRC, PMBA, PMREGMISC, PMREGMISC_PMIOSE, Piix4Pm
from emulators.devices.rtc.mc146818 import Mc146818
from emulators.devices.serial.uart16550 import Uart16550
from emulators.devices.timer.i8254 import I8254, SystemPortB
from emulators.dma import Dma
from emulators.irq import SharedLine
from emulators.machine import Events
from emulators.outside import Outside
from vde.errors import ConfigError

IRQ_TIMER, IRQ_KEYBOARD, IRQ_COM2, IRQ_COM1, IRQ_FLOPPY, IRQ_CLOCK, IRQ_SCI, IRQ_MOUSE = 0, 1, 3, 4, 6, 8, 9, 12
IRQ_COPROCESSOR: Final = 13
PIRQ_TO_IRQ: Final = (10, 10, 11, 11)
"""What firmware writes to PIRQRC[A:D]: SeaBIOS' choice, and ours without it."""
IOAPIC_AT, LAPIC_AT = 0xFEC00000, 0xFEE00000
GSI_TIMER: Final = 2
"""The I/O APIC's line 0 is the 8259s'."""
SERIAL: Final = ((0x3F8, IRQ_COM1), (0x2F8, IRQ_COM2), (0x3E8, IRQ_COM1), (0x2E8, IRQ_COM2))
UART_HZ: Final = 1_843_200

SOUTH_BRIDGE: Final = 1
POWER_FUNCTION: Final = 3
FIRST_SLOT, LAST_SLOT = 2, 31
POWER_PORTS: Final = 0x600
"""Where firmware puts the power management registers: SeaBIOS' choice, and ours without it."""
SMM_DONE_AT, SMM_DONE = 0x5B, 0x02
"""PIIX4 §7.1.19, DEVACTB: APMC_EN. It is set from the start, by which SeaBIOS knows that it needs no SMM handler."""

# CMOS memory, as SeaBIOS (src/hw/rtc.h) and Bochs lay it out
CMOS_EQUIPMENT, CMOS_BASE_K, CMOS_EXTENDED_K, CMOS_EXTENDED_K_AGAIN = 0x14, 0x15, 0x17, 0x30
CMOS_ABOVE_16M, CMOS_CENTURY, CMOS_CENTURY_AGAIN, CMOS_BOOT_1, CMOS_BOOT_2 = 0x34, 0x32, 0x37, 0x38, 0x3D
EQUIPMENT_FPU, EQUIPMENT_MOUSE = 0x02, 0x04
BASE_K: Final = 640


class Memory(Protocol):
    """The part of a `Vm` that is needed here."""

    def read(self, gpa: int, octets: int, /) -> bytes:
        """As `Vm.read`."""

    def write(self, gpa: int, data: bytes, /) -> None:
        """As `Vm.write`."""

    def set_readonly(self, gpa: int, size: int, on: bool, /) -> None:
        """As `Vm.set_readonly`."""


@dataclass(frozen=True)
class Pins:
    """The processor's, as the chipset drives them.

    Attributes:
        intr: the interrupt request.
        a20: address line 20.
        ferr, ignne: the x87 unit's error, and that it is to be ignored.
        nmi: the interrupt that cannot be masked, an edge.
    """

    intr: Irq
    a20: Callable[[bool], None]
    ferr: Callable[[], bool] = lambda: False
    ignne: Callable[[bool], None] = lambda level: None
    nmi: Callable[[], None] = lambda: None


def route(device: int, pin: int) -> int:
    """PIRQA (0) … PIRQD (3) of a device's pin 1 … 4, as on every board with this chipset."""
    return (device - 1 + pin - 1) % 4


def line(device: int, pin: int) -> int:
    """The ISA interrupt that a device's pin comes to."""
    return PIRQ_TO_IRQ[route(device, pin)]


class Chipset:
    """Everything that every PC has.

    Args:
        outside: its consoles are `serial0` … and `debug`.
        vm: has memory at `SHADOW`.
        memory_octets: how much memory there is.
        rom: firmware that shows below 1 MiB.
        start_s: what the clock shows, in seconds since 1970.
        serial_ports: 0 … 4.
        paced: serial lines take as long as their speed says.
        apic: a local APIC and an I/O APIC, besides the 8259s.

    Attributes:
        io, memory: the port space, and the addresses without memory.
    """

    def __init__(
        self,
        *,
        pins: Pins,
        outside: Outside,
        vm: Memory,
        dma: Dma,
        memory_octets: int,
        rom: bytes,
        start_s: int,
        serial_ports: int,
        paced: bool,
        apic: bool = False,
    ) -> None:
        self.outside = outside
        self.dma = dma
        self.timeline = timeline = Timeline()
        self.events = events = Events()
        self.files: dict[str, bytes] = {}
        self.slots: list[int] = []
        self._next_slot = FIRST_SLOT

        self.lapic: lapic.LocalApic | None = None
        self.ioapic: ioapic.IoApic | None = None
        if apic:
            self.lapic = local = lapic.LocalApic(
                irq=pins.intr,
                timeline=timeline,
                external=lambda: self.pic.acknowledge(),
                ended=lambda vector: self.ioapic.ended(vector) if self.ioapic else None,
                nmi=pins.nmi,
            )
            self.ioapic = ioapic.IoApic(local)
        self.pic = pic = I8259Pair(irq=self.lapic.line if self.lapic else pins.intr)
        self.isa = isa = Piix3Isa(line=self.irq, reset=events.reset)
        self.pci = pci = PciBus([isa.pirq(pin) for pin in range(4)], route)
        self.io, self.memory = pci.io, pci.memory
        self.bridge = bridge = I440Fx(vm=vm, memory_octets=memory_octets, rom=rom)
        self.power = power = Piix4Pm(timeline=timeline, power_off=events.power_off)
        power.config[SMM_DONE_AT] |= SMM_DONE
        timer = I8254(irq=self.irq(IRQ_TIMER), timeline=timeline)
        port_b = SystemPortB(timer=timer, timeline=timeline, warp=events.warp)
        clock = Mc146818(irq=self.irq(IRQ_CLOCK), timeline=timeline, start_s=start_s, warp=events.warp)
        self.cmos = clock.memory
        port_92 = Port92(a20=pins.a20, reset=events.reset)
        self.keyboard = keyboard = I8042(
            irq=self.irq(IRQ_KEYBOARD),
            mouse_irq=self.irq(IRQ_MOUSE),
            timeline=timeline,
            reset=events.reset,
            a20=port_92.switch,
        )
        configuration = ConfigurationPorts(pci=pci, reset_control=isa.reset_control)
        apm, post = ApmPorts(), PostCode(timeline=timeline, warp=events.warp)
        self.coprocessor = coprocessor = CoprocessorError(
            irq=self.irq(IRQ_COPROCESSOR), ferr=pins.ferr, ignne=pins.ignne
        )
        debug = DebugPort(out=outside.console("debug").out)

        self.devices: dict[str, Device] = {
            "configuration": configuration,
            "i8259": pic,
            "i8254": timer,
            "port61": port_b,
            "mc146818": clock,
            "i8042": keyboard,
            "port92": port_92,
            "apm": apm,
            "post": post,
            "coprocessor": coprocessor,
        }
        for base, size, device, offset, name in (
            (0x020, 2, pic, 0, "i8259"),
            (0x0A0, 2, pic, 2, "i8259 (second)"),
            (0x4D0, 2, pic, 4, "elcr"),
            (0x040, 4, timer, 0, "i8254"),
            (0x061, 1, port_b, 0, "port 61h"),
            (0x060, 1, keyboard, 0, "i8042 data"),
            (0x064, 1, keyboard, 4, "i8042 command"),
            (0x070, 2, clock, 0, "mc146818"),
            (0x080, 1, post, 0, "post code"),
            (0x092, 1, port_92, 0, "port 92h"),
            (0x0B2, 2, apm, 0, "apm"),
            (0x0F0, 2, coprocessor, 0, "coprocessor"),
            (0x0E9, 1, debug, 0, "debug port"),
            (0x402, 1, debug, 0, "debug port (fw)"),
            (0xCF8, 8, configuration, 0, "configuration"),
        ):
            self.io.map(base, size, device, name=name, offset=offset)
        self.memory.map(SHADOW, SHADOW_END - SHADOW, Shadow(bridge), name="shadow memory")
        if self.lapic is not None and self.ioapic is not None:
            self.devices |= {"lapic": self.lapic, "ioapic": self.ioapic}
            self.memory.map(LAPIC_AT, lapic.WINDOW_OCTETS, self.lapic, name="lapic")
            self.memory.map(IOAPIC_AT, ioapic.WINDOW_OCTETS, self.ioapic, name="ioapic")
        self._serial(serial_ports, paced=paced)
        self._cmos(memory_octets)
        self.plug(bridge, 0)
        self.plug(isa, SOUTH_BRIDGE)
        self.plug(power, SOUTH_BRIDGE, POWER_FUNCTION)

    def irq(self, number: int) -> Irq:
        """ISA interrupt `number`, for one device."""
        pic = self.pic.line(number)
        if self.ioapic is None:
            return pic
        apic = self.ioapic.line(number if number != IRQ_TIMER else GSI_TIMER)

        def both(level: bool) -> None:
            pic(level)
            apic(level)

        return both

    def acknowledge(self) -> int:
        """The processor takes an interrupt: its vector."""
        return self.pic.acknowledge() if self.lapic is None else self.lapic.acknowledge()

    def plug(self, card: PciFunction, device: int | None = None, number: int = 0) -> None:
        """Plug a PCI function in, at the next free slot if none is named.

        Raises:
            ConfigError: there is no room.
        """
        if device is None:
            device = self._next_slot
            if device > LAST_SLOT:
                raise ConfigError(f"pc: {card.name}: all PCI slots ({FIRST_SLOT} … {LAST_SLOT}) are taken")
            self._next_slot += 1
        if number:
            first = self.pci.function_at(device << 3)
            if first is not None:
                first.config[HEADER_TYPE] |= HEADER_MULTIFUNCTION
        self.pci.add(card, device, number)
        self.devices[card.name] = card

    def _serial(self, count: int, *, paced: bool) -> None:
        shared = {IRQ_COM1: SharedLine(self.irq(IRQ_COM1)), IRQ_COM2: SharedLine(self.irq(IRQ_COM2))}
        for index, (base, number) in enumerate(SERIAL[:count]):
            name = f"serial{index}"
            end = self.outside.console(name)
            uart = Uart16550(
                irq=shared[number].input(),
                out=end.out,
                timeline=self.timeline,
                clock_hz=UART_HZ,
                gated=True,
                paced=paced,
            )
            end.on_input, end.ready_octets = uart.receive, uart.ready_octets
            self.devices[name] = uart
            self.io.map(base, 8, uart, name=name)

    def _cmos(self, memory_octets: int) -> None:
        """What firmware would have found out, or a user of it set."""

        def put(at: int, value: int) -> None:
            self.cmos[at : at + 2] = value.to_bytes(2, "little")

        extended_k = min((memory_octets >> 10) - 1024, 0xFFFF)
        put(CMOS_BASE_K, BASE_K)
        put(CMOS_EXTENDED_K, extended_k)
        put(CMOS_EXTENDED_K_AGAIN, extended_k)
        put(CMOS_ABOVE_16M, max(0, (memory_octets >> 16) - 256))
        self.cmos[CMOS_EQUIPMENT] = EQUIPMENT_FPU
        self.cmos[CMOS_CENTURY] = self.cmos[CMOS_CENTURY_AGAIN] = 0x20

    def firmware_done(self, *, io: tuple[int, int], memory: tuple[int, int]) -> None:
        """What firmware does, for boots without one: routing, windows, base registers, interrupt lines.

        Raises:
            ConfigError: the cards want more addresses than there are.
        """
        self.bridge.open()
        if self.lapic is not None:  # SDM vol. 3, 7.5: "virtual wire": the 8259s come through
            for register, value in ((lapic.SVR, 0x1FF), (lapic.LVT_LINT0, lapic.EXTINT), (lapic.LVT_LINT1, 0x400)):
                self.lapic.write(register, 4, value)
        for pin, number in enumerate(PIRQ_TO_IRQ):
            self.isa.config_write(PIRQRC + pin, 1, number)
        self.io.write(0x4D0, 2, sum(1 << number for number in {*PIRQ_TO_IRQ, IRQ_SCI}))
        self.power.config_write(PMBA, 4, POWER_PORTS | 1)
        self.power.config_write(PMREGMISC, 1, PMREGMISC_PMIOSE)
        self.pci.assign(io=io, memory=memory, line=line)
