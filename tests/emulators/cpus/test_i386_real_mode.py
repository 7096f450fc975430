"""Every case of the 16-bit single-instruction vectors, which were recorded from an 80286. No case is left out."""

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulators.cpus.i386 import Cpu, Vm
from emulators.exits import Halt, Io

VECTORS = Path(__file__).parents[1] / "vectors" / "x86-real-mode"
FILES = sorted(VECTORS.glob("*.jsonl.xz"))
CASES = 71_800
OPCODES = 324
RAM = 0x110000
PAGE = 4096
GENERAL = ("ax", "bx", "cx", "dx", "sp", "bp", "si", "di")
SEGMENTS = ("cs", "ss", "ds", "es")
BUDGET = 2000
"""Instructions. The longest case repeats 127 times."""


def cases(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Opcode and case."""
    opcode = ""
    with lzma.open(file, "rt") as lines:
        for line in lines:
            case = json.loads(line)
            if "opcode" in case:
                opcode = case["opcode"]
            else:
                yield opcode, case


class Bench:
    """One processor for all cases; memory is zeros between them."""

    def __init__(self) -> None:
        self.vm = Vm()
        self.vm.add_memory(0, RAM)
        self.cpu = Cpu(self.vm)
        self.blank = self.cpu.state()

    def run(self, case: dict[str, Any]) -> list[str]:
        """What is not as it should be."""
        vm, cpu, before = self.vm, self.cpu, case["regs"]
        state = {f"e{name}": before[name] for name in GENERAL} | {name: before[name] for name in SEGMENTS}
        cpu.set_state(state | {"eip": before["ip"], "eflags": before["flags"] & 0x0FFF | 2, "halted": 0})
        for address, octets in case["ram"]:
            vm.write(address, bytes.fromhex(octets))
        for address, octets in case["final"]["ram"]:  # what is to change is zero otherwise
            if not any(at <= address < at + len(there) // 2 for at, there in case["ram"]):
                vm.write(address, bytes(len(octets) // 2))
        vm.dirty_pages()
        left = BUDGET
        while not isinstance(end := cpu.run(left), Halt):
            if not isinstance(end, Io):
                return [f"ended by {end}"]
            if end.direction == "read":
                end.data = b"\xff" * (end.size * end.count)
            left -= 1
        wrong = self.differences(case)
        for address, octets in [*case["ram"], *case["final"]["ram"]]:
            vm.write(address, bytes(len(octets) // 2))
        return wrong

    def differences(self, case: dict[str, Any]) -> list[str]:
        vm, mask = self.vm, case["mask"]
        wanted = case["regs"] | case["final"]["regs"]
        after = self.cpu.state()
        wrong = [
            f"{name} is {after[key]:#x}, not {wanted[name]:#x}"
            for name, key in [*((n, f"e{n}") for n in GENERAL), *((n, n) for n in SEGMENTS), ("ip", "eip")]
            if after[key] & 0xFFFF != wanted[name]  # EIP goes on behind a HLT at 0xFFFF, IP begins anew
        ]
        if (after["eflags"] ^ wanted["flags"]) & mask:
            wrong.append(f"flags are {after['eflags']:#x}, not {wanted['flags']:#x} (of {mask:#x})")
        flags_at = case["exc"]["flags_at"] if "exc" in case else None
        want: dict[int, int] = {}
        for address, octets in [*case["ram"], *case["final"]["ram"]]:
            want |= {address + n: octet for n, octet in enumerate(bytes.fromhex(octets))}
        for address, octet in want.items():
            there = vm.read(address, 1)[0]
            compared = mask >> 8 * (address - flags_at) & 0xFF if flags_at in (address, address - 1) else 0xFF
            if (there ^ octet) & compared:
                wrong.append(f"at {address:#x} is {there:#x}, not {octet:#x}")
        pages = {address // PAGE for address in want}
        if strays := set(vm.dirty_pages()) - pages:
            wrong.append(f"pages {sorted(strays)} were written")
        return wrong


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".jsonl.xz"))
def test_vectors(file: Path) -> None:
    bench = Bench()
    wrong: list[str] = []
    for opcode, case in cases(file):
        wrong += [f"{opcode} #{case['n']} {case['code']} {case['asm']}: {what}" for what in bench.run(case)]
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong[:40])


def test_all_cases_are_there() -> None:
    opcodes = [opcode for file in FILES for opcode, _ in cases(file)]
    assert (len(opcodes), len(set(opcodes))) == (CASES, OPCODES)
