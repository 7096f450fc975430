"""The Am79C970A under drivers that mean harm: the CVE classes, addresses that are no memory, states, fuzz."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.devices.net.pcnet_registers import LONGEST_FRAME, QUEUE_FRAMES
from emulators.snapshot import SnapshotError
from tests.emulators.devices.pcnet_driver import (
    BLOCK,
    BUFFERS,
    ENP,
    ERR,
    MAC,
    OWN,
    PEER,
    RX,
    RX_LENGTH,
    STP,
    TX,
    TX_LENGTH,
    Driver,
    frame_to,
)

# The CVE classes


def test_a_frame_without_an_end_stops_the_transmitter() -> None:
    driver = Driver()
    driver.start()
    at = driver.queue_frame(b"x" * 100, b"y" * 100)
    driver.put_descriptor(at + 16, 0, 100, 0)
    driver.demand()
    status, report = driver.get_descriptor(at)
    assert status & (OWN | ERR) == ERR
    assert report == 0xC000_0000
    assert not driver.csr(0) & 0x10
    assert driver.csr(0) & 0x0200


def test_cve_2015_6815_a_ring_without_any_end_is_walked_once() -> None:
    driver = Driver()
    driver.start()
    for i in range(TX_LENGTH):
        driver.put_descriptor(TX + i * 16, BUFFERS, 4096, OWN | (STP if i == 0 else 0))
    driver.demand()
    assert driver.sent == []
    assert [driver.get_descriptor(TX + i * 16)[0] & OWN for i in range(TX_LENGTH)] == [0] * TX_LENGTH


def test_cve_2015_3209_a_frame_too_long_to_be_one_is_not_sent() -> None:
    driver = Driver()
    driver.start()
    for i in range(TX_LENGTH):
        flags = (STP if i == 0 else 0) | (ENP if i == TX_LENGTH - 1 else 0)
        driver.put_descriptor(TX + i * 16, BUFFERS, 4096, OWN | flags)
    driver.demand()
    assert driver.sent == []
    assert driver.csr(0) & 0xC000 == 0xC000
    driver.card.receive(bytes(LONGEST_FRAME + 1))
    driver.card.receive(b"short")
    assert driver.card.counts["oversize"] == 2


@pytest.mark.parametrize(
    ("parts", "received"),
    [((4000, 91), LONGEST_FRAME + 4), ((4000, 92), 0), ((4096, 4096, 4096), 0)],
    ids=["longest", "too long", "much too long"],
)
def test_cve_2015_7504_a_looped_frame_and_its_fcs_stay_in_their_buffers(parts: tuple[int, ...], received: int) -> None:
    """An FCS behind a looped frame that filled the card's buffer overran it."""
    driver = Driver()
    driver.start(mode=0x0004, buffer=2048)
    behind = BUFFERS + 2 * 2048
    driver.put_descriptor(RX + 2 * 16, behind, 2048, 0)
    driver.memory.write(behind, b"\x77" * 2048)
    driver.memory.write(0x20000, MAC + MAC)
    for number, octets in enumerate(parts):
        flags = (STP if number == 0 else 0) | (ENP if number == len(parts) - 1 else 0)
        driver.put_descriptor(TX + number * 16, 0x20000, octets, OWN | flags)
    driver.demand()
    assert driver.sent == []
    assert driver.get_descriptor(RX + 16)[1] == received
    assert driver.memory.read(behind, 2048) == b"\x77" * 2048


def test_cve_2021_3416_loopback_with_both_rings_in_one_place_ends() -> None:
    """What is received is written over what is to be sent."""
    driver = Driver()
    driver.start(mode=0x0004, csr0=0)
    driver.csr(0, 4)
    driver.csr(24, TX)
    frame = frame_to(MAC)
    driver.memory.write(BUFFERS, frame)
    for number in range(TX_LENGTH):
        driver.put_descriptor(TX + number * 16, BUFFERS, len(frame), OWN | STP | ENP)
    driver.csr(0, 2)
    reads = driver.memory.reads
    driver.csr(0, 0x48)
    assert driver.memory.reads - reads < 10 * TX_LENGTH
    assert driver.sent == []
    assert [driver.get_descriptor(TX + number * 16)[0] & OWN for number in range(TX_LENGTH)] == [0] * TX_LENGTH


@pytest.mark.parametrize("base", [0x7000_0000, 0x1000_0000], ids=["nothing", "own registers"])
@pytest.mark.parametrize("where", ["block", "ring", "buffer"])
def test_cve_2021_20255_a_pointer_to_no_memory_stops_the_card(where: str, base: int) -> None:
    driver = Driver()
    driver.start()
    if where == "block":
        driver.csr(0, 4)
        driver.csr(1, 0)
        driver.csr(2, base >> 16)
        driver.csr(0, 1)
    elif where == "ring":
        driver.csr(5, 1)
        driver.csr(30, 0)
        driver.csr(31, base >> 16)
        driver.csr(5, 0)
    else:
        driver.put_descriptor(TX, base, 100, OWN | STP | ENP)
        driver.demand()
    assert driver.csr(0) == 4
    assert driver.csr(5) & 0x0800
    assert driver.card.config_read(6, 2) & 0x2000
    driver.start()
    driver.tx_next = 0
    driver.queue_frame(frame_to(PEER))
    driver.demand()
    assert len(driver.sent) == 1


def test_a_receive_buffer_in_no_memory_stops_the_card() -> None:
    driver = Driver()
    driver.start()
    driver.put_descriptor(RX, 0x7000_0000, 1536, OWN)
    driver.card.receive(frame_to(MAC))
    assert driver.csr(0) == 4
    assert not driver.card.queue


def test_without_mastership_nothing_is_read() -> None:
    driver = Driver()
    driver.start()
    driver.bus.config_write(11 << 3, 4, 2, 3)
    reads = driver.memory.reads
    driver.queue_frame(frame_to(PEER))
    driver.demand()
    driver.card.receive(frame_to(MAC))
    assert driver.memory.reads == reads
    assert driver.csr(0) & 0x0800  # MERR


def test_state_continues_in_the_middle() -> None:
    driver = Driver()
    driver.start()
    for i in range(RX_LENGTH + 3):
        driver.card.receive(frame_to(MAC, 70 + i))
    driver.queue_frame(frame_to(PEER))
    saved = driver.card.state()
    again = Driver()
    again.memory.octets[:] = driver.memory.octets
    again.card.from_state(saved)
    assert again.card.state() == saved
    assert again.level()
    for one in (driver, again):
        one.demand()
        for _ in range(3):
            while one.take_frame() is not None:
                pass
            one.csr(0, 0x40)
    assert again.sent == driver.sent
    assert again.memory.octets == driver.memory.octets
    assert again.card.state() == driver.card.state()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("csr", [0] * 127),
        ("csr", [1 << 16] * 128),
        ("bcr", [0] * 128),
        ("rings", [0, 0, 1, 0]),
        ("rings", [8, 8, 4, 0]),
        ("rings", [1024, 0, 4, 0]),
        ("queue", [b"x"]),
        ("queue", [bytes(60)] * 1000),
        ("rap", 200),
        ("phy", {}),
        ("counts", {}),
    ],
)
def test_a_state_that_no_card_had_is_refused(name: str, value: object) -> None:
    card = Driver().card
    with pytest.raises(SnapshotError):
        card.from_state({**card.state(), name: value})


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("csr"), st.integers(0, 127), st.integers(0, 0xFFFF)),
        st.tuples(st.just("csr"), st.just(0), st.sampled_from([1, 2, 3, 4, 0x42, 0x48, 0x7F48])),
        st.tuples(st.just("bcr"), st.integers(0, 127), st.integers(0, 0xFFFF)),
        st.tuples(st.just("read"), st.integers(0, 31), st.sampled_from([1, 2, 4])),
        st.tuples(st.just("write"), st.integers(0, 31), st.integers(0, 0xFFFFFFFF)),
        st.tuples(st.just("memory"), st.integers(0, 0x40), st.integers(0, (1 << 128) - 1)),
        st.tuples(st.just("frame"), st.integers(0, 5000), st.booleans()),
        st.tuples(st.just("timer"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.fuzz
@given(OPERATIONS, st.sampled_from([0, 2, 3]), st.binary(max_size=256))
def test_fuzz(operations: list[tuple[str, int, int]], style: int, ring: bytes) -> None:
    """Whatever registers and rings hold: no exception, a bounded time, and a state that can be taken back."""
    driver = Driver(style=style)
    driver.start()
    driver.memory.write(TX, ring)
    began = time.monotonic()
    for kind, first, second in operations:
        match kind:
            case "csr":
                driver.csr(first, second)
            case "bcr":
                driver.bcr(first, second)
            case "read":
                driver.card.read_register(first, second)
            case "write":
                driver.card.write_register(first, 2 if second & 1 else 4, second & 0xFFFF)
            case "memory":
                base = (RX, TX, BLOCK, 0)[first & 3]
                driver.memory.write(base + (first >> 2) * 16, second.to_bytes(16, "little"))
            case "frame":
                driver.card.receive(MAC * (1 if second else 2) + bytes(first))
            case _:
                deadline = driver.card.next_deadline()
                if deadline is not None:
                    assert deadline > driver.timeline.now_ns
                    driver.timeline.now_ns = deadline
                    driver.card.handle_timer(deadline)
    assert time.monotonic() - began < 2
    assert len(driver.card.queue) <= QUEUE_FRAMES
    saved = driver.card.state()
    again = Driver()
    again.card.from_state(saved)
    assert again.card.state() == saved


def test_polling_times_grow() -> None:
    driver = Driver()
    driver.csr(47, 0xFFFF)  # one clock: held to the shortest
    driver.start()
    times = []
    for _ in range(5):
        deadline = driver.card.next_deadline()
        assert deadline is not None
        times.append(deadline)
        driver.timeline.now_ns = deadline
        driver.card.handle_timer(deadline)
    assert all(after - before == 100_000 for before, after in pairwise(times))
