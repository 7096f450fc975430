"""The 82540EM as drivers drive it: probe, EEPROM, link, descriptors of all kinds, filters, VLAN, interrupts."""

import pytest

from emulators.devices.net import e1000_registers as r
from emulators.devices.net.internet_checksum import total
from tests.emulators.devices.e1000_driver import (
    EOP,
    IFCS,
    IO,
    MAC,
    MMIO,
    PEER,
    RS,
    RX,
    RX_LENGTH,
    TSE,
    TX,
    TX_LENGTH,
    VLE,
    Driver,
    check_tcp,
    frame_to,
    phy,
    tcp_packet,
)


def test_probe_as_linux_does_it() -> None:
    driver = Driver()
    assert driver.bus.config_read(11 << 3, 0, 4) == 0x100E_8086
    driver.bus.io.write(IO, 4, r.CTRL)
    driver.bus.io.write(IO + 4, 4, r.CTRL_RST)  # the driver resets through ports
    assert driver.get(r.CTRL) == 0x201
    assert driver.bus.io.read(IO + 4, 4) == 0x201
    words = []
    for word in range(64):
        driver.put(r.EERD, word << 8 | r.EERD_START)
        assert driver.get(r.EERD) & r.EERD_DONE
        words.append(driver.get(r.EERD) >> 16)
    assert sum(words) & 0xFFFF == 0xBABA
    assert b"".join(word.to_bytes(2, "little") for word in words[:3]) == MAC
    assert driver.get(r.RAL) == int.from_bytes(MAC[:4], "little")
    assert driver.get(r.RAL + 4) == 0x8000_0000 | int.from_bytes(MAC[4:], "little")
    assert phy(driver, 2) << 16 | phy(driver, 3) == 0x0141_0C20
    driver.put(r.MDIC, 2 << 26 | 2 << 21 | 2 << 16)
    assert driver.get(r.MDIC) & r.MDIC_ERROR  # no other PHY


def test_the_eeprom_bit_by_bit() -> None:
    driver = Driver()
    driver.put(r.EECD, r.EECD_REQ)
    assert driver.get(r.EECD) & r.EECD_GNT
    driver.put(r.EECD, r.EECD_REQ | r.EECD_CS)
    for bit in "110" + f"{13:06b}":
        data = r.EECD_REQ | r.EECD_CS | (r.EECD_DI if bit == "1" else 0)
        driver.put(r.EECD, data)
        driver.put(r.EECD, data | r.EECD_SK)
        driver.put(r.EECD, data)
    value = 0
    for _ in range(16):
        driver.put(r.EECD, r.EECD_REQ | r.EECD_CS | r.EECD_SK)
        value = value << 1 | bool(driver.get(r.EECD) & r.EECD_DO)
        driver.put(r.EECD, r.EECD_REQ | r.EECD_CS)
    assert value == 0x100E
    driver.put(r.EECD, 0)
    assert not driver.get(r.EECD) & r.EECD_GNT


def test_link_changes() -> None:
    driver = Driver()
    driver.start(ims=r.ICR_LSC)
    assert driver.get(r.STATUS) & (r.STATUS_LU | r.STATUS_FD | r.STATUS_1000) == 0x83
    assert phy(driver, 1) & 0x24 == 0x24
    assert phy(driver, 17) == 0xAC00
    driver.card.set_link(True)
    assert not driver.line.level
    driver.card.set_link(False)
    assert driver.line.level
    assert driver.get(r.ICR) == r.ICR_LSC
    assert not driver.line.level
    assert not driver.get(r.STATUS) & r.STATUS_LU
    assert phy(driver, 5) == phy(driver, 10) == 0
    driver.legacy(frame_to(PEER))
    driver.kick()
    assert driver.sent == []
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is None
    driver.card.set_link(True)
    assert phy(driver, 1) & 4 == 0  # latched
    assert phy(driver, 1) & 4
    assert phy(driver, 19) == 0x0400
    assert driver.get(r.ICR) & r.ICR_LSC
    phy(driver, 0, 0x1940)  # power down, as Linux does it to a closed card
    assert driver.get(r.ICR) & r.ICR_LSC
    assert not driver.get(r.STATUS) & r.STATUS_LU
    phy(driver, 0, 0x9140)
    assert driver.get(r.STATUS) & r.STATUS_LU


def test_accesses_that_the_chip_does_not_know_are_counted() -> None:
    driver = Driver()
    before = driver.card.mistakes
    driver.bus.memory.write(MMIO + r.RCTL, 2, 2)
    driver.bus.memory.write(MMIO + 2, 4, 2)
    driver.put(0x1F000, 1)
    assert driver.get(0x1F000) == 0
    driver.bus.io.write(IO + 8, 4, 0)
    driver.bus.io.read(IO, 1)
    assert driver.card.mistakes == before + 6
    driver.put(r.MTA, 0x11223344)
    assert driver.bus.memory.read(MMIO + r.MTA + 1, 1) == 0x33
    driver.bus.memory.write(MMIO + r.MTA, 8, 0x5566778800000001)
    assert driver.bus.memory.read(MMIO + r.MTA, 8) == 0x5566778800000001
    driver.bus.io.write(IO, 4, 0xFFFF_FFFC)
    driver.bus.io.write(IO + 4, 4, 1)
    assert driver.bus.io.read(IO + 4, 4) == 0


# Sending


def test_legacy_descriptors_round_the_ring() -> None:
    driver = Driver()
    driver.start()
    for number in range(3 * TX_LENGTH):
        frame = frame_to(PEER, 60 + 13 * number)
        index = driver.tx
        driver.legacy(frame)
        driver.kick()
        assert driver.sent[-1] == frame
        assert driver.status(index) & 1
        assert driver.line.level
        assert driver.get(r.ICR) == r.ICR_TXDW | r.ICR_TXQE
        assert not driver.line.level
    assert driver.get(r.TDH) == driver.get(r.TDT)


def test_several_frames_in_parts_with_one_write() -> None:
    driver = Driver()
    driver.start()
    frame = frame_to(PEER, 300)
    for _ in range(5):
        driver.legacy(frame[:14], IFCS)
        driver.legacy(frame[14:15], IFCS)
        driver.legacy(b"", IFCS)
        driver.legacy(frame[15:])
    driver.kick()
    assert driver.sent == [frame] * 5


def test_padding_and_fcs() -> None:
    driver = Driver()
    driver.start()
    driver.legacy(frame_to(PEER, 20))
    driver.legacy(frame_to(PEER, 80) + b"FCS!", EOP)
    driver.kick()
    assert driver.sent == [frame_to(PEER, 20).ljust(60, b"\0"), frame_to(PEER, 80)]


def test_a_legacy_checksum() -> None:
    driver = Driver()
    driver.start()
    packet = tcp_packet(b"hello", partial=False)
    zeroed = packet[:24] + b"\0\0" + packet[26:34]
    driver.legacy(zeroed, EOP | IFCS | RS | 0x04, more=24 << 80 | 14 << 104)  # CSO, CSS
    driver.kick()
    assert driver.sent[0][:34] == packet[:34]


@pytest.mark.parametrize("version", [4, 6])
def test_checksums_that_a_driver_leaves_to_the_card(version: int) -> None:
    driver = Driver()
    driver.start()
    data = bytes(range(200))
    packet = bytearray(tcp_packet(data, partial=False, version=version))
    whole = bytes(packet)
    at = 34 if version == 4 else 54
    addresses = whole[26:34] if version == 4 else whole[22:54]
    packet[at + 16 : at + 18] = total(addresses + b"\0\6" + (len(packet) - at).to_bytes(2, "big")).to_bytes(2, "big")
    driver.context(ip=(14, 24, 33), tu=(at, at + 16, 0))
    driver.data(bytes(packet), options=r.POPTS_TXSM)
    driver.kick()
    assert driver.sent == [whole]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("octets", [1, 1448, 1449, 10_000, 65_000])
def test_segments(version: int, octets: int) -> None:
    driver = Driver()
    driver.start()
    data = bytes(number * 7 & 0xFF for number in range(octets))
    packet = tcp_packet(data, partial=True, version=version)
    at = 34 if version == 4 else 54
    command = r.TUCMD_TCP | TSE | (r.TUCMD_IP if version == 4 else 0)
    driver.context(ip=(14, 24, 33), tu=(at, at + 16, 0), command=command, header=at + 20, mss=1448)
    driver.data(packet[: at + 20], IFCS | TSE, r.POPTS_TXSM | (r.POPTS_IXSM if version == 4 else 0))
    for begin in range(at + 20, len(packet), 30_000):
        last = begin + 30_000 >= len(packet)
        driver.data(packet[begin : begin + 30_000], IFCS | TSE | (EOP | RS if last else 0))
    driver.kick()
    assert len(driver.sent) == -(-octets // 1448)
    assert b"".join(check_tcp(frame, version) for frame in driver.sent) == data
    sequences = [int.from_bytes(frame[at + 4 : at + 8], "big") for frame in driver.sent]
    assert sequences == [0xFFFFFFF0 + 1448 * number & 0xFFFFFFFF for number in range(len(driver.sent))]
    assert [frame[at + 13] for frame in driver.sent] == [0x10] * (len(driver.sent) - 1) + [0x19]
    if version == 4:
        assert [frame[18:20] for frame in driver.sent] == [
            (7 + number).to_bytes(2, "big") for number in range(len(driver.sent))
        ]
    assert driver.get(r.TSCTC) == 1


def test_vlan_tags_are_put_in_and_taken_out() -> None:
    driver = Driver()
    driver.start()
    driver.put(r.CTRL, r.CTRL_SLU | r.CTRL_VME)
    driver.legacy(frame_to(PEER), EOP | IFCS | VLE, more=0x6005 << 112)
    driver.data(frame_to(PEER), EOP | IFCS | VLE, special=7)
    driver.kick()
    assert driver.sent == [
        frame_to(PEER)[:12] + b"\x81\0" + tag + frame_to(PEER)[12:] for tag in (b"\x60\x05", b"\0\x07")
    ]
    driver.card.receive(driver.sent[0].replace(PEER, MAC, 1))
    assert driver.take_frame() == (0x03 | r.RXD_VP | r.RXD_IXSM, 0, 0x6005, frame_to(MAC))


def test_more_work_than_is_done_at_once_goes_on_later() -> None:
    driver = Driver()
    driver.start()
    driver.put(r.TDLEN, 8192 * 16)
    driver.memory.octets[TX : TX + 8192 * 16] = (0xF0000 | 60 << 64 | (EOP | IFCS) << 88).to_bytes(16, "little") * 8192
    driver.put(r.TDT, 8000)
    done = len(driver.sent)
    assert 0 < done < 8000
    for _ in range(10):
        deadline = driver.card.next_deadline()
        if deadline is None:
            break
        assert deadline > driver.timeline.now_ns
        driver.timeline.now_ns = deadline
        driver.card.handle_timer(deadline)
    assert len(driver.sent) == 8000
    assert driver.get(r.ICR) & r.ICR_TXQE


# Receiving


def test_receiving_round_the_ring() -> None:
    driver = Driver()
    driver.start()
    for number in range(3 * RX_LENGTH):
        frame = frame_to(MAC, 60 + 29 * number)
        driver.card.receive(frame)
        assert driver.line.level
        assert driver.get(r.ICR) & r.ICR_RXT0
        assert driver.take_frame() == (r.RXD_DD | r.RXD_EOP | r.RXD_IXSM, 0, 0, frame)
    assert driver.take_frame() is None


def test_short_frames_are_padded_and_the_fcs_is_left_out_if_asked() -> None:
    driver = Driver()
    driver.start()
    driver.card.receive(frame_to(MAC, 42))
    one = driver.take_frame()
    assert one is not None
    assert one[3] == frame_to(MAC, 42).ljust(60, b"\0")
    driver.put(r.RCTL, r.RCTL_EN | r.RCTL_SECRC)
    driver.card.receive(frame_to(MAC, 70))
    assert int.from_bytes(driver.memory.octets[RX + 24 : RX + 26], "little") == 70


def test_jumbo_frames_over_several_buffers() -> None:
    driver = Driver()
    driver.start()
    driver.card.receive(frame_to(MAC, 9000))
    assert driver.card.counts["oversize"] == 1
    assert driver.get(r.ROC) == 1
    driver.put(r.RCTL, r.RCTL_EN | r.RCTL_LPE | 1 << 16)  # buffers of 1024
    driver.card.receive(frame_to(MAC, 9000))
    one = driver.take_frame()
    assert one is not None
    assert one[3] == frame_to(MAC, 9000)
    driver.put(r.RCTL, r.RCTL_EN | r.RCTL_LPE | r.RCTL_BSEX | 1 << 16)  # of 16384
    driver.card.receive(frame_to(MAC, 9000))
    at = driver.rx
    assert driver.take_frame() is not None
    assert driver.rx == (at + 1) % RX_LENGTH


def test_the_filter() -> None:
    group, hashed = bytes.fromhex("01005e010203"), bytes.fromhex("3333ff424344")
    for mode, shift in enumerate((4, 3, 2, 0)):
        driver = Driver()
        driver.start(rctl=r.RCTL_EN | mode << 12)
        bits = (hashed[4] | hashed[5] << 8) >> shift & 0xFFF
        driver.put(r.MTA + (bits >> 5) * 4, 1 << (bits & 31))
        for to in (MAC, b"\xff" * 6, group, hashed, PEER):
            driver.card.receive(frame_to(to))
        assert driver.card.counts["filtered"] == 3
        assert [driver.take_frame() for _ in range(3)] == [
            (0x07, 0, 0, frame_to(MAC)), (0x07 | r.RXD_PIF, 0, 0, frame_to(hashed)), None,
        ]  # fmt: skip
    driver.put(r.RAL + 8, int.from_bytes(group[:4], "little"))
    driver.put(r.RAL + 12, 0x8000_0000 | int.from_bytes(group[4:], "little"))
    for to, rctl in (
        (group, 0),
        (b"\xff" * 6, r.RCTL_BAM),
        (PEER, r.RCTL_UPE),
        (bytes([1, 0, 0, 0, 0, 9]), r.RCTL_MPE),
    ):
        driver.put(r.RCTL, r.RCTL_EN | rctl)
        driver.card.receive(frame_to(to))
        one = driver.take_frame()
        assert one is not None
        assert one[3] == frame_to(to)


def test_the_vlan_filter() -> None:
    driver = Driver()
    driver.start(rctl=r.RCTL_EN | r.RCTL_VFE)
    driver.put(r.VFTA + (100 >> 5) * 4, 1 << (100 & 31))
    for vlan in (100, 101):
        driver.card.receive(MAC + PEER + b"\x81\0" + vlan.to_bytes(2, "big") + bytes(60))
    assert driver.take_frame() is not None
    assert driver.take_frame() is None
    driver.card.receive(frame_to(MAC))
    assert driver.take_frame() is not None


@pytest.mark.parametrize("damage", ["none", "ip", "tcp"])
def test_checksums_of_received_packets(damage: str) -> None:
    driver = Driver()
    driver.start()
    driver.put(r.RXCSUM, r.RXCSUM_IPOFL | r.RXCSUM_TUOFL)
    packet = bytearray(tcp_packet(bytes(range(100)), partial=False))
    packet[:12] = MAC + PEER
    packet[{"none": 0, "ip": 24, "tcp": 60}[damage]] ^= 0 if damage == "none" else 1
    driver.card.receive(bytes(packet))
    one = driver.take_frame()
    assert one is not None
    assert one[0] == r.RXD_DD | r.RXD_EOP | r.RXD_IPCS | r.RXD_TCPCS
    assert one[1] == {"none": 0, "ip": r.RXD_IPE, "tcp": r.RXD_TCPE}[damage]


def test_a_full_ring_makes_frames_wait_then_overruns() -> None:
    driver = Driver()
    driver.start()
    total_frames = RX_LENGTH - 1 + r.QUEUE_FRAMES
    for number in range(total_frames + 3):
        driver.card.receive(frame_to(MAC, 64 + number % 1000))
    assert driver.card.ready_frames() == 0
    assert driver.get(r.ICR) & (r.ICR_RXO | r.ICR_RXDMT0) == r.ICR_RXO | r.ICR_RXDMT0
    assert driver.get(r.MPC) == 3
    assert driver.get(r.MPC) == 0  # cleared by the read
    got = []
    while (one := driver.take_frame()) is not None:
        got.append(len(one[3]))
    assert got == [64 + number % 1000 for number in range(total_frames)]


def test_statistics() -> None:
    driver = Driver()
    driver.start()
    for size in (60, 61, 124, 300, 600, 1100):
        driver.legacy(frame_to(PEER, size))
        driver.card.receive(frame_to(MAC, size))
        driver.take_frame()
    driver.legacy(frame_to(b"\xff" * 6))
    driver.card.receive(frame_to(b"\xff" * 6))
    driver.kick()
    assert [driver.get(r.PTC64 + 4 * step) for step in range(6)] == [1, 2, 1, 1, 1, 1]
    assert [driver.get(r.PRC64 + 4 * step) for step in range(6)] == [1, 2, 1, 1, 1, 1]
    assert driver.get(r.GPTC) == driver.get(r.GPRC) == 7
    assert driver.get(r.BPTC) == driver.get(r.BPRC) == 1
    octets = 60 + 61 + 124 + 300 + 600 + 1100 + 100 + 7 * 4
    assert driver.get(r.GOTC) == driver.get(r.GORC) == driver.get(r.TOT) == octets
    assert driver.get(r.GOTC) == driver.get(r.GPTC) == 0


# Interrupts


def test_masks_and_causes_set_by_software() -> None:
    driver = Driver()
    driver.start(ims=0)
    driver.put(r.ICS, r.ICR_LSC | r.ICR_RXT0)
    assert not driver.line.level
    driver.put(r.IMS, r.ICR_LSC)
    assert driver.line.level
    driver.put(r.IMC, r.ICR_LSC)
    assert not driver.line.level
    driver.put(r.IMS, r.ICR_RXT0)
    assert driver.get(r.IMS) == r.ICR_RXT0
    driver.put(r.ICR, r.ICR_RXT0)
    assert not driver.line.level
    assert driver.get(r.ICR) == r.ICR_LSC


def test_itr_keeps_interrupts_apart() -> None:
    driver = Driver()
    driver.start()
    driver.put(r.ITR, 100)
    driver.card.receive(frame_to(MAC))
    assert driver.line.level
    driver.get(r.ICR)
    driver.timeline.now_ns += 1000
    driver.card.receive(frame_to(MAC))
    assert not driver.line.level
    assert driver.card.next_deadline() == 1000 + 100 * 256
    driver.timeline.now_ns = 1000 + 100 * 256
    driver.card.handle_timer(driver.timeline.now_ns)
    assert driver.line.level
    assert driver.card.next_deadline() is None
