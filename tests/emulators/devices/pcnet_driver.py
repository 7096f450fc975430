"""The calls of a driver of the Am79C970A, in WIO or DWIO mode and in every software style."""

import zlib

from emulators.device import Timeline
from emulators.devices.net.pcnet import PcNet
from emulators.devices.pci.bus import PciBus
from emulators.dma import Dma
from tests.emulators.devices.guest_memory import GuestMemory

MAC = bytes.fromhex("020000000042")
PEER = bytes.fromhex("020000000001")
BLOCK, RX, TX, BUFFERS = 0x1000, 0x2000, 0x3000, 0x10000
RX_LENGTH, TX_LENGTH = 8, 4
OWN, ERR, STP, ENP = 0x8000, 0x4000, 0x0200, 0x0100


class Driver:
    """A card on a bus, and the calls of a driver in WIO or DWIO mode."""

    def __init__(self, *, style: int = 2, dwio: bool = False, model: str = "Am79C970A") -> None:
        self.memory = GuestMemory()
        self.sent: list[bytes] = []
        self.levels: list[bool] = []
        self.timeline = Timeline(1000)
        self.card = PcNet(
            "pcnet",
            mac=MAC,
            dma=Dma(self.memory),
            out=self.sent.append,
            timeline=self.timeline,
            model=model,
        )
        self.bus = PciBus([self.levels.append] * 4)
        self.bus.add(self.card, 11)
        self.bus.assign(io=(0x1000, 0x1FFF), memory=(0x1000_0000, 0x1000_FFFF), line=lambda device, pin: 10)
        self.style = style
        self.size = 8 if style == 0 else 16
        self.width = 4 if dwio else 2
        self.tx_next = self.rx_next = 0
        if dwio:
            self.bus.io.write(0x1010, 4, 0)

    # Registers

    def _at(self, register: int) -> int:
        return 0x1010 + register * self.width

    def csr(self, number: int, value: int | None = None) -> int:
        self.bus.io.write(self._at(1), self.width, number)
        if value is None:
            return self.bus.io.read(self._at(0), self.width)
        self.bus.io.write(self._at(0), self.width, value)
        return 0

    def bcr(self, number: int, value: int | None = None) -> int:
        self.bus.io.write(self._at(1), self.width, number)
        if value is None:
            return self.bus.io.read(self._at(3), self.width)
        self.bus.io.write(self._at(3), self.width, value)
        return 0

    # Memory

    def put_descriptor(self, at: int, address: int, octets: int, status: int) -> None:
        count = -octets & 0xFFFF
        if self.style == 0:
            words = (address & 0xFFFF, address >> 16 & 0xFF | status & 0xFF00, count, 0)
            self.memory.write(at, b"".join(word.to_bytes(2, "little") for word in words))
        else:
            longs = [address, count | status << 16, 0, 0x11223344]
            if self.style == 3:
                longs[0], longs[2] = longs[2], longs[0]
            self.memory.write(at, b"".join(word.to_bytes(4, "little") for word in longs))

    def get_descriptor(self, at: int) -> tuple[int, int]:
        """Status, and length or errors (errors always as in TMD2)."""
        octets = self.memory.read(at, self.size)
        if self.style == 0:
            return octets[3] << 8, int.from_bytes(octets[6:8], "little")
        report = octets[0:4] if self.style == 3 else octets[8:12]
        assert octets[12:16] == b"\x44\x33\x22\x11"
        return int.from_bytes(octets[6:8], "little"), int.from_bytes(report, "little")

    # What drivers do

    def start(self, *, mode: int = 0, ladrf: int = 0, csr0: int = 0x42, buffer: int = 1536) -> None:
        self.bcr(20, self.style)
        for i in range(RX_LENGTH):
            self.put_descriptor(RX + i * self.size, BUFFERS + i * 2048, buffer, OWN)
        for i in range(TX_LENGTH):
            self.put_descriptor(TX + i * self.size, 0, 4096, 0)
        head = mode.to_bytes(2, "little")
        if self.style == 0:
            block = head + MAC + ladrf.to_bytes(8, "little")
            block += (RX | 3 << 29).to_bytes(4, "little") + (TX | 2 << 29).to_bytes(4, "little")
        else:
            block = head + bytes([3 << 4, 2 << 4]) + MAC + bytes(2) + ladrf.to_bytes(8, "little")
            block += RX.to_bytes(4, "little") + TX.to_bytes(4, "little")
        self.memory.write(BLOCK, block)
        self.csr(1, BLOCK)
        self.csr(2, 0)
        self.csr(4, 0x0915)
        self.csr(0, 1)
        assert self.csr(0) & 0x0101 == 0x0101
        self.csr(0, csr0 | 0x0100)

    def queue_frame(self, *parts: bytes, extra: int = 0) -> int:
        """Put a frame into the ring; answers the address of its first descriptor."""
        first = TX + self.tx_next * self.size
        for i, part in enumerate(parts):
            address = BUFFERS + 0x8000 + self.tx_next * 2048
            self.memory.write(address, part)
            status = OWN | extra | (STP if i == 0 else 0) | (ENP if i == len(parts) - 1 else 0)
            self.put_descriptor(TX + self.tx_next * self.size, address, len(part), status)
            self.tx_next = (self.tx_next + 1) % TX_LENGTH
        return first

    def demand(self) -> None:
        self.csr(0, 0x48)

    def take_frame(self) -> bytes | None:
        """The next received frame with its FCS checked and removed; the descriptors go back to the card."""
        octets = b""
        while True:
            at = RX + self.rx_next * self.size
            status, report = self.get_descriptor(at)
            if status & OWN:
                return None
            assert not status & ERR
            buffer = self.memory.read(BUFFERS + self.rx_next * 2048, 1536)
            octets += buffer[: report - len(octets)] if status & ENP else buffer[:1536]
            self.put_descriptor(at, BUFFERS + self.rx_next * 2048, 1536, OWN)
            self.rx_next = (self.rx_next + 1) % RX_LENGTH
            if status & ENP:
                assert zlib.crc32(octets[:-4]).to_bytes(4, "little") == octets[-4:]
                return octets[:-4]

    def level(self) -> bool:
        return bool(self.levels) and self.levels[-1]


def frame_to(to: bytes, length: int = 100, fill: int = 0x5A) -> bytes:
    return to + PEER + b"\x08\x00" + bytes([fill]) * (length - 14)
