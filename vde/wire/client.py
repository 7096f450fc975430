"""The other end of `control.py`: asks a running wire. Blocking, with a timeout."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from vde.errors import ConfigError, LinkBroken

PATIENCE_S = 10.0
MOST_OCTETS = 4 << 20


def parse_answer(line: bytes) -> dict[str, Any]:
    """A line of what should be a wire.

    Raises:
        LinkBroken: it is none.
    """
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise LinkBroken("what listens there is no wire: its answer is no JSON object")
    return answer


class WireConnection:
    """A connection to a wire's control socket.

    Raises:
        LinkBroken: nobody listens there.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE_S)
        self._pending = b""
        try:
            self._socket.connect(os.fspath(path))
        except OSError as error:
            self._socket.close()
            raise LinkBroken(f"{path}: {error.strerror or error}: no wire listens there") from None

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """One request and its answer.

        Raises:
            ConfigError: the wire refuses it.
            LinkBroken: the wire has gone.
        """
        try:
            self._socket.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
            answer = self._line()
        except OSError as error:
            raise LinkBroken(f"the wire does not answer: {error.strerror or error}") from None
        if not answer.get("ok"):
            raise ConfigError(str(answer.get("error", "refused")))
        return answer

    def frames(self) -> Iterator[dict[str, Any]]:
        """After `ask("watch")`: what comes, until the wire ends."""
        self._socket.settimeout(None)
        while True:
            try:
                yield self._line()
            except (OSError, LinkBroken):
                return

    def _line(self) -> dict[str, Any]:
        while b"\n" not in self._pending:
            more = self._socket.recv(65536)
            if not more or len(self._pending) > MOST_OCTETS:
                raise LinkBroken("the wire has ended")
            self._pending += more
        line, self._pending = self._pending.split(b"\n", 1)
        return parse_answer(line)

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def __enter__(self) -> "WireConnection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
