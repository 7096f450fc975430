"""What GDB asks of a machine, answered. Sans-I/O: packets' data in, answers out, the machine an argument.

Specification: GDB manual, appendix E "GDB Remote Serial Protocol", "Packets", "Stop Reply Packets", "General Query
Packets", "Target Descriptions".

Packets: ? g G p P m M X c C s S D k H T Z0 Z1 Z2 Z3 Z4 z, vCont, vKill, qSupported, QStartNoAckMode, qXfer of the
target description, qAttached, qC, qfThreadInfo, qThreadExtraInfo, qRcmd (`monitor ticks`, `monitor hash`).
Everything else is answered by an empty packet, which means "unknown".

Theory of operation. Memory is read and written through the processor's own translation, and only memory: a debugger
that looks at a device's registers would change it. A single step is one instruction, and with a branch its delay slot
as well, so that GDB never sees a machine between the two. GDB removes breakpoints before it steps over one; another
processor that comes to it in that very tick passes it. Threads are processors (`emulators.gdb.threads`).

Limits: `MOST_POINTS` breakpoints and watchpoints.
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from emulators.gdb import threads
from emulators.gdb.packets import PACKET_OCTETS
from emulators.machine import Debugged, End, Kicked, Machine, Outcome, PoweredOff

PAGE_OCTETS = 4096
MOST_POINTS = 1024
"""Chosen: a person sets tens."""
SIGINT, SIGTRAP = 2, 5  # GDB's own numbers (include/gdb/signals.def)
STEP_KICKS = 1000
"""How often a step may be kept from its instruction by kicks. Chosen."""

_WATCHES: Mapping[str, Literal["write", "read", "access"]] = {"2": "write", "3": "read", "4": "access"}
_FAILED = b"E01"
_NO_MEMORY = b"E0e"  # EFAULT


class Registers(Protocol):
    """How GDB sees a processor's registers."""

    description: bytes
    """target.xml."""

    def count(self) -> int:
        """How many `g` has."""
        ...

    def read(self, state: Mapping[str, Any], number: int) -> bytes:
        """One, in the target's order of octets. Raises KeyError: there is no such register."""
        ...

    def write(self, state: Mapping[str, Any], number: int, octets: bytes) -> Mapping[str, Any]:
        """The change for `set_state`, from the state now. Raises KeyError, ValueError."""
        ...

    def in_delay_slot(self, state: Mapping[str, Any]) -> bool:
        """Is the next instruction the second half of a branch?"""
        ...

    def jump(self, state: Mapping[str, Any], address: int) -> Mapping[str, Any]:
        """The change for `set_state` that lets the processor go on at `address`."""
        ...


@dataclass(frozen=True, slots=True)
class Resume:
    """Let the machine run on."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The debugger goes: the machine runs on, or ends."""

    kill: bool


Answer = bytes | Resume | Leave


class Stub:
    """One debugger's session with a machine."""

    def __init__(self, registers: Registers) -> None:
        self._registers = registers
        self._stopped = b"S05"
        self._thread = threads.FIRST
        self._breakpoints: set[int] = set()
        self._watchpoints: set[tuple[int, int, Literal["write", "read", "access"]]] = set()
        self.no_ack = False

    # -- stops

    def stopped(self, stop: Debugged | None) -> bytes:
        """The stop reply for what the runner told: where, or None: it was asked to."""
        if stop is None:
            self._stopped = self._reply(SIGINT)
        else:
            self._thread = threads.FIRST + stop.exit.processor
            self._stopped = self._reply(SIGTRAP, _reason(stop))
        return self._stopped

    def _reply(self, signal: int, reason: bytes = b"") -> bytes:
        return b"T%02xthread:%x;%b" % (signal, self._thread, reason)

    def arm(self, machine: Machine) -> None:
        """Set the points in a machine that was built anew."""
        cpu: Any = machine.cpu
        for address in self._breakpoints:
            cpu.add_breakpoint(address)
        for address, size, kind in self._watchpoints:
            cpu.add_watchpoint(address, size, kind)

    def disarm(self, machine: Machine) -> None:
        """Remove all points."""
        cpu: Any = machine.cpu
        for address in self._breakpoints:
            cpu.remove_breakpoint(address)
        for address, size, kind in self._watchpoints:
            cpu.remove_watchpoint(address, size, kind)
        self._breakpoints.clear()
        self._watchpoints.clear()

    # -- packets

    def answer(self, data: bytes, machine: Machine) -> Answer:
        """Answer a packet; the machine stands still.

        Raises:
            InternalError: a step met a bug of a device or an engine.
        """
        try:
            return self._answer(data.decode("latin-1"), data, machine)
        except (ValueError, KeyError, IndexError, OverflowError):
            return _FAILED

    def _answer(self, text: str, data: bytes, machine: Machine) -> Answer:
        rest = text[1:]
        match text[:1]:
            case "?":
                return self._stopped
            case "g":
                return self._all(threads.state(machine, self._thread))
            case "G":
                return self._set_all(bytes.fromhex(rest), machine)
            case "p":
                return binascii.hexlify(self._registers.read(threads.state(machine, self._thread), int(rest, 16)))
            case "P":
                number, _, value = rest.partition("=")
                return self._set(int(number, 16), bytes.fromhex(value), machine)
            case "m":
                return self._read(*_numbers(rest), machine)
            case "M":
                place, _, digits = rest.partition(":")
                return self._write(*_numbers(place), bytes.fromhex(digits), machine)
            case "X":
                head, _, octets = data.partition(b":")
                return self._write(*_numbers(head[1:].decode("latin-1")), octets, machine)
            case "c" | "s":
                return self._go(text[0], rest, machine)
            case "C" | "S":
                return self._go(text[0].lower(), rest.partition(";")[2], machine)
            case "v":
                return self._v(text, machine)
            case "Z" | "z":
                return self._point(text[0] == "Z", rest, machine)
            case "D":
                return Leave(kill=False)
            case "k":
                return Leave(kill=True)
            case "H":
                self._thread = threads.number(rest[1:], self._thread, machine)
                return b"OK"
            case "T":
                threads.number(rest, self._thread, machine)
                return b"OK"
            case "q" | "Q":
                return self._query(text, machine)
            case _:
                return b""

    def _query(self, text: str, machine: Machine) -> bytes:
        name, _, rest = text.partition(":")
        match name:
            case "qSupported":
                return (
                    b"PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;swbreak+;hwbreak+;vContSupported+"
                    % PACKET_OCTETS
                )
            case "QStartNoAckMode":
                self.no_ack = True
                return b"OK"
            case "qXfer" if rest.startswith("features:read:target.xml:"):
                return self._description(*_numbers(rest.rpartition(":")[2]))
            case "qAttached":
                return b"1"
            case "qC":
                return b"QC%x" % self._thread
            case "qfThreadInfo":
                return b"m" + b",".join(b"%x" % (threads.FIRST + one) for one in range(threads.count(machine)))
            case "qsThreadInfo":
                return b"l"
            case "qSymbol":
                return b"OK"
        if name.startswith("qThreadExtraInfo,"):
            thread = threads.number(name.removeprefix("qThreadExtraInfo,"), self._thread, machine)
            return binascii.hexlify(threads.about(machine, thread).encode())
        if name.startswith("qRcmd,"):
            said = _monitor(bytes.fromhex(name.removeprefix("qRcmd,")).decode("latin-1").strip(), machine)
            return binascii.hexlify(said.encode())
        return b""

    def _v(self, text: str, machine: Machine) -> Answer:
        if text == "vCont?":
            return b"vCont;c;C;s;S"
        if text.startswith("vCont;"):
            return self._continue(text.removeprefix("vCont;").split(";"), machine)
        return Leave(kill=True) if text.startswith("vKill") else b""

    def _continue(self, actions: list[str], machine: Machine) -> Answer:
        """`vCont`: whoever is to step does, and the others run meanwhile; with no such, all go on."""
        if any(action[:1] not in ("c", "C", "s", "S") for action in actions):
            return _FAILED
        for action in actions:
            what, colon, thread = action.partition(":")
            if what[:1] in ("s", "S"):
                self._thread = threads.number(thread, self._thread, machine) if colon else self._thread
                return self._step(machine)
        return Resume()

    def _description(self, offset: int, octets: int) -> bytes:
        whole = self._registers.description
        part = whole[offset : offset + min(octets, PACKET_OCTETS // 2)]
        return (b"m" if offset + len(part) < len(whole) else b"l") + part

    # -- registers and memory

    def _all(self, state: Mapping[str, Any]) -> bytes:
        parts = [self._registers.read(state, number) for number in range(self._registers.count())]
        return binascii.hexlify(b"".join(parts))

    def _set_all(self, octets: bytes, machine: Machine) -> bytes:
        at = 0
        for number in range(self._registers.count()):
            state = threads.state(machine, self._thread)
            size = len(self._registers.read(state, number))
            if at + size > len(octets):
                break
            threads.set_state(machine, self._thread, self._registers.write(state, number, octets[at : at + size]))
            at += size
        return b"OK"

    def _set(self, number: int, octets: bytes, machine: Machine) -> bytes:
        state = threads.state(machine, self._thread)
        threads.set_state(machine, self._thread, self._registers.write(state, number, octets))
        return b"OK"

    def _read(self, address: int, octets: int, machine: Machine) -> bytes:
        found = bytearray()
        for at, size in _pages(address, min(octets, PACKET_OCTETS // 2)):
            gpa = threads.translate(machine, self._thread, at)
            try:
                if gpa is None:
                    break
                found += machine.vm.read(gpa, size)
            except ValueError:
                break
        return binascii.hexlify(bytes(found)) if found or not octets else _NO_MEMORY

    def _write(self, address: int, octets: int, data: bytes, machine: Machine) -> bytes:
        if len(data) != octets:
            return _FAILED
        done = 0
        for at, size in _pages(address, octets):
            gpa = threads.translate(machine, self._thread, at)
            try:
                if gpa is None:
                    return _NO_MEMORY
                machine.vm.write(gpa, data[done : done + size])
            except ValueError:
                return _NO_MEMORY
            done += size
        return b"OK"

    # -- running

    def _go(self, how: str, address: str, machine: Machine) -> Answer:
        if address:
            state = threads.state(machine, self._thread)
            threads.set_state(machine, self._thread, self._registers.jump(state, int(address, 16)))
        if how == "c":
            return Resume()
        return self._step(machine)

    def _step(self, machine: Machine) -> bytes:
        outcome = _ticks(threads.ticks_of_step(machine, self._thread), machine)
        while not isinstance(outcome, Debugged | End) and self._registers.in_delay_slot(
            threads.state(machine, self._thread)
        ):
            outcome = _ticks(1, machine)
        if isinstance(outcome, End):
            return exited(outcome)
        if isinstance(outcome, Debugged):
            return self.stopped(outcome)
        self._stopped = self._reply(SIGTRAP)
        return self._stopped

    def _point(self, insert: bool, rest: str, machine: Machine) -> bytes:
        kind, address_text, size_text = rest.partition(";")[0].split(",")
        address, size = int(address_text, 16), int(size_text, 16)
        cpu: Any = machine.cpu
        if insert and len(self._breakpoints) + len(self._watchpoints) >= MOST_POINTS:
            return _FAILED
        if kind in ("0", "1"):
            if insert and address not in self._breakpoints:
                cpu.add_breakpoint(address)
                self._breakpoints.add(address)
            elif not insert and address in self._breakpoints:
                cpu.remove_breakpoint(address)
                self._breakpoints.discard(address)
            return b"OK"
        if kind not in _WATCHES or not 0 < size <= PAGE_OCTETS:
            return b"" if kind not in _WATCHES else _FAILED
        point = (address, size, _WATCHES[kind])
        if insert and point not in self._watchpoints:
            cpu.add_watchpoint(*point)
            self._watchpoints.add(point)
        elif not insert and point in self._watchpoints:
            cpu.remove_watchpoint(*point)
            self._watchpoints.discard(point)
        return b"OK"


def exited(end: End | None) -> bytes:
    """The reply for a machine that has ended."""
    return b"W%02x" % (end.code & 0xFF if isinstance(end, PoweredOff) else 0)


def _ticks(ticks: int, machine: Machine) -> Outcome:
    """Let so many ticks pass one by one, as far as nothing happens that GDB is to know."""
    outcome = _one(machine)
    for _ in range(ticks - 1):
        if isinstance(outcome, Debugged | End):
            break
        outcome = _one(machine)
    return outcome


def _one(machine: Machine) -> Outcome:
    outcome = machine.run_for(1)
    for _ in range(STEP_KICKS):
        if not isinstance(outcome, Kicked):
            break
        outcome = machine.run_for(1)
    return outcome


def _reason(stop: Debugged) -> bytes:
    exit_ = stop.exit
    if exit_.reason == "breakpoint":
        return b"hwbreak:;"
    return b"%s:%x;" % (b"rwatch" if exit_.reason == "watch-read" else b"watch", exit_.address)


def _monitor(command: str, machine: Machine) -> str:
    match command:
        case "ticks":
            return f"{machine.cpu.ticks} ticks, {machine.cpu.icount} instructions, {machine.now_ns} ns\n"
        case "hash":
            return f"{machine.state_hash()}\n"
        case _:
            return "monitor ticks: the clock; monitor hash: of the whole machine\n"


def _numbers(text: str) -> tuple[int, int]:
    first, second = text.split(",")
    return int(first, 16), int(second, 16)


def _pages(address: int, octets: int) -> list[tuple[int, int]]:
    """The pieces of a range that lie in one page each; addresses wrap at 4 GiB."""
    pieces = []
    while octets > 0:
        size = min(octets, PAGE_OCTETS - address % PAGE_OCTETS)
        pieces.append((address & 0xFFFFFFFF, size))
        address, octets = address + size, octets - size
    return pieces
