"""i386 instructions as text, in the Intel syntax of GNU binutils (`objdump -d -M intel`).

The encodings are the engine's one instruction table (`native/src/table/`, read through `forms`), whose operands have
the codes of the manual's opcode map (Intel SDM volume 2, appendix A.2): a letter for the place, letters for the size.
Octets that are no instruction of the table are `(bad)`, one octet long, as in binutils.

Limits: targets are numbers, not symbols; at most 15 octets an instruction. Differences from binutils that are known are
listed with their reasons in `tests/oracles/i386/objdump.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from emulators.cpus.i386.forms import Form, by_opcode

REGISTERS_8 = ("al", "cl", "dl", "bl", "ah", "ch", "dh", "bh")
REGISTERS_16 = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
REGISTERS_32 = tuple(f"e{name}" for name in REGISTERS_16)
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs", "?", "?")
BASES_16 = ("bx+si", "bx+di", "bp+si", "bp+di", "si", "di", "bp", "bx")
SEGMENT_PREFIXES = {0x26: "es", 0x2E: "cs", 0x36: "ss", 0x3E: "ds", 0x64: "fs", 0x65: "gs"}
OPERAND_SIZE, ADDRESS_SIZE, LOCK, REPNE, REP = 0x66, 0x67, 0xF0, 0xF2, 0xF3
PREFIXES = {*SEGMENT_PREFIXES, OPERAND_SIZE, ADDRESS_SIZE, LOCK, REPNE, REP}
NAMED_WIDE = (b"\x8e", b"\x0f\x02", b"\x0f\x03")
"""MOV to a segment register, LAR, LSL: a source register is named by the operand size, though 16 bits are read."""
LONGEST_OCTETS = 15
POINTERS = {1: "BYTE", 2: "WORD", 4: "DWORD", 6: "FWORD", 8: "QWORD", 10: "TBYTE", 16: "XMMWORD"}
PREDICATES = ("eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord")
COMPARISONS = {"cmpps", "cmpss", "cmppd", "cmpsd"}
"""Whose immediate is told by the name, if it is a predicate."""
OTHER_NAMES = {"jmpf": "jmp", "callf": "call", "fneni": "fneni(8087 only)", "fndisi": "fndisi(8087 only)"}
OTHER_NAMES |= {"fnsetpm": "fnsetpm(287 only)"}
"""What binutils calls otherwise than the manual."""
SIZE_IN_NAME = {"pusha", "popa", "pushf", "popf", "enter", "leave", "ret", "retf", "iret"}
SIZE_IN_NAME |= {"fldenv", "fnstenv", "frstor", "fnsave"}
"""Their operands do not tell the operand size: where it is not the code segment's, the name does."""
SIZELESS = {"Iv", "SIb", "Jv", "Es", "Cs", "Ss", "Ds", "Fs", "Gs"}
"""Nor does such an operand of PUSH, POP, JMP and CALL."""
TABLES = {"sgdt", "sidt", "lgdt", "lidt"}


@dataclass(frozen=True, slots=True)
class Instruction:
    """`text` has no address and no octets; `form` is None for what is no instruction."""

    form: Form | None
    length: int
    text: str


class TooShort(Exception):
    """The instruction goes on behind the octets that are there."""


@cache
def _has_modrm(opcode: bytes) -> bool:
    return any(form.has_modrm for form in by_opcode().get(opcode, ()))


@cache
def _chosen(opcode: bytes, mandatory: bytes, modrm: int) -> Form | None:
    """The first form that fits."""
    forms = by_opcode().get(opcode, ())
    return next((form for form in forms if form.prefix in (None, mandatory) and form.takes(modrm)), None)


class Decoder:
    """The octets of one instruction, and what they mean."""

    def __init__(self, octets: bytes, at: int, pc: int, big: bool) -> None:
        self.octets, self.start, self.at, self.pc, self.big = octets, at, at, pc, big
        self.prefixes: list[int] = []
        self.used: set[int] = set()
        self.mod = self.reg = self.rm = -1
        self.mandatory: bytes | None = None
        self.opcode = b""

    def peek(self) -> int:
        """The next octet."""
        if self.at >= len(self.octets) or self.at - self.start >= LONGEST_OCTETS:
            raise TooShort
        return self.octets[self.at]

    def unsigned(self, octets: int) -> int:
        """A number of the instruction; the reader is behind it then."""
        if self.at + octets > len(self.octets) or self.at + octets - self.start > LONGEST_OCTETS:
            raise TooShort
        value = int.from_bytes(self.octets[self.at : self.at + octets], "little")
        self.at += octets
        return value

    def signed(self, octets: int) -> int:
        """As `unsigned`, with a sign."""
        value = self.unsigned(octets)
        return value - (1 << 8 * octets) if value >> 8 * octets - 1 else value

    def has(self, prefix: int) -> bool:
        """Is it there? Then it is told by the instruction itself."""
        if prefix in self.prefixes:
            self.used.add(prefix)
            return True
        return False

    @property
    def operand_octets(self) -> int:
        """Of operands whose size is the code segment's, or with a prefix the other."""
        if self.mandatory is not None:  # 66 is a part of the opcode
            return 4 if self.big else 2
        return 4 if self.big != self.has(OPERAND_SIZE) else 2

    @property
    def address_octets(self) -> int:
        """Of addresses, likewise."""
        return 4 if self.big != self.has(ADDRESS_SIZE) else 2

    def find(self) -> Form | None:
        """The form whose octets these are, the reader behind opcode and ModRM."""
        while (octet := self.peek()) in PREFIXES:
            self.prefixes.append(octet)
            self.at += 1
        first = self.unsigned(1)
        opcode = bytes((first,))
        if first == 0x0F:
            opcode += bytes((self.unsigned(1),))
        repeats = [prefix for prefix in self.prefixes if prefix in (REP, REPNE)]
        mandatory = bytes(repeats[-1:]) or (b"\x66" if OPERAND_SIZE in self.prefixes else b"")
        form = _chosen(opcode, mandatory, self.peek() if _has_modrm(opcode) else 0)
        if form is None:
            return None
        if form.prefix is not None:
            self.mandatory = form.prefix
            self.used |= set(form.prefix)
        if form.has_modrm:
            octet = self.unsigned(1)
            self.mod, self.reg, self.rm = octet >> 6, octet >> 3 & 7, octet & 7
        else:
            self.rm = opcode[-1] & 7
        self.opcode = form.opcode
        return form

    # operands

    def segment(self, default: str = "") -> str:
        """The one that a prefix names, or `default`."""
        overrides = [prefix for prefix in self.prefixes if prefix in SEGMENT_PREFIXES]
        if overrides:
            self.used |= {overrides[-1]}
            return SEGMENT_PREFIXES[overrides[-1]]
        return default

    def address(self) -> str:
        """Of a ModRM octet, `[…]` with the segment if it is told."""
        if self.address_octets == 2:
            inner, absolute = self._address_16()
        else:
            inner, absolute = self._address_32()
        segment = self.segment("ds" if absolute else "")
        prefix = f"{segment}:" if segment else ""
        return f"{prefix}{inner}" if absolute else f"{prefix}[{inner}]"

    def _address_16(self) -> tuple[str, bool]:
        if self.mod == 0 and self.rm == 6:
            return f"{self.unsigned(2):#x}", True
        return BASES_16[self.rm] + self._displacement({0: 0, 1: 1, 2: 2}[self.mod]), False

    def _address_32(self) -> tuple[str, bool]:
        if self.rm != 4:
            if self.mod == 0 and self.rm == 5:
                return f"{self.unsigned(4):#x}", True
            return REGISTERS_32[self.rm] + self._displacement({0: 0, 1: 1, 2: 4}[self.mod]), False
        sib = self.unsigned(1)
        scale, index, base = sib >> 6, sib >> 3 & 7, sib & 7
        scaled = f"{'eiz' if index == 4 else REGISTERS_32[index]}*{1 << scale}"
        if self.mod == 0 and base == 5:
            if index == 4 and scale == 0:
                return f"{self.unsigned(4):#x}", True
            return scaled + self._displacement(4), False
        plain = index == 4 and scale == 0 and base == 4
        text = REGISTERS_32[base] if plain else f"{REGISTERS_32[base]}+{scaled}"
        return text + self._displacement({0: 0, 1: 1, 2: 4}[self.mod]), False

    def _displacement(self, octets: int) -> str:
        if octets == 0:
            return ""
        value = self.signed(octets)
        return f"-{-value:#x}" if value < 0 else f"+{value:#x}"

    def general(self, number: int, octets: int) -> str:
        """A general register's name."""
        return {1: REGISTERS_8, 2: REGISTERS_16, 4: REGISTERS_32}[octets][number]

    def memory(self, octets: int) -> str:
        """The operand of a ModRM octet that names memory; of 0 octets, its size is not told."""
        return f"{POINTERS[octets]} PTR {self.address()}" if octets else self.address()

    def sized(self, size: str) -> int:
        """Octets of a size letter."""
        return {"b": 1, "w": 2, "d": 4, "q": 8, "x": 16}.get(size) or self.operand_octets

    def operand(self, code: str) -> str:
        """The text of one operand of the table."""
        if code in FIXED:
            return FIXED[code]
        if code in MEMORY:
            return self.memory(MEMORY[code])
        place, size = code[0], code[1:]
        in_register = self.mod == 3
        match code:
            case "Ax":
                return self.general(0, self.operand_octets)
            case "Mw":
                return self.general(self.rm, self.operand_octets) if in_register else self.memory(2)
            case "Mp":
                return self.memory(2 + self.operand_octets)
            case "SIb":
                return f"{self.signed(1) & (1 << 8 * self.operand_octets) - 1:#x}"
            case "Jb" | "Jv":
                away = self.signed(1 if code == "Jb" else self.operand_octets)
                target = self.pc + (self.at - self.start) + away
                return f"{target & (1 << 8 * self.operand_octets) - 1:#x}"
            case "Ap":
                offset = self.unsigned(self.operand_octets)
                return f"{self.unsigned(2):#x}:{offset:#x}"
            case "Sti":
                return f"st({self.rm})"
            case "Sw":
                return SEGMENTS[self.reg]
            case "Cd":
                return f"cr{self.reg}"
            case "Dd":
                return f"dr{self.reg}"
        if code == "Ew" and in_register and self.opcode in NAMED_WIDE:
            return self.general(self.rm, self.operand_octets)
        match place:
            case "E":
                return self.general(self.rm, self.sized(size)) if in_register else self.memory(self.sized(size))
            case "G":
                return self.general(self.reg, self.sized(size))
            case "Z" | "R":
                return self.general(self.rm, self.sized(size))
            case "P":
                return f"mm{self.reg}"
            case "N":
                return f"mm{self.rm}"
            case "Q":
                return f"mm{self.rm}" if in_register else self.memory(self.sized(size))
            case "V":
                return f"xmm{self.reg}"
            case "U":
                return f"xmm{self.rm}"
            case "W":
                return f"xmm{self.rm}" if in_register else self.memory(self.sized(size))
            case "I":
                return f"{self.unsigned(self.sized(size)):#x}"
            case "O":
                return f"{self.segment('ds')}:{self.unsigned(self.address_octets):#x}"
            case "X":
                index = "esi" if self.address_octets == 4 else "si"
                return f"{POINTERS[self.sized(size)]} PTR {self.segment('ds')}:[{index}]"
            case "Y":
                index = "edi" if self.address_octets == 4 else "di"
                return f"{POINTERS[self.sized(size)]} PTR es:[{index}]"
        raise ValueError(f"operand {code}")


MEMORY = {"M": 0, "M16": 2, "M32": 4, "M48": 6, "M64": 8, "M80": 10, "M128": 16}
FIXED = {name.capitalize(): name for name in ("al", "cl", "dx", *SEGMENTS[:6])} | {"One": "1", "Three": "3", "St": "st"}
REPEATABLE = {0x6C, 0x6D, 0x6E, 0x6F, 0xA4, 0xA5, 0xAA, 0xAB, 0xAC, 0xAD}


def disassemble_one(octets: bytes, pc: int = 0, at: int = 0, *, big: bool = True) -> Instruction:
    """The instruction at `octets[at]`, whose address is `pc`; `big`: of a 32-bit code segment.

    Raises:
        TooShort: it goes on behind the octets.
    """
    decoder = Decoder(octets, at, pc, big)
    try:
        form = decoder.find()
        if form is None:
            return Instruction(None, 1, "(bad)")
        return _text(decoder, form)
    except TooShort:
        if decoder.at - at < LONGEST_OCTETS - 4:
            raise
        return Instruction(None, 1, "(bad)")


def _text(decoder: Decoder, form: Form) -> Instruction:
    operands = [decoder.operand(code) for code in form.operands]
    opcode = form.opcode[0] if len(form.opcode) == 1 else -1
    mnemonic = _name(decoder, form, operands)
    before: list[str] = []
    for prefix in decoder.prefixes:
        if prefix in decoder.used:
            continue
        match prefix:
            case 0xF0:
                before.append("lock")
            case 0xF3:
                before.append("rep" if opcode in REPEATABLE else "repz")
            case 0xF2:
                before.append("repnz")
            case 0x66:
                before.append("data16")
            case 0x67:
                before.append("addr16" if decoder.big else "addr32")
            case _:
                before.append(SEGMENT_PREFIXES[prefix])
    name = " ".join((*before, mnemonic))
    return Instruction(form, decoder.at - decoder.start, f"{name:<6} {','.join(operands)}" if operands else name)


def _name(decoder: Decoder, form: Form, operands: list[str]) -> str:
    """The mnemonic; what it tells of `operands` is taken out of them, or the other way round."""
    name = OTHER_NAMES.get(form.mnemonic.lower(), form.mnemonic.lower())
    match name:
        case "nop" if form.opcode == b"\x90" and decoder.has(OPERAND_SIZE):
            operands[:] = ["ax", "ax"] if decoder.big else ["eax", "eax"]
            return "xchg"
        case "nop" if form.opcode == b"\x90" and decoder.has(REP):
            return "pause"
        case "cbw" | "cwde":
            return "cwde" if decoder.operand_octets == 4 else "cbw"
        case "cwd" | "cdq":
            return "cdq" if decoder.operand_octets == 4 else "cwd"
        case "xlat":
            base = "ebx" if decoder.address_octets == 4 else "bx"
            operands[:] = [f"BYTE PTR {decoder.segment('ds')}:[{base}]"]
        case "bound":
            operands[1] = f"{POINTERS[2 * decoder.operand_octets]} PTR {operands[1]}"
        case "fnstsw" if form.opcode == b"\xdf":
            operands[:] = ["ax"]
            decoder.used.discard(OPERAND_SIZE)
        case "invlpg":
            operands[0] = f"BYTE PTR {operands[0]}"
    if name in COMPARISONS and operands and int(operands[-1], 16) < len(PREDICATES):
        return f"cmp{PREDICATES[int(operands.pop(), 16)]}{name[-2:]}"
    if name in TABLES:
        operands[:] = [one.removeprefix("FWORD PTR ") for one in operands]
        return name + ("d" if decoder.operand_octets == 4 else "w")
    told = name in SIZE_IN_NAME or (name in ("push", "pop", "jmp", "call") and form.operands[0] in SIZELESS)
    if told and decoder.has(OPERAND_SIZE):
        return name + ("w" if decoder.big else "d")
    return name


def disassemble(octets: bytes, pc: int, *, big: bool = True) -> Iterator[tuple[int, Instruction]]:
    """Address and instruction, as far as the octets go; what is cut off at their end is `(bad)`."""
    at = 0
    while at < len(octets):
        try:
            one = disassemble_one(octets, pc + at & 0xFFFF_FFFF, at, big=big)
        except TooShort:
            one = Instruction(None, 1, "(bad)")
        yield pc + at & 0xFFFF_FFFF, one
        at += one.length
