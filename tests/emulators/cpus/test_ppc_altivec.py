"""The 7400's AltiVec beside Unicorn's, instruction by instruction, from random states.

Unicorn is QEMU's processor as a library. Vector registers are not in its interface: instructions before and behind the
one under test load and store them.

Left out, with the reason: what of the estimates is not exact (their accuracy is tested by the manual's bounds in
`test_ppc_altivec_rows.py`); elements that lvebx, lvehx and lvewx do not load, which are undefined (ALTIVECPEM §6.2;
QEMU keeps them, and so do we); vsl and vsr by octets that are not all the same, which is undefined, too. Unicorn's QEMU
looks at VSCR[NJ] for results only (later ones for operands, too, as ALTIVECPEM §3.2.2 says): it is given zeros.
"""

import random
import struct

import pytest
from unicorn import ppc_const as uc
from unicorn import unicorn_const
from unicorn.unicorn_py3.unicorn import Uc

from emulators.cpus.ppc import Cpu, Vm
from emulators.cpus.ppc.disassembler import Row, instructions

CODE, LOADS, STORES, STATUS, VECTORS, DATA, RAM_OCTETS = 0x4000, 0x100, 0x200, 0x300, 0x1000, 0x8000, 0x10000
DATA_OCTETS = 256
MSR = 0x0200_2000
"""VEC, FP."""
CASES = 20
"""Of an instruction. Chosen: all take some 10 s."""
NJ = 0x10000
STATUSES = 0, 1, NJ, NJ | 1
ESTIMATES = {"vrefp", "vrsqrtefp", "vexptefp", "vlogefp"}
STREAMS = {"dss", "dssall", "dst", "dstt", "dstst", "dststt"}
FLOATS = (
    *(0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x80800000, 0x3F800000, 0xBFC00000),
    *(0x7F800000, 0xFF800000, 0x7FC00001, 0x7F800001, 0xFFC12345, 0x7F7FFFFF, 0xFF7FFFFF, 0x4F000000, 0xCF000000),
    *(0x4EFFFFFF, 0x4F800000, 0x3F7FFFFF, 0x3EFFFFFF, 0x3F000000, 0xBF000000, 0x4B000001, 0x00FFFFFF, 0x20000000),
)
OCTETS = (0x00, 0x01, 0x7F, 0x80, 0xFF)
OLDER = {row.name for row in instructions("750")}
VECTOR_ROWS = {row.name: row for row in instructions("7400") if row.name not in OLDER}
NAMES = sorted(VECTOR_ROWS.keys() - ESTIMATES - STREAMS - {"dcba"})


def vx_form(xo: int, d: int = 0, b: int = 0) -> int:
    return 4 << 26 | d << 21 | b << 11 | xo


def accesses(xo: int) -> bytes:
    """lvx or stvx of all: vector N at register N."""
    return struct.pack(">32I", *(31 << 26 | n << 21 | n << 11 | xo << 1 for n in range(32)))


def a_float(value: float) -> int:
    return int.from_bytes(struct.pack(">f", value), "big")


def a_vector(chance: random.Random, name: str) -> bytes:
    if "fp" in name or name.startswith(("vrfi", "vct", "vcf")):
        some = (lambda: chance.choice(FLOATS), lambda: chance.getrandbits(32), lambda: a_float(chance.uniform(-9, 9)))
        return struct.pack(">4I", *(chance.choice(some)() for _ in range(4)))
    return bytes(chance.choice((chance.choice(OCTETS), chance.randrange(256))) for _ in range(16))


class Theirs:
    """Unicorn's 7400, for several instructions, each at an address of its own."""

    def __init__(self) -> None:
        self.uc = Uc(unicorn_const.UC_ARCH_PPC, unicorn_const.UC_MODE_PPC32 | unicorn_const.UC_MODE_BIG_ENDIAN)
        self.uc.ctl_set_cpu_model(uc.UC_CPU_PPC32_7400_V2_9)
        self.uc.mem_map(0, RAM_OCTETS)
        self.uc.mem_write(LOADS, accesses(103))
        self.uc.mem_write(STORES, accesses(231))
        self.uc.mem_write(STATUS, struct.pack(">2I", vx_form(1604, b=0), vx_form(1540, d=0)))
        self.uc.reg_write(uc.UC_PPC_REG_MSR, MSR)
        self.code = CODE

    def _point(self) -> None:
        for n in range(32):
            self.uc.reg_write(uc.UC_PPC_REG_0 + n, VECTORS + 16 * n)

    def _execute(self, begin: int, count: int) -> None:
        self.uc.emu_start(begin, begin + 4 * count, count=count)

    def run(self, word: int, state: dict[str, int], data: bytes) -> tuple[dict[str, int], bytes]:
        self._point()
        self.uc.mem_write(VECTORS, bytes(12) + struct.pack(">I", state["vscr"]))
        self._execute(LOADS, 1)
        self._execute(STATUS, 1)
        self.uc.mem_write(VECTORS, b"".join(state[f"v{n}"].to_bytes(16, "big") for n in range(32)))
        self._execute(LOADS, 32)
        for n in range(32):
            self.uc.reg_write(uc.UC_PPC_REG_0 + n, state[f"r{n}"])
        self.uc.reg_write(uc.UC_PPC_REG_CR, state["cr"])
        self.uc.mem_write(DATA, data)
        self.uc.mem_write(self.code, struct.pack(">I", word))
        self._execute(self.code, 1)
        self.code += 4
        stored, cr = bytes(self.uc.mem_read(DATA, DATA_OCTETS)), self.uc.reg_read(uc.UC_PPC_REG_CR)
        self._point()
        self._execute(STORES, 32)
        vectors = bytes(self.uc.mem_read(VECTORS, 512))
        self._execute(STATUS + 4, 1)
        self._execute(STORES, 1)
        status = int.from_bytes(self.uc.mem_read(VECTORS, 16), "big")
        after = {f"v{n}": int.from_bytes(vectors[16 * n : 16 * n + 16], "big") for n in range(32)}
        return {**after, "cr": cr, "vscr": status}, stored


class Ours:
    """Our 7400."""

    def __init__(self) -> None:
        self.vm = Vm()
        self.vm.add_memory(0, RAM_OCTETS)
        self.cpu = Cpu(self.vm, "7400")

    def run(self, word: int, state: dict[str, int], data: bytes) -> tuple[dict[str, int], bytes]:
        self.vm.write(CODE, struct.pack(">I", word))
        self.vm.write(DATA, data)
        self.cpu.set_state({**state, "msr": MSR, "pc": CODE})
        self.cpu.run(1)
        after = self.cpu.state()
        assert after["pc"] == CODE + 4
        names = (*(f"v{n}" for n in range(32)), "cr", "vscr")
        return {name: after[name] for name in names}, self.vm.read(DATA, DATA_OCTETS)


def a_word(row: Row, chance: random.Random) -> int:
    """An encoding with random fields; r4 and r5 are the base and the index of accesses."""
    word = row.value | chance.getrandbits(32) & row.operands
    if word >> 26 == 31:
        word = word & ~(0x3FF << 11) | 4 << 16 | 5 << 11
    return word


def flushed(vector: int) -> int:
    """With zeros for denormalised elements."""
    words = struct.unpack(">4I", vector.to_bytes(16, "big"))
    return int.from_bytes(struct.pack(">4I", *(word & (~0 if word & 0x7F800000 else 1 << 31) for word in words)), "big")


def with_one_shift(vector: int) -> int:
    """All octets with the three low bits of the last."""
    octets = vector.to_bytes(16, "big")
    return int.from_bytes(bytes(octet & 0xF8 | octets[-1] & 7 for octet in octets), "big")


def is_float(name: str) -> bool:
    return "fp" in name or name.startswith("vrfi")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_instruction_is_unicorns(name: str) -> None:
    chance = random.Random(name)
    theirs, ours = Theirs(), Ours()
    vectors = [int.from_bytes(a_vector(chance, name), "big") for _ in range(64)]
    for _ in range(CASES):
        word = a_word(VECTOR_ROWS[name], chance)
        d, a, b, c = (f"v{word >> shift & 31}" for shift in (21, 16, 11, 6))
        state = {f"v{n}": vector for n, vector in enumerate(chance.choices(vectors, k=32))}
        state |= {f"r{n}": chance.getrandbits(32) for n in range(32)}
        state |= {"r4": DATA, "r5": chance.randrange(DATA_OCTETS - 16)}
        state |= {"cr": chance.getrandbits(32), "vscr": chance.choice(STATUSES)}
        if name in ("vsl", "vsr"):
            state[b] = with_one_shift(state[b])
        elif name == "mtvscr":
            state[b] &= ~0xFFFFFFFF | STATUSES[-1]
        data = chance.randbytes(DATA_OCTETS)
        asked = dict(state)
        if state["vscr"] & NJ and is_float(name):
            asked |= {operand: flushed(state[operand]) for operand in (a, b, c)}
        expected, stored = theirs.run(word, asked, data)
        expected |= {operand: state[operand] for operand in (a, b, c) if operand != d}
        found, written = ours.run(word, state, data)
        different = {key: (hex(expected[key]), hex(found[key])) for key in found if expected[key] != found[key]}
        said = f"{name} {word:#010x} of {[hex(state[operand]) for operand in (a, b, c)]}, VSCR {state['vscr']:#x}"
        assert not different, f"{said}: Unicorn's and ours"
        assert written == stored, said
