"""What the facades of all engines share: from a native engine's tuples to the exits of the contract, and back.

A native engine has `run(budget, data, bus_error)`, which answers (number, fields…). Numbers: 0 BUDGET · 1 MMIO read
(gpa, size) · 2 MMIO write (gpa, size, data) · 3 KICKED · 4 HALT · 5 DEBUG (reason, address) · 6 HYPERCALL (number) ·
7 EXCEPTION (vector, next pc) · 8 INTERNAL_ERROR (pc, octets) · 9 IO read (port, size, count) · 10 IO write (port, size,
count, data) · 11 IRQ_WINDOW · 12 SHUTDOWN.
"""

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from emulators.cpus.vm import Vm
from emulators.exits import (
    Budget,
    Debug,
    ExceptionTaken,
    Exit,
    Halt,
    Hypercall,
    InternalError,
    Io,
    IrqWindow,
    Kicked,
    Mmio,
    Shutdown,
)

if TYPE_CHECKING:
    from vde import _native

Watch = Literal["read", "write", "access"]
N = TypeVar("N", bound="_native.Engine")


class Answer:
    """What the next run has to be told about the exit before."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: Mmio | Io | None = None

    def of_last(self) -> tuple[bytes | None, bool]:
        """(data, bus error) for the run to come.

        Raises:
            RuntimeError: a read was asked for and has neither.
        """
        last = self._last
        if last is None:
            return None, False
        bus_error = isinstance(last, Mmio) and last.bus_error
        if last.direction == "read" and last.data is None and not bus_error:
            where = f"{last.gpa:#x}" if isinstance(last, Mmio) else f"port {last.port:#x}"
            raise RuntimeError(f"the read of {last.size} octets at {where} has no data")
        return last.data, bus_error

    def exit(self, fields: tuple[Any, ...]) -> Exit:
        """The exit that a native engine's tuple means."""
        self._last = None
        match fields[0]:
            case 0:
                return Budget()
            case 1:
                self._last = Mmio("read", fields[1], fields[2])
                return self._last
            case 2:
                self._last = Mmio("write", fields[1], fields[2], fields[3])
                return self._last
            case 3:
                return Kicked()
            case 4:
                return Halt()
            case 5:
                return Debug(fields[1], fields[2])
            case 6:
                return Hypercall(fields[1])
            case 7:
                return ExceptionTaken(fields[1], fields[2])
            case 9:
                self._last = Io("read", fields[1], fields[2], fields[3])
                return self._last
            case 10:
                self._last = Io("write", fields[1], fields[2], fields[3], fields[4])
                return self._last
            case 11:
                return IrqWindow()
            case 12:
                return Shutdown()
            case _:
                return InternalError(fields[1], fields[2])

    @property
    def pending(self) -> Mmio | Io | None:
        """The read that waits for its data."""
        return self._last if self._last and self._last.direction == "read" else None

    def forget(self) -> None:
        """The processor became another: nothing is to be answered."""
        self._last = None

    def resume(self, last: Mmio | Io | None) -> None:
        """The processor was restored in the middle of an access."""
        self._last = last


class Engine(Generic[N]):
    """The part of a facade that is the same for every processor.

    Args:
        vm: its memory; what is not memory there is a device's (`Mmio` exits).
        native: the engine.

    Not for several threads, except `kick()`.
    """

    def __init__(self, vm: Vm, native: N) -> None:
        self.vm = vm
        self._native = native
        self._answer = Answer()

    def kick(self) -> None:
        """End the present run, or the next one, with `Kicked`. From any thread."""
        self._native.kick()

    @property
    def icount(self) -> int:
        """Instructions retired (an instruction that ended in an exception counts), by all processors together."""
        return self._native.icount

    @property
    def ticks(self) -> int:
        """The clock: `icount` and what was skipped."""
        return self._native.ticks

    def skip(self, ticks: int) -> None:
        """Advance the clock without instructions. Raises ValueError beyond `next_timer()`."""
        self._native.skip(ticks)

    def snapshot(self) -> bytes:
        """The processor, as `restore` takes it. Breakpoints and interceptions are not in it."""
        return self._native.snapshot()

    def restore(self, octets: bytes) -> None:
        """Become what a snapshot says. Raises ValueError, and is unchanged, if it is none of this model's."""
        self._native.restore(octets)
        self._answer.resume(self._begun_read())

    def _begun_read(self) -> Mmio | Io | None:
        pending = self._native.pending()
        return Mmio("read", pending[0], pending[1]) if pending else None

    @property
    def pending(self) -> Mmio | Io | None:
        """The read whose `data` the next run needs; behind `restore` it may be another object than before."""
        return self._answer.pending

    def add_breakpoint(self, va: int) -> None:
        """Come back with `Debug` before the instruction at `va` (any processor's); the next run goes past it."""
        self._native.add_breakpoint(va)

    def remove_breakpoint(self, va: int) -> None:
        """Undo `add_breakpoint`."""
        self._native.remove_breakpoint(va)

    def add_watchpoint(self, va: int, size: int, kind: Watch) -> None:
        """Come back with `Debug` behind an instruction that accesses any of `size` octets at `va`."""
        self._native.add_watchpoint(va, size, kind != "write", kind != "read")

    def remove_watchpoint(self, va: int, size: int, kind: Watch) -> None:
        """Undo `add_watchpoint` with the same arguments."""
        self._native.remove_watchpoint(va, size, kind != "write", kind != "read")
