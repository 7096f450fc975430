"""`run`: forwarding with real time, events in the trio thread, and an end that closes everything."""

import contextlib
import gc
import hashlib
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing

import pytest
import trio

from switch.forwarding.contract import (
    Bpdu,
    DropReason,
    EndpointFailed,
    EndpointKind,
    Event,
    Forgot,
    Forwarder,
    Learned,
    Packet,
    Watch,
)
from tests.switch.forwarding.rig import SECOND_NS, Kind, MakeRig, Rig
from tests.vde_client import frame
from vde.clock import monotonic_ns

BPDU = bytes.fromhex("0180c2000000") + frame(1)[6:]


@asynccontextmanager
async def running(forwarder: Forwarder) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
    """Within, the forwarder runs; its events come out of the channel."""
    give, take = trio.open_memory_channel[Event](10_000)

    def on_events(events: Sequence[Event]) -> None:
        for event in events:
            give.send_nowait(event)

    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[None]) -> None:
            await forwarder.run(on_events, task_status=task_status)

        await nursery.start(run)
        with trio.fail_after(20):
            yield take
        nursery.cancel_scope.cancel()


async def received(peer: socket.socket) -> bytes:
    await trio.lowlevel.wait_readable(peer)
    return peer.recv(1 << 16)


async def test_frames_cross(rig: Rig) -> None:
    async with running(rig.forwarder):
        for number in range(100):
            sent = frame(1, payload=bytes([number]))
            rig.send(1, sent)
            for other in (2, 3, 4):
                assert await received(rig.peers[other]) == sent
        found = rig.forwarder.lookup(sent[6:12], 0)
        assert found is not None
        assert abs(monotonic_ns() - found.last_seen_ns) < 10 * SECOND_NS


async def test_events_of_frames_and_of_configuration(rig: Rig) -> None:
    rig.forwarder.set_mode(hub=False, fstp=True, vlan_transparent=False)
    rig.forwarder.watch(Watch.HASH)
    async with running(rig.forwarder) as events:
        rig.send(1, frame(1))
        assert await events.receive() == Learned(frame(1)[6:12], 0, 1)
        rig.send(1, BPDU)
        assert await events.receive() == Bpdu(1, 0, BPDU)
        rig.forwarder.flush()
        assert await events.receive() == Forgot(frame(1)[6:12], 0, 1)
        rig.forwarder.watch(Watch.PACKETS)
        before_ns = monotonic_ns()
        rig.forwarder.transmit(2, frame(9))
        event = await events.receive()
        assert isinstance(event, Packet)
        assert before_ns <= event.when_ns <= monotonic_ns()


async def test_events_from_before_it_ran(rig: Rig) -> None:
    rig.forwarder.watch(Watch.HASH)
    rig.tell_ports(2)
    rig.forwarder.flush()
    async with running(rig.forwarder) as events:
        assert isinstance(await events.receive(), Forgot)


async def test_ports_come_and_go_while_it_runs(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.port(2)
    async with running(rig.forwarder):
        for _ in range(50):
            rig.port(1)
            rig.send(1, frame(1))
            assert await received(rig.peers[2]) == frame(1)
            rig.detach(1)
            rig.forwarder.remove_port(1)


async def test_configuration_is_not_starved_by_traffic(rig: Rig) -> None:
    """Two ports answer each other's frames without end; a call waits for one turn at most, not for a pause."""
    stopped = threading.Event()

    def talk(number: int, to: int) -> None:
        rig.peers[number].settimeout(0.1)
        while not stopped.is_set():
            with contextlib.suppress(TimeoutError, BlockingIOError):
                rig.peers[number].send(frame(number, to))
                rig.peers[number].recv(2000)

    async with running(rig.forwarder), trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, talk, 1, 2)
        nursery.start_soon(trio.to_thread.run_sync, talk, 2, 1)
        while rig.forwarder.statistics(2).in_frames < 100:
            await trio.lowlevel.checkpoint()
        started = time.monotonic()
        for vlan in range(1, 501):
            rig.forwarder.add_vlan(vlan)
            rig.forwarder.set_member(vlan, 1, tagged=True, learning=True, forwarding=True)
            rig.forwarder.remove_vlan(vlan)
        assert time.monotonic() - started < 10
        stopped.set()


async def test_addresses_expire_without_traffic(rig: Rig) -> None:
    rig.forwarder.watch(Watch.HASH)
    async with running(rig.forwarder) as events:
        rig.send(1, frame(1))
        assert isinstance(await events.receive(), Learned)
        rig.forwarder.set_aging(expire_ns=SECOND_NS // 100, gc_interval_ns=SECOND_NS // 100, min_persistence_ns=0)
        assert isinstance(await events.receive(), Forgot)


async def test_a_failed_endpoint_is_reported(rig: Rig) -> None:
    rig.attach(1, 77, socket_type=socket.SOCK_SEQPACKET)
    async with running(rig.forwarder) as events:
        rig.peers.pop(77).close()
        event = await events.receive()
        assert isinstance(event, EndpointFailed)
        rig.forwarder.detach(event.endpoint)


async def test_a_queue_leaves_when_there_is_room(make_rig: MakeRig) -> None:
    rig = make_rig(send_buffer_octets=1, queue_frames=100)
    rig.port(1)
    rig.port(2)
    frames = [frame(1, payload=number.to_bytes(2)) for number in range(50)]
    async with running(rig.forwarder):
        rig.send(1, *frames)
        while rig.forwarder.queue_length(2) == 0:
            await trio.lowlevel.checkpoint()
        assert [await received(rig.peers[2]) for _ in frames] == frames
        assert rig.forwarder.queue_length(2) == 0


async def test_a_slow_reader_gets_what_it_gets_in_order(make_rig: MakeRig) -> None:
    """Its buffer is full again and again while frames keep coming in bursts."""
    count = 20_000
    rig = make_rig(send_buffer_octets=100_000, queue_frames=8)
    rig.port(1)
    rig.port(2)
    for peer in rig.peers.values():
        peer.settimeout(10)
    rig.peers[2].settimeout(1)

    def send() -> None:
        for number in range(count):
            rig.peers[1].send(frame(1, payload=number.to_bytes(4)))

    def read() -> list[int]:
        numbers: list[int] = []
        with contextlib.suppress(TimeoutError):
            while not numbers or numbers[-1] != count - 1:
                octets = rig.peers[2].recv(2000)
                hashlib.sha256(octets * 100).digest()  # takes its time
                numbers.append(int.from_bytes(octets[14:18]))
        return numbers

    numbers: list[int] = []

    async def collect() -> None:
        numbers.extend(await trio.to_thread.run_sync(read))

    async with running(rig.forwarder):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            nursery.start_soon(trio.to_thread.run_sync, send)
        lost = rig.forwarder.statistics(2).drops
        assert numbers == sorted(set(numbers))
        assert sum(lost.values()) == lost.get(DropReason.QUEUE_FULL, 0) == count - len(numbers)


async def test_on_return_all_descriptors_are_closed(rig: Rig) -> None:
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with peer:
        rig.forwarder.attach(1, 77, ours.detach(), EndpointKind.DATAGRAM)
        async with running(rig.forwarder):
            with pytest.raises(BlockingIOError):
                peer.recv(1, socket.MSG_DONTWAIT)
            with pytest.raises(RuntimeError):
                rig.forwarder.close()
            with pytest.raises(RuntimeError):
                rig.forwarder.poll(0)
        while unread := peer.recv(1 << 16):
            assert unread
    with pytest.raises(RuntimeError):
        await rig.forwarder.run(lambda events: None)


async def test_an_error_of_policy_ends_it_too(rig: Rig) -> None:
    rig.forwarder.watch(Watch.HASH)

    def on_events(events: Sequence[Event]) -> None:
        raise ZeroDivisionError(f"of {len(events)} events")

    rig.send(1, frame(1))
    with trio.fail_after(20), pytest.raises(ZeroDivisionError):
        await rig.forwarder.run(on_events)
    with pytest.raises(ConnectionRefusedError):
        rig.peers[1].send(frame(1))


def test_no_descriptor_is_left(kind: Kind) -> None:
    async def main(rig: Rig) -> None:
        async with running(rig.forwarder):
            rig.send(1, frame(1))
            await received(rig.peers[2])

    gc.collect()  # what other tests left
    before = len(os.listdir("/proc/self/fd"))
    for runs in (True, False, True):
        with closing(Rig(kind)) as rig:
            rig.port(1)
            rig.port(2)
            if runs:
                trio.run(main, rig)
        del rig
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before
