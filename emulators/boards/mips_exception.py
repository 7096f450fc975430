"""The exception that a MIPS processor has taken last, in words: which, where, by what instruction, at what address.

MIPS32 privileged architecture (MD00090), tables 9.28 and 9.31; an R3000's Cause and EPC have the same form.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from emulators.cpus.mips import Vm
from emulators.cpus.mips.disassembler import Model, disassemble

EXC_NAMES: Final = dict(
    enumerate(("Int", "Mod", "TLBL", "TLBS", "AdEL", "AdES", "IBE", "DBE", "Sys", "Bp", "RI", "CpU", "Ov", "Tr"))
) | {15: "FPE", 23: "WATCH", 24: "MCheck"}
UMPS3_NAMES: Final = {6: "DBE", 7: "IBE"}
"""uMPS3's codes are the other way round."""
WITH_ADDRESS: Final = frozenset({1, 2, 3, 4, 5})
"""Those that set BadVAddr."""
STATUS_ERL, CAUSE_BD = 1 << 2, 1 << 31


def describe(
    state: Mapping[str, Any],
    vm: Vm,
    translate: Callable[[int, Literal["fetch"]], int | None],
    symbol: Callable[[int], str | None],
    model: Model,
) -> str:
    """As `exception TLBL at pc 0x80001000 (start): lw v0,0(a0), address 0x00000000`; without code there: `, ra …`.

    Args:
        state: the processor's, with `cause`, `epc`, `badvaddr` and `r31`; `status` and `errorepc`, if it has that.
        vm: its memory.
        translate: virtual → guest physical address, as the processor would do it now.
        symbol: names a virtual address.
        model: for `disassemble`.
    """
    pc = state["errorepc"] if "errorepc" in state and state["status"] & STATUS_ERL else state["epc"]
    if state["cause"] & CAUSE_BD:
        pc = pc + 4 & 0xFFFFFFFF
    number = state["cause"] >> 2 & 0x1F

    def place(va: int) -> str:
        name = symbol(va)
        return f"{va:#010x}{f' ({name})' if name else ''}"

    names = EXC_NAMES | UMPS3_NAMES if model == "uMPS3" else EXC_NAMES
    text = f"exception {names.get(number, number)} at pc {place(pc)}"
    gpa = translate(pc, "fetch") if pc % 4 == 0 else None
    try:
        found = "" if gpa is None else disassemble(vm.read(gpa, 4), pc, model)[0].replace("\t", " ")
    except ValueError:
        found = ""  # there is no memory
    text += f": {found}" if found else f", ra {place(state['r31'])}"
    if number in WITH_ADDRESS:
        text += f", address {state['badvaddr']:#010x}"
    return text
