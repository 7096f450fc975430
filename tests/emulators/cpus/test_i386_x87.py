"""The x87 unit from Python: registers by name, saved states, and the error pins. Arithmetic is tested in the crates."""

import math
import struct
from fractions import Fraction

import pytest

from emulators.cpus.i386 import Cpu, Vm
from emulators.exits import Budget, Halt, IrqWindow

CODE = 0x1000
DATA = 0x2000
HANDLER = 0x3000
VECTOR = 0x75
MASK_ALL = 0x37F
MASK_NONE = 0x340


def processor(code: bytes, model: str = "pentium3") -> tuple[Cpu, Vm]:
    """In real mode, the program at 0:CODE, the unit as FNINIT leaves it."""
    vm = Vm()
    vm.add_memory(0, 1 << 20)
    vm.write(CODE, code)
    vm.write(4 * VECTOR, struct.pack("<HH", HANDLER, 0))
    cpu = Cpu(vm, model=model)
    cpu.set_state({"cs": 0, "ds": 0, "ss": 0, "eip": CODE, "esp": 0x8000, "fcw": MASK_ALL, "fsw": 0, "ftw": 0xFFFF})
    return cpu, vm


def extended(value: float) -> int:
    """A double as the 80 bits of a register."""
    if value == 0:
        return 0
    fraction, exponent = math.frexp(abs(value))
    sign = 0x8000 if value < 0 else 0
    return (sign | exponent - 1 + 16383) << 64 | int(Fraction(fraction) * 2**64)


def test_numbers_go_in_and_out() -> None:
    # fld qword [2000]; fmul qword [2008]; fst qword [2010]
    cpu, vm = processor(bytes.fromhex("dd060020 dc0e0820 dd161020"))
    vm.write(DATA, struct.pack("<dd", 1.5, -2.25))
    assert isinstance(cpu.run(3), Budget)
    assert struct.unpack("<d", vm.read(DATA + 16, 8)) == (-3.375,)
    state = cpu.state()
    assert state["st0"] == extended(-3.375)
    assert (state["fsw"], state["ftw"]) == (7 << 11, 0x3FFF)
    assert (state["fip"], state["fdp"], state["fop"]) == (CODE + 8, DATA + 16, 0x516)


def test_a_snapshot_has_the_unit() -> None:
    cpu, vm = processor(bytes.fromhex("d9eb d9ec d9fe"))  # fldpi; fldlg2; fsin
    cpu.run(3)
    twin = Cpu(vm, model="pentium3")
    twin.restore(cpu.snapshot())
    assert twin.state() == cpu.state()
    twin.set_state({"st1": extended(0.5)})
    assert twin.state()["st1"] == extended(0.5)
    assert twin.snapshot() != cpu.snapshot()


def test_the_state_can_be_given_in_any_order() -> None:
    cpu, _ = processor(b"")
    cpu.set_state({"st2": extended(7.0), "fsw": 3 << 11, "ftw": 0xF3FF})
    state = cpu.state()
    assert (state["st2"], state["ftw"]) == (extended(7.0), 0xF3FF)


# fld1; fldz; fdivp; fld1
DIVIDES = bytes.fromhex("d9e8 d9ee def9 d9e8")


def test_an_error_is_an_exception() -> None:
    cpu, vm = processor(DIVIDES)
    vm.write(4 * 16, struct.pack("<HH", HANDLER, 0))
    cpu.set_state({"fcw": MASK_NONE, "cr0": cpu.state()["cr0"] | 0x20})
    assert isinstance(cpu.run(4), Budget)
    assert cpu.state()["eip"] == HANDLER
    assert vm.read(0x8000 - 6, 2) == struct.pack("<H", CODE + 6)
    assert not cpu.ferr


def test_or_an_interrupt_from_outside() -> None:
    cpu, vm = processor(DIVIDES)
    cpu.set_state({"fcw": MASK_NONE, "eflags": 0x202})
    vm.write(HANDLER, bytes.fromhex("d9e8 dbe2 cf"))  # fld1; fnclex; iret
    assert isinstance(cpu.run(100), Halt)  # FERR#
    assert cpu.ferr
    assert cpu.state()["eip"] == CODE + 6
    cpu.set_intr(True)
    assert isinstance(cpu.run(100), IrqWindow)
    cpu.set_intr(False)
    cpu.inject(VECTOR)
    cpu.set_ignne(True)
    assert isinstance(cpu.run(1), Budget)
    assert cpu.state()["st0"] == extended(1.0)  # the handler's, although the error is pending
    assert cpu.ferr
    assert isinstance(cpu.run(2), Budget)
    assert not cpu.ferr
    assert isinstance(cpu.run(1), Budget)
    assert cpu.state()["eip"] == CODE + 8


@pytest.mark.parametrize(("model", "vector"), [("pentium", 6), ("pentium2", None)])
def test_conditional_moves_came_later(model: str, vector: int | None) -> None:
    cpu, vm = processor(bytes.fromhex("dac1"), model)  # fcmovb st(1)
    vm.write(4 * 6, struct.pack("<HH", HANDLER, 0))
    cpu.run(1)
    assert cpu.state()["eip"] == (HANDLER if vector == 6 else CODE + 2)
