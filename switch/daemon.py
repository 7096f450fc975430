"""A running switch: its sockets, forwarder, consoles, timers and signals in one nursery.

Read first: `core.py` (what it does), `control.py` (clients), `console/` (commands). Everything here is adapters.
"""

import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal

import trio

from switch.console.console import Console
from switch.console.server import run_script, serve_connection, serve_stdin
from switch.control import ControlServer
from switch.core import SECOND_NS, Settings, Switch
from switch.directory import ControlDirectory, group_number
from switch.ending import ENDING_SIGNALS
from switch.forwarding.choice import open_forwarder
from switch.forwarding.contract import Event, Limits
from switch.log import Log
from switch.options import Options
from switch.plugged import Opener
from switch.ports import MODULE_TAP, Endpoint
from switch.rings import RingServer
from switch.tap import open_tap
from vde.clock import monotonic_ns
from vde.errors import ConfigError, Refused

IGNORED_SIGNALS = (signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)

End = Literal["shutdown", "eof"] | signal.Signals


class Daemon:
    """One switch, from its sockets to its end."""

    def __init__(
        self,
        options: Options,
        directory: ControlDirectory,
        management: socket.socket | None,
        log: Log,
        seed: int,
        opener: Opener | None = None,
    ) -> None:
        """The sockets are the caller's; `seed` keys the forwarder's hash table; `opener` opens VNLs for ports."""
        self._opener = opener
        self._options = options
        self._directory = directory
        self._management = management
        self._log = log
        self._end: End | None = None
        self._scope = trio.CancelScope()
        self._complete_captures: Callable[[], None] = lambda: None
        limits = Limits(max_frame_octets=options.max_frame_octets, queue_frames=options.queue_frames)
        self._forwarder = open_forwarder(options.forwarder, limits, seed)
        settings = Settings(
            mac=options.mac,
            priority=options.priority,
            num_ports=options.num_ports,
            hub=options.hub,
            fstp=options.fstp,
            vlan_transparent=options.vlan_transparent,
            hash_size=1 << (options.hash_size - 1).bit_length(),
            queue_frames=options.queue_frames,
            table_limit=options.table_limit,
        )
        self.switch = Switch(self._forwarder, settings, monotonic_ns())

    async def run(self, ready: Callable[[], None], noted: Sequence[signal.Signals] = ()) -> End:
        """Serve until a signal, `shutdown` or the end of standard input. `ready` is called when clients can come.

        `noted`: signals that came before this could receive them; one of them ends it at once.

        Resource handling: on return every client is disconnected and every socket and tap of the switch is closed.
        """
        options, switch = self._options, self.switch
        console = Console(
            switch,
            directory=self._directory.path,
            mode=options.mode,
            management=options.mgmt,
            management_mode=options.mgmt_mode,
            now_ns=monotonic_ns,
            log=self._log,
            on_shutdown=lambda: self._stop("shutdown"),
            opener=self._opener,
        )
        self._complete_captures = console.close
        server = ControlServer(
            switch,
            self._directory,
            monotonic_ns,
            self._log,
            (options.mgmt_mode, group_number(options.mgmt_group)),
        )
        rings = RingServer(switch, self._directory, monotonic_ns, self._log, options.max_frame_octets)
        for interface in options.taps:
            self._plug_tap(interface)
        for text in options.plugs:
            try:
                console.plug_board.add(text, trusted=True)
            except Refused as error:
                raise ConfigError(f"--plug {text}: {error}") from None
        if options.rcfile is not None:
            run_script(console, options.rcfile)
        with self._scope, trio.open_signal_receiver(*ENDING_SIGNALS, *IGNORED_SIGNALS) as signals:
            if noted:
                self._stop(noted[0])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive_signals, signals)
                nursery.start_soon(self._keep_time)
                await nursery.start(self._forward)
                await nursery.start(server.serve)
                await nursery.start(rings.serve)
                await nursery.start(console.plug_board.run)
                if self._management is not None:
                    listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._management))
                    nursery.start_soon(
                        trio.serve_listeners, lambda stream: serve_connection(stream, console), [listener]
                    )
                ready()
                if not options.daemon and not options.nostdin:
                    nursery.start_soon(self._serve_stdin, console)
        assert self._end is not None
        return self._end

    def _stop(self, why: End) -> None:
        self._end = why
        self._complete_captures()  # while the forwarder can still say what was lost
        self._scope.cancel()

    async def _forward(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self._forwarder.run(self._handle_events, task_status=task_status)
        finally:
            self.switch.endpoints.clear()  # their descriptors are closed; whoever still pulls one out finds none

    def _handle_events(self, events: Sequence[Event]) -> None:
        self.switch.handle_events(events, monotonic_ns())

    async def _receive_signals(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            if number in ENDING_SIGNALS:
                self._log.info(f"Caught signal {number}, cleaning up and exiting")
                self._stop(signal.Signals(number))

    async def _keep_time(self) -> None:
        """Call the spanning tree when it wants to be called."""
        while True:
            changed = trio.Event()
            self.switch.on_deadline_changed = changed.set
            deadline = self.switch.next_deadline()
            now = monotonic_ns()
            if deadline is not None and deadline <= now:
                self.switch.handle_timer(now)
                await trio.lowlevel.checkpoint()
                continue
            with trio.move_on_after((deadline - now) / SECOND_NS) if deadline is not None else contextlib.nullcontext():
                await changed.wait()

    async def _serve_stdin(self, console: Console) -> None:
        if await serve_stdin(console) == "eof":
            self._log.info("EOF on stdin, cleaning up and exiting")
            self._stop("eof")

    def _plug_tap(self, interface: str) -> None:
        """Raises `ConfigError` if the tap or a port for it cannot be had."""
        switch = self.switch
        try:
            port = switch.choose_port(0, management=False)
        except Refused as error:
            raise ConfigError(f"tap interface {interface!r}: {error}") from None
        tap = open_tap(interface, offloads=self._options.offloads)
        endpoint = Endpoint(
            id=tap.fd,
            port=port,
            kind=tap.kind,
            module=MODULE_TAP,
            description=interface,
            uid=None,
            close=lambda: self._log.warning(f"tap interface {interface}: closed"),
        )
        switch.plug_in(endpoint, tap.fd, monotonic_ns())
