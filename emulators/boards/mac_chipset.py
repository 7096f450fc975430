"""What every Power Macintosh G3 has: Grackle, its PCI bus, the mac-io chip with its parts, and the display.

Reference: QEMU 7.2, "g3beige" (addresses and lines; the device tree that OpenBIOS makes for it); Apple, "Macintosh
Technology in the Common Hardware Reference Platform" (1995).

A card is plugged in with `plug`, which gives it the next free slot. Slots 0 … 31: Grackle is 0, the display 1, the
mac-io chip 16. A pin of a slot goes to line 21 + (slot + pin − 1) mod 4 of the interrupt controller.
"""

from typing import Final

from emulators.bus import Bus
from emulators.cpus.vm import Vm
from emulators.device import Device, Irq, Timeline
from emulators.devices.ata.channel import Channel as AtaChannel
from emulators.devices.ata.drive import Drive
from emulators.devices.input.adb import AdbKeyboard, AdbMouse
from emulators.devices.intc.heathrow import END as PIC_END
from emulators.devices.intc.heathrow import FIRST as PIC_FIRST
from emulators.devices.intc.heathrow import HeathrowPic
from emulators.devices.macio import heathrow as mac_io
from emulators.devices.macio.cuda import Cuda
from emulators.devices.macio.dbdma import STRIDE as DMA_STRIDE
from emulators.devices.macio.dbdma import Channel as DmaChannel
from emulators.devices.macio.dbdma import Dbdma
from emulators.devices.macio.heathrow import Heathrow, Spread
from emulators.devices.macio.ide import WINDOW as IDE_OCTETS
from emulators.devices.macio.ide import MacIde
from emulators.devices.macio.nvram import OCTETS as NVRAM_OCTETS
from emulators.devices.macio.nvram import SHIFT as NVRAM_SHIFT
from emulators.devices.macio.nvram import Nvram, formatted
from emulators.devices.pci.bus import PciBus, swizzle
from emulators.devices.pci.config import COMMAND, COMMAND_MASTER, COMMAND_MEMORY, PciFunction
from emulators.devices.pci.grackle import Grackle
from emulators.devices.serial.escc import Escc
from emulators.devices.video.planes import WINDOW, WINDOW_OCTETS
from emulators.devices.video.stdvga import StdVga
from emulators.devices.video.vga_registers import FIRST_PORT, PORTS
from emulators.dma import Dma
from emulators.machine import Events
from emulators.outside import Outside
from vde.errors import ConfigError

TIMEBASE_HZ, TIMEBASE_TICKS = 16_600_000, 6
CLOCK_HZ, BUS_HZ = 266_000_000, 66_000_000
"""As g3beige says them."""

PCI_MEMORY, PCI_MEMORY_OCTETS = 0x80000000, 0x10000000
DEVICES_FIRST: Final = 0x80000000
DEVICES_END: Final = 0xFF000000
"""Behind it: ROM."""
MAC_IO: Final = 0x80800000
"""Where the mac-io chip is when no firmware has run."""

VGA_SLOT, FIRST_SLOT, MAC_IO_SLOT, LAST_SLOT = 1, 2, 16, 31
PCI_LINES: Final = (21, 22, 23, 24)
IDE_LINES, IDE_DMA_LINES, IDE_DMA = (13, 14), (2, 3), (0xB, 0xD)
ESCC_A_LINE, ESCC_B_LINE, CUDA_LINE = 15, 16, 18
DISPI_PORT, DISPI_PORTS = 0x1CE, 4


def slot_lines() -> tuple[tuple[int, int, int], ...]:
    """(slot, pin, line) for four slots; the others repeat them."""
    return tuple((slot, pin, PCI_LINES[swizzle(slot, pin)]) for slot in range(4) for pin in range(1, 5))


class Ram:
    """What bus masters reach: memory, but not the ROM."""

    def __init__(self, vm: Vm, octets: int) -> None:
        self._vm = vm
        self._octets = octets

    def read(self, gpa: int, octets: int, /) -> bytes:
        """As `emulators.dma.Memory.read`."""
        if gpa + octets > self._octets:
            raise ValueError(gpa)
        return self._vm.read(gpa, octets)

    def write(self, gpa: int, data: bytes, /) -> None:
        """As `emulators.dma.Memory.write`."""
        if gpa + len(data) > self._octets:
            raise ValueError(gpa)
        self._vm.write(gpa, data)


class Chipset:
    """Everything but processor, memory and cards.

    Args:
        irq: the processor's external interrupt.
        dma: bus masters' way to memory.
        start_s: what the clock shows at the start, in seconds since 1970.
        vga: is there a display?
        nvram: Open Firmware's variables, as `nvram.formatted` takes them.
    """

    def __init__(
        self, *, irq: Irq, outside: Outside, vm: Vm, dma: Dma, start_s: int, vga: bool = True, nvram: bytes = b""
    ) -> None:
        self.outside = outside
        self.dma = dma
        self.timeline = Timeline()
        self.events = Events()
        self.pic = HeathrowPic(irq=irq)
        self.pci = PciBus([self.pic.line(line) for line in PCI_LINES])
        self.devices: dict[str, Device] = {}
        self.ethernet: dict[int, bytes] = {}
        """Addresses of the cards that have to be in the tree, by slot."""
        self._next_slot = FIRST_SLOT

        grackle = Grackle(pci=self.pci)
        self.bus = Bus(lambda address, size: (1 << 8 * size) - 1)
        self.bus.map(DEVICES_FIRST, DEVICES_END - DEVICES_FIRST, grackle, name="grackle", offset=DEVICES_FIRST)

        ends = [outside.console(name) for name in ("serial1", "serial0")]
        escc = Escc(irqs=(self.pic.line(ESCC_B_LINE), self.pic.line(ESCC_A_LINE)), outs=(ends[0].out, ends[1].out))
        for end, channel in zip(ends, escc.channels, strict=True):
            end.on_input, end.ready_octets = channel.receive, channel.ready_octets
        self.keyboard, self.mouse = AdbKeyboard(), AdbMouse()
        cuda = Cuda(
            irq=self.pic.line(CUDA_LINE),
            timeline=self.timeline,
            start_s=start_s,
            devices=(self.keyboard, self.mouse),
            power_off=self.events.power_off,
            reset=self.events.reset,
            warp=self.events.warp,
        )
        memory = Nvram(formatted(nvram))
        self.ide = [MacIde(AtaChannel(irq=self.pic.line(line))) for line in IDE_LINES]
        channels = {
            number: DmaChannel(unit=ide, irq=self.pic.line(line), dma=dma, allowed=lambda: self.mac_io.is_master)
            for number, line, ide in zip(IDE_DMA, IDE_DMA_LINES, self.ide, strict=True)
        }
        for number, ide in zip(IDE_DMA, self.ide, strict=True):
            ide.wake = channels[number].wake
        dbdma = Dbdma(channels)
        self.mac_io = Heathrow(
            {
                mac_io.PIC: (PIC_END - PIC_FIRST, self.pic, "interrupt controller"),
                mac_io.DMA: (0x2000, dbdma, "dbdma"),
                mac_io.ESCC_OLD: (0x1000, Spread(escc, mac_io.ESCC_OLD_PLACES), "escc (old)"),
                mac_io.ESCC: (0x1000, Spread(escc, mac_io.ESCC_PLACES), "escc"),
                mac_io.CUDA: (mac_io.CUDA_OCTETS, Spread(cuda, mac_io.CUDA_PLACES), "cuda"),
                mac_io.IDE[0]: (IDE_OCTETS, self.ide[0], "ide0"),
                mac_io.IDE[1]: (IDE_OCTETS, self.ide[1], "ide1"),
                mac_io.NVRAM: (NVRAM_OCTETS << NVRAM_SHIFT, memory, "nvram"),
            }
        )
        self.pci.add(self.mac_io, MAC_IO_SLOT)
        self.devices |= {
            "grackle": grackle,
            "mac-io": self.mac_io,
            "pic": self.pic,
            "escc": escc,
            "cuda": cuda,
            "nvram": memory,
            "dbdma": dbdma,
            "ide0": self.ide[0],
            "ide1": self.ide[1],
        }
        self.vga = self._plug_display(vm) if vga else None

    def _plug_display(self, vm: Vm) -> StdVga:
        vga = StdVga("vga", timeline=self.timeline, vm=vm, warp=self.events.warp, big_endian=True)
        self.pci.add(vga, VGA_SLOT)
        self.devices["vga"] = vga
        self.pci.io.map(FIRST_PORT, PORTS, vga.ports, name="vga registers")
        self.pci.io.map(DISPI_PORT, DISPI_PORTS, vga.dispi, name="vga frame buffer registers")
        self.pci.memory.map(WINDOW, WINDOW_OCTETS, vga.window, name="vga memory")
        end = self.outside.screen()
        end.look, end.frame = vga.look, vga.frame
        end.on_key, end.ready_keys = self.keyboard.press, self.keyboard.ready
        end.on_mouse = self.mouse.move
        return vga

    def plug(self, card: PciFunction) -> int:
        """Put a card into the next free slot; answers its number.

        Raises:
            ConfigError: there is none left.
        """
        if self._next_slot == MAC_IO_SLOT:
            self._next_slot += 1
        if self._next_slot > LAST_SLOT:
            raise ConfigError(f"mac: no free slot for {card.name}: there is room for {LAST_SLOT - FIRST_SLOT} cards")
        slot = self._next_slot
        self.pci.add(card, slot)
        self.devices[card.name] = card
        self._next_slot += 1
        return slot

    def place_drives(self, drives: dict[int, Drive]) -> None:
        """Put drives into their bays: 0 and 1 on the first IDE channel, 2 and 3 on the second."""
        for place, drive in drives.items():
            self.ide[place // 2].channel.drives[place % 2] = drive

    def channels(self) -> tuple[tuple[int, int, int, int], ...]:
        """IDE channels with drives: registers, DMA registers, lines of both, as the tree says them."""
        every = zip(mac_io.IDE, IDE_DMA, IDE_LINES, IDE_DMA_LINES, self.ide, strict=True)
        return tuple(
            (registers, mac_io.DMA + dma * DMA_STRIDE, line, dma_line)
            for registers, dma, line, dma_line, ide in every
            if any(ide.channel.drives)
        )

    def place_mac_io(self) -> None:
        """What firmware has done before a kernel runs: the mac-io chip has its address. The rest is the kernel's."""
        self.mac_io.place_bar(0, MAC_IO)
        self.mac_io.config_write(COMMAND, 2, COMMAND_MEMORY | COMMAND_MASTER)
