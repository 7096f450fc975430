"""A running wire between links in memory, on trio's virtual clock; its control socket; the timer."""

import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.vde.wire.links import MemoryLink, VirtualTimer, now_ns
from tests.vde.wire.wires import LR, MS, RL, frame, numbers
from vde import arrival
from vde.endpoint import HandedOver
from vde.errors import ConfigError, LinkBroken
from vde.wire.impairments import no_files
from vde.wire.model import Start, Wire
from vde.wire.process import Counts, WireProcess
from vde.wire.schedule import DIRECTIONS, Change, parse_entry
from vde.wire.server import ControlServer, open_socket
from vde.wire.timer import EARLY_LEAST_NS, EARLY_MOST_NS, Lead, TimerDescriptor

PATIENCE_S = 20


def start(**settings: str) -> Start:
    return Start().changed(Change("set", DIRECTIONS, None, tuple(settings.items())))


class FakePatch:
    """Carries nothing, but says what it would have carried."""

    def __init__(self) -> None:
        self.running = False
        self.begun = 0
        self.carried: Counts = ((0, 0), (0, 0))

    def open(self, left: HandedOver, right: HandedOver) -> "FakePatch":
        self.begun += 1
        self.carried = ((0, 0), (0, 0))
        return self

    def counts(self) -> Counts:
        return self.carried

    async def run(self) -> None:
        self.running = True
        try:
            await trio.sleep_forever()
        finally:
            self.running = False


class Rig:
    def __init__(
        self,
        begin: Start,
        patch: FakePatch | None = None,
        wall_ns: Callable[[], int] | None = None,
        **links: bool,
    ) -> None:
        self.wire = Wire("w", "s", now_ns(), begin, no_files)
        self.left, self.right = MemoryLink(**links), MemoryLink(**links)
        self.opened = [0]
        ends = self.left.opener(self.opened), self.right.opener()
        bypass = None if patch is None else patch.open
        self.process = WireProcess(self.wire, ends, now_ns, VirtualTimer, bypass, wall_ns)

    def change(self, verb: str, **settings: str) -> None:
        self.wire.change(Change(verb, DIRECTIONS, None, tuple(settings.items())), now_ns())
        self.process.changed()


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Rig]:
    async with trio.open_nursery() as nursery:
        ready = trio.Event()
        nursery.start_soon(rig.process.run, ready.set)
        await ready.wait()
        await trio.testing.wait_all_tasks_blocked()
        yield rig
        nursery.cancel_scope.cancel()


async def test_frames_pass_when_they_are_due(autojump_clock: trio.testing.MockClock) -> None:
    async with running(Rig(start(delay="40ms"))) as rig:
        begin = now_ns()
        rig.left.deliver(frame(1), frame(2))
        rig.right.deliver(frame(3))
        await trio.sleep(0.0399)
        assert not rig.right.sent
        await trio.sleep(1)
        assert [(at - begin, octets) for at, octets in rig.right.sent] == [(40 * MS, frame(1)), (40 * MS, frame(2))]
        assert numbers(rig.left.sent) == [3]


async def test_a_change_of_the_rate_is_felt_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with running(Rig(start(rate="8bit"))) as rig:
        rig.left.deliver(frame(1), frame(2))
        await trio.sleep(1)
        rig.change("set", rate="none")
        await trio.sleep(0.001)
        assert numbers(rig.right.sent) == [2]  # the first one's bits are on the way for a minute


async def test_a_stalled_receiver_stops_its_own_direction_only(autojump_clock: trio.testing.MockClock) -> None:
    async with running(Rig(start(delay="1ms"))) as rig:
        rig.right.room = trio.Event()
        for n in range(200):
            rig.left.deliver(frame(n))
            rig.right.deliver(frame(n))
        await trio.sleep(1)
        assert numbers(rig.left.sent) == list(range(200))
        assert not rig.right.sent
        rig.right.room.set()
        await trio.sleep(1)
        assert numbers(rig.right.sent) == list(range(200))


async def test_schedules_run(autojump_clock: trio.testing.MockClock) -> None:
    rig = Rig(Start(schedule=(parse_entry("2s down"), parse_entry("3s up"))))
    async with running(rig):
        await trio.sleep(0.5)
        for n in range(5):
            rig.left.deliver(frame(n))
            await trio.sleep(1)
        assert numbers(rig.right.sent) == [0, 1, 3, 4]
        assert rig.wire.statistics()[LR]["dropped"] == {"down": 1}


async def test_a_broken_link_ends_it() -> None:
    rig = Rig(start(delay="1ms"))
    rig.left.break_()
    with pytest.raises(LinkBroken, match="broken by the test"):
        await rig.process.run(lambda: None)


async def test_frames_bypass_a_clear_wire_and_come_back(autojump_clock: trio.testing.MockClock) -> None:
    patch = FakePatch()
    async with running(Rig(Start(), patch, handed=True)) as rig:
        assert patch.running
        assert rig.process.bypass
        patch.carried = ((7, 700), (1, 60))
        rig.change("set", delay="5ms")
        await trio.testing.wait_all_tasks_blocked()
        assert not patch.running
        assert rig.wire.statistics()[LR]["sent_frames"] == 7
        rig.left.deliver(frame(8))
        await trio.sleep(0.001)
        assert rig.wire.why(LR, 8)["delay_ns"] == 5 * MS
        rig.change("clear")
        await trio.testing.wait_all_tasks_blocked()
        assert not patch.running  # a frame is on its way
        await trio.sleep(1)
        assert numbers(rig.right.sent) == [8]
        assert patch.running
        assert rig.opened == [1]


async def test_links_that_cannot_be_taken_back_are_opened_anew(autojump_clock: trio.testing.MockClock) -> None:
    patch = FakePatch()
    async with running(Rig(Start(), patch, handed=True, returned=False)) as rig:
        rig.change("set", delay="5ms")
        await trio.testing.wait_all_tasks_blocked()
        assert rig.opened == [2]
        rig.left.deliver(frame(1))
        await trio.sleep(1)
        assert numbers(rig.right.sent) == [1]


async def test_links_that_cannot_be_handed_over_are_carried_by_us() -> None:
    patch = FakePatch()
    async with running(Rig(Start(), patch)) as rig:
        assert not patch.begun
        rig.left.deliver(frame(1))
        await trio.testing.wait_all_tasks_blocked()
        assert numbers(rig.right.sent) == [1]


# -- control -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def controlled(rig: Rig, path: Path) -> AsyncIterator[trio.SocketStream]:
    with open_socket(path) as listener:
        async with running(rig), trio.open_nursery() as nursery:
            server = ControlServer(rig.wire, rig.process, lambda: {"left": "a", "right": "b"}, now_ns, lambda: 77)
            nursery.start_soon(server.serve, listener)
            async with await trio.open_unix_socket(path) as stream:
                yield stream
            nursery.cancel_scope.cancel()
    assert is_gone(path)


def is_gone(path: Path) -> bool:
    return not path.exists()


async def ask(stream: trio.SocketStream, **request: object) -> dict[str, object]:
    await stream.send_all(json.dumps(request).encode() + b"\n")
    return await answer(stream)


async def answer(stream: trio.SocketStream) -> dict[str, object]:
    octets = b""
    while not octets.endswith(b"\n"):
        octets += await stream.receive_some(1)
    found: dict[str, object] = json.loads(octets)
    return found


async def test_control_by_json_lines(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        rig = Rig(start(delay="1ms"))
        async with controlled(rig, short_path / "c") as stream:
            found = await ask(stream, do="set", settings={"loss": "100%"}, direction=LR)
            state = found["state"]
            assert isinstance(state, dict)
            assert state[LR]["settings"] == {"delay": "1ms", "loss": "100%"}
            assert state[RL]["settings"] == {"delay": "1ms"}
            assert state["bypass"] is False
            rig.left.deliver(frame(1))
            await trio.testing.wait_all_tasks_blocked(0.01)
            why = (await ask(stream, do="why", number=1))["why"]
            assert isinstance(why, dict)
            assert why["dropped"] == "loss"
            assert (await ask(stream, do="nonsense"))["ok"] is False
            refused = await ask(stream, do="set", settings={"loss": "5"})
            assert refused["kind"] == "config"
            assert "write 5%" in str(refused["error"])
            assert (await ask(stream, do="reset"))["ok"] is True


async def test_a_watcher_sees_every_frame_with_its_verdict(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        patch = FakePatch()
        rig = Rig(Start(), patch, handed=True)
        async with controlled(rig, short_path / "c") as stream:
            assert patch.running
            assert (await ask(stream, do="watch"))["ok"] is True
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert not patch.running
            rig.wire.change(Change("set", (LR,), None, (("loss", "100%"),)), 0)
            rig.left.deliver(frame(1))
            line = await answer(stream)
            assert line == {
                "frame": frame(1).hex(),
                "direction": LR,
                "number": 1,
                "wall_ns": 77,
                "dropped": "loss",
                "changed": True,
                "text": "frame 1; dropped: loss (loss 100%)",
            }
            rig.wire.change(Change("clear"), 0)
            await stream.aclose()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert patch.running


async def test_a_line_without_end_is_refused(short_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with controlled(Rig(start(delay="1ms")), short_path / "c") as stream:
            await stream.send_all(b"x" * 70_000)
            assert (await answer(stream))["ok"] is False
            assert await stream.receive_some(1) == b""


async def test_one_socket_has_one_wire(short_path: Path) -> None:
    with (
        open_socket(short_path / "c"),
        pytest.raises(ConfigError, match="a wire listens there"),
        open_socket(short_path / "c"),
    ):
        pass
    assert not (short_path / "c").exists()


def test_a_dead_wires_socket_is_replaced(short_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(short_path / "c"))
    with open_socket(short_path / "c"):
        assert (short_path / "c").stat().st_mode & 0o777 == 0o600


async def test_the_kernels_timer_is_never_early() -> None:
    timer = TimerDescriptor()
    try:
        for delay_ns in (200_000, 1_000_000, 1):
            deadline = time.monotonic_ns() + delay_ns
            timer.arm(deadline)
            with trio.fail_after(PATIENCE_S):
                await timer.wait()
            assert time.monotonic_ns() >= deadline
        timer.arm(time.monotonic_ns() + 10**6)
        timer.arm(None)
        with trio.move_on_after(0.01) as scope:
            await timer.wait()
        assert scope.cancelled_caught
    finally:
        timer.close()


def test_the_lead_follows_what_wake_ups_are_late_by() -> None:
    lead = Lead()
    for _ in range(100):
        lead.learn(300_000)
    assert 290_000 <= lead.ns <= 300_000
    for _ in range(5000):
        lead.learn(0)
    assert lead.ns == EARLY_LEAST_NS
    lead.learn(10**9)
    assert lead.ns == EARLY_MOST_NS


async def test_a_frame_that_is_read_late_is_due_as_if_it_had_been_read_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    rig = Rig(start(delay="40ms"), wall_ns=lambda: now_ns() + 7 * 10**18)
    async with running(rig):
        await trio.sleep(1)
        begin = now_ns()
        rig.left.arrivals = [begin - 15 * MS + 7 * 10**18, begin - 10 * MS + 7 * 10**18]
        rig.left.deliver(frame(1), frame(2))
        await trio.sleep(1)
        assert [at - begin for at, _ in rig.right.sent] == [25 * MS, 30 * MS]
        begin = now_ns()
        rig.left.arrivals = [begin + 10**9 + 7 * 10**18, begin - 10**10 + 7 * 10**18]  # clocks that step
        rig.left.deliver(frame(3), frame(4))
        await trio.sleep(1)
        assert [at - begin for at, _ in rig.right.sent[2:]] == [40 * MS, 40 * MS]


async def test_the_kernel_says_when_a_datagram_came() -> None:
    for family in (socket.AF_UNIX, socket.AF_INET):
        with socket.socket(family, socket.SOCK_DGRAM) as receiver, socket.socket(family, socket.SOCK_DGRAM) as sender:
            receiver.bind("" if family == socket.AF_UNIX else ("127.0.0.1", 0))
            sender.connect(receiver.getsockname())
            sender.send(b"before")
            assert arrival.stamp(receiver)
            assert arrival.receive(receiver, 100)[0] == b"before"
            before_ns = time.time_ns()
            sender.send(b"after")
            after_ns = time.time_ns()
            octets, stamp_ns = arrival.receive(receiver, 100)
            assert octets == b"after"
            assert before_ns <= stamp_ns <= after_ns
