"""The control socket against peers that do as they like: each gets an error or nothing, and the lab goes on."""

import json
import os
import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab_runner import LabRunner
from vde.lab.supervisor import MOST_CONNECTIONS

TWO_SWITCHES = """
name: two
nodes:
  sw1: {kind: switch}
  sw2: {kind: hub}
links: [sw1 -- sw2]
"""


@pytest.fixture(scope="module")
def running() -> Iterator[LabRunner]:
    """One lab for all of them."""
    with tempfile.TemporaryDirectory(prefix="vde") as name, LabRunner(Path(name)) as labs:
        labs.write(TWO_SWITCHES)
        labs.vde("up")
        yield labs


class Peer:
    """A client of the control socket that does as it likes."""

    def __init__(self, running: LabRunner) -> None:
        [path] = running.runtime.glob("vde/*/control")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(os.fspath(path))

    def ask(self, octets: bytes) -> bytes:
        """Everything that it answers."""
        try:
            self.socket.sendall(octets)
            self.socket.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up before we were done: its answer can still be read
        answer = b""
        with self.socket:
            try:
                while more := self.socket.recv(65536):
                    answer += more
            except ConnectionResetError:
                pass
        return answer


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\n",
        b"garbage\n",
        b'{"op": "fly"}\n',
        b'{"op": "up"}\n',
        b'{"op": "console", "node": 7}\n',
        b'{"op": "status", "more": 1}\n',
        b"[" * 100_000 + b"\n",
        b'{"op": ' * 50_000 + b"\n",
        b'{"op": "status"',
        b"\xff\xfe\n",
        b"x" * (5 << 20),
        b'{"op": "console", "node": "../../etc/passwd"}\n',
        b'{"op": "follow", "nodes": ["none"]}\n',
        b'{"op": "check", "names": ["none"]}\n',
        b'{"op":"up","timeout_ns":1,"lab":{"name":"two","seed":"1","nodes":'
        b'{"../x":{"kind":"switch","name":"../x","numports":3}}}}\n',
        b'{"op":"up","timeout_ns":1,"lab":{"name":"two","seed":"1","nodes":{"a":'
        b'{"kind":"tap","name":"a","interface":"x","segment":"nowhere"}}}}\n',
    ],
    ids=lambda octets: octets[:20].decode(errors="replace"),
)
def test_hostile_requests_are_answered_with_an_error_or_silence(running: LabRunner, octets: bytes) -> None:
    before = running.pids()
    answer = Peer(running).ask(octets)
    assert not answer or json.loads(answer.splitlines()[-1])["outcome"] == "failed"
    assert running.pids() == before


def test_connections_are_bounded_and_free_their_places(running: LabRunner) -> None:
    silent = [Peer(running) for _ in range(MOST_CONNECTIONS)]
    one_more = Peer(running)
    assert one_more.socket.recv(1) == b"", "it is closed at once"
    for peer in [*silent, one_more]:
        peer.socket.close()
    assert running.status()["running"]


def test_a_peer_that_resets_its_connection_disturbs_nobody(running: LabRunner) -> None:
    for octets in (b'{"op": "status"}\n', b'{"op": "follow"}\n', b'{"op": "check"}\n'):
        peer = Peer(running)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.socket.sendall(octets)
        peer.socket.close()
    assert {node["state"] for node in running.nodes().values()} == {"ready"}
