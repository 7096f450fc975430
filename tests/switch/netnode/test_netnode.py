"""Nodes within a process: who hears whom, directories, refusals, clients that do not read."""

import os
import socket
import stat
from pathlib import Path

import pytest
import trio
import trio.testing

from plugs.registry import find, open_link, schemes
from switch.netnode.place import default_path
from switch.netnode.star import QUEUE_FRAMES
from tests.plugs.surroundings import TestSurroundings
from tests.vde_client import Refusal, VdeClient, frame, tagged
from vde.endpoint import EndpointKind
from vde.errors import ConfigError, LinkClosed

NODES = ("switch", "hub", "multi", "bonding")
PATIENCE_S = 20


async def hear(client: VdeClient) -> bytes:
    """The next frame; the node's tasks run meanwhile."""
    return await trio.to_thread.run_sync(client.receive)


async def join(directory: Path) -> VdeClient:
    return await trio.to_thread.run_sync(VdeClient, directory)


def test_they_are_found_and_have_a_page() -> None:
    assert set(NODES) <= set(schemes())
    for scheme in NODES:
        assert find(scheme).page.startswith(f"{scheme}:// ")


@pytest.mark.parametrize("scheme", ["switch", "hub"])
async def test_a_frame_to_all_reaches_all_others(scheme: str, short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"{scheme}://{short_path}/n", TestSurroundings()) as host:
            with await join(short_path / "n") as one, await join(short_path / "n") as two:
                await host.send([frame(9)])
                assert await hear(one) == await hear(two) == frame(9)
                one.send(frame(1))
                assert await hear(two) == frame(1)
                assert await host.receive() == [frame(1)]
                assert one.pending() == []


async def test_a_switch_learns_and_a_hub_does_not(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        for scheme in ("switch", "hub"):
            async with open_link(f"{scheme}://{short_path}/n", TestSurroundings()) as host:
                with await join(short_path / "n") as one, await join(short_path / "n") as two:
                    one.send(frame(1))
                    assert await hear(two) == frame(1)
                    assert await host.receive() == [frame(1)]
                    await host.send([frame(9, 1), frame(9)])  # to one, then to all
                    assert [await hear(one), await hear(one)] == [frame(9, 1), frame(9)]
                    assert await hear(two) == (frame(9) if scheme == "switch" else frame(9, 1))


@pytest.mark.parametrize("scheme", NODES)
async def test_tags_pass_as_they_are(scheme: str, short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"{scheme}://{short_path}/n", TestSurroundings()) as host:
            with await join(short_path / "n") as one:
                for vlan in (1, 1025, 4094):
                    one.send(tagged(frame(1), vlan))
                    assert await host.receive() == [tagged(frame(1), vlan)]
                    await host.send([tagged(frame(9), vlan)])
                    assert await hear(one) == tagged(frame(9), vlan)


async def test_multi_sends_by_all_and_its_clients_do_not_hear_one_another(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"multi://{short_path}/n", TestSurroundings()) as host:
            await host.send([frame(9)])
            assert host.statistics().dropped_out == {"nobody": 1}
            with await join(short_path / "n") as one, await join(short_path / "n") as two:
                one.send(frame(1))
                assert await host.receive() == [frame(1)]
                two.send(frame(2))
                assert await host.receive() == [frame(2)]
                await host.send([frame(9)])
                assert await hear(one) == await hear(two) == frame(9)
                assert host.state() == {"nodes": 2}


async def test_bonding_sends_by_one_after_the_other(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"bonding://{short_path}/n", TestSurroundings()) as host:
            with await join(short_path / "n") as one, await join(short_path / "n") as two:
                await host.send([frame(number) for number in range(6)])
                odd = [await hear(one) for _ in range(3)]
                even = [await hear(two) for _ in range(3)]
                assert sorted(odd + even) == [frame(number) for number in range(6)]
                assert odd in ([frame(0), frame(2), frame(4)], [frame(1), frame(3), frame(5)])
                one.send(frame(1))
                assert await host.receive() == [frame(1)]


async def test_a_client_of_multi_that_does_not_read_loses_only_its_own(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"multi://{short_path}/n", TestSurroundings()) as host:
            with await join(short_path / "n") as silent, await join(short_path / "n") as reader:
                sent = 0
                while "full" not in host.statistics().dropped_out:
                    await host.send([sent.to_bytes(60)])
                    assert await hear(reader) == sent.to_bytes(60)
                    sent += 1
                assert host.statistics().sent_frames == sent
                assert sent > QUEUE_FRAMES
                got = [await hear(silent) for _ in range(sent - 1)]  # its queue is sent when it reads again
                assert got == [number.to_bytes(60) for number in range(sent - 1)]


async def test_bonding_passes_over_who_is_full(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"bonding://{short_path}/n", TestSurroundings()) as host:
            with await join(short_path / "n") as silent, await join(short_path / "n") as reader:
                heard = 0
                for number in range(2000):
                    await host.send([number.to_bytes(60)])
                    heard += len(reader.pending())
                assert not host.statistics().dropped_out
                assert heard > 1000
                assert heard + len(silent.pending()) == 2000


@pytest.mark.parametrize("scheme", ["multi", "bonding"])
async def test_a_client_that_closes_only_its_data_socket_costs_nothing(scheme: str, short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"{scheme}://{short_path}/n", TestSurroundings()) as host:
            with await join(short_path / "n") as broken, await join(short_path / "n") as one:
                broken.send(frame(3))
                broken.data.close()
                assert await host.receive() == [frame(3)]
                async with trio.open_nursery() as nursery:
                    received: list[bytes] = []

                    async def receive() -> None:
                        received.extend(await host.receive())

                    nursery.start_soon(receive)
                    with trio.fail_after(5):
                        await trio.testing.wait_all_tasks_blocked(0.01)  # it waits: it does not turn on the spot
                    await host.send([frame(9)] * 2)
                    assert await hear(one) == frame(9)
                    one.send(frame(1))
                assert received == [frame(1)]


@pytest.mark.parametrize("scheme", NODES)
async def test_the_directory_has_the_modes_and_goes_away(scheme: str, short_path: Path) -> None:
    path = short_path / "n"
    for given, mode, dirmode in (("", 0o600, 0o2700), ("[mode=0666]", 0o666, 0o2777), ("[mode=640]", 0o640, 0o2750)):
        async with open_link(f"{scheme}://{path}{given}", TestSurroundings()):
            assert stat.S_IMODE(path.stat().st_mode) == dirmode
            assert stat.S_IMODE((path / "ctl").stat().st_mode) == mode
        assert not path.exists()


@pytest.mark.parametrize("scheme", NODES)
async def test_a_directory_in_use_is_refused_and_a_dead_one_taken_over(scheme: str, short_path: Path) -> None:
    path = short_path / "n"
    path.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(os.fspath(path / "ctl"))
    async with open_link(f"{scheme}://{path}", TestSurroundings()):
        with pytest.raises(ConfigError, match="running there"):
            async with open_link(f"{scheme}://{path}", TestSurroundings()):
                pass
        with await join(path):
            pass


@pytest.mark.parametrize("scheme", NODES)
async def test_who_asks_for_the_management_port_is_sent_away(scheme: str, short_path: Path) -> None:
    here = TestSurroundings()
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"{scheme}://{short_path}/n", here):
            with pytest.raises(Refusal):
                await trio.to_thread.run_sync(lambda: VdeClient(short_path / "n", management=True))
            assert "no management port" in here.warnings[0]
            with await trio.to_thread.run_sync(lambda: VdeClient(short_path / "n", 7)):  # a port number is no matter
                pass


@pytest.mark.parametrize("scheme", NODES)
async def test_clients_see_the_end(scheme: str, short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"{scheme}://{short_path}/n", TestSurroundings()) as host:
            client = await join(short_path / "n")
        with client:
            client.wait_closed()
        with pytest.raises(LinkClosed):
            await host.send([frame(1)])
        with pytest.raises(LinkClosed):
            await host.receive()


@pytest.mark.parametrize("scheme", ["switch", "hub"])
async def test_the_openers_end_can_be_handed_over(scheme: str, short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_link(f"{scheme}://{short_path}/n", TestSurroundings()) as host:
            handed = host.hand_over()
            assert handed is not None
            assert handed.kind is EndpointKind.DATAGRAM
            with await join(short_path / "n") as one, socket.socket(fileno=handed.fd) as owned:
                owned.send(frame(9))
                assert await hear(one) == frame(9)
                one.send(frame(1))
                await trio.lowlevel.wait_readable(owned)
                assert owned.recv(100) == frame(1)
            assert host.take_back()
            with await join(short_path / "n") as one:
                await host.send([frame(9)])
                assert await hear(one) == frame(9)


def test_the_default_directory_is_the_users() -> None:
    assert default_path().name.startswith("vdenode_")


@pytest.mark.parametrize("scheme", NODES)
async def test_a_wrong_option_is_told(scheme: str, short_path: Path) -> None:
    with pytest.raises(ConfigError, match="octal"):
        async with open_link(f"{scheme}://{short_path}/n[mode=999]", TestSurroundings()):
            pass
    with pytest.raises(ConfigError, match="No such group"):
        async with open_link(f"{scheme}://{short_path}/n[grp=nonesuch]", TestSurroundings()):
            pass
    assert not (short_path / "n").exists()
