"""A machine: processor, memory, bus and devices, run to the exact tick.

Specification: `docs/engine.md` (the engine contract), `docs/architecture` ("Time is an argument").

Theory of operation. One tick is one instruction or one skipped cycle; virtual time is ticks × 10⁹ / `ticks_hz`.
`run_for` gives the processor a budget that ends where the earliest device deadline is, so a timer fires at one tick
whatever the host does. An access that meets no memory is an exit, goes over the bus to a device, and back; then the
devices that can have deadlines are asked for them again. A halted processor takes no budget: the clock skips to
the next deadline or to the processor's own timer. A device whose register is polled may `warp` the clock: the next
reads come later, as if the guest had spun until then.

Inputs (octets, frames, cables) reach devices only between two calls of `run_for`, at a tick that the caller knows.
With the same image and the same inputs at the same ticks, `state_hash` is the same at every tick, however the run was
cut into calls, and whether or not it went through `snapshot` and `restore`.

Errors: what a device raises is our bug, and becomes an `InternalError` that names the device, the access and the
program counter. What the guest does wrong is either the guest's own business or a `Fault`.

Limits: 4 GiB of memory; a device that asks for the same moment again and again is stopped after `LIVELOCK` rounds.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgpack

from emulators import exits, snapshot
from emulators.bus import Bus, BusError
from emulators.device import Device, Timeline
from emulators.snapshot import SnapshotError, take, take_int
from vde.errors import InternalError, VdeError

NS_PER_S = 1_000_000_000
LIVELOCK = 100_000
"""Rounds of timers at one and the same tick. Chosen: far above any catch-up of a device, 0.1 s of the host."""
BUS_ERROR = b""
"""In a snapshot: what a read that waits was answered."""
CHUNK_OCTETS = 1 << 20
"""Memory is hashed and saved in pieces of this size. Chosen."""


class Memory(Protocol):
    """The part of an engine's `Vm` that a machine uses."""

    def read(self, gpa: int, octets: int, /) -> bytes: ...  # noqa: D102
    def write(self, gpa: int, data: bytes, /) -> None: ...  # noqa: D102


class Processor(Protocol):
    """The engine contract, as far as a machine uses it (`docs/engine.md`)."""

    @property
    def ticks(self) -> int: ...  # noqa: D102
    @property
    def icount(self) -> int: ...  # noqa: D102
    @property
    def pending(self) -> exits.Mmio | exits.Io | None: ...  # noqa: D102
    def run(self, budget_insns: int, /) -> exits.Exit: ...  # noqa: D102
    def kick(self) -> None: ...  # noqa: D102
    def skip(self, ticks: int, /) -> None: ...  # noqa: D102
    def next_timer(self) -> int | None: ...  # noqa: D102
    def state(self) -> Mapping[str, Any]: ...  # noqa: D102
    def set_state(self, state: Mapping[str, Any], /) -> None: ...  # noqa: D102
    def snapshot(self) -> bytes: ...  # noqa: D102
    def restore(self, octets: bytes, /) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Region:
    """Memory that belongs to the machine's state."""

    name: str
    gpa: int
    octets: int


@dataclass(frozen=True, slots=True)
class Done:
    """The ticks are done."""


@dataclass(frozen=True, slots=True)
class Idle:
    """The processor waits. `until_tick`: when something is due; None: only an input can wake it."""

    until_tick: int | None


@dataclass(frozen=True, slots=True)
class Kicked:
    """Somebody called `kick`."""


@dataclass(frozen=True, slots=True)
class Debugged:
    """A breakpoint or watchpoint was met."""

    exit: exits.Debug


@dataclass(frozen=True, slots=True)
class Halted:
    """The guest stopped for good (Linux' halt, a kernel's HALT or PANIC service). `code`: what it said about it."""

    code: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class PoweredOff:
    """The guest switched the machine off."""

    code: int = 0


@dataclass(frozen=True, slots=True)
class Reset:
    """Build the machine again: the guest asked for it, or, as `text` says, brought it about."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """The guest cannot go on. `text` names pc, instruction and reason."""

    text: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The guest has come to a breakpoint of the user's. `text` names processor, pc and symbol."""

    text: str


End = Halted | PoweredOff | Reset | Fault | Broken
Outcome = Done | Idle | Kicked | Debugged | End


class Events:
    """What devices may ask of the machine. The board makes it, gives its methods to devices, and it to the machine."""

    def __init__(self) -> None:
        self.end: End | None = None
        self.warp_ns: int | None = None

    def power_off(self, code: int = 0) -> None:
        """The guest switched the machine off."""
        self._set(PoweredOff(code))

    def reset(self, text: str = "") -> None:
        """The guest asked for a reset; `text`: or did not, but this."""
        self._set(Reset(text))

    def halt(self, code: int = 0, text: str = "") -> None:
        """The guest stopped for good."""
        self._set(Halted(code, text))

    def fault(self, text: str) -> None:
        """The guest cannot go on."""
        self._set(Fault(text))

    def warp(self, until_ns: int) -> None:
        """A register is polled that changes at `until_ns`: let it be then at once. Another device's deadline or the
        processor's timer, if earlier, ends the warp."""
        self.warp_ns = until_ns

    def _set(self, end: End) -> None:
        if self.end is None:
            self.end = end


class Machine:
    """One machine.

    Args:
        board: its name, which snapshots carry.
        cpu, vm: of one engine.
        bus: where accesses without memory go.
        timeline: what the devices were given; the machine sets it.
        events: whose methods the devices were given.
        ticks_hz: ticks of one second of virtual time.
        devices: all of them, by name, in an order that is always the same. One whose class says `timed = False`
            never has a deadline.
        memory: what belongs to the state.
        ports: the port space of an i386.
        hypercall: takes the number of a guest's call to the host.
        exception: handles an exception that the board had intercepted; True: the guest goes on behind it (the
            handler has set the state), False: the guest gets the exception.
        interrupt: the processor's interrupt window is open: acknowledge the controller and inject the vector (i386).
        shutdown: the processor has shut down, at this place; by default a fault that says where.
        waiting: the processor waits; True: something has come of that, it is to go on.
        symbol: names a virtual address, for messages.
        locate: (address, octets) of a symbol.
        notes: what the user may want to know of how it starts.
    """

    def __init__(
        self,
        *,
        board: str,
        cpu: Processor,
        vm: Memory,
        bus: Bus,
        timeline: Timeline,
        events: Events,
        ticks_hz: int,
        devices: Mapping[str, Device],
        memory: tuple[Region, ...],
        ports: Bus | None = None,
        hypercall: Callable[[int], None] | None = None,
        exception: Callable[[exits.ExceptionTaken], None] | None = None,
        interrupt: Callable[[], None] | None = None,
        shutdown: Callable[[str], None] | None = None,
        waiting: Callable[[], bool] = lambda: False,
        symbol: Callable[[int], str | None] = lambda address: None,
        locate: Callable[[str], tuple[int, int] | None] = lambda name: None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.board = board
        self.notes = notes
        self.cpu = cpu
        self.vm = vm
        self.bus = bus
        self.timeline = timeline
        self.events = events
        self.ticks_hz = ticks_hz
        self.devices = dict(devices)
        self.memory = memory
        self.symbol = symbol
        self.locate = locate
        self.exits = 0
        self.ports = ports
        self._hypercall = hypercall
        self._exception = exception
        self._interrupt = interrupt
        self._shutdown = shutdown
        self._waiting = waiting
        self._timed = [(name, device) for name, device in devices.items() if getattr(device, "timed", True)]
        self._asking = [device.next_deadline for _, device in self._timed]
        self._deadline: int | None = None
        self._warp_to: int | None = None
        self._still = 0

    # -- time

    @property
    def now_ns(self) -> int:
        """Virtual time."""
        return self.cpu.ticks * NS_PER_S // self.ticks_hz

    def tick_of(self, ns: int) -> int:
        """The first tick at which virtual time is `ns` or later."""
        return -(-ns * self.ticks_hz // NS_PER_S)

    def skip_to(self, tick: int) -> None:
        """Let an idle machine's clock pass to `tick`, and what is due until then happen; `run_for` goes on from there.

        `tick` must not be beyond the `until_tick` of the `Idle` that was answered.
        """
        if tick > self.cpu.ticks:
            self.cpu.skip(tick - self.cpu.ticks)
        self._take_time()

    def kick(self) -> None:
        """Have `run_for` return soon; from any thread. One that is not running returns at once the next time."""
        self.cpu.kick()

    # -- running

    @property
    def end(self) -> End | None:
        """How the machine ended, if it did."""
        return self.events.end

    def run_for(self, ticks: int, *, skip_idle: bool = True) -> Outcome:
        """Go on for `ticks` ticks, or until something happens that the caller must know.

        Args:
            ticks: how many; they may end earlier, never later.
            skip_idle: pass the time at once while the processor waits. Otherwise `Idle` is answered whenever it does.

        Returns:
            `Idle` with `skip_idle`: nothing is due within the ticks, which are all done (`until_tick` may be later).

        Raises:
            InternalError: a bug of a device or an engine.
        """
        try:
            return self._run_for(ticks, skip_idle=skip_idle)
        except VdeError:
            raise
        except Exception as error:
            raise InternalError(f"{self.board}: {error!r} {self._where()}") from error

    def _run_for(self, ticks: int, *, skip_idle: bool) -> Outcome:
        cpu, timeline, hz = self.cpu, self.timeline, self.ticks_hz
        stop = cpu.ticks + ticks
        self._take_time()
        while True:
            if self.events.end is not None:
                return self.events.end
            if self._warp_to is not None:
                self._warp(self._warp_to, stop)
            now = cpu.ticks
            if now >= stop:
                return Done()
            deadline = self._deadline
            self.exits += 1
            exit_ = cpu.run((stop if deadline is None or deadline > stop else deadline) - now)
            timeline.now_ns = cpu.ticks * NS_PER_S // hz
            if type(exit_) is exits.Mmio:
                self._access(exit_, self.bus, exit_.gpa)
                self._ask()
                continue
            outcome: Outcome | None = None
            if type(exit_) is exits.Budget:
                self._fire()
            elif type(exit_) is exits.Halt:
                if self._waiting():
                    continue
                outcome = self._halted(stop, skip_idle=skip_idle)
            else:
                outcome = self._other(exit_)
            if outcome is not None:
                return outcome

    def _take_time(self) -> None:
        """Set the devices' clock, and do what is due."""
        self.timeline.now_ns = self.now_ns
        self._ask()
        self._fire()

    def _ask(self) -> None:
        """Find the earliest deadline again, as a tick."""
        earliest = None
        for ask in self._asking:
            at = ask()
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        self._deadline = None if earliest is None else -(-earliest * self.ticks_hz // NS_PER_S)
        if self.events.warp_ns is not None:
            self._warp_to = self.tick_of(self.events.warp_ns)
            self.events.warp_ns = None

    def _fire(self) -> None:
        """Let timers that are due fire, the earliest first; then in the order of the devices."""
        tick, now_ns = self.cpu.ticks, self.timeline.now_ns
        name = ""
        for _ in range(LIVELOCK):
            if self._deadline is None or self._deadline > tick:
                return
            due = [(at, name, device) for name, device in self._timed if (at := device.next_deadline()) is not None]
            _, name, device = min(due, key=lambda one: one[0])
            try:
                device.handle_timer(now_ns)
            except VdeError:
                raise
            except Exception as error:
                raise InternalError(
                    f"{self.board}: {name}: its timer at {now_ns} ns: {error!r} {self._where()}"
                ) from error
            self._ask()
        raise InternalError(f"{self.board}: {name}: wants its timer again and again at once {self._where()}")

    def _warp(self, to: int, stop: int) -> None:
        """Pass time for a polled register, until `to` or what is due before; what lies beyond `stop` stays."""
        now = self.cpu.ticks
        timer = self.cpu.next_timer()
        until = min(tick for tick in (to, self._deadline, None if timer is None else now + timer) if tick is not None)
        if until <= stop:
            self._warp_to = None
        if until < stop and (self._deadline is None or until < self._deadline):
            self.cpu.skip(max(0, until - now))  # nothing is due: the devices need not be asked
            self.timeline.now_ns = self.now_ns
        else:
            self.skip_to(min(until, stop))

    def _halted(self, stop: int, *, skip_idle: bool) -> Outcome | None:
        """None: go on."""
        now = self.cpu.ticks
        timer = self.cpu.next_timer()
        until = min(
            (tick for tick in (self._deadline, None if timer is None else now + timer) if tick is not None),
            default=None,
        )
        if not skip_idle:
            return Idle(until)
        if until is None or until > stop:
            self.skip_to(stop)
            return Idle(until)
        self._still = self._still + 1 if until <= now else 0
        if self._still > LIVELOCK:
            raise InternalError(f"{self.board}: halted, and woken for nothing again and again {self._where()}")
        self.skip_to(until)
        return None

    def _access(self, access: exits.Mmio | exits.Io, bus: Bus, address: int) -> None:
        try:
            if access.direction == "write":
                assert access.data is not None
                bus.write(address, access.size, int.from_bytes(access.data, "little"))
            else:
                access.data = bus.read(address, access.size).to_bytes(access.size, "little")
        except BusError:
            assert isinstance(access, exits.Mmio)
            access.bus_error = True
        except VdeError:
            raise
        except Exception as error:
            raise self._bug(access, bus, address, error) from error

    def _bug(self, access: exits.Mmio | exits.Io, bus: Bus, address: int, error: Exception) -> InternalError:
        window = bus.find(address, access.size)
        return InternalError(
            f"{self.board}: {window.name if window else 'bus'}: {access.direction} of {access.size} octets at "
            f"{address:#x}: {error!r} {self._where()}"
        )

    def _other(self, exit_: exits.Exit) -> Outcome | None:
        match exit_:
            case exits.Io() if self.ports is not None:
                self._port(exit_, self.ports)
                self._ask()
                return None
            case exits.IrqWindow() if self._interrupt is not None:
                self._interrupt()
                self._ask()
                return None
            case exits.Kicked():
                return Kicked()
            case exits.Debug():
                return Debugged(exit_)
            case exits.Hypercall(number) if self._hypercall is not None:
                self._hypercall(number)
                self._ask()
                return None
            case exits.ExceptionTaken() if self._exception is not None:
                self._exception(exit_)
                self._ask()
                return None
            case exits.Shutdown():
                if self._shutdown is not None:
                    self._shutdown(self._place())
                self.events.fault(f"the processor has shut down {self._where()}")  # unless it has ended already
                return self.events.end
            case exits.InternalError(pc, octets):
                raise InternalError(f"{self.board}: the engine cannot go on at {pc:#010x} ({octets.hex(' ')})")
            case _:
                raise InternalError(f"{self.board}: nobody takes {exit_} {self._where()}")

    def _port(self, access: exits.Io, ports: Bus) -> None:
        """One access, or those of a string instruction."""
        if access.count == 1:
            self._access(access, ports, access.port)
            return
        try:
            if access.direction == "write":
                ports.write_string(access.port, access.size, access.data or b"")
            else:
                access.data = ports.read_string(access.port, access.size, access.count)
        except VdeError:
            raise
        except Exception as error:
            raise self._bug(access, ports, access.port, error) from error

    def _where(self) -> str:
        return f"({self._place()}, tick {self.cpu.ticks})"

    def _place(self) -> str:
        state = self.cpu.state()
        pc = state["pc"] if "pc" in state else state.get("cs.base", 0) + state.get("eip", 0) & 0xFFFFFFFF
        symbol = self.symbol(pc)
        return f"pc {pc:#010x}{f' {symbol}' if symbol else ''}"

    # -- state

    def state_hash(self) -> str:
        """SHA-256 of everything that the guest could tell apart."""
        whole = hashlib.sha256()
        whole.update(msgpack.packb(self._parts(), use_bin_type=True))
        for region in self.memory:
            for gpa, octets in _chunks(region):
                whole.update(self.vm.read(gpa, octets))
        return whole.hexdigest()

    def snapshot(self) -> bytes:
        """The whole machine. The contents of disks are not part of it."""
        memory = {
            region.name: [zlib.compress(self.vm.read(gpa, octets), 1) for gpa, octets in _chunks(region)]
            for region in self.memory
        }
        return snapshot.pack(self.board, {**self._parts(), "memory": memory})

    def restore(self, octets: bytes) -> None:
        """Become the machine that was saved: one of the same board, built with the same options.

        Raises:
            SnapshotError: it is damaged, or of another machine. This one is not usable any more then.
        """
        parts = snapshot.unpack(octets, self.board)
        machine = take(parts, "machine", dict)
        if take(machine, "ticks_hz", int) != self.ticks_hz:
            raise SnapshotError(f"snapshot: of a machine with {machine['ticks_hz']} ticks a second")
        saved, devices = take(parts, "memory", dict), take(parts, "devices", dict)
        if list(saved) != [region.name for region in self.memory] or list(devices) != list(self.devices):
            raise SnapshotError("snapshot: of a machine with other devices or memory; give the options that it had")
        for region in self.memory:
            self._restore_memory(region, take(saved, region.name, list))
        for name, device in self.devices.items():
            try:
                device.from_state(devices[name])
            except SnapshotError as error:
                raise SnapshotError(f"{name}: {error}") from None
        try:
            self.cpu.restore(take(parts, "cpu", bytes))
        except ValueError as error:
            raise SnapshotError(f"snapshot: cpu: {error}") from None
        self._warp_to = None if machine.get("warp_to") is None else take_int(machine, "warp_to", 1 << 64)
        self._restore_read(machine.get("answered"))
        self.events.end = self.events.warp_ns = None
        self.timeline.now_ns = self.now_ns
        self._ask()

    def _parts(self) -> dict[str, Any]:
        pending = self.cpu.pending
        answered: bytes | None = None
        if pending is not None:
            answered = BUS_ERROR if isinstance(pending, exits.Mmio) and pending.bus_error else pending.data
        return {
            "machine": {"ticks_hz": self.ticks_hz, "warp_to": self._warp_to, "answered": answered},
            "cpu": self.cpu.snapshot(),
            "devices": {name: device.state() for name, device in self.devices.items()},
        }

    def _restore_read(self, answered: object) -> None:
        """The processor may have been saved between a device's answer to a read and the end of the instruction."""
        pending = self.cpu.pending
        if pending is None:
            return
        if answered == BUS_ERROR and isinstance(pending, exits.Mmio):
            pending.bus_error = True
            return
        octets = pending.size if isinstance(pending, exits.Mmio) else pending.size * pending.count
        if not isinstance(answered, bytes) or len(answered) != octets:
            raise SnapshotError(f"snapshot: the read that waits has no answer of {octets} octets")
        pending.data = answered

    def _restore_memory(self, region: Region, chunks: list[Any]) -> None:
        places = list(_chunks(region))
        if len(chunks) != len(places):
            raise SnapshotError(f"snapshot: {region.name}: of another size")
        for (gpa, octets), chunk in zip(places, chunks, strict=True):
            try:
                inflater = zlib.decompressobj()
                data = inflater.decompress(chunk, octets + 1)
            except (zlib.error, TypeError) as error:
                raise SnapshotError(f"snapshot: {region.name}: {error}") from None
            if len(data) != octets:
                raise SnapshotError(f"snapshot: {region.name}: not {octets} octets at {gpa:#x}")
            self.vm.write(gpa, data)


def _chunks(region: Region) -> Iterator[tuple[int, int]]:
    for at in range(0, region.octets, CHUNK_OCTETS):
        yield region.gpa + at, min(CHUNK_OCTETS, region.octets - at)
