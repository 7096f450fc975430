"""Small kernels for uMPS3, word by word: no tool is needed for them."""

import json
import struct
from pathlib import Path
from typing import Any

from emulators.boards import umps3
from emulators.loaders import umps
from emulators.machine import Machine
from emulators.outside import Bench

ENTRY = 0x2000_10B0
HEADER_WORDS = 43
BREAK, NOP = 0x0000_000D, 0
V0, A0, A1, A2, T0, T1, T2 = 2, 4, 5, 6, 8, 9, 10


def lui(to: int, value: int) -> int:
    return 0x3C00_0000 | to << 16 | value


def ori(to: int, source: int, value: int) -> int:
    return 0x3400_0000 | source << 21 | to << 16 | value


def lw(to: int, base: int, offset: int) -> int:
    return 0x8C00_0000 | base << 21 | to << 16 | offset & 0xFFFF


def sw(source: int, base: int, offset: int) -> int:
    return 0xAC00_0000 | base << 21 | source << 16 | offset & 0xFFFF


def sb(source: int, base: int, offset: int) -> int:
    return 0xA000_0000 | base << 21 | source << 16 | offset & 0xFFFF


def addiu(to: int, source: int, value: int) -> int:
    return 0x2400_0000 | source << 21 | to << 16 | value & 0xFFFF


def bne(one: int, other: int, words: int) -> int:
    return 0x1400_0000 | one << 21 | other << 16 | words & 0xFFFF


def jr(source: int) -> int:
    return source << 21 | 8


def load(to: int, value: int) -> list[int]:
    return [lui(to, value >> 16), ori(to, to, value & 0xFFFF)]


def service(number: int) -> list[int]:
    """Ask the execution ROM for a service."""
    return [ori(A0, 0, number), NOP, BREAK, NOP]


HALT, PANIC = service(3), service(2)
POWER_OFF = [*load(T0, 0x1000_0500), ori(T1, 0, 0xFF), sw(T1, T0, 0x14), bne(T1, 0, -1), NOP]


def core_file(code: list[int]) -> bytes:
    """A core file whose kernel begins with `code`."""
    header = [0] * HEADER_WORDS
    header[:2] = [umps.AOUT, ENTRY]
    text = [*header, 0, *code]
    return struct.pack(f"<{1025 + len(text)}I", umps.CORE, *([0] * 1024), *text)


def make(
    folder: Path, code: list[int], config: dict[str, Any] | None = None, *, bench: Bench | None = None
) -> tuple[Machine, Bench]:
    """A machine with our own ROMs, and terminal 0."""
    (folder / "kernel.core.umps").write_bytes(core_file(code))
    whole: dict[str, Any] = {"devices": {"terminal0": {"enabled": True, "file": "term0.umps"}}}
    (folder / "m.json").write_text(json.dumps({**whole, **(config or {})}))
    bench = bench or Bench()
    return umps3.build(umps3.Params(folder / "m.json", "own"), bench), bench
