"""A bare uMPS3 cluster for tests: ROMs and RAM, hand-assembled programs, bus registers that are a dictionary."""

import struct
from collections.abc import Iterable

from emulators.cpus.mips.umps import Processors, Vm
from emulators.exits import Budget, Exit, Mmio

RAM = 0x2000_0000
RAM_SIZE = 64 * 4096
BOOT = 0x1FC0_0000
BIOS_DATA = 0x0FFF_F000
DEVICES = 0x1000_0000
CODE = RAM + 0x1000
OTHER_VECTOR = 0x80
REFILL_VECTOR = 0x0
BOOT_VECTORS = 0x1FC0_0100
TE, IEC, BEV, CU0, KUC = 1 << 27, 1, 1 << 22, 1 << 28, 2
NOP = 0
SYSCALL, BREAK = 0xC, 0xD
TLBR, TLBWI, TLBWR, TLBP, RFE, WAIT = (0x4200_0000 | funct for funct in (1, 2, 6, 8, 16, 32))
ZERO, A0, A1, A2, T0, T1, T2, T3, T4, SP, RA = 0, 4, 5, 6, 8, 9, 10, 11, 12, 29, 31
INDEX, RANDOM, ENTRYLO, CONTEXT, BADVADDR, TIMER, ENTRYHI, STATUS, CAUSE, EPC, PRID = (
    0,
    1,
    2,
    4,
    8,
    9,
    10,
    12,
    13,
    14,
    15,
)


def r(funct: int, rd: int = 0, rs: int = 0, rt: int = 0, sa: int = 0) -> int:
    """An instruction of SPECIAL."""
    return rs << 21 | rt << 16 | rd << 11 | sa << 6 | funct


def i(opcode: int, rt: int, rs: int, immediate: int) -> int:
    """An instruction with an immediate."""
    return opcode << 26 | rs << 21 | rt << 16 | immediate & 0xFFFF


def addiu(rt: int, rs: int, immediate: int) -> int:
    """ADDIU."""
    return i(9, rt, rs, immediate)


def lui(rt: int, immediate: int) -> int:
    """LUI."""
    return i(15, rt, 0, immediate)


def lw(rt: int, rs: int, offset: int = 0) -> int:
    """LW."""
    return i(0x23, rt, rs, offset)


def sw(rt: int, rs: int, offset: int = 0) -> int:
    """SW."""
    return i(0x2B, rt, rs, offset)


def beq(rs: int, rt: int, words: int) -> int:
    """BEQ, `words` from the delay slot."""
    return i(4, rt, rs, words)


def mfc0(rt: int, register: int) -> int:
    """MFC0."""
    return 0x4000_0000 | rt << 16 | register << 11


def mtc0(rt: int, register: int) -> int:
    """MTC0."""
    return 0x4080_0000 | rt << 16 | register << 11


def move(rd: int, rs: int) -> int:
    """ADDU rd, rs, $0."""
    return r(0x21, rd, rs)


HERE = beq(0, 0, -1)
"""Branches to itself (with a NOP behind it)."""


def words(*code: int) -> bytes:
    """As octets."""
    return struct.pack(f"<{len(code)}I", *code)


class Board:
    """Memory, a cluster whose processor 0 begins at `CODE` in kernel mode with BEV off, and device words.

    Attributes:
        accesses: (tick, processor, direction, address, value) of all device accesses.
    """

    def __init__(
        self,
        *code: int,
        count: int = 1,
        tlb_size: int = 16,
        tlb_floor: int = 0xFFFF_FFFF,
        roms: Iterable[tuple[int, int]] = (),
    ) -> None:
        self.vm = Vm()
        self.vm.add_memory(0, 0x1000, readonly=True)
        self.vm.add_memory(BIOS_DATA, 0x1000)
        self.vm.add_memory(BOOT, 0x1000, readonly=True)
        self.vm.add_memory(RAM, RAM_SIZE)
        self.cpus = Processors(
            self.vm, count, tlb_size, tlb_floor=tlb_floor, ram_base=RAM, ram_size=RAM_SIZE, roms=tuple(roms)
        )
        self.put(CODE, *code)
        self.cpus.set_state({"pc": CODE, "status": CU0})
        self.devices: dict[int, int] = {}
        self.accesses: list[tuple[int, int, str, int, int]] = []

    def put(self, gpa: int, *code: int) -> None:
        """Words into memory."""
        self.vm.write(gpa, words(*code))

    def word(self, gpa: int) -> int:
        """A word of memory."""
        return int.from_bytes(self.vm.read(gpa, 4), "little")

    def run(self, ticks: int) -> Exit:
        """Run `ticks` ticks, with device accesses made; the exit that is none."""
        stop = self.cpus.ticks + ticks
        while True:
            end = self.cpus.run(stop - self.cpus.ticks)
            if not isinstance(end, Mmio):
                return end
            assert end.size == 4
            if end.direction == "read":
                end.data = self.devices.get(end.gpa, 0).to_bytes(4, "little")
            else:
                assert end.data is not None
                self.devices[end.gpa] = int.from_bytes(end.data, "little")
            assert end.data is not None
            value = int.from_bytes(end.data, "little")
            self.accesses.append((self.cpus.ticks, self.cpus.current, end.direction, end.gpa, value))

    def steps(self, ticks: int) -> None:
        """Run exactly `ticks` ticks."""
        assert self.run(ticks) == Budget()

    def reg(self, register: int, cpu: int = 0) -> int:
        """A general register."""
        return self.number(f"r{register}", cpu)

    def number(self, name: str, cpu: int = 0) -> int:
        """A register by name."""
        return self.cpus.state(cpu)[name]
