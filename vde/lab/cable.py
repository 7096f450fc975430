"""A cable between two switches: a client of both that hands every frame on. One process a cable.

It registers like any VDE client (`vde.registration`), asks for its port on either side, and copies datagrams both ways.
When a switch goes away so does the cable. A frame that the other switch does not take at once is lost, as on any wire.

Bounds: `BURST` frames from one side before the other one has its turn; frames of at most `MOST_OCTETS`.
"""

import contextlib
import os
import select
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from switch.notify import notify_ready
from vde.lab.errors import LabFailed
from vde.registration import ADDRESS, Request

BURST = 256  # chosen
MOST_OCTETS = 1 << 16
CONNECT_S = 10.0  # chosen
DESCRIPTION = "cable"


@dataclass(frozen=True)
class End:
    """Where a cable is plugged in."""

    directory: Path
    port: int


class Plug:
    """A registered client of a switch.

    Raises:
        LabFailed: the switch is not there, or refuses.
    """

    def __init__(self, end: End) -> None:
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.data = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.control.settimeout(CONNECT_S)
        own = end.directory / f".{os.getpid():05d}-{end.port:05d}"
        try:
            self.control.connect(os.fspath(end.directory / "ctl"))
            self.data.bind(os.fspath(own))
            self.control.sendall(Request(end.port, False, os.fsencode(own), DESCRIPTION).emit())
            reply = self.control.recv(4096)
            if len(reply) != ADDRESS.size:
                raise LabFailed(f"{end.directory}: the switch refused port {end.port}")
            self.data.connect(ADDRESS.unpack(reply)[1].split(b"\0", 1)[0])
        except OSError as error:
            self.close()
            raise LabFailed(f"{end.directory}: {error.strerror or error}") from None
        except BaseException:
            self.close()
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                own.unlink()
        self.control.setblocking(False)
        self.data.setblocking(False)

    def close(self) -> None:
        """Leave the switch."""
        self.control.close()
        self.data.close()


def run_cable(one: End, other: End) -> None:
    """Carry frames until a switch goes away or SIGTERM comes.

    Raises:
        LabFailed: a switch is not there, or refuses.
    """
    stop_reading, stop_writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.set_wakeup_fd(stop_writing)
    with contextlib.ExitStack() as stack:
        plugs = []
        for end in (one, other):
            plugs.append(Plug(end))
            stack.callback(plugs[-1].close)
        notify_ready()
        poll = select.poll()
        towards = {plugs[0].data.fileno(): (plugs[0].data, plugs[1].data)}
        towards[plugs[1].data.fileno()] = (plugs[1].data, plugs[0].data)
        for descriptor in [stop_reading, *towards, plugs[0].control.fileno(), plugs[1].control.fileno()]:
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor not in towards:
                    return  # SIGTERM, or a switch closed the connection (it sends nothing else there)
                carry(*towards[descriptor])


def carry(source: socket.socket, sink: socket.socket) -> int:
    """Hand on what is there, up to `BURST` frames; how many were."""
    for number in range(BURST):
        try:
            frame = source.recv(MOST_OCTETS)
        except BlockingIOError:
            return number
        except ConnectionError:
            return number  # the switch is going; its control connection will tell
        with contextlib.suppress(BlockingIOError, ConnectionError):
            sink.send(frame)
    return BURST
