"""PowerPC processors: exceptions, address translation, time and devices, to the instruction. PEM is MPCFPE32B."""

import struct

import pytest

from emulators.cpus.ppc import ALIGNMENT, DECREMENTER, DSI, PROGRAM, SYSTEM_CALL, Cpu, Vm
from emulators.exits import Budget, Debug, ExceptionTaken, Halt, Hypercall, Mmio
from vde.errors import ConfigError

RAM_OCTETS = 0x100000
CODE = 0x2000
EE, PR, FP, SE, DR, POW = 0x8000, 0x4000, 0x2000, 0x400, 0x10, 0x40000
NOP = 0x60000000
SC = 0x44000002


def d_form(op: int, d: int, a: int, immediate: int) -> int:
    return op << 26 | d << 21 | a << 16 | immediate & 0xFFFF


def x_form(xo: int, d: int, a: int, b: int, op: int = 31) -> int:
    return op << 26 | d << 21 | a << 16 | b << 11 | xo << 1


def mtspr(spr: int, s: int) -> int:
    return x_form(467, s, spr & 31, spr >> 5)


def machine(*words: int, vm: Vm | None = None, **state: int) -> tuple[Cpu, Vm]:
    """A processor at the words, which are at `CODE`."""
    if vm is None:
        vm = Vm()
        vm.add_memory(0, RAM_OCTETS)
        vm.write(0, struct.pack(">I", NOP) * (CODE // 4))
    vm.write(CODE, struct.pack(f">{len(words)}I", *words))
    cpu = Cpu(vm)
    cpu.set_state({"pc": CODE, "msr": 0, **state})
    return cpu, vm


def test_a_model_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="'G5': expected 750, 604, 7400"):
        Cpu(Vm(), "G5")


def test_a_system_call_returns_behind_itself() -> None:
    cpu, _ = machine(SC, NOP)
    assert isinstance(cpu.run(1), Budget)
    state = cpu.state()
    assert (state["pc"], state["srr0"], cpu.icount) == (SYSTEM_CALL, CODE + 4, 1)


def test_an_intercepted_call_is_not_taken() -> None:
    cpu, _ = machine(SC, NOP)
    cpu.intercept([SYSTEM_CALL])
    assert cpu.run(10) == ExceptionTaken(SYSTEM_CALL, CODE + 4)
    assert (cpu.state()["pc"], cpu.icount) == (CODE, 0)


def test_sc_1_calls_the_host_if_it_may() -> None:
    vm = Vm()
    vm.add_memory(0, RAM_OCTETS)
    vm.write(CODE, struct.pack(">I", 0x44000022))
    cpu = Cpu(vm, hypercalls=True)
    cpu.set_state({"pc": CODE, "msr": 0, "r3": 77})
    assert cpu.run(10) == Hypercall(77)
    assert cpu.state()["pc"] == CODE + 4


def test_the_decrementer_interrupts_at_its_tick() -> None:
    cpu, _ = machine(*[NOP] * 200, msr=EE, dec=9)
    # It steps at ticks 6, 12 … 60, where it becomes −1.
    assert cpu.next_timer() == 60
    cpu.run(60)
    assert cpu.state()["pc"] == CODE + 4 * 60
    cpu.run(1)
    assert (cpu.state()["srr0"], cpu.state()["pc"]) == (CODE + 4 * 60, DECREMENTER + 4)


def test_a_sleeping_processor_wakes_at_the_decrementer() -> None:
    nap = d_form(15, 4, 0, 0x0040)  # lis r4, HID0[NAP]
    power = [d_form(15, 5, 0, POW >> 16), d_form(24, 5, 5, EE), x_form(146, 5, 0, 0)]
    cpu, _ = machine(nap, mtspr(1008, 4), *power, NOP, dec=1000)
    assert isinstance(cpu.run(100), Halt)
    assert cpu.icount == 5
    left = cpu.next_timer()
    assert left == 6 * 1001 - 5
    with pytest.raises(ValueError, match="decrementer"):
        cpu.skip(left + 1)
    cpu.skip(left)
    cpu.run(1)
    assert (cpu.state()["srr0"], cpu.state()["srr1"] & POW) == (CODE + 20, 0)
    assert cpu.state()["msr"] & POW == 0


def test_the_external_line_waits_for_ee() -> None:
    cpu, _ = machine(*[NOP] * 8)
    cpu.set_irq(True)
    cpu.run(3)
    assert cpu.state()["pc"] == CODE + 12
    cpu.set_state({"msr": EE})
    cpu.run(1)
    assert (cpu.state()["srr0"], cpu.state()["pc"]) == (CODE + 12, 0x504)


def test_a_supervisors_instruction_is_no_users() -> None:
    cpu, _ = machine(x_form(83, 3, 0, 0), msr=PR)  # mfmsr
    cpu.run(1)
    assert (cpu.state()["pc"], cpu.state()["srr1"]) == (PROGRAM, PR | 1 << 18)


def test_a_multiple_that_is_not_aligned_says_which_instruction_it_was() -> None:
    cpu, _ = machine(d_form(46, 29, 4, 2), r4=0x3000)  # lmw r29, 2(r4)
    cpu.run(1)
    state = cpu.state()
    assert (state["pc"], state["dar"]) == (ALIGNMENT, 0x3002)
    # PEM table 6-12: instruction bits 5, 1…4 of 46 = 101110, then rD and rA.
    assert state["dsisr"] == 0 << 14 | 0b0111 << 10 | 29 << 5 | 4


def test_numbers_that_are_not_aligned_are_loaded_over_pages() -> None:
    cpu, vm = machine(d_form(32, 3, 4, 0), d_form(36, 3, 5, 0), r4=0x3FFE, r5=0x4FFD)
    vm.write(0x3FFE, bytes.fromhex("01020304"))
    cpu.run(2)
    assert cpu.state()["r3"] == 0x01020304
    assert vm.read(0x4FFD, 4) == bytes.fromhex("01020304")


def test_devices_are_asked_once_each() -> None:
    device = 0x8000_0000
    cpu, _ = machine(d_form(46, 29, 4, 0), d_form(47, 30, 4, 16), NOP, r4=device)  # lmw r29; stmw r30
    for n, value in enumerate((b"\0\0\0\1", b"\0\0\0\2", b"\x12\x34\x56\x78")):
        asked = cpu.run(10)
        assert isinstance(asked, Mmio)
        assert (asked.direction, asked.gpa, asked.size) == ("read", device + 4 * n, 4)
        asked.data = value
        # In the middle of an instruction it is saved and goes on as well.
        other = Cpu(cpu.vm)
        other.restore(cpu.snapshot())
        assert other.pending is not None
    for n, data in enumerate((b"\0\0\0\2", b"\x12\x34\x56\x78")):
        asked = cpu.run(10)
        assert asked == Mmio("write", device + 16 + 4 * n, 4, data)
    cpu.run(2)
    assert (cpu.state()["pc"], cpu.state()["r31"], cpu.icount) == (CODE + 12, 0x12345678, 3)


def test_a_bus_error_is_a_machine_check() -> None:
    cpu, _ = machine(d_form(32, 3, 4, 0), r4=0x8000_0000, r3=5)
    asked = cpu.run(10)
    assert isinstance(asked, Mmio)
    asked.bus_error = True
    cpu.run(1)
    assert (cpu.state()["pc"], cpu.state()["srr0"], cpu.state()["r3"]) == (0x200, CODE, 5)


def translated(*words: int, pte: tuple[int, int] | None, **state: int) -> tuple[Cpu, Vm]:
    """A processor with DR set, a BAT for its first 128 KiB, and a page table with one entry for 0x70003000."""
    cpu, vm = machine(*words)
    table, vsid = 0x10000, 0x123456
    cpu.set_state({"sdr1": table, "sr7": vsid, "dbat0u": 0x2, "dbat0l": 0x2, "msr": DR, **state})
    if pte is not None:
        group = table + ((vsid ^ 0x0003) & 0x3FF) * 64
        vm.write(group, struct.pack(">2I", 1 << 31 | vsid << 7 | 0, pte[0]))
        assert pte[1] == group
    return cpu, vm


GROUP = 0x10000 + ((0x123456 ^ 3) & 0x3FF) * 64


def test_the_page_table_is_found_and_told_of_accesses() -> None:
    cpu, vm = translated(d_form(32, 3, 4, 8), d_form(36, 3, 4, 12), pte=(0x5002, GROUP), r4=0x7000_3000)
    vm.write(0x5008, b"\0\0\0\x2a")
    cpu.run(1)
    assert (cpu.state()["r3"], vm.read(GROUP + 4, 4).hex()) == (42, "00005102")  # R
    cpu.run(1)
    assert (vm.read(0x500C, 4), vm.read(GROUP + 4, 4).hex()) == (b"\0\0\0\x2a", "00005182")  # and C


@pytest.mark.parametrize(
    ("store", "pte", "dsisr"),
    [(False, None, 1 << 30), (True, None, 1 << 30 | 1 << 25), (True, (0x5003, GROUP), 1 << 27 | 1 << 25)],
)
def test_what_is_not_there_or_not_allowed_is_a_dsi(store: bool, pte: tuple[int, int] | None, dsisr: int) -> None:
    cpu, _ = translated(d_form(36 if store else 32, 3, 4, 8), pte=pte, r4=0x7000_3000)
    cpu.run(1)
    state = cpu.state()
    assert (state["pc"], state["dar"], state["dsisr"], state["srr0"]) == (DSI, 0x70003008, dsisr, CODE)


def test_a_segment_that_changes_is_seen_at_once() -> None:
    words = (d_form(32, 3, 4, 0), x_form(210, 5, 7, 0), d_form(32, 3, 4, 0))  # lwz; mtsr 7, r5; lwz
    cpu, _ = translated(*words, pte=(0x5002, GROUP), r4=0x7000_3000, r5=0x111)
    cpu.run(3)
    assert (cpu.state()["pc"], cpu.state()["srr0"]) == (DSI, CODE + 8)


def test_a_step_is_traced() -> None:
    cpu, _ = machine(NOP, NOP, msr=SE)
    cpu.run(1)
    cpu.run(1)
    assert (cpu.state()["srr0"], cpu.state()["pc"] & 0xF00) == (CODE + 4, 0xD00)


def test_enabled_exceptions_keep_the_target() -> None:
    fdiv = 63 << 26 | 3 << 21 | 1 << 16 | 2 << 11 | 18 << 1
    one = 0x3FF0000000000000
    cpu, _ = machine(fdiv, msr=FP | 0x900, f1=one, f2=0, f3=7, fpscr=1 << 4)  # ZE
    cpu.run(1)
    state = cpu.state()
    assert (state["pc"], state["srr1"] & 1 << 20, state["f3"]) == (PROGRAM, 1 << 20, 7)
    assert state["fpscr"] >> 26 & 1 == 1  # ZX


def test_code_that_is_written_over_is_decoded_anew() -> None:
    # stw r3, 8(r4) over the third word, which was decoded with the first
    cpu, _ = machine(NOP, d_form(36, 3, 4, 8), NOP, NOP, r3=d_form(14, 6, 0, 99), r4=CODE)
    cpu.run(4)
    assert cpu.state()["r6"] == 99


def test_breakpoints_and_watchpoints_come_back() -> None:
    cpu, _ = machine(NOP, d_form(36, 3, 4, 0), NOP, r4=0x3000)
    cpu.add_breakpoint(CODE + 4)
    assert cpu.run(10) == Debug("breakpoint", CODE + 4)
    cpu.add_watchpoint(0x3000, 4, "write")
    assert cpu.run(10) == Debug("watch-write", 0x3000)
    assert cpu.icount == 2


def test_a_restored_processor_goes_on_as_the_other() -> None:
    loop = [d_form(14, 3, 3, 1), x_form(339, 5, 268 & 31, 268 >> 5), x_form(316, 6, 6, 5), d_form(36, 6, 4, 0)]
    back = 18 << 26 | (-16 & 0x03FFFFFC)
    cpu, vm = machine(*loop, back, r4=0x3000, dec=50, msr=EE)
    vm.write(DECREMENTER, struct.pack(">2I", d_form(15, 7, 0, 1), mtspr(22, 7)))
    vm.write(DECREMENTER + 8, struct.pack(">I", 19 << 26 | 50 << 1))  # rfi
    cpu.run(137)
    image, memory = cpu.snapshot(), vm.read(0, RAM_OCTETS)
    cpu.run(100_000)
    other_vm = Vm()
    other_vm.add_memory(0, RAM_OCTETS)
    other_vm.write(0, memory)
    other = Cpu(other_vm)
    other.restore(image)
    for _ in range(1000):
        other.run(100)
    assert other.snapshot() == cpu.snapshot()
    assert other_vm.hash() == vm.hash()
