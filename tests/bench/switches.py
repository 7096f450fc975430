"""A switch under measurement: started in a fresh directory, ready when its control socket accepts, ended by pid.

Any program with vde_switch's options will do. All are started alike: in the foreground, standard input a pipe that
stays open (vde_switch ends at end of file), output in a log that is shown if the switch fails.
"""

import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from tests.bench.loadgen import LoadFailed
from vde.errors import ConfigError

START_S = 20.0
"""Chosen: an interpreter with all its modules on a loaded machine."""
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Switch:
    """One running switch."""

    name: str
    pid: int
    url: str
    rss_kib: int
    """Resident memory when it was ready, no port in use."""


def command_line(text: str) -> list[str]:
    """Split a command as a shell would; its program must exist."""
    words = shlex.split(text)
    program = shutil.which(words[0]) if words else None
    if program is None:
        raise ConfigError(f"switch {text!r}: no such program (vde_switch: apt install vde-switch)")
    return [program, *words[1:]]


def rss_kib(pid: int) -> int:
    """VmRSS of a process (proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise LoadFailed(f"process {pid} has no memory: it has ended")


def _wait_ready(process: subprocess.Popen[bytes], ctl: Path, log: Path) -> None:
    deadline = monotonic() + START_S
    while True:
        if process.poll() is not None:
            raise LoadFailed(f"{process.args!r} ended with status {process.returncode}:\n{_tail(log)}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(ctl))
            except OSError as error:
                if monotonic() > deadline:
                    raise LoadFailed(f"{process.args!r}: no control socket ({error}):\n{_tail(log)}") from error
            else:
                return
        sleep(0.01)  # the only sign of life is a successful connect


def _ended(process: subprocess.Popen[bytes], log: Path) -> str:
    return f"{process.args!r} ended before its time, status {process.returncode}:\n{_tail(log)}"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdin is not None
    process.stdin.close()


@contextmanager
def running(command: Sequence[str], url: str = "{}") -> Iterator[Switch]:
    """Run a switch on a control directory of its own, which is appended to the command (`-s DIR`).

    `url`: what clients open, `{}` being the directory.

    Resource handling: at the end, also by an exception or Ctrl-C, the process has been ended and the directory
    removed. Should this process be killed, the switch dies with it (setpriv(1), if installed).
    """
    with TemporaryDirectory(prefix="bench-switch-") as where:
        directory, log = Path(where) / "sw", Path(where) / "log"
        words = [*command, "-s", str(directory)]
        if setpriv := shutil.which("setpriv"):
            words = [setpriv, "--pdeathsig", "KILL", "--", *words]
        with log.open("wb") as output:
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=output, stderr=output)
        try:
            _wait_ready(process, directory / "ctl", log)
            try:
                yield Switch(Path(command[0]).name, process.pid, url.format(directory), rss_kib(process.pid))
            except LoadFailed as failure:
                if process.poll() is None:
                    raise
                raise LoadFailed(f"{_ended(process, log)}\n{failure}") from failure
            if process.poll() is not None:
                raise LoadFailed(_ended(process, log))
        finally:
            _stop(process)
