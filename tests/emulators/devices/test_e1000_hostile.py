"""The 82540EM under drivers that mean harm: the CVE classes, addresses that are no memory, states, fuzz."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.devices.net import e1000_registers as r
from emulators.devices.net.e1000 import E1000
from emulators.snapshot import SnapshotError
from tests.emulators.devices.e1000_driver import (
    DEXT,
    EOP,
    IFCS,
    MAC,
    MMIO,
    PEER,
    RS,
    RX,
    TSE,
    TX,
    TX_LENGTH,
    Driver,
    check_tcp,
    frame_to,
    phy,
    tcp_packet,
)
from tests.emulators.devices.registers import accesses, exercise, moved

# The CVE classes


@pytest.mark.parametrize(
    ("length", "head", "tail"), [(0, 0, 5), (32, 40, 5), (32, 5, 40), (32, 0xFFFF, 0xFFFF), (32, 0xFFFF, 0), (0, 9, 9)]
)
def test_cve_2016_1981_indices_beyond_the_ring_are_not_walked(length: int, head: int, tail: int) -> None:
    driver = Driver()
    driver.start()
    for first in (r.TDLEN, r.RDLEN):
        driver.put(first, length * 16)
        driver.put(first + 8, head)
    began = time.monotonic()
    driver.put(r.TDT, tail)
    driver.put(r.RDT, tail)
    driver.card.receive(frame_to(MAC))
    assert time.monotonic() - began < 1
    assert driver.sent == []
    assert driver.get(r.TDH) == head
    assert driver.card.counts["received"] == 0


def test_cve_2015_6815_a_ring_of_descriptors_without_data_ends() -> None:
    driver = Driver()
    driver.start()
    for command in (0, EOP, DEXT, DEXT | EOP, DEXT | TSE | EOP):
        driver.put(r.TDH, 0)
        for index in range(TX_LENGTH):
            driver.memory.write(TX + 16 * index, (1 << 84 | command << 88).to_bytes(16, "little"))
        driver.put(r.TDT, TX_LENGTH - 1)
        assert driver.get(r.TDH) == TX_LENGTH - 1
    assert driver.sent == []


def test_cve_2021_20257_a_packet_without_an_end_is_as_long_as_one_can_be() -> None:
    driver = Driver()
    driver.start()
    began = time.monotonic()
    for _ in range(100):
        for index in range(TX_LENGTH):
            words = 0xFFFFF << 64 | 1 << 84 | (DEXT | TSE | IFCS) << 88
            driver.memory.write(TX + 16 * index, words.to_bytes(16, "little"))
        driver.put(r.TDT, (driver.get(r.TDT) + TX_LENGTH - 1) % TX_LENGTH)
    assert len(driver.card.state()["packet"]) <= r.LONGEST_PACKET + 1
    assert time.monotonic() - began < 2
    driver.tx = driver.get(r.TDT)
    driver.data(b"", EOP | IFCS)
    driver.kick()
    assert driver.sent == []
    driver.legacy(frame_to(PEER))
    driver.kick()
    assert driver.sent == [frame_to(PEER)]


@pytest.mark.parametrize(
    ("header", "mss", "ip", "tu"),
    [
        (54, 0, 14, 34),
        (0, 1448, 14, 34),
        (255, 1448, 14, 34),
        (54, 1448, 200, 34),
        (54, 1448, 14, 250),
        (14, 1448, 14, 14),
        (54, 1, 14, 34),
    ],
)
def test_cve_2010_4343_segments_that_cannot_be_are_not_sent(header: int, mss: int, ip: int, tu: int) -> None:
    driver = Driver()
    driver.start()
    driver.context(
        ip=(ip, 255, 0xFFFF), tu=(tu, 255, 0xFFFF), command=r.TUCMD_TCP | r.TUCMD_IP | TSE, header=header, mss=mss
    )
    octets = 100 if header == 255 else 3000
    driver.data(tcp_packet(bytes(octets), partial=True), EOP | IFCS | TSE, r.POPTS_IXSM | r.POPTS_TXSM)
    driver.kick()
    assert driver.sent == []
    assert driver.card.mistakes


@pytest.mark.parametrize("what", ["tx ring", "tx buffer", "rx ring", "rx buffer"])
def test_cve_2021_20255_dma_to_registers_stops_the_card(what: str) -> None:
    """Rings and buffers on the card's own registers (DMA into MMIO) are errors, never a second access."""
    driver = Driver()
    driver.start()
    match what:
        case "tx ring":
            driver.put(r.TDBAL, MMIO)
            driver.put(r.TDT, 5)
        case "tx buffer":
            driver.descriptor(MMIO | 100 << 64 | EOP << 88)
            driver.kick()
        case "rx ring":
            driver.put(r.RDBAL, MMIO)
            driver.card.receive(frame_to(MAC))
        case _:
            driver.memory.write(RX, MMIO.to_bytes(16, "little"))
            driver.card.receive(frame_to(MAC))
    assert not driver.get(r.RCTL) & r.RCTL_EN
    assert not driver.get(r.TCTL) & r.TCTL_EN
    assert driver.card.config_read(6, 2) & 0x2000
    assert not driver.card.queue
    driver.start()
    driver.legacy(frame_to(PEER))
    driver.kick()
    assert driver.sent == [frame_to(PEER)]


@pytest.mark.parametrize("how", ["phy", "lbm"])
def test_cve_2021_3416_loopback_does_not_feed_itself(how: str) -> None:
    driver = Driver()
    driver.start(rctl=r.RCTL_EN | (r.RCTL_LBM if how == "lbm" else 0))
    if how == "phy":
        phy(driver, 0, 0x4140)
    driver.legacy(frame_to(MAC))
    driver.kick()
    assert driver.sent == []
    one = driver.take_frame()
    assert one is not None
    assert one[3] == frame_to(MAC)
    assert driver.take_frame() is None
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is None


def test_without_mastership_nothing_moves() -> None:
    driver = Driver()
    driver.start()
    driver.bus.config_write(11 << 3, 4, 2, 3)
    reads, writes = driver.memory.reads, driver.memory.writes
    driver.put(r.TDT, 5)
    driver.card.receive(frame_to(MAC))
    assert (driver.memory.reads, driver.memory.writes) == (reads, writes)


# State, fuzz


def test_state_continues_in_the_middle() -> None:
    driver = Driver()
    driver.start()
    for number in range(30):
        driver.card.receive(frame_to(MAC, 500 + number))
    driver.context(ip=(14, 24, 33), tu=(34, 50, 0), command=r.TUCMD_TCP | r.TUCMD_IP | TSE, header=54, mss=1000)
    packet = tcp_packet(bytes(3000), partial=True)
    driver.data(packet[:1000], IFCS | TSE, r.POPTS_IXSM | r.POPTS_TXSM)
    driver.kick()
    driver.data(packet[1000:], EOP | IFCS | TSE | RS)
    memory = bytes(driver.memory.octets)
    twin = moved(driver.card, driver.fresh)
    assert isinstance(twin, E1000)
    twin.config[:] = driver.card.config
    results = []
    for card in (driver.card, twin):
        driver.memory.octets[:] = memory
        driver.sent.clear()
        card.write_register(r.TDT, 4, driver.tx)
        card.write_register(r.RDT, 4, 5)
        results.append((card.state(), bytes(driver.memory.octets), list(driver.sent)))
    assert results[0] == results[1]
    assert [len(check_tcp(frame)) for frame in results[0][2]] == [1000, 1000, 1000]
    driver.card.reset()
    assert not driver.line.level


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scalars", {}),
        ("plain", [0]),
        ("plain", [0xFFFFFFFF] * len(r.PLAIN)),
        ("statistics", []),
        ("contexts", []),
        ("contexts", [[0] * 9]),
        ("contexts", [[0] * 8] * 2),
        ("packet", bytes(r.LONGEST_PACKET + 2)),
        ("queue", [b"x"]),
        ("queue", [bytes(60)] * 1000),
        ("phy", {}),
        ("eeprom", {}),
        ("counts", {}),
        ("interrupt_at", None),
    ],
)
def test_a_state_that_no_card_had_is_refused(name: str, value: object) -> None:
    card = Driver().card
    with pytest.raises(SnapshotError):
        card.from_state({**card.state(), name: value})


class Registers:
    """The registers as a device, for `exercise`."""

    def __init__(self, card: E1000) -> None:
        self.read, self.write = card.read_register, card.write_register
        self.next_deadline, self.handle_timer = card.next_deadline, card.handle_timer
        self.state, self.from_state = card.state, card.from_state


KNOWN = [r.CTRL, r.RCTL, r.TCTL, r.TDT, r.TDH, r.RDT, r.RDH, r.TDLEN, r.RDLEN, r.TDBAL, r.RDBAL, r.MDIC, r.EECD, r.ITR]
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KNOWN), st.integers(0, 40) | st.integers(0, 0xFFFFFFFF)),
        st.tuples(st.just("ring"), st.integers(0, 1023), st.integers(0, (1 << 128) - 1)),
        st.tuples(st.just("frame"), st.integers(0, 20000), st.booleans()),
        st.tuples(st.just("time"), st.integers(0, 10**6), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.fuzz
@given(OPERATIONS, accesses(0x6000), st.binary(max_size=512))
def test_fuzz(operations: list[tuple[str, int, int]], registers: list[tuple[str, int, int, int]], ring: bytes) -> None:
    """Whatever registers and rings hold: no exception, a bounded time, and a state that can be taken back."""
    driver = Driver()
    driver.start()
    driver.memory.write(TX, ring)
    began = time.monotonic()
    for kind, first, second in operations:
        match kind:
            case "put":
                driver.put(first, second)
            case "ring":
                driver.memory.write(RX + 16 * (first & 511), second.to_bytes(16, "little"))
            case "frame":
                driver.card.receive((MAC if second else b"\xff" * 6) + bytes(first))
            case _:
                driver.timeline.now_ns += first
                driver.card.handle_timer(driver.timeline.now_ns)
    exercise(Registers(driver.card), driver.timeline, r.REGISTERS, registers, seconds=4)
    assert time.monotonic() - began < 4
    assert len(driver.card.queue) <= r.QUEUE_FRAMES
    moved(driver.card, driver.fresh)
