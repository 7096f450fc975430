"""GDB's threads: a machine's processors, numbered from 1. Sans-I/O.

Specification: GDB manual, appendix E "Packets" (H, T, `thread-id`), "General Query Packets" (qC, qfThreadInfo,
qThreadExtraInfo), "vCont".

Theory of operation. A machine of several processors (uMPS3's) runs them in lock-step: one cannot go on without the
others. A step of one of them lasts until it has had its turn, and the others have theirs on the way.

Not supported: one that stands still while others run (`set scheduler-locking on` holds nobody back).
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from emulators.machine import Machine

FIRST = 1
"""GDB's thread 0 means "any"."""


@runtime_checkable
class Several(Protocol):
    """An engine of several processors, as far as GDB asks for more than it does of one."""

    count: int

    @property
    def current(self) -> int:
        """Whose turn it is."""
        ...

    def state(self, cpu: int = 0) -> dict[str, int]:
        """One's state."""
        ...

    def set_state(self, state: Mapping[str, int], cpu: int = 0) -> None:
        """Change it."""
        ...


def count(machine: Machine) -> int:
    """How many threads there are."""
    return machine.cpu.count if isinstance(machine.cpu, Several) else 1


def number(text: str, chosen: int, machine: Machine) -> int:
    """The thread that GDB means.

    Args:
        text: hexadecimal; 0 and -1 are whichever was chosen before.

    Raises:
        ValueError: there is no such thread.
    """
    wanted = int(text, 16)
    if wanted in (0, -1):
        return chosen
    if not FIRST <= wanted < FIRST + count(machine):
        raise ValueError(text)
    return wanted


def state(machine: Machine, thread: int) -> Mapping[str, Any]:
    """A processor's."""
    cpu = machine.cpu
    return cpu.state(thread - FIRST) if isinstance(cpu, Several) else cpu.state()


def set_state(machine: Machine, thread: int, change: Mapping[str, Any]) -> None:
    """Change a processor's."""
    cpu = machine.cpu
    if isinstance(cpu, Several):
        cpu.set_state(change, thread - FIRST)
    else:
        cpu.set_state(change)


def translate(machine: Machine, thread: int, address: int) -> int | None:
    """Where a processor reads `address`."""
    cpu: Any = machine.cpu
    which = (thread - FIRST,) if isinstance(machine.cpu, Several) else ()
    gpa: int | None = cpu.translate(address, "read", *which)
    return gpa


def ticks_of_step(machine: Machine, thread: int) -> int:
    """How many ticks, a begun one's rest being one, give a processor its turn."""
    return 2 if isinstance(machine.cpu, Several) and machine.cpu.current > thread - FIRST else 1


def about(machine: Machine, thread: int) -> str:
    """What `info threads` says of it."""
    now = state(machine, thread)
    doing = "halted" if now.get("halted") else "idle" if now.get("idle") else "running"
    return f"processor {thread - FIRST}, {doing}" if isinstance(machine.cpu, Several) else "the processor"
