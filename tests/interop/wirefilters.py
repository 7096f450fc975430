"""Debian's wirefilter and ours, started alike."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

PATIENCE_S = 20.0
OURS = [sys.executable, "-m", "vde.cli.programs.wirefilter"]
PROMPT = b"\nVDEwf$ "


class WireFilter:
    """`PROGRAM -M HOME/w.mgmt ARGUMENTS…` with standard input held open; terminated on exit."""

    def __init__(self, program: list[str], home: Path, *arguments: str, streams: bool = False) -> None:
        self.management = home / "w.mgmt"
        self.process = subprocess.Popen(
            [*program, "-M", os.fspath(self.management), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            self.console = self.open_console()
        except BaseException:
            self.process.kill()
            raise AssertionError(self.process.communicate()) from None

    def open_console(self) -> "WireFilterConsole":
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return WireFilterConsole(self.management)
            except (FileNotFoundError, ConnectionRefusedError):
                assert self.process.poll() is None, "it has ended"
                assert time.monotonic() < deadline
                os.sched_yield()

    def close(self) -> None:
        self.console.close()
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)

    def __enter__(self) -> "WireFilter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class WireFilterConsole:
    """A connection to the management socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        try:
            self.socket.connect(os.fspath(path))
            self.banner = self._until_prompt()
        except BaseException:
            self.socket.close()
            raise

    def ask(self, command: str) -> list[str]:
        """The answer's lines as they are, without the prompt."""
        self.socket.sendall(command.encode() + b"\n")
        return self._until_prompt().removesuffix("\n").split("\n")

    def read(self) -> bytes:
        return self.socket.recv(65536)

    def _until_prompt(self) -> str:
        octets = b""
        while not octets.endswith(PROMPT) or b"\nVDEwf$  (" in octets[-len(PROMPT) - 3 :]:
            more = self.socket.recv(65536)
            assert more, f"closed after {octets!r}"
            octets += more
        return octets.removesuffix(PROMPT).decode()

    def close(self) -> None:
        self.socket.close()
