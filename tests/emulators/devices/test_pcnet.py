"""The Am79C970A, driven as a driver drives it: probe, rings in three styles, filter, loopback, link, interrupts."""

import zlib

import pytest

from emulators.devices.net.pcnet_registers import QUEUE_FRAMES
from tests.emulators.devices.pcnet_driver import (
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
    Driver,
    frame_to,
)


def test_probe_in_wio_mode_as_linux_does_it() -> None:
    driver = Driver()
    assert driver.bus.config_read(11 << 3, 0, 4) == 0x2000_1022
    driver.bus.io.read(0x1014, 2)
    assert driver.csr(0) == 4
    driver.bus.io.write(0x1012, 2, 88)
    assert driver.bus.io.read(0x1012, 2) == 88
    assert driver.csr(88) | driver.csr(89) << 16 == 0x0262_1003
    assert bytes(driver.bus.io.read(0x1000 + i, 1) for i in range(6)) == MAC
    assert b"".join(driver.csr(12 + i).to_bytes(2, "little") for i in range(3)) == MAC
    assert driver.bus.io.read(0x100E, 2) == 0x5757
    assert driver.bus.io.read(0x1000, 4) == int.from_bytes(MAC[:4], "little")
    assert driver.bcr(2) == 2
    assert driver.bcr(4) != 0xC0  # link is up


def test_the_aprom_has_its_checksum() -> None:
    driver = Driver()
    prom = bytes(driver.bus.memory.read(0x1000_0000 + i, 1) for i in range(16))
    assert int.from_bytes(prom[12:14], "little") == sum(prom[:12]) + sum(prom[14:])


def test_dwio_is_entered_by_a_wide_write_and_left_by_a_reset_of_the_bus() -> None:
    driver = Driver(dwio=True)
    assert driver.csr(0) == 4
    assert driver.csr(88) | driver.csr(89) << 16 == 0x0262_1003
    assert driver.bcr(18) & 0x80
    driver.bus.io.read(0x1018, 4)  # S_RESET leaves the mode
    assert driver.csr(0) == 4
    driver.card.reset()
    driver.card.write_register(0x12, 2, 18)
    assert driver.card.read_register(0x16, 2) & 0x80 == 0


def test_accesses_of_the_wrong_size_or_place_are_counted() -> None:
    driver = Driver()
    before = driver.card.mistakes
    assert driver.bus.io.read(0x1010, 1) == 0xFF
    assert driver.bus.io.read(0x1011, 2) == 0xFFFF
    assert driver.bus.io.read(0x101C, 2) == 0xFFFF
    driver.bus.io.write(0x1016, 1, 0)
    driver.bus.io.write(0x101A, 2, 0)
    assert driver.card.mistakes == before + 5


@pytest.mark.parametrize("style", [0, 2, 3])
@pytest.mark.parametrize("dwio", [False, True])
def test_send_and_receive_in_every_style(style: int, dwio: bool) -> None:
    driver = Driver(style=style, dwio=dwio)
    driver.start()
    assert driver.csr(0) & 0x33 == 0x33
    frames = [frame_to(PEER, 60 + i) for i in range(10)]
    for frame in frames:
        at = driver.queue_frame(frame)
        driver.demand()
        status, report = driver.get_descriptor(at)
        assert not status & (OWN | ERR)
        assert report == 0
        assert driver.csr(0) & 0x0280 == 0x0280
        assert driver.level()
        driver.csr(0, 0x0240)
        assert not driver.level()
    assert driver.sent == frames
    for i in range(20):
        driver.card.receive(frame_to(MAC, 60 + i))
        assert driver.level()
        assert driver.csr(0) & 0x0480 == 0x0480
        assert driver.take_frame() == frame_to(MAC, 60 + i)
        driver.csr(0, 0x0440)
        assert not driver.level()
    assert driver.card.counts["received"] == 20


def test_several_frames_go_with_one_demand() -> None:
    driver = Driver()
    driver.start()
    frames = [frame_to(PEER, 100 + i) for i in range(3)]
    for frame in frames:
        driver.queue_frame(frame)
    reads = driver.memory.reads
    driver.demand()
    assert driver.sent == frames
    assert driver.memory.reads - reads == 1 + 3  # the ring at once, and each frame


def test_a_frame_in_parts_and_one_that_wraps_around_the_ring() -> None:
    driver = Driver()
    driver.start()
    for _ in range(3):
        frame = frame_to(PEER, 300)
        driver.queue_frame(frame[:100], frame[100:101], frame[101:])
        driver.demand()
        assert driver.sent.pop() == frame


def test_short_frames_are_padded_only_if_asked() -> None:
    driver = Driver()
    driver.start()
    driver.queue_frame(frame_to(PEER, 20))
    driver.demand()
    assert driver.sent == [frame_to(PEER, 20).ljust(60, b"\0")]
    driver.csr(4, 0x0115)
    driver.queue_frame(frame_to(PEER, 20))
    driver.demand()
    assert driver.sent[1] == frame_to(PEER, 20)


def test_an_fcs_of_the_driver_is_not_sent_twice() -> None:
    driver = Driver()
    driver.start(mode=0x0008)
    driver.queue_frame(frame_to(PEER, 80) + b"FCS!")
    driver.queue_frame(frame_to(PEER, 80), extra=0x2000)
    driver.demand()
    assert driver.sent == [frame_to(PEER, 80)] * 2


def test_a_driver_that_never_demands_is_polled_until_it_does() -> None:
    driver = Driver()
    driver.start()
    deadline = driver.card.next_deadline()
    assert deadline == 1000 + 65536 * 30
    driver.queue_frame(frame_to(PEER))
    driver.timeline.now_ns = deadline
    driver.card.handle_timer(deadline)
    assert len(driver.sent) == 1
    assert driver.card.next_deadline() == deadline + 65536 * 30
    driver.queue_frame(frame_to(PEER))
    driver.demand()
    assert len(driver.sent) == 2
    assert driver.card.next_deadline() is None
    driver.csr(0, 4)
    driver.start()
    driver.csr(4, 0x1915)
    driver.csr(0, 0x40)
    assert driver.card.next_deadline() is None  # DPOLL


def test_the_filter() -> None:
    multicast = bytes.fromhex("01005e000001")
    bit = (zlib.crc32(multicast) ^ 0xFFFFFFFF) >> 26
    driver = Driver()
    driver.start(ladrf=1 << bit)
    for to in (MAC, b"\xff" * 6, multicast, PEER, bytes.fromhex("01005e000002")):
        driver.card.receive(frame_to(to))
    for expected in (0x40, 0x10, 0x20):  # PAM, BAM, LAFM
        assert driver.get_descriptor(RX + driver.rx_next * 16)[0] == STP | ENP | expected
        driver.take_frame()
    assert driver.take_frame() is None
    assert driver.card.counts["filtered"] == 2
    driver.csr(5, 1)  # suspend, as Linux changes the filter
    assert driver.csr(5) & 1
    driver.csr(15, 0x8000)
    driver.csr(5, 0)
    driver.card.receive(frame_to(PEER))
    assert driver.get_descriptor(RX + driver.rx_next * 16)[0] == STP | ENP
    driver.csr(5, 1)
    driver.csr(15, 0x6000)  # neither broadcast nor our own
    driver.csr(5, 0)
    before = driver.card.counts["received"]
    driver.card.receive(frame_to(b"\xff" * 6))
    driver.card.receive(frame_to(MAC))
    assert driver.card.counts["received"] == before


def test_suspension_keeps_frames() -> None:
    driver = Driver()
    driver.start()
    driver.csr(5, 1)
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is None
    driver.csr(5, 0)
    assert driver.take_frame() == frame_to(MAC)


def test_a_full_ring_makes_frames_wait_then_miss() -> None:
    driver = Driver()
    driver.start()
    total = RX_LENGTH + QUEUE_FRAMES
    for i in range(total + 5):
        driver.card.receive(frame_to(MAC, 64 + i))
    assert driver.csr(0) & 0x1000
    assert driver.csr(112) == 5
    assert driver.card.counts["missed"] == 5
    assert driver.card.ready_frames() == 0
    got = []
    for _ in range(total):
        while (frame := driver.take_frame()) is not None:
            got.append(len(frame))
        driver.csr(0, 0x40)
    assert got == [64 + i for i in range(total)]
    assert driver.card.ready_frames() == QUEUE_FRAMES


def test_waiting_frames_are_delivered_by_polling() -> None:
    driver = Driver()
    driver.start()
    driver.demand()
    for _ in range(RX_LENGTH + 1):
        driver.card.receive(frame_to(MAC))
    deadline = driver.card.next_deadline()
    assert deadline is not None
    for _ in range(RX_LENGTH):
        driver.take_frame()
    driver.timeline.now_ns = deadline
    driver.card.handle_timer(deadline)
    assert driver.take_frame() == frame_to(MAC)
    assert driver.card.next_deadline() is None


def test_a_frame_over_several_buffers() -> None:
    driver = Driver()
    driver.start(buffer=256)
    frame = frame_to(MAC, 700)
    driver.card.receive(frame)
    statuses = [driver.get_descriptor(RX + i * 16) for i in range(4)]
    assert statuses == [(STP, 0), (0, 0), (ENP | 0x40, 704), (OWN, 0)]
    octets = b"".join(driver.memory.read(BUFFERS + i * 2048, 256) for i in range(3))
    assert octets[:700] == frame


def test_a_frame_longer_than_all_buffers_is_an_error() -> None:
    driver = Driver()
    driver.start(buffer=100)
    driver.card.receive(frame_to(MAC, 1514))
    statuses = [driver.get_descriptor(RX + i * 16)[0] for i in range(RX_LENGTH)]
    assert statuses == [STP] + [0] * 6 + [ERR | 0x1400]


def test_short_frames_are_padded_on_reception_and_stripped_if_asked() -> None:
    driver = Driver()
    driver.start()
    driver.card.receive(frame_to(MAC, 42))
    assert driver.take_frame() == frame_to(MAC, 42).ljust(60, b"\0")
    driver.csr(4, 0x0515)
    driver.card.receive(MAC + PEER + b"\x00\x05hello".ljust(50, b"\0"))
    assert driver.get_descriptor(RX + 16)[1] == 19


def test_loopback_as_ethtool_tests_it() -> None:
    driver = Driver()
    driver.start(csr0=0)
    driver.csr(0, 4)
    frames = [MAC + MAC + b"\x08\x06" + bytes([i]) + bytes(range(60)) for i in range(4)]
    for frame in frames:
        driver.queue_frame(frame)
    driver.csr(15, 0x0044)
    driver.csr(0, 2)
    driver.csr(0, 4)
    assert [driver.take_frame() for _ in frames] == frames
    assert driver.sent == []


def test_in_loopback_the_cable_is_not_heard() -> None:
    driver = Driver()
    driver.start(mode=0x0004)
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is None
    assert driver.card.counts["off"] == 1


def test_link_down_is_a_lost_carrier_and_hears_nothing() -> None:
    driver = Driver()
    driver.start()
    driver.card.set_link(False)
    assert driver.bcr(4) == 0xC0
    at = driver.queue_frame(frame_to(PEER))
    driver.demand()
    status, report = driver.get_descriptor(at)
    assert status & (OWN | ERR) == ERR
    assert report == 0x0800_0000
    assert driver.sent == []
    assert driver.csr(0) & 0xA000 == 0xA000
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is None
    driver.card.set_link(True)
    driver.csr(0, 0x2040)
    driver.queue_frame(frame_to(PEER))
    driver.demand()
    assert len(driver.sent) == 1


def test_interrupt_masks_and_the_user_interrupt() -> None:
    driver = Driver()
    driver.start()
    driver.csr(3, 0x5F00)
    driver.card.receive(frame_to(MAC))
    assert driver.csr(0) & 0x0480 == 0x0400
    assert not driver.level()
    driver.csr(3, 0)
    assert driver.level()
    driver.csr(0, 0x0440)
    assert not driver.level()
    driver.csr(4, 0x0995)
    assert driver.csr(4) & 0xC0 == 0x40
    assert driver.level()
    driver.csr(4, 0x0955)
    assert not driver.level()


def test_transmit_interrupts_can_be_asked_for_one_frame() -> None:
    driver = Driver()
    driver.start()
    driver.csr(5, 0xC000)  # TOKINTD, LTINTEN
    driver.queue_frame(frame_to(PEER))
    driver.demand()
    assert not driver.csr(0) & 0x0200
    driver.queue_frame(frame_to(PEER), extra=0x1000)
    driver.demand()
    assert driver.csr(0) & 0x0200


def test_software_may_set_rings_up_without_a_block() -> None:
    driver = Driver()
    driver.bcr(20, 2)
    for number, value in ((24, RX), (25, 0), (30, TX), (31, 0), (76, -8 & 0xFFFF), (78, -4 & 0xFFFF), (15, 0)):
        driver.csr(number, value)
    assert driver.csr(76) == 0xFFF8
    assert driver.csr(72) == 0xFFF8
    for i in range(RX_LENGTH):
        driver.put_descriptor(RX + i * 16, BUFFERS + i * 2048, 1536, OWN)
    driver.csr(0, 2)
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() == frame_to(MAC)
    assert driver.csr(28) == RX + 16
    driver.csr(24, 0x4000)  # running: refused
    assert driver.csr(24) == RX


def test_the_mii_of_an_am79c973() -> None:
    driver = Driver(model="Am79C973")
    assert driver.csr(88) == 0x5003
    found = []
    for address in range(32):
        driver.bcr(33, address << 5 | 2)
        if driver.bcr(34) != 0xFFFF:
            found.append(address)
    assert found == [30]
    driver.bcr(33, 30 << 5 | 1)
    assert driver.bcr(34) & 0x24 == 0x24
    driver.card.set_link(False)
    driver.card.set_link(True)
    assert driver.bcr(34) & 0x04 == 0  # a loss is latched
    assert driver.bcr(34) & 0x04 == 4
    driver.bcr(33, 30 << 5)
    driver.bcr(34, 0x8000)
    assert driver.bcr(34) == 0x3100
    driver.bcr(33, 30 << 5 | 5)
    assert driver.bcr(34) == 0x41E1
    saved = driver.card.state()
    again = Driver(model="Am79C973")
    again.card.from_state(saved)
    assert again.card.state() == saved


def test_an_am79c970a_has_no_mii() -> None:
    driver = Driver()
    driver.bcr(33, 30 << 5 | 2)
    assert driver.bcr(33) == 0
    assert driver.bcr(34) == 0
