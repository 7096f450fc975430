"""Devices of uMPS3 on a bench: memory, the event queue, and a clock that the test moves."""

from dataclasses import dataclass, field

from emulators.device import Timeline
from emulators.devices.umps.events import Clock, EventQueue
from emulators.dma import Dma
from emulators.outside import MemoryDisk

RAM = 0x2000_0000


class Memory:
    """128 KiB of RAM at its place."""

    def __init__(self) -> None:
        self.octets = bytearray(128 << 10)

    def _at(self, gpa: int, octets: int) -> int:
        if gpa < RAM or gpa + octets > RAM + len(self.octets):
            raise ValueError(f"{octets} octets at {gpa:#x}")
        return gpa - RAM

    def read(self, gpa: int, octets: int, /) -> bytes:
        at = self._at(gpa, octets)
        return bytes(self.octets[at : at + octets])

    def write(self, gpa: int, data: bytes, /) -> None:
        at = self._at(gpa, len(data))
        self.octets[at : at + len(data)] = data


@dataclass
class Bench:
    """What a device needs. `asked`: the askings for interrupts, in order."""

    scale: int = 1
    asked: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.timeline = Timeline()
        self.clock = Clock(self.timeline, self.scale)
        self.events = EventQueue(self.clock)
        self.memory = Memory()
        self.dma = Dma(self.memory)

    @property
    def tick(self) -> int:
        """Ticks that are complete."""
        return self.clock.tod - 1

    @property
    def pending(self) -> bool:
        """Is the interrupt pending?"""
        return bool(self.asked) and self.asked[-1]

    def at(self, tick: int) -> None:
        """Go to a tick without anything happening."""
        self.timeline.now_ns = tick * 1000 // self.scale

    def until_quiet(self) -> int:
        """Let everything happen that is due; answers the ticks that it took."""
        began = self.tick
        while (deadline := self.events.next_deadline()) is not None:
            self.timeline.now_ns = deadline
            self.events.handle_timer(deadline)
        return self.tick - began

    def pass_ticks(self, ticks: int) -> None:
        """Let happen what is due within so many ticks."""
        end = self.tick + ticks
        while (deadline := self.events.next_deadline()) is not None and self._tick(deadline) <= end:
            self.timeline.now_ns = max(deadline, self.timeline.now_ns)
            self.events.handle_timer(deadline)
        self.at(end)

    def _tick(self, ns: int) -> int:
        return -(-ns * self.scale // 1000)


class FailingDisk(MemoryDisk):
    """A medium that fails."""

    def read_at(self, offset: int, octets: int) -> bytes:
        raise OSError(5, "the medium is damaged")

    def write_at(self, offset: int, data: bytes) -> None:
        raise OSError(5, "the medium is damaged")
