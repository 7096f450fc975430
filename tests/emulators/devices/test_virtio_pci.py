"""Virtio's transport and queues, with the entropy device as the simplest of all: negotiation, both interfaces, indirect
tables, event indices, broken drivers.
"""

import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.devices.virtio.queue import LONGEST_INDIRECT
from emulators.devices.virtio.rng import VirtioRng
from emulators.dma import Dma
from emulators.snapshot import SnapshotError
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.virtio_driver import (
    DEVFN,
    EVENT_IDX,
    INDIRECT,
    INDIRECT_DESC,
    NEXT,
    VERSION_1,
    WRITE,
    VirtioDriver,
)

EVERYTHING = VERSION_1 | EVENT_IDX | INDIRECT_DESC


class Stream:
    """What the device must answer."""

    def __init__(self) -> None:
        self.seed = b"\xa5" * 32

    def draw(self, octets: int) -> bytes:
        stream = hashlib.shake_256(self.seed).digest(32 + octets)
        self.seed = stream[:32]
        return stream[32:]


def rng(*, legacy: bool = False, transitional: bool = True) -> VirtioDriver:
    memory = GuestMemory()
    source = VirtioRng("rng", entropy=lambda octets: b"\xa5" * octets, dma=Dma(memory), transitional=transitional)
    return VirtioDriver(source, memory, legacy=legacy)


def test_identities() -> None:
    assert rng().bus.config_read(DEVFN, 0, 4) == 0x1005_1AF4
    assert rng().bus.config_read(DEVFN, 0x2C, 4) == 0x0004_1AF4
    assert rng().bus.config_read(DEVFN, 8, 1) == 0
    modern = rng(transitional=False)
    assert modern.bus.config_read(DEVFN, 0, 4) == 0x1044_1AF4
    assert modern.bus.config_read(DEVFN, 8, 1) == 1
    assert modern.bus.config_read(DEVFN, 0x10, 4) == 0
    assert set(modern.places) == {1, 2, 3, 4}


def test_features_must_be_offered_and_modern() -> None:
    driver = rng()
    assert driver.offered() == EVERYTHING
    assert driver.negotiate(VERSION_1)
    assert not driver.negotiate(VERSION_1 | 1)
    assert not driver.negotiate(EVENT_IDX)
    assert driver.negotiate(EVERYTHING)
    driver.common(8, 4, 0)
    driver.common(12, 4, 0)  # too late
    assert driver.common(12, 4) == EVENT_IDX | INDIRECT_DESC
    driver.status(0)
    assert driver.status() == 0
    assert driver.common(12, 4) == 0


def test_a_legacy_driver_sees_32_features() -> None:
    driver = rng(legacy=True)
    assert driver.offered() == EVENT_IDX | INDIRECT_DESC | 1 << 27


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("features", [VERSION_1, EVERYTHING])
def test_requests_go_around_the_ring(legacy: bool, features: int) -> None:
    driver = rng(legacy=legacy)
    (ring,) = driver.start(features)
    stream = Stream()
    for i in range(30):
        address = driver.buffer(16)
        ring.interrupt_at(ring.seen)
        assert ring.wants_kick()
        head = ring.add([], [(address, 10), (address + 10, 6)])
        ring.kick()
        assert driver.level(), i
        assert driver.isr() == 1
        assert not driver.level()
        assert driver.isr() == 0
        assert ring.take() == [(head, 16)]
        assert driver.memory.read(address, 16) == stream.draw(16)


def test_several_requests_cost_few_transfers() -> None:
    driver = rng()
    (ring,) = driver.start(EVERYTHING)
    for _ in range(8):
        ring.add([], [(driver.buffer(8), 8)])
    reads, writes = driver.memory.reads, driver.memory.writes
    ring.kick()
    assert len(ring.take()) == 8
    assert driver.memory.reads - reads - 10 <= 3  # the ring, the table, the event (10: of the test)
    assert driver.memory.writes - writes == 8 + 3  # buffers; elements, index, event


def test_event_index_holds_interrupts_back() -> None:
    driver = rng()
    (ring,) = driver.start(EVERYTHING)
    ring.interrupt_at(2)  # after the third
    for expected in (False, False, True, False):
        ring.add([], [(driver.buffer(8), 8)])
        ring.kick()
        assert driver.level() is expected
        driver.isr()


def test_without_event_index_a_flag_does() -> None:
    driver = rng()
    (ring,) = driver.start()
    driver.memory.write(ring.available, b"\1\0")
    ring.add([], [(driver.buffer(8), 8)])
    ring.kick()
    assert not driver.level()
    driver.memory.write(ring.available, b"\0\0")
    ring.add([], [(driver.buffer(8), 8)])
    ring.kick()
    assert driver.level()


def test_indirect_tables() -> None:
    driver = rng()
    (ring,) = driver.start(EVERYTHING)
    address, table = driver.buffer(4096), driver.buffer(4096)
    count = 100  # longer than the ring
    octets = b"".join(
        (address + i).to_bytes(8, "little")
        + (1).to_bytes(4, "little")
        + (WRITE | (NEXT if i < count - 1 else 0)).to_bytes(2, "little")
        + (i + 1).to_bytes(2, "little")
        for i in range(count)
    )
    driver.memory.write(table, octets)
    ring.put(3, table, 16 * count, INDIRECT)
    ring.offer(3)
    ring.kick()
    assert ring.take() == [(3, count)]
    assert driver.memory.read(address, count + 1) == Stream().draw(count) + b"\0"


def make_broken(ring_: object, kind: str) -> None:
    from tests.emulators.devices.virtio_driver import Ring

    assert isinstance(ring_, Ring)
    ring = ring_
    memory = ring.memory
    match kind:
        case "circle":
            ring.put(0, 0x1000, 8, NEXT | WRITE, 1)
            ring.put(1, 0x1000, 8, NEXT | WRITE, 0)
            ring.offer(0)
        case "head":
            ring.offer(ring.size)
        case "next":
            ring.put(0, 0x1000, 8, NEXT | WRITE, ring.size)
            ring.offer(0)
        case "index":
            memory.write(ring.available + 2, (ring.size + 1).to_bytes(2, "little"))
        case "buffer":
            ring.put(0, 0x7000_0000, 8, WRITE)
            ring.offer(0)
        case "top":
            ring.put(0, (1 << 64) - 4, 8, WRITE)
            ring.offer(0)
        case "order":
            ring.put(0, 0x1000, 8, NEXT | WRITE, 1)
            ring.put(1, 0x1000, 8, 0)
            ring.offer(0)
        case "nested":
            memory.write(0x2000, (0x2000).to_bytes(8, "little") + b"\x10\0\0\0\4\0\0\0")
            ring.put(0, 0x2000, 16, INDIRECT)
            ring.offer(0)
        case "odd":
            ring.put(0, 0x2000, 17, INDIRECT)
            ring.offer(0)
        case "empty":
            ring.put(0, 0x2000, 0, INDIRECT)
            ring.offer(0)
        case "huge":
            ring.put(0, 0x2000, 16 * (LONGEST_INDIRECT + 1), INDIRECT)
            ring.offer(0)
        case "both":
            ring.put(0, 0x2000, 16, INDIRECT | NEXT, 1)
            ring.offer(0)


KINDS = ["circle", "head", "next", "index", "buffer", "top", "order", "nested", "odd", "empty", "huge", "both"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_driver_that_breaks_the_rules_must_reset(kind: str) -> None:
    driver = rng()
    (ring,) = driver.start(EVERYTHING)
    make_broken(ring, kind)
    ring.kick()
    assert driver.status() & 0x40
    assert driver.isr() & 2
    assert ring.take() == []
    ring.kick()  # nothing is served any more
    (ring,) = driver.start(EVERYTHING)
    ring.add([], [(driver.buffer(8), 8)])
    ring.kick()
    assert len(ring.take()) == 1


def test_an_indirect_table_needs_its_feature() -> None:
    driver = rng()
    (ring,) = driver.start()
    driver.memory.write(0x2000, (0x1000).to_bytes(8, "little") + b"\x08\0\0\0\2\0\0\0")
    ring.put(0, 0x2000, 16, INDIRECT)
    ring.offer(0)
    ring.kick()
    assert driver.status() & 0x40


def test_nothing_is_served_before_driver_ok_or_without_mastership() -> None:
    driver = rng()
    (ring,) = driver.start()
    driver.bus.config_write(DEVFN, 4, 2, 3)
    ring.add([], [(driver.buffer(8), 8)])
    ring.kick()
    assert ring.take() == []
    driver.bus.config_write(DEVFN, 4, 2, 7)
    driver.status(0)
    ring.kick()
    assert ring.take() == []
    assert driver.device.mistakes >= 2


def test_queue_registers() -> None:
    driver = rng()
    assert driver.common(18, 2) == 1
    driver.common(22, 2, 7)
    assert driver.common(24, 2) == 0
    driver.common(22, 2, 0)
    assert driver.common(24, 2) == 8
    driver.common(24, 2, 5)  # not a power of two
    assert driver.common(24, 2) == 8
    driver.common(24, 2, 4)
    assert driver.common(24, 2) == 4
    driver.common(36, 4, 0x1234)
    assert driver.common(32, 8) == 0x1234_0000_0000
    assert driver.common(16, 2) == 0xFFFF
    driver.common(28, 2, 1)
    driver.common(32, 4, 0x1000)  # enabled: refused
    assert driver.common(32, 4) == 0


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_every_register_can_be_read_in_every_size(size: int, legacy: bool) -> None:
    """A part of one is no more than it can be."""
    driver = rng(legacy=legacy)
    driver.start(EVERYTHING)
    read = driver.io if legacy else driver.common
    for selector in (0, 1, 0xFFFF_FFFF):
        if not legacy:
            driver.common(0, 4, selector)
        for offset in range(0x40 if legacy else 0x1000):
            assert read(offset, size) < 1 << 8 * size, offset


def test_a_ring_smaller_than_the_largest() -> None:
    driver = rng()
    (ring,) = driver.start(EVERYTHING, size=2)
    for _ in range(9):
        ring.add([], [(driver.buffer(8), 8)])
        ring.kick()
        assert len(ring.take()) == 1


def test_the_configuration_access_capability() -> None:
    driver = rng()
    at = 0x40
    while driver.bus.config_read(DEVFN, at + 3, 1) != 5:
        at = driver.bus.config_read(DEVFN, at + 1, 1)
    driver.bus.config_write(DEVFN, at + 4, 1, 1)
    driver.bus.config_write(DEVFN, at + 8, 4, 18)  # num_queues
    driver.bus.config_write(DEVFN, at + 12, 4, 2)
    assert driver.bus.config_read(DEVFN, at + 16, 2) == 1
    driver.bus.config_write(DEVFN, at + 8, 4, 20)
    driver.bus.config_write(DEVFN, at + 12, 4, 1)
    driver.bus.config_write(DEVFN, at + 16, 1, 1)
    assert driver.status() == 1
    driver.bus.config_write(DEVFN, at + 8, 4, 0xFFFF_FFF0)
    assert driver.bus.config_read(DEVFN, at + 16, 1) == 0
    driver.bus.config_write(DEVFN, at + 16, 1, 0)
    assert driver.status() == 1


def test_state_goes_on_where_it_was() -> None:
    driver = rng()
    (ring,) = driver.start(EVERYTHING)
    for _ in range(5):
        ring.add([], [(driver.buffer(8), 8)])
        ring.kick()
    saved = driver.device.state()
    again = rng()
    again.memory.octets[:] = driver.memory.octets
    again.device.from_state(saved)
    assert again.device.state() == saved
    assert again.level()
    ring.add([], [(driver.buffer(8), 8)])
    again.memory.octets[:] = driver.memory.octets
    ring.kick()
    again.notify(0)
    assert again.memory.octets == driver.memory.octets
    assert again.device.state() == driver.device.state()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queues", []),
        ("status", 256),
        ("selectors", [0]),
        ("accepted", -1),
        ("isr", 4),
        ("queues", [{}]),
        ("seed", b""),
    ],
)
def test_a_state_that_no_device_had_is_refused(name: str, value: object) -> None:
    device = rng().device
    with pytest.raises(SnapshotError):
        device.from_state({**device.state(), name: value})


@pytest.mark.parametrize("size", [0, 3, 16])
def test_a_state_with_an_impossible_queue_is_refused(size: int) -> None:
    device = rng().device
    state = device.state()
    state["queues"][0]["size"] = size
    with pytest.raises(SnapshotError):
        device.from_state(state)


@pytest.mark.fuzz
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 0x3FFF), st.integers(0, 0xFFFFFFFF)),
            st.tuples(st.just("common"), st.integers(0, 60), st.integers(0, 0xFFFFFFFF)),
            st.tuples(st.just("io"), st.integers(0, 0x7C), st.integers(0, 0xFFFFFFFF)),
            st.tuples(st.just("memory"), st.integers(0, 40), st.integers(0, (1 << 128) - 1)),
            st.tuples(st.just("kick"), st.just(0), st.just(0)),
        ),
        max_size=50,
    ),
    st.booleans(),
)
def test_fuzz(operations: list[tuple[str, int, int]], legacy: bool) -> None:
    """Whatever registers and rings hold: no exception, a bounded time, and a state that can be taken back."""
    driver = rng(legacy=legacy)
    (ring,) = driver.start(EVERYTHING)
    began = time.monotonic()
    for kind, where, value in operations:
        match kind:
            case "write":
                driver.bus.memory.write(driver.places[1] + where, 4 if where % 4 == 0 else 1, value & 0xFF)
                driver.bus.memory.read(driver.places[1] + where, 1)
            case "common":
                driver.common(where, 4, value)
                driver.common(where, 4)
            case "io":
                driver.io(where, 4, value)
                driver.io(where, 4)
            case "memory":
                base = (ring.descriptors, ring.available)[where & 1]
                driver.memory.write(base + (where >> 1) * 16, value.to_bytes(16, "little"))
            case _:
                ring.kick()
    assert time.monotonic() - began < 2
    again = rng(legacy=legacy)
    again.device.from_state(driver.device.state())
    assert again.device.state() == driver.device.state()
