"""shm://: through a switch and from program to program; who is refused, and what a peer that leaves or lies does."""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from plugs.shm import Params, ShmLink, open_shm
from switch.forwarding.contract import Limits
from switch.forwarding.native import NativeForwarder
from tests.plugs.pairs.shm import listens, open_both
from tests.plugs.surroundings import TestSurroundings
from tests.ring_twin import RingTwin
from tests.switch_process import SwitchProcess
from tests.vde_client import VdeClient, frame
from vde.endpoint import EndpointKind
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.ring_handshake import HEADER, MAGIC, RingAnswer, RingRequest, parse_answer

StartSwitch = Callable[..., SwitchProcess]
PATIENCE_S = 20.0


def ask(path: Path, octets: bytes) -> tuple[bytes, list[int]]:
    """What a ring socket answers, and the descriptors with it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(PATIENCE_S)
        asking.connect(os.fspath(path))
        asking.sendall(octets)
        answer, descriptors, _, _ = socket.recv_fds(asking, 1000, 10)
        return answer, descriptors


@pytest.mark.parametrize("forwarder", ["native", "python"])
async def test_ports_descriptions_and_frames_of_a_switch(start_switch: StartSwitch, forwarder: str) -> None:
    switch = start_switch("--forwarder", forwarder)
    directory = str(switch.directory)
    with trio.fail_after(PATIENCE_S), VdeClient(switch.directory, port=3) as other:
        async with (
            open_shm(directory, Params(port=7), TestSurroundings()) as a,
            open_shm(directory, Params(), TestSurroundings()) as b,
        ):
            await a.send([frame(1), frame(1, payload=bytes(9216))])
            assert [other.receive(), other.receive()] == [frame(1), frame(1, payload=bytes(9216))]
            received = await b.receive()
            while len(received) < 2:
                received += await b.receive()
            assert received == [frame(1), frame(1, payload=bytes(9216))]
            other.send(frame(2, 1))
            assert await a.receive() == [frame(2, 1)]
            shown = "\n".join(switch.command("port/allprint"))
            assert "module ring" in shown
            assert "Port 0007" in shown
            assert " : test" in shown
        while "module ring" in "\n".join(switch.command("port/allprint")):
            await trio.lowlevel.checkpoint()


async def test_a_switch_says_why_it_refuses(start_switch: StartSwitch) -> None:
    switch = start_switch("-n", "4")
    with pytest.raises(ConfigError, match="port 5 is out of range"):
        async with open_shm(str(switch.directory), Params(port=5), TestSurroundings()):
            pass
    answer, descriptors = ask(switch.directory / "ring", RingRequest(newest=9, oldest=8).emit())
    assert parse_answer(answer).errno == errno.EPROTONOSUPPORT
    assert descriptors == []


async def test_the_switch_ends_the_link_when_the_port_is_closed(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with trio.fail_after(PATIENCE_S):
        async with open_shm(str(switch.directory), Params(), TestSurroundings()) as link:
            line = next(line for line in switch.command("port/allprint") if "endpoint ID" in line)
            switch.command(f"port/epclose 1 {int(line.split('endpoint ID ')[1].split()[0])}")
            with pytest.raises(LinkBroken, match="ended"):
                await link.receive()


async def test_no_switch_and_a_switch_without_rings_are_told_apart(short_path: Path) -> None:
    with pytest.raises(LinkBroken, match="No such file"):
        async with open_shm(str(short_path / "none"), Params(), TestSurroundings()):
            pass
    (short_path / "ctl").touch()
    with pytest.raises(ConfigError, match=r"vde://.* works with any switch"):
        async with open_shm(str(short_path), Params(), TestSurroundings()):
            pass
    with pytest.raises(ConfigError, match="longer than 107"):
        async with open_shm("/" + "x" * 107, Params(), TestSurroundings()):
            pass


async def test_a_sender_waits_for_room_and_nothing_is_lost(short_path: Path) -> None:
    sent = [frame(1, payload=number.to_bytes(1400)) for number in range(1000)]
    with trio.fail_after(PATIENCE_S):
        async with open_both(short_path / "s") as (connector, listener), trio.open_nursery() as nursery:
            for one, other in ((connector, listener), (listener, connector)):
                nursery.start_soon(one.send, sent)
                received: list[bytes] = []
                while len(received) < len(sent):
                    received += await other.receive()
                assert received == sent


async def test_a_link_that_is_taken_back_goes_on_where_the_forwarder_was(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_both(short_path / "s") as (connector, listener):
            for link, peer in ((connector, listener), (listener, connector)):
                await link.send([frame(1)])
                handed = link.hand_over()
                assert handed is not None
                assert handed.kind is link.handed_kind
                with pytest.raises(LinkClosed):
                    await link.receive()
                await peer.send([frame(2)])
                handed.close()
                assert link.take_back()
                await peer.send([frame(3)])
                received: list[bytes] = []
                while len(received) < 2:
                    received += await link.receive()
                assert received == [frame(2), frame(3)]
                assert await peer.receive() == [frame(1)]
            assert not connector.take_back()  # nothing was handed over


async def test_rings_that_the_peer_spoilt_meanwhile_are_not_taken_back(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_both(short_path / "s") as (connector, listener):
            handed, spoilt = connector.hand_over(), listener.hand_over()
            assert handed is not None
            assert spoilt is not None
            os.pwrite(spoilt.others[0], b"not rings", 0)
            handed.close()
            spoilt.close()
            assert not connector.take_back()


async def test_a_sender_that_waits_hears_of_the_end(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_both(short_path / "s") as (connector, listener):
            assert isinstance(listener, ShmLink)

            async def send() -> None:
                with pytest.raises(LinkBroken, match="ended"):
                    await connector.send([frame(1, payload=bytes(9000))] * 1000)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                await wait_all_tasks_blocked()
                listener.close()
            with pytest.raises(LinkClosed):
                await listener.receive()


async def test_a_listener_is_not_disturbed_by_strangers(short_path: Path) -> None:
    path = short_path / "s"
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                async with open_shm(str(path), Params(listen=True), TestSurroundings()) as link:
                    await link.send([frame(1)])

            nursery.start_soon(serve)
            while not listens(path):
                await trio.lowlevel.checkpoint()
            for octets in (b"", b"GET / HTTP/1.0\r\n\r\n" + bytes(20), HEADER.pack(MAGIC, 1, 1, 9, 0, 0, 0, 0)):
                async with await trio.open_unix_socket(path) as stranger:
                    await stranger.send_all(octets)
                    await stranger.send_eof()
                    with contextlib.suppress(trio.BrokenResourceError):  # what it sent was not read to the end
                        assert await stranger.receive_some() == b""
            async with open_shm(str(path), Params(), TestSurroundings()) as link:
                assert await link.receive() == [frame(1)]
    assert not listens(path)


async def test_a_peer_that_breaks_the_ring_breaks_the_link(short_path: Path) -> None:
    path = short_path / "s"
    with trio.fail_after(PATIENCE_S), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                async with open_shm(str(path), Params(listen=True), TestSurroundings()) as link:
                    with pytest.raises(LinkBroken, match="broken"):
                        await link.receive()

            nursery.start_soon(serve)
            while not listens(path):
                await trio.lowlevel.checkpoint()
            asking.connect(os.fspath(path))
            asking.sendall(RingRequest().emit())
            await trio.lowlevel.wait_readable(asking)
            answer, descriptors, _, _ = socket.recv_fds(asking, 1000, 10)
            assert parse_answer(answer).errno == 0
            twin = RingTwin(descriptors)
            twin.put_number(0, 0, 4)
            os.eventfd_write(twin.given[3], 1)
        twin.close()


async def test_a_listener_that_lies_is_refused(short_path: Path) -> None:
    path = short_path / "s"
    memory = os.memfd_create("x")
    os.ftruncate(memory, 4096 + (1 << 17))
    for descriptors, word in (([memory] * 5, "sealed"), ([memory] * 3, "5 were expected")):
        listener = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        await listener.bind(os.fspath(path))
        listener.listen(1)

        async def lie(listener: trio.socket.SocketType, descriptors: list[int]) -> None:
            connection, _ = await listener.accept()
            await connection.recv(1000)
            rights = struct.pack(f"={len(descriptors)}i", *descriptors)
            octets = RingAnswer(0, 1 << 16, 1518).emit()
            await connection.sendmsg([octets], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            await connection.recv(1)
            connection.close()
            listener.close()

        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lie, listener, descriptors)
                with pytest.raises(LinkBroken, match=word):
                    async with open_shm(str(path), Params(), TestSurroundings()):
                        pass
        path.unlink()
    os.close(memory)


async def test_a_forwarder_takes_the_rings_over(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_both(short_path / "a") as (a, far_a), open_both(short_path / "b") as (far_b, b):
            forwarder = NativeForwarder(Limits())
            forwarder.add_vlan(0)
            await far_a.send([frame(1)])  # waits in the ring meanwhile
            for number, link in enumerate((a, b), 1):
                handed = link.hand_over()
                assert handed is not None
                assert handed.kind == (EndpointKind.RING_CONNECTOR, EndpointKind.RING_LISTENER)[number - 1]
                forwarder.add_port(number, 0)
                forwarder.set_member(0, number, tagged=False, learning=True, forwarding=True)
                forwarder.attach(number, number, handed.fd, handed.kind, handed.others)
            forwarder.poll(1)
            assert await far_b.receive() == [frame(1)]
            await far_b.send([frame(2, 1)])
            forwarder.poll(2)
            assert await far_a.receive() == [frame(2, 1)]
            with pytest.raises(LinkClosed):
                await a.send([frame(1)])
            forwarder.close()
