"""Instructions of user mode beside the host's own processor: registers, flags, x87, MMX, SSE, memory, exceptions.

Each row of the instruction table that user code may execute is tried with random operands from random states;
afterwards all registers and the data are the same, or both raised the same exception with nothing changed. What the
manual leaves undefined is not compared (`tests/oracles/i386/undefined.py`); what else is not is in `ELSEWHERE`,
`COMPARISONS` and `ENTER_MMX`. Ours has pages where Linux has them (PAE, with no-execute), so faults are faults.
"""

import os
import platform
import random
import struct
from collections.abc import Iterator

import pytest

from emulators.cpus.i386 import Cpu, Vm
from emulators.cpus.i386.forms import Form, forms
from emulators.exits import Budget, ExceptionTaken
from tests.oracles.i386 import cases
from tests.oracles.i386.host_cpu import CODE, DATA, DATA_OCTETS, REGISTERS, SEGMENTS, After, Before, HostCpu
from tests.oracles.i386.undefined import ARITHMETIC, DF, undefined_flags
from tests.tools import NeedTool

CASES = int(os.environ.get("I386_HOST_CASES", "8"))
"""Of a form. Chosen: all forms take some seconds; `make test-oracles` has more."""
PAGE = 4096
GENERAL_PROTECTION, PAGE_FAULT = 13, 14
AC = 0x40000
COMPARED_FLAGS = ARITHMETIC | DF | AC | 0x200000
CR0, CR4, EFER = 0x8005_0033, 0x620, 0x800
"""PE, MP, ET, NE, WP, AM, PG as Linux sets them; PAE, OSFXSR, OSXMMEXCPT; NXE."""
DIRECTORY, DIRECTORIES, TABLES = 0x1000, 0x2000, 0x3000
FRAMES = {CODE & -PAGE: 0x6000, DATA & -PAGE: 0x7000, 0x3000_0000: 0x8000}
"""Where the pages that the host's runner has are in our memory."""
PRESENT_WRITABLE_USER, NO_EXECUTE = 7, 1 << 63
RIGHTS = {"cs": 0x00CF_FB00, "ss": 0x00CF_F300, "ds": 0x00CF_F300, "es": 0x00CF_F300, "fs": 0, "gs": 0}
ES_FSW = 0x80

ELSEWHERE = {
    **dict.fromkeys(("CPUID", "RDTSC", "RDPMC"), "the host answers otherwise: test_i386_rows.py"),
    **dict.fromkeys(("INT", "INT1", "INT3", "INTO", "SYSENTER", "SYSEXIT", "UD1"), "the host's kernel answers"),
    **dict.fromkeys(("LAR", "LSL", "VERR", "VERW", "SGDT", "SIDT", "SLDT", "STR", "SMSW"), "the host's own tables"),
    **dict.fromkeys(("LDS", "LES", "LSS", "LFS", "LGS", "RETF", "IRET", "JMPF", "CALLF"), "selectors of the host"),
    **dict.fromkeys(("RCPPS", "RCPSS", "RSQRTPS", "RSQRTSS"), "approximations of each model: sse/float_tests.rs"),
    "VMCALL": "the hypervisor under the host answers",
    **dict.fromkeys(("F2XM1", "FYL2X", "FYL2XP1", "FPTAN", "FPATAN", "FSIN", "FCOS", "FSINCOS"), "soft-float's tests"),
    **dict.fromkeys(("FXSAVE", "FXRSTOR", "FNSAVE", "FNSTENV"), "pointers: test_i386_rows.py"),
}
"""By mnemonic: not compared with the host, and why."""
COMPARISONS = {"FCOMI", "FCOMIP", "FUCOMI", "FUCOMIP"}
"""SDM volume 2: C1 becomes 0; AMD's leave it."""
C1 = 0x200
ENTER_MMX = {"MASKMOVQ", "CVTPI2PS", "CVTPS2PI", "CVTTPS2PI", "CVTPD2PI", "CVTTPD2PI"}
"""AMD's enter MMX state before they raise an exception, and CVTPI2PS of memory does not enter it at all (SDM volume 2
has both otherwise): in these cases the x87 registers are not compared."""
ALIGNMENT_FIRST = {"MASKMOVQ", "MASKMOVDQU", "ENTER", "MOVUPS", "MOVUPD", "MOVDQU"}
"""Tried without AC: AMD's check alignment before the page, and in moves of 16 octets (SDM: as a model likes)."""
MASKED_STORES = {"MASKMOVQ", "MASKMOVDQU"}
"""SDM volume 2: whether a mask of zeros has page faults is the model's own. Ours has none, AMD's have.
One that begins below 4 GiB and goes on at 0 is beyond the limit for AMD's (SDM volume 3, 5.3: the model's own)."""


def is_far(form: Form) -> bool:
    return "Ap" in form.operands or "Mp" in form.operands


def loads_segment(form: Form) -> bool:
    return form.mnemonic in ("mov", "pop") and form.operands[:1] in (
        ("Sw",),
        ("Es",),
        ("Ss",),
        ("Ds",),
        ("Fs",),
        ("Gs",),
    )


def is_here(form: Form) -> bool:
    """Is it compared with the host?"""
    return form.mnemonic.upper() not in ELSEWHERE and not is_far(form) and not loads_segment(form)


FORMS = [form for form in forms() if is_here(form)]


def image(chance: random.Random) -> bytes:
    """An FXSAVE image: all of x87 and SSE."""
    fx = bytearray(512)
    control = 0x37F if chance.random() < 0.6 else chance.getrandbits(16) & 0xF00 | 0x40 | chance.getrandbits(6)
    top = chance.randrange(8)
    status = top << 11 | (chance.getrandbits(16) & 0x4700) | (chance.getrandbits(6) & control & 0x3F)
    tags = 0xFF if chance.random() < 0.6 else chance.getrandbits(8)
    struct.pack_into("<HHB", fx, 0, control, status, tags)
    mxcsr = 0x1F80 if chance.random() < 0.5 else chance.getrandbits(16) & 0xFFFF | (0x1F80 * (chance.random() < 0.7))
    if chance.random() < 0.8:
        mxcsr &= ~0x40  # denormals are zeros
    struct.pack_into("<I", fx, 24, mxcsr)
    for number in range(8):
        fx[32 + 16 * number : 42 + 16 * number] = cases.extended(chance).to_bytes(10, "little")
        fx[160 + 16 * number : 176 + 16 * number] = cases.vector(chance).to_bytes(16, "little")
    return bytes(fx)


def data(chance: random.Random) -> bytes:
    kinds = (
        lambda: cases.vector(chance).to_bytes(16, "little"),
        lambda: cases.extended(chance).to_bytes(10, "little") + bytes(6),
        lambda: struct.pack("<4I", *(cases.word(chance) for _ in range(4))),
        lambda: struct.pack("<2Q", cases.double(chance), chance.getrandbits(64)),
    )
    return b"".join(chance.choice(kinds)() for _ in range(DATA_OCTETS // 16))


def make(form: Form, chance: random.Random) -> Before:
    registers = [cases.word(chance) for _ in range(8)]
    middle = DATA + DATA_OCTETS // 2
    for number in (cases.ESI, cases.EDI, cases.EBX, cases.EBP):
        if chance.random() < 0.6 or any(code[0] in "XY" for code in form.operands) or not form.operands:
            registers[number] = middle + 4 * chance.randrange(-16, 16) + chance.choice((0, 0, 0, 1, 2))
    registers[cases.ESP] = middle + 4 * chance.randrange(-8, 8)
    if any(code[0] in "XY" for code in form.operands):
        registers[cases.ECX] = chance.randrange(12)
    sized = any(code in ("Ev", "Gv", "Iv", "SIb", "Zv", "Ax", "Xv", "Yv", "Mw", "Ov") for code in form.operands)
    draft = cases.Draft(form, registers=registers, operand16=form.prefix is None and sized and chance.random() < 0.25)
    octets = bytearray()
    if draft.operand16:
        octets += b"\x66"
    if any(code[0] in "XY" for code in form.operands) and chance.random() < 0.5:
        octets += chance.choice((b"\xf3", b"\xf2"))
    if form.lock and chance.random() < 0.2:
        octets += b"\xf0"
    octets += form.prefix or b""
    opcode = bytearray(form.opcode)
    opcode[-1] += chance.randrange(form.span)
    octets += opcode
    if form.has_modrm:
        octets += modrm(form, draft, chance)
    for code in form.operands:
        if code == "Ob" or code == "Ov":
            octets += struct.pack("<I", middle + chance.randrange(-32, 32))
        else:
            octets += cases.immediate(code, draft, chance)
    if form.mnemonic.upper() == "ENTER":
        octets[-1] &= 3
    window = bytearray(data(chance))
    if form.mnemonic.upper().startswith("POPF"):
        at = registers[cases.ESP] - DATA
        window[at + 1] &= 0xBE  # neither TF nor NT
    if form.mnemonic.upper() in ("BT", "BTS", "BTR", "BTC") and form.operands[1] == "Gv":
        for number in range(8):
            if registers[number] < DATA or registers[number] >= DATA + DATA_OCTETS:
                registers[number] = chance.randrange(-512, 512) & 0xFFFF_FFFF
    flags = 0x202 | chance.getrandbits(12) & (ARITHMETIC | DF)
    if chance.random() < 0.03 and form.mnemonic.upper() not in ALIGNMENT_FIRST:
        flags |= AC
    return Before(bytes(octets), tuple(value & 0xFFFF_FFFF for value in registers), flags, image(chance), bytes(window))


def modrm(form: Form, draft: cases.Draft, chance: random.Random) -> bytes:
    if form.modrm is not None:
        return bytes((form.modrm,))
    reg = form.group if form.group is not None else chance.randrange(8)
    if "Sw" in form.operands:
        reg = chance.randrange(6)
    prefetch = form.opcode == b"\x0f\x0d"  # AMD's PREFETCH, which is undefined with a register
    if form.kind == "Register" or (form.kind == "Any" and chance.random() < 0.5 and not prefetch):
        return bytes((0xC0 | reg << 3 | chance.randrange(8),))
    wide = any(code in ("Wx", "M128") for code in form.operands)
    align = 16 if wide and chance.random() < 0.9 else 1
    target = DATA + 64 + chance.randrange(320 // align) * align
    return cases.address_32(draft, target, reg, chance)


class Ours:
    """Our processor, one instruction a case."""

    def __init__(self) -> None:
        self.vm = Vm()
        self.vm.add_memory(0, 0x9000)
        self.vm.write(DIRECTORY, struct.pack("<Q", DIRECTORIES | 1))
        for number, (page, frame) in enumerate(FRAMES.items()):
            table = TABLES + number * PAGE
            self.vm.write(DIRECTORIES + (page >> 21) * 8, struct.pack("<Q", table | PRESENT_WRITABLE_USER))
            rights = PRESENT_WRITABLE_USER | (0 if page == CODE & -PAGE else NO_EXECUTE)
            self.vm.write(table, struct.pack("<Q", frame | rights))
        self.cpu = Cpu(self.vm, model="pentium3", sse2=True, pae=True, nx=True)
        self.cpu.intercept(range(32))
        self.cpu.set_state({"tr.limit": 0, "tr.base": 0})  # no I/O map: ports are the kernel's
        state = {"cr0": CR0, "cr3": DIRECTORY, "cr4": CR4, "efer": EFER, "cpl": 3}
        for name, selector in SEGMENTS.items():
            state |= {name: selector, f"{name}.base": 0, f"{name}.rights": RIGHTS[name]}
            state[f"{name}.limit"] = 0xFFFF_FFFF if selector else 0
        self.state = state

    def run(self, case: Before) -> After:
        fcw, fsw, tags = struct.unpack_from("<HHB", case.fx)
        state = self.state | dict(zip(REGISTERS, case.registers, strict=True))
        state |= {
            "eip": CODE,
            "eflags": case.eflags,
            "fcw": fcw,
            "fsw": fsw,
            "mxcsr": struct.unpack_from("<I", case.fx, 24)[0],
        }
        state["ftw"] = sum((0 if tags >> number & 1 else 3) << 2 * number for number in range(8))
        for number in range(8):
            state[f"st{number}"] = int.from_bytes(case.fx[32 + 16 * number : 42 + 16 * number], "little")
            state[f"xmm{number}"] = int.from_bytes(case.fx[160 + 16 * number : 176 + 16 * number], "little")
        self.vm.write(FRAMES[CODE & -PAGE], b"\xcc" * PAGE)
        self.vm.write(FRAMES[CODE & -PAGE] + CODE % PAGE, case.code)
        self.vm.write(FRAMES[DATA & -PAGE], bytes(PAGE))
        self.vm.write(FRAMES[DATA & -PAGE] + DATA % PAGE, case.data)
        self.cpu.set_state(state)
        for _ in range(64):  # a repeated string instruction may come back at its own address
            end = self.cpu.run(1)
            after = self.cpu.state()
            if after["eip"] != CODE or not isinstance(end, Budget):
                break
        if isinstance(end, Budget) and after["eip"] & -PAGE != CODE & -PAGE:
            end = self.cpu.run(1)  # the host faults there, too
            after = self.cpu.state()
        match end:
            case Budget():
                return self.result(after, None)
            case ExceptionTaken():
                return self.result(after, end.vector)
            case _:
                raise AssertionError(f"{case.code.hex()}: {end}")

    def result(self, after: dict[str, int], vector: int | None) -> After:
        fx = bytearray(512)
        tags = sum((after["ftw"] >> 2 * number & 3 != 3) << number for number in range(8))
        struct.pack_into("<HHB", fx, 0, after["fcw"], after["fsw"], tags)
        struct.pack_into("<I", fx, 24, after["mxcsr"])
        for number in range(8):
            fx[32 + 16 * number : 42 + 16 * number] = after[f"st{number}"].to_bytes(10, "little")
            fx[160 + 16 * number : 176 + 16 * number] = after[f"xmm{number}"].to_bytes(16, "little")
        registers = tuple(after[name] for name in REGISTERS)
        octets = self.vm.read(FRAMES[DATA & -PAGE] + DATA % PAGE, DATA_OCTETS)
        return After(registers, after["eip"], after["eflags"], vector, 0, 0, bytes(fx), octets)


def shift_count(form: Form, case: Before) -> int | None:
    """Of a shift or rotation, as it is executed."""
    if form.operands[-1:] == ("One",):
        return 1
    if form.operands[-1:] == ("Cl",):
        return case.registers[cases.ECX] & 31
    return case.code[-1] & 31


def modrm_of(form: Form, case: Before) -> int:
    """The ModRM octet of a form without an immediate operand behind it, whose prefixes are of one octet each."""
    return case.code[case.code.index(form.opcode) + len(form.opcode)]


def differences(form: Form, case: Before, ours: After, theirs: After) -> list[str]:
    wrong = []
    if form.mnemonic.upper() in MASKED_STORES and (ours.vector, theirs.vector) == (None, PAGE_FAULT):
        return []
    if form.mnemonic.upper() in MASKED_STORES and (ours.vector, theirs.vector) == (PAGE_FAULT, GENERAL_PROTECTION):
        return [] if case.registers[cases.EDI] > 0xFFFF_FFFF - 16 else ["vector 14, not 13"]
    if ours.vector != theirs.vector:
        return [f"vector {ours.vector}, not {theirs.vector}"]
    if ours.eip != theirs.eip:
        wrong.append(f"eip {ours.eip:#x}, not {theirs.eip:#x}")
    mnemonic = form.mnemonic.upper()
    octets = 1 if form.operands[:1] == ("Eb",) else 2 if case.code[0] == 0x66 and form.prefix is None else 4
    count = shift_count(form, case)
    free = 0 if theirs.vector is not None else undefined_flags(mnemonic, count, octets)
    undefined_result = mnemonic in ("SHLD", "SHRD") and (count or 0) > 8 * octets
    if (ours.eflags ^ theirs.eflags) & COMPARED_FLAGS & ~free:
        wrong.append(
            f"eflags {ours.eflags & COMPARED_FLAGS:#x}, not {theirs.eflags & COMPARED_FLAGS:#x} (free {free:#x})"
        )
    if not undefined_result:
        for name, one, other in zip(REGISTERS, ours.registers, theirs.registers, strict=True):
            if one != other:
                wrong.append(f"{name} {one:#x}, not {other:#x}")
        if ours.data != theirs.data:
            at = next(n for n in range(DATA_OCTETS) if ours.data[n] != theirs.data[n])
            wrong.append(
                f"data at {DATA + at:#x}: {ours.data[at : at + 16].hex()}, not {theirs.data[at : at + 16].hex()}"
            )
    of_memory = mnemonic == "CVTPI2PS" and modrm_of(form, case) < 0xC0
    mmx = mnemonic in ENTER_MMX and (theirs.vector is not None or of_memory)
    for what, start, end in (("fcw", 0, 2), ("fsw", 2, 4), ("ftw", 4, 5), ("mxcsr", 24, 28)):
        one, other = (int.from_bytes(side.fx[start:end], "little") for side in (ours, theirs))
        if what == "fsw" and mnemonic in COMPARISONS:
            one, other = one & ~C1, other & ~C1
        if one != other and not (mmx and what in ("fsw", "ftw")):
            wrong.append(f"{what} {one:x}, not {other:x}")
    for number in range(8):
        for what, start, size in (("st", 32 + 16 * number, 10), ("xmm", 160 + 16 * number, 16)):
            here, there = ours.fx[start : start + size], theirs.fx[start : start + size]
            if here != there and not (mmx and what == "st"):
                wrong.append(f"{what}{number} {here[::-1].hex()}, not {there[::-1].hex()}")
    return wrong


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostCpu]:
    if platform.machine() != "x86_64":
        pytest.skip(f"the host's processor is {platform.machine()}, not x86-64: it cannot be asked")
    NeedTool()("gcc")
    directory = tmp_path_factory.mktemp("host_cpu")
    try:
        host = HostCpu(directory)
    except OSError as error:
        pytest.skip(f"the host's kernel runs no 32-bit programs: {error}")
    with host:
        yield host


@pytest.fixture(scope="module")
def ours() -> Ours:
    return Ours()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_random_states_give_what_the_host_gives(host: HostCpu, ours: Ours, form: Form) -> None:
    chance = random.Random(form.name)
    tried = [make(form, chance) for _ in range(CASES)]
    wrong: list[str] = []
    for case, theirs in zip(tried, host.run(tried), strict=True):
        got = ours.run(case)
        if form.mnemonic.upper() in MASKED_STORES and host.holds(case.registers[cases.EDI] + 7):
            continue  # a store to anywhere, which met what we have not
        told = differences(form, case, got, theirs)
        if told:
            states = " ".join(f"{value:x}" for value in case.registers)
            wrong.append(f"{case.code.hex()} [{states} {case.eflags:x}]: " + "; ".join(told))
    assert not wrong, f"{len(wrong)} of {CASES}:\n" + "\n".join(wrong[:6])


def test_what_is_left_out_is_in_the_table() -> None:
    there = {form.mnemonic.upper() for form in forms()}
    assert {name for name in ELSEWHERE if name not in there} <= {"UD1", "RDPMC", "INT1"}
