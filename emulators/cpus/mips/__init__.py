"""MIPS processors behind the engine contract (`docs/engine.md`): `Vm` and `Cpu`.

    vm = Vm()
    vm.add_memory(0, 64 << 20)
    cpu = Cpu(vm)
    cpu.set_state({"pc": 0x80100000, "sp": 0x80080000, "status": 0})
    exit = cpu.run(1_000_000)

Model `24Kf` is a little-endian MIPS32 release 2 with TLB and FPU; `emulators/cpus/mips/native/src/mips32/mod.rs` says
what it has and has not. Model `R3000` is a little-endian MIPS I with visible load delay and no address translation
(`…/native/src/r3000/plain/mod.rs`); uMPS3's processors are in `emulators.cpus.mips.umps`.
"""

from collections.abc import Collection, Mapping
from typing import Literal

from emulators.cpus.processor import Engine
from emulators.cpus.vm import Vm
from emulators.exits import Exit
from vde import _native
from vde.errors import ConfigError

__all__ = ["Cpu", "Vm"]

EXC_INT, EXC_MOD, EXC_TLBL, EXC_TLBS, EXC_ADEL, EXC_ADES, EXC_IBE, EXC_DBE = range(8)
EXC_SYS, EXC_BP, EXC_RI, EXC_CPU, EXC_OV, EXC_TR = range(8, 14)
EXC_FPE = 15
"""Cause.ExcCode (MD00090 table 9.31), for `intercept` and `ExceptionTaken.vector`."""


class Cpu(Engine[_native.Mips32 | _native.R3000]):
    """One processor.

    Args:
        vm: its memory; what is not memory there is a device's (`Mmio` exits).
        model: `24Kf` or `R3000`.
        tlb_entries: 16, 32 or 64 (24Kf).
        hypercalls: SDBBP's code comes as a `Hypercall` exit (otherwise SDBBP enters debug mode, as the manual says).

    Not for several threads, except `kick()`.
    """

    def __init__(self, vm: Vm, model: str = "24Kf", *, tlb_entries: int = 16, hypercalls: bool = False) -> None:
        if model not in ("24Kf", "R3000"):
            raise ConfigError(f"processor model {model!r}: expected 24Kf or R3000")
        super().__init__(
            vm,
            _native.Mips32(vm, tlb_entries=tlb_entries, hypercalls=hypercalls)
            if model == "24Kf"
            else _native.R3000(vm),
        )
        self.model = model

    def run(self, budget_insns: int) -> Exit:
        """Execute up to `budget_insns` instructions; why it ended. The GIL is released meanwhile.

        Raises:
            RuntimeError: the last exit was a read, and its `data` is None.
            ValueError: its `data` is not of the size that was asked for.
        """
        data, bus_error = self._answer.of_last()
        return self._answer.exit(self._native.run(budget_insns, data, bus_error))

    def next_timer(self) -> int | None:
        """Ticks until Count becomes Compare; None: Count is stopped."""
        return self._native.next_timer()

    def set_ip(self, line: int, level: bool) -> None:
        """Drive Cause.IP2 … IP7 (`line` 2 … 7)."""
        self._native.set_ip(line, level)

    def intercept(self, vectors: Collection[int]) -> None:
        """Come back with `ExceptionTaken` instead of taking these exceptions (by Cause.ExcCode)."""
        self._native.intercept(list(vectors))

    def state(self) -> dict[str, int]:
        """All architectural state by the manual's names, lower case: r0 … r31, hi, lo, pc, CP0, f0 … f31, fcr31.

        `in_delay_slot` is 1 in a delay slot, behind which `branch_target` follows. The R3000 has `branch_taken`,
        too (0: what follows is behind the slot), and `load_register` (0: none), which gets `load_value` behind the
        instruction.
        """
        return self._native.state()

    def set_state(self, state: Mapping[str, int]) -> None:
        """Set what is named (also zero, at, v0 … ra). A new `pc` is in no delay slot unless `in_delay_slot` says so.

        Raises ValueError for a name or value that the processor has not; then nothing is set.
        """
        self._native.set_state([(name, int(value)) for name, value in state.items()])
        if "pc" in state:
            self._answer.forget()

    def translate(self, va: int, access: Literal["read", "write", "fetch"]) -> int | None:
        """Where `va` is in the present mode, or None. Changes nothing."""
        return self._native.translate(va, access)
