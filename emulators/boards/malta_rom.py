"""What is in a Malta's boot ROM: a way back to a reset, YAMON's services, and a word about exceptions nobody handles.

Reference: YAMON reference manual (MD00008), "application interface"; MIPS32 privileged architecture (MD00090), table
9.31 and chapter 6, for the vectors with Status.BEV = 1.

Theory. A guest has Status.BEV = 1 until its own handlers are in place, so an exception before that comes here. There is
nobody to turn to: SDBBP with `UNHANDLED` tells the board, which ends the machine with a fault that names the place.
"""

import struct
from collections.abc import Callable
from typing import Final

from emulators.boards.mips_exception import describe
from emulators.cpus.mips import Cpu, Vm

BOOT_ROM, BOOT_ROM_OCTETS = 0x1FC00000, 0x10000
KSEG1: Final = 0xA0000000
REVISION, REVISION_VALUE = 0x10, 0x00000420
"""Core LV, which has a GT-64120."""
SERVICES, SERVICE_COUNT, SERVICE = 0x500, 24, 0x800
VECTORS: Final = (0x200, 0x300, 0x380, 0x400)
"""TLB refill, cache error, everything else, interrupts (Cause.IV = 1)."""
UNHANDLED: Final = 0xBE5
"""SDBBP's code. Chosen."""


def boot_rom() -> bytes:
    """The beginning of the flash, too. A jump to its start (a reset by hand) resets the board; services answer 0."""
    start = (
        0x3C08BF00,  # lui   t0, 0xbf00
        0x24090042,  # addiu t1, zero, 0x42
        0xAD090500,  # sw    t1, 0x500(t0)
        0x1000FFFF,  # b     .
        REVISION_VALUE,  # at REVISION; never executed: the delay slot's write has reset the board
    )
    octets = bytearray(SERVICE + 8)
    struct.pack_into("<5I", octets, 0, *start)
    for vector in VECTORS:
        struct.pack_into("<3I", octets, vector, 0x7000003F | UNHANDLED << 6, 0x1000FFFF, 0)  # sdbbp; b .; nop
    struct.pack_into(f"<{SERVICE_COUNT}I", octets, SERVICES, *[KSEG1 | BOOT_ROM + SERVICE] * SERVICE_COUNT)
    struct.pack_into("<2I", octets, SERVICE, 0x03E00008, 0x00001021)  # jr ra; move v0, zero
    return bytes(octets)


def unhandled(cpu: Cpu, vm: Vm, symbol: Callable[[int], str | None], code: int) -> str:
    """What to say about an exception that has come to the ROM; "" if it is a guest's own SDBBP with that code."""
    state = cpu.state()
    if (state["pc"] & ~KSEG1) - 4 not in [BOOT_ROM + vector for vector in VECTORS] or code != UNHANDLED:
        return ""
    return f"{describe(state, vm, cpu.translate, symbol, '24Kf')}; the guest has no handlers in place (Status.BEV = 1)"
