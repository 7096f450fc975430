"""A toy processor that obeys the engine contract, and a board around it: for tests of what runs machines.

Memory holds 32-bit little-endian words. An instruction is one octet of operation and three of operand:

    0 nothing    1 acc = operand    2 acc += operand    3 acc = [operand]    4 [operand] = acc    5 jump to operand
    6 wait for an interrupt         7 jump to operand if acc is not 0        8 return from the handler
    9 let interrupts in             10 compare = ticks + operand

`[0x8000…]` and above is no memory: devices. The handler is at 0x100; line 7 is the processor's own timer.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgpack

from emulators import exits
from emulators.bus import Bus
from emulators.device import Irq, State, Timeline
from emulators.machine import Events, Machine, Region
from emulators.outside import Outside
from emulators.snapshot import take_int

MEMORY_OCTETS = 0x8000
HANDLER = 0x100
NOTHING, SET, ADD, LOAD, STORE, JUMP, WAIT, LOOP, RETURN, LET, COMPARE = range(11)
TIMER_LINE = 7


def program(*instructions: tuple[int, int] | int) -> bytes:
    """Instructions, one word each; an operation alone has operand 0."""
    pairs = [one if isinstance(one, tuple) else (one, 0) for one in instructions]
    return b"".join(struct.pack("<I", op | operand << 8) for op, operand in pairs)


class ToyVm:
    def __init__(self) -> None:
        self.octets = bytearray(MEMORY_OCTETS)

    def read(self, gpa: int, octets: int, /) -> bytes:
        if gpa + octets > MEMORY_OCTETS:
            raise ValueError(gpa)
        return bytes(self.octets[gpa : gpa + octets])

    def write(self, gpa: int, data: bytes, /) -> None:
        if gpa + len(data) > MEMORY_OCTETS:
            raise ValueError(gpa)
        self.octets[gpa : gpa + len(data)] = data


FIELDS = ("pc", "acc", "epc", "enabled", "lines", "compare", "icount", "skipped", "waiting")


class ToyCpu:
    def __init__(self, vm: ToyVm) -> None:
        self.vm = vm
        self.pc = self.acc = self.epc = self.enabled = self.lines = self.icount = self.skipped = self.waiting = 0
        self.compare = 0
        self.breakpoints: set[int] = set()
        self.watchpoints: set[tuple[int, int, str]] = set()
        self._pending: exits.Mmio | None = None
        self._kicked = False
        self._watched: exits.Debug | None = None

    def add_breakpoint(self, va: int) -> None:
        self.breakpoints.add(va)

    def remove_breakpoint(self, va: int) -> None:
        self.breakpoints.remove(va)

    def add_watchpoint(self, va: int, size: int, kind: str) -> None:
        self.watchpoints.add((va, size, kind))

    def remove_watchpoint(self, va: int, size: int, kind: str) -> None:
        self.watchpoints.remove((va, size, kind))

    def translate(self, va: int, access: str) -> int | None:
        return va if va < MEMORY_OCTETS else None

    @property
    def ticks(self) -> int:
        return self.icount + self.skipped

    def kick(self) -> None:
        self._kicked = True

    def set_ip(self, line: int, level: bool) -> None:
        self.lines = self.lines | 1 << line if level else self.lines & ~(1 << line)

    def next_timer(self) -> int | None:
        return self.compare - self.ticks if self.compare > self.ticks else None

    def skip(self, ticks: int, /) -> None:
        assert ticks >= 0
        timer = self.next_timer()
        if timer is not None and ticks > timer:
            raise ValueError("past the timer")
        self.skipped += ticks
        self._timer()

    def _timer(self) -> None:
        if self.compare and self.ticks >= self.compare:
            self.set_ip(TIMER_LINE, True)

    def run(self, budget_insns: int, /) -> exits.Exit:
        for _ in range(budget_insns):
            if self._pending is not None:
                if self._pending.direction == "read":
                    assert self._pending.data is not None
                    self.acc = int.from_bytes(self._pending.data, "little")
                self._pending = None
                self._retire(self.pc + 4)
                continue
            if self._kicked:
                self._kicked = False
                return exits.Kicked()
            if self.lines:
                self.waiting = 0
            if self.lines and self.enabled:
                self.epc, self.pc, self.enabled = self.pc, HANDLER, 0
            if self.waiting:
                return exits.Halt()
            if self.pc in self.breakpoints:
                return exits.Debug("breakpoint", self.pc)
            if (exit_ := self._step()) is not None:
                return exit_
            if self._watched is not None:
                watched, self._watched = self._watched, None
                return watched
        return exits.Budget()

    def _retire(self, pc: int) -> None:
        self.pc = pc
        self.icount += 1
        self._timer()

    def _step(self) -> exits.Exit | None:
        word = struct.unpack("<I", self.vm.read(self.pc, 4))[0]
        op, operand = word & 0xFF, word >> 8
        pc = self.pc + 4
        match op:
            case 0:
                pass
            case 1:
                self.acc = operand
            case 2:
                self.acc = (self.acc + operand) & 0xFFFFFFFF
            case 3 | 4 if operand >= MEMORY_OCTETS:
                data = None if op == LOAD else self.acc.to_bytes(4, "little")
                self._pending = exits.Mmio("read" if op == LOAD else "write", operand, 4, data)
                return self._pending
            case 3:
                self._watch("read", operand)
                self.acc = int.from_bytes(self.vm.read(operand, 4), "little")
            case 4:
                self._watch("write", operand)
                self.vm.write(operand, self.acc.to_bytes(4, "little"))
            case 5:
                pc = operand
            case 6:
                self.waiting = 1
            case 7:
                pc = operand if self.acc else pc
            case 8:
                pc, self.enabled = self.epc, 1
            case 9:
                self.enabled = 1
            case 10:
                self.compare = self.ticks + operand
                self.set_ip(TIMER_LINE, False)
            case _:
                return exits.InternalError(self.pc, word.to_bytes(4, "little"))
        self._retire(pc)
        return None

    def _watch(self, kind: Literal["read", "write"], address: int) -> None:
        for va, size, wanted in self.watchpoints:
            if va < address + 4 and address < va + size and wanted in (kind, "access"):
                self._watched = exits.Debug("watch-read" if kind == "read" else "watch-write", address)

    def state(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in FIELDS}

    def set_state(self, state: Mapping[str, Any], /) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    @property
    def pending(self) -> exits.Mmio | None:
        return self._pending if self._pending is not None and self._pending.direction == "read" else None

    def snapshot(self) -> bytes:
        access = self._pending
        pending = None if access is None else [access.direction, access.gpa]
        octets: bytes = msgpack.packb({"toy": 1, **self.state(), "pending": pending})
        return octets

    def restore(self, octets: bytes, /) -> None:
        try:
            state = msgpack.unpackb(octets)
        except ValueError:
            raise
        if not isinstance(state, dict) or state.pop("toy", 0) != 1 or set(state) != {*FIELDS, "pending"}:
            raise ValueError("not a toy's")
        match state.pop("pending"):
            case None:
                self._pending = None
            case ["read" | "write" as direction, int(gpa)]:
                self._pending = exits.Mmio(direction, gpa, 4)
            case _:
                raise ValueError("no access")
        self.set_state(state)


class Alarm:
    """+0 count of alarms, +4 write: alarm in so many ns, +8 write: line off, +12: polled, 1 every other millisecond."""

    def __init__(self, irq: Irq, timeline: Timeline, warp: Callable[[int], None]) -> None:
        self._irq = irq
        self._timeline = timeline
        self._warp = warp
        self.alarms = 0
        self.at: int | None = None
        self.polls = 0

    def read(self, offset: int, size: int) -> int:
        if offset == 12:
            self.polls += 1
            if self.polls % 8 == 0:
                self._warp((self._timeline.now_ns // 1_000_000 + 1) * 1_000_000)
            return self._timeline.now_ns // 1_000_000 & 1
        return self.alarms

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == 4:
            self.at = self._timeline.now_ns + value
        elif offset == 8:
            self._irq(False)
        elif offset == 16:
            raise ZeroDivisionError("a bug of the device")

    def next_deadline(self) -> int | None:
        return self.at

    def handle_timer(self, now_ns: int) -> None:
        self.at = None
        self.alarms += 1
        self._irq(True)

    def state(self) -> State:
        return {"version": 1, "alarms": self.alarms, "at": -1 if self.at is None else self.at, "polls": self.polls}

    def from_state(self, state: State) -> None:
        self.alarms = take_int(state, "alarms", 1 << 32)
        self.polls = take_int(state, "polls", 1 << 32)
        self.at = None if state["at"] == -1 else take_int(state, "at", 1 << 63)


class Port:
    """+0 read: an octet that came, or 0; +4 write: an octet goes out; +8 write: power off with the code; +12: reset."""

    timed = False

    def __init__(self, irq: Irq, out: Callable[[bytes], None], events: Events) -> None:
        self._irq, self._out, self._events = irq, out, events
        self.inbox = bytearray()

    def receive(self, octets: bytes) -> None:
        self.inbox += octets
        self._irq(True)

    def read(self, offset: int, size: int) -> int:
        if not self.inbox:
            return 0
        octet = self.inbox.pop(0)
        self._irq(bool(self.inbox))
        return octet

    def write(self, offset: int, size: int, value: int) -> None:
        match offset:
            case 4:
                self._out(bytes([value & 0xFF]))
            case 8:
                self._events.power_off(value)
            case 12:
                self._events.reset()

    def next_deadline(self) -> int | None:
        return None

    def handle_timer(self, now_ns: int) -> None:
        raise AssertionError

    def state(self) -> State:
        return {"version": 1, "inbox": bytes(self.inbox)}

    def from_state(self, state: State) -> None:
        self.inbox = bytearray(state["inbox"])


class Card:
    """Sends every frame back that it gets, with its octets reversed."""

    timed = False

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self.frames = 0
        self.up = False

    def receive(self, frame: bytes) -> None:
        self.frames += 1
        self._send(frame[::-1])

    def link(self, up: bool) -> None:
        self.up = up

    def read(self, offset: int, size: int) -> int:
        return self.frames

    def write(self, offset: int, size: int, value: int) -> None:
        pass

    def next_deadline(self) -> int | None:
        return None

    def handle_timer(self, now_ns: int) -> None:
        raise AssertionError

    def state(self) -> State:
        return {"version": 1, "frames": self.frames}

    def from_state(self, state: State) -> None:
        self.frames = take_int(state, "frames", 1 << 32)


ALARM, PORT, CARD = 0x8000, 0x9000, 0xA000
ALARM_COUNT, ALARM_IN, ALARM_OFF, ALARM_POLL, ALARM_BUG = ALARM, ALARM + 4, ALARM + 8, ALARM + 12, ALARM + 16
PORT_IN, PORT_OUT, PORT_POWER, PORT_RESET = PORT, PORT + 4, PORT + 8, PORT + 12
TICKS_HZ = 1_000_000


def toy(code: bytes, outside: Outside, handler: bytes = program(RETURN), ticks_hz: int = TICKS_HZ) -> Machine:
    """A board with the toy processor: one million ticks a second."""
    vm, timeline, events = ToyVm(), Timeline(), Events()
    cpu = ToyCpu(vm)
    bus = Bus(lambda address, size: 0)
    console, cable = outside.console("serial0"), outside.nic(0)
    alarm = Alarm(lambda level: cpu.set_ip(2, level), timeline, events.warp)
    port = Port(lambda level: cpu.set_ip(3, level), console.out, events)
    card = Card(cable.send)
    console.on_input = port.receive
    cable.on_frame, cable.on_link = card.receive, card.link
    bus.map(ALARM, 32, alarm, name="alarm")
    bus.map(PORT, 16, port, name="port")
    bus.map(CARD, 16, card, name="card")
    vm.write(0, code)
    vm.write(HANDLER, handler)
    return Machine(
        board="toy",
        cpu=cpu,
        vm=vm,
        bus=bus,
        timeline=timeline,
        events=events,
        ticks_hz=ticks_hz,
        devices={"alarm": alarm, "port": port, "card": card},
        memory=(Region("ram", 0, MEMORY_OCTETS),),
    )
