"""The RTL8139C as drivers drive it: probe, transmitters, receive ring, filter, timer, the CVE classes, fuzz, state."""

import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.net.rtl8139 import Rtl8139
from emulators.devices.net.rtl8139_registers import LONGEST_RECEIVED, QUEUE_FRAMES
from emulators.devices.pci.bus import PciBus
from emulators.dma import Dma
from emulators.snapshot import SnapshotError
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.registers import Line, accesses, exercise, moved

MAC = bytes.fromhex("020000000042")
PEER = bytes.fromhex("020000000001")
IO, MMIO = 0x1000, 0x1000_0000
RING, BUFFERS = 0x20000, 0x40000
OWN, TOK = 1 << 13, 1 << 15
ROK, TX_OK, TER, RXOVW, LINK, TIME_OUT, SERR = 1, 4, 8, 0x10, 0x20, 0x4000, 0x8000
APM, AM, AB, AAP, WRAP = 2, 4, 8, 1, 0x80


class Driver:
    """A card on a bus, and the calls of a driver."""

    def __init__(self) -> None:
        self.memory = GuestMemory()
        self.sent: list[bytes] = []
        self.line = Line()
        self.timeline = Timeline(1000)
        self.card = self.fresh()
        self.bus = PciBus([self.line] * 4)
        self.bus.add(self.card, 11)
        self.bus.assign(io=(IO, 0x1FFF), memory=(MMIO, 0x1000_FFFF), line=lambda device, pin: 10)
        self.next = 0
        self.at = 0

    def fresh(self) -> Rtl8139:
        return Rtl8139("nic", mac=MAC, dma=Dma(self.memory), out=self.sent.append, timeline=self.timeline)

    def get(self, register: int, size: int) -> int:
        return self.bus.memory.read(MMIO + register, size)

    def put(self, register: int, size: int, value: int) -> None:
        self.bus.memory.write(MMIO + register, size, value)

    def start(self, *, rcr: int = APM | AB | WRAP | 2 << 11, tcr: int = 0x0300_0600, imr: int = 0xFFFF) -> None:
        self.put(0x37, 1, 0x10)
        assert self.get(0x37, 1) == 0x01
        self.put(0x30, 4, RING)
        self.put(0x37, 1, 0x0C)
        self.put(0x44, 4, rcr)
        self.put(0x40, 4, tcr)
        for number in range(4):
            self.put(0x20 + 4 * number, 4, BUFFERS + 2048 * number)
        self.put(0x3C, 2, imr)
        self.length = 8192 << (rcr >> 11 & 3)
        self.next = self.at = 0

    def send(self, frame: bytes, size: int | None = None) -> int:
        """Answers the transmitter's status."""
        self.memory.write(BUFFERS + 2048 * self.next, frame)
        self.put(0x10 + 4 * self.next, 4, len(frame) if size is None else size)
        status = self.get(0x10 + 4 * self.next, 4)
        self.next = (self.next + 1) % 4
        return status

    def take_frame(self) -> tuple[int, bytes] | None:
        """Status and the next frame, FCS checked and removed."""
        if self.get(0x37, 1) & 1:
            return None
        ring = self.memory.octets[RING : RING + self.length + 4096]
        if not self.get(0x44, 4) & WRAP or self.length == 65536:
            ring = ring[: self.length] + ring[: self.length]
        status, size = (int.from_bytes(ring[self.at + 2 * half : self.at + 2 * half + 2], "little") for half in (0, 1))
        octets = bytes(ring[self.at + 4 : self.at + 4 + size])
        assert zlib.crc32(octets[:-4]).to_bytes(4, "little") == octets[-4:]
        self.at = (self.at + 4 + size + 3 & ~3) % self.length
        self.put(0x38, 2, self.at - 16 & 0xFFFF)
        return status, octets[:-4]


def frame_to(to: bytes, length: int = 100, fill: int = 0x5A) -> bytes:
    return to + PEER + b"\x08\x00" + bytes([fill]) * (length - 14)


def hash_of(address: bytes) -> int:
    """The CRC register of IEEE 802.3 3.2.9, bit by bit; its six upper bits."""
    register = 0xFFFFFFFF
    for octet in address:
        for bit in range(8):
            carry = (register >> 31 ^ octet >> bit) & 1
            register = (register << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if carry else 0)
    return register >> 26


def test_probe_as_linux_does_it() -> None:
    driver = Driver()
    assert driver.bus.config_read(11 << 3, 0, 4) == 0x8139_10EC
    assert driver.bus.config_read(11 << 3, 8, 1) < 0x20  # or 8139too says: an 8139C+
    assert driver.get(0x40, 4) & 0x7CC0_0000 == 0x7400_0000  # RTL8139C
    assert not driver.get(0x52, 1) & 0x10
    assert b"".join(driver.get(number, 2).to_bytes(2, "little") for number in (0, 2, 4)) == MAC
    assert driver.bus.io.read(IO, 4) == int.from_bytes(MAC[:4], "little")
    assert driver.get(0x58, 1) & 0x04 == 0
    assert driver.get(0x64, 2) & 0x24 == 0x24
    assert driver.get(0x68, 2) == 0x41E1


def read_eeprom(driver: Driver, word: int, address_bits: int = 6) -> int:
    """As 8139too does, with a zero in front."""
    driver.put(0x50, 1, 0x80)
    driver.put(0x50, 1, 0x88)
    bits = word | 6 << address_bits
    for bit in range(4 + address_bits, -1, -1):
        data = 2 * (bits >> bit & 1)
        driver.put(0x50, 1, 0x88 | data)
        driver.put(0x50, 1, 0x88 | data | 4)
    driver.put(0x50, 1, 0x88)
    value = 0
    for _ in range(16):
        driver.put(0x50, 1, 0x88 | 4)
        value = value << 1 | driver.get(0x50, 1) & 1
        driver.put(0x50, 1, 0x88)
    driver.put(0x50, 1, 0)
    return value


def test_the_eeprom_has_signature_and_address() -> None:
    driver = Driver()
    assert read_eeprom(driver, 0) == 0x8129
    assert b"".join(read_eeprom(driver, 7 + number).to_bytes(2, "little") for number in range(3)) == MAC
    driver.put(0x50, 1, 0xC0)
    driver.put(0, 4, 0)
    assert driver.get(0, 4) == 0
    driver.put(0x50, 1, 0x40)  # load it again
    assert driver.get(0, 4) == int.from_bytes(MAC[:4], "little")
    assert driver.get(0x50, 1) & 0xC0 == 0


def test_configuration_is_locked() -> None:
    driver = Driver()
    before = driver.card.mistakes
    driver.put(0x52, 1, 0xFF)
    driver.put(0, 4, 0)
    driver.put(0x62, 2, 0)
    assert driver.get(0x52, 1) == 0x0C
    assert driver.card.mac == MAC
    assert driver.get(0x62, 2) == 0x3100
    assert driver.card.mistakes == before + 6
    driver.put(0x50, 1, 0xC0)
    driver.put(0x52, 1, 0xFF)
    driver.put(0x59, 1, 0x20)
    driver.put(0x62, 2, 0x0100)
    assert driver.get(0x52, 1) == 0xFF
    assert driver.get(0x59, 1) == 0x20
    assert driver.get(0x62, 2) == 0x0100


def test_the_four_transmitters_in_their_order() -> None:
    driver = Driver()
    driver.start()
    frames = [frame_to(PEER, 60 + number) for number in range(11)]
    for frame in frames:
        assert driver.send(frame) & (OWN | TOK | 0x1FFF) == OWN | TOK | len(frame)
        assert driver.line.level
        assert driver.get(0x3E, 2) == TX_OK
        driver.put(0x3E, 2, TX_OK)
        assert not driver.line.level
    assert driver.sent == frames
    assert driver.get(0x60, 2) == 0xF00F
    driver.start()
    driver.put(0x14, 4, 100)  # the second before the first: it waits
    assert len(driver.sent) == 11
    driver.put(0x10, 4, 100)
    assert len(driver.sent) == 13


def test_an_fcs_of_the_driver_is_not_sent_twice() -> None:
    driver = Driver()
    driver.start(tcr=1 << 16)
    driver.send(frame_to(PEER, 80) + b"FCS!")
    assert driver.sent == [frame_to(PEER, 80)]


@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize("wrap", [0, WRAP])
def test_receiving_round_the_ring(size: int, wrap: int) -> None:
    driver = Driver()
    driver.start(rcr=APM | wrap | size << 11)
    for number in range(150):
        frame = frame_to(MAC, 60 + 97 * number % 1450)
        driver.card.receive(frame)
        assert driver.line.level
        driver.put(0x3E, 2, ROK)
        assert driver.take_frame() == (0x4001, frame)
    assert driver.take_frame() is None
    assert driver.card.counts["received"] == 150


def test_short_frames_are_padded_on_reception() -> None:
    driver = Driver()
    driver.start()
    driver.card.receive(frame_to(MAC, 42))
    assert driver.take_frame() == (0x4001, frame_to(MAC, 42).ljust(60, b"\0"))


def test_the_filter() -> None:
    driver = Driver()
    group = bytes.fromhex("3333ff424344")
    bit = hash_of(group)
    driver.start(rcr=APM | AM | AB | WRAP)
    driver.put(8 + 4 * (bit >> 5), 4, 1 << (bit & 31))
    for to in (MAC, b"\xff" * 6, group, PEER, bytes.fromhex("01005e000002")):
        driver.card.receive(frame_to(to))
    assert driver.take_frame() == (0x4001, frame_to(MAC))
    assert driver.take_frame() == (0x2001, frame_to(b"\xff" * 6))
    assert driver.take_frame() == (0x8001, frame_to(group))
    assert driver.take_frame() is None
    assert driver.card.counts["filtered"] == 2
    driver.put(0x44, 4, AAP)
    driver.card.receive(frame_to(PEER))
    driver.card.receive(frame_to(group))
    assert driver.take_frame() == (0x0001, frame_to(PEER))
    assert driver.take_frame() is None


def test_a_full_ring_makes_frames_wait_then_overflows() -> None:
    driver = Driver()
    driver.start(rcr=APM)
    total = 0
    while driver.card.ready_frames():
        driver.card.receive(frame_to(MAC, 1000, total & 0xFF))
        total += 1
    assert total == QUEUE_FRAMES + 8
    driver.card.receive(frame_to(MAC))
    assert driver.get(0x3E, 2) & RXOVW
    assert driver.get(0x4C, 4) == 1
    driver.put(0x4C, 4, 0)
    assert driver.get(0x4C, 4) == 0
    for number in range(total):
        one = driver.take_frame()
        assert one is not None
        assert one[1] == frame_to(MAC, 1000, number & 0xFF)
    assert driver.take_frame() is None


def test_a_driver_that_leaves_frames_unread_is_reminded() -> None:
    """8139too clears ROK behind each frame, stops after 64, and waited for ever for the next."""
    driver = Driver()
    driver.start()
    for _ in range(3):
        driver.card.receive(frame_to(MAC))
    driver.take_frame()
    driver.put(0x3E, 2, ROK)
    assert not driver.line.level
    deadline = driver.card.next_deadline()
    assert deadline == 1000 + 50_000
    driver.timeline.now_ns = deadline
    driver.card.handle_timer(deadline)
    assert driver.line.level
    while driver.take_frame() is not None:
        pass
    driver.put(0x3E, 2, ROK)
    assert driver.card.next_deadline() is None


def test_a_receiver_that_is_switched_off_and_on_starts_at_the_ring_again() -> None:
    driver = Driver()
    driver.start()
    driver.card.receive(frame_to(MAC))
    driver.put(0x37, 1, 0x04)
    driver.card.receive(frame_to(MAC))
    assert driver.card.counts["off"] == 1
    driver.put(0x37, 1, 0x0C)
    assert driver.get(0x37, 1) & 1
    assert driver.get(0x38, 2) == 0xFFF0
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is not None


def test_link_changes_are_told_as_8139too_wants_to_hear_it() -> None:
    driver = Driver()
    driver.start()
    driver.card.set_link(True)
    assert driver.get(0x3E, 2) == 0
    driver.card.set_link(False)
    assert driver.line.level
    assert driver.get(0x3E, 2) == LINK
    assert driver.get(0x74, 2) & 0x0C00 == 0x0800
    assert driver.get(0x74, 2) & 0x0800 == 0
    assert driver.get(0x64, 2) & 0x04 == 0
    assert driver.get(0x58, 1) & 0x04
    assert driver.send(frame_to(PEER)) & (TOK | 1 << 31) == TOK | 1 << 31
    assert driver.sent == []
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is None
    driver.card.set_link(True)
    assert driver.get(0x64, 2) & 0x04 == 0  # latched
    assert driver.get(0x64, 2) & 0x04
    driver.send(frame_to(PEER))
    assert len(driver.sent) == 1


def test_the_timer() -> None:
    driver = Driver()
    driver.start()
    driver.put(0x54, 4, 1000)
    driver.put(0x48, 4, 0)
    deadline = driver.card.next_deadline()
    assert deadline == 1000 + 1000 * 30
    driver.timeline.now_ns = deadline
    assert driver.get(0x48, 4) == 1000
    driver.card.handle_timer(deadline)
    assert driver.get(0x3E, 2) == TIME_OUT
    assert driver.card.next_deadline() == deadline + (30 << 32)
    driver.put(0x54, 4, 0)
    assert driver.card.next_deadline() is None


def test_parts_of_registers() -> None:
    driver = Driver()
    driver.put(0x30, 2, 0x5678)
    driver.put(0x32, 2, 0x1234)
    assert driver.get(0x30, 4) == 0x1234_5678
    assert [driver.get(0x30 + number, 1) for number in range(4)] == [0x78, 0x56, 0x34, 0x12]
    driver.put(0x3C, 4, 0xFFFF_0001)  # IMR, and nothing in ISR
    assert driver.get(0x3C, 2) == 1
    assert driver.card.read_register(0xFD, 4) == 0
    driver.start()
    driver.send(frame_to(PEER))
    driver.put(0x3F, 1, 0xFF)  # clears the upper half only
    assert driver.get(0x3E, 2) == TX_OK


def test_without_mastership_nothing_moves() -> None:
    driver = Driver()
    driver.start()
    driver.bus.config_write(11 << 3, 4, 2, 3)
    reads, writes = driver.memory.reads, driver.memory.writes
    driver.put(0x10, 4, 100)
    driver.card.receive(frame_to(MAC))
    assert (driver.memory.reads, driver.memory.writes) == (reads, writes)


# The CVE classes


def test_cve_2015_5165_no_octet_is_sent_that_is_not_the_guests() -> None:
    """Sizes beyond the frame sent what lay behind a buffer of the host; here all octets are the guest's memory."""
    driver = Driver()
    driver.start()
    driver.memory.octets[BUFFERS : BUFFERS + 2048] = bytes(range(256)) * 8
    driver.put(0x10, 4, 1792)
    assert driver.sent == [(bytes(range(256)) * 8)[:1792]]
    for number, size in ((1, 1793), (2, 8191), (3, 13), (0, 0)):
        driver.put(0x10 + 4 * number, 4, size)
        assert driver.get(0x10 + 4 * number, 4) & OWN
    assert len(driver.sent) == 1
    assert driver.get(0x3E, 2) & TER


@pytest.mark.parametrize("capr", [0, 1, 3, 0x7FFF, 0xFFEF, 0xFFFF])
def test_cve_2007_1320_pointers_of_any_value_stay_within_the_ring(capr: int) -> None:
    driver = Driver()
    for size in range(4):
        driver.start(rcr=APM | size << 11)
        driver.put(0x38, 2, capr)
        for _ in range(100):
            driver.card.receive(frame_to(MAC, 1500))
        driver.put(0x44, 4, APM)  # a smaller ring under way
        for _ in range(100):
            driver.card.receive(frame_to(MAC, 1500))
        used = driver.memory.octets
        assert not any(used[:RING])
        assert not any(used[RING + 65536 + 4096 :])


@pytest.mark.parametrize("what", ["ring", "buffer"])
def test_cve_2021_20255_dma_to_registers_stops_the_card(what: str) -> None:
    """A ring on the card's own registers (DMA into MMIO) is a system error, never a second access."""
    driver = Driver()
    driver.start()
    if what == "ring":
        driver.put(0x30, 4, MMIO)
        driver.card.receive(frame_to(MAC))
    else:
        driver.put(0x20, 4, MMIO)
        driver.put(0x10, 4, 100)
    assert driver.get(0x3E, 2) & SERR
    assert driver.get(0x37, 1) & 0x0C == 0
    assert driver.card.config_read(6, 2) & 0x2000
    driver.start()
    driver.send(frame_to(PEER))
    assert len(driver.sent) == 1


def test_cve_2021_3416_loopback_does_not_feed_itself() -> None:
    driver = Driver()
    driver.start(tcr=3 << 17)
    driver.send(frame_to(MAC))
    assert driver.sent == []
    assert driver.take_frame() == (0x4001, frame_to(MAC))
    assert driver.take_frame() is None
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is None


def test_frames_too_long_for_the_chip() -> None:
    driver = Driver()
    driver.start()
    driver.card.receive(frame_to(MAC, LONGEST_RECEIVED))
    driver.card.receive(frame_to(MAC, LONGEST_RECEIVED + 1))
    driver.card.receive(b"short")
    assert driver.card.counts["oversize"] == 2
    one = driver.take_frame()
    assert one is not None
    assert len(one[1]) == LONGEST_RECEIVED


# State, fuzz


def test_state_continues_in_the_middle() -> None:
    driver = Driver()
    driver.start(rcr=APM)
    driver.put(0x54, 4, 5000)
    for number in range(20):
        driver.card.receive(frame_to(MAC, 1400, number))
    memory = bytes(driver.memory.octets)
    twin = moved(driver.card, driver.fresh)
    assert isinstance(twin, Rtl8139)
    results = []
    for card in (driver.card, twin):
        driver.memory.octets[:] = memory
        for at in (1424, 2848, 4272):
            card.write_register(0x38, 2, at - 16)
        results.append((card.state(), bytes(driver.memory.octets)))
    assert results[0] == results[1]
    driver.card.reset()
    assert not driver.line.level


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("registers", {}),
        ("arrays", [b"", b"", b""]),
        ("transmitters", [0] * 7),
        ("transmitters", [1 << 32] * 8),
        ("timers", [0]),
        ("queue", [b"x"]),
        ("queue", [bytes(60)] * 1000),
        ("phy", {}),
        ("eeprom", {}),
        ("counts", {}),
    ],
)
def test_a_state_that_no_card_had_is_refused(name: str, value: object) -> None:
    card = Driver().card
    with pytest.raises(SnapshotError):
        card.from_state({**card.state(), name: value})


class Registers:
    """The registers as a device, for `exercise`."""

    def __init__(self, card: Rtl8139) -> None:
        self.read, self.write = card.read_register, card.write_register
        self.next_deadline, self.handle_timer = card.next_deadline, card.handle_timer
        self.state, self.from_state = card.state, card.from_state


@pytest.mark.fuzz
@given(accesses(256), st.lists(st.tuples(st.integers(0, 4200), st.booleans()), max_size=40), st.integers(0, 0xFFFFFFFF))
def test_fuzz(operations: list[tuple[str, int, int, int]], frames: list[tuple[int, bool]], rcr: int) -> None:
    """Whatever is written, and whatever comes: no exception, a bounded time, a state that can be saved."""
    driver = Driver()
    driver.start(rcr=rcr)
    began = time.monotonic()
    for at in range(0, len(operations), 8):
        exercise(Registers(driver.card), driver.timeline, 256, operations[at : at + 8], seconds=2)
        for length, own in frames[at : at + 8]:
            driver.card.receive((MAC if own else b"\xff" * 6) + bytes(length))
    assert time.monotonic() - began < 4
    assert len(driver.card.queue) <= QUEUE_FRAMES
    moved(driver.card, driver.fresh)
