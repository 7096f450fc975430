"""A console without processes: a real switch and forwarder, clients as far ends of socket pairs, time given."""

import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from switch.console.console import Console
from switch.console.session import PROMPT, Session
from switch.core import SECOND_NS, Settings, Switch
from switch.forwarding.contract import EndpointKind, Limits
from switch.forwarding.python import PythonForwarder
from switch.log import Log
from switch.ports import MODULE_UNIX, Endpoint

MAC = bytes.fromhex("00ff00000001")
WALL_NS = 1_700_000_000 * SECOND_NS
"""What the rig's clock is behind the time since 1970."""


class Rig:
    """See the module's text."""

    def __init__(self, **settings: object) -> None:
        self.now_ns = SECOND_NS
        self.forwarder = PythonForwarder(Limits())
        self.switch = Switch(self.forwarder, Settings(**({"mac": MAC} | settings)), self.now_ns)  # type: ignore[arg-type]  # by name
        self.messages: list[str] = []
        self.shutdowns = 0
        self.console = Console(
            self.switch,
            directory="/run/vde/s.ctl",
            mode=0o600,
            management="/run/vde/s.mgmt",
            management_mode=0o600,
            now_ns=lambda: self.now_ns,
            log=Log(self._take_message),
            on_shutdown=self._shut_down,
            wall_offset_ns=lambda: WALL_NS,
        )
        self.session = Session(self.console)
        self._ids = itertools.count(5)
        self._far: list[socket.socket] = []

    def say(self, octets: bytes, session: Session | None = None) -> bytes:
        """Everything that a session answers to these octets."""
        session = session or self.session
        answer = session.receive(octets, self.now_ns)
        while session.unfinished:
            answer += session.go_on(self.now_ns)
        return answer

    def do(self, line: str, session: Session | None = None) -> str:
        """One command's answer, without the prompt."""
        answer = self.say(line.encode(errors="surrogateescape") + b"\n", session)
        assert answer.endswith(PROMPT)
        return answer.removesuffix(PROMPT).decode()

    def data(self, line: str) -> list[str]:
        """The lines of the answer of a command that succeeds."""
        lines = self.do(line).splitlines()
        assert (lines[0], lines[-2:]) == ("0000 DATA END WITH '.'", [".", "1000 Success"])
        return lines[1:-2]

    def status(self, line: str) -> int:
        """The number of the status line."""
        return int(self.do(line).splitlines()[-1][:4])

    def listen(self, *paths: str) -> Session:
        """Another session, which hears these events."""
        session = Session(self.console)
        for path in paths:
            assert self.do(f"debug/add {path}", session) == "1000 Success\n"
        return session

    def plug(self, port: int = 0, description: str = "test", uid: int | None = 0) -> tuple[int, socket.socket]:
        """(endpoint, far end)."""
        chosen = self.switch.choose_port(port, management=False)
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._far.append(far)
        number = next(self._ids)
        endpoint = Endpoint(number, chosen, EndpointKind.DATAGRAM, MODULE_UNIX, description, uid, far.close)
        self.switch.plug_in(endpoint, near.detach(), self.now_ns)
        return number, far

    def send(self, far: socket.socket, *frames: bytes) -> None:
        """Let frames cross the switch."""
        for octets in frames:
            far.send(octets)
        self.poll()

    def poll(self) -> None:
        """Let the switch do what is due."""
        self.switch.handle_events(self.forwarder.poll(self.now_ns), self.now_ns)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now_ns += int(seconds * SECOND_NS)

    def close(self) -> None:
        """Everything that is open."""
        self.console.close()
        for far in self._far:
            far.close()
        self.forwarder.close()

    def _take_message(self, priority: int, line: str) -> bool:
        self.messages.append(line)
        return True

    def _shut_down(self) -> None:
        self.shutdowns += 1


@contextmanager
def open_rig(**settings: object) -> Iterator[Rig]:
    """For tests that need a fresh one for every example."""
    rig = Rig(**settings)
    try:
        yield rig
    finally:
        rig.close()
