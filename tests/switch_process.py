"""A real vdeswitch in a process of its own, for tests from the outside."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

PROGRAM = Path(sys.executable).parent / "vdeswitch"
PATIENCE_S = 20.0


class SwitchProcess:
    """`vdeswitch -s DIR/ctl.d -M DIR/mgmt --nostdin OPTIONS…`, ready when constructed, terminated on exit."""

    def __init__(self, home: Path, *options: str, management: bool = True) -> None:
        self.home = home
        self.directory = home / "s.ctl"
        self.management = home / "s.mgmt"
        arguments = [os.fspath(PROGRAM), "-s", os.fspath(self.directory), "--nostdin", "-f", "/nonexistent"]
        if management:
            arguments += ["-M", os.fspath(self.management)]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
            notification.bind(os.fspath(home / "notify"))
            notification.settimeout(PATIENCE_S)
            self.process = subprocess.Popen(
                [*arguments, *options, *os.environ.get("VDE_TEST_OPTIONS", "").split()],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=os.environ | {"NOTIFY_SOCKET": os.fspath(home / "notify")},
            )
            try:
                assert notification.recv(100).startswith(b"READY=1")
            except TimeoutError:
                self.process.kill()
                raise AssertionError(self.process.communicate()) from None
            finally:
                (home / "notify").unlink()

    def command(self, text: str) -> list[str]:
        """One console command's answer lines, without the framing; the last is the status."""
        with Console(self.management) as console:
            return console.command(text)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status

    def __enter__(self) -> "SwitchProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self.process.stderr is not None
        if not self.process.stderr.closed:
            self.stop()


class Console:
    """A connection to a management socket."""

    PROMPT = b"\nvde$ "

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        try:
            self.socket.connect(os.fspath(path))
            self.banner = self._until_prompt()
        except BaseException:
            self.socket.close()
            raise

    def command(self, text: str) -> list[str]:
        """The answer's lines, without `0000…` and `.`; the last is the status."""
        self.socket.sendall(text.encode(errors="surrogateescape") + b"\n")
        lines = self._until_prompt().splitlines()
        return [line for line in lines if not line.startswith("0000 ") and line != "."]

    def wait_line(self, beginning: str) -> str:
        """The next asynchronous line that begins so."""
        octets = b""
        while True:
            more = self.socket.recv(4096)
            assert more, "the console was closed"
            octets += more
            for line in octets.decode().splitlines(keepends=True):
                if line.startswith(beginning) and line.endswith("\n"):
                    return line.rstrip("\n")

    def _until_prompt(self) -> str:
        octets = b""
        while not octets.endswith(self.PROMPT):
            more = self.socket.recv(65536)
            assert more, f"the console was closed after {octets!r}"
            octets += more
        return octets.removesuffix(self.PROMPT).decode(errors="surrogateescape")

    def __enter__(self) -> "Console":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()
