"""Intel 82371SB PIIX3: the bridge from PCI to ISA of the i440FX's time, and the port that switches address line 20.

Datasheet: Intel 82371FB (PIIX) and 82371SB (PIIX3) PCI ISA IDE Xcelerator (290550-002, 1997), sections as cited.
Boards: pc.

Emulated: function 0: interrupt routing PIRQRC[A:D] and the reset control register (port 0xCF9), both by the class that
the PIIX4 has (`emulators.devices.pci.piix4`); port 0x92 (fast reset and alternate A20); the two ports of the advanced
power management (0xB2, 0xB3), which keep what is written.

Not emulated: function 1 (IDE: `emulators.devices.ide`), function 2 (USB: absent), motherboard DMA, ISA DMA, SMI (a
write to 0xB2 raises none), X-bus chip selects. The PIIX3 has no power management function; boards take the PIIX4's.

The two ways to switch A20, port 0x92 and the keyboard controller, are one switch: the last write counts. The chip
ORs them, but firmware that leaves one of them on has made programs expect that either way works.

| threat | stopped by |
|---|---|
| routing of several PIRQs to one input | inputs are computed from all four, always |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.devices.pci.piix4 import PiixIsa
from emulators.snapshot import take, take_int, take_version

DEVICE: Final = 0x7000
KEPT: Final = (
    (0x4C, 1, 0x4D, 0xFF),  # IORT, §2.2.8
    (0x4E, 2, 0x0003, 0xFFFF),  # XBCS, §2.2.9
    (0x69, 1, 0x02, 0xFE),  # TOM, §2.2.11
    (0x6A, 2, 0, 0x80FE),  # MSTAT, §2.2.12
    (0x70, 1, 0x80, 0xEF),  # MBIRQ0, §2.2.13
    (0x76, 2, 0x0C0C, 0x8F8F),  # MBDMA, §2.2.14
    (0x78, 2, 0x0002, 0xFFFF),  # PCSC, §2.2.15
    (0x80, 1, 0, 0x7F),  # APICBASE, §2.2.16
    (0x82, 1, 0, 0x0F),  # DLC, §2.2.17
    (0xA0, 1, 0x08, 0x1F),  # SMICNTL, §2.2.18
    (0xA2, 2, 0, 0x7FFF),  # SMIEN, §2.2.19
    (0xA4, 4, 0, 0xFFFFFFFF),  # SEE, §2.2.20
    (0xA8, 1, 0x0F, 0xFF),  # FTMR, §2.2.21
    (0xAA, 2, 0, 0x7FFF),  # SMIREQ, §2.2.22
    (0xAC, 1, 0, 0xFF),  # CTLTMR, §2.2.23
    (0xAE, 1, 0, 0xFF),  # CTHTMR, §2.2.24
)
PORT92_RESET, PORT92_A20 = 0x01, 0x02  # §2.5.4.3
APMC, APMS = 0, 1  # §2.5.3.1, offsets from 0xB2


class Piix3Isa(PiixIsa):
    """Function 0. Arguments as `PiixIsa`."""

    def __init__(self, *, line: Callable[[int], Irq], reset: Callable[[], None]) -> None:
        super().__init__("piix3", device=DEVICE, kept=KEPT, line=line, reset=reset)


class Port92(EightBit):
    """Port 0x92, and the switch of address line 20 that the keyboard controller has its hand on as well.

    Args:
        a20: the processor's A20M#, inverted: True: addresses have bit 20.
        reset: the guest resets the processor.
        on: the line at the start.
    """

    timed = False

    def __init__(self, *, a20: Callable[[bool], None], reset: Callable[[], None], on: bool = True) -> None:
        self._a20 = a20
        self._reset = reset
        self.on = on
        self.mistakes = 0
        a20(on)

    def switch(self, on: bool) -> None:
        """What either of the two ways does."""
        if on != self.on:
            self.on = on
            self._a20(on)

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        return ALL_ONES if offset else PORT92_A20 * self.on

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset:
            self.mistakes += 1
            return
        self.switch(bool(value & PORT92_A20))
        if value & PORT92_RESET:
            self._reset()

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "on": self.on}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`. The processor's own state holds the line."""
        take_version(state, 1)
        self.on = take(state, "on", bool)


class ApmPorts(EightBit):
    """Ports 0xB2 and 0xB3: between programs and an SMI handler, which is not there."""

    timed = False

    def __init__(self) -> None:
        self.octets = bytearray(2)

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        return self.octets[offset] if offset <= APMS else ALL_ONES

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset <= APMS:
            self.octets[offset] = value

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "control": self.octets[APMC], "status": self.octets[APMS]}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self.octets[APMC] = take_int(state, "control", 0xFF)
        self.octets[APMS] = take_int(state, "status", 0xFF)
