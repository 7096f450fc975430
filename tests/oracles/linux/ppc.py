"""Linux for 32-bit PowerPC: problem state on a 750 or 7400, its address space three BAT pairs.

MFSPR of the PVR is privileged, and made for the program, as Linux does. A signal's handler finds zeros as its context,
and what it changes there is lost.

Calls: r0 is the number, r3 … r8 the arguments; CR0[SO] says whether r3 is a result or an error.
References: Power Architecture 32-bit ABI supplement; MPC750UM 5.3 (BATs).
"""

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from emulators.cpus.ppc import ALIGNMENT, DSI, ISI, PROGRAM, SYSTEM_CALL, Cpu
from emulators.exits import ExceptionTaken, Exit, Mmio
from emulators.loaders.elf import EM_PPC
from tests.oracles.linux.memory import Refused
from tests.oracles.linux.numbers import numbers
from tests.oracles.linux.process import AT_HWCAP, Abi, Process

NUMBERS = numbers("ppc")
SIGILL, SIGTRAP, SIGBUS, SIGSEGV = 4, 5, 7, 11
SIGNALS = {DSI: SIGSEGV, ISI: SIGSEGV, ALIGNMENT: SIGBUS, PROGRAM: SIGILL}
SI_KERNEL = 0x80
MOST_SAVED = 64
"""Of handlers in one another, or left by longjmp."""
RESTORER = struct.pack(">II", 0x38000000 | 172, 0x44000002)
"""li r0, rt_sigreturn; sc"""
KEPT = (*(f"{kind}{number}" for kind in "rf" for number in range(32)), "pc", "lr", "ctr", "cr", "xer", "fpscr")
UP_TICKS = 1 << 33
"""Chosen: the time base of a machine that has been on for a while."""
MFPVR, TW, TWI = 31 << 26 | 287 >> 5 << 11 | (287 & 31) << 16 | 339 << 1, 31 << 26 | 4 << 1, 3 << 26
PRIMARY, EXTENDED, ALL_BUT_RT = 0x3F << 26, 0x3FF << 1, 0xFC1F_FFFF
MSR_VEC = 0x0200_0000
VSCR_NJ = 0x0001_0000
"""Linux begins with it."""
MSR_PR, MSR_FP, MSR_ME, MSR_IR, MSR_DR = 0x4000, 0x2000, 0x1000, 0x20, 0x10
MSR = MSR_PR | MSR_FP | MSR_ME | MSR_IR | MSR_DR
BLOCKS = (0x1000_0000, 0x4000_0000, 0xB000_0000)
"""The program and its brk; mappings; the stack."""
BATU_256M_USER, BATL_WRITABLE = 0x7FF << 2 | 1, 2
CR0_SO = 1 << 28
PPC_FEATURE_HAS_ALTIVEC = 0x1000_0000
PPC_FEATURE_32, PPC_FEATURE_HAS_FPU, PPC_FEATURE_HAS_MMU = 0x8000_0000, 0x0800_0000, 0x0400_0000
AT_DCACHEBSIZE, AT_ICACHEBSIZE, AT_UCACHEBSIZE = 19, 20, 21


class PpcProcess(Process):
    """A program for powerpc-linux-gnu, linked statically."""

    abi = Abi(
        machine=EM_PPC,
        order=">",
        numbers=NUMBERS,
        stat64=(104, 16),
        stack_top=0xBFFF_0000,
        mappings=0x4000_0000,
        end=0xBFFF_0000,
        uname="ppc",
        auxiliary=(
            (AT_HWCAP, PPC_FEATURE_32 | PPC_FEATURE_HAS_FPU | PPC_FEATURE_HAS_MMU),
            *((AT_DCACHEBSIZE, 32), (AT_ICACHEBSIZE, 32), (AT_UCACHEBSIZE, 0)),
        ),
    )

    model = "750"
    beside: ClassVar[Mapping[str, int]] = {}
    """State that it begins with, beside what all have."""
    kept = KEPT

    def prepare(self) -> None:
        self.saved: list[dict[str, int]] = []
        self.cpu = Cpu(self.vm, self.model)
        self.cpu.intercept({SYSTEM_CALL, *SIGNALS})

    def begin(self) -> None:
        state = {"tb": UP_TICKS, "msr": MSR, "pc": self.entry, "r1": self.stack}
        for number, block in enumerate(BLOCKS):
            for kind in "id":
                state |= {f"{kind}bat{number}u": block | BATU_256M_USER, f"{kind}bat{number}l": block | BATL_WRITABLE}
        self.cpu.set_state({**state, **self.beside})

    @property
    def instructions(self) -> int:
        return self.cpu.icount

    def step(self, budget: int) -> Exit:
        return self.cpu.run(budget - self.cpu.icount)

    def serve(self, end: Exit) -> None:
        state = self.cpu.state()
        match end:
            case Mmio():
                self._die(SIGSEGV, state["pc"], f"no memory at {end.gpa:#x}")
            case ExceptionTaken(vector=vector) if vector == SYSTEM_CALL:
                self._serve(end.next_pc, state)
            case ExceptionTaken(vector=vector) if vector == PROGRAM:
                self._program(state)
            case ExceptionTaken():
                self._die(SIGNALS[end.vector], state["pc"], f"exception {end.vector:#x}")
            case _:
                raise RuntimeError(f"{end} at {state['pc']:#x}")

    def _serve(self, next_pc: int, state: dict[str, int]) -> None:
        if self.abi.numbers.get(state["r0"]) == "rt_sigreturn" and self.saved:
            self.cpu.set_state(self.saved.pop())
            return
        try:
            result, failed = self.call(state["r0"], [state[f"r{number}"] for number in range(3, 9)]), 0
        except Refused as refused:
            result, failed = refused.errno, CR0_SO
        self.cpu.set_state({"pc": next_pc, "r3": result & 0xFFFF_FFFF, "cr": state["cr"] & ~CR0_SO | failed})

    def _program(self, state: dict[str, int]) -> None:
        pc = state["pc"]
        try:
            word = self.memory.words(pc, 1)[0]
        except Refused:
            word = 0
        if word & ALL_BUT_RT == MFPVR:
            self.cpu.set_state({f"r{word >> 21 & 31}": state["pvr"], "pc": pc + 4})
        elif word & PRIMARY == TWI or word & (PRIMARY | EXTENDED) == TW:
            self._die(SIGTRAP, pc, f"trap {word:#010x}")
        elif self.undefined is not None:
            self.undefined.append(word)
            self.cpu.set_state({"pc": pc + 4})
        else:
            self._die(SIGILL, pc, f"instruction {word:#010x}")

    def _die(self, signal: int, pc: int, why: str, code: int = SI_KERNEL) -> None:
        handler = self.handler(signal, pc, why)
        state = self.cpu.state()
        info, restorer = self.frame(state["r1"], signal, code, pc, RESTORER)
        stack = info - 64
        self.memory.put_words(stack, state["r1"], 0)
        self.saved = [*self.saved[1 - MOST_SAVED :], {name: state[name] for name in self.kept}]
        self.cpu.set_state({"r1": stack, "r3": signal, "r4": info, "r5": info, "lr": restorer, "pc": handler})


class AltivecProcess(PpcProcess):
    """The same on a 7400, with its vectors."""

    abi = replace(
        PpcProcess.abi,
        auxiliary=tuple(
            (kind, value | PPC_FEATURE_HAS_ALTIVEC if kind == AT_HWCAP else value)
            for kind, value in PpcProcess.abi.auxiliary
        ),
    )
    model = "7400"
    beside: ClassVar[Mapping[str, int]] = {"msr": MSR | MSR_VEC, "vscr": VSCR_NJ}
    kept = (*KEPT, *(f"v{number}" for number in range(32)), "vscr")
