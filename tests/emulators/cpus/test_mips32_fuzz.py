"""Hostile code, answers and snapshots: every call comes back with an exit or a ValueError, at an exact count."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.cpus.mips import Cpu, Vm
from emulators.exits import Budget, Halt, Mmio

pytestmark = pytest.mark.fuzz

PAGE = 4096
BUDGET = 2000


@given(
    code=st.binary(min_size=64, max_size=PAGE),
    registers=st.lists(st.integers(0, 0xFFFF_FFFF), min_size=32, max_size=32),
    status=st.integers(0, 0xFFFF_FFFF),
    answers=st.binary(min_size=8, max_size=8),
    bus_errors=st.booleans(),
)
def test_random_code_ends_at_its_budget(
    code: bytes, registers: list[int], status: int, answers: bytes, bus_errors: bool
) -> None:
    vm = Vm()
    vm.add_memory(0, 4 * PAGE)
    vm.write(0, code)
    vm.write(PAGE, code)
    cpu = Cpu(vm, hypercalls=True)
    cpu.set_state({**{f"r{n}": value for n, value in enumerate(registers)}, "pc": 0x8000_1000, "status": status})
    while cpu.icount < BUDGET:
        before = cpu.icount
        end = cpu.run(BUDGET - before)
        assert before <= cpu.icount <= BUDGET
        match end:
            case Budget():
                assert cpu.icount == BUDGET
            case Mmio(direction="read"):
                end.data = answers[: end.size]
                end.bus_error = bus_errors
            case Halt():
                cpu.skip(cpu.next_timer() or 0)
                if isinstance(cpu.run(1), Halt):
                    return


@given(st.binary(max_size=2000))
def test_random_octets_are_no_snapshot(octets: bytes) -> None:
    cpu = Cpu(Vm())
    before = cpu.snapshot()
    with pytest.raises(ValueError, match="snapshot"):
        cpu.restore(octets)
    assert cpu.snapshot() == before


def summed(body: bytes) -> bytes:
    """The sum that a snapshot ends with: FNV-1a."""
    value = 0xCBF2_9CE4_8422_2325
    for octet in body:
        value = (value ^ octet) * 0x100_0000_01B3 & (1 << 64) - 1
    return body + value.to_bytes(8, "little")


@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_changed_snapshot_with_a_right_sum_is_refused_or_runs(changes: list[tuple[int, int]]) -> None:
    vm = Vm()
    vm.add_memory(0, PAGE)
    cpu = Cpu(vm)
    body = bytearray(cpu.snapshot()[:-8])
    assert summed(bytes(body)) == cpu.snapshot()
    for at, octet in changes:
        body[at % len(body)] = octet
    digest = hashlib.sha256(cpu.snapshot()).digest()
    try:
        cpu.restore(summed(bytes(body)))
    except ValueError:
        assert hashlib.sha256(cpu.snapshot()).digest() == digest
        return
    if cpu.pending is not None:
        cpu.pending.data = bytes(cpu.pending.size)
    before = cpu.icount
    cpu.run(10)
    assert cpu.icount <= before + 10
    cpu.set_state(cpu.state())
