"""Hostile code, answers and snapshots: every call comes back with an exit or a ValueError, at an exact count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.cpus.ppc import MODELS, Cpu, Vm
from emulators.exits import Budget, Halt, Mmio

pytestmark = pytest.mark.fuzz

PAGE = 4096
BUDGET = 2000
OPCODES = (
    3,
    4,
    4,
    7,
    8,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    17,
    18,
    19,
    20,
    21,
    23,
    24,
    31,
    31,
    31,
    31,
    32,
    36,
    40,
    46,
    47,
    48,
    50,
)
WORDS = st.one_of(
    st.integers(0, 0xFFFF_FFFF),
    st.builds(
        lambda op, rest: op << 26 | rest, st.sampled_from([*OPCODES, 52, 54, 59, 63]), st.integers(0, (1 << 26) - 1)
    ),
)


@given(
    model=st.sampled_from(MODELS),
    code=st.lists(WORDS, min_size=16, max_size=400),
    registers=st.lists(st.integers(0, 0xFFFF_FFFF), min_size=32, max_size=32),
    msr=st.integers(0, 0xFFFF_FFFF),
    bats=st.lists(st.integers(0, 0xFFFF_FFFF), min_size=4, max_size=4),
    sdr1=st.integers(0, 0xFFFF_FFFF),
    answers=st.binary(min_size=8, max_size=8),
    bus_errors=st.booleans(),
)
def test_random_code_ends_at_its_budget(
    model: str,
    code: list[int],
    registers: list[int],
    msr: int,
    bats: list[int],
    sdr1: int,
    answers: bytes,
    bus_errors: bool,
) -> None:
    vm = Vm()
    vm.add_memory(0, 4 * PAGE)
    octets = b"".join(word.to_bytes(4, "big") for word in code)
    for vector in (0x300, 0x400, 0x500, 0x600, 0x700, 0x800, 0x900, 0xC00, 0xD00, 0xF00):
        vm.write(vector, octets[:0x100])
    vm.write(2 * PAGE, octets)
    cpu = Cpu(vm, model, hypercalls=True, timebase_ticks=3)
    state = {f"r{n}": value for n, value in enumerate(registers)}
    names = ("ibat0u", "ibat0l", "dbat0u", "dbat0l")
    cpu.set_state({**state, **dict(zip(names, bats, strict=True)), "sdr1": sdr1, "pc": 2 * PAGE, "msr": msr & ~0x40})
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
    other = Cpu(vm, model, timebase_ticks=3)
    other.restore(cpu.snapshot())
    assert other.state() == cpu.state()


@given(st.binary(max_size=2000))
def test_random_octets_are_no_snapshot(octets: bytes) -> None:
    cpu = Cpu(Vm())
    before = cpu.snapshot()
    with pytest.raises(ValueError, match="snapshot"):
        cpu.restore(octets)
    assert cpu.snapshot() == before


@given(at=st.integers(0, 1500), octet=st.integers(1, 255))
def test_a_damaged_snapshot_is_refused(at: int, octet: int) -> None:
    cpu = Cpu(Vm())
    image = bytearray(cpu.snapshot())
    image[at % len(image)] ^= octet
    with pytest.raises(ValueError, match="snapshot"):
        cpu.restore(bytes(image))
