"""Two machines in lock-step: one runs in legs, the other one instruction at a time; where do they first differ?

One instruction a run links no traces, takes no block of a string instruction whole and looks at interrupts every time,
so what a fast path does otherwise shows as a difference of two snapshots. The leg in which it shows is run again from
its beginning with half the length, until it is one instruction.

`first_difference` works with any engine of the contract (docs/engine.md): two processors that start equal, with memory
of their own, and a function that answers their exits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from emulators.exits import Budget, Exit


class Engine(Protocol):
    """What is asked of a processor."""

    @property
    def icount(self) -> int:
        """Instructions done."""
        ...

    def run(self, budget_insns: int) -> Exit:
        """As in the contract."""
        ...

    def snapshot(self) -> bytes:
        """As in the contract."""
        ...

    def restore(self, octets: bytes) -> None:
        """As in the contract."""
        ...

    def state(self) -> dict[str, int]:
        """As in the contract."""
        ...


class Store(Protocol):
    """What is asked of memory."""

    def slots(self) -> list[tuple[int, int, bool]]:
        """As in the contract."""
        ...

    def read(self, gpa: int, octets: int) -> bytes:
        """As in the contract."""
        ...

    def write(self, gpa: int, data: bytes) -> None:
        """As in the contract."""
        ...

    def hash(self) -> bytes:
        """As in the contract."""
        ...


@dataclass(frozen=True)
class Side:
    """One of the two. `answer` serves an exit; it returns False if that is the end."""

    cpu: Engine
    vm: Store
    answer: Callable[[Exit], bool]


@dataclass(frozen=True)
class Difference:
    """Behind instruction `icount`; `names` are (register, in legs, step by step)."""

    icount: int
    names: tuple[tuple[str, int, int], ...]
    memory: bool


def _advance(side: Side, until: int, step: int) -> bool:
    """To instruction `until`; False if it ended before."""
    while side.cpu.icount < until:
        end = side.cpu.run(min(step, until - side.cpu.icount))
        if not isinstance(end, Budget) and not side.answer(end):
            return False
    return True


def _difference(legs: Side, steps: Side) -> Difference | None:
    memory = legs.vm.hash() != steps.vm.hash()
    if legs.cpu.snapshot() == steps.cpu.snapshot() and not memory:
        return None
    one, other = legs.cpu.state(), steps.cpu.state()
    names = tuple((name, one[name], other[name]) for name in one if one[name] != other[name])
    return Difference(steps.cpu.icount, names, memory)


def first_difference(legs: Side, steps: Side, instructions: int, leg: int = 4096) -> Difference | None:
    """Of two sides that are equal now, within so many instructions; None: there is none, or both ended alike.

    A difference is narrowed down only if nothing but processor and memory took part in its leg.
    """
    until = legs.cpu.icount + instructions
    while legs.cpu.icount < until:
        start = [(side.cpu.snapshot(), _contents(side.vm)) for side in (legs, steps)]
        goal = min(until, legs.cpu.icount + leg)
        going = _advance(legs, goal, leg), _advance(steps, goal, 1)
        found = _difference(legs, steps)
        if found is not None:
            if leg == 1:
                return found
            for side, (snapshot, memory) in zip((legs, steps), start, strict=True):
                for gpa, octets in memory:
                    side.vm.write(gpa, octets)
                side.cpu.restore(snapshot)
            return first_difference(legs, steps, goal - legs.cpu.icount, max(1, leg // 2)) or found
        if not all(going):
            return None
    return None


def _contents(vm: Store) -> list[tuple[int, bytes]]:
    return [(gpa, vm.read(gpa, octets)) for gpa, octets, _ in vm.slots()]
