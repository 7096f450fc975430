"""Intel 8259A programmable interrupt controllers, two of them in a cascade, with the ELCR of the PCI era.

Datasheets: Intel 8259A (231468, 1988); ELCR: Intel 82371AB PIIX4 (290562, §4.2.6).
Boards: malta; made for the PC as well.

Registers, as offsets that the board maps (ports of a PC in brackets):

| offset | read | write |
|---|---|---|
| 0 (0x20) | IRR or ISR, or the poll's answer | ICW1, OCW2, OCW3 |
| 1 (0x21) | IMR, or the poll's answer | OCW1; ICW2–ICW4 during initialisation |
| 2, 3 (0xA0, 0xA1) | the same of the second controller | |
| 4, 5 (0x4D0, 0x4D1) | ELCR: 1 = level, 0 = edge | |

Emulated: initialisation; edge (a request is withdrawn when its line falls before the acknowledge, which then gives the
spurious IR7); level by line through the ELCR; all EOI and rotation commands; automatic EOI; special mask mode; special
fully nested mode; poll command. The processor's acknowledge is `acknowledge()`: it answers the vector.

Not emulated: 8080 mode (vectors are those of the 8086), buffered mode (no effect here), ICW1's level bit (PIIX4
ignores it: the ELCR is in its place), other cascades than the PC's (the second controller on input 2).

Theory: `raised` are the lines as they are, `latched` the edges seen since; a request is a raised line that is level
triggered or latched. Whatever changes calls `_update`, which drives INT.

| threat | stopped by |
|---|---|
| an endless loop through two controllers that drive each other | the second drives the first, never the reverse |
| writes in the middle of an initialisation | the sequence has a state of its own; any ICW1 starts it again |
"""

from emulators.device import Irq, State
from emulators.devices.eight_bit import ALL_ONES, EightBit
from emulators.snapshot import take, take_int, take_version

ICW1 = 0x10  # 8259A figure 7: D4 of a write to A0=0
ICW1_SNGL = 0x02
ICW1_IC4 = 0x01
ICW4_SFNM = 0x10
ICW4_AEOI = 0x02
OCW3 = 0x08  # figure 8: D4=0, D3=1
OCW3_ESMM = 0x40
OCW3_SMM = 0x20
OCW3_POLL = 0x04
OCW3_RR = 0x02
OCW3_RIS = 0x01
OCW2_ROTATE = 0x80
OCW2_SPECIFIC = 0x40
OCW2_EOI = 0x20
POLL_INT = 0x80  # "Poll command": D7 of the answer
CASCADE = 2  # the PC's wiring: INT of the second controller to IR2 of the first
SPURIOUS = 7  # "edge and level triggered modes": the default IR7
ELCR_WRITABLE = (0xF8, 0xDE)  # PIIX4 §4.2.6: IRQ 0, 1, 2, 8 and 13 cannot be level triggered

READY = 0
"""`step`: no initialisation under way; 2, 3, 4: the ICW that comes next."""


class Controller:
    """One 8259A."""

    def __init__(self, out: Irq, *, elcr_writable: int, slaves: int) -> None:
        self._out = out
        self._elcr_writable = elcr_writable
        self._slaves = slaves
        self.elcr = 0
        self.raised = 0
        self.latched = 0
        self.isr = 0
        self.imr = 0
        self.base = 0
        self.lowest = 7
        self.step = READY
        self.single = False
        self.wants_icw4 = False
        self.aeoi = False
        self.rotate_in_aeoi = False
        self.sfnm = False
        self.special_mask = False
        self.polled = False
        self.read_isr = False

    def requests(self) -> int:
        """IRR."""
        return self.raised & (self.latched | self.elcr)

    def line(self, number: int, level: bool) -> None:
        """Input `number` changes, or not."""
        bit = 1 << number
        if level:
            if not self.raised & bit:
                self.raised |= bit
                self.latched |= bit
        else:
            self.raised &= ~bit
            self.latched &= ~bit
        self._update()

    def pending(self) -> int | None:
        """The input whose request INT stands for."""
        requests = self.requests() & ~self.imr
        if not requests:
            return None
        serving = self.isr
        if self.special_mask:
            serving &= ~self.imr
        if self.sfnm:
            serving &= ~self._slaves
        for step in range(1, 9):
            number = self.lowest + step & 7
            if serving >> number & 1:
                return None  # what is served holds back its own level and all below
            if requests >> number & 1:
                return number
        return None

    def acknowledge(self) -> int | None:
        """INTA: the input that is served from now on, or None: the request has gone."""
        number = self.pending()
        if number is None:
            return None
        bit = 1 << number
        self.latched &= ~bit
        if self.aeoi:
            if self.rotate_in_aeoi:
                self.lowest = number
        else:
            self.isr |= bit
        self._update()
        return number

    def read(self, a0: int) -> int:
        """A read of the port."""
        if self.polled:
            self.polled = False
            number = self.acknowledge()
            return 0 if number is None else POLL_INT | number
        if a0:
            return self.imr
        return self.isr if self.read_isr else self.requests()

    def write(self, a0: int, value: int) -> None:
        """A write to the port."""
        if not a0 and value & ICW1:
            self._initialise(value)
        elif not a0 and value & OCW3:
            self._ocw3(value)
        elif not a0:
            self._ocw2(value)
        elif self.step == READY:
            self.imr = value
        else:
            self._icw(value)
        self._update()

    def read_elcr(self) -> int:
        """The ELCR."""
        return self.elcr

    def write_elcr(self, value: int) -> None:
        """Write it."""
        self.elcr = value & self._elcr_writable
        self._update()

    def _initialise(self, value: int) -> None:
        """ICW1: 8259A, "initialization command words 1 and 2", a to f."""
        self.step = 2
        self.single = bool(value & ICW1_SNGL)
        self.wants_icw4 = bool(value & ICW1_IC4)
        self.latched = self.isr = self.imr = 0
        self.lowest = 7
        self.special_mask = self.read_isr = self.polled = False
        self.rotate_in_aeoi = False
        if not self.wants_icw4:
            self.aeoi = self.sfnm = False

    def _icw(self, value: int) -> None:
        if self.step == 2:
            self.base = value & 0xF8
            self.step = 4 if self.single else 3
        elif self.step == 3:
            self.step = 4  # ICW3: the wiring is the PC's, whatever the guest says
        else:
            self.sfnm = bool(value & ICW4_SFNM)
            self.aeoi = bool(value & ICW4_AEOI)
            self.step = READY
        if self.step == 4 and not self.wants_icw4:
            self.step = READY

    def _ocw2(self, value: int) -> None:
        """Figure 8: R, SL, EOI."""
        number = value & 7
        if not value & OCW2_EOI:
            if value & OCW2_SPECIFIC:
                if value & OCW2_ROTATE:  # "set priority"; without it: no operation
                    self.lowest = number
            else:
                self.rotate_in_aeoi = bool(value & OCW2_ROTATE)
            return
        if not value & OCW2_SPECIFIC:
            served = self._highest_served()
            if served is None:
                return
            number = served
        self.isr &= ~(1 << number)
        if value & OCW2_ROTATE:
            self.lowest = number

    def _highest_served(self) -> int | None:
        """What a non-specific EOI ends: masked inputs are left alone in special mask mode."""
        serving = self.isr & ~self.imr if self.special_mask else self.isr
        for step in range(1, 9):
            number = self.lowest + step & 7
            if serving >> number & 1:
                return number
        return None

    def _ocw3(self, value: int) -> None:
        if value & OCW3_ESMM:
            self.special_mask = bool(value & OCW3_SMM)
        if value & OCW3_POLL:
            self.polled = True
        elif value & OCW3_RR:
            self.read_isr = bool(value & OCW3_RIS)

    def _update(self) -> None:
        self._out(self.pending() is not None)

    NUMBERS = (
        ("elcr", 0xFF),
        ("raised", 0xFF),
        ("latched", 0xFF),
        ("isr", 0xFF),
        ("imr", 0xFF),
        ("base", 0xF8),
        ("lowest", 7),
        ("step", 4),
    )
    FLAGS = (
        "single",
        "wants_icw4",
        "aeoi",
        "rotate_in_aeoi",
        "sfnm",
        "special_mask",
        "polled",
        "read_isr",
    )

    def state(self) -> State:
        """As `Device.state`."""
        return {name: getattr(self, name) for name, _ in self.NUMBERS} | {
            name: getattr(self, name) for name in self.FLAGS
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        for name, limit in self.NUMBERS:
            setattr(self, name, take_int(state, name, limit))
        for name in self.FLAGS:
            setattr(self, name, take(state, name, bool))


class I8259Pair(EightBit):
    """The two controllers of a PC: inputs 0–15, of which 2 is the cascade's own.

    Args:
        irq: INT of the first controller, to the processor.
    """

    timed = False

    def __init__(self, *, irq: Irq) -> None:
        self.master = Controller(irq, elcr_writable=ELCR_WRITABLE[0], slaves=1 << CASCADE)
        self.slave = Controller(self._cascade, elcr_writable=ELCR_WRITABLE[1], slaves=0)
        self.mistakes = 0
        self.spurious = 0

    def _cascade(self, level: bool) -> None:
        self.master.line(CASCADE, level)

    def line(self, number: int) -> Irq:
        """Input `number` (0–15) as a line to give to a device."""
        controller = self.slave if number & 8 else self.master
        return lambda level: controller.line(number & 7, level)

    def acknowledge(self) -> int:
        """The processor's (or host bridge's) interrupt acknowledge cycle: the vector."""
        number = self.master.acknowledge()
        if number is None:
            self.spurious += 1
            return self.master.base | SPURIOUS
        if number != CASCADE:
            return self.master.base | number
        number = self.slave.acknowledge()
        if number is None:
            self.spurious += 1
            number = SPURIOUS
        return self.slave.base | number

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        match offset:
            case 0 | 1:
                return self.master.read(offset)
            case 2 | 3:
                return self.slave.read(offset & 1)
            case 4:
                return self.master.read_elcr()
            case 5:
                return self.slave.read_elcr()
        self.mistakes += 1
        return ALL_ONES

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        match offset:
            case 0 | 1:
                self.master.write(offset, value)
            case 2 | 3:
                self.slave.write(offset & 1, value)
            case 4:
                self.master.write_elcr(value)
            case 5:
                self.slave.write_elcr(value)
            case _:
                self.mistakes += 1

    def next_deadline(self) -> int | None:
        """None: no time passes here."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "master": self.master.state(), "slave": self.slave.state()}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        self.master.from_state(take(state, "master", dict))
        self.slave.from_state(take(state, "slave", dict))
