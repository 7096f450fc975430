"""One of sixteen receivers stops reading: the other fifteen lose nothing and notice nothing."""

import socket
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from statistics import median

import pytest
import trio

from switch.forwarding.choice import Kind
from switch.forwarding.contract import DropReason, Event, Limits
from tests.switch.forwarding.rig import Rig
from tests.vde_client import frame

SENDER, STALLED, PROBE = 1, 2, 99
RECEIVERS = range(2, 18)
FRAMES = {"python": 3_000, "native": 30_000}
WINDOW = 64


def flood(rig: Rig, frames: int, readers: Sequence[int]) -> float:
    """Send `frames` broadcasts, never more than `WINDOW` ahead of the readers; returns the seconds that it took."""
    sent = frame(1)
    started = time.monotonic()
    for start in range(0, frames, WINDOW):
        count = min(WINDOW, frames - start)
        for _ in range(count):
            rig.peers[SENDER].send(sent)
        for reader in readers:
            for _ in range(count):
                assert rig.peers[reader].recv(2000) == sent
    return time.monotonic() - started


@pytest.mark.slow
async def test_a_stalled_receiver_costs_the_others_nothing(kind: Kind) -> None:
    frames = FRAMES[kind]
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for stalled in (False, True, False, True, False, True):
        with closing(Rig(kind, Limits(queue_frames=16, send_buffer_octets=65536))) as rig:
            rig.port(SENDER)
            for number in RECEIVERS:
                rig.port(number)
            for peer in rig.peers.values():
                peer.settimeout(20)
            readers = [number for number in RECEIVERS if not (stalled and number == STALLED)]

            async with trio.open_nursery() as nursery:

                async def run(rig: Rig = rig, *, task_status: trio.TaskStatus[None]) -> None:
                    await rig.forwarder.run(ignore, task_status=task_status)

                await nursery.start(run)
                seconds[stalled].append(await trio.to_thread.run_sync(flood, rig, frames, readers))
                drops = {number: dict(rig.forwarder.statistics(number).drops) for number in (SENDER, *RECEIVERS)}
                waiting = rig.forwarder.queue_length(STALLED)
                nursery.cancel_scope.cancel()

            lost = drops.pop(STALLED)
            assert not any(drops.values())
            if not stalled:
                assert not lost
                continue
            assert waiting == 16
            rig.peers[STALLED].setblocking(False)
            assert lost == {DropReason.QUEUE_FULL: frames - 16 - len(rig.taken(STALLED))}
    assert median(seconds[True]) < 1.3 * median(seconds[False])


def ignore(events: Sequence[Event]) -> None:
    assert not events


def round_trip_us(client: socket.socket, server: socket.socket, rounds: int = 2_000) -> float:
    """Median of a frame there and one back, by two threads that block, as clients do."""

    def answer() -> None:
        for _ in range(rounds):
            server.recv(2000)
            server.send(frame(17, PROBE))

    server.send(frame(17))
    client.recv(2000)
    thread = threading.Thread(target=answer)
    thread.start()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        client.send(frame(PROBE, 17))
        client.recv(2000)
        times.append(time.perf_counter() - started)
    thread.join()
    return median(times) * 1e6
