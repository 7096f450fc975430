"""uMPS3's processors together: the order within a tick, exits in the middle of one, saved states, ROMs, fuzz."""

import struct
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.cpus.mips.umps import Processors, Vm
from emulators.exits import Budget, Debug, Halt, Kicked, Mmio
from tests.emulators.cpus.umps_board import (
    A0,
    BIOS_DATA,
    BOOT,
    CODE,
    CU0,
    DEVICES,
    HERE,
    IEC,
    NOP,
    OTHER_VECTOR,
    RAM,
    RAM_SIZE,
    RFE,
    SYSCALL,
    T0,
    T1,
    T2,
    TE,
    WAIT,
    Board,
    addiu,
    beq,
    i,
    lui,
    lw,
    mfc0,
    mtc0,
    r,
    sw,
)

ROMS = Path("/usr/share/umps3")
COUNTER = RAM + 0x4000


def started(*code: int, count: int) -> Board:
    """All processors at `CODE`, with T0 at `COUNTER`."""
    board = Board(*code, count=count)
    for cpu in range(count):
        board.cpus.set_state({"pc": CODE, "status": CU0, f"r{T0}": COUNTER}, cpu)
    return board


def test_processors_take_turns_in_their_order() -> None:
    board = started(lw(T1, T0), NOP, addiu(T1, T1, 1), sw(T1, T0), count=3)
    board.cpus.set_state({"pc": CODE + 12, f"r{T1}": 10}, 0)  # stores while the others load
    board.steps(1)
    assert [board.number("load_value", cpu) for cpu in (1, 2)] == [10, 10]
    board = started(lw(T1, T0), NOP, count=3)
    board.cpus.set_state({"pc": CODE + 8, f"r{T1}": 10}, 2)
    board.put(CODE + 8, sw(T1, T0))
    board.steps(1)
    assert [board.number("load_value", cpu) for cpu in (0, 1)] == [0, 0]


def test_exits_in_the_middle_of_a_tick() -> None:
    board = started(sw(T1, T0), lw(T1, T0), NOP, count=4)
    for cpu in range(4):
        board.cpus.set_state({f"r{T0}": DEVICES + 0x408, f"r{T1}": 100 + cpu}, cpu)
    board.steps(2)
    assert board.cpus.ticks == 2
    writes = [(0, cpu, "write", DEVICES + 0x408, 100 + cpu) for cpu in range(4)]
    assert board.accesses == writes + [(1, cpu, "read", DEVICES + 0x408, 103) for cpu in range(4)]
    assert board.cpus.icount == 8


def test_a_device_can_take_an_interrupt_back_before_it_is_taken() -> None:
    board = Board(sw(0, T0), NOP)
    board.cpus.set_state({"status": CU0 | IEC | 0x800, f"r{T0}": DEVICES + 0x54})
    board.cpus.set_ip(3, True)
    end = board.cpus.run(1)
    assert isinstance(end, Mmio)
    board.cpus.set_ip(3, False)
    assert board.cpus.run(1) == Budget()
    assert board.number("pc") == CODE + 4


def test_a_smaller_store_to_a_device_reads_the_word_and_writes_it() -> None:
    board = Board(i(0x28, T1, T0, 1), i(0x29, T1, T0, 2), i(0x20, A0, T0, 3), NOP)
    board.cpus.set_state({f"r{T0}": DEVICES + 0x60, f"r{T1}": 0xAABB})
    board.devices[DEVICES + 0x60] = 0x8122_3344
    board.steps(4)
    assert [access[2:] for access in board.accesses] == [
        ("read", DEVICES + 0x60, 0x8122_3344),
        ("write", DEVICES + 0x60, 0x8122_BB44),
        ("read", DEVICES + 0x60, 0x8122_BB44),
        ("write", DEVICES + 0x60, 0xAABB_BB44),
        ("read", DEVICES + 0x60, 0xAABB_BB44),
    ]
    assert board.reg(A0) == 0xFFFF_FFAA


def test_a_read_needs_its_data() -> None:
    board = Board(lw(A0, T0))
    board.cpus.set_state({f"r{T0}": DEVICES})
    end = board.cpus.run(1)
    assert end == Mmio("read", DEVICES, 4)
    assert board.cpus.pending is end
    with pytest.raises(RuntimeError):
        board.cpus.run(1)
    assert isinstance(end, Mmio)
    end.data = b"\x01"
    with pytest.raises(ValueError, match="4 were asked for"):
        board.cpus.run(1)
    end.data = b"\x01\x02\x03\x04"
    assert board.cpus.run(1) == Budget()
    assert board.number("load_value") == 0x0403_0201


def test_a_board_may_answer_with_a_bus_error() -> None:
    for word in (lw(A0, T0), sw(A0, T0)):
        board = Board(word)
        board.cpus.set_state({f"r{T0}": DEVICES})
        end = board.cpus.run(1)
        assert isinstance(end, Mmio)
        end.bus_error = True
        board.steps(1)
        assert (board.number("cause"), board.number("epc")) == (6 << 2, CODE)


def test_reset_and_halt_of_a_processor() -> None:
    board = Board(HERE, NOP, count=2)
    board.put(RAM + 0x2000, addiu(A0, A0, 1), addiu(A0, A0, 1))
    board.cpus.reset_cpu(1, RAM + 0x2000, 0x1234)
    board.steps(2)
    state = board.cpus.state(1)
    assert (state["r29"], state[f"r{A0}"], state["status"], state["prid"]) == (0x1234, 2, 0x1040_0000, 1)
    board.cpus.halt_cpu(1)
    board.steps(5)
    assert board.number("pc", 1) == RAM + 0x2008
    board.cpus.halt_cpu(0)
    assert board.run(5) == Halt()
    with pytest.raises(ValueError, match="processor 2"):
        board.cpus.reset_cpu(2)


def test_an_idle_processors_timer_runs_while_another_works() -> None:
    board = started(WAIT, addiu(A0, A0, 1), HERE, NOP, count=2)
    board.cpus.set_state({"status": CU0 | TE, "timer": 1000}, 0)
    board.cpus.set_state({"pc": CODE + 8}, 1)
    board.steps(1000)
    assert (board.number("idle"), board.number("timer")) == (1, 0)
    board.steps(2)
    assert (board.number("idle"), board.reg(A0)) == (0, 1)


def test_breakpoints_and_watchpoints() -> None:
    board = started(addiu(A0, A0, 1), sw(A0, T0), lw(T1, T0), beq(0, 0, -4), NOP, count=2)
    board.cpus.add_breakpoint(CODE + 4)
    assert (board.run(100), board.cpus.current, board.cpus.ticks) == (Debug("breakpoint", CODE + 4), 0, 1)
    assert (board.run(100), board.cpus.current, board.cpus.ticks) == (Debug("breakpoint", CODE + 4, 1), 1, 1)
    board.cpus.remove_breakpoint(CODE + 4)
    board.cpus.add_watchpoint(COUNTER, 1, "read")
    assert board.run(100) == Debug("watch-read", COUNTER)
    assert (board.number("pc"), board.number("pc", 1)) == (CODE + 12, CODE + 8)
    board.cpus.remove_watchpoint(COUNTER, 1, "read")
    board.cpus.add_watchpoint(COUNTER + 3, 1, "access")
    assert board.run(100) == Debug("watch-read", COUNTER, 1)
    assert board.cpus.ticks == 3
    assert board.run(100) == Debug("watch-write", COUNTER)
    board.cpus.remove_watchpoint(COUNTER + 3, 1, "access")
    board.steps(100)


def test_kick_from_another_thread() -> None:
    board = Board(HERE, NOP)
    timer = threading.Timer(0.01, board.cpus.kick)
    timer.start()
    assert board.cpus.run(1 << 62) == Kicked()
    timer.join()
    board.steps(10)


def test_translate() -> None:
    board = Board(tlb_floor=0x8000_0000)
    board.cpus.set_state({"tlb2.entryhi": 0x9000_0000, "tlb2.entrylo": RAM | 0x200})
    assert board.cpus.translate(0x9000_0123, "read") == RAM + 0x123
    assert board.cpus.translate(0x9000_0120, "write") is None
    assert board.cpus.translate(CODE, "fetch") == CODE
    with pytest.raises(ValueError, match="read, write or fetch"):
        board.cpus.translate(0, "look")  # type: ignore[arg-type]


def test_options_that_cannot_be() -> None:
    for options in ({"count": 0}, {"count": 17}, {"tlb_size": 5}, {"ram_base": 0x1000}, {"ram_size": 0xF000_0000}):
        with pytest.raises(ValueError, match=r"possible|RAM"):
            Processors(Vm(), **options)  # type: ignore[arg-type]


def test_states_that_cannot_be() -> None:
    board = Board()
    for state in ({"r32": 0}, {"tlb16.entryhi": 0}, {"load_register": 32}, {"mtc0_register": 99}, {"pc": 1 << 32}):
        with pytest.raises(ValueError, match=r"register|fit"):
            board.cpus.set_state(state)
    assert board.number("pc") == CODE


def test_snapshots_that_are_none() -> None:
    board = Board(HERE, NOP)
    board.steps(5)
    good = board.cpus.snapshot()
    for bad in (b"", good[:-1], good + b"\0", b"X" + good[1:], Board(count=2).cpus.snapshot()):
        with pytest.raises(ValueError, match="snapshot"):
            board.cpus.restore(bad)
    assert board.cpus.snapshot() == good


# -- a program that uses everything, and random ones

PROGRAM = (
    lui(T0, DEVICES >> 16), lui(T2, COUNTER >> 16), i(13, T2, T2, COUNTER & 0xFFFF),
    lw(T1, T0, 0x1C), addiu(A0, A0, 1), sw(A0, T0, 0x54),  # a device is read and written
    lw(T1, T2), NOP, addiu(T1, T1, 3), sw(T1, T2),
    r(0x0B, rd=T1, rs=T2, rt=A0), r(0x1A, rs=A0, rt=T1), mfc0(T1, 1), sw(T1, T2, 4),
    SYSCALL, beq(0, 0, -13), lw(T1, T2, 4), NOP,
)  # fmt: skip
HANDLER = (mfc0(26, 14), mfc0(27, 13), NOP, i(1, 1, 27, 2), NOP, addiu(26, 26, 4), r(8, rs=26), RFE)
"""Goes on behind a system call, and again at what was interrupted (bgez on Cause.BD is as good as any other)."""


def busy(count: int) -> Board:
    board = started(*PROGRAM, count=count)
    board.put(OTHER_VECTOR, *HANDLER)
    for cpu in range(count):
        board.cpus.set_state({"status": CU0 | TE | IEC | 0xFF00, "timer": 50 + 13 * cpu}, cpu)
    board.cpus.interval_timer_cpu = count - 1
    board.cpus.interval_timer = 333
    return board


def everything(board: Board) -> tuple[bytes, bytes, bytes]:
    return board.cpus.snapshot(), board.vm.read(RAM, RAM_SIZE), board.vm.read(BIOS_DATA, 4096)


@pytest.mark.parametrize("count", [1, 2, 5])
@given(cut=st.integers(1, 3000))
@settings(max_examples=25)
def test_a_saved_cluster_goes_on_as_the_original(count: int, cut: int) -> None:
    whole, first = busy(count), busy(count)
    whole.steps(4000)
    first.steps(cut)
    second = Board(count=count)
    for gpa, size in ((0, 0x1000), (RAM, RAM_SIZE), (BIOS_DATA, 0x1000)):
        second.vm.write(gpa, first.vm.read(gpa, size))
    second.devices = dict(first.devices)
    second.cpus.restore(first.cpus.snapshot())
    second.steps(4000 - cut)
    assert everything(second) == everything(whole)
    assert first.accesses + second.accesses == whole.accesses


def test_saved_in_the_middle_of_a_read() -> None:
    board = Board(addiu(A0, A0, 1), lw(T1, T0), NOP)
    board.cpus.set_state({f"r{T0}": DEVICES})
    assert isinstance(board.cpus.run(5), Mmio)
    other = Board(addiu(A0, A0, 1), lw(T1, T0), NOP)
    other.cpus.restore(board.cpus.snapshot())
    pending = other.cpus.pending
    assert pending == Mmio("read", DEVICES, 4)
    pending.data = b"\x05\0\0\0"
    assert other.cpus.run(2) == Budget()
    assert (other.reg(T1), other.reg(A0), other.cpus.ticks) == (5, 1, 3)


@pytest.mark.parametrize("step", [1, 7, 100])
def test_it_does_not_matter_how_a_run_is_cut(step: int) -> None:
    for count in (1, 3):
        whole, cut = busy(count), busy(count)
        whole.steps(2100)
        for _ in range(2100 // step):
            cut.steps(step)
        assert everything(cut) == everything(whole)
        assert cut.accesses == whole.accesses


def random_word(numbers: tuple[int, int]) -> int:
    """Half of the words are instructions that are likely to do something."""
    kind, bits = numbers
    likely = (
        0x00,
        0x00,
        0x00,
        0x01,
        0x04,
        0x05,
        0x08,
        0x09,
        0x0C,
        0x10,
        0x20,
        0x21,
        0x22,
        0x23,
        0x26,
        0x28,
        0x2A,
        0x2B,
    )
    if kind % 2:
        return bits
    opcode = likely[kind // 2 % len(likely)]
    if opcode == 0:
        return bits & 0x03FF_F83F
    if opcode in (0x01, 0x04, 0x05):
        return opcode << 26 | bits & 0x03E3_000F
    return opcode << 26 | bits & 0x03FF_3FFC


REGISTER = st.integers(0, 0x3FFF).map(lambda word: RAM + word * 4) | st.integers(0, 0xFFFF_FFFF)


@pytest.mark.fuzz
@given(
    code=st.lists(st.tuples(st.integers(0, 255), st.integers(0, 0xFFFF_FFFF)), min_size=16, max_size=200),
    registers=st.lists(
        st.integers(0, 0x3FFF).map(lambda word: RAM + word * 4) | st.integers(0, 0xFFFF_FFFF), min_size=31, max_size=31
    ),
    status=st.integers(0, 0xFFFF_FFFF),
    floor=st.sampled_from([0xFFFF_FFFF, 0x8000_0000, 0x4000_0000]),
)
def test_random_code_does_the_same_tick_by_tick_and_at_once(
    code: list[tuple[int, int]], registers: list[int], status: int, floor: int
) -> None:
    """Any code from any state ends each tick, and the batched way is the exact one."""
    boards = []
    for _ in range(2):
        board = Board(*map(random_word, code), tlb_floor=floor)
        board.put(OTHER_VECTOR, *HANDLER)
        board.put(0, *HANDLER[:2], HERE, NOP)
        state = {f"r{number}": value for number, value in enumerate(registers, 1)}
        entries = {f"tlb{n}.entryhi": 0x8000_0000 + n * 4096 for n in range(16)}
        entries |= {f"tlb{n}.entrylo": RAM + n * 4096 | 0x700 for n in range(16)}
        board.cpus.set_state(state | entries | {"status": status, "timer": registers[0] & 0x3FF})
        boards.append(board)
    whole, single = boards
    ends = [whole.run(300)]
    for _ in range(300):
        end = single.run(1)
        if end == Halt():
            ends.append(end)
            break
    else:
        ends.append(Budget())
    if ends[0] == Halt():
        ends[1] = single.run(1)
    assert ends[0] == ends[1]
    assert everything(whole) == everything(single)
    assert whole.accesses == single.accesses


def rom(name: str) -> bytes:
    path = ROMS / name
    if not path.exists():
        pytest.skip(f"{path}: Debian's package umps3 is not installed")
    octets = path.read_bytes()
    magic, count = struct.unpack_from("<2I", octets)
    assert magic == 0x0253_504D
    return octets[8 : 8 + 4 * count]


def test_debians_boot_rom_starts_a_kernel() -> None:
    boot, bios = rom("coreboot.rom.umps"), rom("exec.rom.umps")
    board = Board(roms=[(0, len(bios)), (BOOT, len(boot))])
    board.vm.write(0, bios)
    board.vm.write(BOOT, boot)
    board.put(RAM + 0x1004, RAM + 0x2000)
    board.put(RAM + 0x2000, addiu(A0, 0, 42), HERE, NOP)
    board.cpus.reset_cpu(0)
    board.steps(200)
    state = board.cpus.state()
    assert (state["r4"], state["status"]) == (42, CU0)
    assert [access[2:] for access in board.accesses] == [
        ("write", DEVICES + 0x40C, BIOS_DATA),
        ("write", DEVICES + 0x410, BIOS_DATA + 0x900),
    ]
    assert [board.word(BIOS_DATA + offset) for offset in (0x900, 0x908)] == [0x108, 0x108]


def test_debians_bios_saves_the_state_and_passes_exceptions_up() -> None:
    boot, bios = rom("coreboot.rom.umps"), rom("exec.rom.umps")
    board = Board(roms=[(0, len(bios)), (BOOT, len(boot))])
    board.vm.write(0, bios)
    board.vm.write(BOOT, boot)
    board.put(RAM + 0x1004, RAM + 0x2000)
    board.put(RAM + 0x2000, lui(T0, 0x0FFF), i(13, T0, T0, 0xF900), lui(T1, RAM >> 16), i(13, T1, T1, 0x3000))
    board.put(RAM + 0x2010, sw(T1, T0, 8), lui(29, RAM + 0x8000 >> 16), sw(29, T0, 12), addiu(A0, 0, 77), SYSCALL)
    board.put(RAM + 0x3000, addiu(T2, 0, 1), HERE, NOP)
    board.cpus.reset_cpu(0)
    board.steps(1000)
    assert board.reg(T2) == 1
    entryhi, cause, status, epc = struct.unpack("<4I", board.vm.read(BIOS_DATA, 16))
    assert (entryhi, cause, status, epc) == (0, 8 << 2, CU0, RAM + 0x2020)
    assert 77 in struct.unpack("<31I", board.vm.read(BIOS_DATA + 16, 124))


def test_mtc0_context_clears_with_recent_translations() -> None:
    board = Board(lw(A0, T0), NOP, mtc0(0, 4), lw(A0, T0), tlb_floor=0x8000_0000)
    board.cpus.set_state({"tlb5.entryhi": 0x9000_0000, "tlb5.entrylo": RAM | 0x300, f"r{T0}": 0x9000_0000})
    board.steps(4)
    assert (board.number("pc"), board.number("badvaddr")) == (0, 0x9000_0000)
