"""A GEM on a bus, and the calls that sungem of Linux makes: reset, rings of 128, kicks, the PHY by the MIF."""

import struct

from emulators.device import Timeline
from emulators.devices.net.gem import Gem
from emulators.devices.pci.bus import PciBus
from emulators.dma import Dma
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.registers import Line

MAC = bytes.fromhex("020000000042")
PEER = bytes.fromhex("020000000001")
MMIO = 0x1000_0000
TX_RING, RX_RING, TX_BUFFERS, RX_BUFFERS = 0x10000, 0x10800, 0x20000, 0x80000
TX_INTME, TX_ALL, TX_DONE, RX_DONE, RX_NOBUF, RX_MAC, CONTROL, MIF, BUS_ERROR = (
    1, 2, 4, 0x10, 0x20, 0x8000, 0x10000, 0x20000, 0x40000
)  # fmt: skip
STRIP, PROMISCUOUS, GROUPS, HASH = 0x04, 0x08, 0x10, 0x20
START, END, INTME, CENAB = 1 << 31, 1 << 30, 1 << 32, 1 << 29
OWN = 1 << 31
BUFFER = 1600


class Driver:
    """The card, and where the driver is in its rings."""

    def __init__(self) -> None:
        self.memory = GuestMemory()
        self.sent: list[bytes] = []
        self.line = Line()
        self.timeline = Timeline(1000)
        self.card = self.fresh()
        self.bus = PciBus([self.line] * 4)
        self.bus.add(self.card, 2)
        self.bus.assign(io=(0x1000, 0x1FFF), memory=(MMIO, 0x1FFF_FFFF), line=lambda device, pin: 10)
        self.tx = self.rx = 0

    def fresh(self) -> Gem:
        return Gem("nic", mac=MAC, dma=Dma(self.memory), out=self.sent.append, timeline=self.timeline)

    def get(self, register: int, size: int = 4) -> int:
        return self.bus.memory.read(MMIO + register, size)

    def put(self, register: int, value: int, size: int = 4) -> None:
        self.bus.memory.write(MMIO + register, size, value)

    def start(self, *, rxcfg: int = STRIP | HASH, ring: int = 2, size: int = BUFFER) -> None:
        """`ring`: 32 << ring descriptors in each."""
        self.put(0x10, 0xFFFF_FFFF)
        self.put(0x1010, 3)
        assert self.get(0x1010) & 3 == 0
        self.put(0x2004, ring << 1 | 0x7FF << 10 | 1 << 21)
        self.put(0x200C, 0)
        self.put(0x2008, TX_RING)
        self.put(0x2000, 0)
        self.put(0x4000, ring << 1 | 2 << 10 | 14 << 13 | 1 << 24)
        self.put(0x4008, 0)
        self.put(0x4004, RX_RING)
        for number in range(128):
            self.post(number, RX_BUFFERS + number * 2048, size)
        self.put(0x6054, 0x2000_0000 | 1522 + 4)
        for number, value in enumerate((0x0042, 0x0000, 0x0200, 0, 0, 0, 0x0001, 0xC200, 0x0180)):
            self.put(0x6080 + 4 * number, value)
        for number in range(16):
            self.put(0x60C0 + 4 * number, 0)
        self.put(0x6020, 1)
        self.put(0x6024, 1)
        self.put(0x6028, 0xFFFF_FFFF)
        self.put(0x6030, 0x1E)
        self.put(0x6034, rxcfg)
        self.put(0x603C, 1)
        for register in (0x2004, 0x4000, 0x6030, 0x6034):
            self.put(register, self.get(register) | 1)
        self.put(0x10, TX_DONE)
        self.put(0x4100, (32 << ring) - 4)
        self.tx = self.rx = 0

    def post(self, number: int, buffer: int, size: int) -> None:
        self.memory.write(RX_RING + 16 * number, struct.pack("<QQ", OWN | size << 16, buffer))

    def describe(self, number: int, flags: int, buffer: int) -> None:
        self.memory.write(TX_RING + 16 * number, struct.pack("<QQ", flags, buffer))

    def queue(self, octets: bytes, flags: int = START | END) -> None:
        """A descriptor with `octets`, not yet kicked."""
        at = TX_BUFFERS + 2048 * self.tx
        self.memory.write(at, octets)
        self.describe(self.tx, flags | len(octets), at)
        self.tx = (self.tx + 1) % 128

    def send(self, octets: bytes, flags: int = START | END) -> None:
        self.queue(octets, flags)
        self.put(0x2000, self.tx)

    def take_frame(self) -> tuple[int, bytes] | None:
        """Flags and the next frame; the descriptor is given back."""
        flags, buffer = struct.unpack("<QQ", self.memory.read(RX_RING + 16 * self.rx, 16))
        if flags & OWN or self.get(0x4104) == self.rx:
            return None
        octets = self.memory.read((buffer & ~7) + 2, flags >> 16 & 0x7FFF)
        self.post(self.rx, buffer, BUFFER)
        self.rx = (self.rx + 1) % 128
        if self.rx % 4 == 0:
            self.put(0x4100, self.rx)
        return flags, octets

    def phy(self, register: int, address: int = 0) -> int:
        """By the frame register."""
        self.put(0x620C, 1 << 30 | 2 << 28 | address << 23 | register << 18 | 2 << 16)
        answer = self.get(0x620C)
        assert answer & 0x10000
        return answer & 0xFFFF

    def write_phy(self, register: int, value: int, address: int = 0) -> None:
        self.put(0x620C, 1 << 30 | 1 << 28 | address << 23 | register << 18 | 2 << 16 | value)
        assert self.get(0x620C) & 0x10000


def frame_to(to: bytes, length: int = 100, fill: int = 0x5A) -> bytes:
    return to + PEER + b"\x08\x00" + bytes([fill]) * (length - 14)


def hash_of(address: bytes) -> int:
    """The reflected CRC register of IEEE 802.3 3.2.9, bit by bit; its upper eight bits."""
    register = 0xFFFFFFFF
    for octet in address:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    return register >> 24


def internet_sum(octets: bytes) -> int:
    """RFC 1071, word by word; not complemented."""
    total = 0
    for at in range(0, len(octets), 2):
        total += int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big")
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
