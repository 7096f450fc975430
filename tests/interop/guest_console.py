"""A guest of any kind that has a shell on its standard input and output."""

import os
import selectors
import signal
import subprocess
import time
from types import TracebackType
from typing import Self

PATIENCE_S = 180.0


class ConsoleGuest:
    """A program whose standard streams are a guest's console; interrupted on exit."""

    def __init__(self, arguments: list[str], *, patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.transcript = b""

    def wait_for(self, text: str, since: int = 0) -> int:
        """Until the console shows `text` after offset `since`; returns the offset behind it."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + self.patience_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while (place := self.transcript.find(text.encode(), since)) < 0:
                left = deadline - time.monotonic()
                assert left > 0, f"no {text!r} in {self.transcript[since:]!r}"
                if selector.select(left):
                    octets = os.read(self.process.stdout.fileno(), 65536)
                    assert octets, f"the guest ended: {self.transcript!r}"
                    self.transcript += octets
        return place + len(text)

    def shell(self, command: str) -> str:
        """What the guest's shell prints for a command."""
        assert self.process.stdin is not None
        since = len(self.transcript)
        self.process.stdin.write(f"echo be''gin; {command}; echo e''nd\n".encode())
        self.process.stdin.flush()
        start = self.wait_for("begin\r\n", since)
        end = self.wait_for("end\r\n", start)
        return self.transcript[start : end - len("end\r\n")].decode().replace("\r\n", "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.communicate()
