"""The 24Kf through the engine contract: budgets, exits, answers, interrupts, state. Words are assembled by hand."""

import struct

import pytest

from emulators.cpus.mips import EXC_BP, EXC_DBE, EXC_SYS, Cpu, Vm
from emulators.exits import Budget, Debug, ExceptionTaken, Halt, Hypercall, Kicked, Mmio

CODE = 0x1000
PC = 0x8000_1000
DEVICE = 0xBF00_0000

BREAK = 0x0000_000D
SYSCALL = 0x0000_000C
NOP = 0
WAIT = 0x4200_0020


def machine(*words: int, hypercalls: bool = False) -> tuple[Vm, Cpu]:
    vm = Vm()
    vm.add_memory(0, 1 << 20)
    vm.write(CODE, struct.pack(f"<{len(words)}I", *words))
    cpu = Cpu(vm, hypercalls=hypercalls)
    cpu.intercept({EXC_BP})
    cpu.set_state({"pc": PC, "status": 0})
    return vm, cpu


LOOP = (0x2508_0001, 0x1509_FFFE, NOP, BREAK)
"""addiu t0, t0, 1; bne t0, t1, back; nop"""


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_a_budget_is_exact(step: int) -> None:
    _, cpu = machine(*LOOP)
    cpu.set_state({"t1": 100})
    done = 0
    while not isinstance(end := cpu.run(step), ExceptionTaken):
        assert end == Budget()
        done += step
        assert cpu.icount == done
    assert cpu.icount == 300
    assert cpu.state()["r8"] == 100
    assert cpu.state()["pc"] == PC + 12


def test_state_in_a_delay_slot() -> None:
    _, cpu = machine(*LOOP)
    cpu.set_state({"t1": 2})
    cpu.run(2)
    state = cpu.state()
    assert (state["pc"], state["in_delay_slot"], state["branch_target"]) == (PC + 8, 1, PC)
    cpu.run(3)
    state = cpu.state()  # not taken, still a delay slot
    assert (state["pc"], state["in_delay_slot"], state["branch_target"]) == (PC + 8, 1, PC + 12)


def test_device_accesses_are_made_once() -> None:
    _, cpu = machine(0x8D28_0000, 0xAD28_0004, BREAK)  # lw t0, 0(t1); sw t0, 4(t1)
    cpu.set_state({"t1": DEVICE})
    end = cpu.run(100)
    assert end == Mmio("read", 0x1F00_0000, 4)
    with pytest.raises(RuntimeError):
        cpu.run(100)
    end.data = b"\1\2"
    with pytest.raises(ValueError, match="4 were asked"):
        cpu.run(100)
    assert cpu.pending is end
    end.data = b"\1\2\3\4"
    assert cpu.run(100) == Mmio("write", 0x1F00_0004, 4, b"\1\2\3\4")
    assert cpu.icount == 2
    assert cpu.state()["pc"] == PC + 8
    assert cpu.run(100) == ExceptionTaken(EXC_BP, PC + 12)


def test_a_read_in_a_delay_slot() -> None:
    _, cpu = machine(0x1000_0003, 0x8D28_0000, NOP, NOP, BREAK)  # b +3; lw t0, 0(t1)
    cpu.set_state({"t1": DEVICE})
    end = cpu.run(100)
    assert isinstance(end, Mmio)
    end.data = b"\5\0\0\0"
    assert cpu.run(100) == ExceptionTaken(EXC_BP, PC + 20)
    assert cpu.state()["r8"] == 5


@pytest.mark.parametrize("word", [0x8D28_0000, 0xAD28_0000])
def test_a_bus_error_is_the_instructions_own(word: int) -> None:
    _, cpu = machine(NOP, word, BREAK)
    cpu.set_state({"t1": DEVICE, "t0": 7})
    end = cpu.run(100)
    assert isinstance(end, Mmio)
    end.bus_error = True
    cpu.intercept({EXC_DBE})
    assert cpu.run(100) == ExceptionTaken(EXC_DBE, PC + 8)
    state = cpu.state()
    assert (state["pc"], state["r8"]) == (PC + 4, 7)


def test_a_fetch_from_a_device() -> None:
    _, cpu = machine()
    cpu.set_state({"pc": DEVICE, "t1": 3})
    end = cpu.run(100)
    assert end == Mmio("read", 0x1F00_0000, 4)
    end.data = struct.pack("<I", 0x2529_0001)
    end = cpu.run(100)
    assert end == Mmio("read", 0x1F00_0004, 4)
    assert cpu.state()["r9"] == 4


def test_unaligned_stores_to_devices_are_made_once() -> None:
    _, cpu = machine(0xA928_0001, BREAK)  # swl t0, 1(t1): the two upper octets to 0 and 1
    cpu.set_state({"t1": DEVICE, "t0": 0x0102_0304})
    seen = []
    while isinstance(end := cpu.run(100), Mmio):
        seen.append((end.gpa, end.size, end.data))
    assert seen == [(0x1F00_0000, 1, b"\2"), (0x1F00_0001, 1, b"\1")]
    assert cpu.icount == 1


def test_wait_halts_until_the_timer() -> None:
    _, cpu = machine(WAIT, NOP, BREAK)
    cpu.set_state({"status": 0x8001, "compare": 50, "ebase": 0x8000_0000})
    assert cpu.run(100) == Halt()
    assert cpu.run(100) == Halt()
    left = cpu.next_timer()
    assert left == 99
    with pytest.raises(ValueError, match="timer"):
        cpu.skip(left + 1)
    cpu.skip(left)
    assert cpu.ticks == 100
    cpu.run(1)
    state = cpu.state()
    assert (state["epc"], state["pc"], state["cause"] >> 30 & 1) == (PC + 4, 0x8000_0184, 1)


def test_an_external_interrupt_ends_wait() -> None:
    _, cpu = machine(WAIT, BREAK)
    cpu.set_state({"status": 0x0401})
    assert cpu.run(100) == Halt()
    cpu.set_ip(2, True)
    cpu.run(1)
    assert cpu.state()["epc"] == PC + 4
    with pytest.raises(ValueError, match="line"):
        cpu.set_ip(1, True)


def test_kick_and_hypercall_and_debug_mode() -> None:
    _, cpu = machine(0x7000_01BF, BREAK, hypercalls=True)  # sdbbp 6
    cpu.kick()
    assert cpu.run(100) == Kicked()
    assert cpu.run(100) == Hypercall(6)
    assert cpu.state()["pc"] == PC + 4
    vm, cpu = machine(0x7000_01BF, BREAK)
    vm.add_memory(0x1FC0_0000, 4096)
    vm.write(0x1FC0_0480, struct.pack("<2I", NOP, 0x4200_001F))  # deret
    cpu.run(1)
    assert cpu.state()["pc"] == 0xBFC0_0480
    cpu.run(2)
    assert cpu.state()["pc"] == PC


def test_breakpoints_and_watchpoints() -> None:
    _, cpu = machine(0x2508_0001, 0xAD28_0000, 0x8D2A_0000, 0x1000_FFFC, NOP)  # loop: t0++; sw; lw
    cpu.set_state({"t1": 0x8000_2000})
    cpu.add_breakpoint(PC + 4)
    for count in (1, 2):
        assert cpu.run(100) == Debug("breakpoint", PC + 4)
        assert cpu.state()["r8"] == count
    cpu.remove_breakpoint(PC + 4)
    cpu.add_watchpoint(0x8000_2002, 1, "write")
    assert cpu.run(100) == Debug("watch-write", 0x8000_2000)
    assert cpu.state()["pc"] == PC + 8
    cpu.remove_watchpoint(0x8000_2002, 1, "write")
    cpu.add_watchpoint(0x8000_2000, 4, "read")
    assert cpu.run(100) == Debug("watch-read", 0x8000_2000)
    assert cpu.state()["r10"] == cpu.state()["r8"] == 2


def test_code_that_is_written_is_decoded_again() -> None:
    vm, cpu = machine(0x2508_0001, BREAK)
    cpu.run(10)
    vm.write(CODE, struct.pack("<I", 0x2508_0010))
    cpu.set_state({"pc": PC})
    cpu.run(10)
    assert cpu.state()["r8"] == 17
    # the guest writes over its next instruction: sw t2, 4(t1)
    vm.write(CODE, struct.pack("<3I", 0xAD2A_0004, BREAK, BREAK))
    cpu.set_state({"pc": PC, "t1": PC, "t2": 0x2508_0100, "t0": 0})
    cpu.run(2)
    assert cpu.state()["r8"] == 0x100


def test_readonly_memory_goes_to_the_board() -> None:
    vm, cpu = machine(0xAD28_0000, BREAK)
    vm.add_memory(0x1000_0000, 4096, readonly=True)
    vm.write(0x1000_0000, b"rom!")
    cpu.set_state({"t1": 0xB000_0000, "t0": 1})
    assert cpu.run(10) == Mmio("write", 0x1000_0000, 4, b"\1\0\0\0")
    assert vm.read(0x1000_0000, 4) == b"rom!"


def test_memory_comes_and_goes_between_runs() -> None:
    lw, sw, back = 0x8D28_0000, 0xAD28_0000, 0x1000_FFFD  # lw/sw t0, 0(t1); b -3
    vm, cpu = machine(lw, sw, back, NOP)
    vm.add_memory(0x1000_0000, 8192)
    cpu.set_state({"t1": 0xB000_0000})
    assert cpu.run(9) == Budget()
    vm.set_readonly(0x1000_0000, 4096)
    assert cpu.run(9) == Mmio("write", 0x1000_0000, 4, bytes(4))
    vm.set_readonly(0x1000_0000, 4096, on=False)
    assert cpu.run(9) == Budget()
    vm.remove_memory(0x1000_0000)
    end = cpu.run(9)
    assert end == Mmio("read", 0x1000_0000, 4)
    assert isinstance(end, Mmio)
    vm.add_memory(0x1000_0000, 4096)
    end.data = bytes(4)
    assert cpu.run(9) == Budget()
    with pytest.raises(ValueError, match="no memory was added at 0x10001000"):
        vm.remove_memory(0x1000_1000)
    vm.remove_memory(0)  # with the code that runs
    end = cpu.run(9)
    assert isinstance(end, Mmio)
    assert end.direction == "read"
    assert CODE <= end.gpa < CODE + 16


def test_dirty_pages() -> None:
    vm, cpu = machine(0xAD28_0000, 0x1000_FFFE, NOP)
    cpu.set_state({"t1": 0x8000_3000})
    assert vm.dirty_pages() == [1]
    cpu.run(30)
    assert vm.dirty_pages() == [3]
    assert vm.dirty_pages() == []
    cpu.run(3)
    assert vm.dirty_pages() == [3]


def test_intercepted_exceptions_change_nothing() -> None:
    _, cpu = machine(0x1000_0003, SYSCALL, NOP, NOP, BREAK)
    cpu.intercept({EXC_SYS, EXC_BP})
    assert cpu.run(100) == ExceptionTaken(EXC_SYS, PC + 16)
    state = cpu.state()
    assert (state["pc"], state["in_delay_slot"], state["status"] & 2, cpu.icount) == (PC + 4, 1, 0, 1)
    cpu.set_state({"pc": PC + 16})
    assert cpu.run(100) == ExceptionTaken(EXC_BP, PC + 20)


def test_state_refuses_what_is_not_there() -> None:
    _, cpu = machine()
    for wrong in ({"r32": 0}, {"f32": 0}, {"nonsense": 1}, {"tlb16.entryhi": 0}, {"r1": 1 << 32}):
        before = cpu.state()
        with pytest.raises(ValueError, match=next(iter(wrong))):
            cpu.set_state({"t0": 99, **wrong})
        assert cpu.state() == before
    with pytest.raises(OverflowError):
        cpu.set_state({"r1": -1})


def test_snapshots() -> None:
    _, cpu = machine(*LOOP)
    cpu.set_state({"t1": 100})
    cpu.run(50)
    snapshot = cpu.snapshot()
    _, other = machine(*LOOP)
    other.restore(snapshot)
    assert other.snapshot() == snapshot
    cpu.run(1000)
    other.run(1000)
    assert other.snapshot() == cpu.snapshot()
    assert other.state() == cpu.state()
    for damaged in (b"", snapshot[:-1], snapshot[1:], snapshot[:40] + b"\xff" + snapshot[41:], snapshot + b"\0"):
        with pytest.raises(ValueError, match="snapshot"):
            other.restore(damaged)
    assert other.snapshot() == cpu.snapshot()


def test_a_snapshot_in_the_middle_of_an_access() -> None:
    vm, cpu = machine(0x8D28_0000, BREAK)
    cpu.set_state({"t1": DEVICE})
    cpu.run(10)
    other = Cpu(vm)
    other.intercept({EXC_BP})
    other.restore(cpu.snapshot())
    pending = other.pending
    assert pending == Mmio("read", 0x1F00_0000, 4)
    pending.data = bytes(4)
    assert other.run(10) == ExceptionTaken(EXC_BP, PC + 8)
