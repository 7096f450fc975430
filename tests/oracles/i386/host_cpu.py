"""The host's own processor as an oracle for single 32-bit instructions of user mode."""

import resource
import struct
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CODE, DATA = 0x10000800, 0x20000700
"""Where a case's code is, in a page of INT3, and its data of DATA_OCTETS, in a page of zeros."""
DATA_OCTETS = 512
STACK_OCTETS = 1 << 20
REGISTERS = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
SEGMENTS = {"cs": 0x23, "ss": 0x2B, "ds": 0x2B, "es": 0x2B, "fs": 0, "gs": 0}
"""Linux's, for 32-bit programs under a 64-bit kernel."""
TRAP_BREAKPOINT = 3
SOURCE = Path(__file__).with_name("host_cpu.c")
BEFORE = struct.Struct("<8I II 16s 8x 512s 512s")
AFTER = struct.Struct("<8I 6I 512s 512s")


@dataclass(frozen=True, slots=True)
class Before:
    code: bytes
    registers: tuple[int, ...]
    eflags: int
    fx: bytes
    """An FXSAVE image."""
    data: bytes


@dataclass(frozen=True, slots=True)
class After:
    registers: tuple[int, ...]
    eip: int
    """Of the next instruction, or of the one that raised the exception."""
    eflags: int
    vector: int | None
    """An exception's; None: there was none."""
    error: int
    cr2: int
    fx: bytes
    data: bytes


class HostCpu:
    """A process that runs cases. Use it as a context manager."""

    def __init__(self, directory: Path) -> None:
        program = directory / "host_cpu"
        flags = ("-m32", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-no-pie")
        more = ("-mno-sse", "-O1", "-fno-tree-loop-distribute-patterns", "-Wall", "-Wextra", "-Werror")
        subprocess.run(["gcc", *flags, *more, "-o", program, SOURCE], check=True)
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        resource.prlimit(self._process.pid, resource.RLIMIT_STACK, (STACK_OCTETS, STACK_OCTETS))
        self._mappings: list[range] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def run(self, cases: Iterable[Before]) -> list[After]:
        """What becomes of each."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        sent = [BEFORE.pack(*one.registers, one.eflags, len(one.code), one.code, one.fx, one.data) for one in cases]

        def send() -> None:
            stdin.write(b"".join(sent))
            stdin.flush()

        sender = threading.Thread(target=send)
        sender.start()
        octets = stdout.read(AFTER.size * len(sent))
        if len(octets) != AFTER.size * len(sent):
            raise RuntimeError(f"the host's runner ended: {self._process.wait()}")
        sender.join()
        return [self._after(*AFTER.unpack_from(octets, AFTER.size * number)) for number in range(len(sent))]

    def holds(self, address: int) -> bool:
        """Has the process memory of its own there, such as its stack, which no case is meant to meet?"""
        if not self._mappings:
            mappings = []
            for line in Path(f"/proc/{self._process.pid}/maps").read_text().splitlines():
                first, last = (int(end, 16) for end in line.split()[0].split("-"))
                grows = line.endswith("[stack]")
                mappings.append(range(last - STACK_OCTETS if grows else first, last))
            self._mappings = [one for one in mappings if CODE not in one and DATA not in one]
        return any(address in one for one in self._mappings)

    @staticmethod
    def _after(*fields: Any) -> After:
        eip, eflags, trap, error, cr2, _signal, fx, data = fields[8:]
        if trap == TRAP_BREAKPOINT:
            return After(fields[:8], eip - 1, eflags, None, 0, 0, fx, data)
        return After(fields[:8], eip, eflags, trap, error, cr2, fx, data)
