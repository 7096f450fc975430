"""AltiVec by the manual's words, where Unicorn is no oracle or no corner is hit by chance; and that no row has no test.

ALTIVECPEM is the AltiVec Technology Programming Environments Manual.
"""

import math
import struct
from collections.abc import Callable

import pytest

from emulators.cpus.ppc import ALTIVEC_UNAVAILABLE, DSI, PROGRAM, Cpu, Vm
from emulators.exits import ExceptionTaken, Mmio
from tests.emulators.cpus.test_ppc_altivec import NAMES, NJ, VECTOR_ROWS, a_float

CODE, DATA, RAM_OCTETS = 0x2000, 0x8000, 0x10000
VEC = 0x0200_0000
SAT = 1
LVX, STVX, MFSPR, MTSPR, VRSAVE = 103, 231, 339, 467, 256
DEVICE = 0x8000_0000
NOP = 0x6000_0000


def vector(*words: int) -> int:
    return int.from_bytes(struct.pack(">4I", *words), "big")


def floats(*values: float) -> int:
    return vector(*map(a_float, values))


def elements(value: int) -> tuple[float, ...]:
    return struct.unpack(">4f", value.to_bytes(16, "big"))


def word_of(name: str, d: int = 0, a: int = 0, b: int = 0, more: int = 0) -> int:
    return VECTOR_ROWS[name].value | d << 21 | a << 16 | b << 11 | more


def x_form(xo: int, d: int, a: int, b: int) -> int:
    return 31 << 26 | d << 21 | a << 16 | b << 11 | xo << 1


def spr_form(xo: int, register: int, spr: int) -> int:
    return x_form(xo, register, spr & 31, spr >> 5)


def machine(*words: int, **state: int) -> Cpu:
    return machine_of("7400", *words, **state)


def machine_of(model: str, /, *words: int, **state: int) -> Cpu:
    vm = Vm()
    vm.add_memory(0, RAM_OCTETS)
    vm.write(CODE, struct.pack(f">{len(words)}I", *words))
    vm.write(DATA, bytes(range(256)))
    cpu = Cpu(vm, model)
    cpu.set_state({"pc": CODE, "msr": VEC, **state})
    return cpu


def run(*words: int, **state: int) -> dict[str, int]:
    cpu = machine(*words, **state)
    cpu.run(len(words))
    return cpu.state()


CASES: dict[str, Callable[[], object]] = {}


def case(*names: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    def keep(function: Callable[[], object]) -> Callable[[], object]:
        for name in names:
            assert name not in CASES
            CASES[name] = function
        return function

    return keep


@case("dss", "dssall", "dst", "dstt", "dstst", "dststt", "dcba")
def streams_and_hints_change_nothing() -> None:
    """Also without MSR[VEC], and at no memory."""
    for name in ("dss", "dssall", "dst", "dstt", "dstst", "dststt", "dcba"):
        cpu = machine(word_of(name, 0, 0 if name.startswith("dss") else 4, 0), msr=0, r4=0x7000_0000)
        before = cpu.state()
        cpu.run(1)
        after = cpu.state()
        assert after["pc"] == CODE + 4
        assert {key for key in after if after[key] != before[key]} <= {"pc", "tb"}


@case("vrefp")
def reciprocals_are_near() -> None:
    """ALTIVECPEM §6.2: a relative error of at most 1/4096."""
    for values in ((1.0, 3.0, -7.5, 1e30), (0.1, -1e-30, 123456.0, 65535.0)):
        for value, got in zip(values, elements(run(word_of("vrefp", 1, 0, 2), v2=floats(*values))["v1"]), strict=True):
            assert math.isclose(got, 1 / value, rel_tol=1 / 4096)
    got = run(word_of("vrefp", 1, 0, 2), v2=floats(0.0, -0.0, math.inf, -math.inf))["v1"]
    assert got == floats(math.inf, -math.inf, 0.0, -0.0)


@case("vrsqrtefp")
def reciprocal_roots_are_near() -> None:
    values = (1.0, 3.0, 7.5e20, 1e-30)
    for value, got in zip(values, elements(run(word_of("vrsqrtefp", 1, 0, 2), v2=floats(*values))["v1"]), strict=True):
        assert math.isclose(got, 1 / math.sqrt(value), rel_tol=1 / 4096)
    got = run(word_of("vrsqrtefp", 1, 0, 2), v2=floats(0.0, -0.0, math.inf, -2.0))["v1"]
    assert got == vector(0x7F800000, 0xFF800000, 0, 0x7FC00000)


@case("vexptefp")
def powers_of_two_are_near_and_of_integers_exact() -> None:
    """§6.2: 1/16; exact where the exponent is an integer."""
    values = (0.5, -0.25, 10.3, -100.7)
    for value, got in zip(values, elements(run(word_of("vexptefp", 1, 0, 2), v2=floats(*values))["v1"]), strict=True):
        assert math.isclose(got, 2.0**value, rel_tol=1 / 16)
    assert run(word_of("vexptefp", 1, 0, 2), v2=floats(0.0, -3.0, 127.0, -126.0))["v1"] == floats(
        1.0, 0.125, 2.0**127, 2.0**-126
    )
    assert run(word_of("vexptefp", 1, 0, 2), v2=floats(math.inf, -math.inf, 128.0, -1e9))["v1"] == floats(
        math.inf, 0.0, math.inf, 0.0
    )
    assert run(word_of("vexptefp", 1, 0, 2), v2=floats(*[-130.0] * 4), vscr=NJ)["v1"] == 0


@case("vlogefp")
def logarithms_are_near_and_of_powers_exact() -> None:
    """§6.2: an absolute error of at most 1/32."""
    values = (3.0, 0.7, 1e20, 5e-39)
    for value, got in zip(values, elements(run(word_of("vlogefp", 1, 0, 2), v2=floats(*values))["v1"]), strict=True):
        assert abs(got - math.log2(value)) < 1 / 32
    assert run(word_of("vlogefp", 1, 0, 2), v2=floats(1.0, 8.0, 0.25, 2.0**-126))["v1"] == floats(
        0.0, 3.0, -2.0, -126.0
    )
    got = run(word_of("vlogefp", 1, 0, 2), v2=floats(0.0, -0.0, math.inf, -2.0))["v1"]
    assert got == vector(0xFF800000, 0xFF800000, 0x7F800000, 0x7FC00000)


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_instruction_does_what_the_manual_says(name: str) -> None:
    CASES[name]()


def test_no_row_of_altivec_has_no_test() -> None:
    assert VECTOR_ROWS.keys() == {*NAMES, *CASES}
    assert len(VECTOR_ROWS) == 162 + len({"dcba"})


def test_without_vec_the_unit_is_unavailable() -> None:
    """§5.2: SRR1 is MSR; VEC comes back by rfi."""
    for word in (word_of("vaddubm", 1, 2, 3), x_form(LVX, 1, 0, 4), word_of("mfvscr", 1)):
        state = run(word, msr=0x9000, v1=7)
        assert (state["pc"], state["srr0"], state["srr1"], state["v1"]) == (ALTIVEC_UNAVAILABLE, CODE, 0x9000, 7)
    state = run(19 << 26 | 50 << 1, srr0=0x3000, srr1=VEC)
    assert (state["pc"], state["msr"]) == (0x3000, VEC)
    state = run(17 << 26 | 2)
    assert (state["msr"], state["srr1"]) == (0, VEC)


def test_the_unavailable_exception_is_intercepted_by_itself() -> None:
    cpu = machine(word_of("vor", 1, 2, 2), msr=0)
    cpu.intercept({ALTIVEC_UNAVAILABLE, DSI})
    assert cpu.run(1) == ExceptionTaken(ALTIVEC_UNAVAILABLE, CODE + 4)
    cpu.intercept({DSI})
    cpu.run(1)
    assert cpu.state()["pc"] == ALTIVEC_UNAVAILABLE
    with pytest.raises(ValueError, match="0xf20"):
        cpu.intercept({0xF40})


def test_other_models_have_no_vectors() -> None:
    for model in ("604", "750"):
        cpu = machine_of(model, word_of("vaddubm", 1, 2, 3))
        state = cpu.state()
        assert (state["msr"], "v0" in state, "vscr" in state, "vrsave" in state) == (0, False, False, False)
        cpu.run(1)
        assert (cpu.state()["pc"], cpu.state()["srr1"]) == (PROGRAM, 1 << 19)
        with pytest.raises(ValueError, match="v0: no register"):
            cpu.set_state({"v0": 1})
    assert run(spr_form(MFSPR, 3, 287))["r3"] == 0x000C0209  # PVR
    with pytest.raises(ValueError, match="vscr: 0x100000000 does not fit"):
        machine().set_state({"v0": 1, "vscr": 1 << 32})


def test_vrsave_is_the_users_with_and_without_vec() -> None:
    problem_state = 0x4000
    state = run(spr_form(MTSPR, 3, VRSAVE), spr_form(MFSPR, 4, VRSAVE), msr=problem_state, r3=0x8001_0000)
    assert (state["vrsave"], state["r4"]) == (0x8001_0000, 0x8001_0000)


def test_saturation_is_remembered_until_it_is_cleared() -> None:
    most = vector(0x7FFFFFFF, 0, 0, 0)
    add, modulo = word_of("vaddsws", 1, 2, 3), word_of("vadduwm", 1, 2, 3)
    assert run(modulo, v2=most, v3=most)["vscr"] == 0
    state = run(add, modulo, word_of("mfvscr", 4), v2=most, v3=most)
    assert (state["vscr"], state["v4"]) == (SAT, SAT)
    assert run(add, word_of("mtvscr", 0, 0, 5), v2=most, v3=most, v5=~NJ & 0xFFFFFFFE)["vscr"] == 0
    assert run(word_of("mtvscr", 0, 0, 5), v5=(1 << 128) - 1)["vscr"] == NJ | SAT


def test_addresses_are_rounded_down() -> None:
    whole = int.from_bytes(range(0x10, 0x20), "big")
    assert run(x_form(LVX, 1, 4, 5), r4=DATA + 16, r5=15)["v1"] == whole
    assert run(x_form(LVX, 1, 0, 5), r0=0x5000, r5=DATA + 31)["v1"] == whole
    # lvewx: the word in its place, the others as they were
    got = run(x_form(71, 1, 4, 5), r4=DATA, r5=0x17, v1=(1 << 128) - 1)["v1"]
    assert got == vector(~0 & 0xFFFFFFFF, 0x14151617, ~0 & 0xFFFFFFFF, ~0 & 0xFFFFFFFF)
    # lvsl and vperm: an address that is not aligned
    words = (x_form(LVX, 1, 0, 4), x_form(LVX, 2, 5, 4), x_form(6, 3, 0, 4))
    assert run(*words, word_of("vperm", 4, 1, 2, more=3 << 6), r4=DATA + 5, r5=15)["v4"] == int.from_bytes(
        range(5, 21), "big"
    )


def test_a_vector_of_a_device_is_two_accesses() -> None:
    cpu = machine(x_form(LVX, 1, 0, 4), x_form(STVX, 1, 0, 5), NOP, r4=DEVICE + 3, r5=DEVICE + 32, msr=VEC)
    for n in range(2):
        asked = cpu.run(10)
        assert isinstance(asked, Mmio)
        assert (asked.direction, asked.gpa, asked.size) == ("read", DEVICE + 8 * n, 8)
        asked.data = bytes(range(8 * n, 8 * n + 8))
    for n in range(2):
        assert cpu.run(10) == Mmio("write", DEVICE + 32 + 8 * n, 8, bytes(range(8 * n, 8 * n + 8)))
    cpu.run(2)
    assert (cpu.state()["pc"], cpu.icount) == (CODE + 12, 3)


def test_a_vector_that_cannot_be_loaded_is_a_data_storage_interrupt() -> None:
    cpu = machine(x_form(STVX, 1, 0, 4), r4=0x7000_0009, msr=VEC | 0x10, dbat0u=2, dbat0l=2)
    cpu.run(1)
    state = cpu.state()
    assert (state["pc"], state["dar"], state["dsisr"]) == (DSI, 0x7000_0000, 1 << 30 | 1 << 25)


def test_comparisons_tell_all_and_none_in_cr6() -> None:
    compare = word_of("vcmpequw", 1, 2, 3, more=1 << 10)
    for v2, field in ((vector(1, 2, 3, 4), 0b1000), (vector(0, 0, 0, 0), 0b0010), (vector(1, 0, 0, 0), 0)):
        assert run(compare, v2=v2, v3=vector(1, 2, 3, 4), cr=0x0000_0050)["cr"] == field << 4
    assert run(compare & ~(1 << 10), v2=1, v3=1, cr=0x50)["cr"] == 0x50
    bounds = word_of("vcmpbfp", 1, 2, 3, more=1 << 10)
    state = run(bounds, v2=floats(1, -1, 0, 0.5), v3=floats(1, 1, 0, 1))
    assert (state["v1"], state["cr"]) == (0, 0b0010 << 4)
    state = run(bounds, v2=floats(2, -2, math.nan, 0.5), v3=floats(1, 1, 0, 1))
    assert (state["v1"], state["cr"]) == (vector(1 << 31, 1 << 30, 3 << 30, 0), 0)


@pytest.mark.parametrize("name", ["vaddfp", "vcmpeqfp", "vmaddfp", "vmaxfp", "vminfp", "vrfip", "vsubfp"])
def test_without_java_denormalised_operands_are_zeros(name: str) -> None:
    denormalised, zeros = vector(1, 0x80000001, 0x7FFFFF, 0x807FFFFF), vector(0, 1 << 31, 0, 1 << 31)
    word = word_of(name, 1, 2, 3, more=4 << 6 if name == "vmaddfp" else 0)

    def result(operand: int, vscr: int) -> int:
        return run(word, v2=operand, v3=operand if name == "vrfip" else 0, v4=floats(1, 2, 3, 4), vscr=vscr)["v1"]

    assert result(denormalised, NJ) == result(zeros, NJ) == result(zeros, 0) != result(denormalised, 0)


def test_a_snapshot_has_the_vectors() -> None:
    cpu = machine(**{f"v{n}": n << 100 | n for n in range(32)}, vscr=NJ | SAT, vrsave=5)
    other = Cpu(Vm(), "7400")
    other.restore(cpu.snapshot())
    assert other.state() == cpu.state()
    with pytest.raises(ValueError, match="PVR"):
        Cpu(Vm(), "750").restore(cpu.snapshot())
