"""v86's test programs for single instructions, on the host's processor and on the engine: the same state at their end.

`V86_TESTS` is the directory `tests/nasm/build` of a checkout of v86, in which its `create_tests.js` made the programs
(`*.img`: static ELF files, 32 bits). BSD-2, but in no Debian package: nothing of it is here. Part of
`make test-programs`. v86's own `make nasmtests` records what is expected by gdb on the host; here `traced.c` does, with
all 80 bits of the x87's registers.

Compared: general registers, EIP, the arithmetic flags, x87 and MMX registers, control, status and tag words, SSE
registers and MXCSR, the 8 KiB of data and stack, and which exception ended the program early. What is not alike, and
why: `EXCEPTIONS`.
"""

import os
import re
import signal as signals
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulators.exits import Exit
from emulators.loaders.elf import EM_386, read_elf
from tests.oracles.i386.flat import GENERAL, Flat

pytestmark = [pytest.mark.interop, pytest.mark.slow]
VARIABLE = "V86_TESTS"
DATA_AT, DATA_OCTETS = 0x10_0000, 0x2000
"""What v86's makefile has the linker do."""
STOP = struct.Struct("<2I10I512s")
FLAGS = 0x8D5
"""CF PF AF ZF SF OF: v86's programs clear those that are undefined."""
SI_KERNEL, FPE_INTDIV = 0x80, 1
BUDGET = 1_000_000
LATER = re.compile(r"gen_(660f7c|660f7d|f20f7c|f20f7d|f20f12|f30f12|f30f16|db_1|dd_1|df_1|f30fb8)_")
"""SSE3 (HADDPD, HSUBPD, HADDPS, HSUBPS, MOVDDUP, MOVSLDUP, MOVSHDUP, FISTTP) and POPCNT, of later processors: undefined
here."""
UNDEFINED = 6
EXCEPTIONS = {"cvtpi2ps": r"physical\d\.empty is 0x0, not 0x1"}
"""Programs, and differences in which the host is not what we are.

cvtpi2ps: with an operand in memory, too, it changes from x87 to MMX as Intel's manual says (SDM volume 2, CVTPI2PS);
AMD's processors change for registers alone.
"""


@dataclass(frozen=True)
class State:
    """At a program's end."""

    vector: int | Exit
    registers: dict[str, int]
    data: bytes

    def differences(self, other: "State") -> list[str]:
        """Ours is `self`."""
        if self.vector != other.vector:
            return [f"ended by {self.vector}, not {other.vector}, at {self.registers['eip']:#x}"]
        wrong = [
            f"{name} is {value:#x}, not {other.registers[name]:#x}"
            for name, value in self.registers.items()
            if value != other.registers[name]
        ]
        for at in range(0, DATA_OCTETS, 4):
            one, two = self.data[at : at + 4], other.data[at : at + 4]
            if one != two:
                wrong.append(f"at {DATA_AT + at:#x} is {one[::-1].hex()}, not {two[::-1].hex()}")
        return wrong


def host(program: Path, paths: list[Path]) -> Iterator[State]:
    """What the host's processor makes of each."""
    lines = "".join(f"{path}\n" for path in paths).encode()
    arguments = [str(program), f"{DATA_AT:x}", str(DATA_OCTETS)]
    output = subprocess.run(arguments, input=lines, stdout=subprocess.PIPE, check=True).stdout
    size = STOP.size + DATA_OCTETS
    for at in range(0, size * len(paths), size):
        signal, code, *words, fx = STOP.unpack_from(output, at)
        registers = dict(zip((*GENERAL, "eip", "eflags"), words, strict=True))
        registers["eflags"] &= FLAGS
        fcw, fsw, ftw = struct.unpack_from("<HHB", fx)
        registers |= {"fcw": fcw, "fsw": fsw, "mxcsr": int.from_bytes(fx[24:28], "little")}
        registers |= {f"st{n}": int.from_bytes(fx[32 + 16 * n : 42 + 16 * n], "little") for n in range(8)}
        registers |= {f"xmm{n}": int.from_bytes(fx[160 + 16 * n : 176 + 16 * n], "little") for n in range(8)}
        registers |= {f"physical{n}.empty": ~ftw >> n & 1 for n in range(8)}
        yield State(vector(signal, code), registers, output[at + STOP.size : at + size])


def vector(signal: int, code: int) -> int:
    """Of a signal."""
    match signal:
        case signals.SIGILL:
            return 6
        case signals.SIGFPE:
            return 0 if code == FPE_INTDIV else 16
        case signals.SIGBUS:
            return 17
        case signals.SIGSEGV:
            return 13 if code == SI_KERNEL else 14
    return -signal


def ours(flat: Flat, path: Path) -> State:
    """What the engine makes of it."""
    elf = read_elf(path.read_bytes(), path.name, machine=EM_386, big_endian=False)
    for segment in elf.segments:
        flat.vm.write(segment.address, segment.data.ljust(segment.memory_octets, b"\0"))
    flat.start(elf.entry)
    end = flat.run(BUDGET)
    state = flat.cpu.state()
    names = (*GENERAL, "eip", "fcw", "fsw", "mxcsr", *(f"{kind}{n}" for kind in ("st", "xmm") for n in range(8)))
    registers = {name: state[name] for name in names} | {"eflags": state["eflags"] & FLAGS}
    registers |= {f"physical{n}.empty": int(state["ftw"] >> 2 * n & 3 == 3) for n in range(8)}
    return State(end, registers, flat.vm.read(DATA_AT, DATA_OCTETS))


def test_every_program_ends_as_on_the_host(tmp_path: Path) -> None:
    directory = os.environ.get(VARIABLE)
    if directory is None:
        pytest.skip(f"{VARIABLE} does not name v86's tests/nasm/build (no Debian package has it)")
    paths = sorted(Path(directory).glob("*.img"))
    assert len(paths) > 100, f"{VARIABLE}: {len(paths)} programs in {directory}"
    tracer = tmp_path / "traced"
    source = Path(__file__).parents[1] / "oracles" / "i386" / "traced.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", tracer, source], check=True)
    flat = Flat()
    wrong: dict[str, list[str]] = {}
    for path, expected in zip(paths, host(tracer, paths), strict=True):
        pardon = re.compile(EXCEPTIONS.get(path.stem, r"(?!)"))
        state = ours(flat, path)
        if state.vector == UNDEFINED and LATER.match(path.stem):
            continue
        found = [line for line in state.differences(expected) if not pardon.fullmatch(line)]
        if found:
            wrong[path.stem] = found
    report = "\n".join(f"{name}: {'; '.join(lines[:20])}" for name, lines in wrong.items())
    assert not wrong, f"{len(wrong)} of {len(paths)}:\n{report}"
