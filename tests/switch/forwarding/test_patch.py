"""Two links joined without a switch."""

import errno
import os
import socket
from collections.abc import Iterator

import pytest
import trio

from switch.forwarding.choice import Kind
from switch.forwarding.patch import EndBroken, Patch, Side, patch_through
from tests.vde_client import frame
from vde.endpoint import EndpointKind, HandedOver


class Ends:
    """The far ends of two links, and what is handed over of them."""

    def __init__(self) -> None:
        self.far: dict[Side, socket.socket] = {}
        self.handed: dict[Side, HandedOver] = {}
        for side in ("left", "right"):
            self.renew(side)

    def renew(self, side: Side, kind: socket.SocketKind = socket.SOCK_SEQPACKET) -> HandedOver:
        ours, far = socket.socketpair(socket.AF_UNIX, kind)
        if side in self.far:
            self.far.pop(side).close()
        self.far[side] = far
        far.setblocking(False)
        self.handed[side] = HandedOver(ours.detach(), EndpointKind.DATAGRAM)
        return self.handed[side]

    async def take(self, side: Side) -> bytes:
        with trio.fail_after(10):
            await trio.lowlevel.wait_readable(self.far[side])
        return self.far[side].recv(1 << 16)

    async def cross(self, number: int) -> None:
        self.far["left"].send(frame(number))
        assert await self.take("right") == frame(number)
        self.far["right"].send(frame(number + 1))
        assert await self.take("left") == frame(number + 1)


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    for far in ends.far.values():
        far.close()


@pytest.fixture(params=["python", "native"])
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


def is_closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


async def start(ends: Ends, kind: Kind, nursery: trio.Nursery) -> Patch:
    async def run(task_status: trio.TaskStatus[Patch]) -> None:
        await patch_through(ends.handed["left"], ends.handed["right"], kind=kind, task_status=task_status)

    patch: Patch = await nursery.start(run)
    return patch


async def test_frames_cross_both_ways_and_are_counted(ends: Ends, kind: Kind) -> None:
    async with trio.open_nursery() as nursery:
        patch = await start(ends, kind, nursery)
        await ends.cross(1)
        ends.far["left"].send(b"short")
        await ends.cross(3)
        statistics = patch.statistics()
        nursery.cancel_scope.cancel()
    assert statistics.left_to_right.frames == 2
    assert statistics.left_to_right.octets == len(frame(1)) + len(frame(3))
    assert statistics.left_to_right.dropped == {"short": 1}
    assert statistics.right_to_left.frames == 2
    assert statistics.right_to_left.dropped == {}
    assert all(is_closed(handed.fd) for handed in ends.handed.values())


@pytest.mark.parametrize("side", ["left", "right"])
async def test_an_end_that_breaks_is_named(ends: Ends, kind: Kind, side: Side) -> None:
    async def close_when_running(task_status: trio.TaskStatus[Patch]) -> None:
        with pytest.raises(EndBroken, match=f"the {side} end broke: Connection reset") as caught:
            await patch_through(ends.handed["left"], ends.handed["right"], kind=kind, task_status=task_status)
        assert (caught.value.side, caught.value.errno) == (side, errno.ECONNRESET)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(close_when_running)
            await ends.cross(1)
            ends.far[side].close()
    assert all(is_closed(handed.fd) for handed in ends.handed.values())


async def test_a_side_is_plugged_in_anew(ends: Ends, kind: Kind) -> None:
    patch = Patch(kind)
    for side, handed in ends.handed.items():
        patch.plug(side, handed)
    async with trio.open_nursery() as nursery:
        await nursery.start(forward, patch)
        await ends.cross(1)
        ends.far["right"].close()
        with trio.fail_after(10):
            assert (await patch.wait_broken()).side == "right"
        patch.unplug("right")
        patch.plug("right", ends.renew("right"))
        await ends.cross(3)
        nursery.cancel_scope.cancel()


async def forward(patch: Patch, *, task_status: trio.TaskStatus[None]) -> None:
    await patch.forward(task_status=task_status)


async def test_a_stalled_end_drops_and_delays_nobody(ends: Ends, kind: Kind) -> None:
    async with trio.open_nursery() as nursery:
        patch = await start(ends, kind, nursery)
        with trio.fail_after(30):
            while "queue_full" not in patch.statistics().left_to_right.dropped:
                await trio.lowlevel.wait_writable(ends.far["left"])
                ends.far["left"].send(bytes(1514))
        ends.far["right"].send(frame(1))
        assert await ends.take("left") == frame(1)
        nursery.cancel_scope.cancel()


async def test_descriptors_are_closed_when_one_cannot_be_used(ends: Ends, kind: Kind) -> None:
    wrong = HandedOver(os.open(os.devnull, os.O_RDWR), EndpointKind.DATAGRAM)
    with pytest.raises(OSError, match=r"[Ss]ocket"):
        await patch_through(ends.handed["left"], wrong, kind=kind)
    assert is_closed(wrong.fd)
    assert is_closed(ends.handed["left"].fd)
    os.close(ends.handed["right"].fd)
