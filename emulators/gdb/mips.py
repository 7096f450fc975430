"""How GDB sees a MIPS: numbers, sizes, names.

Specification: GDB manual, "MIPS Features" (org.gnu.gdb.mips.cpu, .cp0, .fpu); the numbers are those of GDB's
mips-tdep.h for 32-bit stubs: 0…31 general, 32 status, 33 lo, 34 hi, 35 badvaddr, 36 cause, 37 pc, 38…69 f0…f31,
70 fcsr, 71 fir.

Registers have 32 bits and the order of octets of the guest, which is little-endian on all boards here.
"""

from collections.abc import Callable, Mapping
from typing import Any

STATUS, LO, HI, BADVADDR, CAUSE, PC, F0, FCSR, FIR = 32, 33, 34, 35, 36, 37, 38, 70, 71
CPU_COUNT = 38
FPU_COUNT = 72


def _description(*, fpu: bool) -> bytes:
    def reg(name: str, number: int, kind: str = "") -> str:
        return f'<reg name="{name}" bitsize="32" regnum="{number}"{kind}/>'

    cpu = [reg(f"r{number}", number) for number in range(32)] + [reg("lo", LO), reg("hi", HI), reg("pc", PC)]
    cp0 = [reg("status", STATUS), reg("badvaddr", BADVADDR), reg("cause", CAUSE)]
    features = [("cpu", cpu), ("cp0", cp0)]
    if fpu:
        floats = [reg(f"f{number}", F0 + number, ' type="ieee_single"') for number in range(32)]
        features.append(("fpu", [*floats, reg("fcsr", FCSR), reg("fir", FIR)]))
    text = "".join(f'<feature name="org.gnu.gdb.mips.{name}">{"".join(regs)}</feature>' for name, regs in features)
    return (
        '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd">'
        f"<target><architecture>mips</architecture>{text}</target>"
    ).encode()


class MipsRegisters:
    """A processor whose state has the names of `docs/engine.md`."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._has_fpu = "FCSR" in state
        self.description = _description(fpu=self._has_fpu)

    def count(self) -> int:
        """As `Registers.count`."""
        return FPU_COUNT if self._has_fpu else CPU_COUNT

    def read(self, state: Mapping[str, Any], number: int) -> bytes:
        """As `Registers.read`."""
        key, index = self._place(number)
        value = state.get(key, 0) if index is None else state[key][index]
        return int(value).to_bytes(8, "little")[:4]

    def write(self, number: int, octets: bytes) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        """As `Registers.write`."""
        key, index = self._place(number)
        if len(octets) != 4:
            raise ValueError(octets)
        value = int.from_bytes(octets, "little")

        def change(state: Mapping[str, Any]) -> Mapping[str, Any]:
            if number in (0, FIR) or key not in state:
                return {}
            if index is None:
                return {key: value}
            values = list(state[key])
            values[index] = value
            return {key: values}

        return change

    def in_delay_slot(self, state: Mapping[str, Any]) -> bool:
        """As `Registers.in_delay_slot`."""
        return bool(state.get("in_delay_slot"))

    def _place(self, number: int) -> tuple[str, int | None]:
        if 0 <= number < STATUS:
            return "gpr", number
        if self._has_fpu and F0 <= number < FCSR:
            return "fpr", number - F0
        names = {STATUS: "Status", LO: "lo", HI: "hi", BADVADDR: "BadVAddr", CAUSE: "Cause", PC: "pc"}
        if self._has_fpu:
            names |= {FCSR: "FCSR", FIR: "FIR"}
        return names[number], None


def registers_of(state: Mapping[str, Any]) -> MipsRegisters:
    """The registers of a processor with such a state."""
    return MipsRegisters(state)
