"""From a native engine's tuples to the exits of the contract, and back; shared by the facades of all engines.

A native engine has `run(budget, data, bus_error)`, which answers (number, fields…). Numbers: 0 BUDGET · 1 MMIO read
(gpa, size) · 2 MMIO write (gpa, size, data) · 3 KICKED · 4 HALT · 5 DEBUG (reason, address) · 6 HYPERCALL (number) ·
7 EXCEPTION (vector, next pc) · 8 INTERNAL_ERROR (pc, octets) · 9 IO read (port, size, count) · 10 IO write (port, size,
count, data) · 11 IRQ_WINDOW · 12 SHUTDOWN.
"""

from typing import Any

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
    def pending(self) -> Mmio | None:
        """The read of an address that waits for its data."""
        found = self.pending_read
        return found if isinstance(found, Mmio) else None

    @property
    def pending_read(self) -> Mmio | Io | None:
        """The read, of an address or a port, that waits for its data."""
        return self._last if self._last and self._last.direction == "read" else None

    def forget(self) -> None:
        """The processor became another: nothing is to be answered."""
        self._last = None

    def resume(self, last: Mmio | Io | None) -> None:
        """The processor was restored in the middle of an access."""
        self._last = last
