"""The GEM as sungem drives it: probe, rings, checksums, filter, PHY and link, the CVE classes, fuzz, state."""

import struct
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.devices.net.gem import Gem
from emulators.devices.net.gem_registers import LONGEST_FRAME, MOST_WORK, PAUSE_NS, QUEUE_FRAMES
from emulators.snapshot import SnapshotError
from tests.emulators.devices.gem_driver import (
    BUS_ERROR,
    CENAB,
    CONTROL,
    END,
    GROUPS,
    HASH,
    INTME,
    MAC,
    MIF,
    MMIO,
    PEER,
    PROMISCUOUS,
    RX_BUFFERS,
    RX_DONE,
    RX_MAC,
    RX_NOBUF,
    RX_RING,
    START,
    STRIP,
    TX_ALL,
    TX_BUFFERS,
    TX_DONE,
    TX_INTME,
    TX_RING,
    Driver,
    frame_to,
    hash_of,
    internet_sum,
)
from tests.emulators.devices.registers import accesses, exercise, moved

BROADCAST = b"\xff" * 6
PAUSE_TO = bytes.fromhex("0180c2000001")


def test_probe_as_linux_and_openbios_do_it() -> None:
    driver = Driver()
    assert driver.bus.config_read(2 << 3, 0, 4) == 0x0021_106B
    assert driver.bus.config_read(2 << 3, 8, 4) >> 8 == 0x020000
    assert [driver.get(register) for register in (0x6088, 0x6084, 0x6080)] == [0x0200, 0x0000, 0x0042]
    assert driver.get(0x2118) * 64 == 9 * 1024
    assert driver.get(0x4120) * 64 == 20 * 1024
    driver.put(0x4, 0x1FFF)
    assert driver.get(0x4) & 0x1801 == 0x1801  # infinite bursts stick, and what Apple added
    driver.put(0x10, 0)
    assert not driver.line.level
    driver.put(0x1010, 3)
    assert driver.get(0x1010) == 0
    assert driver.get(0x10) == 0xFFFF_FFFF
    assert [driver.get(register) for register in (0x6088, 0x6084, 0x6080)] == [0x0200, 0x0000, 0x0042]
    driver.put(0x1010, 4)
    assert driver.get(0x1010) == 4  # RST# held, which leads nowhere
    driver.put(0x9000, 0x9300)
    assert driver.get(0x9000) == 0x1140 | 0x0000  # reset and restart clear themselves
    assert driver.get(0x9004) & 4 == 0
    assert driver.card.mistakes == 0


def test_sending_round_the_ring() -> None:
    driver = Driver()
    driver.start()
    frames = [frame_to(PEER, 60 + 7 * number, number) for number in range(200)]
    for number, frame in enumerate(frames):
        driver.send(frame)
        assert driver.line.level
        assert driver.get(0x1C) & 0x7FFFF == TX_ALL | TX_DONE  # the alias leaves it
        assert driver.get(0xC) == ((number + 1) % 128) << 19 | TX_ALL | TX_DONE
        assert not driver.line.level
        assert driver.get(0xC) & 0x7F == 0
    assert driver.sent == frames
    assert driver.get(0x2100) == 200 % 128
    driver.put(0x2000, driver.tx)
    assert len(driver.sent) == 200


def test_a_frame_in_parts_short_ones_and_those_that_want_an_interrupt() -> None:
    driver = Driver()
    driver.start()
    frame = frame_to(PEER, 300)
    driver.queue(frame[:54], START | INTME)
    driver.queue(frame[54:100], 0)
    driver.send(frame[100:], END)
    driver.queue(frame_to(PEER, 42))
    assert driver.sent == [frame]
    driver.put(0x2000, driver.tx)
    assert driver.sent[1] == frame_to(PEER, 42).ljust(60, b"\0")
    assert driver.get(0xC) & 0x7F == TX_INTME | TX_ALL | TX_DONE


def test_a_driver_that_makes_its_own_fcs() -> None:
    driver = Driver()
    driver.start()
    driver.send(frame_to(PEER) + b"FCS!", START | END | 1 << 33)
    driver.put(0x6030, 0x11F)
    driver.send(frame_to(PEER) + b"FCS!")
    assert driver.sent == [frame_to(PEER)] * 2


@pytest.mark.parametrize("length", [100, 101, 1514])
def test_checksums_are_put_in(length: int) -> None:
    driver = Driver()
    driver.start()
    frame = bytearray(frame_to(PEER, length, 0xA7))
    frame[50:52] = b"\x12\x34"  # the pseudo-header's sum
    driver.send(bytes(frame), START | END | CENAB | 34 << 15 | 50 << 21)
    (sent,) = driver.sent
    assert internet_sum(sent[34:]) == 0xFFFF - 0x1234
    assert (sent[:50], sent[52:]) == (bytes(frame[:50]), bytes(frame[52:]))


def test_receiving_round_the_ring() -> None:
    driver = Driver()
    driver.start()
    for number in range(300):
        frame = frame_to(MAC, 60 + 97 * number % 1450, number & 0xFF)
        driver.card.receive(frame)
        assert driver.line.level
        assert driver.get(0xC) & 0x7FFFF == RX_DONE
        one = driver.take_frame()
        assert one is not None
        flags, octets = one
        assert octets == frame
        assert ~flags & 0xFFFF == internet_sum(frame[14:])
        assert flags >> 60 == 0
        assert flags >> 52 & 0xFF == hash_of(MAC)
    assert driver.take_frame() is None
    assert driver.get(0x6118) == 300
    driver.put(0x6118, 0)
    assert driver.get(0x6118) == 0


@pytest.mark.parametrize(
    ("contents", "field"), [(bytes(46), 0xFFFF), (b"\xff\xff" + bytes(44), 0), (b"\1" * 46, 0xE8E8)]
)
def test_what_sums_up_to_nothing_is_told_from_zeros(contents: bytes, field: int) -> None:
    """Linux complained of the checksum of every ICMP message."""
    driver = Driver()
    driver.start()
    driver.card.receive(MAC + PEER + b"\x08\x00" + contents)
    assert (one := driver.take_frame()) is not None
    assert one[0] & 0xFFFF == field


def test_the_fcs_is_there_if_it_is_not_stripped() -> None:
    driver = Driver()
    driver.start(rxcfg=HASH)
    driver.card.receive(frame_to(MAC, 42))
    one = driver.take_frame()
    assert one is not None
    padded = frame_to(MAC, 42).ljust(60, b"\0")
    assert one[1] == padded + zlib.crc32(padded).to_bytes(4, "little")
    assert ~one[0] & 0xFFFF == internet_sum(one[1][14:])


def test_the_filter() -> None:
    driver = Driver()
    group, other = bytes.fromhex("3333ff424344"), bytes.fromhex("01005e000002")
    bits = hash_of(group)
    assert bits != hash_of(other)
    driver.start()
    driver.put(0x60C0 + 4 * (bits >> 4), 1 << 15 - (bits & 15))
    driver.put(0x608C, 0x0043)  # the alternate address
    driver.put(0x6094, 0x0200)
    for to in (MAC, BROADCAST, group, PEER, other, bytes.fromhex("020000000043")):
        driver.card.receive(frame_to(to))
    heard = []
    while (one := driver.take_frame()) is not None:
        heard.append((one[1][:6], one[0] >> 60))
    assert heard == [(MAC, 0), (BROADCAST, 0), (group, 1), (bytes.fromhex("020000000043"), 2)]
    assert driver.card.counts["filtered"] == 2
    for config, expected in ((STRIP | GROUPS, [group, other]), (STRIP | PROMISCUOUS, [PEER, group, other])):
        driver.put(0x6034, config | 1)
        for to in (PEER, group, other):
            driver.card.receive(frame_to(to))
        assert [driver.take_frame() for _ in expected][-1] is not None
        assert driver.take_frame() is None


def test_a_full_ring_makes_frames_wait_then_overflows() -> None:
    driver = Driver()
    driver.start()
    total = 0
    while driver.card.ready_frames():
        driver.card.receive(frame_to(MAC, 1000, total & 0xFF))
        total += 1
    assert total == 123 + QUEUE_FRAMES
    assert driver.get(0xC) & 0x7FFFF == RX_DONE | RX_NOBUF
    driver.card.receive(frame_to(MAC))
    assert driver.get(0xC) & 0x7FFFF == RX_MAC
    assert driver.line.level
    assert driver.get(0x6014) == 3
    assert not driver.line.level
    assert driver.card.counts["missed"] == 1
    for number in range(total):
        assert (one := driver.take_frame()) is not None
        assert one[1] == frame_to(MAC, 1000, number & 0xFF)
    assert driver.take_frame() is None


def test_a_kick_at_the_completion_is_a_full_ring() -> None:
    """Linux gave back the four that it had taken, and heard no more."""
    driver = Driver()
    driver.start()
    for _ in range(4):
        driver.card.receive(frame_to(MAC))
        driver.take_frame()
    assert driver.get(0x4100) == driver.get(0x4104) == 4
    for _ in range(127):
        driver.card.receive(frame_to(MAC))
    assert driver.get(0xC) & RX_NOBUF == 0
    driver.card.receive(frame_to(MAC))
    assert driver.get(0xC) & RX_NOBUF


def test_the_receiver_is_reset_after_an_overflow_as_sungem_does_it() -> None:
    driver = Driver()
    driver.start()
    for _ in range(123 + QUEUE_FRAMES):
        driver.card.receive(frame_to(MAC))
    driver.put(0x6004, 1)
    assert driver.get(0x6004) == 0
    driver.put(0x6034, STRIP | HASH)
    driver.put(0x4000, 0)
    driver.put(0x1010, 2)
    assert driver.get(0x4104) == 0
    assert driver.get(0x2004) & 1  # the other half goes on
    assert driver.card.ready_frames() == QUEUE_FRAMES
    driver.send(frame_to(PEER))
    assert len(driver.sent) == 1


def test_counters_that_go_round_are_a_cause() -> None:
    driver = Driver()
    driver.start()
    driver.put(0x6118, 0xFFFF)
    driver.put(0x611C, 0xFFFF)
    driver.card.receive(frame_to(MAC))
    assert driver.get(0xC) & 0x7FFFF == RX_DONE | RX_MAC
    assert driver.get(0x6014) == 0x05
    driver.card.receive(frame_to(MAC, 1523))
    assert driver.get(0x6014) == 0x20
    assert (driver.get(0x6118), driver.get(0x611C)) == (0, 0)


def test_pause_frames() -> None:
    driver = Driver()
    driver.start()
    pause = PAUSE_TO + PEER + bytes.fromhex("880800011234") + bytes(42)
    driver.put(0x6028, 0)
    driver.card.receive(pause)
    assert driver.get(0x6018) == 0
    driver.put(0x6038, 2)
    driver.card.receive(pause)
    assert driver.get(0xC) & 0x7FFFF == CONTROL
    assert driver.get(0x6018) == 0x1234_0001
    assert driver.get(0x6018) == 0x1234_0000
    assert not driver.line.level
    assert driver.take_frame() is None
    assert driver.card.counts["control"] == 2
    driver.put(0x6038, 4)  # pass them on: the filter decides
    driver.put(0x6034, STRIP | GROUPS | 1)
    driver.card.receive(pause)
    assert driver.take_frame() is not None
    driver.put(0x6008, 0x0_1BF0)
    assert driver.sent == []
    driver.put(0x6008, 0x1_1BF0)
    assert driver.sent == [PAUSE_TO + MAC + bytes.fromhex("880800011bf0") + bytes(42)]


def test_the_phy_is_the_one_that_sungem_knows() -> None:
    driver = Driver()
    assert driver.phy(2) << 16 | driver.phy(3) == 0x0040_6210
    assert driver.phy(0, address=1) == driver.phy(0, address=31) == 0xFFFF
    driver.put(0x6210, 1)  # the other MDIO
    assert driver.get(0x6210) == 0x101
    assert driver.phy(0) == 0xFFFF
    driver.put(0x6210, 0)
    assert driver.phy(1) & 0x24 == 0x24
    assert driver.phy(5) & 0x0180 == 0x0180
    assert (driver.phy(0x18), driver.phy(0x19)) == (0x000B, 0xF51E)
    driver.write_phy(0, 0x2000)
    assert (driver.phy(0x18), driver.phy(0x19)) == (0x0006, 0xF51C)
    driver.write_phy(0, 0x0100)
    assert driver.phy(0x18) == 0x0001
    driver.write_phy(0, 0x8000)
    assert driver.phy(0) == 0x3100
    driver.put(0x620C, 3 << 30)
    driver.put(0x620C, 1 << 30 | 3 << 28)
    assert driver.card.mistakes == 2


def test_a_phy_that_is_switched_off_hears_and_says_nothing() -> None:
    driver = Driver()
    driver.start()
    for register, value in ((0x1E, 8), (0, 0x3500), (0, 0x3900)):
        driver.write_phy(register, value)
        driver.card.receive(frame_to(MAC))
        driver.send(frame_to(PEER))
        driver.write_phy(0x1E, 0)
        driver.write_phy(0, 0x3100)
    assert driver.sent == []
    assert driver.take_frame() is None
    assert (driver.card.counts["off"], driver.card.counts["lost"]) == (3, 3)
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is not None


def test_link_changes_are_told_by_the_phy_and_by_the_mif_that_polls_it() -> None:
    driver = Driver()
    driver.start()
    driver.write_phy(0x1A, 0x4F00)
    driver.put(0x6210, 2 | 1 << 3)
    assert driver.get(0x6218) >> 16 & 0x24 == 0x24
    driver.put(0x6214, 0xFFFF & ~0x24)
    driver.card.set_link(True)
    assert not driver.line.level
    driver.card.set_link(False)
    assert driver.get(0xC) & 0x7FFFF == MIF
    assert driver.line.level
    assert driver.get(0x6218) & 0x24_0024 == 0x24
    assert not driver.line.level
    assert driver.get(0xC) & 0x7FFFF == 0
    driver.card.receive(frame_to(MAC))
    driver.send(frame_to(PEER))
    assert driver.sent == []
    assert driver.take_frame() is None
    driver.card.set_link(True)
    assert driver.get(0xC) & MIF
    assert driver.get(0x6218) & 0x24_0024 == 0x24_0024
    assert driver.phy(0x1A) == 0x4F03
    assert driver.phy(0x1A) == 0x4F00
    driver.put(0x6210, 0)
    driver.card.set_link(False)
    assert not driver.line.level
    driver.card.set_link(True)
    assert driver.phy(1) & 4 == 0  # latched
    assert driver.phy(1) & 4


def test_interrupts_behind_their_masks() -> None:
    driver = Driver()
    driver.start()
    driver.put(0x10, 0xFFFF_FFFF)
    driver.send(frame_to(PEER))
    assert not driver.line.level
    driver.put(0x10, ~TX_ALL & 0xFFFF_FFFF)
    assert driver.line.level
    driver.put(0x14, TX_DONE)
    assert driver.line.level
    driver.put(0x14, TX_ALL)
    assert not driver.line.level
    driver.put(0x6020, 0)
    assert driver.get(0x6010) == 1
    assert driver.get(0x6010) == 0


def test_parts_of_registers_can_be_read_and_not_written() -> None:
    driver = Driver()
    driver.put(0x2008, 0x1234_5800)
    assert [driver.get(0x2008 + at, 1) for at in range(4)] == [0x00, 0x58, 0x34, 0x12]
    assert driver.get(0x200A, 2) == 0x1234
    driver.put(0x2008, 0, 2)
    assert driver.get(0x2008) == 0x1234_5800
    assert driver.card.mistakes == 1
    driver.card.write_register(0x2008, 8, 0x1_2345_6800)
    assert driver.card.read_register(0x2008, 8) == 0x1_2345_6800
    assert driver.get(0x100000) == 0
    driver.put(0x5000, 1)
    assert driver.card.mistakes == 3


def test_without_mastership_nothing_moves() -> None:
    driver = Driver()
    driver.start()
    driver.bus.config_write(2 << 3, 4, 2, 2)
    reads, writes = driver.memory.reads, driver.memory.writes
    driver.put(0x2000, 5)
    driver.card.receive(frame_to(MAC))
    assert (driver.memory.reads, driver.memory.writes) == (reads, writes)


# The CVE classes


def test_a_ring_of_the_largest_frames_is_walked_in_portions() -> None:
    """CVE-2015-6815's kin: descriptors without end, each of the largest size."""
    driver = Driver()
    driver.start(ring=8)
    driver.put(0x6054, 0x7FFF)
    for number in range(8191):
        driver.memory.octets[TX_RING + 16 * number : TX_RING + 16 * number + 16] = struct.pack("<QQ", 0x7FFF, 0x90000)
    began = time.monotonic()
    driver.put(0x2000, 8191)
    assert time.monotonic() - began < 1
    assert driver.get(0x2100) == MOST_WORK
    assert driver.get(0xC) & 0x7F == TX_DONE
    assert driver.card.next_deadline() == 1000 + PAUSE_NS
    assert driver.sent == []
    portions = 1
    while (deadline := driver.card.next_deadline()) is not None:
        driver.timeline.now_ns = deadline
        driver.card.handle_timer(deadline)
        portions += 1
    assert portions == 8
    assert driver.get(0xC) & 0x7F == TX_DONE | TX_ALL
    assert len(driver.card.state()["packet"]) <= LONGEST_FRAME + 5


@pytest.mark.parametrize("kick", [0x1FFF, 0x1000, 127, 128, 0xFFFF_FFFF])
@pytest.mark.parametrize("ring", [0, 2, 8, 15])
def test_kicks_of_any_value_stay_within_the_ring(kick: int, ring: int) -> None:
    driver = Driver()
    driver.start(ring=ring)
    driver.put(0x2000, kick)
    driver.put(0x4100, kick)
    for _ in range(200):
        driver.card.receive(frame_to(MAC, 1500))
    length = min(32 << ring, 8192)
    assert driver.get(0x2100) < length
    assert driver.get(0x4104) < length
    assert not any(driver.memory.octets[:TX_RING])


@pytest.mark.parametrize(("start", "at"), [(63, 10), (10, 59), (0, 255)])
def test_checksum_offsets_beyond_the_frame_write_nothing(start: int, at: int) -> None:
    driver = Driver()
    driver.start()
    driver.send(frame_to(PEER, 60), START | END | CENAB | start << 15 | at << 21)
    assert driver.sent == [frame_to(PEER, 60)]
    assert driver.card.mistakes == 1


def test_frames_of_impossible_lengths_are_not_sent() -> None:
    driver = Driver()
    driver.start()
    driver.send(b"short")
    driver.send(b"", END)
    driver.send(frame_to(PEER, 1523))
    assert driver.sent == []
    assert driver.get(0x6010) == 4
    driver.send(frame_to(PEER, 1522))
    assert len(driver.sent) == 1
    driver.queue(frame_to(PEER), START)
    driver.send(frame_to(PEER, 70))  # the first was never ended
    assert driver.sent[1] == frame_to(PEER, 70)


def test_a_frame_longer_than_its_buffer_is_cut_off() -> None:
    driver = Driver()
    driver.start(size=200)
    driver.card.receive(frame_to(MAC, 1000))
    one = driver.take_frame()
    assert one is not None
    assert one[1] == frame_to(MAC, 1000)[:200]
    assert one[0] >> 62 & 1
    assert not any(driver.memory.octets[RX_BUFFERS + 202 : RX_BUFFERS + 2048])


@pytest.mark.parametrize("what", ["tx ring", "tx buffer", "rx ring", "rx buffer", "64 bits"])
def test_cve_2021_20255_dma_to_registers_stops_the_card(what: str) -> None:
    """Rings and buffers on the card's own registers (DMA into MMIO) are a bus error, never a second access."""
    driver = Driver()
    driver.start()
    match what:
        case "tx ring":
            driver.put(0x2008, MMIO)
        case "tx buffer":
            driver.describe(0, START | END | 100, MMIO)
        case "rx ring":
            driver.put(0x4004, MMIO)
        case "rx buffer":
            driver.post(0, MMIO, 1600)
        case _:
            driver.put(0x4008, 1)
    if what.startswith("tx"):
        driver.put(0x2000, 1)
    else:
        driver.card.receive(frame_to(MAC))
    assert driver.line.level
    assert driver.get(0xC) & BUS_ERROR
    assert driver.get(0x1000) == 4
    assert driver.get(0xC) & BUS_ERROR == 0
    assert (driver.get(0x2004) | driver.get(0x4000)) & 1 == 0
    assert driver.card.config_read(6, 2) & 0x2000
    driver.start()
    driver.send(frame_to(PEER))
    driver.card.receive(frame_to(MAC))
    assert (len(driver.sent), driver.take_frame() is not None) == (1, True)


def test_cve_2021_3416_loopback_does_not_feed_itself() -> None:
    driver = Driver()
    driver.start()
    driver.put(0x603C, 3)
    driver.send(frame_to(MAC))
    assert driver.sent == []
    assert (one := driver.take_frame()) is not None
    assert one[1] == frame_to(MAC)
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is None


# State, fuzz


def test_state_continues_in_the_middle() -> None:
    driver = Driver()
    driver.start()
    for number in range(140):
        driver.card.receive(frame_to(MAC, 1400, number))
    driver.send(frame_to(PEER), START)
    driver.card.set_link(False)
    driver.card.set_link(True)
    memory = bytes(driver.memory.octets)
    twin = moved(driver.card, driver.fresh)
    assert isinstance(twin, Gem)
    results = []
    for card in (driver.card, twin):
        driver.memory.octets[:] = memory
        driver.sent.clear()
        driver.describe(1, END | 100, TX_BUFFERS)
        card.write_register(0x2000, 4, 2)
        card.write_register(0x4100, 4, 8)
        results.append((card.state(), bytes(driver.memory.octets), list(driver.sent)))
    assert results[0] == results[1]
    assert len(results[0][2]) == 1
    driver.card.reset()
    assert not driver.line.level
    assert driver.get(0x6080) == 0xFFFF_FFFF  # RST# took the base register's address


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scalars", {}),
        ("plain", [0] * 7),
        ("packet", bytes(LONGEST_FRAME + 6)),
        ("queue", [b"x"]),
        ("queue", [bytes(60)] * 1000),
        ("phy", {}),
        ("counts", {}),
    ],
)
def test_a_state_that_no_card_had_is_refused(name: str, value: object) -> None:
    card = Driver().card
    with pytest.raises(SnapshotError):
        card.from_state({**card.state(), name: value})


def test_a_state_with_bits_that_a_register_does_not_have_is_refused() -> None:
    card = Driver().card
    state = card.state()
    with pytest.raises(SnapshotError, match="bits"):
        card.from_state({**state, "plain": [0xFFFF_FFFF] * len(state["plain"])})
    with pytest.raises(SnapshotError, match="PHY"):
        card.from_state({**state, "phy": {**state["phy"], "kept": [0]}})


class Registers:
    """The registers as a device, for `exercise`: offsets of the units that there are."""

    PLACES = (*range(0x20), *range(0x1000, 0x1014), *range(0x2000, 0x2038), *range(0x2100, 0x2120))
    PLACES += (*range(0x3000, 0x3014), *range(0x4000, 0x402C), *range(0x4100, 0x4124), *range(0x6000, 0x6220))
    PLACES += (*range(0x9000, 0x9060), *range(0x1FFFF0, 0x200000))

    def __init__(self, card: Gem) -> None:
        self.card = card
        self.next_deadline, self.handle_timer = card.next_deadline, card.handle_timer
        self.state, self.from_state = card.state, card.from_state

    def read(self, offset: int, size: int) -> int:
        """As the card's."""
        return self.card.read_register(self.PLACES[offset], size)

    def write(self, offset: int, size: int, value: int) -> None:
        """As the card's, at a whole register three times out of four."""
        at = self.PLACES[offset]
        self.card.write_register(at & ~3 if value & 3 else at, 4 if value & 3 else size, value)


@pytest.mark.fuzz
@given(
    accesses(len(Registers.PLACES)),
    st.lists(st.tuples(st.integers(0, 9100), st.booleans()), max_size=40),
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, (1 << 64) - 1), st.integers(0, 1 << 21)), max_size=40),
)
def test_fuzz(
    operations: list[tuple[str, int, int, int]], frames: list[tuple[int, bool]], rings: list[tuple[int, int, int]]
) -> None:
    """Whatever is written, is in the rings, and comes: no exception, a bounded time, a state that can be saved."""
    driver = Driver()
    driver.start()
    for number, flags, buffer in rings:
        driver.memory.write(TX_RING + 16 * number, struct.pack("<QQ", flags, buffer))
    assert RX_RING == TX_RING + 16 * 128
    began = time.monotonic()
    for at in range(0, max(len(operations), 8), 8):
        exercise(Registers(driver.card), driver.timeline, len(Registers.PLACES), operations[at : at + 8], seconds=2)
        for length, own in frames[at : at + 8]:
            driver.card.receive((MAC if own else BROADCAST) + bytes(length))
        driver.put(0x2000, at * 11)
    assert time.monotonic() - began < 4
    assert len(driver.card.queue) <= QUEUE_FRAMES
    moved(driver.card, driver.fresh)
