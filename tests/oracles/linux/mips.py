"""Linux's o32 for little-endian MIPS32: user mode on a 24Kf, its address space four entries of the TLB.

Calls: v0 is the number, a0 … a3 and the stack's words 4 … the arguments; a3 says whether v0 is a result or an error.
References: MD00565 (Status, TLB); MIPS System V ABI supplement.

RDHWR works, UserLocal is the thread's. Accesses that are not aligned are made for the program, as Linux does. The
handler of a signal finds zeros as its context, and what it changes there is lost. Status.FR is what the program was
compiled for (`-mfp64`), by its ABI flags.
"""

import struct
from collections.abc import Sequence

from emulators.cpus.mips import (
    EXC_ADEL,
    EXC_ADES,
    EXC_BP,
    EXC_CPU,
    EXC_DBE,
    EXC_FPE,
    EXC_IBE,
    EXC_MOD,
    EXC_OV,
    EXC_RI,
    EXC_SYS,
    EXC_TLBL,
    EXC_TLBS,
    EXC_TR,
    Cpu,
)
from emulators.exits import ExceptionTaken, Exit, Mmio
from emulators.loaders.elf import EM_MIPS
from tests.oracles.linux.memory import Refused
from tests.oracles.linux.numbers import numbers
from tests.oracles.linux.process import Abi, Process

FIRST = 4000
NUMBERS = numbers("o32", FIRST)
SIGNALS = {
    **dict.fromkeys((EXC_MOD, EXC_TLBL, EXC_TLBS), 11),
    **dict.fromkeys((EXC_ADEL, EXC_ADES, EXC_IBE, EXC_DBE), 7),
    **dict.fromkeys((EXC_BP, EXC_TR), 5),
    **dict.fromkeys((EXC_RI, EXC_CPU), 4),
    **dict.fromkeys((EXC_OV, EXC_FPE), 8),
}
"""Of an ExcCode: SIGSEGV, SIGBUS, SIGTRAP, SIGILL, SIGFPE, in this order."""
STATUS_CU1, STATUS_FR, STATUS_UM = 1 << 29, 1 << 26, 1 << 4
HWRENA_LINUX = 0x2000_000F
"""UserLocal, CCRes, CC, SYNCI_Step, CPUNum."""
PAIR_OCTETS = 0x2000_0000
PAGEMASK_256M = 0x1FFF_E000
ENTRYLO = 3 << 3 | 4 | 2 | 1
"""Cacheable, dirty, valid, global."""
V0, A0, A3, T9, SP, RA = 2, 4, 7, 25, 29, 31
SI_KERNEL, FPE_INTDIV, FPE_INTOVF, SIGFPE = 0x80, 1, 2, 8
BRK_CODES = {7: FPE_INTDIV, 6: FPE_INTOVF}
UNALIGNED = {
    33: ("lh", 2),
    37: ("lhu", 2),
    35: ("lw", 4),
    41: ("sh", 2),
    43: ("sw", 4),
    53: ("ldc1", 8),
    61: ("sdc1", 8),
}
MOST_SAVED = 64
"""Of handlers in one another, or left by longjmp."""
RESTORER = struct.pack("<II", 0x24020000 | FIRST + 193, 12)
"""li v0, rt_sigreturn; syscall"""
KEPT = (*(f"{kind}{number}" for kind in "rf" for number in range(32)), "hi", "lo", "fcr31", "pc", "in_delay_slot")
PT_MIPS_ABIFLAGS = 0x7000_0003
FP_64, FP_64A = 6, 7
"""MIPS's ABI flags: fp_abi."""
ENOSYS, MAP_ANONYMOUS = 89, 0x800


def float_abi(program: bytes) -> int:
    """`fp_abi` of the ABI flags; 0: there are none."""
    if len(program) < 52:
        return 0
    (start,), (size, count) = struct.unpack_from("<I", program, 28), struct.unpack_from("<HH", program, 42)
    for at in range(start, min(start + size * count, len(program) - 31), max(size, 32)):
        kind, offset = struct.unpack_from("<II", program, at)
        # struct: version (2 octets), isa_level, isa_rev, gpr_size, cpr1_size, cpr2_size, fp_abi
        if kind == PT_MIPS_ABIFLAGS and offset + 8 <= len(program):
            return int(program[offset + 7])
    return 0


class MipsProcess(Process):
    """A program for mipsel-linux-gnu, linked statically."""

    abi = Abi(
        machine=EM_MIPS,
        order="<",
        numbers=NUMBERS,
        stat64=(104, 24),
        stack_top=0x7FFF_0000,
        mappings=0x2AAA_8000,
        end=0x7FFF_0000,
        uname="mips",
        handler=1,
        signal_code=1,
        enosys=ENOSYS,
        map_anonymous=MAP_ANONYMOUS,
    )

    def __init__(self, program: bytes, arguments: Sequence[str] = ("program",)) -> None:
        self._fp64 = float_abi(program) in (FP_64, FP_64A)
        super().__init__(program, arguments)

    def prepare(self) -> None:
        self.saved: list[dict[str, int]] = []
        self.cpu = Cpu(self.vm)
        self.cpu.intercept({EXC_SYS, *SIGNALS})

    def begin(self) -> None:
        state = {
            "status": STATUS_CU1 | STATUS_UM | (STATUS_FR if self._fp64 else 0),
            "cause": 0,
            "hwrena": HWRENA_LINUX,
        }
        for entry in range(4):
            low = entry * PAIR_OCTETS
            state |= {f"tlb{entry}.entryhi": low, f"tlb{entry}.pagemask": PAGEMASK_256M}
            for half in (0, 1):
                state[f"tlb{entry}.entrylo{half}"] = (low + half * PAIR_OCTETS // 2) >> 6 | ENTRYLO
        self.cpu.set_state(state | {f"r{SP}": self.stack, "pc": self.entry})

    @property
    def instructions(self) -> int:
        return self.cpu.icount

    def step(self, budget: int) -> Exit:
        return self.cpu.run(budget - self.cpu.icount)

    def serve(self, end: Exit) -> None:
        state = self.cpu.state()
        match end:
            case Mmio():
                self._die(11, state["pc"], f"no memory at {end.gpa:#x}")
            case ExceptionTaken(vector=vector) if vector == EXC_SYS:
                self._serve(end.next_pc, state)
            case ExceptionTaken():
                self._exception(end, state)
            case _:
                raise RuntimeError(f"{end} at {state['pc']:#x}")

    def _serve(self, next_pc: int, state: dict[str, int]) -> None:
        if self.abi.numbers.get(state[f"r{V0}"]) == "rt_sigreturn" and self.saved:
            self.cpu.set_state(self.saved.pop())
            return
        arguments = [state[f"r{A0 + number}"] for number in range(4)]
        try:
            arguments += self.memory.words(state[f"r{SP}"] + 16, 2)
        except Refused:
            arguments += [0, 0]
        try:
            result, failed = self.call(state[f"r{V0}"], arguments), 0
        except Refused as refused:
            result, failed = refused.errno, 1
        self.cpu.set_state({"pc": next_pc, f"r{V0}": result & 0xFFFF_FFFF, f"r{A3}": failed})

    def own(self, name: str, arguments: Sequence[int]) -> int | None:
        if name == "set_thread_area":
            self.cpu.set_state({"userlocal": arguments[0]})
            return 0
        return None

    def _die(self, signal: int, pc: int, why: str, code: int = SI_KERNEL) -> None:
        handler = self.handler(signal, pc, why)
        state = self.cpu.state()
        info, restorer = self.frame(state[f"r{SP}"], signal, code, pc, RESTORER)
        self.saved = [*self.saved[1 - MOST_SAVED :], {name: state[name] for name in KEPT}]
        registers = {A0: signal, A0 + 1: info, A0 + 2: info, SP: info - 32, T9: handler, RA: restorer}
        self.cpu.set_state({f"r{number}": value for number, value in registers.items()} | {"pc": handler})

    def _exception(self, end: ExceptionTaken, state: dict[str, int]) -> None:
        pc, vector = state["pc"], end.vector
        try:
            word = self.memory.words(pc, 1)[0]
            if vector in (EXC_ADEL, EXC_ADES) and self._unaligned(word, end.next_pc, state):
                return
        except Refused:
            word = 0
        signal, code = SIGNALS[vector], SI_KERNEL
        if vector == EXC_OV:
            code = FPE_INTOVF
        elif vector in (EXC_BP, EXC_TR):
            # the assembler's codes of a division by zero and an overflow: MIPS ABI; `break` has them at bit 16 or 6
            given = word >> 6 & 0x3FF if vector == EXC_TR else word >> 16 & 0x3FF or word >> 6 & 0x3FF
            if given in BRK_CODES:
                signal, code = SIGFPE, BRK_CODES[given]
        self._die(signal, pc, f"exception {vector} by {word:#010x}", code)

    def _unaligned(self, word: int, next_pc: int, state: dict[str, int]) -> bool:
        """LH, LHU, LW, SH, SW and what the coprocessor loads and stores. Raises Refused."""
        operation, base, register = word >> 26, word >> 21 & 31, word >> 16 & 31
        if operation not in UNALIGNED:
            return False
        name, octets = UNALIGNED[operation]
        address = state[f"r{base}"] + (word & 0x7FFF) - (word & 0x8000) & 0xFFFF_FFFF
        changes = {"pc": next_pc}
        if name in ("lh", "lhu", "lw"):
            value = int.from_bytes(self.memory.read(address, octets), "little", signed=name == "lh") & 0xFFFF_FFFF
            changes |= {f"r{register}": value} if register else {}
        elif name in ("sh", "sw"):
            self.memory.write(address, (state[f"r{register}"] & (1 << 8 * octets) - 1).to_bytes(octets, "little"))
        elif name == "ldc1":
            changes[f"f{register}"] = int.from_bytes(self.memory.read(address, 8), "little")
        elif name == "sdc1":
            self.memory.write(address, state[f"f{register}"].to_bytes(8, "little"))
        else:
            return False
        self.cpu.set_state(changes)
        return True
