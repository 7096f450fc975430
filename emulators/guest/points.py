"""A guest's breakpoints and traces, as the command line gives them: no debugger is needed.

    points = Points(["panic", "0x20001474"], ["counter", "0x20002000+0x100,w"], show)

A breakpoint ends the guest before the instruction, with a line that names processor, pc and symbol. A trace writes a
line for every load and store in a range of virtual addresses, and the guest goes on:

    tick 4711 processor 1 pc 0x2000147c second_turn+0x8: write 0x20002000 second_count = 0x00000007: sw a0,8192(v0)

What follows `=` is the word there, behind the access (`-`: it is a device's). A traced guest does what it does
otherwise, at the same ticks, only more slowly.

Limits: accesses by DMA are no processor's, and not seen; the engine has its own bound for the number of points.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from emulators.cpus.mips.disassembler import disassemble
from emulators.machine import Broken, Debugged, Machine
from vde.errors import ConfigError

WORD_OCTETS = 4
ADDRESSES = 1 << 32
_TRACE = re.compile(r"(?P<place>[^+,]+)(\+(?P<octets>[^,]+))?(,(?P<kind>[rw]))?")
_BREAK = re.compile(r"(?P<place>[^+,]+)(\+(?P<octets>[^,]+))?")
Kind = Literal["read", "write", "access"]
_KINDS: dict[str | None, Kind] = {"r": "read", "w": "write", None: "access"}


@runtime_checkable
class Traceable(Protocol):
    """What an engine must have for all this (uMPS3's does)."""

    def add_breakpoint(self, va: int) -> None:
        """Stop before the instruction there."""
        ...

    def add_watchpoint(self, va: int, size: int, kind: Kind) -> None:
        """Stop behind accesses there."""
        ...

    def translate(self, va: int, access: Literal["read", "write", "fetch"], cpu: int = 0) -> int | None:
        """Where it is."""
        ...

    def last_pc(self, cpu: int = 0) -> int:
        """Where the instruction was that a processor executed last."""
        ...


@dataclass(frozen=True)
class Points:
    """Breakpoints and traces, as texts until a machine says what they are.

    Attributes:
        breaks: `SYMBOL[+OFFSET]` or `ADDRESS`.
        traces: `SYMBOL|ADDRESS[+OCTETS][,r|,w]`.
        show: is given the lines of traces, in the machine's thread.
    """

    breaks: Sequence[str] = ()
    traces: Sequence[str] = ()
    show: Callable[[str], None] = lambda line: None

    def arm(self, machine: Machine) -> None:
        """Set them in a machine.

        Raises:
            ConfigError: some are none there; all of them at once.
        """
        cpu = machine.cpu
        if not isinstance(cpu, Traceable):
            raise ConfigError(f"{machine.board}: --break and --trace are not for this board; --gdb is")
        errors = []
        for option, texts in (("break", self.breaks), ("trace", self.traces)):
            for text in texts:
                try:
                    if option == "break":
                        cpu.add_breakpoint(_instruction(text, machine))
                    else:
                        cpu.add_watchpoint(*_range(text, machine))
                except ValueError as error:
                    errors.append(f"--{option} {text}: {error}")
        if errors:
            raise ConfigError("\n".join(errors))

    def met(self, machine: Machine, stop: Debugged) -> Broken | None:
        """A point was met: the guest's end, or None: it is to go on."""
        exit_ = stop.exit
        if exit_.reason == "breakpoint":
            where = f"processor {exit_.processor} at pc {_named(machine, exit_.address, ' ({})')}"
            return Broken(f"{where}, tick {machine.cpu.ticks}")
        assert isinstance(machine.cpu, Traceable)
        pc = machine.cpu.last_pc(exit_.processor)
        code = _word(machine, pc, "fetch", exit_.processor)
        text = "?" if code is None else disassemble(code, pc, "uMPS3")[0].replace("\t", " ")
        there = _word(machine, exit_.address & -WORD_OCTETS, "read", exit_.processor)
        value = "-" if there is None else f"{int.from_bytes(there, 'little'):#010x}"
        self.show(
            f"tick {machine.cpu.ticks} processor {exit_.processor} pc {_named(machine, pc, ' {}')}: "
            f"{exit_.reason.removeprefix('watch-')} {_named(machine, exit_.address, ' {}')} = {value}: {text}"
        )
        return None


def _instruction(text: str, machine: Machine) -> int:
    found = _BREAK.fullmatch(text)
    if found is None:
        raise ValueError("SYMBOL[+OFFSET] or ADDRESS was expected")
    address = _place(found["place"], machine)[0] + _number(found["octets"] or "0")
    if address % WORD_OCTETS or address >= ADDRESSES:
        raise ValueError(f"{address:#x} is no instruction's address: a multiple of 4, below 4 GiB, was expected")
    return address


def _range(text: str, machine: Machine) -> tuple[int, int, Kind]:
    found = _TRACE.fullmatch(text)
    if found is None:
        raise ValueError("SYMBOL or ADDRESS was expected, with +OCTETS if need be, and ,r or ,w")
    address, octets = _place(found["place"], machine)
    if found["octets"] is not None:
        octets = _number(found["octets"])
    if not 0 < octets <= ADDRESSES - address:
        raise ValueError(f"{octets} octets at {address:#x}: at least one, within 4 GiB, was expected")
    return address, octets, _KINDS[found["kind"]]


def _place(text: str, machine: Machine) -> tuple[int, int]:
    """Address and size."""
    found = machine.locate(text)
    if found is not None:
        return found
    if not text[:1].isdigit():
        raise ValueError(f"no symbol is called {text} (the machine's symbol table is asked), and no address is")
    return _number(text), WORD_OCTETS


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f"{text} is no number") from None


def _named(machine: Machine, address: int, form: str) -> str:
    symbol = machine.symbol(address)
    return f"{address:#010x}{form.format(symbol) if symbol else ''}"


def _word(machine: Machine, va: int, access: Literal["read", "fetch"], processor: int) -> bytes | None:
    """What is in memory there; None: no memory is, or a device."""
    assert isinstance(machine.cpu, Traceable)
    gpa = machine.cpu.translate(va, access, processor)
    try:
        return None if gpa is None else machine.vm.read(gpa, WORD_OCTETS)
    except ValueError:
        return None
