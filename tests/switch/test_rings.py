"""The ring socket as a stranger sees it: who is refused, what hostile clients cost, and what is left of them."""

import contextlib
import errno
import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ring_twin import RingTwin
from tests.switch_process import SwitchProcess
from tests.vde_client import VdeClient, frame
from vde.ring_handshake import HEADER, MAGIC, RingAnswer, RingRequest, parse_answer

StartSwitch = Callable[..., SwitchProcess]
PATIENCE_S = 20.0


class RingClient:
    """Written from the descriptions alone: the handshake's, and `RingTwin`."""

    def __init__(self, directory: Path, request: RingRequest = RingRequest()) -> None:  # noqa: B008 - frozen
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.control.settimeout(PATIENCE_S)
        self.control.connect(os.fspath(directory / "ring"))
        self.control.sendall(request.emit())
        octets, descriptors, _, _ = socket.recv_fds(self.control, 1000, 10)
        self.answer: RingAnswer = parse_answer(octets)
        self.twin = None if self.answer.errno else RingTwin(descriptors)

    def receive(self) -> bytes:
        assert self.twin is not None
        while (received := self.twin.receive()) is None:
            os.sched_yield()
        return received

    def close(self) -> None:
        self.control.close()
        if self.twin is not None:
            self.twin.close()


@contextlib.contextmanager
def ring_client(switch: SwitchProcess, request: RingRequest = RingRequest()) -> Iterator[RingClient]:  # noqa: B008
    client = RingClient(switch.directory, request)
    try:
        yield client
    finally:
        client.close()


def descriptors_of(switch: SwitchProcess) -> int:
    return len(os.listdir(f"/proc/{switch.process.pid}/fd"))


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if condition():
            return
        os.sched_yield()
    raise AssertionError("it does not come to pass")


@pytest.mark.parametrize("forwarder", ["native", "python"])
def test_a_client_written_from_the_description_talks(start_switch: StartSwitch, forwarder: str) -> None:
    switch = start_switch("--forwarder", forwarder)
    with ring_client(switch, RingRequest(3, False, 1 << 16, 0, "twin")) as a, VdeClient(switch.directory) as b:
        assert a.twin is not None
        assert (a.answer.ring_octets, a.answer.frame_octets) == (1 << 16, 9238)
        for number in range(200):
            one = frame(1, payload=bytes([number]) * (number * 40))
            assert a.twin.send(one)
            assert b.receive() == one
            b.send(one)
            assert a.receive() == one
        assert any("Port 0003" in line for line in switch.command("port/print"))
        assert any("twin" in line for line in switch.command("port/print"))


def test_the_wished_sizes_are_brought_within_bounds(start_switch: StartSwitch) -> None:
    switch = start_switch("--maxframe", "1518")
    for wished, given in ((1, 1 << 16), ((1 << 32) - 1, 1 << 24), (100_000, 1 << 17)):
        with ring_client(switch, RingRequest(ring_octets=wished, frame_octets=9999)) as client:
            assert (client.answer.ring_octets, client.answer.frame_octets) == (given, 1522)


def test_refusals_have_an_errno_and_a_reason(start_switch: StartSwitch) -> None:
    switch = start_switch("-n", "2")
    with ring_client(switch), ring_client(switch):
        with ring_client(switch) as third:
            assert (third.answer.errno, third.answer.reason) == (errno.ENOSPC, "all 2 ports are taken")
        with ring_client(switch, RingRequest(port=9)) as ninth:
            assert ninth.answer.errno == errno.EINVAL
            assert "0 to 2 are possible" in ninth.answer.reason


def test_nothing_is_left_of_clients_that_leave(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with VdeClient(switch.directory):
        before = descriptors_of(switch)
        for _ in range(5):
            with ring_client(switch) as client:
                assert client.twin is not None
                client.twin.send(frame(1))
        wait_until(lambda: descriptors_of(switch) == before)
        assert "module ring" not in "\n".join(switch.command("port/allprint"))


def test_hostile_requests_are_refused_and_disturb_nobody(start_switch: StartSwitch) -> None:
    switch = start_switch()
    chance = random.Random(1)
    hostile = [b"", b"x", MAGIC, HEADER.pack(MAGIC, 1, 1, 2, 0, 0, 0, 0), HEADER.pack(MAGIC, 1, 1, 0, 0, 0, 0, 1 << 31)]
    hostile += [chance.randbytes(chance.randrange(200)) for _ in range(50)]
    hostile += [MAGIC + chance.randbytes(chance.randrange(100)) for _ in range(50)]
    with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
        before = descriptors_of(switch)
        for octets in hostile:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
                stranger.connect(os.fspath(switch.directory / "ring"))
                with contextlib.suppress(BrokenPipeError):
                    stranger.sendall(octets)
        a.send(frame(1))
        assert b.receive() == frame(1)
        wait_until(lambda: descriptors_of(switch) == before)


def test_fuzz_hostile_rings_disturb_nobody(start_switch: StartSwitch) -> None:
    """Whatever clients write into what they share with the switch, the others' frames arrive."""
    switch = start_switch()
    chance = random.Random(2)
    with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
        before = descriptors_of(switch)
        for round_ in range(60):
            with ring_client(switch, RingRequest(ring_octets=1 << 16)) as client:
                twin = client.twin
                assert twin is not None
                for _ in range(20):
                    at = chance.choice(
                        [512, 640, 768, 896, 1024, 1152, 1280, 1408, 4096, chance.randrange(4096 + (1 << 17))]
                    )
                    octets = chance.choice(
                        [b"\0" * 4, b"\xff" * 4, b"\x08\0\0\0", chance.randbytes(4), chance.randbytes(64)]
                    )
                    octets = octets[: len(twin.memory) - at]
                    twin.memory[at : at + len(octets)] = octets
                    os.eventfd_write(twin.given[3], 1)
                os.set_blocking(twin.given[3], True)
                with contextlib.suppress(BlockingIOError):
                    os.set_blocking(twin.given[3], False)
                    os.eventfd_write(twin.given[3], (1 << 64) - 2 - (1 << 32))  # as full as it gets
                one = frame(1, payload=round_.to_bytes(4) + b"honest")
                a.send(one)
                while b.receive() != one:  # what a hostile client floods is among it
                    pass
        a.pending()
        wait_until(lambda: descriptors_of(switch) == before)


def test_a_client_that_makes_its_bells_blocking_does_not_stop_the_switch(start_switch: StartSwitch) -> None:
    """The bells that the switch rings are out of reach: what the client has of them is an epoll descriptor."""
    switch = start_switch()
    with (
        ring_client(switch) as client,
        VdeClient(switch.directory) as a,
        VdeClient(switch.directory) as b,
    ):
        assert client.twin is not None
        for descriptor in client.twin.given[1:3]:
            assert os.readlink(f"/proc/self/fd/{descriptor}") == "anon_inode:[eventpoll]"
            os.set_blocking(descriptor, True)
            with pytest.raises(OSError, match="Invalid argument"):
                os.write(descriptor, b"\xfe" + b"\xff" * 7)
        for number in range(1000):
            client.twin.put_number(1, 256, 1)  # a bell at every frame, please
            a.send(frame(1, payload=number.to_bytes(4)))
            assert b.receive() == frame(1, payload=number.to_bytes(4))


async def test_a_plug_of_a_switch_may_be_a_ring(start_switch: StartSwitch) -> None:
    first = start_switch(name="a")
    second = start_switch("--plug", f"shm://{first.directory}@7", name="b")
    with VdeClient(first.directory) as here, VdeClient(second.directory) as there:
        wait_until(lambda: "module ring" in "\n".join(first.command("port/allprint")))
        for number in range(100):
            here.send(frame(1, payload=number.to_bytes(600)))
            assert there.receive() == frame(1, payload=number.to_bytes(600))
            there.send(frame(2, 1, payload=number.to_bytes(600)))
            assert here.receive() == frame(2, 1, payload=number.to_bytes(600))
