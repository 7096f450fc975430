"""Intel 82371AB PIIX4: the bridge from PCI to ISA, its IDE controller, and power management.

Datasheet: Intel 82371AB PCI-to-ISA/IDE Xcelerator (290562-001, 1997), sections as cited.
Boards: malta; the PC has its function 3, and a PIIX3 (`emulators.devices.pci.piix3`) that shares the bridge.

Emulated: function 0 (ISA bridge): interrupt routing PIRQRC[A:D], the reset control register (port 0xCF9); function 1
(IDE): configuration, bus-master registers, no drives; function 3 (power management): PM base address, PMSTS, PMEN,
PMCNTRL with soft-off, the PM timer, GPI and GPO registers. ELCR, timer, clock and the interrupt controllers are devices
of their own.

Not emulated: function 2 (USB: absent), SMBus (its base address is not decoded), ISA DMA, SMI, throttling, the legacy
IDE ports (nobody answers: all ones, which drivers take for "no drive"), serial interrupts, positive decode of I/O
windows.

The datasheet wants a PCI special cycle behind the write that enters soft-off. Linux cannot send it through a GT-64120
(it refuses device 31), and the real board goes off all the same; here the write is enough.

| threat | stopped by |
|---|---|
| routing of several PIRQs to one input, and away from it while asserted | inputs are computed from all four, always |
| a PM window over other devices | the bus hides it |
"""

from collections.abc import Callable, Sequence
from typing import Final

from emulators.device import Irq, State, Timeline
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.devices.pci.config import Bar, PciFunction
from emulators.snapshot import take, take_int, take_version

INTEL: Final = 0x8086

# Function 0, §4.1
PIRQRC: Final = 0x60
PIRQRC_OFF: Final = 0x80
PIRQRC_AT_RESET: Final = 0x80
PIRQ_INPUTS: Final = frozenset((3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15))  # §4.1.10; the others are reserved
RESET_CONTROL_NOW: Final = 0x04  # §4.2.6.2 (RC), port 0xCF9: bit 2 going to 1
RESET_CONTROL_WRITABLE: Final = 0x06

# Function 3, §7.1 and §7.2
PMBA: Final = 0x40
PMREGMISC: Final = 0x80
PMREGMISC_PMIOSE: Final = 0x01
PM_OCTETS: Final = 64
MOBILE_STEPPING: Final = 3  # PIIX4M; of those before, Linux reads PMTMR three times, for an erratum that we do not have
PMSTS, PMEN, PMCNTRL, PMTMR, GPIREG, GPOREG = 0x00, 0x02, 0x04, 0x08, 0x30, 0x34
PMSTS_CLEARED_BY_ONE: Final = 0x8D31
PMCNTRL_SUS_EN: Final = 1 << 13
PMCNTRL_SUS_TYP: Final = 7 << 10
PM_TIMER_HZ: Final = 3_579_545
NS_PER_S: Final = 1_000_000_000


KEPT: Final = (
    (0x4C, 1, 0x4D, 0xFF),  # IORT
    (0x4E, 2, 0x0003, 0xFFFF),  # XBCS
    (0x64, 1, 0x10, 0xFF),  # SERIRQC
    (0x69, 1, 0x02, 0xFE),  # TOM
    (0x6A, 2, 0, 0x80C0),  # MSTAT
    (0x76, 2, 0x0C0C, 0x8F8F),  # MBDMA
    (0x80, 1, 0, 0x7F),  # APICBASE
    (0x82, 1, 0, 0x0F),  # DLC
    (0x90, 4, 0, 0xFFC0FFC0),  # PDMACFG, DDMABP
    (0xB0, 4, 0, 0xFFFFFFFF),  # GENCFG
    (0xCB, 1, 0x21, 0x3F),  # RTCCFG
)
"""Registers of function 0 that keep what is written to them: offset, octets, value after reset, writable bits."""


class PiixIsa(PciFunction):
    """Function 0 of a PIIX: the bridge to ISA.

    Args:
        line: gives the interrupt controllers' input of that number.
        reset: the guest resets the machine.
        kept: registers without an effect, as `KEPT`.
    """

    def __init__(
        self,
        name: str,
        *,
        device: int,
        kept: Sequence[tuple[int, int, int, int]],
        line: Callable[[int], Irq],
        reset: Callable[[], None],
    ) -> None:
        super().__init__(name, vendor=INTEL, device=device, class_code=0x060100, multifunction=True)
        self._inputs = {number: line(number) for number in sorted(PIRQ_INPUTS)}
        self._levels = [False] * 4
        self._asserted: set[int] = set()
        self.reset_control = ResetControl(reset)
        self.set_config(0x04, 2, 0x0007, writable=0x0148)  # §4.1.3: I/O, memory and mastership are always on
        self.set_config(0x06, 2, 0x0280, write_1_clears=0x7800)
        for offset, size, value, writable in kept:
            self.set_config(offset, size, value, writable=writable)
        for pin in range(4):
            self.set_config(PIRQRC + pin, 1, PIRQRC_AT_RESET, writable=0x8F)

    def pirq(self, pin: int) -> Irq:
        """PIRQA (0) … PIRQD (3), to give to the bus."""

        def drive(level: bool) -> None:
            if level != self._levels[pin]:
                self._levels[pin] = level
                self._drive()

        return drive

    def _drive(self) -> None:
        asserted = set()
        for pin, level in enumerate(self._levels):
            route = self.config[PIRQRC + pin]
            if level and not route & PIRQRC_OFF:
                asserted.add(route & 0xF)
        asserted &= PIRQ_INPUTS
        changed, self._asserted = asserted ^ self._asserted, asserted
        for number in sorted(changed):
            self._inputs[number](number in asserted)

    def config_changed(self, offset: int, size: int) -> None:
        """Routing may have changed."""
        if offset < PIRQRC + 4 and offset + size > PIRQRC:
            self._drive()

    def state(self) -> State:
        """As `Device.state`."""
        return super().state() | {
            "levels": list(self._levels),
            "asserted": sorted(self._asserted),
            "reset_control": self.reset_control.value,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`. The interrupt controllers' own state holds their inputs."""
        super().from_state(state)
        levels, asserted = take(state, "levels", list), take(state, "asserted", list)
        self._levels = [bool(levels[pin]) if pin < len(levels) else False for pin in range(4)]
        self._asserted = {number for number in asserted if number in PIRQ_INPUTS}
        self.reset_control.value = take_int(state, "reset_control", RESET_CONTROL_WRITABLE)


class Piix4Isa(PiixIsa):
    """Function 0 of a PIIX4. Arguments as `PiixIsa`."""

    def __init__(self, *, line: Callable[[int], Irq], reset: Callable[[], None]) -> None:
        super().__init__("piix4", device=0x7110, kept=KEPT, line=line, reset=reset)


class ResetControl(EightBit):
    """Port 0xCF9."""

    def __init__(self, reset: Callable[[], None]) -> None:
        self._reset = reset
        self.value = 0

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        return ALL_ONES if offset else self.value

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset:
            return
        rises = value & ~self.value & RESET_CONTROL_NOW
        self.value = value & RESET_CONTROL_WRITABLE
        if rises:
            self._reset()


BMIDE_COMMAND, BMIDE_STATUS, BMIDE_PRD = 0, 2, 4  # §5.2, one set for each channel, 8 octets apart
BMIDE_COMMAND_WRITABLE: Final = 0x09
BMIDE_STATUS_KEPT: Final = 0x60
BMIDE_STATUS_CLEARED_BY_ONE: Final = 0x06


class BusMasterIde(EightBit):
    """The bus-master registers of two channels without drives."""

    def __init__(self) -> None:
        self.octets = bytearray(16)

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        return self.octets[offset] if offset < 16 else ALL_ONES

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset >= 16:
            return
        register = offset & 7
        if register == BMIDE_COMMAND:
            value &= BMIDE_COMMAND_WRITABLE
        elif register == BMIDE_STATUS:
            kept = self.octets[offset] & ~(value & BMIDE_STATUS_CLEARED_BY_ONE) & ~BMIDE_STATUS_KEPT
            value = kept | value & BMIDE_STATUS_KEPT
        elif register < BMIDE_PRD:
            value = 0
        elif register == BMIDE_PRD:
            value &= 0xFC
        self.octets[offset] = value


class Piix4Ide(PciFunction):
    """Function 1."""

    def __init__(self) -> None:
        super().__init__("piix4-ide", vendor=INTEL, device=0x7111, class_code=0x010180)
        self.registers = BusMasterIde()
        self.set_config(0x04, 2, 0, writable=0x0005)
        self.set_config(0x06, 2, 0x0280, write_1_clears=0x3800)
        self.add_bar(4, 16, self.registers, io=True)
        self.set_config(0x40, 4, 0, writable=0xFFFFFFFF)  # IDETIM of both channels
        self.set_config(0x44, 1, 0, writable=0xFF)  # SIDETIM
        self.set_config(0x48, 1, 0, writable=0x0F)  # UDMACTL
        self.set_config(0x4A, 2, 0, writable=0x3333)  # UDMATIM

    def state(self) -> State:
        """As `Device.state`."""
        return super().state() | {"bus_master": bytes(self.registers.octets)}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        super().from_state(state)
        self.registers.octets[:] = take(state, "bus_master", bytes).ljust(16, b"\0")[:16]


class PmRegisters(EightBit):
    """The I/O registers of function 3."""

    def __init__(self, timeline: Timeline, power_off: Callable[[], None]) -> None:
        self._timeline = timeline
        self._power_off = power_off
        self.status = 0
        self.octets = bytearray(PM_OCTETS)

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        if offset >= PM_OCTETS:
            return ALL_ONES
        if offset in (PMSTS, PMSTS + 1):
            return self.status >> 8 * offset & 0xFF
        if PMTMR <= offset < PMTMR + 4:
            ticks = self._timeline.now_ns * PM_TIMER_HZ // NS_PER_S & 0xFFFFFF
            return ticks >> 8 * (offset - PMTMR) & 0xFF
        return self.octets[offset]

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset in (PMSTS, PMSTS + 1):
            self.status &= ~(value << 8 * offset & PMSTS_CLEARED_BY_ONE)
        elif offset == PMCNTRL + 1:
            # SUS_EN can be written only (§7.2.3)
            self.octets[offset] = value & ~(PMCNTRL_SUS_EN >> 8)
            if value & PMCNTRL_SUS_EN >> 8 and not value & PMCNTRL_SUS_TYP >> 8:
                self._power_off()
        elif offset < PM_OCTETS and not (PMTMR <= offset < PMTMR + 4 or GPIREG <= offset < GPOREG):
            self.octets[offset] = value


class Piix4Pm(PciFunction):
    """Function 3.

    Args:
        timeline: the machine's time, for the PM timer.
        power_off: the guest switches the machine off.
    """

    def __init__(self, *, timeline: Timeline, power_off: Callable[[], None]) -> None:
        super().__init__("piix4-pm", vendor=INTEL, device=0x7113, class_code=0x068000, revision=MOBILE_STEPPING)
        self.registers = PmRegisters(timeline, power_off)
        self.set_config(0x06, 2, 0x0280, write_1_clears=0x0800)
        self.set_config(0x3D, 1, 1)
        self.set_config(PMBA, 4, 1, writable=0xFFC0)
        for offset in (0x44, 0x48, 0x4C, 0x50, 0x54, 0x58, 0x5C, 0x60, 0x64, 0x68, 0x6C, 0x70, 0x74, 0x78, 0x7C):
            self.set_config(offset, 4, 0, writable=0xFFFFFFFF)  # CNTA … DEVRESJ: kept
        self.set_config(PMREGMISC, 1, 0, writable=0x01)
        self.set_config(0x90, 4, 1, writable=0xFFF0)  # SMBBA
        self.set_config(0xD2, 1, 0, writable=0x0F)  # SMBHSTCFG
        self._window = Bar(6, PM_OCTETS, self.registers, io=True)
        self.bars.append(self._window)

    def bar_address(self, bar: Bar) -> int | None:
        """PMBA is a base register outside the standard header, with a switch of its own (PMREGMISC)."""
        if bar is not self._window:
            return super().bar_address(bar)
        if not self.config[PMREGMISC] & PMREGMISC_PMIOSE:
            return None
        return int.from_bytes(self.config[PMBA : PMBA + 2], "little") & 0xFFC0 or None

    def config_changed(self, offset: int, size: int) -> None:
        """The window may have moved."""
        self.on_moved()

    def state(self) -> State:
        """As `Device.state`."""
        return super().state() | {"pm_status": self.registers.status, "pm": bytes(self.registers.octets)}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        super().from_state(state)
        take_version(state, 1)
        self.registers.status = take_int(state, "pm_status", 0xFFFF)
        self.registers.octets[:] = take(state, "pm", bytes).ljust(PM_OCTETS, b"\0")[:PM_OCTETS]
