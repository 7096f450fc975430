"""Why an engine came back: the exits of the engine contract, the same for every instruction set.

`Cpu.run(budget_insns)` answers one of these; `docs/engine.md` is the contract. Every exit leaves exact architectural
state. Octets are in the order of guest memory (lowest address first).

A **read** (`Io`, `Mmio` with `direction == "read"`) is completed by setting `data` to `size` × `count` octets: the next
`run` goes on from there. A **write** is finished already: its octets are in `data`.

This module has no behaviour.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

Direction = Literal["read", "write"]


@dataclass(slots=True)
class Io:
    """An access to the port space (i386 only). `count` > 1: a string instruction's accesses, joined."""

    kind: ClassVar[str] = "IO"
    direction: Direction
    port: int
    size: int
    count: int = 1
    data: bytes | None = None


@dataclass(slots=True)
class Mmio:
    """An access to a guest-physical address without memory. `size` is 1, 2, 4 or 8 octets.

    `bus_error`, set by the board, makes the access end in the architecture's bus error instead (MIPS: IBE or DBE).
    """

    kind: ClassVar[str] = "MMIO"
    direction: Direction
    gpa: int
    size: int
    data: bytes | None = None
    bus_error: bool = False


@dataclass(frozen=True, slots=True)
class Halt:
    """The processor waits for an interrupt (WAIT, HLT, MSR[POW]). `run` again: halts again until one is pending."""

    kind: ClassVar[str] = "HALT"


@dataclass(frozen=True, slots=True)
class IrqWindow:
    """Interrupts, asked for with `request_irq_window`, may be injected now (i386 only)."""

    kind: ClassVar[str] = "IRQ_WINDOW"


@dataclass(frozen=True, slots=True)
class Budget:
    """The instructions that `run` was given are done, to the exact one."""

    kind: ClassVar[str] = "BUDGET"


@dataclass(frozen=True, slots=True)
class Kicked:
    """`kick()` was called, before or during this run."""

    kind: ClassVar[str] = "KICKED"


@dataclass(frozen=True, slots=True)
class Debug:
    """A breakpoint before its instruction, or a watchpoint behind the access.

    Attributes:
        reason: `breakpoint`, `watch-read` or `watch-write`.
        address: guest-virtual address of the instruction, or of the access.
        processor: whose, where an engine has several.
    """

    kind: ClassVar[str] = "DEBUG"
    reason: Literal["breakpoint", "watch-read", "watch-write"]
    address: int
    processor: int = 0


@dataclass(frozen=True, slots=True)
class Hypercall:
    """The guest executed the instruction set aside for calls to the host; `number` is its code field."""

    kind: ClassVar[str] = "HYPERCALL"
    number: int


@dataclass(frozen=True, slots=True)
class ExceptionTaken:
    """An exception that `intercept` named is about to be taken: nothing of it has happened to the state yet.

    Attributes:
        vector: the exception's number by the manual (MIPS: Cause.ExcCode; i386: vector; PowerPC: offset).
        next_pc: where the guest goes on if the host handles it (behind the instruction, or at the branch's target).
    """

    kind: ClassVar[str] = "EXCEPTION"
    vector: int
    next_pc: int = 0


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The processor cannot go on by its own rules (i386: triple fault)."""

    kind: ClassVar[str] = "SHUTDOWN"


@dataclass(frozen=True, slots=True)
class InternalError:
    """The engine meets what it cannot emulate. `pc` is virtual; `octets` are the instruction's, as far as readable."""

    kind: ClassVar[str] = "INTERNAL_ERROR"
    pc: int
    octets: bytes


Exit = Io | Mmio | Halt | IrqWindow | Budget | Kicked | Debug | Hypercall | ExceptionTaken | Shutdown | InternalError
