"""Small MIPS32 programs without an operating system, written as instructions, and where Malta has its devices."""

import struct
from pathlib import Path

from tests.emulators.loaders.elf_file import elf

ZERO, V0, A0, A1, A2, A3, T0, T1, T2, T3, T4, RA = 0, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 31
ENTRY = 0x80100000
PORTS = 0xB8000000
SYSTEM = 0xBBE00000
FPGA = 0xBF000000

_IMMEDIATE = {"addiu": 9, "andi": 12, "ori": 13, "lb": 32, "lw": 35, "lbu": 36, "lhu": 37, "sb": 40, "sh": 41, "sw": 43}


class Program:
    """Instructions, one after the other; labels are made before or behind their use."""

    def __init__(self) -> None:
        self._words: list[int] = []
        self._labels: dict[str, int] = {}
        self._branches: list[tuple[int, str]] = []

    def label(self, name: str) -> None:
        self._labels[name] = len(self._words)

    def word(self, value: int) -> None:
        self._words.append(value)

    def i(self, name: str, rt: int, rs: int, immediate: int) -> None:
        """`name rt, rs, immediate`, or `name rt, immediate(rs)`."""
        self.word(_IMMEDIATE[name] << 26 | rs << 21 | rt << 16 | immediate & 0xFFFF)

    def li(self, rt: int, value: int) -> None:
        self.word(0x3C000000 | rt << 16 | value >> 16)
        self.i("ori", rt, rt, value)

    def branch(self, name: str, rs: int, rt: int, label: str) -> None:
        """`beq` or `bne`, with nothing in the delay slot."""
        self._branches.append((len(self._words), label))
        self.word({"beq": 4, "bne": 5}[name] << 26 | rs << 21 | rt << 16)
        self.word(0)

    def put(self, size: str, address: int, value: int) -> None:
        """Write `value` to a device."""
        self.li(T0, address)
        self.li(T1, value)
        self.i(size, T1, T0, 0)

    def get(self, size: str, address: int, rt: int) -> None:
        self.li(T0, address)
        self.i(size, rt, T0, 0)

    def say(self, text: bytes) -> None:
        """Out of serial0."""
        for octet in text:
            self.put("sb", PORTS + 0x3F8, octet)

    def say_hex(self, register: int) -> None:
        """The register's eight digits, most significant first; uses t0, t2, t3 and t4."""
        name = f"digit{len(self._words)}"
        self.li(T2, 28)
        self.li(T0, PORTS + 0x3F8)
        self.label(name)
        self.word(T2 << 21 | register << 16 | T3 << 11 | 0x06)  # srlv t3, register, t2
        self.i("andi", T3, T3, 0xF)
        self.word(0x28000000 | T3 << 21 | T4 << 16 | 10)  # slti t4, t3, 10
        self.branch("bne", T4, ZERO, name + "decimal")
        self.i("addiu", T3, T3, ord("a") - ord("0") - 10)
        self.label(name + "decimal")
        self.i("addiu", T3, T3, ord("0"))
        self.i("sb", T3, T0, 0)
        self.i("addiu", T2, T2, -4)
        self.li(T4, 0xFFFFFFFC)
        self.branch("bne", T2, T4, name)

    def power_off(self) -> None:
        """By the south bridge's power management."""
        for register, value in ((0x40, 0x1000), (0x80, 1)):
            self.put("sw", SYSTEM + 0xCF8, 1 << 31 | 10 << 11 | 3 << 8 | register)
            self.put("sw", SYSTEM + 0xCFC, value)
        self.put("sh", PORTS + 0x1004, 1 << 13)
        self.stop()

    def stop(self) -> None:
        """Wait for ever."""
        name = f"stop{len(self._words)}"
        self.label(name)
        self.word(0x42000020)  # wait
        self.branch("beq", ZERO, ZERO, name)

    def code(self) -> bytes:
        words = list(self._words)
        for at, label in self._branches:
            words[at] |= (self._labels[label] - at - 1) & 0xFFFF
        return struct.pack(f"<{len(words)}I", *words)

    def kernel(self, path: Path) -> Path:
        """An ELF file of it."""
        code = self.code()
        path.write_bytes(elf([(ENTRY, code, len(code))], ENTRY, symbols=[("start", ENTRY)]))
        return path
