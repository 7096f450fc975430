"""Plugs as ports: kept open, opened again with a growing wait, told once, taken out, and their frames counted."""

import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import trio
from trio.testing import MockClock

from switch.core import Settings, Switch
from switch.forwarding.choice import open_forwarder
from switch.forwarding.contract import Limits
from switch.log import Log
from switch.plugged import LASTING_S, MOST_WAIT_S, PlugBoard, split_port
from tests.plugs.udp_ports import free_udp_port
from tests.switch_process import PATIENCE_S, SwitchProcess
from tests.vde_client import VdeClient, frame
from vde.endpoint import EndpointKind, HandedOver
from vde.errors import ConfigError, LinkBroken, Refused
from vde.link import LinkStatistics

StartSwitch = Callable[..., SwitchProcess]


class FakeLink:
    """A `PortLink` on a socket pair."""

    direct = True

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.handed = HandedOver(ours.detach(), EndpointKind.DATAGRAM)
        self.broken = trio.Event()

    async def run(self) -> NoReturn:
        await self.broken.wait()
        raise LinkBroken("the peer left")

    def discard(self) -> None:
        os.close(self.handed.fd)

    def statistics(self) -> LinkStatistics:
        return LinkStatistics()

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        return {}


class FakeOpener:
    """An `Opener` that fails as long as it is told to."""

    def __init__(self) -> None:
        self.fails = 0
        self.attempts: list[float] = []
        self.links: list[FakeLink] = []

    def check(self, vnl: str, *, trusted: bool) -> None:
        if "wrong" in vnl:
            raise ConfigError("it is wrong")

    @asynccontextmanager
    async def open(self, vnl: str, *, trusted: bool, warn: Callable[[str], None]) -> AsyncIterator[FakeLink]:
        self.attempts.append(trio.current_time())
        if self.fails:
            self.fails -= 1
            raise LinkBroken("nobody is there")
        self.links.append(FakeLink())
        yield self.links[-1]
        raise AssertionError("a link's end is raised")


class Rig:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.opener = FakeOpener()
        self.switch = Switch(open_forwarder("python", Limits()), Settings(mac=bytes(6)), 0)
        self.board = PlugBoard(self.switch, self.opener, lambda: int(trio.current_time() * 1e9), Log(self.tell))

    def tell(self, priority: int, line: str) -> bool:
        self.lines.append(line)
        return True


@asynccontextmanager
async def running() -> AsyncIterator[Rig]:
    rig = Rig()
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(rig.board.run)
            yield rig
            nursery.cancel_scope.cancel()
    finally:
        for link in rig.opener.links:
            link.theirs.close()
        rig.switch.forwarder.close()


@pytest.mark.parametrize(
    ("text", "vnl", "port"),
    [
        ("udp://:1->h:2@7", "udp://:1->h:2", 7),
        ("cmd://ssh me@there", "cmd://ssh me@there", 0),
        ("cmd://ssh me@7@0", "cmd://ssh me@7", 0),
        ("/run/a[3]", "/run/a[3]", 0),
        ("@5", "", 5),
    ],
)
def test_a_vnl_and_its_port(text: str, vnl: str, port: int) -> None:
    assert split_port(text) == (vnl, port)


async def test_waits_grow_to_a_bound_and_the_first_failure_is_told(autojump_clock: MockClock) -> None:
    async with running() as rig:
        rig.opener.fails = 12
        plugged = rig.board.add("x://@3", trusted=True)
        await trio.sleep(400)
        assert plugged.state == "connected"
        waits = [after - before for before, after in zip(rig.opener.attempts, rig.opener.attempts[1:], strict=False)]
        assert waits[:7] == pytest.approx([0.5, 1, 2, 4, 8, 16, MOST_WAIT_S])
        assert max(waits) == pytest.approx(MOST_WAIT_S)
        assert rig.lines == ["plug x://: nobody is there; trying again", "plug x://: connected"]
        assert rig.switch.ports.get(3).active


async def test_after_a_lasting_connection_the_wait_begins_anew(autojump_clock: MockClock) -> None:
    async with running() as rig:
        rig.opener.fails = 4
        plugged = rig.board.add("x://", trusted=True)
        await trio.sleep(30 + LASTING_S)
        rig.opener.links[0].broken.set()
        await trio.sleep(0.1)
        assert (plugged.state, plugged.wait_s, plugged.breaks) == ("waiting", 0.5, 1)
        assert plugged.last_error == "the peer left"
        assert not rig.switch.ports.get(plugged.port).active
        await trio.sleep(1)
        assert (plugged.state, plugged.port) == ("connected", 1)


async def test_a_port_that_waits_is_still_the_plugs(autojump_clock: MockClock) -> None:
    async with running() as rig:
        rig.opener.fails = 100
        plugged = rig.board.add("x://", trusted=True)
        await trio.sleep(1)
        assert plugged.port == 1
        assert rig.switch.choose_port(0, management=False) == 2
        rig.board.remove(plugged.number)
        await trio.sleep(1)
        assert rig.switch.choose_port(0, management=False) == 1
        assert list(rig.board) == []
        assert len(rig.opener.attempts) < 3


async def test_an_endpoint_that_is_taken_out_comes_again(autojump_clock: MockClock) -> None:
    async with running() as rig:
        plugged = rig.board.add("x://@2", trusted=True)
        await trio.sleep(1)
        (endpoint,) = rig.switch.ports.get(2).endpoints
        rig.switch.close_endpoint(2, endpoint.id, 0)
        await trio.sleep(0.1)
        assert "port/epclose" in plugged.last_error
        await trio.sleep(1)
        assert plugged.state == "connected"
        rig.board.remove(plugged.number)
        await trio.sleep(0.1)
        assert not rig.switch.ports.get(2).active


async def test_what_is_refused(autojump_clock: MockClock) -> None:
    async with running() as rig:
        with pytest.raises(ConfigError, match="it is wrong"):
            rig.board.add("wrong://", trusted=True)
        with pytest.raises(Refused, match="port 99 is out of range"):
            rig.board.add("x://@99", trusted=True)
        with pytest.raises(Refused, match="there is no plug 7"):
            rig.board.remove(7)
        assert list(rig.board) == []
    board = PlugBoard(rig.switch, None, lambda: 0, Log(lambda priority, line: True))
    with pytest.raises(Refused, match="without plugs"):
        board.add("x://", trusted=True)


def until(condition: Callable[[], bool]) -> None:
    deadline = os.times().elapsed + PATIENCE_S
    while not condition():
        assert os.times().elapsed < deadline
        os.sched_yield()


def test_two_switches_by_udp_by_a_cable_and_by_a_link_through_python(
    start_switch: StartSwitch, short_path: Path
) -> None:
    here, there = free_udp_port(), free_udp_port()
    for index, (near, far) in enumerate(
        (
            (f"udp://127.0.0.1:{here}->127.0.0.1:{there}@5", f"udp://127.0.0.1:{there}->127.0.0.1:{here}"),
            (f"vde://{short_path}/d1/s.ctl[9]@5", "null://"),
            (f"ptp://{short_path}/p@5", f"ptp://{short_path}/p@7"),
        )
    ):
        one = start_switch("--plug", near, name=f"c{index}")
        other = start_switch(name=f"d{index}")
        assert other.command(f"plug/add {far}")[-1] == "1000 Success"
        for switch in (one, other):
            until(lambda switch=switch: " connected (" in switch.command("plug/print")[0])  # type: ignore[misc]
        with VdeClient(one.directory) as client, VdeClient(other.directory) as peer:
            peer.data.settimeout(0.2)
            while True:
                client.send(frame(1))
                try:
                    assert peer.receive() == frame(1)
                    break
                except TimeoutError:
                    continue
            peer.send(frame(2, 1))
            while (octets := client.receive()) != frame(2, 1):
                assert octets == frame(1)
        way = "copied" if near.startswith("ptp") else "direct"
        assert f", {way})" in one.command("plug/print 1")[0]
        shown = one.command("port/print 5")
        assert any("module plug" in line for line in shown)
        assert not any("OUT: pkts          0 " in line for line in shown)
        assert one.stop() == 0
        assert other.stop() == 0


def test_the_console_takes_no_commands_and_tells_why(start_switch: StartSwitch) -> None:
    switch = start_switch("--plug", "cmd://cat@4")
    until(lambda: " connected (" in switch.command("plug/print")[0])
    assert switch.command("plug/add cmd://sh")[-1] == "1022 Invalid argument"
    assert switch.command("plug/add udp://x/y=1")[-1] == "1022 Invalid argument"
    assert switch.command("plug/add")[-1] == "1022 Invalid argument"
    assert switch.command("plug/print 9")[-1] == "1006 No such device or address"
    with VdeClient(switch.directory) as client:
        client.send(frame(1))
        assert client.receive() == frame(1)  # cat sends it back
    document = switch.command("json")[0]
    assert '"vnl": "cmd://cat"' in document
    assert switch.command("plug/remove 1")[-1] == "1000 Success"
    assert switch.command("plug/print")[-1] == "1000 Success"
