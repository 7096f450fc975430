"""32-bit PowerPC processors behind the engine contract (`docs/engine.md`): `Vm` and `Cpu`.

    vm = Vm()
    vm.add_memory(0, 64 << 20)
    cpu = Cpu(vm)
    cpu.set_state({"pc": 0, "msr": 0, "r1": 0x80000, "r3": 0xF00000})
    exit = cpu.run(1_000_000)

Big-endian: the `data` of `Mmio` exits are octets in the order of their addresses. Models: `750`, `604`, and `7400`
with AltiVec; `emulators/cpus/ppc/native/src/lib.rs` says what they have and have not. After a reset the processor is
at 0xFFF00100.

State has the manual's names in lower case: r0 … r31, pc, lr, ctr, cr, xer, msr, srr0, srr1, dar, dsisr, sdr1, sprg0 …
sprg3, sr0 … sr15, ibat0u, ibat0l … dbat3l, tb, dec, f0 … f31 (64 bits), fpscr, pvr, dabr, the model's own (hid0 …; of
the 7400 v0 … v31, of 128 bits, vscr, vrsave); and `reserved` (a reservation's address + 1; 0: none), `halted`,
`dec_pending`.
"""

from collections.abc import Collection, Mapping
from typing import Literal

from emulators.cpus.processor import Engine
from emulators.cpus.vm import Vm
from emulators.exits import Exit
from vde import _native
from vde.errors import ConfigError

__all__ = ["MODELS", "Cpu", "Vm"]

MODELS = ("750", "604", "7400")

DSI, ISI, EXTERNAL, ALIGNMENT, PROGRAM = 0x300, 0x400, 0x500, 0x600, 0x700
FP_UNAVAILABLE, DECREMENTER, SYSTEM_CALL, TRACE, ALTIVEC_UNAVAILABLE = 0x800, 0x900, 0xC00, 0xD00, 0xF20
"""Vectors, for `intercept` and `ExceptionTaken.vector`."""


class Cpu(Engine[_native.Ppc]):
    """One processor.

    Args:
        vm: its memory; what is not memory there is a device's (`Mmio` exits).
        model: one of `MODELS`.
        timebase_ticks: the time base and the decrementer step once in so many ticks.
        hypercalls: `sc 1` comes as a `Hypercall` exit with r3's value (otherwise it is `sc`).

    Not for several threads, except `kick()`.
    """

    def __init__(self, vm: Vm, model: str = "750", *, timebase_ticks: int = 6, hypercalls: bool = False) -> None:
        if model not in MODELS:
            raise ConfigError(f"processor model {model!r}: expected {', '.join(MODELS)}")
        if not 1 <= timebase_ticks <= 0xFFFF_FFFF:
            raise ConfigError(f"timebase_ticks {timebase_ticks}: expected 1 … 4294967295")
        super().__init__(vm, _native.Ppc(vm, model=model, timebase_ticks=timebase_ticks, hypercalls=hypercalls))
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
        """Ticks until the decrementer's next exception."""
        return self._native.next_timer()

    def set_irq(self, level: bool) -> None:
        """Drive the external interrupt's line."""
        self._native.set_irq(level)

    def intercept(self, vectors: Collection[int]) -> None:
        """Come back with `ExceptionTaken` instead of taking these exceptions (by vector: `DSI` …)."""
        self._native.intercept(list(vectors))

    def state(self) -> dict[str, int]:
        """All architectural state by the manual's names: see the module."""
        return self._native.state()

    def set_state(self, state: Mapping[str, int]) -> None:
        """Set what is named, cut to the bits that the register has.

        Raises ValueError for a name or value that the processor has not; then nothing is set.
        """
        self._native.set_state([(name, int(value)) for name, value in state.items()])
        if "pc" in state:
            self._answer.forget()

    def translate(self, ea: int, access: Literal["read", "write", "fetch"]) -> int | None:
        """Where `ea` is in the present mode, or None. Changes nothing."""
        return self._native.translate(ea, access)
