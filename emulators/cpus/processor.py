"""From a native engine's tuples to the exits of the contract, and back; shared by the facades of all engines.

A native engine has `run(budget, data, bus_error)`, which answers (number, fields…). Numbers: 0 BUDGET · 1 MMIO read
(gpa, size) · 2 MMIO write (gpa, size, data) · 3 KICKED · 4 HALT · 5 DEBUG (reason, address) · 6 HYPERCALL (number) ·
7 EXCEPTION (vector, next pc) · 8 INTERNAL_ERROR (pc, octets).
"""

from typing import Any

from emulators.exits import Budget, Debug, ExceptionTaken, Exit, Halt, Hypercall, InternalError, Kicked, Mmio


class Answer:
    """What the next run has to be told about the exit before."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: Mmio | None = None

    def of_last(self) -> tuple[bytes | None, bool]:
        """(data, bus error) for the run to come.

        Raises:
            RuntimeError: a read was asked for and has neither.
        """
        last = self._last
        if last is None:
            return None, False
        if last.direction == "read" and last.data is None and not last.bus_error:
            raise RuntimeError(f"the read of {last.size} octets at {last.gpa:#x} has no data")
        return last.data, last.bus_error

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
            case _:
                return InternalError(fields[1], fields[2])

    @property
    def pending(self) -> Mmio | None:
        """The read that waits for its data."""
        return self._last if self._last and self._last.direction == "read" else None

    def forget(self) -> None:
        """The processor became another: nothing is to be answered."""
        self._last = None

    def resume(self, last: Mmio | None) -> None:
        """The processor was restored in the middle of an access."""
        self._last = last
