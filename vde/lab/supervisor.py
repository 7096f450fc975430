"""The one process behind a lab: it has the nodes as children, and answers on the control socket.

    vde up ──starts──► supervisor ──► switches, guests, cables        (they die with it, even if it is killed)
       └───control socket──┘ ▲
    vde ps, console, … ──────┘

It has a session of its own, so that it outlives the terminal. It ends when it is told to (`down`, SIGTERM), when the
first `up` is interrupted or could start nothing, or when nobody talked to it at the beginning.

Three nurseries, one inside the other, in the order in which things have to end: what accepts connections, what answers
them (`vde.lab.answers`), the nodes.
"""

import fcntl
import os
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import trio

from vde.lab.answers import answer
from vde.lab.places import Home, NoPlace
from vde.lab.served import Served

FIRST_REQUEST_S = 10.0  # chosen: how long nobody may ask for anything after the start
FAREWELL_S = 1.0  # chosen: how long the last answers may take
MOST_CONNECTIONS = 64  # chosen
UCRED = struct.Struct("iII")  # unix(7), SO_PEERCRED: pid, uid, gid


async def supervise(home: Home, on_ready: Callable[[], None]) -> None:
    """Run a lab until it is taken down.

    Args:
        home: its directories; the state directory exists.
        on_ready: called when the control socket is served.

    Raises:
        NoPlace: a directory cannot be had, or another supervisor runs.
    """
    _lock(home)
    with ExitStack() as stack:
        home.make_runtime()
        stack.callback(home.remove_runtime)
        listener = _listen(home)
        async with trio.open_nursery() as nodes:
            served = Served(home, nodes)
            supervisor = _Supervisor(served)
            async with trio.open_nursery() as answering:
                async with trio.open_nursery() as serving:
                    serve = partial(trio.serve_listeners, supervisor.serve, [listener], handler_nursery=answering)
                    await serving.start(serve)
                    serving.start_soon(supervisor.end_on_signal)
                    serving.start_soon(supervisor.end_if_unused)
                    on_ready()
                    await served.down.wait()
                    await served.live.stop(list(served.live.nodes))
                    served.say_goodbye()
                    serving.cancel_scope.cancel()
                answering.cancel_scope.deadline = trio.current_time() + FAREWELL_S
            nodes.cancel_scope.cancel()


def _lock(home: Home) -> None:
    """Be the only supervisor of this lab. Never given back: the lock goes with the process, however that ends.

    So whoever waits for the lock waits until the process is gone.
    """
    try:
        lock = os.open(home.lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise NoPlace(f"{home.lock}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise NoPlace(f"another supervisor of lab '{home.name}' runs") from None


def _listen(home: Home) -> trio.SocketListener:
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        plain.bind(os.fspath(home.control))
        plain.listen(MOST_CONNECTIONS)
    except OSError as error:
        plain.close()
        raise NoPlace(f"{home.control}: {error.strerror or error}") from None
    return trio.SocketListener(trio.socket.from_stdlib_socket(plain))


class _Supervisor:
    def __init__(self, served: Served) -> None:
        self.served = served
        self._connections = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection, from its request to its end."""
        async with stream:
            if _peer_uid(stream) != os.geteuid() or self._connections >= MOST_CONNECTIONS:
                return
            self._connections += 1
            try:
                await answer(self.served, stream)
            finally:
                self._connections -= 1

    async def end_on_signal(self) -> None:
        """SIGTERM is `down`; the others would be, if one could type them here."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
            async for _ in received:
                self.served.down.set()

    async def end_if_unused(self) -> None:
        """Whoever started us may have died before it could say what for."""
        with trio.move_on_after(FIRST_REQUEST_S):
            await self.served.used.wait()
        if not self.served.used.is_set():
            self.served.down.set()


def _peer_uid(stream: trio.SocketStream) -> int:
    credentials = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
    return int(UCRED.unpack(credentials)[1])
