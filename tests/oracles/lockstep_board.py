"""A machine beside itself, one instruction at a time: where do they first differ?

    python -m tests.oracles.lockstep_board pc --image debian-i386 --ticks 20000000 memory=64M
    python -m tests.oracles.lockstep_board malta --image debian-malta --from 100000000 --ticks 5000000

Two machines of one board get the same options. In one the engine runs as always: traces, superinstructions, blocks of
string instructions, interrupts looked at when it suits. In the other it is asked for one instruction, again and again,
so that nothing of that happens. Behind each leg everything that the guest could tell apart is compared: registers,
memory, devices (`Machine.state_hash`). Where they differ the last equal tick is found again (runs repeat), and
the leg is halved until it is one tick; then the instruction and what it did otherwise are printed.

BOARD and NAME=VALUE are as in `vde guest BOARD --NAME VALUE`; there are no networks, disks nor typing. Status: 0 no
difference, 1 there is one, 2 wrong options. It takes some two seconds for a million ticks.

Limits: both sides have the same decoder and handlers; what these have wrong is for the other oracles (docs/engine.md).
A run that is cut elsewhere may hide a difference: if halving loses it, the whole leg is told.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulators import board
from emulators.cpus.i386 import disassembler
from emulators.exits import Budget, Exit, Io, Mmio
from emulators.machine import Done, Idle, Machine, Processor
from emulators.outside import Bench
from vde.errors import VdeError
from vde.image import store

LEG_TICKS = 1_000_000
"""Chosen: a hash of all memory takes some 0.1 s."""
MOST_NAMES = 20
CODE_OCTETS = 15


class OneAtATime:
    """A processor that is never asked for more than one instruction."""

    def __init__(self, cpu: Processor) -> None:
        self._cpu = cpu

    @property
    def ticks(self) -> int:
        """As in the contract, as all here."""
        return self._cpu.ticks

    @property
    def icount(self) -> int:
        """Instructions done."""
        return self._cpu.icount

    @property
    def pending(self) -> Mmio | Io | None:
        """The read that waits."""
        return self._cpu.pending

    def run(self, budget_insns: int, /) -> Exit:
        """One after the other."""
        run = self._cpu.run
        end = run(min(1, budget_insns))
        for _ in range(budget_insns - 1):
            if type(end) is not Budget:
                break
            end = run(1)
        return end

    def kick(self) -> None:
        """Have `run` return soon."""
        self._cpu.kick()

    def skip(self, ticks: int, /) -> None:
        """Pass time."""
        self._cpu.skip(ticks)

    def next_timer(self) -> int | None:
        """Of the processor's own."""
        return self._cpu.next_timer()

    def state(self) -> Mapping[str, Any]:
        """All registers."""
        return self._cpu.state()

    def set_state(self, state: Mapping[str, Any], /) -> None:
        """Set what is named."""
        self._cpu.set_state(state)

    def snapshot(self) -> bytes:
        """As octets."""
        return self._cpu.snapshot()

    def restore(self, octets: bytes, /) -> None:
        """From octets."""
        self._cpu.restore(octets)


@dataclass(frozen=True)
class Difference:
    """Both are equal at tick `first` and are not at `last` (`first` + 1, unless halving lost it)."""

    first: int
    last: int
    before: Mapping[str, Any]
    code: bytes
    registers: tuple[tuple[str, Any, Any], ...]
    """Name, as always, one at a time."""
    memory: int | None
    """The lowest guest-physical address that differs."""
    devices: tuple[str, ...]

    def text(self) -> str:
        """For people."""
        lines = [f"equal at tick {self.first}, different at tick {self.last}"]
        where = " ".join(f"{name} {self.before[name]:x}" for name in ("cs", "eip", "pc") if name in self.before)
        lines.append(f"there: {where}: {self.code.hex()}")
        if "eip" in self.before and self.code and self.before["cs.rights"] & 1 << 22:
            lines[-1] += f": {disassembler.disassemble_one(self.code.ljust(16, bytes(1)), self.before['eip']).text}"
        lines += [f"{name}: {one!r}, one at a time {other!r}" for name, one, other in self.registers[:MOST_NAMES]]
        if self.memory is not None:
            lines.append(f"memory from {self.memory:#x}")
        lines += [f"device {name}" for name in self.devices]
        return "\n".join(lines)


Build = Callable[[], Machine]


class Pair:
    """Two machines, from their start or from a snapshot."""

    def __init__(self, build: Build, step_by: Callable[[Processor], Processor], saved: bytes | None = None) -> None:
        self.always, self.single = build(), build()
        self.single.cpu = step_by(self.single.cpu)
        if saved is not None:
            self.always.restore(saved)
            self.single.restore(saved)

    def run_for(self, ticks: int) -> bool:
        """Are they going on?"""
        ends = [side.run_for(ticks) for side in (self.always, self.single)]
        return all(isinstance(end, Done | Idle) for end in ends)

    def equal(self) -> bool:
        """In all that the guest could tell apart."""
        return self.always.state_hash() == self.single.state_hash()


def first_difference(
    build: Build,
    ticks: int,
    *,
    start: int = 0,
    leg: int = LEG_TICKS,
    step_by: Callable[[Processor], Processor] = OneAtATime,
    progress: Callable[[int], None] = lambda tick: None,
) -> Difference | None:
    """Within so many ticks from `start`, or until the machine ends; None: there is none."""
    pair = Pair(build, step_by, _saved_at(build, start) if start else None)
    done = 0
    while done < ticks:
        this = min(leg, ticks - done)
        going = pair.run_for(this)
        if not pair.equal():
            return _narrowed(build, step_by, start + done, this)
        if not going:
            return None
        done += this
        progress(start + done)
    return None


def _saved_at(build: Build, tick: int) -> bytes:
    machine = build()
    while machine.cpu.ticks < tick:
        if not isinstance(machine.run_for(tick - machine.cpu.ticks), Done | Idle):
            break
    return machine.snapshot()


def _narrowed(build: Build, step_by: Callable[[Processor], Processor], first: int, ticks: int) -> Difference:
    saved = _saved_at(build, first)
    equal, different = 0, ticks
    while different - equal > 1:
        middle = (equal + different) // 2
        pair = Pair(build, step_by, saved)
        pair.run_for(middle)
        if pair.equal():
            equal = middle
        else:
            different = middle
    pair = Pair(build, step_by, saved)
    pair.run_for(equal)
    before = pair.always.cpu.state()
    code = _code(pair.always, before)
    pair = Pair(build, step_by, saved)
    pair.run_for(different)
    one, other = pair.always.cpu.state(), pair.single.cpu.state()
    registers = tuple((name, one[name], other[name]) for name in one if one[name] != other[name])
    devices = tuple(
        name for name in pair.always.devices if pair.always.devices[name].state() != pair.single.devices[name].state()
    )
    return Difference(first + equal, first + different, before, code, registers, _memory(pair), devices)


def _code(machine: Machine, state: Mapping[str, Any]) -> bytes:
    va = state["cs.base"] + state["eip"] & 0xFFFF_FFFF if "eip" in state else state["pc"]
    translate: Callable[[int, str], int | None] = getattr(machine.cpu, "translate")  # noqa: B009 - not in the protocol
    gpa = translate(va, "fetch")
    try:
        return b"" if gpa is None else machine.vm.read(gpa, min(CODE_OCTETS, 4096 - gpa % 4096))
    except ValueError:
        return b""


def _memory(pair: Pair) -> int | None:
    for region in pair.always.memory:
        one, other = (side.vm.read(region.gpa, region.octets) for side in (pair.always, pair.single))
        if one != other:
            return region.gpa + next(at for at in range(len(one)) if one[at] != other[at])
    return None


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """The command."""
    about, _, text = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="lockstep_board", description=about, epilog=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("board")
    parser.add_argument("option", nargs="*", metavar="NAME=VALUE", help="as vde guest BOARD has them")
    parser.add_argument("--image", metavar="NAME", help="kernel, initrd and words of that of vde image list")
    parser.add_argument("--ticks", type=int, default=20_000_000, metavar="N")
    parser.add_argument("--from", type=int, default=0, dest="start", metavar="TICK", help="alone up to there")
    parser.add_argument("--leg", type=int, default=LEG_TICKS, metavar="N", help="ticks between two comparisons")
    args = parser.parse_intermixed_args(arguments)
    given: dict[str, str] = dict(option.partition("=")[::2] for option in args.option)
    try:
        spec = board.find(args.board)
        if args.image:
            image = store.open_image(args.image)
            given = {"kernel": str(image.kernel), "initrd": str(image.initrd)} | given
            given["append"] = image.command_line(given.get("append", ""))
        params = spec.read(given)
        found = first_difference(
            lambda: spec.build(params, Bench()),
            args.ticks,
            start=args.start,
            leg=max(1, args.leg),
            progress=lambda tick: _say(f"equal at tick {tick}"),
        )
    except VdeError as error:
        sys.stderr.write(f"lockstep_board: {error}\n")
        return 2
    _say("no difference" if found is None else found.text())
    return 0 if found is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
