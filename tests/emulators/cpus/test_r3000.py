"""The plain R3000 behind the contract: saved anywhere it goes on as it would have, its state is all there is of it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.cpus.mips import Cpu, Vm
from emulators.cpus.mips.disassembler import instructions
from emulators.exits import Budget

CODE_OCTETS, MEMORY_OCTETS = 1 << 13, 1 << 17


def mask_and_bits(row: str) -> tuple[int, int]:
    row = row.replace(" ", "")
    return int("".join("01"[bit in "01"] for bit in row), 2), int("".join("01"[bit == "1"] for bit in row), 2)


ROWS = [mask_and_bits(row) for _, row in instructions("R3000")]


def words(chance: random.Random, count: int) -> bytes:
    """Instructions of all rows with random fields; some are none."""
    found = bytearray()
    for _ in range(count):
        mask, bits = chance.choice(ROWS)
        found += (chance.getrandbits(32) & ~mask | bits).to_bytes(4, "little")
    return bytes(found)


def machine(seed: int) -> tuple[Vm, Cpu]:
    chance = random.Random(seed)
    vm = Vm()
    vm.add_memory(0, MEMORY_OCTETS)
    vm.write(0, words(chance, CODE_OCTETS // 4) * (MEMORY_OCTETS // CODE_OCTETS))
    cpu = Cpu(vm, "R3000")
    cpu.set_state({f"r{number}": chance.randrange(1 << 15, 3 << 15) & ~3 for number in range(1, 32)})
    cpu.set_state({"pc": 4 * chance.randrange(MEMORY_OCTETS // 4)})
    return vm, cpu


@given(st.integers(0, 1 << 32), st.integers(0, 300), st.integers(1, 300))
def test_saved_anywhere_it_goes_on_as_it_would_have(seed: int, before: int, after: int) -> None:
    """In delay slots, with loads on their way, behind exceptions: in another processor with the same memory."""
    vm, cpu = machine(seed)
    cpu.run(before)
    other_vm = Vm()
    other_vm.add_memory(0, MEMORY_OCTETS)
    other_vm.write(0, vm.read(0, MEMORY_OCTETS))
    other = Cpu(other_vm, "R3000")
    other.restore(cpu.snapshot())
    assert other.state() == cpu.state()
    assert (other.pending is None) == (cpu.pending is None)
    if cpu.pending is None:
        assert type(cpu.run(after)) is type(other.run(after))
        assert other.snapshot() == cpu.snapshot()
        assert other_vm.read(0, MEMORY_OCTETS) == vm.read(0, MEMORY_OCTETS)


@given(st.integers(0, 1 << 32), st.integers(0, 300), st.integers(1, 300))
def test_the_state_is_all_there_is(seed: int, before: int, after: int) -> None:
    """With its pending load and its branch: what `set_state` is given of another goes on like it."""
    vm, cpu = machine(seed)
    if not isinstance(cpu.run(before), Budget):
        return  # an access that is half done is no part of it
    other_vm, other = machine(seed + 1)
    other_vm.write(0, vm.read(0, MEMORY_OCTETS))
    other.set_state({name: value for name, value in cpu.state().items() if name not in ("r0", "prid")})
    assert type(cpu.run(after)) is type(other.run(after))
    assert other.state() == cpu.state()
    assert other_vm.read(0, MEMORY_OCTETS) == vm.read(0, MEMORY_OCTETS)


def test_damaged_snapshots_are_refused() -> None:
    _, cpu = machine(1)
    snapshot = cpu.snapshot()
    for damaged in (b"", snapshot[:-1], snapshot[1:], snapshot + b"\0"):
        with pytest.raises(ValueError, match="snapshot"):
            cpu.restore(damaged)
    assert cpu.snapshot() == snapshot
