"""Half-open connections: peers that begin and stay silent, or vanish without a word; others are served all the same.

Elsewhere: silence on the control socket (tests/switch/test_hostile_clients.py), consoles (`one terminal too many`,
tests/switch/console/test_server.py), switches that do not answer (tests/plugs/test_vde.py), dead DTLS paths and
strangers (tests/plugs/test_dtls.py), a listener of rings and its strangers (tests/plugs/test_shm.py).
"""

import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing
from OpenSSL import SSL

from plugs.dtls import Params as DtlsParams
from plugs.registry import open_link
from switch.pending import PENDING_MAX
from tests.interop.namespaces import in_namespace, inside
from tests.plugs.pairs.dtls import key_file
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.test_contract import collect, frame, until_broken
from tests.plugs.test_dtls import connector, listener
from tests.plugs.udp_ports import free_udp_port
from tests.switch.test_rings import ring_client
from tests.switch_process import SwitchProcess
from tests.vde.wire.test_process import Rig, ask, controlled, start
from tests.vde_client import VdeClient
from vde.errors import LinkBroken
from vde.registration import LEAST_OCTETS, MAGIC
from vde.ring_handshake import HEADER
from vde.wire.control import MOST_CONNECTIONS

pytestmark = pytest.mark.interop
StartSwitch = Callable[..., SwitchProcess]
PATIENCE_S = 20.0


@contextlib.contextmanager
def half_open(path: Path, octets: bytes, number: int) -> Iterator[list[socket.socket]]:
    """So many connections that have said this and stay."""
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(number):
            one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            one.settimeout(PATIENCE_S)
            one.connect(os.fspath(path))
            one.sendall(octets)
            made.append(one)
        yield made


def test_half_requests_on_the_control_socket(start_switch: StartSwitch) -> None:
    switch = start_switch()
    half = struct.pack("=III", MAGIC, 3, 0).ljust(LEAST_OCTETS - 1, b"\0")
    with half_open(switch.directory / "ctl", half, PENDING_MAX + 100) as silent:
        with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
            a.send(frame(1))
            assert b.receive() == frame(1)
        assert silent[0].recv(1) == b"", "the oldest had to go"


def test_half_requests_on_the_ring_socket(start_switch: StartSwitch) -> None:
    switch = start_switch()
    half = bytes(HEADER.size // 2)
    with half_open(switch.directory / "ring", half, PENDING_MAX + 100) as silent:
        with ring_client(switch) as a, ring_client(switch) as b:
            assert a.twin is not None
            a.twin.send(frame(1))
            assert b.receive() == frame(1)
        assert silent[0].recv(1) == b"", "the oldest had to go"


async def test_half_requests_of_a_wires_control(short_path: Path) -> None:
    """Connections are bounded; those that are there answer, and there is room again when one leaves."""
    path = short_path / "c"
    with trio.fail_after(PATIENCE_S):
        async with controlled(Rig(start(delay="1ms")), path) as stream:
            assert (await ask(stream, do="show"))["ok"] is True  # it is one of them
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(MOST_CONNECTIONS - 1):
                    silent = await stack.enter_async_context(await trio.open_unix_socket(path))
                    await silent.send_all(b'{"do": "sh')
                await trio.testing.wait_all_tasks_blocked(0.01)
                async with await trio.open_unix_socket(path) as one_too_many:
                    assert await one_too_many.receive_some() == b""
                assert (await ask(stream, do="show"))["ok"] is True
            await trio.testing.wait_all_tasks_blocked(0.01)
            async with await trio.open_unix_socket(path) as another:
                assert (await ask(another, do="show"))["ok"] is True


async def test_a_client_of_qemus_server_that_stays_with_half_a_frame(short_path: Path) -> None:
    """It keeps its turn, as with QEMU's own server; when it leaves, its half is counted, and the next one is served."""
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"qemu://{short_path}/s[server/reconnect=0.01]", TestSurroundings()) as server:
            silent = await trio.open_unix_socket(short_path / "s")
            await silent.send_all(struct.pack("!I", 64) + bytes(20))
            async with open_link(f"qemu://{short_path}/s", TestSurroundings()) as client:
                await client.send([frame(2)])
                async with trio.open_nursery() as nursery:

                    async def receive() -> None:
                        assert await collect(server, 1) == [frame(2)]

                    nursery.start_soon(receive)
                    await trio.testing.wait_all_tasks_blocked(0.01)
                    assert server.statistics().received_frames == 0
                    await silent.aclose()
            assert server.statistics().dropped_in == {"framing": 1}


@pytest.mark.parametrize("role", ["server", "client"])
async def test_a_tcp_peer_that_vanishes_without_a_word_is_found(role: str, two_namespaces: tuple[str, str]) -> None:
    here, there = two_namespaces
    in_namespace(here, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", there)
    for namespace, address in ((here, "10.77.0.1/24"), (there, "10.77.0.2/24")):
        in_namespace(namespace, "ip", "address", "add", address, "dev", "v0")
        in_namespace(namespace, "ip", "link", "set", "v0", "up")
    sockets = []
    for namespace in (here, there):
        with inside(namespace):
            sockets.append(socket.socket())
    ours, theirs = sockets
    with ours, theirs, trio.fail_after(PATIENCE_S):
        with inside(here):
            vnl = (
                "qemu://10.77.0.1:5000[server/keepalive=1]"
                if role == "server"
                else "qemu://10.77.0.2:5000[keepalive=1]"
            )
            if role == "client":
                theirs.bind(("10.77.0.2", 5000))
                theirs.listen()
            context = open_link(vnl, TestSurroundings())
            # Its sockets are made before its first wait, and nobody else runs: they are the namespace's.
            link = await context.__aenter__()
        try:
            if role == "server":
                theirs.connect(("10.77.0.1", 5000))
                peer = theirs
            else:
                peer, _ = theirs.accept()
            with peer:
                peer.sendall(struct.pack("!I", 64) + frame(1, 64))
                assert await collect(link, 1) == [frame(1, 64)]
                in_namespace(there, "ip", "link", "set", "v0", "down")  # nothing is said any more, not even FIN
                with pytest.raises(LinkBroken, match=r"timed out|No route|unreachable"):
                    await until_broken(link)
        finally:
            await context.__aexit__(None, None, None)


async def test_dtls_handshakes_that_are_begun_and_left(short_path: Path) -> None:
    """Nothing is kept of a ClientHello (RFC 6347 §4.2.1), so a thousand of them keep nobody out."""
    port, params = free_udp_port(), DtlsParams(key=key_file(short_path))
    with trio.fail_after(PATIENCE_S):
        async with listener(port, params) as server:
            hello = client_hello()
            for _ in range(1000):
                with socket.socket(type=socket.SOCK_DGRAM) as stranger:
                    stranger.sendto(hello, ("127.0.0.1", port))
            async with connector(port, params) as client:
                await client.wait_connected()
                await client.send([frame(1)])
                assert await collect(server, 1) == [frame(1)]


def client_hello() -> bytes:
    """OpenSSL's first flight."""
    connection = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    connection.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(2000)
