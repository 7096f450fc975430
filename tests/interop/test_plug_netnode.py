"""Nodes within a process: Debian's vde_plug as a client of ours, and what Debian's own nodes do beside ours."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from plugs.registry import open_link
from tests.interop.original_plug import exchange, open_original_plug, quiet, receive_ours
from tests.plugs.surroundings import TestSurroundings
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame, tagged
from vde.link import Link

pytestmark = pytest.mark.interop
PATIENCE_S = 20
TRY_S = 0.05
OUR_VDE_PLUG = Path(sys.executable).parent / "vde_plug"
NODES = ("switch", "hub", "multi", "bonding")


@asynccontextmanager
async def open_node(maker: str, vnl: str) -> AsyncIterator[Link]:
    """The opener's end of a node: of ours in this process, or of Debian's behind vde_plug's standard input."""
    if maker == "ours":
        async with open_link(vnl, TestSurroundings()) as link:
            yield link
    else:
        async with open_original_plug(vnl) as original:
            yield original


async def join(directory: Path) -> VdeClient:
    """A client, as soon as there is a node."""
    while True:
        try:
            return await trio.to_thread.run_sync(VdeClient, directory)
        except (FileNotFoundError, ConnectionRefusedError):
            await trio.sleep(TRY_S)


async def hear(client: VdeClient) -> bytes:
    return await trio.to_thread.run_sync(client.receive)


async def take(link: Link, count: int) -> list[bytes]:
    frames: list[bytes] = []
    while len(frames) < count:
        frames += await link.receive()
    return frames


@pytest.mark.parametrize("scheme", NODES)
async def test_debians_vde_plug_is_a_client(need_tool: NeedTool, short_path: Path, scheme: str) -> None:
    need_tool("vde_plug")
    with trio.fail_after(PATIENCE_S):
        async with (
            open_link(f"{scheme}://{short_path}/n", TestSurroundings()) as host,
            open_original_plug(f"vde://{short_path}/n") as original,
        ):
            await exchange(original, host, frame(1))
            await quiet(host)
            for octets in (60, 1514, 9000):
                await host.send([frame(9).ljust(octets, b"x")])
                assert await receive_ours(original) == frame(9).ljust(octets, b"x")
                await original.send([frame(1).ljust(octets, b"x")])
                assert await receive_ours(host) == frame(1).ljust(octets, b"x")


@pytest.mark.parametrize("maker", ["ours", "Debian's"])
@pytest.mark.parametrize("scheme", NODES)
async def test_who_hears_whom(need_tool: NeedTool, short_path: Path, scheme: str, maker: str) -> None:
    """The same script, the same outcome: broadcasts of each end, then unicast to an address that was heard from."""
    need_tool("vde_plug")
    with trio.fail_after(PATIENCE_S):
        async with open_node(maker, f"{scheme}://{short_path}/n") as host:
            with await join(short_path / "n") as one, await join(short_path / "n") as two:
                one.send(frame(1))
                assert await take(host, 1) == [frame(1)]
                two.send(tagged(frame(2), 7))
                assert await take(host, 1) == [tagged(frame(2), 7)]
                if scheme in ("switch", "hub"):  # clients hear one another
                    assert await hear(two) == frame(1)
                    assert await hear(one) == tagged(frame(2), 7)
                await host.send([frame(9), frame(9, 1), tagged(frame(9, 2), 7), frame(8)])
                heard_one, heard_two = [await hear(one), await hear(one)], [await hear(two), await hear(two)]
                match scheme:
                    case "switch":
                        heard_one.append(await hear(one))
                        heard_two.append(await hear(two))
                        assert heard_one == [frame(9), frame(9, 1), frame(8)]
                        assert heard_two == [frame(9), tagged(frame(9, 2), 7), frame(8)]
                    case "bonding":
                        sent = [frame(9), frame(9, 1), tagged(frame(9, 2), 7), frame(8)]
                        assert {tuple(heard_one), tuple(heard_two)} == {tuple(sent[::2]), tuple(sent[1::2])}
                    case _:
                        heard_one += [await hear(one), await hear(one)]
                        heard_two += [await hear(two), await hear(two)]
                        assert heard_one == heard_two == [frame(9), frame(9, 1), tagged(frame(9, 2), 7), frame(8)]
                assert one.pending() == two.pending() == []


@pytest.mark.parametrize("maker", ["ours", "Debian's"])
async def test_an_address_is_learned_for_its_vlan(need_tool: NeedTool, short_path: Path, maker: str) -> None:
    """The same address behind two clients, in two VLANs."""
    need_tool("vde_plug")
    with trio.fail_after(PATIENCE_S):
        async with open_node(maker, f"switch://{short_path}/n") as host:
            with await join(short_path / "n") as one, await join(short_path / "n") as two:
                for client, tci in ((one, 7), (two, 8)):
                    client.send(tagged(frame(1), tci))
                    assert await take(host, 1) == [tagged(frame(1), tci)]
                assert await hear(two) == tagged(frame(1), 7)
                assert await hear(one) == tagged(frame(1), 8)
                await host.send([tagged(frame(9, 1), 7), tagged(frame(9, 1), 8), frame(9)])
                assert [await hear(one), await hear(one)] == [tagged(frame(9, 1), 7), frame(9)]
                assert [await hear(two), await hear(two)] == [tagged(frame(9, 1), 8), frame(9)]


@pytest.mark.parametrize("scheme", ["switch", "hub"])
async def test_a_node_that_stands_alone(need_tool: NeedTool, short_path: Path, scheme: str) -> None:
    """`vde_plug null:// switch:///…` of ours, with Debian's vde_plug at both ends; it cleans up at the end."""
    need_tool("vde_plug")
    with trio.fail_after(PATIENCE_S):
        process = await trio.lowlevel.open_process(
            [str(OUR_VDE_PLUG), "null://", f"{scheme}://{short_path}/n"], stdin=subprocess.DEVNULL
        )
        try:
            while not (short_path / "n" / "ctl").exists():
                assert process.poll() is None
                await trio.sleep(TRY_S)
            async with (
                open_original_plug(f"vde://{short_path}/n") as one,
                open_original_plug(f"vde://{short_path}/n") as two,
            ):
                assert await exchange(one, two, frame(1)) == frame(1)
                await quiet(two)
                await two.send([frame(2, 1)])
                assert await receive_ours(one) == frame(2, 1)
            process.terminate()
            await process.wait()
            assert not (short_path / "n").exists()
        finally:
            if process.poll() is None:
                process.kill()
                await process.wait()
