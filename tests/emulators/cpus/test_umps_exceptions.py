"""uMPS3's exceptions: vectors, Cause, EPC, BadVAddr and the stack of modes, quirks included."""

import pytest

from tests.emulators.cpus.umps_board import (
    A0,
    BEV,
    BOOT,
    BOOT_VECTORS,
    BREAK,
    CODE,
    CU0,
    KUC,
    NOP,
    OTHER_VECTOR,
    RAM,
    SYSCALL,
    T0,
    T1,
    Board,
    addiu,
    beq,
    i,
    lui,
    lw,
    r,
    sw,
)  # fmt: skip

DBE, IBE = 6, 7
"""As uMPS3 numbers them; a MIPS has them the other way round."""


def exception(board: Board, ticks: int = 1) -> tuple[int, int]:
    """(ExcCode, EPC) behind `ticks` ticks, which end in an exception."""
    board.steps(ticks)
    assert board.number("pc") == OTHER_VECTOR
    return board.number("cause") >> 2 & 31, board.number("epc")


@pytest.mark.parametrize(
    ("word", "code"),
    [
        (SYSCALL, 8),
        (BREAK, 9),
        (r(0x20, A0, T0, T0), 12),  # add of two large numbers
        (i(8, A0, T0, 0x7FFF), 12),  # addi
        (lw(A0, T0, 2), 4),
        (sw(A0, T0, 1), 5),
        (0x7000_0000, 10),  # SPECIAL2
        (r(0x21, A0, T0, T0, sa=1), 10),  # addu with a shift amount: ill-formed
        (r(0, A0, 1, T0), 10),  # sll with rs
        (i(15, A0, 1, 0), 10),  # lui with rs
        (i(6, 1, 0, 0), 10),  # blez with rt
        (r(8, 1, T0), 10),  # jr with rd
        (r(0x1A, 1, T0, T0), 10),  # div with rd
        (i(0x35, 0, 0, 0), 10),  # ldc1
    ],
)
def test_codes(word: int, code: int) -> None:
    board = Board(word)
    board.cpus.set_state({f"r{T0}": 0x7FFF_FFFC})
    assert exception(board) == (code, CODE)
    assert board.number("cause") >> 31 == 0


@pytest.mark.parametrize(
    ("word", "coprocessor"),
    [
        (0x4400_0000, 1),
        (0x4800_0000, 2),
        (0x4C00_0000, 3),
        (0x5000_0000, 0),  # beql
        (0x5C00_0000, 3),  # bgtzl
        (i(0x31, 0, 0, 0), 1),  # lwc1
        (i(0x3B, 0, 0, 0), 3),  # swc3
        (0x4200_0000, 0),  # no operation of coprocessor 0
        (0x4200_0050, 0),  # rfe with a shift amount
        (0x4000_2000, 0),  # mfc0 of context
        (0x4080_5001, 0),  # mtc0 with a function
        (0x4102_0000, 0),  # bc0fl
    ],
)
def test_coprocessor_unusable_has_its_number_at_bit_27(word: int, coprocessor: int) -> None:
    board = Board(word)
    assert exception(board) == (11, CODE)
    assert board.number("cause") == 11 << 2 | coprocessor << 27


def test_user_mode_without_cu0() -> None:
    board = Board(tlb_floor=0x4000_0000)
    user = 0x8000_0000
    board.put(RAM + 0x3000, 0x4000_6000)  # mfc0 $0, Status
    state = {"tlb3.entryhi": user, "tlb3.entrylo": RAM + 0x3000 | 0x700, "pc": user, "status": KUC}
    board.cpus.set_state(state)
    assert exception(board) == (11, user)
    assert board.number("status") == KUC << 2
    board.cpus.set_state({**state, "status": KUC | CU0})
    board.steps(1)
    assert board.number("pc") == user + 4


def test_user_mode_below_0x80000000_is_an_address_error() -> None:
    board = Board()
    board.cpus.set_state({"status": KUC, "pc": CODE})
    board.steps(1)  # the fetch fails, and what was to be executed is a NOP
    assert (board.number("cause") >> 2 & 31, board.number("epc")) == (4, CODE)
    assert board.number("badvaddr") == CODE
    assert board.number("pc") == OTHER_VECTOR


def test_half_words_that_are_not_aligned_leave_badvaddr_alone() -> None:
    for opcode, code in ((0x21, 4), (0x25, 4), (0x29, 5)):  # lh, lhu, sh
        board = Board(i(opcode, A0, T0, 1))
        board.cpus.set_state({"badvaddr": 0x1234, f"r{T0}": RAM})
        assert exception(board) == (code, CODE)
        assert board.number("badvaddr") == 0x1234


def test_words_that_are_not_aligned_set_badvaddr() -> None:
    for word, code in ((lw(A0, T0, 2), 4), (sw(A0, T0, 2), 5)):
        board = Board(word)
        board.cpus.set_state({f"r{T0}": RAM})
        assert exception(board) == (code, CODE)
        assert board.number("badvaddr") == RAM + 2


@pytest.mark.parametrize("address", [0x0000_1000, 0x0FFF_E000, 0x1000_0518, 0x1FC0_1000, RAM + 64 * 4096, 0x8000_0000])
def test_bus_errors_on_data(address: int) -> None:
    for word in (lw(A0, T0), sw(A0, T0), i(0x20, A0, T0, 3), i(0x28, A0, T0, 1)):
        board = Board(word)
        board.cpus.set_state({f"r{T0}": address})
        assert exception(board) == (DBE, CODE)


@pytest.mark.parametrize("address", [0x0, BOOT])
def test_roms_are_not_written(address: int) -> None:
    for word in (sw(A0, T0), i(0x28, A0, T0, 1), i(0x29, A0, T0, 2), i(0x2A, A0, T0, 2), i(0x2E, A0, T0, 2)):
        board = Board(word)
        board.cpus.set_state({f"r{T0}": address})
        assert exception(board) == (DBE, CODE)


def test_a_rom_ends_where_its_file_ends() -> None:
    board = Board(lw(A0, T0, 0x0C), lw(A0, T0, 0x10), roms=[(BOOT, 0x10)])
    board.cpus.set_state({f"r{T0}": BOOT})
    assert exception(board, 2) == (DBE, CODE + 4)
    board = Board(roms=[(BOOT, 0x10)])
    board.cpus.set_state({"pc": BOOT, "status": CU0})
    board.steps(5)  # four NOPs, and one for what is not there
    assert (board.number("cause") >> 2 & 31, board.number("epc"), board.number("pc")) == (
        IBE,
        BOOT + 0x10,
        OTHER_VECTOR,
    )


def test_an_instruction_that_is_nowhere_costs_a_tick() -> None:
    board = Board(beq(0, 0, 0x100), NOP)
    board.cpus.set_state({"pc": 0x3000_0000})
    assert exception(board) == (IBE, 0x3000_0000)
    assert board.cpus.ticks == 1
    assert board.cpus.icount == 0


def test_a_fault_in_a_delay_slot_restarts_the_branch() -> None:
    board = Board(addiu(T1, 0, 1), beq(0, 0, 5), SYSCALL)
    assert exception(board, 3) == (8, CODE + 4)
    assert board.number("cause") >> 31 == 1


def test_a_fetch_that_fails_in_a_delay_slot_restarts_the_branch() -> None:
    last = RAM + 64 * 4096 - 4
    board = Board()
    board.put(last, beq(0, 0, 5))
    board.cpus.set_state({"pc": last})
    assert exception(board, 2) == (IBE, last)
    assert board.number("cause") >> 31 == 1


def test_a_branch_that_is_not_taken_has_a_delay_slot_too() -> None:
    board = Board(beq(T0, 0, 5), SYSCALL)
    board.cpus.set_state({f"r{T0}": 1})
    assert exception(board, 2) == (8, CODE)


def test_the_stack_of_modes() -> None:
    board = Board(SYSCALL)
    board.cpus.set_state({"status": CU0 | 0b001101})
    board.steps(1)
    assert board.number("status") == CU0 | 0b110100
    board.put(RAM + 0x2000, 0x4200_0010, NOP)  # rfe
    board.cpus.set_state({"pc": RAM + 0x2000})
    board.steps(1)
    assert board.number("status") == CU0 | 0b111101


def test_boot_vectors() -> None:
    board = Board(SYSCALL)
    board.cpus.set_state({"status": CU0 | BEV})
    board.steps(1)
    assert board.number("pc") == BOOT_VECTORS + 0x80
    board = Board(lui(T0, 0x9000), lw(A0, T0), tlb_floor=0x4000_0000)
    board.cpus.set_state({"status": CU0 | BEV})
    board.steps(2)
    assert board.number("pc") == BOOT_VECTORS


def test_a_mistake_before_an_exception_is_forgotten_in_cause() -> None:
    board = Board(0x4400_0000)
    board.put(RAM + 0x2000, SYSCALL)
    board.steps(1)
    board.cpus.set_ip(4, True)
    board.cpus.set_state({"pc": RAM + 0x2000})
    board.steps(1)
    assert board.number("cause") == 1 << 12 | 8 << 2
