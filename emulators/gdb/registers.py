"""Which of the views of a processor's registers fits: told by the names in its state."""

from collections.abc import Mapping

from emulators.gdb import i386, mips, powerpc
from emulators.gdb.stub import Registers


def registers_of(state: Mapping[str, int]) -> Registers:
    """The registers of a processor with such a state."""
    if "eflags" in state:
        return i386.I386Registers(state)
    return powerpc.PowerpcRegisters(state) if "srr0" in state else mips.MipsRegisters(state)
