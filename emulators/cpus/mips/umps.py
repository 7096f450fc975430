"""uMPS3's processors behind the engine contract (`docs/engine.md`): one to sixteen in lock-step, and the clocks.

    vm = Vm()
    vm.add_memory(0x1FC00000, 0x1000, readonly=True)    # boot ROM
    vm.add_memory(0x20000000, 64 * 4096)                # RAM
    cpus = Processors(vm, count=2, ram_size=64 * 4096)
    exit = cpus.run(1_000_000)

A tick is: the time of day goes up by one, the interval timer down by one, what is due happens, every processor that
runs executes one instruction. `run` comes back between the clock's step and the processors' turn, so `tod` is `ticks`
+ 1, and what the caller does then is what is due. An access to the bus registers (0x10000000 … 0x10000517) is an exit
in the middle of a tick: `current` is the processor that makes it, and the next `run` goes on with it.
`emulators/cpus/mips/native/src/r3000/umps/mod.rs` says how it works and what is different from uMPS3 3.0.5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from emulators.cpus.processor import Engine
from emulators.cpus.vm import Vm
from emulators.exits import Debug, Exit
from vde import _native

__all__ = ["Processors", "Vm"]

BOOT_PC = 0x1FC0_0000
RAM_BASE = 0x2000_0000
LINE_IPI, LINE_CPU_TIMER, LINE_TIMER = 0, 1, 2
NO_REGISTER = 0xFFFF_FFFF
"""`mtc0_register` of `state()`: nothing is under way."""


class Processors(Engine[_native.Umps]):
    """The cluster: processor 0 is reset to the boot ROM, the others are halted until `reset_cpu`.

    Args:
        vm: its memory; what is neither memory there nor a bus register is a bus error.
        count: 1 … 16 processors.
        tlb_size: 4, 8, 16, 32 or 64 entries.
        tlb_floor: addresses below it are not translated.
        ram_base, ram_size: where CAS works.
        roms: (address, octets) of ROMs that end within a page: behind their end is nothing.

    Not for several threads, except `kick()`.
    """

    def __init__(
        self,
        vm: Vm,
        count: int = 1,
        tlb_size: int = 16,
        *,
        tlb_floor: int = 0xFFFF_FFFF,
        ram_base: int = RAM_BASE,
        ram_size: int = 64 * 4096,
        roms: Sequence[tuple[int, int]] = (),
    ) -> None:
        native = _native.Umps(
            vm,
            count=count,
            tlb_size=tlb_size,
            tlb_floor=tlb_floor,
            ram_base=ram_base,
            ram_octets=ram_size,
            roms=list(roms),
        )
        super().__init__(vm, native)
        self.count = count

    def run(self, budget_ticks: int) -> Exit:
        """Go on for up to `budget_ticks` ticks, the rest of a begun one being one; why it ended.

        `Halt`: no processor runs, and none wakes in the next tick. The GIL is released meanwhile.

        Raises:
            RuntimeError: the last exit was a read, and its `data` is None.
            ValueError: its `data` is not of the size that was asked for.
        """
        data, bus_error = self._answer.of_last()
        exit_ = self._answer.exit(self._native.run(budget_ticks, data, bus_error))
        return self._whose(exit_) if isinstance(exit_, Debug) else exit_

    def _whose(self, stop: Debug) -> Debug:
        """A breakpoint stops before a processor's turn, a watchpoint behind it."""
        turns = 0 if stop.reason == "breakpoint" else 1
        return replace(stop, processor=(self.current - turns) % self.count)

    @property
    def tod(self) -> int:
        """The time of day (64 bits) as the present instruction sees it."""
        return self._native.tod

    @property
    def current(self) -> int:
        """The processor whose turn it is: at an `Mmio` exit, the one that makes the access."""
        return self._native.current

    def last_pc(self, cpu: int = 0) -> int:
        """Where the instruction is that a processor executed last: behind a watchpoint, the one that met it."""
        return self._native.last_pc(cpu)

    @property
    def interval_timer(self) -> int:
        """The interval timer as the present instruction sees it. Setting it drives no line."""
        return self._native.interval_timer

    @interval_timer.setter
    def interval_timer(self, value: int) -> None:
        self._native.interval_timer = value

    @property
    def interval_timer_cpu(self) -> int | None:
        """Whose line 2 rises when the interval timer runs out. None (at first): the caller's business."""
        return self._native.interval_timer_cpu

    @interval_timer_cpu.setter
    def interval_timer_cpu(self, cpu: int | None) -> None:
        self._native.interval_timer_cpu = cpu

    def next_timer(self) -> int | None:
        """Ticks that can pass until a timer of the cluster runs out; None: none will."""
        return self._native.next_timer()

    def set_ip(self, line: int, level: bool, cpu: int = 0) -> None:
        """Drive Cause.IP of a processor (`line` 0 … 7). A line that rises ends its WAIT, masked or not."""
        self._native.set_ip(line, level, cpu)

    def reset_cpu(self, cpu: int, pc: int = BOOT_PC, sp: int = 0) -> None:
        """Start a processor anew: it executes the instruction at `pc` in the present tick."""
        self._native.reset_cpu(cpu, pc, sp)
        self._forget()

    def halt_cpu(self, cpu: int) -> None:
        """Stop a processor until it is reset."""
        self._native.halt_cpu(cpu)
        self._forget()

    def state(self, cpu: int = 0) -> dict[str, int]:
        """A processor by the manual's names, lower case: r0 … r31, hi, lo, pc, CP0, `tlb0.entryhi`, ….

        `in_delay_slot` is 1 in a delay slot, of the branch at `branch_pc`, and `branch_target` follows it.
        `load_register` (0: none) gets `load_value` behind the present instruction, and CP0's `mtc0_register`
        (`NO_REGISTER`: none) gets `mtc0_value`. `halted` and `idle` (in WAIT) are 1 or 0.
        """
        return self._native.state(cpu)

    def set_state(self, state: Mapping[str, int], cpu: int = 0) -> None:
        """Set what is named. A new `pc` is in no delay slot unless that is named too, and its processor runs.

        Raises ValueError for a name or value that the processor has not; then nothing is set.
        """
        self._native.set_state(cpu, [(name, int(value)) for name, value in state.items()])
        if "pc" in state:
            self._forget()

    def translate(self, va: int, access: Literal["read", "write", "fetch"], cpu: int = 0) -> int | None:
        """Where `va` is for a processor in its present mode, or None. Changes nothing."""
        return self._native.translate(va, access, cpu)

    def _forget(self) -> None:
        """The instruction that waited for data may be void."""
        if self._native.pending() is None:
            self._answer.forget()
