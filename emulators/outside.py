"""What a board sees of the world: consoles, network cards' cables, disks, chance. The adapter holds the other ends.

A board asks its `Outside` for ends while it is built, and wires devices to them: a device's output callable is an
end's `out` or `send`, and the device's input method becomes the end's `on_input` or `on_frame`. The adapter calls
those only between two runs of the machine, at a known tick, so that a run can be recorded and replayed.

    serial = outside.console("serial0")
    uart = Uart16550(irq=…, out=serial.out, timeline=timeline)
    serial.on_input = uart.receive

`Bench` is an outside in memory, for tests and for measurements; `emulators.guest` has the real one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from emulators.devices.video.picture import Frame, TextScreen

SECTOR_OCTETS = 512


@dataclass(slots=True)
class ConsoleEnd:
    """A serial line's, terminal's or printer's end.

    Attributes:
        out: the device calls it with octets that the guest wrote.
        on_input: the device's wiring sets it; takes octets that the user typed. The device may keep only so many, and
            drops the rest, counted; `ready_octets` says how many it would take now.
        on_size: set by devices that tell their guest the window's size (columns, rows).
        ready_octets: set by devices that can say how many octets they would take now; None: any number.
        lines: set by boards whose guests end a line with LF alone, in both directions; a terminal is told CR LF then,
            and its Enter key is LF.
    """

    out: Callable[[bytes], None]
    on_input: Callable[[bytes], None] | None = None
    on_size: Callable[[int, int], None] | None = None
    ready_octets: Callable[[], int] | None = None
    lines: bool = False


@dataclass(slots=True)
class NicEnd:
    """A network card's cable.

    Attributes:
        send: the device calls it with one Ethernet frame without FCS.
        on_frame: the device's wiring sets it; takes one frame without FCS, 14 octets or more, and is free to drop it.
        on_link: the device's wiring sets it, if it can tell its guest: is the cable plugged in?
        ready_frames: set by devices that can say how many frames they would take now; None: any number (and drops).
        mac: what the user wants as address, or None: the board's choice.
    """

    send: Callable[[bytes], None]
    on_frame: Callable[[bytes], None] | None = None
    on_link: Callable[[bool], None] | None = None
    ready_frames: Callable[[], int] | None = None
    mac: bytes | None = None


@dataclass(slots=True)
class ScreenEnd:
    """A display, and the keyboard and mouse before it. The device's wiring sets everything.

    Attributes:
        look: what is to be seen: cells in a text mode, else pixels. Only between two runs of the machine.
        frame: pixels in any mode.
        on_key: a key, by its name in `emulators.devices.input.keys`, goes down or up.
        ready_keys: how many such events the keyboard would take now.
        on_mouse: moved by so many counts right, up, and of the wheel; the buttons that are down.
    """

    look: Callable[[], TextScreen | Frame] | None = None
    frame: Callable[[], Frame] | None = None
    on_key: Callable[[str, bool], None] | None = None
    ready_keys: Callable[[], int] | None = None
    on_mouse: Callable[[int, int, int, int], None] | None = None


class DiskEnd(Protocol):
    """A disk's contents. `size_octets` is fixed. Ranges outside it raise ValueError (the device checks before)."""

    @property
    def size_octets(self) -> int:
        """Its size."""
        ...

    @property
    def readonly(self) -> bool:
        """Must the device refuse writes?"""
        ...

    def read_at(self, offset: int, octets: int) -> bytes:
        """Exactly `octets` octets. Raises OSError: the medium fails, which the device reports to its guest."""
        ...

    def write_at(self, offset: int, data: bytes) -> None:
        """Write. Raises OSError as above."""
        ...

    def flush(self) -> None:
        """Have what was written safe. Raises OSError as above."""
        ...


class Outside(Protocol):
    """What a board is built with."""

    def console(self, name: str) -> ConsoleEnd:
        """The console of that name; one that nobody looks at if the user named none."""
        ...

    def screen(self) -> ScreenEnd:
        """The display; one that nobody looks at if the user wants none."""
        ...

    def nics(self) -> int:
        """How many cables there are."""
        ...

    def nic(self, index: int) -> NicEnd:
        """Cable `index`, from 0; one without anything at its other end if the user named none."""
        ...

    def disks(self) -> int:
        """How many disks there are."""
        ...

    def disk(self, index: int) -> DiskEnd | None:
        """Disk `index`, from 0, or None: the user named none."""
        ...

    def entropy(self, octets: int) -> bytes:
        """Random octets: the kernel's, or of a seeded generator where a run shall be repeatable."""
        ...


class MemoryDisk:
    """A disk in memory."""

    def __init__(self, contents: bytes, *, readonly: bool = False) -> None:
        self.contents = bytearray(contents)
        self.readonly = readonly
        self.flushes = 0

    @property
    def size_octets(self) -> int:
        """Its size."""
        return len(self.contents)

    def read_at(self, offset: int, octets: int) -> bytes:
        """As `DiskEnd.read_at`."""
        check_range(self, offset, octets)
        return bytes(self.contents[offset : offset + octets])

    def write_at(self, offset: int, data: bytes) -> None:
        """As `DiskEnd.write_at`."""
        check_range(self, offset, len(data))
        if self.readonly:
            raise PermissionError("the disk is read-only")
        self.contents[offset : offset + len(data)] = data

    def flush(self) -> None:
        """Counted."""
        self.flushes += 1


def check_range(disk: DiskEnd, offset: int, octets: int) -> None:
    """Raises ValueError: the range is not within the disk."""
    if offset < 0 or octets < 0 or offset + octets > disk.size_octets:
        raise ValueError(f"{octets} octets at {offset}: the disk has {disk.size_octets}")


@dataclass
class Bench:
    """An outside in memory.

    Attributes:
        disk_list: the disks.
        nic_count: how many cables.
        written: what the guest wrote, by console.
        sent: frames that the guest sent, by card.
        consoles, cables: the ends that were given out.
    """

    disk_list: Sequence[DiskEnd] = ()
    nic_count: int = 0
    seed: int = 0
    written: dict[str, bytearray] = field(default_factory=dict)
    sent: dict[int, list[bytes]] = field(default_factory=dict)
    consoles: dict[str, ConsoleEnd] = field(default_factory=dict)
    cables: dict[int, NicEnd] = field(default_factory=dict)
    macs: Mapping[int, bytes] = field(default_factory=dict)
    display: ScreenEnd = field(default_factory=ScreenEnd)

    def console(self, name: str) -> ConsoleEnd:
        """As `Outside.console`."""
        if name not in self.consoles:
            self.consoles[name] = ConsoleEnd(self.written.setdefault(name, bytearray()).extend)
        return self.consoles[name]

    def screen(self) -> ScreenEnd:
        """As `Outside.screen`."""
        return self.display

    def nics(self) -> int:
        """As `Outside.nics`."""
        return self.nic_count

    def nic(self, index: int) -> NicEnd:
        """As `Outside.nic`."""
        if index not in self.cables:
            self.cables[index] = NicEnd(self.sent.setdefault(index, []).append, mac=self.macs.get(index))
        return self.cables[index]

    def disks(self) -> int:
        """As `Outside.disks`."""
        return len(self.disk_list)

    def disk(self, index: int) -> DiskEnd | None:
        """As `Outside.disk`."""
        return self.disk_list[index] if index < len(self.disk_list) else None

    def entropy(self, octets: int) -> bytes:
        """The same octets in every run: 64-bit counters, multiplied by an odd constant (Knuth vol 2, 3.2.1.3)."""
        words = []
        for _ in range(-(-octets // 8)):
            self.seed = (self.seed * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
            words.append(self.seed.to_bytes(8, "little"))
        return b"".join(words)[:octets]
