"""GDB's threads: two of uMPS3's processors, packet by packet."""

import struct
from pathlib import Path

import pytest

from emulators.gdb.mips import MipsRegisters
from emulators.gdb.stub import Resume, Stub
from emulators.machine import Debugged, Machine
from tests.emulators.umps import tiny
from tests.emulators.umps.tiny import A0, NOP, addiu

FIRST, SECOND = 0x2000_2000, 0x2000_3000
A0_NUMBER, PC_NUMBER = b"4", b"25"
LOOP = [addiu(A0, A0, 1), 0x1000_FFFE, NOP]  # the branch goes back to the addition


def pair(folder: Path) -> tuple[Stub, Machine]:
    """Processors in two loops; the second has begun to count at 0x1000."""
    machine, _ = tiny.make(folder, [NOP], {"num-processors": 2})
    for address in (FIRST, SECOND):
        machine.vm.write(address, struct.pack("<3I", *LOOP))
    stub = Stub(MipsRegisters(machine.cpu.state()))
    for thread, address, start in ((b"1", FIRST, 0), (b"2", SECOND, 0x1000)):
        stub.answer(b"Hg" + thread, machine)
        stub.answer(b"P" + PC_NUMBER + b"=" + address.to_bytes(4, "little").hex().encode(), machine)
        stub.answer(b"P" + A0_NUMBER + b"=" + start.to_bytes(4, "little").hex().encode(), machine)
    stub.answer(b"Hg1", machine)
    return stub, machine


def register(stub: Stub, machine: Machine, thread: int, number: bytes) -> int:
    assert stub.answer(b"Hg%x" % thread, machine) == b"OK"
    found = stub.answer(b"p" + number, machine)
    assert isinstance(found, bytes)
    return int.from_bytes(bytes.fromhex(found.decode()), "little")


def test_processors_are_threads(tmp_path: Path) -> None:
    stub, machine = pair(tmp_path)
    assert stub.answer(b"qfThreadInfo", machine) == b"m1,2"
    assert stub.answer(b"qsThreadInfo", machine) == b"l"
    assert stub.answer(b"T2", machine) == b"OK"
    assert stub.answer(b"T3", machine) == b"E01"
    assert stub.answer(b"Hg3", machine) == b"E01"
    assert stub.answer(b"Hgffffffffff", machine) == b"E01"
    assert stub.answer(b"qC", machine) == b"QC1"
    assert stub.answer(b"Hg2", machine) == b"OK"
    assert stub.answer(b"Hc-1", machine) == b"OK"
    assert stub.answer(b"qC", machine) == b"QC2"
    assert stub.answer(b"qThreadExtraInfo,2", machine) == b"processor 1, running".hex().encode()
    machine.cpu.set_state({"halted": 1})
    assert stub.answer(b"qThreadExtraInfo,1", machine) == b"processor 0, halted".hex().encode()
    assert stub.answer(b"qThreadExtraInfo,3", machine) == b"E01"


def test_registers_are_of_the_chosen_one(tmp_path: Path) -> None:
    stub, machine = pair(tmp_path)
    machine.run_for(30)
    assert register(stub, machine, 1, A0_NUMBER) == 10
    assert register(stub, machine, 2, A0_NUMBER) == 0x100A
    assert register(stub, machine, 2, PC_NUMBER) == SECOND
    whole = stub.answer(b"g", machine)
    assert isinstance(whole, bytes)
    assert stub.answer(b"Hg1", machine) == b"OK"
    assert stub.answer(b"G" + whole, machine) == b"OK"
    assert register(stub, machine, 1, A0_NUMBER) == 0x100A
    assert register(stub, machine, 1, PC_NUMBER) == SECOND


@pytest.mark.parametrize("number", [1, 2])
def test_a_breakpoint_names_its_processor_and_a_step_moves_it(tmp_path: Path, number: int) -> None:
    stub, machine = pair(tmp_path)
    place = (FIRST, SECOND)[number - 1] + 4
    assert stub.answer(b"Z0,%x,4" % place, machine) == b"OK"
    assert stub.answer(b"vCont;c", machine) == Resume()
    outcome = machine.run_for(1000)
    assert isinstance(outcome, Debugged)
    assert outcome.exit.processor == number - 1
    assert stub.stopped(outcome) == b"T05thread:%x;hwbreak:;" % number
    assert register(stub, machine, number, PC_NUMBER) == place
    assert stub.answer(b"z0,%x,4" % place, machine) == b"OK"
    # A branch and its slot, then the addition; the other one goes on, too.
    counts = [register(stub, machine, thread, A0_NUMBER) for thread in (1, 2)]
    for after in (place - 4, place):
        assert stub.answer(b"vCont;s:%x;c" % number, machine) == b"T05thread:%x;" % number
        assert register(stub, machine, number, PC_NUMBER) == after
    now = [register(stub, machine, thread, A0_NUMBER) for thread in (1, 2)]
    assert now[number - 1] == counts[number - 1] + 1
    assert now[2 - number] - counts[2 - number] in (0, 1)


def test_a_step_in_the_middle_of_a_tick(tmp_path: Path) -> None:
    """The second one has stopped before its turn, in a tick in which the first has had its own."""
    stub, machine = pair(tmp_path)
    stub.answer(b"Z0,%x,4" % (SECOND + 4), machine)
    outcome = machine.run_for(1000)
    assert isinstance(outcome, Debugged)
    stub.stopped(outcome)
    stub.answer(b"z0,%x,4" % (SECOND + 4), machine)
    at = register(stub, machine, 1, PC_NUMBER)
    assert at == FIRST + 8  # in the slot
    assert stub.answer(b"vCont;s:1;c", machine) == b"T05thread:1;"
    assert register(stub, machine, 1, PC_NUMBER) == FIRST


@pytest.mark.parametrize("number", [1, 2])
def test_a_watchpoint_names_its_processor(tmp_path: Path, number: int) -> None:
    stub, machine = pair(tmp_path)
    # lui t0, 0x2000; then: sw a0, 0x4100(t0); b back; nop
    again = [0x3C08_2000, 0xAD04_4100, 0x1000_FFFE, NOP]
    machine.vm.write((FIRST, SECOND)[number - 1], struct.pack("<4I", *again))
    assert stub.answer(b"Z2,20004100,4", machine) == b"OK"
    outcome = machine.run_for(1000)
    assert isinstance(outcome, Debugged)
    assert stub.stopped(outcome) == b"T05thread:%x;watch:20004100;" % number


def test_one_that_is_halted_stands_still(tmp_path: Path) -> None:
    stub, machine = pair(tmp_path)
    machine.cpu.set_state({"halted": 1})
    assert stub.answer(b"vCont;s:1;c", machine) == b"T05thread:1;"
    assert register(stub, machine, 1, PC_NUMBER) == FIRST
    assert register(stub, machine, 2, A0_NUMBER) == 0x1001
