"""The calls of a driver of the 82540EM, and packets to send with it."""

import zlib

from emulators.device import Timeline
from emulators.devices.net import e1000_registers as r
from emulators.devices.net.e1000 import E1000
from emulators.devices.net.internet_checksum import total
from emulators.devices.pci.bus import PciBus
from emulators.dma import Dma
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.registers import Line

MAC = bytes.fromhex("020000000042")
PEER = bytes.fromhex("020000000001")
IO, MMIO = 0x1000, 0x1000_0000
RX, TX, RX_BUFFERS, TX_BUFFERS = 0x1000, 0x2000, 0x10000, 0x80000
RX_LENGTH, TX_LENGTH = 16, 32
EOP, IFCS, TSE, RS, DEXT, VLE = 0x01, 0x02, 0x04, 0x08, 0x20, 0x40


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
        self.bus.assign(io=(IO, 0x1FFF), memory=(MMIO, 0x100F_FFFF), line=lambda device, pin: 10)
        self.tx = self.rx = 0
        self.buffer = TX_BUFFERS

    def fresh(self) -> E1000:
        return E1000("nic", mac=MAC, dma=Dma(self.memory), out=self.sent.append, timeline=self.timeline)

    def get(self, register: int) -> int:
        return self.bus.memory.read(MMIO + register, 4)

    def put(self, register: int, value: int) -> None:
        self.bus.memory.write(MMIO + register, 4, value)

    def start(self, *, rctl: int = r.RCTL_EN | r.RCTL_BAM, ims: int = 0x9F, buffers: int = RX_LENGTH - 1) -> None:
        self.put(r.CTRL, r.CTRL_RST)
        self.put(r.CTRL, r.CTRL_SLU)
        self.get(r.ICR)
        for index in range(RX_LENGTH):
            self.memory.write(RX + 16 * index, (RX_BUFFERS + 16384 * index).to_bytes(16, "little"))
        for register, value in (
            (r.RDBAL, RX), (r.RDBAH, 0), (r.RDLEN, RX_LENGTH * 16), (r.RDH, 0), (r.RDT, buffers), (r.RCTL, rctl),
            (r.TDBAL, TX), (r.TDBAH, 0), (r.TDLEN, TX_LENGTH * 16), (r.TDH, 0), (r.TDT, 0),
            (r.TCTL, r.TCTL_EN | r.TCTL_PSP), (r.IMS, ims),
        ):  # fmt: skip
            self.put(register, value)
        self.tx = self.rx = 0

    # Descriptors

    def descriptor(self, words: int) -> None:
        """Put 16 octets into the ring."""
        self.memory.write(TX + 16 * self.tx, words.to_bytes(16, "little"))
        self.tx = (self.tx + 1) % TX_LENGTH

    def legacy(self, octets: bytes, command: int = EOP | IFCS | RS, *, more: int = 0) -> None:
        self.memory.write(self.buffer, octets)
        self.descriptor(self.buffer | len(octets) << 64 | command << 88 | more)
        self.buffer = TX_BUFFERS + (self.buffer - TX_BUFFERS + 0x4000) % 0x60000

    def context(
        self, *, ip: tuple[int, int, int], tu: tuple[int, int, int], command: int = 0, header: int = 0, mss: int = 0
    ) -> None:
        low = ip[0] | ip[1] << 8 | ip[2] << 16 | tu[0] << 32 | tu[1] << 40 | tu[2] << 48
        self.descriptor(low | (command | DEXT) << 88 | header << 104 | mss << 112)

    def data(self, octets: bytes, command: int = EOP | IFCS | RS, options: int = 0, special: int = 0) -> None:
        self.memory.write(self.buffer, octets)
        words = self.buffer | len(octets) << 64 | 1 << 84 | (command | DEXT) << 88 | options << 104 | special << 112
        self.descriptor(words)
        self.buffer = TX_BUFFERS + (self.buffer - TX_BUFFERS + 0x10000) % 0x60000

    def kick(self) -> None:
        self.put(r.TDT, self.tx)

    def status(self, index: int) -> int:
        return self.memory.octets[TX + 16 * index + 12]

    def take_frame(self) -> tuple[int, int, int, bytes] | None:
        """Status, errors, tag and the next frame, FCS checked and removed; its descriptors go back to the card."""
        octets = b""
        while True:
            at = RX + 16 * self.rx
            one = self.memory.octets[at : at + 16]
            if not one[12] & r.RXD_DD:
                return None
            address, length = int.from_bytes(one[:8], "little"), int.from_bytes(one[8:10], "little")
            octets += self.memory.read(address, length)
            self.memory.octets[at + 12] = 0
            self.put(r.RDT, self.rx)
            self.rx = (self.rx + 1) % RX_LENGTH
            if one[12] & r.RXD_EOP:
                assert zlib.crc32(octets[:-4]).to_bytes(4, "little") == octets[-4:]
                return one[12], one[13], int.from_bytes(one[14:16], "little"), octets[:-4]


def frame_to(to: bytes, length: int = 100, fill: int = 0x5A) -> bytes:
    return to + PEER + b"\x08\x00" + bytes([fill]) * (length - 14)


def tcp_packet(data: bytes, *, partial: bool, version: int = 4) -> bytes:
    """TCP over IP; `partial`: as a driver leaves it, with the sum over the pseudo-header without the length."""
    tcp = bytearray(bytes.fromhex("04d2 0050 fffffff0 00000001 5019 ffff 0000 0000"))  # PSH, FIN, ACK
    if version == 4:
        ip = bytearray(bytes.fromhex("4500 0000 0007 4000 4006 0000 c0000202 c0000201"))
        addresses = bytes(ip[12:20])
    else:
        ip = bytearray(
            bytes.fromhex("60000000 0000 06 40" + "20010db8" + "00" * 11 + "02" + "20010db8" + "00" * 11 + "01")
        )
        addresses = bytes(ip[8:40])
    length = len(tcp) + len(data)
    if partial:
        tcp[16:18] = total(addresses + b"\0\6").to_bytes(2, "big")
    else:
        if version == 4:
            ip[2:4] = (20 + length).to_bytes(2, "big")
            ip[10:12] = (0xFFFF - total(bytes(ip))).to_bytes(2, "big")
        else:
            ip[4:6] = length.to_bytes(2, "big")
        pseudo = addresses + b"\0\6" + length.to_bytes(2, "big")
        tcp[16:18] = (0xFFFF - total(pseudo + tcp + data)).to_bytes(2, "big")
    return PEER + MAC + (b"\x08\0" if version == 4 else b"\x86\xdd") + bytes(ip) + bytes(tcp) + data


def check_tcp(frame: bytes, version: int = 4) -> bytes:
    """The data of a packet whose lengths and checksums are right."""
    if version == 4:
        assert total(frame[14:34]) == 0
        length = int.from_bytes(frame[16:18], "big")
        assert length == len(frame) - 14 or len(frame) == 60  # padded
        frame = frame[: 14 + length]
        addresses, segment = frame[26:34], frame[34:]
    else:
        assert int.from_bytes(frame[18:20], "big") == len(frame) - 54
        addresses, segment = frame[22:54], frame[54:]
    assert total(addresses + b"\0\6" + len(segment).to_bytes(2, "big") + segment) == 0
    return segment[20:]


def phy(driver: Driver, register: int, value: int | None = None) -> int:
    driver.put(r.MDIC, register << 16 | 1 << 21 | (2 << 26 if value is None else 1 << 26 | value))
    answer = driver.get(r.MDIC)
    assert answer & r.MDIC_READY
    return answer & 0xFFFF
