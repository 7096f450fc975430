"""The 24Kf beside Unicorn's, instruction by instruction, from random states.

Unicorn is QEMU's processor as a library. Each row of the instruction table that needs no system state is tried with
random fields and registers; afterwards all registers, the FPU's status and the data are the same, or both refused.

A case is an instruction, a delay slot, and what is behind: ``insn; addiu k0,k0,1; addiu k1,k1,1; nop; target: nop``.
Branches go to `target`, so k0 and k1 tell whether the slot and the place behind it were executed.
"""

import random
import struct
from dataclasses import dataclass

import pytest
from unicorn import mips_const as uc
from unicorn import unicorn_const
from unicorn.unicorn_py3.unicorn import Uc, UcError

from emulators.cpus.mips import Cpu, Vm
from emulators.cpus.mips.disassembler import disassemble, instructions
from emulators.exits import Budget, ExceptionTaken

KSEG0 = 0x80000000
CODE, DATA = 0x1000, 0x8000
DATA_OCTETS = 0x1000
BASE = KSEG0 + DATA + DATA_OCTETS // 2
TARGET = KSEG0 + CODE + 16
T1, K0, K1, RA = 9, 26, 27, 31
STATUS = 0x34400000  # CU1, CU0, FR = 1, BEV
CASES = 60
"""Of a row. Chosen: all rows take some 20 s."""
SLOT = struct.pack("<4I", 0x275A0001, 0x277B0001, 0, 0)

SYSTEM = {
    *("MFC0", "MTC0", "RDPGPR", "WRPGPR", "DI", "EI", "TLBR", "TLBWI", "TLBWR", "TLBP", "ERET", "DERET", "WAIT"),
    *("COP0", "COP1", "COP2", "COP1X", "CACHE", "SYNCI", "PREF", "PREFX", "RDHWR", "SDBBP", "SC", "LL", "CFC1"),
    *("CTC1", "LWC2", "LDC2", "SWC2", "SDC2", "SSNOP", "EHB", "SYNC"),
}
"""Rows about system state, or about nothing; their own tests are test_mips32*.py."""


@dataclass(frozen=True)
class Case:
    word: int
    registers: tuple[int, ...]
    hi: int
    lo: int
    floats: tuple[int, ...]
    fcsr: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.word:#010x} {disassemble(struct.pack('<I', self.word), KSEG0 + CODE)[0]!r}"


Outcome = tuple[bool, tuple[int, ...], int, int, tuple[int, ...], int, bytes]
"""(went on, r0 … r31, hi, lo, f0 … f31, fcsr, data)."""


INTERESTING = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFF, 0x8000, 0xFF, 31)
DOUBLES = (0.0, -0.0, 1.0, -1.5, 2.0**31, -(2.0**31), 2.0**63, 0.5, 1e-310, 1e308, float("inf"), float("-inf"), 3.75)


def a_word(chance: random.Random) -> int:
    return chance.choice(INTERESTING) if chance.random() < 0.4 else chance.getrandbits(32)


def a_float(chance: random.Random, name: str) -> int:
    """64 bits that the instruction's format makes something of."""
    if chance.random() < 0.3:
        return chance.getrandbits(64)
    value = chance.choice(DOUBLES) if chance.random() < 0.5 else chance.uniform(-1e6, 1e6)
    if name.endswith(".S"):
        try:
            return int.from_bytes(struct.pack("<f", value), "little") | chance.getrandbits(32) << 32
        except OverflowError:
            return 0x7F800000
    if name.endswith((".W", ".L")):
        return chance.choice((a_word(chance), chance.getrandbits(64), 1 << 63))
    return int.from_bytes(struct.pack("<d", value), "little")


def quiet(value: int, name: str) -> int:
    """Signalling and quiet NaNs have their tests elsewhere (Unicorn's own differ from the 24Kf's in the sign)."""
    if name.endswith(".S") and value & 0x7F800000 == 0x7F800000 and value & 0x7FFFFF:
        return value & ~0x7FFFFF
    if name.endswith(".D") and value >> 52 & 0x7FF == 0x7FF and value & (1 << 52) - 1:
        return value & ~((1 << 52) - 1)
    return value


def make(name: str, bits: str, chance: random.Random) -> Case:
    pattern = bits.replace(" ", "")
    word = int("".join(bit if bit in "01" else "0" if bit == "-" else str(chance.getrandbits(1)) for bit in pattern), 2)
    registers = [0, *(a_word(chance) for _ in range(31))]
    registers[K0] = registers[K1] = 0
    data_access = word >> 26 >= 0x20
    indexed = word >> 26 == 0x13 and word & 0x30 == 0
    if data_access:
        offset = chance.randrange(-64, 64)
        word = word & ~0xFFFF | offset & 0xFFFF
        if word >> 21 & 31 == 0:
            word |= 1 << 21
        registers[word >> 21 & 31] = (
            BASE + chance.choice((0, 0, 0, 1, 2, 3, 4, 8)) - (offset & 7 if chance.random() < 0.5 else 0)
        )
    if indexed:
        if word >> 21 & 31 == word >> 16 & 31 or not (word >> 21 & 31 and word >> 16 & 31):
            word = word & ~(0x3FF << 16) | 4 << 21 | 5 << 16
        registers[word >> 21 & 31] = BASE
        registers[word >> 16 & 31] = 8 * chance.randrange(-8, 8) & 0xFFFFFFFF
    if name in ("J", "JAL"):
        word = word & ~0x3FFFFFF | TARGET >> 2 & 0x3FFFFFF
    elif name.startswith(("JR", "JALR")):
        word = int("".join(bit if bit in "01" else "0" for bit in pattern), 2) | T1 << 21
        word |= (RA << 11) * name.startswith("JALR")
        registers[T1] = TARGET
    elif name.startswith("B") and name != "BREAK":
        word = word & ~0xFFFF | 3
    elif name in ("EXT", "INS"):  # what reaches beyond bit 31, or ends before it begins, is UNPREDICTABLE
        position = chance.randrange(32)
        size = chance.randrange(32 - position)
        word = word & ~0xFFC0 | position << 6 | (size if name == "EXT" else position + size) << 11
    floats = tuple(quiet(a_float(chance, name), name) for _ in range(32))
    fcsr = chance.getrandbits(2) | (0xFE800000 & chance.getrandbits(32)) | chance.getrandbits(5) << 2
    return Case(word, tuple(registers), a_word(chance), a_word(chance), floats, fcsr, chance.randbytes(DATA_OCTETS))


class Ours:
    def __init__(self) -> None:
        self.vm = Vm()
        self.vm.add_memory(0, 0x10000)
        self.cpu = Cpu(self.vm)
        self.cpu.intercept(range(32))

    def run(self, case: Case) -> Outcome:
        self.vm.write(CODE, struct.pack("<I", case.word) + SLOT)
        self.vm.write(DATA, case.data)
        state = {f"r{number}": value for number, value in enumerate(case.registers)}
        state |= {f"f{number}": value for number, value in enumerate(case.floats)}
        state |= {"hi": case.hi, "lo": case.lo, "fcr31": case.fcsr, "status": STATUS, "pc": KSEG0 + CODE}
        self.cpu.set_state(state)
        self.cpu.add_breakpoint(TARGET)
        end = self.cpu.run(20)
        assert not isinstance(end, Budget)
        after = self.cpu.state()
        return (
            not isinstance(end, ExceptionTaken),
            tuple(after[f"r{number}"] for number in range(32)),
            after["hi"],
            after["lo"],
            tuple(after[f"f{number}"] for number in range(32)),
            after["fcr31"],
            self.vm.read(DATA, DATA_OCTETS),
        )


class Theirs:
    def __init__(self) -> None:
        self.engine = Uc(unicorn_const.UC_ARCH_MIPS, unicorn_const.UC_MODE_MIPS32 | unicorn_const.UC_MODE_LITTLE_ENDIAN)
        self.engine.ctl_set_cpu_model(uc.UC_CPU_MIPS32_24KF)
        self.engine.mem_map(0, 0x10000)  # physical

    def run(self, case: Case) -> Outcome:
        engine = self.engine
        engine.ctl_remove_cache(KSEG0 + CODE, KSEG0 + CODE + 32)
        engine.mem_write(CODE, struct.pack("<I", case.word) + SLOT)
        engine.mem_write(DATA, case.data)
        engine.reg_write(uc.UC_MIPS_REG_CP0_STATUS, STATUS)
        for number, value in enumerate(case.registers):
            engine.reg_write(uc.UC_MIPS_REG_0 + number, value)
        for number, value in enumerate(case.floats):
            engine.reg_write(uc.UC_MIPS_REG_F0 + number, value)
        engine.reg_write(uc.UC_MIPS_REG_HI, case.hi)
        engine.reg_write(uc.UC_MIPS_REG_LO, case.lo)
        engine.reg_write(uc.UC_MIPS_REG_FCSR, case.fcsr)
        try:
            engine.emu_start(KSEG0 + CODE, TARGET)
            went_on = True
        except UcError:
            went_on = False
        return (
            went_on,
            tuple(engine.reg_read(uc.UC_MIPS_REG_0 + number) & 0xFFFFFFFF for number in range(32)),
            engine.reg_read(uc.UC_MIPS_REG_HI) & 0xFFFFFFFF,
            engine.reg_read(uc.UC_MIPS_REG_LO) & 0xFFFFFFFF,
            tuple(engine.reg_read(uc.UC_MIPS_REG_F0 + number) for number in range(32)),
            engine.reg_read(uc.UC_MIPS_REG_FCSR) & 0xFFFFFFFF,
            bytes(engine.mem_read(DATA, DATA_OCTETS)),
        )


@pytest.fixture(scope="module")
def pair() -> tuple[Ours, Theirs]:
    return Ours(), Theirs()


def test_every_row_that_is_left_out_is_one() -> None:
    assert {name for name, _ in instructions()} >= SYSTEM


@pytest.mark.parametrize(("name", "bits"), [row for row in instructions() if row[0] not in SYSTEM])
def test_random_states_give_what_unicorn_gives(pair: tuple[Ours, Theirs], name: str, bits: str) -> None:
    ours, theirs = pair
    chance = random.Random(name)
    for _ in range(CASES):
        case = make(name, bits, chance)
        mine, oracle = ours.run(case), theirs.run(case)
        assert mine[0] == oracle[0], f"{case}: ours {'goes on' if mine[0] else 'refuses'}, Unicorn does not"
        if mine[0]:
            for what, one, other in zip(("", "registers", "hi", "lo", "f", "fcsr", "data"), mine, oracle, strict=True):
                assert one == other, f"{case}: {what}"
