"""The state of a user-mode program on the engine without a kernel: flat segments, CPL 3, every exception an exit.

Selectors are those of 32-bit programs under a 64-bit Linux, so that a program that stores them stores the same as on
the host. Paging is off: an address outside memory is a device's (`Mmio`), which stands for a page fault here.
"""

import struct
from dataclasses import dataclass, field

from emulators.cpus.i386 import Cpu, Vm
from emulators.exits import ExceptionTaken, Exit, Mmio

CS, DS = 0x23, 0x2B
GDT, GDT_OCTETS = 0x1000, 0x100
CODE, DATA = 0x00CF_FB00, 0x00CF_F300
CR0 = 0x31
"""PE, ET, NE."""
CR4 = 0x600
"""OSFXSR, OSXMMEXCPT."""
PAGE_FAULT = 14
GENERAL = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")


@dataclass
class Flat:
    """One processor with `octets` of memory at 0."""

    octets: int = 2 << 20
    vm: Vm = field(default_factory=Vm)

    def __post_init__(self) -> None:
        self.vm.add_memory(0, self.octets)
        self.cpu = Cpu(self.vm, "pentium3", sse2=True)
        self.cpu.intercept(range(256))

    def start(self, eip: int, *, esp: int = 0) -> None:
        """As Linux starts a program, but that the FPU's registers are those of FNINIT."""
        for selector, rights in ((CS, CODE), (DS, DATA)):
            descriptor = struct.pack("<II", 0xFFFF, rights | 0xF0000)
            self.vm.write(GDT + (selector & ~7), descriptor)
        state = {"cr0": CR0, "cr4": CR4, "gdtr.base": GDT, "gdtr.limit": GDT_OCTETS - 1, "eip": eip, "eflags": 0x202}
        state |= dict.fromkeys(GENERAL, 0) | {"esp": esp, "halted": 0}
        for name in ("cs", "ss", "ds", "es", "fs", "gs"):
            there = name not in ("fs", "gs")
            state[name] = CS if name == "cs" else DS if there else 0
            state |= {f"{name}.base": 0, f"{name}.limit": 0xFFFF_FFFF if there else 0}
            state[f"{name}.rights"] = CODE if name == "cs" else DATA if there else 0
        state |= {"cpl": 3, "fcw": 0x37F, "fsw": 0, "ftw": 0xFFFF, "mxcsr": 0x1F80}
        state |= dict.fromkeys(("fip", "fcs", "fdp", "fds", "fop"), 0)
        state |= {f"st{n}": 0 for n in range(8)} | {f"xmm{n}": 0 for n in range(8)}
        self.cpu.set_state(state)

    def run(self, budget: int) -> int | Exit:
        """The vector that ended it, or an exit that no exception explains."""
        end = self.cpu.run(budget)
        match end:
            case ExceptionTaken():
                return end.vector
            case Mmio():
                return PAGE_FAULT
            case _:
                return end
