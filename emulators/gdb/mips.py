"""How GDB sees a MIPS: numbers, sizes, names.

Specification: GDB manual, "MIPS Features" (org.gnu.gdb.mips.cpu, .cp0, .fpu); the numbers are those of GDB's
mips-tdep.h for 32-bit stubs: 0…31 general, 32 status, 33 lo, 34 hi, 35 badvaddr, 36 cause, 37 pc, 38…69 f0…f31,
70 fcsr, 71 fir.

Registers have 32 bits and the order of octets of the guest, which is little-endian on all boards here. GDB is told the
low halves of the floating-point registers where they have 64 bits (Status.FR); where they have not, two registers side
by side are one of the state's. It takes no description without them (mips-tdep.c): where a processor has none, they are
described, and `g` ends before them, so that GDB calls them unavailable.
"""

from collections.abc import Mapping

STATUS, LO, HI, BADVADDR, CAUSE, PC, F0, FCSR, FIR = 32, 33, 34, 35, 36, 37, 38, 70, 71
CPU_COUNT = 38
FPU_COUNT = 72


def _description() -> bytes:
    def reg(name: str, number: int, kind: str = "") -> str:
        return f'<reg name="{name}" bitsize="32" regnum="{number}"{kind}/>'

    cpu = [reg(f"r{number}", number) for number in range(32)] + [reg("lo", LO), reg("hi", HI), reg("pc", PC)]
    cp0 = [reg("status", STATUS), reg("badvaddr", BADVADDR), reg("cause", CAUSE)]
    floats = [reg(f"f{number}", F0 + number, ' type="ieee_single"') for number in range(32)]
    features = [("cpu", cpu), ("cp0", cp0), ("fpu", [*floats, reg("fcsr", FCSR), reg("fir", FIR)])]
    text = "".join(f'<feature name="org.gnu.gdb.mips.{name}">{"".join(regs)}</feature>' for name, regs in features)
    return (
        '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd">'
        f"<target><architecture>mips</architecture>{text}</target>"
    ).encode()


STATUS_FR = 1 << 26  # MD00090 table 9.26


class MipsRegisters:
    """A processor whose state has the names of `emulators.cpus.mips`."""

    def __init__(self, state: Mapping[str, int]) -> None:
        self._has_fpu = "fcr31" in state
        self.description = _description()

    def count(self) -> int:
        """As `Registers.count`."""
        return FPU_COUNT if self._has_fpu else CPU_COUNT

    def read(self, state: Mapping[str, int], number: int) -> bytes:
        """As `Registers.read`."""
        name, shift = self._place(state, number)
        return (state.get(name, 0) >> shift & 0xFFFFFFFF).to_bytes(4, "little")

    def write(self, state: Mapping[str, int], number: int, octets: bytes) -> Mapping[str, int]:
        """As `Registers.write`."""
        name, shift = self._place(state, number)
        if len(octets) != 4:
            raise ValueError(octets)
        if number in (0, FIR) or name not in state:
            return {}
        value = int.from_bytes(octets, "little")
        return {name: (state[name] & ~(0xFFFFFFFF << shift)) | value << shift}

    def in_delay_slot(self, state: Mapping[str, int]) -> bool:
        """As `Registers.in_delay_slot`."""
        return bool(state.get("in_delay_slot"))

    def jump(self, state: Mapping[str, int], address: int) -> Mapping[str, int]:
        """As `Registers.jump`."""
        return {"pc": address}

    def _place(self, state: Mapping[str, int], number: int) -> tuple[str, int]:
        """The state's name, and the bit where the register begins."""
        if 0 <= number < STATUS:
            return f"r{number}", 0
        if self._has_fpu and F0 <= number < FCSR:
            wide = bool(state["status"] & STATUS_FR)
            number -= F0
            return (f"f{number}", 0) if wide else (f"f{number & ~1}", 32 * (number & 1))
        names = {STATUS: "status", LO: "lo", HI: "hi", BADVADDR: "badvaddr", CAUSE: "cause", PC: "pc"}
        if self._has_fpu:
            names |= {FCSR: "fcr31", FIR: "fcr0"}
        return names[number], 0
