"""Small programs for flat 32-bit protected mode without an operating system, and boot sectors' worth of real mode."""

import struct
from pathlib import Path

ENTRY = 0x100000
HEADER = struct.pack("<3I", 0x1BADB002, 0x10000, -(0x1BADB002 + 0x10000) & 0xFFFFFFFF)
CLI_HLT = b"\xfa\xf4"
STI_HLT = b"\xfb\xf4"
FOREVER = b"\xeb\xfe"


class Program:
    """Instructions, as octets, one after the other: a multiboot kernel at 1 MiB."""

    def __init__(self) -> None:
        self._code = bytearray()

    @property
    def here(self) -> int:
        """The address of what comes next."""
        return ENTRY + 32 + len(self._code)

    def code(self, *octets: bytes) -> None:
        for part in octets:
            self._code += part

    def out(self, port: int, value: int, size: int = 1) -> None:
        """mov dx, port; mov eax, value; out dx, al or ax or eax."""
        self.code(b"\x66\xba" + struct.pack("<H", port), b"\xb8" + struct.pack("<I", value))
        self.code({1: b"\xee", 2: b"\x66\xef", 4: b"\xef"}[size])

    def read(self, port: int, size: int = 1) -> None:
        """xor eax, eax; mov dx, port; in al or ax or eax, dx."""
        self.code(b"\x31\xc0\x66\xba" + struct.pack("<H", port))
        self.code({1: b"\xec", 2: b"\x66\xed", 4: b"\xed"}[size])

    def load(self, address: int) -> None:
        """mov eax, [address]."""
        self.code(b"\xa1" + struct.pack("<I", address))

    def store(self, address: int, value: int) -> None:
        """mov dword [address], value."""
        self.code(b"\xc7\x05" + struct.pack("<II", address, value))

    def say(self, text: bytes) -> None:
        """Out of serial0."""
        for octet in text:
            self.out(0x3F8, octet)

    def say_hex(self) -> None:
        """The eight digits of EAX; ends EBX, ECX and EDX."""
        self.code(b"\x89\xc3\xb9\x08\x00\x00\x00\x66\xba\xf8\x03")  # mov ebx, eax; mov ecx, 8; mov dx, 0x3f8
        # again: rol ebx, 4; mov al, bl; and al, 15; add al, '0'; cmp al, '9'; jbe + 2; add al, 39; out; loop again
        self.code(b"\xc1\xc3\x04\x88\xd8\x24\x0f\x04\x30\x3c\x39\x76\x02\x04\x27\xee\xe2\xee")

    def power_off(self) -> None:
        """PM1a_CNT: SLP_EN with type 0."""
        self.out(0x604, 0x2000, 2)

    def stop(self) -> None:
        self.code(b"\xfa\xf4\xeb\xfd")  # cli; hlt; jmp to hlt

    def octets(self) -> bytes:
        code = bytes(self._code)
        end = ENTRY + 32 + len(code)
        return HEADER + struct.pack("<5I", ENTRY, ENTRY, end, end, ENTRY + 32) + code

    def kernel(self, path: Path) -> Path:
        path.write_bytes(self.octets())
        return path


def bios(code: bytes, *, octets: int = 0x10000) -> bytes:
    """Firmware: `code` runs at F000:0000."""
    image = bytearray(octets)
    image[-0x10000 : -0x10000 + len(code)] = code
    image[-16:-11] = b"\xea\x00\x00\x00\xf0"  # jmp f000:0000
    return bytes(image)


def say16(text: bytes) -> bytes:
    """Real mode: out of the debugging port."""
    return b"".join(b"\xb0" + bytes((octet,)) + b"\xe6\xe9" for octet in text)  # mov al, octet; out 0xe9, al
