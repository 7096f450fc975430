"""A uMPS3 processor: late loads, late MTC0, CAS, division by zero, the TLB, Random, timers and WAIT, tick by tick."""

import pytest

from emulators.cpus.mips.umps import NO_REGISTER, Processors, Vm
from emulators.exits import Budget, Halt
from tests.emulators.cpus.umps_board import (
    A0,
    A1,
    A2,
    BADVADDR,
    CAUSE,
    CODE,
    CONTEXT,
    CU0,
    DEVICES,
    ENTRYHI,
    ENTRYLO,
    EPC,
    HERE,
    IEC,
    INDEX,
    NOP,
    OTHER_VECTOR,
    PRID,
    RA,
    RAM,
    RANDOM,
    REFILL_VECTOR,
    RFE,
    STATUS,
    SYSCALL,
    T0,
    T1,
    T2,
    T3,
    TE,
    TIMER,
    TLBP,
    TLBR,
    TLBWI,
    TLBWR,
    WAIT,
    Board,
    addiu,
    beq,
    i,
    lui,
    lw,
    mfc0,
    move,
    mtc0,
    r,
    sw,
)

DATA = RAM + 0x8000


def on_data(*code: int, **options: int) -> Board:
    """A board with T0 at `DATA`, which has 0x11111111 and 0x22222222, and T1 = 7."""
    board = Board(*code, **options)  # type: ignore[arg-type]
    board.put(DATA, 0x1111_1111, 0x2222_2222)
    board.cpus.set_state({f"r{T0}": DATA, f"r{T1}": 7})
    return board


def test_reset() -> None:
    vm = Vm()
    cpus = Processors(vm, 2)
    state = cpus.state()
    assert (state["pc"], state["status"], state["random"]) == (0x1FC0_0000, 0x1040_0000, 14 << 8)
    assert cpus.state(1)["halted"] == 1
    assert (cpus.ticks, cpus.tod, cpus.interval_timer) == (0, 1, 0xFFFF_FFFE)


def test_a_load_is_late_for_what_computes() -> None:
    board = on_data(lw(T1, T0), move(A0, T1), move(A1, T1))
    board.steps(1)
    state = board.cpus.state()
    assert (state["load_register"], state["load_value"], state[f"r{T1}"]) == (T1, 0x1111_1111, 7)
    board.steps(2)
    assert (board.reg(A0), board.reg(A1)) == (7, 0x1111_1111)


def test_a_load_is_late_for_branches() -> None:
    board = on_data(lw(T1, T0), beq(T1, 0, 5), NOP, move(A0, T1))
    board.cpus.set_state({f"r{T1}": 0})
    board.steps(2)
    assert board.number("branch_target") == CODE + 4 + 4 + 20


def test_a_load_is_not_late_for_loads_and_stores() -> None:
    board = on_data(lw(T0, T0), sw(T0, T1), lw(T1, T1), lw(A0, T1))
    board.put(DATA, DATA + 4)
    board.cpus.set_state({f"r{T1}": DATA + 8})
    board.steps(2)
    assert board.word(DATA + 8) == DATA + 4
    board.steps(3)
    assert board.reg(A0) == 0x2222_2222


def test_a_result_wins_over_a_late_load() -> None:
    board = on_data(lw(T1, T0), addiu(T1, 0, 3), NOP)
    board.steps(3)
    assert board.reg(T1) == 3


def test_a_late_load_wins_over_the_link() -> None:
    board = on_data(lw(RA, T0), 0x0C00_0000 | (CODE + 0x40) >> 2 & 0x03FF_FFFF, NOP)
    board.steps(2)
    assert board.reg(RA) == 0x1111_1111


def test_a_late_load_arrives_on_an_exception() -> None:
    board = on_data(lw(T1, T0), SYSCALL)
    board.steps(2)
    assert board.reg(T1) == 0x1111_1111
    assert board.number("load_register") == 0


def test_lwl_merges_with_a_late_load() -> None:
    board = on_data(i(0x26, A0, T0, 1), i(0x22, A0, T0, 4), NOP)  # lwr, lwl
    board.vm.write(DATA, bytes(range(1, 9)))
    board.steps(3)
    assert board.reg(A0) == 0x0504_0302


@pytest.mark.parametrize("ticks", range(1, 9))
def test_loads_are_exact_wherever_a_run_ends(ticks: int) -> None:
    code = (lw(T1, T0), addiu(A0, A0, 1), lw(T1, T0, 4), move(A1, T1), beq(0, 0, 1), lw(T2, T0), move(A2, T2), SYSCALL)
    whole, single = on_data(*code), on_data(*code)
    whole.steps(ticks)
    for _ in range(ticks):
        single.steps(1)
    assert whole.cpus.snapshot() == single.cpus.snapshot()


def test_mtc0_is_late_by_one_instruction() -> None:
    board = Board(mtc0(T0, STATUS), NOP, NOP)
    board.cpus.set_state({f"r{T0}": 0xFFFF_FFFF & ~IEC & ~2})
    board.steps(1)
    state = board.cpus.state()
    assert (state["status"], state["mtc0_register"], state["mtc0_value"]) == (CU0, STATUS, 0xFFFF_FFFC)
    board.steps(1)
    assert board.number("status") == 0x1F40_FF3C
    assert board.number("mtc0_register") == NO_REGISTER


def test_mtc0_of_status_lands_behind_rfe() -> None:
    board = Board(mtc0(T0, STATUS), RFE)
    board.cpus.set_state({f"r{T0}": CU0 | 0b1100})
    board.steps(2)
    assert board.number("status") == CU0 | 0b1100


def test_registers_that_mtc0_cannot_write() -> None:
    numbers = {RANDOM: "random", BADVADDR: "badvaddr", CAUSE: "cause", EPC: "epc", PRID: "prid"}
    for register, name in numbers.items():
        board = Board(mtc0(T0, register), NOP, tlb_size=4)
        board.cpus.set_state({f"r{T0}": 0x5555_5555})
        before = board.number(name)
        board.steps(2)
        assert name == "random" or board.number(name) == before


def test_masks_of_what_mtc0_writes() -> None:
    board = Board(mtc0(T0, INDEX), mtc0(T0, ENTRYLO), mtc0(T0, ENTRYHI), mtc0(T0, TIMER), NOP, tlb_size=32)
    board.cpus.set_state({f"r{T0}": 0xFFFF_FFFF, "index": 1 << 31})
    board.steps(5)
    state = board.cpus.state()
    assert (state["index"], state["entrylo"]) == (1 << 31 | 31 << 8, 0xFFFF_FF00)
    assert (state["entryhi"], state["timer"]) == (0xFFFF_FFC0, 0xFFFF_FFFF)


def test_mfc0_is_a_late_load_and_prid_is_the_number() -> None:
    board = Board(mfc0(A0, PRID), move(A1, A0), move(A2, A0), count=2)
    board.cpus.set_state({"pc": CODE, "status": CU0, f"r{A0}": 9}, 1)
    board.cpus.set_state({f"r{A0}": 9})
    board.steps(3)
    assert [(board.reg(A1, cpu), board.reg(A2, cpu)) for cpu in (0, 1)] == [(9, 0), (9, 1)]


def test_cas() -> None:
    board = on_data(r(0x0B, rd=A0, rs=T0, rt=T2), r(0x0B, rd=A1, rs=T0, rt=T2))
    board.cpus.set_state({f"r{T2}": 0x1111_1111, f"r{A0}": 55, f"r{A1}": 66})
    board.steps(2)
    assert board.word(DATA) == 55
    assert (board.reg(A0), board.reg(A1)) == (1, 0)


def test_cas_fails_on_devices_and_is_a_bus_error_elsewhere() -> None:
    board = Board(r(0x0B, rd=A0, rs=T0, rt=T1))
    board.cpus.set_state({f"r{T0}": DEVICES + 0x54, f"r{A0}": 3})
    board.steps(1)
    assert board.reg(A0) == 0
    assert board.accesses == []
    for address in (0, 0x0FFF_F000, 0x1FC0_0000, RAM - 4):
        board = Board(r(0x0B, rd=A0, rs=T0, rt=T1))
        board.cpus.set_state({f"r{T0}": address})
        board.steps(1)
        assert board.number("cause") >> 2 == 6


@pytest.mark.parametrize("funct", [0x1A, 0x1B])
def test_division_by_zero(funct: int) -> None:
    board = Board(r(funct, rs=T0, rt=T1), NOP, NOP)
    board.cpus.set_state({f"r{T0}": 0x8000_0005, "hi": 9})
    board.steps(3)
    assert (board.number("hi"), board.number("lo")) == (0, 0x7FFF_FFFF)


def test_bc0f_branches_and_bc0t_does_not() -> None:
    board = Board(0x4100_0004, NOP)
    board.steps(2)
    assert board.number("pc") == CODE + 4 + 16
    board = Board(0x4101_0004, SYSCALL)
    board.steps(2)
    assert (board.number("pc"), board.number("epc"), board.number("cause") >> 31) == (OTHER_VECTOR, CODE, 1)


def test_random_steps_once_an_instruction_from_the_top_to_one() -> None:
    board = Board(*[mfc0(A0, RANDOM)] * 12, NOP, tlb_size=4)
    board.cpus.reset_cpu(0, CODE)
    seen = []
    for _ in range(9):
        seen.append(board.number("random") >> 8)
        board.steps(1)
    assert seen == [2, 1, 3, 2, 1, 3, 2, 1, 3]


def test_random_after_many_instructions_at_once() -> None:
    for size in (4, 16, 64):
        whole, single = Board(HERE, NOP, tlb_size=size), Board(HERE, NOP, tlb_size=size)
        whole.steps(999)
        for _ in range(333):
            single.steps(3)
        assert whole.number("random") == single.number("random")


MAPPED = 0xC000_0000
V, D, G = 0x200, 0x400, 0x100


def mapped(*code: int, low: int, asid: int = 0, **options: int) -> Board:
    """A board whose entry 3 maps `MAPPED` to `DATA`, with T0 there."""
    board = on_data(*code, tlb_floor=0x8000_0000, **options)
    state = {"tlb3.entryhi": MAPPED | asid << 6, "tlb3.entrylo": DATA | low, f"r{T0}": MAPPED + 4}
    board.cpus.set_state(state)
    return board


def test_translation() -> None:
    board = mapped(lw(A0, T0), sw(T1, T0), NOP, low=V | D)
    board.steps(3)
    assert (board.reg(A0), board.word(DATA + 4)) == (0x2222_2222, 7)


@pytest.mark.parametrize(
    ("word", "low", "asid", "code", "vector"),
    [
        (lw(A0, T0), 0, 0, 2, OTHER_VECTOR),  # invalid
        (sw(A0, T0), D, 0, 3, OTHER_VECTOR),
        (sw(A0, T0), V, 0, 1, OTHER_VECTOR),  # modified
        (lw(A0, T0), V | D, 5, 2, REFILL_VECTOR),  # another's
        (sw(A0, T0), V | D, 5, 3, REFILL_VECTOR),
        (lw(A0, T0, 0x1000), V | D, 0, 2, REFILL_VECTOR),  # nothing there
    ],
)
def test_tlb_exceptions(word: int, low: int, asid: int, code: int, vector: int) -> None:
    board = mapped(word, low=low, asid=asid)
    board.steps(1)
    state = board.cpus.state()
    address = MAPPED + 4 + (word & 0x1000)
    assert (state["pc"], state["cause"] >> 2, state["badvaddr"]) == (vector, code, address)
    assert state["entryhi"] == address & 0xFFFF_F000


def test_entryhi_keeps_its_asid_on_a_miss() -> None:
    board = mapped(lw(A0, T0, 0x1000), low=V)
    board.cpus.set_state({"entryhi": 0x1000 | 9 << 6})
    board.steps(1)
    assert board.number("entryhi") == (MAPPED + 0x1000) | 9 << 6


def test_octets_miss_at_their_word() -> None:
    board = mapped(i(0x20, A0, T0, 3), low=0)
    board.steps(1)
    assert board.number("badvaddr") == MAPPED + 4


def test_global_entries_are_everybodys() -> None:
    board = mapped(lw(A0, T0), NOP, low=V | G, asid=5)
    board.steps(2)
    assert board.reg(A0) == 0x2222_2222


def test_the_highest_entry_that_matches_wins() -> None:
    board = mapped(lw(A0, T0), TLBP, NOP, low=V)
    board.cpus.set_state({"tlb9.entryhi": MAPPED, "tlb9.entrylo": RAM | V, "entryhi": MAPPED})
    board.put(RAM + 4, 99)
    board.steps(2)
    assert board.reg(A0) == 99
    assert board.number("index") == 9 << 8


def test_tlb_instructions() -> None:
    board = Board(TLBWI, TLBP, TLBR, TLBWR, mtc0(0, CONTEXT), TLBP)
    board.cpus.set_state({"index": 5 << 8, "entryhi": MAPPED | 3 << 6, "entrylo": 0xABCD_E700, "tlb0.entrylo": 0x100})
    board.steps(1)
    assert (board.number("tlb5.entryhi"), board.number("tlb5.entrylo")) == (MAPPED | 3 << 6, 0xABCD_E700)
    board.cpus.set_state({"index": 0})
    board.steps(1)
    assert board.number("index") == 5 << 8
    board.cpus.set_state({"entryhi": 0, "entrylo": 0})
    board.steps(1)
    assert (board.number("entryhi"), board.number("entrylo")) == (MAPPED | 3 << 6, 0xABCD_E700)
    random = board.number("random") >> 8
    board.steps(1)
    assert board.number(f"tlb{random}.entryhi") == MAPPED | 3 << 6
    board.steps(2)  # all but entry 0 are cleared
    assert board.number("tlb5.entryhi") == 0
    assert board.number("tlb0.entrylo") == 0x100
    assert board.number("index") == 1 << 31


def test_below_the_floor_nothing_is_translated() -> None:
    board = on_data(lw(A0, T0), NOP, tlb_floor=DATA + 4)
    board.cpus.set_state({"tlb3.entryhi": DATA, "tlb3.entrylo": RAM | V | D})
    board.put(RAM + 4, 77)
    board.steps(2)
    assert board.reg(A0) == 0x1111_1111
    board.cpus.set_state({f"r{T0}": DATA + 4, "pc": CODE})
    board.steps(2)
    assert board.reg(A0) == 77


def test_interrupts_are_taken_between_instructions() -> None:
    board = Board(NOP, beq(0, 0, 3), NOP, NOP)
    board.cpus.set_state({"status": CU0 | IEC | 0xFF00})
    board.steps(1)
    board.cpus.set_ip(5, True)
    board.steps(1)  # the branch is executed, then the interrupt is taken
    state = board.cpus.state()
    assert (state["pc"], state["cause"], state["epc"]) == (OTHER_VECTOR, 1 << 31 | 1 << 13, CODE + 4)
    assert state["status"] == CU0 | 0xFF00 | IEC << 2


def test_masked_interrupts_wait() -> None:
    board = Board(mtc0(T0, STATUS), NOP, NOP, NOP)
    board.cpus.set_state({f"r{T0}": CU0 | IEC | 1 << 11})
    board.cpus.set_ip(3, True)
    board.steps(1)
    assert board.number("pc") == CODE + 4
    board.steps(1)
    assert (board.number("pc"), board.number("epc")) == (OTHER_VECTOR, CODE + 8)


def test_the_processors_timer() -> None:
    board = Board(*[NOP] * 10)
    board.cpus.set_state({"status": CU0 | TE, "timer": 3})
    for left in (2, 1, 0):
        board.steps(1)
        assert (board.number("timer"), board.number("cause")) == (left, 0)
    board.steps(1)
    assert (board.number("timer"), board.number("cause")) == (0xFFFF_FFFF, 1 << 9)
    board.cpus.set_state({"status": CU0})
    board.steps(1)
    assert (board.number("timer"), board.number("cause")) == (0xFFFF_FFFF, 0)


def test_writing_the_timer_takes_its_interrupt_back() -> None:
    board = Board(mtc0(T0, TIMER), NOP, NOP)
    board.cpus.set_state({"status": CU0 | TE, "timer": 0, f"r{T0}": 100})
    board.steps(1)
    assert board.number("cause") == 1 << 9
    board.steps(1)
    assert (board.number("cause"), board.number("timer")) == (0, 100)


def test_the_timer_interrupts_a_loop_at_the_exact_tick() -> None:
    board = Board(HERE, NOP)
    board.put(OTHER_VECTOR, HERE, NOP)
    board.cpus.set_state({"status": CU0 | TE | IEC | 0x200, "timer": 5000})
    board.steps(5000)
    assert board.number("cause") == 0
    board.steps(1)
    assert board.number("pc") == OTHER_VECTOR
    assert (board.number("epc"), board.number("cause")) == (CODE, 1 << 9 | 1 << 31)


def test_wait_until_any_line_rises() -> None:
    board = Board(WAIT, addiu(A0, A0, 1), NOP)
    board.steps(1)
    assert (board.number("idle"), board.number("pc")) == (1, CODE)
    assert board.run(10) == Halt()
    assert board.cpus.ticks == 1
    random = board.number("random")
    board.cpus.skip(1000)
    assert (board.cpus.ticks, board.cpus.tod) == (1001, 1002)
    assert board.number("random") == random
    board.cpus.set_ip(7, True)  # masked, but it ends the wait
    board.steps(2)
    assert (board.reg(A0), board.number("pc")) == (1, CODE + 8)


def test_wait_does_not_wait_with_a_line_up() -> None:
    board = Board(WAIT, NOP)
    board.cpus.set_ip(3, True)
    board.steps(1)
    assert board.number("pc") == CODE + 4


def test_wait_for_the_processors_timer() -> None:
    board = Board(WAIT, addiu(A0, A0, 1), NOP)
    board.cpus.set_state({"status": CU0 | TE, "timer": 100})
    board.steps(1)
    assert board.run(5) == Halt()
    assert board.cpus.next_timer() == 99
    with pytest.raises(ValueError, match="due in 99"):
        board.cpus.skip(100)
    board.cpus.skip(99)
    assert board.run(1) == Budget()
    assert (board.number("idle"), board.number("pc"), board.number("cause")) == (0, CODE + 4, 1 << 9)
    board.steps(1)
    assert board.reg(A0) == 1


def test_the_interval_timer() -> None:
    board = Board(HERE, NOP)
    assert board.cpus.next_timer() is None
    board.cpus.interval_timer_cpu = 0
    board.cpus.interval_timer = 10
    assert board.cpus.next_timer() == 11
    board.steps(10)
    assert (board.cpus.interval_timer, board.number("cause")) == (0, 0)
    board.steps(1)
    assert (board.cpus.interval_timer, board.number("cause")) == (0xFFFF_FFFF, 1 << 10)
    with pytest.raises(ValueError, match="processor 1"):
        board.cpus.interval_timer_cpu = 1


def test_self_modifying_code() -> None:
    board = Board(lui(T0, RAM >> 16), lw(T1, T0, 0x2000), sw(T1, T0, 0x1010), NOP, addiu(A0, 0, 1), NOP, T3)
    board.put(RAM + 0x2000, addiu(A0, 0, 2))
    board.steps(6)
    assert board.reg(A0) == 2
    board.put(CODE + 16, addiu(A0, 0, 3))
    board.cpus.set_state({"pc": CODE + 16})
    board.steps(2)
    assert board.reg(A0) == 3
