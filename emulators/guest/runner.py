"""The thread that runs a machine: slices of ticks, inputs between them, sleep where the clock says so.

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, runner.run)
        …
        outside.cables[0].put(frames); runner.wake()

Theory of operation. The machine belongs to the thread; others only put something into the queues of its ends, or a
question into the runner's own, and `wake` it: that kicks the processor, or ends a sleep. Whatever is done to the
machine is done between two of its runs.

A guest that waits costs nothing: the thread sleeps until the machine's next deadline or an input. One whose deadlines
are only ticks of its clock sleeps through some of them (`emulators.guest.doze`).
"""

import collections
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import trio

from emulators.guest.doze import Doze
from emulators.guest.ends import LiveOutside
from emulators.guest.inputs import Input
from emulators.guest.pace import Mode, Pace
from emulators.guest.points import Points
from emulators.guest.spin import SpinWatch
from emulators.machine import Debugged, Done, End, Idle, Kicked, Machine, Reset
from vde import clock

SLICES_HZ = 100
"""Slices of one second of virtual time. Chosen: a second of work has a hundred of them, which cost nothing then."""
EAGER_HZ = 5000
"""The same, while a device has not taken all of its input yet. Chosen: a 16550's 16 octets every 0.2 ms."""

T = TypeVar("T")


class Runner:
    """Runs one machine, and the one after a reset.

    Args:
        build: makes the machine.
        outside: what `build` wires it to.
        mode: of the clock.
        reboot: build it again when the guest resets it; otherwise that is the end.
        record: is told every input, and the tick at which it was given.
        restored: changes the machine once after it was built the first time.
        points: breakpoints and traces; not with a debugger.

    Raises:
        ConfigError: `points` are none of this machine.
    """

    def __init__(
        self,
        build: Callable[[], Machine],
        outside: LiveOutside,
        mode: Mode,
        *,
        reboot: bool = True,
        record: Callable[[int, Input], None] = lambda tick, input_: None,
        restored: Callable[[Machine], None] = lambda machine: None,
        points: Points | None = None,
    ) -> None:
        self._build = build
        self._points = points
        self._outside = outside
        self._reboot = reboot
        self._record = record
        self.machine = build()
        restored(self.machine)
        if points is not None:
            points.arm(self.machine)
        self.pace = Pace(mode, self.machine.ticks_hz, self.machine.cpu.ticks, clock.monotonic_ns())
        self.resets = 0
        self.on_stop: Callable[[Debugged | None], None] | None = None
        """A debugger's: told in the machine's thread when it has stopped: where, or None if it was asked to."""
        self.on_build: Callable[[Machine], None] | None = None
        """A debugger's: given the new machine after a reset, in the machine's thread."""
        self.on_spin: Callable[[str], None] | None = None
        """Told in the machine's thread that the guest hangs, and where; "": it does not any more."""
        self.on_reset: Callable[[str], None] | None = None
        """Told in the machine's thread why the machine begins again, if the guest did not ask for it; once for resets
        one after the other that are alike."""
        self._told_reset = ""
        self._spin = SpinWatch()
        self._doze = Doze()
        self._event = threading.Event()
        self._asked: collections.deque[Callable[[], None]] = collections.deque()
        self._ending = False
        self._paused = False
        self._left = False

    # -- any thread

    def wake(self) -> None:
        """Something was put into a queue."""
        if not self._event.is_set():
            self._event.set()
            self.machine.kick()

    def stop(self) -> None:
        """Have `run` return soon."""
        self._ending = True
        self.wake()

    async def ask(self, question: Callable[[Machine], T]) -> T:
        """Ask the machine something between two of its runs; its exceptions come back.

        Raises:
            trio.BrokenResourceError: it does not run any more.

        Cancellation: the question may have been answered, unheard.
        """
        send, receive = trio.open_memory_channel[Callable[[], T]](1)
        token = trio.lowlevel.current_trio_token()

        def answer() -> None:
            result: Callable[[], T]
            try:
                value = question(self.machine)
            except Exception as error:
                result = _raiser(error)
            else:
                result = _returner(value)
            token.run_sync_soon(send.send_nowait, result)

        self._asked.append(answer)
        self.wake()
        if self._ending:
            raise trio.BrokenResourceError("the machine has ended")
        return (await receive.receive())()

    # -- the machine's thread

    def pause(self) -> None:
        """Stay where it is, once a question that calls this was answered. Virtual time stands still."""
        self._paused = True

    def go_on(self) -> None:
        """After `pause`, or a breakpoint."""
        self._paused = False
        self.pace.anchor(self.machine.cpu.ticks, clock.monotonic_ns())

    @property
    def is_paused(self) -> bool:
        """Does the machine stand still?"""
        return self._paused

    def run(self) -> End | None:
        """Until the machine ends, or `stop`: None.

        Raises:
            InternalError: a bug of a device or an engine.
        """
        try:
            return self._run()
        finally:
            self._ending = True
            self._serve()

    def _run(self) -> End | None:
        while True:
            if self._event.is_set():
                self._doze.disturb()
                self._event.clear()
            self._serve()
            if self._ending:
                return None
            if self._paused:
                self._event.wait()
                continue
            machine = self.machine
            self._left = self._outside.deliver(self._tell)
            tick, now_ns = machine.cpu.ticks, clock.monotonic_ns()
            most = machine.ticks_hz // (EAGER_HZ if self._left else SLICES_HZ)
            ticks = self.pace.allowance(tick, now_ns, most)
            if ticks == 0:
                self._event.wait(self.pace.rest_ns(tick, now_ns) / 1e9)
                continue
            outcome = machine.run_for(ticks, skip_idle=False)
            match outcome:
                case Done() | Kicked():
                    self._look()
                case Idle(until):
                    self._look(waits=True, for_ever=until is None)
                    self._wait(until)
                case Debugged() if self._points is not None:
                    broken = self._points.met(machine, outcome)
                    if broken is not None:
                        return broken
                case Debugged():
                    self._paused = True
                    if self.on_stop is not None:
                        self.on_stop(outcome)
                case Reset(text) if self._reboot:
                    if self.on_reset is not None and text not in ("", self._told_reset):
                        self.on_reset(text)
                    self._told_reset = text
                    self._outside.forget()
                    self.resets += 1
                    self.machine = self._build()
                    if self._points is not None:
                        self._points.arm(self.machine)
                    if self.on_build is not None:
                        self.on_build(self.machine)
                    self.pace.anchor(self.machine.cpu.ticks, clock.monotonic_ns())
                case end:
                    return end

    def _look(self, *, waits: bool = False, for_ever: bool = False) -> None:
        if self.on_spin is None:
            return
        text = self._spin.look(self.machine, waits=waits, for_ever=for_ever)
        if text is not None:
            self.on_spin(text)

    def _tell(self, input_: Input) -> None:
        self._record(self.machine.cpu.ticks, input_)

    def _serve(self) -> None:
        while self._asked:
            self._asked.popleft()()

    def _wait(self, until: int | None) -> None:
        """The guest waits: until `until` or until something comes from outside."""
        machine = self.machine
        tick = machine.cpu.ticks
        eager = tick + machine.ticks_hz // EAGER_HZ
        if self._left and (until is None or until > eager):
            until = eager
        now_ns = clock.monotonic_ns()
        self.pace.waits(tick, now_ns, dozes=self._doze.rests(machine.cpu.icount) and not self._left)
        while not self._event.is_set():
            left_ns = self.pace.wait_ns(until, now_ns)
            if left_ns == 0:
                assert until is not None
                machine.skip_to(until)
                return
            self._event.wait(None if left_ns is None else left_ns / 1e9)
            now_ns = clock.monotonic_ns()
        machine.skip_to(self.pace.woken(tick, until, now_ns))


def _raiser(error: Exception) -> Callable[[], Any]:
    def result() -> Any:
        raise error

    return result


def _returner(value: T) -> Callable[[], T]:
    return lambda: value
