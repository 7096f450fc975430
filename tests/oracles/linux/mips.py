"""Linux's o32 for little-endian MIPS32: user mode on a 24Kf, its address space four entries of the TLB.

Calls: v0 is the number, a0 … a3 and the stack's words 4 … the arguments; a3 says whether v0 is a result or an error.
References: MD00565 (Status, TLB); MIPS System V ABI supplement.

RDHWR works, UserLocal is the thread's. Not supported: accesses that are not aligned, which Linux makes for a program.
"""

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
from tests.oracles.linux.process import Abi, Ended, Process

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
STATUS_CU1, STATUS_UM = 1 << 29, 1 << 4
HWRENA_LINUX = 0x2000_000F
"""UserLocal, CCRes, CC, SYNCI_Step, CPUNum."""
PAIR_OCTETS = 0x2000_0000
PAGEMASK_256M = 0x1FFF_E000
ENTRYLO = 3 << 3 | 4 | 2 | 1
"""Cacheable, dirty, valid, global."""
V0, A0, A3, SP = 2, 4, 7, 29
ENOSYS, MAP_ANONYMOUS = 89, 0x800


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
        enosys=ENOSYS,
        map_anonymous=MAP_ANONYMOUS,
    )

    def prepare(self) -> None:
        self.cpu = Cpu(self.vm)
        self.cpu.intercept({EXC_SYS, *SIGNALS})

    def begin(self) -> None:
        state = {"status": STATUS_CU1 | STATUS_UM, "cause": 0, "hwrena": HWRENA_LINUX}
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
                self._die(SIGNALS[end.vector], state["pc"], f"exception {end.vector}")
            case _:
                raise RuntimeError(f"{end} at {state['pc']:#x}")

    def _serve(self, next_pc: int, state: dict[str, int]) -> None:
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

    def _die(self, signal: int, pc: int, why: str) -> None:
        self.end = f"signal {signal} at {pc:#x}: {why}"
        raise Ended(128 + signal)
