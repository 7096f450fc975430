"""A guest from its first tick to its last: everything opened, run, and closed again.

    result = trio.run(Session(build, setup, surroundings).run)

The tasks: the machine's thread (`Runner`), one task for each cable and console, signals, and a debugger's server.
Whatever ends one of them ends all; the machine's thread is asked to stop and waited for.
"""

import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from emulators.guest import losses, saved
from emulators.guest.consoles import Carrier, Place, open_console
from emulators.guest.disk import Access, open_disk
from emulators.guest.ends import LiveCable, LiveConsole, LiveOutside
from emulators.guest.links import Lead
from emulators.guest.pace import Mode
from emulators.guest.points import Points
from emulators.guest.runner import Runner
from emulators.guest.screen_source import Local, serve
from emulators.guest.screen_viewer import Viewer
from emulators.machine import End, Machine
from emulators.outside import DiskEnd, Outside
from vde.errors import ConfigError, LinkClosed, VdeError
from vde.plugspec import Surroundings

KEYS = "Ctrl-] then: q quit · s snapshot · i statistics · Ctrl-] itself · ? this"


@dataclass(frozen=True)
class Disk:
    """A disk that the user named. `any_size`, `form`: as `open_disk`."""

    path: Path
    access: Access
    any_size: bool = False
    form: str = ""


@dataclass(frozen=True)
class Nic:
    """A cable that the user named. `vnl`: "" leads nowhere. `mac`: the card's address, or None."""

    vnl: str
    mac: bytes | None = None


@dataclass(frozen=True)
class Setup:
    """Everything that the user may say about how a guest runs.

    Attributes:
        consoles: where they lead to, by name.
        snapshot: the file that SIGUSR1 and Ctrl-] s write.
        restore: the file to go on from.
        reboot: does a guest that resets its machine start again?
        gdb: where a debugger may connect.
        wait: stand still until a debugger lets it go.
        screen: where its display is shown: `stdio` or `unix:PATH`.
        random: where its random octets come from; None: the host.
        points: breakpoints and traces; then there is no `gdb`.
    """

    consoles: dict[str, Place] = field(default_factory=dict)
    nics: tuple[Nic, ...] = ()
    disks: tuple[Disk, ...] = ()
    mode: Mode = "virtual"
    snapshot: Path | None = None
    restore: Path | None = None
    reboot: bool = True
    gdb: str = ""
    wait: bool = False
    screen: Place | None = None
    random: Callable[[int], bytes] | None = None
    points: Points | None = None


@dataclass
class Result:
    """How it ended: the machine's end, or the signal that we caught; neither: the user left."""

    end: End | None = None
    caught: signal.Signals | None = None


Serve = Callable[[Runner, str, Callable[[str], None], trio.TaskStatus[None]], Awaitable[None]]
"""A debugger's server: the runner, where to listen, whom to tell, and what to call when it listens."""


class Session:
    """One guest.

    Args:
        build: makes its machine.
        setup: how it runs.
        surroundings: for the networks.
        ready: called when it runs.
        status: told, from any thread, what is to be known of the guest: that it hangs, and where; frames that were
            dropped; "": nothing any more.
        serve_debugger: what serves `setup.gdb`.
    """

    def __init__(
        self,
        build: Callable[[Outside], Machine],
        setup: Setup,
        surroundings: Surroundings,
        ready: Callable[[], None] = lambda: None,
        serve_debugger: Serve | None = None,
        status: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._build = build
        self._setup = setup
        self._surroundings = surroundings
        self._ready = ready
        self._serve_debugger = serve_debugger
        self._status = status
        self._remarks = {"spin": "", "losses": ""}
        self._result = Result()
        self._commands: trio.MemorySendChannel[str] | None = None
        self._consoles: dict[str, LiveConsole] = {}
        self._viewer: Viewer | None = None
        self.runner: Runner | None = None

    async def run(self) -> Result:
        """Until the machine ends, the user leaves, or SIGINT, SIGTERM or SIGHUP comes.

        Raises:
            ConfigError: a file, an option, or a VNL is wrong.
            LinkBroken: a network is not there.
            InternalError: a bug of a device or an engine.

        Cancellation: the machine is stopped; everything is closed.
        """
        try:
            await self._run()
        except BaseExceptionGroup as group:
            # Of what went wrong at once, the first is shown; cancellations and bugs of ours pass as they are.
            errors, others = group.split(VdeError)
            if errors is None or others is not None:
                raise
            raise _first(errors) from None
        return self._result

    async def _run(self) -> None:
        setup = self._setup
        async with AsyncExitStack() as stack:
            disks: list[DiskEnd] = []
            for disk in setup.disks:
                end, file = open_disk(disk.path, disk.access, any_size=disk.any_size, form=disk.form)
                stack.callback(file.close)
                disks.append(end)
            cables = [LiveCable(index, nic.mac) for index, nic in enumerate(setup.nics)]
            consoles = {name: LiveConsole(name) for name, place in setup.consoles.items() if place.kind != "none"}
            self._consoles = consoles
            outside = LiveOutside(cables, disks, setup.random or self._surroundings.random, consoles)
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1) as signals:
                self.runner = runner = await trio.to_thread.run_sync(lambda: self._runner(outside, disks))
                for note in runner.machine.notes if setup.restore is None else ():
                    self._warn(note)
                async with trio.open_nursery() as nursery:
                    send, commands = trio.open_memory_channel[str](16)
                    self._commands = send
                    nursery.start_soon(self._take_signals, signals)
                    nursery.start_soon(self._take_commands, commands, runner, outside)
                    nursery.start_soon(losses.watch, cables, partial(self._remark, "losses"))
                    for cable, nic in zip(cables, setup.nics, strict=True):
                        if nic.vnl:
                            lead = Lead(cable, nic.vnl, self._surroundings.open_link, runner.wake, self._warn)
                            await nursery.start(lead.run)
                    if setup.gdb and self._serve_debugger is not None:
                        await nursery.start(self._serve_debugger, runner, setup.gdb, self._warn)
                    async with AsyncExitStack() as carriers:
                        for name, console in consoles.items():
                            carrier = Carrier(console, runner.wake, self._command)
                            await carriers.enter_async_context(open_console(setup.consoles[name], carrier))
                        await self._show(setup.screen, Local(runner, outside.display), nursery)
                        self._ready()
                        await self._run_machine(runner)
                    nursery.cancel_scope.cancel()

    async def _show(self, place: Place | None, screen: Local, nursery: trio.Nursery) -> None:
        """Show the display where the user wants it."""
        if place is None or place.kind == "none":
            return
        if place.kind == "unix":
            await nursery.start(serve, Path(place.what), screen)
            return
        self._viewer = Viewer(screen, screen.board, self._command)
        nursery.start_soon(self._view, self._viewer)

    async def _view(self, viewer: Viewer) -> None:
        with contextlib.suppress(LinkClosed):
            await viewer.run()
            self._stop()  # the terminal has ended

    def notice(self, text: str) -> bool:
        """Show a line on the terminal that shows the display; is there one?"""
        if self._viewer is None:
            return False
        self._viewer.say(text)
        return True

    def _runner(self, outside: LiveOutside, disks: list[DiskEnd]) -> Runner:
        def restored(machine: Machine) -> None:
            if self._setup.restore is not None:
                saved.load(self._setup.restore, machine, disks)

        runner = Runner(
            lambda: self._build(outside),
            outside,
            self._setup.mode,
            reboot=self._setup.reboot,
            restored=restored,
            points=self._setup.points,
        )
        runner.on_spin = self._spins
        runner.on_reset = self._resets
        if self._setup.wait:
            runner.pause()
        return runner

    def _spins(self, text: str) -> None:
        """The machine's thread."""
        self._remark("spin", text)
        if text:
            trio.from_thread.run_sync(self._surroundings.warn, text)

    def _resets(self, text: str) -> None:
        """The machine's thread."""
        trio.from_thread.run_sync(self._surroundings.warn, f"the machine begins again: {text}")

    def _remark(self, about: str, text: str) -> None:
        """Any thread."""
        self._remarks[about] = text
        self._status("; ".join(filter(None, self._remarks.values())))

    async def _run_machine(self, runner: Runner) -> None:
        """In its thread; a cancellation stops it, and waits for it."""

        async def stop_when_cancelled() -> None:
            try:
                await trio.sleep_forever()
            finally:
                self._stop()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_when_cancelled)
            with trio.CancelScope(shield=True):
                self._result.end = await trio.to_thread.run_sync(runner.run)
            nursery.cancel_scope.cancel()

    async def _take_signals(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            if number == signal.SIGUSR1:
                self._command("s")
            else:
                self._result.caught = signal.Signals(number)
                self._stop()

    def _stop(self) -> None:
        assert self.runner is not None
        self.runner.stop()
        for console in self._consoles.values():
            console.close()  # a guest that is held up by one could not stop

    def _command(self, letter: str) -> None:
        assert self._commands is not None
        try:
            self._commands.send_nowait(letter)
        except trio.WouldBlock:
            self._warn("too many commands at once")

    async def _take_commands(
        self, commands: trio.MemoryReceiveChannel[str], runner: Runner, outside: LiveOutside
    ) -> None:
        async for letter in commands:
            match letter:
                case "q":
                    self._stop()
                case "s":
                    await self._save(runner, outside)
                case "i":
                    self._warn(statistics(runner, outside))
                case _:
                    self._warn(KEYS)

    async def _save(self, runner: Runner, outside: LiveOutside) -> None:
        path = self._setup.snapshot
        if path is None:
            self._warn("no file was named for snapshots (--snapshot FILE)")
            return
        try:
            octets = await runner.ask(lambda machine: saved.save(path, machine, outside.disk_list))
        except (ConfigError, VdeError) as error:
            self._warn(str(error))
        except trio.BrokenResourceError:
            return
        else:
            self._warn(f"saved: {path} ({octets >> 10} KiB)")

    def _warn(self, text: str) -> None:
        self._surroundings.warn(text)


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def statistics(runner: Runner, outside: LiveOutside) -> str:
    """What a user may want to know of a running guest, in a few lines."""
    machine = runner.machine
    lines = [
        f"{machine.board}: {machine.cpu.icount} instructions, {machine.now_ns / 1e9:.3f} s, {machine.exits} exits, "
        f"{runner.resets} resets"
    ]
    for cable in outside.cables:
        count = cable.counters
        lines.append(
            f"nic {cable.index}: sent {count.sent}, received {count.received}, "
            f"dropped {count.dropped_out} out, {count.dropped_in} in"
        )
    return "\n".join(lines)
