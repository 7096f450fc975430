"""Ends for a wire that cost next to nothing: a control directory that registers one client, and frames straight into
the client's data socket, so that the wire is what is measured and not the switches beside it.

    with ends() as (left, right):        two directories: start the wire between them
        left.accept(); right.accept()
        rate = pump(program, left, right, octets, seconds, pid)
"""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.loadgen import LoadFailed
from vde import registration
from vde.errors import ConfigError

SOURCE = Path(__file__).with_name("wirepump.c")
PATIENCE_S = 20.0
WINDOW_FRAMES = 64  # as tests.bench.loadgen: as many as the original's buffers hold
BUFFER_OCTETS = 1 << 20  # chosen: more than a window


class End:
    """One end: what a VDE client takes for a switch, for one client."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(directory / "ctl"))
        self._listener.listen()
        self._listener.settimeout(PATIENCE_S)
        self._control: socket.socket | None = None
        self.data = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def accept(self) -> None:
        """Register the client (`vde.registration`)."""
        self._control, _ = self._listener.accept()
        self._control.settimeout(PATIENCE_S)
        wish = registration.parse(self._control.recv(4096))
        self.data.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
        self.data.connect(wish.address)
        self.data.bind(str(self.directory / "data"))
        self._control.sendall(registration.emit_reply(str(self.directory / "data")))

    def close(self) -> None:
        """Hang up."""
        for one in (self._control, self._listener, self.data):
            if one is not None:
                one.close()


@contextlib.contextmanager
def ends() -> Iterator[tuple[End, End]]:
    """Two of them."""
    with TemporaryDirectory(prefix="bench-ends-") as home, contextlib.ExitStack() as stack:
        made = []
        for name in ("left", "right"):
            end = End(Path(home) / name)
            stack.callback(end.close)
            made.append(end)
        yield made[0], made[1]


def build_pump(directory: Path) -> Path:
    """Compile the load into `directory`."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise ConfigError("this benchmark needs a C compiler: apt install gcc libc6-dev")
    program = directory / "wirepump"
    command = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(SOURCE)]
    subprocess.run(command, check=True)
    return program


@dataclass(frozen=True, slots=True)
class Pumped:
    """What one load gave."""

    frames_per_s: float
    sent: int
    received: int
    strays: int
    wire_cpu_ns_per_frame: float


def pump(program: Path, left: End, right: End, octets: int, seconds: float, wire_pid: int) -> Pumped:
    """Frames from left to right."""
    fds = (left.data.fileno(), right.data.fileno())
    command = [str(program), *map(str, fds), str(octets), str(seconds), str(WINDOW_FRAMES)]
    before_ns = _processor_ns(wire_pid)
    done = subprocess.run(
        command, pass_fds=fds, capture_output=True, text=True, timeout=seconds + PATIENCE_S, check=False
    )
    if done.returncode:
        raise LoadFailed(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    rate, *counts = done.stdout.split()
    sent, received, strays = map(int, counts)
    return Pumped(float(rate), sent, received, strays, (_processor_ns(wire_pid) - before_ns) / max(received, 1))


def _processor_ns(pid: int) -> int:
    """All threads' (the clock of another process: `MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)` of Linux)."""
    return time.clock_gettime_ns(~pid << 3 | 2)
