"""The NE2000 as drivers drive it: probe, ring, filter, data port in every width, the CVE classes, fuzz, state."""

import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.net.dp8390_registers import LONGEST_FRAME, QUEUE_FRAMES
from emulators.devices.net.ne2000 import Ne2000, Ne2000Pci
from emulators.devices.net.polling import PATIENCE
from emulators.devices.pci.bus import PciBus
from emulators.snapshot import SnapshotError
from tests.emulators.devices.registers import Line, accesses, exercise, moved

MAC = bytes.fromhex("020000000042")
PEER = bytes.fromhex("020000000001")
START, RX_START, STOP = 0x40, 0x4C, 0x80
PRX, PTX, OVW, CNT, RDC, RST = 0x01, 0x02, 0x10, 0x20, 0x40, 0x80


class Driver:
    """A card, and the calls of a driver."""

    def __init__(self, *, realtek: bool = False, warp: Callable[[int], None] = lambda ns: None) -> None:
        self.sent: list[bytes] = []
        self.line = Line()
        self.timeline = Timeline()
        self.card = Ne2000(
            mac=MAC, irq=self.line, out=self.sent.append, timeline=self.timeline, realtek=realtek, warp=warp
        )
        self.tally = self.card.counts

    def put(self, register: int, value: int) -> None:
        self.card.write(register, 1, value)

    def get(self, register: int) -> int:
        return self.card.read(register, 1)

    def start(self, *, rcr: int = 0x04, tcr: int = 0, imr: int = 0x3F, dcr: int = 0x49, ring: bool = True) -> None:
        for register, value in ((0, 0x21), (14, dcr), (10, 0), (11, 0), (12, 0x20), (13, 2), (4, START)):
            self.put(register, value)
        if ring:
            for register, value in ((1, RX_START), (2, STOP), (3, STOP - 1)):
                self.put(register, value)
        self.put(7, 0xFF)
        self.put(0, 0x61)
        for number, octet in enumerate(MAC):
            self.put(1 + number, octet)
        if ring:
            self.put(7, RX_START)
        for register, value in ((0, 0x22), (7, 0xFF), (15, imr), (13, tcr), (12, rcr)):
            self.put(register, value)

    def remote(self, address: int, octets: int, command: int) -> None:
        for register, value in ((10, octets & 0xFF), (11, octets >> 8), (8, address & 0xFF), (9, address >> 8)):
            self.put(register, value)
        self.put(0, command)

    def read_memory(self, address: int, octets: int, width: int = 2) -> bytes:
        self.remote(address, octets, 0x0A)
        parts = (self.card.read(0x10, width).to_bytes(width, "little") for _ in range(octets // width))
        data = b"".join(parts)
        assert self.get(7) & RDC
        self.put(7, RDC)
        return data

    def write_memory(self, address: int, data: bytes) -> None:
        self.remote(address, len(data), 0x12)
        self.card.write_string(0x10, 2, data)
        assert self.get(7) & RDC
        self.put(7, RDC)

    def send(self, frame: bytes) -> None:
        self.write_memory(START << 8, frame + b"\0" * (len(frame) & 1))
        for register, value in ((4, START), (5, len(frame) & 0xFF), (6, len(frame) >> 8), (0, 0x26)):
            self.put(register, value)

    def curr(self) -> int:
        self.put(0, 0x62)
        page = self.get(7)
        self.put(0, 0x22)
        return page

    def take_frame(self) -> tuple[int, bytes] | None:
        """RSR and the next received frame, FCS checked and removed; BNRY moves as Linux moves it."""
        page = self.get(3) + 1
        page = RX_START if page >= STOP or page < RX_START else page
        if page == self.curr():
            return None
        header = self.read_memory(page << 8, 4)
        length = int.from_bytes(header[2:4], "little")
        octets = self.read_memory((page << 8) + 4, length + (length & 1))[:length]
        assert zlib.crc32(octets[:-4]).to_bytes(4, "little") == octets[-4:]
        self.put(3, header[1] - 1)
        return header[0], octets[:-4]


def frame_to(to: bytes, length: int = 100, fill: int = 0x5A) -> bytes:
    return to + PEER + b"\x08\x00" + bytes([fill]) * (length - 14)


def test_probe_as_linux_does_it() -> None:
    driver = Driver()
    assert driver.get(0) != 0xFF
    driver.put(0, 0x61)
    driver.put(13, 0xFF)
    driver.put(0, 0x20)
    driver.get(13)
    assert driver.get(13) == 0
    driver.put(0x1F, driver.get(0x1F))
    assert driver.get(7) & RST
    driver.put(7, 0xFF)
    for register, value in ((0, 0x21), (14, 0x48), (10, 32), (11, 0), (8, 0), (9, 0), (0, 0x0A)):
        driver.put(register, value)
    prom = bytes(driver.get(0x10) for _ in range(32))  # an eight-bit card would not double
    assert prom[::2] == prom[1::2] == MAC + bytes(8) + b"WW"


def test_the_prom_in_word_mode_as_ne2k_pci_reads_it() -> None:
    driver = Driver()
    for register, value in ((0, 0x21), (14, 0x49), (10, 32), (11, 0), (8, 0), (9, 0), (0, 0x0A)):
        driver.put(register, value)
    assert bytes(driver.get(0x10) for _ in range(16)) == MAC + bytes(8) + b"WW"


def test_an_interrupt_can_be_provoked_to_find_its_line() -> None:
    driver = Driver()
    for register, value in ((15, 0x50), (10, 0), (11, 0)):
        driver.put(register, value)
    assert not driver.line.level
    driver.put(0, 0x0A)
    assert driver.line.level
    driver.put(7, 0xFF)
    assert not driver.line.level


@pytest.mark.parametrize("width", [1, 2, 4])
def test_the_data_port_in_every_width(width: int) -> None:
    driver = Driver()
    driver.start(dcr=0x48 if width == 1 else 0x49)
    data = bytes(range(256)) * 2
    driver.remote(0x5000, len(data), 0x12)
    for at in range(0, len(data), width):
        driver.card.write(0x10, width, int.from_bytes(data[at : at + width], "little"))
    assert driver.get(7) & RDC
    driver.put(7, RDC)
    assert driver.read_memory(0x5000, len(data), width) == data


def test_strings_are_the_same_as_single_accesses() -> None:
    one, other = Driver(), Driver()
    data = bytes(range(250)) * 8
    for driver in (one, other):
        driver.start()
        driver.remote(0x7C00, len(data), 0x12)  # over PSTOP, where it goes on at PSTART
    for at in range(0, len(data), 2):
        one.card.write(0x10, 2, int.from_bytes(data[at : at + 2], "little"))
    other.card.write_string(0x10, 2, data)
    assert one.card.state() == other.card.state()
    for driver in (one, other):
        driver.remote(0x7C00, len(data), 0x0A)
    singles = b"".join(one.card.read(0x10, 4).to_bytes(4, "little") for _ in range(len(data) // 4))
    assert singles == other.card.read_string(0x10, 4, len(data) // 4) == data
    assert one.card.state() == other.card.state()
    assert other.card.read_string(0x10, 2, 3) == b"\xff" * 6  # nothing is left
    assert one.card.read_string(7, 1, 2) == bytes((one.get(7),)) * 2
    one.card.write_string(15, 1, b"\x01\x02")
    assert one.card.chip.imr == 2


def test_sending() -> None:
    driver = Driver()
    driver.start()
    for length in (14, 60, 61, 1514, 1518):
        driver.send(frame_to(PEER, length))
        assert driver.sent[-1] == frame_to(PEER, length)
        assert driver.get(7) & PTX
        assert driver.get(4) & 1
        assert driver.line.level
        driver.put(7, PTX)
        assert not driver.line.level
    assert not driver.get(0) & 0x04  # TXP is done


def test_receiving_round_the_ring() -> None:
    driver = Driver()
    driver.start()
    frames = [frame_to(MAC, 60 + 97 * number % 1450) for number in range(200)]
    for frame in frames:
        driver.card.receive(frame)
        assert driver.line.level
        assert driver.take_frame() == (0x01, frame)
        driver.put(7, 0xFF)
    assert driver.tally["received"] == 200
    assert driver.take_frame() is None


def test_short_frames_are_padded_on_reception() -> None:
    driver = Driver()
    driver.start()
    driver.card.receive(frame_to(MAC, 42))
    assert driver.take_frame() == (0x01, frame_to(MAC, 42).ljust(60, b"\0"))


def test_the_filter() -> None:
    driver = Driver()
    group, hashed = bytes.fromhex("01005e000001"), 0
    register = 0xFFFFFFFF  # the CRC register of IEEE 802.3 3.2.9, bit by bit
    for octet in group:
        for bit in range(8):
            carry = (register >> 31 ^ octet >> bit) & 1
            register = (register << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if carry else 0)
    hashed = register >> 26
    driver.start(rcr=0x0C)
    driver.put(0, 0x62)
    driver.put(8 + (hashed >> 3), 1 << (hashed & 7))
    driver.put(0, 0x22)
    for to in (MAC, b"\xff" * 6, group, PEER, bytes.fromhex("01005e000002")):
        driver.card.receive(frame_to(to))
    got = []
    while (one := driver.take_frame()) is not None:
        got.append((one[0], one[1][:6]))
    assert got == [(0x01, MAC), (0x21, b"\xff" * 6), (0x21, group)]
    assert driver.tally["filtered"] == 2
    driver.put(12, 0x10)  # promiscuous, but neither broadcast nor multicast
    driver.card.receive(frame_to(PEER))
    driver.card.receive(frame_to(b"\xff" * 6))
    assert driver.take_frame() == (0x01, frame_to(PEER))
    assert driver.take_frame() is None
    driver.put(12, 0x20)  # monitor: counted only
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is None
    assert driver.get(15) == 1
    assert driver.get(15) == 0


def test_a_full_ring_makes_frames_wait_then_overruns() -> None:
    driver = Driver()
    driver.start()
    total = 0
    while driver.card.ready_frames():
        driver.card.receive(frame_to(MAC, 1000, total & 0xFF))
        total += 1
    assert total == QUEUE_FRAMES + 12
    assert not driver.get(7) & OVW
    for _ in range(200):
        driver.card.receive(frame_to(MAC))
    assert driver.get(7) & OVW
    assert driver.get(7) & CNT
    assert driver.get(15) == 192  # it stops there
    got = []
    while (one := driver.take_frame()) is not None:
        got.append(one[1][-1])
    assert got == [number & 0xFF for number in range(total)]


def test_boundary_one_before_the_ring_is_its_last_page_as_linux_means_it() -> None:
    """A driver that has read up to PSTOP writes PSTART - 1; frames then overwrote what it had not read."""
    driver = Driver()
    driver.start()
    driver.put(3, RX_START - 1)
    for number in range(60):
        driver.card.receive(frame_to(MAC, 1500, number))
    for number in range(60):
        one = driver.take_frame()
        assert one is not None
        assert one[1] == frame_to(MAC, 1500, number)


def test_a_driver_that_leaves_frames_unread_is_reminded() -> None:
    """Linux takes nine at a time, clears PRX, and waited for ever for the tenth."""
    driver = Driver()
    driver.start()
    for _ in range(12):
        driver.card.receive(frame_to(MAC))
    for _ in range(9):
        driver.take_frame()
    driver.put(7, 0xFF)
    assert not driver.line.level
    deadline = driver.card.next_deadline()
    assert deadline is not None
    driver.timeline.now_ns = deadline
    driver.card.handle_timer(deadline)
    assert driver.line.level
    while driver.take_frame() is not None:
        pass
    driver.put(7, 0xFF)
    assert driver.card.next_deadline() is None


def test_loopback_stays_within_and_is_seen_in_the_fifo() -> None:
    """CVE-2021-3416: what is looped neither leaves nor comes again."""
    driver = Driver()
    driver.start(tcr=0x02)
    frame = frame_to(MAC, 64)
    driver.send(frame)
    assert driver.sent == []
    assert driver.take_frame() is None
    assert bytes(driver.get(6) for _ in range(8)) == b"\x44\0\0\x5a" + zlib.crc32(frame).to_bytes(4, "little")
    driver.card.receive(frame)
    assert driver.tally["off"] == 1


def test_an_fcs_of_the_driver_is_not_sent_twice() -> None:
    driver = Driver()
    driver.start(tcr=0x01)
    driver.send(frame_to(PEER, 80) + b"FCS!")
    assert driver.sent == [frame_to(PEER, 80)]


def test_without_the_link_the_carrier_is_lost() -> None:
    driver = Driver()
    driver.start()
    driver.card.set_link(False)
    driver.send(frame_to(PEER))
    assert driver.sent == []
    assert driver.get(4) & 0x11 == 0x10
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is None
    driver.card.set_link(True)
    driver.send(frame_to(PEER))
    assert len(driver.sent) == 1


def test_send_packet_reads_the_frame_at_bnry_and_frees_it() -> None:
    driver = Driver()
    driver.start()
    driver.put(3, RX_START)
    driver.card.receive(frame_to(MAC, 200))
    driver.put(7, 0xFF)
    driver.put(0, 0x1A)
    octets = driver.card.read_string(0x10, 2, 102)
    assert octets[4:] == frame_to(MAC, 200)
    assert driver.get(7) & RDC
    assert driver.get(3) == driver.curr() == RX_START + 1


def test_registers_of_page_2_and_of_the_rtl8029() -> None:
    driver = Driver(realtek=True)
    driver.start()
    assert (driver.get(10), driver.get(11)) == (0x50, 0x43)
    driver.put(0, 0xA2)
    assert [driver.get(number) for number in (1, 2, 4, 12, 14)] == [RX_START, STOP, START, 0xC4, 0xC9]
    driver.put(0, 0xE2)
    assert (driver.get(14), driver.get(15)) == (0x29, 0x80)
    driver.put(6, 0x40)
    assert driver.get(6) == 0
    driver.put(1, 0xC0)
    driver.put(6, 0x40)  # full duplex, as ethtool asks for it
    assert driver.get(6) == 0x40
    assert Driver().get(10) == 0xFF


def test_stopped_and_after_a_reset_nothing_is_heard() -> None:
    driver = Driver()
    driver.card.receive(frame_to(MAC))
    assert driver.tally["off"] == 1
    driver.start()
    driver.card.receive(frame_to(MAC))
    driver.get(0x18)
    assert driver.get(0) == 0x21
    assert not driver.line.level
    driver.card.receive(frame_to(MAC))
    assert driver.tally["off"] == 2
    driver.card.receive(b"x")
    driver.start()
    driver.card.receive(bytes(LONGEST_FRAME + 1))
    assert driver.tally["oversize"] == 1


# The CVE classes


@pytest.mark.parametrize("curr", [0xFE, 0xFF, 0xBF, 0x00, 0x3F])
def test_cve_2007_1321_and_2015_5279_received_frames_stay_in_packet_memory(curr: int) -> None:
    driver = Driver()
    driver.start(ring=False)
    for register, value in ((1, 0xFF), (2, 0xFF), (3, 0x10)):
        driver.put(register, value)
    driver.put(0, 0x62)
    driver.put(7, curr)
    driver.put(0, 0x22)
    driver.card.receive(frame_to(MAC, 1500))
    space = driver.card.chip.memory.space
    assert len(space) == 0x10000
    assert space[:32] == Driver().card.chip.memory.space[:32]
    assert space[32:0x4000] == b"\xff" * (0x4000 - 32)
    assert space[0xC000:] == b"\xff" * 0x4000


def test_cve_2015_8743_the_data_port_reaches_packet_memory_only() -> None:
    driver = Driver()
    driver.start()
    for address in (0x0000, 0x2000, 0x3FFE, 0xBFFE, 0xC000, 0xFFFE):
        before = bytes(driver.card.chip.memory.space)
        driver.write_memory(address, b"\x11\x22\x33\x44")
        after = bytes(driver.card.chip.memory.space)
        assert after[:0x4000] == before[:0x4000]
        assert after[0xC000:] == before[0xC000:]
    driver.remote(0xFFFE, 0x100, 0x0A)
    assert len(driver.card.read_string(0x10, 4, 0x40)) == 0x100
    assert driver.card.read(0x1E, 4) >> 16 == 0xFFFF  # over the end of the ports
    driver.card.write(0x1E, 4, 0)


@pytest.mark.parametrize(("first", "stop", "boundary"), [(0x80, 0x40, 0), (0x40, 0x40, 0x40), (0, 0, 0), (0xFF, 0, 9)])
def test_cve_2015_5278_a_ring_without_an_end_takes_no_time(first: int, stop: int, boundary: int) -> None:
    driver = Driver()
    driver.start(ring=False)
    for register, value in ((1, first), (2, stop), (3, boundary)):
        driver.put(register, value)
    began = time.monotonic()
    for _ in range(100):
        driver.card.receive(frame_to(MAC, 1500))
    driver.remote(0x4000, 0xFFFF, 0x0A)
    assert len(driver.card.read_string(0x10, 4, 0x10000)) == 0x40000
    driver.remote(0x4000, 0xFFFF, 0x12)
    driver.card.write_string(0x10, 4, bytes(0x40000))
    assert time.monotonic() - began < 1


def test_a_transmit_count_of_64_kib_is_not_sent() -> None:
    driver = Driver()
    driver.start()
    for register, value in ((4, 0xFF), (5, 0xFF), (6, 0xFF), (0, 0x26)):
        driver.put(register, value)
    assert driver.sent == []
    assert driver.card.mistakes
    assert driver.get(7) & PTX


# PCI, state, fuzz


def test_on_pci() -> None:
    sent: list[bytes] = []
    line = Line()
    timeline = Timeline()
    card = Ne2000Pci("ne", mac=MAC, out=sent.append, timeline=timeline)
    bus = PciBus([line] * 4)
    bus.add(card, 5)
    bus.assign(io=(0x1000, 0x1FFF), memory=(0x1000_0000, 0x1000_FFFF), line=lambda device, pin: 10)
    assert bus.config_read(5 << 3, 0, 4) == 0x8029_10EC
    for register, value in ((0, 0x22), (15, 0x40), (10, 0), (11, 0), (0, 0x0A)):
        bus.io.write(0x1000 + register, 1, value)
    assert line.level
    assert bus.io.read_string(0x1010, 4, 2) == b"\xff" * 8

    def fresh() -> Ne2000Pci:
        return Ne2000Pci("ne", mac=MAC, out=sent.append, timeline=timeline)

    moved(card, fresh)
    card.reset()
    assert not line.level
    assert card.card.read(0, 1) == 0x21


def started(link: bool = True) -> tuple[Driver, Callable[[], Ne2000]]:
    driver = Driver(realtek=True)
    driver.start()
    driver.card.set_link(link)

    def fresh() -> Ne2000:
        return Ne2000(mac=MAC, irq=Line(), out=driver.sent.append, timeline=driver.timeline, realtek=True)

    return driver, fresh


def test_time_passes_for_a_driver_that_polls_and_moves_nothing() -> None:
    """As iPXE does, which clears nothing: ISR, RSR, and with a frame behind it BNRY and CURR."""
    passed: list[int] = []
    driver = Driver(warp=passed.append)
    driver.start()
    driver.put(7, 0xFF)
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is not None
    for _ in range(2 * PATIENCE):
        driver.get(7)
        driver.get(12)
        driver.get(3)
        driver.curr()
    assert len(passed) == PATIENCE + 1
    passed.clear()
    driver.card.receive(frame_to(MAC))
    for number in range(2 * PATIENCE):
        driver.remote(START << 8 | number, 2, 0x0A)
        driver.card.read(0x10, 2)
        driver.get(7)
    assert not passed


def test_state_continues_in_the_middle() -> None:
    driver, fresh = started()
    for number in range(20):
        driver.card.receive(frame_to(MAC, 1400, number))
    driver.remote(0x4C00, 500, 0x0A)
    driver.card.read_string(0x10, 2, 50)
    twin = moved(driver.card, fresh)
    assert isinstance(twin, Ne2000)
    assert twin.read_string(0x10, 2, 200) == driver.card.read_string(0x10, 2, 200)
    for card in (driver.card, twin):
        card.write(3, 1, 0x60)
    assert twin.state() == driver.card.state()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("registers", {}),
        ("arrays", [b""] * 5),
        ("arrays", [bytes(6), bytes(8), b"\xff\0\0", bytes(16), b""]),
        ("arrays", [bytes(6), bytes(8), bytes(3), bytes(16), bytes(9)]),
        ("memory", bytes(100)),
        ("queue", [b"x"]),
        ("queue", [bytes(60)] * 100),
        ("counts", {}),
        ("remind_at", None),
    ],
)
def test_a_state_that_no_card_had_is_refused(name: str, value: object) -> None:
    card = Driver().card
    with pytest.raises(SnapshotError):
        card.from_state({**card.state(), name: value})


@pytest.mark.fuzz
@given(accesses(32), st.lists(st.tuples(st.integers(0, 1600), st.booleans()), max_size=40), st.booleans())
def test_fuzz(operations: list[tuple[str, int, int, int]], frames: list[tuple[int, bool]], link: bool) -> None:
    """Whatever is written to the ports, and whatever comes: no exception, a bounded time, a state that can be saved."""
    driver, fresh = started(link)
    for at in range(0, len(operations), 8):
        exercise(driver.card, driver.timeline, 32, operations[at : at + 8], seconds=2)
        for length, own in frames[at : at + 8]:
            driver.card.receive((MAC if own else b"\xff" * 6) + bytes(length))
    assert len(driver.card.chip.queue) <= QUEUE_FRAMES
    assert len(driver.card.chip.memory.space) == 0x10000
    moved(driver.card, fresh)
