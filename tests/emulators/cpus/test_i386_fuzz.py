"""Hostile code from hostile states, in all modes: every run comes back with an exit, at an exact count, twice alike."""

import contextlib
import random
import struct
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.exits import Budget, Exit, Halt, Io, Mmio, Shutdown
from tests.emulators.cpus.hostile_i386 import (
    DIRECTORIES,
    DIRECTORY,
    DIRTY_ACCESSED,
    GENERAL,
    MODES,
    PAGE,
    POINTERS,
    TABLE,
    TABLES,
    machine,
    state,
)
from tests.oracles.lockstep import Side, Store, first_difference

pytestmark = pytest.mark.fuzz

BUDGET = 2000
EXITS = 300
"""A repeated string instruction on a device comes back for each of up to 2³² steps."""
LONG = 100
SEEDS = st.integers(0, 1 << 32)


@given(mode=st.sampled_from(MODES), seed=SEEDS)
def test_random_code_ends_at_its_budget(mode: str, seed: int) -> None:
    _, cpu = machine(mode, seed)
    chance = random.Random(seed)
    idle = exits = 0
    while cpu.icount < BUDGET and idle < 4 and exits < EXITS:
        exits += 1
        before = cpu.icount
        end = cpu.run(BUDGET - before)
        assert before <= cpu.icount <= BUDGET
        match end:
            case Budget():
                assert cpu.icount == BUDGET
            case Mmio(direction="read"):
                end.data = chance.randbytes(end.size)
            case Io(direction="read"):
                end.data = chance.randbytes(end.size * end.count)
            case Halt():
                idle += 1
                cpu.nmi()
                with contextlib.suppress(ValueError):  # not possible now
                    cpu.inject(chance.getrandbits(8))
            case Shutdown():
                cpu.set_state(state(mode, chance) | {"halted": 0})
    told = cpu.state()
    assert all(0 <= told[name] <= 0xFFFF_FFFF for name in GENERAL)
    again = cpu.snapshot()
    cpu.restore(again)
    assert cpu.snapshot() == again


@dataclass
class World:
    """Answers exits; reads give the same octet always, as a joined access may be cut elsewhere."""

    exits: int = 0

    def answer(self, end: Exit) -> bool:
        self.exits += 1
        match end:
            case Mmio(direction="read"):
                end.data = b"\x5a" * end.size
            case Io(direction="read"):
                end.data = b"\x5a" * (end.size * end.count)
            case Mmio() | Io():
                pass
            case _:
                return False
        return not self.tired

    @property
    def tired(self) -> bool:
        """Somebody repeats a string instruction on a device, for ever."""
        return self.exits >= EXITS


@pytest.mark.parametrize("mode", MODES)
def test_the_code_goes_on_for_long(mode: str) -> None:
    """Or else the properties here would say nothing: half of the runs, and more, come past their first faults."""
    far = 0
    for seed in range(12):
        _, cpu = machine(mode, seed)
        world = World()
        while cpu.icount < LONG:
            end = cpu.run(LONG - cpu.icount)
            if not isinstance(end, Budget) and not world.answer(end):
                break
        far += cpu.icount == LONG
    assert far >= 6, far


def tables(vm: Store) -> list[int]:
    """All translations, without what the processor itself writes."""
    octets = b"".join(vm.read(page * PAGE, PAGE) for page in (DIRECTORY, TABLE, POINTERS, DIRECTORIES, TABLES))
    return [word & ~DIRTY_ACCESSED for (word,) in struct.iter_unpack("<I", octets)]


@given(mode=st.sampled_from(MODES), seed=SEEDS)
def test_one_instruction_at_a_time_gives_the_same(mode: str, seed: int) -> None:
    worlds = World(), World()
    sides = []
    for world in worlds:
        vm, cpu = machine(mode, seed)
        sides.append(Side(cpu, vm, world.answer))
    before = tables(sides[0].vm)
    found = first_difference(sides[0], sides[1], 600, 200)
    if "paging" in mode and tables(sides[0].vm) != before:
        return  # without INVLPG: either may hold other old translations, as TLBs may (SDM 3A, 4.10.2.3)
    assert found is None or any(world.tired for world in worlds), found
