"""Hostile code from hostile states, in all modes: every run comes back with an exit, at an exact count, twice alike."""

import contextlib
import random
from collections.abc import Iterator
from functools import partial
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.cpus.i386 import Cpu, Vm
from emulators.exits import Budget, Exit, Halt, Io, Mmio, Shutdown
from tests.oracles.lockstep import Side, first_difference

pytestmark = pytest.mark.fuzz

PAGE = 4096
PAGES = 16
BUDGET = 3000
EXITS = 2000
"""A repeated string instruction on a device comes back for each of up to 2³² steps."""
MODES = ("real", "big real", "protected 16", "protected 32", "user", "virtual 8086", "paging", "paging user")
GENERAL = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs")
COMMON = bytes.fromhex("0f 66 67 f3 f2 f0 ff 8b 89 01 83 80 c3 cd cf 9d 9c a4 ab d9 dd db 6c 6e e8 eb 75 74 8e 07")


OFTEN = bytes(COMMON[n % len(COMMON)] if n < 77 else (n - 77) * 255 // 178 for n in range(256))
"""Three octets of ten are common ones, the others any."""


def code(chance: random.Random) -> bytes:
    """Octets that are instructions more often than chance has it."""
    return chance.randbytes(PAGE).translate(OFTEN)


def state(mode: str, chance: random.Random) -> dict[str, int]:
    registers = {name: chance.choice((chance.getrandbits(32), chance.randrange(PAGES * PAGE))) for name in GENERAL}
    flags = 2 | chance.getrandbits(22) & 0x244ED5
    cr0, cr4, level, rights, limit = 0x10, chance.getrandbits(11) & 0x6DF, 0, 0x93, 0xFFFF
    if mode == "big real":
        limit = 0xFFFF_FFFF
    elif mode != "real":
        cr0 |= 1 | chance.choice((0, 2, 4, 8, 0x20, 0x1_0000, 0x4_0000))
    if mode in ("protected 32", "user", "paging", "paging user"):
        rights, limit = 0xC0_0093, 0xFFFF_FFFF
    if mode in ("user", "paging user", "virtual 8086"):
        level = 3
    if mode == "virtual 8086":
        flags |= 1 << 17
    else:
        flags &= ~(1 << 17)
    if mode.startswith("paging"):
        cr0 |= 0x8000_0000
    told: dict[str, int] = {}
    for name in SEGMENTS:
        kind = 0x9B if name == "cs" else 0x93
        selector = PAGE // 16 if mode in ("real", "virtual 8086", "big real") else 8 | level
        told |= {name: selector, f"{name}.base": selector * 16 if selector & 7 == 0 else 0}
        told |= {f"{name}.limit": limit, f"{name}.rights": (rights & 0xC0_0000) | (kind | level << 5) << 8}
    told |= {"gdtr.base": 3 * PAGE, "gdtr.limit": 0xFFF, "idtr.base": 4 * PAGE, "idtr.limit": 0x7FF, "cr3": 5 * PAGE}
    told |= {"cr0": cr0, "cr4": cr4 & ~0x20 if mode.startswith("paging") else cr4, "eflags": flags}
    told |= {"eip": 0 if told["cs.base"] else PAGE} | registers
    return told


def machine(mode: str, seed: int) -> tuple[Vm, Cpu]:
    chance = random.Random(seed)
    vm = Vm()
    vm.add_memory(0, PAGES * PAGE)
    for page in (0, 1, 2, 3, 4, 7, 8):
        vm.write(page * PAGE, code(chance))
    directory = bytearray()
    for _ in range(1024):
        directory += (6 * PAGE | chance.choice((7, 7, 7, 5, 3, 0, 0x87))).to_bytes(4, "little")
    vm.write(5 * PAGE, bytes(directory))
    table = bytearray()
    for number in range(1024):
        table += ((number % PAGES) * PAGE | chance.choice((7, 7, 7, 7, 5, 3, 0x67, 0))).to_bytes(4, "little")
    table[4:8] = (PAGE | 7).to_bytes(4, "little")
    vm.write(6 * PAGE, bytes(table))
    cpu = Cpu(vm, model=chance.choice(("486", "pentium", "pentium2", "pentium3")))
    cpu.set_state(state(mode, chance))
    return vm, cpu


@given(mode=st.sampled_from(MODES), seed=st.integers(0, 1 << 32))
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
                break
    told = cpu.state()
    assert all(0 <= told[name] <= 0xFFFF_FFFF for name in GENERAL)
    again = cpu.snapshot()
    cpu.restore(again)
    assert cpu.snapshot() == again


def answer(end: Exit, bound: Iterator[int]) -> bool:
    """Of both sides; reads give the same octet always, as a joined access may be cut elsewhere."""
    match end:
        case Mmio(direction="read"):
            end.data = b"\x5a" * end.size
        case Io(direction="read"):
            end.data = b"\x5a" * (end.size * end.count)
        case Mmio() | Io():
            pass
        case _:
            return False
    return next(bound) < EXITS


@given(mode=st.sampled_from(MODES), seed=st.integers(0, 1 << 32))
def test_one_instruction_at_a_time_gives_the_same(mode: str, seed: int) -> None:
    sides = []
    for _ in range(2):
        vm, cpu = machine(mode, seed)
        sides.append(Side(cpu, vm, partial(answer, bound=count())))
    assert first_difference(sides[0], sides[1], 600, 200) is None
