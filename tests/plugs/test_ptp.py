"""ptp://: who comes first and second, a third one, peers that go and come again, both generations."""

import os
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from plugs import registry
from tests.plugs.surroundings import TestSurroundings
from tests.vde_client import frame
from vde.errors import ConfigError, LinkBroken
from vde.link import Link

PATIENCE_S = 20
TYPES = ["seqpacket", "dgram"]


async def open_side(stack: AsyncExitStack, path: Path, options: str = "") -> Link:
    return await stack.enter_async_context(registry.open_link(f"ptp://{path}{options}", TestSurroundings()))


async def crosses(one: Link, other: Link, number: int) -> None:
    with trio.fail_after(PATIENCE_S):
        await one.send([frame(number)])
        assert await other.receive() == [frame(number)]


@pytest.mark.parametrize("kind", TYPES)
async def test_the_first_one_waits_and_what_it_sends_is_lost(short_path: Path, kind: str) -> None:
    async with AsyncExitStack() as stack:
        first = await open_side(stack, short_path / "p", f"[type={kind}]")
        await first.send([frame(1), frame(2)])
        assert first.statistics().dropped_out == {"no-peer": 2}
        second = await open_side(stack, short_path / "p")
        await crosses(second, first, 3)
        await crosses(first, second, 4)
        assert first.state()["type"] == second.state()["type"] == kind
    assert os.listdir(short_path) == []


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("leaving", ["first", "second"])
async def test_another_peer_may_come(short_path: Path, kind: str, leaving: str) -> None:
    async with AsyncExitStack() as stack, AsyncExitStack() as gone:
        first = await open_side(gone if leaving == "first" else stack, short_path / "p", f"[type={kind}]")
        second = await open_side(gone if leaving == "second" else stack, short_path / "p")
        await crosses(first, second, 1)
        await crosses(second, first, 2)
        await gone.aclose()
        left = second if leaving == "first" else first
        with trio.move_on_after(0.05):  # it sees the end, and listens from now on
            await left.receive()
        third = await open_side(stack, short_path / "p", f"[type={kind}]")
        await crosses(third, left, 3)
        await crosses(left, third, 4)


async def test_a_third_one_is_refused(short_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first = await open_side(stack, short_path / "p")
        second = await open_side(stack, short_path / "p")
        await crosses(first, second, 1)
        third = await open_side(stack, short_path / "p")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.receive)
            with trio.fail_after(PATIENCE_S), pytest.raises(LinkBroken, match="already connected"):
                await third.receive()
            nursery.cancel_scope.cancel()
        await crosses(second, first, 2)
        assert first.statistics().dropped_in == {"stranger": 1}


async def test_a_third_one_of_the_older_generation_is_refused(short_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await open_side(stack, short_path / "p", "[type=dgram]")
        await open_side(stack, short_path / "p")
        with pytest.raises(LinkBroken, match="both of its ends are taken"):
            await open_side(stack, short_path / "p")


@pytest.mark.parametrize(("kind", "number"), [("seqpacket", socket.SOCK_SEQPACKET), ("dgram", socket.SOCK_DGRAM)])
async def test_what_a_dead_program_left_is_taken_over(short_path: Path, kind: str, number: int) -> None:
    for name in ("p", "p+"):
        with socket.socket(socket.AF_UNIX, number) as dead:
            dead.bind(os.fspath(short_path / name))
    async with AsyncExitStack() as stack:
        first = await open_side(stack, short_path / "p", f"[type={kind}]")
        second = await open_side(stack, short_path / "p")
        await crosses(first, second, 1)


async def test_the_generations_do_not_mix(short_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await open_side(stack, short_path / "p", "[type=dgram]")
        with pytest.raises(ConfigError, match="the other generation"):
            await open_side(stack, short_path / "p", "[type=seqpacket]")


async def test_a_stranger_is_not_heard(short_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first = await open_side(stack, short_path / "p", "[type=dgram]")
        second = await open_side(stack, short_path / "p")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.bind(os.fspath(short_path / "s"))
            stranger.sendto(frame(9), os.fspath(short_path / "p"))
        await crosses(second, first, 1)
        assert first.statistics().dropped_in == {"stranger": 1}


async def test_a_peer_that_never_reads_stops_us_and_its_end_lets_us_go(short_path: Path) -> None:
    async with AsyncExitStack() as stack, AsyncExitStack() as gone:
        first = await open_side(stack, short_path / "p")
        await open_side(gone, short_path / "p")

        async def flood() -> None:
            with trio.fail_after(PATIENCE_S):
                while not first.statistics().dropped_out:
                    await first.send([bytes(9000)])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert not first.statistics().dropped_out
            await gone.aclose()


@pytest.mark.parametrize(
    ("path", "text"), [("", "a path of 1 to 106"), ("/nonexistent/p", "No such file"), ("/a" * 60, "1 to 106")]
)
async def test_what_is_wrong(path: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        async with registry.open_link(f"ptp://{path}", TestSurroundings()):
            pass
