"""Does the guest hang? A processor that stays in a few octets of code with interrupts off, for seconds, does no work.

Theory: the processor's state is looked at `SAMPLES` times, a second of virtual time apart; a guest that lets
interrupts in at any of them, or is somewhere else, is at work; so is one that waited in between (HLT, WAIT). One that
waits with interrupts off is told apart: nothing will wake it. Kernels that panic without a restart end in either way.

A MIPS that handles an exception all that time (Status.EXL; uMPS3's: it is in the ROMs, or where the exception was) is
where that one happened: a handler that faults itself begins again and again, wherever its code is.

Limits: a loop of more than `REACH_OCTETS`, or one that lets interrupts in now and then, is not noticed. Of several
processors (uMPS3's) the first is looked at. Processors whose state does not tell are not.
"""

from collections.abc import Mapping
from typing import Any, Final

from emulators.machine import Machine

SAMPLES: Final = 5
"""Chosen: kernels stay with interrupts off for milliseconds, firmware for a second or two."""
REACH_OCTETS: Final = 256
"""Chosen: loops that wait are a few instructions; decompressors, which work with interrupts off, are longer."""
EFLAGS_IF: Final = 1 << 9  # Intel SDM vol. 1, 3.4.3
MSR_EE: Final = 1 << 15  # PowerPC: PEM table 2-5
STATUS_IE, STATUS_EXL, STATUS_EXL_ERL, STATUS_IM = 1, 2, 6, 0xFF00  # MD00090 table 9.28; an R3000's IEc is IE

UMPS3_RAM = 0x2000_0000  # uMPS3's ROMs are below


def interrupts_off(state: Mapping[str, Any], *, waits: bool = False) -> bool | None:
    """None: the state does not tell.

    `waits`: a 24K's WAIT ends for what the mask lets through (Config7.WII), uMPS3's for every interrupt.
    """
    if "eflags" in state:
        return not state["eflags"] & EFLAGS_IF
    if "errorepc" in state and waits:
        return not state["status"] & STATUS_IM
    if "errorepc" in state:
        return bool(state["status"] & (STATUS_IE | STATUS_EXL_ERL) != STATUS_IE)
    if "mtc0_register" in state:
        return not waits and not (state["status"] & STATUS_IE and state["status"] & STATUS_IM)
    if "msr" in state:
        return not state["msr"] & MSR_EE
    return None


def place(state: Mapping[str, Any]) -> int:
    """The linear address of the instruction."""
    if "eip" in state:
        return int(state["cs.base"] + state["eip"] & 0xFFFFFFFF)
    return int(state["pc"])


def exception_at(state: Mapping[str, Any]) -> int | None:
    """Where the exception happened that a MIPS handles; None: it handles none, or is another processor."""
    if "errorepc" in state and state["status"] & STATUS_EXL:
        return int(state["epc"])
    if "mtc0_register" in state and state["cause"] and (state["pc"] < UMPS3_RAM or state["pc"] == state["epc"]):
        return int(state["epc"])
    return None


class SpinWatch:
    """Watches one machine after the other."""

    def __init__(self) -> None:
        self._next_tick = 0
        self._first: int | None = None
        self._samples = 0
        self._waited = False
        self.text = ""

    def look(self, machine: Machine, *, waits: bool = False, for_ever: bool = False) -> str | None:
        """To be called between runs of the machine.

        Args:
            machine: which.
            waits: for an interrupt, at this moment.
            for_ever: no device will do anything by itself.

        Returns:
            What is to be told now, "" if what was told is over; None: nothing has changed.
        """
        tick = machine.cpu.ticks
        self._waited |= waits
        if not for_ever and self._next_tick - machine.ticks_hz <= tick < self._next_tick:
            return None
        self._next_tick = tick + machine.ticks_hz
        state = machine.cpu.state()
        pc, handled = place(state), exception_at(state)
        here = pc if handled is None else handled
        works = not interrupts_off(state, waits=waits) or (self._waited and not waits)
        self._waited = waits
        if works:
            self._first, self._samples = None, 0
        elif self._first is None or abs(here - self._first) >= REACH_OCTETS:
            self._first, self._samples = here, 1
        else:
            self._samples += 1
        text = ""
        if waits and (self._samples >= SAMPLES or (for_ever and not works)):
            text = f"waits with interrupts off, at pc {_name(machine, pc)}"
        elif self._samples >= SAMPLES:
            text = self.text if self.text.startswith("spinning") else f"spinning at pc {_name(machine, pc)}"
            if handled is not None and text != self.text:
                text += f", in the exception at pc {_name(machine, handled)}"
        if text == self.text:
            return None
        self.text = text
        return text


def _name(machine: Machine, pc: int) -> str:
    symbol = machine.symbol(pc)
    return f"{pc:#010x}{f' ({symbol})' if symbol else ''}"
