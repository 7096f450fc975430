"""MIPS instructions as text, in the syntax of GNU binutils.

The encodings are the engine's one instruction table (`native/src/table.rs`). A word that the model does not have, or
that is data rather than an instruction (bits set that should be zero), is `.word 0x…`.
"""

from typing import Literal

from vde._native import mips_disassemble, mips_table

Model = Literal["24Kf", "R3000", "uMPS3"]


def disassemble(octets: bytes, pc: int, model: Model = "24Kf") -> list[str]:
    """The instructions in `octets` (little-endian, a multiple of 4 octets), the first of them at `pc`.

    Each is `mnemonic<TAB>operands`, or `mnemonic` alone.

    Raises:
        ValueError: another length, or another model.
    """
    return mips_disassemble(octets, pc, model)


def instructions(model: Model = "24Kf") -> list[tuple[str, str]]:
    """The rows of the instruction table that `model` has: the manual's name, and 32 bits, most significant first.

    In the bits `0` and `1` are fixed, a letter is a field, `-` should be zero, spaces mean nothing.
    """
    return mips_table(model)
