"""32-bit Intel processors behind the engine contract (`docs/engine.md`): `Vm` and `Cpu`.

    vm = Vm()
    vm.add_memory(0, 16 << 20)
    cpu = Cpu(vm, "pentium3")
    cpu.set_state({"eip": 0x7C00, "cs": 0})        # real mode: the base is the selector times 16
    exit = cpu.run(1_000_000)

Models: `486`, `pentium` (with MMX), `pentium2`, `pentium3`; `emulators/cpus/i386/native/src/model.rs` says what each
has. After `reset` the processor is at F000:FFF0 with a base of 0xFFFF0000, in real mode.

State has the manual's names in lower case: eax … edi, eip, eflags; the segments' selectors es cs ss ds fs gs, and their
hidden parts es.base es.limit es.rights …; ldtr tr and theirs; gdtr.base gdtr.limit idtr.base idtr.limit; cr0 cr2 cr3
cr4; dr0 … dr7; st0 … st7 (80 bits), fcw fsw ftw; xmm0 … xmm7 mxcsr; tsc and other model-specific registers.
"""

from collections.abc import Collection, Mapping
from typing import Literal

from emulators.cpus.processor import Engine
from emulators.cpus.vm import Vm
from emulators.exits import Exit, Io, Mmio
from vde import _native
from vde.errors import ConfigError

__all__ = ["MODELS", "Cpu", "Vm"]

MODELS = ("486", "pentium", "pentium2", "pentium3")
LEAST = {"pae": "pentium2", "nx": "pentium2", "sse2": "pentium3", "apic": "pentium"}
"""What can be added to which model, and to all later ones (`Options` in model.rs)."""
IO_READ = 9
"""`pending` begins with the number of the exit that asked."""


class Cpu(Engine[_native.I386]):
    """One processor.

    Args:
        vm: its memory; what is not memory there is a device's (`Mmio` exits), ports are (`Io` exits).
        model: one of `MODELS`.
        pae, nx, sse2: more than the model has: physical address extension, no-execute rights (with PAE), SSE2.
        apic: it says that it has a local APIC, which is the board's business.
        hypercalls: VMCALL's EAX comes as a `Hypercall` exit (otherwise VMCALL is undefined, as the manual says).

    Raises:
        ConfigError: there is no such model, or nothing of the kind can be added to it.

    Not for several threads, except `kick()`.
    """

    def __init__(
        self,
        vm: Vm,
        model: str = "pentium3",
        *,
        pae: bool = False,
        nx: bool = False,
        sse2: bool = False,
        apic: bool = False,
        hypercalls: bool = False,
    ) -> None:
        if model not in MODELS:
            raise ConfigError(f"processor model {model!r}: expected {', '.join(MODELS)}")
        added = {"pae": pae, "nx": nx, "sse2": sse2, "apic": apic}
        for name in (name for name, on in added.items() if on):
            if MODELS.index(model) < MODELS.index(LEAST[name]):
                raise ConfigError(f"processor model {model!r} with {name}: {LEAST[name]} or a later one was expected")
        native = _native.I386(vm, model=model, pae=pae, nx=nx, sse2=sse2, apic=apic, hypercalls=hypercalls)
        super().__init__(vm, native)
        self.model = model

    def run(self, budget_insns: int) -> Exit:
        """Execute up to `budget_insns` instructions; why it ended. The GIL is released meanwhile.

        Raises:
            RuntimeError: the last exit was a read, and its `data` is None.
            ValueError: its `data` is not of the size that was asked for.
        """
        data, _ = self._answer.of_last()
        return self._answer.exit(self._native.run(budget_insns, data))

    def next_timer(self) -> int | None:
        """None: the processor has no timer of its own."""
        return None

    def set_intr(self, level: bool) -> None:
        """Drive INTR. While it is high and interrupts are let in, `run` answers `IrqWindow`: acknowledge, `inject`."""
        self._native.set_intr(level)

    def inject(self, vector: int) -> None:
        """The next run begins with this interrupt. Raises ValueError if none is possible now."""
        self._native.inject(vector)

    def nmi(self) -> None:
        """A non-maskable interrupt."""
        self._native.nmi()

    def set_a20(self, on: bool) -> None:
        """Address line 20; off: it is 0 in every address."""
        self._native.set_a20(on)

    @property
    def ferr(self) -> bool:
        """FERR#: with CR0.NE = 0, an unmasked x87 exception is pending. The next x87 instruction waits (`Halt`)."""
        return self._native.ferr

    def set_ignne(self, level: bool) -> None:
        """Drive IGNNE#: x87 instructions go on in spite of that exception. It ends with FERR#."""
        self._native.set_ignne(level)

    def reset(self) -> None:
        """The RESET pin. The clock goes on."""
        self._native.reset()
        self._answer.forget()

    def intercept(self, vectors: Collection[int]) -> None:
        """Come back with `ExceptionTaken` instead of taking these exceptions (by vector)."""
        self._native.intercept(list(vectors))

    def state(self) -> dict[str, int]:
        """All architectural state (see the head of this file)."""
        return self._native.state()

    def set_state(self, state: Mapping[str, int]) -> None:
        """Set what is named. A selector alone, in real mode, sets its base as well.

        Raises ValueError for a name or value that the processor has not; then nothing is set.
        """
        self._native.set_state([(name, int(value)) for name, value in state.items()])
        if "eip" in state:
            self._answer.forget()

    def _begun_read(self) -> Mmio | Io | None:
        pending = self._native.pending()
        if pending is not None and pending[0] == IO_READ:
            return Io("read", pending[1], pending[2], pending[3])
        return None if pending is None else Mmio("read", pending[1], pending[2])

    def translate(self, va: int, access: Literal["read", "write", "fetch"]) -> int | None:
        """Where the linear address `va` is in the present mode, or None. Changes nothing."""
        return self._native.translate(va, access)
