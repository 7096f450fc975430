"""One static program's life: loaded, started, its system calls served, until it ends. The same for every processor.

What a processor's own file adds (`i386.py`, `mips.py`, `ppc.py`): how user mode is entered and left, registers of a
call, numbers of calls, where thread-local storage is. Nothing of the host is reached: no file, no clock, no randomness.

References: man pages, section 2; System V ABI, chapter 3 (the initial stack); getauxval(3).

Limits: one thread; standard output and error up to `MOST_OUTPUT`, standard input is empty; time goes with instructions.
Signals are those of the program's own faults. Not supported: whatever test programs do not call; it is ENOSYS, and
listed in `unknown`.

Threats: see `memory.py`; vectors of buffers (`MOST_VECTORS`); output without end.
"""

import contextlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from emulators.cpus.vm import Vm
from emulators.exits import Budget, Exit
from emulators.loaders.elf import MAGIC, read_elf
from tests.oracles.linux.memory import MOST_OCTETS, PAGE, Memory, Refused

MOST_OUTPUT = 64 << 20
MOST_VECTORS = 1024
STACK_OCTETS = 0x80_0000
NS_AN_INSTRUCTION = 10
"""Chosen: the clock that a program sees."""
ENOENT, EBADF, EINVAL, ENOTTY, ESPIPE = 2, 9, 22, 25, 29
S_IFCHR = 0o20666
AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_ENTRY, AT_CLKTCK, AT_RANDOM = 3, 4, 5, 6, 9, 17, 25
AT_BASE, AT_FLAGS, AT_UID, AT_EUID, AT_GID, AT_EGID, AT_HWCAP, AT_SECURE = 7, 8, 11, 12, 13, 14, 16, 23
MAP_FIXED = 0x10
SIGABRT = 6
ONE_PROCESS = 1000
NOTHING_TO_DO = {"munmap", "mprotect", "madvise", "rt_sigprocmask", "sigaltstack", "set_robust_list", "close", "prctl"}
NOTHING_TO_DO |= {"sched_yield", "futex"}
IDENTITY = frozenset(("getpid", "gettid", "set_tid_address", "getppid"))
USERS = frozenset(("getuid", "geteuid", "getgid", "getegid", "getuid32", "geteuid32", "getgid32", "getegid32"))
NO_SUCH_FILE = frozenset(("open", "openat", "readlink", "readlinkat", "faccessat", "stat64", "fstatat64"))


NO_ACTION = (0, 0, 0)
SIG_IGN = 1
SIGINFO_OCTETS = 128


class Ended(Exception):
    """The program called exit (its status), or a signal ended it (128 and its number)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class Abi:
    """What differs in what calls mean.

    Attributes:
        machine: ELF's `e_machine`.
        order: `<` or `>`.
        numbers: of the calls, by name.
        enosys: its number.
        map_anonymous: mmap's flag.
        stat64: octets of `struct stat64`, and where st_mode is in it.
        stack_top, mappings, end: of the address space.
        uname: what `uname -m` says.
        handler: where it is in `struct sigaction`, in words.
        signal_code: where si_code is in `siginfo_t`, in words; si_signo is the first.
        auxiliary: more of the vector behind the environment.
    """

    machine: int
    order: str
    numbers: Mapping[int, str]
    stat64: tuple[int, int]
    stack_top: int
    mappings: int
    end: int
    uname: str
    handler: int = 0
    signal_code: int = 2
    enosys: int = 38
    map_anonymous: int = 0x20
    auxiliary: tuple[tuple[int, int], ...] = ()


class Process:
    """A program, from its first instruction to its end.

    Attributes:
        output, errors: what it wrote.
        unknown: numbers of calls that are not served.
        end: in words, when a signal ended it.
        undefined: None: an undefined instruction is a signal. A list (PowerPC): it does nothing, its word goes here.
    """

    abi: ClassVar[Abi]

    def __init__(self, program: bytes, arguments: Sequence[str] = ("program",)) -> None:
        """Load it.

        Raises:
            ConfigError: it is no static program for this processor.
        """
        self.vm = Vm()
        self.memory = Memory(self.vm, self.abi.order, self.abi.end)
        self.output, self.errors = bytearray(), bytearray()
        self.unknown: list[int] = []
        self.undefined: list[int] | None = None
        self.end = ""
        self.actions: dict[int, tuple[int, ...]] = {}
        self.next_mapping = self.abi.mappings
        self.prepare()
        elf = read_elf(program, arguments[0], machine=self.abi.machine, big_endian=self.abi.order == ">")
        self.brk = self.first_brk = 0
        headers = 0
        for segment in elf.segments:
            self.map(segment.address, segment.memory_octets)
            self.vm.write(segment.address, segment.data)
            if segment.data[:4] == MAGIC:
                headers = segment.address + struct.unpack_from(self.abi.order + "I", segment.data, 28)[0]
            self.brk = self.first_brk = max(self.brk, segment.address + segment.memory_octets + PAGE - 1 & -PAGE)
        size, count = struct.unpack_from(self.abi.order + "HH", program, 42)
        self.entry = elf.entry
        self.stack = self._stack(arguments, {AT_PHDR: headers, AT_PHENT: size, AT_PHNUM: count})
        self.begin()

    def map(self, address: int, octets: int) -> None:
        """Memory for the program. Raises Refused."""
        self.memory.map(address, octets)

    def _stack(self, arguments: Sequence[str], headers: Mapping[int, int]) -> int:
        top = self.abi.stack_top
        self.map(top - STACK_OCTETS, STACK_OCTETS)
        self.vm.write(top - 16, bytes(range(16)))
        names = [argument.encode() + b"\0" for argument in arguments]
        at = top - 0x100 - sum(map(len, names)) & -16
        self.vm.write(at, b"".join(names))
        pointers = [at + sum(map(len, names[:index])) for index in range(len(names))]
        auxiliary = {**headers, AT_PAGESZ: PAGE, AT_BASE: 0, AT_FLAGS: 0, AT_ENTRY: self.entry, AT_CLKTCK: 100}
        auxiliary |= dict.fromkeys((AT_UID, AT_EUID, AT_GID, AT_EGID, AT_SECURE, AT_HWCAP), 0)
        auxiliary |= {AT_RANDOM: top - 16} | dict(self.abi.auxiliary) | {0: 0}
        words = [len(pointers), *pointers, 0, 0, *(word for pair in auxiliary.items() for word in pair)]
        stack = at - 4 * len(words) - 64 & -16
        self.memory.put_words(stack, *words)
        return stack

    # what a processor adds

    def prepare(self) -> None:
        """The processor, before there is any memory."""
        raise NotImplementedError

    def begin(self) -> None:
        """Its registers, for `entry` and `stack`."""
        raise NotImplementedError

    def step(self, budget: int) -> Exit:
        """Run the processor up to so many instructions in all."""
        raise NotImplementedError

    def serve(self, end: Exit) -> None:
        """A call, or an exception. Raises Ended."""
        raise NotImplementedError

    @property
    def instructions(self) -> int:
        """So far."""
        raise NotImplementedError

    def own(self, name: str, arguments: Sequence[int]) -> int | None:
        """A call that only this processor has, or has in another way; None: it is none of those. Raises Refused."""
        return None

    def handler(self, signal: int, pc: int, why: str) -> int:
        """The program's function for a signal that a fault of its own sends. Raises Ended if there is none."""
        address = self.actions.get(signal, NO_ACTION)[self.abi.handler]
        if address <= SIG_IGN:
            self.end = f"signal {signal} at {pc:#x}: {why}"
            raise Ended(128 + signal)
        return address

    def frame(self, below: int, signal: int, code: int, address: int, restorer: bytes) -> tuple[int, int]:
        """What a handler finds on the stack: siginfo_t, a context of zeros, and the code that it returns to.

        Args:
            below: the stack's pointer.
            code, address: si_code and si_addr.
            restorer: instructions that call rt_sigreturn.

        Returns:
            Where siginfo_t and the restorer are. Raises Refused: there is no room.
        """
        words = [signal, 0, 0, address]
        words[self.abi.signal_code] = code & 0xFFFF_FFFF
        info = below - SIGINFO_OCTETS - len(restorer) & -16
        self.memory.write(info, bytes(SIGINFO_OCTETS) + restorer)
        self.memory.put_words(info, *words)
        return info, info + SIGINFO_OCTETS

    # its life

    def run(self, budget: int) -> int:
        """To its end; the exit status, or 128 and a signal's number.

        Raises:
            RuntimeError: it does not end within `budget` instructions, or the engine comes back with what no program
                can cause.
        """
        try:
            while True:
                end = self.step(budget)
                if isinstance(end, Budget):
                    raise RuntimeError(f"not done in {budget} instructions")
                self.serve(end)
        except Ended as ended:
            return ended.status

    def call(self, number: int, arguments: Sequence[int]) -> int:
        """Serve a call.

        Raises:
            Refused: with its error.
            Ended: it was the last one.
        """
        name = self.abi.numbers.get(number, "")
        result = self.own(name, arguments)
        if result is None:
            result = self._call(name, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
        if result is None:
            self.unknown.append(number)
            raise Refused(self.abi.enosys)
        return result

    def _call(self, name: str, a: int, b: int, c: int, d: int, e: int, _f: int) -> int | None:
        match name:
            case "exit" | "exit_group":
                raise Ended(a & 0xFF)
            case "write":
                return self._write(a, self.memory.read(b, min(c, MOST_OCTETS)))
            case "writev":
                if c > MOST_VECTORS:
                    raise Refused(EINVAL)
                places = self.memory.words(b, 2 * c)
                return self._write(a, b"".join(map(self.memory.read, places[::2], places[1::2])))
            case "read":
                return 0
            case "lseek" | "_llseek":
                raise Refused(ESPIPE)
            case "brk":
                return self._brk(a)
            case "mmap2" | "mmap":
                return self._mmap(a, b, d, e)
            case "rseq":
                raise Refused(self.abi.enosys)
            case "ioctl":
                raise Refused(ENOTTY)
            case "uname":
                words = ("Linux", "host", "6.1.0", "#1", self.abi.uname, "(none)")
                self.memory.write(a, b"".join(word.encode().ljust(65, b"\0") for word in words))
                return 0
            case "getrandom":
                octets = min(b, 256)
                self.memory.write(a, bytes(octets))
                return octets
            case "kill" | "tgkill" | "tkill":
                self.end = f"{name} with signal {c if name == 'tgkill' else b}"
                raise Ended(128 + (c if name == "tgkill" else b) & 0xFF)
            case "rt_sigaction":
                new = self.memory.words(b, 3) if b else None
                if c:
                    self.memory.put_words(c, *self.actions.get(a, NO_ACTION), 0, 0)
                if new:
                    self.actions[a & 0xFF] = new
                return 0
            case _ if name in NOTHING_TO_DO:
                return 0
            case _ if name in IDENTITY:
                return ONE_PROCESS
            case _ if name in USERS:
                return 0
            case _ if name in NO_SUCH_FILE:
                raise Refused(ENOENT)
            case _:
                return self._look(name, a, b, d, e)

    def _look(self, name: str, a: int, b: int, d: int, e: int) -> int | None:
        """Calls that fill a structure."""
        now_ns = self.instructions * NS_AN_INSTRUCTION
        seconds, rest_ns = divmod(now_ns, 1_000_000_000)
        match name:
            case "fstat64":
                octets, mode = self.abi.stat64
                if a > 2:
                    raise Refused(EBADF)
                self.memory.write(b, bytes(octets))
                self.memory.put_words(b + mode, S_IFCHR)
            case "statx":
                if self.memory.text(b) or a > 2:
                    raise Refused(ENOENT)
                # stx_mask, blksize, attributes (8 octets), nlink, uid, gid, mode (2 octets): statx(2)
                self.memory.write(
                    e, struct.pack(f"{self.abi.order}IIQIIIH", 3, 4096, 0, 1, 0, 0, S_IFCHR).ljust(256, b"\0")
                )
            case "ugetrlimit" | "getrlimit":
                self.memory.put_words(b, STACK_OCTETS, 0xFFFF_FFFF)
            case "prlimit64":
                if d:
                    self.memory.write(d, struct.pack(self.abi.order + "QQ", STACK_OCTETS, (1 << 64) - 1))
            case "clock_gettime64":
                self.memory.write(b, struct.pack(self.abi.order + "QQ", seconds, rest_ns))
            case "clock_gettime":
                self.memory.put_words(b, seconds, rest_ns)
            case "gettimeofday":
                self.memory.put_words(a, seconds, rest_ns // 1000)
            case _:
                return None
        return 0

    def _write(self, descriptor: int, octets: bytes) -> int:
        if descriptor not in (1, 2):
            raise Refused(EBADF)
        into = self.output if descriptor == 1 else self.errors
        if len(into) + len(octets) > MOST_OUTPUT:
            self.end = f"more than {MOST_OUTPUT} octets written"
            raise Ended(128 + SIGABRT)
        into += octets
        return len(octets)

    def _brk(self, address: int) -> int:
        if address < self.first_brk:
            return self.brk
        for at in range(address, self.brk, MOST_OCTETS):  # what is given back is zeros the next time
            self.vm.write(at, bytes(min(MOST_OCTETS, self.brk - at)))
        with contextlib.suppress(Refused):
            self.map(self.brk, max(0, address - self.brk))
            self.brk = address
        return self.brk

    def _mmap(self, address: int, octets: int, flags: int, descriptor: int) -> int:
        if not flags & self.abi.map_anonymous or not octets:
            raise Refused(EINVAL if not octets else EBADF)
        if flags & MAP_FIXED:
            self.map(address, octets)
            return address
        self.map(self.next_mapping, octets)
        result = self.next_mapping
        self.next_mapping += octets + PAGE - 1 & -PAGE
        return result
