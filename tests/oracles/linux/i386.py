"""Linux for 32-bit i386: ring 3 in its own segments and pages, entered and left through gates, as by a kernel.

The processor runs a kernel of some lines of machine code in ring 0: each vector's entry saves the segment registers
and writes to a port, which is an exit; behind it IRET goes back to user mode. So interrupt gates, the change of stacks,
paging and IRET are the engine's; what system calls and signals mean is here.

The kernel's pages are at KERNEL. Selectors are those of a 64-bit Linux (user code 0x23, data 0x2B, thread-local
storage from GDT entry 12), which a program may print.

References: Linux's arch/x86/entry/syscalls/syscall_32.tbl, asm/ldt.h, asm/sigcontext.h, asm-generic/siginfo.h.

Limits: a signal's handler has the x87 and SSE registers as they were (Linux resets them and puts them back).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from emulators.cpus.i386 import Cpu
from emulators.exits import Exit, Io
from emulators.loaders.elf import EM_386
from tests.oracles.linux.memory import PAGE, Refused
from tests.oracles.linux.numbers import numbers
from tests.oracles.linux.process import EINVAL, Abi, Ended, Process

KERNEL = 0xC000_0000
KERNEL_OCTETS = 0x40_0000
DIRECTORY, GDT, IDT, TSS, LDT, ENTRIES = (
    KERNEL + offset for offset in (0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x8000)
)
KERNEL_STACK = KERNEL + 0x1_0000
TABLES = KERNEL + 0x1_0000
EXIT_PORT = 0x80
KERNEL_CS, KERNEL_SS, TSS_SELECTOR, LDT_SELECTOR, USER_CS, USER_DS = 0x10, 0x18, 0x40, 0x50, 0x23, 0x2B
TLS_ENTRY, TLS_ENTRIES = 12, 3
LDT_ENTRIES = 16
CODE_RIGHTS, DATA_RIGHTS, USER = 0x00CF_9B00, 0x00CF_9300, 0x6000
WITH_ERROR = {8, 10, 11, 12, 13, 14, 17}
FROM_USER = {3, 4, 0x80}
SYSTEM_CALL, PAGE_FAULT = 0x80, 14
FRAME = ("gs", "fs", "es", "ds", "vector", "error", "eip", "cs", "eflags", "esp", "ss")
GENERAL = ("eax", "ecx", "edx", "ebx", "ebp", "esi", "edi")
SI_KERNEL = 0x80
SIGNALS = {0: 8, 1: 5, 3: 5, 4: 11, 5: 11, 6: 4, 11: 7, 12: 7, 13: 11, 14: 11, 16: 8, 17: 7, 19: 8}
"""Of a vector. SIGFPE SIGTRAP SIGSEGV SIGILL SIGBUS."""
SIGSEGV = 11
CODES = {0: 1, 1: 2, 6: 2, 14: 1, 17: 1}
"""si_code of those that have an address: FPE_INTDIV, TRAP_TRACE, ILL_ILLOPN, SEGV_MAPERR, BUS_ADRALN."""
TF, RF, DF = 0x100, 0x1_0000, 0x400
NUMBERS = numbers("i386")


@dataclass
class Frame:
    """What the kernel's entry left on its stack, and the general registers."""

    values: dict[str, int]
    registers: dict[str, int]


def descriptor(base: int, limit: int, rights: int) -> bytes:
    """`limit` is in the descriptor's own units."""
    high = base & 0xFF00_0000 | rights & 0x00F0_FF00 | limit & 0xF_0000 | base >> 16 & 0xFF
    return struct.pack("<II", base << 16 & 0xFFFF_0000 | limit & 0xFFFF, high)


class I386Process(Process):
    """A program that `gcc -m32` linked statically."""

    abi = Abi(
        machine=EM_386,
        order="<",
        numbers=NUMBERS,
        stat64=(96, 16),
        stack_top=0xBFFF_F000,
        mappings=0x4000_0000,
        end=KERNEL,
        uname="i686",
    )

    def __init__(
        self, program: bytes, arguments: Sequence[str] = ("program",), *, model: str = "pentium3", sse2: bool = False
    ) -> None:
        self.model, self.sse2 = model, sse2
        self._tables: dict[int, int] = {}
        self.ldt_entries = 0
        super().__init__(program, arguments)

    # memory

    def map(self, address: int, octets: int) -> None:
        for page in self.memory.map(address, octets):
            self._entry(page, 7)

    def _entry(self, linear: int, bits: int) -> None:
        if linear >> 22 not in self._tables:
            table = TABLES + PAGE * len(self._tables)
            self._tables[linear >> 22] = table
            self.vm.write(DIRECTORY + (linear >> 22) * 4, struct.pack("<I", table | 7))
        self.vm.write(self._tables[linear >> 22] + (linear >> 12 & 0x3FF) * 4, struct.pack("<I", linear & -PAGE | bits))

    def prepare(self) -> None:
        self.cpu = Cpu(self.vm, model=self.model, sse2=self.sse2)
        self.vm.add_memory(KERNEL, KERNEL_OCTETS)
        for page in range(KERNEL, KERNEL + 0x1_0000, PAGE):
            self._entry(page, 3)
        write = self.vm.write
        for selector, base, limit, rights in (
            (KERNEL_CS, 0, 0xFFFFF, CODE_RIGHTS),
            (KERNEL_SS, 0, 0xFFFFF, DATA_RIGHTS),
            (USER_CS, 0, 0xFFFFF, CODE_RIGHTS | USER),
            (USER_DS, 0, 0xFFFFF, DATA_RIGHTS | USER),
            (TSS_SELECTOR, TSS, 0x67, 0x8B00),
            (LDT_SELECTOR, LDT, LDT_ENTRIES * 8 - 1, 0x8200),
        ):
            write(GDT + (selector & ~7), descriptor(base, limit, rights))
        write(TSS + 4, struct.pack("<II", KERNEL_STACK, KERNEL_SS))
        write(TSS + 0x66, struct.pack("<H", 0x68))
        # push ds, es, fs, gs; out EXIT_PORT, al; pop gs, fs, es, ds; add esp, 8; iret
        shared = ENTRIES
        write(shared, bytes.fromhex(f"1e060fa00fa8 e6{EXIT_PORT:02x} 0fa90fa1071f 83c408 cf"))
        self._resume = shared + 8
        for vector in range(256):
            at = ENTRIES + 0x100 + 16 * vector
            code = b"" if vector in WITH_ERROR else b"\x6a\x00"
            code += b"\x68" + struct.pack("<I", vector)
            code += b"\xe9" + struct.pack("<i", shared - (at + len(code) + 5))
            write(at, code)
            rights = 0xEE00 if vector in FROM_USER else 0x8E00
            write(IDT + 8 * vector, struct.pack("<HHHH", at & 0xFFFF, KERNEL_CS, rights, at >> 16))

    def begin(self) -> None:
        frame = Frame(dict.fromkeys(FRAME, 0), dict.fromkeys(GENERAL, 0))
        frame.values |= {"ds": USER_DS, "es": USER_DS, "eip": self.entry, "cs": USER_CS, "eflags": 0x202}
        frame.values |= {"esp": self.stack, "ss": USER_DS}
        state = {"cr0": 0x8001_0031, "cr3": DIRECTORY, "cr4": 0x600 if self.model == "pentium3" else 0}
        state |= {"gdtr.base": GDT, "gdtr.limit": 0xFF, "idtr.base": IDT, "idtr.limit": 0x7FF}
        for name, selector, rights in (("cs", KERNEL_CS, CODE_RIGHTS), ("ss", KERNEL_SS, DATA_RIGHTS)):
            state |= {name: selector, f"{name}.rights": rights, f"{name}.base": 0, f"{name}.limit": 0xFFFF_FFFF}
        state |= {"tr": TSS_SELECTOR, "tr.base": TSS, "tr.limit": 0x67, "tr.rights": 0x8B00}
        state |= {"ldtr": LDT_SELECTOR, "ldtr.base": LDT, "ldtr.limit": LDT_ENTRIES * 8 - 1, "ldtr.rights": 0x8200}
        state |= {"eip": self._resume, "eflags": 2, "esp": KERNEL_STACK - 4 * len(FRAME), "fcw": 0x37F, "ftw": 0xFFFF}
        self.cpu.set_state(state)
        self._put(frame)

    # entries and returns

    @property
    def instructions(self) -> int:
        return self.cpu.icount

    def step(self, budget: int) -> Exit:
        return self.cpu.run(budget - self.cpu.icount)

    def _take(self) -> Frame:
        state = self.cpu.state()
        words = struct.unpack(f"<{len(FRAME)}I", self.vm.read(state["esp"], 4 * len(FRAME)))
        return Frame(dict(zip(FRAME, words, strict=True)), {name: state[name] for name in GENERAL})

    def _put(self, frame: Frame) -> None:
        words = [frame.values[name] for name in FRAME]
        self.vm.write(KERNEL_STACK - 4 * len(FRAME), struct.pack(f"<{len(FRAME)}I", *words))
        self.cpu.set_state({name: value & 0xFFFF_FFFF for name, value in frame.registers.items()})

    def serve(self, end: Exit) -> None:
        if not (isinstance(end, Io) and end.direction == "write" and end.port == EXIT_PORT):
            raise RuntimeError(f"{end} at {self.cpu.state()['eip']:#x}")
        frame = self._take()
        if frame.values["vector"] == SYSTEM_CALL:
            self._serve(frame)
        else:
            self._signal(frame)
        self._put(frame)

    def _serve(self, frame: Frame) -> None:
        registers = frame.registers
        try:
            if NUMBERS.get(registers["eax"]) in ("sigreturn", "rt_sigreturn"):
                self._return(frame)
                return
            arguments = [registers[name] for name in ("ebx", "ecx", "edx", "esi", "edi", "ebp")]
            result = self.call(registers["eax"], arguments)
        except Refused as refused:
            result = -refused.errno
        registers["eax"] = result & 0xFFFF_FFFF

    # signals

    def _signal(self, frame: Frame) -> None:
        values, vector = frame.values, frame.values["vector"]
        if values["cs"] & 3 != 3:
            raise RuntimeError(f"exception {vector} in the kernel: {values}")
        number = SIGNALS.get(vector, SIGSEGV)
        handler = self.handler(number, values["eip"], f"exception {vector}")
        restorer = self.actions[number][2]
        cr2 = self.cpu.state()["cr2"]
        code = CODES.get(vector, SI_KERNEL)
        address = 0 if code == SI_KERNEL else cr2 if vector == PAGE_FAULT else values["eip"]
        info = struct.pack("<iiiI", number, 0, code, address).ljust(128, b"\0")
        registers = frame.registers
        context = struct.pack(
            "<5I 19I 3I",
            *(0, 0, 0, 0, 0),
            *(values[name] for name in ("gs", "fs", "es", "ds")),
            *(registers["edi"], registers["esi"], registers["ebp"], values["esp"]),
            *(registers[name] for name in ("ebx", "edx", "ecx", "eax")),
            *(vector, values["error"], values["eip"], values["cs"], values["eflags"], values["esp"], values["ss"]),
            *(0, 0, cr2),
        ) + bytes(8)
        esp = (values["esp"] - 16 - len(info) - len(context) & -16) - 4
        at_info = esp + 16
        at_context = at_info + len(info)
        try:
            self.memory.write(esp, struct.pack("<4I", restorer, number, at_info, at_context) + info + context)
        except Refused:
            self.end = f"no stack for signal {number} at {values['eip']:#x}"
            raise Ended(128 + SIGSEGV) from None
        registers |= {"eax": number, "edx": at_info, "ecx": at_context}
        values |= {"eip": handler, "esp": esp, "cs": USER_CS, "ss": USER_DS, "ds": USER_DS, "es": USER_DS}
        values["eflags"] &= ~(TF | RF | DF)

    def _return(self, frame: Frame) -> None:
        # behind the restorer's return address and the handler's number is the pointer
        at_context = self.memory.words(frame.values["esp"] + 8, 1)[0]
        words = self.memory.words(at_context, 24)[5:]
        gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, _, _, eip, cs, eflags, _, ss = words
        frame.registers |= {"edi": edi, "esi": esi, "ebp": ebp, "ebx": ebx, "edx": edx, "ecx": ecx, "eax": eax}
        frame.values |= {"gs": gs & 0xFFFF, "fs": fs & 0xFFFF, "es": es & 0xFFFF, "ds": ds & 0xFFFF, "eip": eip}
        frame.values |= {"cs": cs & 0xFFFF | 3, "eflags": eflags & 0x40DD5 | 0x202, "esp": esp, "ss": ss & 0xFFFF | 3}

    # calls of its own

    def own(self, name: str, arguments: Sequence[int]) -> int | None:
        a, b, c, *_ = arguments
        match name:
            case "old_mmap":
                address, octets, _, flags, descriptor_number, _ = self.memory.words(a, 6)
                return self._mmap(address, octets, flags, descriptor_number)
            case "modify_ldt":
                return self._modify_ldt(a, b, c)
            case "set_thread_area":
                return self._thread_area(a)
            case _:
                return None

    def _modify_ldt(self, function: int, at: int, octets: int) -> int:
        if function == 0:
            octets = min(octets, self.ldt_entries * 8)
            self.memory.write(at, self.vm.read(LDT, octets) if octets else b"")
            return octets
        entry, base, limit, bits = self.memory.words(at, 4)
        if entry >= LDT_ENTRIES:
            raise Refused(EINVAL)
        self.vm.write(LDT + 8 * entry, self._of_user(base, limit, bits & ~0x40 if function == 1 else bits))
        self.ldt_entries = max(self.ldt_entries, entry + 1)
        return 0

    def _thread_area(self, at: int) -> int:
        entry, base, limit, bits = self.memory.words(at, 4)
        if entry == 0xFFFF_FFFF:
            entry = TLS_ENTRY
            self.memory.put_words(at, entry)
        if not TLS_ENTRY <= entry < TLS_ENTRY + TLS_ENTRIES:
            raise Refused(EINVAL)
        self.vm.write(GDT + 8 * entry, self._of_user(base, limit, bits))
        return 0

    @staticmethod
    def _of_user(base: int, limit: int, bits: int) -> bytes:
        """A `struct user_desc`: seg_32bit, contents (2 bits), read_exec_only, limit_in_pages, not_present, useable."""
        kind = 0x11 | (bits >> 1 & 3) << 2 | (~bits >> 3 & 1) << 1
        rights = kind << 8 | USER | (~bits >> 5 & 1) << 15
        rights |= (bits >> 6 & 1) << 20 | (bits & 1) << 22 | (bits >> 4 & 1) << 23
        return descriptor(base, limit, rights)
