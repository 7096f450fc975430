"""Instructions as umps3-objdump(1) and uMPS3's windows write them.

Specification: umps3-objdump(1); texts measured from Debian's umps3 3.0.5. They differ from an assembler's in names of
registers ($00), in targets of branches (octets from the delay slot) and in what counts as malformed.
"""

REGISTERS = (
    "00 at v0 v1 a0 a1 a2 a3 t0 t1 t2 t3 t4 t5 t6 t7 s0 s1 s2 s3 s4 s5 s6 s7 t8 t9 k0 k1 gp sp s8 ra".split()  # noqa: SIM905
)
CP0_REGISTERS = {
    0: "Index",
    1: "Random",
    2: "EntryLo",
    8: "BadVAddr",
    9: "Timer",
    10: "EntryHi",
    12: "Status",
    13: "Cause",
    14: "EPC",
    15: "PRId",
}
CONTEXT = 4

THREE = {4: "sllv", 6: "srlv", 7: "srav", 11: "cas", 32: "add", 33: "addu", 34: "sub", 35: "subu", 36: "and"} | {
    37: "or",
    38: "xor",
    39: "nor",
    42: "slt",
    43: "sltu",
}
SHIFTS = {0: "sll", 2: "srl", 3: "sra"}
MULTIPLICATIONS = {24: "mult", 25: "multu", 26: "div", 27: "divu"}
FROM_HI_LO = {16: "mfhi", 18: "mflo"}
ONE_SOURCE = {8: "jr", 17: "mthi", 19: "mtlo"}
CALLS = {12: "syscall", 13: "break"}
JALR = 9

SIGNED = {8: "addi", 9: "addiu", 10: "slti", 11: "sltiu"}
UNSIGNED = {12: "andi", 13: "ori", 14: "xori"}
LUI = 15
BRANCHES_TWO = {4: "beq", 5: "bne"}
BRANCHES_ZERO = {6: "blez", 7: "bgtz"}
BRANCHES_BY_RT = {0: "bltz", 1: "bgez", 16: "bltzal", 17: "bgezal"}
JUMPS = {2: "j", 3: "jal"}
MEMORY = {32: "lb", 33: "lh", 34: "lwl", 35: "lw", 36: "lbu", 37: "lhu", 38: "lwr"} | {
    40: "sb",
    41: "sh",
    42: "swl",
    43: "sw",
    46: "swr",
}
CP0_OPERATIONS = {1: "tlbr", 2: "tlbwi", 6: "tlbwr", 8: "tlbp", 16: "rfe", 32: "wait"}
CP0_BRANCHES = {0x100: "bc0f", 0x101: "bc0t"}
COP0 = 16

BAD_REGISTER = "ri/ill (r-type)"
BAD_UNKNOWN = "ri/ill (unknown)"
BAD_R4000 = "ri/ill (R4000)"
BAD_MEMORY = "ri/ill (load/store)"
BAD_BRANCH = "ri/ill (branch type)"
BAD_IMMEDIATE = "ri/ill (immediate)"


def instruction(word: int) -> str:
    """The text of an instruction."""
    opcode = word >> 26
    if opcode == 0:
        return _register(word)
    match opcode >> 3:
        case 0:
            return _branch(word)
        case 1:
            return _immediate(word)
        case 2 | 6 | 7:
            return _coprocessor(word)
        case 3:
            return BAD_UNKNOWN
        case _:
            name = MEMORY.get(opcode)
            return BAD_MEMORY if name is None else f"{name}\t{_rt(word)}, {_signed(word):+d}({_rs(word)})"


def _rs(word: int) -> str:
    return "$" + REGISTERS[word >> 21 & 31]


def _rt(word: int) -> str:
    return "$" + REGISTERS[word >> 16 & 31]


def _rd(word: int) -> str:
    return "$" + REGISTERS[word >> 11 & 31]


def _signed(word: int) -> int:
    return (word & 0xFFFF ^ 0x8000) - 0x8000


def _register(word: int) -> str:
    function = word & 63
    rs, rt, rd, shift = word >> 21 & 31, word >> 16 & 31, word >> 11 & 31, word >> 6 & 31
    if function in THREE and not shift:
        return f"{THREE[function]}\t{_rd(word)}, {_rs(word)}, {_rt(word)}"
    if function in SHIFTS and not rs:
        return f"{SHIFTS[function]}\t{_rd(word)}, {_rt(word)}, {shift:02d}" if word else "nop"
    if function in MULTIPLICATIONS and not shift | rd:
        return f"{MULTIPLICATIONS[function]}\t{_rs(word)}, {_rt(word)}"
    if function == JALR and not shift | rt:
        return f"jalr\t{_rd(word)}, {_rs(word)}"
    if function in FROM_HI_LO and not shift | rt | rs:
        return f"{FROM_HI_LO[function]}\t{_rd(word)}"
    if function in ONE_SOURCE and not shift | rt | rd:
        return f"{ONE_SOURCE[function]}\t{_rs(word)}"
    if function in CALLS:
        return f"{CALLS[function]}\t({word >> 6 & 0xFFFFF})"
    return BAD_REGISTER


def _immediate(word: int) -> str:
    opcode = word >> 26
    if opcode in SIGNED:
        return f"{SIGNED[opcode]}\t{_rt(word)}, {_rs(word)}, {_signed(word):+d}"
    if opcode in UNSIGNED:
        return f"{UNSIGNED[opcode]}\t{_rt(word)}, {_rs(word)}, 0x{word & 0xFFFF:08X}"
    return BAD_IMMEDIATE if word >> 21 & 31 else f"lui\t{_rt(word)}, 0x{word & 0xFFFF:04X}"


def _branch(word: int) -> str:
    opcode, rt = word >> 26, word >> 16 & 31
    target = _signed(word) * 4
    if opcode in BRANCHES_TWO:
        return f"{BRANCHES_TWO[opcode]}\t{_rs(word)}, {_rt(word)}, {target:+d}"
    if opcode in JUMPS:
        return f"{JUMPS[opcode]}\t(4 bit PC)+0x{(word & 0x3FF_FFFF) << 2:07X}"
    name = BRANCHES_BY_RT.get(rt) if opcode == 1 else None if rt else BRANCHES_ZERO[opcode]
    return BAD_BRANCH if name is None else f"{name}\t{_rs(word)}, {target:+d}"


def _coprocessor(word: int) -> str:
    opcode, kind = word >> 26, word >> 21 & 31
    bad = f"CP{opcode & 3} ri/ill/unimp"
    if opcode != COP0:
        return BAD_R4000 if opcode & 4 else bad
    if kind == 16:
        return bad if word & 0x1F_FFC0 else CP0_OPERATIONS.get(word & 63, bad)
    if kind == 8:
        name = CP0_BRANCHES.get(word >> 16 & 0x3FF)
        return bad if name is None else f"{name}\t{_signed(word) * 4:+d}"
    register = word >> 11 & 31
    if kind in (0, 4):
        if register in CP0_REGISTERS and not word & 0x7FF:
            return f"{'mtc0' if kind else 'mfc0'}\t{_rt(word)}, ${CP0_REGISTERS[register]}"
        if kind and register == CONTEXT:
            return "TLBCLR"
    return bad
