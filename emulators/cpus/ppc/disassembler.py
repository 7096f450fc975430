"""PowerPC instructions as text, in the syntax of GNU binutils without its aliases (`objdump -M raw`).

The encodings are the engine's one instruction table (`native/src/table.rs`). A word that the model does not have, or
that is data rather than an instruction (bits set that should be zero), is `.long 0x…`.
"""

from typing import NamedTuple

from vde._native import ppc_disassemble, ppc_table


class Row(NamedTuple):
    """A row of the instruction table: the manual's name; the bits that decide, and what they are; those of operands."""

    name: str
    mask: int
    value: int
    operands: int


def disassemble(octets: bytes, pc: int, model: str = "750") -> list[str]:
    """The instructions in `octets` (big-endian, a multiple of 4 octets), the first of them at `pc`.

    Each is `mnemonic<TAB>operands`, or `mnemonic` alone.

    Raises:
        ValueError: another length, or another model.
    """
    return ppc_disassemble(octets, pc, model)


def instructions(model: str = "750") -> list[Row]:
    """The rows that `model` has."""
    return [Row(*row) for row in ppc_table(model)]
