"""Instructions of the PowerPC that Unicorn is no oracle for, each by the manual's words; and that no row has no test.

PEM is MPCFPE32B, chapter 8. What is not here is in `test_ppc_unicorn.py`.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from emulators.cpus.ppc import PROGRAM, SYSTEM_CALL, Cpu, Vm
from emulators.cpus.ppc.disassembler import instructions
from tests.emulators.cpus.test_ppc_unicorn import NAMES

CODE, DATA, RAM_OCTETS = 0x2000, 0x8000, 0x10000
FP = 0x2000
EAR_ENABLED = 0x80000000
TRAP = 1 << 17
"""SRR1 of a program exception (PEM table 6-13)."""


@dataclass
class Ran:
    """One instruction, executed."""

    before: dict[str, int]
    after: dict[str, int]
    vm: Vm

    def changed(self) -> dict[str, int]:
        own = {"pc", "tb"}
        return {name: value for name, value in self.after.items() if value != self.before[name] and name not in own}

    def word(self, at: int) -> int:
        return int.from_bytes(self.vm.read(at, 4), "big")


def x_form(xo: int, d: int = 0, a: int = 0, b: int = 0, op: int = 31) -> int:
    return op << 26 | d << 21 | a << 16 | b << 11 | xo << 1


def spr_form(xo: int, register: int, spr: int) -> int:
    return x_form(xo, register, spr & 31, spr >> 5)


def run(*words: int, data: bytes | None = None, **state: int) -> Ran:
    """The words, one after the other; `before` is what was before the last of them."""
    vm = Vm()
    vm.add_memory(0, RAM_OCTETS)
    vm.write(CODE, struct.pack(f">{len(words)}I", *words))
    vm.write(DATA, bytes(range(256)) if data is None else data)
    cpu = Cpu(vm)
    cpu.set_state({"pc": CODE, "msr": FP, **state})
    cpu.run(len(words) - 1)
    before = cpu.state()
    cpu.run(1)
    return Ran(before, cpu.state(), vm)


def double(value: float) -> int:
    return int.from_bytes(struct.pack(">d", value), "big")


def value_of(bits: int) -> float:
    value: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    return value


CASES: dict[str, Callable[[], object]] = {}


def case(*names: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    def keep(function: Callable[[], object]) -> Callable[[], object]:
        for name in names:
            assert name not in CASES
            CASES[name] = function
        return function

    return keep


@case("dcbf", "dcbst", "dcbt", "dcbtst", "icbi", "dcbi")
def caches_have_no_contents() -> None:
    for xo in (86, 54, 278, 246, 982, 470):
        ran = run(x_form(xo, 0, 4, 5), r4=DATA, r5=4)
        assert (ran.changed(), ran.after["pc"]) == ({}, CODE + 4)


@case("sync", "isync", "eieio", "tlbsync")
def barriers_have_nothing_to_wait_for() -> None:
    for word in (x_form(598), x_form(150, op=19), x_form(854), x_form(566)):
        ran = run(word)
        assert (ran.changed(), ran.after["pc"]) == ({}, CODE + 4)


@case("dcbz")
def a_block_of_32_octets_is_cleared() -> None:
    ran = run(x_form(1014, 0, 4, 5), data=b"\xff" * 96, r4=DATA + 7, r5=32)
    assert ran.vm.read(DATA, 96) == b"\xff" * 32 + bytes(32) + b"\xff" * 32


@case("eciwx", "ecowx")
def external_control_needs_its_enable() -> None:
    for xo, stores in ((310, 0), (438, 1 << 25)):
        ran = run(x_form(xo, 3, 0, 4), r4=DATA, ear=0)
        dsisr = 1 << 20 | stores  # PEM table 6-11, bits 11 and 6
        assert (ran.after["pc"], ran.after["dsisr"], ran.after["dar"]) == (0x300, dsisr, DATA)
    assert run(x_form(310, 3, 0, 4), r4=DATA, ear=EAR_ENABLED).after["r3"] == 0x00010203
    assert run(x_form(438, 3, 0, 4), r4=DATA, r3=0x55AA, ear=EAR_ENABLED).word(DATA) == 0x55AA


@case("lswi", "lswx", "stswi", "stswx")
def strings_fill_registers_from_the_left_and_wrap() -> None:
    five = 0x00010203, 0x04000000
    ran = run(x_form(597, 31, 4, 5), r4=DATA, r31=~0 & 0xFFFFFFFF, r0=9)
    assert (ran.after["r31"], ran.after["r0"]) == five
    ran = run(x_form(533, 31, 4, 5), r4=DATA - 8, r5=8, xer=5)
    assert (ran.after["r31"], ran.after["r0"]) == five
    for ran in (
        run(x_form(725, 31, 4, 6), data=b"\xff" * 16, r4=DATA, r31=0x01020304, r0=0x05060708),
        run(x_form(661, 31, 4, 5), data=b"\xff" * 16, r4=DATA, r5=0, xer=6, r31=0x01020304, r0=0x05060708),
    ):
        assert ran.vm.read(DATA, 8) == b"\1\2\3\4\5\6\xff\xff"


@case("lwarx", "stwcx.")
def a_store_needs_the_reservation() -> None:
    store = x_form(150, 3, 0, 4) | 1
    ran = run(store, r4=DATA, r3=7)
    assert (ran.word(DATA), ran.after["cr"] >> 28) == (0x00010203, 0)
    ran = run(x_form(20, 5, 0, 4), store, r4=DATA, r3=7, xer=1 << 31)
    assert (ran.after["r5"], ran.word(DATA), ran.after["cr"] >> 28) == (0x00010203, 7, 0b0011)


@case("mcrfs")
def a_field_of_fpscr_is_copied_and_its_exceptions_cleared() -> None:
    ran = run(x_form(64, 1 << 2, 0, 0, op=63), fpscr=0x90000000)  # FX, VX: bits 0…3 are FX, FEX, VX, OX
    assert ran.after["cr"] >> 24 & 0xF == 0x9
    assert not ran.after["fpscr"] & 0x90000000


@case("mcrxr")
def the_upper_half_octet_of_xer_moves() -> None:
    ran = run(x_form(512, 2 << 2), xer=0xE0000005, cr=0)
    assert (ran.after["cr"], ran.after["xer"]) == (0x00E00000, 5)


@case("mffs", "mtfsf", "mtfsfi", "mtfsb0", "mtfsb1")
def fpscr_is_moved_by_fields_and_bits() -> None:
    assert run(x_form(583, 1, op=63), fpscr=0x3).after["f1"] & 0xFFFFFFFF == 0x3
    flm = 63 << 26 | 0x01 << 17 | 2 << 11 | 711 << 1
    assert run(flm, f2=0xFFFFFFF2, fpscr=0x1).after["fpscr"] == 0x2
    assert run(63 << 26 | 7 << 23 | 3 << 12 | 134 << 1, fpscr=0).after["fpscr"] == 3
    assert run(x_form(38, 30, op=63), fpscr=0).after["fpscr"] == 2
    assert run(x_form(70, 30, op=63), fpscr=3).after["fpscr"] == 1


@case("mfmsr", "mtmsr")
def the_machine_state_is_a_register() -> None:
    assert run(x_form(83, 3), msr=FP | 0x8000).after["r3"] == FP | 0x8000
    assert run(x_form(146, 3), r3=0x9000).after["msr"] == 0x9000


@case("mfspr", "mtspr")
def special_registers_have_numbers_in_two_halves() -> None:
    for spr, name in (
        (8, "lr"),
        (9, "ctr"),
        (26, "srr0"),
        (272, "sprg0"),
        (275, "sprg3"),
        (25, "sdr1"),
        (528, "ibat0u"),
    ):
        assert run(spr_form(467, 3, spr), r3=0x00020004).after[name] == 0x00020004
        assert run(spr_form(467, 4, spr), spr_form(339, 3, spr), r4=0x00020004).after["r3"] == 0x00020004
    assert run(spr_form(339, 3, 287)).after["r3"] == 0x00080301  # PVR


@case("mftb")
def the_time_base_is_read_in_halves() -> None:
    assert run(spr_form(371, 3, 269), tb=5 << 32).after["r3"] == 5
    assert run(spr_form(371, 3, 268), tb=5 << 32 | 7).after["r3"] == 7


@case("mfsr", "mtsr", "mfsrin", "mtsrin")
def segments_are_numbered_or_chosen_by_an_address() -> None:
    assert run(x_form(210, 3, 9), r3=0x123).after["sr9"] == 0x123
    assert run(x_form(242, 3, 0, 4), r3=0x123, r4=0xA0000000).after["sr10"] == 0x123
    assert run(x_form(595, 3, 9), sr9=0x123).after["r3"] == 0x123
    assert run(x_form(659, 3, 0, 4), sr10=0x123, r4=0xA1234567).after["r3"] == 0x123


@case("rfi", "sc")
def a_system_call_and_back() -> None:
    ran = run(17 << 26 | 2)
    assert (ran.after["pc"], ran.after["srr0"], ran.after["msr"] & FP) == (SYSTEM_CALL, CODE + 4, 0)
    ran = run(x_form(50, op=19), srr0=0x3003, srr1=FP)
    assert (ran.after["pc"], ran.after["msr"]) == (0x3000, FP)


@case("tw", "twi")
def traps_compare_as_asked() -> None:
    """TO: signed less, signed greater, equal, unsigned less, unsigned greater."""
    for left, right in ((1, 2), (2, 1), (3, 3), (0xFFFFFFFF, 1), (1, 0xFFFFFFFE)):
        signed = [number - (number >> 31 << 32) for number in (left, right)]
        holds = (signed[0] < signed[1], signed[0] > signed[1], left == right, left < right, left > right)
        for to in range(32):
            traps = any(to >> 4 - number & 1 and held for number, held in enumerate(holds))
            for word in (x_form(4, to, 3, 4), 3 << 26 | to << 21 | 3 << 16 | right & 0xFFFF):
                ran = run(word, r3=left, r4=right)
                assert (ran.after["pc"] == PROGRAM) == traps
                assert not traps or ran.after["srr1"] & TRAP


@case("tlbie")
def a_translation_that_is_forgotten_is_looked_up_again() -> None:
    assert run(x_form(306, 0, 0, 4), r4=0x12345000).changed() == {}


@case("fres", "frsqrte")
def estimates_are_as_near_as_the_manual_says() -> None:
    """PEM: fres within 1/256, frsqrte within 1/32; the exceptions of 0, infinities and negative numbers."""
    for value in (1.0, 2.0, 3.0, 0.1, 1e10, 123456.789, 7e-20):
        got = value_of(run(59 << 26 | 1 << 21 | 2 << 11 | 24 << 1, f2=double(value)).after["f1"])
        assert math.isclose(got, 1 / value, rel_tol=1 / 256)
        got = value_of(run(63 << 26 | 1 << 21 | 2 << 11 | 26 << 1, f2=double(value)).after["f1"])
        assert math.isclose(got, 1 / math.sqrt(value), rel_tol=1 / 32)
    zx, vxsqrt = 1 << 26, 1 << 9
    ran = run(59 << 26 | 1 << 21 | 2 << 11 | 24 << 1, f2=double(0.0), fpscr=0)
    assert (ran.after["f1"], ran.after["fpscr"] & zx) == (double(math.inf), zx)
    ran = run(63 << 26 | 1 << 21 | 2 << 11 | 26 << 1, f2=double(-1.0), fpscr=0)
    assert ran.after["fpscr"] & vxsqrt
    assert math.isnan(value_of(ran.after["f1"]))


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_instruction_does_what_the_manual_says(name: str) -> None:
    CASES[name]()


def test_no_row_of_the_table_has_no_test() -> None:
    tested = {*NAMES, *CASES}
    assert {row.name for row in instructions("604")} == {row.name for row in instructions("750")} == tested
