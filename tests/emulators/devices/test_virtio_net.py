"""The virtio network device: frames both ways, buffers that merge, jumbo, checksums, the filter, bad drivers."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from emulators.devices.virtio.net import LONGEST_FRAME, QUEUE_FRAMES, VirtioNet
from emulators.devices.virtio.segmentation import segments
from emulators.dma import Dma
from emulators.snapshot import SnapshotError
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.virtio_driver import EVENT_IDX, INDIRECT_DESC, VERSION_1, Ring, VirtioDriver

CSUM, MTU, MAC, MERGE, STATUS = 1, 1 << 3, 1 << 5, 1 << 15, 1 << 16
CTRL = 1 << 17 | 1 << 18 | 1 << 20 | 1 << 23
TSO = 1 << 11 | 1 << 12 | 1 << 13
USUAL = VERSION_1 | EVENT_IDX | INDIRECT_DESC | CSUM | MAC | MERGE | STATUS | CTRL
OWN = bytes.fromhex("020000000042")
PEER = bytes.fromhex("020000000001")
HEADER = bytes(12)


class Net(VirtioDriver):
    """A card and its driver."""

    def __init__(self, features: int = USUAL, *, legacy: bool = False, mtu: int | None = None, start: bool = True):
        memory = GuestMemory(1 << 21)
        self.sent: list[bytes] = []
        self.card = VirtioNet("net", mac=OWN, dma=Dma(memory), out=self.sent.append, mtu=mtu)
        super().__init__(self.card, memory, legacy=legacy)
        self.header = 12 if features & MERGE or not legacy else 10
        self.places_of: dict[int, tuple[int, int]] = {}
        if start:
            self.start(features)

    @property
    def rx(self) -> Ring:
        return self.rings[0]

    @property
    def tx(self) -> Ring:
        return self.rings[1]

    def send(self, *frames: bytes, header: bytes | None = None) -> None:
        for frame in frames:
            self.tx.add([(header or bytes(self.header)), frame])
        self.tx.kick()
        self.tx.take()

    def offer_buffers(self, count: int, octets: int = 1536) -> None:
        kick = False
        for _ in range(count):
            address = self.buffer(octets)
            kick = kick or self.rx.wants_kick()
            self.places_of[self.rx.add([], [(address, octets)])] = (address, octets)
        if kick:
            self.rx.kick()

    def take_frames(self) -> list[bytes]:
        frames, octets, left = [], b"", 0
        for head, written in self.rx.take():
            data = self.memory.read(self.places_of[head][0], written)
            if not left:
                assert data[:10] == bytes(10)
                left = int.from_bytes(data[10:12], "little") if self.header == 12 else 1
                octets = data[self.header :]
            else:
                octets += data
            left -= 1
            if not left:
                frames.append(octets)
        assert not left
        return frames

    def command(self, group: int, number: int, data: bytes) -> int:
        answer = self.buffer(1)
        self.memory.write(answer, b"\x55")
        self.rings[2].add([bytes([group, number]), data], [(answer, 1)])
        self.rings[2].kick()
        assert self.rings[2].take()[0][1] == 1
        return self.memory.read(answer, 1)[0]


def frame(to: bytes = OWN, length: int = 100, fill: int = 0x5A) -> bytes:
    return to + PEER + b"\x08\x00" + bytes([fill]) * (length - 14)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("features", [USUAL, VERSION_1, VERSION_1 | MERGE])
def test_frames_both_ways(features: int, legacy: bool) -> None:
    net = Net(features, legacy=legacy)
    sent = [frame(PEER, 60 + i) for i in range(20)]
    for one in sent:
        net.send(one)
    assert net.sent == sent
    net.offer_buffers(4)
    for i in range(50):
        net.rx.interrupt_at(net.rx.seen)
        net.card.receive(frame(OWN, 60 + i))
        assert net.isr() == 1
        assert net.take_frames() == [frame(OWN, 60 + i)]
        net.offer_buffers(1)
    assert net.card.counts["received"] == 50


def test_many_frames_in_one_kick_and_few_transfers() -> None:
    net = Net()
    frames = [frame(PEER, 1514, i) for i in range(64)]
    for one in frames:
        net.tx.add([HEADER + one])
    reads, writes = net.memory.reads, net.memory.writes
    net.tx.kick()
    assert net.sent == frames
    assert net.memory.reads - reads == 1 + 64 + 3  # 1: of the test
    assert net.memory.writes - writes == 3
    net.tx.take()


def test_refilling_costs_no_kick_while_buffers_last() -> None:
    net = Net()
    assert not net.rx.wants_kick()
    net.offer_buffers(2)
    for _ in range(5):
        net.card.receive(frame())
        assert not net.rx.wants_kick()
        assert len(net.take_frames()) == 1
        net.offer_buffers(1)
    for _ in range(3):
        net.card.receive(frame())
    assert len(net.take_frames()) == 2
    assert net.rx.wants_kick()
    assert len(net.card.queue) == 1
    net.offer_buffers(2)
    assert len(net.take_frames()) == 1
    assert not net.rx.wants_kick()


def test_waiting_frames_are_bounded() -> None:
    net = Net()
    for _ in range(QUEUE_FRAMES + 7):
        net.card.receive(frame())
    assert net.card.counts["missed"] == 7
    assert net.card.ready_frames() == 0
    net.offer_buffers(100)
    assert len(net.take_frames()) == 100
    assert net.card.ready_frames() == 100


@pytest.mark.parametrize("length", [1525, 9014, LONGEST_FRAME])
def test_jumbo_frames_merge_buffers(length: int) -> None:
    net = Net()
    net.offer_buffers(60, 1200)
    net.card.receive(frame(OWN, length))
    assert net.take_frames() == [frame(OWN, length)]
    net.send(frame(PEER, length))
    assert net.sent == [frame(PEER, length)]


def test_a_jumbo_frame_waits_for_enough_buffers() -> None:
    net = Net()
    net.offer_buffers(3)
    net.card.receive(frame(OWN, 9000))
    assert net.take_frames() == []
    net.offer_buffers(3)
    assert net.take_frames() == [frame(OWN, 9000)]


def test_without_merging_a_frame_too_long_is_dropped() -> None:
    net = Net(VERSION_1)
    net.offer_buffers(2)
    net.card.receive(frame(OWN, 9000))
    net.card.receive(frame(OWN, 100))
    assert net.card.counts["oversize"] == 1
    used = net.rx.take()
    assert [written for _, written in used] == [0, 112]


def test_the_mtu_is_told() -> None:
    net = Net(mtu=9000, start=False)
    assert net.offered() & MTU
    assert net.config(10, 2) == 9000
    assert not Net(start=False).offered() & MTU


def test_link_changes_are_told() -> None:
    net = Net()
    assert net.config(6, 2) == 1
    generation = net.common(21, 1)
    net.card.set_link(False)
    assert net.isr() == 2
    assert net.config(6, 2) == 0
    assert net.common(21, 1) != generation
    net.offer_buffers(1)
    net.card.receive(frame())
    net.send(frame(PEER))
    assert net.sent == []
    assert net.card.counts["off"] == 2
    net.card.set_link(True)
    net.card.receive(frame())
    assert len(net.take_frames()) == 1


def checksum(octets: bytes) -> int:
    """RFC 1071, the slow way."""
    if len(octets) & 1:
        octets += b"\0"
    total = sum(int.from_bytes(octets[i : i + 2], "big") for i in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(st.binary(min_size=10, max_size=200), st.integers(0, 4))
def test_checksums_are_finished(segment: bytes, offset: int) -> None:
    net = Net()
    start = 34
    head = frame(PEER, start)
    net.send(head + segment, header=b"\1\0\0\0\0\0" + bytes([start, 0, 2 * offset, 0, 0, 0]))
    done = net.sent[0]
    assert done[:start] == head
    assert done[start : start + 2 * offset] == segment[: 2 * offset]
    value = done[start + 2 * offset : start + 2 * offset + 2]
    assert value != b"\0\0"
    # with the old value taken out: the whole adds up to all ones, plus what was there before (a pseudo-header's sum)
    before = segment[2 * offset : 2 * offset + 2]
    assert checksum(done[start:] + (b"\0" if len(segment) & 1 else b"") + before) == 0xFFFF


@pytest.mark.parametrize("at", [(200, 0), (34, 200), (0xFFFF, 0xFFFF), (99, 0)])
def test_checksums_beyond_the_frame_are_dropped(at: tuple[int, int]) -> None:
    net = Net()
    header = b"\1\0\0\0\0\0" + at[0].to_bytes(2, "little") + at[1].to_bytes(2, "little") + bytes(2)
    net.send(frame(PEER, 100), header=header)
    assert net.sent == []
    assert net.card.mistakes == 1
    net.send(frame(PEER, 100))
    assert len(net.sent) == 1


def tcp_frame(*, ipv6: bool, octets: int, flags: str = "PA", tag: bool = False) -> tuple[bytes, bytes]:
    """A large frame as a kernel leaves it to the device, and its payload."""
    payload = bytes(i * 7 & 0xFF for i in range(octets))
    ether = Ether(dst=PEER.hex(":"), src=OWN.hex(":"))
    ip = IPv6(src="2001:db8::2", dst="2001:db8::1") if ipv6 else IP(src="192.0.2.2", dst="192.0.2.1", id=65534)
    tcp = TCP(sport=80, dport=5000, seq=0xFFFF_FFF0, ack=7, flags=flags, options=[("Timestamp", (1, 2))])
    return bytes((ether / Dot1Q(vlan=5) if tag else ether) / ip / tcp / payload), payload


@pytest.mark.parametrize("ipv6", [False, True])
@pytest.mark.parametrize("tag", [False, True])
@pytest.mark.parametrize("octets", [0, 1, 1448, 1449, 60000])
def test_segments_are_what_tcp_would_have_sent(ipv6: bool, tag: bool, octets: int) -> None:
    net = Net(USUAL | TSO)
    whole, payload = tcp_frame(ipv6=ipv6, octets=octets, flags="FPAC", tag=tag)
    header = bytes([1, 0x84 if ipv6 else 0x81]) + (66).to_bytes(2, "little") + (1448).to_bytes(2, "little") + bytes(6)
    net.send(whole, header=header)
    assert len(net.sent) == max(1, -(-octets // 1448))
    joined = b""
    for number, octets_ in enumerate(net.sent):
        parsed = Ether(octets_)
        tcp = parsed[TCP]
        assert tcp.seq == 0xFFFF_FFF0 + len(joined) & 0xFFFF_FFFF
        last = number == len(net.sent) - 1
        assert str(tcp.flags) == ("FPA" if last else "A") + ("C" if number == 0 else "")
        data = octets_[len(octets_) - len(bytes(tcp.payload)) :] if tcp.payload else b""
        joined += data
        if not ipv6:
            assert parsed[IP].id == 65534 + number & 0xFFFF
        assert len(octets_) == len(parsed)
        fresh = Ether(octets_)  # scapy computes what is deleted
        del fresh[TCP].chksum
        if ipv6:
            del fresh[IPv6].plen
        else:
            del fresh[IP].chksum, fresh[IP].len
        assert bytes(fresh) == octets_
    assert joined == payload


@pytest.mark.parametrize(
    ("kind", "size", "change"),
    [
        (1, 100, None),  # too small a segment
        (1, 0, None),
        (4, 1448, None),  # not IPv6
        (3, 1448, None),  # UDP: not offered
        (1, 1448, (14, 0x41)),  # an IP header of four octets
        (1, 1448, (23, 17)),  # not TCP
        (1, 1448, (46, 0x10)),  # a TCP header of four octets
        (1, 1448, (12, 0x86)),  # not IP
    ],
)
def test_segments_of_what_is_not_tcp_are_dropped(kind: int, size: int, change: tuple[int, int] | None) -> None:
    net = Net(USUAL | TSO)
    whole = bytearray(tcp_frame(ipv6=False, octets=3000)[0])
    if change:
        whole[change[0]] = change[1]
    net.send(bytes(whole), header=bytes([1, kind, 0, 0]) + size.to_bytes(2, "little") + bytes(6))
    assert net.sent == []
    assert net.card.mistakes == 1


def test_segmentation_needs_its_feature() -> None:
    net = Net()
    net.send(tcp_frame(ipv6=False, octets=3000)[0], header=b"\1\1\0\0\xa8\x05" + bytes(6))
    assert net.sent == []


@given(st.binary(max_size=120), st.sampled_from([1, 4]), st.integers(0, 0xFFFF), st.integers(0, 3))
def test_segmentation_of_anything(tail: bytes, kind: int, size: int, cut: int) -> None:
    """Frames or None, never an exception; and never more frames than the data ask for."""
    begin = tcp_frame(ipv6=kind == 4, octets=0)[0][: (14, 34, 54, 74)[cut]]
    frames = segments(begin + tail, kind, size)
    assert frames is None or 1 <= len(frames) <= 1 + len(tail) // 256


def test_frames_too_long_or_short_are_not_sent() -> None:
    net = Net()
    net.send(frame(PEER, LONGEST_FRAME + 1), frame(PEER, 14)[:13])
    assert net.sent == []
    assert net.card.mistakes == 2
    net.card.receive(bytes(LONGEST_FRAME + 1))
    net.card.receive(b"")
    assert net.card.counts["oversize"] == 2


def test_a_frame_without_a_header_breaks_the_queue() -> None:
    net = Net()
    net.tx.add([b"short"])
    net.tx.kick()
    assert net.status() & 0x40
    net.card.receive(frame())
    assert net.card.counts["off"] == 1


@pytest.mark.parametrize("part", ["sent", "first", "second"])
def test_cve_2021_3748_and_20255_buffers_that_are_no_memory_break_the_queue(part: str) -> None:
    """On the card's own registers, or gone while a frame is merged from several: nothing is used, nothing written."""
    net = Net()
    registers = net.places[1] & ~0xFFF
    if part == "sent":
        net.tx.add([(registers, 100)])
        net.tx.kick()
    else:
        good = net.buffer(100)
        for address in [registers, good] if part == "first" else [good, registers]:
            net.rx.add([], [(address, 100)])
        net.rx.kick()
        net.card.receive(frame(OWN, 150))
    assert net.status() & 0x40
    assert net.sent == []
    assert net.rx.take() == []
    assert not net.card.queue
    net.start(USUAL)
    net.send(frame(PEER))
    assert net.sent == [frame(PEER)]


def test_merging_buffers_without_room_ends() -> None:
    """A ring full of buffers for one octet beside the header's: the frame waits, the others are as they were."""
    net = Net()
    size = net.rx.size
    net.offer_buffers(size, 12)
    net.card.receive(frame(OWN, 13 * size))
    assert net.rx.take() == []
    assert not net.status() & 0x40
    assert len(net.card.queue) == 1


def test_cve_2021_3416_a_frame_to_itself_does_not_come_back() -> None:
    net = Net()
    net.offer_buffers(2)
    net.send(frame(OWN))
    assert net.sent == [frame(OWN)]
    assert net.take_frames() == []


def test_the_filter() -> None:
    net = Net()
    multicast, other = bytes.fromhex("01005e000001"), bytes.fromhex("01005e000002")
    broadcast = b"\xff" * 6

    def passing() -> list[bytes]:
        passed = []
        for to in (OWN, PEER, multicast, other, broadcast):
            net.offer_buffers(1)
            net.card.receive(frame(to))
            if net.take_frames():
                passed.append(to)
        return passed

    assert passing() == [OWN, PEER, multicast, other, broadcast]
    assert net.command(0, 0, b"\0") == 0
    assert passing() == [OWN, broadcast]
    assert net.command(0, 1, b"\1") == 0
    assert passing() == [OWN, multicast, other, broadcast]
    assert net.command(0, 1, b"\0") == 0
    table = (1).to_bytes(4, "little") + PEER + (1).to_bytes(4, "little") + multicast
    assert net.command(1, 0, table) == 0
    assert passing() == [OWN, PEER, multicast, broadcast]
    assert net.command(0, 5, b"\1") == 0
    assert net.command(0, 4, b"\1") == 0
    assert net.command(0, 3, b"\1") == 0
    assert passing() == []
    assert net.command(0, 0, b"\1") == 0
    assert len(passing()) == 5


def test_the_address_can_be_changed() -> None:
    net = Net()
    assert net.command(0, 0, b"\0") == 0
    assert net.command(1, 1, PEER) == 0
    net.offer_buffers(2)
    net.card.receive(frame(PEER))
    net.card.receive(frame(OWN))
    assert net.take_frames() == [frame(PEER)]
    assert net.config(0, 4) == int.from_bytes(PEER[:4], "little")
    net.status(0)
    assert net.card.mac == OWN


def test_too_many_addresses_mean_everything() -> None:
    net = Net()
    net.command(0, 0, b"\0")
    table = (100).to_bytes(4, "little") + bytes(600) + (0xFFFF_FFFF).to_bytes(4, "little") + bytes(8000)
    assert net.command(1, 0, table) == 0
    net.offer_buffers(2)
    net.card.receive(frame(PEER))
    net.card.receive(frame(bytes.fromhex("01005e000002")))
    assert len(net.take_frames()) == 2


@pytest.mark.parametrize(
    ("group", "number", "data"),
    [(9, 0, b"\0"), (0, 9, b"\0"), (1, 1, b"\0"), (1, 0, b"\xff\0\0\0"), (1, 0, b"\1\0\0\0"), (0, 0, b"")],
)
def test_nonsense_commands_are_refused(group: int, number: int, data: bytes) -> None:
    net = Net()
    assert net.command(group, number, data) == 1
    assert net.command(0, 0, b"\0") == 0


def test_a_legacy_driver_writes_the_address() -> None:
    net = Net(legacy=True)
    net.io(0x14, 4, 0x11223344)
    net.io(0x18, 2, 0x5566)
    assert net.card.mac == bytes.fromhex("443322116655")


def test_state_goes_on_where_it_was() -> None:
    net = Net()
    net.command(0, 0, b"\0")
    net.command(1, 0, (1).to_bytes(4, "little") + PEER + bytes(4))
    net.offer_buffers(2)
    for i in range(4):
        net.card.receive(frame(PEER, 100 + i))
    saved = net.card.state()
    again = Net(start=False)
    again.memory.octets[:] = net.memory.octets
    again.card.from_state(saved)
    assert again.card.state() == saved
    for one in (net, again):
        net.rx.driver = one
        one.notify(0)
    net.offer_buffers(2)
    again.memory.octets[:] = net.memory.octets
    again.card.from_state(net.card.state())
    assert again.card.state() == net.card.state()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mac", b""),
        ("filter", [True]),
        ("tables", [[], [b"x"]]),
        ("tables", [[bytes(6)] * 65, []]),
        ("queue", [b""]),
        ("queue", [bytes(64)] * 257),
        ("counts", {}),
        ("link", 1),
    ],
)
def test_a_state_that_no_card_had_is_refused(name: str, value: object) -> None:
    card = Net(start=False).card
    with pytest.raises(SnapshotError):
        card.from_state({**card.state(), name: value})


@pytest.mark.fuzz
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("memory"), st.integers(0, 2), st.binary(min_size=1, max_size=64)),
            st.tuples(st.just("ring"), st.integers(0, 2), st.binary(min_size=6, max_size=20)),
            st.tuples(st.just("kick"), st.integers(0, 3), st.just(b"")),
            st.tuples(st.just("send"), st.just(0), st.binary(max_size=80)),
            st.tuples(st.just("command"), st.just(0), st.binary(min_size=2, max_size=40)),
            st.tuples(st.just("frame"), st.integers(0, 3000), st.just(b"")),
            st.tuples(st.just("offer"), st.integers(1, 4), st.just(b"")),
        ),
        max_size=40,
    )
)
def test_fuzz(operations: list[tuple[str, int, bytes]]) -> None:
    """Whatever rings, headers and commands hold: no exception, a bounded time, a state that can be taken back."""
    net = Net()
    net.offer_buffers(2)
    began = time.monotonic()
    for kind, number, data in operations:
        match kind:
            case "memory":
                net.memory.write(net.rings[number].descriptors, data)
            case "ring":
                net.memory.write(net.rings[number].available, data)
            case "kick":
                net.notify(number)
            case "send":
                net.tx.add([data]) if net.tx.free else None
                net.tx.kick()
            case "command":
                net.rings[2].add([data], [(net.buffer(1), 1)]) if len(net.rings[2].free) > 1 else None
                net.rings[2].kick()
            case "frame":
                net.card.receive(OWN + bytes(number))
            case _ if len(net.rx.free) >= number:
                net.offer_buffers(number)
    assert time.monotonic() - began < 2
    again = Net(start=False)
    again.card.from_state(net.card.state())
    assert again.card.state() == net.card.state()
