"""Small PowerPC programs without an operating system, as instructions, and where the Macintosh has its devices."""

import struct
from pathlib import Path

from tests.emulators.loaders.elf_file import elf

EM_PPC = 20
VIRTUAL = 0xC0000000
MAC_IO = 0x80800000
SCC = MAC_IO + 0x13000
CUDA = MAC_IO + 0x16000
PIC = MAC_IO
CONFIG_ADDR, CONFIG_DATA = 0xFEC00000, 0xFEE00000
ORB, DDRB, SR, ACR, IFR = 0x0000, 0x0400, 0x1400, 0x1600, 0x1A00
R3, R8, R9, R10, R11, R12 = 3, 8, 9, 10, 11, 12

_D_FORM = {"lwz": 32, "lbz": 34, "stw": 36, "stb": 38, "lhz": 40, "sth": 44, "addi": 14, "addis": 15, "ori": 24}


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

    def d(self, name: str, rt: int, ra: int, immediate: int) -> None:
        """`name rt, immediate(ra)`, or `name rt, ra, immediate`; `ori rt, ra` too, whose fields are the other way."""
        if name == "ori":
            rt, ra = ra, rt
        self.word(_D_FORM[name] << 26 | rt << 21 | ra << 16 | immediate & 0xFFFF)

    def li(self, rt: int, value: int) -> None:
        self.d("addis", rt, 0, value >> 16)
        self.d("ori", rt, rt, value)

    def branch(self, options: int, bit: int, label: str) -> None:
        """`bc options, bit, label`: 12, 2 is beq; 4, 2 is bne; 20, 0 always."""
        self._branches.append((len(self._words), label))
        self.word(16 << 26 | options << 21 | bit << 16)

    def put(self, size: str, address: int, value: int) -> None:
        """Write `value` to a device, most significant octet first."""
        self.li(R9, address)
        self.li(R10, value)
        self.d(size, R10, R9, 0)

    def get(self, size: str, address: int, rt: int) -> None:
        self.li(R9, address)
        self.d(size, rt, R9, 0)

    def put_swapped(self, address: int, value: int) -> None:
        """`stwbrx`: as registers on PCI want it."""
        self.li(R9, address)
        self.li(R10, value)
        self.word(31 << 26 | R10 << 21 | R9 << 11 | 662 << 1)

    def get_swapped(self, address: int, rt: int) -> None:
        self.li(R9, address)
        self.word(31 << 26 | rt << 21 | R9 << 11 | 534 << 1)

    def wire(self) -> None:
        """Switch the serial transmitter on, out of loopback."""
        for register, value in ((14, 0x03), (5, 0x68)):
            self.put("stb", SCC + 0x20, register if register < 8 else 0x08 | register - 8)
            self.put("stb", SCC + 0x20, value)

    def say(self, text: bytes) -> None:
        """Out of channel A."""
        for octet in text:
            self.put("stb", SCC + 0x30, octet)

    def say_hex(self, register: int) -> None:
        """The register's eight digits, most significant first; uses r8 … r12."""
        self.li(R9, SCC + 0x30)
        for shift in range(28, -4, -4):
            name = f"digit{len(self._words)}"
            # rlwinm r11, register, 32 - shift, 28, 31
            self.word(21 << 26 | register << 21 | R11 << 16 | (32 - shift & 31) << 11 | 28 << 6 | 31 << 1)
            self.word(11 << 26 | R11 << 16 | 10)  # cmpwi r11, 10
            self.branch(12, 0, name)  # blt
            self.d("addi", R11, R11, ord("a") - ord("0") - 10)
            self.label(name)
            self.d("addi", R11, R11, ord("0"))
            self.d("stb", R11, R9, 0)

    def cuda(self, packet: bytes) -> None:
        """Send a packet."""
        self.put("stb", CUDA + DDRB, 0x30)
        self.put("stb", CUDA + ACR, 0x1C)
        signals = 0x30
        for index, octet in enumerate(packet):
            self.put("stb", CUDA + SR, octet)
            signals ^= 0x20 if index == 0 else 0x10
            self.put("stb", CUDA + ORB, signals)
            self._shifted()
        self.put("stb", CUDA + ORB, 0x30)

    def _shifted(self) -> None:
        name = f"shifted{len(self._words)}"
        self.label(name)
        self.get("lbz", CUDA + IFR, R11)
        self.word(28 << 26 | R11 << 21 | R11 << 16 | 4)  # andi. r11, r11, 4
        self.branch(12, 2, name)

    def power_off(self) -> None:
        self.cuda(b"\x01\x0a")
        self.stop()

    def stop(self) -> None:
        """Wait for ever."""
        name = f"stop{len(self._words)}"
        self.label(name)
        self.branch(20, 0, name)

    def code(self) -> bytes:
        words = list(self._words)
        for at, label in self._branches:
            words[at] |= (self._labels[label] - at) * 4 & 0xFFFC
        return struct.pack(f">{len(words)}I", *words)

    def kernel(self, path: Path) -> Path:
        """An ELF file of it, linked as Linux is."""
        code = self.code()
        path.write_bytes(elf([(VIRTUAL, code, len(code))], VIRTUAL, machine=EM_PPC, order=">"))
        return path
