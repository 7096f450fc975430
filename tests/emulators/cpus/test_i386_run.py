"""The i386 engine's loop: exact budgets, repeated strings, code that changes, instructions in two pages, devices.

Programs are octets, with their assembly beside them. Expectations are computed here, step by step, as the manual
describes each instruction (SDM 2, REP/REPE; SDM 3A, 8.1.3 for code that changes).
"""

import random

import pytest

from emulators.cpus.i386 import Cpu, Vm
from emulators.exits import Budget, Debug, Exit, Halt, Io, IrqWindow, Mmio

MEMORY = 4 << 20
START = 0x1000
HLT = b"\xf4"
DIRECTION = 1 << 10
INTERRUPTS = 1 << 9


def processor(code: bytes, at: int = START, **state: int) -> tuple[Vm, Cpu]:
    """32-bit code in a flat space without paging."""
    vm = Vm()
    vm.add_memory(0, MEMORY)
    vm.write(at, code)
    cpu = Cpu(vm, "pentium3")
    flat: dict[str, int] = {"cr0": 0x11, "eip": at, "eflags": 2, "cs": 8, "edx": 0, "esp": 0x8000}
    for segment in ("cs", "ss", "ds", "es", "fs", "gs"):
        rights = 0xC09B00 if segment == "cs" else 0xC09300
        flat |= {f"{segment}.base": 0, f"{segment}.limit": 0xFFFF_FFFF, f"{segment}.rights": rights}
    cpu.set_state(flat | state)
    return vm, cpu


def to_halt(cpu: Cpu, step: int = 100_000) -> list[Exit]:
    """Run until HLT; the other exits on the way. Reads are answered with a count of the octets read so far."""
    exits: list[Exit] = []
    given = 0
    for _ in range(200_000):
        match cpu.run(step):
            case Halt():
                return exits
            case Budget():
                continue
            case Io(direction="read") as end:
                end.data = bytes((given + at) & 0xFF for at in range(end.size * end.count))
                given += len(end.data)
            case Mmio(direction="read") as end:
                end.data = bytes((given + at) & 0xFF for at in range(end.size))
                given += len(end.data)
            case end:
                pass
        exits.append(end)
    pytest.fail(f"no end, at {cpu.state()['eip']:#x}")


# Loops, a call, a stack, strings of three sizes with both directions, ports, and a device in memory at 16 MiB.
MIXED = bytes.fromhex(
    "b920000000"  # mov ecx, 32
    "51"  # again: push ecx
    "e85a000000"  # call leaf
    "69c00d661900"  # imul eax, eax, 1664525
    "055ff36e3c"  # add eax, 3C6EF35FH
    "be00200000"  # mov esi, 2000H
    "bf03400000"  # mov edi, 4003H
    "b9b80b0000"  # mov ecx, 3000
    "aa"  # stosb
    "f3a4"  # rep movsb
    "be80400000"  # mov esi, 4080H
    "bf90400000"  # mov edi, 4090H
    "b905000000"  # mov ecx, 5
    "fd"  # std
    "f366a5"  # rep movsw
    "fc"  # cld
    "bf00400000"  # mov edi, 4000H
    "b900050000"  # mov ecx, 1280
    "f2ae"  # repne scasb
    "e5a0"  # in eax, A0H
    "030500000001"  # add eax, [1000000H]
    "e7a4"  # out A4H, eax
    "59"  # pop ecx
    "49"  # dec ecx
    "75ae"  # jnz again
    "f4"  # hlt
)
LEAF = bytes.fromhex("40d1c033c1c3")  # inc eax; rol eax, 1; xor eax, ecx; ret


def mixed() -> tuple[Vm, Cpu]:
    code = bytearray(MIXED)
    call = code.index(0xE8)
    code[call + 1 : call + 5] = (len(MIXED) - call - 5).to_bytes(4, "little")
    jump = len(MIXED) - 2
    code[jump] = (5 - (jump + 1)) & 0xFF
    vm, cpu = processor(bytes(code) + LEAF)
    vm.write(0x2000, random.Random(5).randbytes(0x1000))
    return vm, cpu


@pytest.mark.parametrize("step", [1, 2, 3, 7, 31, 32, 33, 1000])
def test_a_run_does_not_depend_on_where_it_is_cut(step: int) -> None:
    vm, cpu = mixed()
    whole = to_halt(cpu)
    assert len(whole) == 3 * 32
    other_vm, other = mixed()
    cut = to_halt(other, step)
    assert cut == whole
    assert other.snapshot() == cpu.snapshot()
    assert other_vm.read(0, 0x10000) == vm.read(0, 0x10000)


@pytest.mark.parametrize("step", [1, 13, 64])
def test_a_run_goes_on_from_a_snapshot_in_another_processor(step: int) -> None:
    vm, cpu = mixed()
    to_halt(cpu)
    first_vm, first = mixed()
    given = 0
    for _ in range(40_000):
        second_vm = Vm()
        second_vm.add_memory(0, MEMORY)
        end = first.run(step)
        if isinstance(end, Halt):
            break
        if isinstance(end, Io | Mmio) and end.direction == "read":
            size = end.size * (end.count if isinstance(end, Io) else 1)
            end.data = bytes((given + at) & 0xFF for at in range(size))
            given += size
        elif isinstance(end, Budget) and first.icount % 5 == 0:
            octets = first.snapshot()
            first = Cpu(first_vm, "pentium3")
            first.restore(octets)
            assert first.snapshot() == octets
    assert first.snapshot() == cpu.snapshot()
    assert first_vm.read(0, 0x10000) == vm.read(0, 0x10000)


@pytest.mark.parametrize("budget", [1, 2, 5, 31, 32, 33, 34, 100, 65_535, 65_536, 65_537, 200_000])
def test_a_budget_is_exact(budget: int) -> None:
    _, cpu = processor(b"\x40" * 37 + b"\xeb" + bytes([0x100 - 39]))  # 37 × inc eax, jmp
    assert cpu.run(budget) == Budget()
    assert cpu.icount == cpu.ticks == budget
    assert cpu.state()["eax"] == budget - budget // 38
    assert cpu.state()["eip"] == START + budget % 38


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("octets", [1, 2, 4])
def test_rep_movs_copies_one_after_another(octets: int, backwards: bool) -> None:
    chance = random.Random(octets + 10 * backwards)
    opcode = {1: b"\xf3\xa4", 2: b"\xf3\x66\xa5", 4: b"\xf3\xa5"}[octets]
    for _ in range(60):
        source = 0x4000 + chance.randrange(0x2000)
        sink = source + chance.choice([-1, 1]) * chance.choice([0, 1, 2, 3, 4, 7, 15, 16, 17, 100, 4096, 5000])
        count = chance.choice([0, 1, 2, 3, 4, 5, 63, 1023, 1024, 1025, 2500])
        sign = -1 if backwards else 1
        if backwards:
            source, sink = source + 0x3000, sink + 0x3000
        memory = chance.randbytes(0x10000)
        flags = 2 | (DIRECTION if backwards else 0)
        vm, cpu = processor(opcode + HLT, 0x100000, esi=source, edi=sink, ecx=count, eflags=flags)
        vm.write(0, memory)
        expected = bytearray(memory)
        for at in range(count):
            here = sign * at * octets
            expected[sink + here : sink + here + octets] = expected[source + here : source + here + octets]
        assert to_halt(cpu) == []
        assert vm.read(0, 0x10000) == expected
        state = cpu.state()
        assert (state["ecx"], state["esi"], state["edi"]) == (
            0,
            source + sign * count * octets,
            sink + sign * count * octets,
        )


def test_rep_with_short_addresses_wraps_at_64_kilobytes() -> None:
    vm, cpu = processor(b"\x67\xf3\xa4" + HLT, 0x100000, esi=0x5FFF8, edi=0x64000, ecx=0x70020)
    vm.write(0xFFF8, b"endofseg")
    vm.write(0, b"beginning of the segment")
    assert to_halt(cpu) == []
    assert vm.read(0x4000, 32) == b"endofsegbeginning of the segment"
    state = cpu.state()
    assert (state["esi"], state["edi"], state["ecx"]) == (0x50018, 0x64020, 0x70000)


@pytest.mark.parametrize("opcode", [b"\xf3\xa6", b"\xf3\xae", b"\xf2\xa6", b"\xf2\xae"])
def test_compares_end_where_the_prefix_says(opcode: bytes) -> None:
    first, second = b"\x55" * 3000 + b"AB", b"\x55" * 2990 + b"\x56" * 10 + b"AB"
    if opcode[0] == 0xF2:
        first = bytes(octet ^ 0xFF for octet in first[:2990]) + second[2990:]
    vm, cpu = processor(opcode + HLT, esi=0x2000, edi=0x4000, ecx=3002, eax=0x55 if opcode[0] == 0xF3 else 0x56)
    vm.write(0x2000, first)
    vm.write(0x4000, second)
    assert to_halt(cpu) == []
    state = cpu.state()
    assert state["edi"] == 0x4000 + 2991
    assert state["ecx"] == 3002 - 2991
    assert bool(state["eflags"] & 0x40) == (opcode[0] == 0xF2)


def test_a_fault_within_rep_leaves_the_registers_of_its_step() -> None:
    vm, cpu = processor(b"\xf3\xaa" + HLT, edi=0x2F00, ecx=1000, eax=0x77, **{"es.limit": 0x2FFF})
    cpu.intercept([13])
    assert repr(cpu.run(10)).startswith("ExceptionTaken")
    state = cpu.state()
    assert (state["edi"], state["ecx"], state["eip"]) == (0x3000, 1000 - 0x100, START)
    assert vm.read(0x2EFF, 0x102) == b"\0" + b"\x77" * 0x100 + b"\0"


def test_a_store_to_the_next_instruction_is_seen() -> None:
    code = bytes.fromhex("c60507100000 42 40 f4".replace(" ", ""))  # mov byte [1007H], 42H; inc eax: becomes inc edx
    for step in (1, 100):
        _, cpu = processor(code)
        to_halt(cpu, step)
        assert (cpu.state()["eax"], cpu.state()["edx"]) == (0, 1)


def test_rep_stos_may_write_over_what_follows_it_and_over_itself() -> None:
    vm, cpu = processor(b"\xf3\xaa" + b"\x40" * 8 + HLT, edi=START + 2, ecx=8, eax=0x42)
    to_halt(cpu)
    assert cpu.state()["edx"] == 8
    # Its first step makes it NOP and STOSB, whose octet is the one behind the NOP.
    vm, cpu = processor(b"\xf3\xaa" + HLT, edi=START, ecx=4000, eax=0x90)
    to_halt(cpu)
    state = cpu.state()
    assert (state["eip"], state["edi"], state["ecx"]) == (START + 3, START + 2, 3999)
    assert vm.read(START, 4) == b"\x90\x90\xf4\0"


def test_code_that_the_host_or_another_address_writes_is_seen() -> None:
    vm, cpu = processor(b"\x40\xeb\xfd")  # inc eax; jmp
    cpu.run(20)
    vm.write(START, b"\x42")
    cpu.run(20)
    assert (cpu.state()["eax"], cpu.state()["edx"]) == (10, 10)


def test_traces_that_share_a_place_are_forgotten_with_their_octets() -> None:
    """10000H and 1 fall to one place of the table of traces, and to two of the small one before it."""
    vm, cpu = processor(b"\x40\xf4", 0x10000)  # inc eax
    vm.write(1, b"\x41\xf4")  # inc ecx
    for start in (0x10000, 0x10000, 1, 1):
        cpu.set_state({"eip": start})
        to_halt(cpu)
    vm.write(0x10000, b"\x42")  # inc edx
    cpu.set_state({"eip": 0x10000})
    to_halt(cpu)
    state = cpu.state()
    assert (state["eax"], state["ecx"], state["edx"]) == (2, 2, 1)


@pytest.mark.parametrize("inside", range(1, 7))
def test_an_instruction_in_two_pages(inside: int) -> None:
    code = bytes.fromhex("81c578563412")  # add ebp, 12345678H
    at = 0x3000 - inside
    vm, cpu = processor(code + HLT, at)
    to_halt(cpu)
    assert cpu.state()["ebp"] == 0x12345678
    vm.write(at + 5, b"\x99")
    cpu.set_state({"eip": at, "ebp": 0})
    to_halt(cpu)
    assert cpu.state()["ebp"] == 0x99345678


def test_data_in_two_pages_and_two_memories() -> None:
    vm, cpu = processor(bytes.fromhex("c705fe2f000011223344 a1fe2f0000 f4".replace(" ", "")))
    assert to_halt(cpu) == []
    assert vm.read(0x2FFE, 4) == b"\x11\x22\x33\x44"
    assert cpu.state()["eax"] == 0x44332211
    vm, cpu = processor(bytes.fromhex("a1feff3f00f4"))  # half in memory, half in nothing
    vm.write(MEMORY - 2, b"\x11\x22")
    exits = to_halt(cpu)
    assert sum(end.size for end in exits if isinstance(end, Mmio)) == 2
    assert cpu.state()["eax"] == 0x01002211


def test_repeated_ins_is_one_exit_as_far_as_its_page_goes() -> None:
    vm, cpu = processor(b"\xf3\x66\x6d\xf4", edi=0x2F00, ecx=300, edx=0x1F0)  # rep insw
    exits = to_halt(cpu)
    counts = [end.count for end in exits if isinstance(end, Io)]
    assert sum(counts) == 300
    assert len(exits) == len(counts) <= 4, "joined, but for the page's bound and pages not met before"
    assert all(isinstance(end, Io) and (end.port, end.size) == (0x1F0, 2) for end in exits)
    assert vm.read(0x2F00, 600) == bytes(at & 0xFF for at in range(600))
    assert (cpu.state()["edi"], cpu.state()["ecx"]) == (0x2F00 + 600, 0)


def test_joined_accesses_are_those_that_were_told_behind_a_snapshot() -> None:
    """A restored processor knows no page: what it joins would be less."""
    for code, register in ((b"\xf3\x6d\xf4", "edi"), (b"\xf3\x6f\xf4", "esi")):
        start = {"edi": 0x2FF0, "esi": 0x2FF0, "ecx": 300, "edx": 0x1F0}
        vm, cpu = processor(b"\x8b\x1e\x89\x1f" + code, **start)  # mov ebx, [esi]; mov [edi], ebx
        vm.write(0x2000, random.Random(8).randbytes(0x2000))
        expected = bytearray(vm.read(0x2000, 0x2000))
        told = bytearray()
        for _ in range(100):
            end = cpu.run(1000)
            if isinstance(end, Halt):
                break
            if not isinstance(end, Io):
                continue
            octets = cpu.snapshot()
            cpu = Cpu(vm, "pentium3")
            cpu.restore(octets)
            if end.direction == "write":
                told += end.data or b""
            else:
                pending = cpu.pending
                assert isinstance(pending, Io)
                assert pending.count == end.count
                pending.data = bytes((len(told) + at) & 0xFF for at in range(4 * end.count))
                told += pending.data
        if register == "edi":
            expected[0xFF0 : 0xFF0 + 1200] = told
        assert told == expected[0xFF0 : 0xFF0 + 1200]
        assert vm.read(0x2000, 0x2000) == expected
        assert (cpu.state()[register], cpu.state()["ecx"]) == (0x2FF0 + 1200, 0)


def test_repeated_outs_tells_the_same_octets_in_both_directions() -> None:
    for backwards in (False, True):
        flags = 2 | (DIRECTION if backwards else 0)
        vm, cpu = processor(b"\xf3\x6f\xf4", esi=0x2FF0, ecx=40, edx=0x1F0, eflags=flags)  # rep outsd
        vm.write(0x2000, random.Random(3).randbytes(0x2000))
        exits = to_halt(cpu)
        told = b"".join(end.data or b"" for end in exits if isinstance(end, Io))
        assert backwards or [end.count for end in exits if isinstance(end, Io)] == [4, 36], "joined"
        where = [0x2FF0 + 4 * at * (-1 if backwards else 1) for at in range(40)]
        assert told == b"".join(vm.read(at, 4) for at in where)
        assert cpu.state()["ecx"] == 0


@pytest.mark.parametrize("step", [1, 1000])
def test_a_device_is_accessed_once_a_step(step: int) -> None:
    # rep movsd from a device to another; add [device], eax; cmpxchg8b [device]
    code = bytes.fromhex("f3a5 010500000001 0fc70d10000001 f4".replace(" ", ""))
    _, cpu = processor(code, esi=0x1000000, edi=0x2000000, ecx=3)
    exits = [end for end in to_halt(cpu, step) if isinstance(end, Mmio)]
    told = [(end.direction, end.gpa, end.size) for end in exits]
    copies = [[("read", 0x1000000 + at, 4), ("write", 0x2000000 + at, 4)] for at in (0, 4, 8)]
    assert told[:6] == [access for copy in copies for access in copy]
    assert [end.data for end in exits[1:6:2]] == [bytes(range(at, at + 4)) for at in (0, 4, 8)]
    assert told[6:8] == [("read", 0x1000000, 4), ("write", 0x1000000, 4)]
    assert sum(size for direction, _, size in told[8:] if direction == "read") == 8
    assert sum(size for direction, _, size in told[8:] if direction == "write") == 8
    assert {direction for direction, _, _ in told[8:]} == {"read", "write"}


def test_an_interrupt_waits_until_behind_the_instruction_that_follows_sti() -> None:
    _, cpu = processor(b"\xfb\x40\x42\xf4")  # sti; inc eax; inc edx; hlt
    cpu.set_intr(True)
    assert cpu.run(100) == IrqWindow()
    assert (cpu.state()["eax"], cpu.state()["edx"], cpu.icount) == (1, 0, 2)
    cpu.set_intr(False)
    assert cpu.run(100) == Halt()


def test_an_interrupt_comes_between_the_legs_of_a_repetition() -> None:
    vm, cpu = processor(b"\xf3\xaa\xf4", edi=0x10000, ecx=100_000, eax=0x5A, eflags=2 | INTERRUPTS)
    cpu.run(3)
    state = cpu.state()
    assert state["eip"] == START
    assert 0 < state["ecx"] < 100_000
    assert state["edi"] - 0x10000 == 100_000 - state["ecx"]
    cpu.set_intr(True)
    assert cpu.run(100) == IrqWindow()
    cpu.set_intr(False)
    to_halt(cpu)
    assert vm.read(0x10000, 100_000) == b"\x5a" * 100_000


def test_watchpoints_and_breakpoints_stop_at_the_instruction() -> None:
    _, cpu = processor(bytes.fromhex("40 a300200000 42 a100200000 f4".replace(" ", "")))
    cpu.add_watchpoint(0x2002, 1, "write")
    cpu.add_breakpoint(START + 7)
    assert isinstance(cpu.run(100), Debug)
    assert (cpu.state()["eip"], cpu.icount) == (START + 6, 2)
    assert isinstance(cpu.run(100), Debug)
    assert (cpu.state()["eip"], cpu.icount) == (START + 7, 3)
    assert cpu.run(100) == Halt()
