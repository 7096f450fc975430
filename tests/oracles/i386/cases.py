"""Random instructions of the table's rows, with registers so that their operands are in known memory."""

import random
import struct
from dataclasses import dataclass, field

from emulators.cpus.i386.forms import Form

EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI = range(8)
WORDS: tuple[int, ...] = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    31,
    32,
    33,
)
SINGLES: tuple[int, ...] = (
    0,
    0x8000_0000,
    0x3F80_0000,
    0xBF80_0000,
    0x7F80_0000,
    0xFF80_0000,
    0x7FC0_0001,
    0x7F80_0001,
    1,
    0x007F_FFFF,
)
SINGLES += (0x0080_0000, 0x7F7F_FFFF, 0x4F00_0000, 0xCF00_0000, 0x3F00_0000, 0x4B00_0001, 0x4040_0000)
DOUBLES: tuple[int, ...] = (
    0,
    1 << 63,
    0x3FF0 << 48,
    0xBFF0 << 48,
    0x7FF0 << 48,
    0xFFF0 << 48,
    0x7FF8 << 48 | 1,
    0x7FF0 << 48 | 1,
    1,
)
DOUBLES += (0x10 << 48, 0x7FEF_FFFF_FFFF_FFFF, 0x41E0 << 48, 0xC1E0 << 48, 0x3690 << 48, 0x47F0 << 48, 0x3FE0 << 48)
EXTENDED: tuple[int, ...] = (
    0,
    0x3FFF << 64 | 1 << 63,
    0xBFFF << 64 | 1 << 63,
    0x7FFF << 64 | 1 << 63,
    0xFFFF << 64 | 3 << 62,
    1,
    1 << 63,
)
EXTENDED += (
    0x7FFF << 64 | 3 << 62 | 5,
    0x7FFF << 64 | 1 << 63 | 5,
    0x403E << 64 | 1 << 63,
    0x4000 << 64 | 0xC90F << 48,
)
EXTENDED += (
    0x7FFE << 64 | (1 << 64) - 1,
    1 << 64 | 1 << 63,
    0x3FFE << 64 | 1 << 63,
    0x4004 << 64 | 0xA5 << 56,
    1 << 79,
)


def word(chance: random.Random) -> int:
    return chance.choice(WORDS) if chance.random() < 0.5 else chance.getrandbits(32)


def single(chance: random.Random) -> int:
    dice = chance.random()
    if dice < 0.4:
        return chance.choice(SINGLES)
    if dice < 0.8:
        return int.from_bytes(struct.pack("<f", chance.uniform(-100, 100)), "little")
    return chance.getrandbits(32)


def double(chance: random.Random) -> int:
    dice = chance.random()
    if dice < 0.4:
        return chance.choice(DOUBLES)
    if dice < 0.8:
        return int.from_bytes(struct.pack("<d", chance.uniform(-100, 100)), "little")
    return chance.getrandbits(64)


def extended(chance: random.Random) -> int:
    """80 bits: numbers of all kinds, unsupported ones too."""
    dice = chance.random()
    if dice < 0.4:
        return chance.choice(EXTENDED)
    exponent = chance.randrange(0x3FE0, 0x4020) if dice < 0.9 else chance.getrandbits(15)
    return chance.getrandbits(1) << 79 | exponent << 64 | 1 << 63 | chance.getrandbits(63)


def vector(chance: random.Random) -> int:
    """128 bits that a packed instruction makes something of."""
    match chance.randrange(4):
        case 0:
            return sum(single(chance) << 32 * lane for lane in range(4))
        case 1:
            return sum(double(chance) << 64 * lane for lane in range(2))
        case 2:
            return sum(word(chance) << 32 * lane for lane in range(4))
        case _:
            return chance.getrandbits(128)


@dataclass
class Place:
    """Where a case's memory operand is."""

    at: int
    octets: int


@dataclass
class Draft:
    """An instruction under construction."""

    form: Form
    code: bytes = b""
    registers: list[int] = field(default_factory=list)
    operand16: bool = False
    address16: bool = False


def address_32(draft: Draft, target: int, reg: int, chance: random.Random) -> bytes:
    """ModRM, SIB and displacement of `target`; sets the registers that they name."""
    registers = draft.registers
    kind = chance.randrange(5)
    if kind == 0:
        return struct.pack("<BI", reg << 3 | 5, target)
    wide = chance.random() < 0.3
    displacement = chance.randrange(-128, 128)
    tail = struct.pack("<i" if wide else "<b", displacement)
    mod = 2 if wide else 1
    base = chance.choice((EAX, ECX, EDX, EBX, EBP, ESI, EDI))
    if kind in (1, 2):
        if kind == 1 and base != EBP:
            mod, tail, displacement = 0, b"", 0
        registers[base] = target - displacement & 0xFFFF_FFFF
        return bytes((mod << 6 | reg << 3 | base,)) + tail
    scale = chance.randrange(4)
    if kind == 3:
        index = chance.choice([n for n in (EAX, ECX, EDX, EBX, EBP, ESI, EDI) if n != base])
        registers[index] = chance.randrange(-16, 16) & 0xFFFF_FFFF
        registers[base] = target - displacement - (registers[index] << scale) & 0xFFFF_FFFF
    else:
        index = 4  # none
        registers[base] = target - displacement & 0xFFFF_FFFF
    return bytes((mod << 6 | reg << 3 | 4, scale << 6 | index << 3 | base)) + tail


def address_16(draft: Draft, target: int, reg: int, chance: random.Random) -> bytes:
    """As `address_32`, with the forms of 16 bits; `target` is below 0x10000."""
    registers = draft.registers
    rm = chance.randrange(8)
    if rm == 6:
        return struct.pack("<BH", reg << 3 | 6, target)
    parts: tuple[int, ...] = ((EBX, ESI), (EBX, EDI), (EBP, ESI), (EBP, EDI), (ESI,), (EDI,), (), (EBX,))[rm]
    displacement = chance.randrange(-128, 128)
    mod = chance.choice((1, 2))
    rest = target - displacement
    for number in parts[1:]:
        registers[number] = registers[number] & 0xFFFF_0000 | chance.randrange(0x100)
        rest -= registers[number] & 0xFFFF
    registers[parts[0]] = registers[parts[0]] & 0xFFFF_0000 | rest & 0xFFFF
    return bytes((mod << 6 | reg << 3 | rm,)) + struct.pack("<b" if mod == 1 else "<h", displacement)


def immediate(code: str, draft: Draft, chance: random.Random) -> bytes:
    """Of an operand that is in the instruction; empty for others."""
    size = 2 if draft.operand16 else 4
    address = 2 if draft.address16 else 4
    match code:
        case "Ib" | "SIb":
            return bytes(
                (chance.choice((0, 1, 7, 8, 31, 0x7F, 0x80, 0xFF)) if chance.random() < 0.6 else chance.getrandbits(8),)
            )
        case "Iw":
            return struct.pack("<H", chance.getrandbits(16))
        case "Iz" | "Iv":
            return (word(chance) & (1 << 8 * size) - 1).to_bytes(size, "little")
        case "Jb":
            return bytes((chance.choice((0, 5, 0x40, 0x80, 0xF0)),))
        case "Jv":
            return (chance.choice((0, 0x100, -0x100)) & (1 << 8 * size) - 1).to_bytes(size, "little")
        case "Ap":
            return chance.randbytes(size + 2)
        case "Ob" | "Ov":
            return bytes(address)
    return b""
